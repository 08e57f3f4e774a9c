package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire/netlink"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/drivers/ds18b20"
	"github.com/edgelog/edgelog/drivers/w1"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
	"github.com/edgelog/edgelog/internal/sim/w1fuse"
)

// What a sweep of n thermometers at 12 bits needs on the wire: a reset and 16 slots to start all conversions, the
// conversion, and a reset and 152 slots (match ROM, its 64 bits, the command, nine bytes) to read each.
const (
	conversion   = 750 * time.Millisecond
	convertSlots = 16
	readSlots    = 19 * 8
)

func limitOf(n int, reset, slot time.Duration) time.Duration {
	return conversion + time.Duration(1+n)*reset + time.Duration(convertSlots+n*readSlots)*slot
}

var sizes = []int{1, 10, 100}

// sweeps prints the best of some sweeps against the limit.
func sweeps(ctx context.Context, e *env, master string, n int, limit time.Duration, s drivers.Sensor) error {
	defer s.Close()
	var err error
	for range 3 { // a search of 100 chips takes thousands of round trips: a machine that stands still ends it
		if _, err = s.Read(ctx, nil); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("first sweep: %w", err)
	}
	best := time.Hour
	for range e.rounds {
		started := time.Now()
		out, err := s.Read(ctx, nil)
		took := time.Since(started)
		if err != nil {
			return err
		}
		if len(out) != n {
			return fmt.Errorf("%d readings of %d", len(out), n)
		}
		for _, x := range out {
			if !x.Quality.Good() {
				return fmt.Errorf("a reading is %s (%q)", x.Quality, x.Detail)
			}
		}
		best = min(best, took)
	}
	report(fmt.Sprintf("sweep_vs_limit_%s_%d", master, n), float64(best)/float64(limit), "ratio")
	return nil
}

func thermometers(n int) []*sim.Chip {
	var chips []*sim.Chip
	for i := range n {
		c, _ := sim.NewThermometer(0x28, uint64(i+1)*0x7654321, 330)
		chips = append(chips, c)
	}
	return chips
}

// plugged runs f with a paced adapter on a pty.
func plugged(make func(*sim.Socket, *sim.Wire, sim.Options) *sim.Adapter, o sim.Options, n int, f func(port string, a *sim.Adapter) error) error {
	dir, err := os.MkdirTemp("", "driversbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	socket := sim.NewSocket(filepath.Join(dir, "tty"))
	o.Pace = true
	a := make(socket, sim.NewWire(thermometers(n)...), o)
	if err := socket.Plug(); err != nil {
		return err
	}
	done := goes(a.Answer)
	err = f(socket.Link(), a)
	socket.Unplug()
	return errors.Join(err, <-done)
}

func goes(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }() // joined by whoever reads done
	return done
}

func sweepAdapter(ctx context.Context, e *env, name string, make func(*sim.Socket, *sim.Wire, sim.Options) *sim.Adapter,
	o ds18b20.Options, so sim.Options, reset, slot time.Duration) error {
	for _, n := range sizes {
		err := plugged(make, so, n, func(port string, a *sim.Adapter) error {
			o.Port.Device, o.Port.LockDir = port, filepath.Dir(port)
			s, err := ds18b20.Open(o)
			if err != nil {
				return err
			}
			if err := sweeps(ctx, e, name, n, limitOf(n, reset, slot), s); err != nil {
				return err
			}
			if lost := a.Lost(); lost > 0 {
				return fmt.Errorf("%d bytes came too fast for the chip", lost)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s, %d sensors: %w", name, n, err)
		}
	}
	return nil
}

// sweepDS2480B measures the speed that the master chooses behind a UART and, named by their limits, what holds behind a
// USB adapter that answers after 1 ms, and at 9600 baud: there it is the serial line that takes the time.
func sweepDS2480B(ctx context.Context, e *env) error {
	o := ds18b20.Options{Master: ds18b20.MasterDS2480B}
	if err := sweepAdapter(ctx, e, "ds2480b", sim.NewDS2480B, o, sim.Options{}, sim.ResetTime, sim.SlotTime); err != nil {
		return err
	}
	if err := sweepAdapter(ctx, e, "ds2480b_usb", sim.NewDS2480B, o, sim.Options{Latency: time.Millisecond}, sim.ResetTime, sim.SlotTime); err != nil {
		return err
	}
	o.Port.Baud = 9600
	return sweepAdapter(ctx, e, "ds2480b_9600", sim.NewDS2480B, o, sim.Options{}, sim.ResetTime, sim.SlotTime)
}

// sweepDS9097: a slot is a character at 115200 baud, a reset one at 9600.
func sweepDS9097(ctx context.Context, e *env) error {
	return sweepAdapter(ctx, e, "ds9097", sim.NewDS9097, ds18b20.Options{Master: ds18b20.MasterDS9097}, sim.Options{},
		sim.CharTime(9600, 1), sim.CharTime(115200, 1))
}

// sweepNetlink measures all of that road but the kernel: netlink's bus over a paced one of the same form.
func sweepNetlink(ctx context.Context, e *env) error {
	for _, n := range sizes {
		bus := netlink.Wrap(sim.NewDirect(sim.NewWire(thermometers(n)...), true))
		s, err := ds18b20.New(bus, ds18b20.Options{Port: serial.Options{}})
		if err != nil {
			return err
		}
		if err := sweeps(ctx, e, "netlink", n, limitOf(n, sim.ResetTime, sim.SlotTime), s); err != nil {
			return err
		}
	}
	return nil
}

// sweepSysfs reads a FUSE file system that behaves like the kernel's.
func sweepSysfs(ctx context.Context, e *env) error {
	for _, n := range sizes {
		if err := sysfs(ctx, e, n); err != nil {
			return err
		}
	}
	return nil
}

func sysfs(ctx context.Context, e *env, n int) error {
	dir, err := os.MkdirTemp("", "driversbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var roms []string
	for i := range n {
		roms = append(roms, fmt.Sprintf("28-%012x", i+1))
	}
	bus := w1fuse.NewBus(roms...)
	bus.Names = time.Minute // the kernel looks names up in its memory, not through FUSE
	unmount, err := w1fuse.Mount(dir, bus)
	if err != nil {
		return err
	}
	s, err := w1.New(w1.Options{Root: dir})
	if err == nil {
		err = sweeps(ctx, e, "sysfs", n, limitOf(n, w1fuse.ResetTime, w1fuse.SlotTime), s)
	}
	return errors.Join(err, unmount())
}

// sweepOWServer asks owserver for its own fake thermometers, which are on no wire: the limit is the conversion.
func sweepOWServer(ctx context.Context, e *env) error {
	for _, n := range sizes {
		if err := owserver(ctx, e, n); err != nil {
			return err
		}
	}
	return nil
}

const perServer = 20 // owserver 3.2p4 overruns a buffer of its own when it is told many fake devices

func owserver(ctx context.Context, e *env, n int) error {
	dir, err := os.MkdirTemp("", "driversbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	conf := filepath.Join(dir, "owfs.conf") // an empty file: it watches what it is given
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		return err
	}
	var front []string
	addr := ""
	for left := n; left > 0; left -= perServer {
		fakes := ""
		for i := range min(left, perServer) {
			fakes += fmt.Sprintf(",28.%012X", left-i)
		}
		var stop func()
		addr, stop, err = startOWServer(ctx, conf, "--fake="+fakes[1:], "--temperature_low=21.5", "--temperature_high=21.5")
		if err != nil {
			return err
		}
		defer stop()
		front = append(front, "-s", addr)
	}
	if n > perServer { // one in front of them all
		var stop func()
		if addr, stop, err = startOWServer(ctx, conf, front...); err != nil {
			return err
		}
		defer stop()
	}
	s, err := ds18b20.Open(ds18b20.Options{Master: ds18b20.MasterOWServer, Server: addr})
	if err != nil {
		return err
	}
	return sweeps(ctx, e, "owserver", n, conversion, s)
}

// startOWServer returns where it listens.
func startOWServer(ctx context.Context, conf string, args ...string) (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(ctx, "owserver", append([]string{"--foreground", "-c", conf, "-p", addr}, args...)...)
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("%w (apt-get install owserver)", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return addr, stop, nil
		}
		if time.Now().After(end) {
			stop()
			return "", nil, err
		}
	}
}

package boot_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu"
	"github.com/edgelog/edgelog/mcu/boot"
	"github.com/edgelog/edgelog/mcu/sim"
)

const (
	optibootDir   = "/usr/share/arduino/hardware/arduino/avr/bootloaders/optiboot"
	optibootStart = 0x7e00
)

// optiboot builds the bootloader from the source that Debian ships. (The binary beside it is built 532 bytes long and
// runs over the end of the flash.)
func optiboot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	obj, out := filepath.Join(dir, "o.o"), filepath.Join(dir, "optiboot.elf")
	for _, args := range [][]string{
		{"-g", "-Os", "-fno-inline-small-functions", "-fno-split-wide-types", "-mshort-calls", "-fno-jump-tables", "-mmcu=atmega328p", "-DF_CPU=16000000L",
			"-DLED_START_FLASHES=0", "-DBAUD_RATE=115200", "-c", "-o", obj, filepath.Join(optibootDir, "optiboot.c")},
		{"-mmcu=atmega328p", "-Wl,--section-start=.text=0x7e00", "-Wl,--section-start=.version=0x7ffe", "-Wl,--relax", "-Wl,--gc-sections", "-nostartfiles",
			"-nostdlib", "-o", out, obj},
	} {
		if b, err := exec.Command("avr-gcc", args...).CombinedOutput(); err != nil {
			t.Fatalf("build optiboot: %v (run deploy/bootstrap/setup.sh mcu)\n%s", err, b)
		}
	}
	return out
}

// newAVR is an ATmega328P with optiboot and an application.
func newAVR(t *testing.T, loader string, app []byte) *sim.AVR {
	t.Helper()
	c, err := sim.NewAVR(sim.NewBoard())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.LoadELF(loader); err != nil {
		t.Fatal(err)
	}
	copy(c.Flash(), app)
	c.SetEntry(optibootStart)
	c.PowerCycle()
	return c
}

// avrLine joins a flasher with a chip in simulated time, which is that of the test's bubble. budget, if not 0, is how many
// cycles the chip has until its supply goes away.
type avrLine struct {
	c      *sim.AVR
	wait   time.Duration
	free   time.Duration // when our transmitter is free
	in     []byte
	budget uint64
	dead   bool
}

const avrByte = 10 * time.Second / 115200

func (l *avrLine) SetMode(context.Context, boot.Mode) error { l.in = nil; return nil }
func (l *avrLine) SetReadTimeout(d time.Duration) error     { l.wait = d; return nil }

func (l *avrLine) Write(b []byte) (int, error) {
	if l.dead {
		return len(b), nil
	}
	for _, x := range b {
		l.free = max(l.free, l.c.Now()) + avrByte
		l.c.Receive(sim.Char{Byte: x, End: l.free, Baud: 115200})
		if err := l.run(l.free - l.c.Now()); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// run lets d pass for the chip and for the test.
func (l *avrLine) run(d time.Duration) error {
	defer time.Sleep(d)
	if l.dead {
		return nil
	}
	n := uint64(d)*16/1000 + 1
	if l.budget > 0 {
		if n >= l.budget {
			l.dead = true
			return l.c.RunCycles(l.budget)
		}
		l.budget -= n
	}
	if err := l.c.RunCycles(n); err != nil {
		return err
	}
	for _, x := range l.c.Sent(nil) {
		l.in = append(l.in, x.Byte)
	}
	return nil
}

func (l *avrLine) Read(b []byte) (int, error) {
	if l.dead {
		time.Sleep(l.wait)
		return 0, nil
	}
	for left := l.wait; len(l.in) == 0 && left > 0; left -= 200 * time.Microsecond {
		if err := l.run(200 * time.Microsecond); err != nil {
			return 0, err
		}
	}
	n := copy(b, l.in)
	l.in = l.in[n:]
	return n, nil
}

func avrApp(n byte) []byte { return vectors([]byte{0x0c, 0x94, 0x34, 0x00}, n, 1500) }

func flashAVR(t *testing.T, l *avrLine, app []byte, enter boot.Enter) (boot.Result, error) {
	t.Helper()
	img, err := boot.Parse(hexText(0, app), 0)
	if err != nil {
		t.Fatal(err)
	}
	return boot.Update(t.Context(), boot.Job{Flasher: boot.NewSTK500(l, boot.STK500Options{Enter: enter}), Image: img})
}

// Our flasher against the real bootloader.
func TestOptiboot(t *testing.T) {
	loader := optiboot(t)
	synctest.Test(t, func(t *testing.T) {
		c := newAVR(t, loader, avrApp(1))
		defer c.Close()
		l := &avrLine{c: c}
		now := avrApp(2)
		r, err := flashAVR(t, l, now, func(context.Context) error { c.Reset(); return nil })
		if err != nil || r.Chip.Name != "ATmega328P" || !bytes.HasPrefix(c.Flash(), now) {
			t.Fatalf("%+v %v", r, err)
		}
		t.Logf("%+v", r)
	})
}

// The power goes away at any point of a flash: the chip holds one of the images, or listens in its bootloader without
// anybody at its reset pin, and the next update succeeds.
func TestOptibootPowerCuts(t *testing.T) {
	loader := optiboot(t)
	old, now := avrApp(1), avrApp(2)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(*seed, 8))
		c := newAVR(t, loader, old)
		defer c.Close()
		reset := func(context.Context) error { c.Reset(); return nil }
		before := c.Cycles()
		if _, err := flashAVR(t, &avrLine{c: c}, now, reset); err != nil {
			t.Fatal(err)
		}
		cycles := c.Cycles() - before
		ends := map[string]int{}
		for range *avrCuts {
			copy(c.Flash(), bytes.Repeat([]byte{0xff}, optibootStart))
			copy(c.Flash(), old)
			l := &avrLine{c: c, budget: 1 + r.Uint64N(cycles)}
			_, cut := flashAVR(t, l, now, func(context.Context) error {
				if !l.dead {
					c.Reset()
				}
				return nil
			})
			c.PowerCycle()
			end, enter := "", boot.Enter(reset)
			flash := c.Flash()
			switch {
			case bytes.HasPrefix(flash, old):
				end = "old"
			case bytes.HasPrefix(flash, now):
				end = "new"
			case bytes.HasPrefix(flash, []byte{0x11, 0x24, 0x0c, 0x94}):
				end, enter = "bootloader", nil // nobody pulls the reset pin: it listens by itself
			case flash[0] == 0xff && flash[2] == 0xff:
				end = "window" // between erase and write of the first page
			default:
				t.Errorf("cut (%v): the chip would run half an image: % x", cut, flash[:8])
			}
			ends[end]++
			if res, err := flashAVR(t, &avrLine{c: c}, now, enter); err != nil || !bytes.HasPrefix(c.Flash(), now) {
				t.Errorf("after a cut that ended on %s: %+v %v", end, res, err)
			}
		}
		t.Logf("%d cuts within %d cycles ended on %v", *avrCuts, cycles, ends)
	})
}

// avrdude writes the same bytes through the same bootloader.
func TestAvrdude(t *testing.T) {
	loader, app := optiboot(t), avrApp(2)
	c := newAVR(t, loader, nil)
	line := sim.NewLine(115200, 1, &sim.Node{Chip: c, Name: "avr"})
	defer line.Close()
	path, err := line.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- line.Serve(ctx) }()
	pulled := make(chan struct{})
	go func() { // a terminal has no DTR: somebody pulls the reset pin when the first byte comes
		defer close(pulled)
		for ctx.Err() == nil && line.Counts().MasterBytes == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		line.Do(c.Reset)
	}()
	out, err := exec.Command(tool(t, "avrdude"), "-p", "m328p", "-c", "arduino", "-P", path, "-b", "115200", "-D", "-U", "flash:w:"+file(t, "node.hex", hexText(0, app))+":i").CombinedOutput()
	cancel()
	<-pulled
	if serr := <-done; serr != nil {
		t.Error(serr)
	}
	if err != nil {
		t.Fatalf("avrdude: %v\n%s", err, out)
	}
	theirs := append([]byte(nil), c.Flash()[:optibootStart]...)
	synctest.Test(t, func(t *testing.T) {
		c := newAVR(t, loader, nil)
		defer c.Close()
		if _, err := flashAVR(t, &avrLine{c: c}, app, func(context.Context) error { c.Reset(); return nil }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.Flash()[:optibootStart], theirs) || !bytes.HasPrefix(theirs, app) {
			t.Error("the two differ")
		}
	})
}

// The real firmware is replaced by its next version, and the node that comes up says so.
func TestRealImage(t *testing.T) {
	loader := optiboot(t)
	parse := func(name string) *boot.Image {
		b, err := os.ReadFile("../../firmware/build/" + name)
		if err != nil {
			t.Fatalf("%v (run make firmware)", err)
		}
		img, err := boot.Parse(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	old, now := parse("node-avr.elf"), parse("node-avr-v2.hex")
	synctest.Test(t, func(t *testing.T) {
		c := newAVR(t, loader, old.Flat(boot.Span{To: optibootStart}, 0xff))
		defer c.Close()
		version := func(ctx context.Context) (string, error) {
			l := sim.NewLine(9600, 1, &sim.Node{Chip: c, Name: "avr"})
			if err := l.Run(c.Now() + 300*time.Millisecond); err != nil {
				return "", err
			}
			w, err := modbus.NewMaster(l, modbus.MasterOptions{Timeout: 2 * time.Second}).ReadHolding(ctx, 247, mcu.RegMagic, 20)
			if err != nil {
				return "", err
			}
			id, err := mcu.ParseIdentity(w)
			return id.Version, err
		}
		before, err := version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l := &avrLine{c: c}
		l.free = c.Now()
		r, err := boot.Update(t.Context(), boot.Job{Flasher: boot.NewSTK500(l, boot.STK500Options{Enter: func(context.Context) error { c.Reset(); return nil }}),
			Image: now, Confirm: version})
		if err != nil || r.Version == before || r.Version == "" {
			t.Fatalf("%s before: %+v %v", before, r, err)
		}
		t.Logf("%s, then %s: %d bytes in %v", before, r.Version, r.Bytes, r.Took)
	})
}

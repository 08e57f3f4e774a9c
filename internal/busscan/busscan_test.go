package busscan_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/busscan"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// box is a machine with sockets for serial ports.
type box struct {
	t   *testing.T
	dir string
}

func newBox(t *testing.T) *box {
	b := &box{t, t.TempDir()}
	b.mkdir("dev/serial/by-id")
	b.mkdir("sys")
	b.mkdir("proc")
	return b
}

func (b *box) mkdir(path string) {
	if err := os.MkdirAll(filepath.Join(b.dir, path), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) options() busscan.Options {
	return busscan.Options{Sys: filepath.Join(b.dir, "sys"), Dev: filepath.Join(b.dir, "dev"), Proc: "/proc", LockDir: b.dir,
		OWServer: "127.0.0.1:1", Units: []byte{1, 2, 3}, Bauds: []int{9600}}
}

func (b *box) socket(name string) *sim.Socket {
	s := sim.NewSocket(filepath.Join(b.dir, "dev/serial/by-id", name))
	if err := s.Plug(); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// plug puts a device on a socket; serve returns when the socket is pulled.
func (b *box) plug(name string, serve func(s *sim.Socket)) *sim.Socket {
	s := b.socket(name)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(s)
	}()
	b.t.Cleanup(func() {
		s.Unplug()
		<-done
	})
	return s
}

func says(text string) func(*sim.Socket) {
	return func(s *sim.Socket) {
		m := s.Master()
		for {
			time.Sleep(200 * time.Millisecond)
			if _, err := m.WriteString(text); err != nil {
				return
			}
		}
	}
}

// answers gives to each thing that is written what f says.
func answers(f func(q []byte) []byte) func(*sim.Socket) {
	return func(s *sim.Socket) {
		m, buf := s.Master(), make([]byte, 256)
		for {
			n, err := m.Read(buf)
			if err != nil {
				return
			}
			if _, err := m.Write(f(buf[:n])); err != nil {
				return
			}
		}
	}
}

// slave has unit 2 on a Modbus line.
func slave(q []byte) []byte {
	if len(q) != 8 || q[0] != 2 || modbus.CRC(q[:6]) != uint16(q[6])|uint16(q[7])<<8 {
		return nil
	}
	if q[1] != 3 {
		return modbus.AppendRTU(nil, 2, []byte{q[1] | 0x80, 1})
	}
	return modbus.AppendRTU(nil, 2, []byte{3, 2, 0, 7})
}

func adapter(make func(*sim.Socket, *sim.Wire, sim.Options) *sim.Adapter, chips ...*sim.Chip) func(*sim.Socket) {
	return func(s *sim.Socket) { _ = make(s, sim.NewWire(chips...), sim.Options{}).Answer() }
}

func run(t *testing.T, o busscan.Options) map[string]api.Place {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := busscan.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]api.Place{}
	for _, p := range s.Places {
		out[filepath.Base(p.Place)] = p
		if p.Configuration != "" {
			var list []map[string]any
			if err := yaml.Unmarshal([]byte(p.Configuration), &list); err != nil || len(list) != 1 || list[0]["driver"] == nil {
				t.Errorf("%s: configuration is none: %v\n%s", p.Place, err, p.Configuration)
			}
		}
	}
	return out
}

func TestWhatIsFound(t *testing.T) {
	b := newBox(t)
	a, _ := sim.NewThermometer(0x28, 0x5f1c3a, 343)
	m, _ := sim.NewMonitor(0x26)
	c, _ := sim.NewThermometer(0x28, 0x5f1c3b, 343)
	b.plug("usb-2480", adapter(sim.NewDS2480B, a, m))
	b.plug("usb-2480-empty", adapter(sim.NewDS2480B))
	b.plug("usb-9097", adapter(sim.NewDS9097, c))
	b.plug("usb-gps", says("$GPZDA,201530.00,04,07,2002,00,00*60\r\n"))
	dust, _ := hex.DecodeString("aac0d4043a0aa1601dab")
	b.plug("usb-dust", says(string(dust)))
	b.plug("usb-text", says("weight 12.5 kg\r\n"))
	b.plug("usb-noise", says("\x01\x02\x80\x81"))
	b.plug("usb-co2", answers(func(q []byte) []byte {
		if hex.EncodeToString(q) != "ff0186000000000079" {
			return nil
		}
		good, _ := hex.DecodeString("ff86026047000000d1")
		return good
	}))
	b.plug("usb-modbus", answers(slave))
	b.plug("usb-silent", answers(func([]byte) []byte { return nil }))
	found := run(t, b.options())
	for name, want := range map[string]string{
		"usb-2480": "1-Wire adapter DS2480B (DS9097U and relatives)", "usb-2480-empty": "1-Wire adapter DS2480B (DS9097U and relatives), no chip on it",
		"usb-9097": "passive 1-Wire adapter", "usb-gps": "GPS receiver (NMEA 0183) at 9600 baud", "usb-dust": "air sensor sds011",
		"usb-text": `text at 9600 baud: "weight 12.5 kg"`, "usb-noise": "something speaks at a speed or in a form that is not known",
		"usb-co2": "CO₂ meter MH-Z19", "usb-modbus": "Modbus at 9600 baud, 1 device", "usb-silent": "nobody answers",
	} {
		if p := found[name]; p.Found != want || p.Kind != api.PlaceSerial {
			t.Errorf("%s: %+v, want %s", name, p, want)
		}
	}
	if p := found["usb-2480"]; len(p.Chips) != 2 || p.Chips[0].ROM != "26-000000000026" && p.Chips[1].ROM != "26-000000000026" ||
		!strings.Contains(p.Configuration, `28-0000005f1c3a: ""    # DS18B20`) {
		t.Errorf("chips: %+v", p)
	}
	if u := found["usb-modbus"].Units; len(u) != 1 || u[0].Unit != 2 {
		t.Errorf("units: %+v", u)
	}
}

// TestPortsInUse: what another program has open, or locked, is not touched; nor is anything with List.
func TestPortsInUse(t *testing.T) {
	b := newBox(t)
	touched := make(chan string, 64)
	note := func(name string) func(*sim.Socket) {
		return answers(func(q []byte) []byte { touched <- name + fmt.Sprintf(" % x", q); return nil })
	}
	held := b.plug("usb-held", note("held"))
	locked := b.plug("usb-locked", note("locked"))
	b.plug("usb-free", note("free"))

	real, err := filepath.EvalSymlinks(held.Link())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(real, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command("sleep", "60")
	holder.ExtraFiles = []*os.File{f}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	defer func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	}()
	p, err := serial.New(serial.Options{Device: locked.Link(), LockDir: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}

	o := b.options()
	o.List = true
	o.Configured = func(place string) string {
		if strings.HasSuffix(place, "usb-locked") {
			return "meters"
		}
		return ""
	}
	found := run(t, o)
	if got := found["usb-held"].InUse; got != fmt.Sprintf("sleep (process %d)", holder.Process.Pid) {
		t.Errorf("held: %q", got)
	}
	if found["usb-free"].InUse != "" || found["usb-free"].Found != "" || found["usb-locked"].Configured != "meters" {
		t.Errorf("list: %+v", found)
	}
	if len(touched) > 0 {
		t.Errorf("touched by --list: %s", <-touched)
	}
	o.List = false
	o.Ports = []string{held.Link(), locked.Link()}
	found = run(t, o)
	if len(found) != 2 || found["usb-locked"].InUse != "another program" || !strings.HasPrefix(found["usb-held"].InUse, "sleep") {
		t.Errorf("found %+v", found)
	}
	if len(touched) > 0 {
		t.Errorf("touched: %s", <-touched)
	}
}

func TestKernelAndBuiltIn(t *testing.T) {
	b := newBox(t)
	for _, d := range []string{"sys/bus/w1/devices/w1_bus_master1", "sys/bus/w1/devices/28-0000005f1c3a", "sys/bus/w1/devices/26-000000000001",
		"sys/class/tty/ttyS0/device", "sys/class/tty/ttyS1/device", "sys/class/tty/ttyS9/device", "sys/class/tty/tty1", "sys/class/tty/console"} {
		b.mkdir(d)
	}
	for name, text := range map[string]string{"sys/class/tty/ttyS0/type": "4\n", "sys/class/tty/ttyS1/type": "4\n", "sys/class/tty/ttyS9/type": "0\n",
		"sys/class/tty/console/active": "tty0 ttyS0\n", "dev/ttyS0": "", "dev/ttyS1": "", "dev/ttyS9": ""} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := b.options()
	o.List = true
	found := run(t, o)
	k := found["devices"]
	if k.Kind != api.PlaceKernel || len(k.Chips) != 2 || k.Chips[1].Chip != "DS18B20, MAX31820" || !strings.Contains(k.Configuration, "driver: w1") {
		t.Errorf("kernel: %+v", k)
	}
	if found["ttyS0"].InUse != "the console of the kernel" {
		t.Errorf("console: %+v", found["ttyS0"])
	}
	if _, ok := found["ttyS1"]; !ok || len(found) != 3 {
		t.Errorf("found %+v", found)
	}
	o.List = false
	o.Ports = []string{filepath.Join(b.dir, "dev/ttyS1"), filepath.Join(b.dir, "dev/none")}
	found = run(t, o)
	if !strings.Contains(found["ttyS1"].Error, "is it a serial port?") || !strings.Contains(found["none"].Error, "does not exist") {
		t.Errorf("found %+v", found)
	}
}

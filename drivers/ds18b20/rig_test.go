package ds18b20_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/drivers/ds18b20"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

// rig is a simulated adapter with chips, plugged into a socket.
type rig struct {
	t       testing.TB
	wire    *sim.Wire
	socket  *sim.Socket
	adapter *sim.Adapter
	done    chan error
}

func newRig(t testing.TB, master string, o sim.Options, chips ...*sim.Chip) *rig {
	t.Helper()
	r := &rig{t: t, wire: sim.NewWire(chips...), socket: sim.NewSocket(filepath.Join(t.TempDir(), "tty"))}
	if master == ds18b20.MasterDS9097 {
		r.adapter = sim.NewDS9097(r.socket, r.wire, o)
	} else {
		r.adapter = sim.NewDS2480B(r.socket, r.wire, o)
	}
	r.plug()
	t.Cleanup(r.unplug)
	return r
}

func (r *rig) plug() {
	r.t.Helper()
	if err := r.socket.Plug(); err != nil {
		r.t.Fatal(err)
	}
	r.done = make(chan error, 1)
	go func() { r.done <- r.adapter.Answer() }()
}

func (r *rig) unplug() {
	r.socket.Unplug()
	if r.done != nil {
		if err := <-r.done; err != nil {
			r.t.Errorf("adapter: %v", err)
		}
		r.done = nil
	}
}

func (r *rig) options(master string) ds18b20.Options {
	return ds18b20.Options{Master: master, Port: serial.Options{Device: r.socket.Link(), LockDir: r.t.TempDir()}}
}

func open(t testing.TB, o ds18b20.Options) drivers.Sensor {
	t.Helper()
	s, err := ds18b20.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// sweep reads once; a line per sample: "rom name[input] value" or "rom name[input] quality detail".
func sweep(t *testing.T, s drivers.Sensor) (string, error) {
	t.Helper()
	out, err := s.Read(t.Context(), nil)
	var lines []string
	for _, x := range out {
		q := s.Quantities()[x.Quantity]
		line := q.Label("rom") + " " + q.Name
		if in := q.Label("input"); in != "" {
			line += "[" + in + "]"
		}
		line += " "
		switch {
		case x.Quality.Bad() && len(x.Detail) <= 11 && x.Detail[0] < ' ' || x.Quality.Bad() && len(x.Detail) == 9:
			line += fmt.Sprintf("%s % x", x.Quality, x.Detail)
		case x.Quality.Bad():
			line += fmt.Sprintf("%s %s", x.Quality, x.Detail)
		case x.Type.Base() == record.TypeDecimal:
			line += string(record.AppendDecimal(nil, x.Num, x.Type.Decimals()))
		case x.Type == record.TypeFloat:
			line += fmt.Sprint(float(x.Num))
		default:
			line += fmt.Sprint(x.Num)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), err
}

// expect reads until it works, at most three times: the simulated adapters keep the wire's time, and a machine that is too busy
// to run them looks like a line that is disturbed. What is read has to be right at once.
func expect(t *testing.T, s drivers.Sensor, want ...string) {
	t.Helper()
	got, err := sweep(t, s)
	for try := 1; err != nil; try++ {
		if try == 3 {
			t.Fatalf("read: %v\n%s", err, got)
		}
		t.Logf("reads again: %v", err)
		got, err = sweep(t, s)
	}
	if got != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// fast makes conversions of full length take 80 ms; sensors are told so by Options.Conversion.
const fast = 80 * time.Millisecond

func thermometer(family byte, serial uint64, sixteenths int) (*sim.Chip, *sim.Thermometer) {
	c, th := sim.NewThermometer(family, serial, sixteenths)
	c.Convert = fast
	return c, th
}

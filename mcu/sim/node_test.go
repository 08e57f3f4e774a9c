package sim_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/internal/sim/onewire"
	"github.com/edgelog/edgelog/mcu/sim"
)

// images are the firmware images that `make firmware` builds.
const images = "../../firmware/build/"

// rig is one node on a line of its own, in simulated time.
type rig struct {
	t      *testing.T
	node   *sim.Node
	line   *sim.Line
	master *modbus.Master
	unit   byte
	sensor []*onewire.Thermometer
	chips  []*onewire.Chip
}

func board(n int) (*sim.Board, []*onewire.Chip, []*onewire.Thermometer) {
	var chips []*onewire.Chip
	var ts []*onewire.Thermometer
	for i := range n {
		c, th := onewire.NewThermometer(0x28, uint64(0x1122334455)*uint64(i+1)&0xffffffffffff, 20*16+i*8)
		chips, ts = append(chips, c), append(ts, th)
	}
	return sim.NewBoard(chips...), chips, ts
}

func newRig(t *testing.T, kind string, sensors int) *rig {
	t.Helper()
	b, chips, ts := board(sensors)
	var n *sim.Node
	var err error
	switch kind {
	case "avr":
		n, err = sim.NewAVRNode(kind, images+"node-avr.elf", b)
	case "stc89-lcd":
		n, err = sim.NewSTCNode(kind, images+"node-stc89-lcd.ihx", b)
	case "stc89":
		n, err = sim.NewSTCNode(kind, images+"node-stc89.ihx", b)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := sim.NewLine(9600, 1, n)
	t.Cleanup(func() { l.Close() })
	r := &rig{t: t, node: n, line: l, unit: 247, sensor: ts, chips: chips}
	r.master = modbus.NewMaster(l, modbus.MasterOptions{Timeout: time.Second})
	if err := l.Run(100 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) read(addr uint16, n int) []uint16 {
	r.t.Helper()
	v, err := r.master.ReadHolding(context.Background(), r.unit, addr, n)
	if err != nil {
		r.t.Fatalf("%s: read %#x: %v", r.node.Name, addr, err)
	}
	return v
}

func (r *rig) write(addr uint16, v ...uint16) {
	r.t.Helper()
	if err := r.master.WriteRegisters(context.Background(), r.unit, addr, v); err != nil {
		r.t.Fatalf("%s: write %#x: %v", r.node.Name, addr, err)
	}
}

func (r *rig) run(d time.Duration) {
	r.t.Helper()
	if err := r.line.Run(d); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) clean() {
	r.t.Helper()
	for _, v := range r.node.Board.Violations() {
		r.t.Errorf("%s: %s", r.node.Name, v)
	}
}

func eachChip(t *testing.T, sensors int, f func(t *testing.T, r *rig)) {
	for _, kind := range []string{"avr", "stc89"} {
		t.Run(kind, func(t *testing.T) { f(t, newRig(t, kind, sensors)) })
	}
}

func TestMain(m *testing.M) {
	for _, f := range []string{"node-avr.elf", "node-stc89.ihx", "node-stm32f4.elf"} {
		if _, err := os.Stat(images + f); err != nil {
			fmt.Fprintln(os.Stderr, "no firmware images in firmware/build: run make firmware")
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func TestIdentityAndSensors(t *testing.T) {
	eachChip(t, 3, func(t *testing.T, r *rig) {
		id := r.read(0, 16)
		if id[0] != 0x454c || id[1] != 2 || id[9] != 8 || id[12] != 0 || id[13] != 1 || id[14] != 1 {
			t.Errorf("identity %#x", id)
		}
		r.run(3 * time.Second)
		for i := range 3 {
			s := r.read(0x40+uint16(i)*8, 8)
			if got := s[4]; int(got) != r.sensor[i].Sixteenths && s[5] == 0 {
				found := false
				for _, th := range r.sensor {
					found = found || int(got) == th.Sixteenths
				}
				if !found {
					t.Errorf("slot %d: %#x", i, s)
				}
			}
			if s[5] != 0 || s[0]>>8 != 0x28 {
				t.Errorf("slot %d: %#x", i, s)
			}
		}
		if s := r.read(0x40+3*8, 8); s[0] != 0 {
			t.Errorf("slot 3 is not empty: %#x", s)
		}
		t.Log(r.node.Board.LCD.Picture())
		t.Log(r.read(0x20, 11))
		r.clean()
	})
}

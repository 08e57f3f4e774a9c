package sim_test

import (
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu/sim"
)

// TestExampleNode runs firmware/example as docs/node.md does: five pulses become one reading.
func TestExampleNode(t *testing.T) {
	b, _, _ := board(1)
	n, err := sim.NewAVRNode("example", images+"example-avr.elf", b)
	if err != nil {
		t.Fatal(err)
	}
	l := sim.NewLine(9600, 1, n)
	t.Cleanup(func() { l.Close() })
	r := &rig{t: t, node: n, line: l, unit: 247, master: modbus.NewMaster(l, modbus.MasterOptions{Timeout: time.Second})}
	c := n.Chip.(*sim.AVR)
	c.SetPin('B', 5, true)
	r.run(100 * time.Millisecond)
	r.write(0x100, life...)
	r.write(0xb2, 2) // report every 2 s
	for range 5 {
		c.SetPin('B', 5, false)
		r.run(60 * time.Millisecond)
		c.SetPin('B', 5, true)
		r.run(60 * time.Millisecond)
	}
	r.run(3 * time.Second)
	sum := 0
	events, _ := r.take()
	for _, e := range events {
		if e.kind == 1 && e.source == 8 {
			sum += int(e.value)
		}
	}
	if sum != 5 {
		t.Errorf("%d pulses counted, want 5: %+v", sum, events)
	}
}

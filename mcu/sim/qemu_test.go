package sim_test

import (
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu/sim"
)

func TestCortexM(t *testing.T) {
	n, err := sim.NewQEMUNode("stm32", images+"node-stm32f4.elf")
	if err != nil {
		t.Fatal(err)
	}
	l := sim.NewLine(9600, 1, n)
	t.Cleanup(func() { l.Close() })
	r := &rig{t: t, node: n, line: l, unit: 247, master: modbus.NewMaster(l, modbus.MasterOptions{Timeout: time.Second, Retries: 5})}
	r.run(200 * time.Millisecond)
	if id := r.read(0, 16); id[0] != 0x454c || id[2] != 4 {
		t.Errorf("identity %#x", id)
	}
	r.exactlyOnce()
}

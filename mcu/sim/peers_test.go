package sim_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/mcu/sim"
)

// TestMbpoll lets a program that knows nothing of us read all chips on one line, at the pace of the clock on the wall.
func TestMbpoll(t *testing.T) {
	var nodes []*sim.Node
	add := func(n *sim.Node, err error) {
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	a, _, _ := board(1)
	add(sim.NewAVRNode("avr", images+"node-avr.elf", a))
	b, _, _ := board(2)
	add(sim.NewSTCNode("stc89", images+"node-stc89.ihx", b))
	add(sim.NewQEMUNode("stm32", images+"node-stm32f4.elf"))
	for i, chip := range []string{"0x0002", "0x0001", "0x0004"} {
		t.Run(nodes[i].Name, func(t *testing.T) {
			l := sim.NewLine(9600, 1, nodes[i])
			t.Cleanup(func() { l.Close() })
			if err := l.Run(300 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			tty := serve(t, l)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			var out []byte
			var err error
			for range 5 { // its time-out counts the clock on the wall
				out, err = exec.CommandContext(ctx, "mbpoll", "-a", "247", "-b", "9600", "-P", "none", "-m", "rtu", "-t", "4:hex", "-0", "-r", "0", "-c", "4",
					"-1", "-o", "3", tty).CombinedOutput()
				if err == nil {
					break
				}
			}
			if err != nil {
				t.Fatalf("mbpoll (Debian package mbpoll): %v\n%s", err, out)
			}
			s := string(out)
			if !strings.Contains(s, "0x454C") || !strings.Contains(s, chip) {
				t.Errorf("mbpoll read:\n%s", s)
			}
		})
	}
}

// Nodesim runs the real firmware of nodes on simulated chips at the pace of the clock on the wall, and gives a tty to reach
// them, as a USB adapter for RS-485 would:
//
//	go run ./mcu/sim/nodesim -chips avr,stc89 -sensors 2
//
// Nodes answer at unit 1, 2, … in the order of -chips, stm32 at 247; -show prints the displays when they change.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/internal/sim/onewire"
	"github.com/edgelog/edgelog/mcu/sim"
)

func main() {
	chips := flag.String("chips", "avr", "avr, stc89, stc89-lcd, stm32, comma separated")
	sensors := flag.Int("sensors", 2, "DS18B20 of each node, 0 to 8")
	images := flag.String("images", "firmware/build", "directory of the images that make firmware builds")
	show := flag.Bool("show", false, "print the displays")
	flag.Parse()
	if err := run(strings.Split(*chips, ","), *sensors, *images, *show); err != nil {
		fmt.Fprintln(os.Stderr, "nodesim:", err)
		os.Exit(1)
	}
}

func run(chips []string, sensors int, images string, show bool) error {
	var nodes []*sim.Node
	for i, chip := range chips {
		n, err := node(chip, images, i, sensors)
		if err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
		if err := address(n, byte(i+1)); err != nil {
			return fmt.Errorf("node %d: set its unit: %w", i+1, err)
		}
		nodes = append(nodes, n)
	}
	l := sim.NewLine(9600, 1, nodes...)
	defer l.Close()
	path, err := l.Open()
	if err != nil {
		return err
	}
	for i := range nodes {
		unit := i + 1
		if nodes[i].Board == nil {
			unit = 247
		}
		fmt.Printf("%s: unit %d (%s), 9600 baud\n", path, unit, chips[i])
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if show {
		go display(ctx, l, nodes) // ends with the process
	}
	return l.Serve(ctx)
}

func node(chip, images string, i, sensors int) (*sim.Node, error) {
	var on []*onewire.Chip
	for k := range sensors {
		c, _ := onewire.NewThermometer(0x28, uint64(i+1)<<32|uint64(k+1)*0x10001, 20*16+k*24)
		on = append(on, c)
	}
	name := fmt.Sprintf("%s-%d", chip, i+1)
	switch chip {
	case "avr":
		return sim.NewAVRNode(name, images+"/node-avr.elf", sim.NewBoard(on...))
	case "stc89", "stc89-lcd":
		return sim.NewSTCNode(name, images+"/node-"+chip+".ihx", sim.NewBoard(on...))
	case "stm32":
		return sim.NewQEMUNode(name, images+"/node-stm32f4.elf")
	}
	return nil, fmt.Errorf("unknown chip %q", chip)
}

// address gives a new node, alone on its line, its unit, as an installer does. A Cortex-M in qemu stays at 247: qemu has no
// flash that can be written.
func address(n *sim.Node, unit byte) error {
	if n.Board == nil {
		return nil
	}
	l := sim.NewLine(9600, 1, n)
	m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: time.Second})
	if err := l.Run(200 * time.Millisecond); err != nil {
		return err
	}
	for _, w := range [][2]uint16{{0xa0, uint16(unit)}, {0xc2, 0x5341}} {
		if err := m.WriteRegister(context.Background(), 247, w[0], w[1]); err != nil {
			return err
		}
	}
	n.PowerCycle()
	return nil
}

func display(ctx context.Context, l *sim.Line, nodes []*sim.Node) {
	last := make([]string, len(nodes))
	for t := time.NewTicker(250 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for i, n := range nodes {
			if n.Board == nil {
				continue
			}
			s := ""
			l.Do(func() { s = n.Board.LCD.Picture() })
			if s != last[i] {
				fmt.Printf("%s\n%s", n.Name, s)
				last[i] = s
			}
		}
	}
}

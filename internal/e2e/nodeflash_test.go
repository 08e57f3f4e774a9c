package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/e2e/chips"
	"github.com/edgelog/edgelog/mcu/sim/target"
)

func readImage(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(images + name)
	if err != nil {
		t.Fatalf("%v (run make firmware)", err)
	}
	return b
}

func nodeOf(x *box, name string) (n api.Node) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if all, err := x.api.Nodes(ctx); err == nil {
		for _, l := range all.Lines {
			for _, y := range l.Nodes {
				if y.Name == name {
					n = y
				}
			}
		}
	}
	return n
}

// TestNodeFlash updates nodes with edgectl through an agent that polls them: an AVR through its own optiboot on command, and
// an STM32 through its ROM, with BOOT0 and reset pulled by a program. An image for another chip is refused, an update
// that is interrupted leaves a fault and is made good by the same command.
func TestNodeFlash(t *testing.T) {
	dir := t.TempDir()
	chip := chips.NewAVR(t, images+"optiboot.elf", images+"node-avr.elf")
	c, avr := chip.C, chips.Plug(t, chip)
	v1, v2 := readImage(t, "node-stm32f4.bin"), readImage(t, "node-stm32f4-v2.bin")
	stm := chips.NewSTM32(t, dir, v1, map[string][]byte{images + "node-stm32f4.elf": v1, images + "node-stm32f4-v2.elf": v2})
	port := chips.Plug(t, stm)
	t.Cleanup(func() { port.Do(func(target.Chip) { stm.Stop() }) })

	b := newBroker(t, dir, "box-1")
	pull := func(pin string) string { // and wait until it is noticed
		f := filepath.Join(dir, pin)
		return fmt.Sprintf(`[/bin/sh, -c, "touch %s; while [ -e %s ]; do sleep 0.01; done"]`, f, f)
	}
	y := fmt.Sprintf("nodes:\n  - line: cellar\n    port: %s\n    timeout: 2s\n    nodes:\n      - {name: aquarium, unit: 247, flash: {protocol: stk500v1, enter: command}}\n", avr.Name) +
		fmt.Sprintf("  - line: roof\n    port: %s\n    timeout: 2s\n    nodes:\n      - name: climate\n        unit: 247\n        flash: {protocol: an3155, enter: exec, enter_exec: %s, leave_exec: %s}\n",
			port.Name, pull("boot0"), pull("run"))
	x := newBox(t, dir, b, boxOptions{device: "box-1", extra: y})
	x.up()
	for _, name := range []string{"aquarium", "climate"} {
		waitFor(t, 2*time.Minute, name+" is online with 1.0.1", func() bool { n := nodeOf(x, name); return n.State == api.NodeOnline && n.Version == "1.0.1" })
	}
	flash := func(args ...string) (string, int) {
		return tryRun(t, filepath.Join(bin, "edgectl"), append([]string{"--run-dir", x.run, "node", "flash", "--yes"}, args...)...)
	}
	if out, code := flash("aquarium", images+"node-stm32f4.elf"); code == 0 || !strings.Contains(out, "ATmega328P") {
		t.Errorf("an image for another chip: status %d\n%s", code, out)
	}
	waitFor(t, 2*time.Minute, "the refused node is online", func() bool { return nodeOf(x, "aquarium").State == api.NodeOnline })

	// Interrupted once it writes: the node waits in its bootloader, and a fault says so.
	cmd := exec.Command(filepath.Join(bin, "edgectl"), "--run-dir", x.run, "node", "flash", "aquarium", images+"node-avr-v2.hex", "--want", "1.1.1", "--yes")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	old := readImage(t, "node-avr.bin")
	waitFor(t, 2*time.Minute, "the flash is being written", func() (changed bool) {
		avr.Do(func(target.Chip) { changed = !bytes.Equal(c.Flash()[:len(old)], old) })
		return changed
	})
	_ = cmd.Process.Signal(os.Interrupt)
	interrupted := cmd.Wait()
	whole := nodeOf(x, "aquarium").Version == "1.1.1"
	if interrupted == nil && !whole {
		t.Errorf("an interrupted flash says that it is done:\n%s", said.String())
	}
	if out, code := flash("aquarium", images+"node-avr-v2.hex", "--want", "1.1.1"); code != 0 || !strings.Contains(out, "back with version 1.1.1") {
		t.Fatalf("the same command again: status %d\n%s", code, out)
	}
	fresh := readImage(t, "node-avr-v2.bin")
	avr.Do(func(target.Chip) {
		if !bytes.Equal(c.Flash()[:len(fresh)], fresh) {
			t.Error("the AVR's flash differs from the image")
		}
	})
	waitFor(t, 2*time.Minute, "aquarium is online with 1.1.1", func() bool { n := nodeOf(x, "aquarium"); return n.State == api.NodeOnline && n.Version == "1.1.1" })

	out, code := flash("climate", images+"node-stm32f4-v2.bin", "--want", "1.1.1")
	if code != 0 || !strings.Contains(out, "back with version 1.1.1") {
		t.Fatalf("STM32: status %d\n%s", code, out)
	}
	port.Do(func(target.Chip) {
		if !bytes.Equal(stm.ROM.Cells[:len(v2)], v2) {
			t.Error("the STM32's flash differs from the image")
		}
	})
	if s, err := x.status(); err != nil {
		t.Error(err)
	} else {
		for _, f := range s.Faults {
			if strings.HasPrefix(f.Code, "M") {
				t.Errorf("fault after all is well: %+v", f)
			}
		}
	}
	t.Log(out)
	x.Stop()
}

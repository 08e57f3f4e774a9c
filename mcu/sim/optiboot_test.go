package sim_test

import (
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu/sim"
)

// serve runs the line at the pace of the clock on the wall until the test ends, and returns its tty.
func serve(t *testing.T, l *sim.Line) string {
	t.Helper()
	path, err := l.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

// TestAvrdudeThroughOptiboot programs a blank chip with the program that everybody uses, through the bootloader that
// everybody uses, and the node then answers.
func TestAvrdudeThroughOptiboot(t *testing.T) {
	b, _, _ := board(1)
	c, err := sim.NewOptiboot(images+"optiboot.elf", b)
	if err != nil {
		t.Fatal(err)
	}
	l := sim.NewLine(115200, 1, &sim.Node{Chip: c, Name: "optiboot", Board: b})
	t.Cleanup(func() { l.Close() })
	tty := serve(t, l)
	hexFile, err := filepath.Abs(images + "node-avr.hex")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out []byte
	for range 3 { // its time-outs are real: a machine that stands still for seconds fails a run
		l.Do(c.Reset) // a pty has no DTR
		out, err = exec.CommandContext(ctx, "avrdude", "-p", "m328p", "-c", "arduino", "-P", tty, "-b", "115200", "-D", "-U", "flash:w:"+hexFile+":i").CombinedOutput()
		if err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("avrdude: %v\n%s", err, out)
	}
	want, err := os.ReadFile(images + "node-avr.bin")
	if err != nil {
		t.Fatal(err)
	}
	l.Do(func() {
		if !bytes.Equal(c.Flash()[:len(want)], want) {
			t.Error("the flash differs from the image")
		}
	})
}

// TestBootloaderOnCommand lets the application call optiboot, which then answers the programmer's sync.
func TestBootloaderOnCommand(t *testing.T) {
	b, _, _ := board(0)
	c, err := sim.NewOptiboot(images+"optiboot.elf", b)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.LoadELF(images + "node-avr.elf"); err != nil {
		t.Fatal(err)
	}
	c.PowerCycle() // straight to the application
	l := sim.NewLine(9600, 1, &sim.Node{Chip: c, Name: "optiboot", Board: b})
	t.Cleanup(func() { l.Close() })
	r := &rig{t: t, line: l, unit: 247, node: &sim.Node{Chip: c, Name: "optiboot", Board: b}}
	r.master = modbus.NewMaster(l, modbus.MasterOptions{Timeout: time.Second})
	r.run(200 * time.Millisecond)
	r.write(0xd0, 0xb007)
	r.write(0xd1, 0x424c)
	r.run(50 * time.Millisecond)
	if pc := c.PC(); pc < sim.BootStart {
		t.Fatalf("the program is at %#x, not in the bootloader", pc)
	}
	for _, x := range []byte{0x30, 0x20} { // STK_GET_SYNC
		c.Receive(sim.Char{Byte: x, End: c.Now() + time.Millisecond})
		if err := c.Run(c.Now() + 2*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Run(c.Now() + 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, x := range c.Sent(nil) {
		got = append(got, x.Byte)
	}
	if !bytes.Equal(got, []byte{0x14, 0x10}) {
		t.Errorf("the bootloader answers % x, want 14 10", got)
	}
	// Nobody programs: the watchdog starts the application again, which knows that it comes from the bootloader.
	r.run(1500 * time.Millisecond)
	if id := r.read(0xc, 3); id[1] != 2 || id[2] != 6 {
		t.Errorf("boots %d, cause %d, want 2 and 6 (bootloader)", id[1], id[2])
	}
}

func TestOptibootFits(t *testing.T) {
	f, err := elf.Open(images + "optiboot.elf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Filesz > 0 && (p.Paddr < sim.BootStart || p.Paddr+p.Filesz > 0x8000) {
			t.Errorf("segment %#x+%d outside the boot section", p.Paddr, p.Filesz)
		}
	}
}

// Package chips are microcontroller nodes at pseudo terminals for tests with real programs: simulated chips that run the
// real images of firmware/ at the pace of the clock on the wall, with the bootloaders that they are flashed by.
package chips

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgelog/edgelog/mcu/boot"
	"github.com/edgelog/edgelog/mcu/sim"
	"github.com/edgelog/edgelog/mcu/sim/target"
)

// AVR is an ATmega328P with optiboot at a terminal: the UART of the chip at the speed of its user.
type AVR struct {
	target.Chip
	C    *sim.AVR
	free time.Duration // when the line is free for the next byte
	last time.Time
}

// NewAVR runs the image of an ELF file, beside the bootloader in another one.
func NewAVR(t testing.TB, optiboot, elf string) *AVR {
	t.Helper()
	c, err := sim.NewOptiboot(optiboot, sim.NewBoard())
	if err != nil {
		t.Fatalf("%v (run make firmware)", err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.LoadELF(elf); err != nil {
		t.Fatal(err)
	}
	c.PowerCycle()
	return &AVR{C: c, last: time.Now()}
}

// Receive implements target.Chip.
func (x *AVR) Receive(b byte, m boot.Mode) {
	if m.Baud == 0 {
		return
	}
	char := 10 * time.Second / time.Duration(m.Baud)
	x.free = max(x.free, x.C.Now()) + char
	x.C.Receive(sim.Char{Byte: b, End: x.free, Baud: m.Baud})
	if early := x.free - x.C.Now() - 16*char; early > 0 { // simavr keeps few characters that are still to come
		x.run(early)
	}
}

func (x *AVR) run(d time.Duration) {
	if err := x.C.Run(x.C.Now() + d); err != nil {
		panic(err)
	}
}

// Send implements target.Chip; it also lets the chip run with the clock on the wall.
func (x *AVR) Send(boot.Mode) (out []byte) {
	now := time.Now()
	x.run(min(now.Sub(x.last), 20*time.Millisecond))
	x.last = now
	for _, c := range x.C.Sent(nil) {
		out = append(out, c.Byte)
	}
	return out
}

// app is a node's image in qemu.
type app struct {
	t     testing.TB
	q     *sim.QEMU
	began time.Time
}

func (x *app) start(elf string) {
	x.stop()
	x.began = time.Now()
	var err error
	if x.q, err = sim.NewQEMU(elf, 9600); err != nil {
		x.t.Error(err)
	}
}

func (x *app) stop() {
	if x.q != nil {
		x.q.Close()
	}
	x.q = nil
}

func (x *app) receive(b byte) {
	if x.q != nil {
		x.q.Receive(sim.Char{Byte: b, End: x.q.Now(), Baud: 9600})
	}
}

func (x *app) send() (out []byte) {
	if x.q == nil {
		return nil
	}
	if err := x.q.Run(time.Since(x.began)); err != nil {
		x.t.Error(err)
	}
	for _, c := range x.q.Sent(nil) {
		out = append(out, c.Byte)
	}
	return out
}

// STM32 is its ROM bootloader while BOOT0 was high at reset, else the node's image in qemu, of the version that its flash
// holds, if it holds one whole.
type STM32 struct {
	target.Chip
	ROM    *target.STM32
	Pins   string            // directory: a file there (boot0, run) is somebody who pulls a pin
	Images map[string][]byte // by path of the ELF
	app    app
}

// NewSTM32 runs the first image.
func NewSTM32(t testing.TB, pins string, first []byte, images map[string][]byte) *STM32 {
	x := &STM32{ROM: target.NewSTM32(), Pins: pins, Images: images, app: app{t: t}}
	copy(x.ROM.Cells, first)
	x.reset(false)
	return x
}

// Receive implements target.Chip.
func (x *STM32) Receive(b byte, m boot.Mode) {
	if x.app.q == nil {
		x.ROM.Receive(b, m)
	} else {
		x.app.receive(b)
	}
}

// Send implements target.Chip.
func (x *STM32) Send(m boot.Mode) []byte {
	for pin, boot0 := range map[string]bool{"boot0": true, "run": false} {
		if _, err := os.Stat(filepath.Join(x.Pins, pin)); err == nil {
			x.reset(boot0)
			os.Remove(filepath.Join(x.Pins, pin))
		}
	}
	if x.app.q == nil {
		return x.ROM.Send(m)
	}
	return x.app.send()
}

func (x *STM32) reset(boot0 bool) {
	x.Stop()
	x.ROM.Boot0 = boot0
	x.ROM.Power(false)
	x.ROM.Power(true)
	if boot0 {
		return
	}
	for path, b := range x.Images {
		if bytes.Equal(x.ROM.Cells[:len(b)], b) {
			x.app.start(path)
		}
	}
}

// Stop ends its emulator.
func (x *STM32) Stop() { x.app.stop() }

// MCUboot is a node with two slots under MCUboot: one terminal for SMP, and one for Modbus, at which the image of the slot
// that runs answers, in qemu.
type MCUboot struct {
	target.Chip // not used: it is at the terminal of Modbus
	Boot        *target.MCUboot
	SMP, Modbus *target.PTY
	elves       map[string]string // by the hash that names an image to MCUboot
	app         app
	runs        string
}

// NewMCUboot makes a node that runs and keeps first; images are files made by Wrap, by the path of their ELF.
func NewMCUboot(t testing.TB, first []byte, images map[string][]byte) *MCUboot {
	t.Helper()
	x := &MCUboot{Boot: target.NewMCUboot(first), elves: map[string]string{}, app: app{t: t}}
	for elf, file := range images {
		hash, _, err := boot.MCUbootHash(file)
		if err != nil {
			t.Fatal(err)
		}
		x.elves[string(hash)] = elf
	}
	x.Boot.Power(true)
	x.SMP = Plug(t, x.Boot)
	x.Modbus = Plug(t, x)
	t.Cleanup(func() { x.Modbus.Do(func(target.Chip) { x.app.stop() }) })
	return x
}

// Receive implements target.Chip.
func (x *MCUboot) Receive(b byte, _ boot.Mode) { x.app.receive(b) }

// Send implements target.Chip.
func (x *MCUboot) Send(boot.Mode) []byte {
	now := ""
	x.SMP.Do(func(target.Chip) { now = string(x.Boot.Runs()) })
	if now != x.runs {
		x.runs = now
		x.app.start(x.elves[now])
	}
	return x.app.send()
}

// Holds tells whether the node runs a file, and whether it would after a restart.
func (x *MCUboot) Holds(file []byte) (runs, kept bool) {
	hash, _, err := boot.MCUbootHash(file)
	if err != nil {
		return false, false
	}
	x.SMP.Do(func(target.Chip) { runs, kept = bytes.Equal(x.Boot.Runs(), hash), x.Boot.Confirmed() })
	return runs, runs && kept
}

// Wrap makes a file for MCUboot of an image, as imgtool does without a signature: header of 32 bytes, image, SHA-256.
func Wrap(image []byte, major, minor byte, revision uint16) []byte {
	le := binary.LittleEndian
	b := make([]byte, 32, 32+len(image)+40)
	le.PutUint32(b, 0x96f3b83d)
	le.PutUint16(b[8:], 32)
	le.PutUint32(b[12:], uint32(len(image)))
	b[20], b[21] = major, minor
	le.PutUint16(b[22:], revision)
	b = append(b, image...)
	sum := sha256.Sum256(b)
	b = le.AppendUint16(b, 0x6907)
	b = le.AppendUint16(b, 4+4+32)
	b = le.AppendUint16(append(b, 0x10, 0), 32)
	return append(b, sum[:]...)
}

// Plug runs a chip at a terminal until the test ends.
func Plug(t testing.TB, c target.Chip) *target.PTY {
	t.Helper()
	p, err := target.NewPTY(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p
}

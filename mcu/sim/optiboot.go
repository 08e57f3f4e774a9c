package sim

import (
	"errors"
	"os"
)

// BootStart is where optiboot begins in an ATmega328P whose fuses give it 512 bytes and the reset vector.
const BootStart = 0x7e00

// NewOptiboot is an ATmega328P with the bootloader at path (firmware/build/optiboot.elf) and otherwise blank flash. Resets
// lead to the bootloader, which waits for a programmer after a reset by the pin (Reset, as DTR does it) and otherwise starts
// the application. Flash and RunCycles serve tests that cut the power: PowerCycle keeps the flash as it is at that cycle.
func NewOptiboot(path string, b *Board) (*AVR, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, errors.Join(err, ErrNoImage)
	}
	c, err := NewAVR(b)
	if err != nil {
		return nil, err
	}
	c.DriverAlwaysOn = true // the loader knows nothing of an RS-485 driver: it is used over a point-to-point link
	if err := c.LoadELF(path); err != nil {
		return nil, err
	}
	c.SetEntry(BootStart)
	c.Reset()
	return c, nil
}

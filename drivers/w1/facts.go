package w1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
)

// Facts are what the kernel knows of one sensor beside its temperature.
type Facts struct {
	Resolution int  // bits, 9 to 14; 0 if not known
	Parasite   bool // fed by the data line
	Known      bool // Parasite is known
	Silent     bool // it was asked and did not answer
}

// Facts asks for the resolution and power supply of a ROM; each may start a bus transaction. Like Read, it must
// not run beside another method except Close.
func (b *Bus) Facts(ctx context.Context, rom string) (Facts, error) {
	var f Facts
	for _, name := range []string{"resolution", "ext_power"} {
		text, err := b.readFile(ctx, filepath.Join(b.dir, rom, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // an older kernel
		}
		if err != nil {
			return f, err
		}
		v, err := strconv.Atoi(string(bytes.TrimSpace(text)))
		if err != nil || v < 0 {
			f.Silent = true // empty, or a negative errno
			continue
		}
		if name == "resolution" {
			f.Resolution = v
		} else {
			f.Known, f.Parasite = true, v == 0
		}
	}
	return f, nil
}

// meet asks a sensor for its supply, once while it is on the bus and answers, and sets its resolution if that is to be
// another one.
func (b *Bus) meet(ctx context.Context, s *slave) error {
	f, err := b.Facts(ctx, s.rom)
	if err != nil {
		return err
	}
	s.met, s.fed = !f.Silent, f.Known && f.Parasite
	if b.o.Resolution == 0 || f.Resolution == 0 || f.Resolution == b.o.Resolution || s.family == thermo.DS18S20 {
		return nil
	}
	persist := b.o.Persist && !s.saved
	if persist { // the EEPROM is asked first: it wears
		if err := b.eeprom(ctx, s, "restore"); err != nil {
			return err
		}
		if f, err = b.Facts(ctx, s.rom); err != nil {
			return err
		}
		if f.Resolution == b.o.Resolution {
			s.saved = true
			return nil
		}
	}
	if err := b.writeFile(ctx, filepath.Join(b.dir, s.rom, "resolution"), strconv.Itoa(b.o.Resolution)); err != nil {
		s.met = false
		return err
	}
	if !persist {
		return nil
	}
	if f, err = b.Facts(ctx, s.rom); err != nil || f.Resolution != b.o.Resolution {
		return err // a copy that cannot change it keeps what it has
	}
	s.saved = true
	return b.eeprom(ctx, s, "save")
}

// eeprom gives a command to the EEPROM; its file had another name before 5.10.
func (b *Bus) eeprom(ctx context.Context, s *slave, command string) error {
	err := b.writeFile(ctx, filepath.Join(b.dir, s.rom, "eeprom_cmd"), command)
	if errors.Is(err, os.ErrNotExist) {
		err = b.writeFile(ctx, filepath.Join(b.dir, s.rom, "eeprom"), command)
	}
	return err
}

// writeFile writes an attribute through the gate. It makes none: a file that is not there is os.ErrNotExist.
func (b *Bus) writeFile(ctx context.Context, path, text string) error {
	return b.gate.call(ctx, b.o.ReadTimeout, func() error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text + "\n")
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		return nil
	})
}

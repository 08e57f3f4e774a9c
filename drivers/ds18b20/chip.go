package ds18b20

import (
	"context"
	"errors"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
)

// chip is one slave and what must be remembered of it.
type chip struct {
	rom     onewire.Address
	kind    kind
	first   int      // its first quantity
	details [][]byte // of each quantity; owned copies, valid until the next Read
	seen    bool     // was on the bus at least once
	present bool     // stood in the latest search

	known      bool // met holds
	parasite   bool
	resolution int // as last read, 0 unknown
	persisted  bool
	history    thermo.History
	judged     bool // by Suspect, with a reading
	alarm      bool // answered the alarm search of this sweep
}

// kind is what chips of one family can do.
type kind interface {
	// quantities are those of one chip; labels name and rom are added by the caller, behind any of these.
	quantities(a onewire.Address, o Options) []drivers.Quantity
	// meet is called once for a chip that is new on the bus, before its first conversion.
	meet(ctx context.Context, s *Sensor, c *chip) error
	// read appends a sample for each quantity. An error means that the bus cannot be used now; nothing was appended.
	read(ctx context.Context, s *Sensor, c *chip, dst []drivers.Sample) ([]drivers.Sample, error)
	// properties are those of owserver, one for each quantity.
	properties(o Options) []property
	// converts reports whether the family heeds the broadcast conversion.
	converts() bool
}

func (c *chip) good(i int, t record.Type, num int64) drivers.Sample {
	return drivers.Sample{Quantity: c.first + i, Type: t, Num: num}
}

func (c *chip) bad(i int, q record.Quality, detail []byte) drivers.Sample {
	c.details[i] = append(c.details[i][:0], detail[:min(len(detail), record.MaxDetailBytes)]...)
	return drivers.Sample{Quantity: c.first + i, Quality: q, Detail: c.details[i]}
}

// all gives every quantity the same bad sample.
func (c *chip) all(dst []drivers.Sample, q record.Quality, detail []byte) []drivers.Sample {
	for i := range c.details {
		dst = append(dst, c.bad(i, q, detail))
	}
	return dst
}

// absent is all, except that a chip that was never there is told apart.
func (c *chip) absent(dst []drivers.Sample, q record.Quality, why string) []drivers.Sample {
	if !c.seen {
		return c.all(dst, record.QualityNoDevice, []byte("never seen"))
	}
	return c.all(dst, q, []byte(why))
}

// verdict of one answer: whether it may be believed.
type verdict func(answer []byte) record.Quality

// crc8 believes an answer that ends with its CRC; all ones mean that nobody sent it.
func crc8(p []byte) record.Quality {
	ones := true
	for _, b := range p {
		ones = ones && b == 0xff
	}
	switch {
	case ones:
		return record.QualityAbsent
	case onewire.CRC8(p) != 0:
		return record.QualityCRC
	}
	return record.QualityGood
}

// ask addresses one chip, writes the command and reads an answer into r, up to three times until it can be believed.
// The quality says what became of it; an error means that the bus cannot be used now.
func (s *Sensor) ask(ctx context.Context, c *chip, command, r []byte, check verdict) (q record.Quality, err error) {
	for range tries {
		s.out = append(s.out[:0], onewire.MatchROM)
		rom := c.rom.Bytes()
		s.out = append(s.out, rom[:]...)
		s.out = append(s.out, command...)
		err := s.bus.Tx(ctx, s.out, r, onewire.WeakPullup)
		switch {
		case errors.Is(err, onewire.ErrBus):
			q = record.QualityBus
			copy(r, make([]byte, len(r)))
			continue
		case err != nil:
			return record.QualityBus, err
		}
		if q = check(r); q.Good() {
			return q, nil
		}
	}
	return q, nil
}

// tell is ask without an answer.
func (s *Sensor) tell(ctx context.Context, c *chip, command ...byte) (record.Quality, error) {
	return s.ask(ctx, c, command, nil, func([]byte) record.Quality { return record.QualityGood })
}

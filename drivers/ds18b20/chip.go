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

	fetched  bool // pad and fetchErr are this sweep's first reading
	pad      thermo.Scratchpad
	fetchErr error
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
	return s.askTimes(ctx, c, command, r, check, tries)
}

func (s *Sensor) askTimes(ctx context.Context, c *chip, command, r []byte, check verdict, times int) (q record.Quality, err error) {
	for range times {
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

// fetch reads the scratchpads of all thermometers in one go, where the master can, so that the latency of the adapter
// counts once a sweep. What it could not read is asked for again by scratchpad.
func (s *Sensor) fetch(ctx context.Context) error {
	b, ok := s.bus.(onewire.Batcher)
	if !ok {
		return nil
	}
	s.batch, s.batched, s.out = s.batch[:0], s.batched[:0], s.out[:0]
	const size = 10 // command bytes of one reading
	if want := size * len(s.chips); cap(s.out) < want {
		s.out = make([]byte, 0, want)
	}
	for _, c := range s.chips {
		if _, is := c.kind.(thermometer); !is || !c.present {
			continue
		}
		from := len(s.out)
		rom := c.rom.Bytes()
		s.out = append(append(append(s.out, onewire.MatchROM), rom[:]...), readScratchpad)
		s.batch = append(s.batch, onewire.Transaction{W: s.out[from:len(s.out)], R: c.pad[:]})
		s.batched = append(s.batched, c)
	}
	if err := b.TxBatch(ctx, s.batch); err != nil {
		return err
	}
	for i, c := range s.batched {
		c.fetched, c.fetchErr = true, s.batch[i].Err
	}
	return nil
}

// scratchpad is what fetch read if it can be believed, else read now.
func (s *Sensor) scratchpad(ctx context.Context, c *chip, p *thermo.Scratchpad) (record.Quality, error) {
	if c.fetched {
		c.fetched = false
		if c.fetchErr != nil && !errors.Is(c.fetchErr, onewire.ErrBus) {
			return record.QualityBus, c.fetchErr
		}
		if c.fetchErr == nil && crc8(c.pad[:]).Good() {
			*p = c.pad
			return record.QualityGood, nil
		}
		return s.askTimes(ctx, c, []byte{readScratchpad}, p[:], crc8, tries-1)
	}
	return s.ask(ctx, c, []byte{readScratchpad}, p[:], crc8)
}

// tell is ask without an answer.
func (s *Sensor) tell(ctx context.Context, c *chip, command ...byte) (record.Quality, error) {
	return s.ask(ctx, c, command, nil, func([]byte) record.Quality { return record.QualityGood })
}

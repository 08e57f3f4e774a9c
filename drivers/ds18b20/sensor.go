package ds18b20

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/netlink"
	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// Sensor is a drivers.Sensor with the quantities of all chips on one bus.
type Sensor struct {
	*table
	bus      onewire.Bus
	parasite bool // a chip is fed by the data line
	out      []byte
	batch    []onewire.Transaction
	batched  []*chip // parallel to batch
	closeErr error
}

// New makes a sensor on any bus, which it takes over. What o says of the master is not looked at.
func New(bus onewire.Bus, o Options) (*Sensor, error) {
	if err := o.validateChips(); err != nil {
		return nil, err
	}
	return &Sensor{table: newTable(o.withDefaults()), bus: bus}, nil
}

// Close closes the bus and makes a running Read return.
func (s *Sensor) Close() error {
	s.close.Do(func() {
		close(s.closed)
		s.closeErr = s.bus.Close()
	})
	return s.closeErr
}

// Read looks for chips if it is time to, lets all thermometers convert at once and reads every chip. Its error wraps
// drivers.ErrNoDevice if nothing answers, drivers.ErrBus if the bus is shorted or the adapter failed,
// drivers.ErrTimeout if the adapter does not answer.
func (s *Sensor) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	if err := s.ended(ctx); err != nil {
		return dst, err
	}
	if !time.Now().Before(s.rescan) {
		if err := s.scan(ctx); err != nil {
			return s.broken(ctx, dst, 0, err)
		}
	}
	if len(s.chips) == 0 {
		return dst, fmt.Errorf("%w: no chip that this driver reads is on the 1-Wire bus", drivers.ErrNoDevice)
	}
	if err := s.convert(ctx); err != nil {
		return s.broken(ctx, dst, 0, err)
	}
	if err := s.fetch(ctx); err != nil {
		return s.broken(ctx, dst, 0, err)
	}
	for i, c := range s.chips {
		if !c.present {
			dst = c.absent(dst, record.QualityAbsent, "not found on the bus")
			continue
		}
		out, err := c.kind.read(ctx, s, c, dst)
		if err != nil {
			return s.broken(ctx, dst, i, err)
		}
		dst = out
	}
	return dst, s.overflow()
}

// broken ends a sweep at the i-th chip: the rest gets the quality that the error stands for.
func (s *Sensor) broken(ctx context.Context, dst []drivers.Sample, i int, err error) ([]drivers.Sample, error) {
	if ended := s.ended(ctx); ended != nil {
		return dst, ended
	}
	s.rescan = time.Time{}
	why, q := drivers.ErrBus, record.QualityBus
	switch {
	case errors.Is(err, onewire.ErrNoDevices):
		why, q = drivers.ErrNoDevice, record.QualityAbsent
	case errors.Is(err, onewire.ErrShorted):
		q = record.QualityShorted
	case errors.Is(err, serial.ErrTimeout) || errors.Is(err, netlink.ErrHung):
		why, q = drivers.ErrTimeout, record.QualityTimeout
	case errors.Is(err, serial.ErrAbsent):
		why = drivers.ErrNoDevice
	}
	return s.fail(dst, i, q, err.Error()), fmt.Errorf("%w: %w", why, err)
}

// scan looks for chips and gets to know those that are new. What was found before an error counts.
func (s *Sensor) scan(ctx context.Context) error {
	found, err := s.bus.Search(ctx, false)
	if err != nil && !errors.Is(err, onewire.ErrBus) {
		return err
	}
	s.listed(found, err == nil)
	if err != nil && len(s.chips) == 0 {
		return err
	}
	met := false
	for _, c := range s.chips {
		if !c.present {
			c.known = false // it may come back with another supply or resolution
		}
		if c.present && !c.known {
			if err := c.kind.meet(ctx, s, c); err != nil {
				return err
			}
			met = true
		}
	}
	if met || s.parasite {
		s.parasite = false
		for _, c := range s.chips {
			s.parasite = s.parasite || c.present && c.parasite
		}
	}
	if err == nil { // else again with the next sweep
		s.rescan = time.Now().Add(s.o.Rescan)
	}
	return nil
}

// convert makes all chips measure at once and waits for the slowest. A chip without supply needs the bus for itself
// and the strong pull-up meanwhile.
func (s *Sensor) convert(ctx context.Context) error {
	d, any := time.Duration(0), false
	for _, c := range s.chips {
		if c.present && c.kind.converts() {
			any = true
			d = max(d, conversionOf(c))
		}
	}
	if !any {
		return nil
	}
	if s.o.Conversion > 0 {
		d = s.o.Conversion
	}
	power := onewire.WeakPullup
	if s.parasite {
		power = onewire.StrongPullup
	}
	if err := s.again(func() error { return s.bus.Tx(ctx, []byte{onewire.SkipROM, 0x44}, nil, power) }); err != nil {
		return err
	}
	if err := s.wait(ctx, d); err != nil {
		return err
	}
	if !s.o.Alarms {
		return nil
	}
	var found []onewire.Address
	err := s.again(func() (err error) {
		found, err = s.bus.Search(ctx, true)
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range s.chips {
		c.alarm = false
	}
	for _, a := range found {
		if c := s.byROM[a]; c != nil {
			c.alarm = true
		}
	}
	return nil
}

// again repeats what was disturbed, up to three times in all.
func (s *Sensor) again(f func() error) (err error) {
	for range tries {
		if err = f(); !errors.Is(err, onewire.ErrBus) {
			return err
		}
	}
	return err
}

func conversionOf(c *chip) time.Duration {
	switch {
	case c.rom.Family() == 0x26 || c.rom.Family() == 0xa6:
		return voltageConversion
	case c.resolution == 0 || c.rom.Family() == byte(thermo.DS18S20):
		return fullConversion
	}
	return fullConversion >> (12 - c.resolution)
}

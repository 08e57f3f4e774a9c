package ds18b20

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/owserver"
	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
)

// property is how owserver calls a quantity: the first of the names that it knows.
type property struct {
	names       []string
	parse       func(text []byte) (record.Type, int64, record.Quality)
	temperature bool
}

// parseDecimal reads a value with n decimals that a chip measures in steps (0: any). owserver writes six digits (%G): from
// 100 °C on a DS18B20's last one is missing. The step that it was rounded from is known.
func parseDecimal(n int, step int64) func([]byte) (record.Type, int64, record.Quality) {
	scale := math.Pow10(n)
	return func(text []byte) (record.Type, int64, record.Quality) {
		f, q := number(text)
		if math.Abs(f*scale) > 1e15 {
			return 0, 0, record.QualityOverflow
		}
		v := int64(math.Round(f * scale))
		rounded := int64(5 * math.Pow10(n+int(math.Floor(math.Log10(math.Abs(f)+1e-9)))-6)) // by half of the sixth digit
		if step > 0 && rounded > 0 {
			if exact := int64(math.Round(float64(v)/float64(step))) * step; exact-v <= rounded && v-exact <= rounded {
				v = exact
			}
		}
		return record.Decimal(n), v, q
	}
}

func parseFloat(text []byte) (record.Type, int64, record.Quality) {
	f, q := number(text)
	return record.TypeFloat, int64(math.Float64bits(f)), q
}

func number(text []byte) (float64, record.Quality) {
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(text)), 64)
	switch {
	case err != nil || math.IsInf(f, 0):
		return 0, record.QualityMalformed
	case math.IsNaN(f):
		return 0, record.QualityNaN
	}
	return f, record.QualityGood
}

func parseInt(text []byte) (record.Type, int64, record.Quality) {
	v, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0, 0, record.QualityMalformed
	}
	return record.TypeInt, v, record.QualityGood
}

func parseBool(text []byte) (record.Type, int64, record.Quality) {
	switch string(bytes.TrimSpace(text)) {
	case "0":
		return record.TypeBool, 0, record.QualityGood
	case "1":
		return record.TypeBool, 1, record.QualityGood
	}
	return 0, 0, record.QualityMalformed
}

// served is a drivers.Sensor with the chips of an owserver, which does the bus work.
type served struct {
	*table
	client *owserver.Client
}

func newServed(c *owserver.Client, o Options) *served { return &served{table: newTable(o), client: c} }

// Close ends the connection and makes a running Read return.
func (s *served) Close() error {
	s.close.Do(func() { close(s.closed) })
	return s.client.Close()
}

// Read lets the server's thermometers convert at once and asks for every chip.
func (s *served) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	if err := s.ended(ctx); err != nil {
		return dst, err
	}
	if !time.Now().Before(s.rescan) {
		if err := s.scan(ctx); err != nil {
			return s.broken(ctx, dst, 0, err)
		}
	}
	if len(s.chips) == 0 {
		return dst, fmt.Errorf("%w: owserver lists no chip that this driver reads", drivers.ErrNoDevice)
	}
	if err := s.convert(ctx); err != nil {
		return s.broken(ctx, dst, 0, err)
	}
	for i, c := range s.chips {
		if !c.present {
			dst = c.absent(dst, record.QualityAbsent, "not listed by owserver any more")
			continue
		}
		before := len(dst)
		for j, p := range c.kind.properties(s.o) {
			x, err := s.read(ctx, c, j, p)
			if err != nil {
				return s.broken(ctx, dst[:before], i, err)
			}
			dst = append(dst, x)
		}
	}
	return dst, s.overflow()
}

func (s *served) broken(ctx context.Context, dst []drivers.Sample, i int, err error) ([]drivers.Sample, error) {
	if ended := s.ended(ctx); ended != nil {
		return dst, ended
	}
	s.rescan = time.Time{}
	return s.fail(dst, i, record.QualityBus, err.Error()), fmt.Errorf("%w: %w", drivers.ErrBus, err)
}

func (s *served) scan(ctx context.Context) error {
	paths, err := s.client.Dir(ctx, "/uncached")
	if err != nil {
		return err
	}
	var found []onewire.Address
	for _, p := range paths {
		if a, ok := owserver.ParseName(p); ok && len(found) < onewire.MaxDevices {
			found = append(found, a)
		}
	}
	s.listed(found, true)
	s.rescan = time.Now().Add(s.o.Rescan)
	return nil
}

// convert starts one conversion on all thermometers. owserver remembers it, so that a server too old for latesttemp
// does not convert again for each.
func (s *served) convert(ctx context.Context) error {
	any := false
	for _, c := range s.chips {
		_, is := c.kind.(thermometer)
		any = any || is && c.present
	}
	if !any {
		return nil
	}
	err := s.client.Write(ctx, "/simultaneous/temperature", []byte("1"))
	var refused *owserver.ResultError
	if errors.As(err, &refused) {
		return nil // a bus without it: each reading converts by itself
	}
	if err != nil {
		return err
	}
	d := fullConversion
	if s.o.Conversion > 0 {
		d = s.o.Conversion
	}
	return s.wait(ctx, d)
}

// read asks for one quantity. Its error means that the server cannot be used.
func (s *served) read(ctx context.Context, c *chip, i int, p property) (drivers.Sample, error) {
	var text []byte
	var err error
	for _, name := range p.names {
		text, err = s.client.Read(ctx, "/uncached/"+owserver.Name(c.rom)+"/"+name)
		var refused *owserver.ResultError
		if err == nil || !errors.As(err, &refused) {
			break
		}
	}
	var refused *owserver.ResultError
	switch {
	case errors.As(err, &refused):
		// What is behind it (absent, CRC, shorted) the server keeps to itself.
		return c.bad(i, record.QualityBus, []byte(err.Error())), nil
	case err != nil:
		return drivers.Sample{}, err
	}
	typ, num, q := p.parse(text)
	if q.Good() && p.temperature && i == 0 {
		if _, is := c.kind.(thermometer); is {
			return s.judge(ctx, c, typ, num)
		}
	}
	if q.Bad() {
		return c.bad(i, q, append([]byte("owserver said "), text...)), nil
	}
	return c.good(i, typ, num), nil
}

// judge looks at the scratchpad behind the values that a thermometer gives without a measurement.
func (s *served) judge(ctx context.Context, c *chip, typ record.Type, t int64) (drivers.Sample, error) {
	poweredOn := c.history.PowerOnValue(t)
	switch {
	case t == 0 || poweredOn:
	case t == 127_9375:
		return c.bad(0, record.QualityNoConversion, []byte("owserver said 127.94")), nil
	default:
		return c.good(0, typ, t), nil
	}
	raw, err := s.client.Read(ctx, "/uncached/"+owserver.Name(c.rom)+"/scratchpad")
	var refused *owserver.ResultError
	if err != nil && !errors.As(err, &refused) {
		return drivers.Sample{}, err
	}
	if len(raw) == len(thermo.Scratchpad{}) {
		p := thermo.Scratchpad(raw)
		if p.All(0) {
			return c.bad(0, record.QualityAllZero, raw), nil
		}
		if poweredOn {
			return c.bad(0, record.QualityPowerOn, raw), nil
		}
	}
	if poweredOn {
		return c.bad(0, record.QualityPowerOn, []byte("owserver said 85")), nil
	}
	return c.good(0, typ, t), nil
}

// Package airsensor reads air sensors that speak frames over a UART at 9600 baud: the particle counters Plantower
// PMS5003 and PMS7003 and Nova SDS011, which report by themselves once a second, and the CO₂ meter Winsen MH-Z19, which
// is asked.
//
// A Read throws away what came before it and waits for one whole frame with a right checksum. Bytes follow the makers'
// data manuals (PMS5003 V2.5, PMS7003 V2.5, SDS011 V1.3 with its control protocol V1.3, MH-Z19B V1.6).
package airsensor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// The models.
const (
	PMS5003 = "pms5003"
	PMS7003 = "pms7003"
	SDS011  = "sds011"
	MHZ19   = "mh-z19"
)

// Options of a sensor. Model and Port.Device are required; the line's settings are the models'.
type Options struct {
	Model string
	Port  serial.Options
	// Baseline of the MH-Z19: "on" lets it take the lowest CO₂ of a day for fresh air, "off" does not, which rooms need
	// that are never aired; "" leaves it as it is.
	Baseline string
	// Period of the SDS011, in minutes: it measures for 30 s in each and spares its laser, which lasts 8,000 hours; 0: it
	// measures all the time; -1 leaves it as it is.
	Period int
	// Patience is how long a frame may take to come; 0: as long as the model's manual has it, and some more.
	Patience time.Duration
}

// model is what differs between sensors.
type model interface {
	quantities() []drivers.Quantity
	// settings are made true when the port was opened.
	settings() []setting
	// request is sent before a reading; none for a sensor that speaks by itself.
	request() []byte
	// frame finds the first whole frame in b. size is 0 while there may be more to come, skip is how much of b is none.
	// A frame with a wrong checksum is found too, with ok false.
	frame(b []byte) (skip, size int, ok bool)
	// decode appends a sample for each quantity.
	decode(frame []byte, dst []drivers.Sample) []drivers.Sample
	// patience is how long a frame may take to come.
	patience() time.Duration
}

// setting is what a sensor is told. One that it keeps in its flash is asked for first and written only if it differs.
type setting struct {
	query  []byte // none: it cannot be asked
	answer []byte // how the answer begins
	want   byte   // behind that, if nothing is to be written
	set    []byte
}

func (o Options) model() (model, error) {
	bad := func(format string, a ...any) (model, error) {
		return nil, fmt.Errorf("%w: %s", drivers.ErrConfig, fmt.Sprintf(format, a...))
	}
	if o.Baseline != "" && (o.Model != MHZ19 || o.Baseline != "on" && o.Baseline != "off") {
		return bad("baseline %q: on or off, of an mh-z19", o.Baseline)
	}
	if o.Period != 0 && o.Model != SDS011 || o.Period < -1 || o.Period > maxPeriod {
		return bad("period %d: 0 to %d minutes, of an sds011", o.Period, maxPeriod)
	}
	switch o.Model {
	case PMS5003, PMS7003:
		return plantower{o.Model}, nil
	case SDS011:
		return nova{o.Period}, nil
	case MHZ19:
		return winsen{o.Baseline}, nil
	}
	return bad("model %q, want %s", o.Model, strings.Join([]string{PMS5003, PMS7003, SDS011, MHZ19}, ", "))
}

// Sensor is a drivers.Sensor.
type Sensor struct {
	port     *serial.Port
	model    model
	quantity []drivers.Quantity
	patience time.Duration
	buf      []byte
	junk     []byte // the latest bytes that belong to no frame
	raw      []byte // behind the details of bad samples, until the next Read
	closed   chan struct{}
	once     sync.Once
}

// New checks the options. The port is opened by the first Read, and again after its cable was pulled.
func New(o Options) (*Sensor, error) {
	m, err := o.model()
	if err != nil {
		return nil, err
	}
	o.Port.Baud, o.Port.DataBits, o.Port.Parity, o.Port.StopBits = baud, 8, serial.ParityNone, 1
	p, err := serial.New(o.Port)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", drivers.ErrConfig, err)
	}
	if o.Patience <= 0 {
		o.Patience = m.patience()
	}
	return &Sensor{port: p, model: m, quantity: m.quantities(), patience: o.Patience, closed: make(chan struct{})}, nil
}

// Quantities are those of the model.
func (s *Sensor) Quantities() []drivers.Quantity { return s.quantity }

// Close makes a running Read return.
func (s *Sensor) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.port.Close()
}

// Read waits for one frame. Its error wraps drivers.ErrNoDevice if there is no port, drivers.ErrTimeout if nothing comes,
// drivers.ErrBus if the port fails.
func (s *Sensor) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	if err := ctx.Err(); err != nil {
		return dst, fmt.Errorf("read air sensor: %w", err)
	}
	frame, ok, err := s.listen(ctx)
	switch {
	case err == nil && ok:
		return s.model.decode(frame, dst), nil
	case err == nil:
		return s.all(dst, record.QualityCRC, frame), nil
	case ctx.Err() != nil || errors.Is(err, serial.ErrClosed):
		return dst, fmt.Errorf("read air sensor: %w", err)
	case errors.Is(err, serial.ErrTimeout):
		if len(s.junk)+len(s.buf) > 0 { // something speaks, but not this
			return s.all(dst, record.QualityMalformed, append(s.junk, s.buf...)), nil
		}
		return s.all(dst, record.QualityTimeout, []byte("nothing came")), fmt.Errorf("%w: %w", drivers.ErrTimeout, err)
	case errors.Is(err, serial.ErrAbsent):
		return s.all(dst, record.QualityBus, []byte(err.Error())), fmt.Errorf("%w: %w", drivers.ErrNoDevice, err)
	}
	return s.all(dst, record.QualityBus, []byte(err.Error())), fmt.Errorf("%w: %w", drivers.ErrBus, err)
}

// all gives every quantity the same bad sample.
func (s *Sensor) all(dst []drivers.Sample, q record.Quality, detail []byte) []drivers.Sample {
	s.raw = append(s.raw[:0], detail[:min(len(detail), maxDetail)]...)
	for i := range s.quantity {
		dst = append(dst, drivers.Sample{Quantity: i, Quality: q, Detail: s.raw})
	}
	return dst
}

// listen returns the first frame that comes from now on; a damaged one if none with a right checksum follows in time.
func (s *Sensor) listen(ctx context.Context) (frame []byte, ok bool, err error) {
	s.buf, s.junk = s.buf[:0], s.junk[:0]
	fresh, err := s.port.Connect(ctx)
	if err != nil {
		return nil, false, err
	}
	send := s.model.request()
	if fresh {
		for _, x := range s.model.settings() {
			if err := s.makeTrue(ctx, x); err != nil {
				return nil, false, err
			}
		}
	}
	if err := s.port.Discard(); err != nil {
		return nil, false, err
	}
	if len(send) > 0 {
		if _, err := s.port.Write(ctx, send); err != nil {
			return nil, false, err
		}
	}
	var damaged []byte
	chunk := make([]byte, maxFrame)
	for end := time.Now().Add(s.patience); ; {
		n, err := s.port.ReadWithin(ctx, chunk, time.Until(end))
		if errors.Is(err, serial.ErrTimeout) && damaged != nil {
			return damaged, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		for s.buf = append(s.buf, chunk[:n]...); ; {
			skip, size, ok := s.model.frame(s.buf)
			if skip > 0 {
				s.junk = append(s.junk[:0], s.buf[max(0, skip-maxFrame/2):skip]...)
			}
			if s.buf = slices.Delete(s.buf, 0, skip); size == 0 {
				break
			}
			if ok {
				return s.buf[:size], true, nil
			}
			damaged = slices.Clone(s.buf[:size])
			s.buf = slices.Delete(s.buf, 0, 1) // its beginning may have been none
		}
		if len(s.buf) > maxFrame {
			s.buf = s.buf[:copy(s.buf, s.buf[len(s.buf)-maxFrame:])]
		}
	}
}

// makeTrue writes a setting, unless the sensor says that it has it. One that does not answer is told all the same: its
// transmitter may be all that is connected.
func (s *Sensor) makeTrue(ctx context.Context, x setting) error {
	if len(x.query) > 0 {
		if _, err := s.port.Write(ctx, x.query); err != nil {
			return err
		}
		var got []byte
		chunk := make([]byte, maxFrame)
		for end := time.Now().Add(settingPatience); len(got) < 4*maxFrame; {
			n, err := s.port.ReadWithin(ctx, chunk, time.Until(end))
			if errors.Is(err, serial.ErrTimeout) {
				break
			}
			if err != nil {
				return err
			}
			got = append(got, chunk[:n]...)
			if i := bytes.Index(got, x.answer); i >= 0 && i+len(x.answer) < len(got) {
				if got[i+len(x.answer)] == x.want {
					return nil
				}
				break
			}
		}
	}
	_, err := s.port.Write(ctx, x.set)
	return err
}

// find looks for the bytes that a frame begins with.
func find(b []byte, begin ...byte) (skip int) {
	for i := range b {
		if n := min(len(begin), len(b)-i); slices.Equal(b[i:i+n], begin[:n]) {
			return i
		}
	}
	return len(b)
}

// Recognise says which model reports in b, "" for none. PMS5003 and PMS7003 look alike.
func Recognise(b []byte) string {
	for _, name := range []string{PMS5003, SDS011} {
		m, err := Options{Model: name}.model()
		if err != nil {
			panic(err) // the names are ours
		}
		for rest := b; ; {
			skip, size, ok := m.frame(rest)
			if ok {
				return name
			}
			if size == 0 {
				break
			}
			rest = rest[skip+1:]
		}
	}
	return ""
}

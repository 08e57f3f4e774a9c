// Package nmea reads a GPS (GNSS) receiver that speaks NMEA 0183: position, speed, and the time, which gives boxes
// without a clock of their own a bound for theirs.
//
// A Read waits for the sentences of one moment: those that come together, followed by silence. RMC, GGA, VTG and ZDA are
// understood from any talker (GP, GN, GL, GA, …); the others are passed over. A sentence counts only with its checksum.
package nmea

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// Options of a receiver. Port.Device is required.
type Options struct {
	Port  serial.Options // Baud default 9600; many receivers speak at 4800
	Delay time.Duration  // how long after a second its sentence may come at most, default 1 s
	// Time, if set, is told the time of every valid fix: utc was true at most Delay before at, when the first byte of its
	// sentences came.
	Time func(utc, at time.Time, delay time.Duration)
}

// Receiver is a drivers.Sensor.
type Receiver struct {
	o      Options
	port   *serial.Port
	buf    []byte
	detail []byte
	closed chan struct{}
	once   sync.Once
}

// New checks the options. The port is opened by the first Read, and again after its cable was pulled.
func New(o Options) (*Receiver, error) {
	if o.Port.Baud == 0 {
		o.Port.Baud = defaultBaud
	}
	if o.Delay == 0 {
		o.Delay = DefaultDelay
	}
	if o.Delay < 0 || o.Delay > maxDelay {
		return nil, fmt.Errorf("%w: delay %s, want up to %s", drivers.ErrConfig, o.Delay, maxDelay)
	}
	o.Port.LowLatency = true
	p, err := serial.New(o.Port)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", drivers.ErrConfig, err)
	}
	return &Receiver{o: o, port: p, closed: make(chan struct{})}, nil
}

// The quantities by index.
const (
	qLat = iota
	qLon
	qSpeed
	qCourse
	qAltitude
	qSatellites
	qHDOP
	quantities
)

// Quantities are those of a fix.
func (r *Receiver) Quantities() []drivers.Quantity {
	q := func(name, unit string, decimals int, lo, hi float64) drivers.Quantity {
		return drivers.Quantity{Series: record.Series{Name: name, Unit: unit, Type: record.Decimal(decimals)}, Min: lo, Max: hi}
	}
	return []drivers.Quantity{q("position.latitude", "deg", 7, -90, 90), q("position.longitude", "deg", 7, -180, 180),
		q("speed", "m/s", 3, 0, 1000), q("course", "deg", 2, 0, 360), q("altitude", "m", 1, -1000, 20000),
		q("gnss.satellites", "", 0, 0, 200), q("gnss.hdop", "", 2, 0, 0)}
}

// Close makes a running Read return.
func (r *Receiver) Close() error {
	r.once.Do(func() { close(r.closed) })
	return r.port.Close()
}

// Read waits for one moment's sentences. Without a fix all is bad:device, with the sentences as detail; a position that
// the receiver did not get from satellites is uncertain, and its time is none. The error wraps
// drivers.ErrNoDevice if there is no port, drivers.ErrTimeout if nothing comes, drivers.ErrBus if the port fails.
func (r *Receiver) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	if err := ctx.Err(); err != nil {
		return dst, fmt.Errorf("read receiver: %w", err)
	}
	text, at, err := r.listen(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, serial.ErrClosed):
		return dst, fmt.Errorf("read receiver: %w", err)
	case errors.Is(err, serial.ErrTimeout):
		return r.all(dst, record.QualityTimeout, []byte("nothing came")), fmt.Errorf("%w: %w", drivers.ErrTimeout, err)
	case errors.Is(err, serial.ErrAbsent):
		return r.all(dst, record.QualityBus, []byte(err.Error())), fmt.Errorf("%w: %w", drivers.ErrNoDevice, err)
	default:
		return r.all(dst, record.QualityBus, []byte(err.Error())), fmt.Errorf("%w: %w", drivers.ErrBus, err)
	}
	return r.decode(dst, text, at), nil
}

// decode reads a moment's sentences.
func (r *Receiver) decode(dst []drivers.Sample, text []byte, at time.Time) []drivers.Sample {
	var f Fix
	var wrong error
	understood := 0
	for line := range bytes.Lines(text) {
		kind, err := f.Parse(string(line))
		switch {
		case errors.Is(err, errNone): // the middle of one, or something else
		case err != nil:
			wrong = err
		case kind == "RMC" || kind == "GGA" || kind == "ZDA":
			understood++
		}
	}
	switch {
	case understood == 0 && errors.Is(wrong, errChecksum):
		return r.all(dst, record.QualityCRC, text)
	case understood == 0:
		return r.all(dst, record.QualityMalformed, text)
	case !f.Valid:
		return r.all(dst, record.QualityDevice, text)
	}
	quality := record.QualityGood
	if f.Guess {
		quality = record.QualityUncertain
	}
	if r.o.Time != nil && !f.Guess && !f.Time.IsZero() && !at.IsZero() {
		r.o.Time(f.Time, at, r.o.Delay)
	}
	for i, v := range [quantities]*int64{f.Lat, f.Lon, f.Speed, f.Course, f.Altitude, f.Satellites, f.HDOP} {
		if v == nil {
			if i == qLat || i == qLon {
				dst = append(dst, r.bad(i, record.QualityDevice, text))
			}
			continue // this receiver does not tell it
		}
		dst = append(dst, drivers.Sample{Quantity: i, Quality: quality, Type: r.typeOf(i), Num: *v})
	}
	return dst
}

func (r *Receiver) typeOf(i int) record.Type {
	return record.Decimal([quantities]int{7, 7, 3, 2, 1, 0, 2}[i])
}

func (r *Receiver) bad(i int, q record.Quality, detail []byte) drivers.Sample {
	r.detail = append(r.detail[:0], detail[:min(len(detail), record.MaxDetailBytes)]...)
	return drivers.Sample{Quantity: i, Quality: q, Detail: r.detail}
}

func (r *Receiver) all(dst []drivers.Sample, q record.Quality, detail []byte) []drivers.Sample {
	for i := range quantities {
		dst = append(dst, r.bad(i, q, detail))
	}
	return dst
}

// listen returns what comes from now on up to a silence, and when its first byte came. What was on its way when it was
// asked is the middle of something: it is thrown away up to a silence.
func (r *Receiver) listen(ctx context.Context) ([]byte, time.Time, error) {
	if _, err := r.port.Connect(ctx); err != nil {
		return nil, time.Time{}, err
	}
	if err := r.port.Discard(); err != nil {
		return nil, time.Time{}, err
	}
	end := time.Now().Add(patience)
	text, _, paused, err := r.burst(ctx, time.Now().Add(quiet), end)
	switch {
	case err != nil && !errors.Is(err, serial.ErrTimeout):
		return nil, time.Time{}, err
	case err == nil && !paused: // it never does: what a sentence of it says is true, but not when
		return text, time.Time{}, nil
	}
	text, at, _, err := r.burst(ctx, end, end)
	return text, at, err
}

// burst reads until a silence. The first byte must come by begin, and the burst ends by end in any case.
func (r *Receiver) burst(ctx context.Context, begin, end time.Time) (text []byte, at time.Time, paused bool, err error) {
	r.buf = r.buf[:0]
	var chunk [512]byte
	for until := begin; ; {
		n, err := r.port.ReadWithin(ctx, chunk[:], time.Until(until))
		if errors.Is(err, serial.ErrTimeout) && len(r.buf) > 0 {
			return r.buf, at, true, nil
		}
		if err != nil {
			return nil, at, false, err
		}
		if len(r.buf) == 0 {
			at = time.Now()
		}
		r.buf = append(r.buf, chunk[:n]...)
		if len(r.buf) > maxBuffer || time.Now().After(end) {
			return r.buf, at, false, nil
		}
		until = time.Now().Add(quiet)
	}
}

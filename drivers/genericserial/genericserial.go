// Package genericserial reads devices that talk on a serial line by themselves, or when they are asked with a fixed
// request: lines taken apart by a regular expression, as CSV or JSON, and binary frames by a declared layout.
//
// What cannot be understood is counted, a field of a good line that is no value is a bad reading with its text, and
// a device that falls silent has bad readings.
package genericserial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
)

// Port is an open serial port: a Read waits at most the read time-out and then returns (0, nil).
type Port interface {
	io.ReadWriteCloser
	SetReadTimeout(d time.Duration) error
}

// Formats of what comes.
const (
	FormatRegexp = "regexp"
	FormatCSV    = "csv"
	FormatJSON   = "json"
	FormatBinary = "binary"
)

// Field is one quantity of a line or frame.
type Field struct {
	Name     string            `yaml:"name"`     // of the series; in CSV "" skips the column
	Group    string            `yaml:"group"`    // regexp: the named group, default Name
	Type     string            `yaml:"type"`     // lines: float (default), int, decimal, bool, string; binary: see binaryTypes
	Decimals int               `yaml:"decimals"` // decimal: digits of the text; binary integers: the raw number is in 1/10^decimals
	Offset   int               `yaml:"offset"`   // binary: of the first byte in the frame
	Unit     string            `yaml:"unit"`
	Min      float64           `yaml:"min"`
	Max      float64           `yaml:"max"`
	Labels   map[string]string `yaml:"labels"`
}

// Frame is the layout of a binary message.
type Frame struct {
	Sync     string `yaml:"sync"`     // hexadecimal bytes that begin it: "424d"
	Length   int    `yaml:"length"`   // whole frame, 2–1024 bytes
	Checksum string `yaml:"checksum"` // none, sum8, xor8, sum16be, crc16-modbus: at the end, over all bytes before it
}

// Options of a Device. Open, Name and Format are required.
type Options struct {
	Open      func(ctx context.Context) (Port, error)
	Name      string // label "bus": the port, the same across restarts
	Format    string
	Pattern   string // regexp: of one line, with named groups
	Separator string // csv: one character, default a comma
	JSON      door.Mapping
	Frame     Frame
	Fields    []Field // regexp, csv, binary
	Request   []byte  // sent every Interval; empty: the device speaks by itself
	Interval  time.Duration
	Parity    bool          // the line has a parity bit: a damaged character reads as NUL, see lines
	Silence   time.Duration // nothing understood for so long makes bad:timeout readings; default 1 min, or 3 intervals
	Labels    []record.Label
	Events    door.Events
}

// Device is a door.Source.
type Device struct {
	o      Options
	fields []field
	parse  parser
}

// field is a Field with its series.
type field struct {
	Field
	series record.Series
}

// parser takes what was received and returns what is left of it. take is called once per line or frame understood.
type parser interface {
	feed(buf []byte, take func([]door.Reading), miss func(error)) (rest []byte)
}

// New checks the options; nothing is opened yet. The error wraps drivers.ErrConfig.
func New(o Options) (*Device, error) {
	d := &Device{o: o}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", drivers.ErrConfig, err)
	}
	return d, nil
}

func (d *Device) check() error {
	o := &d.o
	switch {
	case o.Open == nil || o.Name == "":
		return errors.New("a port and its name are needed")
	case len(o.Fields) > MaxFields:
		return fmt.Errorf("%d fields, at most %d", len(o.Fields), MaxFields)
	case o.Format != FormatJSON && len(o.Fields) == 0:
		return errors.New("fields are needed")
	case len(o.Request) > MaxRequest:
		return fmt.Errorf("request of %d bytes, at most %d", len(o.Request), MaxRequest)
	case o.Interval < 0 || o.Silence < 0 || len(o.Request) > 0 && o.Interval < minInterval:
		return fmt.Errorf("a request needs an interval of at least %s", minInterval)
	}
	if o.Silence == 0 {
		o.Silence = max(defaultSilence, 3*o.Interval)
	}
	labels := door.Labels(o.Labels, record.Label{Key: "bus", Value: o.Name})
	seen := map[string]bool{}
	for i, f := range o.Fields {
		if f.Name == "" && o.Format == FormatCSV {
			d.fields = append(d.fields, field{})
			continue
		}
		s := record.Series{Name: f.Name, Unit: f.Unit, Labels: labels}
		for k, v := range f.Labels {
			s.Labels = door.Labels(s.Labels, record.Label{Key: k, Value: v})
		}
		var err error
		if s.Type, err = f.valueType(o.Format == FormatBinary); err == nil {
			err = s.Normalize()
		}
		if err == nil && (seen[s.Key()] || f.Min > f.Max) {
			err = errors.New("it is there twice, or its range is empty")
		}
		if err != nil {
			return fmt.Errorf("fields[%d] %s: %w", i, f.Name, err)
		}
		seen[s.Key()] = true
		d.fields = append(d.fields, field{f, s})
	}
	return d.parserOf(labels)
}

func (d *Device) parserOf(labels []record.Label) error {
	o := &d.o
	switch o.Format {
	case FormatRegexp:
		re, err := regexp.Compile(o.Pattern)
		if err != nil {
			return err
		}
		groups := make([]int, len(d.fields))
		for i, f := range d.fields {
			name := f.Group
			if name == "" {
				name = f.Name
			}
			if groups[i] = re.SubexpIndex(name); groups[i] < 0 {
				return fmt.Errorf("the pattern has no group (?P<%s>…)", name)
			}
		}
		d.parse = &lines{o.Parity, func(line string) ([]door.Reading, error) { return byRegexp(re, groups, d.fields, line) }}
	case FormatCSV:
		if o.Separator == "" {
			o.Separator = ","
		}
		if len([]rune(o.Separator)) != 1 {
			return fmt.Errorf("separator %q: want one character", o.Separator)
		}
		d.parse = &lines{o.Parity, func(line string) ([]door.Reading, error) { return byCSV(o.Separator, d.fields, line) }}
	case FormatJSON:
		d.parse = &lines{o.Parity, func(line string) ([]door.Reading, error) { return o.JSON.JSON(nil, []byte(line), labels) }}
		return o.JSON.Check()
	case FormatBinary:
		f, err := newFrames(o.Frame, d.fields)
		d.parse = f
		return err
	default:
		return fmt.Errorf("format %q: want regexp, csv, json or binary", o.Format)
	}
	return nil
}

// Run implements door.Source. A port that fails is opened again with backoff.
func (d *Device) Run(ctx context.Context, emit door.Emit) error {
	heard := time.Now()
	for fails := 0; ctx.Err() == nil; fails++ {
		started := time.Now()
		err := d.once(ctx, emit, &heard)
		if ctx.Err() != nil {
			break
		}
		if time.Since(started) > steadyAfter {
			fails = 0
		}
		d.o.Events.TellDown(err)
		for until := time.Now().Add(door.Backoff(fails, 0)); ctx.Err() == nil && time.Now().Before(until); {
			d.silent(ctx, emit, &heard)
			select {
			case <-time.After(min(time.Until(until), d.o.Silence)):
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

// once works with one opening of the port.
func (d *Device) once(ctx context.Context, emit door.Emit, heard *time.Time) error {
	port, err := d.o.Open(ctx)
	if err != nil {
		return err
	}
	defer port.Close()
	stop := context.AfterFunc(ctx, func() { port.Close() })
	defer stop()
	if err := port.SetReadTimeout(pollSlice); err != nil {
		return err
	}
	d.o.Events.TellUp()
	chunk := make([]byte, 1024)
	buf, err := d.begin(ctx, port, chunk)
	if err != nil {
		return err
	}
	next := time.Now()
	for ctx.Err() == nil {
		if len(d.o.Request) > 0 && !time.Now().Before(next) {
			if next = next.Add(d.o.Interval); next.Before(time.Now()) {
				next = time.Now().Add(d.o.Interval)
			}
			if _, err := port.Write(d.o.Request); err != nil {
				return fmt.Errorf("write request: %w", err)
			}
		}
		n, err := port.Read(chunk)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		buf = d.parse.feed(append(buf, chunk[:n]...), func(rs []door.Reading) {
			*heard = time.Now()
			d.put(ctx, emit, rs)
		}, func(err error) { d.o.Events.TellMissed(door.MissedMalformed, 1, err) })
		d.silent(ctx, emit, heard)
	}
	return ctx.Err()
}

// begin passes over what a device was saying when its port was opened, up to a line end or a pause, and returns what
// came behind it: the end of "123.4" is a number too. Frames are told by their sync.
func (d *Device) begin(ctx context.Context, port Port, chunk []byte) ([]byte, error) {
	if d.o.Format == FormatBinary {
		return nil, nil
	}
	for passed := 0; passed <= MaxLine && ctx.Err() == nil; {
		n, err := port.Read(chunk)
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			break
		}
		if i := bytes.IndexAny(chunk[:n], lineEnds); i >= 0 {
			return bytes.Clone(chunk[i+1 : n]), nil
		}
		passed += n
	}
	return nil, ctx.Err()
}

func (d *Device) put(ctx context.Context, emit door.Emit, rs []door.Reading) {
	if len(rs) == 0 {
		return
	}
	if err := emit(ctx, door.Message{Readings: rs}); err != nil && ctx.Err() == nil {
		d.o.Events.TellMissed(door.WhyMissed(err), len(rs), err)
	}
}

// silent makes bad readings of all fields when nothing was understood for long.
func (d *Device) silent(ctx context.Context, emit door.Emit, heard *time.Time) {
	quiet := time.Since(*heard)
	if quiet < d.o.Silence {
		return
	}
	*heard = time.Now()
	var rs []door.Reading
	for i := range d.fields {
		if d.fields[i].Name != "" {
			r := d.fields[i].reading()
			r.Bad(record.QualityTimeout, fmt.Sprintf("nothing understood for %s", quiet.Round(time.Second)))
			rs = append(rs, r)
		}
	}
	d.put(ctx, emit, rs)
}

func (f *field) reading() door.Reading {
	return door.Reading{Series: f.series, Min: f.Min, Max: f.Max}
}

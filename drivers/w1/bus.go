// Package w1 reads 1-Wire thermometers through the kernel's sysfs (/sys/bus/w1/devices, driver w1_therm).
//
// It decodes the nine bytes of each scratchpad itself and exactly, and says with a quality code when they are not a
// temperature: power-on 85 °C, 127.94 °C, an all-zero frame, a CRC error, a sensor that vanished, a read that hangs.
// The raw bytes stay with every bad reading. Devices may come and go while a Bus is open.
package w1

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
)

// Options says where a bus is. The zero value is every master of the kernel.
type Options struct {
	Root        string            // default /sys/bus/w1/devices; a directory with the same files is a bus too
	Master      string            // only the slaves of this master ("w1_bus_master1"); "" for all below Root
	Names       map[string]string // what people call a ROM ("28-0416a1b2c3ff"); a named ROM is expected to be there
	ReadTimeout time.Duration     // of one attribute; default 5 s, at most 1 min
	NoBulk      bool              // do not use therm_bulk_read
	// Resolution of the thermometers in bits, 9 to 12; 0 leaves each as it is. It is written only to one that has
	// another, and into its EEPROM only with Persist and only if that differs. Kernel 5.10 and later.
	Resolution int
	Persist    bool
	// Suspect, if set, is called once for each thermometer that does not behave like a genuine one.
	Suspect func(rom, why string)
}

func (o Options) withDefaults() Options {
	if o.Root == "" {
		o.Root = "/sys/bus/w1/devices"
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = defaultReadTimeout
	}
	return o
}

// Validate checks everything that can be checked without a bus; the error wraps drivers.ErrConfig.
func (o Options) Validate() error {
	if o.ReadTimeout < 0 || o.ReadTimeout > maxReadTimeout {
		return fmt.Errorf("%w: read timeout %s, want 0 to %s", drivers.ErrConfig, o.ReadTimeout, maxReadTimeout)
	}
	if strings.ContainsRune(o.Master, '/') {
		return fmt.Errorf("%w: master %q is not a name such as w1_bus_master1", drivers.ErrConfig, o.Master)
	}
	if o.Resolution != 0 && (o.Resolution < 9 || o.Resolution > 12) {
		return fmt.Errorf("%w: resolution of %d bits, want 9 to 12", drivers.ErrConfig, o.Resolution)
	}
	if o.Persist && o.Resolution == 0 {
		return fmt.Errorf("%w: persist needs a resolution", drivers.ErrConfig)
	}
	if len(o.Names) > MaxSlaves {
		return fmt.Errorf("%w: %d names, at most %d", drivers.ErrConfig, len(o.Names), MaxSlaves)
	}
	for rom, name := range o.Names {
		if _, ok := parseROM(rom); !ok {
			return fmt.Errorf("%w: %q is not the ROM of a thermometer: want 28-0123456789ab", drivers.ErrConfig, rom)
		}
		s := record.Series{Name: "temperature", Labels: []record.Label{{Key: "name", Value: name}}}
		if err := s.Normalize(); err != nil {
			return fmt.Errorf("%w: name of %s: %w", drivers.ErrConfig, rom, err)
		}
	}
	return nil
}

// Bus is a drivers.Sensor: one quantity "temperature" per thermometer, in 1/10000 °C.
type Bus struct {
	o         Options
	dir       string // that holds the slaves
	simulated string // "true" if the tree says so, "" before the first scan that could look
	slaves    []*slave
	present   []bool // of slaves, before the scan that runs
	byROM     map[string]*slave
	quantity  []drivers.Quantity
	refused   int // thermometers in the latest listing beyond MaxSlaves
	gate      gate
	buf       []byte // of the read that runs; abandoned with a read that hangs
	close     sync.Once
}

type slave struct {
	rom     string
	family  thermo.Family
	path    string
	history thermo.History
	seen    bool   // was on the bus at least once
	present bool   // stood in the latest listing
	judged  bool   // Suspect was called
	met     bool   // asked for its supply, its resolution set
	saved   bool   // the EEPROM has the resolution
	fed     bool   // by the data line
	detail  []byte // owned copy, valid until the next Read
}

// New checks the options. It reads nothing: devices are found by Read.
func New(o Options) (*Bus, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	b := &Bus{o: o, dir: filepath.Join(o.Root, o.Master), byROM: map[string]*slave{}, gate: newGate(),
		buf: make([]byte, MaxAttrBytes)}
	return b, nil
}

// Quantities lists the thermometers found so far and those that have a name.
func (b *Bus) Quantities() []drivers.Quantity { return b.quantity }

// Close makes a running Read return. It does not wait for a read that hangs in the kernel.
func (b *Bus) Close() error {
	b.close.Do(func() { close(b.gate.closed) })
	return nil
}

// Read looks for devices and reads all of them, one after the other: about 750 ms per sensor at 12 bits, or once
// 750 ms where the kernel has a bulk read. It returns an error that wraps drivers.ErrNoDevice if there is no bus or
// nothing was ever found on it, drivers.ErrTimeout if even looking for devices hangs.
func (b *Bus) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	err := b.scan(ctx)
	switch {
	case errors.Is(err, errClosed) || errors.Is(err, context.Canceled):
		return dst, fmt.Errorf("read 1-Wire bus: %w", err)
	case left(err):
		return b.fail(dst, record.QualityTimeout, err), fmt.Errorf("list %s: %w: %w", b.dir, drivers.ErrTimeout, err)
	case errors.Is(err, os.ErrNotExist):
		return b.fail(dst, record.QualityAbsent, err),
			fmt.Errorf("list %s: %w (is a 1-Wire master enabled?)", b.dir, drivers.ErrNoDevice)
	case err != nil:
		return b.fail(dst, record.QualityBus, err), fmt.Errorf("list %s: %w: %w", b.dir, drivers.ErrBus, err)
	case len(b.slaves) == 0:
		return dst, fmt.Errorf("%w: no thermometer on %s", drivers.ErrNoDevice, b.dir)
	}
	if err := b.bulk(ctx); forbidden(err) {
		b.o.NoBulk = true // one conversion per sensor, as on older kernels
	}
	for i, s := range b.slaves {
		sample, err := b.readSlave(ctx, i, s)
		if err != nil {
			return dst, fmt.Errorf("read 1-Wire bus: %w", err)
		}
		dst = append(dst, sample)
	}
	if b.refused > 0 {
		return dst, fmt.Errorf("%w: %d thermometers beyond the first %d are not read", drivers.ErrBus, b.refused, MaxSlaves)
	}
	return dst, nil
}

// fail gives every known sensor the same bad sample.
func (b *Bus) fail(dst []drivers.Sample, q record.Quality, err error) []drivers.Sample {
	for i, s := range b.slaves {
		if !s.seen && q == record.QualityAbsent {
			dst = append(dst, s.bad(i, record.QualityNoDevice, []byte("never seen")))
			continue
		}
		dst = append(dst, s.bad(i, q, []byte(err.Error())))
	}
	return dst
}

// readSlave reads one sensor. Its error means that the whole sweep ends: cancelled or closed.
func (b *Bus) readSlave(ctx context.Context, i int, s *slave) (drivers.Sample, error) {
	switch {
	case !s.present && !s.seen:
		return s.bad(i, record.QualityNoDevice, []byte("never seen")), nil
	case !s.present:
		return s.bad(i, record.QualityAbsent, []byte("not listed by the kernel any more")), nil
	}
	if !s.met {
		if err := b.meet(ctx, s); forbidden(err) {
			b.o.Resolution = 0 // sensors keep theirs
		}
	}
	text, err := b.readFile(ctx, s.path)
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled) || errors.Is(err, errClosed):
		return drivers.Sample{}, err
	case left(err):
		return s.bad(i, record.QualityTimeout, []byte(err.Error())), nil
	case errors.Is(err, os.ErrNotExist):
		return s.bad(i, record.QualityAbsent, []byte("went away during the sweep")), nil
	default:
		return s.bad(i, record.QualityBus, []byte(err.Error())), nil
	}
	b.suspect(s, text)
	t, q, detail := judge(s.family, &s.history, text)
	if q == record.QualityPowerOn {
		s.met = false // it has the resolution of its EEPROM again
		if s.fed {
			q = record.QualityBrownOut // it lost the supply that the data line gives while it converted
		}
	}
	if q.Bad() {
		return s.bad(i, q, detail), nil
	}
	return drivers.Sample{Quantity: i, Quality: q, Type: record.Decimal(4), Num: t}, nil
}

// forbidden reports whether the kernel will never let us. Other errors are of a sensor or adapter that may answer again.
func forbidden(err error) bool {
	return errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EROFS)
}

// suspect reports a copy, once.
func (b *Bus) suspect(s *slave, text []byte) {
	if b.o.Suspect == nil || s.judged {
		return
	}
	p, yes, err := ParseSlave(text)
	if err != nil || !yes {
		return
	}
	a, err := onewire.ParseAddress(s.rom)
	if err != nil {
		return // a name that only looks like a ROM's
	}
	if why := thermo.Suspect(a, &p); why != "" {
		s.judged = true
		b.o.Suspect(s.rom, why)
	}
}

func (s *slave) bad(i int, q record.Quality, detail []byte) drivers.Sample {
	s.detail = append(s.detail[:0], detail[:min(len(detail), record.MaxDetailBytes)]...)
	return drivers.Sample{Quantity: i, Quality: q, Detail: s.detail}
}

// readFile reads an attribute through the gate. The result is valid until the next readFile.
func (b *Bus) readFile(ctx context.Context, path string) ([]byte, error) {
	buf, n := b.buf, new(int)
	err := b.gate.call(ctx, b.o.ReadTimeout, func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		*n, err = readFull(f, buf)
		return err
	})
	if left(err) {
		b.buf = make([]byte, MaxAttrBytes)
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return buf[:*n], nil
}

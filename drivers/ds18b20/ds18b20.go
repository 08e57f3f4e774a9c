// Package ds18b20 reads DS18B20 thermometers and the chips that share a bus with them (DS18S20, DS1822, MAX31820,
// DS2438, DS2413, DS2423) over any 1-Wire master, and over owserver.
//
// A sweep of N thermometers costs one conversion, which all do at once, and the time of N readings. Every reading is
// either exact or carries a quality code and the raw bytes that say why not. Chips may come and go while a bus is open.
// The kernel's own driver is read by drivers/w1.
package ds18b20

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/ds2480b"
	"github.com/edgelog/edgelog/drivers/bus/onewire/ds9097"
	"github.com/edgelog/edgelog/drivers/bus/onewire/netlink"
	"github.com/edgelog/edgelog/drivers/bus/onewire/owserver"
	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// The masters.
const (
	MasterDS2480B  = "ds2480b"
	MasterDS9097   = "ds9097"
	MasterNetlink  = "netlink"
	MasterOWServer = "owserver"
)

// Options say where the bus is and how its chips are treated.
type Options struct {
	Master  string         // one of the masters
	Port    serial.Options // of ds2480b and ds9097: Device, and Baud of the DS2480B
	Server  string         // of owserver: host:port, default 127.0.0.1:4304
	Kernel  uint32         // of netlink: the number of the kernel's master, default 1
	Timeout time.Duration  // of one owserver request, default 10 s

	Names map[string]string // what people call a ROM ("28-0416a1b2c3ff"); a named ROM is expected to be there
	// Resolution of the thermometers in bits, 9 to 12; 0 leaves each as it is. It is written only to a chip that has
	// another one, and into its EEPROM only with Persist and only if that differs.
	Resolution int
	Persist    bool
	Alarms     bool          // also tell of each thermometer whether it lies outside its own TH and TL
	Rescan     time.Duration // how often chips are looked for, default 30 s, 1 s to 1 h
	Conversion time.Duration // how long a conversion takes, for chips slower than their datasheet; 0: as resolution says
	Events     Events
}

// Events tell what the agent logs; nil funcs are not called.
type Events struct {
	// Suspect is called once for each thermometer that does not behave like a genuine one.
	Suspect func(rom, why string)
}

func (o Options) withDefaults() Options {
	if o.Rescan == 0 {
		o.Rescan = defaultRescan
	}
	if o.Kernel == 0 {
		o.Kernel = 1
	}
	return o
}

// Validate checks everything that can be checked without a bus; the error wraps drivers.ErrConfig.
func (o Options) Validate() error {
	o = o.withDefaults()
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", drivers.ErrConfig, fmt.Sprintf(format, a...))
	}
	switch o.Master {
	case MasterDS2480B, MasterDS9097:
		if err := o.Port.Validate(); err != nil {
			return fmt.Errorf("%w: %w", drivers.ErrConfig, err)
		}
	case MasterOWServer:
		if o.Alarms || o.Resolution != 0 {
			return bad("owserver sets resolution and alarms itself")
		}
	case MasterNetlink:
	default:
		return bad("master %q, want ds2480b, ds9097, netlink or owserver", o.Master)
	}
	return o.validateChips()
}

// validateChips checks what does not concern the master.
func (o Options) validateChips() error {
	o = o.withDefaults()
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", drivers.ErrConfig, fmt.Sprintf(format, a...))
	}
	switch {
	case o.Resolution != 0 && (o.Resolution < 9 || o.Resolution > 12):
		return bad("resolution of %d bits, want 9 to 12", o.Resolution)
	case o.Persist && o.Resolution == 0:
		return bad("persist needs a resolution")
	case o.Rescan < minRescan || o.Rescan > maxRescan:
		return bad("rescan %s, want %s to %s", o.Rescan, minRescan, maxRescan)
	case o.Conversion < 0 || o.Conversion > maxConversion:
		return bad("conversion %s, want up to %s", o.Conversion, maxConversion)
	case len(o.Names) > MaxChips:
		return bad("%d names, at most %d", len(o.Names), MaxChips)
	}
	for rom, name := range o.Names {
		a, err := onewire.ParseAddress(rom)
		if err != nil {
			return fmt.Errorf("%w: %w", drivers.ErrConfig, err)
		}
		if kindOf(a) == nil {
			return bad("%s is of a family that this driver does not read", rom)
		}
		s := record.Series{Name: "temperature", Labels: []record.Label{{Key: "name", Value: name}}}
		if err := s.Normalize(); err != nil {
			return fmt.Errorf("%w: name of %s: %w", drivers.ErrConfig, rom, err)
		}
	}
	return nil
}

// Open makes the master that the options name and a sensor on it. Serial ports and servers are opened by the first
// Read, and again after a failure.
func Open(o Options) (drivers.Sensor, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	config := func(err error) error { return fmt.Errorf("%w: %w", drivers.ErrConfig, err) }
	switch o.Master {
	case MasterDS2480B:
		b, err := ds2480b.New(ds2480b.Options{Port: o.Port})
		if err != nil {
			return nil, config(err)
		}
		return New(b, o)
	case MasterDS9097:
		b, err := ds9097.New(ds9097.Options{Port: o.Port})
		if err != nil {
			return nil, config(err)
		}
		return New(b, o)
	case MasterNetlink:
		b, err := netlink.Open(o.Kernel)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", drivers.ErrBus, err)
		}
		return New(b, o)
	}
	c, err := owserver.New(owserver.Options{Address: o.Server, Timeout: o.Timeout})
	if err != nil {
		return nil, config(err)
	}
	return newServed(c, o), nil
}

// kindOf is what a chip of that family can tell, nil for an unknown one.
func kindOf(a onewire.Address) kind {
	switch a.Family() {
	case 0x10, 0x22, 0x28, 0x3b, 0x42:
		return thermometer{}
	case 0x26, 0xa6:
		return monitor{}
	case 0x3a, 0xba:
		return pins{}
	case 0x1d, 0x9d:
		return counters{}
	}
	return nil
}

// table is what both kinds of sensor keep: the list of chips and quantities, which only grows, when chips are looked for
// again, and whether it is closed.
type table struct {
	rescan   time.Time // zero: now
	closed   chan struct{}
	close    sync.Once
	o        Options
	chips    []*chip
	byROM    map[onewire.Address]*chip
	quantity []drivers.Quantity
	refused  int // chips in the latest search beyond MaxChips
}

// newTable lists the chips that are expected, before any that is found.
func newTable(o Options) *table {
	t := &table{o: o, byROM: map[onewire.Address]*chip{}, closed: make(chan struct{})}
	roms := make([]string, 0, len(o.Names))
	for rom := range o.Names {
		roms = append(roms, rom)
	}
	slices.Sort(roms)
	for _, rom := range roms {
		if a, err := onewire.ParseAddress(rom); err == nil { // Validate saw to it
			t.add(a)
		}
	}
	return t
}

// Quantities lists what the chips found so far, and those that have a name, can tell.
func (t *table) Quantities() []drivers.Quantity { return t.quantity }

// ended is why a sensor reads no more: it is closed, or the context has ended.
func (t *table) ended(ctx context.Context) error {
	select {
	case <-t.closed:
		return errClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read 1-Wire bus: %w", err)
	}
	return nil
}

// wait returns early, with an error, when the sensor is closed or the context ends.
func (t *table) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add returns the chip with that ROM, new or known; nil if its family is not read.
func (t *table) add(a onewire.Address) *chip {
	if c := t.byROM[a]; c != nil {
		return c
	}
	k := kindOf(a)
	if k == nil {
		return nil
	}
	if len(t.chips) >= MaxChips {
		t.refused++
		return nil
	}
	c := &chip{rom: a, kind: k, first: len(t.quantity)}
	for _, q := range k.quantities(a, t.o) {
		if name := t.o.Names[a.String()]; name != "" {
			q.Labels = append(q.Labels, record.Label{Key: "name", Value: name})
		}
		q.Labels = append(q.Labels, record.Label{Key: "rom", Value: a.String()})
		t.quantity = append(t.quantity, q)
		c.details = append(c.details, nil)
	}
	t.chips, t.byROM[a] = append(t.chips, c), c
	return c
}

// listed takes over the result of a search: in the order of the ROMs, so that series come in the same order on every
// start.
func (t *table) listed(found []onewire.Address, complete bool) {
	t.refused = 0
	for _, c := range t.chips {
		c.present = c.present && !complete
	}
	slices.SortFunc(found, func(a, b onewire.Address) int {
		if a.Family() != b.Family() {
			return int(a.Family()) - int(b.Family())
		}
		if a.Serial() < b.Serial() {
			return -1
		}
		return 1
	})
	for _, a := range found {
		if c := t.add(a); c != nil {
			c.seen, c.present = true, true
		}
	}
}

// overflow is the error of a bus with too many chips.
func (t *table) overflow() error {
	if t.refused == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d chips beyond the first %d are not read", drivers.ErrBus, t.refused, MaxChips)
}

// fail gives every quantity of the chips from the i-th on the same bad sample.
func (t *table) fail(dst []drivers.Sample, i int, q record.Quality, why string) []drivers.Sample {
	for _, c := range t.chips[i:] {
		dst = c.absent(dst, q, why)
	}
	return dst
}

var errClosed = errors.New("sensor is closed")

// Package modbus reads devices over Modbus with profiles: YAML files that say which register holds what, in which
// type, scale and unit. A Bus is one line (serial or TCP) with its slaves; it is a drivers.Sensor.
//
// Reads of neighbouring registers are joined. Integers with a decimal scale become exact decimals. A slave that does
// not answer has bad readings and costs the others little; a line that fails is an error of the whole Bus.
package modbus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
)

// Device is one slave.
type Device struct {
	Unit    byte   // 1–247; 0 and above for what a TCP gateway or a device without address wants
	Name    string // label "name"; "" for none
	Profile *Profile
	Labels  []record.Label
}

// Options of a Bus. Line, Name and Devices are required.
type Options struct {
	Line    modbus.Line // closed by Close
	Name    string      // label "bus": the port or address, the same across restarts
	Devices []Device
	Timeout time.Duration // for one answer, default 1 s
	Retries int           // default 2; -1: none
}

// Bus is a drivers.Sensor.
type Bus struct {
	line       modbus.Line
	master     *modbus.Master
	devices    []*device
	quantities []drivers.Quantity
	closed     atomic.Bool
}

type device struct {
	Device
	first  int // index of its first quantity
	groups [4][]*Register
	blocks [4][]modbus.Block
	seen   bool // has ever answered
	silent int  // sweeps in a row without any answer
	probed time.Time
}

// New checks the devices; nothing is opened yet. The error wraps drivers.ErrConfig.
func New(o Options) (*Bus, error) {
	bad := func(format string, a ...any) (*Bus, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{drivers.ErrConfig}, a...)...)
	}
	if o.Line == nil || o.Name == "" {
		return bad("a line and its name are needed")
	}
	if n := len(o.Devices); n < 1 || n > MaxDevices {
		return bad("%d devices on %s, want 1 to %d", n, o.Name, MaxDevices)
	}
	b := &Bus{line: o.Line, master: modbus.NewMaster(o.Line, modbus.MasterOptions{Timeout: o.Timeout, Retries: o.Retries})}
	keys := map[string]bool{}
	for _, d := range o.Devices {
		if d.Profile == nil {
			return bad("unit %d on %s has no profile", d.Unit, o.Name)
		}
		dev := &device{Device: d, first: len(b.quantities)}
		more := d.Labels
		if d.Name != "" {
			more = append([]record.Label{{Key: "name", Value: d.Name}}, more...)
		}
		for i := range d.Profile.Registers {
			g := &d.Profile.Registers[i]
			dev.groups[g.table] = append(dev.groups[g.table], g)
			s := g.series(o.Name, d.Unit, d.Profile.Name, more)
			if err := s.Normalize(); err != nil {
				return bad("unit %d on %s: %v", d.Unit, o.Name, err)
			}
			if keys[s.Key()] {
				return bad("%s is there twice: two devices with unit %d and profile %s", s.Key(), d.Unit, d.Profile.Name)
			}
			keys[s.Key()] = true
			b.quantities = append(b.quantities, drivers.Quantity{Series: s, Min: g.Min, Max: g.Max})
		}
		dev.plan()
		b.devices = append(b.devices, dev)
	}
	return b, nil
}

// plan joins the reads of a device.
func (d *device) plan() {
	for t := range d.groups {
		spans := make([]modbus.Span, len(d.groups[t]))
		for i, g := range d.groups[t] {
			spans[i] = modbus.Span{Addr: g.Address, Count: g.words}
		}
		most := d.Profile.MaxRead
		if table(t).bits() && most == modbus.MaxReadRegisters {
			most = modbus.MaxReadBits
		}
		d.blocks[t] = modbus.Coalesce(spans, most, *d.Profile.MaxGap)
	}
}

// Quantities lists the registers of all devices.
func (b *Bus) Quantities() []drivers.Quantity { return b.quantities }

// Close closes the line and makes a running Read return.
func (b *Bus) Close() error {
	b.closed.Store(true)
	return b.line.Close()
}

// Read asks every device for every register.
func (b *Bus) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	for _, d := range b.devices {
		if b.closed.Load() {
			return dst, fmt.Errorf("read modbus: %w", modbus.ErrClosed)
		}
		var err error
		if dst, err = b.readDevice(ctx, d, dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// readDevice appends one sample per register; an error is one of the whole line.
func (b *Bus) readDevice(ctx context.Context, d *device, dst []drivers.Sample) ([]drivers.Sample, error) {
	master, dead := b.master, d.silent >= deadAfter
	if dead {
		if time.Since(d.probed) < probeEvery {
			return d.absent(dst), nil
		}
		master, d.probed = b.master.Probe(), time.Now()
	}
	answered := false
	var lost error // the first time-out: the rest of the sweep is asked without repeats
	for t := range d.groups {
		for i := 0; i < len(d.blocks[t]); i++ {
			blk := d.blocks[t][i]
			regs, err := readBlock(ctx, master, d.Unit, table(t), blk.Span)
			if fatal := lineError(ctx, err); fatal != nil {
				return dst, fatal
			}
			if split(err) && len(blk.Of) > 1 { // a hole in the block: ask one by one from now on
				d.blocks[t] = append(append(d.blocks[t][:i:i], singles(d.groups[t], blk)...), d.blocks[t][i+1:]...)
				i--
				answered = true
				continue
			}
			if quality(err) == record.QualityTimeout {
				if dead { // still silent
					return d.absent(dst), nil
				}
				if lost == nil {
					lost, master = err, master.Probe()
				}
			} else {
				answered = true
			}
			dst = d.samples(dst, table(t), blk, regs, err)
		}
	}
	if answered {
		d.seen, d.silent = true, 0
	} else if d.silent++; d.silent == deadAfter {
		d.probed = time.Now()
	}
	return dst, nil
}

// samples decodes what a block brought, or says why there is nothing.
func (d *device) samples(dst []drivers.Sample, t table, blk modbus.Block, regs []uint16, err error) []drivers.Sample {
	for _, i := range blk.Of {
		g := d.groups[t][i]
		if err != nil {
			dst = append(dst, drivers.Sample{Quantity: d.first + g.position, Quality: quality(err),
				Detail: fmt.Appendf(nil, "%s %d: %.200s", g.Table, g.Address, err.Error())})
			continue
		}
		from := int(g.Address) - int(blk.Addr)
		s := g.Decode(regs[from : from+g.words])
		s.Quantity = d.first + g.position
		dst = append(dst, s)
	}
	return dst
}

// absent marks all registers of a device that has been silent for long.
func (d *device) absent(dst []drivers.Sample) []drivers.Sample {
	q := record.QualityNoDevice
	if d.seen {
		q = record.QualityAbsent
	}
	for i := range d.Profile.Registers {
		dst = append(dst, drivers.Sample{Quantity: d.first + i, Quality: q,
			Detail: fmt.Appendf(nil, "unit %d was silent in %d sweeps; it is asked every %s", d.Unit, d.silent, probeEvery)})
	}
	return dst
}

// readBlock reads one block; bits come as registers of 0 and 1.
func readBlock(ctx context.Context, m *modbus.Master, unit byte, t table, s modbus.Span) ([]uint16, error) {
	var on []bool
	var err error
	switch t {
	case holding:
		return m.ReadHolding(ctx, unit, s.Addr, s.Count)
	case input:
		return m.ReadInput(ctx, unit, s.Addr, s.Count)
	case coil:
		on, err = m.ReadCoils(ctx, unit, s.Addr, s.Count)
	default:
		on, err = m.ReadDiscrete(ctx, unit, s.Addr, s.Count)
	}
	out := make([]uint16, len(on))
	for i, v := range on {
		if v {
			out[i] = 1
		}
	}
	return out, err
}

// split reports whether an error may come from joining reads.
func split(err error) bool {
	var e *modbus.Exception
	return errors.As(err, &e) && (e.Code == modbus.IllegalAddress || e.Code == modbus.IllegalValue)
}

func singles(groups []*Register, blk modbus.Block) []modbus.Block {
	var out []modbus.Block
	for _, i := range blk.Of {
		out = append(out, modbus.Block{Span: modbus.Span{Addr: groups[i].Address, Count: groups[i].words}, Of: []int{i}})
	}
	return out
}

// lineError picks the errors that leave nothing to say of any device.
func lineError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("read modbus: %w", ctx.Err())
	case errors.Is(err, modbus.ErrLine):
		return fmt.Errorf("%w: %w", drivers.ErrBus, err)
	case errors.Is(err, modbus.ErrClosed), errors.Is(err, modbus.ErrRequest):
		return fmt.Errorf("read modbus: %w", err)
	}
	return nil
}

// quality names the reason of a reading that failed.
func quality(err error) record.Quality {
	var e *modbus.Exception
	switch {
	case err == nil:
		return record.QualityGood
	case errors.As(err, &e):
		switch e.Code {
		case modbus.IllegalFunction, modbus.IllegalAddress, modbus.IllegalValue:
			return record.QualityUnsupported
		case modbus.GatewayUnavailable, modbus.GatewayNoAnswer:
			return record.QualityTimeout
		}
		return record.QualityDevice
	case errors.Is(err, modbus.ErrTimeout):
		return record.QualityTimeout
	case errors.Is(err, modbus.ErrChecksum):
		return record.QualityCRC
	case errors.Is(err, modbus.ErrFrame):
		return record.QualityMalformed
	}
	return record.QualityBus
}

package w1

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
)

// scan lists the slaves and appends those that are new, in the order of their ROMs.
func (b *Bus) scan(ctx context.Context) error {
	names, simulated, err := b.list(ctx)
	if err == nil && b.simulated == "" {
		b.simulated = "false"
		if simulated {
			b.simulated = "true"
		}
		b.addNamed()
	}
	was := b.present[:0]
	for _, s := range b.slaves {
		was = append(was, s.present)
		s.present = false
	}
	b.present = was
	if err == nil {
		b.refused = 0
		slices.Sort(names)
		for _, rom := range names {
			if s := b.add(rom); s != nil {
				s.seen, s.present = true, true
			}
		}
	}
	for i, before := range b.present {
		if before && !b.slaves[i].present {
			b.slaves[i].met = false // it may come back with another supply or resolution
		}
	}
	return err
}

// list returns the names in the directory of slaves, and whether the tree is a simulated one.
func (b *Bus) list(ctx context.Context) (names []string, simulated bool, err error) {
	type listing struct {
		names     []string
		simulated bool
	}
	l := new(listing)
	err = b.gate.call(ctx, b.o.ReadTimeout, func() error {
		d, err := os.Open(b.dir)
		if err != nil {
			return err
		}
		defer d.Close()
		if l.names, err = d.Readdirnames(-1); err != nil {
			return err
		}
		_, err = os.Stat(filepath.Join(b.o.Root, SimulatedMarker))
		l.simulated = err == nil
		return nil
	})
	if err != nil {
		return nil, false, err // l may still be written to
	}
	return l.names, l.simulated, nil
}

// SimulatedMarker is a file beside the slaves that says that nothing in this tree was measured: every series of it
// carries the label simulated="true".
const SimulatedMarker = "simulated"

// addNamed lists the sensors that are expected, before any that is found.
func (b *Bus) addNamed() {
	roms := make([]string, 0, len(b.o.Names))
	for rom := range b.o.Names {
		roms = append(roms, rom)
	}
	slices.Sort(roms)
	for _, rom := range roms {
		b.add(rom)
	}
}

// add returns the slave with that ROM, new or known; nil if the name is not that of a thermometer.
func (b *Bus) add(rom string) *slave {
	if s := b.byROM[rom]; s != nil {
		return s
	}
	family, ok := parseROM(rom)
	if !ok {
		return nil
	}
	if len(b.slaves) >= MaxSlaves {
		b.refused++
		return nil
	}
	s := &slave{rom: rom, family: family, path: filepath.Join(b.dir, rom, "w1_slave")}
	q := drivers.Quantity{Series: record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4)},
		Min: -55, Max: 125}
	if family == thermo.DS1825 {
		q.Min, q.Max = -270, 1800 // MAX31850 with any thermocouple
	}
	if name := b.o.Names[rom]; name != "" {
		q.Labels = append(q.Labels, record.Label{Key: "name", Value: name})
	}
	q.Labels = append(q.Labels, record.Label{Key: "rom", Value: rom})
	if b.simulated == "true" {
		q.Labels = append(q.Labels, record.Label{Key: "simulated", Value: "true"})
	}
	b.slaves, b.quantity = append(b.slaves, s), append(b.quantity, q)
	b.byROM[rom] = s
	return s
}

// parseROM reads "28-0123456789ab": family and 48-bit serial number, lower case, as the kernel writes them.
func parseROM(name string) (thermo.Family, bool) {
	if len(name) != 15 || name[2] != '-' {
		return 0, false
	}
	for i := range len(name) {
		if i != 2 && (unhex(name[i]) > 15 || name[i] >= 'A' && name[i] <= 'F') {
			return 0, false
		}
	}
	f := thermo.Family(unhex(name[0])<<4 | unhex(name[1]))
	return f, f.Known()
}

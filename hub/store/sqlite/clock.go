package sqlite

import (
	"database/sql/driver"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// unknownError is the t_error of rows of which nothing places the boot, µs. The views repeat it.
const unknownError = record.UnknownError / 1000

// clock is the timeline of one device with what rows were written with.
type clock struct {
	line  record.Timeline
	boots []*boot // in the order in which they were first seen
	byID  map[string]*boot
	byRef map[int64]*boot
}

type boot struct {
	ref         int64
	id          string
	best, guess record.Anchor // Boot is "" where there is none
	last        int64         // ns
	base        int64         // µs UTC of boot time 0; 0 until placed
	tError      int64         // µs
	placed      bool
	stored      bool
}

func (k *clock) baseOf(ref int64) int64 {
	if b := k.byRef[ref]; b != nil {
		return b.base
	}
	return 0
}

func (k *clock) add(b *boot) {
	k.boots = append(k.boots, b)
	k.byID[b.id] = b
	if b.ref != 0 {
		k.byRef[b.ref] = b
	}
}

// clock reads the device's boots, once.
func (t *tx) clock(device int64) (*clock, error) {
	if k := t.cache.clocks[device]; k != nil {
		return k, nil
	}
	k := &clock{byID: map[string]*boot{}, byRef: map[int64]*boot{}}
	err := t.c.query(`SELECT ref, boot, base, t_error, placed, last, best_time, best_utc, best_error, best_source,
		guess_time, guess_utc, guess_error FROM boot WHERE device = ? ORDER BY ref`, func(v []driver.Value) error {
		b := &boot{ref: asInt(v[0]), id: asText(v[1]), base: asInt(v[2]), tError: asInt(v[3]),
			placed: asInt(v[4]) != 0, last: asInt(v[5]), stored: true}
		if v[6] != nil {
			b.best = record.Anchor{Boot: b.id, BootTime: asInt(v[6]), UTC: asInt(v[7]), Error: asInt(v[8]),
				Source: record.ClockSource(asText(v[9]))}
		}
		if v[10] != nil {
			b.guess = record.Anchor{Boot: b.id, BootTime: asInt(v[10]), UTC: asInt(v[11]), Error: asInt(v[12]),
				Source: record.SourceSystem}
		}
		k.add(b)
		k.restore(b)
		return nil
	}, device)
	if err != nil {
		return nil, err
	}
	t.cache.clocks[device] = k
	return k, nil
}

// restore brings the timeline to where the boot's anchors had brought it.
func (k *clock) restore(b *boot) {
	if b.best.Boot == "" && b.guess.Boot == "" {
		return
	}
	// A guess carries the greatest boot time seen; the true guess, if any, then takes its place, and a boot with a
	// good anchor never looks at guesses.
	k.line.Add(record.Anchor{Boot: b.id, BootTime: b.last, UTC: b.last, Source: record.SourceSystem})
	if b.guess.Boot != "" {
		k.line.Add(b.guess)
	}
	if b.best.Boot != "" {
		k.line.Add(b.best)
	}
}

// applyClock takes the boot mark and the anchors of a change, before its rows. When the UTC of a boot changes, rows
// that are already there are noted for correction in this transaction.
func (t *tx) applyClock(e *epochRow, c *store.Change) error {
	bootID := c.Boot
	if bootID == "" && e.boot == 0 && len(c.Anchors) > 0 {
		bootID = c.Anchors[0].Boot // the boot mark fell into a gap; an epoch lies within one boot
	}
	if bootID == "" && len(c.Anchors) == 0 {
		return nil
	}
	k, err := t.clock(e.device)
	if err != nil {
		return err
	}
	touched := map[*boot]bool{}
	get := func(id string) *boot {
		b := k.byID[id]
		if b == nil {
			b = &boot{id: id, tError: unknownError}
			k.add(b)
			touched[b] = true
		}
		return b
	}
	for _, a := range c.Anchors {
		b := get(a.Boot)
		k.line.Add(a)
		touched[b] = true
		b.last = max(b.last, a.BootTime)
		if !a.Good() {
			b.guess = a
		}
		if best, ok := k.line.Anchored(a.Boot); ok {
			b.best = best
		}
	}
	if bootID != "" {
		get(bootID)
	}
	if err := t.place(e.device, k, touched); err != nil {
		return err
	}
	if bootID == "" {
		return nil
	}
	return t.setBoot(e, k, k.byID[bootID])
}

// place computes the base of every boot that may have moved and stores what changed.
func (t *tx) place(device int64, k *clock, touched map[*boot]bool) error {
	for _, b := range k.boots {
		if !touched[b] && b.best.Boot != "" {
			continue // a good anchor of its own: the others do not move it
		}
		base, tError, placed := int64(0), int64(unknownError), false
		if at, ok := k.line.At(b.id, record.Stamp{Clock: record.ClockBoot}); ok {
			base, tError, placed = floorDiv(at.UTC, 1000), -floorDiv(-at.Error, 1000), true
		}
		if b.stored && !touched[b] && base == b.base && tError == b.tError {
			continue
		}
		shift := base - b.base
		b.base, b.tError, b.placed = base, tError, placed
		had := b.stored
		if err := t.storeBoot(device, k, b); err != nil {
			return err
		}
		if shift != 0 && had {
			if err := t.noteShift(b, shift); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) storeBoot(device int64, k *clock, b *boot) error {
	anchor := func(a record.Anchor) (boottime, utc, e driver.Value) {
		if a.Boot == "" {
			return nil, nil, nil
		}
		return a.BootTime, a.UTC, a.Error
	}
	bt, bu, be := anchor(b.best)
	gt, gu, ge := anchor(b.guess)
	var source driver.Value
	if b.best.Boot != "" {
		source = string(b.best.Source)
	}
	err := t.c.exec(`INSERT INTO boot (device, boot, base, t_error, placed, last, best_time, best_utc, best_error,
		best_source, guess_time, guess_utc, guess_error) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (device, boot) DO UPDATE SET base = excluded.base, t_error = excluded.t_error,
		placed = excluded.placed, last = excluded.last, best_time = excluded.best_time, best_utc = excluded.best_utc,
		best_error = excluded.best_error, best_source = excluded.best_source, guess_time = excluded.guess_time,
		guess_utc = excluded.guess_utc, guess_error = excluded.guess_error`,
		device, b.id, b.base, b.tError, b.placed, b.last, bt, bu, be, source, gt, gu, ge)
	if err != nil || b.stored {
		return err
	}
	b.ref, _, err = t.c.one("SELECT ref FROM boot WHERE device = ? AND boot = ?", device, b.id)
	b.stored = true
	k.byRef[b.ref] = b
	return err
}

// setBoot ties the epoch to its boot.
func (t *tx) setBoot(e *epochRow, k *clock, b *boot) error {
	if e.boot == b.ref {
		return nil
	}
	shift := b.base - k.baseOf(e.boot)
	e.boot = b.ref
	if err := t.c.exec("UPDATE epoch SET boot = ? WHERE ref = ?", b.ref, e.ref); err != nil {
		return err
	}
	if e.pos.Rows == 0 || shift == 0 {
		return nil
	}
	return t.noteEpoch(e.ref, e.firstID, shift)
}

// noteShift notes a correction for every epoch of the boot.
func (t *tx) noteShift(b *boot, shift int64) error {
	type target struct{ epoch, firstID int64 }
	var targets []target
	err := t.c.query("SELECT ref, first_id FROM epoch WHERE boot = ?", func(v []driver.Value) error {
		targets = append(targets, target{asInt(v[0]), asInt(v[1])})
		return nil
	}, b.ref)
	if err != nil {
		return err
	}
	for _, x := range targets {
		if err := t.noteEpoch(x.epoch, x.firstID, shift); err != nil {
			return err
		}
	}
	return nil
}

// noteEpoch notes that all rows the epoch has are off by shift. The few rows of latest values and of the epoch are
// corrected at once.
func (t *tx) noteEpoch(epoch, firstID, shift int64) error {
	last, err := t.lastID()
	if err != nil {
		return err
	}
	if err := t.flushLatest(); err != nil {
		return err
	}
	err = t.c.exec("UPDATE last_value SET t = t + ? WHERE epoch = ? AND form IN (SELECT ref FROM form WHERE clock = 1)",
		shift, epoch)
	if err != nil {
		return err
	}
	for _, e := range t.order {
		if e.ref == epoch && e.lastT != 0 {
			e.lastT, e.dirty = e.lastT+shift, true
		}
	}
	err = t.c.exec("UPDATE epoch SET last_t = last_t + ? WHERE ref = ? AND last_t <> 0", shift, epoch)
	if err != nil || last < firstID {
		return err
	}
	if _, more, err := t.c.one("SELECT 1 FROM correction LIMIT 1"); err != nil {
		return err
	} else if !more {
		if err := t.c.script("DROP VIEW readings; " + readingsCorrectingSQL); err != nil {
			return err
		}
	}
	return t.c.exec("INSERT INTO correction (epoch, done, upto, shift) VALUES (?,?,?,?)", epoch, firstID-1, last, shift)
}

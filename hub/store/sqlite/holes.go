package sqlite

import (
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// applyGaps records gaps and shrinks those that late rows fill.
func (t *tx) applyGaps(e *epochRow, c *store.Change) error {
	if len(c.Gaps)+len(c.ShrinkGaps) == 0 {
		return nil
	}
	e.gapsRead = false
	e.gaps = nil
	for _, g := range c.Gaps {
		if err := t.putGap(e, g); err != nil {
			return err
		}
	}
	for _, s := range c.ShrinkGaps {
		if err := t.c.exec("DELETE FROM gap WHERE epoch = ? AND first = ?", e.ref, int64(s.At)); err != nil {
			return err
		}
		e.gapped -= int64(s.Now.To - s.At)
		if s.Now.Len() > 0 {
			if err := t.putGap(e, s.Now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) putGap(e *epochRow, g record.Gap) error {
	e.gapped += int64(g.Len())
	return t.c.exec("INSERT INTO gap VALUES (?,?,?,?,?,?,?,?)", e.ref, int64(g.From), int64(g.To), int64(g.Reason),
		int64(g.ChainFrom), int64(g.ChainTo), g.TimeMin, g.TimeMax)
}

// applySkips lists what was not taken; touching ranges of one reason become one.
func (t *tx) applySkips(e *epochRow, c *store.Change) error {
	for _, d := range c.DeadLetters {
		err := t.c.exec(`INSERT INTO dead_letter (epoch, record_offset, reason, arrived, canonical) VALUES (?,?,?,?,?)`,
			e.ref, int64(d.Offset), d.Reason, t.now, notNil(d.Canonical))
		if err != nil {
			return err
		}
	}
	if len(c.Skips) == 0 {
		return nil
	}
	e.skipsRead = false
	e.skips = nil
	for _, k := range c.Skips {
		e.skipped += int64(k.Len())
		if err := t.putSkip(e, k); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putSkip(e *epochRow, k store.Skip) error {
	before, ok, err := t.c.one("SELECT first FROM skip WHERE epoch = ? AND next = ? AND reason = ?",
		e.ref, int64(k.From), k.Reason)
	if err != nil {
		return err
	}
	if ok {
		k.From = record.Offset(before)
	}
	after, ok, err := t.c.one("SELECT next FROM skip WHERE epoch = ? AND first = ? AND reason = ?",
		e.ref, int64(k.To), k.Reason)
	if err != nil {
		return err
	}
	if ok {
		if err := t.c.exec("DELETE FROM skip WHERE epoch = ? AND first = ?", e.ref, int64(k.To)); err != nil {
			return err
		}
		k.To = record.Offset(after)
	}
	return t.c.exec("INSERT OR REPLACE INTO skip VALUES (?,?,?,?)", e.ref, int64(k.From), int64(k.To), k.Reason)
}

// noteLate remembers a range that arrived out of order; touching ranges become one.
func (t *tx) noteLate(e *epochRow, r record.Range) error {
	first, ok, err := t.c.one("SELECT first FROM late WHERE epoch = ? AND next = ?", e.ref, int64(r.From))
	if err != nil {
		return err
	}
	if ok {
		return t.c.exec("UPDATE late SET next = ? WHERE epoch = ? AND first = ?", int64(r.To), e.ref, first)
	}
	return t.c.exec("INSERT INTO late VALUES (?,?,?)", e.ref, int64(r.From), int64(r.To))
}

// notNil keeps an empty value from becoming NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

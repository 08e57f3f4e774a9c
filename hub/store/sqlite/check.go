package sqlite

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// ErrChange is wrapped by the refusal of a change that contradicts itself: a bug of the caller.
var ErrChange = errors.New("bad change")

// check refuses a change that does not add up: rows and gaps must cover exactly what the position moves over, or what
// a fill takes out of gaps.
func check(c *store.Change) error {
	if c.Device == "" || c.Stream == "" || c.Epoch == 0 || c.To < c.From || c.To == c.From && c.ToChain != c.FromChain {
		return fmt.Errorf("%w: name, range or chain", ErrChange)
	}
	rows := record.Range{From: c.RowBase, To: c.RowBase + record.Offset(len(c.Rows))}
	covered := uint64(0)
	if c.Late {
		for _, g := range c.ShrinkGaps {
			if g.Now.From <= g.At || g.Now.To < g.Now.From {
				return fmt.Errorf("%w: gap shrink", ErrChange)
			}
			covered += uint64(g.Now.From - g.At)
		}
		if covered != rows.Len() || c.To != c.From || len(c.Gaps) > 0 {
			return fmt.Errorf("%w: fill of %d offsets with %d rows", ErrChange, covered, rows.Len())
		}
	} else {
		for _, g := range c.Gaps {
			if g.Len() == 0 || g.From < c.From || g.To > c.To {
				return fmt.Errorf("%w: gap [%d,%d)", ErrChange, g.From, g.To)
			}
			covered += g.Len()
		}
		outside := rows.Len() > 0 && (rows.From < c.From || rows.To > c.To)
		if outside || rows.Len()+covered != uint64(c.To-c.From) {
			return fmt.Errorf("%w: rows [%d,%d) and gaps of %d", ErrChange, rows.From, rows.To, covered)
		}
	}
	at := rows.From
	for _, k := range c.Skips {
		if k.From < at || k.To > rows.To || k.Len() == 0 {
			return fmt.Errorf("%w: skip [%d,%d)", ErrChange, k.From, k.To)
		}
		at = k.To
	}
	return nil
}

// readBack reports whether the change changes nothing.
func readBack(c *store.Change) bool {
	return !c.Create && !c.Quarantine && c.To == c.From && len(c.Rows) == 0 && len(c.ShrinkGaps) == 0 &&
		len(c.Gaps) == 0 && len(c.Definitions) == 0 && len(c.Producers) == 0 && len(c.Anchors) == 0 && c.Boot == ""
}

// matches is the compare of the compare-and-set.
func (t *tx) matches(device int64, e *epochRow, c *store.Change) (bool, error) {
	if c.Create {
		if e != nil {
			return false, nil
		}
		if c.Parent != 0 {
			p, err := t.epoch(device, c.Stream, c.Parent)
			if err != nil || p == nil || p.pos.Next < c.ParentEnd && !p.pos.Quarantined {
				return false, err
			}
		}
		return t.producersMatch(device, c)
	}
	if e == nil || e.pos.Next != c.From || e.pos.ChainNext != c.FromChain || e.pos.Quarantined && !readBack(c) {
		return false, nil
	}
	for _, g := range c.ShrinkGaps {
		next, ok, err := t.c.one("SELECT next FROM gap WHERE epoch = ? AND first = ?", e.ref, int64(g.At))
		if err != nil || !ok || record.Offset(next) != g.Now.To {
			return false, err
		}
	}
	return t.producersMatch(device, c)
}

func (t *tx) producersMatch(device int64, c *store.Change) (bool, error) {
	for i := range c.Producers {
		p := &c.Producers[i]
		known, same := false, false
		was := producerIn(c.ProducersFrom, p)
		err := t.c.query("SELECT taken FROM producer WHERE device = ? AND name = ? AND incarnation = ?",
			func(v []driver.Value) error {
				b, _ := v[0].([]byte)
				known, same = true, was != nil && bytes.Equal(b, was.Taken.Append(nil))
				return nil
			}, device, p.Name, int64(p.Incarnation))
		if err != nil {
			return false, err
		}
		if known != (was != nil) || known && !same {
			return false, nil
		}
	}
	return true, nil
}

func producerIn(list []store.Producer, p *store.Producer) *store.Producer {
	for i := range list {
		if list[i].Name == p.Name && list[i].Incarnation == p.Incarnation {
			return &list[i]
		}
	}
	return nil
}

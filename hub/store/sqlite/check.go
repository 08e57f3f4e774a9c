package sqlite

import (
	"bytes"
	"database/sql/driver"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

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
	if e == nil || e.pos.Next != c.From || e.pos.ChainNext != c.FromChain || e.pos.Quarantined && !c.Lower && !ledger.ReadBack(c) || !ledger.Lowers(c, e.pos.First) {
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

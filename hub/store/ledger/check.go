package ledger

import (
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// ErrChange is wrapped by the refusal of a change that contradicts itself: a bug of the caller.
var ErrChange = errors.New("bad change")

// Check refuses a change that does not add up: rows and gaps must cover exactly what the position moves over, or what
// a fill takes out of gaps.
func Check(c *store.Change) error {
	bad := func(what string) error {
		return fmt.Errorf("%w: %s of %s %s %s at %d", ErrChange, what, c.Device, c.Stream, c.Epoch, c.From)
	}
	if c.Device == "" || c.Stream == "" || c.Epoch == 0 || c.To < c.From || c.To == c.From && c.ToChain != c.FromChain {
		return bad("name, range or chain")
	}
	rows := record.Range{From: c.RowBase, To: c.RowBase + record.Offset(len(c.Rows))}
	covered := uint64(0)
	if c.Lower {
		at := c.First
		for _, g := range c.Gaps {
			if g.From != at || g.Len() == 0 {
				return bad("gap below the epoch")
			}
			at = g.To
		}
		if len(c.Gaps) == 0 || c.Create || c.Late || c.Quarantine || c.To != c.From || at > c.From || rows.Len() > 0 ||
			len(c.ShrinkGaps)+len(c.Skips)+len(c.Producers)+len(c.Anchors)+len(c.Definitions) > 0 {
			return bad("lower beginning")
		}
		return nil
	}
	if c.Late {
		for _, g := range c.ShrinkGaps {
			if g.Now.From <= g.At || g.Now.To < g.Now.From {
				return bad("gap shrink")
			}
			covered += uint64(g.Now.From - g.At)
		}
		if covered != rows.Len() || c.To != c.From || len(c.Gaps) > 0 {
			return bad("fill")
		}
	} else {
		for _, g := range c.ShrinkGaps {
			if g.Now.From != g.At || g.Now.To > c.From || g.Now.Len() == 0 {
				return bad("gap with another reason")
			}
		}
		for _, g := range c.Gaps {
			if g.Len() == 0 || g.From < c.From || g.To > c.To {
				return bad("gap")
			}
			covered += g.Len()
		}
		if rows.Len() > 0 && (rows.From < c.From || rows.To > c.To) || rows.Len()+covered != uint64(c.To-c.From) {
			return bad("cover")
		}
	}
	at := rows.From
	for _, k := range c.Skips {
		if k.From < at || k.To > rows.To || k.Len() == 0 {
			return bad("skip")
		}
		at = k.To
	}
	return nil
}

// Lowers is the compare of a change that lowers the beginning of an epoch.
func Lowers(c *store.Change, first record.Offset) bool {
	return !c.Lower || c.First < first && c.Gaps[len(c.Gaps)-1].To == first
}

// ReadBack reports whether the change changes nothing.
func ReadBack(c *store.Change) bool {
	return !c.Create && !c.Quarantine && c.To == c.From && len(c.Rows) == 0 && len(c.ShrinkGaps) == 0 &&
		len(c.Gaps) == 0 && len(c.Definitions) == 0 && len(c.Producers) == 0 && len(c.Anchors) == 0 && c.Boot == ""
}

// Runs calls f with each maximal run of rows that is not skipped, and its first offset.
func Runs(c *store.Change, f func(rows []record.Record, at record.Offset) error) error {
	at := c.RowBase
	upTo := func(to record.Offset) error {
		if to <= at {
			return nil
		}
		from := at
		at = to
		return f(c.Rows[from-c.RowBase:to-c.RowBase], from)
	}
	for _, s := range c.Skips {
		if err := upTo(s.From); err != nil {
			return err
		}
		at = s.To
	}
	return upTo(c.RowBase + record.Offset(len(c.Rows)))
}

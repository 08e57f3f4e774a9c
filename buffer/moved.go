package buffer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// layout is what of a log's tables a move replaces.
type layout struct {
	cur    segment.Epoch
	minted bool
	epochs []segment.Epoch
	gaps   gapTable
}

func (l *Log) layout() layout { return layout{l.cur, l.minted, l.epochs, l.gaps} }

// setLayout puts tables in place. mu is held.
func (l *Log) setLayout(t layout) {
	l.cur, l.minted, l.epochs, l.gaps = t.cur, t.minted, t.epochs, t.gaps
}

// after is the layout with the records moved. If the old epoch is the current one, or this opening has none, a new one
// is named that begins at durable; first are its opening records. mu is held.
func (m *mover) after() (t layout, first []record.Record) {
	l := m.l
	old := l.layout()
	t = layout{cur: l.cur, minted: l.minted}
	for _, e := range l.epochs {
		if e.Epoch == m.src.Epoch {
			e.End = m.at
			t.epochs = append(t.epochs, e)
			if m.at < m.end {
				t.epochs = append(t.epochs, m.dst)
			}
			continue
		}
		t.epochs = append(t.epochs, m.relinked(e))
	}
	for _, g := range l.gaps {
		if g.Epoch != m.src.Epoch || g.To <= m.at {
			t.gaps = append(t.gaps, g)
		}
	}
	t.gaps = append(t.gaps, m.gaps...)
	slices.SortFunc(t.gaps, func(a, b record.Gap) int {
		return cmp.Compare(a.From, b.From)
	})
	if !m.current && l.minted {
		t.cur = m.relinked(t.cur)
		return t, nil
	}
	t.minted = false
	l.setLayout(t)
	chain := l.chainDurable
	l.startEpoch(l.durable, l.chainDurable)
	l.chainDurable = chain
	first = l.opening()
	t.cur, t.minted = l.cur, true
	l.setLayout(old)
	return t, first
}

// relinked lets a child of the old epoch's end continue the moved one.
func (m *mover) relinked(e segment.Epoch) segment.Epoch {
	if e.Parent == m.src.Epoch && e.ParentEnd == m.end && m.at < m.end {
		e.Parent = m.dst.Epoch
	}
	return e
}

// commit makes the move count, by the header of a new segment of the current epoch that states the new tables.
func (m *mover) commit() error {
	l := m.l
	l.mu.Lock()
	if l.heldTail && !l.minted {
		l.mint() // a root above what is held: nothing of the move changes that
	}
	old := l.layout()
	next, first := m.after()
	delivered, owed := l.state.Delivered, l.state.Owed
	l.setLayout(next)
	l.deliveredBelow(m.at)
	h := l.header(l.snapshot(nil))
	l.setLayout(old)
	l.state.Delivered, l.state.Owed = delivered, owed
	l.mu.Unlock()
	ws, err := l.create(&h, l.opt.SegmentBytes+l.slack())
	if err != nil {
		// The header may come back after a power cut, and with it the move: nothing may be appended below it, and what
		// it names must stay, until a newer header is durable.
		l.retire()
		l.mu.Lock()
		l.w.stale = append(l.w.stale, m.paths()...)
		l.mu.Unlock()
		l.failedAttempt(err)
		return fmt.Errorf("make moved epoch durable: %w", err)
	}
	var gone []string
	l.mu.Lock()
	l.setLayout(next)
	l.deliveredBelow(m.at)
	l.segs = slices.DeleteFunc(slices.Clone(l.segs), func(s *seg) bool {
		if s.epoch != m.src.Epoch || s.held != nil || s.end <= m.at {
			return false
		}
		if s.base >= m.at {
			gone = append(gone, s.path)
			return true
		}
		s.end, s.chainEnd = m.at, m.chainAt
		return false
	})
	l.segs = append(l.segs, m.segs...)
	slices.SortStableFunc(l.segs, func(a, b *seg) int {
		return cmp.Compare(a.base, b.base)
	})
	l.forget()
	for _, r := range first {
		if checkRecord(&r, 0) == nil {
			l.push(&record.Draft{Records: []record.Record{r}})
		}
	}
	l.mu.Unlock()
	l.install(ws, &h)
	if e := l.set.opt.Events.EpochMinted; e != nil && m.at < m.end {
		l.mu.Lock()
		i := l.epochIndex(m.dst.Epoch)
		var info EpochInfo
		if i >= 0 {
			info = l.epochInfo(i)
		}
		l.mu.Unlock()
		e(l.name, info)
	}
	l.removeFiles(gone)
	return nil
}

package receive

import (
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// A hub may hear of an epoch first from a box whose disk has lost the epoch's beginning: it begins the epoch where that box
// does. When a copy of the disk tells that the epoch began before, by a frame or a hello, what lies between becomes a gap, to
// be filled like any other (H3). Its chains are 0 where the hub cannot know them: the first record that fills sets the one,
// nothing checks the other.

// beginning is the gap from where an epoch began to where a hub had begun it. A box that tells of it holds nothing below low:
// both have lost that, each for a reason of its own.
func beginning(p *store.Position, chainFirst uint64, first, low record.Offset) (gaps []record.Gap) {
	g := record.Gap{Epoch: p.Epoch, Range: record.Range{From: first, To: p.First}, Reason: record.ReasonDiskLost, ChainTo: chainFirst}
	if low = min(low, p.First); low > first {
		both := g
		both.To, both.Reason, both.ChainTo = low, record.ReasonSeveral, 0
		g.From = low
		gaps = append(gaps, both)
	}
	if g.Len() > 0 {
		gaps = append(gaps, g)
	}
	return gaps
}

// chainFirst is the chain at the beginning of an epoch, 0 if it is not known.
func chainFirst(p *store.Position) uint64 {
	if len(p.Marks) > 0 && p.Marks[0].Offset == p.First {
		return p.Marks[0].Chain
	}
	return 0
}

// lower lets an epoch begin where a frame says, if that is below where it does.
func (v *View) lower(e *epochView, first, low record.Offset, d *Decision) {
	if first >= e.pos.First {
		return
	}
	c := e.change(v.device, false)
	c.Lower, c.First, c.Gaps = true, first, beginning(&e.pos, e.chainFirst, first, low)
	e.pos.First, e.chainFirst = first, 0
	e.pos.Gaps = append(append([]record.Gap(nil), c.Gaps...), e.pos.Gaps...)
	d.Changes = append(d.Changes, c)
}

// lowered are the changes that let epochs begin where a hello says, if that is below where they do.
func lowered(device string, h *wire.Hello, positions []store.Position, fence store.Fence) (out []store.Change) {
	for _, s := range h.Streams {
		for i := range s.Epochs {
			e := &s.Epochs[i]
			for k := range positions {
				p := &positions[k]
				if p.Epoch != e.Epoch || p.Stream != s.Stream || e.First >= p.First {
					continue
				}
				out = append(out, store.Change{Device: device, Stream: p.Stream, Epoch: p.Epoch, Fence: fence, Lower: true, First: e.First,
					From: p.Next, FromChain: p.ChainNext, To: p.Next, ToChain: p.ChainNext, Gaps: beginning(p, chainFirst(p), e.First, e.Low)})
			}
		}
	}
	return out
}

package buffer

import (
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

func (f *file) moved() bool { return f.headed() && f.c.Header.Moved.From != 0 }

// unfinished leaves out the segments of a move that was not finished: the newest state does not name their epoch, and
// what they hold stands where it stood. Without these witnesses they count.
func (r *recovery) unfinished() {
	known := map[record.Epoch]bool{}
	for _, e := range r.state.Epochs {
		known[e.Epoch] = true
	}
	for _, f := range r.files {
		if f.moved() && !f.dup && !known[f.epoch] && r.stands(f) {
			f.dup = true
		}
	}
}

// stands: the records of a moved segment are still held by segments of the epoch that they were moved from.
func (r *recovery) stands(f *file) bool {
	at := f.base
	for again := true; again && at < f.c.Index.End; {
		again = false
		for _, o := range r.files {
			if o.headed() && !o.dup && o.epoch == f.c.Header.Moved.From && o.base <= at && o.c.Index.End > at {
				at, again = o.c.Index.End, true
			}
		}
	}
	return at >= f.c.Index.End
}

// rest is a move of which only segments without a header tell.
type rest struct {
	from, to record.Epoch
	end      record.Offset
}

// relink lets what continued the old epoch's end continue the moved one, as the newest state says it, too.
func (r *recovery) relink(table []segment.Epoch) {
	moves := r.moves
	for _, f := range r.files {
		if f.moved() && !f.dup {
			moves = append(moves, rest{f.c.Header.Moved.From, f.epoch, f.c.Header.Moved.End})
		}
	}
	for _, m := range moves {
		for i := range table {
			if e := &table[i]; e.Parent == m.from && e.ParentEnd == m.end && e.Epoch != m.to {
				e.Parent = m.to
			}
		}
	}
}

// chainAt is the chain at the end of an epoch that was cut there: what was moved away from it tells; else the next epoch
// continues it.
func (r *recovery) chainAt(e record.Epoch, end record.Offset, next uint64) uint64 {
	for _, f := range r.files {
		if f.moved() && !f.dup && f.c.Header.Moved.From == e && f.c.Header.First == end {
			return f.c.Header.Moved.Chain
		}
	}
	return next
}

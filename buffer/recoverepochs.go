package buffer

import (
	"slices"
	"sort"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// epochs makes the table: what the newest state restates, and what the segments say.
func (r *recovery) epochs() {
	l := r.l
	table := slices.Clone(r.state.Epochs)
	at := map[record.Epoch]int{}
	ends := map[record.Epoch]record.Offset{} // as the segments say: a later one begins at what was durable, whatever stands in those before
	for i, e := range table {
		at[e.Epoch] = i
	}
	for _, f := range r.files {
		if f.held != nil || f.blank || f.dup {
			continue
		}
		_, ok := at[f.epoch]
		if !ok && r.superseded(f) {
			continue
		}
		if !ok {
			h := &f.c.Header
			e := segment.Epoch{Epoch: f.epoch, Parent: h.Parent, ParentEnd: h.ParentEnd, First: h.First, End: h.First, ChainFirst: h.ChainFirst, Boot: h.Boot}
			if f.c.Lost {
				e = r.infer(f, table)
			}
			at[f.epoch] = len(table)
			table = append(table, e)
		}
		if f.headed() || f.c.Index.End > ends[f.epoch] {
			ends[f.epoch] = f.c.Index.End
		}
	}
	for i := range table {
		table[i].End = max(table[i].End, ends[table[i].Epoch])
	}
	for _, f := range r.files {
		if i, ok := at[f.epoch]; ok && f.c != nil && f.c.Lost && !f.blank && !f.dup && table[i].First == f.base {
			f.begins(table[i].ChainFirst)
		}
	}
	r.relink(table)
	sort.SliceStable(table, func(i, j int) bool { return table[i].First < table[j].First })
	for i := range table {
		for _, c := range table[i+1:] {
			if c.Parent == table[i].Epoch {
				table[i].End = c.ParentEnd
			}
		}
		if i+1 < len(table) {
			table[i].End = min(table[i].End, table[i+1].First)
		}
	}
	l.epochs = table
}

// superseded: an epoch that holds nothing, or whose records were all moved into a newer epoch that begins no later, or
// whose offsets are another epoch's in the newest state: the file of a move that could not be removed.
func (r *recovery) superseded(f *file) bool {
	first := f.c.Header.First
	if f.c.Lost {
		first = f.base // the little that was kept of a segment that was being created must not begin an epoch
	}
	if f.c.Index.End == first && len(f.c.Damage) == 0 {
		return true
	}
	if f.headed() && r.taken(f) {
		return true
	}
	for _, n := range r.files {
		if n.headed() && n.moved() && (n.dup || n.c.Header.Moved.From != f.epoch) {
			continue
		}
		if f.headed() && n.headed() && n.c.Header.Opening > f.c.Header.Opening && n.c.Header.First <= f.c.Header.First {
			return true
		}
	}
	return false
}

// begins: the chain at the base of a segment without a header is known after all; what was taken for it is the chain at
// the first block that can be read.
func (f *file) begins(chain uint64) {
	c := f.c
	c.Header.ChainBase, c.Index.ChainBase = chain, chain
	if len(c.Damage) > 0 && c.Damage[0].From == f.base {
		c.Damage[0].ChainFrom = chain
	}
}

// taken: the newest state says that the offsets of this file, whose epoch it does not name, are another epoch's. Where
// that is the epoch that the file's records were moved from, the state may be older than the move: only a gap tells then.
func (r *recovery) taken(f *file) bool {
	for _, e := range r.state.Epochs {
		both := record.Range{From: max(e.First, f.base), To: min(e.End, f.c.Index.End)}
		if e.Epoch == f.epoch || both.From >= both.To {
			continue
		}
		if !f.moved() || e.Epoch != f.c.Header.Moved.From || gapTable(r.state.Gaps).covered(both) {
			return true
		}
	}
	return false
}

// infer is an epoch whose only segment has lost its header: the child of what stands below it, or a root where the newest
// state knows an epoch that goes on there, from which it was moved.
func (r *recovery) infer(f *file, table []segment.Epoch) segment.Epoch {
	e := segment.Epoch{Epoch: f.epoch, First: f.base, End: f.base, ChainFirst: f.c.Header.ChainBase}
	for _, s := range r.state.Epochs {
		if s.First <= f.base && f.base < s.End {
			r.moves = append(r.moves, rest{from: s.Epoch, to: f.epoch, end: s.End})
			e.End = s.End
			return e
		}
	}
	for _, p := range table {
		if p.End == f.base && p.First < p.End && !f.apart {
			e.Parent, e.ParentEnd = p.Epoch, p.End
		}
	}
	return e
}

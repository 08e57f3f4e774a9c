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
	var inferred []*file                     // first of an epoch that nothing names
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
				inferred = append(inferred, f)
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
	for _, f := range inferred {
		r.reachDown(f, at[f.epoch], table)
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

// infer is an epoch of which no header is left: the child of what stands below it, or a root where the newest state knows
// an epoch that goes on there, from which it was moved.
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

// reachDown lets an inferred epoch begin where the offsets that are missing below f, its first file with a block, do, and
// makes damage of them. That they were durable f's name says, or that of a file of the epoch in which nothing is left:
// offsets read on. Whoever had them, no other epoch can name them any more; and a hub that has taken some of them would
// ask for the rest for ever if the epoch began above.
func (r *recovery) reachDown(f *file, i int, table []segment.Epoch) {
	top, first := f.base, f.base
	for _, o := range r.files {
		switch {
		case o.held != nil && o.base < top:
			return // what is in it is not known: nothing is declared lost
		case o.blank && o.epoch == f.epoch:
			first = min(first, o.base)
		}
	}
	below := -1
	for k, p := range table {
		switch {
		case k == i || p.First >= p.End || p.First >= top:
		case p.End > top:
			return // it holds, or names, what stood there
		case below < 0 || p.End > table[below].End:
			below = k
		}
	}
	e := &table[i]
	if below >= 0 {
		first = table[below].End
	}
	if first == top {
		return
	}
	e.First = first
	if below >= 0 {
		p := &table[below]
		e.Parent, e.ParentEnd, e.ChainFirst = p.Epoch, first, r.chainOf(p.Epoch, first, e.ChainFirst)
	}
	c := f.c
	d := segment.Damage{Range: record.Range{From: first, To: top}, ChainFrom: e.ChainFirst, ChainTo: c.Index.ChainBase}
	if len(c.Damage) > 0 && c.Damage[0].From == top { // the chain between the two is a guess: no border stands there
		d.To, d.ChainTo = c.Damage[0].To, c.Damage[0].ChainTo
		c.Damage = c.Damage[1:]
	}
	c.Damage = slices.Insert(c.Damage, 0, d)
}

// chainOf is the chain at the end of an epoch, as its last file has it.
func (r *recovery) chainOf(e record.Epoch, end record.Offset, other uint64) uint64 {
	for _, f := range r.files {
		if f.epoch == e && f.held == nil && !f.blank && !f.dup && f.c.Index.End == end {
			return f.c.Index.ChainEnd
		}
	}
	return other
}

package buffer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

const tmpSuffix = ".tmp" // of a file that was never finished

// file is one segment file as recovery sees it.
type file struct {
	c     *segment.Contents
	base  record.Offset // from the header, else from the name
	epoch record.Epoch
	held  error // of a newer format
	lock  error // its key is missing
	blank bool  // nothing in it was recognised
	dup   bool
	gone  bool // to be left out: holds nothing that counts
}

// recovery is the opening of one stream.
type recovery struct {
	l      *Log
	files  []*file
	state  segment.State
	stats  Recovery
	remove []string
}

// recover finds out what the stream's directory holds. It changes nothing that holds a record; on a set opened for
// writing it makes durable what it found and removes what holds nothing.
func (l *Log) recover() error {
	r := recovery{l: l}
	if err := r.list(); err != nil {
		return err
	}
	if err := r.order(); err != nil {
		return err
	}
	if err := r.load(); err != nil {
		return err
	}
	r.unfinished()
	r.epochs()
	r.clip()
	r.gaps()
	if err := r.settle(); err != nil {
		return err
	}
	r.finish()
	if e := l.set.opt.Events.Recovered; e != nil {
		e(l.name, r.stats)
	}
	return nil
}

func (r *recovery) list() error {
	l := r.l
	infos, err := l.set.fs.List(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", l.dir, err)
	}
	for _, in := range infos {
		p := path.Join(l.dir, in.Name)
		if strings.HasSuffix(in.Name, tmpSuffix) {
			r.remove = append(r.remove, p) // a move that was not finished
			continue
		}
		base, epoch, ok := parseName(in.Name)
		if !ok || in.Dir {
			continue
		}
		f, err := l.peek(p)
		if l.set.readOnly && errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile by the writer beside us
		}
		if err != nil {
			return err
		}
		f.name(l.opt.Name, base, epoch)
		r.files = append(r.files, f)
	}
	return nil
}

// peek reads a header. Only an error of the disk is returned.
func (l *Log) peek(p string) (*file, error) {
	h, err := l.set.fs.Open(p)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	c, err := segment.Peek(h, p)
	f := &file{c: c}
	switch {
	case errors.Is(err, segment.ErrNewer):
		f.held, err = err, nil
	case errors.Is(err, segment.ErrFormat):
		f.blank, err = true, nil
	}
	return f, errors.Join(err, h.Close())
}

// name takes from the file's name what its header does not tell.
func (f *file) name(stream string, base record.Offset, epoch record.Epoch) {
	f.base, f.epoch = base, epoch
	switch {
	case f.held != nil || f.blank:
	case f.c.Lost && base > f.c.Header.Base:
		f.blank = true // old contents that resurfaced: no segment holds what lies below its name
	case f.c.Lost:
		f.c.Header.Epoch, f.c.Header.Base = epoch, base
	case stream != "" && f.c.Header.Stream != stream:
		f.blank = true // the header of a segment of another stream that resurfaced here
	default:
		f.base, f.epoch = f.c.Header.Base, f.c.Header.Epoch
	}
}

func (f *file) headed() bool { return f.held == nil && !f.blank && !f.c.Lost }

// order sorts the files as they were written: by opening and number; those that cannot tell these by base.
func (r *recovery) order() error {
	var known, rest []*file
	for _, f := range r.files {
		if f.headed() {
			known = append(known, f)
		} else {
			rest = append(rest, f)
		}
	}
	sort.SliceStable(known, func(i, j int) bool {
		a, b := &known[i].c.Header, &known[j].c.Header
		if a.Opening != b.Opening {
			return a.Opening < b.Opening
		}
		return a.Seq < b.Seq
	})
	if err := r.twins(known); err != nil {
		return err
	}
	for _, f := range rest {
		if f.held == nil && !f.blank && slices.ContainsFunc(known, func(k *file) bool { return k.headed() && k.c.Header.Salt == f.c.Header.Salt }) {
			f.blank = true // blocks of another segment that resurfaced here
		}
		i := 0
		for i < len(known) && (known[i].base < f.base || known[i].base == f.base && known[i].epoch == f.epoch) {
			i++
		}
		known = slices.Insert(known, i, f)
	}
	r.files = known
	return nil
}

// twins leaves out all but one of the files that have the same header: copies, or a file in which old contents of the
// disk resurfaced. The one that holds most counts; of equals, the one whose name is its own.
func (r *recovery) twins(known []*file) error {
	same := func(a, b *file) bool {
		return a.c.Header.Salt == b.c.Header.Salt && a.epoch == b.epoch && a.c.Header.Seq == b.c.Header.Seq
	}
	for i := 0; i < len(known); i++ {
		n := i + 1
		for n < len(known) && same(known[i], known[n]) {
			n++
		}
		if n == i+1 {
			continue
		}
		best, most := -1, record.Offset(0)
		for k := i; k < n; k++ {
			end, err := r.reaches(known[k])
			if err != nil {
				return err
			}
			if best < 0 || end > most || end == most && known[k].ownName() && !known[best].ownName() {
				best, most = k, end
			}
		}
		for k := i; k < n; k++ {
			known[k].dup = k != best
		}
		i = n - 1
	}
	return nil
}

// reaches is the offset up to which a file can be read.
func (r *recovery) reaches(f *file) (record.Offset, error) {
	h, err := r.l.set.fs.Open(f.c.Path)
	if err != nil {
		return 0, fmt.Errorf("open segment: %w", err)
	}
	c := *f.c
	if err := errors.Join(c.Load(h, 0), h.Close()); err != nil {
		return 0, fmt.Errorf("read segment: %w", err)
	}
	return c.Index.End, nil
}

// ownName: the file's name says what its header says.
func (f *file) ownName() bool {
	base, epoch, ok := parseName(path.Base(f.c.Path))
	return ok && base == f.base && epoch == f.epoch
}

// load reads the contents in order and carries the state along.
func (r *recovery) load() error {
	l := r.l
	var prev *file
	for i, f := range r.files {
		if f.held != nil || f.blank || f.dup {
			if f.blank {
				l.set.opt.Events.damaged(l.name, &segment.CorruptionError{Path: f.c.Path, Err: segment.ErrFormat})
			}
			continue
		}
		if f.c.Lost {
			f.c.Header.State = r.state
			if prev != nil && prev.c.Index.End == f.base {
				f.c.Header.ChainBase = prev.c.Index.ChainEnd
			}
		}
		h, err := l.set.fs.Open(f.c.Path)
		if err != nil {
			return fmt.Errorf("open segment: %w", err)
		}
		if f.c.Key, err = f.c.DataKey(h, &l.set.opt.Keys); errors.Is(err, segment.ErrKey) {
			f.lock, err = err, nil
		}
		if err == nil {
			err = f.c.Load(h, r.reach(i))
		}
		if err = errors.Join(err, h.Close()); err != nil {
			return fmt.Errorf("read segment: %w", err)
		}
		for _, e := range f.c.Notes {
			l.set.opt.Events.damaged(l.name, e)
		}
		r.count(f)
		if !f.c.Scanned {
			f.c.Index.Entries = nil // the file has them; of a large log they would be most of what opening keeps
		}
		if !f.moved() {
			r.state = f.c.State
		}
		f.c.Header.State = segment.State{}
		if f.c.Sealed && !f.c.Scanned {
			f.c.State = segment.State{} // with thousands of segments the same cursors and epochs thousands of times
		}
		l.w.opening = max(l.w.opening, f.c.Header.Opening)
		prev = f
	}
	l.w.opening++
	return nil
}

func (r *recovery) count(f *file) {
	if f.c.Scanned {
		r.stats.Scanned++
	}
	if len(f.c.Notes) > 0 {
		r.stats.Damaged++
	}
	r.stats.TornBytes += f.c.Torn
}

// reach is what a later segment says to have been durable in the i-th, 0 if none says anything.
func (r *recovery) reach(i int) record.Offset {
	for _, n := range r.files[i+1:] {
		if !n.headed() || n.dup || n.moved() && n.epoch != r.files[i].epoch {
			continue
		}
		switch h := &n.c.Header; {
		case h.Epoch == r.files[i].epoch:
			return h.Base
		case h.Parent == r.files[i].epoch:
			return h.ParentEnd
		}
		return 0
	}
	return 0
}

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
		i, ok := at[f.epoch]
		if !ok && r.superseded(f) {
			continue
		}
		if !ok {
			h := &f.c.Header
			e := segment.Epoch{Epoch: f.epoch, Parent: h.Parent, ParentEnd: h.ParentEnd, First: h.First, End: h.First, ChainFirst: h.ChainFirst, Boot: h.Boot}
			if f.c.Lost {
				e = r.infer(f, table)
			}
			i = len(table)
			table = append(table, e)
			at[f.epoch] = i
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

// infer is an epoch whose only segment has lost its header: the child of what stands below it.
func (r *recovery) infer(f *file, table []segment.Epoch) segment.Epoch {
	e := segment.Epoch{Epoch: f.epoch, First: f.base, End: f.base, ChainFirst: f.c.Header.ChainBase}
	for _, p := range table {
		if p.End == f.base && p.First < p.End {
			e.Parent, e.ParentEnd = p.Epoch, p.End
		}
	}
	return e
}

// clip cuts each segment where the next of its epoch, or the next epoch, begins.
func (r *recovery) clip() {
	l := r.l
	for i, f := range r.files {
		if f.blank || f.dup {
			continue
		}
		if f.held != nil {
			l.segs = append(l.segs, &seg{path: f.c.Path, epoch: f.epoch, base: f.base, end: f.base, bytes: f.c.Size, held: f.held})
			l.heldTail = true
			r.stats.Held++
			continue
		}
		c := f.c
		s := &seg{path: c.Path, epoch: f.epoch, opening: c.Header.Opening, seq: c.Header.Seq, salt: c.Header.Salt, start: c.Start,
			limit: c.EndPos, bytes: c.Size, base: f.base, end: c.Index.End, chainBase: c.Header.ChainBase, chainEnd: c.Index.ChainEnd,
			boot: c.Index.Boot, utc: c.Index.UTC, key: c.Key, held: f.lock, known: f.lock != nil}
		if c.Lost {
			s.base, s.chainBase = c.Index.Base, c.Index.ChainBase
		}
		if c.Scanned {
			x := c.Index
			s.index = &x
		}
		j := l.epochIndex(f.epoch)
		if j < 0 {
			f.gone = true
			continue
		}
		for _, n := range r.files[i+1:] {
			if n.epoch == f.epoch && n.headed() && !n.dup && n.base < s.end {
				s.end, s.chainEnd = n.base, n.c.Header.ChainBase
			}
		}
		if s.end > l.epochs[j].End {
			s.end = l.epochs[j].End
			if j+1 < len(l.epochs) {
				s.chainEnd = r.chainAt(f.epoch, s.end, l.epochs[j+1].ChainFirst)
			}
		}
		if s.end <= s.base {
			f.gone = true
			continue
		}
		if f.lock != nil {
			r.stats.Held++
			r.stats.Locked++
		}
		l.segs = append(l.segs, s)
		l.heldTail = false
	}
	sort.SliceStable(l.segs, func(i, j int) bool { return l.segs[i].base < l.segs[j].base })
	r.stats.Segments = len(l.segs)
}

// gaps are those that are known, what is damaged, and what is missing although it was there.
func (r *recovery) gaps() {
	l := r.l
	ends := map[record.Epoch]record.Range{}
	for _, e := range l.epochs {
		ends[e.Epoch] = record.Range{From: e.First, To: e.End}
	}
	l.gaps = gapTable(r.state.Gaps).clip(ends)
	r.dropCovered()
	found := len(l.gaps)
	for _, f := range r.files {
		if f.held != nil || f.blank || f.dup || f.gone {
			continue
		}
		for _, d := range f.c.Damage {
			if c, ok := l.gaps.chain(d.From); ok && f.c.Lost {
				d.ChainFrom = c // what a segment without its header begins with was guessed from its blocks
			}
			if d.To = min(d.To, ends[f.epoch].To); d.From < d.To {
				l.gaps = l.gaps.with(record.Gap{Epoch: f.epoch, Range: d.Range, Reason: record.ReasonCorrupt, ChainFrom: d.ChainFrom, ChainTo: d.ChainTo})
			}
		}
	}
	for i := range l.epochs {
		r.holes(l.epochs[i])
	}
	l.gaps = l.gaps.bounded()
	l.dirty.gaps = len(l.gaps) != found
}

// dropCovered leaves out segments of which every record is already a gap: their removal was interrupted.
func (r *recovery) dropCovered() {
	l := r.l
	l.segs = slices.DeleteFunc(l.segs, func(s *seg) bool {
		if s.held != nil && !s.known || !l.gaps.covered(record.Range{From: s.base, To: s.end}) {
			return false
		}
		for o := s.base; o < s.end; {
			g, _ := l.gaps.at(o)
			if g.Reason == record.ReasonCorrupt {
				return false // a damaged file stays until retention takes it
			}
			if s.held != nil && g.Reason != record.ReasonErased {
				return false // its key may come back
			}
			o = g.To
		}
		r.remove = append(r.remove, s.path)
		return true
	})
}

// holes makes gaps of what an epoch had and no file or gap holds any more.
func (r *recovery) holes(e segment.Epoch) {
	l := r.l
	at, chain := e.First, e.ChainFirst
	hole := func(to record.Offset, chainTo uint64, torn bool) {
		for at < to {
			if g, ok := l.gaps.at(at); ok {
				at, chain = g.To, g.ChainTo
				continue
			}
			g := record.Gap{Epoch: e.Epoch, Range: record.Range{From: at, To: to}, Reason: record.ReasonDiskLost, ChainFrom: chain, ChainTo: chainTo}
			if torn {
				g.Reason = record.ReasonCorrupt
			}
			if n, ok := l.gaps.next(at); ok && n.From < to {
				g.To, g.ChainTo = n.From, n.ChainFrom
			}
			l.gaps = l.gaps.with(g)
			at, chain = g.To, g.ChainTo
		}
	}
	torn := false
	for _, s := range l.segs {
		if s.held != nil && !s.known && s.epoch == e.Epoch {
			return // what is in it is not known: nothing is declared lost
		}
		if s.epoch != e.Epoch {
			continue
		}
		hole(s.base, s.chainBase, torn)
		at, chain = max(at, s.end), s.chainEnd
		torn = s.index != nil
	}
	end := chain
	for _, c := range l.epochs {
		if c.Parent == e.Epoch && c.ParentEnd == e.End {
			end = c.ChainFirst
		}
	}
	hole(e.End, end, torn)
}

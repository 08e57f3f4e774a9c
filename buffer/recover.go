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
	gone  bool          // to be left out: holds nothing that counts
	block record.Offset // where the first block stands, of one without a header: Header.ChainBase is the chain there
	apart bool          // one without a header that does not continue what stands below it
}

// recovery is the opening of one stream.
type recovery struct {
	l      *Log
	files  []*file
	state  segment.State
	stats  Recovery
	remove []string
	moves  []rest
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
	if err := r.rests(); err != nil {
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
		f.block = f.c.Header.Base
		f.c.Header.Epoch, f.c.Header.Base = epoch, base
	case stream != "" && f.c.Header.Stream != stream:
		f.blank = true // the header of a segment of another stream that resurfaced here
	default:
		f.base, f.epoch = f.c.Header.Base, f.c.Header.Epoch
	}
}

func (f *file) headed() bool { return f.held == nil && !f.blank && !f.c.Lost }

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
				f.apart = f.block == f.base && f.c.Header.ChainBase != prev.c.Index.ChainEnd
			}
			if prev != nil && prev.c.Index.End == f.base && !f.apart {
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
		if l.set.readOnly && !c.Sealed && len(c.Notes) == 0 {
			s.bytes = c.EndPos // the rest is room that is reserved; a recovery gives it back
		}
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
			s := r.segOf(f)
			if s != nil && d.To > s.end { // the rest of it does not count: a later segment, or another epoch, has it
				d.To, d.ChainTo = s.end, s.chainEnd
			}
			if s != nil && d.From < d.To {
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

// segOf is what counts of a file, nil if nothing does or gaps take its place.
func (r *recovery) segOf(f *file) *seg {
	for _, s := range r.l.segs {
		if s.path == f.c.Path {
			return s
		}
	}
	return nil
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

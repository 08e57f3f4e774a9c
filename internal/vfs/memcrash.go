package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Keep says what of the changes that are not durable a power cut leaves on the disk.
type Keep uint8

const (
	KeepNone   Keep = iota // nothing: the least that the disk promises
	KeepAll                // everything: the disk was fast
	KeepRandom             // a random subset, some of it torn
)

// CrashOptions says how the power cut went.
type CrashOptions struct {
	Keep Keep
	// Rand decides for KeepRandom; it must not be nil there. The same seed on the same Mem gives the same clone.
	Rand *rand.Rand
	// Stale lets KeepRandom show old contents of the disk (of removed or truncated files; random bytes if there are
	// none) in blocks that had no durable content and whose write was lost although their allocation was not.
	Stale bool
}

// CrashClone returns the disk as it may be found after a power cut at this moment; m itself is unchanged. Whatever the
// clone holds is durable in it. It has no locks, no open files, no hook, syncs honestly, runs, and has the same
// capacity.
//
// Everything durable is in the clone, unchanged. Of the rest, KeepRandom keeps a random subset:
//
//   - Of the directory changes each is kept or not, whatever became of the others (sometimes all up to one of them are
//     kept, as with a journal); they are applied in order. A rename happened or did not; a file has one name at most,
//     and one that was only renamed has one. A kept change below a directory that did not make it is gone.
//   - Of a file's writes each is kept whole, lost whole or torn, whatever became of the others (sometimes all up to one
//     of them are kept, as with ordered writeback). A torn write is split at multiples of 512 or 4096 bytes of the file;
//     a prefix, a suffix or any subset of the parts is kept.
//   - What was lost shows what was there before; in blocks without durable content it may also show zeros, or with
//     Stale the disk's old contents.
//   - Truncates and reservations are kept or not.
//   - The file's size is that of the kept changes or, unless a truncate is among them, any size that the file had since
//     the last sync: data may be kept and the size lost, and the other way round.
//
// It takes some ten microseconds for a disk of 1 MiB, as pages are shared between clones.
func (m *Mem) CrashClone(o CrashOptions) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &crash{opt: o, r: o.Rand, graves: m.graves, out: NewMem()}
	if o.Keep == KeepRandom {
		c.p = 0.25 * float64(1+c.r.IntN(3))
	}
	c.replayDirs(m.dirOps)
	c.out.graves = slices.Clone(m.graves)
	c.out.capacity = m.capacity
	c.cloneDir(m.root.dir, c.out.root.dir)
	c.out.subset = c.hash
	return c.out
}

// Subset identifies what CrashClone kept to make this Mem: clones of one Mem in one state with different values differ
// in what was kept. 0 is nothing, or a Mem that is no clone.
func (m *Mem) Subset() uint64 { return m.subset }

// crash is one power cut being played.
type crash struct {
	opt    CrashOptions
	r      *rand.Rand
	p      float64 // how likely a change is kept
	views  map[*directory]map[string]*node
	graves []pages
	out    *Mem
	seq    uint64 // decisions taken
	hash   uint64 // over the kept ones
	buf    []byte
}

// note counts a decision; outcome 0 is "lost".
func (c *crash) note(outcome uint64) {
	c.seq++
	if outcome == 0 {
		return
	}
	x := c.seq*0x9e3779b97f4a7c15 + outcome
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	c.hash ^= x ^ x>>31
}

// noteKept counts a decision about a change that is kept whole or not at all.
func (c *crash) noteKept(kept bool) {
	if kept {
		c.note(1)
	} else {
		c.note(0)
	}
}

// replayDirs works out the entries of each changed directory.
func (c *crash) replayDirs(ops []dirOp) {
	c.views = make(map[*directory]map[string]*node)
	view := func(d *directory) map[string]*node {
		v, ok := c.views[d]
		if !ok {
			v = maps.Clone(d.durable)
			c.views[d] = v
		}
		return v
	}
	for _, op := range ops {
		if op.from != nil {
			view(op.from)
		}
		if op.to != nil {
			view(op.to)
		}
	}
	// A file whose rename did not happen still has its old name: a later change of that name, which takes the rename
	// for granted, did not happen either. Otherwise the file would have neither name.
	moved := make(map[*node]bool)
	stays := func(there, mover *node) bool { return there != mover && moved[there] }
	upTo := c.upTo(len(ops))
	for i, op := range ops {
		kept := c.fate(i, upTo) == fateKept && !(op.from != nil && stays(view(op.from)[op.fromName], op.n)) &&
			!(op.to != nil && stays(view(op.to)[op.toName], op.n))
		c.noteKept(kept)
		if !kept {
			if op.from != nil && op.to != nil {
				moved[op.n] = true
			}
			continue
		}
		delete(moved, op.n)
		if op.from != nil && op.to != nil {
			// An earlier rename of the same file may not have happened: it leaves the name that it really had.
			for _, v := range c.views {
				maps.DeleteFunc(v, func(_ string, n *node) bool { return n == op.n })
			}
		}
		op.apply(view)
	}
}

// cloneDir fills dst with what survived below src.
func (c *crash) cloneDir(src, dst *directory) {
	entries, ok := c.views[src]
	if !ok {
		entries = src.durable
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		n := entries[name]
		var to *node
		if n.dir != nil {
			to = newDirAt(n.mtime)
			c.cloneDir(n.dir, to.dir)
		} else {
			to = &node{file: c.cloneContent(n.file), links: 1, mtime: n.mtime}
			c.out.used += to.file.now.allocated()
		}
		dst.now[name], dst.durable[name] = to, to
	}
}

func newDirAt(t time.Time) *node {
	return &node{dir: &directory{now: map[string]*node{}, durable: map[string]*node{}}, links: 1, mtime: t}
}

// cloneContent is what survived of a file.
func (c *crash) cloneContent(f *content) *content {
	var t pages
	var size int64
	switch {
	case c.opt.Keep == KeepNone, len(f.pending)+len(f.lost) == 0:
		t, size = f.durable.clone(), f.durableSize
	case c.opt.Keep == KeepAll:
		for range len(f.pending) + len(f.lost) {
			c.note(1)
		}
		f.freeze()
		t, size = f.now.clone(), f.size
	default:
		t, size = c.replay(f)
	}
	return &content{now: t, size: size, durable: t.clone(), durableSize: size, link: f.link}
}

// replay applies a random subset of a file's mutations to its durable content.
func (c *crash) replay(f *content) (pages, int64) {
	t, size, tok := f.durable.clone(), f.durableSize, new(token)
	upTo := c.upTo(len(f.pending) + len(f.lost))
	for i, m := range f.lost {
		w := writeReplay{m: m, only: f.lostPages, durable: f.durable, fate: c.fate(i, upTo)}
		size = max(size, c.replayWrite(&t, tok, w))
	}
	truncated := false
	for i, m := range f.pending {
		fate := c.fate(len(f.lost)+i, upTo)
		if m.kind == OpWrite {
			w := writeReplay{m: m, durable: f.durable, fate: fate}
			size = max(size, c.replayWrite(&t, tok, w))
			continue
		}
		truncated = truncated || m.kind == OpTruncate
		c.noteKept(fate != fateLost)
		switch {
		case fate == fateLost:
		case m.kind == OpTruncate:
			t.trim(m.size, tok)
			size = m.size
		default:
			t.reserve(m.size)
			size = max(size, m.size)
		}
	}
	if !truncated && len(f.pending) > 0 && c.r.IntN(2) == 0 {
		other := f.durableSize
		if i := c.r.IntN(len(f.pending) + 1); i < len(f.pending) {
			other = f.pending[i].after
		}
		if other != size {
			c.note(uint64(other)<<1 | 1)
			size = other
		}
	}
	t.trim(size, tok)
	return t, size
}

// fate is what becomes of a change.
type fate uint8

const (
	fateLost fate = iota
	fateTorn
	fateKept
)

// upTo decides whether changes reached the disk in order: then everything below the result is kept and everything above
// it lost. -1: in any order.
func (c *crash) upTo(n int) int {
	if c.opt.Keep != KeepRandom || c.r.IntN(4) > 0 {
		return -1
	}
	return c.r.IntN(n + 1)
}

// fate decides about change i. With upTo not negative everything before that one is kept and everything after it lost.
// What is not a write takes "torn" as kept (in a file) or lost (in a directory).
func (c *crash) fate(i, upTo int) fate {
	switch {
	case c.opt.Keep == KeepNone:
		return fateLost
	case c.opt.Keep == KeepAll:
		return fateKept
	case upTo >= 0 && i < upTo:
		return fateKept
	case upTo >= 0 && i > upTo:
		return fateLost
	case upTo >= 0 || c.r.IntN(4) == 0:
		return fateTorn
	case c.r.Float64() < c.p:
		return fateKept
	}
	return fateLost
}

// writeReplay is one write to play.
type writeReplay struct {
	m       mutation
	only    map[int64]bool // if not nil, only these blocks
	durable pages
	fate    fate
}

// replayWrite plays one write and returns the end of what was kept, 0 if nothing was.
func (c *crash) replayWrite(t *pages, tok *token, w writeReplay) int64 {
	off, end := w.m.off, w.m.off+int64(len(w.m.data))
	unit := int64(SectorSize)
	if c.r.IntN(2) == 0 {
		unit = PageSize
	}
	first := off / unit
	keeps := c.pattern(w.fate, (end+unit-1)/unit-first)
	fill := c.filler()
	var keptEnd int64
	outcome, whole := uint64(0), true
	for lo := off; lo < end; {
		hi := min(end, (lo/unit+1)*unit)
		switch block := lo / PageSize; {
		case w.only != nil && !w.only[block]:
			// a later sync wrote this block again
		case keeps(lo/unit - first):
			t.writeAt(w.m.data[lo-off:hi-off], lo, tok)
			for s := lo / SectorSize; s <= (hi-1)/SectorSize; s++ {
				outcome = (outcome ^ uint64(s+1)) * 0x100000001b3
			}
			keptEnd = hi
		default:
			whole = false
			if fill != nil && !w.durable.written(block) {
				p := c.buffer(int(hi - lo))
				fill(p, lo)
				if t.writeIfNew(p, lo, tok) {
					outcome = (outcome ^ uint64(lo)<<8) * 0x100000001b3
				}
			}
		}
		lo = hi
	}
	if whole {
		outcome = 1
	}
	c.note(outcome)
	return keptEnd
}

// pattern says which of n parts of a write are kept.
func (c *crash) pattern(f fate, n int64) func(i int64) bool {
	if f != fateTorn {
		return func(int64) bool { return f == fateKept }
	}
	k := c.r.Int64N(n + 1)
	switch c.r.IntN(3) {
	case 0:
		return func(i int64) bool { return i < k }
	case 1:
		return func(i int64) bool { return i >= k }
	default:
		return func(int64) bool { return c.r.IntN(2) == 0 }
	}
}

// filler is what lost parts of one write show in blocks without durable content; nil: what was there before.
func (c *crash) filler() func(p []byte, off int64) {
	switch x := c.r.IntN(4); {
	case x < 2:
		return nil
	case x == 2 || !c.opt.Stale:
		return func(p []byte, _ int64) { clear(p) }
	case len(c.graves) > 0 && c.r.IntN(4) > 0:
		g := c.graves[c.r.IntN(len(c.graves))]
		return g.readAt // the same place in the old file: a whole old batch may show up
	default:
		return func(p []byte, _ int64) {
			for i := range p {
				p[i] = byte(c.r.Uint32())
			}
		}
	}
}

func (c *crash) buffer(n int) []byte {
	c.buf = slices.Grow(c.buf[:0], n)[:n]
	return c.buf
}

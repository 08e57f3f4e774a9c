package segment

import (
	"encoding/binary"

	"github.com/edgelog/edgelog/buffer/record"
)

// Entry is one line of the index: it stands for about indexGroup bytes of blocks.
type Entry struct {
	Base      record.Offset // first offset of the group
	Pos       int64         // position of its first block
	Boot, UTC Times         // over the group
}

// Index says where in a segment what stands. A sealed segment ends with it; of an active one it is in memory.
//
//	index block body: sections summary, index, and those of State
//	last 16 bytes of a sealed file:
//	+----------------------+----------+--------------+
//	| pos of index blk u32 | salt u32 | "edgeidx\n"  |
//	+----------------------+----------+--------------+
type Index struct {
	Base, End           record.Offset
	ChainBase, ChainEnd uint64
	Boot, UTC           Times // over all batches
	Entries             []Entry
	Defs                []int64 // positions of the definitions blocks
}

const (
	trailerMagic = "edgeidx\n"
	trailerLen   = 16
)

// Add notes one more block.
func (x *Index) Add(b *Block) {
	if b.Type == BlockDefinitions {
		x.Defs = append(x.Defs, b.Pos)
		return
	}
	if b.Type != BlockBatch {
		return
	}
	if n := len(x.Entries); n == 0 || b.Pos-x.Entries[n-1].Pos >= indexGroup {
		x.Entries = append(x.Entries, Entry{Base: b.Base, Pos: b.Pos})
	}
	e := &x.Entries[len(x.Entries)-1]
	e.Boot.Join(b.Ext.Boot)
	e.UTC.Join(b.Ext.UTC)
	x.Boot.Join(b.Ext.Boot)
	x.UTC.Join(b.Ext.UTC)
	x.End, x.ChainEnd = b.End(), b.ChainEnd
}

// Find is the position of the last group that begins at or before o; ok is false if there is none.
func (x *Index) Find(o record.Offset) (int64, bool) {
	lo, hi := 0, len(x.Entries)
	for lo < hi {
		if m := (lo + hi) / 2; x.Entries[m].Base <= o {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == 0 {
		return 0, false
	}
	return x.Entries[lo-1].Pos, true
}

func appendOptTimes(b []byte, t Times) []byte {
	if !t.Has {
		return append(b, 0)
	}
	return appendTimes(append(b, 1), t)
}

func parseOptTimes(c *cursor) Times {
	if h := c.take(1); len(h) == 0 || h[0] == 0 {
		return Times{}
	}
	lo := c.varint()
	return Times{true, lo, int64(uint64(lo) + c.uvarint())}
}

func appendIndex(dst []byte, x *Index, s *State) []byte {
	dst = section(dst, secSummary, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(x.Base))
		b = binary.AppendUvarint(b, uint64(x.End))
		b = binary.LittleEndian.AppendUint64(b, x.ChainBase)
		b = binary.LittleEndian.AppendUint64(b, x.ChainEnd)
		b = appendOptTimes(b, x.Boot)
		return appendOptTimes(b, x.UTC)
	})
	dst = section(dst, secIndex, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(len(x.Defs)))
		last := int64(0)
		for _, p := range x.Defs {
			b = binary.AppendUvarint(b, uint64(p-last))
			last = p
		}
		base, pos := x.Base, int64(0)
		for _, e := range x.Entries {
			b = binary.AppendUvarint(b, uint64(e.Base-base))
			b = binary.AppendUvarint(b, uint64(e.Pos-pos))
			b = appendOptTimes(b, e.Boot)
			b = appendOptTimes(b, e.UTC)
			base, pos = e.Base, e.Pos
		}
		return b
	})
	return AppendState(dst, s)
}

func parseIndex(b []byte) (Index, State, error) {
	var x Index
	var s State
	seen := false
	err := sections(b, func(tag byte, c *cursor) {
		switch tag {
		case secSummary:
			seen = true
			x.Base, x.End = c.offset(), c.offset()
			x.ChainBase, x.ChainEnd = c.u64(), c.u64()
			x.Boot, x.UTC = parseOptTimes(c), parseOptTimes(c)
		case secIndex:
			parseEntries(&x, c)
		default:
			s.section(tag, c)
		}
	})
	if err == nil && (!seen || x.End < x.Base) {
		err = ErrFormat
	}
	return x, s, err
}

func parseEntries(x *Index, c *cursor) {
	last := int64(0)
	for range c.count(len(c.b)) {
		last += int64(c.uvarint())
		x.Defs = append(x.Defs, last)
	}
	base, pos := x.Base, int64(0)
	for c.err == nil && len(c.b) > 0 {
		base += c.offset()
		pos += int64(c.uvarint())
		x.Entries = append(x.Entries, Entry{base, pos, parseOptTimes(c), parseOptTimes(c)})
	}
}

package store

import (
	"encoding/binary"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
)

// Mark is chain(Offset) of an epoch as the hub took it.
type Mark struct {
	Offset record.Offset
	Chain  uint64
}

// Bounds of the marks of an epoch: the newest borders of frames, and older ones at growing distances.
const (
	MaxMarks    = 32
	newestMarks = 16
)

// AddMark notes a border of the history that a store has taken. Every change that moves a position adds its end. The
// newest borders stay; of the older ones each stays that is at least twice as far back as the next newer one.
func AddMark(marks []Mark, m Mark) []Mark {
	if n := len(marks); n > 0 && marks[n-1].Offset >= m.Offset {
		return marks
	}
	marks = append(marks, m)
	if len(marks) <= MaxMarks {
		return marks
	}
	keep := len(marks) - newestMarks // marks[keep:] stay
	far := m.Offset - marks[keep].Offset
	for i := keep - 1; i >= 0; i-- {
		if d := m.Offset - marks[i].Offset; d >= 2*far {
			keep--
			marks[keep] = marks[i]
			far = d
		}
	}
	if keep == 0 { // all are far apart: the oldest goes
		keep = 1
	}
	return slices.Delete(marks, 0, keep)
}

// BeginsWithMark reports whether the beginning of an epoch that the change creates is marked: a root above 0 may have lost what
// stood below, and whoever brings that must end on the chain there.
func (c *Change) BeginsWithMark() bool { return c.Create && c.Parent == 0 && c.First > 0 }

// AppendMarks appends marks as bytes: each as a uvarint, the distance from the offset before (from 0), and 8 bytes of
// chain, little-endian.
func AppendMarks(dst []byte, marks []Mark) []byte {
	last := record.Offset(0)
	for _, m := range marks {
		dst = binary.AppendUvarint(dst, uint64(m.Offset-last))
		dst = binary.LittleEndian.AppendUint64(dst, m.Chain)
		last = m.Offset
	}
	return dst
}

// ParseMarks reads what AppendMarks wrote, behind those in dst.
func ParseMarks(dst []Mark, b []byte) ([]Mark, error) {
	last := record.Offset(0)
	for n := 0; len(b) > 0; n++ {
		d, k := binary.Uvarint(b)
		o := last + record.Offset(d)
		if k <= 0 || len(b) < k+8 || n == MaxMarks || o < last || n > 0 && o == last {
			return nil, ErrEncoding
		}
		dst = append(dst, Mark{o, binary.LittleEndian.Uint64(b[k:])})
		b, last = b[k+8:], o
	}
	return dst, nil
}

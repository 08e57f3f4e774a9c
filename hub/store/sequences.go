package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Producer is what a store took of one incarnation of a producer of a device.
type Producer struct {
	Name        string
	Incarnation uint64
	Taken       Sequences
}

// MaxSequenceRanges bounds the ranges of a set of sequences. A producer that counts by one needs one, and one more for
// each time that its messages reached the hub by way of two disks. One that leaves numbers out fills all of them.
const MaxSequenceRanges = 64

// Sequences is a set of sequence numbers as ascending ranges that do not touch. When it would need more than
// MaxSequenceRanges, the lowest range is forgotten: of a number up to Forgotten that is not in the set nobody can say
// any more whether it was taken (Unsure). The zero value is empty.
type Sequences struct {
	Ranges    []SequenceRange
	Forgot    bool
	Forgotten uint64 // with Forgot: the highest number that was forgotten
}

// SequenceRange is both of its ends and what lies between them.
type SequenceRange struct{ First, Last uint64 }

// Has reports whether the number was taken.
func (s *Sequences) Has(n uint64) bool {
	i, in := s.find(n)
	return in && s.Ranges[i].First <= n
}

// Unsure reports whether the number may have been taken and forgotten.
func (s *Sequences) Unsure(n uint64) bool { return s.Forgot && n <= s.Forgotten && !s.Has(n) }

// find is the first range that ends at or above n.
func (s *Sequences) find(n uint64) (i int, in bool) {
	i, _ = slices.BinarySearchFunc(s.Ranges, n, func(r SequenceRange, n uint64) int {
		if r.Last < n {
			return -1
		}
		return 1
	})
	return i, i < len(s.Ranges)
}

// Add takes a number into the set.
func (s *Sequences) Add(n uint64) {
	i, in := s.find(n)
	if in && s.Ranges[i].First <= n {
		return
	}
	below := i > 0 && s.Ranges[i-1].Last+1 == n
	above := in && s.Ranges[i].First-1 == n
	switch {
	case below && above:
		s.Ranges[i-1].Last = s.Ranges[i].Last
		s.Ranges = slices.Delete(s.Ranges, i, i+1)
	case below:
		s.Ranges[i-1].Last = n
	case above:
		s.Ranges[i].First = n
	default:
		s.Ranges = slices.Insert(s.Ranges, i, SequenceRange{n, n})
	}
	if len(s.Ranges) > MaxSequenceRanges {
		s.Forgotten, s.Forgot = max(s.Forgotten, s.Ranges[0].Last), true
		s.Ranges = slices.Delete(s.Ranges, 0, 1)
	}
}

// Last is the highest number of the set; false if it is empty.
func (s *Sequences) Last() (uint64, bool) {
	if len(s.Ranges) == 0 {
		return 0, false
	}
	return s.Ranges[len(s.Ranges)-1].Last, true
}

// Clone is a copy that shares nothing.
func (s *Sequences) Clone() Sequences {
	c := *s
	c.Ranges = slices.Clone(s.Ranges)
	return c
}

// String is for people: "0-4, 6".
func (s Sequences) String() string {
	var b strings.Builder
	if s.Forgot {
		fmt.Fprintf(&b, "…-%d forgotten", s.Forgotten)
	}
	for _, r := range s.Ranges {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, r.First)
		if r.Last > r.First {
			fmt.Fprintf(&b, "-%d", r.Last)
		}
	}
	return b.String()
}

// Equal compares two sets.
func (s *Sequences) Equal(o *Sequences) bool {
	return s.Forgot == o.Forgot && s.Forgotten == o.Forgotten && slices.Equal(s.Ranges, o.Ranges)
}

// ErrEncoding is wrapped by the refusal of stored bytes that no store has written.
var ErrEncoding = errors.New("the stored bytes are damaged")

// Append appends the set as bytes: uvarint 0, or 1 and uvarint forgotten; then each range as two uvarints, the distance
// of its first number from the last one of the range before (from 0) and its length less one. Equal sets have equal
// bytes.
func (s *Sequences) Append(dst []byte) []byte {
	if s.Forgot {
		dst = binary.AppendUvarint(append(dst, 1), s.Forgotten)
	} else {
		dst = append(dst, 0)
	}
	last := uint64(0)
	for _, r := range s.Ranges {
		dst = binary.AppendUvarint(dst, r.First-last)
		dst = binary.AppendUvarint(dst, r.Last-r.First)
		last = r.Last
	}
	return dst
}

// ParseSequences reads what Append wrote.
func ParseSequences(b []byte) (s Sequences, err error) {
	ok := true
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	switch next() {
	case 0:
	case 1:
		s.Forgot, s.Forgotten = true, next()
	default:
		ok = false
	}
	last := uint64(0)
	for ok && len(b) > 0 {
		r := SequenceRange{First: last + next()}
		r.Last = r.First + next()
		if r.Last < r.First || r.First < last || len(s.Ranges) > 0 && r.First-last < 2 || len(s.Ranges) == MaxSequenceRanges {
			ok = false
			break
		}
		s.Ranges = append(s.Ranges, r)
		last = r.Last
	}
	if !ok {
		return Sequences{}, ErrEncoding
	}
	return s, nil
}

package uplink

import (
	"math/bits"

	"github.com/edgelog/edgelog/buffer/record"
)

// idSet is a set of series ids. The zero value is empty.
type idSet struct {
	words []uint64
	n     int
}

func (s *idSet) has(id record.SeriesID) bool {
	w := int(id >> 6)
	return w < len(s.words) && s.words[w]&(1<<(id&63)) != 0
}

func (s *idSet) add(id record.SeriesID) {
	w := int(id >> 6)
	for w >= len(s.words) {
		s.words = append(s.words, 0)
	}
	if s.words[w]&(1<<(id&63)) == 0 {
		s.words[w] |= 1 << (id & 63)
		s.n++
	}
}

// set makes s equal to o.
func (s *idSet) set(o *idSet) {
	s.words = append(s.words[:0], o.words...)
	s.n = o.n
}

func (s *idSet) clear() { s.words, s.n = s.words[:0], 0 }

// each calls f with the ids in ascending order until it returns false.
func (s *idSet) each(f func(record.SeriesID) bool) {
	for i, w := range s.words {
		for w != 0 {
			id := record.SeriesID(i<<6 + bits.TrailingZeros64(w))
			if !f(id) {
				return
			}
			w &= w - 1
		}
	}
}

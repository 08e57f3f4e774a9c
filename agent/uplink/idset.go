package uplink

import (
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

package door

import (
	"fmt"
	"hash/maphash"
	"sync"
)

// Limit bounds how many different series come through one door. It may be used concurrently. The zero value bounds
// them at MaxSeries. It keeps eight bytes a series; two series in 2^64 may count as one.
type Limit struct {
	Max int

	mu   sync.Mutex // guards what follows
	seed maphash.Seed
	seen map[uint64]struct{}
}

// Admit notes the series of readings; an error that wraps ErrSeries says that they would be too many, and none of
// them is noted.
func (l *Limit) Admit(rs []Reading) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seed, l.seen = maphash.MakeSeed(), map[uint64]struct{}{}
	}
	most := l.Max
	if most <= 0 || most > MaxSeries {
		most = MaxSeries
	}
	var fresh []uint64
	for i := range rs {
		h := l.hash(&rs[i])
		if _, ok := l.seen[h]; ok {
			continue
		}
		l.seen[h] = struct{}{}
		if fresh = append(fresh, h); len(l.seen) > most {
			for _, h := range fresh {
				delete(l.seen, h)
			}
			return fmt.Errorf("%w: more than %d through this door, first too many: %.200s", ErrSeries, most, rs[i].Series.Key())
		}
	}
	return nil
}

func (l *Limit) hash(r *Reading) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteString(r.Series.Name)
	for _, x := range r.Series.Labels {
		h.WriteByte(0)
		h.WriteString(x.Key)
		h.WriteByte(0)
		h.WriteString(x.Value)
	}
	return h.Sum64()
}

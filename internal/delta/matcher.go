package delta

import "encoding/binary"

// Bounds of the search. They cost a release engineer's time and memory, and the box nothing.
const (
	seedBytes  = 12 // of the base that stand in the table
	seedDepth  = 48 // places that are tried for one seed
	seedBits   = 22
	longEnough = 4 << 10 // bytes that match in the present pairing: no other place is looked for
	worthMoves = 8       // bytes by which another place must match better before it is gone to
)

// step is one step of a segment: like bytes at at resemble those of the base at from, new bytes follow, and the next step
// begins in the base move bytes behind the end of the like ones.
type step struct{ at, from, like, new, move int }

// matcher pairs result with base, step by step.
type matcher struct {
	base, result []byte
	head         []int32 // 1 + the last place of a seed, by its hash
	before       []int32 // 1 + the place of the same hash before this one

	scan, n       int // where in the result the search is, and how long the match there is
	place         int // of that match in the base
	at, from, off int // where the present pairing began, and its distance
}

func newMatcher(base, result []byte) *matcher {
	m := &matcher{base: base, result: result, head: make([]int32, 1<<seedBits), before: make([]int32, len(base))}
	for i := 0; i+seedBytes <= len(base); i++ {
		h := seed(base[i:])
		m.before[i] = m.head[h]
		m.head[h] = int32(i + 1)
	}
	return m
}

func seed(b []byte) uint32 {
	x := binary.LittleEndian.Uint64(b)*0x9e3779b97f4a7c15 ^ uint64(binary.LittleEndian.Uint32(b[8:]))*0xc2b2ae3d27d4eb4f
	return uint32((x ^ x>>29) * 0xbf58476d1ce4e5b9 >> (64 - seedBits))
}

// same is how many bytes are equal from a place of the result and one of the base on.
func (m *matcher) same(at, from int) int {
	a, b := m.result[at:], m.base[from:]
	n := min(len(a), len(b))
	i := 0
	for i+8 <= n && binary.LittleEndian.Uint64(a[i:]) == binary.LittleEndian.Uint64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// longest finds the longest match at a place of the result; that of the present pairing counts first.
func (m *matcher) longest(at int) (n, place int) {
	if from := at + m.off; from >= 0 && from < len(m.base) {
		n, place = m.same(at, from), from
	}
	if at+seedBytes > len(m.result) || n >= longEnough {
		return n, place
	}
	for i, tries := m.head[seed(m.result[at:])], 0; i != 0 && tries < seedDepth; i, tries = m.before[i-1], tries+1 {
		from := int(i - 1)
		if n > 0 && (from+n >= len(m.base) || at+n < len(m.result) && m.base[from+n] != m.result[at+n]) {
			continue // it is no longer
		}
		if k := m.same(at, from); k > n {
			n, place = k, from
		}
	}
	return n, place
}

// paired tells whether a byte of the result is that of the base in the present pairing.
func (m *matcher) paired(at int) bool {
	from := at + m.off
	return from >= 0 && from < len(m.base) && m.base[from] == m.result[at]
}

// next is the next step; false: the result is complete.
func (m *matcher) next() (step, bool) {
	for m.scan < len(m.result) {
		m.scan += m.n
		equal, counted := 0, m.scan // bytes that the present pairing has right of the match that was found
		for m.n = 0; m.scan < len(m.result); m.scan++ {
			m.n, m.place = m.longest(m.scan)
			for ; counted < m.scan+m.n; counted++ {
				if m.paired(counted) {
					equal++
				}
			}
			if m.n == equal && m.n != 0 || m.n > equal+worthMoves {
				break
			}
			if counted > m.scan && m.paired(m.scan) {
				equal--
			}
			counted = max(counted, m.scan+1)
		}
		if m.n != equal || m.scan >= len(m.result) {
			return m.turn(), true
		}
	}
	return step{}, false
}

// turn ends the present pairing and begins the one that was found: both reach towards each other as far as more than
// half of their bytes are equal.
func (m *matcher) turn() step {
	forward := reach(m.scan-m.at, func(i int) (bool, bool) {
		return m.from+i < len(m.base), m.from+i < len(m.base) && m.base[m.from+i] == m.result[m.at+i]
	})
	back := 0
	if m.scan < len(m.result) {
		back = reach(m.scan-m.at, func(i int) (bool, bool) {
			return m.place > i, m.place > i && m.base[m.place-1-i] == m.result[m.scan-1-i]
		})
	}
	if over := forward + back - (m.scan - m.at); over > 0 {
		// The border lies where the two together are right most often.
		score, best, cut := 0, 0, 0
		for i := range over {
			a, b := m.at+forward-over+i, m.scan-back+i
			if m.result[a] == m.base[m.from+forward-over+i] {
				score++
			}
			if m.result[b] == m.base[m.place-back+i] {
				score--
			}
			if score > best {
				best, cut = score, i+1
			}
		}
		forward, back = forward-over+cut, back-cut
	}
	s := step{at: m.at, from: m.from, like: forward, new: m.scan - back - m.at - forward}
	if m.scan < len(m.result) {
		s.move = m.place - back - (m.from + forward)
	}
	m.at, m.from, m.off = m.scan-back, m.place-back, m.place-m.scan
	return s
}

// reach is the length up to n at which equal bytes outweigh the others most.
func reach(n int, at func(i int) (there, equal bool)) (length int) {
	score, best := 0, 0
	for i := range n {
		there, equal := at(i)
		if !there {
			break
		}
		if equal {
			score++
		} else {
			score--
		}
		if score > best {
			best, length = score, i+1
		}
	}
	return length
}

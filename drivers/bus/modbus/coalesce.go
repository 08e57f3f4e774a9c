package modbus

import (
	"cmp"
	"slices"
)

// Span is a run of registers or bits that somebody wants: Count items from Addr.
type Span struct {
	Addr  uint16
	Count int
}

// Block is one read request and the spans that it covers, by their index in what Coalesce was given.
type Block struct {
	Span
	Of []int
}

// Coalesce joins spans into few read requests of at most most items each, reading up to gap unwanted items between
// two wanted ones. A request costs some 17 bytes and two pauses on the line, a register two bytes: gaps up to ten
// registers pay. A span longer than most gets a block of its own.
func Coalesce(spans []Span, most, gap int) []Block {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(spans[a].Addr, spans[b].Addr) })
	var out []Block
	for _, i := range order {
		s := spans[i]
		if n := len(out); n > 0 {
			b := &out[n-1]
			end := int(b.Addr) + b.Count
			whole := max(end, int(s.Addr)+s.Count) - int(b.Addr)
			if int(s.Addr)-end <= gap && whole <= most {
				b.Count = whole
				b.Of = append(b.Of, i)
				continue
			}
		}
		out = append(out, Block{s, []int{i}})
	}
	return out
}

package pipeline

import (
	"slices"
	"strconv"

	"github.com/edgelog/edgelog/buffer/record"
)

// take puts a reading into its pane.
func (c *Core) take(s *series, r *record.Record, at int64) {
	w := c.def.Window
	every, hops := int64(w.Every), int64(w.Size/w.Every)
	if s.asserted = r.Clock.Asserted(); s.asserted {
		if s.own != never && c.ahead(s.own) {
			c.breakOwn(s)
		}
		if s.missing != 0 {
			s.hole, s.missing = hole{from: s.own, to: at, why: s.missing}, 0
		}
		s.own = max(s.own, at)
	}
	over := c.over(s)
	if h := &s.hot; at >= h.from && at < h.to && over >= h.overFrom && over < h.overTo {
		s.panes[h.pane].add(r, s.def.Type, at)
		return
	}
	if over != never {
		c.closeUpTo(s, over)
		s.closed = max(s.closed, floorDiv(over, every))
	}
	index := floorDiv(at, every)
	if index+1 <= s.closed {
		c.stats.Late++
		if index+hops <= s.closed {
			return
		}
	}
	i, found := s.find(index)
	if !found {
		if len(s.panes) >= MaxPanes { // a configuration that allows it is refused
			c.stats.Late++
			return
		}
		s.hot = hot{}
		s.panes = slices.Insert(s.panes, i, pane{index: index})
	}
	if c.byStream(s) {
		c.nextEnd = min(c.nextEnd, s.nextEnd()*every)
	}
	s.panes[i].add(r, s.def.Type, at)
	if index >= s.closed && over != never {
		s.hot = hot{pane: i, from: index * every, to: (index + 1) * every, overFrom: s.closed * every, overTo: (s.closed + 1) * every}
	}
}

// nextEnd is the end of the oldest window that is open, in spans of Every. There is a pane.
func (s *series) nextEnd() int64 { return max(s.panes[0].index, s.closed) + 1 }

// byStream reports whether the stream's time closes windows of a series.
func (c *Core) byStream(s *series) bool { return !s.asserted || c.clock.good }

// find is the place of a pane; the newest is the likeliest.
func (s *series) find(index int64) (int, bool) {
	i := len(s.panes)
	for i > 0 && s.panes[i-1].index > index {
		i--
	}
	if i > 0 && s.panes[i-1].index == index {
		return i - 1, true
	}
	return i, false
}

// over is the time up to which the windows of a series are over. One that its device stamps goes by its own time, and by
// that of the box where the box knows it.
func (c *Core) over(s *series) int64 {
	t := c.now
	if !c.byStream(s) {
		t = never
	}
	if s.asserted {
		t = max(t, s.own)
	}
	if t == never {
		return never
	}
	return t - c.late()
}

func (c *Core) closeAll() {
	every := int64(c.def.Window.Every)
	c.nextEnd = openEnd
	for _, s := range c.series {
		if over := c.over(s); over != never {
			c.closeUpTo(s, over)
		}
		if len(s.panes) > 0 && c.byStream(s) {
			c.nextEnd = min(c.nextEnd, s.nextEnd()*every)
		}
	}
}

// closeUpTo writes the windows of a series that end at or before over.
func (c *Core) closeUpTo(s *series, over int64) {
	w := c.def.Window
	every, hops := int64(w.Every), int64(w.Size/w.Every)
	for len(s.panes) > 0 {
		k := s.nextEnd()
		if over != openEnd && k*every > over {
			break
		}
		s.hot = hot{}
		c.window(s, k, hops)
		s.closed = k
		gone := 0
		for gone < len(s.panes) && s.panes[gone].index <= k-hops {
			gone++
		}
		s.panes = slices.Delete(s.panes, 0, gone)
	}
}

// window writes the one that ends at k × Every.
func (c *Core) window(s *series, k, hops int64) {
	w := c.def.Window
	end := k * int64(w.Every)
	start := end - int64(w.Size)
	if end <= s.floor {
		return // it stands in the output
	}
	c.pane = pane{}
	for i := range s.panes {
		if p := &s.panes[i]; p.index >= k-hops && p.index < k {
			c.pane.merge(p, s.def.Type)
		}
	}
	p := &c.pane
	switch {
	case s.asserted:
		p.flags |= s.hole.within(start, end)
	case !c.clock.good:
		p.flags |= flagClock
	}
	if !s.asserted {
		for _, h := range c.holes {
			p.flags |= h.within(start, end)
		}
	}
	base := record.Record{Kind: record.KindObservation, Time: start, Clock: record.ClockApp}
	if p.flags != 0 || p.bad > 0 || p.doubt > 0 {
		base.Quality = record.QualityUncertain
		base.Data = &record.Data{Detail: p.detail()}
	}
	c.hand = c.hand[:0]
	for i, compute := range w.Compute {
		if s.results[i].Type == record.TypeNone {
			continue
		}
		r := base
		p.value(&r, compute, s.def.Type)
		c.hand = append(c.hand, Result{&s.results[i], r})
	}
	c.emit(c.hand...)
}

// detail says why a window is uncertain: "3 bad (bad:crc), 1 uncertain, gap".
func (p *pane) detail() []byte {
	var b []byte
	add := func(text string) {
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, text...)
	}
	if p.bad > 0 {
		add(strconv.FormatInt(p.bad, 10) + " bad (" + p.why.String() + ")")
	}
	if p.doubt > 0 {
		add(strconv.FormatInt(p.doubt, 10) + " uncertain")
	}
	for i, name := range flagNames {
		if p.flags&(1<<i) != 0 {
			add(name)
		}
	}
	return b[:min(len(b), maxDetailBytes)]
}

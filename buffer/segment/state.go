package segment

import (
	"encoding/binary"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
)

// Epoch is what is restated of one epoch in every header and state block.
type Epoch struct {
	Epoch, Parent record.Epoch
	ParentEnd     record.Offset
	First         record.Offset
	End           record.Offset // end as far as it is known; a later segment may say more
	ChainFirst    uint64        // chain(First)
	Boot          string        // kernel boot id that its boot-time stamps count from; "" if not known
}

// CursorPos is one named position.
type CursorPos struct {
	Name   string
	Offset record.Offset
}

// State is everything beside records that the promises need. It is restated whole in every segment header, state
// block and index block, so that the newest segment alone tells it; batches carry what changed since.
type State struct {
	Delivered record.Offset
	Owed      []record.Owed // ascending, disjoint, below Delivered
	Cursors   []CursorPos
	Producers []record.ProducerPosition
	Gaps      []record.Gap // ascending, disjoint
	Epochs    []Epoch      // in the order of their offsets
	Anchors   []record.Anchor
}

// Clone is a copy that shares nothing.
func (s *State) Clone() State {
	return State{Delivered: s.Delivered, Owed: slices.Clone(s.Owed), Cursors: slices.Clone(s.Cursors), Producers: slices.Clone(s.Producers),
		Gaps: slices.Clone(s.Gaps), Epochs: slices.Clone(s.Epochs), Anchors: slices.Clone(s.Anchors)}
}

// Sections of a state and of a block's extension: tag, length, content. A reader skips tags it does not know.
const (
	secStream    = 1
	secDelivered = 2
	secCursors   = 3
	secProducers = 4
	secGaps      = 5
	secEpochs    = 6
	secAnchors   = 7
	secBoot      = 8
	secSpans     = 9
	secBootTimes = 10
	secUTCTimes  = 11
	secIndex     = 12
	secSummary   = 13
	secMoved     = 14
	secOwed      = 15
)

// section appends one tagged section whose content fill writes; an empty content is left out.
func section(dst []byte, tag byte, fill func([]byte) []byte) []byte {
	body := fill(nil)
	if len(body) == 0 {
		return dst
	}
	dst = append(dst, tag)
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

// sections calls f for each section of b.
func sections(b []byte, f func(tag byte, c *cursor)) error {
	c := cursor{b: b}
	for c.err == nil && len(c.b) > 0 {
		tag := c.b[0]
		c.b = c.b[1:]
		in := cursor{b: c.take(c.uvarint())}
		if c.err != nil {
			break
		}
		f(tag, &in)
		if in.err != nil {
			return in.err
		}
	}
	return c.err
}

// AppendState appends the state as sections.
func AppendState(dst []byte, s *State) []byte {
	dst = appendDelivered(dst, s.Delivered, s.Owed)
	dst = section(dst, secCursors, func(b []byte) []byte { return appendCursors(b, s.Cursors) })
	dst = section(dst, secProducers, func(b []byte) []byte {
		for _, p := range s.Producers {
			b = appendProducer(b, p)
		}
		return b
	})
	dst = section(dst, secGaps, func(b []byte) []byte {
		for _, g := range s.Gaps {
			b = appendGap(b, g)
		}
		return b
	})
	dst = section(dst, secEpochs, func(b []byte) []byte {
		for _, e := range s.Epochs {
			b = appendEpoch(b, e)
		}
		return b
	})
	return section(dst, secAnchors, func(b []byte) []byte { return appendAnchors(b, s.Anchors) })
}

// appendDelivered writes the delivered position and, behind it, what a hub is owed below it: the one without the other would
// call delivered what no hub has.
func appendDelivered(dst []byte, at record.Offset, owed []record.Owed) []byte {
	dst = section(dst, secDelivered, func(b []byte) []byte { return binary.AppendUvarint(b, uint64(at)) })
	return section(dst, secOwed, func(b []byte) []byte {
		last := record.Offset(0)
		for _, o := range owed[:min(len(owed), record.MaxOwed)] {
			b = binary.AppendUvarint(b, uint64(o.From-last))
			b = binary.AppendUvarint(b, uint64(o.To-o.From))
			b = append(b, byte(o.Reason))
			last = o.To
		}
		return b
	})
}

func parseOwed(c *cursor) (out []record.Owed) {
	last := record.Offset(0)
	for len(c.b) > 0 && len(out) < record.MaxOwed {
		var o record.Owed
		o.From = last + c.offset()
		o.To = o.From + c.offset()
		if r := c.take(1); len(r) == 1 {
			o.Reason = record.Reason(r[0])
		}
		if o.From < last || o.To <= o.From {
			c.fail("owed range")
		}
		out, last = append(out, o), o.To
	}
	return out
}

func appendCursors(b []byte, cs []CursorPos) []byte {
	for _, c := range cs {
		b = appendStr(b, c.Name)
		b = binary.AppendUvarint(b, uint64(c.Offset))
	}
	return b
}

func appendProducer(b []byte, p record.ProducerPosition) []byte {
	b = appendStr(b, p.Name)
	b = binary.LittleEndian.AppendUint64(b, p.Incarnation)
	return binary.AppendUvarint(b, p.Sequence)
}

func appendGap(b []byte, g record.Gap) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(g.Epoch))
	b = binary.AppendUvarint(b, uint64(g.From))
	b = binary.AppendUvarint(b, uint64(g.To-g.From))
	b = append(b, byte(g.Reason))
	b = binary.LittleEndian.AppendUint64(b, g.ChainFrom)
	b = binary.LittleEndian.AppendUint64(b, g.ChainTo)
	b = binary.AppendVarint(b, g.TimeMin)
	return binary.AppendVarint(b, g.TimeMax)
}

func appendEpoch(b []byte, e Epoch) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Epoch))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Parent))
	b = binary.AppendUvarint(b, uint64(e.ParentEnd))
	b = binary.AppendUvarint(b, uint64(e.First))
	b = binary.AppendUvarint(b, uint64(e.End))
	b = binary.LittleEndian.AppendUint64(b, e.ChainFirst)
	return appendStr(b, e.Boot)
}

func appendAnchors(b []byte, as []record.Anchor) []byte {
	for _, a := range as {
		b = appendStr(b, a.Boot)
		b = binary.AppendVarint(b, a.BootTime)
		b = binary.AppendVarint(b, a.UTC)
		b = binary.AppendVarint(b, a.Error)
		b = appendStr(b, string(a.Source))
		b = appendStr(b, a.State)
	}
	return b
}

// ParseState reads what AppendState writes.
func ParseState(b []byte) (State, error) {
	var s State
	err := sections(b, s.section)
	return s, err
}

func (s *State) section(tag byte, c *cursor) {
	switch tag {
	case secDelivered:
		s.Delivered = c.offset()
	case secOwed:
		s.Owed = parseOwed(c)
	case secCursors:
		s.Cursors = parseCursors(c)
	case secProducers:
		for len(c.b) > 0 && len(s.Producers) < record.MaxProducers {
			s.Producers = append(s.Producers, parseProducer(c))
		}
	case secGaps:
		for len(c.b) > 0 && len(s.Gaps) < record.MaxGapsPerStream {
			s.Gaps = append(s.Gaps, parseGap(c))
		}
	case secEpochs:
		for len(c.b) > 0 && len(s.Epochs) < MaxEpochs {
			s.Epochs = append(s.Epochs, parseEpoch(c))
		}
	case secAnchors:
		s.Anchors = parseAnchors(c)
	}
}

func parseCursors(c *cursor) []CursorPos {
	var out []CursorPos
	for len(c.b) > 0 && len(out) < MaxCursors {
		out = append(out, CursorPos{c.str(record.MaxProducerName), c.offset()})
	}
	return out
}

func parseProducer(c *cursor) record.ProducerPosition {
	return record.ProducerPosition{Name: c.str(record.MaxProducerName), Incarnation: c.u64(), Sequence: c.uvarint()}
}

func parseGap(c *cursor) record.Gap {
	var g record.Gap
	g.Epoch = record.Epoch(c.u64())
	g.From = c.offset()
	g.To = g.From + c.offset()
	if r := c.take(1); len(r) == 1 {
		g.Reason = record.Reason(r[0])
	}
	g.ChainFrom, g.ChainTo = c.u64(), c.u64()
	g.TimeMin, g.TimeMax = c.varint(), c.varint()
	if g.To <= g.From {
		c.fail("gap range")
	}
	return g
}

func parseEpoch(c *cursor) Epoch {
	var e Epoch
	e.Epoch, e.Parent = record.Epoch(c.u64()), record.Epoch(c.u64())
	e.ParentEnd, e.First, e.End = c.offset(), c.offset(), c.offset()
	e.ChainFirst = c.u64()
	e.Boot = c.str(MaxBootBytes)
	return e
}

func parseAnchors(c *cursor) []record.Anchor {
	var out []record.Anchor
	for len(c.b) > 0 && len(out) < MaxBoots {
		var a record.Anchor
		a.Boot = c.str(MaxBootBytes)
		a.BootTime, a.UTC, a.Error = c.varint(), c.varint(), c.varint()
		a.Source, a.State = record.ClockSource(c.str(MaxBootBytes)), c.str(MaxBootBytes)
		out = append(out, a)
	}
	return out
}

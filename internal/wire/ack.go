package wire

import (
	"encoding/binary"

	"github.com/edgelog/edgelog/buffer/record"
)

// Flags of an ack (second byte).
const (
	ackAnswer  = 1 << 0
	ackSynced  = 1 << 1
	ackTime    = 1 << 2
	ackNotices = 1 << 3
	ackParts   = 1 << 4 // part and parts are written: not 0 and 0
)

// Flags of a position in an ack; the verdict takes bits 1 to 3.
const (
	posKnown     = 1 << 0
	verdictShift = 1
	posGaps      = 1 << 4
	posSkipped   = 1 << 5
	posMarks     = 1 << 6
)

// AppendAck appends the bytes of an answer or ack. What is beyond a bound of the protocol is left out: further
// gaps and skipped ranges come with a later answer.
func AppendAck(dst []byte, a *Ack) []byte {
	from := len(dst)
	var flags byte
	set := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	set(a.Answer, ackAnswer)
	set(a.HubSynced, ackSynced)
	set(a.HubTime != 0, ackTime)
	set(len(a.Notices) > 0, ackNotices)
	set(a.Part != 0 || a.Parts != 0, ackParts)
	dst = append(dst, first(typeAck), flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(a.Nonce))
	if flags&ackParts != 0 {
		dst = binary.AppendUvarint(dst, uint64(a.Part))
		dst = binary.AppendUvarint(dst, uint64(a.Parts))
	}
	dst = binary.AppendUvarint(dst, uint64(a.Credit))
	if flags&ackTime != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(a.HubTime))
	}
	if flags&ackNotices != 0 {
		notices := a.Notices[:min(len(a.Notices), MaxNotices)]
		dst = binary.AppendUvarint(dst, uint64(len(notices)))
		for _, n := range notices {
			dst = appendStr(dst, n, MaxStringBytes)
		}
	}
	positions := a.Positions[:min(len(a.Positions), MaxAckPositions)]
	dst = binary.AppendUvarint(dst, uint64(len(positions)))
	stream, left := "", newListsLeft()
	for i := range positions {
		dst = appendPosition(dst, &positions[i], stream, &left)
		stream = positions[i].Stream
	}
	return seal(dst, from, 0)
}

// listsLeft is how much of each list one ack can still take.
type listsLeft struct{ gaps, skipped, marks int }

func newListsLeft() listsLeft { return listsLeft{MaxAckGapsTotal, MaxAckGapsTotal, MaxAckGapsTotal} }

// appendPosition appends one position; a stream equal to the one before is written as an empty text. Of the marks the
// highest stay.
func appendPosition(dst []byte, p *Position, stream string, left *listsLeft) []byte {
	gaps := p.Gaps[:min(len(p.Gaps), MaxAckGaps, left.gaps)]
	skipped := p.Skipped[:min(len(p.Skipped), MaxAckSkipped, left.skipped)]
	marks := p.Marks[len(p.Marks)-min(len(p.Marks), MaxAckMarks, left.marks):]
	left.gaps -= len(gaps)
	left.skipped -= len(skipped)
	left.marks -= len(marks)
	if p.Stream == stream {
		dst = append(dst, 0)
	} else {
		dst = appendStr(dst, p.Stream, record.MaxStreamName)
	}
	flags := byte(p.Verdict) << verdictShift
	if p.Known {
		flags |= posKnown
	}
	if len(gaps) > 0 {
		flags |= posGaps
	}
	if len(skipped) > 0 {
		flags |= posSkipped
	}
	if len(marks) > 0 {
		flags |= posMarks
	}
	dst = append(dst, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(p.Epoch))
	dst = binary.AppendUvarint(dst, uint64(p.Next))
	dst = binary.LittleEndian.AppendUint64(dst, p.ChainNext)
	if p.Verdict == VerdictWait {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.Parent))
	}
	if len(gaps) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(gaps)))
		for i := range gaps {
			g := &gaps[i]
			dst = binary.AppendUvarint(dst, uint64(g.From))
			dst = binary.AppendUvarint(dst, uint64(g.To-g.From))
			dst = append(dst, byte(g.Reason))
			dst = binary.LittleEndian.AppendUint64(dst, g.ChainFrom)
			dst = binary.LittleEndian.AppendUint64(dst, g.ChainTo)
			dst = binary.AppendVarint(dst, g.TimeMin)
			dst = binary.AppendVarint(dst, g.TimeMax)
		}
	}
	if len(skipped) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(skipped)))
		for _, s := range skipped {
			dst = binary.AppendUvarint(dst, uint64(s.From))
			dst = binary.AppendUvarint(dst, uint64(s.To-s.From))
			dst = appendStr(dst, s.Reason, MaxStringBytes)
		}
	}
	if len(marks) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(marks)))
		last := record.Offset(0)
		for _, m := range marks {
			dst = binary.AppendUvarint(dst, uint64(m.Offset-last))
			dst = binary.LittleEndian.AppendUint64(dst, m.Chain)
			last = m.Offset
		}
	}
	return dst
}

// ParseAck reads an answer or ack.
func ParseAck(b []byte) (*Ack, error) {
	r, err := checkSealed(b, typeAck)
	if err != nil {
		return nil, err
	}
	flags := r.u8("flags")
	a := &Ack{Nonce: Nonce(r.u64("nonce")), Answer: flags&ackAnswer != 0, HubSynced: flags&ackSynced != 0}
	if flags&ackParts != 0 {
		a.Part, a.Parts = r.part()
	}
	credit := r.uvarint("credit")
	if credit > 1<<32-1 {
		r.fail("credit")
	}
	a.Credit = uint32(credit)
	if flags&ackTime != 0 {
		a.HubTime = int64(r.u64("hub time"))
	}
	if flags&ackNotices != 0 {
		for range r.count(MaxNotices, 1, "notices") {
			a.Notices = append(a.Notices, r.str(MaxStringBytes, "notice"))
		}
	}
	n := r.count(MaxAckPositions, 19, "positions")
	if n > 0 {
		a.Positions = make([]Position, 0, n)
	}
	stream, left := "", newListsLeft()
	for range n {
		p := r.position(stream, &left)
		stream = p.Stream
		a.Positions = append(a.Positions, p)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return a, nil
}

func (r *reader) position(stream string, left *listsLeft) (p Position) {
	if p.Stream = r.str(record.MaxStreamName, "stream"); p.Stream == "" {
		p.Stream = stream
	}
	if r.err == nil && !record.ValidStream(p.Stream) {
		r.fail("stream")
	}
	flags := r.u8("position flags")
	p.Known = flags&posKnown != 0
	p.Verdict = Verdict(flags >> verdictShift & 7)
	p.Epoch = record.Epoch(r.u64("epoch"))
	p.Next = record.Offset(r.uvarint("next"))
	p.ChainNext = r.u64("chain")
	if p.Epoch == 0 || p.Verdict > VerdictConflict {
		r.fail("position")
	}
	if p.Verdict == VerdictWait {
		p.Parent = record.Epoch(r.u64("parent"))
	}
	if flags&posGaps != 0 {
		n := r.count(min(MaxAckGaps, left.gaps), 21, "gaps")
		left.gaps -= n
		for range n {
			g := record.Gap{Epoch: p.Epoch, Range: r.span()}
			g.Reason = record.Reason(r.u8("reason"))
			g.ChainFrom, g.ChainTo = r.u64("chain"), r.u64("chain")
			g.TimeMin, g.TimeMax = r.varint("time"), r.varint("time")
			p.Gaps = append(p.Gaps, g)
		}
	}
	if flags&posSkipped != 0 {
		n := r.count(min(MaxAckSkipped, left.skipped), 3, "skipped")
		left.skipped -= n
		for range n {
			s := SkippedRange{Range: r.span()}
			s.Reason = r.str(MaxStringBytes, "reason")
			p.Skipped = append(p.Skipped, s)
		}
	}
	if flags&posMarks != 0 {
		n := r.count(min(MaxAckMarks, left.marks), 9, "marks")
		left.marks -= n
		last := record.Offset(0)
		for i := range n {
			m := Mark{Offset: last + record.Offset(r.uvarint("mark")), Chain: r.u64("chain")}
			if m.Offset < last || i > 0 && m.Offset == last {
				r.fail("mark")
			}
			p.Marks = append(p.Marks, m)
			last = m.Offset
		}
	}
	return p
}

func (r *reader) span() (s record.Range) {
	s.From = record.Offset(r.uvarint("from"))
	s.To = s.From + record.Offset(r.uvarint("length"))
	if s.To <= s.From {
		r.fail("range")
	}
	return s
}

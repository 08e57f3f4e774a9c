package wire

import (
	"encoding/binary"

	"github.com/edgelog/edgelog/buffer/record"
)

// Flags of frames (second byte). Bits 2 to 7 belong to the frame's type.
const (
	flagParent    = 1 << 0 // the epoch has a parent
	flagParentEnd = 1 << 1 // parent end is written: it is not what flagParent implies

	flagDefinitions = 1 << 2 // data
	flagProducers   = 1 << 3 // data
	flagRawLen      = 1 << 4 // data: raw length is written: it is not the body's length
	codecShift      = 5      // data: bits 5–7

	flagTimes = 1 << 2 // gap
)

// impliedParentEnd is the parent end that need not be written: an epoch begins where its parent ends.
func impliedParentEnd(h *FrameHeader) record.Offset {
	if h.Parent == 0 {
		return 0
	}
	return h.First
}

func headerFlags(h *FrameHeader) (f byte) {
	if h.Parent != 0 {
		f |= flagParent
	}
	if h.ParentEnd != impliedParentEnd(h) {
		f |= flagParentEnd
	}
	return f
}

// appendHeader appends what data and gap frames share:
//
//	epoch u64 | nonce u64 | first uvarint | [parent u64] | [parent end uvarint]
func appendHeader(dst []byte, h *FrameHeader) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Epoch))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Nonce))
	dst = binary.AppendUvarint(dst, uint64(h.First))
	if h.Parent != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Parent))
	}
	if h.ParentEnd != impliedParentEnd(h) {
		dst = binary.AppendUvarint(dst, uint64(h.ParentEnd))
	}
	return dst
}

func (r *reader) header(h *FrameHeader, stream string, flags byte) {
	h.Stream = stream
	h.Epoch = record.Epoch(r.u64("epoch"))
	h.Nonce = Nonce(r.u64("nonce"))
	h.First = r.offset("first")
	if flags&flagParent != 0 {
		h.Parent = record.Epoch(r.u64("parent"))
		if h.Parent == 0 || h.Parent == h.Epoch {
			r.fail("parent")
		}
	}
	h.ParentEnd = impliedParentEnd(h)
	if flags&flagParentEnd != 0 {
		h.ParentEnd = r.offset("parent end")
	}
	if h.Epoch == 0 {
		r.fail("epoch 0")
	}
}

// AppendData appends the bytes of a data frame. The CRC of its header is taken over the stream's name too, so that
// a frame on another stream's topic does not parse.
func AppendData(dst []byte, d *Data) []byte {
	from := len(dst)
	flags := headerFlags(&d.FrameHeader) | byte(d.Codec)<<codecShift
	if len(d.Definitions) > 0 {
		flags |= flagDefinitions
	}
	if len(d.Producers) > 0 {
		flags |= flagProducers
	}
	if int(d.RawLen) != len(d.Body) {
		flags |= flagRawLen
	}
	dst = append(dst, first(typeData), flags)
	dst = appendHeader(dst, &d.FrameHeader)
	dst = binary.AppendUvarint(dst, uint64(d.Base-d.First))
	dst = binary.AppendUvarint(dst, uint64(d.Count))
	dst = binary.LittleEndian.AppendUint64(dst, d.ChainBase)
	dst = binary.LittleEndian.AppendUint64(dst, d.ChainEnd)
	if flags&flagRawLen != 0 {
		dst = binary.AppendUvarint(dst, uint64(d.RawLen))
	}
	if flags&flagDefinitions != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(d.Definitions)))
		for _, def := range d.Definitions {
			dst = record.AppendDefinition(dst, def)
		}
	}
	if flags&flagProducers != 0 {
		dst = appendProducers(dst, d.Base, d.Producers)
	}
	dst = binary.LittleEndian.AppendUint32(dst, d.CRC)
	dst = seal(dst, from, Checksum([]byte(d.Stream)))
	return append(dst, d.Body...)
}

// ParseData reads a data frame of the stream that its topic names. Body refers to b. A body whose CRC is wrong is
// no error here: the hub counts it by its base (BodyOK).
func ParseData(stream string, b []byte) (*Data, error) {
	r, err := open(b, typeData)
	if err != nil {
		return nil, err
	}
	d := &Data{}
	flags := r.u8("flags")
	r.header(&d.FrameHeader, stream, flags)
	base, count := r.uvarint("base"), r.uvarint("count")
	d.Base, d.Count = d.First+record.Offset(base), uint32(count)
	if d.Base < d.First || count == 0 || count > record.MaxBatchRecords || d.Base+record.Offset(count) < d.Base || d.Base+record.Offset(count) > record.MaxOffset {
		r.fail("range")
	}
	d.ChainBase, d.ChainEnd = r.u64("chain"), r.u64("chain")
	d.Codec = record.Codec(flags >> codecShift)
	var raw uint64
	if flags&flagRawLen != 0 {
		if raw = r.uvarint("raw length"); raw > record.MaxRawBytes {
			r.fail("raw length")
		}
	}
	if flags&flagDefinitions != 0 {
		d.Definitions = r.definitions()
	}
	if flags&flagProducers != 0 {
		d.Producers = r.producers(d.Base, d.Count)
	}
	d.CRC = r.u32("crc")
	head := len(b) - len(r.b)
	sum := r.u32("header crc")
	if r.err != nil {
		return nil, r.err
	}
	if sum != frameCRC(stream, b[:head]) {
		return nil, malformed("header checksum")
	}
	d.Body = r.b
	if len(d.Body) > record.MaxBodyBytes {
		return nil, malformed("body too long")
	}
	if d.RawLen = uint32(raw); flags&flagRawLen == 0 {
		d.RawLen = uint32(len(d.Body))
	}
	return d, nil
}

// BodyOK reports whether the body is the one whose CRC the header carries.
func (d *Data) BodyOK() bool { return Checksum(d.Body) == d.CRC }

func (r *reader) definitions() []record.Definition {
	before := len(r.b)
	n := r.count(record.MaxSeriesPerEpoch, minDefinition, "definitions")
	if n == 0 {
		return nil
	}
	defs := make([]record.Definition, 0, min(n, 1024))
	for range n {
		d, rest, err := record.ParseDefinition(r.b)
		if err != nil {
			r.fail(err.Error())
			return nil
		}
		r.b = rest
		if before-len(rest) > MaxDefinitionsBytes {
			r.fail("too many bytes of definitions")
			return nil
		}
		defs = append(defs, d)
	}
	return defs
}

const (
	minDefinition = 6 // id, type, name of one letter, unit, number of labels
	minProducer   = 4
)

// appendProducers appends the spans. A producer is written once; a span names it by its number and says its
// sequence and place as differences:
//
//	uvarint spans × ( uvarint 0, str name, incarnation u64  — a new producer, it gets the next number from 1
//	                | uvarint number )
//	                varint sequence − the producer's last | varint from − the last span's to | uvarint length
func appendProducers(dst []byte, base record.Offset, spans []record.ProducerSpan) []byte {
	type known struct {
		name        string
		incarnation uint64
	}
	var table []record.ProducerPosition
	var index map[known]int
	if len(spans) > 8 {
		index = make(map[known]int, 8)
	}
	find := func(p *record.ProducerPosition) int {
		if index != nil {
			if i, ok := index[known{p.Name, p.Incarnation}]; ok {
				return i
			}
			return -1
		}
		for i := range table {
			if table[i].Name == p.Name && table[i].Incarnation == p.Incarnation {
				return i
			}
		}
		return -1
	}
	dst = binary.AppendUvarint(dst, uint64(len(spans)))
	at := base
	for i := range spans {
		s := &spans[i]
		k := find(&s.ProducerPosition)
		if k < 0 {
			k = len(table)
			table = append(table, record.ProducerPosition{Name: s.Name, Incarnation: s.Incarnation})
			if index != nil {
				index[known{s.Name, s.Incarnation}] = k
			}
			dst = binary.AppendUvarint(dst, 0)
			dst = appendStr(dst, s.Name, record.MaxProducerName)
			dst = binary.LittleEndian.AppendUint64(dst, s.Incarnation)
		} else {
			dst = binary.AppendUvarint(dst, uint64(k+1))
		}
		dst = binary.AppendVarint(dst, int64(s.Sequence-table[k].Sequence))
		dst = binary.AppendVarint(dst, int64(s.From-at))
		dst = binary.AppendUvarint(dst, uint64(s.To-s.From))
		table[k].Sequence, at = s.Sequence, s.To
	}
	return dst
}

func (r *reader) producers(base record.Offset, count uint32) []record.ProducerSpan {
	n := r.count(int(count), minProducer, "producers")
	if n == 0 {
		return nil
	}
	spans := make([]record.ProducerSpan, 0, n)
	var table []record.ProducerPosition
	at, end := base, base+record.Offset(count)
	for range n {
		k := r.uvarint("producer")
		if k == 0 {
			p := record.ProducerPosition{Name: r.str(record.MaxProducerName, "producer name")}
			if r.err == nil && !record.ValidProducer(p.Name) { // the log refuses it at its door; a store need not be able to hold it
				r.fail("producer name")
			}
			p.Incarnation = r.u64("incarnation")
			table = append(table, p)
			k = uint64(len(table))
		}
		if r.err == nil && k > uint64(len(table)) {
			r.fail("producer number")
		}
		seq, from, length := r.varint("sequence"), r.varint("from"), r.uvarint("length")
		if r.err != nil {
			return nil
		}
		p := &table[k-1]
		p.Sequence += uint64(seq)
		s := record.ProducerSpan{ProducerPosition: *p}
		s.From = at + record.Offset(from)
		s.To = s.From + record.Offset(length)
		if s.From < base || s.To > end || s.To <= s.From {
			r.fail("producer range")
			return nil
		}
		at = s.To
		spans = append(spans, s)
	}
	return spans
}

// AppendGap appends the bytes of a gap frame.
func AppendGap(dst []byte, g *Gap) []byte {
	from := len(dst)
	flags := headerFlags(&g.FrameHeader)
	if g.TimeMin != 0 || g.TimeMax != 0 {
		flags |= flagTimes
	}
	dst = append(dst, first(typeGap), flags)
	dst = appendHeader(dst, &g.FrameHeader)
	dst = binary.AppendUvarint(dst, uint64(g.From-g.First))
	dst = binary.AppendUvarint(dst, uint64(g.To-g.From))
	dst = append(dst, byte(g.Reason))
	dst = binary.LittleEndian.AppendUint64(dst, g.ChainFrom)
	dst = binary.LittleEndian.AppendUint64(dst, g.ChainTo)
	if flags&flagTimes != 0 {
		dst = binary.AppendVarint(dst, g.TimeMin)
		dst = binary.AppendVarint(dst, g.TimeMax)
	}
	return seal(dst, from, Checksum([]byte(g.Stream)))
}

// ParseGap reads a gap frame of the stream that its topic names.
func ParseGap(stream string, b []byte) (*Gap, error) {
	r, err := open(b, typeGap)
	if err != nil {
		return nil, err
	}
	g := &Gap{}
	flags := r.u8("flags")
	r.header(&g.FrameHeader, stream, flags)
	from, n := r.uvarint("from"), r.uvarint("length")
	g.From = g.First + record.Offset(from)
	g.To = g.From + record.Offset(n)
	if g.From < g.First || g.To <= g.From || g.To > record.MaxOffset {
		r.fail("range")
	}
	g.Reason = record.Reason(r.u8("reason"))
	g.ChainFrom, g.ChainTo = r.u64("chain"), r.u64("chain")
	if flags&flagTimes != 0 {
		g.TimeMin, g.TimeMax = r.varint("time"), r.varint("time")
	}
	head := len(b) - len(r.b)
	sum := r.u32("header crc")
	if err := r.end(); err != nil {
		return nil, err
	}
	if sum != frameCRC(stream, b[:head]) {
		return nil, malformed("header checksum")
	}
	return g, nil
}

// ParseFrame reads a data or a gap frame.
func ParseFrame(stream string, b []byte) (Frame, error) {
	if len(b) > 0 && b[0]&15 == typeGap {
		return frameOrNil(ParseGap(stream, b))
	}
	return frameOrNil(ParseData(stream, b))
}

func frameOrNil[F Frame](f F, err error) (Frame, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

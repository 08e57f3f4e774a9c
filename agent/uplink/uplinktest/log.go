// Package uplinktest holds what tests of delivery need: a log in memory with the faults that disks have, a model hub
// that follows the hub's rules in the plainest way, and the conformance suite of wire.Link.
package uplinktest

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer/record"
)

// Log is a stream in memory. Every record is durable as soon as it is appended. It implements uplink.Source.
type Log struct {
	Name      string
	Batch     int // records of one batch
	Position  record.Offset
	IDs       func() record.Epoch
	Closed    []record.Epoch // by CloseEpoch
	epochs    []*logEpoch
	producers map[record.Offset]record.ProducerSpan
	owed      []record.Owed
	open      bool
}

type logEpoch struct {
	uplink.Epoch
	recs    []record.Record
	chain   []uint64 // chain(First+i)
	gaps    []record.Gap
	borders []record.Offset // where batches begin
}

// NewLog makes an empty log whose epochs are numbered by ids.
func NewLog(name string, batch int, ids func() record.Epoch) *Log {
	return &Log{Name: name, Batch: batch, IDs: ids, producers: map[record.Offset]record.ProducerSpan{}}
}

// Reopen is a new opening: the next append mints a new epoch.
func (l *Log) Reopen() {
	l.open = false
	for _, e := range l.epochs {
		e.Current = false
	}
}

// End is the end of what is durable.
func (l *Log) End() record.Offset {
	if len(l.epochs) == 0 {
		return 0
	}
	return l.epochs[len(l.epochs)-1].End
}

func (l *Log) mint(root bool) *logEpoch {
	e := &logEpoch{}
	e.Epoch.Epoch, e.First, e.Current = l.IDs(), l.End(), true
	chain := uint64(0)
	if n := len(l.epochs); n > 0 && !root {
		p := l.epochs[n-1]
		p.Current = false
		e.Parent, e.ParentEnd, chain = p.Epoch.Epoch, p.End, p.chain[len(p.recs)]
	}
	e.Low, e.End, e.chain = e.First, e.First, []uint64{chain}
	l.epochs = append(l.epochs, e)
	l.open = true
	return e
}

// Append appends records with these numbers as one batch each of at most Batch records.
func (l *Log) Append(nums ...int64) {
	for i, n := range nums {
		l.AppendRecord(record.Record{Kind: record.KindObservation, Type: record.TypeInt, Clock: record.ClockApp, Series: record.SeriesID(1 + n%3), Num: n, Time: n}, i%l.Batch == 0)
	}
}

// AppendRecord appends one record; border begins a new batch with it.
func (l *Log) AppendRecord(r record.Record, border bool) {
	var e *logEpoch
	if !l.open {
		e = l.mint(false)
		border = true
	} else {
		e = l.epochs[len(l.epochs)-1]
	}
	if border || len(e.recs) == 0 {
		e.borders = append(e.borders, e.End)
	}
	e.recs = append(e.recs, r)
	e.chain = append(e.chain, record.Mix(e.chain[len(e.recs)-1], r.Digest()))
	e.End++
}

// AppendMessage appends a producer's message of n records, which no border may cut.
func (l *Log) AppendMessage(p record.ProducerPosition, border bool, nums ...int64) {
	from := l.End()
	for i, n := range nums {
		l.AppendRecord(record.Record{Kind: record.KindObservation, Type: record.TypeInt, Clock: record.ClockApp, Series: 1, Num: n, Time: n}, border && i == 0)
	}
	l.producers[from] = record.ProducerSpan{ProducerPosition: p, Range: record.Range{From: from, To: l.End()}}
}

// Message is the producer's message that begins at the offset.
func (l *Log) Message(at record.Offset) (record.ProducerSpan, bool) {
	p, ok := l.producers[at]
	return p, ok
}

func (l *Log) find(id record.Epoch) *logEpoch {
	for _, e := range l.epochs {
		if e.Epoch.Epoch == id {
			return e
		}
	}
	return nil
}

// Drop puts a gap in the place of r, which lies in one epoch.
func (l *Log) Drop(r record.Range, why record.Reason) {
	for _, e := range l.epochs {
		if r.From < e.First || r.To > e.End {
			continue
		}
		kept := e.gaps[:0]
		for _, g := range e.gaps {
			if g.Reason == why && g.From <= r.To && r.From <= g.To { // touching gaps of one reason merge
				r = record.Range{From: min(g.From, r.From), To: max(g.To, r.To)}
				continue
			}
			if r.Contains(g.From) || g.Contains(r.From) { // the older reason stays
				if r.From < g.From {
					r.To = g.From
				} else {
					r.From = g.To
				}
			}
			kept = append(kept, g)
		}
		e.gaps = kept
		if r.Len() > 0 {
			e.gaps = append(e.gaps, record.Gap{Epoch: e.Epoch.Epoch, Range: r, Reason: why, ChainFrom: e.chain[r.From-e.First], ChainTo: e.chain[r.To-e.First]})
		}
		slices.SortFunc(e.gaps, func(a, b record.Gap) int { return int(a.From) - int(b.From) })
		for _, g := range e.gaps {
			if g.From <= e.Low {
				e.Low = max(e.Low, g.To)
			}
		}
	}
}

// Forget removes the oldest epoch, as a log does when it keeps neither a record nor a gap of it.
func (l *Log) Forget() { l.epochs = l.epochs[1:] }

// Behead lets the oldest epoch begin at the offset, as a root: a disk that lied has lost what stood below and all that told
// of it.
func (l *Log) Behead(at record.Offset) {
	e := l.epochs[0]
	i := at - e.First
	e.recs, e.chain = slices.Clone(e.recs[i:]), slices.Clone(e.chain[i:])
	e.gaps = slices.DeleteFunc(e.gaps, func(g record.Gap) bool { return g.From < at })
	e.First, e.Low, e.Parent, e.ParentEnd = at, max(e.Low, at), 0, 0
}

// Held are the numbers of all records that are not in a gap, in order, of epochs that A9 has not moved.
func (l *Log) Held() (nums []int64) {
	for _, e := range l.epochs {
		for i, r := range e.recs {
			if _, gone := e.gapAt(e.First + record.Offset(i)); !gone {
				nums = append(nums, r.Num)
			}
		}
	}
	return nums
}

// Clone is a copy of the disk.
func (l *Log) Clone() *Log {
	c := *l
	c.epochs = nil
	c.producers = map[record.Offset]record.ProducerSpan{}
	for k, v := range l.producers {
		c.producers[k] = v
	}
	for _, e := range l.epochs {
		d := *e
		d.recs, d.chain, d.gaps, d.borders = slices.Clone(e.recs), slices.Clone(e.chain), slices.Clone(e.gaps), slices.Clone(e.borders)
		c.epochs = append(c.epochs, &d)
	}
	return &c
}

func (e *logEpoch) gapAt(o record.Offset) (record.Gap, bool) {
	for _, g := range e.gaps {
		if g.Contains(o) {
			return g, true
		}
	}
	return record.Gap{}, false
}

// Stream implements uplink.Source.
func (l *Log) Stream() string { return l.Name }

// Epochs implements uplink.Reader.
func (l *Log) Epochs() (out []uplink.Epoch) {
	for _, e := range l.epochs {
		if e.End > e.First {
			out = append(out, e.Epoch)
		}
	}
	return out
}

// At implements uplink.Reader.
func (l *Log) At(id record.Epoch, o record.Offset) (uplink.Item, error) {
	e := l.find(id)
	if e == nil || o < e.First {
		return uplink.Item{}, errors.New("no such epoch or offset")
	}
	if o >= e.End {
		return uplink.Item{}, uplink.ErrEnd
	}
	if g, ok := e.gapAt(o); ok {
		return uplink.Item{Gap: &g}, nil
	}
	from, to := e.First, e.End
	cut := func(at record.Offset) {
		if at <= o {
			from = max(from, at)
		} else {
			to = min(to, at)
		}
	}
	for _, b := range e.borders {
		cut(b)
	}
	for _, g := range e.gaps {
		cut(g.From)
		cut(g.To)
	}
	recs := e.recs[from-e.First : to-e.First]
	body, codec, raw, _ := Codec{}.Encode(nil, recs, record.CodecColumns)
	b := record.Batch{Epoch: id, Base: from, Count: uint32(len(recs)), ChainBase: e.chain[from-e.First], ChainEnd: e.chain[to-e.First],
		Codec: codec, RawLen: uint32(raw), CRC: Checksum(body), Body: body}
	for at := from; at < to; at++ {
		if p, ok := l.producers[at]; ok {
			b.Producers = append(b.Producers, p)
		}
	}
	return uplink.Item{Batch: b}, nil
}

// Chain implements uplink.Reader.
func (l *Log) Chain(id record.Epoch, o record.Offset) (uint64, bool) {
	e := l.find(id)
	if e == nil || o < e.First || o > e.End {
		return 0, false
	}
	if g, ok := e.gapAt(o); ok && g.From != o {
		return 0, false
	}
	return e.chain[o-e.First], true
}

// Series implements uplink.Reader: every id is defined.
func (l *Log) Series(_ record.Epoch, id record.SeriesID) (record.Series, bool) {
	return record.Series{Name: "s", Labels: []record.Label{{Key: "id", Value: string(rune('a' + id%26))}}, Type: record.TypeInt}, true
}

// Defined implements uplink.Reader.
func (l *Log) Defined(id record.Epoch) int {
	ids := map[record.SeriesID]bool{}
	if e := l.find(id); e != nil {
		for _, r := range e.recs {
			ids[r.Series] = true
		}
	}
	return len(ids)
}

// DeclareGap implements uplink.Repairer.
func (l *Log) DeclareGap(_ record.Epoch, r record.Range) error {
	l.Drop(r, record.ReasonUnsendable)
	return nil
}

// CloseEpoch implements uplink.Repairer (A9).
func (l *Log) CloseEpoch(id record.Epoch, at record.Offset) error {
	e := l.find(id)
	i := at - e.First
	moved := slices.Clone(e.recs[i:])
	var held []record.Record
	for k, r := range moved {
		if _, gone := e.gapAt(at + record.Offset(k)); !gone {
			r.Quality = record.QualityMayRepeat
			held = append(held, r)
		}
	}
	e.recs, e.chain = e.recs[:i:i], e.chain[:i+1:i+1]
	e.gaps = slices.DeleteFunc(e.gaps, func(g record.Gap) bool { return g.From >= at })
	e.End = at
	l.Closed = append(l.Closed, id)
	last := l.epochs[len(l.epochs)-1]
	if e != last { // an older one: what moved goes behind the newest
		last.Current = false
	}
	l.mint(false)
	for k, r := range held {
		l.AppendRecord(r, k%l.Batch == 0)
	}
	return nil
}

// SetDelivered implements uplink.Repairer.
func (l *Log) SetDelivered(o record.Offset, owed ...record.Owed) {
	l.Position, l.owed = o, slices.Clone(owed)
}

// Owed implements uplink.Repairer.
func (l *Log) Owed() []record.Owed { return l.owed }

// Delivered implements uplink.Repairer.
func (l *Log) Delivered() record.Offset { return l.Position }

// Gaps implements uplink.Repairer.
func (l *Log) Gaps() (out []record.Gap) {
	for _, e := range l.epochs {
		out = append(out, e.gaps...)
	}
	return out
}

// Codec writes numeric records as 32 bytes each, whatever codec is asked for.
type Codec struct{}

const codecBytes = 32

// Encode implements uplink.Codec.
func (Codec) Encode(dst []byte, recs []record.Record, c record.Codec) ([]byte, record.Codec, int, error) {
	if len(recs)*codecBytes > record.MaxBodyBytes {
		return nil, 0, 0, errors.New("body too large")
	}
	n := len(dst)
	for i := range recs {
		dst = recs[i].AppendCanonical(dst)
		dst = append(dst, make([]byte, 8)...)
	}
	return dst, c, len(dst) - n, nil
}

// Decode implements uplink.Codec.
func (Codec) Decode(dst []record.Record, _ record.Codec, _, count uint32, body []byte) ([]record.Record, error) {
	if len(body) != int(count)*codecBytes {
		return nil, errors.New("body's length")
	}
	for ; len(body) > 0; body = body[codecBytes:] {
		dst = append(dst, record.Record{Kind: record.Kind(body[0]), Quality: record.Quality(body[1]), Type: record.Type(body[2]), Clock: record.Clock(body[3]),
			Series: record.SeriesID(binary.LittleEndian.Uint32(body[4:])), Time: int64(binary.LittleEndian.Uint64(body[8:])), Num: int64(binary.LittleEndian.Uint64(body[16:]))})
	}
	return dst, nil
}

// Held is one record and where it stands.
type Held struct {
	Epoch  record.Epoch
	Offset record.Offset
	Record record.Record
}

// Records are all records that are not in a gap, in order.
func (l *Log) Records() (out []Held) {
	for _, e := range l.epochs {
		for i, r := range e.recs {
			if _, gone := e.gapAt(e.First + record.Offset(i)); !gone {
				out = append(out, Held{e.Epoch.Epoch, e.First + record.Offset(i), r})
			}
		}
	}
	return out
}

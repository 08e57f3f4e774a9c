package uplinktest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// Checksum is the CRC of a body.
func Checksum(b []byte) uint32 { return wire.Checksum(b) }

// Row is one record in the hub's store.
type Row struct {
	Num     int64
	Quality record.Quality
	Late    bool
}

// Hub is a model of the receiver for one device: H1 to H5 in the plainest way, one frame one transaction.
type Hub struct {
	Credit     uint32
	Codec      uplink.Codec // of the bodies
	HubTime    int64
	Unreadable func(*wire.Data) bool // a body that this hub cannot read
	epochs     map[record.Epoch]*HubEpoch
	named      map[record.Epoch]bool // by the latest hello
}

// HubEpoch is what the store holds of one epoch.
type HubEpoch struct {
	Stream            string
	Parent            record.Epoch
	ParentEnd         record.Offset
	First, Next       record.Offset
	Chain             uint64
	Marks             []wire.Mark // where frames ended
	Quarantined       bool
	Rows              map[record.Offset]Row
	Gaps              []record.Gap
	Defined           map[record.SeriesID]bool
	Messages          []record.ProducerSpan // as the frames that were taken named them
	Twice, Conflicts  int
	badBase           record.Offset
	bad               int
	duplicates, taken int
}

// NewHub makes an empty one.
func NewHub() *Hub {
	return &Hub{Credit: 1 << 20, Codec: Codec{}, epochs: map[record.Epoch]*HubEpoch{}}
}

// Epoch is the store's state of an epoch, nil if it has none.
func (h *Hub) Epoch(id record.Epoch) *HubEpoch { return h.epochs[id] }

// Epochs are all ids, ascending.
func (h *Hub) Epochs() []record.Epoch { return slices.Sorted(maps.Keys(h.epochs)) }

// ForgetDefinitions loses every definition, as a restored store may.
func (h *Hub) ForgetDefinitions() {
	for _, e := range h.epochs {
		clear(e.Defined)
	}
}

// Backup is a copy of the store.
func (h *Hub) Backup() *Hub {
	c := *h
	c.epochs, c.named = map[record.Epoch]*HubEpoch{}, nil
	for id, e := range h.epochs {
		d := *e
		d.Rows, d.Defined, d.Gaps = maps.Clone(e.Rows), maps.Clone(e.Defined), slices.Clone(e.Gaps)
		d.Messages, d.Marks = slices.Clone(e.Messages), slices.Clone(e.Marks)
		c.epochs[id] = &d
	}
	return &c
}

// Restore replaces the store by a backup.
func (h *Hub) Restore(b *Hub) {
	h.epochs = b.Backup().epochs
	h.named = nil
}

// Handle takes one message and returns the ack, nil if there is none.
func (h *Hub) Handle(m wire.Message) *wire.Ack {
	switch m := m.(type) {
	case *wire.Hello:
		return h.hello(m)
	case *wire.Data:
		if !m.BodyOK() || h.Unreadable != nil && h.Unreadable(m) {
			return h.unreadable(m)
		}
		return h.frame(&m.FrameHeader, func(e *HubEpoch) wire.Verdict { return h.data(e, m) })
	case *wire.Gap:
		return h.frame(&m.FrameHeader, func(e *HubEpoch) wire.Verdict { return e.gap(m) })
	}
	return nil
}

func (h *Hub) hello(m *wire.Hello) *wire.Ack {
	if m.Part == 0 {
		h.named = map[record.Epoch]bool{}
	}
	a := &wire.Ack{Nonce: m.Nonce, Answer: true, Part: m.Part, Parts: m.Parts, Credit: h.Credit, HubTime: h.HubTime}
	for _, s := range m.Streams {
		for _, st := range s.Epochs {
			h.named[st.Epoch] = true
			e := h.epochs[st.Epoch]
			if e == nil {
				a.Positions = append(a.Positions, wire.Position{Stream: s.Stream, Epoch: st.Epoch, Next: st.First})
				continue
			}
			p := e.position(st.Epoch, wire.VerdictOK)
			for _, g := range e.Gaps {
				if g.From < st.End && st.Low < g.To && len(p.Gaps) < wire.MaxAckGaps {
					p.Gaps = append(p.Gaps, g)
				}
			}
			if !st.ChainKnown || st.End != e.Next || st.ChainEnd != e.Chain {
				for _, m := range e.Marks {
					if m.Offset <= st.End {
						p.Marks = append(p.Marks, m)
					}
				}
				p.Marks = p.Marks[max(0, len(p.Marks)-wire.MaxAckMarks):]
			}
			a.Positions = append(a.Positions, p)
		}
	}
	return a
}

func (e *HubEpoch) position(id record.Epoch, v wire.Verdict) wire.Position {
	if e.Quarantined {
		v = wire.VerdictConflict
	}
	return wire.Position{Stream: e.Stream, Epoch: id, Known: true, Next: e.Next, ChainNext: e.Chain, Verdict: v}
}

func (h *Hub) ack(n wire.Nonce, p ...wire.Position) *wire.Ack {
	return &wire.Ack{Nonce: n, Credit: h.Credit, Positions: p}
}

// unreadable counts by base; the third time it says so (H3).
func (h *Hub) unreadable(d *wire.Data) *wire.Ack {
	e := h.epochs[d.Epoch]
	if e == nil {
		e = h.create(&d.FrameHeader, d.ChainBase)
		h.epochs[d.Epoch] = e
	}
	if d.Base != e.Next { // not its turn
		return h.ack(d.Nonce, e.position(d.Epoch, wire.VerdictRewind))
	}
	if e.badBase != d.Base {
		e.badBase, e.bad = d.Base, 0
	}
	if e.bad++; e.bad < 3 {
		return nil
	}
	return h.ack(d.Nonce, e.position(d.Epoch, wire.VerdictUnreadable))
}

func (h *Hub) create(f *wire.FrameHeader, chain uint64) *HubEpoch {
	return &HubEpoch{Stream: f.Stream, Parent: f.Parent, ParentEnd: f.ParentEnd, First: f.First, Next: f.First, Chain: chain,
		Rows: map[record.Offset]Row{}, Defined: map[record.SeriesID]bool{}}
}

// frame applies H2, then what the kind of frame does.
func (h *Hub) frame(f *wire.FrameHeader, take func(*HubEpoch) wire.Verdict) *wire.Ack {
	e := h.epochs[f.Epoch]
	if e != nil {
		if !e.Quarantined {
			if v := take(e); v != wire.VerdictOK {
				return h.ack(f.Nonce, e.position(f.Epoch, v))
			}
		}
		return h.ack(f.Nonce, e.position(f.Epoch, wire.VerdictOK))
	}
	if p := h.epochs[f.Parent]; f.Parent != 0 && (p != nil && p.Next < f.ParentEnd || p == nil && h.named[f.Parent]) {
		wait := wire.Position{Stream: f.Stream, Epoch: f.Epoch, Next: f.First, Verdict: wire.VerdictWait, Parent: f.Parent}
		if p != nil {
			return h.ack(f.Nonce, wait, p.position(f.Parent, wire.VerdictOK))
		}
		return h.ack(f.Nonce, wait)
	}
	e = h.create(f, 0)
	switch v := take(e); {
	case v == wire.VerdictOK:
		h.epochs[f.Epoch] = e
		return h.ack(f.Nonce, e.position(f.Epoch, v))
	default:
		return h.ack(f.Nonce, wire.Position{Stream: f.Stream, Epoch: f.Epoch, Next: f.First, Verdict: v})
	}
}

func (e *HubEpoch) fresh() bool { return e.Next == e.First && len(e.Rows) == 0 && len(e.Gaps) == 0 }

func (h *Hub) data(e *HubEpoch, d *wire.Data) wire.Verdict {
	recs, err := h.Codec.Decode(nil, d.Codec, d.RawLen, d.Count, d.Body)
	if err != nil {
		panic(err)
	}
	if got := record.FoldChain(d.ChainBase, recs); got != d.ChainEnd {
		panic(fmt.Sprintf("frame at %d: chain ends on %x, header says %x", d.Base, got, d.ChainEnd))
	}
	end := d.Base + record.Offset(d.Count)
	if d.Base > e.Next {
		return wire.VerdictRewind
	}
	defined := maps.Clone(e.Defined)
	for _, def := range d.Definitions {
		defined[def.ID] = true
	}
	for _, r := range recs {
		if !defined[r.Series] {
			return wire.VerdictDefinitions
		}
	}
	if e.fresh() && d.Base == e.First {
		e.Chain = d.ChainBase
	}
	e.fill(d, recs, defined)
	if end <= e.Next {
		e.duplicates++
		return wire.VerdictOK
	}
	skip := e.Next - d.Base
	if record.FoldChain(d.ChainBase, recs[:skip]) != e.Chain {
		e.Quarantined = true
		e.Conflicts++
		return wire.VerdictConflict
	}
	for i, r := range recs[skip:] {
		e.put(e.Next+record.Offset(i), Row{Num: r.Num, Quality: r.Quality})
	}
	e.Next, e.Chain, e.Defined = end, d.ChainEnd, defined
	e.Marks = append(e.Marks, wire.Mark{Offset: end, Chain: d.ChainEnd})
	e.Messages = append(e.Messages, d.Producers...)
	e.taken++
	return wire.VerdictOK
}

func (e *HubEpoch) put(o record.Offset, r Row) {
	if _, ok := e.Rows[o]; ok {
		e.Twice++
	}
	e.Rows[o] = r
}

// fill stores what reaches the beginning of a recorded gap (H3).
func (e *HubEpoch) fill(d *wire.Data, recs []record.Record, defined map[record.SeriesID]bool) {
	end := d.Base + record.Offset(d.Count)
	for i := 0; i < len(e.Gaps); i++ {
		g := e.Gaps[i]
		if g.From < d.Base || g.From >= end || record.FoldChain(d.ChainBase, recs[:g.From-d.Base]) != g.ChainFrom {
			continue
		}
		to := min(end, g.To)
		chain := record.FoldChain(d.ChainBase, recs[:to-d.Base])
		if to == g.To && chain != g.ChainTo {
			continue
		}
		for o := g.From; o < to; o++ {
			r := recs[o-d.Base]
			e.put(o, Row{Num: r.Num, Quality: r.Quality, Late: true})
		}
		e.Defined = defined
		if e.Gaps[i].From, e.Gaps[i].ChainFrom = to, chain; to == g.To {
			e.Gaps = slices.Delete(e.Gaps, i, i+1)
			i--
		}
	}
}

func (e *HubEpoch) gap(g *wire.Gap) wire.Verdict {
	if e.fresh() && g.From == e.First {
		e.Chain = g.ChainFrom
	}
	switch {
	case g.From > e.Next:
		return wire.VerdictRewind
	case g.To <= e.Next:
		return wire.VerdictOK
	case g.From == e.Next && g.ChainFrom != e.Chain:
		e.Quarantined = true
		e.Conflicts++
		return wire.VerdictConflict
	}
	e.Gaps = append(e.Gaps, record.Gap{Epoch: g.Epoch, Range: record.Range{From: e.Next, To: g.To}, Reason: g.Reason, ChainFrom: e.Chain, ChainTo: g.ChainTo})
	e.Next, e.Chain = g.To, g.ChainTo
	e.Marks = append(e.Marks, wire.Mark{Offset: g.To, Chain: g.ChainTo})
	return wire.VerdictOK
}

package logtool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/wire"
)

// ErrNotOurs: the ack file answers no export that was made from this directory (rule A11).
var ErrNotOurs = errors.New("this ack file answers no export of this log")

// DeliverReport says what an ack file changed.
type DeliverReport struct {
	SchemaVersion int             `json:"schema_version"`
	Device        string          `json:"device"`
	Nonce         string          `json:"nonce"`
	Streams       []DeliverStream `json:"streams"`
}

// DeliverStream is one stream of it.
type DeliverStream struct {
	Stream string   `json:"stream"`
	Before uint64   `json:"delivered_before"`
	After  uint64   `json:"delivered"`
	Notes  []string `json:"notes"` // why it is not more
}

// Deliver takes an ack file: what it says to be at the hub counts as delivered, if it echoes the nonce of an export
// that was made here (rule A11). Positions only rise; the next answer over the network sets them as it finds them. The
// agent must be stopped (vfs.ErrLocked). nil: the positions are durable.
func (d Dir) Deliver(ctx context.Context, file io.Reader) (r *DeliverReport, err error) {
	acks, head, err := answers(file)
	if err != nil {
		return nil, err
	}
	x, ok, err := d.made(head.Nonce)
	if err != nil {
		return nil, err
	}
	if !ok || x.Device != head.Device {
		return nil, fmt.Errorf("%w: it belongs to device %s, export %s", ErrNotOurs, head.Device, nonceText(head.Nonce))
	}
	set, err := d.change(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := set.Close(); err == nil && cerr != nil {
			r, err = nil, fmt.Errorf("make positions durable: %w", cerr)
		}
	}()
	r = &DeliverReport{SchemaVersion: SchemaVersion, Device: head.Device, Nonce: nonceText(head.Nonce), Streams: []DeliverStream{}}
	for _, l := range set.Logs() {
		r.Streams = append(r.Streams, deliver(l, acks))
	}
	return r, nil
}

// answers reads a whole ack file; one that was cut off does not count.
func answers(file io.Reader) (out []*wire.Ack, h carry.Header, err error) {
	c, err := carry.NewReader(file)
	if err != nil {
		return nil, h, err
	}
	if c.Header.Kind != carry.Ack {
		return nil, h, fmt.Errorf("%w: it is an export; edge-hub import makes its ack file", carry.ErrFormat)
	}
	for {
		m, err := c.Next()
		if errors.Is(err, io.EOF) {
			return out, c.Header, nil
		}
		if err != nil {
			return nil, h, err
		}
		if a, ok := m.(*wire.Ack); ok {
			out = append(out, a)
		}
	}
}

func deliver(l *buffer.Log, acks []*wire.Ack) DeliverStream {
	s := DeliverStream{Stream: l.Name(), Before: uint64(l.Delivered()), Notes: []string{}}
	note := func(format string, args ...any) { s.Notes = append(s.Notes, fmt.Sprintf(format, args...)) }
	s.After = s.Before
	info := l.Info()
	if len(info.Held) > 0 {
		note("%d files cannot be read by this program: nothing is counted", len(info.Held))
		return s
	}
	at := info.Delivered
	for _, e := range l.Epochs() {
		p, all := find(acks, l.Name(), e.Epoch)
		to, whole := position(l, &e, p, all, info.Gaps, note)
		info.Owed = owe(info.Owed, &e, p, to, info.Gaps)
		at = to
		if !whole {
			break
		}
	}
	if at > info.Delivered {
		l.SetDelivered(at, info.Owed...)
		s.After = uint64(l.Delivered())
	}
	return s
}

// position is up to where an epoch is at the hub (A2), and whether that is all of it. all: p lists every gap of the hub.
func position(l *buffer.Log, e *buffer.EpochInfo, p *wire.Position, all bool, gaps []record.Gap, note func(string, ...any)) (record.Offset, bool) {
	if p == nil || !p.Known {
		note("epoch %s: the hub has nothing of it", e.Epoch)
		return e.First, false
	}
	if p.Verdict == wire.VerdictConflict {
		note("epoch %s: the hub has another history; the next connection settles it", e.Epoch)
		return e.First, false
	}
	if p.Next >= e.First && p.Next <= e.End {
		if c, ok := chainAt(l, e, p.Next); ok && c != p.ChainNext {
			note("epoch %s: the hub has another history at offset %d; the next connection settles it", e.Epoch, p.Next)
			return e.First, false
		}
	}
	to := min(max(p.Next, e.First), e.End)
	for _, g := range p.Gaps { // what the hub lacks and this log holds is not delivered
		if g.From < to && g.From >= e.Low && !inGap(gaps, e.Epoch, g.From) {
			note("epoch %s: the hub lacks offsets %d to %d, which are here: the next connection sends them", e.Epoch, g.From, g.To)
			to = g.From
		}
	}
	if known := e.First; !all { // there may be gaps above the last one listed: the oldest are
		if n := len(p.Gaps); n > 0 {
			known = max(known, p.Gaps[n-1].To)
		}
		if known < to {
			note("epoch %s: the hub lacks more than an ack file lists: what is above offset %d counts with the next connection", e.Epoch, known)
			to = known
		}
	}
	return to, to == e.End
}

// owe adds what the hub lacks below the position and cannot be sent, because the gap's beginning is not here: it is not
// delivered either, and retention must not call it so.
func owe(owed []record.Owed, e *buffer.EpochInfo, p *wire.Position, to record.Offset, gaps []record.Gap) []record.Owed {
	if p == nil {
		return owed
	}
	var known []record.Range
	for _, g := range gaps {
		if g.Epoch == e.Epoch {
			known = append(known, g.Range)
		}
	}
	for _, o := range owed {
		known = append(known, o.Range)
	}
	out := slices.Clone(owed)
	for _, g := range p.Gaps {
		r := record.Range{From: max(g.From, e.First), To: min(g.To, to)}
		if r.Len() == 0 {
			continue
		}
		for _, part := range r.Without(known...) {
			out = append(out, record.Owed{Range: part, Reason: g.Reason})
		}
	}
	slices.SortFunc(out, func(a, b record.Owed) int { return cmp.Compare(a.From, b.From) })
	return out
}

// chainAt is chain(o) within an epoch; at its end only where the log tells it for this epoch.
func chainAt(l *buffer.Log, e *buffer.EpochInfo, o record.Offset) (uint64, bool) {
	if o == e.First {
		return e.ChainFirst, true
	}
	if o == e.End {
		for _, n := range l.Epochs() {
			if n.First == o && n.Epoch != e.Epoch {
				return n.ChainFirst, n.Parent == e.Epoch && n.ParentEnd == o
			}
		}
	}
	return l.Chain(o)
}

func inGap(gaps []record.Gap, e record.Epoch, o record.Offset) bool {
	for _, g := range gaps {
		if g.Epoch == e && g.Contains(o) {
			return true
		}
	}
	return false
}

// find is what the acks say of an epoch, and whether that lists all gaps.
func find(acks []*wire.Ack, stream string, e record.Epoch) (p *wire.Position, all bool) {
	for _, a := range acks {
		gaps := 0
		for i := range a.Positions {
			gaps += len(a.Positions[i].Gaps)
			if x := &a.Positions[i]; x.Stream == stream && x.Epoch == e {
				p = x
			}
		}
		if p != nil {
			return p, len(p.Gaps) < wire.MaxAckGaps && gaps < wire.MaxAckGapsTotal
		}
	}
	return nil, true
}

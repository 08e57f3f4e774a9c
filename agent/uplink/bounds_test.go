package uplink_test

import (
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestTriesBeforeUnsendable: one record that the hub calls unreadable each time is tried as it is, then uncompressed, and then at least
// eight times more, before a gap takes its place: a link that damages bodies must not cost a record.
func TestTriesBeforeUnsendable(t *testing.T) {
	now := time.Unix(1, 0)
	log := uplinktest.NewLog("telemetry", 4, func() record.Epoch { return 1 })
	var given []record.Range
	random := uint64(0)
	s := uplink.New(uplink.Options{Random: func() uint64 { random++; return random }, Codec: uplinktest.Codec{},
		Events: uplink.Events{Unsendable: func(_ string, _ record.Epoch, r record.Range) { given = append(given, r) }}}, log)
	log.Reopen()
	log.Append(7)
	s.Connected(now)
	chain, _ := log.Chain(1, 0)
	at := wire.Position{Stream: log.Name, Epoch: 1, Known: true, ChainNext: chain}
	var nonce wire.Nonce
	tries := 0
	for step := 0; len(given) == 0; step++ {
		if step > 1000 {
			t.Fatalf("%d tries, and no end", tries)
		}
		switch m, _ := s.Next(now); m := m.(type) {
		case *wire.Hello:
			nonce = m.Nonce
			s.Received(&wire.Ack{Nonce: nonce, Answer: true, Parts: 1, Credit: 1 << 20, Positions: []wire.Position{at}}, now)
		case *wire.Data:
			tries++
			p := at
			p.Verdict = wire.VerdictUnreadable
			s.Received(&wire.Ack{Nonce: nonce, Credit: 1 << 20, Positions: []wire.Position{p}}, now)
		default:
			now = now.Add(time.Second)
			s.Tick(now)
		}
	}
	if tries < 2+8 || given[0] != (record.Range{From: 0, To: 1}) {
		t.Errorf("given up after %d tries: %v", tries, given)
	}
	if g := log.Gaps(); len(g) != 1 || g[0].Reason != record.ReasonUnsendable {
		t.Errorf("gaps: %+v", g)
	}
}

// TestAnswerPartTwice: a broker may bring a part of an answer again. Until every part has come nothing is sent, and no epoch counts
// as one that the hub has never heard of.
func TestAnswerPartTwice(t *testing.T) {
	const openings = 150 // more than one hello tells, and less than three
	now := time.Unix(1, 0)
	ids := record.Epoch(0)
	log := uplinktest.NewLog("telemetry", 4, func() record.Epoch { ids++; return ids })
	random := uint64(0)
	for range openings {
		log.Reopen()
		log.Append(1)
	}
	s := uplink.New(uplink.Options{Random: func() uint64 { random++; return random }, Codec: uplinktest.Codec{}}, log)
	s.Connected(now)
	var parts []*wire.Ack
	for s.Status().Phase == uplink.PhaseHello {
		m, _ := s.Next(now)
		h := m.(*wire.Hello)
		a := &wire.Ack{Nonce: h.Nonce, Answer: true, Part: h.Part, Parts: h.Parts, Credit: 1 << 20}
		for _, st := range h.Streams {
			for _, e := range st.Epochs { // the hub has everything
				a.Positions = append(a.Positions, wire.Position{Stream: st.Stream, Epoch: e.Epoch, Known: true, Next: e.End, ChainNext: e.ChainEnd})
			}
		}
		parts = append(parts, a)
	}
	if len(parts) != 2 {
		t.Fatalf("%d parts", len(parts))
	}
	s.Received(parts[0], now)
	s.Received(parts[0], now)
	if s.Status().Phase != uplink.PhaseWaiting || s.Status().Ignored != 1 {
		t.Errorf("one part twice is taken for both: %+v", s.Status())
	}
	s.Received(parts[1], now)
	if m, ok := s.Next(now); ok || s.Status().Phase != uplink.PhaseStreaming || log.Position != openings {
		t.Errorf("%s, delivered %d of %d, sends %T", s.Status().Phase, log.Position, openings, m)
	}
}

// narrow makes uncompressed bodies of few records only.
type narrow struct {
	uplinktest.Codec
	most int
}

func (c narrow) Encode(dst []byte, recs []record.Record, as record.Codec) ([]byte, record.Codec, int, error) {
	if as == record.CodecPlain && len(recs) > c.most {
		return nil, 0, 0, record.ErrBodyTooLarge
	}
	return c.Codec.Encode(dst, recs, as)
}

// TestBodyThatIsTooLargeUncompressed: a hub can read nothing but uncompressed bodies, and what is sent so does not fit into one:
// frames become smaller until they fit, and no record is lost. Where not even one fits, that is said and tried again later.
func TestBodyThatIsTooLargeUncompressed(t *testing.T) {
	for most, delivered := range map[int]record.Offset{3: 40, 1: 40, 0: 0} {
		w := newWorld(1, 16, "telemetry")
		w.hub.Unreadable = func(d *wire.Data) bool { return d.Codec != record.CodecPlain }
		w.append(0, 40)
		o := w.options()
		o.Codec = narrow{most: most}
		w.s = uplink.New(o, w.logs[0])
		w.settle(24 * time.Hour)
		if w.logs[0].Position != delivered {
			t.Errorf("at most %d records: %d are delivered, want %d; %q", most, w.logs[0].Position, delivered, w.events)
		}
		if delivered == 0 {
			if len(w.events) == 0 || !strings.Contains(w.events[0], "failed telemetry: encode 1 records at 0") {
				t.Errorf("nobody is told: %q", w.events)
			}
			continue
		}
		for _, wrong := range append(w.check(), w.events...) {
			t.Errorf("at most %d records: %s", most, wrong)
		}
	}
}

// TestFillsInVain: the hub lists a gap of which this log holds other records, so that no fill closes it. After three times the
// position passes it, with what the hub is owed beside it, and it is sent no more.
func TestFillsInVain(t *testing.T) {
	w := newWorld(1, 4, "telemetry")
	w.append(0, 12)
	w.settle(time.Hour)
	gap := record.Gap{Epoch: 1, Range: record.Range{From: 4, To: 8}, Reason: record.ReasonCorrupt, ChainTo: 1}
	gap.ChainFrom, _ = w.logs[0].Chain(1, 4)
	e := w.hub.Epoch(1)
	for o := gap.From; o < gap.To; o++ {
		delete(e.Rows, o)
	}
	e.Gaps = append(e.Gaps, gap)
	fills, waited := 0, 0
	w.hub.Unreadable = func(d *wire.Data) bool {
		if d.Base == gap.From {
			fills++
			if w.logs[0].Position == gap.From {
				waited++
			}
		}
		return false
	}
	w.disconnect()
	for range 12 { // hellos
		w.settle(time.Hour)
		if !w.connected {
			w.connect()
		}
		w.now = w.s.Wake()
		w.s.Tick(w.now)
	}
	if fills != 3 || waited != 3 {
		t.Errorf("it was sent %d times, %d times with the position below it", fills, waited)
	}
	if owed := w.logs[0].Owed(); w.logs[0].Position != 12 || len(owed) != 1 || owed[0].Range != gap.Range || owed[0].Reason != gap.Reason {
		t.Errorf("delivered %d, owed %+v", w.logs[0].Position, owed)
	}
	for _, a := range w.s.Accounts() {
		if !a.Balanced || a.Delivered != 8 || a.Dropped[record.ReasonCorrupt] != 4 {
			t.Errorf("account %+v", a)
		}
	}
}

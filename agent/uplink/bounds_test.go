package uplink_test

import (
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

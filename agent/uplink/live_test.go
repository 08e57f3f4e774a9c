package uplink_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// greeted is a sender over logs that has said hello and was answered with a credit.
func greeted(t *testing.T, credit uint32, now time.Time, logs ...*uplinktest.Log) (*uplink.Sender, wire.Nonce) {
	t.Helper()
	var src []uplink.Source
	for _, l := range logs {
		src = append(src, l)
	}
	s := uplink.New(uplink.Options{NoGather: true, Codec: uplinktest.Codec{}, Random: rand.Uint64}, src...)
	s.Connected(now)
	m, _ := s.Next(now)
	h, ok := m.(*wire.Hello)
	if !ok {
		t.Fatalf("the first message is %T", m)
	}
	a := &wire.Ack{Nonce: h.Nonce, Answer: true, Parts: h.Parts, Credit: credit}
	for _, st := range h.Streams {
		for _, e := range st.Epochs {
			a.Positions = append(a.Positions, wire.Position{Stream: st.Stream, Epoch: e.Epoch, Next: e.First})
		}
	}
	s.Received(a, now)
	return s, h.Nonce
}

func sent(s *uplink.Sender, now time.Time) (frames []*wire.Data) {
	for {
		m, ok := s.Next(now)
		if !ok {
			return frames
		}
		if d, ok := m.(*wire.Data); ok {
			frames = append(frames, d)
		}
	}
}

// TestAlarmPassesABacklog: while as much history is under way as the hub allows, or more than it allows by now, an alarm
// goes at once.
func TestAlarmPassesABacklog(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ids := record.Epoch(0)
	mint := func() record.Epoch { ids++; return ids }
	history, alarms := uplinktest.NewLog("telemetry", 1, mint), uplinktest.NewLog("alarms", 1, mint)
	for i := range 400 {
		history.Append(int64(i))
	}
	const frames = 64
	s, nonce := greeted(t, frames*uplink.DefaultFrameCost, now, history, alarms)
	if n := len(sent(s, now)); n != frames-1 {
		t.Fatalf("%d frames of history are under way on a credit of %d; one is to be left free", n, frames)
	}
	alarms.Append(1)
	s.LogChanged("alarms")
	if f := sent(s, now); len(f) != 1 || f[0].Stream != "alarms" {
		t.Fatalf("an alarm while the credit is used up: %d frames", len(f))
	}
	// The hub finds out that it is slower than it thought. What is under way is more than it would allow now.
	chain := alarms.Epochs()[0]
	c, _ := alarms.Chain(chain.Epoch, 1)
	s.Received(&wire.Ack{Nonce: nonce, Credit: 8 * uplink.DefaultFrameCost, Positions: []wire.Position{
		{Stream: "alarms", Epoch: chain.Epoch, Known: true, Next: 1, ChainNext: c}}}, now)
	if f := sent(s, now); len(f) != 0 {
		t.Fatalf("%d frames beyond the credit", len(f))
	}
	alarms.Append(2, 3)
	s.LogChanged("alarms")
	if f := sent(s, now); len(f) != 1 || f[0].Stream != "alarms" || f[0].Base != 1 {
		t.Fatalf("alarms while more than the credit is under way: %d frames, want one at a time", len(f))
	}
}

// TestAnyCreditLetsOneFrameGo: a hub with thousands of devices gives each a credit that may be smaller than one record.
func TestAnyCreditLetsOneFrameGo(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	log := uplinktest.NewLog("telemetry", 8, func() record.Epoch { return 7 })
	log.Append(1, 2, 3, 4, 5, 6, 7, 8)
	src := uplink.New(uplink.Options{Codec: uplinktest.Codec{}, Random: rand.Uint64}, log)
	src.Connected(now)
	m, _ := src.Next(now)
	h := m.(*wire.Hello)
	for credit, want := range map[uint32]int{0: 0, 20: 1} {
		src.Received(&wire.Ack{Nonce: h.Nonce, Answer: true, Parts: 1, Credit: credit, Positions: []wire.Position{{Stream: "telemetry", Epoch: 7}}}, now)
		if f := sent(src, now); len(f) != want || want == 1 && f[0].Count != 1 {
			t.Errorf("a credit of %d, less than one record takes: %d frames, want %d", credit, len(f), want)
		}
		src.Connected(now)
		m, _ = src.Next(now)
		h = m.(*wire.Hello)
	}
}

package uplink_test

import (
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestSkippedIsWhatTheAnswerSays: acks add to what the hub skipped; an answer takes back what it does not list, because the
// hub was restored to before and may have stored it since. A list that may be cut off takes nothing back.
func TestSkippedIsWhatTheAnswerSays(t *testing.T) {
	const records = 200
	now := time.Unix(1, 0)
	log := uplinktest.NewLog("telemetry", 4, func() record.Epoch { return 1 })
	var told []record.Range
	random, nonce := uint64(0), wire.Nonce(0)
	s := uplink.New(uplink.Options{Random: func() uint64 { random++; return random },
		Events: uplink.Events{Skipped: func(_ string, _ record.Epoch, k wire.SkippedRange) { told = append(told, k.Range) }}}, log)
	log.Reopen()
	log.Append(make([]int64, records)...)
	chain, _ := log.Chain(1, records)

	single := func(first, n int) (out []wire.SkippedRange) { // every second record
		for i := range n {
			o := record.Offset(first + 2*i)
			out = append(out, wire.SkippedRange{Range: record.Range{From: o, To: o + 1}, Reason: "repeat"})
		}
		return out
	}
	hear := func(answer bool, list []wire.SkippedRange) {
		s.Received(&wire.Ack{Nonce: nonce, Answer: answer, Parts: 1, Credit: 1 << 20, Positions: []wire.Position{
			{Stream: log.Name, Epoch: 1, Known: true, Next: records, ChainNext: chain, Skipped: list}}}, now)
	}
	steps := []struct {
		what   string
		hello  bool
		list   []wire.SkippedRange
		want   uint64
		events int
	}{
		{"an answer", true, single(0, 3), 3, 3},
		{"an ack adds", false, single(10, 1), 4, 1},
		{"an answer without the last two", true, single(0, 2), 2, 0},
		{"an answer that cuts a range", true, []wire.SkippedRange{{Range: record.Range{From: 20, To: 30}, Reason: "repeat"}}, 10, 1},
		{"the same, shorter", true, []wire.SkippedRange{{Range: record.Range{From: 22, To: 25}, Reason: "repeat"}}, 3, 0},
		{"another reason in its place", true, []wire.SkippedRange{{Range: record.Range{From: 22, To: 25}, Reason: "dead-letter"}}, 3, 1},
		{"a full list says nothing of the rest", true, single(40, wire.MaxAckSkipped), 3 + wire.MaxAckSkipped, wire.MaxAckSkipped},
		{"nothing skipped any more", true, nil, 0, 0},
	}
	for _, x := range steps {
		if told = nil; x.hello {
			s.Connected(now)
			for s.Status().Phase == uplink.PhaseHello {
				m, _ := s.Next(now)
				nonce = m.(*wire.Hello).Nonce
			}
		}
		hear(x.hello, x.list)
		a := s.Accounts()[0]
		got := uint64(0)
		for _, n := range a.Skipped {
			got += n
		}
		if got != x.want || !a.Balanced || a.Delivered+got != records || len(told) != x.events {
			t.Errorf("%s: skipped %d, not %d, events %v: %+v", x.what, got, x.want, told, a)
		}
	}
}

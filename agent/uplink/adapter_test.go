package uplink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestRealLogThroughTheLoop drives a loop over a real log, reopened between rounds, into a model hub that reads the
// real bodies.
func TestRealLogThroughTheLoop(t *testing.T) {
	dir := t.TempDir()
	hub := uplinktest.NewHub()
	hub.Codec = new(uplink.Bodies)
	total := 0
	for round := range 3 {
		total += 40 * 100
		realRound(t, dir, hub, round, total)
	}
	rows := 0
	for _, id := range hub.Epochs() {
		e := hub.Epoch(id)
		if rows += len(e.Rows); e.Twice > 0 || len(e.Gaps) > 0 {
			t.Errorf("epoch %s: %d twice, gaps %v", id, e.Twice, e.Gaps)
		}
	}
	if rows != total {
		t.Errorf("%d rows, want %d", rows, total)
	}
}

func realRound(t *testing.T, dir string, hub *uplinktest.Hub, round, total int) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	set, err := buffer.Open(ctx, vfs.OS{}, dir, buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	run := func(f func(context.Context) error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := f(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}()
	}
	run(set.Run)
	log, err := set.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	source := uplink.NewLog(log)
	loop := uplink.NewLoop(uplink.LoopOptions{Sender: uplink.Options{FrameCost: 1, Random: rand.Uint64}, Sources: []uplink.Source{source},
		Dial: func(context.Context) (wire.Link, error) {
			p := uplinktest.NewPipe(8)
			wg.Add(1)
			go func() { defer wg.Done(); p.Serve(hub) }()
			return p, nil
		}})
	run(loop.Run)
	for sweep := range 40 {
		d := record.Draft{}
		for i := range 100 {
			id, err := log.Define(record.Series{Name: "temperature", Labels: []record.Label{{Key: "rom", Value: fmt.Sprint(i + round)}}, Unit: "Cel", Type: record.Decimal(4)})
			if err != nil {
				t.Fatal(err)
			}
			d.Records = append(d.Records, record.Record{Kind: record.KindObservation, Type: record.Decimal(4), Clock: record.ClockBoot, Time: int64(sweep) * 1e9, Series: id, Num: int64(210000 + sweep*i)})
		}
		ticket, err := log.Append(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ticket.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for ctx.Err() == nil && log.Delivered() != record.Offset(total) {
		time.Sleep(5 * time.Millisecond)
	}
	for _, a := range loop.Accounts() {
		if !a.Balanced || a.Buffered+a.InFlight != 0 {
			t.Errorf("round %d: %+v", round, a)
		}
	}
	cancel()
	wg.Wait()
	if err := source.Close(); err != nil {
		t.Error(err)
	}
	if err := set.Close(); err != nil {
		t.Error(err)
	}
}

// TestChainAtBorders: the end of a closed epoch has the chain of its records, although a child begins there. Without it
// a hub whose own history ends at the same offset would seem to agree (A9).
func TestChainAtBorders(t *testing.T) {
	fs := vfs.NewMem()
	var chains []uint64 // at the end of each opening
	var source *uplink.Log
	for opening := range 3 {
		set, err := buffer.Open(t.Context(), fs, "log", buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
		if err != nil {
			t.Fatal(err)
		}
		log, err := set.Log("telemetry")
		if err != nil {
			t.Fatal(err)
		}
		id, err := log.Define(record.Series{Name: "count", Type: record.TypeInt})
		if err != nil {
			t.Fatal(err)
		}
		r := record.Record{Kind: record.KindObservation, Type: record.TypeInt, Clock: record.ClockBoot, Time: 1, Series: id, Num: int64(opening)}
		if _, err := log.Append(t.Context(), record.Draft{Records: []record.Record{r, r}}); err != nil {
			t.Fatal(err)
		}
		if err := log.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		source = uplink.NewLog(log)
		epochs := source.Epochs()
		for i, e := range epochs {
			c, ok := source.Chain(e.Epoch, e.End)
			if i == len(chains) {
				chains = append(chains, c)
			}
			if !ok || c != chains[i] {
				t.Errorf("opening %d: chain at the end of epoch %d is %x (%v), was %x", opening, i, c, ok, chains[i])
			}
		}
		if len(chains) != opening+1 {
			t.Fatalf("opening %d: %d epochs", opening, len(epochs))
		}
		if err := set.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGapsSideBySide: gaps that touch stay apart where their reasons differ, in a real log, after it was opened again,
// and on the way to a hub; where the reason is the same they are one.
func TestGapsSideBySide(t *testing.T) {
	fs := vfs.NewMem()
	open := func() (*buffer.Set, *buffer.Log) {
		set, err := buffer.Open(t.Context(), fs, "log", buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
		if err != nil {
			t.Fatal(err)
		}
		log, err := set.Log("telemetry")
		if err != nil {
			t.Fatal(err)
		}
		return set, log
	}
	set, log := open()
	id, err := log.Define(record.Series{Name: "count", Type: record.TypeInt})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 { // batches of their own: the chain at each offset is known
		r := record.Record{Kind: record.KindObservation, Type: record.TypeInt, Clock: record.ClockBoot, Time: 1, Series: id, Num: int64(i)}
		if _, err := log.Append(t.Context(), record.Draft{Records: []record.Record{r}}); err != nil {
			t.Fatal(err)
		}
		if err := log.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var want []record.Gap
	for _, g := range []record.Gap{
		{Range: record.Range{From: 2, To: 4}, Reason: record.ReasonCorrupt},
		{Range: record.Range{From: 4, To: 7}, Reason: record.ReasonUnsendable},
		{Range: record.Range{From: 7, To: 8}, Reason: record.ReasonErased},
		{Range: record.Range{From: 8, To: 9}, Reason: record.ReasonErased},
	} {
		if err := log.DeclareGap(t.Context(), g.Range, g.Reason); err != nil {
			t.Fatal(err)
		}
		if n := len(want); n > 0 && want[n-1].Reason == g.Reason {
			want[n-1].To = g.To
			continue
		}
		want = append(want, g)
	}
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	set, log = open()
	defer set.Close()
	source := uplink.NewLog(log)
	defer source.Close()
	hub := uplinktest.NewHub()
	hub.Codec = new(uplink.Bodies)
	s := uplink.New(uplink.Options{Random: rand.Uint64}, source)
	now := time.Now()
	s.Connected(now)
	for m, ok := s.Next(now); ok; m, ok = s.Next(now) {
		if a := hub.Handle(m); a != nil {
			s.Received(a, now)
		}
	}
	for _, x := range [][]record.Gap{source.Gaps(), hub.Epoch(source.Epochs()[0].Epoch).Gaps} {
		if !slices.EqualFunc(x, want, func(a, b record.Gap) bool { return a.Range == b.Range && a.Reason == b.Reason }) {
			t.Errorf("the gaps are %v, want %v", x, want)
		}
	}
	if e := hub.Epoch(source.Epochs()[0].Epoch); e.Next != 12 || len(e.Rows) != 5 {
		t.Errorf("the hub has %d rows to %d, want 5 to 12", len(e.Rows), e.Next)
	}
}

package uplink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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

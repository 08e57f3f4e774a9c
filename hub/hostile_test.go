package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestHostileDevice: a device that is allowed at the broker and says whatever parses: frames of two histories with wrong ranges, parents,
// chains, series, producers and kinds. The store never fails on it, its own account balances and verifies, and another device is
// served.
func TestHostileDevice(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "hub.db")
			s, err := sqlite.Open(db, sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			recv := receive.New(receive.Options{Store: s, Linger: -1, Events: receive.Events{
				StoreDown: func(err error) { t.Errorf("taken for a store that is down: %v", err) }}})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- recv.Run(ctx) }()
			ended := false
			defer func() {
				if cancel(); !ended {
					<-done
				}
			}()
			h := &hostile{t: t, rng: rand.New(rand.NewPCG(seed, 4))}
			for range 40 {
				for range 50 {
					if m := h.message(); m != nil {
						recv.Handle("evil", m, nil)
					}
				}
				answered := make(chan *wire.Ack, 8)
				recv.Handle("good", &wire.Hello{Nonce: 9, Parts: 1}, func(a *wire.Ack) { answered <- a })
				select {
				case <-answered:
				case <-time.After(90 * time.Second):
					t.Fatal("another device is not served any more")
				}
			}
			cancel()
			ended = true
			if err := <-done; err != nil {
				t.Error(err)
			}
			st, err := s.Positions(context.Background(), "evil")
			if err != nil {
				t.Fatal(err)
			}
			var rows, gaps, skipped, quarantined uint64
			for _, p := range st.Positions {
				rows += p.Rows
				gaps += uint64(len(p.Gaps))
				skipped += uint64(len(p.Skipped))
				if p.Quarantined {
					quarantined++
				}
			}
			t.Logf("%d frames: %d epochs, %d rows, %d gaps, %d skipped ranges, %d in quarantine", h.sent, len(st.Positions), rows, gaps, skipped, quarantined)
			if len(st.Positions) < 5 || rows == 0 || gaps == 0 || skipped == 0 || quarantined == 0 {
				t.Error("that was not hostile enough")
			}
			run(t, 0, "verify", "--db", db)
			run(t, 0, "account", "--db", db)
		})
	}
}

type hostile struct {
	t    *testing.T
	rng  *rand.Rand
	enc  record.Encoder
	sent int
}

const hostileLength = 40 // records of an epoch's history

// history is what one of two writers has at the offset.
func (h *hostile) history(e record.Epoch, writer int) []record.Record {
	own := rand.New(rand.NewPCG(uint64(e), 7))
	recs := make([]record.Record, hostileLength)
	for i := range recs {
		r := record.Record{Kind: record.Kind(1 + own.IntN(4)), Clock: record.Clock(1 + own.IntN(3)), Time: int64(own.Uint64()), Quality: record.Quality(own.IntN(256))}
		if r.Type = record.TypeInt; own.IntN(4) == 0 {
			r.Type, r.Data = record.TypeString, &record.Data{Value: []byte{byte(own.IntN(256))}}
		} else {
			r.Num = int64(own.Uint64())
		}
		if i > hostileLength/2 && r.Data == nil {
			r.Num += int64(writer)
		}
		if r.Kind == record.KindObservation {
			r.Series = record.SeriesID(1 + own.IntN(5))
		} else if own.IntN(2) == 0 {
			b := fmt.Sprintf(`{"boot":"b%d","boot_time_ns":%d,"utc_ns":%d,"error_ns":%d,"source":"ntp"}`, own.IntN(3), int64(own.Uint64()), int64(own.Uint64()), int64(own.Uint64()))
			r.Type, r.Num, r.Data = record.TypeJSON, 0, &record.Data{Value: []byte(b)}
		}
		recs[i] = r
	}
	return recs
}

// message is a frame or a hello, through its bytes; nil where it does not parse.
func (h *hostile) message() wire.Message {
	seldom := func() bool { return h.rng.IntN(12) == 0 }
	e := record.Epoch(1 + h.rng.IntN(8))
	stream := []string{"telemetry", "alarms"}[h.rng.IntN(2)]
	recs := h.history(e, h.rng.IntN(2))
	from := h.rng.IntN(hostileLength)
	to := min(from+1+h.rng.IntN(10), hostileLength)
	head := wire.FrameHeader{Stream: stream, Epoch: e, Nonce: wire.Nonce(h.rng.IntN(3))}
	if e%2 == 0 {
		head.Parent, head.ParentEnd = e-1, record.Offset(h.rng.IntN(hostileLength))
	}
	if seldom() {
		head.First, head.Parent, head.ParentEnd = record.Offset(h.rng.IntN(from+1)), record.Epoch(h.rng.IntN(9)), record.Offset(h.rng.IntN(99))
	}
	chain := func(o int) uint64 {
		if seldom() {
			return h.rng.Uint64()
		}
		return record.FoldChain(0, recs[:o])
	}
	h.sent++
	var b []byte
	var m wire.Message
	var err error
	switch h.rng.IntN(8) {
	case 0:
		b = wire.AppendHello(nil, &wire.Hello{Nonce: head.Nonce, Parts: uint16(1 + h.rng.IntN(2)), Streams: []wire.StreamState{{Stream: stream, Epochs: []wire.EpochState{
			{Epoch: e, First: 0, Low: record.Offset(from), End: record.Offset(to), ChainKnown: true, ChainEnd: chain(to)}}}}})
		m, err = wire.ParseHello(b)
	case 1, 2:
		b = wire.AppendGap(nil, &wire.Gap{FrameHeader: head, Range: record.Range{From: record.Offset(from), To: record.Offset(to)}, Reason: record.Reason(h.rng.IntN(256)),
			ChainFrom: chain(from), ChainTo: chain(to), TimeMin: int64(h.rng.Uint64())})
		m, err = wire.ParseGap(stream, b)
	default:
		body, codec, raw, eerr := h.enc.Encode(nil, recs[from:to], record.CodecColumns)
		if eerr != nil {
			h.t.Fatal(eerr)
		}
		d := &wire.Data{FrameHeader: head, Base: record.Offset(from), Count: uint32(to - from), ChainBase: chain(from), ChainEnd: chain(to), Codec: codec,
			RawLen: uint32(raw), CRC: wire.Checksum(body), Body: body}
		for id := range record.SeriesID(5) {
			if !seldom() {
				d.Definitions = append(d.Definitions, record.Definition{ID: id + 1, Series: record.Series{Name: "x", Type: record.Type(1 + h.rng.IntN(3)), Unit: fmt.Sprint(h.rng.IntN(3))}})
			}
		}
		for range h.rng.IntN(4) {
			at := from + h.rng.IntN(to-from)
			d.Producers = append(d.Producers, record.ProducerSpan{ProducerPosition: record.ProducerPosition{Name: fmt.Sprint("p", h.rng.IntN(2)), Incarnation: h.rng.Uint64N(20),
				Sequence: h.rng.Uint64N(9) - 4}, Range: record.Range{From: record.Offset(at), To: record.Offset(at + 1 + h.rng.IntN(to-at))}})
		}
		if seldom() {
			d.CRC++
		}
		b = wire.AppendData(nil, d)
		m, err = wire.ParseFrame(stream, b)
	}
	if err != nil {
		return nil
	}
	return m
}

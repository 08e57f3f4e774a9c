package carry_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/wire"
)

var head = carry.Header{Kind: carry.Export, Nonce: 77, Device: "box-17", Made: time.Unix(1795600000, 5).UTC(), Program: "edgectl test"}

// messages of an export: a hello, a data frame, a gap.
func messages(t testing.TB) []wire.Message {
	t.Helper()
	r := record.Record{Kind: record.KindObservation, Series: 1, Type: record.TypeInt, Num: 5, Clock: record.ClockBoot}
	body := r.AppendCanonical(nil)
	fh := wire.FrameHeader{Stream: "telemetry", Epoch: 9, Nonce: 77}
	return []wire.Message{
		&wire.Hello{Nonce: 77, Parts: 1, Agent: "a", Streams: []wire.StreamState{{Stream: "telemetry", Epochs: []wire.EpochState{{Epoch: 9, End: 9}}}}},
		&wire.Data{FrameHeader: fh, Count: 1, ChainEnd: record.FoldChain(0, []record.Record{r}), RawLen: uint32(len(body)), Body: body, CRC: wire.Checksum(body),
			Definitions: []record.Definition{{ID: 1, Series: record.Series{Name: "x", Type: record.TypeInt}}}},
		&wire.Gap{FrameHeader: fh, Range: record.Range{From: 1, To: 9}, Reason: record.ReasonCorrupt},
	}
}

func file(t testing.TB, h carry.Header, ms []wire.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := carry.NewWriter(&b, h)
	for _, m := range ms {
		switch m := m.(type) {
		case *wire.Hello:
			err = errors.Join(err, w.Hello(m))
		case wire.Frame:
			err = errors.Join(err, w.Frame(m))
		case *wire.Ack:
			err = errors.Join(err, w.Answer(m))
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if w.Bytes() != int64(b.Len()) {
		t.Fatalf("Bytes says %d of %d", w.Bytes(), b.Len())
	}
	return b.Bytes()
}

// read reads everything and returns the error at the end.
func read(b []byte) (h carry.Header, ms []wire.Message, err error) {
	r, err := carry.NewReader(bytes.NewReader(b))
	if err != nil {
		return h, nil, err
	}
	for {
		m, err := r.Next()
		if err != nil {
			return r.Header, ms, err
		}
		ms = append(ms, m)
	}
}

func TestRoundTrip(t *testing.T) {
	want := messages(t)
	h, got, err := read(file(t, head, want))
	if !errors.Is(err, io.EOF) || h != head || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %+v\n got %+v\nwant %+v", err, h, got, want)
	}
	ack := carry.Header{Kind: carry.Ack, Nonce: 77, Device: "box-17", Made: head.Made}
	a := []wire.Message{&wire.Ack{Nonce: 77, Answer: true, Positions: []wire.Position{{Stream: "telemetry", Epoch: 9, Known: true, Next: 9}}}}
	if h, got, err = read(file(t, ack, a)); !errors.Is(err, io.EOF) || h != ack || !reflect.DeepEqual(got, a) {
		t.Errorf("%v %+v %+v", err, h, got)
	}
}

// TestDamageAndCuts: every flipped bit is noticed, every cut is a cut, and what is read before either is right.
func TestDamageAndCuts(t *testing.T) {
	want := messages(t)
	good := file(t, head, want)
	prefix := func(got []wire.Message) bool { return len(got) == 0 || reflect.DeepEqual(got, want[:len(got)]) }
	for n := range good {
		_, got, err := read(good[:n])
		if short := n < 8 && errors.Is(err, carry.ErrFormat); !short && !errors.Is(err, carry.ErrCut) || !prefix(got) {
			t.Fatalf("cut at %d: %v, %d messages", n, err, len(got))
		}
		for bit := range 8 {
			b := bytes.Clone(good)
			b[n] ^= 1 << bit
			_, got, err := read(b)
			if err == nil || errors.Is(err, io.EOF) || !prefix(got) {
				t.Fatalf("byte %d bit %d: %v, %d messages", n, bit, err, len(got))
			}
		}
	}
	if _, _, err := read(append(bytes.Clone(good), 0)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("bytes behind the trailer: %v", err)
	}
	// A record of another export does not pass.
	other := head
	other.Nonce = 78
	foreign := messages(t)
	foreign[0].(*wire.Hello).Nonce = 78
	for _, m := range foreign[1:] {
		m.(wire.Frame).Header().Nonce = 78
	}
	mixed := append(bytes.Clone(good[:8+9+40]), file(t, other, foreign)[8+9+40:]...)
	if _, _, err := read(mixed); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("mixed files: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	good := file(f, head, messages(f))
	f.Add(good)
	f.Add(good[:60])
	f.Add(file(f, carry.Header{Kind: carry.Ack, Nonce: 77, Device: "box-17", Made: head.Made},
		[]wire.Message{&wire.Ack{Nonce: 77, Answer: true, Positions: []wire.Position{{Stream: "telemetry", Epoch: 9, Known: true, Next: 9}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ms, err := read(b)
		if !errors.Is(err, io.EOF) {
			return
		}
		_, again, err := read(file(t, h, ms))
		if !errors.Is(err, io.EOF) || !reflect.DeepEqual(again, ms) {
			t.Errorf("does not survive a round trip: %v", err)
		}
	})
}

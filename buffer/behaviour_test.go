package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func define(t *testing.T, l *buffer.Log) record.SeriesID {
	t.Helper()
	id, err := l.Define(record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4)})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func text(id record.SeriesID, n, size int) record.Record {
	return record.Record{Kind: record.KindObservation, Series: id, Time: int64(n) * 1e9, Clock: record.ClockBoot, Type: record.TypeBytes,
		Data: &record.Data{Value: noise(n, size)}}
}

// noise is bytes that do not compress.
func noise(seed, size int) []byte {
	b, x := make([]byte, size), uint64(seed)*2654435761+1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

func put(t *testing.T, l *buffer.Log, d record.Draft) error {
	t.Helper()
	if _, err := l.Append(context.Background(), d); err != nil {
		return err
	}
	return l.Sync(context.Background())
}

func verify(t *testing.T, l *buffer.Log) {
	t.Helper()
	if err := buffertest.Verify(l); err != nil {
		t.Fatal(err)
	}
}

func TestRetentionDropsDeliveredThenOldest(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, buffer.StreamOptions{MaxBytes: 64 << 10, SegmentBytes: 16 << 10})
	id := define(t, l)
	for i := range 60 {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 3000)}}); err != nil {
			t.Fatal(err)
		}
		if i == 7 {
			l.SetDelivered(7)
		}
	}
	in := l.Info()
	if in.Bytes > 64<<10 || len(in.Gaps) != 2 || in.Gaps[0].Reason != record.ReasonDelivered || in.Gaps[0].To != 7 ||
		in.Gaps[1].Reason != record.ReasonRetention || in.Gaps[1].To != in.Low {
		t.Fatalf("%+v", in)
	}
	verify(t, l)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, l = open(t, fs, buffer.StreamOptions{MaxBytes: 64 << 10, SegmentBytes: 16 << 10})
	verify(t, l)
	if got := l.Info(); fmt.Sprint(got.Gaps) != fmt.Sprint(in.Gaps) || got.Low != in.Low {
		t.Fatalf("%+v\n%+v", got, in)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBlockPolicyStopsAndResumes(t *testing.T) {
	s, l := open(t, vfs.NewMem(), buffer.StreamOptions{MaxBytes: 64 << 10, SegmentBytes: 16 << 10, Full: buffer.Block})
	id := define(t, l)
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = put(t, l, record.Draft{Records: []record.Record{text(id, n, 3000)}})
	}
	if !errors.Is(err, buffer.ErrFull) || l.Info().State != buffer.StateFull || len(l.Info().Gaps) != 0 {
		t.Fatalf("%v after %d: %+v", err, n, l.Info())
	}
	l.SetDelivered(l.Info().Durable)
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := put(t, l, record.Draft{Records: []record.Record{text(id, n, 3000)}}); err != nil {
		t.Fatal(err)
	}
	verify(t, l)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDiskFullStopsAndResumes(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, buffer.StreamOptions{MaxBytes: 1 << 20, SegmentBytes: 32 << 10})
	id := define(t, l)
	fs.SetCapacity(1<<20 + 150<<10)
	acked, n := record.Offset(0), 0
	for ; n < 200; n++ {
		tk, err := l.Append(context.Background(), record.Draft{Records: []record.Record{text(id, n, 3000)}})
		if err == nil && l.Sync(context.Background()) == nil {
			acked = tk.Range().To
		}
		if errors.Is(err, buffer.ErrFull) {
			break
		}
	}
	if in := l.Info(); in.State != buffer.StateFull || n == 200 || len(in.Gaps) != 0 {
		t.Fatalf("%d: %+v", n, in)
	}
	verify(t, l)
	pending := l.Info().End
	fs.SetCapacity(0)
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	in := l.Info()
	if in.State != buffer.StateOK || in.Durable != pending || in.Durable < acked {
		t.Fatalf("%+v, acknowledged %d", in, acked)
	}
	verify(t, l)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A disk that was full before the opening: what is delivered makes room, with the gap written into the spare space.
func TestFullDiskAtOpeningDropsDelivered(t *testing.T) {
	fs := vfs.NewMem()
	o := buffer.StreamOptions{MaxBytes: 1 << 20, SegmentBytes: 32 << 10}
	s, l := open(t, fs, o)
	id := define(t, l)
	for n := range 60 {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, n, 3000)}}); err != nil {
			t.Fatal(err)
		}
	}
	l.SetDelivered(40)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, l = open(t, fs, o)
	u, err := fs.Usage("log")
	if err != nil {
		t.Fatal(err)
	}
	fs.SetCapacity(int64(u.Total - u.Free))
	id = define(t, l)
	if err := put(t, l, record.Draft{Records: []record.Record{text(id, 60, 3000)}}); err != nil {
		t.Fatal(err)
	}
	if in := l.Info(); in.State != buffer.StateOK || len(in.Gaps) != 1 || in.Gaps[0].Reason != record.ReasonDelivered {
		t.Fatalf("%+v", in)
	}
	verify(t, l)
	fs.SetCapacity(0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFailingDiskStopsAfterThree(t *testing.T) {
	mem := vfs.NewMem()
	fs := vfs.NewInject(mem)
	s, l := open(t, fs, buffer.StreamOptions{})
	id := define(t, l)
	if err := put(t, l, record.Draft{Records: []record.Record{value(id, 1, 1)}}); err != nil {
		t.Fatal(err)
	}
	fs.SetRules(vfs.Rule{Kind: vfs.OpSync, Sticky: true})
	tk, err := l.Append(context.Background(), record.Draft{Records: []record.Record{value(id, 2, 2)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(context.Background()); err == nil {
		t.Fatal("sync on a failing disk succeeded")
	}
	if in := l.Info(); in.State != buffer.StateFailing || in.Failures != 3 || in.Durable != 2 {
		t.Fatalf("%+v", in)
	}
	if _, err := tk.Wait(context.Background()); !errors.Is(err, buffer.ErrStopped) {
		t.Fatal(err)
	}
	fs.SetRules()
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r, err := tk.Wait(context.Background()); err != nil || r.From != 2 {
		t.Fatal(r, err)
	}
	verify(t, l)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestProducerIsTakenOnce(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, buffer.StreamOptions{})
	id := define(t, l)
	msg := func(inc, seq uint64) record.Draft {
		return record.Draft{Records: []record.Record{value(id, 1, int64(seq))}, Producer: &record.ProducerPosition{Name: "node-1", Incarnation: inc, Sequence: seq}}
	}
	if _, err := l.Append(context.Background(), msg(1, 5)); err != nil {
		t.Fatal(err)
	}
	again, err := l.Append(context.Background(), msg(1, 5))
	if !errors.Is(err, buffer.ErrRepeated) {
		t.Fatal(err)
	}
	if _, ok := s.Producer("node-1", 1); ok {
		t.Fatal("a message that is not durable counts")
	}
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, l = open(t, fs, buffer.StreamOptions{})
	define(t, l)
	if p, ok := s.Producer("node-1", 1); !ok || p.Sequence != 5 {
		t.Fatal(p, ok)
	}
	if _, err := l.Append(context.Background(), msg(1, 4)); !errors.Is(err, buffer.ErrRepeated) {
		t.Fatal(err)
	}
	if err := put(t, l, msg(2, 1)); err != nil {
		t.Fatal(err) // a new incarnation counts anew
	}
	verify(t, l)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentAppendersShareSyncs(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, buffer.StreamOptions{})
	id := define(t, l)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 50 {
				tk, err := l.Append(ctx, record.Draft{Records: []record.Record{value(id, int64(i), int64(g))}})
				if err == nil {
					_, err = tk.Wait(ctx)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if d := l.Info().Durable; d != 801 {
		t.Fatal(d)
	}
	verify(t, l)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerFormatIsHeld(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, buffer.StreamOptions{})
	id := define(t, l)
	if err := put(t, l, record.Draft{Records: []record.Record{value(id, 1, 1)}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	infos, _ := fs.List("log/telemetry")
	h, _ := fs.OpenRW("log/telemetry/" + infos[0].Name)
	b := make([]byte, 20)
	h.ReadAt(b, 0)
	b[8] = 9
	sum := crc(b[:16])
	b[16], b[17], b[18], b[19] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	h.WriteAt(b, 0)
	s, l = open(t, fs, buffer.StreamOptions{})
	define(t, l)
	if err := put(t, l, record.Draft{Records: []record.Record{value(id, 2, 2)}}); err != nil {
		t.Fatal(err)
	}
	r := l.Read(0)
	var held *buffer.HeldError
	if _, err := r.Next(); !errors.As(err, &held) {
		t.Fatal(err)
	}
	l.SetDelivered(l.Info().Durable)
	if in := l.Info(); len(in.Held) != 1 || len(in.Gaps) != 0 || in.Delivered != in.Durable {
		t.Fatalf("%+v", in)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b[8] = 0 // the program that can read it is back
	sum = crc(b[:16])
	b[16], b[17], b[18], b[19] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	h.WriteAt(b, 0)
	s, l = open(t, fs, buffer.StreamOptions{})
	got := readAll(t, l, 0)
	if in := l.Info(); len(got) != 4 || len(in.Gaps) != 0 || in.Delivered != 0 { // nobody has delivered what was held
		t.Fatalf("%v %+v", got, in)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnlyAndSeek(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, buffer.StreamOptions{SegmentBytes: 16 << 10})
	id := define(t, l)
	for i := range 40 {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 1500)}}); err != nil {
			t.Fatal(err)
		}
	}
	ops := fs.Ops()
	ro, err := buffer.OpenReadOnly(context.Background(), fs, "log")
	if err != nil {
		t.Fatal(err)
	}
	rl, err := ro.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	verify(t, rl)
	for _, x := range []*buffer.Log{l, rl} {
		// Boot time 0 is 1 ns before the anchor's UTC.
		if o := x.SeekTime(1_700_000_000_000_000_000 + 25e9 - 5); o != 26 {
			t.Fatal(o)
		}
		if o := x.SeekTime(1_800_000_000_000_000_000); o != x.Info().Durable {
			t.Fatal(o)
		}
	}
	if _, err := rl.Append(context.Background(), record.Draft{Records: []record.Record{value(id, 1, 1)}}); err == nil {
		t.Fatal("append to a read-only log")
	}
	if err := ro.Close(); err != nil {
		t.Fatal(err)
	}
	if fs.Ops() != ops {
		t.Fatal("a read-only set wrote")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	s, l := open(t, vfs.NewMem(), buffer.StreamOptions{})
	id := define(t, l)
	big := value(id, 1, 1)
	big.Type, big.Num, big.Data = record.TypeString, 0, &record.Data{Value: []byte(strings.Repeat("x", 49<<10))}
	for _, c := range []struct {
		d    record.Draft
		want error
	}{
		{record.Draft{}, buffer.ErrInvalid},
		{record.Draft{Records: []record.Record{value(99, 1, 1)}}, buffer.ErrInvalid},
		{record.Draft{Records: []record.Record{big}}, buffer.ErrTooLarge},
		{record.Draft{Records: []record.Record{value(id, 1, 1)}, Producer: &record.ProducerPosition{Name: "no spaces"}}, buffer.ErrInvalid},
	} {
		if _, err := l.Append(context.Background(), c.d); !errors.Is(err, c.want) {
			t.Fatalf("%v, want %v", err, c.want)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	tk, err := l.Append(context.Background(), record.Draft{Records: []record.Record{value(id, 1, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tk.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(context.Background(), record.Draft{Records: []record.Record{value(id, 1, 1)}}); !errors.Is(err, buffer.ErrStopped) {
		t.Fatal(err)
	}
}

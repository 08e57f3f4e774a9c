package buffer_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

const boot0 = int64(1_700_000_000_000_000_000) // UTC of the boot mark in options

func TestRetentionByAgeNeedsTheTime(t *testing.T) {
	now, known := boot0+3600e9, false
	o := options(buffer.StreamOptions{MaxBytes: 1 << 20, SegmentBytes: 16 << 10, MaxAge: time.Hour})
	o.UTC = func() (int64, bool) { return now, known }
	s, err := buffer.Open(context.Background(), vfs.NewMem(), "log", o)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := s.Log("telemetry")
	id := define(t, l)
	for i := range 60 { // record i is i seconds after the boot
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 3000)}}); err != nil {
			t.Fatal(err)
		}
	}
	now = boot0 + 3600e9 + 30e9
	for _, known = range []bool{false, true} {
		if err := s.Retain(context.Background()); err != nil {
			t.Fatal(err)
		}
		in := l.Info()
		if low := in.Low; known != (low > 20 && low <= 31) || !known && low != 0 {
			t.Fatalf("time known %v: low %d", known, low)
		}
		if known && (len(in.Gaps) != 1 || in.Gaps[0].Reason != record.ReasonRetention) {
			t.Fatalf("%+v", in.Gaps)
		}
	}
	verify(t, l)
	closeSet(t, s)
}

// On a disk that others fill, delivered data goes first, then telemetry, and alarms not for telemetry. A stream that
// must not drop anything takes nothing more until there is space again.
func TestFreeSpaceIsLeft(t *testing.T) {
	fs := vfs.NewMem()
	opt := options(buffer.StreamOptions{Name: "telemetry", MaxBytes: 4 << 20, SegmentBytes: 64 << 10, Priority: 1})
	opt.Streams = append(opt.Streams,
		buffer.StreamOptions{Name: "alarms", MaxBytes: 4 << 20, SegmentBytes: 64 << 10, Priority: 9},
		buffer.StreamOptions{Name: "events", MaxBytes: 4 << 20, SegmentBytes: 64 << 10, Priority: 5, Full: buffer.Block})
	opt.MinFree = 1 << 20
	s, err := buffer.Open(context.Background(), fs, "log", opt)
	if err != nil {
		t.Fatal(err)
	}
	logs := map[string]*buffer.Log{}
	fill := func(name string, n int) {
		t.Helper()
		l, err := s.Log(name)
		if err != nil {
			t.Fatal(err)
		}
		logs[name] = l
		id := define(t, l)
		for i := range n {
			if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 8000)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill("telemetry", 60)
	fill("alarms", 60)
	fill("events", 60)
	logs["alarms"].SetDelivered(20)
	retain := func() {
		t.Helper()
		if err := s.Retain(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	missing := func(n int64) {
		t.Helper()
		u, err := fs.Usage("log")
		if err != nil {
			t.Fatal(err)
		}
		fs.SetCapacity(int64(u.Total-u.Free) + 1<<20 - n)
	}
	retain() // everybody has written before this call
	missing(100 << 10)
	fill("telemetry", 1)
	missing(100 << 10)
	retain()
	if a, m := logs["alarms"].Info(), logs["telemetry"].Info(); len(a.Gaps) != 1 || a.Gaps[0].Reason != record.ReasonDelivered || len(m.Gaps) != 0 {
		t.Fatalf("delivered alarms do not go first: %+v %+v", a.Gaps, m.Gaps)
	}
	fill("telemetry", 1)
	missing(2 << 20)
	retain()
	a, m, e := logs["alarms"].Info(), logs["telemetry"].Info(), logs["events"].Info()
	if m.Segments != 1 || m.Gaps[0].Reason != record.ReasonRetention {
		t.Fatalf("telemetry: %+v", m)
	}
	if len(a.Gaps) != 1 || a.Gaps[0].Reason != record.ReasonDelivered || a.State != buffer.StateOK {
		t.Fatalf("alarms went for telemetry: %+v", a)
	}
	if len(e.Gaps) != 0 || e.State != buffer.StateFull || e.Room != 0 {
		t.Fatalf("events: %+v", e)
	}
	if _, err := logs["events"].Append(context.Background(), record.Draft{Records: []record.Record{text(1, 1, 8)}}); !errors.Is(err, buffer.ErrFull) {
		t.Fatal(err)
	}
	fs.SetCapacity(0)
	retain()
	if e := logs["events"].Info(); e.State != buffer.StateOK || e.Room == 0 || e.Undelivered == 0 {
		t.Fatalf("events: %+v", e)
	}
	fill("events", 1)
	for _, l := range logs {
		verify(t, l)
	}
	closeSet(t, s)
}

func TestPingAnswersWithoutTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewInject(vfs.NewMem())
		s, l := open(t, disk, buffer.StreamOptions{CommitInterval: time.Second})
		ctx, cancel := context.WithCancel(context.Background())
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if err := s.Ping(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("nobody runs:", err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		if err := s.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		id := define(t, l)
		disk.SetRules(vfs.Rule{Kind: vfs.OpMutating, Sticky: true})
		if _, err := l.Append(ctx, record.Draft{Records: []record.Record{value(id, 1, 1)}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if l.Info().State == buffer.StateOK {
			t.Fatal("the disk fails and the state is ok")
		}
		if err := s.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		disk.SetRules()
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		verify(t, l)
		closeSet(t, s)
	})
}

package buffertest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestLyingDisk cuts the power on a disk that confirms a flush which it has not done. What it lost cannot be brought
// back; but no record is there twice or under an offset of its epoch that was another record's, and the log opens, says
// what it can know to be missing, and goes on.
func TestLyingDisk(t *testing.T) {
	lost, named := 0, 0
	for seed := *first; seed < *first+uint64(*seeds)*10; seed++ {
		disk := vfs.NewMem()
		r := rand.New(rand.NewPCG(seed, 9))
		seen := map[string]int64{} // epoch and offset: the record's number
		next := int64(1)
		for round := range 6 {
			s, l := lyingOpen(t, disk)
			gaps := look(t, seed, l, seen)
			if gaps {
				named++
			}
			id, err := l.Define(record.Series{Name: "n", Type: record.TypeInt})
			if err != nil {
				t.Fatal(err)
			}
			disk.LyingSync(round%2 == 1)
			for range 20 + r.IntN(40) {
				rec := record.Record{Kind: record.KindObservation, Series: id, Time: next, Clock: record.ClockBoot, Type: record.TypeInt, Num: next,
					Data: &record.Data{Detail: make([]byte, r.IntN(900))}}
				next++
				if _, err := l.Append(context.Background(), record.Draft{Records: []record.Record{rec}}); err != nil {
					t.Fatal(err)
				}
				if err := l.Sync(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			look(t, seed, l, seen)
			before := l.Info().Durable
			disk = disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: r, Stale: round%3 == 0})
			_ = s // the machine is off
			s, l = lyingOpen(t, disk)
			if l.Info().Durable < before {
				lost++
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if lost == 0 {
		t.Fatal("the disk has lost nothing: the test tests nothing")
	}
	t.Logf("%d of the power cuts lost a tail; %d openings found gaps", lost, named)
}

func lyingOpen(t *testing.T, disk *vfs.Mem) (*buffer.Set, *buffer.Log) {
	t.Helper()
	s, err := buffer.Open(context.Background(), disk, "log", buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry", MaxBytes: 1 << 20, SegmentBytes: 16 << 10}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

// look reads all and compares it with what was ever seen: numbers rise, and a place never holds another record.
func look(t *testing.T, seed uint64, l *buffer.Log, seen map[string]int64) (gaps bool) {
	t.Helper()
	all, err := buffertest.ReadAll(l)
	if err != nil {
		t.Fatalf("-first %d: %v", seed, err)
	}
	last := int64(0)
	for i := range all {
		e := &all[i]
		if e.Gap != nil {
			gaps = true
			continue
		}
		if e.Record.Num <= last {
			t.Fatalf("-first %d: record %d follows %d", seed, e.Record.Num, last)
		}
		last = e.Record.Num
		p := fmt.Sprint(e.Epoch, e.Offset)
		if old, ok := seen[p]; ok && old != last {
			t.Fatalf("-first %d: %s held record %d, holds %d", seed, p, old, last)
		}
		seen[p] = last
	}
	if err := buffertest.Verify(l); err != nil {
		t.Fatalf("-first %d: %v", seed, err)
	}
	return gaps
}

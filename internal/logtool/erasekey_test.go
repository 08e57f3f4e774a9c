package logtool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestEraseByKey: what a lost key has encrypted can be let go without it. It becomes an erased gap, whatever cuts the
// erasing off, and what the other key opens stays.
func TestEraseByKey(t *testing.T) {
	ctx := context.Background()
	disk := vfs.NewMem()
	if err := errors.Join(disk.MkdirAll("box"), disk.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	lost, kept := buffer.Key{1, 2, 3}, buffer.Key{4, 5, 6}
	for n, keys := range []buffer.Keys{{Current: &lost}, {Current: &kept, Older: []buffer.Key{lost}}} {
		set, err := buffer.Open(ctx, disk, "box/log", buffer.Options{Keys: keys, Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := set.Log("telemetry")
		if err != nil {
			t.Fatal(err)
		}
		id, err := l.Define(record.Series{Name: "secret", Type: record.TypeInt})
		for i := range 20 {
			_, aerr := l.Append(ctx, record.Draft{Records: []record.Record{{Kind: record.KindObservation, Series: id, Type: record.TypeInt, Num: int64(20*n + i), Clock: record.ClockApp, Time: start.UnixNano()}}})
			err = errors.Join(err, aerr, l.Sync(ctx))
		}
		if err = errors.Join(err, set.Close()); err != nil {
			t.Fatal(err)
		}
	}
	with := func(d logtool.Dir) logtool.Dir { // the agent has the other key only
		d.Keys = buffer.Keys{Current: &kept}
		return d
	}
	in, err := with(on(disk)).Inspect(ctx, "")
	if err != nil || len(in.Streams[0].Segments) != 2 || in.Streams[0].Segments[0].State != "held" || in.Streams[0].Segments[0].Keys[0] != lost.ID().String() {
		t.Fatalf("%v %+v", err, in)
	}
	if _, err := with(on(disk)).PlanErase(ctx, logtool.Erasure{Stream: "telemetry", Key: "0123456789abcdef"}); !errors.Is(err, logtool.ErrNothing) {
		t.Fatalf("a key that nothing was encrypted with: %v", err)
	}
	if plan, err := with(on(disk)).PlanErase(ctx, logtool.Erasure{Stream: "telemetry", To: 20}); !errors.Is(err, logtool.ErrNothing) {
		t.Fatalf("what cannot be read goes only by its key: %v %+v", err, plan)
	}
	agent := func(d logtool.Dir) error {
		set, err := buffer.Open(ctx, d.FS, d.Path, buffer.Options{Keys: buffer.Keys{Current: &kept}, Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
		if err != nil {
			return err
		}
		return set.Close()
	}
	bothMatrices(t, disk, change{
		do: func(d logtool.Dir) error {
			plan, err := with(d).PlanErase(ctx, logtool.Erasure{Stream: "telemetry", Key: lost.ID().String()})
			if errors.Is(err, logtool.ErrNothing) { // its key was overwritten: the next opening removes it
				return agent(d)
			}
			if err != nil {
				return err
			}
			if len(plan.Segments) != 1 || plan.Records != 20 && plan.Records != 0 {
				return fmt.Errorf("%+v", plan)
			}
			return with(d).Erase(ctx, plan)
		},
		check: func(d logtool.Dir, done bool) error {
			v, err := with(d).Verify(ctx, "")
			if err != nil {
				return err
			}
			gap := uint64(0)
			for _, g := range v.Streams[0].Gaps {
				if !strings.Contains(g.Reason, "erased") || g.To > 20 {
					return fmt.Errorf("%+v", g)
				}
				gap += g.Count
			}
			if len(v.Streams[0].Problems) > 0 || v.Streams[0].Records < 20 || done && (gap != 20 || !v.OK) {
				return fmt.Errorf("%d erased: %+v", gap, v)
			}
			list, err := d.FS.List(d.Path + "/telemetry")
			for _, f := range list {
				if done && strings.HasPrefix(f.Name, "0000000000000000-") && f.Size > 10 {
					return fmt.Errorf("%s is still there", f.Name)
				}
			}
			// The agent goes on with what is there.
			d.FS = copyOf(d.FS.(*vfs.Mem), vfs.KeepAll, nil)
			return errors.Join(err, agent(d))
		},
	})
}

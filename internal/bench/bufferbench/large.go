package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	largeRecord = 4000 // bytes of a value; it does not compress
	largeDraft  = 64   // records appended at once
	largeStep   = time.Second
	seeks       = 200
	openings    = 5
	tailBytes   = 8 << 20 // written and left unsealed before each kill
)

// bench10G writes a large log, kills its writer, opens it, and looks for times in it. Writer and openings are
// processes of their own.
func bench10G(ctx context.Context, e *env) (err error) {
	dir, err := e.fresh("large")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err
	}
	want := e.gib * (1 << 30)
	if free := float64(st.Bavail) * float64(st.Bsize); free < 1.3*want {
		return fmt.Errorf("%.1f GiB needs 1.3 times as much space in %s; %.1f GiB are free", e.gib, dir, free/(1<<30))
	}
	var ms, rss []float64
	for i := range openings {
		n := want
		if i > 0 {
			n = tailBytes
		}
		if _, err := e.part(ctx, "write", dir, n); !killed(err) {
			return fmt.Errorf("the writer was to be killed: %w", err)
		}
		if err := dropCache(filepath.Join(dir, "telemetry")); err != nil {
			return err
		}
		out, err := e.part(ctx, "open", dir, 0)
		if err != nil {
			return err
		}
		var m, r float64
		if _, err := fmt.Sscan(out, &m, &r); err != nil {
			return fmt.Errorf("%q: %w", out, err)
		}
		ms, rss = append(ms, m), append(rss, r)
	}
	show("open_10g_ms", median(ms), "ms")
	show("open_10g_rss_mib", median(rss), "MiB")
	return seekLarge(ctx, dir)
}

func (e *env) part(ctx context.Context, name, dir string, bytes float64) (string, error) {
	cmd := exec.CommandContext(ctx, os.Args[0], "-part", name, "-dir", dir, "-gib", fmt.Sprint(bytes/(1<<30)))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return string(out), err
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	s, ok := exit.Sys().(syscall.WaitStatus)
	return ok && s.Signal() == syscall.SIGKILL
}

func largeOptions() buffer.Options {
	return buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry", CommitInterval: time.Second, MaxBytes: 1 << 40}}}
}

// runPart is a process of its own.
func runPart(ctx context.Context, e *env, part string) error {
	if part == "cipher" {
		rate, err := cipherRate()
		fmt.Println(rate)
		return err
	}
	start := time.Now()
	s, err := buffer.Open(ctx, vfs.OS{}, e.dir, largeOptions())
	if err != nil {
		return err
	}
	took := time.Since(start)
	switch part {
	case "open":
		peak, err := memory("VmHWM")
		fmt.Println(float64(took)/1e6, peak)
		return errors.Join(err, s.Close())
	case "write":
		return writeLarge(ctx, s, int64(e.gib*(1<<30)))
	}
	return fmt.Errorf("no part %q", part)
}

// writeLarge appends so many bytes and kills its own process: the last segment has no index. Stamps are asserted ones
// and go on by a second a batch, give or take some minutes.
func writeLarge(ctx context.Context, s *buffer.Set, bytes int64) error {
	l, err := s.Log("telemetry")
	if err != nil {
		return err
	}
	id, err := l.Define(record.Series{Name: "blob", Type: record.TypeBytes})
	if err != nil {
		return err
	}
	stop := running(s)
	rng := rand.New(rand.NewPCG(uint64(l.Info().End), 1))
	pool := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(pool)
	recs := make([]record.Record, largeDraft)
	for written := int64(0); written < bytes; written += largeDraft * largeRecord {
		at := int64(l.Info().End) / largeDraft * int64(largeStep)
		for i := range recs {
			from := rng.IntN(len(pool) - largeRecord)
			recs[i] = record.Record{Kind: record.KindObservation, Series: id, Clock: record.ClockApp, Type: record.TypeBytes,
				Time: at + rng.Int64N(int64(5*time.Minute)), Data: &record.Data{Value: pool[from : from+largeRecord]}}
		}
		if _, err := l.Append(ctx, record.Draft{Records: recs}); err != nil {
			return errors.Join(err, stop())
		}
	}
	if err := l.Sync(ctx); err != nil {
		return errors.Join(err, stop())
	}
	return syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
}

// seekLarge looks for the first record of a time, the page cache dropped before each look.
func seekLarge(ctx context.Context, dir string) (err error) {
	s, err := buffer.Open(ctx, vfs.OS{}, dir, largeOptions())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	l, err := s.Log("telemetry")
	if err != nil {
		return err
	}
	end := int64(l.Info().Durable) / largeDraft * int64(largeStep)
	rng := rand.New(rand.NewPCG(4, 4))
	var ms []float64
	for range seeks {
		if err := dropCache(filepath.Join(dir, "telemetry")); err != nil {
			return err
		}
		want := rng.Int64N(end)
		start := time.Now()
		if err := firstAt(l, want); err != nil {
			return err
		}
		ms = append(ms, float64(time.Since(start))/1e6)
	}
	show("seek_time_10g_ms", median(ms), "ms")
	show("seek_time_10g_p99_ms", quantile(ms, 0.99), "ms")
	return nil
}

// firstAt reads the first record of utc or later.
func firstAt(l *buffer.Log, utc int64) error {
	r := l.Read(l.SeekTime(utc))
	it, err := r.Next()
	if err == nil {
		var dec record.Decoder
		var recs []record.Record
		recs, err = dec.Decode(nil, it.Batch.Codec, it.Batch.RawLen, it.Batch.Count, it.Batch.Body)
		found := false
		for i := range recs {
			found = found || recs[i].Time >= utc
		}
		if err == nil && !found {
			err = fmt.Errorf("no record of %d in the batch at %d", utc, it.Batch.Base)
		}
	}
	return errors.Join(err, r.Close())
}

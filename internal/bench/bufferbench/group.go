package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	groupSize  = 64  // concurrent appenders
	groupBytes = 200 // of one append
	groupTurn  = time.Second / 4
)

// benchGroup is how much 64 concurrent appenders gain from sharing commits. The limit is what the same appenders gain
// where there is no log: a mutex, a buffer, one write and one fdatasync for all that wait.
func benchGroup(ctx context.Context, e *env) error {
	var gain, limit, rates, limits, vs, shared []float64
	for range e.rounds {
		var rate [4]float64
		for i, n := range [...]int{1, groupSize} {
			var err error
			var syncs int64
			if rate[i], syncs, err = e.logGroup(ctx, n); err != nil {
				return err
			}
			if n > 1 {
				shared = append(shared, rate[i]*groupTurn.Seconds()/float64(syncs))
			}
			if rate[2+i], err = e.bareGroup(ctx, n); err != nil {
				return err
			}
		}
		gain, limit = append(gain, rate[1]/rate[0]), append(limit, rate[3]/rate[2])
		rates, limits, vs = append(rates, rate[1]), append(limits, rate[3]), append(vs, rate[1]/rate[3])
	}
	show("group_commit_gain", median(gain), "ratio")
	show("group_commit_gain_limit", median(limit), "ratio")
	show("group_commit_appends_per_sync", median(shared), "count")
	show("group_commit_appends_per_s", median(rates), "1/s")
	show("group_commit_appends_per_s_limit", median(limits), "1/s")
	show("group_commit_vs_bare", median(vs), "ratio")
	return nil
}

// appenders calls the functions that make returns, again and again, each in a goroutine of its own, and returns calls a
// second.
func appenders(n int, make func(i int) func() error) (float64, error) {
	var g errgroup.Group
	var total atomic.Int64
	start := time.Now()
	for i := range n {
		do := make(i)
		g.Go(func() error {
			done := int64(0)
			defer func() { total.Add(done) }()
			for time.Since(start) < groupTurn {
				if err := do(); err != nil {
					return err
				}
				done++
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	return float64(total.Load()) / time.Since(start).Seconds(), nil
}

// syncFS counts the syncs of its files.
type syncFS struct {
	vfs.FS
	syncs atomic.Int64
}

type syncFile struct {
	vfs.File
	fs *syncFS
}

func (s *syncFS) Create(name string) (vfs.File, error) {
	f, err := s.FS.Create(name)
	return &syncFile{f, s}, err
}

func (s *syncFS) OpenRW(name string) (vfs.File, error) {
	f, err := s.FS.OpenRW(name)
	return &syncFile{f, s}, err
}

func (f *syncFile) Sync() error {
	f.fs.syncs.Add(1)
	return f.File.Sync()
}

// logGroup is n appenders of a log: appends a second, and how often it synced a file.
func (e *env) logGroup(ctx context.Context, n int) (rate float64, syncs int64, err error) {
	dir, err := e.fresh("group")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fs := &syncFS{FS: vfs.OS{}}
	s, l, err := openLogOn(ctx, fs, dir, buffer.StreamOptions{})
	if err != nil {
		return 0, 0, err
	}
	id, err := l.Define(record.Series{Name: "blob", Type: record.TypeBytes})
	if err != nil {
		return 0, 0, errors.Join(err, s.Close())
	}
	stop := running(s)
	defer func() { err = errors.Join(err, stop(), s.Close()) }()
	rate, err = appenders(n, func(i int) func() error {
		d := record.Draft{Records: []record.Record{blob(id, 0, groupBytes, uint64(i))}}
		return func() error {
			d.Records[0].Time++
			t, err := l.Append(ctx, d)
			if err == nil {
				_, err = t.Wait(ctx)
			}
			return err
		}
	})
	return rate, fs.syncs.Load(), err
}

// bareGroup is n appenders that share writes and fdatasyncs of a reserved file, and nothing else.
func (e *env) bareGroup(ctx context.Context, n int) (rate float64, err error) {
	dir, err := e.fresh("group")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := bare{file: rawFile{dir: dir}, changed: make(chan struct{}), wake: make(chan struct{}, 1)}
	quit, cancel := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error { return b.run(quit) })
	defer func() {
		cancel()
		err = errors.Join(err, g.Wait(), b.file.Close())
	}()
	return appenders(n, func(i int) func() error {
		p := blob(0, 0, groupBytes, uint64(i)).Data.Value
		return func() error { return b.append(ctx, p) }
	})
}

// bare is a group commit without a log.
type bare struct {
	file rawFile
	wake chan struct{}

	mu      sync.Mutex
	buf     []byte
	end     int // of what was appended, in all
	durable int
	changed chan struct{} // closed when durable has moved
}

// append returns when p is durable.
func (b *bare) append(ctx context.Context, p []byte) error {
	b.mu.Lock()
	first := len(b.buf) == 0
	b.buf = append(b.buf, p...)
	b.end += len(p)
	end := b.end
	for b.durable < end {
		ch := b.changed
		b.mu.Unlock()
		if first {
			b.wake <- struct{}{}
			first = false
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
		b.mu.Lock()
	}
	b.mu.Unlock()
	return nil
}

// run commits what there is as soon as nobody adds to it any more.
func (b *bare) run(ctx context.Context) error {
	var out []byte
	for {
		select {
		case <-b.wake:
		case <-ctx.Done():
			return nil
		}
		for have := -1; ; {
			b.mu.Lock()
			n := len(b.buf)
			b.mu.Unlock()
			if n == have {
				break
			}
			have = n
			runtime.Gosched()
		}
		b.mu.Lock()
		out, b.buf = b.buf, out[:0]
		end := b.end
		b.mu.Unlock()
		if err := b.file.commit([][]byte{out}); err != nil {
			return err
		}
		b.mu.Lock()
		b.durable = end
		close(b.changed)
		b.changed = make(chan struct{})
		b.mu.Unlock()
	}
}

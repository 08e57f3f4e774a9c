package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

const backlogSweeps = 200_000 // 20 M samples

// benchRead reads a backlog from its beginning to its end, against decoding the same bodies from memory.
func benchRead(ctx context.Context, e *env) (err error) {
	dir, err := e.fresh("read")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, l, err := openLog(ctx, dir, buffer.StreamOptions{CommitInterval: time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	stop := running(s)
	t := newThermometers(walk)
	for range backlogSweeps {
		if _, err := l.Append(ctx, record.Draft{Records: t.next()}); err != nil {
			return errors.Join(err, stop())
		}
	}
	if err := stop(); err != nil {
		return err
	}
	bodies, err := loadBodies(l)
	if err != nil {
		return err
	}
	var cold, warm, rss []float64
	for range e.rounds {
		a, err := timed(func() error { return decodeBodies(bodies) })
		if err != nil {
			return err
		}
		b, err := timed(func() error { return readLog(l) })
		if err != nil {
			return err
		}
		if err := dropCache(filepath.Join(dir, "telemetry")); err != nil {
			return err
		}
		c, err := timed(func() error { return readLog(l) })
		if err != nil {
			return err
		}
		warm, cold = append(warm, a/b), append(cold, a/c)
		m, err := memory("VmRSS")
		if err != nil {
			return err
		}
		rss = append(rss, m)
	}
	show("read_vs_decode", median(warm), "ratio")
	show("read_vs_decode_cold", median(cold), "ratio")
	show("read_rss_growth_mib", rss[len(rss)-1]-rss[0], "MiB")
	return nil
}

func timed(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return time.Since(start).Seconds(), err
}

func loadBodies(l *buffer.Log) ([]body, error) {
	var out []body
	err := items(l, func(b *record.Batch) error {
		out = append(out, body{b.Codec, b.RawLen, b.Count, append([]byte(nil), b.Body...)})
		return nil
	})
	return out, err
}

func items(l *buffer.Log, each func(*record.Batch) error) error {
	r := l.Read(0)
	for {
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			return r.Close()
		}
		if err == nil {
			err = each(&it.Batch)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
}

func decodeBodies(bodies []body) error {
	var dec record.Decoder
	var out []record.Record
	for _, b := range bodies {
		var err error
		if out, err = dec.Decode(out[:0], b.codec, b.raw, b.count, b.bytes); err != nil {
			return err
		}
	}
	return nil
}

func readLog(l *buffer.Log) error {
	var dec record.Decoder
	var out []record.Record
	return items(l, func(b *record.Batch) error {
		var err error
		out, err = dec.Decode(out[:0], b.Codec, b.RawLen, b.Count, b.Body)
		return err
	})
}

// dropCache lets the kernel forget the content of the files in dir.
func dropCache(dir string) error {
	es, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range es {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// memory is a line of /proc/self/status, in MiB.
func memory(key string) (float64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no %s", key)
}

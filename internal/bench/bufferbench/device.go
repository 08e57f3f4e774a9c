package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

// device counts what a block device is told to write.
type device struct{ stat string }

// deviceOf finds the block device under a directory.
func deviceOf(dir string) (*device, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return nil, fmt.Errorf("stat %s: %w", dir, err)
	}
	d := &device{fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(st.Dev), unix.Minor(st.Dev))}
	_, err := d.written()
	return d, err
}

// written is the number of bytes written since the machine started: sectors of 512, field 7 of the stat file
// (Documentation/block/stat.rst).
func (d *device) written() (float64, error) {
	b, err := os.ReadFile(d.stat)
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 7 {
		return 0, fmt.Errorf("%s: %q", d.stat, b)
	}
	n, err := strconv.ParseFloat(f[6], 64)
	return n * 512, err
}

// meter counts between begin and end.
type meter struct {
	d           *device
	dir         string
	from, bytes float64
}

// begin starts counting when the disk is quiet.
func (m *meter) begin() error {
	if err := settle(m.dir); err != nil {
		return err
	}
	var err error
	m.from, err = m.d.written()
	return err
}

// end stops counting when the kernel has written what it was left with.
func (m *meter) end() error {
	if err := settle(m.dir); err != nil {
		return err
	}
	to, err := m.d.written()
	m.bytes = to - m.from
	return err
}

// least is what work let reach the device, in bytes, at the least of several turns: whatever else the machine writes
// is counted, too.
func (e *env) least(ctx context.Context, work func(dir string, m *meter) error) (float64, error) {
	var all []float64
	for range e.rounds {
		dir, err := e.fresh("device")
		if err != nil {
			return 0, err
		}
		d, err := deviceOf(dir)
		if err != nil {
			return 0, err
		}
		m := meter{d: d, dir: dir}
		if err := work(filepath.Join(dir, "log"), &m); err != nil {
			return 0, err
		}
		all = append(all, m.bytes)
		if err := errors.Join(os.RemoveAll(dir), ctx.Err()); err != nil {
			return 0, err
		}
	}
	return slices.Min(all), nil
}

// settle lets the file system write all that it holds back.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(f.Fd()))
	time.Sleep(20 * time.Millisecond)
	return errors.Join(err, f.Close())
}

// benchDevice is bytes to the device, as the device counts them.
func benchDevice(ctx context.Context, e *env) error {
	const commits, size = 160, 200_000 // two segments
	n, err := e.least(ctx, func(dir string, m *meter) error { return write200k(dir, m, commits, size) })
	if err != nil {
		return err
	}
	show("write_amp_200k", n/(commits*size), "ratio")
	const small = 1000
	if n, err = e.least(ctx, func(dir string, m *meter) error { return write200B(ctx, dir, m, small) }); err != nil {
		return err
	}
	show("device_bytes_per_commit_200b", n/small, "B")
	if n, err = e.least(ctx, func(dir string, m *meter) error {
		_, err := hour(ctx, dir, 60, walk, m)
		return err
	}); err != nil {
		return err
	}
	show("device_bytes_per_sample_60s", n/(3600*series), "B")
	return nil
}

// write200k writes below the codec, from the first segment's reservation to the last one's index.
func write200k(dir string, m *meter, commits, size int) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := m.begin(); err != nil {
		return err
	}
	l := newLogFile(dir)
	b := make([]byte, size/4)
	for i := range b {
		b[i] = byte(i * i >> 5)
	}
	for range commits {
		if err := l.commit([][]byte{b, b, b, b}); err != nil {
			return err
		}
	}
	return errors.Join(l.w.Seal(&l.w.Header().State), l.Close(), m.end())
}

// write200B commits bodies of about 200 B one by one through the whole log, with a cursor that follows, and counts all
// but opening and closing the log.
func write200B(ctx context.Context, dir string, m *meter, commits int) error {
	s, l, err := openLog(ctx, dir, buffer.StreamOptions{})
	if err != nil {
		return err
	}
	id, err := l.Define(record.Series{Name: "blob", Type: record.TypeBytes})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	c, err := l.Cursor("follower")
	if err == nil {
		err = m.begin()
	}
	for i := 0; i < commits && err == nil; i++ {
		if _, err = l.Append(ctx, record.Draft{Records: []record.Record{blob(id, int64(i), 185, 1)}}); err == nil {
			err = l.Sync(ctx)
		}
		if err == nil {
			err = c.Commit(l.Info().Durable)
		}
	}
	return errors.Join(err, m.end(), s.Close())
}

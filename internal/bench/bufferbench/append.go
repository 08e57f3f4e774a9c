package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // the peer
	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// committer makes the bodies of one commit durable before it returns.
type committer interface {
	commit(bodies [][]byte) error
	Close() error
}

const reserve = buffer.DefaultSegmentBytes + 256<<10 // as the log reserves

// sizes of a commit, in bytes; n bodies in it, so many commits a turn.
var sizes = []struct {
	name     string
	bytes, n int
	commits  int
}{
	{name: "2k", bytes: 2_000, n: 4, commits: 400},
	{name: "20k", bytes: 20_000, n: 4, commits: 200},
	{name: "200k", bytes: 200_000, n: 4, commits: 84},
	{name: "1m", bytes: 1_000_000, n: 16, commits: 33},
}

// benchAppend is the log below the codec against a bare file and against SQLite.
func benchAppend(ctx context.Context, e *env) error {
	for _, s := range sizes {
		if err := e.appendSize(ctx, s.name, s.bytes, s.n, s.commits); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) appendSize(ctx context.Context, name string, size, n, commits int) (err error) {
	dir, err := e.fresh("append")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	lite, err := newLite(dir)
	if err != nil {
		return err
	}
	late := newLogFile(filepath.Join(dir, "late"))
	late.fs = lateFS{vfs.OS{}}
	if err := os.Mkdir(late.dir, 0o750); err != nil {
		return err
	}
	parties := []committer{newLogFile(dir), &rawFile{dir: dir}, lite, late, sumOnly{}}
	bodies := make([][]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	for i := range bodies {
		bodies[i] = make([]byte, size/n)
		_, _ = rng.Read(bodies[i])
	}
	var vsRaw, vsLite, rawVsLite, vsLate, limit, rate []float64
	for round := range e.rounds + 1 {
		took, err := takeTurns(parties, bodies, commits)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if round > 0 { // the first turn warms up
			vsRaw, vsLite, rawVsLite = append(vsRaw, took[1]/took[0]), append(vsLite, took[2]/took[0]), append(rawVsLite, took[2]/took[1])
			vsLate, limit = append(vsLate, took[3]/took[0]), append(limit, took[1]/(took[1]+took[4]))
			rate = append(rate, float64(commits*size)/took[0]/1e6)
		}
	}
	show("append_vs_raw_"+name, median(vsRaw), "ratio")
	show("append_vs_raw_"+name+"_late_limit", median(limit), "ratio")
	if size >= 200_000 {
		show("append_early_vs_late_"+name, median(vsLate), "ratio")
	}
	show("append_vs_sqlite_"+name, median(vsLite), "ratio")
	show("raw_vs_sqlite_"+name, median(rawVsLite), "ratio")
	show("append_mb_per_s_"+name, median(rate), "MB/s")
	for _, p := range parties {
		err = errors.Join(err, p.Close())
	}
	return err
}

// takeTurns lets the parties commit one after the other, again and again, and returns the seconds that each took:
// what else the machine does hits all of them.
func takeTurns(parties []committer, bodies [][]byte, commits int) ([]float64, error) {
	took := make([]float64, len(parties))
	for i := range commits {
		for j := range parties {
			p := (i + j) % len(parties)
			start := time.Now()
			if err := parties[p].commit(bodies); err != nil {
				return nil, err
			}
			took[p] += time.Since(start).Seconds()
		}
	}
	return took, nil
}

// logFile is the log below the codec: segments, rolled and sealed as the log does.
type logFile struct {
	fs   vfs.FS
	dir  string
	key  *segment.Key // nil: not encrypted
	w    *segment.Writer
	seq  uint32
	next record.Offset
}

func newLogFile(dir string) *logFile { return &logFile{fs: vfs.OS{}, dir: dir} }

// lateFS makes files that the disk begins with when they are synced, and not before.
type lateFS struct{ vfs.FS }

func (l lateFS) Create(name string) (vfs.File, error) {
	f, err := l.FS.Create(name)
	return struct{ vfs.File }{f}, err
}

// sumOnly is the checksum of a commit's bodies, in memory: what a log has to do beyond a bare file.
type sumOnly struct{}

func (sumOnly) commit(bodies [][]byte) error {
	sum := uint32(1)
	for _, b := range bodies {
		sum |= segment.Checksum(b)
	}
	if sum == 0 {
		return errors.New("no checksum") // cannot be, and keeps the work from being optimised away
	}
	return nil
}

func (sumOnly) Close() error { return nil }

func (l *logFile) roll() error {
	st := segment.State{Delivered: l.next}
	h := segment.Header{Salt: 0x41424344 + l.seq, Seq: l.seq, Opening: 1, Stream: "telemetry", Epoch: 7, Base: l.next, State: st}
	l.seq++
	w, err := segment.CreateEncrypted(l.fs, l.dir, fmt.Sprintf("%016x.seg", l.next), &h, reserve, l.key)
	if err != nil {
		return err
	}
	if l.w != nil {
		err = errors.Join(l.w.Seal(&st), l.w.Close(), os.Remove(l.w.Path()))
		w.TakeBuffer(l.w)
	}
	l.w = w
	return err
}

func (l *logFile) commit(bodies [][]byte) error {
	if l.w != nil {
		l.w.Expect(int64(len(bodies) * len(bodies[0])))
	}
	for _, b := range bodies {
		if l.w == nil || l.w.Pos()+int64(len(b)) > buffer.DefaultSegmentBytes {
			if l.w != nil {
				if err := l.w.Sync(); err != nil {
					return err
				}
			}
			if err := l.roll(); err != nil {
				return err
			}
		}
		k := segment.Block{Codec: record.CodecColumns, Count: 100, Base: l.next, RawLen: uint32(len(b))}
		k.Ext.Boot = segment.Times{Has: true, Min: int64(l.next) * 1e9, Max: int64(l.next)*1e9 + 1e9}
		if err := l.w.Batch(&k, b); err != nil {
			return err
		}
		l.next += 100
	}
	return l.w.Sync()
}

func (l *logFile) Close() error { return l.w.Close() }

// rawFile is the least that anybody could do: the same bytes written and synced into a file that is reserved the same
// way.
type rawFile struct {
	dir string
	n   int
	f   *os.File
	pos int64
	buf []byte
}

func (r *rawFile) commit(bodies [][]byte) error {
	r.buf = r.buf[:0]
	for _, b := range bodies {
		r.buf = append(r.buf, b...)
	}
	if r.f == nil || r.pos+int64(len(r.buf)) > buffer.DefaultSegmentBytes {
		if err := r.roll(); err != nil {
			return err
		}
	}
	if _, err := r.f.WriteAt(r.buf, r.pos); err != nil {
		return err
	}
	r.pos += int64(len(r.buf))
	return unix.Fdatasync(int(r.f.Fd()))
}

func (r *rawFile) roll() error {
	if r.f != nil {
		if err := errors.Join(r.f.Close(), os.Remove(r.f.Name())); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(r.dir, fmt.Sprint("raw", r.n)))
	if err != nil {
		return err
	}
	r.f, r.pos = f, 0
	r.n++
	return unix.Fallocate(int(f.Fd()), 0, 0, reserve)
}

func (r *rawFile) Close() error { return r.f.Close() }

// lite is SQLite, one blob a commit. It never deletes, which would cost it more.
type lite struct {
	db  *sql.DB
	buf []byte
}

func newLite(dir string) (*lite, error) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "peer.db")+"?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("CREATE TABLE commits (id INTEGER PRIMARY KEY, body BLOB)")
	return &lite{db: db}, err
}

func (l *lite) commit(bodies [][]byte) error {
	l.buf = l.buf[:0]
	for _, b := range bodies {
		l.buf = append(l.buf, b...)
	}
	_, err := l.db.Exec("INSERT INTO commits (body) VALUES (?)", l.buf)
	return err
}

func (l *lite) Close() error { return l.db.Close() }

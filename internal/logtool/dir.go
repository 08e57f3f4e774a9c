package logtool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Dir is a log directory: the one that holds a directory for each stream.
type Dir struct {
	FS   vfs.FS
	Path string
	// Keys read what is encrypted; the current one encrypts what a tool writes into a log. A file whose key is not among
	// them is kept, and said.
	Keys buffer.Keys
	// Progress is told how many bytes of how many are done; it may be nil.
	Progress func(done, total int64)
}

// progress adds up bytes.
type progress struct {
	tell        func(done, total int64)
	done, total int64
}

func (d Dir) progress(total int64) *progress { return &progress{tell: d.Progress, total: total} }

func (p *progress) add(n int64) {
	p.done = min(p.done+n, p.total)
	if p.tell != nil {
		p.tell(p.done, p.total)
	}
}

// segFile is one segment file.
type segFile struct {
	name, path string
	size       int64
	c          *segment.Contents // after peek; nil if nothing in it was recognised
	held       error             // of a newer format
	locked     error             // encrypted, and its key is not there: only its outside can be checked
	blank      error             // nothing was recognised
}

// streamFiles are the segment files of one stream in the order in which they were written.
type streamFiles struct {
	stream string
	files  []*segFile
}

func (s *streamFiles) bytes() (n int64) {
	for _, f := range s.files {
		n += f.size
	}
	return n
}

// files lists and peeks the segment files of the streams; stream "" means all.
func (d Dir) files(stream string) ([]streamFiles, error) {
	entries, err := d.FS.List(d.Path)
	if err != nil {
		return nil, fmt.Errorf("list log directory: %w", err)
	}
	var out []streamFiles
	var names []string
	for _, e := range entries {
		if !e.Dir || !record.ValidStream(e.Name) {
			continue
		}
		if names = append(names, e.Name); stream != "" && e.Name != stream {
			continue
		}
		s := streamFiles{stream: e.Name}
		infos, err := d.FS.List(path.Join(d.Path, e.Name))
		if err != nil {
			return nil, fmt.Errorf("list stream %s: %w", e.Name, err)
		}
		for _, in := range infos {
			if in.Dir || !strings.HasSuffix(in.Name, ".seg") {
				continue
			}
			f := &segFile{name: in.Name, path: path.Join(d.Path, e.Name, in.Name), size: in.Size}
			err := f.peek(&d)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed meanwhile by the writer beside us
			}
			if err != nil {
				return nil, err
			}
			s.files = append(s.files, f)
		}
		s.order()
		out = append(out, s)
	}
	if stream != "" && len(out) == 0 {
		return nil, fmt.Errorf("%w: %q; there are %s", buffer.ErrNoStream, stream, strings.Join(names, ", "))
	}
	return out, nil
}

func (f *segFile) peek(d *Dir) error {
	h, err := d.FS.Open(f.path)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	c, err := segment.Peek(h, f.path)
	switch {
	case err == nil:
		f.c = c
		if c.Key, err = c.DataKey(h, &d.Keys); errors.Is(err, segment.ErrKey) {
			f.locked, err = err, nil
		}
	case errors.Is(err, segment.ErrNewer):
		f.held, err = err, nil
	case errors.Is(err, segment.ErrFormat):
		f.blank, err = err, nil
	}
	return errors.Join(err, h.Close())
}

// written is how many bytes of the file hold something: the rest of an open one is room that is reserved. It is known once
// the file was looked through; an unfinished tail counts as room.
func (f *segFile) written() int64 {
	if f.held != nil || f.blank != nil || f.c == nil || f.c.Sealed || f.c.EndPos == 0 {
		return f.size
	}
	return f.c.EndPos
}

// order sorts by opening and number, files without a readable header by their name (which is their base).
func (s *streamFiles) order() {
	headed := func(f *segFile) bool { return f.c != nil && !f.c.Lost }
	slices.SortStableFunc(s.files, func(a, b *segFile) int {
		if headed(a) && headed(b) {
			x, y := &a.c.Header, &b.c.Header
			if x.Opening != y.Opening {
				return compare(x.Opening, y.Opening)
			}
			return compare(uint64(x.Seq), uint64(y.Seq))
		}
		return strings.Compare(a.name, b.name)
	})
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// open opens the log for reading.
func (d Dir) open(ctx context.Context) (*buffer.Set, error) {
	set, err := buffer.OpenReadOnlyKeys(ctx, d.FS, d.Path, d.Keys)
	if err != nil {
		return nil, fmt.Errorf("read log directory %s: %w", d.Path, err)
	}
	return set, nil
}

// logs are the streams of a set; stream "" means all.
func logs(set *buffer.Set, stream string) ([]*buffer.Log, error) {
	if stream == "" {
		return set.Logs(), nil
	}
	l, err := set.Log(stream)
	if err != nil {
		return nil, err
	}
	return []*buffer.Log{l}, nil
}

// change opens the log for a change, with its lock. Nothing is dropped by it. vfs.ErrLocked: an agent runs on it.
func (d Dir) change(ctx context.Context) (*buffer.Set, error) {
	entries, err := d.FS.List(d.Path)
	if err != nil {
		return nil, fmt.Errorf("list log directory: %w", err)
	}
	o := buffer.Options{Keys: d.Keys}
	for _, e := range entries {
		if e.Dir && record.ValidStream(e.Name) {
			o.Streams = append(o.Streams, buffer.StreamOptions{Name: e.Name, MaxBytes: unlimited, SegmentBytes: buffer.MinSegmentBytes, Full: buffer.Block})
		}
	}
	if len(o.Streams) == 0 {
		return nil, fmt.Errorf("%w: there is no log in %s", buffer.ErrNoStream, d.Path)
	}
	return buffer.Open(ctx, d.FS, d.Path, o)
}

// each reads a stream from an offset to its end. A file that this program cannot read is told to held and stepped
// over, if the stream goes on behind it.
func each(ctx context.Context, l *buffer.Log, from record.Offset, f func(*buffer.Item) error, held func(*buffer.HeldError)) (err error) {
	r := l.Read(from)
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		item, err := r.Next()
		var h *buffer.HeldError
		switch {
		case errors.Is(err, buffer.ErrEnd):
			return nil
		case errors.As(err, &h) && held != nil:
			held(h)
			next, ok := behind(l, h.At)
			if !ok {
				return nil
			}
			if err := r.Close(); err != nil {
				return err
			}
			r = l.Read(next)
		case err != nil:
			return fmt.Errorf("read stream %s: %w", l.Name(), err)
		default:
			if err := f(&item); err != nil {
				return err
			}
		}
	}
}

// behind is where an epoch begins above o: the first place behind a file that cannot be read that is known.
func behind(l *buffer.Log, o record.Offset) (record.Offset, bool) {
	best, ok := record.Offset(0), false
	for _, e := range l.Epochs() {
		if e.First > o && (!ok || e.First < best) {
			best, ok = e.First, true
		}
	}
	return best, ok
}

package buffer

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Set is all streams of a device.
type Set struct {
	fs       vfs.FS
	opt      Options
	readOnly bool
	lock     io.Closer
	spare    *spare
	space    space
	logs     []*Log // by name
}

const lockName = "LOCK"

// Open opens the streams in dir, making the directory and the streams' directories as needed. It takes the
// directory's lock (vfs.ErrLocked if another process has it) and recovers every stream: unfinished tails are cut,
// damage becomes gaps, what was recovered is made durable before anybody sees it.
func Open(ctx context.Context, fs vfs.FS, dir string, o Options) (*Set, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	// A directory that is not durable takes everything in it along. Whoever runs under another user's directory has
	// been given this one by somebody else.
	if err := fs.SyncDir(path.Dir(dir)); err != nil && !errors.Is(err, iofs.ErrPermission) {
		return nil, fmt.Errorf("sync parent of log directory: %w", err)
	}
	lock, err := fs.Lock(path.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("lock log directory: %w", err)
	}
	s := &Set{fs: fs, opt: o, lock: lock, spare: &spare{fs: fs, dir: dir}}
	if err := s.open(ctx, dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.spare.keep()
	if u, err := fs.Usage(dir); err == nil {
		s.space.free.Store(int64(min(u.Free, 1<<62)))
	}
	return s, nil
}

// OpenReadOnly opens the streams in dir as they are: it takes no lock and writes nothing. For the directory of a dead
// box, or a glance beside a running agent: what has not been fsynced is shown, too, and what is written later is not.
func OpenReadOnly(ctx context.Context, fs vfs.FS, dir string) (*Set, error) {
	return OpenReadOnlyKeys(ctx, fs, dir, Keys{})
}

// OpenReadOnlyKeys is OpenReadOnly with keys to read encrypted segments with.
func OpenReadOnlyKeys(ctx context.Context, fs vfs.FS, dir string, keys Keys) (*Set, error) {
	s := &Set{fs: fs, readOnly: true, opt: Options{Keys: keys}}
	if err := s.open(ctx, dir); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Set) open(ctx context.Context, dir string) error {
	s.space.dir, s.space.written = dir, map[string]record.Offset{}
	s.space.free.Store(-1)
	found, err := s.fs.List(dir)
	if err != nil {
		return fmt.Errorf("list log directory: %w", err)
	}
	names := map[string]StreamOptions{}
	for _, f := range found {
		if f.Dir && record.ValidStream(f.Name) {
			names[f.Name] = StreamOptions{}
		}
	}
	for _, o := range s.opt.Streams {
		if err := s.fs.MkdirAll(path.Join(dir, o.Name)); err != nil {
			return fmt.Errorf("make stream directory: %w", err)
		}
		names[o.Name] = o
	}
	if len(s.opt.Streams) > 0 {
		if err := s.fs.SyncDir(dir); err != nil {
			return fmt.Errorf("sync log directory: %w", err)
		}
	}
	if len(names) > MaxStreams {
		return fmt.Errorf("%w: more than %d streams in %s", ErrInvalid, MaxStreams, dir)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) { // the same operations in the same order, whatever the map says
		o := names[name]
		if err := ctx.Err(); err != nil {
			return err
		}
		l := newLog(s, name, path.Join(dir, name), o)
		if err := l.recover(); err != nil {
			return fmt.Errorf("open stream %s: %w", name, err)
		}
		s.logs = append(s.logs, l)
	}
	sort.Slice(s.logs, func(i, j int) bool { return s.logs[i].name < s.logs[j].name })
	return nil
}

func newLog(s *Set, name, dir string, o StreamOptions) *Log {
	l := &Log{set: s, name: name, dir: dir, opt: o.withDefaults(), changed: make(chan struct{}), wake: make(chan struct{}, 1)}
	l.room, l.pings = make(chan struct{}), make(chan chan struct{})
	l.producers = map[string]pendingProducer{}
	l.dirty.cursors = map[string]bool{}
	l.defs.byKey = map[defKey]record.SeriesID{}
	if o.Name == "" {
		l.status = StateDelivery
	}
	return l
}

// Log is the stream of that name.
func (s *Set) Log(name string) (*Log, error) {
	names := make([]string, 0, len(s.logs))
	for _, l := range s.logs {
		if l.name == name {
			return l, nil
		}
		names = append(names, l.name)
	}
	return nil, fmt.Errorf("%w: %q; there are %s", ErrNoStream, name, strings.Join(names, ", "))
}

// Logs are all streams, by name.
func (s *Set) Logs() []*Log { return append([]*Log(nil), s.logs...) }

// Run commits every stream and applies Retain in the background until ctx ends, then once more. It returns nil unless that last commit
// fails.
func (s *Set) Run(ctx context.Context) error {
	var g errgroup.Group
	for _, l := range s.logs {
		if l.opt.Name != "" {
			g.Go(func() error { return l.run(ctx) })
		}
	}
	g.Go(func() error {
		s.keepSpace(ctx)
		return nil
	})
	return g.Wait()
}

// Close commits what was appended, seals the active segments and gives up the lock. Run must have returned. Close is
// idempotent.
func (s *Set) Close() error {
	var errs []error
	for _, l := range s.logs {
		errs = append(errs, l.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

// Producer is how far the messages of that incarnation have been taken durably, over all streams.
func (s *Set) Producer(name string, incarnation uint64) (record.ProducerPosition, bool) {
	var best record.ProducerPosition
	found := false
	for _, l := range s.logs {
		l.mu.Lock()
		for _, p := range l.state.Producers {
			if p.Name == name && p.Incarnation == incarnation && (!found || p.Sequence > best.Sequence) {
				best, found = p, true
			}
		}
		l.mu.Unlock()
	}
	return best, found
}

// LastProducer is the newest durable position of a producer in this stream, of whatever incarnation.
func (l *Log) LastProducer(name string) (record.ProducerPosition, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.state.Producers {
		if p.Name == name {
			return p, true
		}
	}
	return record.ProducerPosition{}, false
}

// repeated looks for the message in the streams other than l: a producer's stream may have been configured anew.
func (s *Set) repeated(l *Log, p *record.ProducerPosition) (Ticket, bool) {
	if p == nil {
		return Ticket{}, false
	}
	for _, o := range s.logs {
		if o == l {
			continue
		}
		o.mu.Lock()
		known, ok := o.producers[p.Name]
		o.mu.Unlock()
		if ok && known.Incarnation == p.Incarnation && p.Sequence <= known.Sequence {
			return Ticket{l: o, r: known.taken}, true
		}
	}
	return Ticket{}, false
}

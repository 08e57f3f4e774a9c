// Package sqlite is the hub's embedded store: rows, definitions, gaps and positions of many devices in one SQLite
// file, changed together in one transaction (write-ahead log, synchronous=FULL).
//
// Rows are appended in the order of their arrival with one secondary index, on integer time; that no row is there
// twice follows from the compare-and-set on the epoch's position, and Verify proves it by counting. People query the
// views of schema.sql with any SQLite shell.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// Options of Open. The zero value works.
type Options struct {
	ReadOnly bool             // writes nothing; the file must exist
	Now      func() time.Time // time.Now if nil; stamps arrivals only
}

// Store is one SQLite file. It implements store.Store; all methods may be called concurrently.
type Store struct {
	path string
	now  func() time.Time

	write  chan *writer // holds the one writer while nobody uses it; nil writer: reopen first
	read   chan *conn   // idle readers; a nil takes the place of one not yet opened
	closed chan struct{}
	once   sync.Once
	err    error
}

var _ store.Store = (*Store)(nil)

// ErrClosed is returned after Close, and ErrReadOnly by what would write to a store opened read-only.
var (
	ErrClosed   = errors.New("hub store is closed")
	ErrReadOnly = errors.New("hub store is open for reading only")
)

// Open opens the file and creates it, its schema and its directory where they are missing.
func Open(path string, o Options) (*Store, error) {
	s := &Store{path: path, now: o.Now, closed: make(chan struct{}),
		write: make(chan *writer, 1), read: make(chan *conn, maxReaders)}
	if s.now == nil {
		s.now = time.Now
	}
	if o.ReadOnly {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("open hub store: %w", err)
		}
		c, err := dial(path, "ro", readerCacheKiB)
		if err != nil {
			return nil, err
		}
		if _, fresh, err := schemaState(c); err != nil || fresh {
			c.close()
			if err == nil {
				err = ErrForeign
			}
			return nil, fmt.Errorf("open hub store %s: %w", path, err)
		}
		s.write = nil
		s.read <- c
	} else {
		w, err := s.openWriter()
		if err != nil {
			return nil, err
		}
		s.write <- w
	}
	for len(s.read) < maxReaders {
		s.read <- nil
	}
	return s, nil
}

// Path is the file's path as it was given.
func (s *Store) Path() string { return s.path }

func (s *Store) openWriter() (*writer, error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o750); err != nil {
		return nil, fmt.Errorf("open hub store: %w", err)
	}
	// The engine would create it readable by all.
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open hub store: %w: %w", store.ErrUnavailable, err)
	}
	f.Close()
	c, err := dial(s.path, "rwc", writerCacheKiB)
	if err != nil {
		return nil, err
	}
	err = prepareSchema(c)
	if err == nil {
		err = c.script("PRAGMA busy_timeout=0") // begin waits by itself, and within a transaction nothing does
	}
	if err != nil {
		return nil, fmt.Errorf("open hub store %s: %w", s.path, errors.Join(err, c.close()))
	}
	return &writer{c: c, cache: newCache()}, nil
}

// writer is the one connection that writes, with what it remembers between transactions.
type writer struct {
	c       *conn
	cache   *cache
	version int64     // PRAGMA data_version: changes when another process commits
	others  time.Time // when that was last seen
	ended   time.Time // of our last transaction
}

// writing runs f in one transaction of the writer. What the cache learned in a failed one is forgotten.
func (s *Store) writing(ctx context.Context, f func(*writer) error) error {
	if s.write == nil {
		return ErrReadOnly
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	var w *writer
	select {
	case <-s.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case w = <-s.write:
	}
	if w == nil {
		var err error
		if w, err = s.openWriter(); err != nil {
			s.write <- nil
			return err
		}
	}
	if !w.others.IsZero() && time.Since(w.others) < courteousFor {
		time.Sleep(courtesy - time.Since(w.ended)) // or another process would never get its turn
	}
	err := w.c.within(beginWrite, func() error {
		v, _, err := w.c.one("PRAGMA data_version")
		if err != nil {
			return err
		}
		if v != w.version {
			if w.version != 0 {
				w.others = time.Now()
			}
			w.cache, w.version = newCache(), v
		}
		return f(w)
	})
	w.ended = time.Now()
	switch {
	case err == nil:
		w.cache.trim()
	case errors.Is(err, store.ErrUnavailable):
		// After an input or output error nothing of this connection's state is worth keeping.
		err = errors.Join(err, w.c.close())
		w = nil
	default:
		w.cache = newCache()
	}
	s.write <- w
	return err
}

// ready refuses what comes too late; a select alone would let chance decide.
func (s *Store) ready(ctx context.Context) error {
	select {
	case <-s.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// reading runs f on a reader, in one read transaction.
func (s *Store) reading(ctx context.Context, f func(*conn) error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	var c *conn
	select {
	case <-s.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case c = <-s.read:
	}
	if c == nil {
		var err error
		if c, err = dial(s.path, "ro", readerCacheKiB); err != nil {
			s.read <- nil
			return err
		}
	}
	err := c.within("BEGIN", func() error { return f(c) })
	if errors.Is(err, store.ErrUnavailable) {
		err = errors.Join(err, c.close())
		c = nil
	}
	s.read <- c
	return err
}

// Close waits for what is under way and closes the file. It is idempotent.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closed)
		for range maxReaders {
			if c := <-s.read; c != nil {
				s.err = errors.Join(s.err, c.close())
			}
		}
		// The writer last: closing the last connection folds the write-ahead log back.
		if s.write != nil {
			if w := <-s.write; w != nil {
				s.err = errors.Join(s.err, w.c.close())
			}
		}
	})
	return s.err
}

// cache holds what never changes once it is committed: references, series, and the clocks of devices.
type cache struct {
	devices map[string]int64
	clocks  map[int64]*clock
	tables  map[int64]*seriesTable // by epoch reference
	forms   map[uint32]int64
	insert  map[int]string // statement by rows
}

func newCache() *cache {
	return &cache{devices: map[string]int64{}, clocks: map[int64]*clock{}, tables: map[int64]*seriesTable{},
		forms: map[uint32]int64{}}
}

// trim keeps the cache bounded; what is dropped is read again when it is needed.
func (c *cache) trim() {
	if len(c.tables) > maxCachedEpochs {
		c.tables = map[int64]*seriesTable{}
	}
	if len(c.clocks) > maxCachedDevices {
		c.clocks, c.devices = map[int64]*clock{}, map[string]int64{}
	}
}

// seriesTable is the definitions of one epoch.
type seriesTable struct {
	ids  []record.SeriesID // ascending; never written in place, results share it
	refs []int64           // by id; 0: not defined
}

func (t *seriesTable) ref(id record.SeriesID) int64 {
	if int(id) >= len(t.refs) {
		return 0
	}
	return t.refs[id]
}

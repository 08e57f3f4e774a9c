// Package postgres is the hub's store in PostgreSQL: rows by COPY into a table that is partitioned by day of arrival
// (a hypertable where TimescaleDB is installed), and everything that decides about the next frame in the same
// transaction, by compare-and-set on the device's version and on the epoch's position.
//
// Several hubs may share a database (store.Leases). A connection that breaks, a server that has become read-only, a
// full disk and a standby that took over are all errors after which the caller reads positions again and goes on: no
// state of this process is believed that the server does not confirm in the transaction at hand.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// Options of Open. Only URL is required.
type Options struct {
	// URL says where the database is, in the form of libpq: postgres://hub@db1,db2/edgelog?sslmode=verify-full. With
	// several hosts the one that takes writes is used.
	URL      string
	Password string           // instead of one in the URL
	Schema   string           // of the tables; "edgelog" if empty
	ReadOnly bool             // changes nothing, and any server will do; the schema must exist
	Now      func() time.Time // time.Now if nil; stamps arrivals only
}

// Store is one database. It implements store.Store and store.Leases; all methods may be called concurrently.
type Store struct {
	o      Options
	config *pgx.ConnConfig
	pool   *pgxpool.Pool
	path   string

	write  chan *writer // holds the one writer while nobody uses it; nil: connect first
	closed chan struct{}
	once   sync.Once
	err    error
	health store.Meter

	dropNext atomic.Int64 // µs UTC: retention that was in somebody's way looks again then
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Leases     = (*Store)(nil)
	_ store.Accountant = (*Store)(nil)
	_ store.Maintainer = (*Store)(nil)
	_ store.Verifier   = (*Store)(nil)
	_ store.Counter    = (*Store)(nil)
	_ store.Releaser   = (*Store)(nil)
	_ store.Teller     = (*Store)(nil)
)

// Errors that trying again does not help.
var (
	ErrClosed   = errors.New("hub store is closed")
	ErrReadOnly = errors.New("hub store is open for reading only")
	ErrForeign  = errors.New("the schema is not a hub store of Edgelog")
	ErrNewer    = errors.New("the hub store was written by a newer edge-hub")
	ErrUnsafe   = errors.New("the server runs with fsync off: a power cut would lose rows that were acknowledged")
)

// writer is the one connection that writes, with what it remembers between transactions.
type writer struct {
	c       *pgx.Conn
	devices map[string]*ledger.Device
	forms   map[uint32]int16
	days    map[int64]bool // partitions that are there
	hyper   bool           // TimescaleDB makes the partitions
	buf     []byte
}

// Validate checks the options without touching the network.
func (o Options) Validate() error {
	_, err := o.config()
	return err
}

func (o Options) config() (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("store.postgres.url: %w", err) // pgx keeps the password out of it
	}
	if o.Password != "" {
		c.Password = o.Password
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if !o.ReadOnly && c.ValidateConnect == nil {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	set := func(k, v string) {
		if c.RuntimeParams[k] == "" {
			c.RuntimeParams[k] = v
		}
	}
	set("application_name", "edge-hub")
	set("idle_in_transaction_session_timeout", fmt.Sprint(idleInTx.Milliseconds()))
	c.RuntimeParams["search_path"] = pgx.Identifier{o.schema()}.Sanitize() + ", public"
	c.RuntimeParams["timezone"] = "UTC"
	return c, nil
}

func (o Options) schema() string {
	if o.Schema == "" {
		return "edgelog"
	}
	return o.Schema
}

// Open connects, and creates or migrates the schema.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	c, err := o.config()
	if err != nil {
		return nil, err
	}
	s := &Store{o: o, config: c, write: make(chan *writer, 1), closed: make(chan struct{}),
		path: fmt.Sprintf("postgres://%s:%d/%s", c.Host, c.Port, c.Database)}
	pc, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("store.postgres.url: %w", err)
	}
	pc.ConnConfig, pc.MaxConns, pc.MinConns = c.Copy(), maxReaders, 0
	if !o.ReadOnly {
		pc.AfterConnect = durable // leases are swapped here
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, pc); err != nil {
		return nil, fmt.Errorf("open hub store %s: %w", s.path, unavailable(err))
	}
	if o.ReadOnly {
		if err := s.checkSchema(ctx); err != nil {
			s.pool.Close()
			return nil, fmt.Errorf("open hub store %s: %w", s.path, err)
		}
		s.write = nil
		return s, nil
	}
	w, err := s.connect(ctx)
	if err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("open hub store %s: %w", s.path, err)
	}
	s.write <- w
	return s, nil
}

// Path is where the database is, without secrets.
func (s *Store) Path() string { return s.path }

func (s *Store) connect(ctx context.Context) (*writer, error) {
	c, err := pgx.ConnectConfig(ctx, s.config.Copy())
	if err != nil {
		return nil, unavailable(err)
	}
	w := &writer{c: c}
	w.forget()
	if err := s.prepare(ctx, w); err != nil {
		closeConn(c)
		return nil, unavailable(err)
	}
	return w, nil
}

func (w *writer) forget() {
	w.devices, w.forms, w.days = map[string]*ledger.Device{}, map[uint32]int16{}, map[int64]bool{}
}

func closeConn(c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return c.Close(ctx)
}

// writing runs f on the writer. After any error but a conflict nothing of the connection's state is worth keeping.
func (s *Store) writing(ctx context.Context, f func(context.Context, *writer) error) error {
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
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	case w = <-s.write:
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if w == nil {
		var err error
		if w, err = s.connect(ctx); err != nil {
			s.write <- nil
			s.failed(err)
			return err
		}
		s.health.Count(func(h *store.Health) { h.Reconnects++ })
	}
	err := f(ctx, w)
	if err != nil {
		err = unavailable(err)
		if w.c.IsClosed() || errors.Is(err, store.ErrUnavailable) {
			closeConn(w.c) // broken already, or to be: its error says nothing new
			w = nil
		} else {
			w.forget()
		}
	} else if len(w.devices) > maxCachedDevices {
		w.devices = map[string]*ledger.Device{}
	}
	s.failed(err)
	s.write <- w
	return err
}

func (s *Store) failed(err error) {
	if s.health.Failed(err); err != nil {
		s.health.Count(func(h *store.Health) { h.Aborted++ })
	}
}

// Health implements store.Teller.
func (s *Store) Health() store.Health { return s.health.Health() }

// ready refuses what comes too late; a select alone would let chance decide.
func (s *Store) ready(ctx context.Context) error {
	select {
	case <-s.closed:
		return ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
	return nil
}

// reading runs f in one read transaction.
func (s *Store) reading(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error { return f(ctx, tx) })
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// Close waits for what is under way and closes the connections. It is idempotent.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closed)
		if s.write != nil {
			if w := <-s.write; w != nil {
				closeConn(w.c) // nothing is under way: how it ends does not matter
			}
		}
		s.pool.Close()
	})
	return s.err
}

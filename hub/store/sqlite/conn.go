package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/hub/store"
	sqlite3 "github.com/mattn/go-sqlite3"
)

// conn is one connection with its prepared statements. It goes around database/sql, whose per-call cost is most of
// what an insert of many rows takes. It is used by one goroutine at a time.
type conn struct {
	c     *sqlite3.SQLiteConn
	stmts map[string]*stmt
}

type stmt struct {
	s     driver.Stmt
	q     driver.StmtQueryContext
	args  []driver.NamedValue
	dest  []driver.Value
	inUse bool
}

// dial opens the file; mode is "rwc" or "ro".
func dial(path, mode string, cacheKiB int) (*conn, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open hub store %s: %w", path, err)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: abs}
	u.RawQuery = "mode=" + mode + "&_mutex=no&_busy_timeout=" + fmt.Sprint(busyTimeout.Milliseconds())
	dc, err := (&sqlite3.SQLiteDriver{}).Open(u.String())
	if err != nil {
		return nil, classify("open hub store "+path, err)
	}
	c := &conn{c: dc.(*sqlite3.SQLiteConn), stmts: map[string]*stmt{}}
	if err := c.script(fmt.Sprintf("PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY", cacheKiB)); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		s.s.Close()
	}
	c.stmts = nil
	return c.c.Close()
}

// script runs statements without parameters.
func (c *conn) script(sql string) error {
	if _, err := c.c.Exec(sql, nil); err != nil {
		return classify("write hub store", err)
	}
	return nil
}

func (c *conn) prepare(sql string) (*stmt, error) {
	if s := c.stmts[sql]; s != nil {
		return s, nil
	}
	ds, err := c.c.Prepare(sql)
	if err != nil {
		return nil, classify("prepare", err)
	}
	s := &stmt{s: ds, q: ds.(driver.StmtQueryContext), args: make([]driver.NamedValue, ds.NumInput())}
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	c.stmts[sql] = s
	return s, nil
}

// run executes a prepared statement with the arguments in s.args. A query binds and steps in one cgo call where
// an exec takes one for each argument.
func (s *stmt) run() error {
	rows, err := s.q.QueryContext(context.Background(), s.args)
	if err != nil {
		return classify("write hub store", err)
	}
	return classify("write hub store", rows.Close())
}

func (c *conn) exec(sql string, args ...driver.Value) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	for i, v := range args {
		s.args[i].Value = v
	}
	return s.run()
}

// query calls row for each row; the slice is valid until row returns. row must not run the same statement.
func (c *conn) query(sql string, row func(v []driver.Value) error, args ...driver.Value) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	if s.inUse {
		panic("sqlite: statement used inside its own loop: " + sql)
	}
	s.inUse = true
	defer func() { s.inUse = false }()
	for i, v := range args {
		s.args[i].Value = v
	}
	rows, err := s.q.QueryContext(context.Background(), s.args)
	if err != nil {
		return classify("read hub store", err)
	}
	defer rows.Close()
	if n := len(rows.Columns()); len(s.dest) != n {
		s.dest = make([]driver.Value, n)
	}
	for {
		switch err := rows.Next(s.dest); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return classify("read hub store", err)
		}
		if err := row(s.dest); err != nil {
			return err
		}
	}
}

// one reads the first column of the first row as an integer; ok is false if there is no row or it is NULL.
func (c *conn) one(sql string, args ...driver.Value) (n int64, ok bool, err error) {
	err = c.query(sql, func(v []driver.Value) error {
		if i, is := v[0].(int64); is && !ok {
			n, ok = i, true
		}
		return nil
	}, args...)
	return n, ok, err
}

// begin begins a transaction. For one that writes it waits by itself, with short sleeps: the engine's own waiting sleeps
// up to 100 ms between tries and never meets the moment in which another process that commits again and again lets go.
func (c *conn) begin(how string) error {
	for end := time.Now().Add(busyTimeout); ; time.Sleep(busyLook) {
		err := c.script(how)
		var e sqlite3.Error
		if err == nil || how != beginWrite || !errors.As(err, &e) || e.Code != sqlite3.ErrBusy || time.Now().After(end) {
			return err
		}
	}
}

// beginWrite begins a transaction that writes.
const beginWrite = "BEGIN IMMEDIATE"

// within runs f in one transaction.
func (c *conn) within(begin string, f func() error) error {
	if err := c.begin(begin); err != nil {
		return err
	}
	if err := f(); err != nil {
		if rerr := c.script("ROLLBACK"); rerr != nil && !c.c.AutoCommit() {
			return errors.Join(err, rerr)
		}
		return err
	}
	if err := c.script("COMMIT"); err != nil {
		if !c.c.AutoCommit() {
			err = errors.Join(err, c.script("ROLLBACK"))
		}
		return err
	}
	return nil
}

// classify wraps an error of the engine, with store.ErrUnavailable where trying again later makes sense.
func classify(verb string, err error) error {
	if err == nil {
		return nil
	}
	var e sqlite3.Error
	if errors.As(err, &e) {
		switch e.Code {
		case sqlite3.ErrFull, sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrIoErr, sqlite3.ErrNomem,
			sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrProtocol:
			return fmt.Errorf("%s: %w: %w", verb, store.ErrUnavailable, err)
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
			return fmt.Errorf("%s: %w: %w", verb, ErrDamaged, err)
		}
	}
	return fmt.Errorf("%s: %w", verb, err)
}

// Column readers: the engine yields nil, int64, float64, string or []byte.
func asInt(v driver.Value) int64 { n, _ := v.(int64); return n }

// asBytes is a copy.
func asBytes(v driver.Value) []byte {
	b, _ := v.([]byte)
	return append([]byte(nil), b...)
}

func asText(v driver.Value) string {
	switch x := v.(type) {
	case string:
		return x
	case []byte:
		return string(x)
	}
	return ""
}

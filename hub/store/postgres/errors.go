package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/edgelog/edgelog/hub/store"
)

// errConflict: another hub changed what this commit builds on. It is decided anew.
var errConflict = errors.New("another hub was first")

// conflict reports whether trying the same again with fresh state makes sense at once.
func conflict(err error) bool {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		// serialization failure, deadlock, unique violation: two who create the same row
		return p.Code == "40001" || p.Code == "40P01" || p.Code == "23505"
	}
	return errors.Is(err, errConflict)
}

// locked reports whether a lock was waited for in vain.
func locked(err error) bool {
	var p *pgconn.PgError
	return errors.As(err, &p) && p.Code == "55P03"
}

// unavailable wraps what passes with store.ErrUnavailable: the server is away, going down, read-only, or its disk or
// memory is full. Everything else is a mistake that stays: it is passed on as it is.
func unavailable(err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	var p *pgconn.PgError
	var connect *pgconn.ConnectError
	var n net.Error
	passes := errors.Is(err, errConflict) || errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || pgconn.SafeToRetry(err) || errors.Is(err, net.ErrClosed)
	switch {
	case errors.As(err, &p):
		passes = false
		switch p.Code[:2] {
		// 08 connection, 25 read-only or idle transaction ended, 40 rollback, 53 resources (disk full), 55 not in the
		// right state (lock), 57 operator intervention (shutting down, starting up), 58 system error (I/O)
		case "08", "25", "40", "53", "55", "57", "58":
			passes = true
		case "XX": // internal error; XX001 and XX002 say that data is corrupt
			passes = p.Code == "XX000"
		}
	case errors.As(err, &connect), errors.Is(err, pgx.ErrTxClosed), errors.Is(err, pgx.ErrTxCommitRollback):
		passes = true
	}
	if !passes {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

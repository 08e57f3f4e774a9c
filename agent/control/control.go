// Package control serves the agent's control API on three unix sockets: view (status and readings), control (also
// acknowledge and reload) and ingest (append as a named producer).
//
// The permission to open a socket is the authorisation: each has mode 0660 and its own group. Who asks for a change
// is logged. Every request, answer and wait is bounded; a reader that does not read is cut off. The server knows the
// agent only through small interfaces.
package control

import (
	"context"
	"errors"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// Viewer answers what the box is like now. All methods may be called concurrently, answer from memory and do not wait
// for disk or network, so that status answers within a second whatever hangs.
type Viewer interface {
	Status() *api.Status
	Sensors() *api.Sensors
	Account() *api.Account
	Faults() []api.Fault // worst first
}

// Records reads the log. Each is called for every record, from one goroutine; its error ends the query and is
// returned. The record is valid until the next call.
type Records interface {
	// Query reads what q selects; truncated says that q.Limit was reached. It returns an error that wraps ErrNotFound for
	// a stream that does not exist. pause is called now and then while it reads, also where nothing is selected; its
	// error ends the query.
	Query(ctx context.Context, q api.Query, pause func() error, each func(*api.Record) error) (truncated bool, err error)
	// Tail reads the last n records of the stream and, with follow, those that come until ctx ends.
	// idle is called now and then while nothing comes.
	Tail(ctx context.Context, stream string, n int, follow bool, each func(*api.Record) error, idle func() error) error
}

// Charts is implemented by Records that can sum up.
type Charts interface {
	// Chart reads how series went. pause is called now and then while it reads; its error ends the reading, and what was
	// read is answered as truncated.
	Chart(ctx context.Context, q api.ChartQuery, pause func() error) (*api.Chart, error)
}

// Operator does what only operators may ask for. by names who asked.
type Operator interface {
	// Ack acknowledges a fault; the error wraps ErrNotFound if no line has the id.
	Ack(id uint64, by string) (api.Fault, error)
	// Reload reads the configuration again. A refused file is told in Reload.Error; the error is nil then.
	Reload(ctx context.Context, by string) (*api.Reload, error)
}

// Ingester takes the messages of local producers.
type Ingester interface {
	// Ingest returns once the message is durable. A message taken before is answered with Repeated and no error.
	// Errors wrap the sentinels below.
	Ingest(ctx context.Context, producer string, r *api.IngestRequest) (*api.IngestPosition, error)
	// Position tells what is durable of a producer's incarnation; incarnation 0 asks for the latest that is known.
	Position(producer string, incarnation uint64) (*api.IngestPosition, error)
}

// Errors that implementations wrap; each has its HTTP status and its code for programs.
var (
	ErrNotFound    = errors.New("not found")
	ErrBadRequest  = errors.New("bad request")
	ErrTooLarge    = errors.New("too large")
	ErrFull        = errors.New("log is full")
	ErrStopped     = errors.New("log takes no records")
	ErrOrder       = errors.New("sequence is not the next one")
	ErrUnavailable = errors.New("not available now")
)

// Bounds of the server.
const (
	MaxConnections   = 64 // per socket
	MaxStreamAnswers = 8  // queries and tails at once
	MaxIngests       = 16 // messages waiting for their commit at once
	maxHeaderBytes   = 16 << 10
	readTimeout      = 10 * time.Second // of a whole request
	writeTimeout     = 10 * time.Second // of an answer; of each piece of a streamed one
	idleTimeout      = 2 * time.Minute
	stopTimeout      = 2 * time.Second // for answers under way when the server stops
	flushEvery       = 64 << 10        // bytes of a streamed answer between flushes
	maxChartTime     = 10 * time.Second
)

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/internal/unixsocket"
)

// Sentinel errors of the client.
var (
	ErrUnreachable = errors.New("agent is not reachable")          // nothing listens, or it does not answer in time
	ErrForbidden   = errors.New("permission to the socket denied") // the file's mode says no
)

// Error is an answer that says no.
type Error struct {
	Status int // HTTP
	Problem
}

func (e *Error) Error() string { return e.Problem.Error }

// Client talks to the agent over its sockets. All methods may be called concurrently.
type Client struct {
	runDir string
	http   map[string]*http.Client
}

// NewClient makes a client for the sockets in runDir. It connects at each call.
func NewClient(runDir string) *Client {
	c := &Client{runDir: runDir, http: map[string]*http.Client{}}
	for _, name := range []string{ViewSocket, ControlSocket, IngestSocket} {
		c.http[name] = unixsocket.Client(filepath.Join(runDir, name), DialTimeout)
	}
	return c
}

// Status asks for GET /v1/status.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return get[Status](ctx, c, ViewSocket, "/v1/status", RequestTimeout)
}

// Sensors asks for GET /v1/sensors.
func (c *Client) Sensors(ctx context.Context) (*Sensors, error) {
	return get[Sensors](ctx, c, ViewSocket, "/v1/sensors", RequestTimeout)
}

// Account asks for GET /v1/account.
func (c *Client) Account(ctx context.Context) (*Account, error) {
	return get[Account](ctx, c, ViewSocket, "/v1/account", RequestTimeout)
}

// Faults asks for GET /v1/faults.
func (c *Client) Faults(ctx context.Context) (*Faults, error) {
	return get[Faults](ctx, c, ViewSocket, "/v1/faults", RequestTimeout)
}

// Ack acknowledges a fault over the control socket and returns its line as it was.
func (c *Client) Ack(ctx context.Context, id uint64) (*Fault, error) {
	return call[Fault](ctx, c, ControlSocket, http.MethodPost, "/v1/faults/ack", AckRequest{ID: id}, RequestTimeout)
}

// Reload makes the agent read its configuration again. A refused file is not an error but Reload.Error.
func (c *Client) Reload(ctx context.Context) (*Reload, error) {
	return call[Reload](ctx, c, ControlSocket, http.MethodPost, "/v1/reload", struct{}{}, MaxReloadTime)
}

// Position reads what the agent holds of a producer.
func (c *Client) Position(ctx context.Context, producer string, incarnation uint64) (*IngestPosition, error) {
	path := "/v1/ingest/" + url.PathEscape(producer) + "?incarnation=" + strconv.FormatUint(incarnation, 10)
	return get[IngestPosition](ctx, c, IngestSocket, path, RequestTimeout)
}

// Ingest appends one message as a producer; it returns once the message is durable. A message that was taken before
// is not an error: it is answered with Repeated.
func (c *Client) Ingest(ctx context.Context, producer string, r IngestRequest) (*IngestPosition, error) {
	return call[IngestPosition](ctx, c, IngestSocket, http.MethodPost, "/v1/ingest/"+url.PathEscape(producer), r, MaxReloadTime)
}

// Query selects records. Zero fields select everything.
type Query struct {
	Since, Until time.Time // half-open
	Stream       string    // "" means all
	Series       string    // a prefix of the key, or a text within it
	Limit        uint64    // 0 means DefaultQuery
}

// Query streams records to each until all are there, each returns an error, or ctx ends.
func (c *Client) Query(ctx context.Context, q Query, each func(*Record) error) (QueryEnd, error) {
	v := url.Values{}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if !q.Until.IsZero() {
		v.Set("until", q.Until.UTC().Format(time.RFC3339Nano))
	}
	if q.Stream != "" {
		v.Set("stream", q.Stream)
	}
	if q.Series != "" {
		v.Set("series", q.Series)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.FormatUint(q.Limit, 10))
	}
	return c.stream(ctx, "/v1/query?"+v.Encode(), each)
}

// Tail streams the last n records of a stream (0 means DefaultTail) and, with follow, those that come, until ctx ends.
func (c *Client) Tail(ctx context.Context, stream string, n int, follow bool, each func(*Record) error) (QueryEnd, error) {
	v := url.Values{"stream": {stream}}
	if n > 0 {
		v.Set("n", strconv.Itoa(n))
	}
	if follow {
		v.Set("follow", "1")
	}
	return c.stream(ctx, "/v1/tail?"+v.Encode(), each)
}

func (c *Client) stream(ctx context.Context, path string, each func(*Record) error) (QueryEnd, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := c.do(ctx, ViewSocket, http.MethodGet, path, nil)
	if err != nil {
		return QueryEnd{}, err
	}
	defer body.Close()
	return ReadRecords(body, each)
}

// ReadRecords reads NDJSON as a query answers it.
func ReadRecords(r io.Reader, each func(*Record) error) (QueryEnd, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), MaxLineBytes)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue // keep-alive of a followed tail
		}
		var both struct {
			QueryEnd
			Record
		}
		if err := json.Unmarshal(line, &both); err != nil {
			return QueryEnd{}, fmt.Errorf("read answer of the agent: %w", err)
		}
		if both.End {
			if both.QueryEnd.Error != "" {
				return both.QueryEnd, errors.New(both.QueryEnd.Error)
			}
			return both.QueryEnd, nil
		}
		if err := each(&both.Record); err != nil {
			return QueryEnd{}, err
		}
	}
	if err := lines.Err(); err != nil {
		return QueryEnd{}, fmt.Errorf("read answer of the agent: %w", err)
	}
	return QueryEnd{}, fmt.Errorf("%w: it ended in the middle of its answer", ErrUnreachable)
}

func get[T any](ctx context.Context, c *Client, socket, path string, limit time.Duration) (*T, error) {
	return call[T](ctx, c, socket, http.MethodGet, path, nil, limit)
}

func call[T any](ctx context.Context, c *Client, socket, method, path string, in any, limit time.Duration) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := c.do(ctx, socket, method, path, in)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	out := new(T)
	if err := json.NewDecoder(io.LimitReader(body, MaxAnswerBytes)).Decode(out); err != nil {
		return nil, fmt.Errorf("read answer of the agent: %w", err)
	}
	return out, nil
}

// do sends a request and returns the body of a good answer.
func (c *Client) do(ctx context.Context, socket, method, path string, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		if len(data) > MaxRequestBytes {
			return nil, &Error{Status: http.StatusRequestEntityTooLarge, Problem: Problem{Code: CodeTooLarge,
				Error: fmt.Sprintf("the message has %d bytes, at most %d are taken", len(data), MaxRequestBytes)}}
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http[socket].Do(req)
	if err != nil {
		return nil, c.explain(socket, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	e := &Error{Status: resp.StatusCode}
	if err := json.NewDecoder(io.LimitReader(resp.Body, MaxLineBytes)).Decode(&e.Problem); err != nil || e.Problem.Error == "" {
		e.Problem.Error = "the agent answered " + resp.Status
	}
	return nil, e
}

// explain turns an error of the transport into one that says what is the matter.
func (c *Client) explain(socket string, err error) error {
	path := filepath.Join(c.runDir, socket)
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case isPermission(err):
		return fmt.Errorf("%w: %s", ErrForbidden, path)
	case isNotThere(err):
		return fmt.Errorf("%w: nothing listens on %s", ErrUnreachable, path)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer on %s in time", ErrUnreachable, path)
	}
	return fmt.Errorf("%w: %s: %w", ErrUnreachable, path, err)
}

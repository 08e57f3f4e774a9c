// Package owserver is a client of OWFS's owserver: any bus that OWFS can reach is a source. It speaks the network
// protocol over one TCP connection, which it makes again when it is lost.
//
// A message is a header of six big-endian 32-bit numbers and a payload:
//
//	+---------+----------------+-----------------+-------+------+--------+-----------
//	| version | payload length | type or result  | flags | size | offset | payload ...
//	+---------+----------------+-----------------+-------+------+--------+-----------
//
// A payload length of -1 means "still working". Source: owfs.org, "owserver protocol"; checked against 3.2p4.
package owserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/onewire"
)

// Bounds.
const (
	// MaxPayload is the longest answer that is asked for and taken, MaxPath the longest path that is sent.
	MaxPayload = 1 << 16 // above 100,050 a server answers -90
	MaxPath    = 256

	// DefaultAddress is where owserver listens.
	DefaultAddress = "127.0.0.1:4304"

	maxTokens      = 16 // of 16 bytes, by which servers mark loops
	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Minute
)

const (
	typeRead   = 2
	typeWrite  = 3
	typeDirAll = 7

	flagPersist = 0x04
	flagOWNet   = 0x100
	// The remaining bits are 0: temperatures in °C, addresses as 28.0123456789AB.
)

// Errors. ErrServer means that the server cannot be reached or speaks something else; *ResultError is its refusal.
var (
	ErrServer = errors.New("owserver cannot be used")
	ErrClosed = errors.New("owserver client is closed")
)

// ResultError is what the server answered: a negated errno of its system, or of its own.
type ResultError struct {
	Path   string
	Result int32
}

func (e *ResultError) Error() string { return fmt.Sprintf("owserver: %s: result %d", e.Path, e.Result) }

// Options of a client. Address is host:port, default 127.0.0.1:4304; Timeout is that of one request, default 10 s, at
// most 1 min.
type Options struct {
	Address string
	Timeout time.Duration
}

// Client holds one connection. Methods belong to one goroutine at a time, except Close.
type Client struct {
	o Options

	mu     sync.Mutex
	conn   net.Conn // nil: the next request connects
	closed bool
}

// New checks the options; the first request connects.
func New(o Options) (*Client, error) {
	if o.Address == "" {
		o.Address = DefaultAddress
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return nil, fmt.Errorf("%w: address %q, want host:port", ErrServer, o.Address)
	}
	if o.Timeout < 0 || o.Timeout > maxTimeout {
		return nil, fmt.Errorf("%w: time-out %s, want up to %s", ErrServer, o.Timeout, maxTimeout)
	}
	return &Client{o: o}, nil
}

// Close makes a running request return ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.Close()
}

// Read returns the text or bytes of a property, as the server gives them.
func (c *Client) Read(ctx context.Context, path string) ([]byte, error) {
	return c.request(ctx, typeRead, path, nil)
}

// Write sets a property.
func (c *Client) Write(ctx context.Context, path string, value []byte) error {
	_, err := c.request(ctx, typeWrite, path, value)
	return err
}

// Dir lists a directory: full paths, without a slash at the end.
func (c *Client) Dir(ctx context.Context, path string) ([]string, error) {
	text, err := c.request(ctx, typeDirAll, path, nil)
	if err != nil {
		return nil, err
	}
	var out []string
	for s := range strings.SplitSeq(strings.TrimRight(string(text), "\x00"), ",") {
		if s = strings.TrimSuffix(s, "/"); s != "" {
			out = append(out, s)
		}
	}
	return out, nil
}

// request sends one and reads its answer. A connection that the server had closed while idle is made again, once.
func (c *Client) request(ctx context.Context, typ int32, path string, value []byte) ([]byte, error) {
	if len(path) > MaxPath || len(value) > MaxPath || strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("%w: path of %d and value of %d bytes", ErrServer, len(path), len(value))
	}
	for try := 0; ; try++ {
		conn, fresh, err := c.connect(ctx)
		if err != nil {
			return nil, err
		}
		out, err := c.exchange(ctx, conn, typ, path, value)
		var refused *ResultError
		if err == nil || errors.As(err, &refused) {
			return out, err
		}
		closed := c.drop(conn)
		switch {
		case closed:
			return nil, ErrClosed
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case fresh || try > 0 || errors.Is(err, ErrServer):
			return nil, fmt.Errorf("%w: %s: %w", ErrServer, c.o.Address, err)
		}
	}
}

func (c *Client) connect(ctx context.Context) (conn net.Conn, fresh bool, err error) {
	c.mu.Lock()
	conn, closed := c.conn, c.closed
	c.mu.Unlock()
	if closed {
		return nil, false, ErrClosed
	}
	if conn != nil {
		return conn, false, nil
	}
	d := net.Dialer{Timeout: c.o.Timeout}
	conn, err = d.DialContext(ctx, "tcp", c.o.Address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		return nil, false, fmt.Errorf("%w: %w (is owserver running there?)", ErrServer, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return nil, false, ErrClosed
	}
	c.conn = conn
	return conn, true, nil
}

// drop closes a connection and reports whether the client is closed.
func (c *Client) drop(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.Close()
	if c.conn == conn {
		c.conn = nil
	}
	return c.closed
}

func (c *Client) exchange(ctx context.Context, conn net.Conn, typ int32, path string, value []byte) ([]byte, error) {
	done := make(chan struct{})
	if err := conn.SetDeadline(time.Now().Add(c.o.Timeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-done
		}
	}()
	size := MaxPayload
	if typ == typeWrite {
		size = len(value)
	}
	if _, err := conn.Write(appendRequest(nil, typ, path, value, size)); err != nil {
		return nil, err
	}
	h, payload, err := readAnswer(conn)
	switch {
	case err != nil:
		return nil, err
	case h.flags&flagPersist == 0: // not granted: this connection ends with this answer
		c.drop(conn)
	}
	if h.result < 0 {
		return nil, &ResultError{path, h.result}
	}
	if typ == typeRead && int(h.result) < len(payload) {
		payload = payload[:h.result]
	}
	return payload, nil
}

func appendRequest(b []byte, typ int32, path string, value []byte, size int) []byte {
	for _, v := range []int32{0, int32(len(path) + 1 + len(value)), typ, flagOWNet | flagPersist, int32(size), 0} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	b = append(b, path...)
	b = append(b, 0)
	return append(b, value...)
}

type header struct{ version, payload, result, flags int32 }

// readAnswer reads one answer, past those that say "still working".
func readAnswer(r io.Reader) (header, []byte, error) {
	for {
		var n [6]int32
		if err := binary.Read(r, binary.BigEndian, &n); err != nil {
			return header{}, nil, err
		}
		h := header{version: n[0], payload: n[1], result: n[2], flags: n[3]}
		tokens := h.version & 0xffff
		switch {
		case h.payload == -1:
			continue
		case h.payload < -1 || h.payload > MaxPayload || tokens > maxTokens || h.version>>17 != 0:
			return h, nil, fmt.Errorf("%w: answer with version %#x and payload %d", ErrServer, h.version, h.payload)
		}
		var payload bytes.Buffer
		if _, err := io.CopyN(&payload, r, int64(h.payload)); err != nil {
			return h, nil, err
		}
		_, err := io.CopyN(io.Discard, r, int64(tokens)*16)
		return h, payload.Bytes(), err
	}
}

// ParseName reads the last element of a path as the ROM of a chip: "/uncached/28.67C6697351FF", bytes in the order of
// the wire.
func ParseName(path string) (onewire.Address, bool) {
	s := path[strings.LastIndexByte(path, '/')+1:]
	if len(s) != 15 || s[2] != '.' {
		return 0, false
	}
	var b [7]byte
	for i := range b {
		at := 2 * i
		if i > 0 {
			at++
		}
		hi, lo := unhex(s[at]), unhex(s[at+1])
		if hi > 15 || lo > 15 {
			return 0, false
		}
		b[i] = hi<<4 | lo
	}
	var serial uint64
	for i := range 6 {
		serial |= uint64(b[i+1]) << (8 * i)
	}
	return onewire.NewAddress(b[0], serial), true
}

// Name is what owserver calls a chip: 28.67C6697351FF.
func Name(a onewire.Address) string {
	b := a.Bytes()
	return fmt.Sprintf("%02X.%X", b[0], b[1:7])
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// TCP is a connection to a Modbus TCP server or gateway, made at the first request and again after it failed. It
// implements Line. One request is under way at a time: many gateways serve a serial line anyway.
//
//	transaction u16 | protocol u16 = 0 | length u16 | unit u8 | PDU        big-endian; length counts unit and PDU
type TCP struct {
	addr string
	turn chan struct{}
	done chan struct{}

	mu     sync.Mutex // guards conn and closed
	conn   net.Conn
	closed bool

	// Owned by whose turn it is.
	transaction uint16
	failed      time.Time
	failure     error
}

// NewTCP makes a line to host:port; nothing is dialled yet. The usual port is 502.
func NewTCP(addr string) *TCP {
	t := &TCP{addr: addr, turn: make(chan struct{}, 1), done: make(chan struct{})}
	t.turn <- struct{}{}
	return t
}

// Exchange implements Line.
func (t *TCP) Exchange(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) ([]byte, error) {
	if len(pdu) == 0 || len(pdu) > MaxPDU {
		return nil, fmt.Errorf("%w: PDU of %d bytes", ErrRequest, len(pdu))
	}
	select {
	case <-t.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.done:
		return nil, ErrClosed
	}
	defer func() { t.turn <- struct{}{} }()
	answer, used, err := t.once(ctx, unit, pdu, timeout)
	if used && errors.Is(err, ErrLine) { // servers close idle connections: the next one is fresh
		answer, _, err = t.once(ctx, unit, pdu, timeout)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	return answer, err
}

// once asks over the connection that stands, or over a new one; used tells which.
func (t *TCP) once(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) (answer []byte, used bool, err error) {
	conn, used, err := t.dial(ctx)
	if err != nil {
		return nil, false, err
	}
	answer, err = t.exchange(ctx, conn, unit, pdu, timeout)
	if err != nil && !errors.Is(err, errKeep) {
		t.mu.Lock()
		if t.conn == conn {
			t.conn = nil
		}
		t.mu.Unlock()
		conn.Close()
	}
	return answer, used, err
}

// errKeep marks failures after which the connection is still in step.
var errKeep = errors.New("connection kept")

func (t *TCP) dial(ctx context.Context) (conn net.Conn, used bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	t.mu.Lock()
	conn = t.conn
	closed := t.closed
	t.mu.Unlock()
	if closed {
		return nil, false, ErrClosed
	}
	if conn != nil {
		return conn, true, nil
	}
	if t.failure != nil && time.Since(t.failed) < reopenDelay {
		return nil, false, t.failure
	}
	conn, err = dialOrDone(ctx, t.done, t.addr)
	if err != nil {
		t.failed, t.failure = time.Now(), fmt.Errorf("%w: %w", ErrLine, err)
		return nil, false, t.failure
	}
	t.failure = nil
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		conn.Close()
		return nil, false, ErrClosed
	}
	t.conn = conn
	return conn, false, nil
}

func dialOrDone(ctx context.Context, done <-chan struct{}, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	over := make(chan struct{})
	joined := make(chan struct{})
	go func() { // ends before dialOrDone returns
		defer close(joined)
		select {
		case <-done:
			cancel()
		case <-over:
		}
	}()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	close(over)
	<-joined
	return conn, err
}

func (t *TCP) exchange(ctx context.Context, conn net.Conn, unit byte, pdu []byte, timeout time.Duration) ([]byte, error) {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLine, err)
	}
	release := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer release()
	t.transaction++
	frame := be.AppendUint16(nil, t.transaction)
	frame = be.AppendUint16(frame, 0)
	frame = be.AppendUint16(frame, uint16(1+len(pdu)))
	frame = append(append(frame, unit), pdu...)
	if _, err := conn.Write(frame); err != nil {
		return nil, t.failedIO(ctx, "write", err, 0)
	}
	for range maxStale {
		id, from, answer, err := readMBAP(conn)
		if err != nil {
			return nil, t.failedIO(ctx, "read", err, len(answer))
		}
		if id != t.transaction {
			continue // the late answer to an earlier request
		}
		if from != unit {
			return nil, fmt.Errorf("%w: unit %d asked, unit %d came (%w)", ErrFrame, unit, from, errKeep)
		}
		return answer, nil
	}
	return nil, fmt.Errorf("%w: only answers to other requests come", ErrFrame)
}

// failedIO names the reason of a failed read or write. A time-out closes the connection as well: part of an answer
// may be lost, and a gateway that hangs is often cured by a new connection.
func (t *TCP) failedIO(ctx context.Context, what string, err error, got int) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded) && what == "read":
		return fmt.Errorf("%w from %s", ErrTimeout, t.addr)
	case errors.Is(err, ErrFrame):
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrLine, what, err)
}

// readMBAP reads one answer with its header.
func readMBAP(r io.Reader) (transaction uint16, unit byte, pdu []byte, err error) {
	var h [mbapLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, 0, nil, err
	}
	n := int(be.Uint16(h[4:])) - 1
	if be.Uint16(h[2:]) != 0 || n < 1 || n > MaxPDU {
		return 0, 0, nil, fmt.Errorf("%w: header % x", ErrFrame, h)
	}
	pdu = make([]byte, n)
	_, err = io.ReadFull(r, pdu)
	return be.Uint16(h[:]), h[6], pdu, err
}

// Close implements Line.
func (t *TCP) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	close(t.done)
	conn := t.conn
	t.conn = nil
	t.mu.Unlock()
	var err error
	if conn != nil {
		err = conn.Close()
	}
	<-t.turn
	t.turn <- struct{}{}
	return err
}

// DialPort connects to a converter that passes raw bytes of a serial line over TCP ("RTU over TCP"), as a Port for NewRTU.
func DialPort(ctx context.Context, addr string) (Port, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connPort{Conn: c}, nil
}

type connPort struct {
	net.Conn
	wait time.Duration
}

func (p *connPort) SetReadTimeout(d time.Duration) error {
	p.wait = d
	return nil
}

func (p *connPort) Read(b []byte) (int, error) {
	if err := p.Conn.SetReadDeadline(time.Now().Add(p.wait)); err != nil {
		return 0, err
	}
	n, err := p.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

func (p *connPort) Write(b []byte) (int, error) {
	if err := p.Conn.SetWriteDeadline(time.Now().Add(dialTimeout)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

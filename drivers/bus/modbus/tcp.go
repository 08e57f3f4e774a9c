package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// TCP is a connection to a Modbus TCP server or gateway, made at the first request and again after it failed. It
// implements Line. One request is under way at a time: many gateways serve a serial line anyway.
//
//	transaction u16 | protocol u16 = 0 | length u16 | unit u8 | PDU        big-endian; length counts unit and PDU
type TCP struct {
	held[net.Conn]
	addr        string
	transaction uint16 // owned by whose turn it is
}

// NewTCP makes a line to host:port; nothing is dialled yet. The usual port is 502.
func NewTCP(addr string) *TCP {
	t := &TCP{addr: addr}
	t.init()
	return t
}

// Exchange implements Line.
func (t *TCP) Exchange(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) ([]byte, error) {
	if len(pdu) == 0 || len(pdu) > MaxPDU {
		return nil, fmt.Errorf("%w: PDU of %d bytes", ErrRequest, len(pdu))
	}
	return t.held.exchange(ctx, func() ([]byte, error) {
		answer, used, err := t.once(ctx, unit, pdu, timeout)
		if used && errors.Is(err, ErrLine) { // servers close idle connections: the next one is fresh
			answer, _, err = t.once(ctx, unit, pdu, timeout)
		}
		return answer, err
	})
}

// Broadcasts says that unit 0 is nothing special here.
func (t *TCP) Broadcasts() bool { return false }

// once asks over the connection that stands, or over a new one; used tells which.
func (t *TCP) once(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) (answer []byte, used bool, err error) {
	conn, used, err := t.get(ctx, func(ctx context.Context) (net.Conn, error) { return dialOrDone(ctx, t.done, t.addr) })
	if err != nil {
		return nil, false, err
	}
	answer, err = t.ask(ctx, conn, unit, pdu, timeout)
	if err != nil && !errors.Is(err, errKeep) {
		t.drop(conn)
	}
	return answer, used, err
}

// errKeep marks failures after which the connection is still in step.
var errKeep = errors.New("connection kept")

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

func (t *TCP) ask(ctx context.Context, conn net.Conn, unit byte, pdu []byte, timeout time.Duration) ([]byte, error) {
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

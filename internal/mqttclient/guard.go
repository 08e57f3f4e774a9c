package mqttclient

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ErrPacketTooLarge is the reason of a connection that ended because the other side announced a packet over the limit.
var ErrPacketTooLarge = errors.New("incoming MQTT packet is over the limit")

// guard stands between the transport and paho. It reads in larger pieces than paho, which asks for a packet's header byte
// by byte; it counts bytes, keeps the write deadline, tells when a PUBLISH has left, and reads along with the fixed headers of incoming packets: paho allocates what a header claims (up to
// 256 MiB), so a header over the limit must never reach it.
//
//	fixed header: type and flags u8 | remaining length, 1–4 bytes of 7 bits, low first, high bit: more follow
type guard struct {
	net.Conn
	reader       *bufio.Reader // over Conn
	limit        int
	writeTimeout time.Duration
	in, out      atomic.Uint64
	wrote        chan struct{} // holds one element after a PUBLISH has left

	mu    sync.Mutex // guards cause
	cause error      // what the guard itself ended the connection for

	// Reader's state, used by Read alone.
	left  int  // bytes of the current packet's rest still to come
	stage byte // 0: at a packet's first byte; 1–4: at that byte of the remaining length
	size  int
}

func newGuard(c net.Conn, limit int, writeTimeout time.Duration) *guard {
	return &guard{Conn: c, reader: bufio.NewReaderSize(c, readBytes), limit: limit, writeTimeout: writeTimeout, wrote: make(chan struct{}, 1)}
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.reader.Read(p)
	g.in.Add(uint64(n))
	if bad := g.follow(p[:n]); bad != nil {
		g.mu.Lock()
		g.cause = bad
		g.mu.Unlock()
		g.Conn.Close()
		return 0, bad
	}
	return n, err
}

// follow advances over received bytes.
func (g *guard) follow(p []byte) error {
	for len(p) > 0 {
		if g.left > 0 {
			n := min(g.left, len(p))
			g.left -= n
			p = p[n:]
			continue
		}
		b := p[0]
		p = p[1:]
		if g.stage == 0 {
			g.stage, g.size = 1, 0
			continue
		}
		g.size |= int(b&0x7f) << (7 * (g.stage - 1))
		if b&0x80 != 0 {
			if g.stage == 4 {
				return fmt.Errorf("%w: its length does not end", ErrPacketTooLarge)
			}
			g.stage++
			continue
		}
		if g.size > g.limit {
			return fmt.Errorf("%w: %d bytes announced, at most %d", ErrPacketTooLarge, g.size, g.limit)
		}
		g.stage, g.left = 0, g.size
	}
	return nil
}

// Write writes one whole packet: paho calls it so.
func (g *guard) Write(p []byte) (int, error) {
	if err := g.Conn.SetWriteDeadline(time.Now().Add(g.writeTimeout)); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(p)
	g.out.Add(uint64(n))
	if err == nil && len(p) > 0 && p[0]>>4 == packetPublish {
		select {
		case g.wrote <- struct{}{}:
		default:
		}
	}
	return n, err
}

const packetPublish = 3

// SetWriteDeadline does nothing: Write sets its own, because paho's belongs to its hand-over queue.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

func (g *guard) reason() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

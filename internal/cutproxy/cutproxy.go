// Package cutproxy is the line between two programs under test: a TCP proxy on the loopback interface that can be cut and
// restored, and that carries bytes as the test wants them carried: at once, slowly, or with packets lost.
package cutproxy

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// Carry moves bytes of one direction from src to dst until either fails; the Link then closes both. One that has
// goroutines waits for them: closing src itself ends a read from it.
type Carry func(dst, src net.Conn)

// Link is a line. Its methods may be called concurrently.
type Link struct {
	l      net.Listener
	target string
	carry  Carry
	served sync.WaitGroup

	mu    sync.Mutex // guards what follows
	down  bool
	conns map[net.Conn]bool
}

// Start takes connections on a free port of the loopback interface and leads them to target ("host:port"), until Close.
// Nil as carry copies what comes at once.
func Start(target string, carry Carry) (*Link, error) {
	if carry == nil {
		carry = func(dst, src net.Conn) { _, _ = io.Copy(dst, src) }
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start proxy of %s: %w", target, err)
	}
	k := &Link{l: l, target: target, carry: carry, conns: map[net.Conn]bool{}}
	k.served.Go(k.accept)
	return k, nil
}

// Addr is where the Link listens, as "127.0.0.1:port".
func (k *Link) Addr() string { return k.l.Addr().String() }

// Port is the port of Addr.
func (k *Link) Port() int { return k.l.Addr().(*net.TCPAddr).Port }

// Cut breaks the open connections; new ones are closed as soon as they come, until Restore.
func (k *Link) Cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = true
	for c := range k.conns {
		c.Close()
	}
}

// Restore takes connections again.
func (k *Link) Restore() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = false
}

// Up reports whether the line is not cut.
func (k *Link) Up() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.down
}

// Close cuts the line for good and waits for its goroutines.
func (k *Link) Close() {
	k.l.Close()
	k.Cut()
	k.served.Wait()
}

func (k *Link) accept() {
	for {
		c, err := k.l.Accept()
		if err != nil {
			return
		}
		k.served.Go(func() { k.serve(c) })
	}
}

func (k *Link) serve(c net.Conn) {
	defer k.drop(c)
	if !k.keep(c) {
		return
	}
	d, err := net.Dial("tcp", k.target)
	if err != nil {
		return
	}
	defer k.drop(d)
	if !k.keep(d) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{d, c}, {c, d}} {
		both.Go(func() {
			k.carry(way[0], way[1])
			c.Close() // the end of one direction, however it came, ends both
			d.Close()
		})
	}
	both.Wait()
}

func (k *Link) keep(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return false
	}
	k.conns[c] = true
	return true
}

func (k *Link) drop(c net.Conn) {
	c.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
}

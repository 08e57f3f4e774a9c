package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// link is the line between agent and broker: a TCP proxy on the loopback that can be cut.
type link struct {
	l      net.Listener
	target string
	wg     sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

func newLink(target int) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{l: l, target: fmt.Sprintf("127.0.0.1:%d", target), conns: map[net.Conn]bool{}}
	k.wg.Add(1)
	go k.accept()
	return k, nil
}

func (k *link) port() int { return k.l.Addr().(*net.TCPAddr).Port }

func (k *link) reachable() bool {
	c, err := net.DialTimeout("tcp", k.target, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func (k *link) accept() {
	defer k.wg.Done()
	for {
		c, err := k.l.Accept()
		if err != nil {
			return
		}
		k.wg.Add(1)
		go k.serve(c)
	}
}

func (k *link) serve(c net.Conn) {
	defer k.wg.Done()
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
	back := make(chan struct{})
	go func() {
		_, _ = io.Copy(c, d) // its end, however it came, ends both
		k.drop(c)
		close(back)
	}()
	_, _ = io.Copy(d, c)
	k.drop(d)
	<-back
}

func (k *link) keep(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return false
	}
	k.conns[c] = true
	return true
}

func (k *link) drop(c net.Conn) {
	c.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
}

func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = true
	for c := range k.conns {
		c.Close()
	}
}

func (k *link) restore() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = false
}

func (k *link) up() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.down
}

func (k *link) close() {
	k.l.Close()
	k.cut()
	k.wg.Wait()
}

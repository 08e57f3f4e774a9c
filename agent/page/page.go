// Package page is the door for browsers: one web page that shows on a phone, without internet, what `edgectl status` shows
// at the box, and the reading part of the API over the same address. It changes nothing on the box.
//
// The door is closed unless the configuration opens it (control.http), on the loopback interface only unless remote
// readers are allowed, and then with a token. An address that cannot be opened is told and tried again: a page that is
// dead never stops the agent.
package page

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/config"
)

// Options of a Page. All but Log are needed.
type Options struct {
	Config  func() *config.HTTP // in force; nil: the door is closed
	Changed <-chan struct{}     // Config gives another one
	Names   func() []string     // by which the box is called, beside those of the configuration
	API     http.Handler        // what is served below /v1/
	Up      func(url string)    // the page is there
	Down    func(err error)     // it is not; nil: it is not wanted
	Log     *slog.Logger
}

// Page is the door. It is run once.
type Page struct{ o Options }

// New makes a page; nothing listens before Run.
func New(o Options) *Page {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Page{o: o}
}

// Run serves what the configuration says until ctx ends, and returns nil.
func (p *Page) Run(ctx context.Context) error {
	wait := minRetry
	for ctx.Err() == nil {
		c := p.o.Config()
		if c == nil {
			p.o.Down(nil)
			select {
			case <-ctx.Done():
			case <-p.o.Changed:
			}
			continue
		}
		served, err := p.serve(ctx, c)
		if served {
			wait = minRetry
		}
		if err == nil {
			continue // the configuration has changed, or ctx has ended
		}
		p.o.Down(err)
		select {
		case <-ctx.Done():
		case <-p.o.Changed:
			wait = minRetry
		case <-time.After(wait):
			wait = min(2*wait, maxRetry)
		}
	}
	return nil
}

// serve opens the address and answers until ctx ends or the configuration changes. served says that it was open.
func (p *Page) serve(ctx context.Context, c *config.HTTP) (served bool, err error) {
	server := &http.Server{Handler: newGuard(c, p.o.Names(), p.o.API), MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, Protocols: new(http.Protocols),
		ErrorLog: slog.NewLogLogger(p.o.Log.Handler(), slog.LevelDebug)}
	server.Protocols.SetHTTP1(true) // streams of one connection would have to be bounded, too
	scheme := "http"
	if c.CertFile != "" {
		scheme = "https"
		k := &certificate{cert: c.CertFile, key: c.KeyFile}
		if _, err := k.get(nil); err != nil {
			return false, err
		}
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.get}
	}
	inner, err := net.Listen("tcp", c.Address)
	if err != nil {
		return false, fmt.Errorf("open %s: %w", c.Address, reason(err))
	}
	l := limit(inner)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	ended := make(chan error, 1)
	go func() {
		if scheme == "https" {
			ended <- server.ServeTLS(l, "", "")
		} else {
			ended <- server.Serve(l)
		}
	}()
	p.o.Up(scheme + "://" + l.Addr().String() + "/")
	select {
	case err = <-ended:
		server.Close()
		return true, fmt.Errorf("serve %s: %w", c.Address, err)
	case <-ctx.Done():
	case <-p.o.Changed:
	}
	cancel() // tails end at once
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer done()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	<-ended
	return true, nil
}

// reason is a network error without the words about the socket that the sentence has already.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}

// certificate reads its files again when they have changed, so that a renewed one needs no restart.
type certificate struct {
	cert, key string

	mu     sync.Mutex // guards what follows
	pair   *tls.Certificate
	looked time.Time
	stamp  [2]time.Time // of the files
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pair != nil && time.Since(c.looked) < certificateAge {
		return c.pair, nil
	}
	c.looked = time.Now()
	var stamp [2]time.Time
	for i, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return c.old(fmt.Errorf("read certificate: %w", err))
		}
		stamp[i] = info.ModTime()
	}
	if c.pair != nil && stamp == c.stamp {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return c.old(fmt.Errorf("read certificate: %w", err))
	}
	c.pair, c.stamp = &pair, stamp
	return c.pair, nil
}

// old is the certificate that was read before: while its files are being exchanged it goes on.
func (c *certificate) old(err error) (*tls.Certificate, error) {
	if c.pair != nil {
		return c.pair, nil
	}
	return nil, err
}

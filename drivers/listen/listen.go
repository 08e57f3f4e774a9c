// Package listen takes line protocol and JSON from local programs over HTTP (as InfluxDB's /api/v2/write), a unix
// socket and UDP. Nothing listens unless the configuration names an address, and only on the loopback interface
// unless remote senders are allowed explicitly.
//
// An HTTP answer 204 says that the whole body is fsynced; any other answer says that nothing of it was taken. A
// sender that numbers its messages as a producer gets exactly once: a resend is answered 204 and not taken again.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/internal/unixsocket"
)

// Options of a Door. At least one of HTTP, Unix and UDP is required.
type Options struct {
	HTTP        string // host:port; "" off
	Unix        string // path of a stream socket; "" off
	UDP         string // host:port; "" off
	AllowRemote bool   // take addresses other than loopback; HTTP then needs a token
	Token       string // HTTP: "Authorization: Token …" or "Bearer …" must carry it; "" none
	JSON        door.Mapping
	Labels      []record.Label
	MaxSeries   int // different series through this door, default and at most door.MaxSeries
	// Position tells the last sequence taken of a producer's incarnation, for GET /api/edgelog/position. May be nil.
	Position func(producer string, incarnation uint64) (sequence uint64, known bool, err error)
	Events   door.Events
}

// Door is a door.Source.
type Door struct {
	o     Options
	limit door.Limit

	ready chan struct{} // closed when the addresses are known
	mu    sync.Mutex    // guards addrs
	addrs map[string]string
}

// New checks the options; nothing listens yet. The error wraps drivers.ErrConfig.
func New(o Options) (*Door, error) {
	bad := func(format string, a ...any) (*Door, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{drivers.ErrConfig}, a...)...)
	}
	if o.HTTP == "" && o.Unix == "" && o.UDP == "" {
		return bad("listen on what? give http, unix or udp")
	}
	for what, addr := range map[string]string{"http": o.HTTP, "udp": o.UDP} {
		if addr == "" {
			continue
		}
		local, err := loopback(addr)
		switch {
		case err != nil:
			return bad("%s %q: %v", what, addr, err)
		case !local && !o.AllowRemote:
			return bad("%s %q can be reached from other machines; if that is meant, set allow_remote: true", what, addr)
		case !local && what == "http" && o.Token == "":
			return bad("http %q can be reached from other machines and needs a token_file", addr)
		}
	}
	if o.MaxSeries < 0 || o.MaxSeries > door.MaxSeries {
		return bad("max_series %d: want at most %d", o.MaxSeries, door.MaxSeries)
	}
	if err := o.JSON.Check(); err != nil {
		return bad("%v", err)
	}
	return &Door{o: o, limit: door.Limit{Max: o.MaxSeries}, ready: make(chan struct{}), addrs: map[string]string{}}, nil
}

func loopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, errors.New("want host:port, as 127.0.0.1:8186")
	}
	if host == "localhost" {
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback(), nil
}

// Addr is the address that "http" or "udp" listens on, once Run has opened it; "" if ctx ends before.
func (d *Door) Addr(ctx context.Context, what string) string {
	select {
	case <-d.ready:
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.addrs[what]
}

// Run implements door.Source. An address that cannot be opened is tried again with backoff.
func (d *Door) Run(ctx context.Context, emit door.Emit) error {
	for try := 0; ; try++ {
		l, err := d.open()
		if err == nil {
			d.o.Events.TellUp()
			err = d.serve(ctx, l, emit)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.o.Events.TellDown(err)
		select {
		case <-time.After(door.Backoff(try, 0)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type listeners struct {
	http net.Listener
	unix *unixsocket.Listener
	udp  net.PacketConn
}

func (l *listeners) close() {
	if l.http != nil {
		l.http.Close()
	}
	if l.unix != nil {
		l.unix.Close()
	}
	if l.udp != nil {
		l.udp.Close()
	}
}

func (d *Door) open() (l *listeners, err error) {
	l = &listeners{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	addrs := map[string]string{}
	if d.o.HTTP != "" {
		if l.http, err = net.Listen("tcp", d.o.HTTP); err != nil {
			return l, err
		}
		addrs["http"] = l.http.Addr().String()
	}
	if d.o.UDP != "" {
		if l.udp, err = net.ListenPacket("udp", d.o.UDP); err != nil {
			return l, err
		}
		addrs["udp"] = l.udp.LocalAddr().String()
	}
	if d.o.Unix != "" {
		if l.unix, err = unixsocket.Listen(d.o.Unix, unixsocket.Options{Owner: "program", MaxConns: MaxConns}); err != nil {
			return l, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addrs = addrs
	select {
	case <-d.ready:
	default:
		close(d.ready)
	}
	return l, nil
}

// serve runs all listeners until ctx ends or one fails, then closes all and waits.
func (d *Door) serve(ctx context.Context, l *listeners, emit door.Emit) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	part := func(f func() error) {
		wg.Go(func() { cancel(f()) })
	}
	var server *http.Server
	if l.http != nil {
		server = d.server(ctx, emit)
		part(func() error { return server.Serve(netutil.LimitListener(l.http, MaxConns)) })
	}
	if l.unix != nil {
		part(func() error { return d.serveUnix(ctx, l.unix, emit) })
	}
	if l.udp != nil {
		part(func() error { return d.serveUDP(ctx, l.udp, emit) })
	}
	<-ctx.Done()
	if server != nil {
		grace, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
		if server.Shutdown(grace) != nil {
			server.Close()
		}
		done()
	}
	l.close()
	wg.Wait()
	return context.Cause(ctx)
}

// unitOf reads a precision of the write API.
func unitOf(name string) (time.Duration, bool) {
	switch strings.TrimSpace(name) {
	case "", "ns", "n":
		return time.Nanosecond, true
	case "us", "u", "µ":
		return time.Microsecond, true
	case "ms":
		return time.Millisecond, true
	case "s":
		return time.Second, true
	case "m":
		return time.Minute, true
	case "h":
		return time.Hour, true
	}
	return 0, false
}

package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// Options of a server. RunDir, View, Records, Operator and Ingester are needed.
type Options struct {
	RunDir      string
	ViewGroup   string // "" leaves the own group
	OpsGroup    string
	IngestGroup string
	View        Viewer
	Records     Records
	Operator    Operator
	Ingester    Ingester
	Nodes       Nodes        // nil: there are none
	Updates     Updates      // nil: there are none
	Log         *slog.Logger // nil: nothing is logged
}

// Server is the control API. It is made by New, which opens the sockets, and served by Run.
type Server struct {
	o       Options
	log     *slog.Logger
	sockets []*socket
	streams chan struct{} // a place for each streamed answer
	ingests chan struct{}
	notes   []string
}

type socket struct {
	path string
	l    net.Listener
	http *http.Server
}

// New opens the three sockets; nothing is answered before Run.
func New(o Options) (*Server, error) {
	s := &Server{o: o, log: o.Log, streams: make(chan struct{}, MaxStreamAnswers), ingests: make(chan struct{}, MaxIngests)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	view, ops := s.viewRoutes(http.NewServeMux()), s.controlRoutes(s.viewRoutes(http.NewServeMux()))
	s.nodeRoutes(view, ops)
	s.updateRoutes(view, ops)
	for _, part := range []struct {
		name, group string
		handler     http.Handler
	}{
		{api.ViewSocket, o.ViewGroup, view},
		{api.ControlSocket, o.OpsGroup, ops},
		{api.IngestSocket, o.IngestGroup, s.ingestRoutes(http.NewServeMux())},
	} {
		path := filepath.Join(o.RunDir, part.name)
		l, note, err := listen(path, part.group)
		if err != nil {
			s.close()
			return nil, err
		}
		if note != "" {
			s.notes = append(s.notes, note)
		}
		s.sockets = append(s.sockets, &socket{path: path, l: &bounded{Listener: l, room: make(chan struct{}, MaxConnections)},
			http: s.server(part.handler)})
	}
	return s, nil
}

func (s *Server) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if b, ok := c.(*boundedConn); ok {
				c = b.Conn
			}
			return context.WithValue(ctx, peerKey{}, c)
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

type peerKey struct{}

// who names the peer of a request.
func who(r *http.Request) string {
	c, _ := r.Context().Value(peerKey{}).(net.Conn)
	return peer(c)
}

// Notes says, in sentences, which groups could not be given a socket. Constant after New.
func (s *Server) Notes() []string { return s.notes }

// Run serves until ctx ends, then ends what is under way, removes the sockets and returns nil.
// It is called once.
func (s *Server) Run(ctx context.Context) error {
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, len(s.sockets))
	var wg sync.WaitGroup
	for _, k := range s.sockets {
		k.http.BaseContext = func(net.Listener) context.Context { return run }
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := k.http.Serve(k.l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				errs <- fmt.Errorf("serve %s: %w", k.path, err)
				cancel()
			}
		}()
	}
	<-run.Done()
	s.close()
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// close stops all servers and removes the sockets.
func (s *Server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, k := range s.sockets {
		// The name goes first, so that a new agent's socket is never removed by an old one that is still closing.
		if err := os.Remove(k.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("control socket not removed", "socket", k.path, "err", err)
		}
		if k.http.Shutdown(ctx) != nil {
			k.http.Close()
		}
		k.l.Close()
	}
}

// bounded is a listener with at most cap(room) connections; further ones wait in the kernel's queue.
type bounded struct {
	net.Listener
	room chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	b.room <- struct{}{}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.room
		return nil, err
	}
	return &boundedConn{Conn: c, free: sync.OnceFunc(func() { <-b.room })}, nil
}

type boundedConn struct {
	net.Conn
	free func()
}

func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}

// deadline gives the connection of an answer this long for what is written next.
func deadline(w http.ResponseWriter, d time.Duration) {
	// An error means that the writer has no deadlines (a recorder in tests); then none is needed.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}

// unhurried lifts the time limit of reading the request: without it the server would take the limit's end for a peer
// that went away, and end an answer that takes long.
func unhurried(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // as in deadline
}

package control

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/unixsocket"
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
	l    *unixsocket.Listener
	http *http.Server
}

// New opens the three sockets; nothing is answered before Run.
func New(o Options) (*Server, error) {
	s := &Server{o: o, log: o.Log, streams: make(chan struct{}, MaxStreamAnswers), ingests: make(chan struct{}, MaxIngests)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	look := newView(o, Bounds{}, s.streams)
	view, ops := look.routes(http.NewServeMux()), s.controlRoutes(look.routes(http.NewServeMux()))
	s.nodeRoutes(ops)
	s.updateRoutes(ops)
	for _, part := range []struct {
		name, group string
		handler     http.Handler
	}{
		{api.ViewSocket, o.ViewGroup, view},
		{api.ControlSocket, o.OpsGroup, ops},
		{api.IngestSocket, o.IngestGroup, s.ingestRoutes(http.NewServeMux())},
	} {
		l, err := unixsocket.Listen(filepath.Join(o.RunDir, part.name), unixsocket.Options{Group: part.group, Owner: "agent", MaxConns: MaxConnections})
		if err != nil {
			for _, k := range s.sockets {
				k.l.Close()
			}
			return nil, err
		}
		if note := l.Note(); note != "" {
			s.notes = append(s.notes, note)
		}
		s.sockets = append(s.sockets, &socket{l, s.server(part.handler)})
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
		ConnContext:       unixsocket.ConnContext,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// who names the peer of a request.
func who(r *http.Request) string { return unixsocket.PeerOf(r.Context()).String() }

// Notes says, in sentences, which groups could not be given a socket. Constant after New.
func (s *Server) Notes() []string { return s.notes }

// Run serves until ctx ends, then ends what is under way, removes the sockets and returns nil.
// It is called once.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, k := range s.sockets {
		k.http.BaseContext = func(net.Listener) context.Context { return ctx }
		g.Go(func() error { return unixsocket.Serve(ctx, k.http, k.l, stopTimeout) })
	}
	return g.Wait()
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

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// Nodes are the microcontroller nodes of the box. Nodes answers from memory; the others wait for the node's line. Errors
// wrap the sentinels of this package.
type Nodes interface {
	Nodes() *api.Nodes
	// Change changes a node, or with Scan looks for nodes on a line. nil: the node has confirmed it.
	Change(ctx context.Context, name string, r *api.NodeRequest, by string) (*api.NodeDone, error)
	// Flash does with an image what is ordered. step may be called from another goroutine until it returns; it returns at
	// once. What it returns says how it ended; the error is nil then.
	Flash(ctx context.Context, name string, o api.FlashOrder, image []byte, step func(api.FlashProgress), by string) (*api.FlashProgress, error)
}

func (s *Server) nodeRoutes(ops *http.ServeMux) {
	if s.o.Nodes == nil {
		return
	}
	ops.HandleFunc("POST /v1/nodes/{name}", s.changeNode)
	ops.HandleFunc("POST /v1/nodes/{name}/flash", s.flashNode)
}

func (s *Server) changeNode(w http.ResponseWriter, r *http.Request) {
	var req api.NodeRequest
	if err := request(w, r, &req); err != nil {
		problem(w, err)
		return
	}
	unhurried(w)
	by := who(r)
	done, err := s.o.Nodes.Change(r.Context(), r.PathValue("name"), &req, by)
	if err != nil {
		problem(w, err)
		return
	}
	s.log.Info("node changed", "node", r.PathValue("name"), "what", done.Text, "by", by)
	answer(w, done)
}

// flashNode reads the image whole, then streams progress: a step a fifth of a second at most, and an empty line now and
// then, which finds out whether the reader is still there.
func (s *Server) flashNode(w http.ResponseWriter, r *http.Request) {
	free, err := take(s.streams)
	if err != nil {
		problem(w, err)
		return
	}
	defer free()
	unhurried(w)
	image, err := io.ReadAll(http.MaxBytesReader(w, r.Body, api.MaxImageFile))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		problem(w, fmt.Errorf("%w: an image has at most %d bytes", ErrTooLarge, api.MaxImageFile))
		return
	case err != nil:
		problem(w, fmt.Errorf("%w: read image: %w", ErrBadRequest, err))
		return
	}
	name, by := r.PathValue("name"), who(r)
	order := api.FlashOrder{Want: r.URL.Query().Get("want"), Do: r.URL.Query().Get("do")}
	s.log.Info("node is flashed", "node", name, "order", order.Do, "bytes", len(image), "by", by)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var latest latestStep
	type outcome struct {
		end *api.FlashProgress
		err error
	}
	done := make(chan outcome, 1)
	go func() { // joined below: its outcome is awaited in every case
		end, err := s.o.Nodes.Flash(ctx, name, order, image, latest.set, by)
		done <- outcome{end, err}
	}()
	var out *lines
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case x := <-done:
			if x.err != nil && out == nil {
				problem(w, x.err)
				return
			}
			if out == nil {
				out = newLines(w, true)
			}
			if x.err != nil {
				x.end = &api.FlashProgress{Error: x.err.Error()}
			}
			x.end.SchemaVersion, x.end.End = api.SchemaVersion, true
			s.log.Info("flash ended", "node", name, "version", x.end.Version, "err", x.end.Error)
			_ = out.object(x.end) // a reader that has gone is told nothing
			return
		case <-tick.C:
			p, ok := latest.take()
			if !ok && out == nil {
				continue
			}
			if out == nil {
				out = newLines(w, true)
			}
			var err error
			if ok {
				err = out.object(p)
			} else {
				err = out.idle()
			}
			if err != nil {
				cancel()
			}
		}
	}
}

func (l *lines) object(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.line(data, true)
}

// latestStep keeps the newest step until it is taken.
type latestStep struct {
	mu sync.Mutex
	p  api.FlashProgress
	ok bool
}

func (l *latestStep) set(p api.FlashProgress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p, l.ok = p, true
}

func (l *latestStep) take() (api.FlashProgress, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := l.ok
	l.ok = false
	return l.p, ok
}

package npu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/unixsocket"
)

// Bounds of the sockets.
const (
	maxPosts     = 256       // inputs under way
	maxPostBytes = 256 << 20 // of posted inputs that have no result yet
	readTimeout  = 10 * time.Second
	maxRefBytes  = 256
)

// server is the worker's two sockets: one for those who look, with status and inputs of which nothing is recorded, and one
// for programs whose frames are recorded.
type server struct {
	w            *Worker
	look, frames net.Listener
	posts        chan struct{}
	held         atomic.Int64 // bytes of posted inputs
}

func newServer(w *Worker) (*server, error) {
	listen := func(name, group string) (net.Listener, error) {
		l, err := unixsocket.Listen(filepath.Join(w.c.RunDir, name), unixsocket.Options{Group: group, Owner: "worker"})
		if err != nil {
			return nil, err
		}
		if note := l.Note(); note != "" {
			w.log.Warn("socket stays with the worker's own group", "why", note)
		}
		return l, nil
	}
	look, err := listen(api.NPUSocket, w.c.Group)
	if err != nil {
		return nil, err
	}
	frames, err := listen(api.NPUFrames, w.c.FramesGroup)
	if err != nil {
		return nil, errors.Join(err, look.Close())
	}
	return &server{w: w, look: look, frames: frames, posts: make(chan struct{}, maxPosts)}, nil
}

func (s *server) run(ctx context.Context) error {
	serve := func(l net.Listener, records bool) error {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v1/npu", func(out http.ResponseWriter, _ *http.Request) { answer(out, http.StatusOK, s.w.Status()) })
		mux.HandleFunc("POST /v1/infer/{model}", func(out http.ResponseWriter, req *http.Request) { s.infer(out, req, records) })
		h := &http.Server{Handler: mux, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: 2 * api.MaxNPUWait, IdleTimeout: time.Minute,
			BaseContext: func(net.Listener) context.Context { return ctx }}
		return unixsocket.Serve(ctx, h, l, time.Second)
	}
	look := make(chan error, 1)
	go func() { look <- serve(s.look, false) }()
	return errors.Join(serve(s.frames, true), <-look)
}

func answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) //nolint:errcheck // the reader has gone
}

func problem(w http.ResponseWriter, status int, code, format string, args ...any) {
	answer(w, status, api.Problem{SchemaVersion: api.SchemaVersion, Code: code, Error: fmt.Sprintf(format, args...)})
}

// body reads the input of a request whose bytes were reserved.
func (s *server) body(w http.ResponseWriter, req *http.Request) (data []byte, release func(), ok bool) {
	n := req.ContentLength
	if n < 0 {
		n = api.MaxNPUInput
	}
	if n > api.MaxNPUInput {
		problem(w, http.StatusRequestEntityTooLarge, api.CodeTooLarge, "an input has at most %d bytes, this one has %d", api.MaxNPUInput, n)
		return nil, nil, false
	}
	release = sync.OnceFunc(func() { s.held.Add(-n) })
	if s.held.Add(n) > maxPostBytes {
		release()
		problem(w, http.StatusTooManyRequests, api.CodeFull, "posted inputs of %d bytes are under way; try again in a moment", maxPostBytes)
		return nil, nil, false
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, req.Body, n))
	if err != nil {
		release()
		problem(w, http.StatusRequestEntityTooLarge, api.CodeTooLarge, "an input has at most %d bytes: %v", api.MaxNPUInput, err)
		return nil, nil, false
	}
	return data, release, true
}

func (s *server) infer(w http.ResponseWriter, req *http.Request, records bool) {
	select {
	case s.posts <- struct{}{}:
		defer func() { <-s.posts }()
	default:
		problem(w, http.StatusTooManyRequests, api.CodeBusy, "%d inputs are under way; try again in a moment", maxPosts)
		return
	}
	name, id := req.PathValue("model"), req.URL.Query().Get("ref")
	r := s.w.runners[name]
	if r == nil {
		problem(w, http.StatusNotFound, api.CodeNotFound, "there is no model %q", name)
		return
	}
	if id != "" && !records {
		problem(w, http.StatusForbidden, api.CodeForbidden, "frames that are recorded are posted to %s", api.NPUFrames)
		return
	}
	if len(id) > maxRefBytes {
		problem(w, http.StatusBadRequest, api.CodeBadRequest, "ref has %d bytes, at most %d are possible", len(id), maxRefBytes)
		return
	}
	if st := r.status(); st.State == stateFailed {
		problem(w, http.StatusServiceUnavailable, api.CodeUnavailable, "model %s cannot be used: %s", name, st.Error)
		return
	}
	data, release, ok := s.body(w, req)
	if !ok {
		return
	}
	claimed := "frame " + name + "\x00" + id
	it, got, dropped := s.frame(id, claimed, data, release)
	if id != "" {
		if !s.w.claim(claimed) {
			release()
			problem(w, http.StatusConflict, api.CodeBusy, "the input %q is being worked on", id)
			return
		}
		if seq := s.w.journal.known(frame{name, id}); seq != 0 {
			s.w.release(claimed)
			release()
			if _, acked := s.w.journal.position(); seq > acked {
				problem(w, http.StatusConflict, api.CodeBusy, "the input %q is being worked on", id)
				return
			}
			answer(w, http.StatusOK, api.NPUResult{SchemaVersion: api.SchemaVersion, Model: name, Quality: "good", Recorded: true, Repeated: true, Simulated: s.w.simulated()})
			return
		}
	}
	if err := r.offer(it); err != nil {
		it.drop(err.Error())
		problem(w, http.StatusTooManyRequests, api.CodeFull, "%v", err)
		return
	}
	select {
	case res := <-got:
		answer(w, http.StatusOK, res)
	case why := <-dropped:
		problem(w, http.StatusTooManyRequests, api.CodeFull, "the input was dropped: %s", why)
	case <-time.After(api.MaxNPUWait):
		problem(w, http.StatusServiceUnavailable, api.CodeUnavailable, "no result in time; it may still come into the log")
	case <-req.Context().Done():
	}
}

// frame is a posted input. Its reference stays taken until it is done or dropped, however long who posted it waits: posted
// again meanwhile, it is not worked on twice.
func (s *server) frame(id, claimed string, data []byte, release func()) (it *item, got chan api.NPUResult, dropped chan string) {
	got, dropped = make(chan api.NPUResult, 1), make(chan string, 1)
	free := func() {
		release()
		if id != "" {
			s.w.release(claimed)
		}
	}
	return &item{ref: ref{Kind: refFrame, Name: id}, at: time.Now(), record: id != "", read: func() ([]byte, error) { return data, nil },
		done: func(res api.NPUResult) { free(); got <- res }, drop: func(why string) { free(); dropped <- why }}, got, dropped
}

// Status is what the worker tells of itself.
func (w *Worker) Status() *api.NPUStatus {
	next, acked := w.journal.position()
	w.mu.Lock()
	s := &api.NPUStatus{SchemaVersion: api.SchemaVersion, Time: time.Now().UTC(), Started: w.started, Version: w.o.Version, PID: os.Getpid(), Simulated: w.simulated(),
		Runtime: w.version.Runtime, CANN: w.version.CANN, Warning: w.version.Warning, Restarts: w.restarts, LastRestart: w.restart, LastError: w.last, Untold: w.untold,
		Sequence: next - 1, Durable: acked, Waiting: int(next - 1 - acked), Chips: []api.NPUChip{}, Models: []api.NPUModel{}, Faults: []api.NPUFault{}}
	for _, f := range w.faults {
		s.Faults = append(s.Faults, f)
	}
	w.mu.Unlock()
	s.Driver, s.Chips, s.DCMIErrors = w.monitor.snapshot()
	s.Goroutines = runtime.NumGoroutine()
	if w.lib != nil {
		s.Handles, s.Signals = w.lib.Live().Sum(), w.lib.SignalsRestored()
	}
	for _, m := range w.c.Models {
		st := w.runners[m.Name].status()
		if st.LastError != "" && s.LastError == "" {
			s.LastError = m.Name + ": " + st.LastError
		}
		s.Models = append(s.Models, st)
	}
	return s
}

package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/unixsocket"
)

// SchemaVersion of the API's answers.
const SchemaVersion = 1

// View is a rollout as people and programs see it.
type View struct {
	ID       string        `json:"id"`
	Release  string        `json:"release"`
	Manifest string        `json:"manifest"`
	State    rollout.State `json:"state"`
	Since    time.Time     `json:"since"`
	Reason   string        `json:"reason,omitempty"`
	Created  time.Time     `json:"created"`
	By       string        `json:"by"`
	Wave     string        `json:"wave"`
	Waves    []WaveView    `json:"waves"`
	Devices  int           `json:"devices"`
	Done     int           `json:"done"`
	Running  int           `json:"running"`
	Queued   int           `json:"queued"`
	Failed   int           `json:"failed"`
	Offline  int           `json:"offline"` // queued or running, and not connected
	Spec     *rollout.Spec `json:"spec,omitempty"`
	Jobs     []JobView     `json:"jobs,omitempty"` // worst first
}

// WaveView is one wave.
type WaveView struct {
	Name    string `json:"name"`
	State   string `json:"state"` // ended, running, soaking, waiting, pending, ...
	Devices int    `json:"devices"`
	Done    int    `json:"done"`
	Running int    `json:"running"`
	Queued  int    `json:"queued"`
	Failed  int    `json:"failed"`
	Offline int    `json:"offline"`
}

// JobView is one device in a rollout.
type JobView struct {
	Device  string           `json:"device"`
	Wave    string           `json:"wave"`
	State   rollout.JobState `json:"state"`
	Doing   fleetwire.State  `json:"device_state,omitempty"` // what it says of itself
	Online  bool             `json:"online"`
	Since   time.Time        `json:"since"`
	Attempt int              `json:"attempt"`
	Done    int64            `json:"done_bytes,omitempty"`
	Total   int64            `json:"total_bytes,omitempty"`
	Reason  string           `json:"reason,omitempty"`
	Detail  string           `json:"detail,omitempty"`
	RetryAt *time.Time       `json:"retry_at,omitempty"`
}

// List is every rollout, the newest first.
type List struct {
	SchemaVersion int    `json:"schema_version"`
	Rollouts      []View `json:"rollouts"`
	Devices       int    `json:"devices"`
	Online        int    `json:"online"`
	Connected     bool   `json:"connected"` // this hub to its broker
	Stats         Stats  `json:"stats"`
	Entries       uint64 `json:"audit_entries"`
	Hash          string `json:"audit_hash"`
}

// Answer is one rollout.
type Answer struct {
	SchemaVersion int   `json:"schema_version"`
	Rollout       View  `json:"rollout"`
	Matching      int   `json:"matching"`          // devices that the target matches now
	PerWave       []int `json:"per_wave"`          // of them by list and share
	DryRun        bool  `json:"dry_run,omitempty"` // nothing was made
}

// APIError is an error of the API.
type APIError struct {
	Error string `json:"error"`
}

func failedOf(n map[rollout.JobState]int) int {
	sum := 0
	for s, k := range n {
		if s.Ended() && s != rollout.JobState(fleetwire.Committed) && s != rollout.Cancelled && s != rollout.Vanished {
			sum += k
		}
	}
	return sum
}

func (s *Server) view(r *rollout.Rollout, full bool) View {
	now := s.o.Now()
	n := s.fleet.Counts(r, -1, now)
	v := View{ID: r.ID, Release: r.Spec.Release, Manifest: r.Manifest, State: r.State, Since: r.Since, Reason: r.Reason, Created: r.Created,
		By: r.By, Wave: r.Spec.Waves[r.Wave].Name, Devices: len(r.Jobs) + r.Forgotten, Done: n[rollout.JobState(fleetwire.Committed)],
		Running: n[rollout.Told], Queued: n[rollout.Queued], Failed: failedOf(n)}
	offline := make([]int, len(r.Spec.Waves))
	for name, j := range r.Jobs {
		d := s.fleet.Devices[name]
		if !j.State.Ended() && (d == nil || !d.Online) {
			offline[j.Wave]++
			v.Offline++
		}
	}
	for i, w := range r.Spec.Waves {
		n := s.fleet.Counts(r, i, now)
		x := WaveView{Name: w.Name, State: "pending", Done: n[rollout.JobState(fleetwire.Committed)], Running: n[rollout.Told],
			Queued: n[rollout.Queued], Failed: failedOf(n), Offline: offline[i]}
		x.Devices = x.Done + x.Running + x.Queued + x.Failed + n[rollout.Cancelled]
		switch {
		case i < r.Wave || r.State == rollout.Done:
			x.State = "ended"
		case i == r.Wave:
			x.State = string(r.State)
		case r.State.Over():
			x.State = "cancelled"
		}
		v.Waves = append(v.Waves, x)
	}
	if full {
		v.Spec = &r.Spec
		v.Jobs = s.jobs(r)
	}
	return v
}

// rank orders jobs: what went wrong, what runs, what waits, what is done.
func rank(s rollout.JobState) int {
	switch s {
	case rollout.Told:
		return 1
	case rollout.Queued:
		return 2
	case rollout.Cancelled:
		return 3
	case rollout.JobState(fleetwire.Committed):
		return 4
	}
	return 0
}

func (s *Server) jobs(r *rollout.Rollout) []JobView {
	out := make([]JobView, 0, len(r.Jobs))
	for name, j := range r.Jobs {
		v := JobView{Device: name, Wave: r.Spec.Waves[j.Wave].Name, State: j.State, Since: j.Since, Attempt: j.Attempt, Reason: j.Reason, Detail: j.Detail}
		if !j.RetryAt.IsZero() {
			v.RetryAt = &j.RetryAt
		}
		if d := s.fleet.Devices[name]; d != nil {
			v.Online = d.Online
			if rep := d.Reported; rep != nil && j.State == rollout.Told && rep.GenerationSeen == j.Generation {
				v.Doing, v.Done, v.Total, v.Reason, v.Detail = rep.State, rep.Done, rep.Total, rep.Reason, rep.Detail
			}
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b JobView) int {
		return cmp.Or(rank(a.State)-rank(b.State), a.Since.Compare(b.Since), cmp.Compare(a.Device, b.Device))
	})
	return out[:min(len(out), maxDevices)]
}

// Serve answers over a socket until ctx ends. File permissions say who may use it; who did stands in the audit log.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rollouts", s.handle(func(*http.Request, string) (any, error) { return s.list(), nil }))
	mux.HandleFunc("GET /rollouts/{id}", s.handle(func(r *http.Request, _ string) (any, error) {
		x := s.fleet.Rollout(r.PathValue("id"))
		if x == nil {
			return nil, rollout.ErrUnknown
		}
		return s.answer(x, true), nil
	}))
	mux.HandleFunc("POST /rollouts", s.handle(s.create))
	mux.HandleFunc("POST /rollouts/{id}/{op}", s.handle(s.change))
	h := &http.Server{Handler: mux, ReadHeaderTimeout: apiTimeout, ReadTimeout: apiTimeout, WriteTimeout: apiTimeout, IdleTimeout: apiTimeout,
		MaxHeaderBytes: 8 << 10, ConnContext: unixsocket.ConnContext}
	return unixsocket.Serve(ctx, h, l, 0)
}

// handle runs f in the loop.
func (s *Server) handle(f func(r *http.Request, by string) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		by := unixsocket.PeerOf(r.Context()).Account()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAPIBytes))
		if err == nil {
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		var out any
		if err == nil && !s.call(r.Context(), func() { out, err = f(r, by) }) {
			err = ErrStopped
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			code := http.StatusBadRequest
			if errors.Is(err, rollout.ErrUnknown) {
				code = http.StatusNotFound
			}
			w.WriteHeader(code)
			out = APIError{err.Error()}
		}
		if err := json.NewEncoder(w).Encode(out); err != nil {
			s.o.Log.Debug("answer was not read", "error", err)
		}
	}
}

func (s *Server) list() *List {
	l := &List{SchemaVersion: SchemaVersion, Devices: len(s.fleet.Devices), Connected: s.current() != nil}
	for _, d := range s.fleet.Devices {
		if d.Online {
			l.Online++
		}
	}
	for i := len(s.fleet.Rollouts) - 1; i >= 0; i-- {
		l.Rollouts = append(l.Rollouts, s.view(s.fleet.Rollouts[i], false))
	}
	l.Stats = s.Stats()
	l.Entries, l.Hash = s.log.Last()
	return l
}

// Stats counts since the start.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Content = s.content.counts()
	return st
}

func (s *Server) answer(r *rollout.Rollout, full bool) *Answer {
	a := &Answer{SchemaVersion: SchemaVersion, Rollout: s.view(r, full)}
	a.Matching, a.PerWave = s.fleet.Matching(&r.Spec, r.ID)
	return a
}

func (s *Server) create(r *http.Request, by string) (any, error) {
	var spec rollout.Spec
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		return nil, fmt.Errorf("read rollout: %w", err)
	}
	entries, err := s.order(&spec, by, s.o.Now())
	if err != nil {
		return nil, err
	}
	if r.URL.Query().Get("dry_run") != "" {
		x := &rollout.Rollout{ID: entries[0].Rollout, Spec: spec, Manifest: entries[0].Manifest, By: by, Jobs: map[string]*rollout.Job{}}
		a := s.answer(x, true)
		a.DryRun = true
		return a, nil
	}
	if err := s.log.Append(s.fleet, entries); err != nil {
		return nil, err
	}
	return s.answer(s.fleet.Rollout(entries[0].Rollout), true), nil
}

func (s *Server) change(r *http.Request, by string) (any, error) {
	id, now := r.PathValue("id"), s.o.Now()
	var entries []rollout.Entry
	var err error
	switch r.PathValue("op") {
	case "pause":
		entries, err = s.fleet.Pause(id, by, now)
	case "resume":
		entries, err = s.fleet.Resume(id, by, now)
	case "abort":
		entries, err = s.fleet.Abort(id, by, r.URL.Query().Get("force") != "", now)
	default:
		err = errors.New("there are pause, resume and abort")
	}
	if err != nil {
		return nil, err
	}
	if err := s.log.Append(s.fleet, entries); err != nil {
		return nil, err
	}
	return s.answer(s.fleet.Rollout(id), true), nil
}

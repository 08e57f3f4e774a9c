package npu

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// windows keeps the newest values of some series.
type window struct {
	c      Window
	keys   []string          // the series that each pattern fits, "" until one was seen
	values [][]float64       // oldest first
	last   string            // the newest record in it
	fresh  bool              // something came since the last snapshot
	seen   map[string]uint64 // by epoch: one above the newest record that was looked at
}

func newWindow(c Window) *window {
	return &window{c: c, keys: make([]string, len(c.Series)), values: make([][]float64, len(c.Series)), seen: map[string]uint64{}}
}

// take looks whether a record belongs to the window. A bad reading is passed over, and a record that came before.
func (w *window) take(r *api.Record) {
	var v *float64 // nil: null
	if r.Series == "" || r.Offset < w.seen[r.Epoch] {
		return
	}
	w.seen[r.Epoch] = r.Offset + 1
	if strings.HasPrefix(r.Quality, "bad") || json.Unmarshal(r.Value, &v) != nil || v == nil {
		return
	}
	for i, pattern := range w.c.Series {
		if r.Series == pattern && w.keys[i] != pattern { // it was no part of another key
			w.keys[i], w.values[i] = pattern, nil
		}
		if w.keys[i] == "" && (r.Series == pattern || strings.Contains(r.Series, pattern)) {
			w.keys[i] = r.Series // the first that fits; another that fits, too, is not mixed in
		}
		if w.keys[i] != r.Series {
			continue
		}
		if len(w.values[i]) == w.c.Length {
			copy(w.values[i], w.values[i][1:])
			w.values[i] = w.values[i][:w.c.Length-1]
		}
		w.values[i] = append(w.values[i], *v)
		w.last, w.fresh = fmt.Sprintf("%s/%s/%d", r.Stream, r.Epoch, r.Offset), true
	}
}

// snapshot is the window as a tensor of float32, series by series; false until every series is full.
func (w *window) snapshot() ([]float64, bool) {
	if !w.fresh {
		return nil, false
	}
	var out []float64
	for _, v := range w.values {
		if len(v) < w.c.Length {
			return nil, false
		}
		out = append(out, v...)
	}
	w.fresh = false
	return out, true
}

// followWindow follows the stream and offers the window to its model at each interval.
func (w *Worker) followWindow(ctx context.Context, c Window) error {
	win := newWindow(c)
	r := w.runners[c.Model]
	due := time.Now().Add(c.Every)
	offer := func() {
		if now := time.Now(); now.Before(due) {
			return
		} else if due = due.Add(c.Every); due.Before(now) {
			due = now.Add(c.Every)
		}
		v, ok := win.snapshot()
		if !ok {
			return
		}
		it := &item{ref: ref{Kind: refWindow, Name: c.Name, ID: win.last}, at: time.Now(), record: true}
		it.read = func() ([]byte, error) {
			g := r.current()
			if g == nil {
				return nil, fmt.Errorf("model %s is not ready", c.Model)
			}
			return g.intake.floats(v)
		}
		_ = r.offer(it) // a window that finds no room is dropped, and counted by the queue
	}
	n := min(api.MaxTail, c.Length*len(c.Series)*8) // so that a restart begins with a full window where it can
	for away := false; ctx.Err() == nil; {
		run, cancel := context.WithCancel(ctx)
		_, err := w.agent.Tail(run, c.Stream, n, true, func(rec *api.Record) error {
			if away {
				away = false
				w.clear("N009", c.Name)
			}
			win.take(rec)
			offer()
			return nil
		})
		cancel()
		if ctx.Err() == nil && err != nil {
			away = true
			w.raise("N009", c.Name, "window "+c.Name, "cannot follow stream "+c.Stream+": "+err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

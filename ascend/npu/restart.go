package npu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// ExitDevice is the exit code of a worker that a new process shall replace.
const ExitDevice = 75

type restartNote struct {
	Count int       `json:"count"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"`
	Media bool      `json:"media,omitempty"` // the media units were at fault
}

// restartShown is how long a restart, or a session made anew, is shown as a fault.
const restartShown = 10 * time.Minute

func (w *Worker) readRestart() {
	text, err := os.ReadFile(filepath.Join(w.c.StateDir, "restart"))
	var n restartNote
	if err != nil || json.Unmarshal(text, &n) != nil {
		return
	}
	w.restarts, w.restart = n.Count, n.Why
	if n.Media {
		w.mediaOff = "the last process ended on them: " + n.Why
	}
	if time.Since(n.At) < restartShown {
		w.raise("N003", "worker", "edge-npu", fmt.Sprintf("restarted at %s after: %s", n.At.Format(time.RFC3339), n.Why))
	}
}

// underWay is when a call into a library began that has not come back. It goes by the monotonic clock: the other one may be
// set meanwhile, by years where a box begins without the time.
type underWay struct{ at atomic.Pointer[time.Time] }

func (u *underWay) begin() {
	now := time.Now()
	u.at.Store(&now)
}

// ensure begins, if nothing is under way.
func (u *underWay) ensure() {
	now := time.Now()
	u.at.CompareAndSwap(nil, &now)
}

func (u *underWay) end() { u.at.Store(nil) }

// since is zero if nothing is under way.
func (u *underWay) since() time.Time {
	if at := u.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// watch ends the process when a call into the library does not come back.
func (w *Worker) watch(ctx context.Context) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			w.mu.Lock()
			var worst *session
			for s := range w.sessions {
				if s.stuck(now) > s.limit() && worst == nil {
					worst = s
				}
			}
			if time.Since(w.started) > restartShown {
				delete(w.faults, "N003/worker")
			}
			w.mu.Unlock()
			w.forgetRebuilds(now)
			w.monitor.hung(now)
			if worst != nil {
				w.fatal(fmt.Errorf("model %s: a call into the runtime has not come back for %s", worst.m.Name, worst.stuck(now).Truncate(time.Millisecond)))
			}
		}
	}
}

func (w *Worker) watchSession(s *session, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if on {
		w.sessions[s] = true
	} else {
		delete(w.sessions, s)
	}
}

// fatal writes down why and ends the process: only a new one can use the device.
func (w *Worker) fatal(why error) {
	w.mu.Lock()
	again := w.dying
	w.dying = true
	n := w.restarts + 1
	w.mu.Unlock()
	if again {
		return
	}
	w.log.Error("the worker ends, to be started again", "err", why)
	text, err := json.Marshal(restartNote{Count: n, Why: cut(why.Error()), At: time.Now().UTC(), Media: errors.Is(why, errMedia)})
	if err == nil {
		err = os.WriteFile(filepath.Join(w.c.StateDir, "restart"), text, 0o640)
	}
	if err != nil {
		w.log.Error("reason of the restart not kept", "err", err)
	}
	w.o.Exit(ExitDevice)
}

// Package rollout decides which device of a fleet is told to take which release, and when. It is a state machine without
// clock, network or disk: what devices say, what operators ask and the time go in, entries come out. An entry is made
// durable before anything follows from it, and the state is what all entries add up to, so that a hub that is killed
// between any two steps goes on where it was.
package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
)

// State of a rollout.
type State string

// The states of a rollout.
const (
	Running State = "running"
	Soaking State = "soaking" // the wave has ended and is watched
	Waiting State = "waiting" // for somebody to say resume: a manual gate
	Paused  State = "paused"
	Aborted State = "aborted"
	Done    State = "done"
)

// Over tells whether nothing will happen any more.
func (s State) Over() bool { return s == Aborted || s == Done }

// JobState is how far one device is: one of those below, or a terminal fleetwire.State.
type JobState string

// States of a job beside the terminal ones that devices report.
const (
	Queued    JobState = "QUEUED"
	Told      JobState = "IN_PROGRESS"
	TimedOut  JobState = "TIMED_OUT"
	Cancelled JobState = "CANCELLED"
	Vanished  JobState = "VANISHED" // told, and then offline for longer than a step may take; never stored
	committed          = JobState(fleetwire.Committed)
)

var abortable = []JobState{JobState(fleetwire.RolledBack), JobState(fleetwire.Failed), JobState(fleetwire.Rejected),
	JobState(fleetwire.Inconsistent), TimedOut, Vanished}

// Ended tells whether the device has finished.
func (s JobState) Ended() bool { return s != Queued && s != Told }

// Job is one device in a rollout.
type Job struct {
	Wave       int       `json:"wave"`
	State      JobState  `json:"state"`
	Attempt    int       `json:"attempt,omitempty"`
	Generation uint64    `json:"gen,omitempty"`
	Since      time.Time `json:"since"`
	Reason     string    `json:"reason,omitempty"`
	Detail     string    `json:"detail,omitempty"`
	Retries    int       `json:"retries,omitempty"`
	RetryAt    time.Time `json:"retry_at,omitzero"`
}

// Rollout is one release on its way to its devices.
type Rollout struct {
	ID       string          `json:"id"`
	Spec     Spec            `json:"spec"`
	Manifest string          `json:"manifest"` // sha256 of the release's manifest, hex
	Created  time.Time       `json:"created"`
	By       string          `json:"by"`
	State    State           `json:"state"`
	Since    time.Time       `json:"since"`
	Reason   string          `json:"reason,omitempty"`
	Wave     int             `json:"wave"`
	Jobs     map[string]*Job `json:"jobs"`
	// Forgotten counts committed jobs whose entries are not kept any more.
	Forgotten int `json:"forgotten,omitempty"`
	// Before is the state that a pause interrupted, PausedBy who paused it.
	Before   State  `json:"before,omitempty"`
	PausedBy string `json:"paused_by,omitempty"`
	// Waived is 1 + the wave for which somebody has resumed although too few devices had committed.
	Waived int `json:"waived,omitempty"`
}

// Device is what is known of one device. Online and Reported are not durable: devices say them again.
type Device struct {
	Online   bool                `json:"-"`
	Reported *fleetwire.Reported `json:"-"`
	Seen     time.Time           `json:"seen"`
	Gone     time.Time           `json:"-"` // since when it is offline
	Facts    map[string]string   `json:"facts,omitempty"`
	Release  string              `json:"release,omitempty"` // in force, as far as is known
	Manifest string              `json:"manifest,omitempty"`
	Desired  *fleetwire.Desired  `json:"desired,omitempty"`
	Event    uint64              `json:"event,omitempty"`      // number of its last event
	Hash     string              `json:"event_hash,omitempty"` // and its sha256, hex

	ran  time.Duration // online since it was told
	idle time.Duration // of it, without progress
	mark progress
	look time.Time

	notes float64 // how many entries it may cause, and when that was counted
	noted time.Time
}

// may takes one of the entries that a device may cause by itself: nothing is ever removed from the audit log.
func (d *Device) may(now time.Time) bool {
	if d.noted.IsZero() {
		d.notes = maxNotes
	} else if passed := now.Sub(d.noted); passed > 0 {
		d.notes = min(d.notes+float64(passed)/float64(noteEvery), maxNotes)
	}
	d.noted = now
	if d.notes < 1 {
		return false
	}
	d.notes--
	return true
}

// progress is what counts as a step.
type progress struct {
	state fleetwire.State
	done  int64
}

// Fleet is everything. One goroutine uses it.
type Fleet struct {
	Rollouts   []*Rollout         `json:"rollouts"` // in the order of their creation
	Devices    map[string]*Device `json:"devices"`
	Generation uint64             `json:"gen"` // the last that was given
	Created    int                `json:"created"`

	began  time.Time            // of this run
	settle time.Duration        // after it, nothing is concluded
	tokens map[string]rateState // of rollouts with a rate
}

type rateState struct {
	tokens float64
	filled time.Time
}

// New is an empty fleet.
func New() *Fleet { return &Fleet{Devices: map[string]*Device{}} }

// Start says when this run began, and how long nothing is concluded after it; 0: Settle.
func (f *Fleet) Start(now time.Time, settle time.Duration) {
	f.began, f.settle = now, cmp.Or(settle, Settle)
	f.tokens = map[string]rateState{}
}

// Rollout returns the one with that id, nil if there is none.
func (f *Fleet) Rollout(id string) *Rollout {
	for _, r := range f.Rollouts {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (f *Fleet) device(name string) *Device {
	d := f.Devices[name]
	if d == nil && len(f.Devices) < MaxDevices {
		d = &Device{}
		f.Devices[name] = d
	}
	return d
}

// What is what an entry says.
type What string

// The kinds of entries.
const (
	WasCreated  What = "created"
	WasQueued   What = "queued"  // devices joined a wave
	WasAlready  What = "already" // devices that run the release
	WasTold     What = "told"    // a device got its desired state
	WasEnded    What = "ended"   // a device finished
	WasRequeued What = "requeued"
	WaveSoaks   What = "soaking"
	WaveWaits   What = "waiting"
	WaveBegins  What = "wave"
	WasPaused   What = "paused"
	WasResumed  What = "resumed"
	WasAborted  What = "aborted"
	WasDone     What = "done"
	WasTaken    What = "withdrawn" // a device's desired state was taken back
	DeviceEvent What = "event"     // a device told a change of its state
	DeviceFork  What = "fork"      // two histories of events under one name: a cloned card
	DeviceHole  What = "hole"      // events are missing
	WasRestored What = "restored"  // the log's torn end was cut
)

// Entry is one line of the audit log.
type Entry struct {
	Number  uint64    `json:"n"`
	Prev    string    `json:"prev"`            // sha256 of the line before, hex
	First   uint64    `json:"first,omitempty"` // of several that were written at once: the number of the first
	Time    time.Time `json:"t"`
	By      string    `json:"by"`
	What    What      `json:"what"`
	Rollout string    `json:"rollout,omitempty"`
	Device  string    `json:"device,omitempty"`
	Devices []string  `json:"devices,omitempty"`
	Wave    int       `json:"wave,omitempty"`

	Spec       *Spec    `json:"spec,omitempty"`
	Manifest   string   `json:"manifest,omitempty"`
	State      JobState `json:"state,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Detail     string   `json:"detail,omitempty"`
	Generation uint64   `json:"gen,omitempty"`
	Attempt    int      `json:"attempt,omitempty"`
	Event      uint64   `json:"event,omitempty"`
	EventHash  string   `json:"event_hash,omitempty"`
}

// hub is who does what nobody asked for.
const hub = "hub"

// Apply adds an entry to the state. Entries that do not fit it, as of a newer program, change nothing.
func (f *Fleet) Apply(e *Entry) {
	r := f.Rollout(e.Rollout)
	switch e.What {
	case WasCreated:
		if e.Spec != nil && r == nil {
			f.Created++
			f.Rollouts = append(f.Rollouts, &Rollout{ID: e.Rollout, Spec: *e.Spec, Manifest: e.Manifest, Created: e.Time, By: e.By,
				State: Running, Since: e.Time, Jobs: map[string]*Job{}})
			f.forget()
		}
		return
	case DeviceEvent, DeviceFork, DeviceHole:
		if d := f.device(e.Device); d != nil {
			d.Event, d.Hash = e.Event, e.EventHash
		}
		return
	}
	if r == nil {
		return
	}
	to := func(s State) { r.State, r.Since, r.Reason = s, e.Time, e.Detail }
	switch e.What {
	case WasQueued, WasAlready:
		state := Queued
		if e.What == WasAlready {
			state = committed
		}
		for _, name := range e.Devices {
			r.Jobs[name] = &Job{Wave: e.Wave, State: state, Since: e.Time, Reason: e.Reason}
		}
	case WasTold, WasTaken:
		f.tell(r, e)
	case WasEnded:
		f.ended(r, e)
	case WasRequeued:
		if j := r.Jobs[e.Device]; j != nil {
			j.State, j.Since, j.RetryAt = Queued, e.Time, time.Time{}
			j.Retries++
		}
	case WaveSoaks:
		to(Soaking)
	case WaveWaits:
		to(Waiting)
	case WaveBegins:
		r.Wave = e.Wave
		to(Running)
	case WasPaused:
		r.Before, r.PausedBy = r.State, e.By
		to(Paused)
	case WasResumed:
		back := r.Before
		if r.State != Paused || back == "" || back.Over() || back == Paused {
			back = Running
		}
		if r.PausedBy == hub {
			r.Waived = r.Wave + 1
		}
		r.Before, r.PausedBy = "", ""
		to(back)
	case WasAborted, WasDone:
		for _, j := range r.Jobs {
			if j.State == Queued {
				j.State, j.Since = Cancelled, e.Time
			}
			j.RetryAt = time.Time{}
		}
		to(map[What]State{WasAborted: Aborted, WasDone: Done}[e.What])
		f.forget()
	}
}

// tell notes what a device is to run from now on, or that it is to run nothing new.
func (f *Fleet) tell(r *Rollout, e *Entry) {
	f.Generation = max(f.Generation, e.Generation)
	d := f.device(e.Device)
	j := r.Jobs[e.Device]
	if d == nil || j == nil {
		return
	}
	d.ran, d.idle, d.look = 0, 0, time.Time{}
	if e.What == WasTaken {
		d.Desired = &fleetwire.Desired{Generation: e.Generation, Rollout: r.ID}
		if j.Reason = "withdrawn"; !j.State.Ended() { // how it ended stays
			j.State, j.Since = Cancelled, e.Time
		}
		return
	}
	j.State, j.Since, j.Attempt, j.Generation, j.Reason, j.Detail = Told, e.Time, e.Attempt, e.Generation, "", ""
	d.Desired = &fleetwire.Desired{Generation: e.Generation, Release: r.Spec.Release, Manifest: r.Manifest, Attempt: e.Attempt,
		Rollout: r.ID, MaxBps: int64(r.Spec.MaxRate)}
	for _, w := range r.Spec.Windows {
		d.Desired.Windows = append(d.Desired.Windows, w.wire())
	}
}

func (f *Fleet) ended(r *Rollout, e *Entry) {
	j := r.Jobs[e.Device]
	if j == nil {
		return
	}
	j.State, j.Since, j.Reason, j.Detail, j.RetryAt = e.State, e.Time, e.Reason, e.Detail, time.Time{}
	if j.Retries < r.Spec.Retry.Max && slices.Contains(r.Spec.Retry.On, string(e.State)) && !r.State.Over() {
		j.RetryAt = e.Time.Add(r.Spec.Retry.Backoff)
	}
	if e.State == committed {
		if d := f.Devices[e.Device]; d != nil {
			d.Release, d.Manifest = r.Spec.Release, r.Manifest
		}
	}
}

// forget drops what is only of interest for a while.
func (f *Fleet) forget() {
	over := 0
	for i := len(f.Rollouts) - 1; i >= 0; i-- {
		r := f.Rollouts[i]
		if !r.State.Over() {
			continue
		}
		if over++; over > maxOver {
			f.Rollouts = slices.Delete(f.Rollouts, i, i+1)
		} else if over > keepJobs {
			before := len(r.Jobs)
			maps.DeleteFunc(r.Jobs, func(_ string, j *Job) bool { return j.State == committed })
			r.Forgotten += before - len(r.Jobs)
		}
	}
}

// nextID names a rollout.
func (f *Fleet) nextID() string { return fmt.Sprintf("R-%d", f.Created+1) }

// generation is the next one at that time.
func (f *Fleet) generation(now time.Time, given uint64) uint64 {
	return max(f.Generation+1, given+1, uint64(max(now.UnixMilli(), 0)))
}

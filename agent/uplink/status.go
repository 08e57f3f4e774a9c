package uplink

import (
	"time"

	"github.com/edgelog/edgelog/internal/wire"
)

// Status is the link as people and metrics see it. Counters count since the program started.
type Status struct {
	Phase      Phase
	Since      time.Time // of the connection or its end
	LastAck    time.Time // last message of the hub that counted
	LastError  string    // why the last connection ended
	LastFail   time.Time
	Nonce      wire.Nonce
	Credit     uint32        // bytes
	InFlight   int           // bytes
	RTT        time.Duration // of the last hello
	HubSynced  bool
	Unreadable int    // streams of which the hub reads the next record neither halved nor uncompressed so far
	Stuck      Stuck  // a frame that does not arrive
	Held       string // what holds records back beside window and credit: "", "pace" (backlog) or "budget"

	Connects, Hellos, Timeouts, Rewinds, Conflicts uint64
	Frames, FrameBytes                             uint64 // handed to the link, resent ones included
	Acks, Ignored                                  uint64 // messages of the hub that counted, and that did not
	Unsendable                                     uint64 // records given up
}

// Status is a snapshot.
func (s *Sender) Status() Status {
	st := s.stats
	st.Phase, st.Nonce, st.Credit, st.InFlight = s.phase, s.nonce, s.window.credit, s.window.flight
	for _, x := range s.streams {
		if x.hard.e != nil && x.hard.plain && x.hard.at == x.hard.e.acked {
			st.Unreadable++
		}
	}
	st.Stuck = s.stuckFrame()
	switch {
	case s.phase != PhaseStreaming:
	case s.held.budget:
		st.Held = "budget"
	case s.held.paced:
		st.Held = "pace"
	}
	return st
}

func (t *Status) connected(now time.Time) {
	t.Connects++
	t.Since, t.LastError = now, ""
}

func (t *Status) disconnected(now time.Time, err error) {
	if t.LastError == "" { // else the time of the first of several failures stays
		t.Since = now
	}
	if err != nil {
		t.LastError, t.LastFail = err.Error(), now
	}
}

func (t *Status) heard(a *wire.Ack, now time.Time) {
	t.Acks++
	t.LastAck = now
	if a.HubTime != 0 {
		t.HubSynced = a.HubSynced
	}
}

func (t *Status) sentFrame(f wire.Frame) {
	t.Frames++
	t.FrameBytes += frameOverhead
	if d, ok := f.(*wire.Data); ok {
		t.FrameBytes += uint64(len(d.Body))
	}
}

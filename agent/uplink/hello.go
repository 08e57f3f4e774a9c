package uplink

import (
	"time"

	"github.com/edgelog/edgelog/internal/wire"
)

// hello prepares a hello with a fresh nonce: every ack under an older one stops to count, and nothing is sent until
// the answer (A3, A4).
func (s *Sender) hello(now time.Time) {
	old := s.nonce
	for s.nonce == old || s.nonce == 0 {
		s.nonce = wire.Nonce(s.o.Random())
	}
	s.forgetFlight()
	s.window.blocked = false
	var states []wire.StreamState
	for _, st := range s.streams {
		st.refresh()
		st.fills = nil
		state := wire.StreamState{Stream: st.name}
		for _, e := range st.epochs {
			if !s.paging {
				e.page = 0
			}
			e.sent.clear()
			e.covered.clear()
			chain, known := st.src.Chain(e.Epoch.Epoch, e.End)
			state.Epochs = append(state.Epochs, wire.EpochState{Epoch: e.Epoch.Epoch, Parent: e.Parent,
				ParentEnd: e.ParentEnd, First: e.First, Low: max(e.Low, min(e.page, e.End)), End: e.End, ChainEnd: chain, ChainKnown: known})
		}
		states = append(states, state)
	}
	s.paging = false
	s.hellos = split(states)
	var id Identity
	if s.o.Identity != nil {
		id = s.o.Identity(now)
	}
	for i, h := range s.hellos {
		h.Nonce, h.Part, h.Parts = s.nonce, uint16(i), uint16(len(s.hellos))
		h.Agent, h.Boot, h.BootTime, h.Clock = id.Agent, id.Boot, id.BootTime, id.Clock
		if i == 0 {
			h.Inventory = id.Inventory
		}
	}
	s.answers = answers{got: make([]bool, len(s.hellos)), missing: len(s.hellos)}
	s.phase = PhaseHello
	s.timer.announced = false
	s.timer.hello = now.Add(HelloEvery*4/5 + s.jitter(HelloEvery*2/5))
	s.stats.Hellos++
}

// split puts at most helloEpochs epochs into each hello, more only where that would make too many of them.
func split(states []wire.StreamState) []*wire.Hello {
	h := &wire.Hello{}
	out := []*wire.Hello{h}
	total := 0
	for i := range states {
		total += len(states[i].Epochs)
	}
	most := helloEpochs
	if total > helloEpochs*(MaxHelloParts-1) {
		most = wire.MaxHelloEpochs
	}
	left := most
	for _, st := range states {
		rest := st.Epochs
		for {
			if left == 0 && len(rest) > 0 || len(h.Streams) == wire.MaxHelloStreams {
				if len(out) == MaxHelloParts {
					return out
				}
				h = &wire.Hello{}
				out = append(out, h)
				left = most
			}
			n := min(len(rest), left)
			h.Streams = append(h.Streams, wire.StreamState{Stream: st.Stream, Epochs: rest[:n]})
			rest, left = rest[n:], left-n
			if len(rest) == 0 {
				break
			}
		}
	}
	return out
}

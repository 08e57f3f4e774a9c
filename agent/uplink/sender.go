// Package uplink delivers the log of a device to the hub, exactly once and in order per stream.
//
// Sender is the agent's half of the delivery protocol (docs/protocol.md, rules A1 to A13) as a state machine
// without goroutine, clock or transport: events in (Connected, Received, LogChanged, Tick), messages out (Next). It
// serves all streams of a device over one connection. Loop drives it over a wire.Link. Log adapts a *buffer.Log.
package uplink

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// Options of a Sender. Random is required.
type Options struct {
	Window int // own limit of bytes in flight; DefaultWindow if 0
	// FrameCost is what a data frame takes of the window at least, DefaultFrameCost if 0: brokers bound their queues
	// by messages too, so that many small frames must not fill the window.
	FrameCost int
	NoGather  bool // send every stored batch as it is
	Pace      Pace
	// Exhausted reports that the link's byte budget is used up: only alarms are sent. It is asked before each frame.
	Exhausted func(now time.Time) bool
	Codec     Codec         // for frames that are a part of a stored batch; new(Bodies) if nil
	Random    func() uint64 // nonces and jitter
	Identity  func(now time.Time) Identity
	Events    Events
}

// Identity is what a hello says beside positions.
type Identity struct {
	Agent     string // version
	Inventory map[string]string
	Boot      string
	BootTime  int64 // ns of CLOCK_BOOTTIME at now
	Clock     string
}

// Events are called from the sender's methods; each may be nil and must not call back.
type Events struct {
	Conflict   func(stream string, e record.Epoch, at record.Offset)     // A9: a resumed snapshot, a live copy or a bug
	Lost       func(stream string, e record.Epoch, r record.Range)       // the hub has more of a closed epoch than this disk
	Unsendable func(stream string, e record.Epoch, r record.Range)       // given up: the hub cannot read it in any form
	Skipped    func(stream string, e record.Epoch, s wire.SkippedRange)  // the hub did not store these
	Notice     func(text string)                                         // from the hub, for people
	HubTime    func(sent, received time.Time, hubUTC int64, synced bool) // an answer that echoed our nonce, ns UTC
	Failed     func(stream string, err error)                            // the log could not be read or repaired; retried
}

// Phase of a sender.
type Phase uint8

// The phases.
const (
	PhaseDown      Phase = iota // no connection
	PhaseHello                  // hello is being said
	PhaseWaiting                // said; nothing is sent until it is answered
	PhaseStreaming              // positions are known
)

func (p Phase) String() string {
	return [...]string{"down", "saying hello", "waiting for the hub", "streaming"}[min(int(p), 3)]
}

// Sender is the state machine. It is not safe for concurrent use.
type Sender struct {
	o       Options
	streams []*stream // in order of rank
	phase   Phase
	nonce   wire.Nonce
	hellos  []*wire.Hello // parts still to send
	answers answers
	held    held
	window  window
	timer   timer
	pacer   pacer
	turn    int  // for streams of one rank
	paging  bool // the next hello asks for the gaps that the last answer has left out
	silent  int  // hellos in a row that were not answered on this connection
	stats   Status
	scratch scratch

	gathered gathering
}

// answers keeps what is expected after a hello.
type answers struct {
	got     []bool // by part
	missing int
	sent    time.Time // when the last part was handed out
}

// held says why the last attempt to send left something behind that neither window nor log holds back.
type held struct {
	paced  bool      // backlog, by its rate
	budget bool      // everything but alarms
	since  time.Time // with budget
}

// New makes a sender for the streams; alarms, events and health go before all others, which share.
func New(o Options, sources ...Source) *Sender {
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	if o.Codec == nil {
		o.Codec = new(Bodies)
	}
	if o.FrameCost == 0 {
		o.FrameCost = DefaultFrameCost
	}
	s := &Sender{o: o, window: window{own: max(o.Window, MinWindow)}, pacer: pacer{rate: o.Pace.BacklogRate}}
	for _, src := range sources {
		s.streams = append(s.streams, &stream{src: src, name: src.Stream(), rank: rank(src.Stream())})
	}
	slices.SortStableFunc(s.streams, func(a, b *stream) int { return cmp.Compare(a.rank, b.rank) })
	return s
}

func rank(stream string) int {
	switch stream {
	case "alarms":
		return rankAlarms
	case "events":
		return 1
	case "health":
		return 2
	}
	return rankPlain
}

// The ranks that rules look at: alarms are not paced; plain streams may have a long backlog.
const (
	rankAlarms = 0
	rankPlain  = 3
)

// Connected starts a connection: the first thing to say is hello (A4).
func (s *Sender) Connected(now time.Time) {
	s.stats.connected(now)
	s.timer.connected()
	s.silent = 0
	s.hello(now)
	for _, st := range s.streams {
		st.ages.connected(st.end())
	}
}

// Disconnected ends the connection. What was in flight is not known to have arrived.
func (s *Sender) Disconnected(now time.Time, err error) {
	s.missed(now)
	s.phase, s.nonce, s.hellos = PhaseDown, 0, nil
	s.forgetFlight()
	s.window.credit = 0
	s.stats.disconnected(now, err)
}

// LogChanged says that a stream has more that is durable, or a new gap or epoch.
func (s *Sender) LogChanged(name string) {
	for _, st := range s.streams {
		if st.name == name {
			st.dirty = true
			st.retryAt, st.retryIn = time.Time{}, 0
		}
	}
}

// Tick lets time pass: time-outs and the regular hello. Wake tells when the next one is due.
func (s *Sender) Tick(now time.Time) {
	if s.phase == PhaseDown {
		return
	}
	for _, st := range s.streams { // what is over must not wake anybody again
		if !now.Before(st.retryAt) {
			st.retryAt = time.Time{}
		}
		if !now.Before(st.pausedUntil) {
			st.pausedUntil = time.Time{}
		}
	}
	waiting := s.phase == PhaseWaiting || s.window.flight > 0 || s.starved()
	switch {
	case waiting && s.timer.expired(now):
		s.stats.Timeouts++
		if s.phase == PhaseWaiting {
			s.timer.greeting = doubled(s.timer.greeting)
			s.silent++
		} else {
			s.timer.progress = doubled(s.timer.progress)
			s.window.shrink()
			s.missed(now)
		}
		s.hello(now)
	case s.timer.helloDue(now) && (s.phase == PhaseWaiting ||
		s.phase == PhaseStreaming && (s.window.flight == 0 || s.timer.overdue(now))):
		if !s.timer.announced { // a hub that has just started may have lost what was in flight
			s.missed(now)
		}
		s.hello(now)
	}
}

// Wake is when Tick has something to do next; the zero time means only after another event.
func (s *Sender) Wake() time.Time {
	if s.phase == PhaseDown {
		return time.Time{}
	}
	at := s.timer.hello
	if s.window.flight > 0 { // what is in flight comes first, for a while
		at = s.timer.patience()
	}
	if s.phase == PhaseWaiting || s.window.flight > 0 || s.starved() {
		at = earlier(at, s.timer.ack)
	}
	for _, st := range s.streams {
		at = earlier(earlier(at, st.retryAt), st.pausedUntil)
	}
	if s.held.paced {
		at = earlier(at, s.pacer.next)
	}
	if s.held.budget {
		at = earlier(at, s.held.since.Add(budgetLook))
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// starved reports that data waits while the hub has given no credit and nothing is in flight: nothing but a hello
// can bring the next word of it.
func (s *Sender) starved() bool {
	return s.phase == PhaseStreaming && s.window.flight == 0 && s.window.blocked
}

// Next is the next message to send, or false if there is none now. A data frame's body is valid until the next
// call of any method.
func (s *Sender) Next(now time.Time) (wire.Message, bool) {
	switch s.phase {
	case PhaseHello:
		h := s.hellos[0]
		if s.hellos = s.hellos[1:]; len(s.hellos) == 0 {
			s.phase = PhaseWaiting
			s.answers.sent = now
			s.timer.ack = now.Add(s.timer.greeting)
		}
		return h, true
	case PhaseStreaming:
		if s.timer.helloDue(now) {
			if s.window.flight == 0 {
				s.hello(now)
				return s.Next(now)
			}
			return nil, false // let what is in flight arrive first
		}
		if f, ok := s.nextFrame(now); ok {
			return f, true
		}
	}
	return nil, false
}

// nextFrame asks the streams in order of rank; those of one rank take turns.
func (s *Sender) nextFrame(now time.Time) (wire.Frame, bool) {
	s.window.blocked, s.held = false, held{}
	exhausted := s.o.Exhausted != nil && s.o.Exhausted(now)
	n := len(s.streams)
	for i := 0; i < n; {
		j := i
		for j < n && s.streams[j].rank == s.streams[i].rank {
			j++
		}
		for k := range j - i {
			st := s.streams[i+(s.turn+k)%(j-i)]
			if exhausted && st.rank != rankAlarms {
				s.held.budget, s.held.since = true, now
				continue
			}
			if f, ok := s.frame(st, now); ok {
				s.turn = (s.turn + k + 1) % (j - i)
				s.stats.sentFrame(f)
				return f, true
			}
			if s.window.blocked { // a lower rank may not take the room that a higher one waits for
				if s.window.flight == 0 && s.timer.ack.Before(now) {
					s.timer.ack = now.Add(s.timer.progress)
				}
				return nil, false
			}
		}
		i = j
	}
	return nil, false
}

// Received takes a message from the hub. Anything that does not count is counted and changes nothing.
func (s *Sender) Received(m wire.Message, now time.Time) {
	switch m := m.(type) {
	case *wire.HubUp:
		if s.phase != PhaseDown { // one that was not answered yet was said to nobody
			s.timer.greeting = AckTimeout
			s.timer.hastenHello(now.Add(s.jitter(time.Duration(m.SpreadSeconds) * time.Second)))
			s.timer.announced = true
		}
	case *wire.Ack:
		s.receivedAck(m, now)
	default:
		s.stats.Ignored++
	}
}

// jitter is a random duration in [0, d).
func (s *Sender) jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.o.Random() % uint64(d))
}

// failed notes that a source could not be read or repaired, and when it is tried again.
func (s *Sender) failed(st *stream, now time.Time, err error) {
	st.retryIn = min(max(2*st.retryIn, time.Second), maxReadErrors)
	st.retryAt = now.Add(st.retryIn)
	if errors.Is(err, ErrEnd) {
		err = fmt.Errorf("nothing is where offset %d should be: %w", st.at, err)
	}
	if s.o.Events.Failed != nil {
		s.o.Events.Failed(st.name, err)
	}
}

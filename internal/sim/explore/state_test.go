package explore

import (
	"context"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/wire"
)

const (
	device   = "box"
	maxWay   = 2        // messages under way, each way
	frameMax = 32 << 10 // cost of a frame in the window
	credit   = 4 << 20  // the hub's; below it the store's speed does not matter
)

// state is everything: boxes, network, hubs and their store, what was saved, the truth, and the faults still allowed.
// Messages under way never change.
type state struct {
	boxes []part[box]
	up    []message
	down  []message
	hubs  []part[receive.Receiver]
	store part[memory.Store]
	save  part[memory.Store]
	snap  part[box]  // a snapshot of memory and disk
	spare part[disk] // what a lying disk really has

	left   budget
	truth  part[truth]
	now    time.Time
	num    int64
	epochs record.Epoch
	nonces uint64
	wrong  string

	at map[receive.Key]*store.Position // what the store says, nil: to be asked
}

// message is one under way.
type message struct {
	wire.Message
	sum *digest
}

func send(m wire.Message) message {
	switch m := m.(type) {
	case *wire.Data:
		return message{m, digestOf(m)}
	case *wire.Gap:
		return message{m, digestOf(m)}
	case *wire.Hello:
		return message{m, digestOf(m)}
	case *wire.Ack:
		return message{m, digestOf(m)}
	}
	panic("explore: unknown message")
}

// budget is how often each thing may still happen.
type budget struct {
	Append, Message, Resend, Dead                  int
	Crash, Lie, Snapshot, Resume, Clone, Replace   int
	Rot, Drop                                      int
	Lose, Twice, Spoil, Cut, Late                  int
	Backup, Restore, Zombie, HubRestart, SecondHub int
	lies, snaps, backups, cloned, lost, wiped      int // what has happened
}

// box is one machine.
type box struct {
	logs      []*log
	s         *uplink.Sender
	connected bool
	sent      int // of the node's messages
}

// disk is one without a machine.
type disk struct{ logs []*log }

// log is the model log with real bodies.
type log struct{ *uplinktest.Log }

func (l *log) At(e record.Epoch, o record.Offset) (uplink.Item, error) {
	it, err := l.Log.At(e, o)
	if err != nil || it.Gap != nil {
		return it, err
	}
	b := &it.Batch
	recs, err := uplinktest.Codec{}.Decode(nil, b.Codec, b.RawLen, b.Count, b.Body)
	if err != nil {
		return it, err
	}
	body, used, raw, err := codec.Encode(nil, recs, record.CodecPlain)
	b.Body, b.Codec, b.RawLen, b.CRC = body, used, uint32(raw), wire.Checksum(body)
	return it, err
}

// Series knows none that no store takes.
func (l *log) Series(e record.Epoch, id record.SeriesID) (record.Series, bool) {
	if id > record.MaxSeriesPerEpoch {
		return record.Series{}, false
	}
	return l.Log.Series(e, id)
}

// current is the state that is being worked on: closures that cannot be copied look here.
var (
	current *state
	replies []*wire.Ack
	broken  func(*state, wire.Message) wire.Message // breaks a rule on the way, nil from it: the message is lost; not set: no rule is broken
	codec   = new(uplink.Bodies)
)

func mint() record.Epoch {
	current.epochs++
	return current.epochs
}

func random() uint64 {
	current.nonces++
	return current.nonces
}

func reply(a *wire.Ack) { replies = append(replies, through(a).(*wire.Ack)) }

func (s *state) newLog(name string) *log {
	return &log{uplinktest.NewLog(name, 1, mint)}
}

// sender is a new process on the logs.
func (s *state) sender(logs []*log) *uplink.Sender {
	var src []uplink.Source
	for _, l := range logs {
		src = append(src, l)
	}
	return uplink.New(uplink.Options{Window: maxWay * frameMax, FrameCost: frameMax, NoGather: true, Codec: codec, Random: random}, src...)
}

func newHub() part[receive.Receiver] {
	return whole(receive.New(receive.Options{Store: hubStore{}, CreditBytes: credit, Linger: -1}))
}

func start(r *run) *state {
	s := &state{store: whole(memory.New(nil)), left: r.budget, now: time.Now(),
		truth: whole(&truth{Where: map[int64][]place{}, Free: map[int64]bool{}, Links: map[record.Epoch]link{}})}
	current = s
	b := &box{}
	for _, name := range r.streams {
		b.logs = append(b.logs, s.newLog(name))
	}
	b.s = s.sender(b.logs)
	s.boxes = []part[box]{whole(b)}
	s.hubs = []part[receive.Receiver]{newHub()}
	if r.before != nil {
		r.before(s)
	}
	return s
}

// settle takes the first fair step that is possible until everything is done.
func (s *state) settle() {
	for range 500 {
		if s.done() {
			return
		}
		for _, a := range s.fair() {
			if a.do(s) {
				break
			}
		}
		s.check()
	}
	s.violation("what stands before the run does not come to rest")
}

// restarted is a machine that was resumed from a snapshot, has appended a record where the hub has two others, and was
// restarted before it heard of that.
func restarted(s *state) {
	plain := record.Record{Type: record.TypeInt}
	s.append(0, 0, plain)
	s.settle()
	s.snap = s.boxes[0].shared()
	s.append(0, 0, plain)
	s.append(0, 0, plain)
	s.settle()
	s.resume()
	s.append(0, 0, plain)
	s.check()
	s.restart(0)
}

// action is one thing that may happen next.
type action struct {
	name func() string // while the state is as it was before
	fair bool          // the world does it by itself, sooner or later: no fault, nothing new
	do   func(s *state) bool
}

func named(format string, args ...any) func() string {
	return func() string { return fmt.Sprintf(format, args...) }
}

// told names an action after a message.
func told(format string, m message) func() string {
	return func() string { return fmt.Sprintf(format, tell(m.Message)) }
}

// through is the message as its bytes say it.
func through(m wire.Message) wire.Message {
	var out wire.Message
	var err error
	switch m := m.(type) {
	case *wire.Data:
		out, err = wire.ParseData(m.Stream, wire.AppendData(nil, m))
	case *wire.Gap:
		out, err = wire.ParseGap(m.Stream, wire.AppendGap(nil, m))
	case *wire.Hello:
		out, err = wire.ParseHello(wire.AppendHello(nil, m))
	case *wire.Ack:
		out, err = wire.ParseAck(wire.AppendAck(nil, m))
	}
	if err != nil {
		panic(err)
	}
	return out
}

// take lets a hub take a message and answer.
func (s *state) take(hub int, m message) {
	replies = nil
	h := s.hubs[hub].change()
	h.Handle(device, through(m.Message), reply)
	h.Work(context.Background())
	for _, a := range replies {
		s.stated(a)
		if broken != nil {
			a = broken(s, a).(*wire.Ack)
		}
		s.down = append(s.down, send(a))
	}
}

// hear gives an answer to every box: all are one device.
func (s *state) hear(a message) {
	for i := range s.boxes {
		if s.boxes[i].v.connected {
			s.boxes[i].change().s.Received(through(a.Message), s.now)
		}
	}
}

// without is a list without one of its messages.
func without(list []message, i int) []message { return append(list[:i:i], list[i+1:]...) }

// fair are the steps of the world without faults.
func (s *state) fair() (out []action) {
	for i := range s.boxes {
		if !s.boxes[i].v.connected {
			out = append(out, action{named("connect %d", i), true, func(s *state) bool {
				b := s.boxes[i].change()
				b.connected = true
				b.s.Connected(s.now)
				return true
			}})
			continue
		}
		if len(s.up) < maxWay {
			out = append(out, action{named("send %d", i), true, func(s *state) bool {
				m, ok := s.boxes[i].change().s.Next(s.now)
				if !ok {
					return false
				}
				if m = through(m); broken != nil {
					m = broken(s, m)
				}
				if m != nil {
					s.up = append(s.up, send(m))
				}
				return true
			}})
		}
	}
	for i := range s.up {
		for h := range s.hubs {
			if len(s.down) < maxWay {
				out = append(out, action{told(fmt.Sprint("hub ", h, " takes %s"), s.up[i]), true, func(s *state) bool {
					m := s.up[i]
					s.up = without(s.up, i)
					s.take(h, m)
					return true
				}})
			}
		}
	}
	for i := range s.down {
		out = append(out, action{told("box hears %s", s.down[i]), true, func(s *state) bool {
			a := s.down[i]
			s.down = without(s.down, i)
			s.hear(a)
			return true
		}})
	}
	if len(s.up)+len(s.down) == 0 && !s.done() {
		for i := range s.boxes {
			out = append(out, s.tick(i, true))
		}
	}
	return out
}

// tick is the next time-out of a box.
func (s *state) tick(i int, fair bool) action {
	return action{named("time-out of %d", i), fair, func(s *state) bool {
		b := s.boxes[i].v
		at := b.s.Wake()
		if !b.connected || at.IsZero() {
			return false
		}
		if at.After(s.now) {
			s.now = at
		}
		s.boxes[i].change().s.Tick(s.now)
		return true
	}}
}

func tell(m wire.Message) string {
	switch m := m.(type) {
	case *wire.Hello:
		t := fmt.Sprintf("hello %d:", m.Nonce)
		for _, st := range m.Streams {
			for _, e := range st.Epochs {
				t += fmt.Sprintf(" %s e%d<e%d@%d [%d,%d)", st.Stream, uint64(e.Epoch), uint64(e.Parent), e.ParentEnd, e.First, e.End)
			}
		}
		return t
	case *wire.Data:
		return fmt.Sprintf("data %s e%d<e%d@%d [%d,%d) under %d", m.Stream, uint64(m.Epoch), uint64(m.Parent), m.ParentEnd, m.Base, uint64(m.Base)+uint64(m.Count), m.Nonce)
	case *wire.Gap:
		return fmt.Sprintf("gap %s e%d [%d,%d) %s under %d", m.Stream, uint64(m.Epoch), m.From, m.To, m.Reason, m.Nonce)
	case *wire.Ack:
		t := fmt.Sprintf("ack of %d:", m.Nonce)
		if m.Answer {
			t = fmt.Sprintf("answer to %d:", m.Nonce)
		}
		for _, p := range m.Positions {
			t += fmt.Sprintf(" e%d %d %s", uint64(p.Epoch), p.Next, p.Verdict)
		}
		return t
	}
	return fmt.Sprintf("%T", m)
}

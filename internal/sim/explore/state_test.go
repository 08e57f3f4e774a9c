package explore

import (
	"context"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
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
type state struct {
	boxes []*box
	up    []wire.Message
	down  []*wire.Ack
	hubs  []*receive.Receiver
	store *memory.Store
	save  *memory.Store
	snap  *box // a snapshot of memory and disk
	spare []*log

	left   budget
	truth  truth
	now    time.Time
	num    int64
	epochs record.Epoch
	wrong  string
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

// log is the model log with real bodies.
type log struct {
	*uplinktest.Log
	enc record.Encoder
}

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
	body, used, raw, err := l.enc.Encode(nil, recs, record.CodecPlain)
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
	nonces  uint64
	replies []*wire.Ack
	broken  func(wire.Message) wire.Message // breaks a rule on the way, nil from it: the message is lost; not set: no rule is broken
	codec   = new(uplink.Bodies)
)

func mint() record.Epoch {
	current.epochs++
	return current.epochs
}

func random() uint64 {
	nonces++
	return nonces
}

func (s *state) newLog(name string) *log {
	return &log{Log: uplinktest.NewLog(name, 1, mint)}
}

// sender is a new process on the logs.
func (s *state) sender(logs []*log) *uplink.Sender {
	var src []uplink.Source
	for _, l := range logs {
		src = append(src, l)
	}
	return uplink.New(uplink.Options{Window: maxWay * frameMax, FrameCost: frameMax, NoGather: true, Codec: codec, Random: random}, src...)
}

func (s *state) hub() *receive.Receiver {
	return receive.New(receive.Options{Store: s.store, CreditBytes: credit, Linger: -1})
}

func start(r *run) *state {
	s := &state{store: memory.New(nil), left: r.budget, now: time.Now(), truth: truth{Where: map[int64][]place{}, Free: map[int64]bool{}, Links: map[record.Epoch]link{}}}
	current = s
	b := &box{}
	for _, name := range r.streams {
		b.logs = append(b.logs, s.newLog(name))
	}
	b.s = s.sender(b.logs)
	s.boxes = []*box{b}
	s.hubs = []*receive.Receiver{s.hub()}
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
	b := s.boxes[0]
	plain := record.Record{Type: record.TypeInt}
	s.append(b, 0, plain)
	s.settle()
	s.snap = copyOf(b)
	s.append(b, 0, plain)
	s.append(b, 0, plain)
	s.settle()
	s.discard(b.logs, s.snap.logs)
	s.boxes[0], s.snap = s.snap, nil
	s.left.snaps++
	b = s.boxes[0]
	b.connected = false
	b.s.Disconnected(s.now, nil)
	s.append(b, 0, plain)
	s.check()
	s.restart(b)
}

// action is one thing that may happen next.
type action struct {
	name string
	fair bool // the world does it by itself, sooner or later: no fault, nothing new
	do   func(s *state) bool
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
func (s *state) take(hub int, m wire.Message) {
	replies = nil
	h := s.hubs[hub]
	h.Handle(device, m, func(a *wire.Ack) { replies = append(replies, through(a).(*wire.Ack)) })
	h.Work(context.Background())
	for _, a := range replies {
		s.stated(a)
		if broken != nil {
			a = broken(a).(*wire.Ack)
		}
		s.down = append(s.down, a)
	}
}

// hear gives an answer to every box: all are one device.
func (s *state) hear(a *wire.Ack) {
	for _, b := range s.boxes {
		if b.connected {
			b.s.Received(through(a), s.now)
		}
	}
}

// fair are the steps of the world without faults.
func (s *state) fair() (out []action) {
	for i := range s.boxes {
		b := s.boxes[i]
		if !b.connected {
			out = append(out, action{fmt.Sprintf("connect %d", i), true, func(s *state) bool {
				s.boxes[i].connected = true
				s.boxes[i].s.Connected(s.now)
				return true
			}})
			continue
		}
		if len(s.up) < maxWay {
			out = append(out, action{fmt.Sprintf("send %d", i), true, func(s *state) bool {
				m, ok := s.boxes[i].s.Next(s.now)
				if !ok {
					return false
				}
				if m = through(m); broken != nil {
					m = broken(m)
				}
				if m != nil {
					s.up = append(s.up, m)
				}
				return true
			}})
		}
	}
	for i := range s.up {
		for h := range s.hubs {
			if len(s.down) < maxWay {
				out = append(out, action{fmt.Sprintf("hub %d takes %s", h, tell(s.up[i])), true, func(s *state) bool {
					m := s.up[i]
					s.up = append(s.up[:i:i], s.up[i+1:]...)
					s.take(h, m)
					return true
				}})
			}
		}
	}
	for i := range s.down {
		out = append(out, action{"box hears " + tell(s.down[i]), true, func(s *state) bool {
			a := s.down[i]
			s.down = append(s.down[:i:i], s.down[i+1:]...)
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
	return action{fmt.Sprintf("time-out of %d", i), fair, func(s *state) bool {
		b := s.boxes[i]
		at := b.s.Wake()
		if !b.connected || at.IsZero() {
			return false
		}
		if at.After(s.now) {
			s.now = at
		}
		b.s.Tick(s.now)
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

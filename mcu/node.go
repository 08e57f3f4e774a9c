package mcu

import (
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// node is what is known of one node. Its methods are the decisions of a line: they neither wait nor ask.
type node struct {
	cfg      Node
	producer string
	labels   []record.Label

	id    Identity
	known bool // id is of the life that is running
	life  uint64
	boot  uint32 // of the life
	given uint64 // incarnation that we try to give it
	slots [sensorSlots]Slot
	table bool // slots are read
	plain bool // it, or what is between, does not know functionTake
	begun bool // the log has a draft of this life, or nothing is owed

	taken   uint32 // last sequence given to the log
	durable uint32
	pending []promise // what the log has taken and not yet made durable, oldest first; at most maxPending
	low     uint16    // overflows of this life at the last look
	looked  bool
	settled time.Time // when the log last knew of everything that the queue had dropped
	owed    []LostRecord

	ticks ticks
	fill  int           // at the last look
	more  int           // of them beyond what that look brought
	rate  float64       // events per second
	every time.Duration // between two looks
	rated time.Time
	due   time.Time
	state nodeState
}

// promise is a ticket for the events up to a sequence.
type promise struct {
	sequence uint32
	ticket   Ticket
}

// promised notes a ticket. Where many wait, the last one speaks for those before it too.
func (n *node) promised(sequence uint32, t Ticket) {
	n.taken = sequence
	if len(n.pending) == maxPending {
		n.pending = n.pending[:maxPending-1]
	}
	n.pending = append(n.pending, promise{sequence, t})
}

// nodeState is how the node is reached.
type nodeState struct {
	status   Status
	fails    int
	silent   time.Time // since when
	offline  bool
	heard    time.Time
	checked  time.Time // settings and clock
	stats    time.Time
	wrong    bool      // settings were reported as wrong
	clockAt  time.Time // when the clock chip was set, with the offset that was left
	clockBy  time.Duration
	full     bool   // the log refuses
	released uint32 // as the node said last
}

func newNode(c Node) *node {
	n := &node{cfg: c, producer: Producer(c.Name)}
	n.labels = append([]record.Label{{Key: "node", Value: c.Name}}, c.Labels...)
	n.state.status = Status{Name: c.Name, Unit: c.Unit, State: StateUnknown, Lost: map[string]uint64{}}
	return n
}

// Producer is the name under which the log keeps the position of a node.
func Producer(node string) string { return "node:" + node }

// incarnation is a new number for a life: boots in the high word, so that lives nobody heard of show in the log, and a
// random low word, so that a node whose counter was lost is no other.
func incarnation(boots uint32, random func() uint32) uint64 {
	low := random()
	for low == 0 {
		low = random()
	}
	return uint64(boots)<<32 | uint64(low)
}

func bootOf(incarnation uint64) uint32 { return uint32(incarnation >> 32) }

// begin starts a life, whose boot counter is n.id.Boots. The number that was given may say another one: a node can restart
// between the question who it is and the gift (the log then misnames that life by one after a restart of
// the agent). last is what the log has of this producer, overflows what the node says of this life, more that its queue may
// have run over before.
func (n *node) begin(life uint64, b Block, overflows uint32, last record.ProducerPosition, has, more bool) {
	before, beforeBoot := n.life, n.boot
	n.boot = n.id.Boots
	n.life, n.given, n.known, n.table, n.looked, n.plain = life, 0, true, false, false, false
	n.ticks, n.fill, n.more, n.rate, n.rated = ticks{}, 0, 0, 0, time.Time{}
	n.owed, n.taken, n.durable, n.pending = nil, 0, 0, nil
	if has && last.Incarnation == life {
		n.begun = true
		n.taken, n.durable = uint32(last.Sequence), uint32(last.Sequence)
		return
	}
	n.begun = false
	switch was := bootOf(last.Incarnation); {
	case has:
		if before == last.Incarnation {
			was = beforeBoot
		}
		n.owed = append(n.owed, LostRecord{Reason: LostReset, Incarnation: hex16(last.Incarnation), Boot: was,
			Last: uint32(last.Sequence), AtMost: uint64(n.id.Queue), More: more})
		if now := n.boot; was != 0 && now > was+1 {
			n.owed = append(n.owed, LostRecord{Reason: LostUnseen, Boot: was + 1, ToBoot: now - 1, AtMost: uint64(now-was-1) * uint64(n.id.Queue), More: more})
		}
	case before != 0 && beforeBoot < n.boot: // lives that we met and of which nothing came here
		n.owed = append(n.owed, LostRecord{Reason: LostUnseen, Boot: beforeBoot, ToBoot: n.boot - 1, AtMost: uint64(n.boot-beforeBoot) * uint64(n.id.Queue)})
	}
	if uint16(overflows) > b.Lost { // it was read before the block, and its low word has come round
		overflows += 1 << 16
	}
	overflows = overflows&^0xffff | uint32(b.Lost)
	if b.Released > overflows { // another box has taken events of this life
		if overflows > 0 {
			n.owed = append(n.owed, LostRecord{Reason: LostOverflow, Incarnation: hex16(life), Boot: n.boot, Count: uint64(overflows)})
		}
		n.taken, n.durable = b.Released, b.Released
	}
}

// restarted reports whether the block is of another life than the one that is known.
func (n *node) restarted(b Block) bool { return !n.known || b.Incarnation != n.life }

// unsure reports whether the queue may have run over since it was accounted for.
func (n *node) unsure(now time.Time) bool {
	gap := now.Sub(n.settled)
	return n.settled.IsZero() || gap > offlineAfter || n.more > 0 || 2*(n.fill+int(2*n.rate*gap.Seconds())) >= n.id.Queue
}

// fresh is what of a block is new: events, and what was lost before them.
func (n *node) fresh(b Block) (events []Event, lost []LostRecord) {
	for _, e := range b.Events {
		if e.Sequence > n.taken {
			events = append(events, e)
		}
	}
	if b.Released > n.taken {
		why := LostOverflow
		if n.looked && b.Lost == n.low || !n.looked && b.Lost == 0 { // nothing overflowed: what we acknowledged is not in the log
			why = LostLog
		}
		lost = append(lost, LostRecord{Reason: why, Incarnation: hex16(n.life), Boot: n.boot, Last: n.taken, To: b.Released, Count: uint64(b.Released - n.taken)})
	}
	return events, lost
}

// romAt tells which sensor stood in a slot at each event of a block: before is the table of the last look, n.slots the
// one that was read behind the block. In between two changes of one slot within a block nobody knows.
func (n *node) romAt(events []Event, before [sensorSlots]Slot, had bool) func(i int) func(slot uint8) string {
	var first, last [sensorSlots]int
	for s := range first {
		first[s], last[s] = len(events), -1
	}
	for i, e := range events {
		if e.Kind == KindSensor && e.Value == 1 && int(e.Source) < sensorSlots {
			first[e.Source] = min(first[e.Source], i)
			last[e.Source] = i
		}
	}
	return func(i int) func(uint8) string {
		return func(slot uint8) string {
			switch {
			case int(slot) >= sensorSlots:
				return ""
			case i >= last[slot]:
				return n.slots[slot].ROM
			case i < first[slot] && had:
				return before[slot].ROM
			}
			return ""
		}
	}
}

// wantsTable reports whether the events can only be named with a new look at the sensors.
func (n *node) wantsTable(events []Event) bool {
	for _, e := range events {
		if e.Kind == KindSensor || e.Kind == KindReading && !n.table {
			return true
		}
	}
	return false
}

// urgent reports whether the queue fills faster than the log's own pace empties it.
func (n *node) urgent(b Block) bool {
	return b.Fill > len(b.Events) || 2*b.Fill >= n.id.Queue
}

// paced notes how many events a block brought and says when to look again: at once while more wait; else sooner the
// fuller the queue was, so that it is never much more than half full, and ever later while little comes.
func (n *node) paced(now time.Time, got int, b Block, poll time.Duration) time.Duration {
	if !n.rated.IsZero() {
		if span := now.Sub(n.rated).Seconds(); span > 0.001 {
			n.rate += (float64(got)/span - n.rate) * min(span/2, 0.5)
		}
	}
	n.rated, n.fill, n.more = now, b.Fill, b.Fill-len(b.Events)
	if n.every == 0 || n.every > poll {
		n.every = poll
	}
	switch {
	case n.more > 0:
		n.every = MinPoll
		return 0
	case 4*got >= 3*n.id.Queue:
		n.every /= 4
	case 2*got >= n.id.Queue:
		n.every /= 2
	case 4*got < n.id.Queue:
		n.every += n.every / 4
	}
	n.every = min(max(n.every, MinPoll), poll)
	return n.every
}

// failed notes a question without a good answer and returns the pause before the next; offline is true once.
func (s *nodeState) failed(now time.Time, poll time.Duration, random func() uint32) (pause time.Duration, offline bool) {
	if s.fails++; s.fails == 1 {
		s.silent = now
	}
	if !s.offline && now.Sub(s.silent) >= offlineAfter {
		s.offline, offline = true, true
	}
	pause = poll
	for i := 1; i < s.fails && pause < maxBackoff; i++ {
		pause *= 2
	}
	if !s.offline {
		pause = min(pause, time.Second)
	}
	pause = min(pause, maxBackoff)
	return pause + time.Duration(int64(random())%(int64(pause)/8+1)), offline
}

// answered notes a good answer; back is true if the node was offline.
func (s *nodeState) answered(now time.Time) (back bool) {
	back = s.offline
	s.fails, s.offline, s.heard = 0, false, now
	return back
}

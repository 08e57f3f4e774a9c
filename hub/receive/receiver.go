package receive

import (
	"context"
	"time"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// Options of a Receiver. Store is required; the zero value of everything else works.
type Options struct {
	Store       store.Store
	QueueBytes  int           // frames that may wait for the store, over all devices; beyond it they are dropped and counted
	CreditBytes int           // sum of the credits of connected devices: what the broker may hold for the hub
	Messages    int           // frames that the broker queues for the hub; with thousands of devices raise both
	MaxRows     int           // rows of one transaction, about
	Linger      time.Duration // how long the first frame waits for others to share its transaction, ≤ MaxLinger; < 0: not at all
	MaxDevices  int           // devices whose state is kept in memory between their frames
	Synced      func() bool   // whether this machine's clock is synchronised; nil: no
	Owner       Owner         // which devices are this hub's; nil: all
	Events      Events
}

// Owner says which devices are this hub's where several hubs share a store. Its methods may be called concurrently.
type Owner interface {
	// Fence is under what changes of a device are made; false: the device is another hub's.
	Fence(device string) (store.Fence, bool)
	// Fenced says that the store has refused changes under a fence: the device is another hub's by now.
	Fenced(store.Fence)
}

// Events are called from Run; each may be nil and must not block.
type Events struct {
	StoreDown func(err error)            // the store takes nothing; nothing is acknowledged until StoreUp
	StoreUp   func(down time.Duration)   // it works again
	Notice    func(device, text string)  // "conflict STREAM EPOCH", "two-writers STREAM", "chain-break STREAM EPOCH", "unknown-parent STREAM EPOCH", "producer-memory STREAM PRODUCER"
	Dropped   func(device string, n int) // messages dropped because the queue was full
}

func (o Options) withDefaults() Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.QueueBytes, DefaultQueueBytes)
	def(&o.CreditBytes, DefaultCreditBytes)
	def(&o.Messages, DefaultMessages)
	def(&o.MaxRows, DefaultMaxRows)
	def(&o.MaxDevices, DefaultMaxDevices)
	if o.Linger == 0 {
		o.Linger = DefaultLinger
	}
	o.Linger = min(max(o.Linger, 0), MaxLinger)
	if o.Synced == nil {
		o.Synced = func() bool { return false }
	}
	return o
}

// Reply sends an answer or ack to the device that a message came from. It is called from Run and must not block.
type Reply func(*wire.Ack)

// Receiver takes the messages of all devices, commits what they bring in rounds of many devices, and answers. Handle,
// Online, Stats and Devices may be called concurrently with Run.
type Receiver struct {
	o     Options
	queue queue
	stats counters

	// What follows belongs to Run.
	devices    map[string]*device
	views      int // devices whose view is kept
	viewEpochs int // epochs in them
	bodies     bodies
	credit     credit
	store      storeState
	lastTurn   time.Time
}

// New makes a receiver.
func New(o Options) *Receiver {
	o = o.withDefaults()
	r := &Receiver{o: o, devices: map[string]*device{}, credit: newCredit(min(o.CreditBytes, o.QueueBytes), o.Messages)}
	r.queue.wake = make(chan struct{}, 1)
	r.queue.limit, r.queue.frame = o.QueueBytes, r.credit.frame
	r.stats.devices = map[string]DeviceStatus{}
	return r
}

// Handle queues a message of a device; what is over the bound is dropped, and the agent sends it again. It does not
// block. The message belongs to the receiver from now on.
//
// A message of a device that is another hub's is dropped and counted.
func (r *Receiver) Handle(device string, m wire.Message, reply func(*wire.Ack)) {
	if _, mine := r.fence(device); !mine {
		r.stats.add(&r.stats.s.Foreign, 1)
		return
	}
	it := item{device: device, m: m, reply: reply, size: frameOverhead}
	rows, limit := 0, r.queue.limit
	switch m := m.(type) {
	case *wire.Data:
		it.size += len(m.Body) + definitionBytes*len(m.Definitions)
		rows = int(m.Count)
	case *wire.Gap:
	case *wire.Hello:
		for _, s := range m.Streams {
			it.size += frameOverhead + epochBytes*len(s.Epochs)
		}
		limit += limit / maxHelloShare // room to say where things stand even when frames fill the queue
	default:
		r.Hostile(device)
		return
	}
	r.stats.seen(device, m)
	r.queue.put(it, rows, limit)
}

const (
	definitionBytes = 64 // of one definition in memory, about
	epochBytes      = 64
)

// Online says that a device's connection to the broker stands or has ended, as its birth and will tell.
func (r *Receiver) Online(device string, online bool) {
	r.queue.put(item{device: device, online: online}, 0, 2*r.queue.limit)
}

// Hostile counts a message that no honest agent sends: a topic that disagrees with its content, bytes that no agent
// writes. device may be "".
func (r *Receiver) Hostile(device string) { r.stats.hostile(device) }

// Run works until ctx ends and returns nil then: what is still queued was not acknowledged and comes again. Nothing
// else ends it; while the store is down it waits and tries again.
func (r *Receiver) Run(ctx context.Context) error {
	tick := time.NewTicker(creditTick)
	defer tick.Stop()
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	var due <-chan time.Time // not nil while the first frame waits for others
	for {
		waiting, now, dropped := r.queue.state(r.o.MaxRows)
		r.dropped(dropped)
		if waiting > 0 && (now || r.o.Linger == 0) {
			due = nil
			r.round(ctx)
			r.turn(time.Now())
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		if waiting > 0 && due == nil {
			linger.Reset(r.o.Linger)
			due = linger.C
		}
		select {
		case <-r.queue.wake:
		case <-due:
			due = nil
			r.round(ctx)
			r.turn(time.Now())
		case <-tick.C:
			r.turn(time.Now())
		case <-ctx.Done():
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// Work does what Run does with the messages that wait now, in the caller's goroutine, for one that has no clock and drives
// it step by step. Run must not be running.
func (r *Receiver) Work(ctx context.Context) {
	for ctx.Err() == nil {
		if waiting, _, _ := r.queue.state(r.o.MaxRows); waiting == 0 {
			return
		}
		r.round(ctx)
	}
}

func (r *Receiver) dropped(by map[string]int) {
	for device, n := range by {
		r.stats.dropped(device, n)
		if r.o.Events.Dropped != nil {
			r.o.Events.Dropped(device, n)
		}
	}
}

// fence is under what changes of a device are made; false: it is not ours.
func (r *Receiver) fence(device string) (store.Fence, bool) {
	if r.o.Owner == nil {
		return store.Fence{}, true
	}
	return r.o.Owner.Fence(device)
}

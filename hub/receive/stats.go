package receive

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// Stats counts since the receiver was made.
type Stats struct {
	Hellos      uint64        `json:"hellos"`
	Frames      uint64        `json:"frames"`
	Acks        uint64        `json:"acks"`
	Rows        uint64        `json:"rows"`         // stored
	Late        uint64        `json:"late"`         // rows that filled gaps, counted among Rows too
	Gaps        uint64        `json:"gaps"`         // recorded
	Repeats     uint64        `json:"repeats"`      // records not stored (H6)
	DeadLetters uint64        `json:"dead_letters"` // records not stored (H5)
	Duplicates  uint64        `json:"duplicates"`   // frames, as all down to Conflicts
	Rewinds     uint64        `json:"rewinds"`
	Waits       uint64        `json:"waits"`
	Definitions uint64        `json:"definitions"`
	BadCRC      uint64        `json:"bad_crc"`
	Unreadable  uint64        `json:"unreadable"`
	Conflicts   uint64        `json:"conflicts"`
	Hostile     uint64        `json:"hostile"` // messages that no honest agent sends
	Foreign     uint64        `json:"foreign"` // messages of devices that are another hub's
	Fenced      uint64        `json:"fenced"`  // rounds of a device that the store refused because it is another hub's
	Dropped     uint64        `json:"dropped"` // messages for which the queue had no room
	Lost        uint64        `json:"lost"`    // compare-and-sets lost to somebody else
	Commits     uint64        `json:"commits"`
	CommitLast  time.Duration `json:"commit_last_ns"`
	CommitMost  time.Duration `json:"commit_most_ns"`
	CommitSum   time.Duration `json:"commit_sum_ns"`
	QueueBytes  int           `json:"queue_bytes"`
	QueueItems  int           `json:"queue_items"`
	Devices     int           `json:"devices"`
	Active      int           `json:"active"`      // heard of within the last 18 minutes
	StoreError  string        `json:"store_error"` // "" while the store works
	StoreDown   time.Time     `json:"store_down,omitzero"`
	LastMessage time.Time     `json:"last_message,omitzero"`
	LastFrame   time.Time     `json:"last_frame,omitzero"`
	CreditGiven int           `json:"credit_given"` // bytes that devices may have on their way
}

// DeviceStatus is what the receiver has seen of one device.
type DeviceStatus struct {
	Device     string            `json:"device"`
	Online     bool              `json:"online"` // its birth came and its will did not
	LastHello  time.Time         `json:"last_hello,omitzero"`
	LastFrame  time.Time         `json:"last_frame,omitzero"`
	Agent      string            `json:"agent"` // version
	Clock      string            `json:"clock"`
	Inventory  map[string]string `json:"inventory"`
	Notices    []string          `json:"notices"`
	Hostile    uint64            `json:"hostile"`
	Dropped    uint64            `json:"dropped"`
	Behind     uint64            `json:"behind"`               // records that its last hello held above the stored positions
	Positions  int               `json:"positions"`            // epochs that the store knows
	LastStored time.Time         `json:"last_stored,omitzero"` // last transaction for it
}

type counters struct {
	mu      sync.Mutex // guards what follows
	s       Stats
	devices map[string]DeviceStatus
	counted time.Time // when active devices were counted
	count   int
}

// Stats returns what was counted.
func (r *Receiver) Stats() Stats {
	r.queue.mu.Lock()
	bytes, items := r.queue.bytes, len(r.queue.items)+len(r.queue.urgent)
	r.queue.mu.Unlock()
	c := &r.stats
	active := c.active()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	s.QueueBytes, s.QueueItems, s.Devices, s.Active = bytes, items, len(c.devices), active
	return s
}

// Heard is when the last message and the last frame of any device came, and how many bytes devices may have on their
// way.
func (r *Receiver) Heard() (message, frame time.Time, credit int) {
	c := &r.stats
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.LastMessage, c.s.LastFrame, c.s.CreditGiven
}

// Devices returns what is known of each device of this hub, ascending by name.
func (r *Receiver) Devices() []DeviceStatus {
	c := &r.stats
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Collect(maps.Values(c.devices))
	if r.o.Owner != nil {
		out = slices.DeleteFunc(out, func(d DeviceStatus) bool { _, mine := r.fence(d.Device); return !mine })
	}
	slices.SortFunc(out, func(a, b DeviceStatus) int { return strings.Compare(a.Device, b.Device) })
	for i := range out {
		out[i].Inventory, out[i].Notices = maps.Clone(out[i].Inventory), slices.Clone(out[i].Notices)
	}
	return out
}

// Present lists the devices whose birth came and whose will did not, other hubs' included.
func (r *Receiver) Present() (out []string) {
	c := &r.stats
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, d := range c.devices {
		if d.Online {
			out = append(out, name)
		}
	}
	return out
}

func (c *counters) add(n *uint64, by uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n += by
}

// device changes one entry.
func (c *counters) device(name string, change func(*DeviceStatus)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, known := c.devices[name]
	if !known && (name == "" || len(c.devices) >= maxDevices) {
		return
	}
	d.Device = name
	change(&d)
	c.devices[name] = d
}

func (c *counters) seen(name string, m wire.Message) {
	now := time.Now()
	_, hello := m.(*wire.Hello)
	c.mu.Lock()
	c.s.LastMessage = now
	if hello {
		c.s.Hellos++
	} else {
		c.s.Frames++
		c.s.LastFrame = now
	}
	c.mu.Unlock()
	c.device(name, func(d *DeviceStatus) {
		if hello {
			d.LastHello = now
		} else {
			d.LastFrame = now
		}
	})
}

func (c *counters) hostile(name string) {
	c.add(&c.s.Hostile, 1)
	c.mu.Lock()
	_, known := c.devices[name]
	c.mu.Unlock()
	if known { // a forger may write any name
		c.device(name, func(d *DeviceStatus) { d.Hostile++ })
	}
}

func (c *counters) dropped(name string, n int) {
	c.add(&c.s.Dropped, uint64(n))
	c.device(name, func(d *DeviceStatus) { d.Dropped += uint64(n) })
}

func (c *counters) state(name string, online bool) {
	c.device(name, func(d *DeviceStatus) { d.Online = online })
}

func (c *counters) notices(name string, list []string) {
	if len(list) > 0 {
		c.device(name, func(d *DeviceStatus) { d.Notices = slices.Clone(list) })
	}
}

// disown forgets all but whether the device is there: another hub serves it.
func (c *counters) disown(name string) {
	c.device(name, func(d *DeviceStatus) { *d = DeviceStatus{Device: name, Online: d.Online} })
}

func (c *counters) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.devices, name)
}

// active counts devices that were heard of lately.
func (c *counters) active() int {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.counted) > creditTick {
		c.counted, c.count = now, 0
		for _, d := range c.devices {
			if now.Sub(d.LastHello) < activeFor || now.Sub(d.LastFrame) < activeFor {
				c.count++
			}
		}
	}
	return max(c.count, 1)
}

// hello notes who a device says it is, and how far behind the store is.
func (c *counters) hello(name string, h *wire.Hello, stored []store.Position) {
	next := make(map[Key]store.Position, len(stored))
	for _, p := range stored {
		next[Key{p.Stream, p.Epoch}] = p
	}
	behind := uint64(0)
	for _, st := range h.Streams {
		for _, e := range st.Epochs {
			from := e.First
			if p, ok := next[Key{st.Stream, e.Epoch}]; ok {
				from = p.Next
			}
			if e.End > from {
				behind += uint64(e.End - from)
			}
		}
	}
	c.device(name, func(d *DeviceStatus) {
		d.Agent, d.Clock, d.Positions = h.Agent, h.Clock, len(stored)
		if h.Part == 0 {
			d.Inventory, d.Behind = h.Inventory, 0
		}
		d.Behind += behind
	})
}

func (c *counters) outcome(d *Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := [...]*uint64{Duplicate: &c.s.Duplicates, Rewind: &c.s.Rewinds, Wait: &c.s.Waits, Definitions: &c.s.Definitions,
		Damaged: &c.s.BadCRC, Unreadable: &c.s.Unreadable, Conflict: &c.s.Conflicts}[d.Outcome]
	if n != nil {
		*n++
	}
}

// committed counts what a transaction applied.
func (c *counters) committed(changes []store.Change, results []store.Result, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Commits++
	c.s.CommitLast, c.s.CommitSum, c.s.CommitMost = took, c.s.CommitSum+took, max(c.s.CommitMost, took)
	for i := range results {
		if !results[i].Applied {
			continue
		}
		ch := &changes[i]
		rows := uint64(len(ch.Rows))
		for _, k := range ch.Skips {
			rows -= k.Len()
			if k.Reason == SkipRepeat {
				c.s.Repeats += k.Len()
			}
		}
		c.s.Rows += rows
		if ch.Late {
			c.s.Late += rows
		}
		c.s.Gaps += uint64(len(ch.Gaps))
		c.s.DeadLetters += uint64(len(ch.DeadLetters))
	}
}

func (c *counters) stored(name string) {
	now := time.Now()
	c.device(name, func(d *DeviceStatus) { d.LastStored = now })
}

func (c *counters) credit(given int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.CreditGiven = given
}

func (c *counters) store(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.s.StoreError, c.s.StoreDown = "", time.Time{}
		return
	}
	if c.s.StoreDown.IsZero() {
		c.s.StoreDown = time.Now()
	}
	if c.s.StoreError = err.Error(); errors.Is(err, store.ErrUnavailable) {
		return
	}
	c.s.StoreError = "not expected to mend itself: " + c.s.StoreError
}

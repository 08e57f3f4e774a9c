package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

func checksum(b []byte) uint32 { return wire.Checksum(b) }

// fleet is the load: many virtual agents.
type fleet struct {
	o       Options
	addr    string
	devices []*device
	latency latencies
	readers sync.WaitGroup
	closed  atomic.Bool
	loading atomic.Bool

	appended   atomic.Uint64
	reconnects atomic.Uint64
	resent     atomic.Uint64
	encoders   sync.Pool
}

// device is one virtual agent.
type device struct {
	f      *fleet
	name   string
	topics wire.Topics

	mu     sync.Mutex // guards what follows
	log    *memoryLog
	sender *uplink.Sender
	conn   *conn // nil: none
	timer  *time.Timer
	next   time.Time // when the next samples are due; zero before the load began
	pinged time.Time
	owed   float64 // samples, the part of one
	walk   []int64
	rng    *rand.Rand
	out    []published
	most   record.Offset // end of what was sent ever
}

// published is a frame that waits for its ack.
type published struct {
	end record.Offset
	at  time.Time
}

const (
	seriesOfDevice = 20
	pingEvery      = keepAlive / 2
)

func newFleet(o Options, port int) *fleet {
	f := &fleet{o: o, addr: fmt.Sprintf("127.0.0.1:%d", port)}
	f.encoders.New = func() any { return new(record.Encoder) }
	series := min(seriesOfDevice, max(1, int(o.Rate)))
	for i := range o.Devices {
		d := &device{f: f, name: fmt.Sprintf("bench-%05d", i), rng: rand.New(rand.NewPCG(uint64(i), 9)), walk: make([]int64, series)}
		d.owed = d.rng.Float64() // else all would owe the same part of a sample
		d.log = newMemoryLog("telemetry", series, record.Epoch(rand.Uint64()|1))
		d.sender = uplink.New(uplink.Options{Random: rand.Uint64, Identity: func(time.Time) uplink.Identity { return uplink.Identity{Agent: "bench"} }}, d.log)
		d.timer = time.AfterFunc(time.Hour, d.wake)
		d.timer.Stop()
		f.devices = append(f.devices, d)
	}
	return f
}

// connect connects all, some at a time.
func (f *fleet) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	var g sync.WaitGroup
	errs := make([]error, connectAtOnce)
	for w := range connectAtOnce {
		g.Go(func() {
			for i := w; i < len(f.devices) && errs[w] == nil; i += connectAtOnce {
				errs[w] = f.devices[i].connect(ctx)
			}
		})
	}
	g.Wait()
	return errors.Join(errs...)
}

func (f *fleet) connected() (n int) {
	for _, d := range f.devices {
		d.mu.Lock()
		if d.conn != nil {
			n++
		}
		d.mu.Unlock()
	}
	return n
}

// start lets the devices sample, their moments spread over one interval.
func (f *fleet) start() {
	f.loading.Store(true)
	now := time.Now()
	for i, d := range f.devices {
		d.mu.Lock()
		d.next = now.Add(f.o.Every * time.Duration(i+1) / time.Duration(len(f.devices)))
		d.pump(now)
		d.mu.Unlock()
	}
}

func (f *fleet) stopLoad() {
	f.loading.Store(false)
	for _, d := range f.devices {
		d.mu.Lock()
		d.next = time.Time{}
		d.mu.Unlock()
	}
}

// waiting is how many samples have not been acknowledged.
func (f *fleet) waiting() (n uint64) {
	for _, d := range f.devices {
		d.mu.Lock()
		n += uint64(d.log.end - d.log.delivered)
		d.mu.Unlock()
	}
	return n
}

func (f *fleet) close() {
	f.closed.Store(true)
	for _, d := range f.devices {
		d.mu.Lock()
		d.timer.Stop()
		if d.conn != nil {
			d.conn.close()
		}
		d.mu.Unlock()
	}
	f.readers.Wait()
}

func (d *device) connect(ctx context.Context) error {
	c, err := dial(ctx, d.f.addr, d.name, d.topics.State(d.name), wire.AppendState(nil, &wire.State{}))
	if err != nil {
		return fmt.Errorf("bench: connect %s: %w", d.name, err)
	}
	for _, err := range []error{c.subscribe(d.topics.Answer(d.name), 1), c.subscribe(d.topics.Hub(), 0),
		c.publish(d.topics.State(d.name), 1, true, wire.AppendState(nil, &wire.State{Online: true, Agent: "bench"}))} {
		if err != nil {
			c.close()
			return fmt.Errorf("bench: connect %s: %w", d.name, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.conn, d.pinged = c, now
	d.sender.Connected(now)
	d.pump(now)
	d.f.readers.Go(func() { d.read(c) })
	return nil
}

// read hears the hub until the connection ends, and then connects again.
func (d *device) read(c *conn) {
	err := c.receive(d.hear)
	for again := time.Second; ; again = min(2*again, 30*time.Second) {
		d.mu.Lock()
		if d.conn == c {
			d.conn = nil
			d.sender.Disconnected(time.Now(), err)
			d.out = d.out[:0]
		}
		d.mu.Unlock()
		c.close()
		if d.f.closed.Load() {
			return
		}
		d.f.reconnects.Add(1)
		time.Sleep(again/2 + rand.N(again/2))
		if d.f.closed.Load() || d.connect(context.Background()) == nil {
			return
		}
	}
}

func (d *device) hear(topic string, payload []byte) {
	now := time.Now()
	var m wire.Message
	if topic == d.topics.Answer(d.name) {
		if a, err := wire.ParseAck(payload); err == nil {
			m = a
		}
	}
	if m == nil {
		up, err := wire.ParseHubUp(payload)
		if err != nil {
			return
		}
		m = up
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sender.Received(m, now)
	for len(d.out) > 0 && d.out[0].end <= d.log.delivered {
		d.f.latency.add(now.Sub(d.out[0].at))
		d.out = d.out[1:]
	}
	d.pump(now)
}

func (d *device) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pump(time.Now())
}

// pump samples what is due, sends what may be sent, and sets the timer. The lock is held.
func (d *device) pump(now time.Time) {
	for !d.next.IsZero() && !now.Before(d.next) && d.f.loading.Load() {
		d.sample()
		d.next = d.next.Add(d.f.o.Every)
	}
	if d.conn == nil || d.f.closed.Load() {
		return
	}
	d.sender.Tick(now)
	for {
		m, ok := d.sender.Next(now)
		if !ok {
			break
		}
		if err := d.send(m, now); err != nil {
			d.conn.close() // its reader sees the end
			return
		}
	}
	if now.Sub(d.pinged) >= pingEvery {
		d.pinged = now
		if err := d.conn.ping(); err != nil {
			d.conn.close()
			return
		}
	}
	at := d.pinged.Add(pingEvery)
	for _, t := range []time.Time{d.sender.Wake(), d.next} {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	d.timer.Reset(max(time.Until(at), time.Millisecond))
}

func (d *device) send(m wire.Message, now time.Time) error {
	switch m := m.(type) {
	case *wire.Hello:
		return d.conn.publish(d.topics.Hello(d.name), 1, false, wire.AppendHello(nil, m))
	case *wire.Data:
		end := m.Base + record.Offset(m.Count)
		if end <= d.most {
			d.f.resent.Add(1)
		} else {
			d.most = end
			d.out = append(d.out, published{end, now})
		}
		return d.conn.publish(d.topics.Data(d.name, m.Stream), 1, false, wire.AppendData(make([]byte, 0, len(m.Body)+256), m))
	}
	return fmt.Errorf("bench: %T", m)
}

// sample appends what one interval brings.
func (d *device) sample() {
	every := d.f.o.Every
	d.owed += d.f.o.Rate * overload * every.Seconds()
	n := int(d.owed)
	d.owed -= float64(n)
	if n == 0 {
		return
	}
	enc := d.f.encoders.Get().(*record.Encoder)
	defer d.f.encoders.Put(enc)
	recs := samples(nil, d.rng, len(d.walk), d.walk, time.Now().Add(-every).UnixNano(), int64(every)/int64(n), n)
	if err := d.log.append(enc, recs); err != nil {
		panic("bench: encode: " + err.Error()) // records of our own making
	}
	d.f.appended.Add(uint64(n))
	d.sender.LogChanged(d.log.stream)
}

// latencies are the times from publish to ack.
type latencies struct {
	mu  sync.Mutex // guards all
	all []float64  // s
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d.Seconds())
}

func (l *latencies) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = nil
}

func (l *latencies) sorted() []float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.all)
	slices.Sort(out)
	return out
}

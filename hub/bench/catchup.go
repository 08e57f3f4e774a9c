package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/mqtt"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

const (
	backlogBox    = "bench-box"
	backlogDraft  = 2000 // samples
	backlogBytes  = 4 << 30
	eventEvery    = 200 * time.Millisecond
	valuesEvery   = time.Second
	catchUpLimit  = 10 * time.Minute
	backlogSeries = 20
)

// box is the delivering half of an agent: the real log on disk, the real sender and link.
type box struct {
	set       *buffer.Set
	telemetry *buffer.Log
	events    *buffer.Log
	loop      *uplink.Loop
	sources   []*uplink.Log
	link      atomic.Pointer[mqtt.Link]
	ids       []record.SeriesID
	event     record.SeriesID
	rng       *rand.Rand
	walk      []int64
}

// catchUp lets one box with a long backlog come back, while it goes on sampling: telemetry at the same rate, an event
// five times a second, latest values once a second.
func (m *machine) catchUp(ctx context.Context) error {
	b, err := m.openBox(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	failed := make(chan error, 4)
	run := func(f func(context.Context) error) {
		parts.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	defer func() {
		stop()
		parts.Wait()
		for _, s := range b.sources {
			err = errors.Join(err, s.Close())
		}
		err = errors.Join(err, b.set.Close())
	}()
	run(b.set.Run)
	n := uint64(m.o.CatchUp.Seconds() * m.o.Rate)
	began := time.Now()
	if err := b.fill(ctx, n, m.o); err != nil {
		return err
	}
	m.o.say("a backlog of %d samples stands on disk after %v; the link comes up", n, time.Since(began).Round(time.Millisecond))

	first, err := m.look()
	if err != nil {
		return err
	}
	var live lateness
	values, err := m.hearValues(ctx, &live)
	if err != nil {
		return err
	}
	defer values.Close()
	run(b.loop.Run)
	run(func(ctx context.Context) error { return b.live(ctx, m.o, &live) })
	for b.telemetry.Delivered() < record.Offset(n) {
		select {
		case err := <-failed:
			return err
		default:
		}
		if time.Since(first.at) > catchUpLimit {
			return fmt.Errorf("bench: %d of %d samples after %v", b.telemetry.Delivered(), n, catchUpLimit)
		}
		if !sleep(ctx, 5*time.Millisecond) {
			return ctx.Err()
		}
	}
	last, err := m.look()
	if err != nil {
		return err
	}
	took := last.at.Sub(first.at).Seconds()
	name := "catchup_" + hours(m.o.CatchUp)
	m.o.line(name+"_s", took, "s")
	m.o.line(name+"_samples_per_s", float64(n)/took, "samples/s")
	event, value := live.most()
	m.o.line(name+"_live_event_late_max_ms", event.Seconds()*1e3, "ms")
	m.o.line(name+"_live_values_late_max_ms", value.Seconds()*1e3, "ms")
	m.o.line(name+"_hub_rss_mib", m.hub.peak(), "MiB")
	m.o.line(name+"_hub_cpu", (last.hubCPU-first.hubCPU)/took*100, "percent_of_a_core")
	m.o.line(name+"_broker_cpu", (last.brokerCPU-first.brokerCPU)/took*100, "percent_of_a_core")
	m.o.line(name+"_box_cpu", (last.loadCPU-first.loadCPU)/took*100, "percent_of_a_core")
	m.o.say("%d events and %d latest values while the backlog was under way; hub %d duplicates, %d rewinds, %d dropped", live.events, live.values,
		last.duplicates, last.rewinds, last.dropped)
	return m.verify(ctx)
}

// hours names a duration: 24h, 90m.
func hours(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}

func (m *machine) openBox(ctx context.Context) (*box, error) {
	b := &box{rng: rand.New(rand.NewPCG(1, 2)), walk: make([]int64, backlogSeries)}
	var err error
	b.set, err = buffer.Open(ctx, vfs.OS{}, join(m.o.Dir, backlogBox), buffer.Options{Streams: []buffer.StreamOptions{
		{Name: "telemetry", CommitInterval: time.Second, MaxBytes: backlogBytes},
		{Name: "events", MaxBytes: 64 << 20, SegmentBytes: 4 << 20}}})
	if err != nil {
		return nil, err
	}
	for name, l := range map[string]**buffer.Log{"telemetry": &b.telemetry, "events": &b.events} {
		if *l, err = b.set.Log(name); err != nil {
			return nil, errors.Join(err, b.set.Close())
		}
	}
	for i := range backlogSeries {
		id, err := b.telemetry.Define(record.Series{Name: "load.value", Type: record.Decimal(2),
			Labels: []record.Label{{Key: "n", Value: fmt.Sprint(i)}}})
		if err != nil {
			return nil, errors.Join(err, b.set.Close())
		}
		b.ids = append(b.ids, id)
	}
	if b.event, err = b.events.Define(record.Series{Name: "load.event", Type: record.TypeInt}); err != nil {
		return nil, errors.Join(err, b.set.Close())
	}
	b.sources = []*uplink.Log{uplink.NewLog(b.telemetry), uplink.NewLog(b.events)}
	o := mqtt.Options{Device: backlogBox, Agent: "bench", Client: mqttclient.Options{Broker: fmt.Sprintf("tcp://127.0.0.1:%d", m.port)}}
	b.loop = uplink.NewLoop(uplink.LoopOptions{Sender: uplink.Options{Random: rand.Uint64},
		Sources: []uplink.Source{b.sources[0], b.sources[1]},
		Dial: func(ctx context.Context) (wire.Link, error) {
			l, err := mqtt.Dial(ctx, o)
			if err != nil {
				return nil, err
			}
			b.link.Store(l)
			return l, nil
		}})
	return b, nil
}

// take appends n samples that end at the time.
func (b *box) take(ctx context.Context, n int, end time.Time, step time.Duration) (buffer.Ticket, error) {
	recs := samples(nil, b.rng, backlogSeries, b.walk, end.Add(-time.Duration(n)*step).UnixNano(), int64(step), n)
	for i := range recs {
		recs[i].Series = b.ids[recs[i].Series-1]
	}
	return b.telemetry.Append(ctx, record.Draft{Records: recs})
}

// fill makes the backlog.
func (b *box) fill(ctx context.Context, n uint64, o Options) error {
	step := time.Duration(float64(time.Second) / o.Rate)
	at := time.Now().Add(-o.CatchUp)
	var last buffer.Ticket
	for left := n; left > 0; {
		k := min(left, backlogDraft)
		left -= k
		at = at.Add(time.Duration(k) * step)
		var err error
		if last, err = b.take(ctx, int(k), at, step); err != nil {
			return fmt.Errorf("bench: make the backlog: %w", err)
		}
	}
	if _, err := last.Wait(ctx); err != nil {
		return fmt.Errorf("bench: make the backlog: %w", err)
	}
	return nil
}

// live goes on sampling until ctx ends.
func (b *box) live(ctx context.Context, o Options, l *lateness) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	type pending struct {
		offset record.Offset
		at     time.Time
	}
	var waiting []pending
	events, values := time.Now(), time.Now()
	for n := int64(0); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		now := time.Now()
		if now.After(events) {
			events = events.Add(eventEvery)
			n++
			t, err := b.events.Append(ctx, record.Draft{Records: []record.Record{{Kind: record.KindObservation,
				Clock: record.ClockApp, Time: now.UnixNano(), Type: record.TypeInt, Num: n, Series: b.event}}})
			if err != nil {
				return fmt.Errorf("bench: append an event: %w", err)
			}
			r, err := t.Wait(ctx)
			if err != nil {
				return fmt.Errorf("bench: append an event: %w", err)
			}
			waiting = append(waiting, pending{r.To, now})
		}
		for len(waiting) > 0 && (b.events.Delivered() >= waiting[0].offset || now.Sub(waiting[0].at) > time.Minute) {
			l.event(now.Sub(waiting[0].at))
			waiting = waiting[1:]
		}
		if now.After(values) {
			values = values.Add(valuesEvery)
			if _, err := b.take(ctx, max(1, int(o.Rate*valuesEvery.Seconds())), now, time.Duration(float64(time.Second)/o.Rate)); err != nil {
				return fmt.Errorf("bench: append: %w", err)
			}
			if link := b.link.Load(); link != nil {
				text, err := json.Marshal(map[string]int64{"published": time.Now().UnixNano()})
				if err == nil {
					err = link.PublishValues(ctx, text)
				}
				if err != nil && ctx.Err() == nil {
					return fmt.Errorf("bench: publish latest values: %w", err)
				}
			}
		}
	}
}

// hearValues listens to the latest values as a dashboard would.
func (m *machine) hearValues(ctx context.Context, l *lateness) (*mqttclient.Conn, error) {
	c, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: fmt.Sprintf("tcp://127.0.0.1:%d", m.port), ClientID: "bench-viewer"})
	if err != nil {
		return nil, err
	}
	err = c.Subscribe(ctx, wire.Topics{}.Values(backlogBox), 0, func(msg mqttclient.Message) {
		var v struct{ Published int64 }
		if json.Unmarshal(msg.Payload, &v) == nil && v.Published != 0 {
			l.value(time.Since(time.Unix(0, v.Published)))
		}
	})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// lateness is how late live data was at most.
type lateness struct {
	mu               sync.Mutex // guards all
	events, values   int
	eventMax, valMax time.Duration
}

func (l *lateness) event(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events++
	l.eventMax = max(l.eventMax, d)
}

func (l *lateness) value(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values++
	l.valMax = max(l.valMax, d)
}

func (l *lateness) most() (event, value time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.eventMax, l.valMax
}

package mqtt

import (
	"context"
	"maps"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
)

// hear takes one message.
func (c *Client) hear(m fleetwire.Message) {
	_, ch, id, ok := fleetwire.Parse(c.o.Topics.Topics, m.Topic)
	if !ok {
		c.count(func(s *Stats) { s.Malformed++ })
		return
	}
	switch ch {
	case fleetwire.ChannelChunk:
		c.arrived(m.Topic, m.Payload)
	case fleetwire.ChannelRefused:
		c.refusedChunks(id, m.Payload)
	case fleetwire.ChannelMeta:
		c.learn(id, m.Payload)
	case fleetwire.ChannelDesired:
		if len(m.Payload) == 0 { // somebody has cleared it: nothing is desired any more, under no new generation
			return
		}
		d, err := fleetwire.Decode[fleetwire.Desired](m.Payload)
		if err != nil {
			c.count(func(s *Stats) { s.Malformed++ })
			c.o.Log.Warn("a desired state cannot be read", "err", err)
			return
		}
		if c.desire(d) {
			c.o.Log.Info("release desired", "release", d.Release, "gen", d.Generation, "rollout", d.Rollout)
			c.restart()
			c.unsaid = true
		}
	}
}

// set changes the state, if it is another one.
func (c *Client) set(s fleetwire.State, reason, detail string) {
	f := &c.flow
	if f.state == s && f.reason == reason && f.detail == detail {
		return
	}
	changed := f.state != s || f.reason != reason
	if changed {
		now, _ := c.o.Now()
		f.since = now.UTC().Truncate(time.Second)
	}
	f.state, f.reason, f.detail = s, reason, detail
	c.unsaid = true
	if !changed {
		return
	}
	release := ""
	if d := c.kept.Desired; d != nil {
		release = d.Release
	}
	c.event(fleetwire.Event{Time: f.since, Release: release, State: s, Reason: reason, Detail: clip(detail)})
	c.o.Log.Info("update", "release", release, "state", string(s), "reason", reason, "detail", detail)
	r := c.compose()
	if c.o.Events.Changed != nil {
		c.o.Events.Changed(r)
	}
}

const maxDetail = 1024

func clip(s string) string { return s[:min(len(s), maxDetail)] }

// compose makes the report, and keeps it for Reported.
func (c *Client) compose() fleetwire.Reported {
	now, good := c.o.Now()
	_, offset := now.In(c.o.Zone).Zone()
	have := c.trust.Have()
	r := fleetwire.Reported{SchemaVersion: 1, GenerationSeen: c.kept.Generation, Release: c.pub.Stable, State: c.flow.state, Since: c.flow.since,
		Reason: c.flow.reason, Detail: clip(c.flow.detail), Counter: c.pub.Counter, Root: have.Root, Timestamp: have.Timestamp,
		TimeSource: "none", Facts: maps.Clone(c.o.Facts), UTCOffset: offset}
	if r.State == "" {
		r.State = fleetwire.Idle
	}
	if good {
		r.TimeSource = "clock"
	}
	if d := c.kept.Desired; d != nil {
		r.Desired, r.Rollout, r.Manifest, r.Attempt = d.Release, d.Rollout, d.Manifest, d.Attempt
	}
	if v := c.flow.view; v != nil {
		r.Expires = v.Expires
	}
	if u, err := c.o.FS.Usage(c.o.Dir); err == nil {
		r.Free = u.Free
	}
	if t := c.flow.file; t != nil {
		r.Source = t.source()
	}
	c.progress(&r)
	c.mu.Lock()
	c.report = r
	c.mu.Unlock()
	return r
}

// progress adds the components and how far they are.
func (c *Client) progress(r *fleetwire.Reported) {
	f := &c.flow
	if f.offer == nil {
		return
	}
	r.Done, r.Total = f.have, f.total
	for _, comp := range f.offer.Plan.Components {
		x := fleetwire.Component{Name: comp.Name, Kind: string(comp.Kind), Want: comp.Version, State: fleetwire.Staged, Total: comp.Size, Done: comp.Size}
		for _, w := range f.wanted {
			if w.Path == comp.Path {
				x.State, x.Done = fleetwire.Planned, 0
			}
		}
		if t := f.file; t != nil && t.Path == comp.Path {
			x.Done, _ = t.fetch.Progress()
			x.State = fleetwire.Downloading
			r.Done += x.Done
		}
		if f.phase == installing || f.phase == over {
			x.State = f.state
		}
		r.Components = append(r.Components, x)
	}
}

// say publishes the report and events that are due, and returns how long until the next is; 0: not before something
// changes.
func (c *Client) say(ctx context.Context) time.Duration {
	if c.link == nil {
		return 0
	}
	c.sayEvents(ctx)
	since := time.Since(c.saidAt)
	due := c.unsaid && since >= reportEvery || c.flow.phase == fetching && since >= c.o.Progress
	switch {
	case due:
	case c.unsaid:
		return reportEvery - since
	case c.flow.phase == fetching:
		return max(c.o.Progress-since, time.Millisecond)
	default:
		return 0
	}
	r := c.compose()
	if c.send1(ctx, c.o.Topics.Reported(), true, encode(r)) {
		c.said, c.saidAt, c.unsaid = r, time.Now(), false
	}
	return 0
}

// sayEvents sends what the server does not have. An event is forgotten when the broker has it; after a crash between
// the two it comes twice, under one number.
func (c *Client) sayEvents(ctx context.Context) {
	n := 0
	for ; n < len(c.kept.Outbox) && c.link != nil; n++ {
		sctx, cancel := context.WithTimeout(ctx, sendLimit)
		err := c.link.Publish(sctx, c.o.Topics.Event(), 1, false, c.kept.Outbox[n])
		cancel()
		if err != nil {
			break
		}
	}
	if n > 0 {
		k := c.kept
		k.Outbox = k.Outbox[n:]
		if c.save(k) != nil {
			c.kept = k
		}
	}
}

// send hands a message to the connection; what is lost is asked for again.
func (c *Client) send(ctx context.Context, topic string, v any) {
	c.send1(ctx, topic, false, encode(v))
}

func (c *Client) send1(ctx context.Context, topic string, retain bool, payload []byte) bool {
	if c.link == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	if err := c.link.Enqueue(ctx, topic, 1, retain, payload); err != nil {
		c.o.Log.Debug("not sent", "topic", topic, "err", err)
		return false
	}
	return true
}

// Package fleet is the hub's side of updates: it hands out signed metadata and chunks of content from a directory of
// releases, keeps what each device says of itself, and carries rollouts out (hub/fleet/rollout) over a connection of its
// own, so that content never stands before the acknowledgements of delivery.
//
// It signs nothing and decides nothing that a box would believe: a desired state only points at a release.
package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/trust/repo"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// Options of a Server. All but Log are needed.
type Options struct {
	Releases string // directory that edgectl release makes: metadata/ and targets/
	State    string // directory of the audit log
	Topics   wire.Topics
	MaxRate  int64 // bytes a second of content to all devices together; 0: no limit
	// Dial makes a connection.
	Dial func(context.Context) (fleetwire.Link, func() error, error)
	Now  func() time.Time
	FS   vfs.FS
	Log  *slog.Logger
	// Settled is for tests: nothing is concluded before; 0: rollout.Settle.
	Settled time.Duration
}

// Server serves a fleet. The API's methods may be called concurrently with Run.
type Server struct {
	o       Options
	log     *rollout.Log
	fleet   *rollout.Fleet
	content *content
	repo    *repo.Repo
	heard   chan fleetwire.Message
	meta    chan fleetwire.Message
	late    late // what heard has no room for
	calls   chan func()
	stopped chan struct{}

	told map[string]uint64 // generation that a device's topic holds, over this connection

	mu    sync.Mutex // guards what follows
	link  fleetwire.Link
	stats Stats
	asks  map[string]int // that wait in meta, by device
}

// Stats count since the start.
type Stats struct {
	Connects uint64       `json:"connects"`
	Hostile  uint64       `json:"hostile_messages"`
	Dropped  uint64       `json:"dropped_messages"`
	Meta     uint64       `json:"metadata_requests"`
	Content  ContentStats `json:"content"`
}

// New reads the state.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l, f, err := rollout.OpenLog(o.FS, o.State)
	if err != nil {
		return nil, fmt.Errorf("open rollouts: %w", err)
	}
	f.Start(o.Now(), o.Settled)
	s := &Server{o: o, log: l, fleet: f, content: newContent(o.Releases, o.MaxRate), repo: repo.At(o.Releases),
		heard: make(chan fleetwire.Message, maxHeard), meta: make(chan fleetwire.Message, maxMetaWait), calls: make(chan func()),
		stopped: make(chan struct{}), told: map[string]uint64{}, asks: map[string]int{}}
	for _, what := range l.Recovered {
		o.Log.Warn("damaged state of rollouts was passed over", "what", what)
		if err := l.Append(f, []rollout.Entry{{Time: o.Now(), By: "hub", What: rollout.WasRestored, Detail: what}}); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return s, nil
}

// Run serves until ctx ends and returns nil then.
func (s *Server) Run(ctx context.Context) error {
	defer close(s.stopped)
	var parts sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer parts.Wait()
	defer cancel()
	parts.Go(func() { s.keepConnected(ctx) })
	parts.Go(func() { _ = s.content.run(ctx, s.topics, s.current) }) // ends with ctx, without an error
	parts.Go(func() { s.serveMeta(ctx) })
	err := s.loop(ctx)
	if serr := s.log.Save(s.fleet, true); err == nil {
		err = serr
	}
	return errors.Join(err, s.log.Close())
}

func (s *Server) topics(device string) fleetwire.Topics {
	return fleetwire.Topics{Topics: s.o.Topics, Device: device}
}

func (s *Server) current() fleetwire.Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

func (s *Server) setLink(l fleetwire.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link = l; l != nil {
		s.stats.Connects++
	}
}

// keepConnected makes one connection after another.
func (s *Server) keepConnected(ctx context.Context) {
	backoff := backoffMin
	for ctx.Err() == nil {
		began := time.Now()
		err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		s.o.Log.Warn("no connection for updates; it is tried again", "error", err)
		if time.Since(began) > backoffMax {
			backoff = backoffMin
		}
		if !sleep(ctx, backoff/2+rand.N(backoff/2+1)) {
			return
		}
		backoff = min(2*backoff, backoffMax)
	}
}

func (s *Server) session(ctx context.Context) error {
	l, end, err := s.o.Dial(ctx)
	if err != nil {
		return err
	}
	defer end()
	any := s.topics("+")
	for _, f := range []struct {
		filter string
		qos    byte
	}{{s.o.Topics.StateFilter(), 1}, {any.Reported(), 1}, {any.Event(), 1}, {any.MetaRequest(), 1}, {any.ChunkRequest(), 0}} {
		if err := l.Subscribe(ctx, f.filter, f.qos, s.hear); err != nil {
			return err
		}
	}
	s.setLink(l)
	defer s.setLink(nil)
	s.o.Log.Info("connected for updates")
	if !s.call(ctx, func() { clear(s.told) }) { // the broker may have forgotten what is desired
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-l.Done():
		return mqttclient.ErrLost
	}
}

// hear runs on the reader's path.
func (s *Server) hear(m fleetwire.Message) {
	device, ch, _, ok := fleetwire.Parse(s.o.Topics, m.Topic)
	said := !ok || ch == fleetwire.ChannelReported // or its state
	switch {
	case ok && ch == fleetwire.ChannelChunkRequest:
		s.chunkRequest(device, m)
		return
	case ok && ch == fleetwire.ChannelMetaRequest:
		if !s.ask(device, m) { // it is made again
			s.count(func(st *Stats) { st.Dropped++ })
		}
		return
	}
	// What a device says goes behind what it said before.
	if (!said || s.late.empty()) && offer(s.heard, m) || said && s.late.put(m) {
		return
	}
	s.count(func(st *Stats) { st.Dropped++ })
}

// ask queues what serveMeta answers. A device has a few places: one that asks without end leaves the others to the rest.
func (s *Server) ask(device string, m fleetwire.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asks[device] >= maxAsks || !offer(s.meta, m) {
		return false
	}
	s.asks[device]++
	return true
}

// answered gives a place back.
func (s *Server) answered(device string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asks[device]--; s.asks[device] <= 0 {
		delete(s.asks, device)
	}
}

func offer(to chan<- fleetwire.Message, m fleetwire.Message) bool {
	select {
	case to <- m:
		return true
	default:
		return false
	}
}

func (s *Server) count(f func(*Stats)) {
	s.mu.Lock()
	f(&s.stats)
	s.mu.Unlock()
}

func (s *Server) chunkRequest(device string, m fleetwire.Message) {
	r, err := fleetwire.Decode[fleetwire.ChunkRequest](m.Payload)
	if err != nil || m.Retained {
		s.count(func(st *Stats) { st.Hostile++ })
		return
	}
	code := s.content.ask(device, r)
	if code == "" {
		return
	}
	refusal := fleetwire.Refusal{Code: code}
	if code == fleetwire.RefusedBusy {
		refusal.RetryAfter = busyRetry + rand.N(busyRetry)
	}
	// Answered where it may wait; without an answer the box asks again.
	s.ask(device, fleetwire.Message{Topic: s.topics(device).Refused(r.ID), Payload: encode(refusal)})
}

// serveMeta answers requests for metadata, and refuses.
func (s *Server) serveMeta(ctx context.Context) {
	for {
		var m fleetwire.Message
		select {
		case <-ctx.Done():
			return
		case m = <-s.meta:
		}
		l := s.current()
		device, ch, _, _ := fleetwire.Parse(s.o.Topics, m.Topic)
		s.answered(device)
		if l == nil {
			continue
		}
		topic, payload := m.Topic, m.Payload
		if ch == fleetwire.ChannelMetaRequest {
			r, err := fleetwire.Decode[fleetwire.MetaRequest](m.Payload)
			if err != nil || m.Retained {
				s.count(func(st *Stats) { st.Hostile++ })
				continue
			}
			s.count(func(st *Stats) { st.Meta++ })
			if payload, err = s.metadata(r); err != nil {
				s.o.Log.Error("metadata cannot be handed out", "device", device, "error", err)
				continue
			}
			topic = s.topics(device).Meta(r.ID)
		}
		sctx, cancel := context.WithTimeout(ctx, sendLimit)
		if err := l.Enqueue(sctx, topic, 1, false, payload); err != nil {
			s.o.Log.Debug("not sent", "topic", topic, "error", err)
		}
		cancel()
	}
}

// metadata is the answer to a request, as much as one message holds.
func (s *Server) metadata(r *fleetwire.MetaRequest) ([]byte, error) {
	b, err := s.repo.Bundle(r.Have)
	if err != nil {
		return nil, err
	}
	whole := encode(fleetwire.MetaAnswer{Nonce: r.Nonce, Bundle: b})
	if len(whole) <= fleetwire.MaxMessageBytes {
		return whole, nil
	}
	part := &trust.Bundle{Targets: map[string][]byte{}}
	fits := func() bool {
		return len(encode(fleetwire.MetaAnswer{Nonce: r.Nonce, Bundle: part, More: true})) <= fleetwire.MaxMessageBytes
	}
	for _, root := range b.Roots {
		if part.Roots = append(part.Roots, root); !fits() {
			part.Roots = part.Roots[:len(part.Roots)-1]
			return encode(fleetwire.MetaAnswer{Nonce: r.Nonce, Bundle: part, More: true}), nil
		}
	}
	part.Timestamp, part.Snapshot = b.Timestamp, b.Snapshot
	if top := b.Targets["targets"]; top != nil {
		part.Targets["targets"] = top
	}
	if !fits() {
		if part.Timestamp, part.Snapshot, part.Targets = nil, nil, nil; len(part.Roots) == 0 {
			return nil, fmt.Errorf("snapshot and targets do not fit into a message of %d bytes", fleetwire.MaxMessageBytes)
		}
		return encode(fleetwire.MetaAnswer{Nonce: r.Nonce, Bundle: part, More: true}), nil
	}
	left := 0
	for role, data := range b.Targets {
		if part.Targets[role] = data; !fits() {
			delete(part.Targets, role)
			left++
		}
	}
	if more := len(part.Targets); left > 0 && more == 0 {
		return nil, fmt.Errorf("a role's metadata does not fit into a message of %d bytes: let several roles sign", fleetwire.MaxMessageBytes)
	}
	return encode(fleetwire.MetaAnswer{Nonce: r.Nonce, Bundle: part, More: left > 0}), nil
}

// loop owns the fleet's state.
func (s *Server) loop(ctx context.Context) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	saved := time.Now()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case m := <-s.heard:
			err = s.take(m)
		case f := <-s.calls:
			f()
		case <-tick.C:
			err = s.tick(ctx)
		}
		for err == nil && len(s.heard) == 0 {
			m, ok := s.late.take()
			if !ok {
				break
			}
			err = s.take(m)
		}
		if err == nil && time.Since(saved) > saveEvery {
			saved = time.Now()
			err = s.log.Save(s.fleet, false)
		}
		if err != nil {
			return fmt.Errorf("rollouts: %w", err)
		}
	}
}

// take makes what follows from a message, and those that wait behind it, durable together. What a device says is judged
// after its entries before are applied.
func (s *Server) take(m fleetwire.Message) error {
	var entries []rollout.Entry
	devices := map[string]bool{}
	for n := 0; ; n++ {
		device, _, _, _ := fleetwire.Parse(s.o.Topics, m.Topic)
		if devices[device] {
			if err := s.log.Append(s.fleet, entries); err != nil {
				return err
			}
			entries = nil
			clear(devices)
		}
		devices[device] = true
		entries = append(entries, s.entries(m)...)
		if n == maxBatch {
			return s.log.Append(s.fleet, entries)
		}
		select {
		case m = <-s.heard:
			continue
		default:
		}
		var ok bool
		if m, ok = s.late.take(); !ok {
			return s.log.Append(s.fleet, entries)
		}
	}
}

func (s *Server) entries(m fleetwire.Message) []rollout.Entry {
	now := s.o.Now()
	if t, ok := s.o.Topics.ParseTopic(m.Topic); ok && t.Channel == wire.ChannelState {
		st, err := wire.ParseState(m.Payload)
		on := err == nil && st.Online
		s.fleet.Online(t.Device, on, now)
		if !on {
			s.content.drop(t.Device)
		}
		return nil
	}
	device, ch, _, ok := fleetwire.Parse(s.o.Topics, m.Topic)
	if !ok {
		s.count(func(st *Stats) { st.Hostile++ })
		return nil
	}
	switch ch {
	case fleetwire.ChannelReported:
		if r, err := fleetwire.Decode[fleetwire.Reported](m.Payload); err == nil {
			return s.fleet.Report(device, r, now)
		}
	case fleetwire.ChannelEvent:
		if e, err := fleetwire.Decode[fleetwire.Event](m.Payload); err == nil && !m.Retained {
			sum := sha256.Sum256(m.Payload)
			return s.fleet.Event(device, e, hex.EncodeToString(sum[:]), now)
		}
	}
	s.count(func(st *Stats) { st.Hostile++ })
	return nil
}

// tick decides what is due, makes it durable, and says it.
func (s *Server) tick(ctx context.Context) error {
	for range 16 {
		entries := s.fleet.Tick(s.o.Now())
		if len(entries) == 0 {
			break
		}
		if err := s.log.Append(s.fleet, entries); err != nil {
			return err
		}
		for _, e := range entries {
			if e.What != rollout.WasTold {
				s.o.Log.Info("rollout", "rollout", e.Rollout, "what", string(e.What), "device", e.Device, "detail", e.Detail)
			}
		}
	}
	s.say(ctx)
	return nil
}

// say publishes the desired states that the broker does not hold.
func (s *Server) say(ctx context.Context) {
	l := s.current()
	if l == nil {
		return
	}
	for name, d := range s.fleet.Devices {
		if d.Desired == nil || s.told[name] == d.Desired.Generation {
			continue
		}
		sctx, cancel := context.WithTimeout(ctx, sendLimit)
		err := l.Enqueue(sctx, s.topics(name).Desired(), 1, true, encode(d.Desired))
		cancel()
		if err != nil {
			return // over the next connection, all of them
		}
		s.told[name] = d.Desired.Generation
	}
}

// Decide lets f ask the fleet for entries and makes them durable, as an order over the socket does.
func (s *Server) Decide(ctx context.Context, f func(*rollout.Fleet, time.Time) ([]rollout.Entry, error)) error {
	var err error
	if !s.call(ctx, func() {
		var entries []rollout.Entry
		if entries, err = f(s.fleet, s.o.Now()); err == nil {
			err = s.log.Append(s.fleet, entries)
		}
	}) {
		return ErrStopped
	}
	return err
}

// Order makes a rollout, and returns its id.
func (s *Server) Order(ctx context.Context, spec *rollout.Spec, by string) (id string, err error) {
	err = s.Decide(ctx, func(f *rollout.Fleet, now time.Time) ([]rollout.Entry, error) {
		entries, err := s.order(spec, by, now)
		if err == nil {
			id = entries[0].Rollout
		}
		return entries, err
	})
	return id, err
}

// order is a rollout of a release that the directory holds, signed and not expired.
func (s *Server) order(spec *rollout.Spec, by string, now time.Time) ([]rollout.Entry, error) {
	spec.WithDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	view, err := s.repo.Check(now)
	if err != nil {
		return nil, fmt.Errorf("the directory of releases is not fit to hand out: %w", err)
	}
	t, err := view.Find("releases/" + spec.Release + ".json")
	if err != nil {
		return nil, fmt.Errorf("release %s is not published: %w", spec.Release, err)
	}
	return s.fleet.Create(spec, t.SHA256, by, now)
}

// ErrStopped says that the server does not run any more.
var ErrStopped = errors.New("the hub is stopping")

// call runs f in the loop; false: the server has stopped.
func (s *Server) call(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	select {
	case s.calls <- func() { f(); close(done) }:
	case <-s.stopped:
		return false
	case <-ctx.Done():
		return false
	}
	<-done
	return true
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("fleet: message cannot be encoded: " + err.Error()) // structs of our own
	}
	return b
}

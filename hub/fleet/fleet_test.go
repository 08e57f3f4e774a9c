package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/update/updatetest"
	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/trust/repo/repotest"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// served is a server over a broker in memory.
type served struct {
	t      *testing.T
	net    *updatetest.Net
	fleet  *repotest.Fleet
	server *fleet.Server
	heard  chan fleetwire.Message
	link   *updatetest.Link
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, ctx context.Context, now time.Time) (*served, func()) {
	s := &served{t: t, net: updatetest.NewNet(), fleet: repotest.New(t, t.TempDir(), now), heard: make(chan fleetwire.Message, 1000)}
	s.fleet.Release(release.Manifest{Release: "1", Counter: 1, Components: []release.Component{
		s.fleet.Component(release.Model, "model/a", "1", "models/a.om", bytes.NewReader(bytes.Repeat([]byte("abc"), 100_000)), true)}})
	s.fleet.Publish()
	var err error
	s.server, err = fleet.New(fleet.Options{Releases: s.fleet.Dir, State: "/fleet", FS: vfs.NewMem(), Now: time.Now, Settled: time.Second,
		Dial: func(context.Context) (fleetwire.Link, func() error, error) {
			l := s.net.Dial(0, 0, nil)
			return l, l.Close, nil
		}})
	must(t, err)
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.server.Run(ctx) }()
	s.link = s.net.Dial(0, 0, nil)
	topics := updatetest.Topics("box")
	for _, f := range []string{topics.ChunkFilter(), topics.Refused("+"), topics.Meta("+"), topics.Desired()} {
		must(t, s.link.Subscribe(ctx, f, 0, func(m fleetwire.Message) { s.heard <- m }))
	}
	return s, func() {
		stop()
		must(t, <-done)
		s.net.Close()
	}
}

func (s *served) ask(r fleetwire.ChunkRequest) {
	b, _ := json.Marshal(r)
	must(s.t, s.link.Publish(s.t.Context(), updatetest.Topics("box").ChunkRequest(), 1, false, b))
}

// next is what comes within a virtual second; "" if nothing does.
func (s *served) next() (topic string, payload []byte) {
	select {
	case m := <-s.heard:
		return strings.TrimPrefix(m.Topic, "edge/v1/box/update/"), m.Payload
	case <-time.After(time.Second):
		return "", nil
	}
}

// TestContent: what is asked for is sent, once, and nothing else of the machine; what cannot be is refused.
func TestContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, t.Context(), time.Now())
		defer stop()
		time.Sleep(time.Second)
		must(t, os.WriteFile(filepath.Join(s.fleet.Dir, "secret"), []byte("key"), 0o644))
		must(t, os.Symlink(filepath.Join(s.fleet.Dir, "secret"), filepath.Join(s.fleet.Dir, "targets", "link")))
		whole := bytes.Repeat([]byte("abc"), 100_000)
		s.ask(fleetwire.ChunkRequest{ID: "k1", Path: "models/a.om", First: 1, Bits: 0b1001, ChunkBits: 16})
		for _, want := range []struct {
			topic string
			part  []byte
		}{{"chunk/res/k1/1", whole[1<<16 : 2<<16]}, {"chunk/res/k1/4", whole[4<<16:]}} {
			topic, payload := s.next()
			if topic != want.topic || !bytes.Equal(payload, want.part) {
				t.Errorf("%s, %d bytes", topic, len(payload))
			}
		}
		for name, r := range map[string]fleetwire.ChunkRequest{
			"NotFound":     {ID: "k2", Path: "models/b.om", Bits: 1, ChunkBits: 16},
			"NotFound 2":   {ID: "k2", Path: "link", Bits: 1, ChunkBits: 16},
			"NotFound 3":   {ID: "k2", Path: "models", Bits: 1, ChunkBits: 16},
			"BadRequest":   {ID: "k2", Path: "models/a.om", First: 99, Bits: 1, ChunkBits: 16},
			"BadRequest 2": {ID: "k2", Path: "models/a.om", Bits: 1, ChunkBits: 18},
		} {
			s.ask(r)
			topic, payload := s.next()
			code, _, _ := strings.Cut(name, " ")
			if refusal, err := fleetwire.Decode[fleetwire.Refusal](payload); topic != "chunk/err/k2" || err != nil || refusal.Code != code {
				t.Errorf("%+v: %s %s", r, topic, payload)
			}
		}
		// Requests that are none are counted and not answered.
		for _, r := range []fleetwire.ChunkRequest{{ID: "k3", Path: "../secret", Bits: 1, ChunkBits: 16}, {ID: "k3", Path: "models/a.om", ChunkBits: 16},
			{ID: "K/3", Path: "models/a.om", Bits: 1, ChunkBits: 16}} {
			s.ask(r)
			if topic, _ := s.next(); topic != "" {
				t.Errorf("%+v: %s", r, topic)
			}
		}
		if st := s.server.Stats(); st.Hostile != 3 || st.Content.Chunks != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// TestMetadata: a box gets what it lacks; more than one message holds comes in several, each of use by itself.
func TestMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, t.Context(), time.Now())
		defer stop()
		long := strings.Repeat("long-", 20)
		for i := range 420 { // about 100 KiB of targets in each of two roles
			s.fleet.Add(fmt.Sprintf("models/%s%04d.om", long, i), strings.NewReader(fmt.Sprint(i)), false)
			s.fleet.Add(fmt.Sprintf("agent/%s%04d", long, i), strings.NewReader(fmt.Sprint(i)), false)
		}
		s.fleet.Publish()
		time.Sleep(time.Second)
		store, err := trust.Open(vfs.NewMem(), "/trust", s.fleet.FactoryRoot())
		must(t, err)
		for n := 1; ; n++ {
			b, _ := json.Marshal(fleetwire.MetaRequest{ID: "m1", Nonce: "n", Have: store.Have()})
			must(t, s.link.Publish(t.Context(), updatetest.Topics("box").MetaRequest(), 1, false, b))
			topic, payload := s.next()
			if topic != "meta/res/m1" || len(payload) > fleetwire.MaxMessageBytes {
				t.Fatalf("%s, %d bytes", topic, len(payload))
			}
			a, err := fleetwire.Decode[fleetwire.MetaAnswer](payload)
			must(t, err)
			v, err := store.Ingest(a.Bundle, time.Now())
			must(t, err)
			if a.More && n < 5 {
				continue
			}
			if n < 2 || n == 5 {
				t.Errorf("%d messages", n)
			}
			for _, p := range []string{"models/" + long + "0419.om", "agent/" + long + "0419"} {
				if _, err := v.Find(p); err != nil {
					t.Error(err)
				}
			}
			return
		}
	})
}

// TestFlood: a box that asks without end does not keep others from being answered.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, t.Context(), time.Now())
		defer stop()
		time.Sleep(time.Second)
		ask := func(device, id string) {
			b, _ := json.Marshal(fleetwire.MetaRequest{ID: id, Nonce: "n"})
			must(t, s.link.Publish(t.Context(), updatetest.Topics(device).MetaRequest(), 1, false, b))
			b, _ = json.Marshal(fleetwire.ChunkRequest{ID: id, Path: "nothing", Bits: 1, ChunkBits: 16})
			must(t, s.link.Publish(t.Context(), updatetest.Topics(device).ChunkRequest(), 0, false, b))
		}
		for round := range 20 {
			for range 500 {
				ask("hostile", "h")
			}
			ask("box", fmt.Sprintf("m%d", round))
			for _, want := range []string{"meta/res/m%d", "chunk/err/m%d"} {
				if topic, _ := s.next(); topic != fmt.Sprintf(want, round) {
					t.Fatalf("round %d: %q came, want "+want, round, topic, round)
				}
			}
		}
	})
}

// TestManyAtOnce: at the beginning of a connection the broker says the states of all devices as fast as it can; none is lost while the
// hub has something else to do, and the newest counts.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, t.Context(), time.Now())
		defer stop()
		time.Sleep(time.Second)
		const devices = 20_000
		busy := make(chan struct{})
		go s.server.Decide(t.Context(), func(*rollout.Fleet, time.Time) ([]rollout.Entry, error) { <-busy; return nil, nil }) //nolint:errcheck // it does nothing
		say := func(i int, online bool) {
			b := wire.AppendState(nil, &wire.State{Online: online})
			must(t, s.link.Publish(t.Context(), wire.Topics{}.State(fmt.Sprintf("box-%d", i)), 1, true, b))
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		for i := range devices {
			say(i, true)
		}
		for i := range 10 {
			say(i, false) // one that stands in the queue, said before
			say(devices-1-i, false)
		}
		time.Sleep(time.Second)
		close(busy)
		time.Sleep(time.Minute)
		online, known := 0, 0
		must(t, s.server.Decide(t.Context(), func(f *rollout.Fleet, _ time.Time) ([]rollout.Entry, error) {
			known = len(f.Devices)
			for _, d := range f.Devices {
				if d.Online {
					online++
				}
			}
			return nil, nil
		}))
		if st := s.server.Stats(); known != devices || online != devices-20 || st.Dropped != 0 {
			t.Errorf("%d devices, %d online, want %d and %d; %d messages dropped", known, online, devices, devices-20, st.Dropped)
		}
	})
}

// TestSocket: orders over the socket, their author in the audit log, and what is refused.
func TestSocket(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, stop := start(t, ctx, time.Now())
	dir, err := os.MkdirTemp("", "fleet")
	must(t, err)
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	must(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { must(t, s.server.Serve(ctx, l)) })
	c := fleet.Client{Socket: filepath.Join(dir, "s")}
	spec := &rollout.Spec{Release: "1", Waves: []rollout.Wave{{Name: "all", Percent: 100}}}
	dry, err := c.Create(ctx, spec, true)
	must(t, err)
	if list, err := c.List(ctx); err != nil || len(list.Rollouts) != 0 || !dry.DryRun {
		t.Errorf("a dry run made %+v, %v", list, err)
	}
	made, err := c.Create(ctx, spec, false)
	must(t, err)
	if made.Rollout.ID != "R-1" || made.Rollout.By == "" || made.Rollout.By == "unknown" || len(made.Rollout.Manifest) != 64 {
		t.Errorf("%+v", made.Rollout)
	}
	for _, op := range []string{"pause", "resume", "abort"} {
		if _, err := c.Change(ctx, "R-1", op, false); err != nil {
			t.Error(op, err)
		}
	}
	for what, err := range map[string]error{
		"an order to one that is over": ignore(c.Change(ctx, "R-1", "resume", false)),
		"one that is not there":        ignore(c.Show(ctx, "R-7")),
		"an order that is none":        ignore(c.Change(ctx, "R-1", "explode", false)),
		"a release that is not signed": ignore(c.Create(ctx, &rollout.Spec{Release: "2", Waves: spec.Waves}, false)),
		"no waves":                     ignore(c.Create(ctx, &rollout.Spec{Release: "1"}, false)),
	} {
		if err == nil || errors.Is(err, fleet.ErrUnreachable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	cancel()
	serving.Wait()
	stop()
	if _, err := c.List(t.Context()); !errors.Is(err, fleet.ErrUnreachable) {
		t.Error(err)
	}
}

func ignore(_ any, err error) error { return err }

// TestBrokerForgets: a broker that lost what it held hears every desired state again.
func TestBrokerForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, t.Context(), time.Now())
		defer stop()
		rep, _ := json.Marshal(fleetwire.Reported{SchemaVersion: 1, State: fleetwire.Idle, Facts: map[string]string{"product": "x"}})
		topics := updatetest.Topics("box")
		must(t, s.link.Publish(t.Context(), wire.Topics{}.State("box"), 1, true, wire.AppendState(nil, &wire.State{Online: true})))
		must(t, s.link.Publish(t.Context(), topics.Reported(), 1, true, rep))
		time.Sleep(time.Second)
		_, err := s.server.Order(t.Context(), &rollout.Spec{Release: "1", Waves: []rollout.Wave{{Name: "all", Percent: 100}}}, "ann")
		must(t, err)
		time.Sleep(5 * time.Second)
		before := s.net.Retained(topics.Desired())
		if len(before) == 0 {
			t.Fatal("nothing is desired")
		}
		s.net.Forget()
		s.net.Close()
		time.Sleep(time.Minute)
		if after := s.net.Retained(topics.Desired()); !bytes.Equal(after, before) {
			t.Errorf("%s, before %s", after, before)
		}
	})
}

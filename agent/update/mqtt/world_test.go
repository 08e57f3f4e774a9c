package mqtt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/update/mqtt"
	"github.com/edgelog/edgelog/agent/update/updatetest"
	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust/repo/repotest"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

const device = "box-1"

// world is one box, a hub and a broker on virtual time.
type world struct {
	t       *testing.T
	ctx     context.Context
	net     *updatetest.Net
	fleet   *repotest.Fleet
	server  *fleet.Server
	hubDisk *vfs.Mem
	stopHub func()
	box     *updatetest.Box
	client  *mqtt.Client
	link    *updatetest.Link
	stopBox func()

	rate  float64
	delay time.Duration
	drop  func(fleetwire.Message) bool

	mu       sync.Mutex
	troubles map[mqtt.Trouble]string
	states   []fleetwire.State
}

// inWorld runs f with a hub; the box is started by start.
func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		w := &world{t: t, ctx: ctx, net: updatetest.NewNet(), hubDisk: vfs.NewMem(), troubles: map[mqtt.Trouble]string{}}
		w.fleet = repotest.New(t, t.TempDir(), time.Now())
		defer w.net.Close()
		w.hub()
		defer func() { w.stopHub() }()
		w.newBox()
		defer w.stop()
		f(w)
	})
}

func (w *world) hub() {
	s, err := fleet.New(fleet.Options{Releases: w.fleet.Dir, State: "/fleet", FS: w.hubDisk, Now: time.Now, Settled: time.Second,
		Dial: func(context.Context) (fleetwire.Link, func() error, error) {
			l := w.net.Dial(0, 0, nil)
			return l, l.Close, nil
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w.server = s
	w.stopHub = func() {
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) newBox() {
	w.box = updatetest.New(mqtt.Options{Topics: updatetest.Topics(device), Root: w.fleet.FactoryRoot(), Facts: updatetest.Facts(),
		Now: func() (time.Time, bool) { return time.Now(), true }, Zone: time.UTC, Events: mqtt.Events{
			Trouble: func(t mqtt.Trouble, text string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.troubles[t] = text
			},
			Over: func(t mqtt.Trouble) {
				w.mu.Lock()
				defer w.mu.Unlock()
				delete(w.troubles, t)
			},
			Changed: func(r fleetwire.Reported) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.states = append(w.states, r.State)
			}}})
	w.box.Took = 10 * time.Second
}

// start starts the box's client and updater over what is on its disk.
func (w *world) start() {
	w.t.Helper()
	c, err := w.box.Client()
	if err != nil {
		w.t.Fatal(err)
	}
	w.startWith(c)
}

func (w *world) startWith(c *mqtt.Client) {
	w.client = c
	ctx, stop := context.WithCancel(w.ctx)
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := c.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	parts.Go(func() { w.box.Updater(ctx) })
	w.stopBox = func() {
		stop()
		parts.Wait()
	}
	w.connect()
}

func (w *world) connect() {
	w.link = w.net.Dial(w.rate, w.delay, w.drop)
	w.client.Connected(w.link)
	topics := wire.Topics{}
	_ = w.link.Publish(w.ctx, topics.State(device), 1, true, wire.AppendState(nil, &wire.State{Online: true}))
}

// stop ends the box as kill -9 would, but for the goroutines.
func (w *world) stop() {
	if w.stopBox != nil {
		_ = w.link.Publish(w.ctx, wire.Topics{}.State(device), 1, true, wire.AppendState(nil, &wire.State{}))
		w.link.Close()
		w.stopBox()
		w.stopBox = nil
	}
}

// release publishes one with a configuration and, if size is not 0, a model of that size.
func (w *world) release(name string, counter uint64, size int) []byte {
	w.t.Helper()
	m := release.Manifest{Release: name, Counter: counter, Compatible: map[string][]string{"product": {"edgebox-2"}}}
	m.Components = append(m.Components, w.fleet.Component(release.Config, "config/base", name, "config/base-"+name+".yaml",
		bytes.NewReader([]byte("device: "+name)), false))
	content := noise(size)
	if size > 0 {
		m.Components = append(m.Components, w.fleet.Component(release.Model, "model/defect", name, "models/defect-"+name+".om", bytes.NewReader(content), true))
	}
	w.fleet.Release(m)
	w.fleet.Publish()
	return content
}

func noise(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// roll makes a rollout to the box.
func (w *world) roll(name string, edit func(*rollout.Spec)) string {
	w.t.Helper()
	s := &rollout.Spec{Release: name, Waves: []rollout.Wave{{Name: "all", Percent: 100}}}
	if edit != nil {
		edit(s)
	}
	id, err := w.server.Order(w.ctx, s, "ann")
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// job is what the hub knows of the box in a rollout.
func (w *world) job(id string) (j rollout.Job) {
	_ = w.server.Decide(w.ctx, func(f *rollout.Fleet, _ time.Time) ([]rollout.Entry, error) {
		if x := f.Rollout(id).Jobs[device]; x != nil {
			j = *x
		}
		return nil, nil
	})
	return j
}

// until waits on virtual time.
func (w *world) until(limit time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			r := w.client.Reported()
			w.t.Fatalf("not within %v: %s; the box is %s (%s: %s), %+v", limit, what, r.State, r.Reason, r.Detail, w.client.Stats())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *world) reaches(limit time.Duration, s fleetwire.State, reason string) {
	w.t.Helper()
	w.until(limit, string(s)+" "+reason, func() bool {
		r := w.client.Reported()
		return r.State == s && r.Reason == reason
	})
}

func (w *world) trouble(t mqtt.Trouble) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.troubles[t]
}

func encode(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// manifest is the sha256 of a release's manifest.
func (w *world) manifest(name string) string {
	v, err := w.fleet.Repo.Check(time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	target, err := v.Find("releases/" + name + ".json")
	if err != nil {
		w.t.Fatal(err)
	}
	return target.SHA256
}

func contextOf(w *world) (context.Context, context.CancelFunc) { return context.WithCancel(w.ctx) }

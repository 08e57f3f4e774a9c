package mqtt_test

import (
	"bytes"
	"flag"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/fetch"
	"github.com/edgelog/edgelog/agent/update/mqtt"
	"github.com/edgelog/edgelog/agent/update/updatetest"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/vfs"
)

func (w *world) staged(p string) []byte {
	w.t.Helper()
	data, err := vfs.ReadFile(w.box.Disk, path.Join(updatetest.Dir, update.StageName, "targets", p), 1<<30)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// TestRelease: a release comes over the network, is installed, and the hub knows; the next one fetches only what is new.
func TestRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		w.release("2026.11.1", 1, 300_000)
		w.start()
		id := w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Committed, "")
		w.until(time.Minute, "the hub knows", func() bool { return w.job(id).State == rollout.JobState(fleetwire.Committed) })
		for _, s := range []fleetwire.State{fleetwire.Checking, fleetwire.Planned, fleetwire.Downloading, fleetwire.Staged, fleetwire.Installing,
			fleetwire.Probation, fleetwire.Committed} {
			if !slices.Contains(w.states, s) {
				t.Errorf("state %s was never reported: %v", s, w.states)
			}
		}
		taken := w.client.Stats().Taken
		// The model is the same: its content is in the store.
		m := release.Manifest{Release: "2026.11.2", Counter: 2}
		m.Components = []release.Component{w.fleet.Component(release.Model, "model/defect", "2026.11.1", "models/defect-2026.11.1.om",
			bytes.NewReader(noise(300_000)), true),
			w.fleet.Component(release.Config, "config/base", "2", "config/base-2.yaml", strings.NewReader("2"), false)}
		w.fleet.Release(m)
		w.fleet.Publish()
		w.roll("2026.11.2", nil)
		w.until(time.Minute, "the next", func() bool { return w.box.Public().Stable == "2026.11.2" })
		if again := w.client.Stats().Taken - taken; again > 20_000 {
			t.Errorf("%d bytes fetched for a release with one new file of a byte", again)
		}
		// What is not needed any more is gone.
		w.reaches(time.Minute, fleetwire.Committed, "")
		for _, dir := range []string{"part", "stage/targets/models", "stage/targets/config"} {
			if list, err := w.box.Disk.List(path.Join(updatetest.Dir, dir)); err == nil && len(list) > 0 {
				t.Errorf("%s still holds %v", dir, list)
			}
		}
	})
}

// TestTwoHundredMegabytes: case 42. A link that drops every seventh chunk costs less than one window a drop.
func TestTwoHundredMegabytes(t *testing.T) {
	const size = 200 << 20
	inWorld(t, func(w *world) {
		n, drops := 0, 0
		w.rate, w.delay = 10e6/8, 50*time.Millisecond
		w.drop = func(m fleetwire.Message) bool {
			if !strings.Contains(m.Topic, "/chunk/res/") {
				return false
			}
			n++
			if n%7 == 0 {
				drops++
				return true
			}
			return false
		}
		content := w.release("2026.11.1", 1, size)
		w.start()
		w.box.Ends = func(string) string { return "UPD-HEALTH" } // so that the stage stays
		began := time.Now()
		w.roll("2026.11.1", nil)
		w.until(2*time.Hour, "it has come", func() bool { return w.client.Reported().State == fleetwire.RolledBack })
		s := w.client.Stats()
		again := s.Asked - s.Taken
		t.Logf("%v on virtual time, %d drops, %d bytes asked for again: %.2f chunks a drop", time.Since(began).Round(time.Second), drops, again,
			float64(again)/float64(drops)/(1<<16))
		if drops < size>>16/7 || again > int64(drops)*fetch.MaxWindowBytes/4 {
			t.Errorf("%d drops, %d bytes asked for again", drops, again)
		}
		if !bytes.Equal(w.staged("models/defect-2026.11.1.om"), content) {
			t.Error("another file came out")
		}
	})
}

// TestConnectionDrops: case 42's other half, and 41: the connection, the hub and the box end again and again.
func TestConnectionDrops(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rate, w.delay = 10e6/8, 50*time.Millisecond
		content := w.release("2026.11.1", 1, 8<<20)
		w.start()
		w.box.Ends = func(string) string { return "UPD-HEALTH" }
		w.roll("2026.11.1", nil)
		asked, taken, rounds := int64(0), int64(0), 0
		for over := []fleetwire.State{fleetwire.Installing, fleetwire.Probation, fleetwire.RolledBack}; !slices.Contains(over, w.client.Reported().State); {
			if rounds++; rounds > 500 {
				t.Fatalf("it does not end: %+v", w.client.Reported())
			}
			time.Sleep(1500 * time.Millisecond)
			switch rounds % 3 {
			case 0:
				w.link.Close()
				w.net.Forget()
				w.connect()
			case 1:
				w.stopHub()
				w.hub()
			case 2:
				s := w.client.Stats()
				asked, taken = asked+s.Asked, taken+s.Taken
				w.stop()
				w.start()
			}
		}
		w.reaches(time.Minute, fleetwire.RolledBack, "UPD-HEALTH")
		s := w.client.Stats()
		asked, taken = asked+s.Asked, taken+s.Taken
		t.Logf("%d interruptions, %d of %d bytes asked for again", rounds, asked-taken, len(content))
		if asked-taken > int64(rounds)*fetch.MaxWindowBytes {
			t.Errorf("%d bytes asked for again in %d interruptions", asked-taken, rounds)
		}
		if !bytes.Equal(w.staged("models/defect-2026.11.1.om"), content) {
			t.Error("another file came out")
		}
	})
}

var (
	stride = flag.Int("stride", 6, "TestPowerCuts cuts after every so manieth operation")
	seed   = flag.Int("cut", int(time.Now().Unix()), "and begins there")
)

// TestPowerCuts: the power goes after every operation of the box's disk; the release is committed all the same, and its
// install is begun once.
func TestPowerCuts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.release("2026.11.1", 1, 200_000)
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Committed, "")
		ops := w.box.Disk.Ops()
		w.stop()
		t.Logf("%d operations, -cut %d", ops, *seed%*stride)
		for cut := int64(1 + *seed%*stride); cut < ops; cut += int64(*stride) {
			w.newBox()
			w.box.Disk.StopAfter(cut)
			if c, err := w.box.Client(); err == nil { // else the power goes while it opens
				w.startWith(c)
				w.until(10*time.Minute, "the power goes", func() bool { return w.box.Disk.Stopped() || w.box.Public().Stable != "" })
				w.stop()
			}
			w.box.Disk = w.box.Disk.CrashClone(vfs.CrashOptions{})
			w.box.Options.FS = w.box.Disk
			w.start()
			w.until(15*time.Minute, "it is committed", func() bool { return w.client.Reported().State == fleetwire.Committed })
			if w.box.Public().Stable != "2026.11.1" {
				t.Fatalf("cut after %d operations: %+v", cut, w.box.Public())
			}
			w.stop()
		}
	})
}

// TestUntrusted: cases 25 to 27 and what else a broker can forge. Nothing that trust did not sign is fetched or started.
func TestUntrusted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.release("2026.11.1", 5, 0)
		w.release("2026.11.2", 6, 0)
		w.start()
		w.roll("2026.11.2", nil)
		w.reaches(time.Minute, fleetwire.Committed, "")
		desire := func(d fleetwire.Desired) {
			w.net.Dial(0, 0, nil).Publish(w.ctx, w.box.Options.Topics.Desired(), 1, true, encode(t, d))
		}
		gen := w.client.Reported().GenerationSeen
		sum := func(name string) string { return w.manifest(name) }
		began := w.box.Began

		// 25: an older signed release.
		desire(fleetwire.Desired{Generation: gen + 10, Release: "2026.11.1", Manifest: sum("2026.11.1"), Attempt: 1})
		w.reaches(time.Minute, fleetwire.Rejected, "UPD-RBK")
		// 26: one that does not exist: asked for, ever more rarely, and nothing else.
		desire(fleetwire.Desired{Generation: gen + 11, Release: "2099.1", Manifest: strings.Repeat("ab", 32), Attempt: 1})
		w.reaches(time.Minute, fleetwire.Checking, "UPD-NET")
		before := w.server.Stats().Meta
		time.Sleep(24 * time.Hour)
		if n := w.server.Stats().Meta - before; n > 40 {
			t.Errorf("26: metadata was asked for %d times in a day", n)
		}
		// The right name with another manifest.
		desire(fleetwire.Desired{Generation: uint64(time.Now().UnixMilli()), Release: "2026.11.2", Manifest: strings.Repeat("ab", 32), Attempt: 1})
		w.reaches(time.Minute, fleetwire.Rejected, "UPD-HASH")
		// 27: a lower generation, as after a restore of the broker.
		stale := w.client.Stats().Stale
		desire(fleetwire.Desired{Generation: gen, Release: "2026.11.2", Manifest: sum("2026.11.2"), Attempt: 1})
		w.until(time.Minute, "27: it is ignored", func() bool { return w.client.Stats().Stale > stale })
		if s := w.client.Reported(); s.Reason != "UPD-HASH" {
			t.Errorf("27: %+v", s)
		}
		// One from far ahead does not block those that follow.
		desire(fleetwire.Desired{Generation: 1 << 62, Release: "2026.11.2", Manifest: sum("2026.11.2"), Attempt: 1})
		// Garbage, and far too much of it.
		for _, junk := range [][]byte{[]byte("{"), []byte("null"), []byte(`{"gen":-1}`), []byte(`{"gen":1e99}`), bytes.Repeat([]byte("["), 100_000),
			[]byte(`{"gen":99999999999999,"release":"../../etc","manifest":"` + strings.Repeat("a", 64) + `"}`)} {
			w.net.Dial(0, 0, nil).Publish(w.ctx, w.box.Options.Topics.Desired(), 1, true, junk)
		}
		time.Sleep(time.Minute)
		desire(fleetwire.Desired{Generation: uint64(time.Now().UnixMilli()), Release: "2026.11.2", Manifest: sum("2026.11.2"), Attempt: 2})
		w.reaches(time.Minute, fleetwire.Committed, "")
		if w.box.Began != began {
			t.Errorf("%d installs were started by what nobody signed", w.box.Began-began)
		}
	})
}

// TestUnsolicited: chunks, refusals and metadata that nobody asked for change nothing.
func TestUnsolicited(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rate, w.delay = 1e6, 20*time.Millisecond
		w.release("2026.11.1", 1, 1<<20)
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Downloading, "")
		evil := w.net.Dial(0, 0, nil)
		topics := w.box.Options.Topics
		for i := range 40 {
			evil.Publish(w.ctx, topics.Chunk("zz", i), 0, false, noise(1<<16))
			evil.Publish(w.ctx, topics.Refused("zz"), 1, false, []byte(`{"code":"NotFound"}`))
			evil.Publish(w.ctx, topics.Meta("zz"), 1, false, []byte(`{"nonce":"x","bundle":{}}`))
			time.Sleep(50 * time.Millisecond)
		}
		w.reaches(time.Minute, fleetwire.Committed, "")
		if s := w.client.Stats(); s.Unasked < 40 || s.Bad > 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestHostileServer: cases 36, 39, 40 over the whole way.
func TestHostileServer(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(fleetwire.Message) bool
		state  fleetwire.State
		reason string
		slow   bool
	}{
		"36: wrong bytes":     {spoil: func(m fleetwire.Message) bool { m.Payload[len(m.Payload)/2] ^= 1; return false }, state: fleetwire.Failed, reason: "UPD-HASH"},
		"39: next to nothing": {spoil: func(m fleetwire.Message) bool { return true }, state: fleetwire.Failed, reason: "UPD-NET", slow: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.drop = func(m fleetwire.Message) bool {
					return strings.Contains(m.Topic, "/chunk/res/") && len(m.Payload) == 1<<16 && c.spoil(m)
				}
				w.release("2026.11.1", 1, 4<<20)
				w.start()
				id := w.roll("2026.11.1", nil)
				if c.slow {
					w.until(time.Hour, "people are told", func() bool { return w.trouble(mqtt.Slow) != "" })
				}
				w.reaches(10*time.Hour, c.state, c.reason)
				w.until(time.Minute, "the hub knows", func() bool { return w.job(id).State == rollout.JobState(c.state) })
				if w.trouble(mqtt.NotKept) == "" || w.box.Began != 0 {
					t.Errorf("%q, %d installs", w.trouble(mqtt.NotKept), w.box.Began)
				}
			})
		})
	}
}

// TestBadIndex: case 40. An index, signed by mistake, that does not fit its file ends the attempt before content comes.
func TestBadIndex(t *testing.T) {
	inWorld(t, func(w *world) {
		c := w.fleet.Component(release.Model, "model/defect", "1", "models/defect.om", bytes.NewReader(noise(300_000)), true)
		other := w.fleet.Component(release.Model, "model/other", "1", "models/other.om", bytes.NewReader(noise(200_000)), true)
		c.Index = other.Index
		w.fleet.Release(release.Manifest{Release: "2026.11.1", Counter: 1, Components: []release.Component{c}})
		w.fleet.Publish()
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Failed, "UPD-FMT")
		// It is not tried again by itself, not even after a restart.
		w.stop()
		w.start()
		w.reaches(time.Minute, fleetwire.Failed, "UPD-FMT")
		if w.box.Began != 0 {
			t.Error("an install was started")
		}
	})
}

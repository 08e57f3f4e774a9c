package mqtt_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/mqtt"
	"github.com/edgelog/edgelog/agent/update/updatetest"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/trust/repo"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestOperators: pause, resume, abort and retry, and what they are refused; case 67 as far as the agent decides it.
func TestOperators(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rate = 100_000
		w.release("2026.11.1", 1, 2<<20)
		w.start()
		if err := w.client.Do(fleetwire.OpAbort, "ann"); !errors.Is(err, mqtt.ErrNothing) {
			t.Error(err)
		}
		id := w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Downloading, "")
		if err := w.client.Do(fleetwire.OpRetry, "ann"); !errors.Is(err, mqtt.ErrNotFailed) {
			t.Errorf("retry of what is on its way: %v", err)
		}
		must(t, w.client.Do(fleetwire.OpPause, "ann"))
		w.reaches(time.Minute, fleetwire.Waiting, "UPD-POLICY")
		time.Sleep(time.Minute)
		taken := w.client.Stats().Taken
		time.Sleep(time.Hour)
		if now := w.client.Stats().Taken; now != taken {
			t.Errorf("%d bytes came while it was paused", now-taken)
		}
		w.stop() // a pause outlives a restart
		w.start()
		w.reaches(time.Minute, fleetwire.Waiting, "UPD-POLICY")
		must(t, w.client.Do(fleetwire.OpResume, "ann"))
		w.reaches(time.Minute, fleetwire.Downloading, "")
		must(t, w.client.Do(fleetwire.OpAbort, "ann"))
		w.reaches(time.Minute, fleetwire.Rejected, "UPD-POLICY")
		w.until(time.Minute, "the hub knows", func() bool { return w.job(id).State == rollout.JobState(fleetwire.Rejected) })
		must(t, w.client.Do(fleetwire.OpRetry, "ann"))
		w.reaches(10*time.Minute, fleetwire.Probation, "")
		for _, op := range []string{fleetwire.OpAbort, fleetwire.OpRetry} {
			if err := w.client.Do(op, "ann"); !errors.Is(err, mqtt.ErrInstalling) {
				t.Errorf("%s during an install: %v", op, err)
			}
		}
		w.reaches(time.Minute, fleetwire.Committed, "")
		if err := w.client.Do(fleetwire.OpRetry, "ann"); !errors.Is(err, mqtt.ErrNotFailed) {
			t.Errorf("retry of what is in force: %v", err)
		}
		if err := w.client.Do("format", "ann"); !errors.Is(err, mqtt.ErrOperation) {
			t.Error(err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNewestWins: case 67. Of two releases desired within seconds the newer one is taken; one that comes during an
// install waits for its end.
func TestNewestWins(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rate = 200_000
		w.release("2026.11.1", 1, 1<<20)
		w.release("2026.11.2", 2, 0)
		w.release("2026.11.3", 3, 0)
		w.start()
		first := w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Downloading, "")
		must(t, w.server.Decide(w.ctx, func(f *rollout.Fleet, now time.Time) ([]rollout.Entry, error) {
			return f.Abort(first, "ann", true, now)
		}))
		w.roll("2026.11.2", nil)
		w.reaches(time.Minute, fleetwire.Probation, "")
		if r := w.client.Reported(); r.Desired != "2026.11.2" {
			t.Errorf("%+v", r)
		}
		w.net.Dial(0, 0, nil).Publish(w.ctx, w.box.Options.Topics.Desired(), 1, true, encode(t, fleetwire.Desired{
			Generation: uint64(time.Now().UnixMilli()), Release: "2026.11.3", Manifest: w.manifest("2026.11.3"), Attempt: 1}))
		w.reaches(time.Minute, fleetwire.Waiting, "UPD-POLICY")
		w.until(time.Minute, "both end, one after the other", func() bool { return w.box.Public().Stable == "2026.11.3" })
		if w.box.Began != 2 {
			t.Errorf("%d installs", w.box.Began)
		}
	})
}

// TestWindows: content comes at any time, an install starts inside the windows of box and rollout, in the box's time.
func TestWindows(t *testing.T) {
	inWorld(t, func(w *world) { // it is midnight UTC
		w.box.Options.Zone = time.FixedZone("east", 3*3600)
		w.box.Options.Windows = []fleetwire.Window{{From: "05:00", To: "08:00"}}
		w.release("2026.11.1", 1, 0)
		w.start()
		id := w.roll("2026.11.1", func(s *rollout.Spec) {
			s.Windows = []rollout.Window{{From: "06:00", To: "07:00"}}
			s.Timeouts = rollout.Timeouts{Step: 10 * time.Minute, Total: time.Hour}
		})
		w.reaches(time.Minute, fleetwire.Waiting, "UPD-POLICY")
		began := time.Now()
		w.until(24*time.Hour, "it is installed", func() bool { return w.box.Public().Stable != "" })
		if at := time.Now().UTC().Format("15:04"); at < "03:00" || at > "03:10" {
			t.Errorf("installed at %s UTC, after %v", at, time.Since(began))
		}
		// Waiting for a window is not too slow.
		w.until(time.Minute, "the hub knows", func() bool { return w.job(id).State == rollout.JobState(fleetwire.Committed) })
	})
}

// TestExpiry: cases 9 and 16 over the network. Metadata that has ended starts nothing and is said; a new publication goes
// on by itself. The box never stops asking.
func TestExpiry(t *testing.T) {
	inWorld(t, func(w *world) {
		w.fleet.Now = time.Now().Add(time.Hour - repo.TimestampLife)
		w.release("2026.11.1", 1, 0)
		w.start()
		time.Sleep(time.Second)
		w.stop()
		id := w.roll("2026.11.1", func(s *rollout.Spec) { s.Timeouts = rollout.Timeouts{Step: 1000 * time.Hour, Total: 1000 * time.Hour} })
		time.Sleep(time.Hour)
		w.start()
		w.reaches(time.Minute, fleetwire.Checking, "UPD-EXP")
		if w.trouble(mqtt.NoTrust) == "" || w.box.Began != 0 {
			t.Errorf("%q, %d installs", w.trouble(mqtt.NoTrust), w.box.Began)
		}
		time.Sleep(3 * time.Hour)
		w.fleet.Now = time.Now()
		w.fleet.Publish()
		w.until(2*time.Hour, "it goes on", func() bool { return w.job(id).State == rollout.JobState(fleetwire.Committed) })
		if w.trouble(mqtt.NoTrust) != "" {
			t.Error("the trouble stays")
		}
	})
}

// TestExpiryWhileWaiting: metadata that ends between download and window is renewed before the install starts.
func TestExpiryWhileWaiting(t *testing.T) {
	inWorld(t, func(w *world) {
		w.fleet.Now = time.Now().Add(time.Hour - repo.TimestampLife)
		w.release("2026.11.1", 1, 0)
		w.start()
		var held atomic.Bool
		held.Store(true)
		w.stop()
		w.box.Options.Hold = func() string {
			if held.Load() {
				return "an operator holds this box"
			}
			return ""
		}
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Waiting, "UPD-POLICY")
		time.Sleep(time.Hour)
		w.reaches(2*time.Hour, fleetwire.Checking, "UPD-EXP")
		w.fleet.Now = time.Now()
		w.fleet.Publish()
		w.reaches(2*time.Hour, fleetwire.Waiting, "UPD-POLICY")
		held.Store(false)
		w.reaches(time.Minute, fleetwire.Committed, "")
	})
}

// TestRotation: a box that has followed the keys' rotation long ago hands every root to its updater, which has not; one
// that is lost on the disk is asked for again.
func TestRotation(t *testing.T) {
	inWorld(t, func(w *world) {
		w.release("2026.11.1", 1, 0)
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Committed, "")
		old := w.fleet.Keys["root"]
		for range 2 {
			k, err := repo.NewKey()
			must(t, err)
			w.fleet.Keys["old"], w.fleet.Keys["root"] = w.fleet.Keys["root"], k
			w.fleet.Root("old", "root")
		}
		k, err := repo.NewKey()
		must(t, err)
		w.fleet.Keys["timestamp"], w.fleet.Keys["old"] = k, old
		w.fleet.Root("root")
		w.release("2026.11.2", 2, 0)
		w.roll("2026.11.2", nil)
		w.until(time.Minute, "over three roots", func() bool { return w.box.Public().Stable == "2026.11.2" })
		w.stop()
		must(t, w.box.Disk.Remove(path.Join(updatetest.Dir, update.StageName, "metadata/3.root.json")))
		w.release("2026.11.3", 3, 0)
		w.start()
		w.roll("2026.11.3", nil)
		w.until(time.Minute, "with one that was lost", func() bool { return w.box.Public().Stable == "2026.11.3" })
	})
}

// TestUpdaterAbsent: a request that nobody takes is a trouble, one that is taken and forgotten is made again, and at last
// given up.
func TestUpdaterAbsent(t *testing.T) {
	inWorld(t, func(w *world) {
		w.release("2026.11.1", 1, 0)
		w.box.Took = 0
		c, err := w.box.Client()
		must(t, err)
		w.client = c
		done := make(chan error, 1)
		ctx, stop := contextOf(w)
		go func() { done <- c.Run(ctx) }()
		w.connect()
		w.roll("2026.11.1", func(s *rollout.Spec) { s.Timeouts = rollout.Timeouts{Step: 100 * time.Hour, Total: 100 * time.Hour} })
		w.reaches(time.Minute, fleetwire.Installing, "")
		w.until(10*time.Minute, "people are told", func() bool { return w.trouble(mqtt.NoUpdater) != "" })
		request := path.Join(updatetest.Dir, update.RequestName)
		asked := 0
		w.until(time.Hour, "it is given up", func() bool {
			if err := w.box.Disk.Remove(request); err == nil { // taken, and the updater killed before it noted anything
				asked++
			}
			return w.client.Reported().State == fleetwire.Failed
		})
		if asked != 3 {
			t.Errorf("asked %d times", asked)
		}
		stop()
		must(t, <-done)
		w.link.Close()
	})
}

// TestSpace: case 43. What does not fit is refused with numbers before anything is fetched.
func TestSpace(t *testing.T) {
	inWorld(t, func(w *world) {
		w.release("2026.11.1", 1, 8<<20)
		w.box.Disk.SetCapacity(68 << 20)
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Failed, "UPD-SPACE")
		if r := w.client.Reported(); !strings.Contains(r.Detail, "MiB needed") || w.client.Stats().Taken > 1<<17 {
			t.Errorf("%q, %d bytes taken", r.Detail, w.client.Stats().Taken)
		}
	})
}

// TestDiskFails: case 44. A failing sync ends the attempt; nothing of the part is trusted afterwards.
func TestDiskFails(t *testing.T) {
	inWorld(t, func(w *world) {
		sum := sha256.Sum256(w.release("2026.11.1", 1, 1<<20))
		in := vfs.NewInject(w.box.Disk, vfs.Rule{Kind: vfs.OpSync, Path: hex.EncodeToString(sum[:]), Sticky: true})
		w.box.Options.FS = in
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Failed, "UPD-IO")
		if w.trouble(mqtt.NoDisk) == "" || w.box.Began != 0 {
			t.Errorf("%q", w.trouble(mqtt.NoDisk))
		}
		in.SetRules()
		must(t, w.client.Do(fleetwire.OpRetry, "ann"))
		w.reaches(time.Minute, fleetwire.Committed, "")
	})
}

// TestTelemetryFirst: while delivery needs the link, two chunks are under way at most, and all goes on afterwards.
func TestTelemetryFirst(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rate, w.delay = 10e6/8, 50*time.Millisecond
		var busy atomic.Bool
		busy.Store(true)
		w.box.Options.Busy = busy.Load
		var queued, most atomic.Int64
		w.drop = func(m fleetwire.Message) bool {
			if strings.Contains(m.Topic, "/chunk/res/") {
				most.Store(max(most.Load(), queued.Add(1)-w.client.Stats().Taken>>16))
			}
			return false
		}
		w.release("2026.11.1", 1, 16<<20)
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Downloading, "")
		time.Sleep(5 * time.Second)
		if n := most.Load(); n > 6 { // two files before it, and what Stats has not counted yet
			t.Errorf("%d chunks under way while telemetry needs the link", n)
		}
		busy.Store(false)
		w.reaches(time.Minute, fleetwire.Committed, "")
	})
}

// TestLimit: the smaller of the box's and the rollout's limit counts.
func TestLimit(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rate, w.delay = 1e7, 10*time.Millisecond
		w.box.Options.MaxRate = 400_000
		w.release("2026.11.1", 1, 4<<20)
		w.start()
		began := time.Now()
		w.roll("2026.11.1", func(s *rollout.Spec) { s.MaxRate = 200_000 })
		w.reaches(10*time.Minute, fleetwire.Committed, "")
		if took := time.Since(began); took < 18*time.Second {
			t.Errorf("4 MiB at 200 kB a second took %v", took)
		}
	})
}

// TestClockJumps: case 66. A clock that jumps ahead while content comes starts nothing, one that jumps back undoes nothing;
// time-outs do not run by it.
func TestClockJumps(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rate = 200_000
		var jump atomic.Int64
		w.box.Options.Now = func() (time.Time, bool) { return time.Now().Add(time.Duration(jump.Load())), true }
		w.release("2026.11.1", 1, 2<<20)
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Downloading, "")
		jump.Store(int64(10 * 365 * 24 * time.Hour))
		w.reaches(time.Minute, fleetwire.Checking, "UPD-EXP")
		if w.box.Began != 0 {
			t.Error("an install was started")
		}
		jump.Store(-int64(10 * 365 * 24 * time.Hour))
		w.reaches(3*time.Hour, fleetwire.Committed, "")
	})
}

// TestUnsettled: case 68. A way back that is not completed is reported as such, and ends the rollout.
func TestUnsettled(t *testing.T) {
	inWorld(t, func(w *world) {
		w.release("2026.11.1", 1, 0)
		w.box.Ends = func(string) string { return "UPD-HEALTH" }
		w.box.Unsettled = true
		w.start()
		id := w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Inconsistent, "UPD-HEALTH")
		if w.trouble(mqtt.Unsettled) == "" {
			t.Error("nobody is told")
		}
		w.until(time.Minute, "the rollout ends", func() bool {
			state := rollout.State("")
			must(t, w.server.Decide(w.ctx, func(f *rollout.Fleet, _ time.Time) ([]rollout.Entry, error) {
				state = f.Rollout(id).State
				return nil, nil
			}))
			return state == rollout.Aborted
		})
	})
}

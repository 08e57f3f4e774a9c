package rollout_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/vfs"
)

const manifest = "aa00000000000000000000000000000000000000000000000000000000000000"

var day0 = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// sim is a fleet of devices on virtual time that do what they are told: after took they report their end.
type sim struct {
	t     *testing.T
	now   time.Time
	disk  *vfs.Mem
	log   *rollout.Log
	fleet *rollout.Fleet
	boxes map[string]*box
	ends  func(name string) fleetwire.State // how an install ends; "" never
	took  time.Duration
	pace  time.Duration // of run
	most  int           // updating at the same time
	order []string
}

type box struct {
	online bool
	gen    uint64
	due    time.Time
	rep    fleetwire.Reported
}

func newSim(t *testing.T, n int) *sim {
	s := &sim{t: t, now: day0, disk: vfs.NewMem(), boxes: map[string]*box{}, took: 5 * time.Minute, pace: 10 * time.Second,
		ends: func(string) fleetwire.State { return fleetwire.Committed }}
	s.open()
	for i := range n {
		name := fmt.Sprintf("box-%04d", i)
		s.boxes[name] = &box{rep: fleetwire.Reported{State: fleetwire.Idle, Release: "2026.10", Facts: map[string]string{"product": "edgebox-2"}}}
		s.online(name, true)
	}
	return s
}

func (s *sim) open() {
	s.t.Helper()
	var err error
	if s.log, s.fleet, err = rollout.OpenLog(s.disk, "/fleet"); err != nil {
		s.t.Fatal(err)
	}
	s.fleet.Start(s.now, 0)
}

// restart is a hub that was killed: it reads its log, and hears the devices again.
func (s *sim) restart() {
	s.t.Helper()
	before, _ := json.Marshal(s.durable())
	s.open()
	if after, _ := json.Marshal(s.durable()); string(after) != string(before) {
		s.t.Fatalf("another state after a restart:\n%s\n%s", before, after)
	}
	for name, b := range s.boxes {
		if b.online {
			s.online(name, true)
		}
	}
}

// durable is the state that entries make.
func (s *sim) durable() any { return []any{s.fleet.Rollouts, s.fleet.Generation, s.fleet.Created} }

func (s *sim) append(entries []rollout.Entry) {
	s.t.Helper()
	if err := s.log.Append(s.fleet, entries); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sim) online(name string, on bool) {
	b := s.boxes[name]
	b.online = on
	s.fleet.Online(name, on, s.now)
	if on {
		s.report(name)
	}
}

func (s *sim) report(name string) {
	rep := s.boxes[name].rep
	s.append(s.fleet.Report(name, &rep, s.now))
}

func (s *sim) create(spec rollout.Spec) *rollout.Rollout {
	s.t.Helper()
	if spec.Release == "" {
		spec.Release = "2026.11"
	}
	spec.WithDefaults()
	if err := spec.Validate(); err != nil {
		s.t.Fatal(err)
	}
	entries, err := s.fleet.Create(&spec, manifest, "ann", s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(entries)
	return s.rollout(entries[0].Rollout)
}

func (s *sim) rollout(id string) *rollout.Rollout { return s.fleet.Rollout(id) }

// run lets time pass in steps of ten seconds until ok.
func (s *sim) run(limit time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for end := s.now.Add(limit); !ok(); {
		if s.now.After(end) {
			for _, r := range s.fleet.Rollouts {
				s.t.Logf("%s %s %q wave %d %v", r.ID, r.State, r.Reason, r.Wave, s.fleet.Counts(r, -1, s.now))
			}
			s.t.Fatalf("not within %v: %s", limit, what)
		}
		s.step(s.pace)
	}
}

func (s *sim) step(d time.Duration) {
	s.now = s.now.Add(d)
	for range 20 {
		entries := s.fleet.Tick(s.now)
		if len(entries) == 0 {
			break
		}
		s.append(entries)
		for _, e := range entries {
			if e.What == rollout.WasTold {
				s.order = append(s.order, e.Device)
			}
		}
	}
	busy := 0
	for _, name := range slices.Sorted(maps.Keys(s.boxes)) {
		b := s.boxes[name]
		d := s.fleet.Devices[name].Desired
		if !b.online || d == nil {
			continue
		}
		if d.Generation > b.gen {
			b.gen, b.due = d.Generation, s.now.Add(s.took)
			b.rep.GenerationSeen, b.rep.Desired, b.rep.Rollout, b.rep.Manifest, b.rep.Attempt = d.Generation, d.Release, d.Rollout, d.Manifest, d.Attempt
			b.rep.State = fleetwire.Downloading
			if d.Release == "" {
				b.rep.State, b.due = fleetwire.Idle, time.Time{}
			}
			s.report(name)
		}
		if !b.due.IsZero() {
			busy++
			if end := s.ends(name); end != "" && !s.now.Before(b.due) {
				b.due, b.rep.State = time.Time{}, end
				if end == fleetwire.Committed {
					b.rep.Release = d.Release
				}
				s.report(name)
			}
		}
	}
	s.most = max(s.most, busy)
}

func committed(s *sim, r *rollout.Rollout) int {
	return s.fleet.Counts(r, -1, s.now)[rollout.JobState(fleetwire.Committed)]
}

var threeWaves = []rollout.Wave{{Name: "lab", Devices: []string{"box-0001", "box-0002"}, Soak: time.Hour},
	{Name: "canary", Percent: 5, Min: 10, Soak: 2 * time.Hour},
	{Name: "all", Percent: 100, MaxInFlight: rollout.Amount{Percent: 10}, RatePerMin: 30}}

// TestWaves: lab, canary, all; in order, with soak, share, bound and rate; the hub is killed again and again meanwhile.
func TestWaves(t *testing.T) {
	s := newSim(t, 300)
	r := s.create(rollout.Spec{Waves: threeWaves})
	began := map[int]time.Time{}
	r = s.rollout(r.ID)
	n := 0
	s.run(48*time.Hour, "it is done", func() bool {
		if n++; n%50 == 0 {
			s.restart()
		}
		r = s.rollout(r.ID)
		if _, ok := began[r.Wave]; !ok {
			began[r.Wave] = s.now
		}
		return r.State == rollout.Done
	})
	if got := committed(s, r); got != 300 {
		t.Errorf("%d committed", got)
	}
	if w := began[1].Sub(began[0]); w < time.Hour+5*time.Minute {
		t.Errorf("canary began after %v", w)
	}
	if w := began[2].Sub(began[1]); w < 2*time.Hour+5*time.Minute {
		t.Errorf("all began after %v", w)
	}
	if s.most > 30 {
		t.Errorf("%d updated at the same time, 10 %% of 300 may", s.most)
	}
	if lab := s.order[:2]; !slices.Contains(lab, "box-0001") || !slices.Contains(lab, "box-0002") {
		t.Errorf("first were %v", lab)
	}
	canary := 0
	for _, j := range r.Jobs {
		if j.Wave == 1 {
			canary++
		}
	}
	if canary < 10 || canary > 40 {
		t.Errorf("%d canaries", canary)
	}
	if took := s.now.Sub(began[2]); took < 9*time.Minute {
		t.Errorf("the last wave took %v at 30 a minute", took)
	}
}

// TestStops: with 5 % bad devices a rollout ends before most of the fleet has seen the release.
func TestStops(t *testing.T) {
	for seed := range uint64(4) {
		s := newSim(t, 1000)
		rng := rand.New(rand.NewPCG(seed, 1))
		bad := map[string]bool{}
		for _, name := range slices.Sorted(maps.Keys(s.boxes)) {
			bad[name] = rng.Float64() < 0.05
		}
		s.ends = func(name string) fleetwire.State {
			if bad[name] {
				return fleetwire.RolledBack
			}
			return fleetwire.Committed
		}
		r := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "canary", Percent: 2, Min: 5, Soak: time.Hour}, {Name: "all", Percent: 100,
			MaxInFlight: rollout.Amount{Devices: 50}}}, Success: 80})
		s.run(100*time.Hour, "it ends", func() bool { return s.rollout(r.ID).State.Over() })
		s.run(time.Hour, "those that run finish", func() bool { return s.fleet.Counts(s.rollout(r.ID), -1, s.now)[rollout.Told] == 0 })
		r = s.rollout(r.ID)
		n := s.fleet.Counts(r, -1, s.now)
		if r.State != rollout.Aborted || r.Reason == "" {
			t.Errorf("seed %d: %s %v", seed, r.State, n)
		}
		if told := len(s.order); told > 300 || told != n[rollout.JobState(fleetwire.Committed)]+n[rollout.JobState(fleetwire.RolledBack)] {
			t.Errorf("seed %d: %d devices were told; %v", seed, told, n)
		}
		told := len(s.order)
		for range 100 {
			s.step(time.Minute)
		}
		if len(s.order) != told {
			t.Errorf("seed %d: an aborted rollout tells devices", seed)
		}
	}
}

// TestOffline: devices that are offline, from the start or from the middle of their update, do not hold others up; they
// are told when they come, and time-outs run while they are online only.
func TestOffline(t *testing.T) {
	s := newSim(t, 50)
	for i := range 5 {
		s.online(fmt.Sprintf("box-%04d", i), false)
	}
	r := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "half", Percent: 50}, {Name: "all", Percent: 100, MaxInFlight: rollout.Amount{Devices: 5}}},
		Abort: []rollout.AbortRule{{On: []string{"ROLLED_BACK"}, Count: 1}}})
	s.run(10*time.Minute, "some are told", func() bool { return len(s.order) > 10 })
	gone := s.order[0]
	s.online(gone, false)
	s.run(5*time.Hour, "all others are done", func() bool { return committed(s, s.rollout(r.ID)) == 44 })
	if r = s.rollout(r.ID); r.State != rollout.Running || r.Jobs[gone].State != rollout.Told {
		t.Errorf("%s, %s", r.State, r.Jobs[gone].State)
	}
	s.online("box-0001", true)
	s.online(gone, true)
	s.run(time.Hour, "they catch up", func() bool { return committed(s, s.rollout(r.ID)) == 46 })
	s.pace = 10 * time.Minute
	s.run(8*24*time.Hour, "nobody waits for what was silent for a week", func() bool { return s.rollout(r.ID).State == rollout.Done })
	if n := s.fleet.Counts(s.rollout(r.ID), -1, s.now); n[rollout.Cancelled] != 4 {
		t.Errorf("%v", n)
	}
}

// TestVanish: a release that takes devices off the network stops.
func TestVanish(t *testing.T) {
	s := newSim(t, 100)
	s.took = 10 * time.Minute
	r := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "all", Percent: 100, MaxInFlight: rollout.Amount{Devices: 10}}},
		Abort: []rollout.AbortRule{{On: []string{"VANISHED"}, Count: 5}}})
	s.run(20*time.Hour, "it stops", func() bool {
		for name, b := range s.boxes {
			if b.online && b.rep.State == fleetwire.Downloading && s.now.Sub(b.due) > -5*time.Minute {
				s.online(name, false)
			}
		}
		return s.rollout(r.ID).State == rollout.Aborted
	})
	if len(s.order) > 20 {
		t.Errorf("%d were told", len(s.order))
	}
}

// TestTimeouts: a device that makes no progress ends by itself; one that waits for its window does not; one that reports
// late after all counts.
func TestTimeouts(t *testing.T) {
	s := newSim(t, 3)
	s.ends = func(name string) fleetwire.State {
		if name == "box-0000" {
			return fleetwire.Committed
		}
		return ""
	}
	r := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "all", Percent: 100}}, Success: 1, Retry: rollout.Retry{Max: 1, Backoff: time.Hour},
		Abort: []rollout.AbortRule{{On: []string{"INCONSISTENT"}, Count: 1}}, Timeouts: rollout.Timeouts{Step: 20 * time.Minute, Total: 40 * time.Hour}})
	s.run(10*time.Minute, "told", func() bool { return len(s.order) == 3 })
	s.boxes["box-0001"].rep.State = fleetwire.Waiting
	s.report("box-0001")
	s.run(time.Hour, "it times out", func() bool { return s.rollout(r.ID).Jobs["box-0002"].State == rollout.TimedOut })
	for range 10 {
		s.step(time.Minute)
	}
	if j := s.rollout(r.ID).Jobs["box-0001"]; j.State != rollout.Told {
		t.Errorf("one that waits: %+v", j)
	}
	s.run(2*time.Hour, "it is tried again", func() bool {
		j := s.rollout(r.ID).Jobs["box-0002"]
		return j.State == rollout.Told && j.Attempt == 2
	})
	s.run(2*time.Hour, "and times out again", func() bool { return s.rollout(r.ID).Jobs["box-0002"].State == rollout.TimedOut })
	b := s.boxes["box-0002"]
	b.rep.State, b.rep.Release, b.due = fleetwire.Committed, "2026.11", time.Time{}
	s.report("box-0002")
	if j := s.rollout(r.ID).Jobs["box-0002"]; j.State != rollout.JobState(fleetwire.Committed) {
		t.Errorf("late, but done: %+v", j)
	}
	s.run(50*time.Hour, "not for ever", func() bool {
		s.boxes["box-0001"].rep.State = fleetwire.Downloading
		s.report("box-0001")
		return s.rollout(r.ID).Jobs["box-0001"].State == rollout.TimedOut
	})
}

// TestOperators: pause, gates, abort, force, and what is refused.
func TestOperators(t *testing.T) {
	s := newSim(t, 40)
	order := func(f func(id, by string, now time.Time) ([]rollout.Entry, error), id string) error {
		e, err := f(id, "ann", s.now)
		if err == nil {
			s.append(e)
		}
		return err
	}
	r := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "a", Percent: 50, MaxInFlight: rollout.Amount{Devices: 2}}, {Name: "b", Percent: 100, Gate: "manual"}}})
	s.run(time.Hour, "some", func() bool { return committed(s, s.rollout(r.ID)) >= 4 })
	if err := order(s.fleet.Pause, r.ID); err != nil {
		t.Fatal(err)
	}
	told := len(s.order)
	for range 60 {
		s.step(time.Minute)
	}
	s.restart()
	if n := s.fleet.Counts(s.rollout(r.ID), -1, s.now); len(s.order) != told || n[rollout.Told] != 0 {
		t.Errorf("paused: %d told before, %d now; %v", told, len(s.order), n)
	}
	if err := order(s.fleet.Pause, r.ID); err == nil {
		t.Error("paused twice")
	}
	if err := order(s.fleet.Resume, r.ID); err != nil {
		t.Fatal(err)
	}
	s.run(10*time.Hour, "the gate", func() bool { return s.rollout(r.ID).State == rollout.Waiting })
	before := len(s.order)
	for range 60 {
		s.step(time.Minute)
	}
	if len(s.order) != before {
		t.Error("the gate is not shut")
	}
	if err := order(s.fleet.Resume, r.ID); err != nil {
		t.Fatal(err)
	}
	s.ends = func(string) fleetwire.State { return "" }
	s.run(time.Hour, "the second wave runs", func() bool { return len(s.order) == 40 })
	e, err := s.fleet.Abort(r.ID, "ann", true, s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.append(e)
	if n := s.fleet.Counts(s.rollout(r.ID), -1, s.now); n[rollout.Told] != 0 || n[rollout.Cancelled] == 0 {
		t.Errorf("%v", n)
	}
	for name, j := range s.rollout(r.ID).Jobs {
		if d := s.fleet.Devices[name].Desired; j.State == rollout.Cancelled && d.Release != "" {
			t.Errorf("%s is still to run %s", name, d.Release)
		}
	}
	if err := order(s.fleet.Resume, r.ID); err == nil {
		t.Error("an aborted rollout resumes")
	}
	if err := order(s.fleet.Pause, "R-99"); err == nil {
		t.Error("one that does not exist")
	}
	// The same release again: devices remember attempts, so they get higher ones.
	s.ends = func(string) fleetwire.State { return fleetwire.Committed }
	second := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "all", Percent: 100}}})
	s.run(time.Hour, "the rest", func() bool { return committed(s, s.rollout(second.ID)) == 40 })
	for name, j := range s.rollout(second.ID).Jobs {
		if first := s.rollout(r.ID).Jobs[name]; first.State == rollout.Cancelled && j.Attempt <= first.Attempt {
			t.Errorf("%s: attempt %d after %d", name, j.Attempt, first.Attempt)
		}
	}
}

// TestSuccess: too few that committed pause a rollout; somebody may go on all the same, for that wave.
func TestSuccess(t *testing.T) {
	s := newSim(t, 40)
	s.ends = func(name string) fleetwire.State {
		if name < "box-0008" {
			return fleetwire.Rejected
		}
		return fleetwire.Committed
	}
	r := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "a", Percent: 100, Soak: time.Minute}}, Success: 90})
	s.run(time.Hour, "it pauses", func() bool { return s.rollout(r.ID).State == rollout.Paused })
	e, err := s.fleet.Resume(r.ID, "ann", s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.append(e)
	s.run(time.Hour, "it is done", func() bool { return s.rollout(r.ID).State == rollout.Done })
}

// TestOneAtATime: two rollouts never want a device at the same time.
func TestOneAtATime(t *testing.T) {
	s := newSim(t, 30)
	a := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "a", Percent: 100, MaxInFlight: rollout.Amount{Devices: 3}}}})
	b := s.create(rollout.Spec{Release: "2026.12", Waves: []rollout.Wave{{Name: "a", Percent: 100, MaxInFlight: rollout.Amount{Devices: 3}}}})
	s.run(20*time.Hour, "both are done", func() bool {
		for name, j := range s.rollout(a.ID).Jobs {
			if k := s.rollout(b.ID).Jobs[name]; k != nil && j.State == rollout.Told && k.State == rollout.Told {
				t.Fatalf("%s is told by both", name)
			}
		}
		return s.rollout(a.ID).State == rollout.Done && s.rollout(b.ID).State == rollout.Done
	})
}

// TestAbortedReachesNobody: once a rollout is aborted, only devices that are at it go on; what stands at the broker for one that
// waits for its window, is offline, or was given up for lost is taken back, over restarts of the hub, too.
func TestAbortedReachesNobody(t *testing.T) {
	s := newSim(t, 4)
	s.ends = func(string) fleetwire.State { return "" }
	const runs, waits, gone, lost = "box-0000", "box-0001", "box-0002", "box-0003"
	r := s.create(rollout.Spec{Waves: []rollout.Wave{{Name: "all", Percent: 100}}, Retry: rollout.Retry{Max: 3, Backoff: 100 * time.Hour},
		Timeouts: rollout.Timeouts{Step: 20 * time.Minute, Total: 40 * time.Hour},
		Abort:    []rollout.AbortRule{{On: []string{"INCONSISTENT"}, Count: 1}}})
	s.run(10*time.Minute, "told", func() bool { return len(s.order) == 4 })
	s.boxes[waits].rep.State = fleetwire.Waiting
	s.report(waits)
	s.online(gone, false)
	s.run(time.Hour, "one is lost", func() bool {
		s.boxes[runs].rep.Done++
		s.report(runs)
		return s.rollout(r.ID).Jobs[lost].State == rollout.TimedOut
	})
	e, err := s.fleet.Abort(r.ID, "ann", false, s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.append(e)
	s.restart()
	s.run(2*time.Hour, "it is taken back", func() bool {
		s.boxes[runs].rep.Done++
		s.report(runs)
		for _, name := range []string{waits, gone, lost} {
			if s.fleet.Devices[name].Desired.Release != "" {
				return false
			}
		}
		return true
	})
	if d, j := s.fleet.Devices[runs].Desired, s.rollout(r.ID).Jobs[runs]; d.Release == "" || j.State != rollout.Told {
		t.Errorf("one that is at it was stopped: %+v, %+v", d, j)
	}
	if j := s.rollout(r.ID).Jobs[lost]; j.State != rollout.TimedOut {
		t.Errorf("how it ended is forgotten: %+v", j)
	}
	_, last := s.log.Last()
	for range 60 {
		s.step(time.Minute)
		s.boxes[runs].rep.Done++
		s.report(runs)
	}
	if _, now := s.log.Last(); now != last {
		t.Error("the hub goes on taking back")
	}
}

package rollout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestLogPowerCuts: after a power cut at any operation of the disk the state is that of a prefix of the entries, no
// shorter than what Append had confirmed, and the log goes on.
func TestLogPowerCuts(t *testing.T) {
	rec := func(d *vfs.Mem) (confirmed int, states []string) {
		l, f, err := rollout.OpenLog(d, "/fleet")
		if err != nil {
			return 0, nil
		}
		f.Start(day0, 0)
		snap := func() {
			b, _ := json.Marshal([]any{f.Rollouts, f.Generation, f.Created})
			states = append(states, string(b))
		}
		snap()
		step := func(e []rollout.Entry, err error) bool {
			if err != nil {
				t.Fatal(err)
			}
			for i := range e { // a prefix may end within one Append
				if l.Append(f, e[i:i+1]) != nil {
					return false
				}
				confirmed++
				snap()
			}
			return true
		}
		spec := &rollout.Spec{Release: "1", Waves: []rollout.Wave{{Name: "a", Percent: 100}}}
		spec.WithDefaults()
		if !step(f.Create(spec, manifest, "ann", day0)) || l.Save(f, true) != nil || !step(f.Pause("R-1", "ann", day0)) ||
			!step(f.Resume("R-1", "ann", day0)) || l.Save(f, true) != nil || !step(f.Abort("R-1", "ann", true, day0)) ||
			!step(f.Create(spec, manifest, "ann", day0)) {
			return confirmed, states
		}
		return confirmed, states
	}
	whole := vfs.NewMem()
	n, states := rec(whole)
	if n != 5 {
		t.Fatalf("%d entries", n)
	}
	ops := whole.Ops()
	for cut := int64(0); cut <= ops; cut++ {
		d := vfs.NewMem()
		d.StopAfter(cut)
		confirmed, _ := rec(d)
		after := d.CrashClone(vfs.CrashOptions{})
		l, f, err := rollout.OpenLog(after, "/fleet")
		if err != nil {
			t.Fatalf("cut after %d operations: %v", cut, err)
		}
		b, _ := json.Marshal([]any{f.Rollouts, f.Generation, f.Created})
		last, _ := l.Last()
		if int(last) < confirmed || string(b) != states[last] {
			t.Errorf("cut after %d operations: entry %d, confirmed were %d:\n%s", cut, last, confirmed, b)
		}
		if err := l.Append(f, []rollout.Entry{{Time: day0, By: "ann", What: rollout.WasRestored}}); err != nil {
			t.Fatal(err)
		}
		if got, _, err := rollout.Read(after, "/fleet", func(*rollout.Entry) error { return nil }); err != nil || got != last+1 {
			t.Errorf("cut after %d operations: read %d entries: %v", cut, got, err)
		}
	}
	t.Logf("%d operations", ops)
}

// TestTornWrite: the pages of one write of several entries reach the disk in any order. What is whole at its beginning stays,
// the rest is cut off and told, and nothing that Append had confirmed goes.
func TestTornWrite(t *testing.T) {
	batch := func(n int) (e []rollout.Entry) {
		for i := range n {
			e = append(e, rollout.Entry{Time: day0, By: "ann", What: rollout.DeviceEvent, Device: "box", Event: uint64(i + 1), Detail: strings.Repeat("x", 300)})
		}
		return e
	}
	none := func(*rollout.Entry) error { return nil }
	recovered := 0
	for _, confirmed := range []int{0, 1, 40} {
		for seed := range uint64(20) {
			d := vfs.NewMem()
			l, f, err := rollout.OpenLog(d, "/fleet")
			if err == nil && confirmed > 0 {
				err = l.Append(f, batch(confirmed))
			}
			if err != nil {
				t.Fatal(err)
			}
			var after *vfs.Mem
			d.OnOp(func(op vfs.Op) {
				if op.Kind == vfs.OpWrite && op.Size > 10_000 {
					after = d.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(seed, 1)), Stale: true})
				}
			})
			if err := l.Append(f, batch(100)); err != nil || after == nil {
				t.Fatal(err, after)
			}
			if confirmed == 0 { // the name of the file may have been lost with it
				if _, err := after.List("/fleet"); err != nil {
					continue
				}
			}
			readTo, _, rerr := rollout.Read(after, "/fleet", none)
			l, f, err = rollout.OpenLog(after, "/fleet")
			if err != nil || rerr != nil {
				t.Fatalf("%d confirmed, seed %d: %v; %v", confirmed, seed, err, rerr)
			}
			last, _ := l.Last()
			if int(last) < confirmed || int(last) > confirmed+100 || readTo != last {
				t.Errorf("%d confirmed, seed %d: entry %d, read to %d", confirmed, seed, last, readTo)
			}
			if len(l.Recovered) > 0 {
				recovered++
			}
			if err := l.Append(f, batch(2)); err != nil {
				t.Fatal(err)
			}
			l.Close()
			if n, _, err := rollout.Read(after, "/fleet", none); err != nil || n != last+2 {
				t.Errorf("%d confirmed, seed %d: read %d after %d: %v", confirmed, seed, n, last, err)
			}
		}
	}
	if recovered < 10 {
		t.Errorf("%d logs were torn", recovered)
	}
	d := vfs.NewMem()
	l, f, err := rollout.OpenLog(d, "/fleet")
	if err == nil {
		err = errors.Join(l.Append(f, batch(5)), l.Append(f, batch(5)), l.Close())
	}
	text, rerr := vfs.ReadFile(d, logFile, 1<<20)
	if err != nil || rerr != nil {
		t.Fatal(err, rerr)
	}
	copy(text[bytes.IndexByte(text, '\n')+1:], "####")
	if err := vfs.WriteFileAtomic(d, logFile, text); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rollout.OpenLog(d, "/fleet"); !errors.Is(err, rollout.ErrChain) {
		t.Errorf("damage in a write before the last: %v", err)
	}
}

// filled is a log of n entries, without a snapshot.
func filled(t *testing.T, n int) *vfs.Mem {
	d := vfs.NewMem()
	l, f, err := rollout.OpenLog(d, "/fleet")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := l.Append(f, []rollout.Entry{{Time: day0, By: "ann", What: rollout.DeviceEvent, Device: "box", Event: uint64(i + 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	return d
}

const logFile = "/fleet/audit-00000000000000000001.log"

// TestChain: whatever somebody changes in the middle of the log is found; what a power cut leaves at its end is cut off.
func TestChain(t *testing.T) {
	text, err := vfs.ReadFile(filled(t, 10), logFile, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))[:10]
	join := func(l ...[]byte) []byte { return bytes.Join(l, nil) }
	for name, c := range map[string]struct {
		text []byte
		left int // entries; -1: refused
	}{
		"whole":             {text, 10},
		"a torn end":        {text[:len(text)-7], 9},
		"zeros at the end":  {append(bytes.Clone(text), make([]byte, 100)...), 10},
		"a byte changed":    {bytes.Replace(text, []byte(`"event":4`), []byte(`"event":9`), 1), -1},
		"a line removed":    {join(append(append([][]byte{}, lines[:4]...), lines[5:]...)...), -1},
		"two lines swapped": {join(append(append([][]byte{}, lines[:4]...), append([][]byte{lines[5], lines[4]}, lines[6:]...)...)...), -1},
		"a line doubled":    {join(append(append([][]byte{}, lines[:5]...), lines[4:]...)...), -1},
		"a line of garbage": {join(append(append([][]byte{}, lines[:5]...), append([][]byte{[]byte("#####\n")}, lines[5:]...)...)...), -1},
		"the first removed": {join(lines[1:]...), -1},
		"a new last line":   {append(bytes.Clone(text), []byte(`{"n":11,"prev":"00","t":"2026-01-01T00:00:00Z","by":"eve","what":"resumed"}`+"\n")...), -1},
	} {
		d := vfs.NewMem()
		if err := errors.Join(d.MkdirAll("/fleet"), vfs.WriteFileAtomic(d, logFile, c.text)); err != nil {
			t.Fatal(err)
		}
		l, _, err := rollout.OpenLog(d, "/fleet")
		n, _, rerr := rollout.Read(d, "/fleet", func(*rollout.Entry) error { return nil })
		switch {
		case c.left < 0:
			if !errors.Is(err, rollout.ErrChain) || !errors.Is(rerr, rollout.ErrChain) {
				t.Errorf("%s: %v, %v", name, err, rerr)
			}
		case err != nil || rerr != nil:
			t.Errorf("%s: %v, %v", name, err, rerr)
		default:
			if last, _ := l.Last(); int(last) != c.left || int(n) != c.left {
				t.Errorf("%s: %d entries", name, last)
			}
			if said := len(l.Recovered) > 0; said != (len(c.text) != len(text)) {
				t.Errorf("%s: recovered %v", name, l.Recovered)
			}
		}
	}
}

// TestFiles: the log goes on in new files, and a snapshot saves reading the old ones.
func TestFiles(t *testing.T) {
	d := vfs.NewMem()
	l, f, err := rollout.OpenLog(d, "/fleet")
	if err != nil {
		t.Fatal(err)
	}
	many := make([]string, 390)
	for i := range many {
		many[i] = fmt.Sprintf("a-device-with-a-rather-long-name-of-its-own-%04d", i)
	}
	for range 1000 {
		if err := l.Append(f, []rollout.Entry{{Time: day0, By: "ann", What: rollout.WasQueued, Devices: many}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Save(f, true); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(f, []rollout.Entry{{Time: day0, By: "ann", What: rollout.DeviceEvent, Device: "box", Event: 7}}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	list, err := d.List("/fleet")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range list {
		if strings.HasPrefix(e.Name, "audit-") {
			files = append(files, e.Name)
		}
	}
	if len(files) < 2 {
		t.Fatalf("files %v", files)
	}
	l2, f2, err := rollout.OpenLog(d, "/fleet")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := l2.Last(); n != 1001 || f2.Devices["box"].Event != 7 {
		t.Errorf("%d entries, %+v", n, f2.Devices["box"])
	}
	if err := d.Remove("/fleet/" + files[len(files)-1]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rollout.OpenLog(d, "/fleet"); !errors.Is(err, rollout.ErrChain) {
		t.Errorf("the newest file is missing: %v", err)
	}
}

// TestEvents: case 32 and the chain of a device's events: doubled ones are taken once, a hole and a second history are
// told.
func TestEvents(t *testing.T) {
	f := rollout.New()
	f.Start(day0, 0)
	say := func(n uint64, prev, hash string) string {
		e := f.Event("box", &fleetwire.Event{Number: n, Prev: prev, State: fleetwire.Idle}, hash, day0)
		var whats []string
		for i := range e {
			f.Apply(&e[i])
			whats = append(whats, string(e[i].What))
		}
		return strings.Join(whats, "+")
	}
	for i, c := range []struct {
		n          uint64
		prev, hash string
		want       string
	}{
		{1, "", "h1", "event"}, {2, "h1", "h2", "event"}, {2, "h1", "h2", ""}, {1, "", "h1", ""}, {3, "h2", "h3", "event"},
		{5, "h4", "h5", "hole"}, {6, "h5", "h6", "event"}, {6, "h5", "x6", "fork"}, {7, "h6", "h7", "fork"}, {8, "h7", "h8", "event"},
	} {
		if got := say(c.n, c.prev, c.hash); got != c.want {
			t.Errorf("%d: %+v: %q", i, c, got)
		}
	}
}

// TestFlood: a device that tells of changes without end does not fill the disk; what was left out is said.
func TestFlood(t *testing.T) {
	s := newSim(t, 2)
	entries := 0
	tell := func(n uint64) []rollout.Entry {
		e := s.fleet.Event("box-0000", &fleetwire.Event{Number: n, Prev: fmt.Sprint(n - 1), State: fleetwire.Idle}, fmt.Sprint(n), s.now)
		entries += len(e)
		s.append(e)
		return e
	}
	for n := range uint64(100_000) {
		tell(n + 1)
		s.now = s.now.Add(time.Millisecond)
	}
	if entries < 100 || entries > 1000 {
		t.Errorf("%d entries for 100,000 events", entries)
	}
	s.now = s.now.Add(time.Hour)
	if e := tell(100_001); len(e) != 1 || e[0].What != rollout.DeviceHole {
		t.Errorf("after it: %+v", e)
	}
	if e := tell(100_002); len(e) != 1 || e[0].What != rollout.DeviceEvent {
		t.Errorf("and then: %+v", e)
	}
}

// TestSpec: mistakes are named with their line; what is right comes back the same over the API.
func TestSpec(t *testing.T) {
	good := `release: 2026.11.3
target: {product: [edgebox-2], hw_rev: [">=2"]}
exclude: [box-9]
waves:
  - {name: lab, devices: [box-1, box-2], soak: 2h}
  - {name: canary, percent: 2, min: 5, soak: 24h}
  - {name: most, percent: 25, soak: 24h, max_in_flight: 10%}
  - {name: all, percent: 100, gate: manual, max_in_flight: 20, rate_per_min: 50}
success: 95
abort:
  - {on: [ROLLED_BACK, FAILED, INCONSISTENT], percent: 3, min_finished: 10}
  - {on: [TIMED_OUT, VANISHED], percent: 10, min_finished: 20}
timeouts: {step: 30m, total: 48h}
retry: {max: 2, on: [FAILED, TIMED_OUT], backoff: 6h}
windows: [{days: [mon, tue], from: "01:00", to: "05:00"}]
max_rate: 512KiB
seen_within: 7d
`
	s, err := rollout.ParseSpec("r.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back rollout.Spec
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if b2, _ := json.Marshal(back); string(b2) != string(b) || back.Waves[2].MaxInFlight.Percent != 10 || back.Timeouts.Step != 30*time.Minute {
		t.Errorf("%s\n%s", b, b2)
	}
	for change, want := range map[string]string{
		"release: 2026.11.3→release: ../etc": "r.yaml:1:", "percent: 25→percent: 1": "r.yaml:7:", "gate: manual→gate: maybe": "r.yaml:8:",
		"max_in_flight: 10%→max_in_flight: 110%": "r.yaml:7:", "on: [TIMED_OUT, VANISHED]→on: [TIMEDOUT]": "r.yaml:12:", "days: [mon, tue]→days: [mo]": "r.yaml:15:",
		"name: most→name: lab": "r.yaml:7:", "soak: 24h, max→soke: 24h, max": "r.yaml:7:", "step: 30m→step: 30d": "r.yaml:13:",
	} {
		from, to, _ := strings.Cut(change, "→")
		_, err := rollout.ParseSpec("r.yaml", []byte(strings.Replace(good, from, to, 1)))
		var list *strictyaml.Error
		if !errors.As(err, &list) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// TestCohort: the shares of a wave are what they say, and other devices in each rollout.
func TestCohort(t *testing.T) {
	in, both := 0, 0
	for i := range 20_000 {
		name := fmt.Sprintf("box-%05d", i)
		a, b := rollout.Cohort("R-1", name) < 500, rollout.Cohort("R-2", name) < 500
		if a {
			in++
		}
		if a && b {
			both++
		}
	}
	if in < 900 || in > 1100 || both > 90 {
		t.Errorf("%d of 20,000 in 5 %%, %d in both rollouts", in, both)
	}
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte("release: 1\nwaves: [{name: a, percent: 100}]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := rollout.ParseSpec("x", b); err == nil {
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}

package rollout

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
)

// Errors of operators' requests.
var (
	ErrUnknown = errors.New("there is no such rollout")
	ErrState   = errors.New("the rollout is not in a state for it")
	ErrTooMany = errors.New("too many rollouts are under way")
)

// Create makes a rollout of a release that is published with that manifest.
func (f *Fleet) Create(s *Spec, manifest, by string, now time.Time) ([]Entry, error) {
	active := 0
	for _, r := range f.Rollouts {
		if !r.State.Over() {
			active++
		}
	}
	if active >= MaxActive {
		return nil, fmt.Errorf("%w: %d", ErrTooMany, active)
	}
	return []Entry{{Time: now, By: by, What: WasCreated, Rollout: f.nextID(), Spec: s, Manifest: manifest}}, nil
}

// Pause stops telling further devices; those that were told go on.
func (f *Fleet) Pause(id, by string, now time.Time) ([]Entry, error) {
	r := f.Rollout(id)
	switch {
	case r == nil:
		return nil, ErrUnknown
	case r.State.Over() || r.State == Paused:
		return nil, fmt.Errorf("%w: it is %s", ErrState, r.State)
	}
	return []Entry{{Time: now, By: by, What: WasPaused, Rollout: id, Detail: "by " + by}}, nil
}

// Resume goes on after a pause, or opens a gate.
func (f *Fleet) Resume(id, by string, now time.Time) ([]Entry, error) {
	r := f.Rollout(id)
	switch {
	case r == nil:
		return nil, ErrUnknown
	case r.State == Waiting:
		return []Entry{f.nextWave(r, by, now)}, nil
	case r.State != Paused:
		return nil, fmt.Errorf("%w: it is %s", ErrState, r.State)
	}
	return []Entry{{Time: now, By: by, What: WasResumed, Rollout: id, Detail: "by " + by}}, nil
}

// Abort ends a rollout: devices that were not told stay as they are. Those that were finish; with force they are asked
// to give up, which they do unless their install has started.
func (f *Fleet) Abort(id, by string, force bool, now time.Time) ([]Entry, error) {
	r := f.Rollout(id)
	switch {
	case r == nil:
		return nil, ErrUnknown
	case r.State.Over() && !(force && r.State == Aborted):
		return nil, fmt.Errorf("%w: it is %s", ErrState, r.State)
	}
	var out []Entry
	if !r.State.Over() {
		out = append(out, Entry{Time: now, By: by, What: WasAborted, Rollout: id, Detail: "by " + by})
	}
	if force {
		given := f.Generation
		for _, name := range slices.Sorted(maps.Keys(r.Jobs)) {
			if r.Jobs[name].State == Told {
				given = f.generation(now, given)
				out = append(out, Entry{Time: now, By: by, What: WasTaken, Rollout: id, Device: name, Generation: given})
			}
		}
	}
	return out, nil
}

// Online notes that a device came or went.
func (f *Fleet) Online(name string, on bool, now time.Time) {
	d := f.device(name)
	if d == nil || d.Online == on && (on || !d.Gone.IsZero()) {
		return
	}
	f.run(d, now)
	d.Online = on
	if d.Gone = now; on {
		d.Gone, d.Seen = time.Time{}, now
	}
}

// run lets a device's time-outs run up to now.
func (f *Fleet) run(d *Device, now time.Time) {
	if d.Online && !d.look.IsZero() && (d.Reported == nil || d.Reported.State != fleetwire.Waiting) {
		d.ran += now.Sub(d.look)
		d.idle += now.Sub(d.look)
	}
	d.look = now
	if d.Online {
		d.Seen = now
	}
}

// Report takes what a device says of itself and returns what follows for its job.
func (f *Fleet) Report(name string, rep *fleetwire.Reported, now time.Time) []Entry {
	d := f.device(name)
	if d == nil {
		return nil
	}
	f.run(d, now)
	if p := (progress{rep.State, rep.Done}); p != d.mark {
		d.mark, d.idle = p, 0
	}
	d.Reported, d.Facts = rep, rep.Facts
	if d.Release != rep.Release {
		d.Release, d.Manifest = rep.Release, ""
	}
	if rep.State == fleetwire.Committed && rep.Desired == rep.Release {
		d.Manifest = rep.Manifest
	}
	r := f.Rollout(rep.Rollout)
	if r == nil || !rep.State.Terminal() {
		return nil
	}
	j := r.Jobs[name]
	// What it says of an earlier desired state says nothing of this one.
	if j == nil || rep.GenerationSeen != j.Generation || rep.Attempt != j.Attempt || rep.Manifest != r.Manifest {
		return nil
	}
	to := JobState(rep.State)
	if j.State == to || j.State == Queued || j.State == committed || j.State == Cancelled && to != committed ||
		j.State.Ended() && !d.may(now) {
		return nil
	}
	return []Entry{{Time: now, By: name, What: WasEnded, Rollout: r.ID, Device: name, State: to, Reason: clip(rep.Reason), Detail: clip(rep.Detail),
		Attempt: rep.Attempt}}
}

func clip(s string) string { return s[:min(len(s), maxDetail)] }

// Event takes an event of a device's chain. hash is of the whole message.
func (f *Fleet) Event(name string, e *fleetwire.Event, hash string, now time.Time) []Entry {
	d := f.device(name)
	if d == nil {
		return nil
	}
	out := Entry{Time: now, By: name, What: DeviceEvent, Device: name, State: JobState(e.State), Reason: clip(e.Reason), Detail: clip(e.Detail),
		Event: e.Number, EventHash: hash}
	switch {
	case d.Event == 0: // the first that we hear
	case e.Number == d.Event && hash == d.Hash, e.Number < d.Event:
		return nil // said twice
	case e.Number == d.Event:
		out.What, out.Detail = DeviceFork, "two events of one number: two boxes, two copies of a disk, or a new one, under this name"
	case e.Number == d.Event+1 && e.Prev != d.Hash:
		out.What, out.Detail = DeviceFork, "an event follows on another one than was heard: two boxes, two copies of a disk, or a new one, under this name"
	case e.Number > d.Event+1:
		out.What, out.Detail = DeviceHole, fmt.Sprintf("events %d to %d were not heard", d.Event+1, e.Number-1)
	}
	if !d.may(now) { // the next one that is noted says that this one is not
		return nil
	}
	return []Entry{out}
}

// Tick decides what is due. It is called again, after its entries are durable, until it returns none.
func (f *Fleet) Tick(now time.Time) []Entry {
	for _, d := range f.Devices {
		f.run(d, now)
	}
	var out []Entry
	given := f.Generation
	for _, r := range f.Rollouts {
		if r.State == Done {
			continue
		}
		if e := f.timeouts(r, now); len(e) > 0 {
			return append(out, e...) // what follows from them is decided once they count
		}
		if r.State == Aborted {
			out = append(out, f.withdraw(r, now, &given)...)
			continue
		}
		if why := f.broken(r, now); why != "" {
			out = append(out, Entry{Time: now, By: hub, What: WasAborted, Rollout: r.ID, Detail: why})
			continue
		}
		if r.State == Paused {
			continue
		}
		if e := f.join(r, now); len(e) > 0 {
			return append(out, e...)
		}
		told := f.tellNext(r, now, &given)
		out = append(out, told...)
		if len(told) == 0 {
			out = append(out, f.proceed(r, now)...)
		}
	}
	return out
}

// timeouts ends what took too long, and puts what may be tried again back into the queue.
func (f *Fleet) timeouts(r *Rollout, now time.Time) (out []Entry) {
	for _, name := range slices.Sorted(maps.Keys(r.Jobs)) {
		j, d := r.Jobs[name], f.Devices[name]
		if !j.RetryAt.IsZero() && !now.Before(j.RetryAt) && r.State != Paused {
			out = append(out, Entry{Time: now, By: hub, What: WasRequeued, Rollout: r.ID, Device: name})
		}
		if j.State != Told || d == nil {
			continue
		}
		why := ""
		switch {
		case d.idle > r.Spec.Timeouts.Step:
			why = "no progress for " + r.Spec.Timeouts.Step.String() + " online"
		case d.ran > r.Spec.Timeouts.Total:
			why = "not finished within " + r.Spec.Timeouts.Total.String() + " online"
		default:
			continue
		}
		if d.Reported != nil {
			why += "; last it was " + string(d.Reported.State)
		}
		out = append(out, Entry{Time: now, By: hub, What: WasEnded, Rollout: r.ID, Device: name, State: TimedOut, Detail: why})
	}
	return out
}

// withdraw takes back, once a rollout is aborted, what a device would only begin to install some day: it is offline, waits for
// its window, or was given up for lost. Its desired state stands at the broker, and it would find it there in weeks.
func (f *Fleet) withdraw(r *Rollout, now time.Time, given *uint64) (out []Entry) {
	for _, name := range slices.Sorted(maps.Keys(r.Jobs)) {
		j, d := r.Jobs[name], f.Devices[name]
		if d == nil || d.Desired == nil || d.Desired.Rollout != r.ID || d.Desired.Release == "" {
			continue
		}
		waits := d.Reported != nil && d.Reported.State == fleetwire.Waiting && d.Reported.GenerationSeen == j.Generation
		switch {
		case j.State == Told && (waits || f.vanished(r, name, now)), j.State == TimedOut, j.State == Cancelled:
			*given = f.generation(now, *given)
			out = append(out, Entry{Time: now, By: hub, What: WasTaken, Rollout: r.ID, Device: name, Generation: *given})
		}
	}
	return out
}

// vanished tells whether a device was told and is gone for longer than a step may take.
func (f *Fleet) vanished(r *Rollout, name string, now time.Time) bool {
	d := f.Devices[name]
	if d == nil || d.Online {
		return false
	}
	gone := d.Gone
	if gone.IsZero() { // it was not heard in this run of the hub
		gone = f.began
	}
	return now.Sub(gone) > r.Spec.Timeouts.Step
}

// Counts of a rollout's jobs, by state; Vanished are counted beside their state.
func (f *Fleet) Counts(r *Rollout, wave int, now time.Time) map[JobState]int {
	n := map[JobState]int{}
	for name, j := range r.Jobs {
		if wave >= 0 && j.Wave != wave {
			continue
		}
		n[j.State]++
		if j.State == Told && f.vanished(r, name, now) {
			n[Vanished]++
		}
	}
	if wave < 0 {
		n[committed] += r.Forgotten
	}
	return n
}

func finished(n map[JobState]int) int {
	sum := 0
	for s, k := range n {
		if s.Ended() && s != Cancelled && s != Vanished {
			sum += k
		}
	}
	return sum
}

// broken says why a rollout must end, "" if it need not.
func (f *Fleet) broken(r *Rollout, now time.Time) string {
	n := f.Counts(r, -1, now)
	for _, rule := range r.Spec.Abort {
		bad, base := 0, finished(n)
		for _, s := range rule.On {
			bad += n[JobState(s)]
			if JobState(s) == Vanished {
				base += n[Vanished]
			}
		}
		if rule.Count > 0 && bad >= rule.Count {
			return fmt.Sprintf("%d devices ended %v", bad, rule.On)
		}
		if rule.Percent > 0 && bad > 0 && base >= rule.MinFinished && float64(bad)*100 >= rule.Percent*float64(base) {
			return fmt.Sprintf("%d of %d devices ended %v, the limit is %g %%", bad, base, rule.On, rule.Percent)
		}
	}
	return ""
}

// eligible tells whether a device may join.
func (f *Fleet) eligible(r *Rollout, name string, d *Device) bool {
	if r.Jobs[name] != nil || d.Facts == nil || slices.Contains(r.Spec.Exclude, name) || release.Select(r.Spec.Target, d.Facts) != nil {
		return false
	}
	for _, other := range f.Rollouts {
		if j := other.Jobs[name]; other != r && j != nil && !other.State.Over() && (!j.State.Ended() || !j.RetryAt.IsZero()) {
			return false // one release at a time
		}
	}
	return true
}

// join adds devices to the present wave: those of its list and share, and as many more as it wants at least.
func (f *Fleet) join(r *Rollout, now time.Time) []Entry {
	w := r.Spec.Waves[r.Wave]
	type candidate struct {
		name   string
		cohort int
	}
	var in, more []candidate
	for name, d := range f.Devices {
		if !f.eligible(r, name, d) {
			continue
		}
		if i := r.Spec.waveOf(r.ID, name); i >= 0 && i <= r.Wave {
			in = append(in, candidate{name: name})
		} else if w.Min > 0 {
			more = append(more, candidate{name, Cohort(r.ID, name)})
		}
	}
	here := 0
	for _, j := range r.Jobs {
		if j.Wave == r.Wave {
			here++
		}
	}
	// A share of a fleet that has not said yet who it is would be a wrong one.
	if short := w.Min - here - len(in); short > 0 && now.Sub(f.began) >= f.settle {
		slices.SortFunc(more, func(a, b candidate) int { return cmp.Or(a.cohort-b.cohort, cmp.Compare(a.name, b.name)) })
		in = append(in, more[:min(short, len(more))]...)
	}
	slices.SortFunc(in, func(a, b candidate) int { return cmp.Compare(a.name, b.name) })
	var fresh, already []string
	for _, c := range in {
		if d := f.Devices[c.name]; d.Release == r.Spec.Release && d.Manifest == r.Manifest {
			already = append(already, c.name)
		} else {
			fresh = append(fresh, c.name)
		}
	}
	var out []Entry
	for _, b := range []struct {
		what  What
		names []string
	}{{WasQueued, fresh}, {WasAlready, already}} {
		for part := range slices.Chunk(b.names, maxBatch) {
			out = append(out, Entry{Time: now, By: hub, What: b.what, Rollout: r.ID, Wave: r.Wave, Devices: part})
		}
	}
	return out
}

// tellNext tells as many online devices as may update at the same time.
func (f *Fleet) tellNext(r *Rollout, now time.Time, given *uint64) (out []Entry) {
	w := r.Spec.Waves[r.Wave]
	var queue []string
	flying, target := 0, 0
	for name, j := range r.Jobs {
		switch {
		case j.State == Told && !f.vanished(r, name, now):
			flying++
		case j.State == Queued && f.Devices[name] != nil && f.Devices[name].Online:
			queue = append(queue, name)
		}
	}
	if len(queue) == 0 {
		return nil
	}
	if w.MaxInFlight.Percent > 0 {
		target, _ = f.Matching(&Spec{Target: r.Spec.Target}, r.ID)
	}
	slices.SortFunc(queue, func(a, b string) int {
		return cmp.Or(r.Jobs[a].Wave-r.Jobs[b].Wave, Cohort(r.ID, a)-Cohort(r.ID, b), cmp.Compare(a, b))
	})
	room := len(queue)
	if most := w.MaxInFlight.of(target); most > 0 {
		room = min(room, max(most-flying, 0))
	}
	room = min(room, f.allowed(r.ID, w.RatePerMin, now))
	for _, name := range queue[:room] {
		*given = f.generation(now, *given)
		out = append(out, Entry{Time: now, By: hub, What: WasTold, Rollout: r.ID, Device: name, Wave: r.Jobs[name].Wave, Generation: *given,
			Attempt: f.attempt(name, r.Manifest)})
	}
	if w.RatePerMin > 0 {
		t := f.tokens[r.ID]
		t.tokens -= float64(room)
		f.tokens[r.ID] = t
	}
	return out
}

// allowed is how many devices the wave's rate lets be told now.
func (f *Fleet) allowed(id string, perMin int, now time.Time) int {
	if perMin == 0 {
		return MaxDevices
	}
	t, ok := f.tokens[id]
	if !ok {
		t = rateState{1, now}
	}
	t.tokens = min(t.tokens+now.Sub(t.filled).Minutes()*float64(perMin), max(1, float64(perMin)/6))
	t.filled = now
	f.tokens[id] = t
	return int(t.tokens)
}

// attempt is one more than any that a device was told for a manifest: it remembers how the others ended.
func (f *Fleet) attempt(name, manifest string) int {
	last := 0
	for _, r := range f.Rollouts {
		if j := r.Jobs[name]; j != nil && r.Manifest == manifest {
			last = max(last, j.Attempt)
		}
	}
	return last + 1
}

// proceed ends a wave, and begins the next when it has soaked.
func (f *Fleet) proceed(r *Rollout, now time.Time) []Entry {
	if now.Sub(f.began) < f.settle || r.State == Waiting {
		return nil
	}
	n := f.Counts(r, -1, now)
	busy, online, pending := n[Told]-n[Vanished], 0, 0
	for name, j := range r.Jobs {
		d := f.Devices[name]
		if d == nil || j.State != Queued && j.RetryAt.IsZero() {
			continue
		}
		if d.Online { // a device that is tried again holds its wave open
			online++
		}
		if now.Sub(d.Seen) < r.Spec.SeenWithin {
			pending++
		}
	}
	if busy > 0 || online > 0 {
		return nil
	}
	here := f.Counts(r, r.Wave, now)
	members := 0
	for s, k := range here {
		if s != Vanished {
			members += k
		}
	}
	if members > 0 && here[committed] == 0 && finished(here) == 0 {
		return nil // all are offline: nothing is known of how they fare
	}
	if all := finished(n); all > 0 && r.Waived != r.Wave+1 && float64(n[committed])*100 < r.Spec.Success*float64(all) {
		return []Entry{{Time: now, By: hub, What: WasPaused, Rollout: r.ID,
			Detail: fmt.Sprintf("%d of %d devices have committed, %g %% are wanted", n[committed], all, r.Spec.Success)}}
	}
	last := r.Wave == len(r.Spec.Waves)-1
	switch w := r.Spec.Waves[r.Wave]; {
	case r.State == Running && w.Soak > 0 && members > 0:
		return []Entry{{Time: now, By: hub, What: WaveSoaks, Rollout: r.ID, Wave: r.Wave, Detail: "for " + w.Soak.String()}}
	case r.State == Soaking && now.Sub(r.Since) < w.Soak:
		return nil
	case last && pending > 0:
		return nil // for those that are offline
	case last:
		return []Entry{{Time: now, By: hub, What: WasDone, Rollout: r.ID}}
	case r.Spec.Waves[r.Wave+1].Gate == "manual":
		return []Entry{{Time: now, By: hub, What: WaveWaits, Rollout: r.ID, Detail: "for somebody to open the gate of " + r.Spec.Waves[r.Wave+1].Name}}
	}
	return []Entry{f.nextWave(r, hub, now)}
}

func (f *Fleet) nextWave(r *Rollout, by string, now time.Time) Entry {
	return Entry{Time: now, By: by, What: WaveBegins, Rollout: r.ID, Wave: r.Wave + 1}
}

// Matching counts the devices that a target matches now, and those that each wave takes by list and share.
func (f *Fleet) Matching(s *Spec, id string) (all int, waves []int) {
	waves = make([]int, len(s.Waves))
	for name, d := range f.Devices {
		if d.Facts == nil || slices.Contains(s.Exclude, name) || release.Select(s.Target, d.Facts) != nil {
			continue
		}
		all++
		if i := s.waveOf(id, name); i >= 0 {
			waves[i]++
		}
	}
	return all, waves
}

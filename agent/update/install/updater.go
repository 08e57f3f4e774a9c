package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/twoslot"
)

// Updater carries transactions out, one at a time. One goroutine uses it.
type Updater struct {
	o        Options
	slots    *twoslot.Slots
	journal  Journal
	progress Progress
	told     time.Time // when progress was handed on
	// Recovered says what of the journal was damaged when it was opened.
	Recovered []string
}

// Options of an Updater. All fields but Changed, Progress and Stop are needed.
type Options struct {
	Layout *Layout
	Dir    string // of the journal
	Units  Units
	Judge  Judge
	Nodes  Nodes
	// Raise makes counters below the transaction's unacceptable from now on; it is called after the decision.
	Raise func(t *Txn) error
	// Running are the paths of the programs that run, so that none is collected.
	Running func() []string
	// Changed is told of every state once it is durable.
	Changed func(Txn)
	// Progress is told now and then how far a state has come.
	Progress func(Progress)
	// Stop says why an operator wants the transaction to end, "" if none does. It is asked before the decision only.
	Stop func(Txn) string
}

// Open reads the journal. A journal of which nothing sound is left counts as empty: then stable is in force, whatever
// was going on.
func Open(o Options) (*Updater, error) {
	if err := o.Layout.make(); err != nil {
		return nil, err
	}
	u := &Updater{o: o}
	var content []byte
	var err error
	u.slots, content, u.Recovered, err = twoslot.Open(o.Layout.fs, o.Dir, "txn", maxJournalBytes, func(b []byte) error {
		var j Journal
		return json.Unmarshal(b, &j)
	})
	if err != nil {
		return nil, err
	}
	if content != nil {
		err = json.Unmarshal(content, &u.journal)
	}
	return u, err
}

// Journal is what is remembered.
func (u *Updater) Journal() Journal { return u.journal }

// Refusals.
var (
	ErrBusy    = errors.New("an update is being installed") // of a transaction while another is open
	ErrRequest = errors.New("not a request for an install")
)

// ErrInterrupted as the cause of a context's end says that the machine goes down, not that somebody changed his mind: what
// is open stays open, as after a power cut, and Run goes on with it later.
var ErrInterrupted = errors.New("interrupted; the update goes on when edge-updater is started again")

func interrupted(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrInterrupted) }

// Begin opens a transaction for a verified plan; nothing is changed by it. attempt is the operator's count of tries for
// this manifest: what has failed under it is not tried again.
func (u *Updater) Begin(id string, p *release.Plan, manifest string, attempt int, started time.Time) error {
	if !u.journal.Txn.State.Terminal() {
		return fmt.Errorf("begin %s: %w: %s", id, ErrBusy, u.journal.Txn.Release)
	}
	if reason, failed := u.journal.Failed[failedKey(manifest, attempt)]; failed {
		return &Error{Policy, fmt.Errorf("release %s failed before (%s) and is not tried again by itself; --retry does", p.Manifest.Release, reason)}
	}
	from, err := u.o.Layout.Release(Stable)
	if err != nil {
		return err
	}
	if from == p.Manifest.Release {
		tree, err := u.o.Layout.Tree(from)
		if err == nil && tree.Manifest == manifest {
			return &Error{Policy, fmt.Errorf("release %s is in force already", from)}
		}
		return &Error{Policy, fmt.Errorf("release %s is in force with other content; a release's name is used once", from)}
	}
	t := Txn{ID: id, Release: p.Manifest.Release, Counter: p.Manifest.Counter, Manifest: manifest, From: from, State: Begun,
		Started: started, Components: p.Components, Probation: p.Manifest.Probation, Tries: attempt, Begun: time.Now().UTC().Truncate(time.Second)}
	if err := u.space(&t); err != nil {
		return err
	}
	u.archive()
	u.journal.Txn, u.progress = t, Progress{}
	return u.to(Begun)
}

func failedKey(manifest string, attempt int) string { return fmt.Sprintf("%s/%d", manifest, attempt) }

// space refuses what would take room from the log.
func (u *Updater) space(t *Txn) error {
	need := uint64(ReserveBytes)
	for _, c := range t.Components {
		if _, err := u.o.Layout.fs.Stat(u.o.Layout.entry(c)); err == nil {
			continue
		}
		if need += uint64(c.Size); isTree(c) {
			need += 3 * uint64(c.Size) // unpacked
		}
	}
	usage, err := u.o.Layout.fs.Usage(u.o.Layout.root)
	if err != nil {
		return diskError("look at the disk", err)
	}
	if usage.Free < need {
		return &Error{NoSpace, fmt.Errorf("%d MiB free, %d MiB needed; records of the log are not deleted for it",
			usage.Free>>20, need>>20)}
	}
	return nil
}

// archive moves the ended transaction to the past.
func (u *Updater) archive() {
	if u.journal.Txn.ID == "" {
		return
	}
	u.journal.Past = append([]Txn{u.journal.Txn}, u.journal.Past...)
	u.journal.Past = u.journal.Past[:min(len(u.journal.Past), maxPast)]
	logs := 0
	for i := range u.journal.Past {
		p := &u.journal.Past[i]
		p.Before, p.Components = nil, brief(p.Components)
		if p.LastLog == "" {
			continue
		}
		if logs++; logs > maxPastLogs {
			p.LastLog = ""
		} else {
			p.LastLog = p.LastLog[max(0, len(p.LastLog)-maxPastLogBytes):]
		}
	}
}

// brief is what of components is kept of the past, so that the journal stays small however much a manifest says.
func brief(list []release.Component) []release.Component {
	out := make([]release.Component, len(list))
	for i, c := range list {
		out[i] = release.Component{Name: c.Name, Kind: c.Kind, Version: c.Version, Pin: c.Pin, Order: c.Order}
	}
	return out
}

// to makes a state durable. What it stands for is done after it, never before.
func (u *Updater) to(s State) error {
	before := u.journal.Txn
	u.journal.Txn.State, u.journal.Txn.Since = s, time.Now().UTC().Truncate(time.Second)
	if err := u.save(); err != nil {
		u.journal.Txn = before
		return err
	}
	if u.o.Changed != nil {
		u.o.Changed(u.journal.Txn)
	}
	return nil
}

func (u *Updater) save() error {
	body, err := json.Marshal(u.journal)
	if err != nil {
		return fmt.Errorf("encode journal: %w", err)
	}
	if err := u.slots.Write(body); err != nil {
		return diskError("write journal", err)
	}
	return nil
}

// Content opens a file that a manifest pins, as it has come to this box; what it gives is not believed.
type Content func(release.Pin) (io.ReadCloser, error)

// Run brings the open transaction to its end, from wherever it stood. It returns an error where the journal cannot be written or ctx ends: what is open stays open, and Run is
// called again. How a transaction ended is its state.
func (u *Updater) Run(ctx context.Context, content Content) error {
	if err := u.o.Layout.restore(); err != nil {
		return err
	}
	fresh := false // this Run has started the candidate itself
	for !u.journal.Txn.State.Terminal() {
		if ctx.Err() != nil && u.journal.Txn.State != Decided && u.journal.Txn.State != RollingBack {
			return context.Cause(ctx)
		}
		var err error
		if why := u.stop(); why != "" && (u.journal.Txn.State == Begun || u.journal.Txn.State == Installed) {
			if err = u.fail(&Error{Policy, errors.New(why)}); err != nil {
				return err
			}
			continue
		}
		switch u.journal.Txn.State {
		case Begun:
			err = u.install(content)
		case Installed:
			fresh = true
			err = u.try(ctx)
		case Probation:
			if !fresh {
				err = u.resumed(ctx)
				break
			}
			err = u.observe(ctx)
		case Decided:
			err = u.forward(ctx)
		case RollingBack:
			err = u.back(ctx)
		default:
			// A journal of a newer updater, or a bug: what runs is stable, and that is where it ends.
			err = u.rollBack(BadFile, fmt.Sprintf("state %q is unknown", u.journal.Txn.State))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stop is why an operator wants the transaction to end.
func (u *Updater) stop() string {
	if u.o.Stop == nil {
		return ""
	}
	return u.o.Stop(u.journal.Txn)
}

// install fills the store and builds the release directory.
func (u *Updater) install(content Content) error {
	t := &u.journal.Txn
	err := u.fill(t, content)
	if err == nil {
		err = u.o.Layout.build(t)
	}
	if err != nil {
		return u.fail(err)
	}
	return u.to(Installed)
}

func (u *Updater) fill(t *Txn, content Content) error {
	for _, c := range t.Components {
		if err := u.fillOne(t, c, content); err != nil {
			return err
		}
		u.progress.Copied = append(u.progress.Copied, c.Name)
	}
	return nil
}

// fillOne makes sure that the store holds a component: what it has is read again, as a flash forgets, and a release must not
// begin with what an earlier one left rotten.
func (u *Updater) fillOne(t *Txn, c release.Component, content Content) error {
	if _, err := u.o.Layout.fs.Stat(u.o.Layout.entry(c)); err != nil {
		return u.bring(t, c, content)
	}
	if sound, err := u.o.Layout.sound(c); err != nil || sound {
		return err
	}
	err := u.bring(t, c, content)
	if reasonOf(err) == notStaged { // nobody has fetched it again
		if err := u.o.Layout.mark(c); err != nil {
			return err
		}
		return &Error{BadHash, fmt.Errorf("%w: %s; a retry fetches it again", errRotten, c.Name)}
	}
	if err == nil {
		t.Notes = append(t.Notes, c.Name+": what the store had of it was damaged; it was put there again")
	}
	return err
}

var errRotten = errors.New("what the store has is damaged, and the whole file is not there")

// bring puts one component into the store: from a delta where there is one from what is in force, else, and where that
// fails, from the file.
func (u *Updater) bring(t *Txn, c release.Component, content Content) error {
	old := u.old(t.From, c.Name)
	if old == nil || c.DeltaFrom(old.SHA256) == nil {
		return u.copy(c, c.Pin, content, u.o.Layout.put)
	}
	d := c.DeltaFrom(old.SHA256)
	failed := u.copy(c, d.Pin, content, func(c release.Component, src io.Reader) error {
		return u.o.Layout.putDelta(*old, c, *d, src)
	})
	if failed == nil {
		return nil
	}
	err := u.copy(c, c.Pin, content, u.o.Layout.put)
	switch absent := reasonOf(failed) == notStaged; {
	case err == nil && !absent:
		t.Notes = append(t.Notes, fmt.Sprintf("%s: the delta could not be used (%v); the whole file was", c.Name, failed))
	case err != nil && reasonOf(err) == notStaged && !absent:
		return &Error{BadDelta, fmt.Errorf("%s: %w; the whole file is needed", c.Name, failed)}
	}
	return err
}

// copy opens a pinned file and hands it to put, counting what goes by.
func (u *Updater) copy(c release.Component, p release.Pin, content Content, put func(release.Component, io.Reader) error) error {
	r, err := content(p)
	if err != nil {
		return &Error{notStaged, fmt.Errorf("open %s of %s: %w", p.Path, c.Name, err)}
	}
	u.progress.Component, u.progress.Done, u.progress.Total = c.Name, 0, p.Size
	u.tell()
	return errors.Join(put(c, &counted{r, u}), r.Close())
}

// old is a component of the release in force at the beginning, nil if it had none of the name.
func (u *Updater) old(from, name string) *release.Component {
	tree, err := u.o.Layout.Tree(from)
	if err != nil {
		return nil
	}
	for i := range tree.Components {
		if tree.Components[i].Name == name {
			return &tree.Components[i]
		}
	}
	return nil
}

// fail ends a transaction that has activated nothing.
func (u *Updater) fail(cause error) error {
	t := &u.journal.Txn
	t.Reason, t.Detail = reasonOf(cause), cause.Error()
	var e *Error
	if errors.As(cause, &e) {
		t.Detail = e.Err.Error()
	}
	if t.Reason != BadDelta && !errors.Is(cause, errRotten) { // the next try takes the whole file
		u.remember()
	}
	return u.to(Failed)
}

// remember notes the manifest as failed, so that it is not tried again by itself.
func (u *Updater) remember() {
	t := &u.journal.Txn
	if u.journal.Failed == nil || len(u.journal.Failed) >= maxFailed {
		u.journal.Failed = map[string]string{}
	}
	u.journal.Failed[failedKey(t.Manifest, t.Tries)] = t.Reason
}

// try starts the candidate.
func (u *Updater) try(ctx context.Context) error {
	t := &u.journal.Txn
	before := t.Before // a second attempt begins on a box that has just restarted
	if before == nil {
		var err error
		if before, err = u.o.Judge.Baseline(ctx); err != nil {
			return u.unwell(ctx, Unwell, "the box could not be asked how it does before the update: "+err.Error())
		}
	}
	for _, c := range t.firmware() {
		if err := u.o.Nodes.Stage(ctx, c, u.o.Layout.entry(c)); err != nil {
			return u.unwell(ctx, Unwell, fmt.Sprintf("%s: image not taken by its nodes: %v", c.Name, err))
		}
	}
	t.Before = before
	t.Attempt++
	if err := u.to(Probation); err != nil {
		return err
	}
	if err := u.o.Layout.Point(Candidate, t.Release); err != nil {
		return u.unwell(ctx, DiskIO, err.Error())
	}
	for _, c := range t.firmware() {
		if err := u.o.Nodes.Try(ctx, c, u.o.Layout.entry(c)); err != nil {
			return u.unwell(ctx, Unwell, fmt.Sprintf("%s: %v", c.Name, err))
		}
	}
	if err := u.o.Units.StartCandidate(ctx); err != nil {
		return u.unwell(ctx, Unwell, "the candidate did not start: "+err.Error())
	}
	return nil
}

func (t *Txn) firmware() []release.Component {
	return slices.DeleteFunc(slices.Clone(t.Components), func(c release.Component) bool { return c.Kind != release.Firmware })
}

// observe watches the candidate until every check has held for the soak time, or the deadline has passed.
func (u *Updater) observe(ctx context.Context) error {
	t := &u.journal.Txn
	soak, deadline := time.Duration(t.Probation.SoakSeconds)*time.Second, time.Duration(t.Probation.DeadlineSeconds)*time.Second
	began := time.Now()
	good := began // since when all checks hold
	failed := ""
	for {
		runs, err := u.o.Units.CandidateRuns(ctx)
		if ctx.Err() != nil {
			return u.unwell(ctx, Policy, "stopped by an operator")
		}
		if err != nil || !runs {
			return u.rollBack(Unwell, "the candidate ended")
		}
		if why := u.stop(); why != "" {
			return u.rollBack(Policy, why)
		}
		failed = u.o.Judge.Check(ctx, t)
		if failed != "" {
			good = time.Now()
		}
		u.progress.Deadline, u.progress.GoodSince, u.progress.Failing = began.Add(deadline), good, failed
		if failed != "" {
			u.progress.GoodSince = time.Time{}
		}
		u.tell()
		if failed == "" && time.Since(good) >= soak {
			return u.to(Decided)
		}
		if time.Since(began) >= deadline {
			t.Check = failed
			if failed == "" {
				failed = fmt.Sprintf("all checks hold, but not yet for %v", soak)
			}
			return u.rollBack(Unwell, "within "+deadline.String()+": "+failed)
		}
		select {
		case <-ctx.Done():
		case <-time.After(probeEvery):
		}
	}
}

// resumed is what a probation comes to that another run of the updater began: the machine or the updater was
// stopped in it, so stable runs or will; it is tried again once.
func (u *Updater) resumed(ctx context.Context) error {
	t := &u.journal.Txn
	if t.Attempt >= maxAttempts {
		return u.rollBack(Unwell, fmt.Sprintf("interrupted in probation %d times", t.Attempt))
	}
	if left := u.undo(ctx); len(left) > 0 {
		return u.rollBack(Unwell, "interrupted in probation, and not all could be restored for another try")
	}
	return u.to(Installed)
}

// unwell goes back, unless the machine goes down: then that is why something did not work.
func (u *Updater) unwell(ctx context.Context, reason, detail string) error {
	if interrupted(ctx) {
		return ErrInterrupted
	}
	return u.rollBack(reason, detail)
}

// rollBack makes the decision to go back durable.
func (u *Updater) rollBack(reason, detail string) error {
	t := &u.journal.Txn
	t.Reason, t.Detail = reason, detail
	return u.to(RollingBack)
}

// undo restores what runs: nodes, links, units. It names what it could not restore.
func (u *Updater) undo(ctx context.Context) (left []string) {
	// Going back is finished even when an operator or the system stops the updater.
	ctx = context.WithoutCancel(ctx)
	t := &u.journal.Txn
	if err := u.o.Layout.Unpoint(Candidate); err != nil {
		left = append(left, err.Error())
	}
	if err := u.o.Units.StartStable(ctx); err != nil {
		left = append(left, "agent: "+err.Error())
	}
	for _, c := range t.firmware() {
		old := ""
		if was := u.old(t.From, c.Name); was != nil {
			old = u.o.Layout.entry(*was)
		}
		if err := u.o.Nodes.Revert(ctx, c, u.o.Layout.entry(c), old); err != nil {
			left = append(left, c.Name+": "+err.Error())
		}
	}
	return left
}

// back carries the way back out.
func (u *Updater) back(ctx context.Context) error {
	t := &u.journal.Txn
	if t.LastLog == "" {
		log := u.o.Units.CandidateLog(context.WithoutCancel(ctx))
		t.LastLog = log[max(0, len(log)-maxLogBytes):]
		if x, ok := u.o.Units.(interface {
			CandidateExit(context.Context) string
		}); ok {
			t.Exit = x.CandidateExit(context.WithoutCancel(ctx))
		}
	}
	t.Unfinished = u.undo(ctx)
	u.remember()
	return u.to(RolledBack)
}

// forward carries the decision out.
func (u *Updater) forward(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	t := &u.journal.Txn
	if t.From != "" {
		if err := u.o.Layout.Point(Previous, t.From); err != nil {
			return err
		}
	}
	if err := u.o.Layout.Point(Stable, t.Release); err != nil {
		return err
	}
	t.Unfinished = nil
	for _, c := range t.firmware() {
		if err := u.o.Nodes.Keep(ctx, c, u.o.Layout.entry(c)); err != nil {
			t.Unfinished = append(t.Unfinished, c.Name+": "+err.Error())
		}
	}
	if err := u.o.Raise(t); err != nil {
		return err
	}
	if err := u.o.Units.StartStable(ctx); err != nil {
		t.Unfinished = append(t.Unfinished, "agent: "+err.Error())
	}
	if err := u.o.Layout.Unpoint(Candidate); err != nil {
		return err
	}
	t.Reason, t.Detail = "", ""
	u.journal.Alarms = nil
	return u.to(Committed)
}

// Alarm notes once what people should look at.
func (u *Updater) Alarm(text string) error {
	j := &u.journal
	if slices.ContainsFunc(j.Alarms, func(a Alarm) bool { return a.Text == text }) {
		return nil
	}
	j.Alarms = append(j.Alarms, Alarm{time.Now().UTC().Truncate(time.Second), text})
	j.Alarms = j.Alarms[max(0, len(j.Alarms)-maxAlarms):]
	return u.save()
}

// Clean removes what is not needed any more, where no transaction is open.
func (u *Updater) Clean() ([]string, error) {
	return u.o.Layout.Collect(&u.journal.Txn, u.o.Running())
}

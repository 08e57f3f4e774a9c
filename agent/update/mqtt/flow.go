package mqtt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/vfs"
)

// phase is what the client is at with the desired release.
type phase uint8

const (
	nothing    phase = iota // nothing is desired
	looking                 // what do the updater and our memory say of it?
	checking                // metadata is asked for
	planning                // manifest and its bases are read, or fetched
	fetching                // content
	ready                   // all is staged; may its install start?
	installing              // by the updater
	over                    // it ended, one way or the other
)

// flow is the way of one desired release. It begins anew with each start of the client; the files tell how far it was.
type flow struct {
	phase    phase
	begun    bool
	view     *trust.View
	offer    *update.Offer
	opened   map[string]bool // staged files that the plan was read from
	scrubbed map[string]bool // staged files that were not what is signed, and were removed
	wanted   []want
	whole    map[string]bool // components that come as their file, whatever deltas there are
	proven   bool            // the staged deltas lead to what is signed
	file     *transfer
	meta     metaRequest
	asked    time.Duration // when the updater was last asked

	state          fleetwire.State
	since          time.Time
	reason, detail string
	have, total    int64 // bytes of content
}

// step does what is due and returns how long until something may be due again.
func (c *Client) step(ctx context.Context) time.Duration {
	if !c.flow.begun {
		f := &c.flow
		f.begun, f.phase, f.opened, f.scrubbed = true, looking, map[string]bool{}, map[string]bool{}
		if c.kept.Desired == nil || c.kept.Desired.Release == "" {
			c.flow.phase = nothing
			c.set(fleetwire.Idle, "", "")
		}
	}
	for {
		wait := c.advance(ctx)
		if wait > 0 || ctx.Err() != nil {
			return wait
		}
	}
}

// advance does one step; 0 means that the next is due at once.
func (c *Client) advance(ctx context.Context) time.Duration {
	c.refresh()
	switch c.flow.phase {
	case looking:
		return c.lookUp()
	case checking:
		return c.check(ctx)
	case planning:
		return c.plan(ctx)
	case fetching:
		return c.fetch(ctx)
	case ready:
		if c.prove() {
			return 0
		}
		return c.start()
	case installing:
		return c.follow()
	}
	return idleEvery
}

// restart begins the flow again, with what is desired now.
func (c *Client) restart() {
	c.flow.close()
	for _, p := range c.places {
		p.bad = false
	}
	f := c.flow
	c.flow = flow{state: f.state, since: f.since, reason: f.reason, detail: f.detail}
	c.looked = time.Time{}
}

// refresh reads the updater's word now and then.
func (c *Client) refresh() {
	every := idleEvery
	if c.flow.phase == installing || c.flow.phase == looking {
		every = lookEvery
	}
	if time.Since(c.looked) < every && !c.looked.IsZero() {
		return
	}
	c.looked = time.Now()
	p, err := c.o.Public()
	if err != nil {
		c.o.Log.Debug("the updater's word cannot be read", "err", err)
		return
	}
	if p.Stable != c.pub.Stable || p.Counter != c.pub.Counter {
		c.unsaid = true
	}
	c.pub = p
}

// lookUp decides by what is known already.
func (c *Client) lookUp() time.Duration {
	d := c.kept.Desired
	t := c.pub.Txn
	ours := t.Manifest == d.Manifest && t.Tries == c.kept.tries()
	switch {
	case ours && !t.State.Terminal():
		c.flow.phase = installing
		return 0
	case !t.State.Terminal():
		c.set(fleetwire.Waiting, install.Policy, "release "+t.Release+" is being installed")
		return lookEvery
	case c.pub.Stable == d.Release && c.pub.StableManifest == d.Manifest:
		c.flow.phase = over
		c.set(fleetwire.Committed, "", "")
		c.clear(NotKept)
		return 0
	}
	if ours && t.State == install.Committed { // it was in force, and edge-rescue has put another in its place
		c.flow.phase = over
		c.set(fleetwire.Inconsistent, install.Unwell, "it was committed, but release "+c.pub.Stable+" is in force; edge-updater status says more")
		c.trouble(Unsettled, c.flow.detail)
		return 0
	}
	if o := c.kept.outcome(); o != nil && o.State != fleetwire.Committed {
		c.flow.phase = over
		c.set(o.State, o.Reason, o.Detail)
		return 0
	}
	if ours || c.refused() || c.kept.Requests > 0 {
		c.flow.phase = installing
		return 0
	}
	c.flow.phase = checking
	c.set(fleetwire.Checking, "", "")
	return 0
}

func (c *Client) refused() bool {
	r := c.pub.Refused
	return r != nil && r.Manifest == c.kept.Desired.Manifest && r.Tries == c.kept.tries()
}

// plan reads the manifest, as far as its files are there, and fetches what is missing.
func (c *Client) plan(ctx context.Context) time.Duration {
	if c.flow.file != nil {
		return c.fetch(ctx)
	}
	d := c.kept.Desired
	src := &staged{c: c}
	offer, err := update.Admit(c.flow.view, d.Release, src, c.o.Facts, c.pub.Counter)
	if src.err != nil {
		return c.failing(src.err)
	}
	if src.missing != "" {
		return c.want(ctx, src.missing)
	}
	if err == nil && offer.Manifest != d.Manifest {
		err = &install.Error{Reason: install.BadHash, Err: fmt.Errorf("release %s is signed with manifest %s, desired is %s", d.Release, offer.Manifest, d.Manifest)}
	}
	switch reason := update.Reason(err); {
	case err == nil:
	case reason == string(trust.NotThere):
		// Desired, but not published yet, or the metadata is held back: asked for again, ever more rarely.
		c.flow.phase = checking
		c.later(fleetwire.Checking, reason, err.Error())
		return 0
	case reason == install.BadHash && src.last != "" && !c.flow.scrubbed[src.last] && offer == nil:
		c.flow.scrubbed[src.last] = true
		return c.failing(c.remove(c.stage("targets", src.last)))
	default:
		return c.end(fleetwire.Rejected, err)
	}
	c.flow.offer = offer
	if err := c.needs(ctx); err != nil {
		return c.failing(err)
	}
	if err := c.collect(); err != nil {
		return c.failing(err)
	}
	if err := c.room(); err != nil {
		return c.end(fleetwire.Failed, err)
	}
	c.flow.phase = fetching
	return 0
}

// end ends the attempt.
func (c *Client) end(s fleetwire.State, err error) time.Duration {
	reason, detail := update.Reason(err), err.Error()
	var e *install.Error
	if errors.As(err, &e) {
		detail = e.Err.Error()
	}
	c.flow.close()
	c.flow.phase = over
	c.finish(s, reason, detail)
	c.set(s, reason, detail)
	c.trouble(NotKept, fmt.Sprintf("release %s: %s: %s", c.kept.Desired.Release, reason, detail))
	return idleEvery
}

// failing ends the attempt on an error of the disk; nil goes on.
func (c *Client) failing(err error) time.Duration {
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		return idleEvery
	}
	c.trouble(NoDisk, err.Error())
	return c.end(fleetwire.Failed, diskError(err))
}

// start asks the updater to install, once nothing speaks against it.
func (c *Client) start() time.Duration {
	reason, detail := c.gate()
	if reason != "" && c.trusted().Before(c.flow.view.Expires) {
		c.set(fleetwire.Waiting, reason, detail)
		return idleEvery
	}
	// Between download and install metadata may have ended: newer one is asked for.
	v, err := c.trust.View(c.trusted())
	if err == nil {
		_, err = update.Admit(v, c.kept.Desired.Release, &staged{c: c}, c.o.Facts, c.pub.Counter)
	}
	if err != nil {
		c.flow.phase = checking
		c.set(fleetwire.Checking, update.Reason(err), err.Error())
		return 0
	}
	if reason != "" {
		c.set(fleetwire.Waiting, reason, detail)
		return idleEvery
	}
	if err := c.writeMetadata(); err != nil {
		return c.failing(err)
	}
	return c.failing(c.request())
}

// gate is why an install may not start now; "" if it may.
func (c *Client) gate() (reason, detail string) {
	if c.kept.Paused != "" {
		return install.Policy, "paused by " + c.kept.Paused
	}
	if why := c.o.Hold(); why != "" {
		return install.Policy, why
	}
	now, good := c.o.Now()
	for _, ws := range [][]fleetwire.Window{c.o.Windows, c.kept.Desired.Windows} {
		if len(ws) == 0 {
			continue
		}
		if !good {
			return install.Policy, "waits for its window, and nobody has told this box the time"
		}
		open := false
		for _, w := range ws {
			if in, err := w.Open(now.In(c.o.Zone)); err == nil && in {
				open = true
			}
		}
		if !open {
			return install.Policy, "waits for its window"
		}
	}
	return "", ""
}

// request writes the request, counted before: a crash between the two costs one of them.
func (c *Client) request() error {
	k := c.kept
	k.Requests++
	if err := c.save(k); err != nil {
		return err
	}
	r := update.Request{Release: k.Desired.Release, Manifest: k.Desired.Manifest, Tries: k.tries()}
	if err := vfs.WriteFileAtomic(c.o.FS, path.Join(c.o.Dir, update.RequestName), encode(r)); err != nil {
		return err
	}
	c.flow.phase, c.flow.asked = installing, c.now()
	c.looked = time.Time{}
	c.set(fleetwire.Installing, "", "waits for edge-updater")
	return nil
}

// follow reports what the updater does, and asks it again if it has forgotten.
func (c *Client) follow() time.Duration {
	t := c.pub.Txn
	if t.Manifest == c.kept.Desired.Manifest && t.Tries == c.kept.tries() {
		c.clear(NoUpdater)
		return c.mirror(t)
	}
	if c.refused() {
		c.clear(NoUpdater)
		return c.end(fleetwire.Rejected, &install.Error{Reason: c.pub.Refused.Reason, Err: errors.New(c.pub.Refused.Detail)})
	}
	_, err := c.o.FS.Stat(path.Join(c.o.Dir, update.RequestName))
	waits := err == nil
	if c.flow.asked == 0 { // after a start of ours
		c.flow.asked = c.now()
		c.set(fleetwire.Installing, "", "waits for edge-updater")
	}
	if c.now()-c.flow.asked < requestPatient {
		return lookEvery
	}
	if waits {
		c.trouble(NoUpdater, "edge-updater has not taken the request for release "+c.kept.Desired.Release)
		return lookEvery
	}
	if c.kept.Requests >= maxRequests {
		return c.end(fleetwire.Failed, &install.Error{Reason: install.DiskIO,
			Err: fmt.Errorf("edge-updater took the request %d times and began nothing", c.kept.Requests)})
	}
	c.flow.phase = ready
	if c.flow.offer == nil { // the stage is checked again
		c.flow.phase = checking
	}
	return 0
}

// mirror reports the state of the updater's transaction.
func (c *Client) mirror(t update.PublicTxn) time.Duration {
	switch t.State {
	case install.Begun, install.Installed:
		c.set(fleetwire.Installing, "", "")
	case install.Probation:
		c.set(fleetwire.Probation, "", "")
	case install.Decided:
		c.set(fleetwire.Committing, "", "")
	case install.RollingBack:
		c.set(fleetwire.RollingBack, t.Reason, t.Detail)
	case install.Committed:
		c.finish(fleetwire.Committed, "", "")
		c.flow.phase = over
		c.set(fleetwire.Committed, "", "")
		c.clear(NotKept)
		return c.failing(c.collect())
	default:
		s := fleetwire.RolledBack
		if t.State == install.Failed {
			s = fleetwire.Failed
		}
		if len(t.Unfinished) > 0 {
			s = fleetwire.Inconsistent
			c.trouble(Unsettled, t.Unfinished[0])
		}
		return c.end(s, &install.Error{Reason: t.Reason, Err: errors.New(t.Detail)})
	}
	return lookEvery
}

// do carries out what people ask for.
func (c *Client) do(op, by string) error {
	k := c.kept
	if k.Desired == nil || k.Desired.Release == "" {
		if op != fleetwire.OpPause && op != fleetwire.OpResume {
			return ErrNothing
		}
	}
	switch op {
	case fleetwire.OpPause:
		k.Paused = by
	case fleetwire.OpResume:
		k.Paused = ""
	case fleetwire.OpAbort:
		if c.flow.phase == installing {
			return ErrInstalling
		}
		if c.flow.phase != over {
			c.end(fleetwire.Rejected, &install.Error{Reason: install.Policy, Err: fmt.Errorf("given up by %s", by)})
		}
		return nil
	case fleetwire.OpRetry:
		if c.flow.phase == installing {
			return ErrInstalling
		}
		if s := c.Reported().State; c.flow.phase != over || s == fleetwire.Committed {
			return ErrNotFailed
		}
		k.Retries, k.Requests = k.Retries+1, 0
	default:
		return ErrOperation
	}
	if err := c.save(k); err != nil {
		return err
	}
	if op == fleetwire.OpRetry {
		c.clear(NotKept)
		c.restart()
	}
	c.o.Log.Info("update", "operation", op, "by", by)
	return nil
}

// trusted is the time that metadata is verified at: never before what signed metadata has proven.
func (c *Client) trusted() time.Time {
	t := c.trust.TimeFloor()
	if now, good := c.o.Now(); good && now.After(t) {
		return now
	}
	return t
}

func (c *Client) trouble(t Trouble, text string) {
	if c.o.Events.Trouble != nil {
		c.o.Events.Trouble(t, text)
	}
}

func (c *Client) clear(t Trouble) {
	if c.o.Events.Over != nil {
		c.o.Events.Over(t)
	}
}

func (f *flow) connected() {
	f.meta.next = 0
}

func (f *flow) disconnected(time.Duration) {
	f.meta.id = ""
	if f.file != nil && f.file.from == nil {
		f.file.fetch.Disconnected()
	}
}

// close gives files back. What was written is on the disk, or is asked for again.
func (f *flow) close() {
	if f.file != nil {
		f.file.close()
		f.file = nil
	}
}

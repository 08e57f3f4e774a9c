// Package mqtt is the agent's side of an update over its connection to the broker. It hears which release is desired,
// fetches signed metadata, manifest and content for it, and asks edge-updater, in a directory, to install it. The desired
// state and everything that a server sends are untrusted: nothing is fetched that the fleet's signed metadata does not
// vouch for, and edge-updater verifies everything once more.
//
// What was fetched survives a restart: complete files carry their names, and a part is read again and held against its
// signed index, so that no list of chunks on the disk can be out of order with them. Content is asked for in a window
// that yields to telemetry; an update never makes the log's records wait for long.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/mirror"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/twoslot"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Options of a Client. Those without a word on nil are needed.
type Options struct {
	FS     vfs.FS
	Dir    string // of the agent's part in updates, e.g. /var/lib/edge-agent/update
	Topics fleetwire.Topics
	Root   []byte // the fleet's first root
	Facts  release.Facts
	// Now is the time, and whether it may be believed.
	Now func() (time.Time, bool)
	// Public is what edge-updater says of itself.
	Public func() (*update.Public, error)
	Has    func(sha256 string) bool // whether the store holds content already; nil: never
	Deltas Deltas                   // nil: files come whole
	// Mirrors are asked for content before the broker is, the first that works.
	Mirrors []mirror.Mirror
	// Busy tells that telemetry needs the link; nil: never.
	Busy func() bool
	// Spent says why no content may be asked for, as a used-up budget of the link; "" if it may; nil: nothing is.
	Spent   func() string
	MaxRate int64              // bytes a second of content; 0: no limit
	Windows []fleetwire.Window // when an install may start; none: at any time
	// Hold says why no install may start now, "" if it may; nil: nothing holds.
	Hold   func() string
	Events Events
	Log    *slog.Logger
	Zone   *time.Location // of the box; nil: time.Local
	// Progress is between two reports of progress; 0: 10 s.
	Progress time.Duration
}

// Events are called from Run; each may be nil and must not block.
type Events struct {
	Changed func(fleetwire.Reported) // of every state
	Damaged func(what string)        // of what is kept on the disk; it was passed over
	Trouble func(t Trouble, text string)
	Over    func(t Trouble)
}

// Trouble is what people are told of an update.
type Trouble uint8

// The troubles.
const (
	NotKept   Trouble = iota // a release was refused, failed or was rolled back
	NoTrust                  // metadata has ended or is not signed
	Slow                     // content comes too slowly, or not at all
	NoUpdater                // edge-updater does not take requests
	NoDisk                   // no room, or the disk fails
	Unsettled                // the way back was not completed
)

// Client is one box's part. Run runs it; Connected, Reported and Do may be called concurrently.
type Client struct {
	o     Options
	trust *trust.Store
	slots *twoslot.Slots
	kept  kept
	seed  uint64

	heard chan fleetwire.Message
	links chan fleetwire.Link
	asked chan operation
	began time.Time // monotonic origin of the fetch machines

	places []*place
	pieces chan mirror.Piece

	// What follows belongs to Run.
	link    fleetwire.Link
	flow    flow
	pub     *update.Public
	looked  time.Time
	said    fleetwire.Reported // the last that was published
	saidAt  time.Time
	unsaid  bool
	slowAt  time.Time // since when slowBytes have not come
	slowHad int64

	mu     sync.Mutex // guards what follows
	report fleetwire.Reported
	stats  Stats
}

// Stats count for people and tests.
type Stats struct {
	Asked, Taken              int64 // bytes of chunks
	Lost, Late, Bad, Unasked  int
	Requests                  int
	Malformed, Stale, Dropped int // messages: unreadable, of an older generation, faster than they were taken
}

type operation struct {
	op, by string
	done   chan error
}

// Errors of Do.
var (
	ErrNothing    = errors.New("no update is desired")
	ErrNotFailed  = errors.New("nothing has failed: the desired release is in force or on its way; edgectl update says which")
	ErrInstalling = errors.New("its install has started; it ends by itself, committed or rolled back")
	ErrOperation  = errors.New("there is no such operation")
	ErrStopped    = errors.New("updates are not running")
)

// New reads what is kept. Damage is passed over and told.
func New(o Options) (*Client, error) {
	if o.Has == nil {
		o.Has = func(string) bool { return false }
	}
	if o.Busy == nil {
		o.Busy = func() bool { return false }
	}
	if o.Hold == nil {
		o.Hold = func() string { return "" }
	}
	if o.Spent == nil {
		o.Spent = func() string { return "" }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Progress == 0 {
		o.Progress = 10 * time.Second
	}
	c := &Client{o: o, seed: uint64(rand.Uint32()) << 20, heard: make(chan fleetwire.Message, maxHeard), links: make(chan fleetwire.Link, 1),
		asked: make(chan operation), began: time.Now(), pub: &update.Public{}, pieces: make(chan mirror.Piece, maxPieces)}
	for _, m := range o.Mirrors {
		c.places = append(c.places, &place{Puller: mirror.NewPuller(m, c.pieces)})
	}
	for _, dir := range []string{o.Dir, path.Join(o.Dir, partName), c.stage("metadata"), c.stage("targets")} {
		if err := o.FS.MkdirAll(dir); err != nil {
			return nil, fmt.Errorf("make directory of updates: %w", err)
		}
		if err := o.FS.SyncDir(path.Dir(dir)); err != nil {
			return nil, fmt.Errorf("make directory of updates: %w", err)
		}
	}
	var err error
	if c.trust, err = trust.Open(o.FS, path.Join(o.Dir, "trust"), o.Root); err != nil {
		return nil, err
	}
	if err := c.load(); err != nil {
		return nil, err
	}
	for _, what := range c.trust.Recovered {
		c.damaged("trust: " + what)
	}
	c.report = c.compose()
	return c, nil
}

func (c *Client) damaged(what string) {
	c.o.Log.Warn("damaged state of updates was passed over", "what", what)
	if c.o.Events.Damaged != nil {
		c.o.Events.Damaged(what)
	}
}

// Connected gives the connection that stands; nil: it is over.
func (c *Client) Connected(l fleetwire.Link) {
	for {
		select {
		case c.links <- l:
			return
		default:
		}
		select { // only the newest counts
		case <-c.links:
		default:
		}
	}
}

// Reported implements fleetwire.Controller.
func (c *Client) Reported() fleetwire.Reported {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report
}

// Stats are what was counted since the start.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

func (c *Client) count(f func(*Stats)) {
	c.mu.Lock()
	f(&c.stats)
	c.mu.Unlock()
}

// Do implements fleetwire.Controller. It waits for Run.
func (c *Client) Do(op, by string) error {
	o := operation{op, by, make(chan error, 1)}
	t := time.NewTimer(sendLimit)
	defer t.Stop()
	select {
	case c.asked <- o:
		return <-o.done
	case <-t.C:
		return ErrStopped
	}
}

var _ fleetwire.Controller = (*Client)(nil)

// Run runs until ctx ends; it returns nil then.
func (c *Client) Run(ctx context.Context) error {
	var pullers sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		pullers.Wait()
		c.flow.close()
	}()
	for _, p := range c.places {
		pullers.Go(func() { p.Run(ctx) })
	}
	for {
		wait := c.step(ctx)
		if more := c.say(ctx); more > 0 {
			wait = min(wait, more)
		}
		t := time.NewTimer(max(wait, time.Millisecond))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case m := <-c.heard:
			c.hear(m)
			c.drain()
		case p := <-c.pieces:
			c.piece(p)
		case l := <-c.links:
			c.attach(ctx, l)
		case o := <-c.asked:
			o.done <- c.do(o.op, o.by)
		case <-c.over():
			c.detach()
		case <-t.C:
		}
		t.Stop()
	}
}

// drain takes what waits, so that one step answers to all of it.
func (c *Client) drain() {
	for range maxHeard {
		select {
		case m := <-c.heard:
			c.hear(m)
		default:
			return
		}
	}
}

// over is closed when the connection is.
func (c *Client) over() <-chan struct{} {
	if c.link == nil {
		return nil
	}
	return c.link.Done()
}

func (c *Client) detach() {
	c.link = nil
	c.flow.disconnected(c.now())
}

// attach hears the server on a new connection.
func (c *Client) attach(ctx context.Context, l fleetwire.Link) {
	c.detach()
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, subscribeLimit)
	defer cancel()
	t := c.o.Topics
	for _, f := range []struct {
		filter string
		qos    byte
	}{{t.Meta("+"), 1}, {t.ChunkFilter(), 0}, {t.Refused("+"), 1}, {t.Desired(), 1}} {
		if err := l.Subscribe(ctx, f.filter, f.qos, c.take); err != nil {
			// A broker whose access rules know nothing of updates: delivery goes on without them.
			c.o.Log.Warn("no updates over this connection", "filter", f.filter, "err", err)
			return
		}
	}
	c.link = l
	c.unsaid = true
	c.flow.connected()
}

// take runs on the reader's path.
func (c *Client) take(m fleetwire.Message) {
	select {
	case c.heard <- m:
	default:
		c.count(func(s *Stats) { s.Dropped++ })
	}
}

func (c *Client) now() time.Duration { return time.Since(c.began) }

func (c *Client) stage(parts ...string) string {
	return path.Join(append([]string{c.o.Dir, update.StageName}, parts...)...)
}

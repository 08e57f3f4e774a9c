package enrol

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/enrolwire"
	"github.com/edgelog/edgelog/internal/fleetwire"
)

const (
	lookEvery  = time.Minute
	firstRetry = 10 * time.Minute
	lastRetry  = 6 * time.Hour
	// So many connections must fail, over at least failedFor, before a new identity is given up for the old one.
	maxFailed = 5
	failedFor = 5 * time.Minute
	backRetry = 24 * time.Hour // after that
)

// Renewal renews the identity of a box in time. Run runs it; the others may be called concurrently.
type Renewal struct {
	Identity Identity
	Topics   enrolwire.Topics
	// Now is the time, and whether anybody has told it. A clock that nobody has set counts where it lies within the life
	// of the certificate, but then renews once a day at most: it may be ahead of the hub's for ever.
	Now func() (time.Time, bool)
	// Reconnect ends the connection that stands, so that the next one is made with the new identity.
	Reconnect func()
	// Failed is told that the certificate could not be renewed, or (back) that the new one was refused and the old one
	// is in force again; Fine that all is well.
	Failed func(back bool, text string)
	Fine   func()
	Log    *slog.Logger

	mu       sync.Mutex
	link     fleetwire.Link
	refused  int       // connections that failed since the identity changed
	since    time.Time // of the first of them
	wake     chan struct{}
	retry    time.Duration
	nextTime time.Time // monotonic: no request before
	renewed  time.Time // monotonic: the last time in this run
}

// Connected is told of each connection that stands, and that it is over (nil).
func (r *Renewal) Connected(l fleetwire.Link) {
	r.mu.Lock()
	r.link = l
	if l != nil {
		r.refused = 0
	}
	r.mu.Unlock()
	r.nudge()
}

// Refused is told of each connection that the broker, or TLS, refused.
func (r *Renewal) Refused() {
	r.mu.Lock()
	if r.refused == 0 {
		r.since = time.Now()
	}
	r.refused++
	r.mu.Unlock()
	r.nudge()
}

func (r *Renewal) nudge() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake == nil {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run looks after the identity until ctx ends.
func (r *Renewal) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	r.mu.Lock()
	r.wake, r.retry = wake, firstRetry
	r.mu.Unlock()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.Log.Warn("identity", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-tick.C:
		}
	}
}

// look does what is due.
func (r *Renewal) look(ctx context.Context) error {
	r.mu.Lock()
	link, refused, since := r.link, r.refused, r.since
	r.mu.Unlock()
	switch {
	case r.Identity.Unproven() && link != nil:
		if err := r.Identity.Proven(); err != nil {
			return err
		}
		r.Log.Info("the broker has taken the new certificate; the old one is gone")
		r.Fine()
		return nil
	case r.Identity.Unproven() && refused >= maxFailed && time.Since(since) >= failedFor:
		if err := r.Identity.Back(); err != nil {
			return err
		}
		r.mu.Lock()
		r.refused, r.nextTime = 0, time.Now().Add(backRetry)
		r.mu.Unlock()
		r.Failed(true, fmt.Sprintf("%d connections with the new certificate failed; the old one is in force again", refused))
		return nil
	case link == nil || time.Now().Before(r.nextTime):
		return nil
	}
	return r.renew(ctx, link)
}

// renew asks for the next certificate if it is time.
func (r *Renewal) renew(ctx context.Context, link fleetwire.Link) error {
	now, told := r.Now()
	c, err := r.Identity.Load()
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	if now.Before(due(c.Leaf)) || !told && (now.After(c.Leaf.NotAfter) || !r.renewed.IsZero() && time.Since(r.renewed) < backRetry) {
		return nil
	}
	got, err := Renew(ctx, link, r.Topics, c)
	if err == nil {
		err = r.Identity.Install(got)
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		r.mu.Lock()
		r.nextTime = time.Now().Add(r.retry)
		r.retry = min(2*r.retry, lastRetry)
		r.mu.Unlock()
		r.Failed(false, fmt.Sprintf("%v; the certificate in force ends %s", err, c.Leaf.NotAfter.Format(time.RFC3339)))
		return nil
	}
	r.mu.Lock()
	r.renewed = time.Now()
	r.retry, r.refused, r.link = firstRetry, 0, nil // the connection that stands was made with the old one
	r.mu.Unlock()
	r.Log.Info("certificate renewed", "ends", got.Leaf.NotAfter)
	r.Reconnect()
	return nil
}

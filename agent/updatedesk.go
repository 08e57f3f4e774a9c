package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/vfs"
)

// updateDesk is where people of the box ask about updates: it knows what edge-updater reports, what operators ordered, and
// what comes over the connection. It implements control.Updates.
type updateDesk struct {
	fs         vfs.FS
	orders     string // the file of orders
	updaterDir string
	trust      string // the fleet's first root
	log        *slog.Logger
	events     *events
	remote     func() fleetwire.Controller // the part that fetches releases over MQTT, nil where there is none
	alarm      func(text string)           // what people should look at; "": nothing any more

	changing sync.Mutex // one order at a time

	mu    sync.Mutex // guards what follows
	last  *api.Update
	noted noted
}

// noted is what the log of events says last of an update.
type noted struct {
	state, release string
	ended          string // the last transaction whose end was noted
}

func newUpdateDesk(a *Agent) *updateDesk {
	u := &updateDesk{fs: a.o.FS, log: a.log, events: a.events, updaterDir: update.DefaultStateDir, trust: update.DefaultTrust, remote: a.Update,
		orders: filepath.Join(a.o.Config.DataDir, update.AgentDir, update.OrdersName)}
	u.alarm = func(text string) {
		if text == "" {
			a.faults.clear(health.UpdateMemory, updatesName)
			return
		}
		a.faults.raise(health.UpdateMemory, updatesName, updatesName, text)
	}
	if c := a.o.Config.Update; c != nil {
		u.updaterDir, u.trust = c.Updater, c.Trust
	}
	if u.noted = a.events.lastUpdate(); u.noted.state == "" {
		u.noted.state = string(fleetwire.Idle)
	}
	u.refresh(time.Now())
	return u
}

// refresh reads the small files anew; once a second, so that status answers from memory.
func (u *updateDesk) refresh(now time.Time) {
	s := update.Situation{Now: now, Report: &update.Report{}}
	if r, err := update.ReadReport(u.updaterDir); err == nil {
		s.Report = r
	} else {
		s.Trouble = append(s.Trouble, err.Error())
	}
	var err error
	if s.Orders, err = update.ReadOrders(u.orders); err != nil {
		s.Trouble = append(s.Trouble, err.Error())
	}
	if _, err := os.Stat(u.trust); err == nil {
		s.Rooted = true
	}
	if c := u.remote(); c != nil {
		r := c.Reported()
		s.Remote = &r
	}
	text := ""
	if alarms := s.Report.Journal.Alarms; len(alarms) > 0 {
		text = alarms[len(alarms)-1].Text
	}
	u.alarm(text)
	shown := s.Show()
	u.mu.Lock()
	was := u.noted
	list, is := whatIsNew(was, shown)
	u.last, u.noted = shown, is
	u.mu.Unlock()
	for _, e := range list {
		u.note(e)
	}
}

// whatIsNew is what the log of events lacks, and what it says with that. Transactions that have ended are taken from the journal of
// edge-updater, one by one: an end is noted, too, where no agent ran (the commit of the release that this one came with), or
// where the next release was wanted within the same second.
func whatIsNew(was noted, shown *api.Update) (list []event, is noted) {
	is = noted{shown.State, shown.Desired, was.ended}
	for i := range shown.Past {
		p := &shown.Past[i]
		if p.Transaction == was.ended {
			break
		}
		list = append(list, event{What: eventUpdate + endOf(p), ID: p.Release, Txn: p.Transaction, Detail: because(p.Reason, p.Detail)})
	}
	slices.Reverse(list)
	if len(shown.Past) > 0 {
		p := &shown.Past[0]
		is.ended = p.Transaction
		if is.state == endOf(p) && is.release == p.Release {
			return list, is // noted as its end, now or before
		}
	}
	if was.state != is.state || was.release != is.release {
		list = append(list, event{What: eventUpdate + shown.State, ID: shown.Desired, Detail: because(shown.Reason, shown.Detail)})
	}
	return list, is
}

func endOf(p *api.PastUpdate) string {
	if p.State == string(fleetwire.RolledBack) && len(p.Unfinished) > 0 {
		return string(fleetwire.Inconsistent)
	}
	return p.State
}

func because(reason, detail string) string { return strings.TrimPrefix(reason+": "+detail, ": ") }

// note adds to the log of events, which is for later: an update does not wait for it.
func (u *updateDesk) note(e event) {
	if err := u.events.add(e); err != nil {
		u.log.Warn("event not noted", "err", err)
	}
}

// Update is what there was a second ago at most.
func (u *updateDesk) Update() *api.Update {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last
}

// brief is the part of status, nil on a box that has never seen a release.
func (u *updateDesk) brief() *api.Update {
	full := u.Update()
	if full.Release == "" && full.Desired == "" && full.Hold == nil && full.Pause == nil {
		return nil
	}
	b := *full
	b.Gates, b.Past, b.Components = nil, nil, nil
	return &b
}

// held says why no install may start now, "" if it may.
func (u *updateDesk) held() string {
	o, err := update.ReadOrders(u.orders)
	if err != nil {
		return "the orders of operators cannot be read: " + err.Error()
	}
	return o.Held(time.Now())
}

// Order carries out what an operator asks for: first in the file that edge-updater reads, then in what fetches.
func (u *updateDesk) Order(_ context.Context, r *api.UpdateRequest, by string) (*api.Update, error) {
	u.changing.Lock()
	defer u.changing.Unlock()
	report, err := update.ReadReport(u.updaterDir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", control.ErrUnavailable, err)
	}
	orders, err := update.ReadOrders(u.orders)
	if err != nil {
		u.log.Warn("orders for updates were damaged and begin anew", "err", err)
		orders = update.Orders{}
	}
	changed, err := orders.Change(*r, by, report.Journal.Txn, time.Now())
	c := u.remote()
	if (errors.Is(err, update.ErrNothingOpen) || errors.Is(err, update.ErrNotFailed)) && c != nil {
		err = nil // what is fetched may be given up, or have failed before an install: what fetches knows
	}
	if err == nil && changed != orders {
		err = changed.Save(u.fs, u.orders)
	}
	if err == nil {
		err = u.tell(c, r.Op, by)
	}
	if err == nil {
		u.note(event{What: "order " + r.Op, By: by, Detail: r.Why})
	}
	u.refresh(time.Now())
	switch {
	case errors.Is(err, update.ErrOrder):
		return nil, fmt.Errorf("%w: %w", control.ErrBadRequest, err)
	case errors.Is(err, update.ErrNothingOpen), errors.Is(err, update.ErrDecided), errors.Is(err, update.ErrNotFailed):
		return nil, fmt.Errorf("%w: %w", control.ErrOrder, err)
	case err != nil:
		return nil, err
	}
	return u.Update(), nil
}

// tell passes an order on to what fetches. Once edge-updater is at work the file is what counts.
func (u *updateDesk) tell(c fleetwire.Controller, op, by string) error {
	if c == nil {
		if op == api.UpdateRetry {
			return fmt.Errorf("%w: nothing is fetched over the network here; sudo edgectl update import DIR --retry", control.ErrOrder)
		}
		return nil
	}
	switch op {
	case api.UpdatePause, api.UpdateResume, api.UpdateRetry:
		return conflict(c.Do(op, by))
	case api.UpdateAbort:
		if s := c.Reported().State; s != fleetwire.Installing && s != fleetwire.Probation {
			return conflict(c.Do(op, by))
		}
	}
	return nil
}

var _ control.Updates = (*updateDesk)(nil)

// conflict is a refusal by what fetches, for the one who asked.
func conflict(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", control.ErrOrder, err)
}

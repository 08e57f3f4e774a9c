package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/enrol"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/agent/update/mirror"
	updatemqtt "github.com/edgelog/edgelog/agent/update/mqtt"
	"github.com/edgelog/edgelog/agent/uplink/mqtt"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// updates is the agent's part in updates; nil where none is configured.
type updates struct {
	a      *Agent
	config config.Update

	mu     sync.Mutex // guards what follows
	client *updatemqtt.Client
	link   *mqtt.Link // the connection that stands, nil: none
}

const (
	updatesName  = "update"
	updatesRetry = time.Minute
	// With more than this in flight, telemetry catches up, and content yields.
	busyInFlight = 64 << 10
)

// troubleCodes are the faults of each trouble.
var troubleCodes = map[updatemqtt.Trouble]health.Code{updatemqtt.NotKept: health.ReleaseNotKept, updatemqtt.NoTrust: health.UpdateTrust,
	updatemqtt.Slow: health.UpdateSlow, updatemqtt.NoUpdater: health.UpdaterAbsent, updatemqtt.NoDisk: health.UpdateDisk,
	updatemqtt.Unsettled: health.UpdateUnsettled}

func newUpdates(a *Agent) *updates {
	if a.o.Config.Update == nil {
		return nil
	}
	return &updates{a: a, config: *a.o.Config.Update}
}

// connected passes the connection on that stands; nil: it is over.
func (u *updates) connected(l *mqtt.Link) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.link = l
	u.pass()
}

// pass tells the client of the connection. The lock is held.
func (u *updates) pass() {
	switch {
	case u.client == nil:
	case u.link == nil:
		u.client.Connected(nil)
	default:
		u.client.Connected(u.link)
	}
}

// Run takes part in updates until ctx ends. What is wrong with them, as a root of trust that is missing, never stops the
// agent: it is a fault, and tried again.
func (u *updates) Run(ctx context.Context) error {
	if u == nil {
		return nil
	}
	for {
		c, err := u.open()
		if err == nil {
			u.a.faults.clear(health.UpdateDisk, updatesName)
			u.mu.Lock()
			u.client = c
			u.pass()
			u.mu.Unlock()
			return c.Run(ctx)
		}
		u.a.faults.raise(health.UpdateDisk, updatesName, updatesName, "this box takes no updates: "+err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(updatesRetry):
		}
	}
}

func (u *updates) open() (*updatemqtt.Client, error) {
	c := u.a.configuration()
	root, err := config.OS{}.ReadFile(u.config.Trust)
	if err != nil {
		return nil, fmt.Errorf("read the fleet's root: %w", err)
	}
	facts := release.Facts{"arch": runtime.GOARCH}
	if err := update.ReadFacts(u.config.Product, facts); err != nil {
		return nil, err
	}
	o := updatemqtt.Options{FS: u.a.o.FS, Dir: filepath.Join(c.DataDir, updatesName), Root: root, Facts: facts,
		Topics: fleetwire.Topics{Topics: wire.Topics{Prefix: c.Uplink.MQTT.TopicPrefix}, Device: c.Device},
		Now: func() (time.Time, bool) {
			return u.a.clock.now(), u.a.clock.anchor().Good()
		},
		Public:  func() (*update.Public, error) { return update.ReadPublic(vfs.OS{}, u.config.Updater) },
		Has:     func(sum string) bool { return install.Stored(vfs.OS{}, u.config.Releases, sum) },
		Busy:    u.busy,
		Hold:    u.a.desk.held,
		Deltas:  update.Deltas{Layout: install.NewLayout(vfs.OS{}, u.config.Releases)},
		Spent:   u.a.deliver.budget.look,
		MaxRate: int64(u.config.MaxRate), Progress: u.config.Progress, Log: u.a.log.With("part", updatesName), Events: updatemqtt.Events{
			Damaged: func(what string) { u.a.faults.note(health.UpdateDisk, updatesName+"/state", updatesName, what) },
			Trouble: func(t updatemqtt.Trouble, text string) {
				u.a.faults.raise(troubleCodes[t], updatesName, updatesName, text)
			},
			Over: func(t updatemqtt.Trouble) { u.a.faults.clear(troubleCodes[t], updatesName) },
		}}
	if o.Mirrors, err = u.mirrors(); err != nil {
		return nil, err
	}
	for _, w := range u.config.Windows {
		o.Windows = append(o.Windows, fleetwire.Window{Days: w.Days, From: w.From, To: w.To})
	}
	return updatemqtt.New(o)
}

// mirrors are the places beside the broker that content comes from.
func (u *updates) mirrors() (out []mirror.Mirror, err error) {
	for _, m := range u.config.Mirrors {
		if m.Dir != "" {
			out = append(out, mirror.Directory{Dir: m.Dir})
			continue
		}
		address, err := m.Address()
		if err != nil {
			return nil, err
		}
		out = append(out, mirror.NewHTTPS(mirror.HTTPSOptions{URL: address, CAFile: m.CAFile, CertFile: m.CertFile, KeyFile: m.KeyFile,
			Now: func() time.Time { return enrol.Floor(u.a.clock.now(), m.CAFile, m.CertFile) }, Count: func(n int) { u.a.deliver.beside.Add(uint64(n)) }}))
	}
	return out, nil
}

// busy tells that delivery has more to do than the readings of the moment.
func (u *updates) busy() bool {
	s, ok := u.a.deliver.status()
	return ok && s.InFlight > busyInFlight
}

// Update is whom operators ask, nil where this box takes no updates or cannot now.
func (a *Agent) Update() fleetwire.Controller {
	if a.updates == nil {
		return nil
	}
	a.updates.mu.Lock()
	defer a.updates.mu.Unlock()
	if a.updates.client == nil {
		return nil
	}
	return a.updates.client
}

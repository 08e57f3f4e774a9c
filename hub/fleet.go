package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/vfs"
	"golang.org/x/sync/errgroup"
)

// DefaultFleetState is where rollouts are kept.
const DefaultFleetState = "/var/lib/edge-hub/fleet"

// Fleet says that this hub hands out updates. Where several hubs share a broker, one of them does.
type Fleet struct {
	Releases string           `yaml:"releases,required"` // the directory that edgectl release makes
	State    string           `yaml:"state"`             // rollouts, and the audit log
	MaxRate  strictyaml.Bytes `yaml:"max_rate"`          // content a second, to all devices together; 0: no limit
	Settle   time.Duration    `yaml:"settle"`            // after a start nothing is concluded for so long
}

func (f *Fleet) defaults() {
	if f == nil {
		return
	}
	if f.State == "" {
		f.State = DefaultFleetState
	}
	if f.Settle == 0 {
		f.Settle = time.Minute
	}
}

func (f *Fleet) validate(r *strictyaml.Report) {
	if f == nil || f.Releases == "" { // required, said already
		return
	}
	if info, err := os.Stat(filepath.Join(f.Releases, "metadata")); err != nil || !info.IsDir() {
		r.Addf("fleet.releases", "fleet.releases %q holds no metadata directory; edgectl release prepare makes one", f.Releases)
	}
	if f.Settle < time.Second || f.Settle > time.Hour {
		r.Addf("fleet.settle", "fleet.settle is %v; want 1s to 1h", f.Settle)
	}
}

// FleetSocket is where a running hub takes orders for rollouts.
func (c *Config) FleetSocket() string { return filepath.Join(c.RunDir, "fleet.sock") }

const fleetRetry = 30 * time.Second

// runFleet keeps the fleet's server. What is wrong with it, as a full disk or a damaged audit log, holds up updates and
// nothing else.
func (h *hub) runFleet(ctx context.Context) error {
	said := ""
	for {
		err := h.fleetOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			h.log.Error("no updates are handed out; it is tried again", keyError, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(fleetRetry):
		}
	}
}

// fleetOnce serves until ctx ends or something is wrong.
func (h *hub) fleetOnce(ctx context.Context) error {
	f := h.c.Fleet
	orders, err := listen(h.c.FleetSocket())
	if err != nil {
		return err
	}
	s, err := fleet.New(fleet.Options{Releases: f.Releases, State: f.State, Topics: h.c.Topics(), MaxRate: int64(f.MaxRate), Now: time.Now,
		FS: vfs.OS{}, Log: h.log.With("part", "fleet"), Settled: f.Settle, Dial: func(ctx context.Context) (fleetwire.Link, func() error, error) {
			o := h.clientOptions()
			o.ClientID += "-fleet"
			c, err := mqttclient.Dial(ctx, o)
			if err != nil {
				return nil, nil, err
			}
			return fleetLink{c}, c.Close, nil
		}})
	if err != nil {
		return errors.Join(err, orders.Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { return s.Serve(ctx, orders) })
	return g.Wait()
}

// fleetLink is a connection as updates see it.
type fleetLink struct{ *mqttclient.Conn }

func (l fleetLink) Subscribe(ctx context.Context, filter string, qos byte, h func(fleetwire.Message)) error {
	return l.Conn.Subscribe(ctx, filter, qos, func(m mqttclient.Message) { h(fleetwire.Message(m)) })
}

package hub

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/edgelog/edgelog/hub/enrol"
	"github.com/edgelog/edgelog/internal/enrolwire"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/vfs"
)

// DefaultEnrolState is where codes and the audit log of enrolments are kept.
const DefaultEnrolState = "/var/lib/edge-hub/enrol"

// Enrol says that this hub gives boxes their certificates. Where several hubs share a broker, one of them does.
type Enrol struct {
	CACert   string        `yaml:"ca_cert,required"` // the authority that signs devices
	CAKey    string        `yaml:"ca_key,required"`
	BrokerCA string        `yaml:"broker_ca"` // what devices hold the broker against; ca_cert if not given
	State    string        `yaml:"state"`
	Life     time.Duration `yaml:"life"` // of a device's certificate
}

func (e *Enrol) defaults() {
	if e == nil {
		return
	}
	if e.State == "" {
		e.State = DefaultEnrolState
	}
	if e.Life == 0 {
		e.Life = enrol.DefaultLife
	}
}

func (e *Enrol) validate(r *strictyaml.Report) {
	if e == nil {
		return
	}
	for _, f := range []struct{ key, file string }{{"ca_cert", e.CACert}, {"ca_key", e.CAKey}, {"broker_ca", e.BrokerCA}} {
		if f.file == "" {
			continue
		}
		if _, err := os.Stat(f.file); err != nil {
			r.Addf("enrol."+f.key, "enrol.%s %q cannot be read: %v", f.key, f.file, err)
		}
	}
	if e.Life < time.Hour || e.Life > 5*365*24*time.Hour {
		r.Addf("enrol.life", "enrol.life is %v; want 1h to 5 years", e.Life)
	}
}

// runEnrol answers requests for certificates. What is wrong with it never stops the receiver.
func (h *hub) runEnrol(ctx context.Context) error {
	said := ""
	for {
		err := h.enrolOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			h.log.Error("no certificates are given out; it is tried again", keyError, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(fleetRetry):
		}
	}
}

func (h *hub) enrolOnce(ctx context.Context) error {
	e := h.c.Enrol
	s, err := enrol.Open(enrol.Options{CACert: e.CACert, CAKey: e.CAKey, BrokerCA: e.BrokerCA, State: e.State, Life: e.Life,
		Topics: enrolwire.Topics{Topics: h.c.Topics()}, FS: vfs.OS{}, Log: h.log.With("part", "enrol"), Now: time.Now,
		Dial: func(ctx context.Context) (fleetwire.Link, func() error, error) {
			o := h.clientOptions()
			o.ClientID += "-enrol"
			c, err := mqttclient.Dial(ctx, o)
			if err != nil {
				return nil, nil, err
			}
			return fleetLink{c}, c.Close, nil
		}})
	if err != nil {
		return err
	}
	return errors.Join(s.Run(ctx), s.Close())
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/agent/enrol"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/uplink/mqtt"
	"github.com/edgelog/edgelog/internal/enrolwire"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// identityDir is where certificates of this box lie, below its data directory.
const identityDir = "identity"

const identitySubject = "identity"

// renewal renews the box's certificate, where it came by enrolment.
type renewal struct {
	*enrol.Renewal
}

// newRenewal is nil where the certificate is not one of enrolment: somebody else renews it then.
func newRenewal(a *Agent) *renewal {
	m := a.o.Config.Uplink.MQTT
	id := enrol.Identity{FS: vfs.OS{}, Dir: filepath.Join(a.o.Config.DataDir, identityDir), Own: ownerOf(a.o.Config.DataDir)}
	if m == nil || m.CertFile != id.File(enrol.CertName) || m.KeyFile != id.File(enrol.KeyName) {
		return nil
	}
	return &renewal{&enrol.Renewal{Identity: id, Topics: enrolwire.Topics{Topics: wire.Topics{Prefix: m.TopicPrefix}},
		Now: func() (time.Time, bool) { return a.clock.now(), a.clock.anchor().Good() },
		Reconnect: func() {
			select {
			case a.uplinkChanged <- struct{}{}:
			default: // it is about to change anyway
			}
		},
		Failed: func(back bool, text string) {
			code := health.NotRenewed
			if back {
				code = health.RenewalRefused
			}
			a.faults.raise(code, identitySubject, identitySubject, text)
		},
		Fine: func() {
			a.faults.clear(health.NotRenewed, identitySubject)
			a.faults.clear(health.RenewalRefused, identitySubject)
		},
		Log: a.log.With("part", identitySubject)}}
}

func (r *renewal) connected(l *mqtt.Link) {
	switch {
	case r == nil:
	case l == nil:
		r.Connected(nil)
	default:
		r.Connected(l)
	}
}

// failed is told why no connection came about. What has nothing to do with who we are does not count.
func (r *renewal) failed(err error) {
	if r == nil || err == nil {
		return
	}
	if code := linkCode(err); code == health.CertificateRefused || code == health.UplinkRefused || errors.Is(err, mqttclient.ErrOptions) {
		r.Refused()
	}
}

// Run renews until ctx ends.
func (r *renewal) Run(ctx context.Context) error {
	if r == nil {
		return nil
	}
	return r.Renewal.Run(ctx)
}

var _ fleetwire.Link = (*mqtt.Link)(nil)

// IdentityDir is where certificates of enrolment lie, below the data directory.
const IdentityDir = identityDir

// EnrolOptions are for Enrol. All but Prefix are needed; CAFile may be empty where the system's roots hold the broker.
type EnrolOptions struct {
	Code, Device, Broker, Prefix string
	CAFile, ClaimCert, ClaimKey  string
	Dir                          string // of identities
}

// Enrolled is what a box has then.
type Enrolled struct {
	CertFile, KeyFile, CAFile string
	Ends                      time.Time
}

// Enrol gets the first certificate of a box, with a one-time code, over a connection that a claim certificate opens. What
// it makes belongs to whom the directory above Dir belongs, so that root may run it for the agent's user.
func Enrol(ctx context.Context, o EnrolOptions) (*Enrolled, error) {
	clock := func() time.Time { return enrol.Floor(time.Now(), o.ClaimCert, o.CAFile) }
	c, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: o.Broker, ClientID: "enrol-" + o.Device, Now: clock,
		TLS: mqttclient.TLS{CAFile: o.CAFile, CertFile: o.ClaimCert, KeyFile: o.ClaimKey}})
	if err != nil {
		return nil, fmt.Errorf("with the claim certificate: %w", err)
	}
	id := enrol.Identity{FS: vfs.OS{}, Dir: o.Dir, Own: ownerOf(filepath.Dir(o.Dir))}
	var got *enrol.Issued
	key, err := id.Pending()
	if err == nil {
		got, err = enrol.Enrol(ctx, claimLink{c}, enrolwire.Topics{Topics: wire.Topics{Prefix: o.Prefix}}, o.Device, o.Code, key)
	}
	if err = errors.Join(err, c.Close()); err != nil && got == nil {
		return nil, err
	}
	if err := id.Install(got); err != nil {
		return nil, err
	}
	return &Enrolled{CertFile: id.File(enrol.CertName), KeyFile: id.File(enrol.KeyName), CAFile: id.File(enrol.CAName), Ends: got.Leaf.NotAfter}, nil
}

// NotTrusted tells whether an error of Enrol says that one side does not trust the other.
func NotTrusted(err error) bool {
	if errors.Is(err, enrol.ErrRefused) || errors.Is(err, enrol.ErrForged) || errors.Is(err, enrol.ErrOther) || errors.Is(err, enrolwire.ErrCode) {
		return true
	}
	code := linkCode(err)
	return code == health.UnknownCA || code == health.CertificateRefused || code == health.BrokerCertificate
}

// ownerOf gives files the owner of a directory, and directories and files to nobody else.
func ownerOf(dir string) func(string) error {
	return func(name string) error {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if info.IsDir() {
			mode = 0o700
		}
		if err := os.Chmod(name, mode); err != nil {
			return err
		}
		above, err := os.Stat(dir)
		if err != nil {
			return err
		}
		st, ok := above.Sys().(*syscall.Stat_t)
		if !ok || os.Getuid() != 0 {
			return nil
		}
		return os.Lchown(name, int(st.Uid), int(st.Gid))
	}
}

// claimLink is a connection as enrolment sees it.
type claimLink struct{ *mqttclient.Conn }

func (l claimLink) Subscribe(ctx context.Context, filter string, qos byte, h func(fleetwire.Message)) error {
	return l.Conn.Subscribe(ctx, filter, qos, func(m mqttclient.Message) { h(fleetwire.Message(m)) })
}

package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Update says that this box takes releases over its connection to the broker (docs/updates.md). Without it none are.
type Update struct {
	Trust    string           `yaml:"trust"`    // the fleet's first root
	Product  string           `yaml:"product"`  // what this box is: NAME=VALUE lines
	Releases string           `yaml:"releases"` // where edge-updater installs
	Updater  string           `yaml:"updater"`  // edge-updater's state directory
	MaxRate  strictyaml.Bytes `yaml:"max_rate"` // of content, a second; 0: no limit
	Windows  []Window         `yaml:"windows"`  // when an install may start, in local time; none: at any time
	Progress time.Duration    `yaml:"progress"` // between two reports while content comes
	Mirrors  []Mirror         `yaml:"mirrors"`  // places with the content of releases, asked before the broker
}

// Mirror is a place that holds the same targets/ as the fleet's directory of releases: a web server or a directory.
type Mirror struct {
	URL      string `yaml:"url"`
	CAFile   string `yaml:"ca_file"`   // PEM; without it the system's authorities
	CertFile string `yaml:"cert_file"` // PEM; for a server that asks for one
	KeyFile  string `yaml:"key_file"`
	Dir      string `yaml:"dir"`
}

// Address reads the address of a web server.
func (m *Mirror) Address() (*url.URL, error) {
	u, err := url.Parse(m.URL)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q does not begin with https://HOST", m.URL)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it may have no user, query or fragment; cert_file says who asks")
	}
	return u, nil
}

func (m *Mirror) validate(r *strictyaml.Report, path string) {
	switch {
	case (m.URL == "") == (m.Dir == ""):
		r.Addf(path, "%s: give one of url and dir", path)
	case m.Dir != "" && m.CAFile+m.CertFile+m.KeyFile != "":
		r.Addf(path, "%s: a directory has no certificates", path)
	case (m.CertFile == "") != (m.KeyFile == ""):
		r.Addf(path, "%s: cert_file and key_file belong together; give both or none", path)
	case m.URL != "":
		if _, err := m.Address(); err != nil {
			r.Addf(path+".url", "%s.url: %v", path, err)
		}
	}
}

// Window is a daily span of local time.
type Window struct {
	Days []string `yaml:"days"`          // mon … sun; none: every day
	From string   `yaml:"from,required"` // HH:MM
	To   string   `yaml:"to,required"`   // HH:MM; before From: past midnight
}

// Places of updates.
const (
	DefaultTrust    = "/etc/edge-agent/root.json"
	DefaultProduct  = "/etc/edge-agent/product"
	DefaultReleases = "/opt/edge"
	DefaultUpdater  = "/var/lib/edge-updater"
)

func (u *Update) withDefaults() {
	if u == nil {
		return
	}
	for _, p := range []struct {
		to *string
		is string
	}{{&u.Trust, DefaultTrust}, {&u.Product, DefaultProduct}, {&u.Releases, DefaultReleases}, {&u.Updater, DefaultUpdater}} {
		if *p.to == "" {
			*p.to = p.is
		}
	}
	if u.Progress == 0 {
		u.Progress = 10 * time.Second
	}
}

func (u *Update) paths() []*string {
	if u == nil {
		return nil
	}
	out := []*string{&u.Trust, &u.Product, &u.Releases, &u.Updater}
	for i := range u.Mirrors {
		m := &u.Mirrors[i]
		out = append(out, &m.CAFile, &m.CertFile, &m.KeyFile, &m.Dir)
	}
	return out
}

func (u *Update) validate(r *strictyaml.Report, c *Config) {
	if u == nil {
		return
	}
	if c.Uplink.MQTT == nil {
		r.Addf("update", "update needs uplink.mqtt: releases come over that connection")
	}
	if u.MaxRate != 0 {
		between(r, "update.max_rate", u.MaxRate, strictyaml.KiB, strictyaml.GiB)
	}
	between(r, "update.progress", u.Progress, time.Second, time.Hour)
	if len(u.Mirrors) > MaxMirrors {
		r.Addf("update.mirrors", "update.mirrors has %d entries, at most %d are possible", len(u.Mirrors), MaxMirrors)
	}
	for i := range u.Mirrors {
		u.Mirrors[i].validate(r, "update.mirrors["+strconv.Itoa(i)+"]")
	}
	days := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	for i, w := range u.Windows {
		path := "update.windows[" + strconv.Itoa(i) + "]"
		for _, s := range []string{w.From, w.To} {
			if _, err := time.Parse("15:04", s); err != nil {
				r.Addf(path, "%s: %q is no time of day; write it like \"01:30\"", path, s)
			}
		}
		for _, d := range w.Days {
			if !slices.Contains(days, d) {
				r.Addf(path+".days", "%s.days: %q is no day%s", path, d, strictyaml.Suggest(d, days))
			}
		}
	}
}

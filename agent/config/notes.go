package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Notes are things that are no mistakes and worth knowing before the agent starts: a device that is not plugged in now,
// a name that is not the certificate's. ports are those that are there, to be named beside one that is not.
func (c *Config) Notes(host Host, ports []string) (notes []string) {
	if m := c.Uplink.MQTT; m != nil && m.CertFile != "" {
		if cert, err := ReadCertificate(host, m.CertFile); err == nil && cert.Subject.CommonName != c.Device {
			notes = append(notes, fmt.Sprintf("device is %q and the certificate's common name %q: a broker that knows devices by their certificates, as the shipped configuration does, lets it send nothing", c.Device, cert.Subject.CommonName))
		}
	}
	notes = append(notes, c.misspelt()...)
	notes = append(notes, c.mixed()...)
	missing := func(what, place string) {
		if !filepath.IsAbs(place) {
			return
		}
		if _, err := host.Stat(place); !errors.Is(err, fs.ErrNotExist) {
			return
		}
		text := what + ": " + place + " does not exist now"
		if strings.HasPrefix(place, "/dev/") {
			text += "; serial ports that are there: " + or(strings.Join(ports, ", "), "none with a name of its own")
		}
		notes = append(notes, text)
	}
	for i := range c.Sources {
		s := &c.Sources[i]
		if s.Exec != nil {
			missing("source "+s.Name, s.Exec.Command[0])
		} else if s.Listen == nil { // it makes its socket itself
			missing("source "+s.Name, s.Place())
		}
	}
	for i := range c.Nodes {
		missing("line "+c.Nodes[i].Name, c.Nodes[i].Port)
	}
	return notes
}

// misspelt finds streams that look like a wrong spelling of one that every box has: nothing would go there, and the settings
// would count for none.
func (c *Config) misspelt() (notes []string) {
	own := slices.Sorted(maps.Keys(base().Streams))
	for _, name := range slices.Sorted(maps.Keys(c.Streams)) {
		if slices.Contains(own, name) {
			continue
		}
		if meant := strictyaml.Suggest(name, own); strings.Contains(meant, "did you mean") {
			notes = append(notes, fmt.Sprintf("stream %q is one of its own%s", name, meant))
		}
	}
	return notes
}

// mixed finds rules of a source that give one name to series of two, with nothing in them that keeps the two apart. Whether
// the driver's own labels do is not known here.
func (c *Config) mixed() (notes []string) {
	for i := range c.Sources {
		s := &c.Sources[i]
		for k := range s.Rules {
			for first := range k {
				if a, b := &s.Rules[first], &s.Rules[k]; a.mixes(b) {
					path := fmt.Sprintf("sources[%d].rules[%d].rename", i, k)
					at := c.pos.At(path)
					notes = append(notes, fmt.Sprintf("line %d: %s makes %q of %q as rules[%d] does of %q: where their labels are the same, the readings of both mix in one series; give one another name, or each a label",
						at.Line, path, b.Rename, b.Match.Series, first, a.Match.Series))
					break
				}
			}
		}
	}
	return notes
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

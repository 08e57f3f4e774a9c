package config

import (
	"slices"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Air is an air sensor on a UART.
type Air struct {
	Model    string `yaml:"model,required"` // pms5003, pms7003, sds011, mh-z19
	Port     string `yaml:"port,required"`
	Baseline string `yaml:"baseline"` // mh-z19: on or off; empty: as it is
	Period   int    `yaml:"period"`   // sds011: minutes; 0: all the time; -1: as it is
}

// NMEA is a GPS receiver.
type NMEA struct {
	Port  string        `yaml:"port,required"`
	Baud  int           `yaml:"baud"`  // default 9600
	Delay time.Duration `yaml:"delay"` // how long after a second its sentence comes at most; default 1 s
	Clock *bool         `yaml:"clock"` // its time bounds that of the box; default true
}

// UsesClock reports whether the receiver's time counts.
func (n *NMEA) UsesClock() bool { return n.Clock == nil || *n.Clock }

func (a *Air) validate(r *strictyaml.Report, path string) {
	if models := []string{"pms5003", "pms7003", "sds011", "mh-z19"}; !slices.Contains(models, a.Model) {
		r.Addf(path+".model", "%s.model %q is unknown%s", path, a.Model, strictyaml.Suggest(a.Model, models))
	}
}

func (n *NMEA) validate(r *strictyaml.Report, path string) {
	between(r, path+".delay", n.Delay, 0, MaxGPSDelay)
}

package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Rule says how some series of a source are treated. All that match are applied in order; a later one wins.
type Rule struct {
	Match       Match             `yaml:"match"`
	Rename      string            `yaml:"rename"`
	Labels      map[string]string `yaml:"labels"` // added; they replace those of the driver
	Stream      string            `yaml:"stream"` // not of sources that send by themselves
	Range       *Range            `yaml:"range"`  // behind the calibration
	Calibration *Calibration      `yaml:"calibration"`
	Report      *Report           `yaml:"report"`
}

// Match says which series: by name, or its beginning before a *, and by labels, which must all be there.
type Match struct {
	Series string            `yaml:"series"`
	Labels map[string]string `yaml:"labels"`
}

// Calibration is gain·x + offset, or a table.
type Calibration struct {
	Offset float64      `yaml:"offset"`
	Gain   *float64     `yaml:"gain"` // none: 1
	Table  []Correction `yaml:"table"`
}

// Correction is one point of a table.
type Correction struct {
	Reading float64 `yaml:"reading,required"`
	True    float64 `yaml:"true,required"`
}

// Report keeps readings that say nothing new out of the log.
type Report struct {
	Deadband  float64       `yaml:"deadband"`  // in the unit of the series; 0: every change is reported
	Heartbeat time.Duration `yaml:"heartbeat"` // at least so often all the same; 0: never
}

// pushes reports whether the source sends when it likes.
func (s *Source) pushes() bool {
	switch s.Driver {
	case DriverExec, DriverSerial, DriverListen, DriverMQTT:
		return true
	}
	return false
}

func (s *Source) validateRules(r *strictyaml.Report, path string) {
	if n := len(s.Rules); n > MaxRules {
		r.Addf(path+".rules", "%s.rules has %d rules, at most %d are possible", path, n, MaxRules)
	}
	between(r, path+".timeout", s.Timeout, 0, MaxSourceTimeout)
	between(r, path+".stuck_after", s.StuckAfter, 0, MaxHeartbeat)
	for i := range s.Rules {
		at := path + ".rules[" + strconv.Itoa(i) + "]"
		s.Rules[i].validate(r, at)
		if s.Rules[i].Stream != "" && s.pushes() {
			r.Addf(at+".stream", "%s.stream: a source with driver %s writes to one stream; give it beside the driver", at, s.Driver)
		}
	}
}

func (u *Rule) validate(r *strictyaml.Report, path string) {
	if strings.Contains(strings.TrimSuffix(u.Match.Series, "*"), "*") {
		r.Addf(path+".match.series", "%s.match.series %q: a * may stand at the end only", path, u.Match.Series)
	}
	if name := (record.Series{Name: u.Rename}); u.Rename != "" && name.Normalize() != nil {
		r.Addf(path+".rename", "%s.rename: %q cannot be the name of a series", path, u.Rename)
	}
	for key, value := range u.Labels {
		one := record.Series{Name: "x", Labels: []record.Label{{Key: key, Value: value}}}
		if one.Normalize() != nil {
			r.Addf(path+".labels."+key, "%s.labels: %q: %q cannot be a label; keys have a-z 0-9 _ and do not begin with a digit", path, key, value)
		}
	}
	if g := u.Range; g != nil && !(g.Min < g.Max) {
		r.Addf(path+".range", "%s.range: min %v is not below max %v", path, g.Min, g.Max)
	}
	if u.Report != nil {
		if d := u.Report.Deadband; !(d >= 0) || math.IsInf(d, 0) {
			r.Addf(path+".report.deadband", "%s.report.deadband %v is not a distance", path, d)
		}
		between(r, path+".report.heartbeat", u.Report.Heartbeat, 0, MaxHeartbeat)
	}
	if u.Calibration != nil {
		u.Calibration.validate(r, path+".calibration")
	}
	if u.Rename == "" && len(u.Labels) == 0 && u.Stream == "" && u.Range == nil && u.Calibration == nil && u.Report == nil {
		r.Addf(path, "%s does nothing; give rename, labels, stream, range, calibration or report", path)
	}
}

// mixes reports whether two rules send series of two names to one name of a stream, and neither their labels nor those that
// they ask for differ.
func (u *Rule) mixes(o *Rule) bool {
	exact := func(name string) bool { return name != "" && !strings.HasSuffix(name, "*") }
	if u.Rename == "" || u.Rename != o.Rename || u.Stream != o.Stream || u.Match.Series == o.Match.Series ||
		!exact(u.Match.Series) || !exact(o.Match.Series) {
		return false
	}
	return !u.apart(o) && !o.apart(u)
}

// apart reports whether a label of u's series is surely, or by intention, none of o's.
func (u *Rule) apart(o *Rule) bool {
	of := func(r *Rule, key string) (string, bool) {
		if v, ok := r.Labels[key]; ok {
			return v, true
		}
		v, ok := r.Match.Labels[key]
		return v, ok
	}
	for key, v := range u.Labels {
		if other, ok := of(o, key); !ok || other != v {
			return true
		}
	}
	for key := range u.Match.Labels {
		v, _ := of(u, key)
		if other, ok := of(o, key); ok && other != v {
			return true
		}
	}
	return false
}

func (c *Calibration) validate(r *strictyaml.Report, path string) {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	if !finite(c.Offset) || c.Gain != nil && (!finite(*c.Gain) || *c.Gain == 0) {
		r.Addf(path, "%s: offset must be a number, gain one that is not 0", path)
	}
	switch n := len(c.Table); {
	case n == 0:
		return
	case c.Offset != 0 || c.Gain != nil:
		r.Addf(path, "%s: give offset and gain, or a table", path)
	case n < 2 || n > MaxTable:
		r.Addf(path+".table", "%s.table has %d points, possible are 2 to %d", path, n, MaxTable)
	}
	for i, p := range c.Table {
		if !finite(p.Reading) || !finite(p.True) || i > 0 && !(p.Reading > c.Table[i-1].Reading) {
			r.Addf(path+".table", "%s.table[%d]: readings must be numbers that rise", path, i)
		}
	}
}

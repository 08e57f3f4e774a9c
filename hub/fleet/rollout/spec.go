package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/wire"
)

// Spec is what an operator writes: which release goes to which devices, in which order, and what stops it.
type Spec struct {
	Release string              `yaml:"release,required" json:"release"`
	Target  map[string][]string `yaml:"target" json:"target,omitempty"`   // fact → constraints, as a manifest's compatible; none: every device
	Exclude []string            `yaml:"exclude" json:"exclude,omitempty"` // devices
	Waves   []Wave              `yaml:"waves,required" json:"waves"`
	// Success is the share of finished devices, in per cent, that must have committed before the next wave.
	Success  float64     `yaml:"success" json:"success"`
	Abort    []AbortRule `yaml:"abort" json:"abort"`
	Timeouts Timeouts    `yaml:"timeouts" json:"timeouts"`
	Retry    Retry       `yaml:"retry" json:"retry"`
	Windows  []Window    `yaml:"windows" json:"windows,omitempty"` // when an install may start, in each device's local time
	// MaxRate of one device's download.
	MaxRate strictyaml.Bytes `yaml:"max_rate" json:"max_bps,omitempty"`
	// SeenWithin is how long a device may have been silent and still be waited for at the end.
	SeenWithin time.Duration `yaml:"seen_within" json:"seen_within_ns"`
}

// Wave is one step. A device belongs to the first wave that lists it or whose share it falls into.
type Wave struct {
	Name    string   `yaml:"name,required" json:"name"`
	Devices []string `yaml:"devices" json:"devices,omitempty"`
	Percent float64  `yaml:"percent" json:"percent,omitempty"` // of all target devices, waves before included
	Min     int      `yaml:"min" json:"min,omitempty"`         // devices at least, if there are so many
	// Soak is how long the wave is watched after its last device has ended.
	Soak time.Duration `yaml:"soak" json:"soak_ns,omitempty"`
	// Gate is auto, or manual: then somebody says resume before the next wave begins.
	Gate        string `yaml:"gate" json:"gate,omitempty"`
	MaxInFlight Amount `yaml:"max_in_flight" json:"max_in_flight"` // devices that update at the same time, 20 or 10%; 0: all
	RatePerMin  int    `yaml:"rate_per_min" json:"rate_per_min,omitempty"`
}

// Amount is a number of devices, or a share of the target.
type Amount struct {
	Devices int
	Percent float64
}

// MarshalText writes what UnmarshalText reads.
func (a Amount) MarshalText() ([]byte, error) {
	if a.Percent > 0 {
		return append(strconv.AppendFloat(nil, a.Percent, 'f', -1, 64), '%'), nil
	}
	return strconv.AppendInt(nil, int64(a.Devices), 10), nil
}

// UnmarshalText reads 20 or 10%.
func (a *Amount) UnmarshalText(b []byte) (err error) {
	s := string(b)
	if p, ok := strings.CutSuffix(s, "%"); ok {
		if a.Percent, err = strconv.ParseFloat(p, 64); err != nil || !(a.Percent > 0 && a.Percent <= 100) {
			return fmt.Errorf("%q is not a share of devices; write 10%%", s)
		}
		return nil
	}
	if a.Devices, err = strconv.Atoi(s); err != nil || a.Devices < 0 {
		return fmt.Errorf("%q is not a number of devices; write 20 or 10%%", s)
	}
	return nil
}

// of is the bound among so many devices; 0: none.
func (a Amount) of(devices int) int {
	if a.Percent > 0 {
		return max(1, int(float64(devices)*a.Percent/100))
	}
	return a.Devices
}

// AbortRule ends a rollout: where so many, or such a share, of its devices came to one of those ends.
type AbortRule struct {
	On          []string `yaml:"on,required" json:"on"` // ROLLED_BACK, FAILED, REJECTED, INCONSISTENT, TIMED_OUT, VANISHED
	Percent     float64  `yaml:"percent" json:"percent,omitempty"`
	MinFinished int      `yaml:"min_finished" json:"min_finished,omitempty"` // a share of fewer says nothing
	Count       int      `yaml:"count" json:"count,omitempty"`
}

// Timeouts of one device. They run while it is online and not waiting for its window.
type Timeouts struct {
	Step  time.Duration `yaml:"step" json:"step_ns"`   // without any progress
	Total time.Duration `yaml:"total" json:"total_ns"` // from being told to its end
}

// Retry says how often a device is told again.
type Retry struct {
	Max     int           `yaml:"max" json:"max"`
	On      []string      `yaml:"on" json:"on,omitempty"` // FAILED and TIMED_OUT where nothing is named
	Backoff time.Duration `yaml:"backoff" json:"backoff_ns"`
}

// Window is a daily span of local time.
type Window struct {
	Days []string `yaml:"days" json:"days,omitempty"`
	From string   `yaml:"from,required" json:"from"`
	To   string   `yaml:"to,required" json:"to"`
}

// ParseSpec reads a file strictly. The error is a *strictyaml.Error with all mistakes.
func ParseSpec(file string, data []byte) (*Spec, error) {
	s := &Spec{}
	pos, err := strictyaml.DecodePos(file, data, s)
	r := strictyaml.NewReport(pos, err)
	s.WithDefaults()
	s.validate(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// WithDefaults fills what is left open.
func (s *Spec) WithDefaults() {
	if s.Success == 0 {
		s.Success = 95
	}
	if len(s.Abort) == 0 {
		s.Abort = []AbortRule{
			{On: []string{string(fleetwire.RolledBack), string(fleetwire.Failed), string(fleetwire.Inconsistent)}, Percent: 3, MinFinished: 10},
			{On: []string{string(TimedOut), string(Vanished)}, Percent: 10, MinFinished: 20},
			{On: []string{string(fleetwire.Inconsistent)}, Count: 1}}
	}
	if s.Timeouts.Step == 0 {
		s.Timeouts.Step = 30 * time.Minute
	}
	if s.Timeouts.Total == 0 {
		s.Timeouts.Total = 48 * time.Hour
	}
	if s.Retry.Backoff == 0 {
		s.Retry.Backoff = 6 * time.Hour
	}
	if len(s.Retry.On) == 0 {
		s.Retry.On = []string{string(fleetwire.Failed), string(TimedOut)}
	}
	if s.SeenWithin == 0 {
		s.SeenWithin = 7 * 24 * time.Hour
	}
	for i := range s.Waves {
		if s.Waves[i].Gate == "" {
			s.Waves[i].Gate = "auto"
		}
	}
}

// Validate checks a spec that came another way than from a file.
func (s *Spec) Validate() error {
	r := strictyaml.NewReport(nil, nil)
	s.validate(r)
	return r.Err()
}

func (s *Spec) validate(r *strictyaml.Report) {
	if s.Release != "" && (!release.ValidName(s.Release) || strings.Contains(s.Release, "/")) {
		r.Addf("release", "release %q is no name of a release", s.Release)
	}
	if err := release.Select(s.Target, nil); err != nil && len(s.Target) > 0 {
		for fact, list := range s.Target {
			if !release.ValidName(fact) || len(list) == 0 || len(list) > release.MaxConstraints {
				r.Addf("target."+fact, "target.%s: want a fact and one constraint or several, as product: [edgebox-2]", fact)
			}
		}
	}
	if n := len(s.Waves); n == 0 || n > MaxWaves {
		r.Addf("waves", "%d waves; want 1 to %d", n, MaxWaves)
	}
	s.validateWaves(r)
	if s.Success < 0 || s.Success > 100 {
		r.Addf("success", "success is %g per cent", s.Success)
	}
	if len(s.Abort) > MaxRules || len(s.Exclude) > MaxListed {
		r.Addf("abort", "%d rules and %d excluded devices; at most %d and %d", len(s.Abort), len(s.Exclude), MaxRules, MaxListed)
	}
	for i, a := range s.Abort {
		path := "abort[" + strconv.Itoa(i) + "]"
		checkEnds(r, path+".on", a.On, abortable)
		if a.Count <= 0 && !(a.Percent > 0 && a.Percent <= 100) {
			r.Addf(path, "%s needs count or percent", path)
		}
	}
	checkEnds(r, "retry.on", s.Retry.On, []JobState{JobState(fleetwire.Failed), JobState(fleetwire.RolledBack), JobState(fleetwire.Rejected), TimedOut})
	if s.Timeouts.Step < 0 || s.Timeouts.Total < s.Timeouts.Step || s.Retry.Max < 0 || s.Retry.Max > 10 || s.Retry.Backoff < 0 || s.SeenWithin < 0 {
		r.Addf("timeouts", "want 0 < timeouts.step ≤ timeouts.total, retry.max of 0 to 10, and no negative time")
	}
	for i, w := range s.Windows {
		if _, err := w.wire().Open(time.Time{}); err != nil {
			r.Addf("windows["+strconv.Itoa(i)+"]", "windows[%d]: %v", i, err)
		}
	}
}

func (w Window) wire() fleetwire.Window {
	return fleetwire.Window{Days: w.Days, From: w.From, To: w.To}
}

func checkEnds(r *strictyaml.Report, path string, list []string, known []JobState) {
	var names []string
	for _, k := range known {
		names = append(names, string(k))
	}
	for _, s := range list {
		if !slices.Contains(names, s) {
			r.Addf(path, "%s: %q is none of %s%s", path, s, strings.Join(names, ", "), strictyaml.Suggest(s, names))
		}
	}
}

func (s *Spec) validateWaves(r *strictyaml.Report) {
	last := 0.0
	names := map[string]bool{}
	for i, w := range s.Waves {
		path := "waves[" + strconv.Itoa(i) + "]"
		switch {
		case w.Name == "" || len(w.Name) > 32 || names[w.Name]:
			r.Addf(path+".name", "%s.name %q: want a short name that no other wave has", path, w.Name)
		case w.Percent < 0 || w.Percent > 100:
			r.Addf(path+".percent", "%s.percent is %g", path, w.Percent)
		case w.Percent > 0 && w.Percent < last:
			r.Addf(path+".percent", "%s.percent is %g: shares count the waves before, so they rise", path, w.Percent)
		case w.Percent == 0 && len(w.Devices) == 0 && w.Min == 0:
			r.Addf(path, "%s has no devices: give devices, percent or min", path)
		case len(w.Devices) > MaxListed || w.Min < 0 || w.Min > MaxDevices || w.Soak < 0 || w.RatePerMin < 0:
			r.Addf(path, "%s: a number is out of range", path)
		case w.Gate != "auto" && w.Gate != "manual":
			r.Addf(path+".gate", "%s.gate %q; want auto or manual", path, w.Gate)
		case i == 0 && w.Gate == "manual":
			r.Addf(path+".gate", "%s.gate: the first wave begins when the rollout is created", path)
		}
		for _, d := range w.Devices {
			if !wire.ValidDevice(d) {
				r.Addf(path+".devices", "%s.devices: %q is no id of a device", path, d)
			}
		}
		names[w.Name], last = true, max(last, w.Percent)
	}
}

// Cohort is where a device stands among all, 0 to 9,999: the same within a rollout, another one in each.
func Cohort(rollout, device string) int {
	h := sha256.New()
	h.Write([]byte(rollout))
	h.Write([]byte{0})
	h.Write([]byte(device))
	return int(binary.BigEndian.Uint64(h.Sum(nil)) % 10_000)
}

// waveOf is the wave that a device belongs to by list or share; -1: none.
func (s *Spec) waveOf(rollout, device string) int {
	for i, w := range s.Waves {
		if slices.Contains(w.Devices, device) || float64(Cohort(rollout, device)) < w.Percent*100 {
			return i
		}
	}
	return -1
}

package collect

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
)

// Plan is what is to be collected.
type Plan struct{ Sources []Source }

// Source is one sensor with its schedule and the treatment of its readings.
type Source struct {
	Name         string           // unique in the plan
	Driver       string           // "system", "w1": shown to people
	Stream       string           // default "telemetry"
	Interval     time.Duration    // 1 ms to 24 h, default 10 s; sweeps start on its multiples on the wall clock
	Timeout      time.Duration    // of one Read, default 1 min
	Labels       []record.Label   // added to every series that does not have them
	Ranges       map[string]Range // plausible values by series name; they replace those of the driver
	Rules        []Rule           // how single series are treated, in order
	StuckAfter   time.Duration    // exactly the same value for longer is QualityStuck; 0: not checked
	MaxNewSeries int              // an hour; default record.MaxNewSeriesPerHour

	// Config is the driver's part of the configuration in any canonical form; the sensor is opened again when it or
	// Driver changes. Open makes the sensor; it is called by the worker, again and again until it works.
	Config string
	Open   func() (drivers.Sensor, error)

	// Door makes a source that speaks up, in place of Open; Interval, Timeout and StuckAfter do not concern it.
	Door func(door.Events) (door.Source, error)
	// Producer says, as door.Emit does, why a numbered message cannot be taken now; nil: no producers.
	Producer func(p record.ProducerPosition) error
}

// Range is the plausible values of a series, inclusive, in its unit.
type Range struct{ Min, Max float64 }

func (s Source) withDefaults() Source {
	if s.Stream == "" {
		s.Stream = defaultStream
	}
	if s.Interval == 0 {
		s.Interval = defaultInterval
	}
	if s.Timeout == 0 {
		s.Timeout = defaultTimeout
	}
	if s.MaxNewSeries == 0 {
		s.MaxNewSeries = record.MaxNewSeriesPerHour
	}
	return s
}

// checked returns the plan with defaults, or an error that wraps ErrPlan.
func (p Plan) checked() (Plan, error) {
	if len(p.Sources) > MaxSources {
		return p, fmt.Errorf("%w: %d sources, at most %d", ErrPlan, len(p.Sources), MaxSources)
	}
	out := Plan{make([]Source, len(p.Sources))}
	names := map[string]bool{}
	for i, s := range p.Sources {
		s = s.withDefaults()
		if names[s.Name] {
			return p, fmt.Errorf("%w: two sources are named %q", ErrPlan, s.Name)
		}
		names[s.Name] = true
		if err := s.check(); err != nil {
			return p, fmt.Errorf("%w: source %q: %w", ErrPlan, s.Name, err)
		}
		out.Sources[i] = s
	}
	return out, nil
}

func (s Source) check() error {
	switch {
	case s.Name == "" || (s.Open == nil) == (s.Door == nil):
		return fmt.Errorf("a name and a driver are needed")
	case !record.ValidStream(s.Stream):
		return fmt.Errorf("stream %q: want 1 to %d of a-z, 0-9 and -", s.Stream, record.MaxStreamName)
	case s.Interval < MinInterval || s.Interval > MaxInterval:
		return fmt.Errorf("interval %s, want %s to %s", s.Interval, MinInterval, MaxInterval)
	case s.Timeout < 0 || s.Timeout > MaxTimeout:
		return fmt.Errorf("timeout %s, want at most %s", s.Timeout, MaxTimeout)
	case s.StuckAfter < 0 || s.MaxNewSeries < 0 || s.MaxNewSeries > record.MaxSeriesPerEpoch:
		return fmt.Errorf("stuck_after and max_new_series must not be negative or out of range")
	}
	for name, r := range s.Ranges {
		if !(r.Min <= r.Max) {
			return fmt.Errorf("range of %s: %g to %g is empty", name, r.Min, r.Max)
		}
	}
	if len(s.Rules) > MaxRules {
		return fmt.Errorf("%d rules, at most %d", len(s.Rules), MaxRules)
	}
	for i, r := range s.Rules {
		if err := r.Check(); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		if s.Door != nil && r.Stream != "" {
			return fmt.Errorf("rule %d: what comes through a door goes to one stream", i+1)
		}
	}
	probe := overflowSeries(s)
	if err := probe.Normalize(); err != nil {
		return err
	}
	return nil
}

// same reports whether nothing that matters differs.
func (s Source) same(o Source) bool {
	return s.sameSeries(o) && s.Interval == o.Interval && s.Timeout == o.Timeout && s.StuckAfter == o.StuckAfter &&
		s.MaxNewSeries == o.MaxNewSeries
}

// sameSensor reports whether the open sensor can go on.
func (s Source) sameSensor(o Source) bool { return s.Driver == o.Driver && s.Config == o.Config }

// sameSeries reports whether its series mean the same, with the same ids, and are judged alike.
func (s Source) sameSeries(o Source) bool {
	return s.sameSensor(o) && s.Stream == o.Stream && slices.Equal(s.Labels, o.Labels) && maps.Equal(s.Ranges, o.Ranges) &&
		sameRules(s.Rules, o.Rules)
}

// streams are those that the source writes to, its own first.
func (s Source) streams() []string {
	out := []string{s.Stream}
	for _, r := range s.Rules {
		if r.Stream != "" && !slices.Contains(out, r.Stream) {
			out = append(out, r.Stream)
		}
	}
	return out
}

// outstanding is how many drafts may wait for the disk: four seconds' worth, so that a commit interval of one
// second and a slow fsync fit, at least 64.
func (s Source) outstanding() int {
	if s.Door != nil {
		return doorOutstanding
	}
	return int(max(64, min(MaxOutstanding, 4*time.Second/s.Interval)))
}

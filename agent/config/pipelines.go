package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Pipeline computes on one stream and writes to another. Exactly one of Window and Alarm is given.
type Pipeline struct {
	Name   string           `yaml:"name,required"` // [a-z0-9-]{1,32}, unique
	From   PipelineFrom     `yaml:"from,required"`
	Window *PipelineWindow  `yaml:"window"`
	Alarm  *PipelineTrigger `yaml:"alarm"`
	Stream string           `yaml:"stream"` // where results go; of alarms by default StreamAlarms
	Start  string           `yaml:"start"`  // where there is nothing to go on from: StartLatest or StartEarliest
}

// PipelineFrom says which readings: those of a stream whose series match, as in Match.
type PipelineFrom struct {
	Stream string            `yaml:"stream"`
	Series string            `yaml:"series"`
	Labels map[string]string `yaml:"labels"`
}

// PipelineWindow computes over spans of time, aligned to UTC.
type PipelineWindow struct {
	Size    time.Duration `yaml:"size,required"`
	Every   time.Duration `yaml:"every"` // divides Size; 0: Size
	Late    time.Duration `yaml:"late"`  // how far past its end a window waits for readings that are on their way
	Compute []string      `yaml:"compute,required"`
}

// PipelineTrigger is a condition on single readings. Exactly one of Above, Below and Quality is given.
type PipelineTrigger struct {
	Above    *float64      `yaml:"above"`
	Below    *float64      `yaml:"below"`
	Quality  string        `yaml:"quality"` // QualityBad
	Clear    *float64      `yaml:"clear"`   // where it is over; none: at the limit
	For      time.Duration `yaml:"for"`     // how long it must hold
	Severity string        `yaml:"severity"`
	Text     string        `yaml:"text"`
}

// Words of a pipeline.
const (
	StartLatest   = "latest"
	StartEarliest = "earliest"
	QualityBad    = "bad"

	PipelinePrefix = "pipeline:" // of the producers that stand for pipelines
)

// PipelineComputes are the results that a window can have; their names are those of package pipeline, in its order.
var PipelineComputes = []string{"mean", "min", "max", "sum", "first", "last", "count", "bad"}

// PipelineSeverities are those of an alarm, the worst first.
var PipelineSeverities = []string{"critical", "warning", "info"}

const defaultLate = 10 * time.Second

func (p *Pipeline) withDefaults(set func(path string) bool, path string) {
	p.From.Stream = orDefault(p.From.Stream, StreamTelemetry)
	p.Start = orDefault(p.Start, StartLatest)
	if w := p.Window; w != nil {
		w.Every = orDefault(w.Every, w.Size)
		if w.Late == 0 && !set(path+".window.late") {
			w.Late = defaultLate
		}
	}
	if p.Alarm != nil {
		p.Stream = orDefault(p.Stream, StreamAlarms)
		p.Alarm.Severity = orDefault(p.Alarm.Severity, "warning")
	}
}

// CheckPipelines checks the pipelines alone. The error is a *strictyaml.Error.
func (c *Config) CheckPipelines() error {
	r := c.Report()
	c.validatePipelines(r)
	return r.Err()
}

func (c *Config) validatePipelines(r *strictyaml.Report) {
	if n := len(c.Pipelines); n > MaxPipelines {
		r.Addf("pipelines", "%d pipelines, at most %d are possible", n, MaxPipelines)
	}
	first := map[string]int{}
	for i := range c.Pipelines {
		p, path := &c.Pipelines[i], "pipelines["+strconv.Itoa(i)+"]"
		wantName(r, first, "pipelines", i, p.Name)
		c.wantStream(r, path+".from.stream", p.From.Stream)
		if p.Stream == "" {
			r.Addf(path, "%s: stream is missing: where do its results go?", path)
		} else {
			c.wantStream(r, path+".stream", p.Stream)
		}
		p.validate(r, path)
	}
	c.pipelineCircle(r)
}

func (p *Pipeline) validate(r *strictyaml.Report, path string) {
	if strings.Contains(strings.TrimSuffix(p.From.Series, "*"), "*") {
		r.Addf(path+".from.series", "%s.from.series %q: a * may stand at the end only", path, p.From.Series)
	}
	oneOf(r, path+".start", p.Start, StartLatest, StartEarliest)
	switch {
	case (p.Window == nil) == (p.Alarm == nil):
		r.Addf(path, "%s: give one of window and alarm", path)
	case p.Window != nil:
		p.Window.validate(r, path+".window")
	default:
		p.Alarm.validate(r, path+".alarm")
	}
}

func (w *PipelineWindow) validate(r *strictyaml.Report, path string) {
	between(r, path+".size", w.Size, MinWindowSize, MaxWindowSize)
	between(r, path+".late", w.Late, 0, MaxWindowLate)
	switch {
	case w.Size < MinWindowSize: // said
	case w.Every < MinWindowSize || w.Size%w.Every != 0 || w.Size/w.Every > MaxWindowHops:
		r.Addf(path+".every", "%s.every is %v; it must divide size (%v) and be at least %v and a %dth of it", path, w.Every, w.Size, MinWindowSize, MaxWindowHops)
	case (w.Size+w.Late)/w.Every+2 > MaxWindowPanes:
		r.Addf(path+".late", "%s.late is %v; size and late together may be %d times %s", path, w.Late, MaxWindowPanes-2, w.Every)
	}
	if len(w.Compute) == 0 {
		r.Addf(path+".compute", "%s.compute is empty%s", path, strictyaml.Suggest("", PipelineComputes))
	}
	for i, name := range w.Compute {
		at := path + ".compute[" + strconv.Itoa(i) + "]"
		if !slices.Contains(PipelineComputes, name) {
			r.Addf(at, "%s %q is unknown%s", at, name, strictyaml.Suggest(name, PipelineComputes))
		} else if slices.Index(w.Compute, name) < i {
			r.Addf(at, "%s: %q is there twice", at, name)
		}
	}
}

func (a *PipelineTrigger) validate(r *strictyaml.Report, path string) {
	given := 0
	for _, is := range []bool{a.Above != nil, a.Below != nil, a.Quality != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		r.Addf(path, "%s: give one of above, below and quality", path)
	}
	if a.Quality != "" {
		oneOf(r, path+".quality", a.Quality, QualityBad)
	}
	if k := a.Clear; k != nil && (a.Quality != "" || a.Above != nil && *k > *a.Above || a.Below != nil && *k < *a.Below) {
		r.Addf(path+".clear", "%s.clear is %v; it lies below above, or above below, so that an alarm does not flutter", path, *k)
	}
	between(r, path+".for", a.For, 0, MaxAlarmFor)
	oneOf(r, path+".severity", a.Severity, PipelineSeverities...)
	if len(a.Text) > MaxAlarmText {
		r.Addf(path+".text", "%s.text has %d bytes, at most %d are possible", path, len(a.Text), MaxAlarmText)
	}
}

// pipelineCircle refuses pipelines whose results come back to them: a log that feeds itself never ends.
func (c *Config) pipelineCircle(r *strictyaml.Report) {
	for i := range c.Pipelines {
		p := &c.Pipelines[i]
		if way := c.wayBack(p.From.Stream, p.Stream, map[string]bool{}); way != nil {
			path := "pipelines[" + strconv.Itoa(i) + "]"
			r.Addf(path+".stream", "%s.stream: results come back to it: %s → %s", path, p.From.Stream, strings.Join(way, " → "))
			return // each of the circle would say it again
		}
	}
}

// wayBack is the streams by which pipelines lead from one to another, both included; nil: there is no such way.
func (c *Config) wayBack(to, from string, seen map[string]bool) []string {
	if from == to {
		return []string{to}
	}
	if from == "" || seen[from] {
		return nil
	}
	seen[from] = true
	for k := range c.Pipelines {
		if c.Pipelines[k].From.Stream == from {
			if way := c.wayBack(to, c.Pipelines[k].Stream, seen); way != nil {
				return append([]string{from}, way...)
			}
		}
	}
	return nil
}

package pipeline

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/buffer/record"
)

// Definition is what one pipeline does. Exactly one of Window and Alarm is set.
type Definition struct {
	Name     string
	From     string // input stream
	Series   string // name of the series, or its beginning before a final *; "" is any
	Labels   []record.Label
	To       string // output stream, another one
	Earliest bool   // where there is nothing to go on from: begin with the oldest record, not behind the newest
	Window   *Window
	Alarm    *Alarm
}

// Window is a computation over spans of time, aligned to UTC. Every divides Size; equal ones make windows that follow each
// other, a smaller Every makes them overlap.
type Window struct {
	Size, Every time.Duration
	Late        time.Duration // how far past its end a window is closed: readings that are on their way still count
	Compute     []Compute
}

// Compute is one result of a window.
type Compute uint8

// What can be computed.
const (
	Mean Compute = iota + 1
	Min
	Max
	Sum
	First
	Last
	Count // of readings with a value
	Bad   // of readings without one
)

// String is the end of the result's name.
func (c Compute) String() string {
	if c < Mean || c > Bad {
		return "unknown"
	}
	return config.PipelineComputes[c-Mean]
}

// Alarm is a condition on single readings. Exactly one of Above, Below and Bad is set.
type Alarm struct {
	Above, Below *float64
	Bad          bool          // the reading has no value
	Clear        *float64      // where it is over: at or below it for Above, at or above it for Below; nil: the limit itself
	For          time.Duration // how long the condition must hold, by the stamps of the readings
	Severity     string
	Text         string
}

// Of turns a checked configuration into definitions, in its order.
func Of(c *config.Config) []Definition {
	var out []Definition
	for i := range c.Pipelines {
		out = append(out, definitionOf(&c.Pipelines[i]))
	}
	return out
}

func definitionOf(p *config.Pipeline) Definition {
	d := Definition{Name: p.Name, From: p.From.Stream, Series: p.From.Series, To: p.Stream, Earliest: p.Start == config.StartEarliest}
	for k, v := range p.From.Labels {
		d.Labels = append(d.Labels, record.Label{Key: k, Value: v})
	}
	slices.SortFunc(d.Labels, func(a, b record.Label) int { return strings.Compare(a.Key, b.Key) })
	if w := p.Window; w != nil {
		d.Window = &Window{Size: w.Size, Every: w.Every, Late: w.Late}
		for _, name := range w.Compute {
			d.Window.Compute = append(d.Window.Compute, Compute(slices.Index(config.PipelineComputes, name))+Mean)
		}
	}
	if a := p.Alarm; a != nil {
		d.Alarm = &Alarm{Above: a.Above, Below: a.Below, Bad: a.Quality == config.QualityBad, Clear: a.Clear, For: a.For, Severity: a.Severity, Text: a.Text}
	}
	return d
}

// Producer is the name under which results are appended.
func (d *Definition) Producer() string { return config.PipelinePrefix + d.Name }

// id tells definitions apart whose results differ. It is the upper half of an incarnation.
func (d *Definition) id() uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "1 %q %q %q %q %q\n", d.Name, d.From, d.Series, d.Labels, d.To) // a hash takes everything
	if w := d.Window; w != nil {
		fmt.Fprintf(h, "window %d %d %d %v\n", w.Size, w.Every, w.Late, w.Compute)
	}
	if a := d.Alarm; a != nil {
		fmt.Fprintf(h, "alarm %s %s %v %s %d %q %q\n", number(a.Above), number(a.Below), a.Bad, number(a.Clear), a.For, a.Severity, a.Text)
	}
	return h.Sum32()
}

func number(f *float64) string {
	if f == nil {
		return "none"
	}
	return fmt.Sprint(*f)
}

// matches reports whether a series is followed.
func (d *Definition) matches(s *record.Series) bool {
	begin, open := strings.CutSuffix(d.Series, "*")
	if open && !strings.HasPrefix(s.Name, begin) || !open && d.Series != "" && d.Series != s.Name {
		return false
	}
	for _, want := range d.Labels {
		if !slices.Contains(s.Labels, want) {
			return false
		}
	}
	return true
}

const pipelineLabel = "pipeline" // of results: who computed them

// result is the series that a computation makes of one of the input. A result of a result names both pipelines.
func (d *Definition) result(in *record.Series, suffix string, t record.Type, unit string) record.Series {
	out := record.Series{Name: in.Name + "." + suffix, Unit: unit, Type: t}
	by := d.Name
	for _, l := range in.Labels {
		if l.Key == pipelineLabel {
			by = l.Value + "/" + by
			continue
		}
		out.Labels = append(out.Labels, l)
	}
	out.Labels = append(out.Labels, record.Label{Key: pipelineLabel, Value: by})
	slices.SortFunc(out.Labels, func(a, b record.Label) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// results are the series that windows over one of the input yield, in the order of Compute; nil where there is nothing to
// compute with.
func (d *Definition) results(in *record.Series) []record.Series {
	if d.Alarm != nil {
		if !d.Alarm.Bad && !numeric(in.Type) {
			return nil
		}
		return []record.Series{d.result(in, alarmSuffix, record.TypeJSON, "")}
	}
	out := make([]record.Series, 0, len(d.Window.Compute))
	useful := false
	for _, c := range d.Window.Compute {
		t, unit := c.typeOf(in.Type), in.Unit
		if c == Count || c == Bad {
			unit = "1"
		}
		useful = useful || t != record.TypeNone
		out = append(out, d.result(in, c.String(), t, unit))
	}
	if !useful {
		return nil
	}
	return out
}

func numeric(t record.Type) bool {
	switch t.Base() {
	case record.TypeInt, record.TypeFloat, record.TypeDecimal, record.TypeBool:
		return true
	}
	return false
}

// meanDecimals is how many decimals the mean of whole numbers and decimals has at least.
const meanDecimals = 3

// typeOf is the type of a result; none: there is no such result of that type.
func (c Compute) typeOf(in record.Type) record.Type {
	if c == Count || c == Bad {
		return record.TypeInt
	}
	if !numeric(in) {
		return record.TypeNone
	}
	switch c {
	case Mean:
		if in == record.TypeFloat {
			return in
		}
		return record.Decimal(max(meanDecimals, in.Decimals()))
	case Sum:
		if in == record.TypeBool {
			return record.TypeInt
		}
	}
	return in
}

// Sequence is the number of a message: the offset of the record that made it, and which of its messages it is. It rises
// with the input, leaves numbers out, and is never 0.
func Sequence(o record.Offset, part int) uint64 { return (uint64(o)+1)<<partBits | uint64(part) }

// offsetOf is the offset of the record that made the message with that sequence.
func offsetOf(sequence uint64) record.Offset { return record.Offset(sequence>>partBits) - 1 }

// Text is what it does, for people: "10m mean, max", "above 8, clear 7, for 10m".
func (d *Definition) Text() string {
	if w := d.Window; w != nil {
		var names []string
		for _, c := range w.Compute {
			names = append(names, c.String())
		}
		text := shortDuration(w.Size) + " " + strings.Join(names, ", ")
		if w.Every != w.Size {
			text += " every " + shortDuration(w.Every)
		}
		return text
	}
	a := d.Alarm
	var parts []string
	switch {
	case a.Above != nil:
		parts = append(parts, "above "+number(a.Above))
	case a.Below != nil:
		parts = append(parts, "below "+number(a.Below))
	default:
		parts = append(parts, "without a value")
	}
	if a.Clear != nil {
		parts = append(parts, "clear "+number(a.Clear))
	}
	if a.For > 0 {
		parts = append(parts, "for "+shortDuration(a.For))
	}
	return strings.Join(parts, ", ")
}

// shortDuration leaves out what is zero: 1h, 90s as 1m30s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if s, ok := strings.CutSuffix(text, "m0s"); ok {
		text = s + "m"
	}
	if s, ok := strings.CutSuffix(text, "h0m"); ok {
		text = s + "h"
	}
	return text
}

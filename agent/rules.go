package agent

import (
	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/agent/config"
)

// ruleOf turns a rule of a configuration into what collect applies.
func ruleOf(r config.Rule) collect.Rule {
	out := collect.Rule{Name: r.Match.Series, Labels: labelsOf(r.Match.Labels), Rename: r.Rename, AddLabels: labelsOf(r.Labels), Stream: r.Stream}
	if g := r.Range; g != nil {
		out.Range = &collect.Range{Min: g.Min, Max: g.Max}
	}
	if p := r.Report; p != nil {
		out.Report = &collect.Report{Deadband: p.Deadband, Heartbeat: p.Heartbeat}
	}
	if c := r.Calibration; c != nil {
		out.Calibration = &collect.Calibration{Offset: c.Offset}
		if c.Gain != nil {
			out.Calibration.Gain = *c.Gain
		}
		for _, p := range c.Table {
			out.Calibration.Table = append(out.Calibration.Table, [2]float64{p.Reading, p.True})
		}
	}
	return out
}

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/synthetic"
	"github.com/edgelog/edgelog/drivers/system"
	"github.com/edgelog/edgelog/drivers/w1"
	"github.com/edgelog/edgelog/mcu"
)

// Check is what a configuration must pass beyond its own checks: all of its sources and lines of nodes can be made.
// Nothing is opened. The error is a *strictyaml.Error with the place of each problem.
func Check(c *config.Config) error {
	r := c.Report()
	for i, s := range c.Sources {
		if _, err := sourceOf(s, surroundings{log: slog.New(slog.DiscardHandler)}); err != nil {
			r.Addf(fmt.Sprintf("sources[%d]", i), "source %s: %v", s.Name, err)
		}
	}
	for i := range c.Nodes {
		o, err := lineOptions(&c.Nodes[i])
		if err == nil {
			_, err = mcu.New(o)
		}
		if err != nil {
			r.Addf(fmt.Sprintf("nodes[%d]", i), "%v", err)
		}
	}
	return r.Err()
}

// surroundings are what sources need of the agent.
type surroundings struct {
	log    *slog.Logger     // for what drivers tell of their devices
	ingest func() *ingester // knows the producers; asked when a source runs
	gps    func(utc, at time.Time, delay time.Duration)
}

// planOf turns the sources of a configuration into what collect runs.
func planOf(sources []config.Source, env surroundings) (collect.Plan, error) {
	var p collect.Plan
	for _, s := range sources {
		c, err := sourceOf(s, env)
		if err != nil {
			return p, fmt.Errorf("source %s: %w", s.Name, err)
		}
		p.Sources = append(p.Sources, c)
	}
	return p, nil
}

func sourceOf(s config.Source, env surroundings) (collect.Source, error) {
	out := collect.Source{Name: s.Name, Driver: s.Driver, Stream: s.Stream, Interval: s.Interval}
	for k, v := range s.Labels {
		out.Labels = append(out.Labels, record.Label{Key: k, Value: v})
	}
	if len(s.Ranges) > 0 {
		out.Ranges = map[string]collect.Range{}
		for name, r := range s.Ranges {
			out.Ranges[name] = collect.Range{Min: r.Min, Max: r.Max}
		}
	}
	out.Timeout, out.StuckAfter = s.Timeout, s.StuckAfter
	for _, r := range s.Rules {
		out.Rules = append(out.Rules, ruleOf(r))
	}
	log := env.log.With("source", s.Name)
	var block any
	var err error
	switch s.Driver {
	case config.DriverSystem:
		block = s.System
		o := system.Options{Proc: filepath.Join(s.System.Root, "proc"), Sys: filepath.Join(s.System.Root, "sys")}
		only := s.System.Only
		out.Open = func() (drivers.Sensor, error) {
			h, err := system.New(o)
			if err != nil || len(only) == 0 {
				return h, err
			}
			return newChosen(h, only), nil
		}
	case config.DriverW1:
		block = s.W1
		o := w1.Options{Root: s.W1.Root, Master: s.W1.Master, Names: s.W1.Names, ReadTimeout: s.W1.ReadTimeout, NoBulk: s.W1.NoBulk,
			Resolution: s.W1.Resolution, Persist: s.W1.Persist, Suspect: suspect(log)}
		if s.W1.Simulated && !slices.ContainsFunc(out.Labels, func(l record.Label) bool { return l.Key == "simulated" }) {
			out.Labels = append(out.Labels, record.Label{Key: "simulated", Value: "true"})
		}
		out.Open = func() (drivers.Sensor, error) { return w1.New(o) }
	case config.DriverSynthetic:
		block = s.Synthetic
		o := synthetic.Options{Series: s.Synthetic.Series, Seed: s.Synthetic.Seed, Group: s.Name}
		if s.Synthetic.Rate > 0 { // of all series together: the schedule makes the rate
			out.Interval = max(time.Duration(float64(s.Synthetic.Series)/s.Synthetic.Rate*float64(time.Second)), collect.MinInterval)
		}
		out.MaxNewSeries = max(record.MaxNewSeriesPerHour, s.Synthetic.Series) // its names are made here, not by strangers
		out.Open = func() (drivers.Sensor, error) { return synthetic.New(o) }
	case config.DriverDS18B20:
		block = s.DS18B20
		out.Open, err = openDS18B20(s.DS18B20, suspect(log))
	case config.DriverModbus:
		block = s.Modbus
		out.Open, err = openModbus(s.Modbus)
	case config.DriverAir:
		block = s.Air
		out.Open, err = openAir(s.Air)
		if s.Air.Period > 0 { // a reading may be that far away
			out.Timeout = max(out.Timeout, time.Duration(s.Air.Period+1)*time.Minute)
		}
	case config.DriverNMEA:
		block = s.NMEA
		out.Open, err = openNMEA(s.NMEA, env.gps)
	case config.DriverExec:
		block = s.Exec
		out.Door, err = openExec(s.Exec)
	case config.DriverSerial:
		block = s.Serial
		out.Door, err = openSerial(s.Serial)
	case config.DriverMQTT:
		block = s.MQTT
		out.Door, err = openMQTT(s.MQTT)
	case config.DriverListen:
		block = s.Listen
		out.Producer = func(p record.ProducerPosition) error { return env.ingest().admit(p) }
		out.Door, err = openListen(s.Listen, env)
	default:
		return out, fmt.Errorf("no driver %q", s.Driver)
	}
	if err != nil {
		return out, err
	}
	slices.SortFunc(out.Labels, func(a, b record.Label) int { return strings.Compare(a.Key, b.Key) })
	b, err := json.Marshal(block)
	out.Config = string(b)
	return out, err
}

// chosen passes on those quantities of a sensor whose name begins with one of the prefixes.
type chosen struct {
	drivers.Sensor
	prefixes []string
	seen     int   // quantities of the inner sensor that are sorted out
	index    []int // by inner index: own index or -1
	own      []drivers.Quantity
	buf      []drivers.Sample
}

func newChosen(s drivers.Sensor, prefixes []string) *chosen {
	return &chosen{Sensor: s, prefixes: prefixes}
}

// Quantities lists the chosen ones; like the inner list it only grows.
func (c *chosen) Quantities() []drivers.Quantity {
	for _, q := range c.Sensor.Quantities()[c.seen:] {
		c.seen++
		if !slices.ContainsFunc(c.prefixes, func(p string) bool { return strings.HasPrefix(q.Name, p) }) {
			c.index = append(c.index, -1)
			continue
		}
		c.index = append(c.index, len(c.own))
		c.own = append(c.own, q)
	}
	return c.own
}

// Read reads the inner sensor and drops what was not chosen.
func (c *chosen) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	var err error
	c.buf, err = c.Sensor.Read(ctx, c.buf[:0])
	c.Quantities()
	for _, s := range c.buf {
		if s.Quantity = c.index[s.Quantity]; s.Quantity >= 0 {
			dst = append(dst, s)
		}
	}
	return dst, err
}

package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is one difference between two configurations, as a sentence for people.
type Change struct {
	Path string // streams.telemetry.max_bytes
	Text string // "4GiB → 8GiB"
}

// Plan says what a reload does: what takes effect at once and what waits for a restart. Sources and the uplink are
// exchanged while the agent runs; the log keeps its epoch.
type Plan struct {
	Live    []Change
	Restart []Change

	Sources      []Source // that run behind the reload: one that waits for a restart goes on as it was
	StartSources []Source // new or changed
	StopSources  []string // gone or changed, by name
	Uplink       bool     // the uplink connects anew
	LogLevel     bool
	Producers    bool // the list of producers is exchanged
	Nodes        bool // lines of nodes are exchanged
	HTTP         bool // the page is served anew
	Pipelines    bool // pipelines are exchanged
}

// Empty reports whether nothing changes.
func (p Plan) Empty() bool { return len(p.Live) == 0 && len(p.Restart) == 0 }

// NewPlan compares the running configuration with a checked new one.
func NewPlan(old, now *Config) Plan {
	var p Plan
	for _, f := range []struct{ path, a, b string }{
		{"device", old.Device, now.Device}, {"data_dir", old.DataDir, now.DataDir}, {"run_dir", old.RunDir, now.RunDir},
		{"storage.min_free", old.Storage.MinFree.String(), now.Storage.MinFree.String()},
		{"storage.encryption.key_file", old.Storage.Encryption.KeyFile, now.Storage.Encryption.KeyFile},
		{"storage.encryption.old_key_files", strings.Join(old.Storage.Encryption.OldKeyFiles, " "), strings.Join(now.Storage.Encryption.OldKeyFiles, " ")},
		{"control.view_group", old.Control.ViewGroup, now.Control.ViewGroup},
		{"control.ops_group", old.Control.OpsGroup, now.Control.OpsGroup},
		{"control.ingest_group", old.Control.IngestGroup, now.Control.IngestGroup},
	} {
		if f.a != f.b {
			p.Restart = append(p.Restart, Change{f.path, fmt.Sprintf("%q → %q", f.a, f.b)})
		}
	}
	if !reflect.DeepEqual(old.Update, now.Update) {
		p.Restart = append(p.Restart, Change{"update", "is another"})
	}
	p.streams(old.Streams, now.Streams)
	p.sources(old.Sources, now.Sources, old.Streams)
	p.nodes(old.Nodes, now.Nodes)
	if !reflect.DeepEqual(old.Uplink, now.Uplink) {
		p.Uplink = true
		p.Live = append(p.Live, Change{"uplink", uplinkText(old.Uplink, now.Uplink)})
	}
	if !maps.Equal(old.Control.Producers, now.Control.Producers) {
		p.Producers = true
		p.Live = append(p.Live, Change{"control.producers", fmt.Sprintf("%d → %d producers", len(old.Control.Producers), len(now.Control.Producers))})
	}
	if !reflect.DeepEqual(old.Control.HTTP, now.Control.HTTP) {
		p.HTTP = true
		p.Live = append(p.Live, Change{"control.http", httpText(now.Control.HTTP)})
	}
	if !reflect.DeepEqual(old.Pipelines, now.Pipelines) {
		p.Pipelines = true
		p.Live = append(p.Live, Change{"pipelines", fmt.Sprintf("%d → %d; what changed begins anew", len(old.Pipelines), len(now.Pipelines))})
	}
	if a, b := old.Storage.WearPerDay, now.Storage.WearPerDay; a != b {
		p.Live = append(p.Live, Change{"storage.wear_per_day", a.String() + " → " + b.String()})
	}
	if !reflect.DeepEqual(old.NPU, now.NPU) {
		p.Live = append(p.Live, Change{"npu", "the worker's faults are declared anew"})
	}
	if old.Log.Level != now.Log.Level {
		p.LogLevel = true
		p.Live = append(p.Live, Change{"log.level", old.Log.Level + " → " + now.Log.Level})
	}
	return p
}

func uplinkText(old, now Uplink) string {
	switch from, to := old.To(), now.To(); {
	case from == "" && to != "":
		return "delivers to " + to
	case from != "" && to == "":
		return "delivers no more"
	case from != to:
		return from + " → " + to
	}
	return "connects again with the new settings"
}

func httpText(now *HTTP) string {
	if now == nil {
		return "the page is served no more"
	}
	return "the page is served on " + now.Address
}

// streams: a log is opened with its settings, so any change of a stream waits for the next start.
func (p *Plan) streams(old, now map[string]Stream) {
	all := maps.Clone(old)
	if all == nil {
		all = map[string]Stream{}
	}
	maps.Copy(all, now)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, had := old[name]
		b, has := now[name]
		path := "streams." + name
		switch {
		case !had:
			p.Restart = append(p.Restart, Change{path, "is new"})
		case !has:
			p.Restart = append(p.Restart, Change{path, "is gone; what it holds is still delivered"})
		case a != b:
			p.Restart = append(p.Restart, Change{path, streamText(a, b)})
		}
	}
}

func streamText(a, b Stream) string {
	switch {
	case a.MaxBytes != b.MaxBytes:
		return fmt.Sprintf("max_bytes %s → %s", a.MaxBytes, b.MaxBytes)
	case a.Full != b.Full:
		return fmt.Sprintf("full %s → %s", a.Full, b.Full)
	case a.CommitInterval != b.CommitInterval:
		return fmt.Sprintf("commit_interval %s → %s", a.CommitInterval, b.CommitInterval)
	case a.MaxAge != b.MaxAge:
		return fmt.Sprintf("max_age %s → %s", a.MaxAge, b.MaxAge)
	case a.Priority != b.Priority:
		return fmt.Sprintf("priority %d → %d", a.Priority, b.Priority)
	}
	return fmt.Sprintf("segment_bytes %s → %s", a.SegmentBytes, b.SegmentBytes)
}

// sources: streams are those of the running log. A source that writes to another one waits for it.
func (p *Plan) sources(old, now []Source, streams map[string]Stream) {
	before := map[string]Source{}
	for _, s := range old {
		before[s.Name] = s
	}
	for _, s := range now {
		was, had := before[s.Name]
		delete(before, s.Name)
		if name := s.missing(streams); name != "" {
			p.Restart = append(p.Restart, Change{"sources." + s.Name, "writes to stream " + name + ", which is new"})
			if had {
				p.Sources = append(p.Sources, was)
			}
			continue
		}
		p.Sources = append(p.Sources, s)
		switch {
		case !had:
			p.StartSources = append(p.StartSources, s)
			p.Live = append(p.Live, Change{"sources." + s.Name, "is new"})
		case !reflect.DeepEqual(was, s):
			p.StopSources = append(p.StopSources, s.Name)
			p.StartSources = append(p.StartSources, s)
			p.Live = append(p.Live, Change{"sources." + s.Name, "is opened again with the new settings"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		p.StopSources = append(p.StopSources, name)
		p.Live = append(p.Live, Change{"sources." + name, "is gone"})
	}
}

// missing is a stream that the source writes to and that is none of these, if there is one.
func (s *Source) missing(streams map[string]Stream) string {
	if _, ok := streams[s.Stream]; !ok {
		return s.Stream
	}
	for _, u := range s.Rules {
		if _, ok := streams[u.Stream]; !ok && u.Stream != "" {
			return u.Stream
		}
	}
	return ""
}

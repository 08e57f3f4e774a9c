package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
)

func (a *app) sensors(ctx context.Context, args []string) error {
	watch, every := false, 2*time.Second
	words, err := a.parse("sensors", args, 2, func(f *flag.FlagSet) {
		f.BoolVar(&watch, "watch", false, "")
		f.DurationVar(&every, "every", every, "")
	})
	if err != nil {
		return err
	}
	if len(words) > 0 && words[0] == "watch" {
		watch, words = true, words[1:]
	}
	if len(words) > 1 {
		return usagef("sensors: %q is too much; edgectl help sensors shows its form", words[1])
	}
	if every < minWatch {
		return usagef("--every %s: at least %s", every, minWatch)
	}
	text := strings.Join(words, "")
	if !watch {
		s, err := a.sensorsNow(ctx, text)
		if err != nil {
			return err
		}
		if a.g.json {
			return a.json(s)
		}
		return a.text(a.view().sensors(s))
	}
	return a.watchSensors(ctx, text, every)
}

const minWatch = 200 * time.Millisecond

// sensorsNow asks for the sensors that have the text in their source, id, name or series.
func (a *app) sensorsNow(ctx context.Context, text string) (*api.Sensors, error) {
	s, err := a.client.Sensors(ctx)
	if err != nil || text == "" {
		return s, err
	}
	s.Keep(text, 0)
	if len(s.Sources) == 0 {
		return nil, &exit{ExitError, fmt.Errorf("no sensor has %q in its source, id, name or series; edgectl sensors lists all", text)}
	}
	return s, nil
}

// watchSensors draws the sensors again and again until a person ends it: on a terminal over the picture before, elsewhere
// one below the other; with --json a line each.
func (a *app) watchSensors(ctx context.Context, text string, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s, err := a.sensorsNow(ctx, text)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case a.g.json:
			err = json.NewEncoder(a.Stdout).Encode(s)
		default:
			head := a.now().Format(time.TimeOnly) + "   every " + term.Duration(every) + ", Ctrl-C ends\n\n"
			if a.Style.TTY {
				head = "\x1b[H\x1b[2J" + head // to the corner, and clear
			}
			err = a.text(head + a.view().sensors(s) + "\n")
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (v view) sensors(s *api.Sensors) string {
	sources := append([]api.Source(nil), s.Sources...)
	sort.SliceStable(sources, func(i, j int) bool { return api.Rank(sources[i].State) < api.Rank(sources[j].State) })
	var b strings.Builder
	for i, src := range sources {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(v.clean(v.fields(3, v.sourceFields(src)...)))
		b.WriteString(v.sensorTable(src.Sensors))
	}
	if len(sources) == 0 {
		return "No source is configured.\n"
	}
	return b.String()
}

func (v view) sourceFields(src api.Source) []string {
	name := src.Name + " (" + src.Driver + ")"
	if src.Simulated {
		name += " SIMULATED"
	}
	var missed uint64
	for _, n := range src.Missed {
		missed += n
	}
	f := []string{name, strings.ToUpper(src.State)}
	if src.Interval > 0 { // others speak when they like
		f = append(f, "every "+term.Duration(seconds(src.Interval)))
	}
	if src.Rate > 0 {
		f = append(f, rateText(src.Rate))
	}
	f = append(f, term.CommaU(src.Taken)+" taken")
	if src.Unchanged > 0 {
		f = append(f, term.CommaU(src.Unchanged)+" unchanged")
	}
	f = append(f, term.CommaU(missed)+" missed")
	if v.wide {
		f = append(f, "stream "+src.Stream)
		if src.Interval > 0 {
			f = append(f, fmt.Sprintf("starts %.1f ms late, at most %.1f", src.LateMean*1e3, src.LateMax*1e3))
		}
	}
	if src.Port != "" {
		f = append(f, "on "+src.Port)
	}
	if missed > 0 {
		f = append(f, reasons(src.Missed))
	}
	return append(f, src.Error)
}

// rateText is readings per second, or per minute where that is less than one.
func rateText(rate float64) string {
	switch {
	case rate >= 10:
		return term.Comma(int64(rate+0.5)) + " readings/s"
	case rate >= 1:
		return fmt.Sprintf("%.1f readings/s", rate)
	}
	return fmt.Sprintf("%.1f readings/min", rate*60)
}

// reasons is "timeout 3, bus 1", the largest first.
func reasons(m map[string]uint64) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return m[keys[i]] > m[keys[j]] || m[keys[i]] == m[keys[j]] && keys[i] < keys[j] })
	var parts []string
	for _, k := range keys {
		parts = append(parts, k+" "+term.CommaU(m[k]))
	}
	return strings.Join(parts, ", ")
}

// sensorTable is the widest table that fits: the trend goes, names are cut and the age goes before a line is broken.
func (v view) sensorTable(sensors []api.Sensor) string {
	if v.wide {
		return v.sensorRows(sensors, 200, 20, true)
	}
	out := ""
	for _, try := range []struct {
		name, trend int
		age         bool
	}{{40, 10, true}, {32, 10, true}, {32, 0, true}, {24, 0, true}, {16, 0, true}, {16, 0, false}, {12, 0, false}} {
		out = v.sensorRows(sensors, try.name, try.trend, try.age)
		fits := true
		for line := range strings.Lines(out) {
			fits = fits && term.Columns(strings.TrimSuffix(line, "\n")) <= v.style.Width()
		}
		if fits {
			break
		}
	}
	return out
}

// sensorRows draws the sensors, worst first, with names of at most nameWidth and trends of at most trend columns, and how old
// each reading is.
func (v view) sensorRows(sensors []api.Sensor, nameWidth, trend int, age bool) string {
	list := append([]api.Sensor(nil), sensors...)
	sort.SliceStable(list, func(i, j int) bool { return api.Rank(list[i].Quality) < api.Rank(list[j].Quality) })
	t := term.Table{Right: []bool{false, false, true, false, false, true}, Gap: 2}
	for _, s := range list {
		mark, colour := "  ", ""
		switch api.Rank(s.Quality) {
		case 0:
			mark, colour = "!", term.Red
		case 1:
			mark, colour = "-", term.Yellow
		}
		value, unit := shown(s.Value, s.Unit)
		old := ""
		if age {
			old = term.Ago(s.Time, v.now)
		}
		t.Row(v.style.Paint(colour, mark), v.style.Clip(v.clean(sensorName(s, nameWidth)), nameWidth), v.style.Clip(v.clean(value), 16), v.clean(unit),
			v.style.Clip(v.clean(strings.TrimPrefix(s.Quality, "good")), 17), old, v.style.Sparkline(s.Recent, trend))
	}
	return t.String()
}

// sensorName puts the name that a person gave first, the id beside it where width has room for both; without either the series.
func sensorName(s api.Sensor, width int) string {
	quantity, _, _ := strings.Cut(s.Series, "{")
	switch {
	case s.Label != "" && s.ID != "" && term.Columns(s.Label+s.ID)+3 > width:
		return s.Label
	case s.Label != "" && s.ID != "":
		return s.Label + " (" + s.ID + ")"
	case s.Label != "":
		return s.Label + " " + quantity
	case s.ID != "":
		return s.ID + " " + quantity
	}
	return s.Series
}

// shown is a value as people read it in a table: no more precision of sizes than is meant. Records are shown exactly.
func shown(value, unit string) (string, string) {
	if value == "" {
		return "-", ""
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && (unit == "By" || unit == "By/s") {
		size, binary, _ := strings.Cut(term.Bytes(n), " ")
		return size, strings.Replace(unit, "By", binary, 1)
	}
	if unit == "" {
		return value, unitText(unit) // a version, a serial number
	}
	return term.Decimal(value), unitText(unit)
}

// unitText is a UCUM unit as people write it.
func unitText(unit string) string {
	switch unit {
	case "Cel":
		return "°C"
	case "By":
		return "B"
	case "By/s":
		return "B/s"
	case "1", "{}":
		return ""
	}
	return unit
}

package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/pipeline"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/logquery"
	"github.com/edgelog/edgelog/internal/term"
)

const pipelineHelp = "  edgectl pipeline                 what is computed on the log, the worst first\n" +
	"  edgectl pipeline try --since 1d  what the pipelines of the configuration would\n" +
	"                                   have made of the last day; writes nothing\n" +
	"  edgectl pipeline try --config new.yaml --name cold-room\n\n" +
	"try reads the log directory itself: beside a running agent, and of a dead box.\n" +
	"Its first windows say \"start\": what came before --since (1h) is not in them.\n"

func (a *app) pipeline(ctx context.Context, args []string) error {
	since, name, limit := "1h", "", uint64(api.DefaultQuery)
	words, err := a.parse("pipeline", args, 1, func(f *flag.FlagSet) {
		f.StringVar(&since, "since", since, "")
		f.StringVar(&name, "name", "", "")
		f.Uint64Var(&limit, "limit", limit, "")
	})
	switch {
	case err != nil:
		return err
	case len(words) == 0:
		return a.pipelines(ctx)
	case words[0] != "try":
		return usagef("pipeline: %q is unknown; write edgectl pipeline, or edgectl pipeline try", words[0])
	case limit == 0 || limit > api.MaxQueryRecords:
		return usagef("--limit %d: possible are 1 to %s", limit, term.Comma(api.MaxQueryRecords))
	}
	from, err := cmdline.Time(since, a.now())
	if err != nil {
		return usagef("--since: %w", err)
	}
	return a.tryPipelines(ctx, from, name, limit)
}

// pipelinesJSON is the JSON of pipeline.
type pipelinesJSON struct {
	SchemaVersion int            `json:"schema_version"`
	Device        string         `json:"device"`
	Pipelines     []api.Pipeline `json:"pipelines"`
}

func (a *app) pipelines(ctx context.Context) error {
	s, err := a.client.Status(ctx)
	if err != nil {
		return err
	}
	if a.g.json {
		return a.json(pipelinesJSON{api.SchemaVersion, s.Device, append([]api.Pipeline{}, s.Pipelines...)})
	}
	if len(s.Pipelines) == 0 {
		return a.text("no pipeline is configured; `pipelines` in agent.yaml makes them\n")
	}
	return a.text(a.view().pipelines(s.Pipelines))
}

// severity orders what is raised, the worst first.
func severity(p *api.Pipeline) int {
	if i := slices.Index(config.PipelineSeverities, p.Severity); i >= 0 && p.Raised > 0 {
		return i
	}
	return len(config.PipelineSeverities)
}

// pipelines is a table, and below it the alarms that are raised.
func (v view) pipelines(list []api.Pipeline) string {
	worst := slices.Clone(list)
	slices.SortStableFunc(worst, func(a, b api.Pipeline) int {
		if a, b := a.State == api.PipelineOK, b.State == api.PipelineOK; a != b {
			if a {
				return 1
			}
			return -1
		}
		return cmp.Compare(severity(&a), severity(&b))
	})
	t := term.Table{Head: []string{"PIPELINE", "STATE", "RESULTS", "RAISED", "BEHIND", "DOES"},
		Right: []bool{false, false, true, true, true, false}, Gap: 2}
	if v.wide {
		t.Head = append(t.Head, "FROM", "TO", "SERIES", "READ", "MISSING", "LATE", "ERROR")
	}
	var alarms strings.Builder
	for i := range worst {
		p := &worst[i]
		raised := ""
		if p.Kind == "alarm" {
			raised = term.CommaU(uint64(p.Raised))
		}
		row := []string{p.Name, p.State, term.CommaU(p.Results), raised, behind(p), p.Text}
		if v.wide {
			row = append(row, p.From, p.To, term.CommaU(uint64(p.Followed)), term.CommaU(p.Records), term.CommaU(p.Missing), term.CommaU(p.Late+p.Untimed), p.Error)
		}
		t.Row(row...)
	}
	slices.SortStableFunc(worst, func(a, b api.Pipeline) int { return cmp.Compare(severity(&a), severity(&b)) })
	for i := range worst {
		v.alarms(&alarms, &worst[i])
	}
	out := v.clean(v.table(&t))
	if alarms.Len() > 0 {
		out += "\nRAISED\n" + alarms.String()
	}
	return out
}

// behind is how much of its input a pipeline has not read.
func behind(p *api.Pipeline) string {
	if p.Lag == 0 {
		return "0"
	}
	text := term.CommaU(p.Lag)
	if p.LagSeconds >= 1 {
		text += " (" + term.Duration(seconds(p.LagSeconds)) + ")"
	}
	return text
}

func (v view) alarms(b *strings.Builder, p *api.Pipeline) {
	for _, x := range p.Alarms {
		since := ""
		if !x.Since.IsZero() {
			since = " since " + term.Clock(x.Since, v.now) + " (" + term.Duration(v.now.Sub(x.Since)) + ")"
		}
		text := p.Severity + "  " + x.Series + since
		if x.Text != "" {
			text += ": " + x.Text
		}
		b.WriteString("  " + term.Wrap(v.clean(text), v.style.Width(), "    ") + "\n")
	}
	if n := p.Raised - len(p.Alarms); n > 0 {
		fmt.Fprintf(b, "  and %s more of %s\n", term.Comma(int64(n)), p.Name)
	}
}

// pipelineFields is the line of the status.
func pipelineFields(list []api.Pipeline) []string {
	ok, results, raised := 0, uint64(0), map[string]int{}
	var bad []string
	lag := uint64(0)
	for i := range list {
		p := &list[i]
		results, lag = results+p.Results, max(lag, p.Lag)
		if p.Raised > 0 {
			raised[p.Severity] += p.Raised
		}
		if p.State == api.PipelineOK {
			ok++
		} else {
			bad = append(bad, p.Name+" "+p.State)
		}
	}
	f := []string{}
	if len(bad) > 0 {
		f = append(f, strings.Join(bad, ", "))
	}
	f = append(f, fmt.Sprintf("%d ok", ok))
	f[0] = "PIPELINES " + f[0]
	var worst []string
	for _, s := range config.PipelineSeverities {
		if n := raised[s]; n > 0 {
			worst = append(worst, fmt.Sprintf("%s %s", term.Comma(int64(n)), s))
		}
	}
	if len(worst) > 0 {
		f = append(f, "ALARMS "+strings.Join(worst, ", "))
	}
	f = append(f, term.Count(results, "result"))
	if lag > 0 {
		f = append(f, term.CommaU(lag)+" records behind")
	}
	return f
}

// tryPipelines runs those of a configuration over the log's past.
func (a *app) tryPipelines(ctx context.Context, from time.Time, name string, limit uint64) (err error) {
	c, err := config.Outline(a.g.config, a.Host)
	if err == nil {
		err = c.CheckPipelines()
	}
	if err != nil {
		return err
	}
	defs := pipeline.Of(c)
	var names []string
	for _, d := range defs {
		names = append(names, d.Name)
	}
	if name != "" {
		defs = slices.DeleteFunc(defs, func(d pipeline.Definition) bool { return d.Name != name })
	}
	switch {
	case len(names) == 0:
		return fmt.Errorf("%s has no pipelines", a.g.config)
	case len(defs) == 0:
		return usage(cmdline.Unknown("pipeline", name, names))
	}
	set, err := a.openLog(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	p := a.printer()
	end := api.QueryEnd{SchemaVersion: api.SchemaVersion, End: true}
	var ends []string
	for _, d := range defs {
		in, err := set.Log(d.From)
		if err != nil {
			return err
		}
		t, err := pipeline.Try(ctx, d, in, in.SeekTime(from.UnixNano()), func(x *pipeline.Result) error {
			if end.Records == limit {
				end.Truncated = true
				return errTried
			}
			end.Records++
			return p.record(resultOf(&d, x))
		})
		if err != nil && !errors.Is(err, errTried) {
			p.out.Flush()
			return err
		}
		ends = append(ends, tried(&d, &t))
	}
	if err := p.end(end); err != nil || a.g.json {
		return err
	}
	return a.text("\n" + strings.Join(ends, ""))
}

var errTried = errors.New("limit reached")

// resultOf is a result as a record of its stream. It has no offset there.
func resultOf(d *pipeline.Definition, x *pipeline.Result) *api.Record {
	labels := map[string]string{}
	for _, l := range x.Series.Labels {
		labels[l.Key] = l.Value
	}
	b, err := json.Marshal(labels)
	if err != nil {
		panic("cli: labels cannot be encoded: " + err.Error())
	}
	r := &x.Record
	return &api.Record{Stream: d.To, Kind: record.KindObservation.String(), Time: time.Unix(0, r.Time).UTC(), Name: x.Series.Name, Labels: b,
		Series: x.Series.Key(), Unit: x.Series.Unit, Value: logquery.Value(r), Type: r.Type.String(), Quality: r.Quality.String(), Detail: fmt.Sprintf("%x", r.Detail())}
}

// tried sums a trial up.
func tried(d *pipeline.Definition, t *pipeline.Trial) string {
	parts := []string{term.Count(t.Stats.Results, "result"),
		fmt.Sprintf("%s of %s series, of %s", term.Count(t.Taken, "reading"), term.Comma(int64(t.Series)), term.Count(t.Records, "record"))}
	if t.Open > 0 {
		parts = append(parts, "windows of "+term.Comma(int64(t.Open))+" series are not over")
	}
	if t.Raised > 0 {
		parts = append(parts, term.Comma(int64(t.Raised))+" raised at the end")
	}
	if n := t.Late + t.Untimed; n > 0 {
		parts = append(parts, term.CommaU(n)+" too late or without a time")
	}
	if t.Missing > 0 {
		parts = append(parts, term.CommaU(t.Missing)+" records gone")
	}
	return d.Name + ": " + strings.Join(parts, "; ") + "\n"
}

// alarmLine is what an alarm's record says, in one line.
func alarmLine(r *api.Record) (string, bool) {
	of, ok := strings.CutSuffix(r.Name, ".alarm")
	if !ok || r.Type != "json" {
		return "", false
	}
	var body struct {
		Alarm, Severity, Text, Unit, Quality string
		Value                                json.RawMessage
		Above, Below                         *float64
	}
	if json.Unmarshal(r.Value, &body) != nil || body.Alarm == "" {
		return "", false
	}
	line := strings.ToUpper(body.Alarm) + " " + body.Severity + "  " + of + strings.TrimPrefix(r.Series, r.Name)
	if v := string(body.Value); v != "null" && v != "" {
		line += "  " + term.Decimal(v)
		if u := unitText(body.Unit); u != "" {
			line += " " + u
		}
	}
	if body.Quality != "" {
		line += "  " + body.Quality
	}
	switch {
	case body.Above != nil:
		line += fmt.Sprintf("  above %g", *body.Above)
	case body.Below != nil:
		line += fmt.Sprintf("  below %g", *body.Below)
	}
	if body.Text != "" {
		line += "  " + body.Text
	}
	return line, true
}

// why is the reason that a window's result gives for being uncertain, "" for other records.
func why(r *api.Record) string {
	if r.Detail == "" || !bytes.Contains(r.Labels, []byte(`"pipeline":`)) {
		return ""
	}
	b, err := hex.DecodeString(r.Detail)
	if err != nil {
		return ""
	}
	return string(b)
}

// pipelineNames are those of the configuration, for completion.
func (a *app) pipelineNames(context.Context) (names []string) {
	if c, err := config.Outline(a.g.config, a.Host); err == nil {
		for _, p := range c.Pipelines {
			names = append(names, p.Name)
		}
	}
	return names
}

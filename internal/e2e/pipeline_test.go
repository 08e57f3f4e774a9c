package e2e_test

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// TestPipelinesSurviveKills kills the agent again and again while it computes, long before it has saved a checkpoint of its
// own accord. At the end the output holds what one pass over the whole input makes, result by result, and so does the hub.
func TestPipelinesSurviveKills(t *testing.T) {
	dir := t.TempDir()
	b := newBroker(t, dir, "box-1")
	hub := newHub(t, dir, b, "")
	hub.Start()
	x := newBox(t, dir, b, boxOptions{device: "box-1", sources: syntheticSource("load", 10, 500), extra: `streams: {rollups: {commit_interval: 200ms}}
pipelines:
  - name: means
    from: {series: synthetic.value}
    window: {size: 2s, every: 1s, late: 500ms, compute: [mean, min, max, count]}
    stream: rollups
    start: earliest
  - name: high
    from: {series: synthetic.value}
    alarm: {above: 20.1, clear: 20, severity: info}
    stream: events
    start: earliest
`})
	caughtUp := func() (results [2]uint64, ok bool) {
		s, err := x.status()
		if err != nil || len(s.Pipelines) != 2 {
			return results, false
		}
		for i, p := range s.Pipelines {
			results[i] = p.Results
			if p.State != api.PipelineOK || p.Lag > 0 || p.Results == 0 {
				return results, false
			}
		}
		return results, true
	}
	for range 6 {
		x.up()
		waitFor(t, patience, "the pipelines work", func() bool { _, ok := caughtUp(); return ok })
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		x.Kill()
	}
	x.up()
	x.quiet(b, patience)
	var seen [2]uint64
	waitFor(t, patience, "the pipelines have read everything", func() bool {
		results, ok := caughtUp()
		seen = results
		return ok
	})
	waitFor(t, patience, "the results are on the disk", func() bool {
		s, err := x.status()
		return err == nil && !slices.ContainsFunc(s.Streams, func(s api.Stream) bool { return s.Durable != s.End })
	})
	if acc := x.drained(patience); !acc.Balanced {
		t.Errorf("the account does not balance: %+v", acc)
	}
	x.Kill()
	for i, p := range []struct{ name, stream string }{{"means", "rollups"}, {"high", "events"}} {
		want := x.resultLines(t, "pipeline", "try", "--config", x.file, "--name", p.name, "--since", "7d", "--limit", "1000000")
		got := x.resultLines(t, "query", "--stream", p.stream, "--series", `pipeline="`+p.name, "--limit", "1000000")
		if len(got) < int(seen[i]) || len(got) > len(want) {
			t.Errorf("%s: %d results of %d, %d were counted", p.name, len(got), len(want), seen[i])
		}
		for k := range min(len(got), len(want)) {
			if got[k] != want[k] {
				t.Fatalf("%s: result %d of %d\n got %s\nwant %s", p.name, k, len(got), got[k], want[k])
			}
		}
		if n := hub.query("SELECT count(*) FROM readings WHERE stream = '" + p.stream + "' AND labels LIKE '%\"" + p.name + "\"%'")[0]; n != strconv.Itoa(len(got)) {
			t.Errorf("%s: the hub has %s results, the box %d", p.name, n, len(got))
		}
	}
	if dup := hub.query("SELECT series, labels, t, count(*) FROM readings WHERE stream = 'rollups' AND series LIKE '%.mean' GROUP BY 1, 2, 3 HAVING count(*) > 1"); len(dup) > 0 {
		t.Errorf("windows are at the hub twice: %s", dup)
	}
}

// resultLines are the observations that edgectl prints, without where they stand.
func (x *box) resultLines(t *testing.T, args ...string) (lines []string) {
	t.Helper()
	out, code := tryRun(t, filepath.Join(bin, "edgectl"), append(args, "--json", "--run-dir", x.run, "--dir", x.data)...)
	if code != 0 {
		t.Fatalf("edgectl %s: exit status %d\n%.2000s", strings.Join(args, " "), code, out)
	}
	for l := range strings.Lines(out) {
		var r api.Record
		if json.Unmarshal([]byte(l), &r) != nil || r.Kind != "observation" {
			continue
		}
		lines = append(lines, strings.Join([]string{r.Time.Format(time.RFC3339Nano), r.Series, string(r.Value), r.Quality, r.Detail}, " "))
	}
	return lines
}

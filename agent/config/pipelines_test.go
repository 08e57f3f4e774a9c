package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/config"
)

func pipelines(list string) (*config.Config, error) {
	return config.Parse("/etc/agent.yaml", []byte("device: x\nstreams: {rollups: {}, daily: {}}\npipelines:\n"+list), config.OS{})
}

func TestPipelineDefaults(t *testing.T) {
	c, err := pipelines(`  - name: means
    from: {series: "temp*"}
    window: {size: 10m, compute: [mean]}
    stream: rollups
  - name: exact
    from: {}
    window: {size: 1m, late: 0s, every: 10s, compute: [max]}
    stream: rollups
  - name: warm
    from: {series: temperature}
    alarm: {above: 8}
`)
	if err != nil {
		t.Fatal(err)
	}
	p := c.Pipelines
	if p[0].From.Stream != "telemetry" || p[0].Window.Every != 10*time.Minute || p[0].Window.Late != 10*time.Second || p[0].Start != "latest" {
		t.Errorf("%+v %+v", p[0], p[0].Window)
	}
	if p[1].Window.Late != 0 || p[1].Window.Every != 10*time.Second {
		t.Errorf("%+v", p[1].Window)
	}
	if p[2].Stream != "alarms" || p[2].Alarm.Severity != "warning" {
		t.Errorf("%+v", p[2])
	}
	old := *c
	old.Pipelines = p[:2]
	if plan := config.NewPlan(&old, c); !plan.Pipelines || len(plan.Live) != 1 || len(plan.Restart) != 0 {
		t.Errorf("%+v", plan)
	}
}

func TestMistakesInPipelines(t *testing.T) {
	const window = "window: {size: 1m, compute: [mean]}"
	for _, c := range []struct{ yaml, want string }{
		{`{name: a, from: {}, windows: {}, stream: rollups}`, `unknown key "windows" in pipelines[0]; did you mean "window"?`},
		{`{name: a, from: {}, stream: rollups}`, `pipelines[0]: give one of window and alarm`},
		{`{name: a, from: {}, ` + window + `}`, `pipelines[0]: stream is missing: where do its results go?`},
		{`{name: a, from: {}, ` + window + `, stream: rollup}`, `pipelines[0].stream: there is no stream "rollup"; did you mean "rollups"?`},
		{`{name: a, from: {stream: tele}, ` + window + `, stream: rollups}`, `pipelines[0].from.stream: there is no stream "tele"; did you mean "telemetry"?`},
		{`{name: A, from: {}, ` + window + `, stream: rollups}`, `pipelines[0].name "A": a name has 1 to 32 of a-z 0-9 -`},
		{`{name: a, from: {series: "a*b"}, ` + window + `, stream: rollups}`, `a * may stand at the end only`},
		{`{name: a, from: {}, start: now, ` + window + `, stream: rollups}`, `pipelines[0].start "now" is unknown`},
		{`{name: a, from: {}, window: {size: 1m, compute: [mena]}, stream: rollups}`, `pipelines[0].window.compute[0] "mena" is unknown; did you mean "mean"?`},
		{`{name: a, from: {}, window: {size: 1m, compute: [mean, mean]}, stream: rollups}`, `"mean" is there twice`},
		{`{name: a, from: {}, window: {size: 1m, compute: []}, stream: rollups}`, `pipelines[0].window.compute is empty`},
		{`{name: a, from: {}, window: {size: 1m, every: 7s, compute: [mean]}, stream: rollups}`, `pipelines[0].window.every is 7s; it must divide size (1m0s)`},
		{`{name: a, from: {}, window: {size: 1m, late: 24h, compute: [mean]}, stream: rollups}`, `size and late together may be 510 times 1m0s`},
		{`{name: a, from: {}, window: {size: 10ms, compute: [mean]}, stream: rollups}`, `pipelines[0].window.size is 10ms; possible are 1s to 168h0m0s`},
		{`{name: a, from: {}, alarm: {above: 8, below: 2}}`, `pipelines[0].alarm: give one of above, below and quality`},
		{`{name: a, from: {}, alarm: {quality: good}}`, `pipelines[0].alarm.quality "good" is unknown`},
		{`{name: a, from: {}, alarm: {above: 8, clear: 9}}`, `pipelines[0].alarm.clear is 9; it lies below above, or above below`},
		{`{name: a, from: {}, alarm: {above: 8, severity: urgent}}`, `pipelines[0].alarm.severity "urgent" is unknown`},
		{`{name: a, from: {}, ` + window + `, stream: telemetry}`, `pipelines[0].stream: results come back to it: telemetry → telemetry`},
		{"{name: a, from: {}, " + window + ", stream: rollups}\n  - {name: b, from: {stream: rollups}, " + window + ", stream: daily}\n  - {name: c, from: {stream: daily}, " + window + ", stream: telemetry}",
			`pipelines[0].stream: results come back to it: telemetry → rollups → daily → telemetry`},
		{"{name: a, from: {}, " + window + ", stream: rollups}\n  - {name: a, from: {}, " + window + ", stream: daily}", `pipelines[1].name "a" is taken by pipelines[0]`},
	} {
		_, err := pipelines("  - " + c.yaml + "\n")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "/etc/agent.yaml:") {
			t.Errorf("%s\n got %v\nwant %s", c.yaml, err, c.want)
		}
	}
	if _, err := pipelines("  - {name: a, from: {}, " + window + ", stream: rollups}\n  - {name: b, from: {stream: rollups}, " + window + ", stream: daily}\n  - {name: c, from: {}, " + window + ", stream: daily}\n"); err != nil {
		t.Errorf("streams that join are no circle: %v", err)
	}
}

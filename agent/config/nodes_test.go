package config_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgelog/edgelog/agent/config"
)

const nodesYAML = `nodes:
  - line: cellar
    port: /dev/ttyUSB0
    nodes:
      - name: aquarium
        unit: 5
        serial: 4711
        labels: {room: cellar}
        settings: {heater_on: 24.5, heater_off: 25, timer1_on: "08:30", report: 30}
        flash: {protocol: stk500v1}
      - {name: climate, unit: 6, flash: {protocol: stc89, enter_exec: [/usr/local/bin/power, "6"]}}
`

func TestNodes(t *testing.T) {
	c, err := config.Parse("agent.yaml", []byte(nodesYAML), machine{fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	l := c.Nodes[0]
	n := l.Nodes[0]
	if l.Baud != 9600 || l.Stream != "telemetry" || l.Poll != 500*time.Millisecond || l.Clock != "local" || n.Settings["heater_on"] != "24.5" ||
		n.Settings["heater_off"] != "25" || n.Settings["report"] != "30" || n.Flash.Enter != "dtr" || l.Nodes[1].Flash.Enter != "exec" {
		t.Errorf("%+v", c.Nodes)
	}
	for change, want := range map[string]string{
		"unit: 5|unit: 6":                         `nodes[0].nodes[1].unit 6 is taken by aquarium`,
		"unit: 5|unit: 300":                       `nodes[0].nodes[0].unit is 300`,
		"name: climate|name: aquarium":            `"aquarium" is taken by nodes[0].nodes[0]`,
		"port: /dev/ttyUSB0|poll: 1s":             `give one of port and rtu_over_tcp`,
		"port: /dev/ttyUSB0|rtu_over_tcp: 'h:1'":  `needs a port of its own to be flashed`,
		"{protocol: stk500v1}|{protocol: stk500}": `did you mean "stk500v1"`,
		"room: cellar|rom: x":                     `"rom" cannot be a label`,
		"unit: 5|unit: 5\n        colour: red":    `unknown key "colour" in nodes[0].nodes[0]`,
	} {
		from, to, _ := strings.Cut(change, "|")
		_, err := config.Parse("agent.yaml", []byte(strings.Replace(nodesYAML, from, to, 1)), machine{fstest.MapFS{}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", to, err, want)
		}
	}
	now, _ := config.Parse("agent.yaml", []byte(strings.Replace(nodesYAML, "24.5", "24", 1)), machine{fstest.MapFS{}})
	if p := config.NewPlan(c, now); !p.Nodes || len(p.Live) != 1 || len(p.Restart) != 0 {
		t.Errorf("%+v", p)
	}
	if p := config.NewPlan(c, c); p.Nodes || !p.Empty() {
		t.Errorf("%+v", p)
	}
}

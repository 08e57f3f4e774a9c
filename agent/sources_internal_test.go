package agent

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/buffer/record"
)

func parse(t *testing.T, source string) *config.Config {
	t.Helper()
	c, err := config.Parse("/etc/agent.yaml", []byte("device: x\nsources: ["+source+"]"), config.OS{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSourcesAreCheckedByTheirDrivers(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"{name: a, driver: ds18b20, ds18b20: {master: ds9097, port: /dev/x}}", ""},
		{"{name: a, driver: ds18b20, ds18b20: {master: ds9097, port: /dev/x, resolution: 13}}", "resolution of 13 bits"},
		{"{name: a, driver: ds18b20, ds18b20: {master: owserver, alarms: true}}", "owserver sets resolution"},
		{"{name: a, driver: modbus, modbus: {tcp: 'h:502', devices: [{unit: 1, profile: xy-md02}]}}", ""},
		{"{name: a, driver: modbus, modbus: {rtu_over_tcp: 'h:4001', retries: 0, devices: [{unit: 1, profile: xy-md02}]}}", ""},
		{"{name: a, driver: modbus, modbus: {port: /dev/x, parity: even, devices: [{unit: 1, profile: nothing}]}}", `no profile "nothing"; known are carlo-gavazzi-em24, `},
		{"{name: a, driver: modbus, modbus: {port: /dev/x, devices: [{unit: 1, profile: xy-md02}, {unit: 1, profile: xy-md02}]}}", "is there twice"},
		{"{name: a, driver: exec, exec: {command: [x], signal: STDIN, format: json, json: {decimals: {t: 2}}}}", ""},
		{"{name: a, driver: exec, exec: {command: [x], signal: USR3}}", `signal "USR3"`},
		{"{name: a, driver: serial, serial: {port: /dev/x, format: binary, frame: {sync: '424d', length: 32, checksum: sum16be}, fields: [{name: pm2_5, type: u16be, offset: 12, unit: ug/m3}]}}", ""},
		{"{name: a, driver: serial, serial: {port: /dev/x, format: regexp, pattern: '(', fields: [{name: x}]}}", "missing closing"},
		{"{name: a, driver: listen, listen: {http: '127.0.0.1:0'}}", ""},
		{"{name: a, driver: listen, listen: {http: '0.0.0.0:80'}}", "allow_remote"},
		{"{name: a, driver: listen, listen: {}}", "listen on what"},
		{"{name: a, driver: mqtt, mqtt: {broker: 'tcp://h:1883', client_id: a, subscriptions: [{format: zigbee2mqtt}]}}", ""},
		{"{name: a, driver: mqtt, mqtt: {broker: 'tcp://h:1883', client_id: a, subscriptions: [{format: zigbee}]}}", "subscriptions[0]"},
	} {
		err := Check(parse(t, c.yaml))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.yaml, err, c.want)
		}
	}
}

// The canonical text of a block decides whether a reload opens the sensor again.
func TestCanonicalTextOfABlock(t *testing.T) {
	text := func(source string) string {
		p, err := planOf(parse(t, source).Sources, surroundings{log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return p.Sources[0].Config
	}
	a := "{name: a, driver: modbus, modbus: {tcp: 'h:502', devices: [{unit: 1, profile: xy-md02}]}}"
	if text(a) != text(strings.Replace(a, "modbus, modbus", "modbus, interval: 3s, modbus", 1)) {
		t.Error("the schedule is part of the block")
	}
	if text(a) == text(strings.Replace(a, "unit: 1", "unit: 2", 1)) {
		t.Error("another unit is not seen")
	}
}

func TestRulesReachTheCollector(t *testing.T) {
	c, err := config.Parse("/etc/agent.yaml", []byte(`sources:
  - name: a
    driver: w1
    stuck_after: 1h
    timeout: 5s
    rules:
      - {match: {series: temp*, labels: {rom: 28-0416a1b2c3ff}}, rename: t, labels: {b: "2", a: "1"}, stream: alarms,
         range: {min: 1, max: 2}, report: {deadband: 0.5, heartbeat: 1m}, calibration: {offset: 1, gain: 2}}
      - {calibration: {table: [{reading: 0, true: 1}, {reading: 2, true: 3}]}}
`), config.OS{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := planOf(c.Sources, surroundings{log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	got := p.Sources[0]
	want := []collect.Rule{{Name: "temp*", Labels: []record.Label{{Key: "rom", Value: "28-0416a1b2c3ff"}}, Rename: "t",
		AddLabels: []record.Label{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}, Stream: "alarms", Range: &collect.Range{Min: 1, Max: 2},
		Report: &collect.Report{Deadband: 0.5, Heartbeat: time.Minute}, Calibration: &collect.Calibration{Offset: 1, Gain: 2}},
		{Calibration: &collect.Calibration{Table: [][2]float64{{0, 1}, {2, 3}}}}}
	if !reflect.DeepEqual(got.Rules, want) || got.StuckAfter != time.Hour || got.Timeout != 5*time.Second {
		t.Errorf("got %+v", got)
	}
	for _, r := range got.Rules {
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
}

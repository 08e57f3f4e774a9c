package agent

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/agent/config"
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
		{"{name: a, driver: modbus, modbus: {port: /dev/x, parity: even, devices: [{unit: 1, profile: nothing}]}}", "the profiles are carlo-gavazzi-em24, "},
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
		err := CheckSources(parse(t, c.yaml).Sources)
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

package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// machine is a Host whose files are a map.
type machine struct{ files fstest.MapFS }

func (m machine) ReadFile(name string) ([]byte, error) {
	return m.files.ReadFile(strings.TrimPrefix(name, "/"))
}
func (m machine) Stat(name string) (fs.FileInfo, error) {
	return m.files.Stat(strings.TrimPrefix(name, "/"))
}
func (m machine) Hostname() (string, error) { return "box-17", nil }

func certificate(t *testing.T, cn string) []byte {
	cert, _ := pair(t, cn)
	return cert
}

// pair is a certificate and its key.
func pair(t *testing.T, cn string) (certificate, privateKey []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

func TestShippedExampleLoads(t *testing.T) {
	c, err := config.Load("../../deploy/agent.yaml", machine{fstest.MapFS{"x": {}}})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gave %v, %v", c, err)
	}
	c, err = config.Load("../../deploy/agent.yaml", config.OS{})
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != config.DefaultDataDir || len(c.Sources) != 2 || len(c.Streams) != 4 || c.Device == "" {
		t.Errorf("got %+v", c)
	}
}

// Every commented default of the example is one: uncommented, the file still loads and changes nothing.
func TestExampleStatesTheDefaults(t *testing.T) {
	data, err := os.ReadFile("../../deploy/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, line := range strings.Split(string(data), "\n") {
		trimmed := strings.TrimLeft(line, " ")
		for _, key := range []string{"data_dir:", "run_dir:", "events:", "alarms:", "health:", "stream:", "root:", "read_timeout:",
			"no_bulk:", "view_group:", "ops_group:", "ingest_group:"} {
			if strings.HasPrefix(trimmed, "# "+key) && !strings.HasPrefix(trimmed, "#   ") {
				line = strings.Replace(line, "# ", "", 1)
			}
		}
		out = append(out, line)
	}
	host := machine{}
	a, err := config.Parse("/etc/a.yaml", data, host)
	if err != nil {
		t.Fatal(err)
	}
	b, err := config.Parse("/etc/a.yaml", []byte(strings.Join(out, "\n")), host)
	if err != nil {
		t.Fatal(err)
	}
	if p := config.NewPlan(a, b); !p.Empty() {
		t.Errorf("the example's defaults are not the defaults: %+v", p)
	}
}

func TestMistakes(t *testing.T) {
	cases := []struct{ name, yaml, want string }{
		{"unknown key", "sources:\n  - name: a\n    driver: w1\n    intervall: 1s\n", `agent.yaml:4:5  unknown key "intervall" in sources[0]; did you mean "interval"?`},
		{"driver", "sources: [{name: a, driver: systm}]", `agent.yaml:1:29  sources[0].driver "systm" is unknown; did you mean "system"?`},
		{"block", "sources: [{name: a, driver: w1, system: {}}]", `agent.yaml:1:33  sources[0] has a block "system", but its driver is "w1"`},
		{"stream", "sources: [{name: a, driver: w1, stream: telemetri}]", `agent.yaml:1:41  sources[0].stream: there is no stream "telemetri"; did you mean "telemetry"?`},
		{"twice", "sources: [{name: a, driver: w1}, {name: a, driver: w1}]", `agent.yaml:1:41  sources[1].name "a" is taken by sources[0]`},
		{"interval", "sources: [{name: a, driver: w1, interval: 1ms}]", `agent.yaml:1:43  sources[0].interval is 1ms; possible are 10ms to 24h0m0s`},
		{"rom", "sources: [{name: a, driver: w1, w1: {names: {bad: x}}}]", `agent.yaml:1:51  sources[0].w1.names: "bad" is not the id of a 1-Wire device; they look like 28-0416a1b2c3ff`},
		{"range", "sources: [{name: a, driver: w1, ranges: {temperature: {min: 5, max: 1}}}]", `agent.yaml:1:42  sources[0].ranges.temperature: min 5 is not below max 1`},
		{"rule", "sources: [{name: a, driver: w1, rules: [{match: {series: t}}]}]", `agent.yaml:1:41  sources[0].rules[0] does nothing; give rename, labels, stream, range, calibration or report`},
		{"rule's stream", "sources: [{name: a, driver: w1, rules: [{stream: alarm}]}]", `agent.yaml:1:50  sources[0].rules[0].stream: there is no stream "alarm"; did you mean "alarms"?`},
		{"rule of a door", "sources: [{name: a, driver: exec, exec: {command: [x]}, rules: [{stream: alarms}]}]", `agent.yaml:1:74  sources[0].rules[0].stream: a source with driver exec writes to one stream; give it beside the driver`},
		{"calibration", "sources: [{name: a, driver: w1, rules: [{calibration: {gain: 0}}]}]", `agent.yaml:1:42  sources[0].rules[0].calibration: offset must be a number, gain one that is not 0`},
		{"table", "sources: [{name: a, driver: w1, rules: [{calibration: {table: [{reading: 1, true: 2}, {reading: 1, true: 3}]}}]}]", `agent.yaml:1:56  sources[0].rules[0].calibration.table[1]: readings must be numbers that rise`},
		{"w1 resolution", "sources: [{name: a, driver: w1, w1: {persist: true}}]", `agent.yaml:1:47  sources[0].w1.persist needs a resolution`},
		{"no block", "sources: [{name: a, driver: ds18b20}]", `agent.yaml:1:11  sources[0]: driver "ds18b20" needs a block "ds18b20"`},
		{"master", "sources: [{name: a, driver: ds18b20, ds18b20: {master: ds2480}}]", `agent.yaml:1:56  sources[0].ds18b20.master "ds2480" is unknown; did you mean "ds2480b"?`},
		{"1-Wire port", "sources: [{name: a, driver: ds18b20, ds18b20: {master: ds9097}}]", `agent.yaml:1:38  sources[0].ds18b20: master ds9097 needs a port`},
		{"1-Wire baud", "sources: [{name: a, driver: ds18b20, ds18b20: {master: ds2480b, port: /dev/x, baud: 4800}}]", `agent.yaml:1:85  sources[0].ds18b20.baud is 4800; possible are 9600, 19200, 57600 and 115200`},
		{"line", "sources: [{name: a, driver: modbus, modbus: {devices: [{unit: 1, profile: x}]}}]", `agent.yaml:1:37  sources[0].modbus: give one of port, tcp and rtu_over_tcp`},
		{"rs485", "sources: [{name: a, driver: modbus, modbus: {tcp: 'h:502', rs485: {rts_on_send: true}, devices: [{unit: 1, profile: x}]}}]", `agent.yaml:1:60  sources[0].modbus.rs485 belongs to a port`},
		{"unit", "sources: [{name: a, driver: modbus, modbus: {port: /dev/x, devices: [{unit: 248, profile: x}]}}]", `agent.yaml:1:77  sources[0].modbus.devices[0].unit is 248; possible are 1 to 247`},
		{"profile", "sources: [{name: a, driver: modbus, modbus: {tcp: 'h:502', devices: [{unit: 1}]}}]", `agent.yaml:1:70  sources[0].modbus.devices[0]: give one of profile and profile_file`},
		{"profile file", "sources: [{name: a, driver: modbus, modbus: {tcp: 'h:502', devices: [{unit: 1, profile_file: p.yaml}]}}]", `agent.yaml:1:94  sources[0].modbus.devices[0].profile_file "/etc/p.yaml" does not exist`},
		{"parity", "sources: [{name: a, driver: modbus, modbus: {port: /dev/x, parity: evn, devices: [{unit: 1, profile: x}]}}]", `agent.yaml:1:68  sources[0].modbus.parity "evn" is unknown; did you mean "even"?`},
		{"command", "sources: [{name: a, driver: exec, exec: {command: []}}]", `agent.yaml:1:42  sources[0].exec.command names no program`},
		{"token", "sources: [{name: a, driver: listen, listen: {http: 'h:1', token_file: /none}}]", "agent.yaml:1:71  sources[0].listen.token_file \"/none\" does not exist"},
		{"subscriptions", "sources: [{name: a, driver: mqtt, mqtt: {broker: x, client_id: a, subscriptions: []}}]", `agent.yaml:1:67  sources[0].mqtt.subscriptions is empty`},
		{"broker", "uplink: {mqtt: {broker: 'http://x'}}", `agent.yaml:1:25  uplink.mqtt.broker: "http://x" is not a broker; write ssl://host:8883 or tcp://host:1883`},
		{"backlog rate", "uplink: {mqtt: {broker: 'tcp://x', backlog_rate: 10}}", `agent.yaml:1:50  uplink.mqtt.backlog_rate is 10; the least is 256 (leave it out for no bound)`},
		{"broker missing", "uplink: {mqtt: {}}", `agent.yaml:1:16  key "broker" is missing in uplink.mqtt`},
		{"file", "uplink:\n  mqtt:\n    broker: ssl://x\n    ca_file: ca.crt\n", `agent.yaml:4:14  uplink.mqtt.ca_file "/etc/ca.crt" does not exist`},
		{"mirror", "uplink: {mqtt: {broker: ssl://x}}\nupdate: {mirrors: [{}]}", `agent.yaml:2:20  update.mirrors[0]: give one of url and dir`},
		{"mirror without TLS", "uplink: {mqtt: {broker: ssl://x}}\nupdate: {mirrors: [{url: 'http://x/y'}]}", `agent.yaml:2:26  update.mirrors[0].url: "http://x/y" does not begin with https://HOST`},
		{"mirror with a password", "uplink: {mqtt: {broker: ssl://x}}\nupdate: {mirrors: [{url: 'https://u:p@x/y'}]}", `agent.yaml:2:26  update.mirrors[0].url: it may have no user, query or fragment; cert_file says who asks`},
		{"mirror's authority", "uplink: {mqtt: {broker: ssl://x}}\nupdate: {mirrors: [{url: 'https://x/y', ca_file: none}]}", `agent.yaml:2:50  update.mirrors[0].ca_file "/etc/none" does not exist`},
		{"pair", "uplink: {mqtt: {broker: ssl://x, cert_file: /cert}}", `agent.yaml:1:10  uplink.mqtt: cert_file and key_file belong together; give both or none`},
		{"not pem", "uplink: {mqtt: {broker: ssl://x, ca_file: /text}}", `agent.yaml:1:43  uplink.mqtt.ca_file "/text" is not a PEM file`},
		{"no tls", "uplink: {mqtt: {broker: tcp://x, ca_file: /cert}}", `agent.yaml:1:25  uplink.mqtt.broker "tcp://x" does not use TLS, but certificates are given; write ssl://`},
		{"segment", "streams: {a: {max_bytes: 8MiB, segment_bytes: 8MiB}}", `agent.yaml:1:47  streams.a.segment_bytes is 8MiB; it may be at most half of max_bytes (8MiB)`},
		{"full", "streams: {a: {full: blok}}", `agent.yaml:1:21  streams.a.full "blok" is not a policy; did you mean "block"?`},
		{"stream name", "streams: {A_b: {}}", `agent.yaml:1:11  stream "A_b": a name has 1 to 32 of a-z 0-9 -`},
		{"device", "device: a/b", `agent.yaml:1:9  device "a/b" cannot name a device: the characters / + # have a meaning in topics`},
		{"producer", "control: {producers: {'a b': {}}}", `agent.yaml:1:23  producer "a b": a name has 1 to 64 of a-z A-Z 0-9 . _ : -`},
		{"tab", "log:\n\tlevel: info", "agent.yaml:2  not valid YAML: a tab stands here; YAML is indented with blanks only"},
		{"quote", "device: \"box", "agent.yaml:1  not valid YAML: a quotation mark that was opened is not closed before the file ends"},
		{"another key", "uplink: {mqtt: {broker: 'ssl://b', cert_file: /cert, key_file: /other}}", `agent.yaml:1:64  uplink.mqtt.key_file "/other" is not the key of cert_file "/cert": private key does not match public key`},
		{"password itself", "uplink: {mqtt: {broker: 'ssl://b', password: x}}", `agent.yaml:1:36  unknown key "password" in uplink.mqtt; did you mean "password_file"?`},
		{"level", "log: {level: inf}", `agent.yaml:1:14  log.level "inf" is not a level; did you mean "info"?`},
		{"two at once", "device: a/b\nlog: {lvl: x}", "agent.yaml:1:9  device \"a/b\" cannot name a device: the characters / + # have a meaning in topics\nagent.yaml:2:7  unknown key \"lvl\" in log; known are level"},
	}
	cert, _ := pair(t, "x")
	_, other := pair(t, "x")
	host := machine{fstest.MapFS{"cert": {Data: cert}, "other": {Data: other}, "text": {Data: []byte("hello")}}}
	for _, c := range cases {
		_, err := config.Parse("/etc/agent.yaml", []byte(c.yaml), host)
		var e *strictyaml.Error
		if !errors.As(err, &e) || strings.ReplaceAll(err.Error(), "/etc/agent.yaml:", "agent.yaml:") != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.name, err, c.want)
		}
	}
}

func TestDeviceComesFromTheCertificate(t *testing.T) {
	cert, key := pair(t, "box-4711")
	host := machine{fstest.MapFS{"cert": {Data: cert}, "key": {Data: key}}}
	text := "uplink: {mqtt: {broker: 'ssl://b.example', cert_file: /cert, key_file: /key}}"
	c, err := config.Parse("/etc/a.yaml", []byte(text), host)
	if err != nil || c.Device != "box-4711" {
		t.Fatalf("got %+v, %v", c, err)
	}
	if addr, err := c.Uplink.MQTT.HostPort(); err != nil || addr != "b.example:8883" {
		t.Errorf("got %s, %v", addr, err)
	}
	host.files["cert"] = &fstest.MapFile{Data: certificate(t, "hub")}
	if _, err := config.Parse("/etc/a.yaml", []byte(text), host); err == nil {
		t.Error("a reserved name was taken")
	}
	if c, err = config.Parse("/etc/a.yaml", nil, machine{}); err != nil || c.Device != "box-17" {
		t.Errorf("without certificate: %+v, %v", c, err)
	}
}

func TestPlan(t *testing.T) {
	parse := func(text string) *config.Config {
		c, err := config.Parse("/etc/a.yaml", []byte(text), machine{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := parse("sources: [{name: a, driver: system}, {name: b, driver: w1}, {name: c, driver: w1}]\nuplink: {mqtt: {broker: 'tcp://x'}}")
	if p := config.NewPlan(old, old); !p.Empty() {
		t.Errorf("got %+v", p)
	}
	now := parse("device: other\nsources: [{name: d, driver: system}, {name: b, driver: w1, interval: 3s}, {name: c, driver: w1}]\n" +
		"uplink: {mqtt: {broker: 'tcp://y'}}\nstreams: {telemetry: {max_bytes: 8GiB, commit_interval: 1s}, extra: {}}\nlog: {level: debug}")
	p := config.NewPlan(old, now)
	var got []string
	for _, c := range p.Live {
		got = append(got, "live "+c.Path+": "+c.Text)
	}
	for _, c := range p.Restart {
		got = append(got, "restart "+c.Path+": "+c.Text)
	}
	want := `live sources.d: is new
live sources.b: is opened again with the new settings
live sources.a: is gone
live uplink: tcp://x → tcp://y
live log.level: info → debug
restart device: "box-17" → "other"
restart streams.extra: is new
restart streams.telemetry: max_bytes 4GiB → 8GiB`
	if g := strings.Join(got, "\n"); g != want {
		t.Errorf("got\n%s\nwant\n%s", g, want)
	}
	if len(p.StartSources) != 2 || strings.Join(p.StopSources, ",") != "b,a" || !p.Uplink || !p.LogLevel {
		t.Errorf("got %+v", p)
	}
}

// A source on a stream that the running log does not have waits for the restart, with what it was going on.
func TestPlanWithASourceOnANewStream(t *testing.T) {
	parse := func(text string) *config.Config {
		c, err := config.Parse("/etc/a.yaml", []byte(text), machine{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := parse("sources: [{name: a, driver: w1, interval: 3s}, {name: b, driver: w1}]")
	now := parse("streams: {extra: {}, other: {}}\nsources: [{name: a, driver: w1, stream: extra}, {name: c, driver: w1, stream: extra}, " +
		"{name: d, driver: w1, rules: [{match: {series: t}, stream: other}]}, {name: e, driver: w1}]")
	p := config.NewPlan(old, now)
	got := fmt.Sprint(p.Live, p.Restart)
	want := "[{sources.e is new} {sources.b is gone}] [{streams.extra is new} {streams.other is new} {sources.a writes to stream extra, which is new} " +
		"{sources.c writes to stream extra, which is new} {sources.d writes to stream other, which is new}]"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(p.Sources) != 2 || p.Sources[0].Interval != 3*time.Second || p.Sources[1].Name != "e" || len(p.StartSources) != 1 || len(p.StopSources) != 1 {
		t.Errorf("%+v", p)
	}
	old.Sources = p.Sources
	if again := config.NewPlan(old, now); len(again.Live) != 0 || len(again.Restart) != 5 {
		t.Errorf("again: %+v", again)
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("../../deploy/agent.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("uplink: {mqtt: {broker: 'ssl://[::1]:8883'}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("/etc/a.yaml", data, machine{})
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		if c != nil && c.Validate() != nil {
			t.Fatal("a parsed configuration is not valid")
		}
	})
}

func TestStorageKeys(t *testing.T) {
	key := strings.Repeat("0123456789abcdef", 4)
	yaml := "storage:\n  min_free: 1GiB\n  wear_per_day: 20GiB\n  encryption:\n    key_file: keys/now\n    old_key_files: [keys/old]\nstreams:\n  telemetry: {max_age: 30d}\n"
	files := fstest.MapFS{"etc/agent.yaml": {Data: []byte(yaml)}, "etc/keys/now": {Data: []byte(key + "\n")}, "etc/keys/old": {Data: []byte("0123456789abcdef0123456789abcdef")}}
	c, err := config.Load("/etc/agent.yaml", machine{files})
	if err != nil {
		t.Fatal(err)
	}
	if c.Storage.MinFree != strictyaml.GiB || c.Storage.WearPerDay != 20*strictyaml.GiB || c.Streams["telemetry"].MaxAge != 30*24*time.Hour || c.Storage.Encryption.KeyFile != "/etc/keys/now" {
		t.Errorf("%+v", c.Storage)
	}
	k, err := c.Storage.Encryption.Keys(machine{files}.ReadFile)
	if err != nil || k.Current == nil || len(k.Older) != 1 {
		t.Fatal(k, err)
	}
	now := *c
	now.Storage.Encryption = config.Encryption{KeyFile: "/etc/keys/next", OldKeyFiles: []string{"/etc/keys/now"}}
	if p := config.NewPlan(c, &now); len(p.Restart) != 2 {
		t.Errorf("%+v", p.Restart)
	}
	for name, want := range map[string]string{"etc/keys/now": `storage.encryption.key_file: key file "/etc/keys/now" does not exist`, "etc/keys/old": "old_key_files[0]"} {
		bad := fstest.MapFS{}
		for n, f := range files {
			if n != name {
				bad[n] = f
			}
		}
		if _, err := config.Load("/etc/agent.yaml", machine{bad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	files["etc/keys/now"] = &fstest.MapFile{Data: []byte("hunter2-hunter2")}
	if _, err := config.Load("/etc/agent.yaml", machine{files}); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "32 raw bytes") {
		t.Error(err)
	}
}

func TestModbusIsCompleted(t *testing.T) {
	text := "sources: [{name: a, driver: modbus, modbus: {port: dev/x, devices: [{unit: 1, profile_file: p.yaml}]}}]"
	host := machine{fstest.MapFS{"etc/p.yaml": {Data: []byte("one")}}}
	a, err := config.Parse("/etc/a.yaml", []byte(text), host)
	if err != nil {
		t.Fatal(err)
	}
	m := a.Sources[0].Modbus
	if m.Port != "/etc/dev/x" || m.Baud != 9600 || m.Parity != "none" || m.StopBits != 1 || m.Timeout != time.Second || *m.Retries != 2 {
		t.Errorf("got %+v", m)
	}
	if d := m.Devices[0]; d.ProfileFile != "/etc/p.yaml" || d.ProfileData != "one" {
		t.Errorf("got %+v", d)
	}
	host.files["etc/p.yaml"] = &fstest.MapFile{Data: []byte("two")}
	b, err := config.Parse("/etc/a.yaml", []byte(text), host)
	if err != nil {
		t.Fatal(err)
	}
	if p := config.NewPlan(a, b); len(p.StopSources) != 1 || len(p.StartSources) != 1 {
		t.Errorf("a changed profile is not seen: %+v", p)
	}
}

// TestNotes: what is no mistake and worth knowing before a start.
// Two series that rules give one name are noted with the line, unless labels keep them apart.
func TestNotesOnRulesThatMix(t *testing.T) {
	for rules, want := range map[string]bool{
		"{match: {series: a}, rename: x}\n{match: {series: b}, rename: x}":                                                                     true,
		"{match: {series: a}, rename: x}\n{match: {series: b}, rename: y}":                                                                     false,
		"{match: {series: a}, rename: x}\n{match: {series: a}, rename: x}":                                                                     false, // the same series
		"{match: {series: a}, rename: x}\n{match: {series: b}, rename: x, stream: alarms}":                                                     false,
		"{match: {series: a}, rename: x}\n{match: {series: b}, rename: x, labels: {at: b}}":                                                    false,
		"{match: {series: a}, rename: x, labels: {at: a}}\n{match: {series: b}, rename: x, labels: {at: b}}":                                   false,
		"{match: {series: a}, rename: x, labels: {at: a}}\n{match: {series: b}, rename: x, labels: {at: a}}":                                   true,
		"{match: {series: a, labels: {rom: '1'}}, rename: x}\n{match: {series: b, labels: {rom: '2'}}, rename: x}":                             false,
		"{match: {series: a, labels: {rom: '1'}}, rename: x}\n{match: {series: b, labels: {rom: '1'}}, rename: x}":                             true,
		"{match: {series: a, labels: {rom: '1'}}, rename: x}\n{match: {series: b}, rename: x}":                                                 true,
		"{match: {series: a, labels: {n: '1'}}, rename: x, labels: {n: k}}\n{match: {series: b, labels: {n: '2'}}, rename: x, labels: {n: k}}": true,
		"{match: {series: 'a*'}, rename: x}\n{match: {series: b}, rename: x}":                                                                  false, // what it stands for is not known here
	} {
		text := "sources:\n  - name: s\n    driver: w1\n    rules:\n      - " + strings.ReplaceAll(rules, "\n", "\n      - ") + "\n"
		c, err := config.Parse("/etc/a.yaml", []byte(text), machine{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		got := strings.Join(c.Notes(machine{fstest.MapFS{"sys/bus/w1/devices/x": {}}}, nil), "; ")
		if strings.HasPrefix(got, `line 6: sources[0].rules[1].rename makes "x" of "b" as rules[0] does of "a"`) != want || !want && got != "" {
			t.Errorf("%s\n%v: %s", rules, want, got)
		}
	}
}

func TestNotes(t *testing.T) {
	cert, key := pair(t, "box-17")
	host := machine{fstest.MapFS{"cert": {Data: cert}, "key": {Data: key}, "dev/here": {}}}
	c, err := config.Parse("/etc/a.yaml", []byte(`device: box-18
streams: {telemtry: {commit_interval: 5s}, vibration: {max_bytes: 1GiB}}
sources:
  - {name: gps, driver: nmea, nmea: {port: /dev/ttyUSB7}}
  - {name: there, driver: nmea, nmea: {port: /dev/here}}
  - {name: smart, driver: exec, exec: {command: [/usr/bin/absent, x]}}
  - {name: meters, driver: modbus, modbus: {tcp: '10.0.0.7:502', devices: [{unit: 1, profile: xy-md02}]}}
nodes:
  - {line: cellar, port: /dev/ttyUSB8}
uplink: {mqtt: {broker: 'ssl://b', cert_file: /cert, key_file: /key}}
`), host)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Notes(host, []string{"/dev/serial/by-id/a"})
	for i, want := range []string{
		`device is "box-18" and the certificate's common name "box-17"`,
		`stream "telemtry" is one of its own; did you mean "telemetry"?`,
		"source gps: /dev/ttyUSB7 does not exist now; serial ports that are there: /dev/serial/by-id/a",
		"source smart: /usr/bin/absent does not exist now",
		"line cellar: /dev/ttyUSB8 does not exist now; serial",
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("note %d of %q\nwant %s", i, got, want)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d notes", len(got))
	}
	// Relative paths do not depend on where somebody asks later.
	c, err = config.Parse("a.yaml", []byte("data_dir: data"), host)
	if err != nil || !filepath.IsAbs(c.DataDir) {
		t.Errorf("data_dir %q, %v", c.DataDir, err)
	}
}

package hub_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub"
)

func TestConfigExample(t *testing.T) {
	data, err := os.ReadFile("../deploy/hub.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := hub.Parse("/etc/edge-hub/hub.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.SQLite != hub.DefaultStore || c.RunDir != hub.DefaultRunDir || !strings.HasPrefix(c.Broker.ClientID, "edge-hub-") {
		t.Errorf("%+v", c)
	}
	// Every key that the comments show is a key, with the default that they show.
	var lines []string
	for _, l := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(l, "# "); ok && (strings.HasPrefix(rest, " ") || keyLine(rest)) {
			l = rest
		}
		if rest, ok := strings.CutPrefix(l, "  # "); ok {
			l = "  " + rest
		}
		lines = append(lines, l)
	}
	all := strings.Join(lines, "\n")
	_, err = hub.Parse("/nowhere/hub.yaml", []byte(all))
	if err == nil || strings.Contains(err.Error(), "unknown key") || !strings.Contains(err.Error(), "exclude each other") {
		t.Errorf("with every comment opened: %v", err)
	}
}

func keyLine(s string) bool {
	key, _, ok := strings.Cut(s, ":")
	return ok && !strings.ContainsAny(key, " ,")
}

func TestConfigProblems(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "not.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct{ text, want string }{
		"unknown key":  {"embedded_broker:\n  lisen: 127.0.0.1:1883\n", `hub.yaml:2:3  unknown key "lisen" in embedded_broker; did you mean "listen"?`},
		"no broker":    {"run_dir: /x\n", `one of "broker" and "embedded_broker" is needed`},
		"both":         {"broker: {url: 'tcp://h:1'}\nembedded_broker: {listen: '127.0.0.1:1'}\n", "hub.yaml:2:1  \"broker\" and \"embedded_broker\" exclude"},
		"open to all":  {"embedded_broker:\n  listen: 0.0.0.0:1883\n", `hub.yaml:2:11  embedded_broker.listen "0.0.0.0:1883" is open to others`},
		"bad url":      {"broker:\n  url: http://h:1\n", `broker.url "http://h:1"; want`},
		"password":     {"broker:\n  url: tcp://u:secret@h:1\n", "broker.url holds a user"},
		"missing file": {"broker:\n  url: ssl://h:1\n  ca_file: none.crt\n", `none.crt" does not exist`},
		"not PEM":      {"broker:\n  url: ssl://h:1\n  ca_file: not.pem\n", "is not a PEM file"},
		"half a pair":  {"broker:\n  url: ssl://h:1\n  cert_file: not.pem\n", "come together"},
		"short age":    {"embedded_broker: {listen: '127.0.0.1:1'}\nretention: {age: 5s}\n", "retention.age is 5s; at least 1h"},
		"buffer":       {"embedded_broker: {listen: '127.0.0.1:1'}\nlimits: {buffer: 10}\n", "want 1MiB to 4GiB"},
		"hub's name":   {"broker: {url: 'tcp://h:1'}\nhubs: {name: 'a b'}\n", `hubs.name "a b"; want`},
		"no hub name":  {"broker: {url: 'tcp://h:1'}\nhubs: {lease: 10s}\n", "name"},
		"lease":        {"broker: {url: 'tcp://h:1'}\nhubs: {name: a, lease: 10ms}\n", "hubs.lease is 10ms; want 1s to 5m"},
		"shards":       {"broker: {url: 'tcp://h:1'}\nhubs: {name: a, shards: 9999}\n", "hubs.shards is 9999; want 1 to 1024"},
		"hubs alone":   {"embedded_broker: {listen: '127.0.0.1:1'}\nhubs: {name: a}\n", "an embedded_broker is one hub's own"},
		"level":        {"embedded_broker: {listen: '127.0.0.1:1'}\nlog: {level: loud}\n", "want debug, info, warn or error"},
	} {
		_, err := hub.Parse(filepath.Join(dir, "hub.yaml"), []byte(x.text))
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
	c, err := hub.Parse(filepath.Join(dir, "hub.yaml"), []byte("embedded_broker: {listen: '127.0.0.1:1'}\nstore: {sqlite: a.db}\nretention: {age: 90d}\n"))
	if err != nil || c.Hubs != nil || c.Store.SQLite != filepath.Join(dir, "a.db") || c.Retention.Age != 90*24*time.Hour {
		t.Errorf("%+v %v", c, err)
	}
}

func TestConfigHubs(t *testing.T) {
	c, err := hub.Parse("/x/hub.yaml", []byte("broker: {url: 'tcp://h:1'}\nhubs: {name: b}\n"))
	if err != nil || c.Hubs.Lease != 10*time.Second || c.Hubs.Shards != 16 || !strings.HasPrefix(c.Broker.ClientID, "edge-hub-b-") {
		t.Errorf("%+v %v", c, err)
	}
}

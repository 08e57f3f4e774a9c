package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// mosquitto starts a broker; safest is what it can do for messages that a client has not taken: keep all, on disk, saved
// at every change.
func mosquitto(dir string, port int) (*process, error) {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !exists(path) {
			return nil, fmt.Errorf("mosquitto is not installed; as root: apt-get install mosquitto")
		}
	}
	conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\n"+
		"autosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\nlog_type error\nlog_dest stderr\n", port, dir)
	if os.Getuid() == 0 {
		conf += "user root\n"
	}
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	return newProcess(filepath.Join(dir, "mosquitto.log"), path, "-c", file), nil
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// edgelog is edge-agent → Mosquitto → edge-hub (SQLite): an fsync before each acknowledgement on the box, and before each
// at the hub.
type edgelog struct {
	dir    string
	parts  parts
	client http.Client
}

func newEdgelog(dir string) system { return &edgelog{dir: dir} }

func (s *edgelog) Parts() parts { return s.parts }

func (s *edgelog) Start(context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	if s.parts.broker, err = mosquitto(s.dir, port); err != nil {
		return err
	}
	if s.parts.link, err = newLink(fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
		return err
	}
	agent, hub := filepath.Join(s.dir, "agent.yaml"), filepath.Join(s.dir, "hub.yaml")
	for file, text := range map[string]string{
		agent: fmt.Sprintf("device: box-1\ndata_dir: %[1]s/data\nrun_dir: %[1]s/run\nstreams:\n  events: {commit_interval: 0s}\ncontrol:\n  producers:\n    storm: {stream: events}\nuplink:\n  mqtt:\n    broker: tcp://%[2]s\n", s.dir, s.parts.link.addr()),
		hub:   fmt.Sprintf("broker: {url: 'tcp://127.0.0.1:%d'}\nstore: {sqlite: %[2]s/hub.db}\nrun_dir: %[2]s/hub\n", port, s.dir),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	s.parts.box = newProcess(filepath.Join(s.dir, "agent.log"), filepath.Join(*bin, "edge-agent"), "run", "--config", agent)
	s.parts.receiver = newProcess(filepath.Join(s.dir, "hub.log"), filepath.Join(*bin, "edge-hub"), "run", "--config", hub)
	s.parts.broker.start()
	s.parts.receiver.start()
	s.parts.box.start()
	s.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "run", "ingest.sock"))
	}}
	return nil
}

func (s *edgelog) Send(ctx context.Context, seq int) error {
	body := fmt.Sprintf(`{"incarnation":1,"sequence":%d,"records":[{"name":"storm.seq","type":"int","value":%[1]d}]}`, seq)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/v1/ingest/storm", strings.NewReader(body))
	if err != nil {
		return err
	}
	r, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	var pos struct{ Sequence int }
	if err := json.NewDecoder(r.Body).Decode(&pos); err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK || pos.Sequence < seq {
		return fmt.Errorf("status %d, sequence %d", r.StatusCode, pos.Sequence)
	}
	return nil
}

func (s *edgelog) Received(ctx context.Context) ([]int, error) {
	out, err := exec.CommandContext(ctx, "sqlite3", "-readonly", "-cmd", ".timeout 10000", filepath.Join(s.dir, "hub.db"),
		"SELECT CAST(value AS INTEGER) FROM readings WHERE series = 'storm.seq' ORDER BY arrival").Output()
	if err != nil {
		return nil, err
	}
	return numbers(string(out))
}

func numbers(text string) (out []int, err error) {
	for _, f := range strings.Fields(text) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// telegraf is Telegraf (HTTP listener → MQTT at QoS 1) → Mosquitto → Telegraf (persistent session at QoS 1 → file).
type telegraf struct {
	dir, buffer string
	parts       parts
	url         string
}

func newTelegraf(dir, buffer string) system { return &telegraf{dir: dir, buffer: buffer} }

func (s *telegraf) Parts() parts { return s.parts }

const telegrafAgent = `[agent]
  interval = "1s"
  flush_interval = "200ms"
  metric_batch_size = 100
  metric_buffer_limit = 1000000
  buffer_strategy = "%s"
  buffer_directory = "%s"
  omit_hostname = true
`

const telegrafBox = telegrafAgent + `[[inputs.http_listener_v2]]
  service_address = "tcp://%s"
  paths = ["/write"]
  methods = ["POST"]
  data_format = "influx"
[[outputs.mqtt]]
  servers = ["tcp://%s"]
  topic = "storm"
  qos = 1
  keep_alive = 30
  client_id = "box"
  timeout = "5s"
  startup_error_behavior = "retry"
  data_format = "influx"
`

const telegrafHub = telegrafAgent + `[[inputs.mqtt_consumer]]
  servers = ["tcp://%s"]
  topics = ["storm"]
  qos = 1
  persistent_session = true
  client_id = "hub"
  startup_error_behavior = "retry"
  data_format = "influx"
[[outputs.file]]
  files = ["%s"]
  data_format = "influx"
`

func (s *telegraf) Start(context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	listen, err := freePort()
	if err != nil {
		return err
	}
	broker, door := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", listen)
	s.url = "http://" + door + "/write"
	if s.parts.broker, err = mosquitto(s.dir, port); err != nil {
		return err
	}
	if s.parts.link, err = newLink(broker); err != nil {
		return err
	}
	box, hub := filepath.Join(s.dir, "box.conf"), filepath.Join(s.dir, "hub.conf")
	for file, text := range map[string]string{
		box: fmt.Sprintf(telegrafBox, s.buffer, filepath.Join(s.dir, "box-buffer"), door, s.parts.link.addr()),
		hub: fmt.Sprintf(telegrafHub, s.buffer, filepath.Join(s.dir, "hub-buffer"), broker, filepath.Join(s.dir, "out.influx")),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	program := filepath.Join(*tools, "telegraf")
	s.parts.box = newProcess(filepath.Join(s.dir, "box.log"), program, "--config", box)
	s.parts.receiver = newProcess(filepath.Join(s.dir, "hub.log"), program, "--config", hub)
	s.parts.broker.start()
	if err := listening(broker); err != nil {
		return err
	}
	s.parts.receiver.start()
	time.Sleep(3 * time.Second) // its session must stand before the first message
	s.parts.box.start()
	return listening(door)
}

func (s *telegraf) Send(ctx context.Context, seq int) error {
	line := fmt.Sprintf("storm seq=%di %d\n", seq, time.Now().UnixNano())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader([]byte(line)))
	if err != nil {
		return err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	r.Body.Close()
	if r.StatusCode != http.StatusNoContent {
		return fmt.Errorf("status %d", r.StatusCode)
	}
	return nil
}

func (s *telegraf) Received(context.Context) ([]int, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, "out.influx"))
	if err != nil {
		return nil, err
	}
	var out []int
	for line := range strings.Lines(string(b)) {
		_, rest, ok := strings.Cut(line, "seq=")
		digits, _, found := strings.Cut(rest, "i")
		if !ok || !found {
			continue // torn by a kill
		}
		n, err := strconv.Atoi(digits)
		if err != nil {
			continue
		}
		out = append(out, n)
	}
	return out, nil
}

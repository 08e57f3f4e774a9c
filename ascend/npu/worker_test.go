package npu_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebitengine/purego"
	"github.com/edgelog/edgelog/agent"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/ascend/acl"
	"github.com/edgelog/edgelog/ascend/npu"
	"github.com/edgelog/edgelog/ascend/standin"
	"github.com/edgelog/edgelog/internal/api"
)

var (
	lib     *acl.Library
	libs    standin.Libraries
	control func(string) int32
)

func TestMain(m *testing.M) {
	if os.Getenv("NPU_WORKER") != "" {
		workerProcess()
		return
	}
	if file := os.Getenv("NPU_DOCTOR"); file != "" {
		c, err := npu.Load(file)
		if err != nil {
			panic(err)
		}
		if !npu.Doctor(c, os.Stdout) {
			os.Exit(3)
		}
		return
	}
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "the tests need the stand-in library:", err)
			os.Exit(1)
		}
	}
	var err error
	libs, err = standin.Cached(standin.Options{})
	must(err)
	lib, err = acl.Open(acl.Options{Path: libs.ACL})
	must(err)
	must(lib.Init())
	h, err := purego.Dlopen(libs.ACL, purego.RTLD_NOW)
	must(err)
	purego.RegisterLibFunc(&control, h, "standin_control")
	os.Exit(m.Run())
}

// box is an agent with a scratch directory.
type box struct {
	t    testing.TB
	dir  string
	api  *api.Client
	stop func()
}

const agentYAML = `device: box
data_dir: %[1]s/agent
run_dir: %[1]s/run
streams:
  events: {commit_interval: 10ms}
  telemetry: {commit_interval: 10ms}
control:
  producers:
    edge-npu: {stream: events}
    meter: {stream: telemetry}
npu: {run_dir: %[1]s/npu}
`

func newBox(t testing.TB) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "npu")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &box{t: t, dir: dir, api: api.NewClient(dir + "/run")}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *box) start() {
	b.t.Helper()
	c, err := config.Parse(b.dir+"/agent.yaml", fmt.Appendf(nil, agentYAML, b.dir), config.OS{})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a, err := agent.New(ctx, agent.Options{Config: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error("agent:", err)
		}
		b.stop = func() {}
	}
}

// records are all of the stream's observations with the name.
func (b *box) records(name string) (out []api.Record) {
	b.t.Helper()
	_, err := b.api.Query(context.Background(), api.Query{Stream: "events"}, func(r *api.Record) error {
		if r.Name == name {
			c := *r
			c.Value = append([]byte(nil), r.Value...)
			out = append(out, c)
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *box) until(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%s did not come about; status %s", what, b.statusText())
		}
	}
}

func (b *box) client() *api.NPUClient { return api.NewNPUClient(b.dir + "/npu") }

func (b *box) statusText() string {
	s, err := b.client().Status(context.Background())
	if err != nil {
		return err.Error()
	}
	text, _ := json.MarshalIndent(s, "", " ")
	return string(text)
}

func (b *box) file(name string, data []byte) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *box) config(models string) *npu.Config {
	b.t.Helper()
	text := fmt.Sprintf("state_dir: %[1]s/state\nrun_dir: %[1]s/npu\nagent_run_dir: %[1]s/run\nmonitor: 1s\nacl: %s\ndcmi: %s\n", b.dir, libs.ACL, libs.DCMI) + models
	b.file("npu.yaml", []byte(text))
	c, err := npu.Load(b.dir + "/npu.yaml")
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// worker runs a worker in this process; the returned function stops it.
func (b *box) worker(c *npu.Config) (*npu.Worker, func()) {
	b.t.Helper()
	return b.workerWith(c, "")
}

// workerWith runs a worker on a stand-in with faults.
func (b *box) workerWith(c *npu.Config, lines string) (*npu.Worker, func()) {
	b.t.Helper()
	control("clear;set execute_us 0;set lost 0;set corrupt 0")
	control(lines)
	w, err := npu.New(npu.Options{Config: c, Library: lib, Version: "test", Log: slog.New(slog.NewTextHandler(logTo{b.t}, nil)), Exit: func(int) { b.t.Error("the worker wanted to exit") }})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	once := false
	stop := func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-done; err != nil {
			b.t.Error("worker:", err)
		}
		if lib.Live().Sum() != 0 {
			b.t.Errorf("left open: %+v", lib.Live())
		}
	}
	b.t.Cleanup(stop)
	return w, stop
}

type logTo struct{ t testing.TB }

func (l logTo) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (b *box) ready(model string) {
	b.t.Helper()
	b.until("model "+model, func() bool {
		s, err := b.client().Status(context.Background())
		if err != nil {
			return false
		}
		for _, m := range s.Models {
			if m.Name == model {
				return m.State == "ready"
			}
		}
		return false
	})
}

func picture(c color.Color, size int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			img.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const colours = `models:
  - name: colours
    path: colours.om
    version: "3"
    output: {kind: classification, labels: [red, green, blue], top: 2, chart: true}
    batch: {max: 4, wait: 5ms}
`

func (b *box) colours() { b.file("colours.om", standin.Classifier(16, 16, 1, 4, 16).Bytes()) }

var red, green, blue = color.RGBA{255, 0, 0, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}

// Pictures of a directory become records, each once, with everything that is promised about them.
func TestFiles(t *testing.T) {
	b := newBox(t)
	b.colours()
	if err := os.MkdirAll(b.dir+"/in", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		b.file(fmt.Sprintf("new/%02d.jpg", i), picture([]color.Color{red, green, blue}[i%3], 64))
	}
	_, stop := b.worker(b.config(colours + "files:\n  - {dir: in, model: colours}\n"))
	b.ready("colours")
	for i := range 10 {
		if err := os.Rename(fmt.Sprintf("%s/new/%02d.jpg", b.dir, i), fmt.Sprintf("%s/in/%02d.jpg", b.dir, i)); err != nil {
			t.Fatal(err)
		}
	}
	b.file("in/bad.jpg", []byte("\xff\xd8\xff this is not a picture"))
	b.until("11 results", func() bool { return len(b.records("npu.inference")) == 11 })
	found := map[string]string{}
	for _, r := range b.records("npu.inference") {
		if r.Quality != "good" {
			if r.Quality != "bad:malformed" {
				t.Errorf("quality %s", r.Quality)
			}
			continue
		}
		var body struct {
			Schema int
			Text   string
			Result struct{ Top []struct{ Label string } }
			Input  struct{ Ref, SHA256 string }
		}
		if err := json.Unmarshal(r.Value, &body); err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(body.Input.Ref)] = body.Result.Top[0].Label
		if body.Schema != 1 || len(body.Input.SHA256) != 64 || len(body.Result.Top) != 2 {
			t.Errorf("body %s", r.Value)
		}
		for _, l := range []string{`model="colours"`, `version="3"`, `simulated="true"`, `runtime="8.1.RC1"`, `sha256="`} {
			if !strings.Contains(r.Series, l) {
				t.Errorf("series %s lacks %s", r.Series, l)
			}
		}
	}
	for i := range 10 {
		if want := []string{"red", "green", "blue"}[i%3]; found[fmt.Sprintf("%02d.jpg", i)] != want {
			t.Errorf("picture %d is %q, want %s", i, found[fmt.Sprintf("%02d.jpg", i)], want)
		}
	}
	if n := len(b.records("npu.confidence")); n != 10 {
		t.Errorf("%d charted scores", n)
	}
	if n := len(b.records("npu.failed")); n != 1 {
		t.Errorf("%d failures are told", n)
	}
	b.until("files are put away", func() bool { l, _ := filepath.Glob(b.dir + "/in/*.jpg"); return len(l) == 0 })
	if l, _ := filepath.Glob(b.dir + "/in/done/*.jpg"); len(l) != 11 {
		t.Errorf("%d files in done", len(l))
	}
	b.until("gauges of the chip", func() bool { return len(b.records("npu.temperature")) > 0 })
	stop()
	// Another start finds nothing to do and doubles nothing.
	_, stop = b.worker(b.config(colours + "files:\n  - {dir: in, model: colours}\n"))
	b.ready("colours")
	stop()
	if n := len(b.records("npu.inference")); n != 11 {
		t.Errorf("%d results after a restart", n)
	}
}

func TestFrames(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.worker(b.config(colours))
	b.ready("colours")
	ctx := context.Background()
	res, err := b.client().Infer(ctx, "colours", "", picture(green, 20))
	if err != nil || !strings.Contains(string(res.Result), `"label":"green"`) || res.Recorded || !res.Simulated {
		t.Fatalf("%+v %v", res, err)
	}
	if n := len(b.records("npu.inference")); n != 0 {
		t.Errorf("%d records of what was not to be recorded", n)
	}
	for range 3 {
		res, err = b.client().Infer(ctx, "colours", "frame-1", picture(blue, 20))
		if err != nil || !res.Recorded {
			t.Fatalf("%+v %v", res, err)
		}
	}
	if !res.Repeated {
		t.Error("a repeated frame was not recognised")
	}
	if n := len(b.records("npu.inference")); n != 1 {
		t.Errorf("%d records of one frame posted three times", n)
	}
	if _, err := b.client().Infer(ctx, "none", "", nil); err == nil || !strings.Contains(err.Error(), "no model") {
		t.Error(err)
	}
	if res, err := b.client().Infer(ctx, "colours", "", []byte("short")); err != nil || res.Quality != "bad:malformed" || !strings.Contains(res.Error, "wants") {
		t.Errorf("%+v %v", res, err)
	}
}

// A model scores the box's own series.
func TestWindows(t *testing.T) {
	b := newBox(t)
	b.file("pump.om", standin.Anomaly(2, 16).Bytes())
	b.worker(b.config(`models:
  - name: pump
    path: pump.om
    output: {kind: anomaly, labels: [a, b], threshold: 4, chart: true}
windows:
  - {name: pump-window, model: pump, series: ['t{place="a"}', 't{place="b"}'], length: 16, every: 10ms}
`))
	b.ready("pump")
	send := func(seq uint64, x float64) {
		_, err := b.api.Ingest(context.Background(), "meter", api.IngestRequest{Incarnation: 1, Sequence: seq, Records: []api.IngestRecord{
			{Name: "t", Labels: map[string]string{"place": "a"}, Type: "float", Value: []byte(fmt.Sprint(x))},
			{Name: "t", Labels: map[string]string{"place": "b"}, Type: "float", Value: []byte(fmt.Sprint(20 + float64(seq%2)))}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	seq := uint64(1)
	for ; seq <= 20; seq++ {
		send(seq, 10+float64(seq%2))
	}
	b.until("a score", func() bool { return len(b.records("npu.score")) > 0 })
	for ; seq <= 24; seq++ {
		send(seq, 30)
	}
	b.until("an anomaly", func() bool {
		for _, r := range b.records("npu.inference") {
			if strings.Contains(string(r.Value), `"anomaly":true`) && strings.Contains(string(r.Value), "ANOMALY") {
				return true
			}
		}
		return false
	})
}

func TestGoldenAndUpdate(t *testing.T) {
	b := newBox(t)
	b.file("double.om", standin.Doubler(4).Bytes())
	b.file("golden.bin", []byte{0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64}) // 1 2 3 4
	model := `models:
  - name: double
    path: %s
    version: "%d"
    output: {kind: raw}
    golden: {input: golden.bin, output: [%s]}
`
	w, _ := b.worker(b.config(fmt.Sprintf(model, "double.om", 1, "2, 4, 6, 8")))
	b.ready("double")
	state := func() api.NPUModel {
		s, err := b.client().Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return s.Models[0]
	}
	if s := state(); s.SelfTest != "passed" || s.Version != "1" {
		t.Fatalf("%+v", s)
	}
	// A model that fails its golden sample is refused; the old one goes on.
	w.Reload(b.config(fmt.Sprintf(model, "double.om", 2, "2, 4, 6, 9")))
	b.until("the refusal", func() bool { return strings.Contains(state().Refused, "value 3 is 8, expected 9") })
	if s := state(); s.State != "ready" || s.Version != "1" {
		t.Errorf("%+v", s)
	}
	// So is one whose device gives wrong numbers.
	control("set corrupt 1")
	w.Reload(b.config(fmt.Sprintf(model, "double.om", 5, "2, 4, 6, 8")))
	b.until("the refusal", func() bool { return strings.Contains(state().Refused, "value 0 is") })
	control("set corrupt 0")
	// A broken file, too.
	b.file("broken.om", []byte("broken"))
	w.Reload(b.config(fmt.Sprintf(model, "broken.om", 3, "2, 4, 6, 8")))
	b.until("the refusal", func() bool { return strings.Contains(state().Refused, "EXEC_MODEL_DATA_SIZE_INVALID") })
	// A good one takes over, while work goes on.
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if _, err := b.client().Infer(context.Background(), "double", "", make([]byte, 16)); err != nil {
				ended <- err
				return
			}
		}
	}()
	w.Reload(b.config(fmt.Sprintf(model, "double.om", 4, "2, 4, 6, 8")))
	b.until("the new model", func() bool { return state().Version == "4" })
	close(stop)
	if err := <-ended; err != nil {
		t.Error("during the change:", err)
	}
	b.until("the records of the changes", func() bool { return len(b.records("npu.model")) == 5 })
}

// A slow device is only slow: long to open, long to load, of uneven speed.
func TestSlowDevice(t *testing.T) {
	b := newBox(t)
	b.colours()
	c := b.config(colours)
	w, err := npu.New(npu.Options{Config: c, Library: lib, Version: "test", Log: slog.New(slog.DiscardHandler), Exit: func(int) { t.Error("the worker wanted to exit") }})
	if err != nil {
		t.Fatal(err)
	}
	control("clear;set setdevice_ms 400;set load_ms 400;set jitter_us 5000")
	defer control("set jitter_us 0")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	b.ready("colours")
	for range 10 {
		if res, err := b.client().Infer(context.Background(), "colours", "", picture(green, 8)); err != nil || res.Quality != "good" {
			t.Fatal(res, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What finds no room is dropped as configured, and counted.
func TestOverload(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.worker(b.config(strings.Replace(colours, "batch: {max: 4, wait: 5ms}", "batch: {max: 1}\n    queue: 2", 1)))
	b.ready("colours")
	control("set execute_us 100000")
	defer control("set execute_us 0")
	errs := make(chan error, 40)
	for range 40 {
		go func() {
			_, err := b.client().Infer(context.Background(), "colours", "", picture(red, 8))
			errs <- err
		}()
	}
	full := 0
	for range 40 {
		if err := <-errs; err != nil {
			if !strings.Contains(err.Error(), "queue of the model is full") {
				t.Error(err)
			}
			full++
		}
	}
	s, err := b.client().Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if full == 0 || s.Models[0].Dropped["queue full"] != uint64(full) {
		t.Errorf("%d refused, counted %v", full, s.Models[0].Dropped)
	}
}

// The agent goes away and comes back: nothing is lost, nothing is doubled.
func TestAgentRestart(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.worker(b.config(colours + "files:\n  - {dir: in, model: colours, after: delete}\n"))
	b.ready("colours")
	for i := range 20 {
		b.file(fmt.Sprintf("in/%02d.jpg", i), picture(red, 16))
		if i == 5 {
			b.stop()
		}
		if i == 15 {
			b.start()
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.until("20 results", func() bool { return len(b.records("npu.inference")) >= 20 })
	if n := len(b.records("npu.inference")); n != 20 {
		t.Errorf("%d results of 20 files", n)
	}
}

// The gears of a model may be listed in any order.
func TestGearsInAnyOrder(t *testing.T) {
	b := newBox(t)
	b.file("colours.om", standin.Classifier(16, 16, 4, 16, 1).Bytes())
	b.worker(b.config(strings.Replace(colours, "max: 4, wait: 5ms", "max: 8, wait: 100ms", 1)))
	b.ready("colours")
	if m := b.model("colours"); m.MaxBatch != 4 {
		t.Errorf("batches of %d", m.MaxBatch)
	}
	errs := make(chan error, 6)
	for i := range cap(errs) {
		go func() {
			want := []string{"red", "green", "blue"}[i%3]
			res, err := b.client().Infer(context.Background(), "colours", fmt.Sprint("frame-", i), picture([]color.Color{red, green, blue}[i%3], 8))
			if err == nil && !strings.Contains(strings.SplitN(string(res.Result), "}", 2)[0], want) {
				err = fmt.Errorf("%s: %s %s", want, res.Result, res.Error)
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

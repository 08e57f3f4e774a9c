package npu_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/internal/api"
)

// infer posts frames at once and returns how each ended.
func (b *box) infer(n int) (errs []error) {
	ended := make(chan error, n)
	for i := range n {
		go func() {
			res, err := b.client().Infer(context.Background(), "colours", fmt.Sprint("frame-", i), picture(red, 8))
			if err == nil && res.Quality != "good" {
				err = fmt.Errorf("%s: %s", res.Quality, res.Error)
			}
			ended <- err
		}()
	}
	for range n {
		errs = append(errs, <-ended)
	}
	return errs
}

// With `overload: oldest` it is those that waited longest that are told to come again, and each is counted.
func TestOverloadDropsTheOldest(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.worker(b.config(strings.Replace(colours, "batch: {max: 4, wait: 5ms}", "batch: {max: 1}\n    queue: 2\n    overload: oldest", 1)))
	b.ready("colours")
	control("set execute_us 100000")
	defer control("set execute_us 0")
	dropped := 0
	for _, err := range b.infer(40) {
		if err != nil {
			if !strings.Contains(err.Error(), "the input was dropped: queue full") {
				t.Error(err)
			}
			dropped++
		}
	}
	if m := b.model("colours"); dropped == 0 || m.Dropped["queue full"] != uint64(dropped) || len(b.records("npu.inference")) != 40-dropped {
		t.Errorf("%d dropped, counted %v, %d records", dropped, m.Dropped, len(b.records("npu.inference")))
	}
}

// A lone input waits for others as long as `batch.wait` says and no longer; a full batch does not wait.
func TestBatchWait(t *testing.T) {
	b := newBox(t)
	b.colours()
	w, _ := b.worker(b.config(strings.Replace(colours, "wait: 5ms", "wait: 300ms", 1)))
	b.ready("colours")
	batches := func() (sizes []int, latency float64) {
		for _, r := range b.records("npu.inference") {
			var body struct {
				Batch   int
				Latency float64 `json:"latency_ms"`
			}
			if err := json.Unmarshal(r.Value, &body); err != nil {
				t.Fatal(err)
			}
			sizes, latency = append(sizes, body.Batch), body.Latency
		}
		return sizes, latency
	}
	if err := b.infer(1)[0]; err != nil {
		t.Fatal(err)
	}
	if sizes, latency := batches(); len(sizes) != 1 || sizes[0] != 1 || latency < 300 {
		t.Errorf("a lone input: batches %v, %v ms", sizes, latency)
	}
	w.Reload(b.config(strings.Replace(strings.Replace(colours, "wait: 5ms", "wait: 1m", 1), `"3"`, `"4"`, 1)))
	b.until("the other policy", func() bool { return b.model("colours").Version == "4" })
	for i := range 4 { // other references than before
		go b.client().Infer(context.Background(), "colours", fmt.Sprint("full-", i), picture(red, 8)) //nolint:errcheck // its record is looked at
	}
	b.until("a full batch", func() bool { sizes, _ := batches(); return len(sizes) == 5 })
	if sizes, latency := batches(); sizes[4] != 4 || latency >= 60_000 {
		t.Errorf("a full batch: batches %v, %v ms", sizes, latency)
	}
}

// Two sessions of a model work beside each other, and nothing is executed twice at once (the stand-in would abort).
func TestConcurrency(t *testing.T) {
	b := newBox(t)
	b.colours()
	_, stop := b.worker(b.config(colours))
	b.ready("colours")
	status := func() *api.NPUStatus {
		s, err := b.client().Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	alone := status().Handles
	stop()
	b.worker(b.config(strings.Replace(colours, "batch:", "concurrency: 2\n    batch:", 1)))
	b.ready("colours")
	if two := status().Handles; two < 2*alone-2 { // what the sessions share is little
		t.Errorf("one session holds %d handles, two %d", alone, two)
	}
	for _, err := range b.infer(60) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := len(b.records("npu.inference")); n != 60 {
		t.Errorf("%d records", n)
	}
}

// The checklist of the first day goes through everything, finds what is wrong, and never certifies a stand-in.
func TestDoctor(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.file("broken.om", []byte("this is not a model"))
	b.config(colours + "  - {name: broken, path: broken.om, output: {kind: raw}}\n")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NPU_DOCTOR="+b.dir+"/npu.yaml", "STANDIN_SIGNALS=force", "STANDIN_STATE="+b.dir+"/standin-state")
	out, err := cmd.Output()
	if err == nil {
		t.Error("a stand-in was certified")
	}
	for _, want := range []string{"ok    management library", "ok    chip 0/0 temperature         47 Cel", "--    chip 0/0 hbm.total", "ok    initialise", "ok    versions", "ok    copy 1 MiB there and back", "ok    refusal of too much memory",
		"ok    model colours pictures       decoded by the device", "ok    model colours  ", "FAIL  model broken", "signals put back             [signal 2 (interrupt)", "ok    finalise", "SIMULATED: a stand-in library was loaded"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

package npu_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/ascend/standin"
)

// Through a change of models, every record names the model that made its number: the labels and the number agree, the old
// model has none after the first of the new one, and no input is lost or bad.
func TestRecordsShowWhichModel(t *testing.T) {
	b := newBox(t)
	three := standin.Doubler(1)
	three.Ops[0].Params[0] = 3
	b.file("two.om", standin.Doubler(1).Bytes())
	b.file("three.om", three.Bytes())
	b.file("golden.bin", []byte{0, 0, 128, 63}) // 1
	config := func(file, version, golden string) string {
		return fmt.Sprintf("models:\n  - {name: times, path: %s, version: %q, output: {kind: raw}, golden: {input: golden.bin, output: [%s]}, batch: {max: 1}}\n", file, version, golden)
	}
	sum := func(file string) string {
		data, err := os.ReadFile(b.dir + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.Sum256(data)
		return hex.EncodeToString(h[:])[:16]
	}
	w, _ := b.worker(b.config(config("two.om", "1", "2")))
	b.ready("times")
	stop, ended, posted := make(chan struct{}), make(chan error, 1), 0
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			res, err := b.client().Infer(context.Background(), "times", fmt.Sprint("frame-", posted), []byte{0, 0, 128, 63})
			if err == nil && res.Quality != "good" {
				err = fmt.Errorf("%s: %s", res.Quality, res.Error)
			}
			if err != nil {
				ended <- err
				return
			}
			posted++
		}
	}()
	times := func(version string) int {
		n := 0
		for _, r := range b.records("npu.inference") {
			if strings.Contains(r.Series, fmt.Sprintf("version=%q", version)) {
				n++
			}
		}
		return n
	}
	b.until("results of the first model", func() bool { return times("1") > 3 })
	w.Reload(b.config(config("three.om", "2", "2"))) // it gives 3: refused
	b.until("the refusal", func() bool { return strings.Contains(b.model("times").Refused, "value 0 is 3, expected 2") })
	w.Reload(b.config(config("three.om", "3", "3")))
	b.until("results of the second model", func() bool { return times("3") > 3 })
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	records := b.records("npu.inference")
	if len(records) != posted || times("1")+times("3") != posted {
		t.Errorf("%d records of %d inputs, %d by the first model, %d by the second", len(records), posted, times("1"), times("3"))
	}
	second := false
	for _, r := range records {
		var body struct {
			Result struct{ Values []float64 }
		}
		if err := json.Unmarshal(r.Value, &body); err != nil {
			t.Fatal(err)
		}
		version, file, want := "1", "two.om", 2.0
		if second = second || strings.Contains(r.Series, `version="3"`); second {
			version, file, want = "3", "three.om", 3
		}
		if !strings.Contains(r.Series, fmt.Sprintf("version=%q", version)) || !strings.Contains(r.Series, `sha256="`+sum(file)+`"`) || body.Result.Values[0] != want {
			t.Fatalf("%s says %v, want %v of version %s", r.Series, body.Result.Values, want, version)
		}
	}
}

// Models that replace each other faster than their batches end: every input has its result, and every old model is unloaded.
func TestUpdatesInARow(t *testing.T) {
	b := newBox(t)
	b.file("two.om", standin.Doubler(1).Bytes())
	version := func(n int) string {
		return fmt.Sprintf("models:\n  - {name: times, path: two.om, version: \"%d\", output: {kind: raw}, batch: {max: 1}}\n", n)
	}
	w, _ := b.worker(b.config(version(1)))
	b.ready("times")
	handles := func() int64 {
		s, err := b.client().Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return s.Handles
	}
	alone := handles()
	control("set execute_us 40000")
	defer control("set execute_us 0")
	const inputs, updates = 60, 5
	ended := make(chan error, inputs)
	for i := range inputs { // more than are prepared at once
		go func() {
			res, err := b.client().Infer(context.Background(), "times", fmt.Sprint("frame-", i), []byte{0, 0, 128, 63})
			if err == nil && res.Quality != "good" {
				err = fmt.Errorf("%s: %s", res.Quality, res.Error)
			}
			ended <- err
		}()
	}
	for n := range updates {
		w.Reload(b.config(version(n + 2)))
		b.until("the next version", func() bool { return b.model("times").Version == fmt.Sprint(n+2) })
	}
	for range inputs {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := len(b.records("npu.inference")); n != inputs {
		t.Errorf("%d records of %d inputs", n, inputs)
	}
	b.until("old models unloaded", func() bool { return handles() == alone })
}

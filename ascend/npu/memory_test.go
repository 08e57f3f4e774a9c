package npu_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/ascend/standin"
)

// A device that has no memory to work on a full batch works on smaller ones: every picture has its result, and the worker
// goes on with what fits.
func TestBatchesThatFindNoMemory(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.watched()
	text := strings.Replace(colours, "batch: {max: 4, wait: 5ms}", "batch: {max: 16, wait: 2s}", 1)
	b.worker(b.config(text + "files:\n  - {dir: in, model: colours, after: delete}\n"))
	b.ready("colours")
	defer control("set batch_limit 0")
	control("set batch_limit 1")
	const files = 16
	b.give(files)
	b.until("all results", func() bool { return len(b.records("npu.inference")) == files })
	for _, r := range b.records("npu.inference") {
		if r.Quality != "good" || !strings.Contains(string(r.Value), `"label":"blue"`) {
			t.Errorf("%s %s", r.Quality, r.Value)
		}
	}
	b.until("a smaller batch from now on", func() bool { return b.model("colours").MaxBatch < 16 })
}

// watched makes the directory that is watched, before the worker looks for it.
func (b *box) watched() {
	b.t.Helper()
	if err := os.MkdirAll(b.dir+"/in", 0o755); err != nil {
		b.t.Fatal(err)
	}
}

// give lays blue pictures into the watched directory.
func (b *box) give(files int) {
	b.t.Helper()
	for i := range files {
		from := b.file(fmt.Sprintf("new/%02d.jpg", i), picture(blue, 16))
		if err := os.Rename(from, fmt.Sprintf("%s/in/%02d.jpg", b.dir, i)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// What a killed worker had bound as one batch is worked on by the next one, also if its model takes fewer at once.
func TestRedoneOnASmallerModel(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.watched()
	text := strings.Replace(colours, "batch: {max: 4, wait: 5ms}", "deadline: 2m\n    batch: {max: 16, wait: 2s}", 1) + "files:\n  - {dir: in, model: colours, after: delete}\n"
	b.config(text)
	b.rules("on task 2+ sleep 60000") // the first is the warm-up
	cmd, done := b.process()
	b.ready("colours")
	const files = 16
	b.give(files)
	b.until("all are bound", func() bool { return b.model("colours").Queue == 0 && b.bound() >= files })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-done
	b.file("colours.om", standin.Classifier(16, 16).Bytes())
	b.config(text)
	b.rules("")
	cmd, done = b.process()
	b.until("all results", func() bool { return len(b.records("npu.inference")) >= files })
	for _, r := range b.records("npu.inference") {
		if r.Quality != "good" {
			t.Errorf("%s %s", r.Quality, r.Value)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-done
}

// bound is how many files the journal on the disk names.
func (b *box) bound() int {
	b.t.Helper()
	text, err := os.ReadFile(b.dir + "/state/journal")
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Count(string(text), ".jpg\"")
}

// A device that opens only after a while has nothing given up that was bound before.
func TestDeviceComesBack(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.config(colours + "files:\n  - {dir: in, model: colours, after: delete}\n")
	b.rules("on task 2 return 507010") // the first is the warm-up
	b.file("in/a.jpg", picture(blue, 16))
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(b.dir+"/in/a.jpg", old, old); err != nil {
		t.Fatal(err)
	}
	_, done := b.process()
	<-done
	b.rules("on aclrtSetDevice 1 return 507033\non aclrtSetDevice 2 return 507033")
	cmd, done := b.process()
	b.until("the result", func() bool { return len(b.records("npu.inference")) > 0 })
	if r := b.records("npu.inference"); len(r) != 1 || r[0].Quality != "good" {
		t.Errorf("%+v", r)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-done
}

package npu_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// results are the records of a frame's inference, good ones and failures.
func (b *box) resultsOf(frame string) (good, failed int) {
	b.t.Helper()
	for _, name := range []string{"npu.inference", "npu.failed"} {
		for _, r := range b.records(name) {
			var body struct{ Input struct{ Ref string } }
			if json.Unmarshal(r.Value, &body) != nil || body.Input.Ref != frame {
				continue
			}
			if name == "npu.failed" {
				failed++
			} else {
				good++
			}
		}
	}
	return good, failed
}

// post posts a frame until the worker does not say any more that it is being worked on.
func (b *box) post(frame string, data []byte) *api.NPUResult {
	b.t.Helper()
	var res *api.NPUResult
	b.until("an answer to "+frame, func() bool {
		var err error
		res, err = b.client().Infer(context.Background(), "colours", frame, data)
		var no *api.Error
		if err != nil && (!errors.As(err, &no) || no.Code != api.CodeBusy) {
			b.t.Fatal(err)
		}
		return err == nil
	})
	return res
}

// Who does not wait for the answer and posts the frame again has one result, however often: while it waits in the queue, while
// it is on the device, and afterwards.
func TestFramePostedByTheImpatient(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.worker(b.config(colours))
	b.ready("colours")
	control("set execute_us 300000")
	defer control("set execute_us 0")
	for i := range 4 { // work before it
		go b.client().Infer(context.Background(), "colours", fmt.Sprint("before-", i), picture(red, 8)) //nolint:errcheck // its record is not looked at
	}
	for range 8 {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, err := b.client().Infer(ctx, "colours", "one", picture(blue, 8))
		cancel()
		if err == nil {
			break
		}
	}
	if res := b.post("one", picture(blue, 8)); !res.Recorded || res.Quality != "good" {
		t.Errorf("%+v", res)
	}
	if good, failed := b.resultsOf("one"); good != 1 || failed != 0 {
		t.Errorf("%d results, %d failures of one frame", good, failed)
	}
}

// A frame that got no result may be posted again: one that is no picture, and one that was in the memory of a worker that
// was killed. Nobody is told that it is recorded already.
func TestFrameWithoutResultIsPostedAgain(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.config(colours)
	b.rules("")
	cmd, done := b.process()
	b.ready("colours")
	for range 2 {
		if res := b.post("bad", []byte("no picture")); res.Repeated || res.Quality != "bad:malformed" {
			t.Errorf("%+v", res)
		}
	}
	if res := b.post("bad", picture(red, 8)); res.Repeated || res.Quality != "good" {
		t.Errorf("corrected: %+v", res)
	}
	b.rules("set execute_us 60000000")
	time.Sleep(50 * time.Millisecond) // the library looks every 10 ms; a rule that comes late makes the test pass as well
	bound := func() uint64 {
		s, err := b.client().Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return s.Sequence
	}
	was := bound()
	go b.client().Infer(context.Background(), "colours", "lost", picture(green, 8)) //nolint:errcheck // the worker is killed
	b.until("the frame is bound", func() bool { return bound() > was })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-done
	b.rules("set execute_us 0")
	cmd, done = b.process()
	b.ready("colours")
	if res := b.post("lost", picture(green, 8)); res.Repeated || res.Quality != "good" || !strings.Contains(string(res.Result), "green") {
		t.Errorf("%+v", res)
	}
	if res := b.post("lost", picture(green, 8)); !res.Repeated || !res.Recorded {
		t.Errorf("posted once more: %+v", res)
	}
	if good, failed := b.resultsOf("lost"); good != 1 || failed > 1 { // none, if the frame was faster than the rule
		t.Errorf("%d results, %d failures", good, failed)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-done
}

// Who may only look records nothing, and inputs that wait take a bounded memory.
func TestFrameBounds(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.worker(b.config(colours))
	b.ready("colours")
	dial := func(socket, target string, bytes int) net.Conn {
		t.Helper()
		c, err := net.Dial("unix", filepath.Join(b.dir, "npu", socket))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: npu\r\nContent-Length: %d\r\n\r\n", target, bytes); err != nil {
			t.Fatal(err)
		}
		return c
	}
	status := func(c net.Conn) string {
		t.Helper()
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	if got := status(dial(api.NPUSocket, "/v1/infer/colours?ref=a", 0)); !strings.Contains(got, "403") {
		t.Errorf("a frame to be recorded on the socket for looking: %s", got)
	}
	if got := status(dial(api.NPUFrames, "/v1/infer/colours?ref=a", api.MaxNPUInput+1)); !strings.Contains(got, "413") {
		t.Errorf("a frame that is too large: %s", got)
	}
	b.until("the bound", func() bool { // announced, and never sent
		dial(api.NPUFrames, "/v1/infer/colours", api.MaxNPUInput)
		_, err := b.client().Infer(context.Background(), "colours", "", picture(red, 8))
		var no *api.Error
		return errors.As(err, &no) && no.Code == api.CodeFull
	})
	b.until("room again, when their time is up", func() bool {
		res, err := b.client().Infer(context.Background(), "colours", "", picture(red, 8))
		return err == nil && res.Quality == "good"
	})
}

// A frame that several models are asked about has a result of each, once each, also after a restart.
func TestFrameForSeveralModels(t *testing.T) {
	b := newBox(t)
	b.colours()
	c := b.config(colours + strings.Replace(strings.TrimPrefix(colours, "models:\n"), "name: colours", "name: second", 1))
	_, stop := b.workerWith(c, "")
	b.ready("colours")
	b.ready("second")
	ask := func(model string, repeated bool) {
		t.Helper()
		res, err := b.client().Infer(context.Background(), model, "one", picture(blue, 8))
		if err != nil || res.Model != model || res.Repeated != repeated || !res.Recorded {
			t.Errorf("%s: %+v %v", model, res, err)
		}
	}
	ask("colours", false)
	ask("second", false)
	ask("second", true)
	stop()
	b.worker(c)
	b.ready("colours")
	b.ready("second")
	ask("colours", true)
	ask("second", true)
	if good, failed := b.resultsOf("one"); good != 2 || failed != 0 {
		t.Errorf("%d results and %d failures of a frame for two models", good, failed)
	}
}

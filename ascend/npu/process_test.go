package npu_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
	"github.com/edgelog/edgelog/ascend/npu"
)

// workerProcess is the worker as a process of its own.
func workerProcess() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := npu.Load(os.Getenv("NPU_WORKER"))
	if err != nil {
		panic(err)
	}
	lib, lerr := acl.Open(acl.Options{Path: c.ACL})
	if lerr == nil {
		lerr = lib.Init()
	}
	if lerr != nil {
		lib = nil
	}
	w, err := npu.New(npu.Options{Config: c, Library: lib, LibraryError: lerr, Version: "test", Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err == nil {
		err = w.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process starts the worker; done gets its exit code.
func (b *box) process() (*exec.Cmd, chan int) {
	b.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NPU_WORKER="+b.dir+"/npu.yaml", "STANDIN_CONTROL="+b.dir+"/control", "STANDIN_STATE="+b.dir+"/standin-state")
	cmd.Stderr = logTo{b.t}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	done := make(chan int, 1)
	go func() {
		_ = cmd.Wait() // the code says it
		done <- cmd.ProcessState.ExitCode()
	}()
	return cmd, done
}

func (b *box) rules(lines string) {
	b.t.Helper()
	tmp := b.file("control.new", []byte(lines+"\n"))
	if err := os.Rename(tmp, b.dir+"/control"); err != nil {
		b.t.Fatal(err)
	}
}

// refs are the files that have a result, each with how often.
func (b *box) refs() map[string]int {
	out := map[string]int{}
	for _, r := range b.records("npu.inference") {
		var body struct{ Input struct{ Ref string } }
		if json.Unmarshal(r.Value, &body) == nil && body.Input.Ref != "" {
			out[filepath.Base(body.Input.Ref)]++
		}
	}
	return out
}

// Killed at any moment, again and again: every file has exactly one result.
func TestKilled(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.config(colours + "files:\n  - {dir: in, model: colours}\n")
	b.rules("set execute_us 2000")
	const files, kills = 120, 8
	if err := os.MkdirAll(b.dir+"/in", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		b.file(fmt.Sprintf("in/%03d.jpg", i), picture(red, 64))
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(fmt.Sprintf("%s/in/%03d.jpg", b.dir, i), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for i := range kills {
		cmd, done := b.process()
		had := len(b.refs())
		b.until("some progress", func() bool { return len(b.refs()) > had || len(b.refs()) == files })
		time.Sleep(time.Duration(i) * 3 * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-done
	}
	cmd, done := b.process()
	b.until("all results", func() bool { return len(b.refs()) == files })
	b.until("all files put away", func() bool { l, _ := filepath.Glob(b.dir + "/in/*.jpg"); return len(l) == 0 })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 0 {
		t.Errorf("the worker ended with %d", code)
	}
	for name, n := range b.refs() {
		if n != 1 {
			t.Errorf("%s has %d results", name, n)
		}
	}
}

// Faults of the device: each ends the process or not, as it should, and no result is lost or doubled.
func TestDeviceFaults(t *testing.T) {
	b := newBox(t)
	b.colours()
	text := strings.Replace(colours, "batch:", "deadline: 5s\n    batch:", 1)
	b.config(text + "files:\n  - {dir: in, model: colours, after: delete}\n")
	for i, f := range []struct {
		name, lines string
		restart     bool   // a new process is needed
		why         string // in the status of the next one
	}{
		{"AI Core exception", "on task 3 return 507015", false, ""},
		{"out of memory in an execution", "on aclmdlExecuteAsync 3 return 207001", false, ""},
		{"time-out", "on task 3 sleep 60000", true, "507046"},
		{"call that hangs", "on aclmdlExecuteAsync 3 hang", true, "has not come back"},
		{"device lost", "on task 3 return 507010", true, "507010"},
		{"crash in a thread of the library", "on task 3 segv", true, ""},
		{"abort in a call", "on aclmdlExecuteAsync 4 abort", true, ""},
	} {
		b.rules(f.lines)
		cmd, done := b.process()
		b.ready("colours")
		for k := range 8 {
			b.file(fmt.Sprintf("in/%d-%d.jpg", i, k), picture(blue, 64))
			time.Sleep(10 * time.Millisecond)
		}
		all := func() bool {
			n := 0
			for name, k := range b.refs() {
				if strings.HasPrefix(name, fmt.Sprintf("%d-", i)) {
					n += k
				}
			}
			return n >= 8
		}
		if f.restart {
			code := <-done
			if f.why != "" && code != npu.ExitDevice {
				t.Errorf("%s: exit code %d", f.name, code)
			}
			b.rules("")
			cmd, done = b.process()
			b.ready("colours")
			s, err := b.client().Status(context.Background())
			if err != nil || !strings.Contains(s.LastRestart, f.why) {
				t.Errorf("%s: last restart is told as %q", f.name, s.LastRestart)
			}
		}
		b.until(f.name+": all results", all)
		for name, n := range b.refs() {
			if n != 1 {
				t.Errorf("%s: %s has %d results", f.name, name, n)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := <-done; code != 0 {
			t.Errorf("%s: the worker then ended with %d", f.name, code)
		}
	}
	for _, r := range b.records("npu.inference") {
		if r.Quality != "good" {
			t.Errorf("a result is %s", r.Quality)
		}
	}
}

// An input that ends the worker each time is given up, and the others go on.
func TestPoison(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.config(colours + "files:\n  - {dir: in, model: colours}\n")
	b.rules("on task 2 segv") // the first is the warm-up
	b.file("in/poison.jpg", picture(red, 64))
	ends := 0
	for range 8 {
		cmd, done := b.process()
		ended := false
		b.until("an end or a result", func() bool {
			select {
			case <-done:
				ended = true
			default:
			}
			return ended || len(b.records("npu.failed")) > 0
		})
		if !ended {
			_ = cmd.Process.Kill() // the test is over
			<-done
			break
		}
		ends++
	}
	if ends < 3 || ends > 5 || len(b.records("npu.failed")) != 1 {
		t.Errorf("%d ends, %d given up", ends, len(b.records("npu.failed")))
	}
}

// A call into the management library that hangs is declared, touches no model, and does not keep the worker from ending.
func TestManagementHangs(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.config(colours)
	b.rules("on dcmi_get_device_temperature 2 hang")
	cmd, done := b.process()
	b.ready("colours")
	b.until("the fault", func() bool {
		s, err := b.client().Status(context.Background())
		if err != nil {
			return false
		}
		for _, f := range s.Faults {
			if f.Code == "N010" && strings.Contains(f.Text, "has not come back") {
				return true
			}
		}
		return false
	})
	if res, err := b.client().Infer(context.Background(), "colours", "frame", picture(red, 8)); err != nil || res.Quality != "good" {
		t.Error(res, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case code := <-done:
		if code != 0 {
			t.Errorf("the worker ended with %d", code)
		}
	case <-time.After(2 * time.Minute):
		t.Error("the worker does not end")
		_ = cmd.Process.Kill() // the test is over
		<-done
	}
}

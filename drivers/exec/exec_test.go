package exec_test

import (
	"context"
	"errors"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/exec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log collects what a door does.
type log struct {
	mu    sync.Mutex
	lines []string
	wake  chan struct{}
}

func newLog() *log { return &log{wake: make(chan struct{}, 1000)} }

func (l *log) add(s string) {
	l.mu.Lock()
	l.lines = append(l.lines, s)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *log) emit(_ context.Context, m door.Message) error {
	for _, r := range m.Readings {
		x := record.Record{Type: r.Type, Num: r.Num, Data: &record.Data{Value: r.Value}}
		l.add(r.Series.Key() + "=" + string(x.AppendText(nil)))
	}
	return nil
}

func (l *log) events() door.Events {
	return door.Events{
		Up: func() { l.add("up") }, Down: func(err error) { l.add("down: " + err.Error()) },
		Missed: func(w door.Missed, _ int, err error) { l.add("missed " + string(w)) },
		Note:   func(level, text string) { l.add(level + ": " + text) },
	}
}

func (l *log) count(line string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.lines {
		if x == line {
			n++
		}
	}
	return n
}

func (l *log) wait(t *testing.T, want ...string) {
	t.Helper()
	end := time.After(time.Minute)
	for {
		l.mu.Lock()
		missing := slices.DeleteFunc(slices.Clone(want), func(w string) bool { return slices.Contains(l.lines, w) })
		all := slices.Clone(l.lines)
		l.mu.Unlock()
		if len(missing) == 0 {
			return
		}
		select {
		case <-l.wake:
		case <-end:
			t.Fatalf("missing %q in %q", missing, all)
		}
	}
}

func run(t *testing.T, o exec.Options, l *log) (stop func()) {
	t.Helper()
	o.Events = l.events()
	p, err := exec.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, l.emit) }()
	stop = func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	}
	return stop
}

// The example daemon of Telegraf's execd documentation, signalled by STDIN.
func TestTelegrafStdinPlugin(t *testing.T) {
	script := filepath.Join(t.TempDir(), "count.sh")
	os.WriteFile(script, []byte("#!/bin/bash\ncounter=0\nwhile IFS= read -r LINE; do\n    echo \"counter_bash count=${counter}\"\n    let counter=counter+1\ndone\necho 'I! stdin closed' >&2\n"), 0o755)
	l := newLog()
	stop := run(t, exec.Options{Command: []string{script}, Signal: exec.SignalStdin, Interval: 100 * time.Millisecond, Labels: []record.Label{{Key: "site", Value: "x"}}}, l)
	l.wait(t, "up", `counter_bash.count{site="x"}=0`, `counter_bash.count{site="x"}=2`)
	stop()
	l.wait(t, "info: stdin closed")
}

func TestSignalsLogAndGarbage(t *testing.T) {
	l := newLog()
	stop := run(t, exec.Options{Command: []string{"bash", "-c", `trap 'echo "sig v=1i"' USR1; echo bad; echo "E! broken" >&2; echo plain >&2; echo "W! hm" >&2; while :; do sleep 0.02; done`},
		Signal: exec.SignalUSR1, Interval: 100 * time.Millisecond}, l)
	l.wait(t, "missed malformed", "error: broken", "error: plain", "warn: hm", "sig.v=1")
	stop()
}

func TestJSONLinesAndRestart(t *testing.T) {
	l := newLog()
	stop := run(t, exec.Options{Command: []string{"sh", "-c", `echo '{"t":21.5}'; echo '{"t":'; printf '{"t":9}'; exit 3`}, Format: exec.FormatJSON,
		JSON: door.Mapping{Prefix: "room", Decimals: map[string]int{"t": 1}}, RestartDelay: 20 * time.Millisecond}, l)
	began := time.Now()
	l.wait(t, "up", "room.t=21.5", "missed malformed", "down: sh ended: exit status 3")
	for end := began.Add(time.Minute); l.count("up") < 2 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	stop()
	if slices.Contains(l.lines, "room.t=9.0") {
		t.Error("a cut line was taken")
	}
	most := 2 + bits.Len(uint(time.Since(began)/(20*time.Millisecond))) // after 0, 20, 60, 140 ms and so on
	if n := l.count("up"); n < 2 || n > most {
		t.Errorf("started %d times, at most %d are due: %q", n, most, l.lines)
	}
}

// What a program wrote before it ended waits in its pipe while the log is full, and is not forgotten there.
func TestOutputOfAnEndedProgramWaits(t *testing.T) {
	const lines = 600
	mark := filepath.Join(t.TempDir(), "written")
	p, err := exec.New(exec.Options{Command: []string{"sh", "-c", `echo m v=1i; sleep 0.3; for i in $(seq 2 600); do echo m v=${i}i; done; touch "$1"; exit 0`, "sh", mark},
		RestartDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	l, first := newLog(), true
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- p.Run(ctx, func(ctx context.Context, m door.Message) error {
			if first { // until the program has ended, and for some time after
				first = false
				for _, err := os.Stat(mark); err != nil && ctx.Err() == nil; _, err = os.Stat(mark) {
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(1500 * time.Millisecond)
			}
			return l.emit(ctx, m)
		})
	}()
	for end := time.Now().Add(time.Minute); l.count("m.v=600") == 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-done
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) != lines {
		t.Errorf("%d of %d lines arrived", len(l.lines), lines)
	}
}

// A program that ignores everything is killed with its children, and one that does not exist is tried again.
func TestStubbornAndMissing(t *testing.T) {
	l := newLog()
	stop := run(t, exec.Options{Command: []string{"no-such-program-here"}, RestartDelay: time.Millisecond}, l)
	l.wait(t, `down: no-such-program-here ended: exec: "no-such-program-here": executable file not found in $PATH`)
	stop()
	l = newLog()
	stop = run(t, exec.Options{Command: []string{"sh", "-c", "trap '' TERM; sleep 100 & echo 'a b=1'; wait"}}, l)
	l.wait(t, "a.b=1")
	started := time.Now()
	stop()
	if d := time.Since(started); d > 10*time.Second {
		t.Errorf("it took %s to end", d)
	}
}

func TestConfig(t *testing.T) {
	for _, o := range []exec.Options{{}, {Command: []string{"x"}, Signal: "SIGKILL"}, {Command: []string{"x"}, Format: "xml"},
		{Command: []string{"x"}, Interval: time.Millisecond}, {Command: []string{"x"}, Environment: []string{"A"}}} {
		if _, err := exec.New(o); !errors.Is(err, drivers.ErrConfig) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestConformance(t *testing.T) {
	driverstest.RunDoor(t, func(t *testing.T, e door.Events) door.Source {
		p, err := exec.New(exec.Options{Command: []string{"bash", "-c", `while :; do echo "m,k=a v=1i,w=2.5"; sleep 0.02; done`}, Events: e})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}, driverstest.DoorOptions{})
}

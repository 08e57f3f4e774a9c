package e2e_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/e2e/programs"
)

// warp is the wall clock of one program, which a test moves: testdata/clockwarp.c says how.
type warp struct {
	program string
	file    *os.File
}

// newWarp makes a clock that is right at first; nil on a machine that it is not written for, which is said.
func newWarp(t testing.TB, dir string) *warp {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Logf("testdata/clockwarp.c knows the stack of linux/amd64 only: clock steps are left out of this run on %s/%s", runtime.GOOS, runtime.GOARCH)
		return nil
	}
	w := &warp{program: filepath.Join(dir, "clockwarp")}
	if out, err := exec.Command("cc", "-O2", "-o", w.program, "testdata/clockwarp.c").CombinedOutput(); err != nil {
		t.Fatalf("build clockwarp: %v (as root: apt-get install gcc libc6-dev)\n%s", err, out)
	}
	var err error
	if w.file, err = os.Create(filepath.Join(dir, "offset")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.file.Close() })
	w.set(t, 0)
	return w
}

func (w *warp) set(t testing.TB, offset time.Duration) {
	t.Helper()
	if _, err := w.file.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(offset)), 0); err != nil {
		t.Error(err)
	}
}

// wrap lets a program run under the clock.
func (w *warp) wrap(p *programs.Process) {
	p.Args = append([]string{w.program, w.file.Name()}, p.Args...)
	p.Wrapped = true
}

// TestWarp: a static Go program sees the clock that it is given, and steps of it, at once.
func TestWarp(t *testing.T) {
	dir := t.TempDir()
	w := newWarp(t, dir)
	if w == nil {
		return
	}
	src := filepath.Join(dir, "main.go")
	text := "package main\nimport (\"fmt\"; \"time\")\nfunc main() {\n fmt.Println(time.Now().Unix())\n fmt.Scanln()\n m := time.Now()\n fmt.Println(m.Unix(), time.Since(m) < time.Minute)\n}\n"
	if err := os.WriteFile(src, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "clock")
	build := exec.Command("go", "build", "-o", program, src)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const year = 365 * 24 * time.Hour
	w.set(t, -year)
	cmd := exec.Command(w.program, w.file.Name(), program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 10*time.Second, "the program says the time", func() bool { return strings.Contains(out.String(), "\n") })
	w.set(t, year)
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var before, after int64
	var steady bool
	if _, err := fmt.Sscan(out.String(), &before, &after, &steady); err != nil {
		t.Fatalf("%v: %q", err, out.String())
	}
	if d := time.Duration(after-before) * time.Second; d < 2*year-time.Minute || d > 2*year+time.Minute || !steady {
		t.Errorf("the program said %d, then %d; monotonic time went on: %v", before, after, steady)
	}
}

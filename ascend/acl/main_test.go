package acl

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ebitengine/purego"
	"github.com/edgelog/edgelog/ascend/standin"
)

// lib is the stand-in, loaded once: a library is never unloaded.
var lib *Library

// control gives the stand-in lines, such as "on task 2 return 507015".
func control(t testing.TB, lines string) {
	t.Helper()
	var f func(string) int32
	purego.RegisterFunc(&f, lib.symbol("standin_control"))
	if bad := f(lines); bad != 0 {
		t.Fatalf("stand-in does not understand %d of %q", bad, lines)
	}
}

func standinLeaks() (int64, string) {
	var f func(*byte, uint64) int64
	purego.RegisterFunc(&f, lib.symbol("standin_leaks"))
	buf := make([]byte, 512)
	n := f(&buf[0], uint64(len(buf)))
	return n, text(buf)
}

func TestMain(m *testing.M) {
	if name := os.Getenv("ACL_HELPER"); name != "" {
		helpers[name]()
		os.Exit(0)
	}
	path := os.Getenv("STANDIN_ACL") // built elsewhere: the tests for arm64 under qemu
	if path == "" {
		libs, err := standin.Cached(standin.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, "the tests need the stand-in library:", err)
			os.Exit(1)
		}
		path = libs.ACL
	}
	var err error
	if lib, err = Open(Options{Path: path}); err == nil {
		err = lib.Init()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if n, text := standinLeaks(); code == 0 && (n != 0 || lib.Live().Sum() != 0) {
		fmt.Fprintf(os.Stderr, "FAIL: left open in the library: %s; counted here: %+v\n", text, lib.Live())
		code = 1
	}
	if code == 0 {
		code = finish()
	}
	os.Exit(code)
}

// finish ends the runtime and checks that every bound function was called at least once by these tests.
func finish() int {
	if err := lib.Finalize(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		return 1
	}
	for _, a := range os.Args {
		if strings.HasPrefix(a, "-test.run=") || strings.HasPrefix(a, "-test.list") || strings.HasPrefix(a, "-test.bench=") || strings.HasPrefix(a, "-test.fuzz") {
			return 0 // only some tests ran
		}
	}
	var calls func(string) uint64
	purego.RegisterFunc(&calls, lib.symbol("standin_calls"))
	symbols, err := standin.Symbols()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := 0
	for _, s := range symbols {
		if s.Library != "dcmi" && calls(s.Name) == 0 {
			fmt.Fprintln(os.Stderr, "FAIL: no test calls", s.Name)
			code = 1
		}
	}
	return code
}

// helper runs this program again as the named helper and returns what it printed.
func helper(t *testing.T, name string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	if q := os.Getenv("STANDIN_QEMU"); q != "" {
		cmd = exec.Command(q, os.Args[0], "-test.run=^$")
	}
	cmd.Env = append(append(os.Environ(), "ACL_HELPER="+name, "ACL_PATH="+lib.paths[0]), env...)
	var clean []string
	for _, e := range cmd.Env {
		if !strings.HasPrefix(e, "STANDIN_STATE=") && !strings.HasPrefix(e, "ASCEND_COREDUMP_SIGNAL=none") || strings.Contains(strings.Join(env, " "), e) {
			clean = append(clean, e)
		}
	}
	cmd.Env = clean
	out, err := cmd.CombinedOutput()
	return string(out), err
}

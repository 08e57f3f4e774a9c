// Package programs builds the programs of this repository for tests and runs them, and others, as processes that may be
// killed, stopped and started again. What a process says goes to a file that is shown when its test fails.
package programs

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Main builds the named programs of cmd, below root, lets the tests run and returns their exit code. bin is set to the
// directory of the programs, which goes at the end.
func Main(m *testing.M, root string, bin *string, names ...string) int {
	dir, err := os.MkdirTemp("", "edgelog-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, name := range names {
		cmd := exec.Command("go", "build", "-tags", "netgo,osusergo,sqlite_omit_load_extension", "-o", filepath.Join(dir, name), root+"/cmd/"+name)
		cgo := "0"
		if name == "edge-hub" { // SQLite is C
			cgo = "1"
		}
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	*bin = dir
	return m.Run()
}

// WaitFor polls until ok; after limit the test fails and says what did not come.
func WaitFor(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// Tail is the end of a file, for people.
func Tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Server is where a program of the machine is that not every user has on the path; the test fails and says how to get it
// if it is nowhere.
func Server(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s is not installed; as root: %s", name, install)
		}
	}
	return path
}

// FreePort is a TCP port of the loopback that nobody holds now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Listens reports whether somebody takes connections on a port of the loopback.
func Listens(port int) bool {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

package ds18b20_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

var rewrite = flag.Bool("rewrite", false, "write what the test saw to testdata")

// TestSession compares every byte that a master exchanges in its first and second sweep with a recorded session. The
// simulators that answered it are those that digitemp and owserver understand.
func TestSession(t *testing.T) {
	each(t, func(t *testing.T, master string) {
		a, _ := thermometer(0x28, 0xe35f1c3a, 343)
		var mu sync.Mutex
		var sent, received strings.Builder // apart: how they interleave depends on who is scheduled when
		r := newRig(t, master, sim.Options{Log: func(baud int, in, out []byte) {
			mu.Lock()
			defer mu.Unlock()
			for _, b := range in {
				fmt.Fprintf(&sent, "%d %02x\n", baud, b)
			}
			for _, b := range out {
				fmt.Fprintf(&received, "%d %02x\n", baud, b)
			}
		}}, a)
		o := r.fast(master)
		o.Port.Baud = 9600 // else it is chosen by how fast this machine is today
		s := open(t, o)
		for range 2 {
			expect(t, s, "28-0000e35f1c3a temperature 21.4375")
		}
		mu.Lock()
		defer mu.Unlock()
		got := lines("sent", sent.String()) + lines("received", received.String())
		path := filepath.Join("testdata", "session-"+master+".txt")
		if *rewrite {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// lines joins up to 32 bytes of one speed to a line.
func lines(side, text string) string {
	var out strings.Builder
	last, n := "", 0
	for line := range strings.Lines(text) {
		baud, b, _ := strings.Cut(strings.TrimSpace(line), " ")
		if baud != last || n == 32 {
			fmt.Fprintf(&out, "\n%s at %s:", side, baud)
			last, n = baud, 0
		}
		out.WriteString(" " + b)
		n++
	}
	return strings.TrimPrefix(out.String(), "\n") + "\n"
}

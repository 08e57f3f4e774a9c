package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/e2e/programs"
)

// TestHubDiskFull fills the hub's disk, the second time over a kill of the hub. Nothing is stored meanwhile and edge-hub status says why;
// when there is room again everything that the box acknowledged arrives, once.
func TestHubDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: no small disk can be mounted")
	}
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	fill, free := smallDisk(t, small, 24)
	b := tinyBroker(t, dir)
	h := sharedHub(t, small, "a", onSQLite(small), b.port)
	h.Start()
	x := newBox(t, dir, b, boxOptions{device: "box-1", plain: true, sources: syntheticSource("load", 10, 100), extra: witnessYAML + stormStreams})
	x.up()
	wit := &witness{x: x, incarnation: 7}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { wit.run(ctx, 20*time.Millisecond) })
	defer wg.Wait()
	defer stop()
	rows := func() (n int) {
		out, code := tryRun(t, "sqlite3", "-readonly", "-cmd", ".timeout 10000", h.db, "SELECT count(*) FROM record")
		if code == 0 {
			fmt.Sscan(out, &n)
		}
		return n
	}
	more := func(what string) {
		at := rows()
		waitFor(t, time.Minute, what, func() bool { return rows() > at+100 })
	}
	more("the first rows")
	for i := range 2 {
		fill()
		if i == 1 {
			h.Kill()
			h.Start()
		}
		waitFor(t, time.Minute, "the status says what is wrong", func() bool {
			out, code := tryRun(t, filepath.Join(bin, "edge-hub"), "status", "--config", h.file)
			return code == 3 && strings.Contains(strings.Join(strings.Fields(out), " "), "full")
		})
		if !h.Running() {
			t.Fatalf("a full disk ends the hub:\n%s", programs.Tail(h.Log, 5))
		}
		free()
		more("it goes on")
		waitFor(t, time.Minute, "all is well again", func() bool {
			_, code := tryRun(t, filepath.Join(bin, "edge-hub"), "status", "--config", h.file)
			return code == 0
		})
	}
	stop()
	wg.Wait()
	x.quiet(b, 3*time.Minute)
	x.Stop()
	acked, _ := wit.count()
	checkWitness(t, h, acked)
	compareLogs(t, h, x.data)
	h.Stop()
}

package npu

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A file that is put away while the directory is being looked through is not taken again.
func TestFilePutAwayDuringALook(t *testing.T) {
	const files, lookers = 4000, 4
	dir := t.TempDir()
	f := Files{Dir: dir, Model: "m", After: AfterDelete}
	w, err := New(Options{Config: &Config{StateDir: t.TempDir(), Files: []Files{f}, Models: []Model{{Name: "m", Queue: files, Overload: DropNewest}}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Minute)
	for i := range files {
		name := filepath.Join(dir, fmt.Sprintf("%04d.jpg", i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	r := w.runners["m"]
	ctx, cancel := context.WithCancel(context.Background())
	var looking, putting sync.WaitGroup
	for range lookers {
		looking.Go(func() {
			for ctx.Err() == nil {
				w.scanDir(ctx, r, f, map[string]bool{})
			}
		})
	}
	taken := map[string]int{}
	var mu sync.Mutex
	for range lookers {
		putting.Go(func() {
			for {
				r.mu.Lock()
				if len(r.queue) == 0 {
					r.mu.Unlock()
					left, err := os.ReadDir(dir)
					if err != nil || len(left) == 0 {
						return
					}
					continue
				}
				it := r.queue[0]
				r.queue = r.queue[1:]
				r.mu.Unlock()
				mu.Lock()
				taken[it.ref.Name]++
				mu.Unlock()
				w.putAway(it.ref)
			}
		})
	}
	putting.Wait()
	cancel()
	looking.Wait()
	for _, it := range r.queue {
		taken[it.ref.Name]++
	}
	for name, n := range taken {
		if n != 1 {
			t.Errorf("%s was taken %d times", name, n)
		}
	}
	if len(taken) != files {
		t.Errorf("%d files of %d", len(taken), files)
	}
	if err := w.journal.close(); err != nil {
		t.Fatal(err)
	}
}

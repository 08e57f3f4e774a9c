package npu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/internal/api"
)

// identity tells a file from another of the same name.
func identity(info fs.FileInfo) string {
	var ino uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		ino = st.Ino
	}
	return fmt.Sprintf("%d/%d/%d", ino, info.Size(), info.ModTime().UnixNano())
}

// readFile reads the file that a reference means, not another that took its name.
func readFile(r ref) ([]byte, error) {
	f, err := os.Open(r.Name)
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	if identity(info) != r.ID {
		return nil, fmt.Errorf("read input: %s is another file than the one that was taken", r.Name)
	}
	if info.Size() > api.MaxNPUInput {
		return nil, fmt.Errorf("read input: %s has %d bytes, at most %d are taken", r.Name, info.Size(), api.MaxNPUInput)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	return data, nil
}

func (w *Worker) claim(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.claimed[name] {
		return false
	}
	w.claimed[name] = true
	return true
}

func (w *Worker) release(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.claimed, name)
}

// fileDirs are the directories whose changes must be durable before the journal forgets their files.
func (w *Worker) fileDirs() (out []string) {
	for _, f := range w.c.Files {
		out = append(out, f.Dir)
	}
	return out
}

// putAway deletes or moves a file whose result is durable. Doing it again does nothing.
func (w *Worker) putAway(r ref) {
	defer w.release(r.Name)
	info, err := os.Stat(r.Name)
	if err != nil || identity(info) != r.ID {
		return // it is away already, or a new file has its name
	}
	after := AfterMove
	for _, f := range w.c.Files {
		if f.Dir == r.Root {
			after = f.After
		}
	}
	if after == AfterDelete {
		err = os.Remove(r.Name)
	} else {
		done := filepath.Join(r.Root, "done")
		if err = os.MkdirAll(done, 0o755); err == nil {
			err = os.Rename(r.Name, filepath.Join(done, filepath.Base(r.Name)))
		}
	}
	if err != nil {
		w.raise("N008", r.Root, "directory "+r.Root, "a finished file cannot be put away: "+err.Error())
		return
	}
	w.clear("N008", r.Root)
}

// watchFiles takes the files of a directory, oldest name first, as long as the model has room: what finds none stays in
// the directory.
func (w *Worker) watchFiles(ctx context.Context, f Files) error {
	r := w.runners[f.Model]
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch directory: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close()
	watched := false
	fresh := map[string]bool{} // announced as complete
	buf := make([]byte, 64<<10)
	for pruned := time.Now(); ; {
		if !watched {
			_, err := unix.InotifyAddWatch(fd, f.Dir, unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO)
			watched = err == nil
			if err != nil {
				w.raise("N008", f.Dir, "directory "+f.Dir, "cannot be watched: "+err.Error())
			} else {
				w.clear("N008", f.Dir)
			}
		}
		if watched && !w.scanDir(ctx, r, f, fresh) {
			watched = false
		}
		if time.Since(pruned) > time.Minute {
			pruned = time.Now()
			prune(filepath.Join(f.Dir, "done"))
		}
		if ctx.Err() != nil {
			return nil
		}
		wait := scanEvery
		if len(fresh) > 0 { // files wait for room
			wait = 2 * time.Millisecond
		}
		if err := events.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return fmt.Errorf("watch directory: %w", err)
		}
		n, err := events.Read(buf)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("watch directory: %w", err)
		}
		for _, name := range names(buf[:max(n, 0)]) {
			fresh[name] = true
		}
	}
}

// names reads the names of inotify events.
func names(b []byte) (out []string) {
	for len(b) >= unix.SizeofInotifyEvent {
		n := int(uint32(b[12]) | uint32(b[13])<<8 | uint32(b[14])<<16 | uint32(b[15])<<24)
		end := unix.SizeofInotifyEvent + n
		if end > len(b) {
			return out
		}
		name, _, _ := strings.Cut(string(b[unix.SizeofInotifyEvent:end]), "\x00")
		out = append(out, name)
		b = b[end:]
	}
	return out
}

// scanDir offers what lies in the directory; false if it cannot be read.
func (w *Worker) scanDir(ctx context.Context, r *runner, f Files, fresh map[string]bool) bool {
	list := make([]string, 0, len(fresh))
	for name := range fresh {
		list = append(list, name)
	}
	if len(list) == 0 { // also what was there before, and what nobody announced
		d, err := os.Open(f.Dir)
		if err != nil {
			return false
		}
		list, err = d.Readdirnames(-1)
		d.Close()
		if err != nil {
			return false
		}
	}
	sort.Strings(list)
	for _, name := range list {
		if ctx.Err() != nil || r.room() < 1 {
			return true
		}
		path := filepath.Join(f.Dir, name)
		info, err := os.Stat(path)
		if err != nil || !takes(path, info, fresh[name]) || !w.claim(path) {
			delete(fresh, name)
			continue
		}
		// It may have been put away before the claim: a look from before that says nothing.
		if info, err = os.Stat(path); err != nil {
			w.release(path)
			delete(fresh, name)
			continue
		}
		it := w.itemOf(ref{Kind: refFile, Name: path, ID: identity(info), Root: f.Dir})
		it.drop = func(string) { w.release(path) } // it stays in the directory and is found again
		if r.offer(it) != nil {
			w.release(path)
			return true
		}
		delete(fresh, name)
	}
	return true
}

// takes reports whether a file is complete and meant for the model.
func takes(path string, info fs.FileInfo, announced bool) bool {
	name := filepath.Base(path)
	return info.Mode().IsRegular() && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".part") && !strings.HasSuffix(name, ".tmp") &&
		len(path) <= maxPathBytes && (announced || time.Since(info.ModTime()) >= settle)
}

// prune keeps the newest finished files.
func prune(done string) {
	list, err := os.ReadDir(done)
	if err != nil || len(list) <= doneKept {
		return
	}
	type old struct {
		name string
		at   time.Time
	}
	var all []old
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			all = append(all, old{e.Name(), info.ModTime()})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].at.Before(all[j].at) })
	for _, o := range all[:max(len(all)-doneKept, 0)] {
		_ = os.Remove(filepath.Join(done, o.name)) // it is tried again in a minute
	}
}

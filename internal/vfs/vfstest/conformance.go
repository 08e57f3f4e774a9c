// Package vfstest holds the conformance suite that every vfs.FS passes. It checks what a running program can see;
// what survives a power cut only vfs.Mem can show, and its own tests check that.
package vfstest

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/edgelog/edgelog/internal/vfs"
)

// Run runs the suite. open returns a disk and an existing empty directory on it; it is called once for each subtest.
func Run(t *testing.T, open func(t *testing.T) (fsys vfs.FS, dir string)) {
	t.Helper()
	tests := []struct {
		name string
		test func(*testing.T, disk)
	}{
		{"create", testCreate},
		{"read", testRead},
		{"handles", testHandles},
		{"truncate", testTruncate},
		{"reserve", testReserve},
		{"start", testStart},
		{"remove", testRemove},
		{"rename", testRename},
		{"directories", testDirectories},
		{"list", testList},
		{"missing", testMissing},
		{"usage", testUsage},
		{"lock", testLock},
		{"concurrent", testConcurrent},
		{"atomic", testAtomic},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys, dir := open(t)
			tt.test(t, disk{fsys, dir})
		})
	}
}

// disk is an FS with the directory to work in.
type disk struct {
	vfs.FS
	dir string
}

func (d disk) path(name string) string { return d.dir + "/" + name }

// put makes a file.
func (d disk) put(t *testing.T, name, content string) {
	t.Helper()
	f := d.create(t, name)
	write(t, f, content, 0)
	noErr(t, f.Sync())
	noErr(t, f.Close())
}

func (d disk) create(t *testing.T, name string) vfs.File {
	t.Helper()
	f, err := d.Create(d.path(name))
	noErr(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// want checks a file's content; "-" says that it is missing.
func (d disk) want(t *testing.T, name, content string) {
	t.Helper()
	got, err := vfs.ReadFile(d, d.path(name), 1<<20)
	if content == "-" {
		isErr(t, err, vfs.ErrNotExist)
		return
	}
	noErr(t, err)
	if string(got) != content {
		t.Fatalf("%s holds %.80q, want %.80q", name, got, content)
	}
}

func write(t *testing.T, f vfs.File, content string, off int64) {
	t.Helper()
	n, err := f.WriteAt([]byte(content), off)
	noErr(t, err)
	if n != len(content) {
		t.Fatalf("wrote %d of %d bytes", n, len(content))
	}
}

func size(t *testing.T, f vfs.File, want int64) {
	t.Helper()
	got, err := f.Size()
	noErr(t, err)
	if got != want {
		t.Fatalf("size is %d, want %d", got, want)
	}
}

func noErr(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func anyErr(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
}

func testCreate(t *testing.T, d disk) {
	d.put(t, "a", "hello")
	d.want(t, "a", "hello")
	_, err := d.Create(d.path("a"))
	isErr(t, err, vfs.ErrExist)
	d.want(t, "a", "hello")
	i, err := d.Stat(d.path("a"))
	noErr(t, err)
	if i.Name != "a" || i.Size != 5 || i.Dir || i.ModTime.IsZero() {
		t.Fatalf("Stat: %+v", i)
	}
}

func testRead(t *testing.T, d disk) {
	f := d.create(t, "a")
	write(t, f, "abc", 0)
	write(t, f, "xyz", 10000) // leaves a hole
	size(t, f, 10003)
	p := make([]byte, 6)
	for _, tt := range []struct {
		off  int64
		n    int
		eof  bool
		want string
	}{
		{0, 6, false, "abc\x00\x00\x00"},
		{9997, 6, false, "\x00\x00\x00xyz"},
		{10000, 3, true, "xyz"},
		{10003, 0, true, ""},
		{20000, 0, true, ""},
	} {
		n, err := f.ReadAt(p, tt.off)
		if n != tt.n || errors.Is(err, io.EOF) != tt.eof || !tt.eof && err != nil || string(p[:n]) != tt.want {
			t.Errorf("ReadAt(%d) = %d, %v, %q", tt.off, n, err, p[:n])
		}
	}
	_, err := f.ReadAt(p, -1)
	anyErr(t, err)
	_, err = f.WriteAt(p, -1)
	anyErr(t, err)
	mine := []byte("mine")
	_, err = f.WriteAt(mine, 0)
	noErr(t, err)
	copy(mine, "????") // the caller's slice is its own again
	if _, err := f.ReadAt(p[:4], 0); err != nil || string(p[:4]) != "mine" {
		t.Fatalf("read %q, %v", p[:4], err)
	}
}

func testHandles(t *testing.T, d disk) {
	d.put(t, "a", "hello")
	ro, err := d.Open(d.path("a"))
	noErr(t, err)
	defer ro.Close()
	_, err = ro.WriteAt([]byte("x"), 0)
	anyErr(t, err)
	anyErr(t, ro.Truncate(0))
	rw, err := d.OpenRW(d.path("a"))
	noErr(t, err)
	write(t, rw, "J", 0)
	p := make([]byte, 5)
	_, err = ro.ReadAt(p, 0)
	noErr(t, err)
	if string(p) != "Jello" {
		t.Fatalf("the other handle reads %q", p)
	}
	noErr(t, rw.Close())
	noErr(t, rw.Close()) // idempotent
	_, err = rw.WriteAt(p, 0)
	anyErr(t, err)
	_, err = rw.ReadAt(p, 0)
	anyErr(t, err)
	anyErr(t, rw.Sync())
	d.want(t, "a", "Jello")
}

func testTruncate(t *testing.T, d disk) {
	f := d.create(t, "a")
	write(t, f, string(bytes.Repeat([]byte{'x'}, 9000)), 0)
	noErr(t, f.Truncate(5000))
	size(t, f, 5000)
	noErr(t, f.Truncate(9000))
	size(t, f, 9000)
	want := append(bytes.Repeat([]byte{'x'}, 5000), make([]byte, 4000)...)
	d.want(t, "a", string(want)) // what was cut off does not come back
	noErr(t, f.Truncate(0))
	d.want(t, "a", "")
	anyErr(t, f.Truncate(-1))
	noErr(t, f.Sync())
}

func testReserve(t *testing.T, d disk) {
	f := d.create(t, "a")
	write(t, f, "abc", 0)
	switch err := f.Reserve(10000); {
	case errors.Is(err, vfs.ErrNotSupported):
		return
	case err != nil:
		t.Fatal(err)
	}
	size(t, f, 10000)
	d.want(t, "a", "abc"+string(make([]byte, 9997)))
	noErr(t, f.Reserve(10)) // never shrinks
	noErr(t, f.Reserve(0))
	size(t, f, 10000)
	write(t, f, "xyz", 8190)
	noErr(t, f.Sync())
	noErr(t, f.Truncate(8193))
	d.want(t, "a", "abc"+string(make([]byte, 8187))+"xyz")
	anyErr(t, f.Reserve(-1))
}

// testStart: to begin early changes nothing that can be seen, not even where there is nothing to begin with.
func testStart(t *testing.T, d disk) {
	f := d.create(t, "a")
	s, ok := f.(vfs.Starter)
	if !ok {
		return // a disk need not be able to
	}
	write(t, f, "early", 0)
	s.StartWrite(0, 5)
	s.StartWrite(1<<20, 4096)
	size(t, f, 5)
	noErr(t, f.Sync())
	noErr(t, f.Close())
	s.StartWrite(0, 5)
	d.want(t, "a", "early")
}

func testRemove(t *testing.T, d disk) {
	d.put(t, "a", "one")
	f, err := d.Open(d.path("a"))
	noErr(t, err)
	defer f.Close()
	noErr(t, d.Remove(d.path("a")))
	d.want(t, "a", "-")
	isErr(t, d.Remove(d.path("a")), vfs.ErrNotExist)
	d.put(t, "a", "two")
	p := make([]byte, 3)
	_, err = f.ReadAt(p, 0)
	noErr(t, err)
	if string(p) != "one" {
		t.Fatalf("the open handle of the removed file reads %q", p)
	}
	d.want(t, "a", "two")
	noErr(t, d.SyncDir(d.dir))
}

func testRename(t *testing.T, d disk) {
	d.put(t, "a", "A")
	d.put(t, "b", "B")
	noErr(t, d.Rename(d.path("a"), d.path("b")))
	d.want(t, "a", "-")
	d.want(t, "b", "A")
	noErr(t, d.Rename(d.path("b"), d.path("b")))
	d.want(t, "b", "A")
	isErr(t, d.Rename(d.path("a"), d.path("c")), vfs.ErrNotExist)
	noErr(t, d.MkdirAll(d.path("sub")))
	isErr(t, d.Rename(d.path("b"), d.path("sub")), vfs.ErrExist)
	anyErr(t, d.Rename(d.path("sub"), d.path("b")))
	anyErr(t, d.Rename(d.path("sub"), d.path("sub/in")))
	noErr(t, d.Rename(d.path("b"), d.path("sub/b")))
	d.want(t, "b", "-")
	d.want(t, "sub/b", "A")
	noErr(t, d.Rename(d.path("sub"), d.path("dir")))
	d.want(t, "dir/b", "A")
	isErr(t, d.Rename(d.path("dir/b"), d.path("none/b")), vfs.ErrNotExist)
	noErr(t, d.SyncDir(d.path("dir")))
	noErr(t, d.SyncDir(d.dir))
}

func testDirectories(t *testing.T, d disk) {
	noErr(t, d.MkdirAll(d.path("x/y/z")))
	noErr(t, d.MkdirAll(d.path("x/y/z")))
	i, err := d.Stat(d.path("x/y"))
	noErr(t, err)
	if i.Name != "y" || !i.Dir {
		t.Fatalf("Stat: %+v", i)
	}
	d.put(t, "x/y/z/f", "F")
	anyErr(t, d.MkdirAll(d.path("x/y/z/f")))
	anyErr(t, d.MkdirAll(d.path("x/y/z/f/g")))
	anyErr(t, d.Remove(d.path("x/y/z"))) // not empty
	_, err = d.Create(d.path("x/y/z/f/g"))
	anyErr(t, err)
	_, err = d.Create(d.path("x/y"))
	isErr(t, err, vfs.ErrExist)
	noErr(t, d.Remove(d.path("x/y/z/f")))
	noErr(t, d.Remove(d.path("x/y/z")))
	_, err = d.Stat(d.path("x/y/z"))
	isErr(t, err, vfs.ErrNotExist)
}

func testList(t *testing.T, d disk) {
	for _, n := range []string{"b", "a.seg", "c"} {
		d.put(t, n, n)
	}
	noErr(t, d.MkdirAll(d.path("aa/below")))
	es, err := d.List(d.dir)
	noErr(t, err)
	want := []vfs.Info{{Name: "a.seg", Size: 5}, {Name: "aa", Dir: true}, {Name: "b", Size: 1}, {Name: "c", Size: 1}}
	if len(es) != len(want) {
		t.Fatalf("List: %+v", es)
	}
	for i, e := range es {
		if e.Name != want[i].Name || e.Dir != want[i].Dir || !e.Dir && e.Size != want[i].Size {
			t.Errorf("entry %d: %+v, want %+v", i, e, want[i])
		}
	}
	_, err = d.List(d.path("b"))
	anyErr(t, err)
}

func testMissing(t *testing.T, d disk) {
	_, err := d.Open(d.path("none"))
	isErr(t, err, vfs.ErrNotExist)
	_, err = d.OpenRW(d.path("none"))
	isErr(t, err, vfs.ErrNotExist)
	_, err = d.Create(d.path("none/a"))
	isErr(t, err, vfs.ErrNotExist)
	_, err = d.Stat(d.path("none"))
	isErr(t, err, vfs.ErrNotExist)
	_, err = d.List(d.path("none"))
	isErr(t, err, vfs.ErrNotExist)
	_, err = d.Usage(d.path("none"))
	isErr(t, err, vfs.ErrNotExist)
	_, err = d.Lock(d.path("none/lock"))
	isErr(t, err, vfs.ErrNotExist)
	isErr(t, d.Remove(d.path("none")), vfs.ErrNotExist)
	isErr(t, d.SyncDir(d.path("none")), vfs.ErrNotExist)
}

func testUsage(t *testing.T, d disk) {
	u, err := d.Usage(d.dir)
	noErr(t, err)
	if u.Total == 0 || u.Free > u.Total {
		t.Fatalf("Usage: %+v", u)
	}
}

func testLock(t *testing.T, d disk) {
	l, err := d.Lock(d.path("lock"))
	noErr(t, err)
	_, err = d.Lock(d.path("lock"))
	isErr(t, err, vfs.ErrLocked)
	noErr(t, l.Close())
	l, err = d.Lock(d.path("lock")) // the file is there by now
	noErr(t, err)
	noErr(t, l.Close())
	d.want(t, "lock", "")
}

// testConcurrent reads and lists while one goroutine writes; the race detector does the checking.
func testConcurrent(t *testing.T, d disk) {
	f := d.create(t, "a")
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			p := make([]byte, 100)
			for {
				select {
				case <-done:
					return
				default:
				}
				if n, err := f.ReadAt(p, 0); err != nil && !errors.Is(err, io.EOF) || n > 0 && p[0] != 'x' {
					t.Errorf("ReadAt: %d, %v, %q", n, err, p[:1])
					return
				}
				if _, err := d.List(d.dir); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 50 {
		if _, err := f.WriteAt(bytes.Repeat([]byte{'x'}, 1000), int64(i*1000)); err != nil {
			t.Error(err)
		}
		if i%10 == 9 {
			if err := f.Sync(); err != nil {
				t.Error(err)
			}
		}
	}
	close(done)
	wg.Wait()
}

func testAtomic(t *testing.T, d disk) {
	d.put(t, "state"+vfs.TempSuffix, "left from a crash")
	for _, content := range []string{"first", "second, longer", "", "3"} {
		noErr(t, vfs.WriteFileAtomic(d, d.path("state"), []byte(content)))
		d.want(t, "state", content)
		d.want(t, "state"+vfs.TempSuffix, "-")
	}
	_, err := vfs.ReadFile(d, d.path("state"), 0)
	isErr(t, err, vfs.ErrTooLarge)
	anyErr(t, vfs.WriteFileAtomic(d, d.path("none/state"), nil))
}

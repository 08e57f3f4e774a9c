package vfs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/edgelog/edgelog/internal/vfs"
)

// create makes a file and leaves it open until the test ends.
func create(t testing.TB, fsys vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func writeAt(t testing.TB, f vfs.File, content string, off int64) {
	t.Helper()
	_, err := f.WriteAt([]byte(content), off)
	must(t, err)
}

// content is what a file holds, "-" if it is missing.
func content(t testing.TB, fsys vfs.FS, name string) string {
	t.Helper()
	p, err := vfs.ReadFile(fsys, name, 1<<30)
	if errors.Is(err, vfs.ErrNotExist) {
		return "-"
	}
	must(t, err)
	return string(p)
}

func random(seed int) vfs.CrashOptions {
	return vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(uint64(seed), 1))}
}

// outcomes are the distinct results of look over many random crash clones, sorted.
func outcomes(m *vfs.Mem, look func(*vfs.Mem) string) []string {
	seen := map[string]bool{}
	for seed := range 600 {
		seen[look(m.CrashClone(random(seed)))] = true
	}
	var out []string
	for s := range seen {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// TestCrashOutcomes lists for small programs what a power cut leaves: nothing kept, all kept, and every outcome that
// random subsets give.
func TestCrashOutcomes(t *testing.T) {
	sync := func(t *testing.T, f vfs.File) { t.Helper(); must(t, f.Sync()) }
	tests := []struct {
		name      string
		run       func(t *testing.T, m *vfs.Mem, d string)
		look      []string
		none, all string
		random    []string
	}{
		{"file sync does not make the entry durable", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			writeAt(t, f, "x", 0)
			sync(t, f)
		}, []string{"a"}, "-", "x", []string{"-", "x"}},
		{"directory sync does not make the content durable", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			writeAt(t, f, "x", 0)
			must(t, m.SyncDir(d))
		}, []string{"a"}, "", "x", []string{"", "\x00", "x"}},
		{"both synced", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			writeAt(t, f, "x", 0)
			sync(t, f)
			must(t, m.SyncDir(d))
		}, []string{"a"}, "x", "x", []string{"x"}},
		{"writes are kept in any order", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			must(t, m.SyncDir(d))
			must(t, f.Reserve(2))
			sync(t, f)
			writeAt(t, f, "1", 0)
			writeAt(t, f, "2", 1)
		}, []string{"a"}, "\x00\x00", "12", []string{"\x00\x00", "\x002", "1\x00", "12"}},
		{"an overwrite is old or new", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			must(t, m.SyncDir(d))
			writeAt(t, f, "old", 0)
			sync(t, f)
			writeAt(t, f, "new", 0)
		}, []string{"a"}, "old", "new", []string{"new", "old"}},
		{"an append never harms what is durable", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			must(t, m.SyncDir(d))
			writeAt(t, f, "ab", 0)
			sync(t, f)
			writeAt(t, f, "c", 2)
		}, []string{"a"}, "ab", "abc", []string{"ab", "ab\x00", "abc"}},
		{"a truncate happened or did not", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			must(t, m.SyncDir(d))
			writeAt(t, f, "abc", 0)
			sync(t, f)
			must(t, f.Truncate(1))
		}, []string{"a"}, "abc", "a", []string{"a", "abc"}},
		{"a rename happened or did not", func(t *testing.T, m *vfs.Mem, d string) {
			for _, n := range []string{"a", "b"} {
				f := create(t, m, d+"/"+n)
				writeAt(t, f, n, 0)
				sync(t, f)
			}
			must(t, m.SyncDir(d))
			must(t, m.Rename(d+"/a", d+"/b"))
		}, []string{"a", "b"}, "a,b", "-,a", []string{"-,a", "a,b"}},
		{"a file that was renamed twice has one name", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			writeAt(t, f, "x", 0)
			sync(t, f)
			must(t, m.SyncDir(d))
			must(t, m.Rename(d+"/a", d+"/b"))
			must(t, m.Rename(d+"/b", d+"/c"))
		}, []string{"a", "b", "c"}, "x,-,-", "-,-,x", []string{"-,-,x", "-,x,-", "x,-,-"}},
		{"a renamed file is not lost to a new one of its old name", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			writeAt(t, f, "x", 0)
			sync(t, f)
			must(t, m.SyncDir(d))
			must(t, m.Rename(d+"/a", d+"/b"))
			create(t, m, d+"/a")
		}, []string{"a", "b"}, "x,-", ",x", []string{",x", "-,x", "x,-"}},
		{"creation and removal are independent", func(t *testing.T, m *vfs.Mem, d string) {
			create(t, m, d+"/a")
			must(t, m.SyncDir(d))
			create(t, m, d+"/b")
			must(t, m.Remove(d+"/a"))
		}, []string{"a", "b"}, ",-", "-,", []string{",", ",-", "-,", "-,-"}},
		{"a removed file keeps its content until the removal is durable", func(t *testing.T, m *vfs.Mem, d string) {
			f := create(t, m, d+"/a")
			writeAt(t, f, "x", 0)
			sync(t, f)
			must(t, m.SyncDir(d))
			must(t, f.Close())
			must(t, m.Remove(d+"/a"))
		}, []string{"a"}, "x", "-", []string{"-", "x"}},
		{"what is in a lost directory is lost", func(t *testing.T, m *vfs.Mem, d string) {
			must(t, m.MkdirAll(d+"/sub"))
			f := create(t, m, d+"/sub/a")
			writeAt(t, f, "x", 0)
			sync(t, f)
			must(t, m.SyncDir(d+"/sub"))
		}, []string{"sub/a"}, "-", "x", []string{"-", "x"}},
		{"a move between directories is durable with either", func(t *testing.T, m *vfs.Mem, d string) {
			must(t, m.MkdirAll(d+"/sub"))
			must(t, m.SyncDir(d))
			create(t, m, d+"/a")
			must(t, m.Rename(d+"/a", d+"/sub/a"))
			must(t, m.SyncDir(d+"/sub"))
		}, []string{"a", "sub/a"}, "-,", "-,", []string{"-,"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, d := memDir(t)
			tt.run(t, m, d)
			look := func(m *vfs.Mem) string {
				var b bytes.Buffer
				for i, n := range tt.look {
					if i > 0 {
						b.WriteByte(',')
					}
					b.WriteString(content(t, m, d+"/"+n))
				}
				return b.String()
			}
			none, all := m.CrashClone(vfs.CrashOptions{}), m.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
			if got := look(none); got != tt.none {
				t.Errorf("nothing kept: %q, want %q", got, tt.none)
			}
			if got := look(all); got != tt.all || got != look(m) {
				t.Errorf("all kept: %q, want %q; running: %q", got, tt.all, look(m))
			}
			if got := outcomes(m, look); !slices.Equal(got, tt.random) {
				t.Errorf("random: %q, want %q", got, tt.random)
			}
			for _, c := range []*vfs.Mem{none, all} { // what a clone holds is durable
				if got, want := look(c.CrashClone(vfs.CrashOptions{})), look(c); got != want {
					t.Errorf("a clone's clone: %q, want %q", got, want)
				}
			}
			if none.Subset() != 0 {
				t.Errorf("subset of nothing is %x", none.Subset())
			}
		})
	}
}

// TestTornWrites checks where writes tear, and that every kind of remains occurs.
func TestTornWrites(t *testing.T) {
	m, d := memDir(t)
	grave := create(t, m, d+"/old")
	writeAt(t, grave, string(bytes.Repeat([]byte{'o'}, 64<<10)), 0)
	must(t, grave.Close())
	must(t, m.Remove(d+"/old"))
	f := create(t, m, d+"/a")
	must(t, m.SyncDir(d))
	must(t, f.Reserve(32<<10))
	writeAt(t, f, string(bytes.Repeat([]byte{'d'}, 5000)), 0)
	must(t, f.Sync())
	writeAt(t, f, string(bytes.Repeat([]byte{'n'}, 20000)), 4096) // over durable bytes and into reserved space

	seen := map[string]int{}
	for seed := range 500 {
		o := random(seed)
		o.Stale = true
		c := m.CrashClone(o)
		p := []byte(content(t, c, d+"/a"))
		if again := m.CrashClone(vfs.CrashOptions{Keep: o.Keep, Stale: true, Rand: random(seed).Rand}); again.Subset() != c.Subset() ||
			content(t, again, d+"/a") != string(p) {
			t.Fatalf("seed %d: not reproducible", seed)
		}
		if len(p) != 32<<10 {
			t.Fatalf("seed %d: size %d", seed, len(p))
		}
		if i := bytes.IndexFunc(p[:4096], func(r rune) bool { return r != 'd' }); i >= 0 {
			t.Fatalf("seed %d: durable byte %d is %q", seed, i, p[i])
		}
		kinds := map[string]bool{}
		for i := 4096; i < 24096; i++ {
			switch {
			case p[i] == 'n':
				kinds["new"] = true
			case i < 5000 && p[i] == 'd', i >= 5000 && p[i] == 0:
				kinds["before"] = true
			case i < 8192:
				t.Fatalf("seed %d: byte %d of a durable block is %q", seed, i, p[i])
			case p[i] == 'o':
				kinds["stale"] = true
			default:
				kinds["random"] = true
			}
			if i%512 != 0 && (p[i] == 'n') != (p[i-1] == 'n') && i != 4096 && !kinds["random"] {
				t.Fatalf("seed %d: torn at byte %d", seed, i)
			}
		}
		for i := 24096; i < len(p); i++ {
			if p[i] != 0 {
				t.Fatalf("seed %d: byte %d, never written, is %q", seed, i, p[i])
			}
		}
		for k := range kinds {
			seen[k]++
		}
		if kinds["new"] && len(kinds) > 1 {
			seen["torn"]++
		}
	}
	for _, k := range []string{"new", "before", "stale", "random", "torn"} {
		if seen[k] < 20 {
			t.Errorf("%s occurred in %d of 500 clones", k, seen[k])
		}
	}
}

// TestFailedSync plays fsync failing once: the data is readable, a later sync reports success, and still it is not on
// the disk, unless it is written again.
func TestFailedSync(t *testing.T) {
	m, d := memDir(t)
	in := vfs.NewInject(m, vfs.Rule{Kind: vfs.OpSync})
	f := create(t, in, d+"/a")
	must(t, in.SyncDir(d))
	page := func(c byte) string { return string(bytes.Repeat([]byte{c}, vfs.PageSize)) }
	writeAt(t, f, page('1')+page('2'), 0)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Sync: %v", err)
	}
	writeAt(t, f, page('3'), 2*vfs.PageSize)
	must(t, f.Sync())
	if got := content(t, m, d+"/a"); got != page('1')+page('2')+page('3') {
		t.Fatal("the running program does not read what it wrote")
	}
	after := func() string { return content(t, m.CrashClone(vfs.CrashOptions{}), d+"/a") }
	if got := after(); got != page(0)+page(0)+page('3') {
		t.Fatalf("after the power cut: %.8q…", got)
	}
	if got := outcomes(m, func(c *vfs.Mem) string { return content(t, c, d+"/a")[2*vfs.PageSize:] }); !slices.Equal(got, []string{page('3')}) {
		t.Fatalf("what was synced later is not kept: %d outcomes", len(got))
	}
	writeAt(t, f, page('1'), 0)
	must(t, f.Sync())
	if got := after(); got != page('1')+page(0)+page('3') {
		t.Fatalf("after writing a page again: %.8q…", got)
	}
	writeAt(t, f, "2", vfs.PageSize) // dirties the whole page
	must(t, f.Sync())
	if got := after(); got != page('1')+page('2')+page('3') {
		t.Fatalf("after writing to the other: %.8q…", got)
	}
}

func TestLyingSync(t *testing.T) {
	m, d := memDir(t)
	m.LyingSync(true)
	f := create(t, m, d+"/a")
	writeAt(t, f, "x", 0)
	must(t, f.Sync())
	must(t, m.SyncDir(d))
	look := func(k vfs.Keep) string { return content(t, m.CrashClone(vfs.CrashOptions{Keep: k}), d+"/a") }
	if content(t, m, d+"/a") != "x" || look(vfs.KeepNone) != "-" || look(vfs.KeepAll) != "x" {
		t.Fatalf("none %q, all %q", look(vfs.KeepNone), look(vfs.KeepAll))
	}
	m.LyingSync(false)
	must(t, f.Sync())
	must(t, m.SyncDir(d))
	if got := look(vfs.KeepNone); got != "x" {
		t.Fatalf("after an honest sync: %q", got)
	}
}

func TestStopAfter(t *testing.T) {
	m, d := memDir(t)
	var ops []vfs.OpKind
	m.OnOp(func(op vfs.Op) {
		ops = append(ops, op.Kind)
		m.CrashClone(vfs.CrashOptions{}) // must not deadlock
	})
	f := create(t, m, d+"/a")
	lock, err := m.Lock(d + "/lock")
	must(t, err)
	before := m.Ops()
	m.StopAfter(2)
	writeAt(t, f, "x", 0)
	must(t, f.Sync())
	if m.Ops() != before+2 || !m.Stopped() {
		t.Fatalf("%d operations, stopped %v", m.Ops()-before, m.Stopped())
	}
	_, e1 := f.WriteAt([]byte("y"), 0)
	_, e2 := f.ReadAt(make([]byte, 1), 0)
	_, e3 := f.Size()
	_, e4 := m.Open(d + "/a")
	_, e5 := m.List(d)
	_, e6 := m.Stat(d)
	_, e7 := m.Usage(d)
	_, e8 := m.Create(d + "/b")
	for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8, m.Rename(d+"/a", d+"/b"), m.Remove(d + "/a"), m.SyncDir(d),
		m.MkdirAll(d + "/sub"), f.Sync(), f.Truncate(0), f.Reserve(1)} {
		if !errors.Is(err, vfs.ErrStopped) {
			t.Errorf("operation %d on a stopped machine: %v", i, err)
		}
	}
	must(t, f.Close())
	must(t, lock.Close())
	if want := []vfs.OpKind{vfs.OpCreate, vfs.OpLock, vfs.OpWrite, vfs.OpSync}; !slices.Equal(ops, want) {
		t.Fatalf("hook saw %v, want %v", ops, want)
	}
	c := m.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	if content(t, c, d+"/a") != "x" || c.Stopped() || c.Ops() != 0 {
		t.Fatal("the clone does not run with what was written")
	}
	_, err = c.Lock(d + "/lock")
	must(t, err)
}

func TestCapacity(t *testing.T) {
	m, d := memDir(t)
	m.SetCapacity(4 * vfs.PageSize)
	free := func(pages uint64) {
		t.Helper()
		if u, err := m.Usage(d); err != nil || u.Total != 4*vfs.PageSize || u.Free != pages*vfs.PageSize {
			t.Fatalf("Usage: %+v, %v; want %d pages free", u, err, pages)
		}
	}
	full := func(err error) {
		t.Helper()
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("error is %v, want ENOSPC", err)
		}
	}
	a := create(t, m, d+"/a")
	must(t, a.Reserve(2*vfs.PageSize))
	free(2)
	full(a.Reserve(5 * vfs.PageSize))
	free(2)
	n, err := a.WriteAt(make([]byte, 3*vfs.PageSize), vfs.PageSize+1)
	full(err)
	if n != 3*vfs.PageSize-1 {
		t.Fatalf("wrote %d bytes before the disk was full", n)
	}
	free(0)
	writeAt(t, a, "over what is there", 0)
	_, err = m.Create(d + "/b")
	full(err)
	full(m.MkdirAll(d + "/sub"))
	must(t, a.Truncate(1))
	free(3)
	must(t, m.Remove(d+"/a"))
	free(3) // the handle is open
	must(t, a.Close())
	free(4)
	c := m.CrashClone(vfs.CrashOptions{})
	if u, err := c.Usage("/"); err != nil || u.Total != 4*vfs.PageSize {
		t.Fatalf("clone: %+v, %v", u, err)
	}
}

// TestClonesShareNothing writes to a disk and its clones in turn: no write shows in another.
func TestClonesShareNothing(t *testing.T) {
	m, d := memDir(t)
	f := create(t, m, d+"/a")
	must(t, m.SyncDir(d))
	writeAt(t, f, "0000000000", 0)
	must(t, f.Sync())
	writeAt(t, f, "1", 1)
	disks := []*vfs.Mem{m}
	want := []string{"0100000000"}
	for i, k := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepAll} {
		c := disks[i].CrashClone(vfs.CrashOptions{Keep: k})
		disks, want = append(disks, c), append(want, content(t, c, d+"/a"))
	}
	for i, disk := range disks {
		f, err := disk.OpenRW(d + "/a")
		must(t, err)
		writeAt(t, f, string(rune('A'+i)), int64(5+i))
		b := []byte(want[i])
		b[5+i] = byte('A' + i)
		want[i] = string(b)
		must(t, f.Close())
	}
	for i, disk := range disks {
		if got := content(t, disk, d+"/a"); got != want[i] {
			t.Errorf("disk %d holds %q, want %q", i, got, want[i])
		}
	}
}

// BenchmarkCrashClone clones a disk of 1 MiB in 8 files, with 64 KiB in 16 writes that are not durable.
func BenchmarkCrashClone(b *testing.B) {
	m := vfs.NewMem()
	must(b, m.MkdirAll("/data"))
	must(b, m.SyncDir("/"))
	for i := range 8 {
		f := create(b, m, "/data/"+string(rune('a'+i)))
		writeAt(b, f, string(make([]byte, 128<<10)), 0)
		must(b, f.Sync())
		if i == 7 {
			must(b, m.SyncDir("/data"))
			for j := range 16 {
				writeAt(b, f, string(make([]byte, 4096)), int64(100+j*4096))
			}
		}
	}
	for name, o := range map[string]vfs.CrashOptions{"none": {}, "all": {Keep: vfs.KeepAll}, "random": random(1)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.CrashClone(o)
			}
		})
	}
}

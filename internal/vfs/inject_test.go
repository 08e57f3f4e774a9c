package vfs_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/edgelog/edgelog/internal/vfs"
)

func TestInjectRules(t *testing.T) {
	m, d := memDir(t)
	in := vfs.NewInject(m)
	f := create(t, in, d+"/a.seg")
	g := create(t, in, d+"/b.idx")
	w := func(f vfs.File) error { _, err := f.WriteAt([]byte("abcd"), 0); return err }
	tests := []struct {
		name string
		rule vfs.Rule
		ops  []func() error
		want []error
	}{
		{"the second of a kind", vfs.Rule{Kind: vfs.OpWrite, Nth: 2, Err: syscall.ENOSPC},
			[]func() error{func() error { return w(f) }, f.Sync, func() error { return w(g) }, func() error { return w(f) }},
			[]error{nil, nil, syscall.ENOSPC, nil}},
		{"from the second on", vfs.Rule{Kind: vfs.OpSync | vfs.OpSyncDir, Nth: 2, Sticky: true},
			[]func() error{f.Sync, func() error { return in.SyncDir(d) }, func() error { return w(f) }, g.Sync},
			[]error{nil, syscall.EIO, nil, syscall.EIO}},
		{"by path", vfs.Rule{Kind: vfs.OpSync, Path: ".idx"}, []func() error{f.Sync, g.Sync, g.Sync}, []error{nil, syscall.EIO, nil}},
		{"any mutating", vfs.Rule{}, []func() error{func() error { _, err := f.Size(); return err }, func() error { return w(f) }, f.Sync},
			[]error{nil, syscall.EIO, nil}},
		{"a rename by its new name", vfs.Rule{Kind: vfs.OpRename, Path: "/c"},
			[]func() error{func() error { return in.Rename(d+"/b.idx", d+"/b2") }, func() error { return in.Rename(d+"/b2", d+"/c") }},
			[]error{nil, syscall.EIO}},
		{"reads", vfs.Rule{Kind: vfs.OpRead | vfs.OpList | vfs.OpOpen, Sticky: true},
			[]func() error{func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
				func() error { _, err := in.List(d); return err }, func() error { _, err := in.OpenRW(d + "/a.seg"); return err }},
			[]error{syscall.EIO, syscall.EIO, syscall.EIO}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in.SetRules(tt.rule)
			hits := 0
			for i, op := range tt.ops {
				err := op()
				if !errors.Is(err, tt.want[i]) || (err == nil) != (tt.want[i] == nil) {
					t.Errorf("operation %d: %v, want %v", i, err, tt.want[i])
				}
				if tt.want[i] != nil {
					hits++
				}
			}
			if in.Hits() != hits {
				t.Errorf("%d hits, want %d", in.Hits(), hits)
			}
		})
	}
}

func TestInjectShortAndDone(t *testing.T) {
	m, d := memDir(t)
	in := vfs.NewInject(m, vfs.Rule{Kind: vfs.OpWrite, Short: true, Err: syscall.ENOSPC})
	f := create(t, in, d+"/a")
	n, err := f.WriteAt([]byte("abcd"), 0)
	if n != 2 || !errors.Is(err, syscall.ENOSPC) || content(t, m, d+"/a") != "ab" {
		t.Fatalf("short write: %d, %v, file %q", n, err, content(t, m, d+"/a"))
	}
	in.SetRules(vfs.Rule{Kind: vfs.OpRename, Done: true})
	if err := in.Rename(d+"/a", d+"/b"); !errors.Is(err, syscall.EIO) || content(t, m, d+"/b") != "ab" {
		t.Fatalf("rename that happened and failed: %v, file %q", err, content(t, m, d+"/b"))
	}
	in.SetRules(vfs.Rule{Kind: vfs.OpCreate, Done: true})
	if f, err := in.Create(d + "/c"); f != nil || !errors.Is(err, syscall.EIO) || content(t, m, d+"/c") != "" {
		t.Fatalf("create that happened and failed: %v, %v", f, err)
	}
}

// TestWriteFileAtomicFaults fails each operation of a replacement once and from then on, and cuts the power after each:
// the file holds the old content or the new one, the new one after success, and the next replacement works.
func TestWriteFileAtomicFaults(t *testing.T) {
	const old, new = "old content", "new content, longer than the old"
	start := func(t *testing.T) (*vfs.Mem, string) {
		m, d := memDir(t)
		must(t, vfs.WriteFileAtomic(m, d+"/state", []byte(old)))
		return m, d
	}
	check := func(t *testing.T, m *vfs.Mem, d, when string, done error) {
		t.Helper()
		for seed := range 20 {
			c := m.CrashClone(vfs.CrashOptions{})
			if seed > 0 {
				c = m.CrashClone(random(seed))
			}
			got := content(t, c, d+"/state")
			if got != new && (done == nil || got != old) {
				t.Fatalf("%s (%v), seed %d: file holds %q\n%s", when, done, seed, got, m.Dump())
			}
			must(t, vfs.WriteFileAtomic(c, d+"/state", []byte("next")))
			if got := content(t, c.CrashClone(vfs.CrashOptions{}), d+"/state"); got != "next" {
				t.Fatalf("%s, seed %d: next replacement gave %q", when, seed, got)
			}
		}
	}
	for _, rule := range []vfs.Rule{{}, {Sticky: true}, {Done: true}, {Kind: vfs.OpWrite, Short: true, Err: syscall.ENOSPC}} {
		for nth := 1; ; nth++ {
			m, d := start(t)
			rule.Nth = nth
			in := vfs.NewInject(m, rule)
			err := vfs.WriteFileAtomic(in, d+"/state", []byte(new))
			check(t, m, d, fmt.Sprintf("%+v", rule), err)
			if in.Hits() == 0 {
				must(t, err)
				break
			}
		}
	}
	for n := int64(0); ; n++ {
		m, d := start(t)
		m.StopAfter(n)
		err := vfs.WriteFileAtomic(m, d+"/state", []byte(new))
		check(t, m, d, fmt.Sprintf("stopped after %d", n), err)
		if err == nil {
			break
		}
	}
}

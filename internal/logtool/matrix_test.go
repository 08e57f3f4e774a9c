package logtool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// change is something that a tool does to a disk, and what must hold whenever it is cut off.
type change struct {
	do    func(d logtool.Dir) error
	check func(d logtool.Dir, done bool) error // done: it had returned nil
	again func(d logtool.Dir) error            // makes room for another try, nil if none is needed
}

func on(disk vfs.FS) logtool.Dir { return logtool.Dir{FS: disk, Path: "box/log"} }

func copyOf(disk *vfs.Mem, keep vfs.Keep, r *rand.Rand) *vfs.Mem {
	return disk.CrashClone(vfs.CrashOptions{Keep: keep, Rand: r, Stale: r != nil})
}

// crashMatrix cuts the power after every operation of the change, keeps nothing, all and random parts of what was not
// synced, checks what is left, and carries the change out again there.
func crashMatrix(t *testing.T, base *vfs.Mem, c change) {
	t.Helper()
	disk := copyOf(base, vfs.KeepAll, nil)
	states := 0
	var broken error
	disk.OnOp(func(op vfs.Op) {
		for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom} {
			if broken != nil {
				return
			}
			left := copyOf(disk, keep, rand.New(rand.NewPCG(uint64(op.N), uint64(i))))
			states++
			if err := c.left(left, op.N%5 == 0 && i > 1); err != nil {
				broken = fmt.Errorf("power cut after operation %d (%s %s), kept %d (%d): %w\n%s", op.N, op.Kind, op.Name, keep, i, err, left.Dump())
			}
		}
	})
	if err := errors.Join(c.do(on(disk)), broken); err != nil {
		t.Fatal(err)
	}
	disk.OnOp(nil)
	if err := c.check(on(copyOf(disk, vfs.KeepNone, nil)), true); err != nil {
		t.Fatalf("power cut after the end: %v", err)
	}
	t.Logf("%d states", states)
}

// left checks what a cut-off change left, and carries it out to the end.
func (c *change) left(disk *vfs.Mem, again bool) error {
	if err := c.check(on(disk), false); err != nil || !again {
		return err
	}
	return c.retry(disk)
}

func (c *change) retry(disk *vfs.Mem) error {
	if c.again != nil {
		if err := c.again(on(disk)); err != nil {
			return err
		}
	}
	if err := c.do(on(disk)); err != nil {
		return fmt.Errorf("once more: %w", err)
	}
	if err := c.check(on(copyOf(disk, vfs.KeepNone, nil)), true); err != nil {
		return fmt.Errorf("after once more: %w", err)
	}
	return nil
}

// errorMatrix fails every operation of the change once and from then on. What returns nil is durable all the same.
func errorMatrix(t *testing.T, base *vfs.Mem, c change) {
	t.Helper()
	hits := map[vfs.OpKind]int{}
	for _, kind := range []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir, vfs.OpRename, vfs.OpRemove, vfs.OpReserve, vfs.OpTruncate, vfs.OpMkdir, vfs.OpLock, vfs.OpRead} {
		for _, sticky := range []bool{false, true} {
			for nth := 1; ; nth++ {
				if kind == vfs.OpRead && nth > 1 {
					nth += nth / 3 // of many reads a sample
				}
				rule := vfs.Rule{Kind: kind, Nth: nth, Sticky: sticky, Short: nth%2 == 0, Done: nth%5 == 0 && kind != vfs.OpRead}
				if nth%3 == 0 {
					rule.Err = syscall.ENOSPC
				}
				disk := copyOf(base, vfs.KeepAll, nil)
				in := vfs.NewInject(disk, rule)
				err := c.do(on(in))
				if in.Hits() == 0 {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				hits[kind]++
				where := fmt.Sprintf("%s %d fails, sticky %v (%v)", kind, nth, sticky, err)
				for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom} {
					left := copyOf(disk, keep, rand.New(rand.NewPCG(uint64(nth), uint64(i))))
					cerr := c.check(on(left), err == nil)
					if cerr == nil && err != nil {
						cerr = c.retry(left)
					}
					if cerr != nil {
						t.Fatalf("%s, kept %d: %v\n%s", where, keep, cerr, left.Dump())
					}
				}
			}
		}
	}
	t.Logf("failed operations: %v", hits)
	if hits[vfs.OpSync] == 0 || hits[vfs.OpSyncDir] == 0 || hits[vfs.OpWrite] == 0 {
		t.Fatalf("hardly anything failed: %v", hits)
	}
}

func bothMatrices(t *testing.T, base *vfs.Mem, c change) {
	t.Run("crash", func(t *testing.T) { t.Parallel(); crashMatrix(t, base, c) })
	t.Run("error", func(t *testing.T) { t.Parallel(); errorMatrix(t, base, c) })
}

// small is a log of a few segments and two epochs on a disk in memory, and all that it holds.
func small(t *testing.T) (*vfs.Mem, map[string]string) {
	t.Helper()
	disk := vfs.NewMem()
	if err := disk.MkdirAll("box"); err != nil {
		t.Fatal(err)
	}
	writeTo(t, disk, "box/log", 4, 30)
	return disk, held(t, on(disk))
}

func held(t *testing.T, d logtool.Dir) map[string]string {
	t.Helper()
	m, err := contentsOf(d, logtool.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// same reports whether a log holds exactly want.
func same(d logtool.Dir, want map[string]string) error {
	got, err := contentsOf(d, logtool.Selection{})
	if err != nil {
		return err
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("%s holds %d entries that are not the %d expected", d.Path, len(got), len(want))
	}
	return nil
}

func exists(d logtool.Dir, name string) bool {
	_, err := d.FS.Stat(name)
	return err == nil
}

// removeAll removes a tree; what is not there is no error.
func removeAll(disk vfs.FS, dir string) error {
	list, err := disk.List(dir)
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		name := dir + "/" + e.Name
		if e.Dir {
			err = removeAll(disk, name)
		} else {
			err = disk.Remove(name)
		}
		if err != nil {
			return err
		}
	}
	return disk.Remove(dir)
}

// TestSalvageMatrix: the source never changes; the fresh directory is there whole or not at all, and once salvage has
// returned nil it is there.
func TestSalvageMatrix(t *testing.T) {
	disk, _ := small(t)
	list, err := disk.List("box/log/telemetry")
	if err != nil {
		t.Fatal(err)
	}
	f, err := disk.OpenRW("box/log/telemetry/" + list[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 300), 900); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	source := held(t, on(disk))
	lost := 0
	for k := range source {
		if strings.HasPrefix(k, "gap ") {
			lost++
		}
	}
	if lost == 0 {
		t.Fatal("the damage is not seen")
	}
	const dst = "new/place/log"
	bothMatrices(t, disk, change{
		do: func(d logtool.Dir) error {
			_, err := d.Salvage(context.Background(), dst)
			return err
		},
		check: func(d logtool.Dir, done bool) error {
			if err := same(d, source); err != nil {
				return fmt.Errorf("the source: %w", err)
			}
			if !exists(d, dst) {
				if done {
					return errors.New("what was salvaged is not there")
				}
				return nil
			}
			if err := same(logtool.Dir{FS: d.FS, Path: dst}, source); err != nil {
				return err
			}
			v, err := logtool.Dir{FS: d.FS, Path: dst}.Verify(context.Background(), "")
			if err != nil || !v.OK {
				return fmt.Errorf("what was salvaged does not verify: %+v %w", v, err)
			}
			return nil
		},
		again: func(d logtool.Dir) error {
			return errors.Join(removeAll(d.FS, dst+".part"), removeAll(d.FS, dst))
		},
	})
}

// TestEraseMatrix: a record is there as it was, or an erased gap is in its place; what was not to go does not go; what
// was cut off is finished by erasing once more, and by an agent that opens the log.
func TestEraseMatrix(t *testing.T) {
	disk, before := small(t)
	all, err := on(disk).PlanErase(context.Background(), logtool.Erasure{Stream: "telemetry", From: 0, To: 0})
	if err != nil || len(all.Segments) < 4 {
		t.Fatal(err, all)
	}
	from, to := all.Segments[1].From, all.Segments[len(all.Segments)-1].From
	goes := func(k string) bool {
		var o uint64
		if i := strings.LastIndexByte(k, '/'); i >= 0 && strings.HasPrefix(k, "telemetry/") {
			_, err := fmt.Sscan(k[i+1:], &o)
			return err == nil && o >= from && o < to
		}
		return false
	}
	bothMatrices(t, disk, change{
		do: func(d logtool.Dir) error {
			plan, err := d.PlanErase(context.Background(), logtool.Erasure{Stream: "telemetry", From: from, To: to})
			if errors.Is(err, logtool.ErrNothing) {
				return nil
			}
			if err != nil {
				return err
			}
			return d.Erase(context.Background(), plan)
		},
		check: func(d logtool.Dir, done bool) error {
			now, err := contentsOf(d, logtool.Selection{})
			if err != nil {
				return err
			}
			for k, x := range before {
				switch y, ok := now[k]; {
				case ok && x != y:
					return fmt.Errorf("%s is %q, was %q", k, y, x)
				case !ok && !goes(k):
					return fmt.Errorf("%s is gone", k)
				case ok && goes(k) && done:
					return fmt.Errorf("%s is still there", k)
				}
			}
			for k, x := range now {
				if strings.HasPrefix(k, "gap ") && !strings.Contains(x, "erased") {
					return fmt.Errorf("%s: %s", k, x)
				}
			}
			if v, err := d.Verify(context.Background(), ""); err != nil || !v.OK {
				return fmt.Errorf("verify: %+v %w", v, err)
			}
			if list, err := d.FS.List(d.Path + "/telemetry"); done && (err != nil || len(list) > len(all.Segments)) {
				return fmt.Errorf("%d files: %w", len(list), err)
			}
			return nil
		},
	})
}

// TestAckMatrix: the delivered position is the old one or the new one, never another, and the new one is durable once
// the import has returned nil. No record changes.
func TestAckMatrix(t *testing.T) {
	disk, before := small(t)
	r, err := on(disk).Export(context.Background(), "box/stick.edge", logtool.ExportOptions{Device: "box-17", Program: "test", Now: start})
	if err != nil || !r.Remembered {
		t.Fatal(err, r)
	}
	set, err := buffer.OpenReadOnly(context.Background(), disk, "box/log")
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	ack := wire.Ack{Answer: true, Parts: 1}
	ends := map[string]record.Offset{}
	for _, l := range set.Logs() {
		for _, e := range l.Epochs() {
			next := e.End
			c, ok := l.Chain(next)
			if !ok {
				t.Fatalf("no chain at %d", next)
			}
			ack.Positions = append(ack.Positions, wire.Position{Stream: l.Name(), Epoch: e.Epoch, Known: true, Next: next, ChainNext: c})
			ends[l.Name()] = e.End
		}
	}
	var file bytes.Buffer
	var nonce wire.Nonce
	if _, err := fmt.Sscanf(r.Nonce, "%x", (*uint64)(&nonce)); err != nil {
		t.Fatal(err)
	}
	w, err := carry.NewWriter(&file, carry.Header{Kind: carry.Ack, Nonce: nonce, Device: "box-17", Program: "test", Made: start})
	if err != nil {
		t.Fatal(err)
	}
	ack.Nonce = nonce
	if err := errors.Join(w.Answer(&ack), w.Close()); err != nil {
		t.Fatal(err)
	}
	bothMatrices(t, disk, change{
		do: func(d logtool.Dir) error {
			_, err := d.Deliver(context.Background(), bytes.NewReader(file.Bytes()))
			return err
		},
		check: func(d logtool.Dir, done bool) error {
			if err := same(d, before); err != nil {
				return err
			}
			set, err := buffer.OpenReadOnly(context.Background(), d.FS, d.Path)
			if err != nil {
				return err
			}
			defer set.Close()
			for _, l := range set.Logs() {
				switch got := l.Delivered(); {
				case got != 0 && got != ends[l.Name()]:
					return fmt.Errorf("%s is delivered up to %d", l.Name(), got)
				case got == 0 && done && ends[l.Name()] != 0:
					return fmt.Errorf("%s is not delivered", l.Name())
				}
			}
			return nil
		},
	})
}

// TestExportMatrix: the portable file is there whole or not at all; the log does not change; what an ack file must echo
// is durable if the report said so.
func TestExportMatrix(t *testing.T) {
	disk, before := small(t)
	const name = "stick/box.edge"
	if err := disk.MkdirAll("stick"); err != nil {
		t.Fatal(err)
	}
	if err := disk.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	nonces := map[string]bool{} // of exports that were made
	do := func(d logtool.Dir) error {
		r, err := d.Export(context.Background(), name, logtool.ExportOptions{Device: "box-17", Program: "test", Now: start})
		if err == nil && r.Remembered {
			nonces[r.Nonce] = true
		}
		return err
	}
	frames := 0
	c := change{
		do: do,
		check: func(d logtool.Dir, done bool) error {
			if err := same(d, before); err != nil {
				return err
			}
			if !exists(d, name) {
				if done {
					return errors.New("the file is not there")
				}
				return nil
			}
			h, n, err := readExport(d.FS, name)
			if err != nil || frames > 0 && n != frames {
				return fmt.Errorf("the file: %d frames, want %d: %w", n, frames, err)
			}
			text := fmt.Sprintf("%016x", uint64(h.Nonce))
			known, err := vfs.ReadFile(d.FS, d.Path+"/EXPORTS", 1<<20)
			if done && nonces[text] && (err != nil || !strings.Contains(string(known), text)) {
				return fmt.Errorf("export %s is forgotten: %w", text, err)
			}
			return nil
		},
		again: func(d logtool.Dir) error {
			if err := d.FS.Remove(name); err != nil && !errors.Is(err, vfs.ErrNotExist) {
				return err
			}
			return nil
		},
	}
	once := copyOf(disk, vfs.KeepAll, nil)
	if err := c.do(on(once)); err != nil {
		t.Fatal(err)
	}
	var err error
	if _, frames, err = readExport(once, name); err != nil || frames == 0 {
		t.Fatal(frames, err)
	}
	t.Run("crash", func(t *testing.T) { crashMatrix(t, disk, c) })
	t.Run("error", func(t *testing.T) { errorMatrix(t, disk, c) })
}

func readExport(disk vfs.FS, name string) (h carry.Header, frames int, err error) {
	b, err := vfs.ReadFile(disk, name, 64<<20)
	if err != nil {
		return h, 0, err
	}
	r, err := carry.NewReader(bytes.NewReader(b))
	if err != nil {
		return h, 0, err
	}
	for {
		if _, err := r.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return r.Header, frames, err
		}
		frames++
	}
}

package chainlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/vfs"
)

var t0 = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

func open(t *testing.T, fs vfs.FS, keep int) *chainlog.Log {
	t.Helper()
	l, err := chainlog.Open(fs, "events", "events", keep)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func read(fs vfs.FS) (out []chainlog.Entry, err error) {
	err = chainlog.Read(fs, "events", "events", func(e chainlog.Entry) error { out = append(out, e); return nil })
	return out, err
}

func TestChain(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, 3)
	text := strings.Repeat("x", 10_000)
	for i := range 600 { // six files, of which three are kept
		if _, err := l.Append(map[string]any{"i": i, "text": text}, t0); err != nil {
			t.Fatal(err)
		}
		if i%97 == 0 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, fs, 3)
		}
	}
	got, err := read(fs)
	if err != nil || got[len(got)-1].Number != 600 || len(got) < 200 || len(got) > 400 || len(l.Recovered) > 0 {
		t.Fatalf("%d entries, %v, %v", len(got), err, l.Recovered)
	}
	for i := 1; i < len(got); i++ {
		if got[i].Prev != got[i-1].Hash {
			t.Fatalf("entry %d does not name the one before", got[i].Number)
		}
	}
	if _, err := l.Append(strings.Repeat("x", chainlog.MaxEntryBytes), t0); !errors.Is(err, chainlog.ErrEntry) {
		t.Errorf("an entry without bound: %v", err)
	}
}

// TestTampering: a line that is changed, removed or put in is found.
func TestTampering(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"changed": func(b []byte) []byte { return bytes.Replace(b, []byte("entry 3"), []byte("entry 9"), 1) },
		"removed": func(b []byte) []byte {
			lines := bytes.SplitAfter(b, []byte("\n"))
			return bytes.Join(append(lines[:3:3], lines[4:]...), nil)
		},
		"put in": func(b []byte) []byte {
			lines := bytes.SplitAfter(b, []byte("\n"))
			return bytes.Join(append(append(lines[:3:3], lines[2]), lines[3:]...), nil)
		},
		"garbage": func(b []byte) []byte { return append(b[:len(b)/2:len(b)/2], bytes.Repeat([]byte("?\n"), 50)...) },
	} {
		fs := vfs.NewMem()
		l := open(t, fs, 0)
		for i := range 9 {
			if _, err := l.Append(fmt.Sprintf("entry %d", i), t0); err != nil {
				t.Fatal(err)
			}
		}
		const file = "events/events-0000000000000001.log"
		data, err := vfs.ReadFile(fs, file, 1<<20)
		if err == nil {
			err = errors.Join(l.Close(), vfs.WriteFileAtomic(fs, file, spoil(data)))
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(fs); !errors.Is(err, chainlog.ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
		// The log goes on, and says what it found.
		l = open(t, fs, 0)
		if _, err := l.Append("later", t0); err != nil || len(l.Recovered) != 1 && name != "put in" && name != "removed" && name != "changed" {
			t.Errorf("%s: %v, %v", name, err, l.Recovered)
		}
	}
}

// TestPowerCuts: after a cut at any operation every entry whose Append returned is there, and the chain is whole.
func TestPowerCuts(t *testing.T) {
	for stop := int64(1); ; stop++ {
		for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepRandom, vfs.KeepAll} {
			fs := vfs.NewMem()
			l := open(t, fs, 0)
			fs.StopAfter(stop)
			durable := 0
			for i := range 8 {
				if _, err := l.Append(i, t0); err != nil {
					break
				}
				durable = i + 1
			}
			done := !fs.Stopped()
			fs = fs.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(1, uint64(stop)))})
			l = open(t, fs, 0)
			if _, err := l.Append("after", t0); err != nil {
				t.Fatalf("cut after %d: %v", stop, err)
			}
			got, err := read(fs)
			if err != nil || len(got) <= durable {
				t.Fatalf("cut after %d, keep %v: %d entries of %d, %v", stop, keep, len(got), durable, err)
			}
			if done && keep == vfs.KeepAll {
				return
			}
		}
	}
}

// TestErrors: a failed write is no end; what was told as durable stays.
func TestErrors(t *testing.T) {
	for nth := 1; ; nth++ {
		mem := vfs.NewMem()
		in := vfs.NewInject(mem, vfs.Rule{Nth: nth})
		durable := 0
		l, err := chainlog.Open(in, "events", "events", 0)
		for i := 0; err == nil && i < 6; i++ {
			if _, err := l.Append(i, t0); err == nil {
				durable++
			}
		}
		hit := in.Hits() > 0
		in.SetRules()
		got, rerr := read(mem)
		if rerr != nil || len(got) < durable || err == nil && durable < 5 {
			t.Fatalf("operation %d fails: %d entries of %d, %v %v", nth, len(got), durable, err, rerr)
		}
		if !hit {
			return
		}
	}
}

package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

func openKeys(t *testing.T, fs vfs.FS, k buffer.Keys) (*buffer.Set, *buffer.Log) {
	t.Helper()
	o := options(buffer.StreamOptions{MaxBytes: 8 << 20, SegmentBytes: 64 << 10})
	o.Keys = k
	s, err := buffer.Open(context.Background(), fs, "log", o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

func closeSet(t *testing.T, s *buffer.Set) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// encrypted is a log of an opening with the keys, closed.
func encrypted(t *testing.T, fs vfs.FS, k buffer.Keys, n int) []string {
	t.Helper()
	s, l := openKeys(t, fs, k)
	id := define(t, l)
	for i := range n {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 3000), value(id, int64(i), int64(i))}}); err != nil {
			t.Fatal(err)
		}
	}
	verify(t, l)
	out := readAll(t, l, 0)
	closeSet(t, s)
	return out
}

func files(t *testing.T, fs vfs.FS) map[string][]byte {
	t.Helper()
	infos, err := fs.List("log/telemetry")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, in := range infos {
		f, err := fs.Open("log/telemetry/" + in.Name)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, in.Size)
		if _, err := f.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		out["log/telemetry/"+in.Name] = b
		f.Close()
	}
	return out
}

func TestEncryptedLogTellsNothing(t *testing.T) {
	fs := vfs.NewMem()
	k := buffertest.NewKeys(1)
	want := encrypted(t, fs, k, 40)
	for name, b := range files(t, fs) {
		for _, secret := range []string{"temperature", "Cel", string(noise(3, 3000)[100:130]), string(k.Current[:])} {
			if strings.Contains(string(b), secret) {
				t.Fatalf("%s holds %q in clear", name, secret)
			}
		}
	}
	s, l := openKeys(t, fs, k)
	if got := readAll(t, l, 0); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	verify(t, l)
	closeSet(t, s)
}

// Without the key the log opens, keeps what it cannot read, stops delivery before it and goes on with intake; with the
// key again everything is there.
func TestMissingAndWrongKeyHold(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		fs := vfs.NewMem()
		k := buffertest.NewKeys(1)
		want := encrypted(t, fs, k, 40)
		before := files(t, fs)
		other := buffer.Keys{}
		if wrong {
			other = buffertest.NewKeys(2)
		}
		s, l := openKeys(t, fs, other)
		id := define(t, l)
		if err := put(t, l, record.Draft{Records: []record.Record{value(id, 1, 77)}}); err != nil {
			t.Fatal(err)
		}
		var held *buffer.HeldError
		r := l.Read(0)
		if _, err := r.Next(); !errors.As(err, &held) || !errors.Is(err, buffer.ErrKey) || !strings.Contains(err.Error(), k.Current.ID().String()) {
			t.Fatal(err)
		}
		in := l.Info()
		if len(in.Held) != len(before) || len(in.Gaps) != 0 || in.Low != 0 {
			t.Fatalf("%+v", in)
		}
		if es := l.Epochs(); len(es) != 2 || es[1].Parent != es[0].Epoch || es[1].First != es[0].End {
			t.Fatalf("%+v", es)
		}
		closeSet(t, s)
		after := files(t, fs)
		for name, b := range before {
			if string(after[name]) != string(b) {
				t.Fatalf("%s was changed", name)
			}
		}
		both := buffer.Keys{Current: k.Current}
		if wrong {
			both.Older = []buffer.Key{*other.Current}
		}
		s, l = openKeys(t, fs, both)
		verify(t, l)
		if got := readAll(t, l, 0); fmt.Sprint(got[:len(want)]) != fmt.Sprint(want) || len(got) != len(want)+2 {
			t.Fatalf("%d entries, want %d", len(got), len(want)+2)
		}
		closeSet(t, s)
	}
}

// A power cut at any operation of a rotation leaves every segment readable with both keys; after it the old key is not
// needed, and is no use.
func TestRotationSurvivesPowerCuts(t *testing.T) {
	fs := vfs.NewMem()
	old := buffertest.NewKeys(1)
	want := fmt.Sprint(encrypted(t, fs, old, 60))
	now := buffertest.NewKeys(2)
	now.Older = []buffer.Key{*old.Current}
	s, _ := openKeys(t, fs, now)
	cuts := 0
	fs.OnOp(func(op vfs.Op) {
		for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom} {
			cuts++
			clone := fs.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(uint64(op.N), uint64(i))), Stale: i == 3})
			s, l := openKeys(t, clone, now)
			if got := fmt.Sprint(readAll(t, l, 0)); got != want {
				t.Errorf("after operation %d (%s), kept %d: other content", op.N, op.Kind, keep)
			}
			if _, err := s.Rewrap(context.Background()); err != nil {
				t.Errorf("after operation %d (%s), kept %d: %v", op.N, op.Kind, keep, err)
			}
			closeSet(t, s)
			s, l = openKeys(t, clone, buffer.Keys{Current: now.Current})
			verify(t, l)
			closeSet(t, s)
		}
	})
	n, err := s.Rewrap(context.Background())
	fs.OnOp(nil)
	if err != nil || n < 2 || cuts < 8*n {
		t.Fatalf("%d segments, %d power cuts: %v", n, cuts, err)
	}
	if n, err := s.Rewrap(context.Background()); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	closeSet(t, s)
	s, l := openKeys(t, fs, buffer.Keys{Current: now.Current})
	if got := fmt.Sprint(readAll(t, l, 0)); got != want {
		t.Fatal("other content with the new key alone")
	}
	closeSet(t, s)
	s, l = openKeys(t, fs, old)
	if h := l.Info().Held; len(h) != len(files(t, fs)) {
		t.Fatal("the old key still opens")
	}
	closeSet(t, s)
}

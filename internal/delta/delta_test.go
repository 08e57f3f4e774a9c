package delta_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/edgelog/edgelog/internal/delta"
)

// noise is content that does not compress.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// edited is content with pieces changed, inserted and removed.
func edited(old []byte, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	var out []byte
	for at := 0; at < len(old); {
		n := min(1+r.IntN(20000), len(old)-at)
		switch r.IntN(12) {
		case 0:
			out = append(out, noise(seed+uint64(at), r.IntN(200))...)
		case 1: // removed
		default:
			out = append(out, old[at:at+n]...)
		}
		at += n
	}
	return append(out, 'x')
}

func source(data []byte) delta.Source { return delta.Source{SHA256: sha256.Sum256(data), Data: data} }

func mustMake(t testing.TB, form delta.Form, from, to []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := delta.Make(&b, form, source(from), source(to)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func apply(d, base []byte) ([]byte, error) {
	r, err := delta.NewReader(bytes.NewReader(d), bytes.NewReader(base), int64(len(base)))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// TestFiles: what comes out is the new file, whatever the old one is, and what resembles costs little.
func TestFiles(t *testing.T) {
	for _, n := range []int{0, 1, 100, 70_000, 5 << 20} {
		old := noise(uint64(n), n)
		next := edited(old, 7)
		d := mustMake(t, delta.Files, old, next)
		got, err := apply(d, old)
		if err != nil || !bytes.Equal(got, next) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if n > 1<<20 && len(d)*10 > len(next) {
			t.Errorf("a tenth changed, and the delta of %d bytes has %d", len(next), len(d))
		}
	}
}

// TestLargeFile: a file above the bound of a segment is cut, and each piece refers to what lies around its place.
func TestLargeFile(t *testing.T) {
	old := bytes.Repeat(noise(3, 64<<10), 530)
	next := append([]byte("new"), old...)
	d := mustMake(t, delta.Files, old, next)
	got, err := apply(d, old)
	if err != nil || !bytes.Equal(got, next) {
		t.Fatal(err)
	}
	if len(d) > 4<<20 {
		t.Errorf("the delta has %d bytes", len(d))
	}
}

func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Typeflag: tar.TypeReg, Size: int64(len(files[i+1])), Mode: 0o755}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTrees: an archive against the files of another one, in whatever order they stood there.
func TestTrees(t *testing.T) {
	a, b := string(noise(1, 300_000)), string(noise(2, 200_000))
	old := archive(t, "./bin/b", b, "./bin/a", a, "share/gone", "gone")
	next := archive(t, "./bin/a", a+"more", "./bin/b", "less"+b[1000:], "share/new", "new", "share/empty", "")
	d := mustMake(t, delta.Trees, old, next)
	base := []byte(a + b + "gone") // as they lie in the store: bin/a, bin/b, share/gone
	got, err := apply(d, base)
	if err != nil || !bytes.Equal(got, next) {
		t.Fatal(err)
	}
	if len(d) > 4000 {
		t.Errorf("the delta has %d bytes", len(d))
	}
}

// TestRefusals: another base, and every kind of damage, ends in an error that says which.
func TestRefusals(t *testing.T) {
	old := noise(9, 50_000)
	next := edited(old, 9)
	d := mustMake(t, delta.Files, old, next)
	other := bytes.Clone(old)
	other[100] ^= 1
	if _, err := apply(d, other); !errors.Is(err, delta.ErrBase) {
		t.Errorf("another base: %v", err)
	}
	if _, err := apply(d, old[1:]); !errors.Is(err, delta.ErrBase) {
		t.Errorf("a shorter base: %v", err)
	}
	if _, err := apply(append(bytes.Clone(d), 0), old); !errors.Is(err, delta.ErrFormat) {
		t.Errorf("a byte more: %v", err)
	}
	for i := 0; i < len(d); i += 1 + i/20 {
		bad := bytes.Clone(d)
		bad[i] ^= 0x55
		if got, err := apply(bad, old); err == nil && (i < 88 || i >= 152) { // the pins are for who knows them
			t.Fatalf("byte %d changed: no error, outcome equal: %t", i, bytes.Equal(got, next))
		}
		if _, err := apply(d[:i], old); err == nil {
			t.Fatalf("cut at %d: no error", i)
		}
	}
}

func TestComparePaths(t *testing.T) {
	// Directories count as such, whatever the byte of the slash.
	for _, p := range [][2]string{{"a", "b"}, {"bin/x", "bin-2"}, {"a/b/c", "a/c"}, {"a", "a/b"}} {
		if delta.ComparePaths(p[0], p[1]) >= 0 {
			t.Errorf("%q does not come before %q", p[0], p[1])
		}
	}
}

// FuzzReader: hostile bytes never panic and never yield more than they announced.
func FuzzReader(f *testing.F) {
	old := noise(5, 2000)
	f.Add(mustMake(f, delta.Files, old, edited(old, 5)))
	f.Add(mustMake(f, delta.Files, nil, []byte("hello")))
	f.Fuzz(func(t *testing.T, d []byte) {
		r, err := delta.NewReader(bytes.NewReader(d), bytes.NewReader(old), int64(len(old)))
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, r)
		if n > r.ResultSize {
			t.Fatalf("%d bytes of %d, %v", n, r.ResultSize, err)
		}
	})
}

func Example() {
	old, next := []byte("the old content of a file"), []byte("the new content of a file")
	var d bytes.Buffer
	if err := delta.Make(&d, delta.Files, source(old), source(next)); err != nil {
		fmt.Println(err)
		return
	}
	r, err := delta.NewReader(&d, bytes.NewReader(old), int64(len(old)))
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := io.ReadAll(r)
	fmt.Println(string(got), err)
	// Output: the new content of a file <nil>
}

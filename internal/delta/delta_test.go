package delta_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

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

// program is what a compiler makes: functions that call one another by relative address, and a table of absolute ones.
// grown is a function that has more instructions than before, -1: none.
func program(functions, grown int) []byte {
	r := rand.New(rand.NewPCG(11, 3))
	sizes, begins, at := make([]int, functions), make([]int, functions), 0
	for i := range sizes {
		sizes[i] = 32 + 16*r.IntN(20)
		if i == grown {
			sizes[i] += 48
		}
		begins[i] = at
		at += sizes[i]
	}
	out := make([]byte, at, at+8*functions)
	for i := range sizes {
		body := out[begins[i] : begins[i]+sizes[i]]
		copy(body, noise(uint64(i), sizes[i]))
		for k := 8; k+4 <= len(body); k += 16 {
			binary.LittleEndian.PutUint32(body[k:], uint32(begins[(i*7+k)%functions]-begins[i]-k))
		}
	}
	for _, b := range begins {
		out = binary.LittleEndian.AppendUint64(out, uint64(0x400000+b))
	}
	return out
}

// TestPrograms: a program in which one function grew, so that addresses everywhere are others, costs far less than what
// differs in it.
func TestPrograms(t *testing.T) {
	old, next := program(4000, -1), program(4000, 1200)
	d := mustMake(t, delta.Files, old, next)
	got, err := apply(d, old)
	if err != nil || !bytes.Equal(got, next) {
		t.Fatal(err)
	}
	differ := 0
	for i := range old {
		if i >= len(next) || old[i] != next[i] {
			differ++
		}
	}
	t.Logf("%d bytes, %d of them others at their place, delta %d", len(next), differ, len(d))
	if d[4] != 2 || len(d)*12 > len(next) {
		t.Errorf("version %d, %d bytes of %d", d[4], len(d), len(next))
	}
}

// TestRepetition: content that repeats itself is paired in reasonable time, whatever is inserted and removed.
func TestRepetition(t *testing.T) {
	for name, unit := range map[string][]byte{"zeros": make([]byte, 64), "period": noise(4, 24), "two": {1, 2}} {
		old := bytes.Repeat(unit, 256<<10/len(unit))
		next := edited(old, 21)
		d := mustMake(t, delta.Files, old, next)
		if got, err := apply(d, old); err != nil || !bytes.Equal(got, next) {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestHostileSteps: steps that leave the base or the result, that are too many or too few, end with an error.
func TestHostileSteps(t *testing.T) {
	base := noise(8, 8000)
	zip := func(b []byte) []byte {
		e, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return e.EncodeAll(b, nil)
	}
	step := func(dst []byte, like, fresh uint64, move int64) []byte {
		return binary.AppendVarint(binary.AppendUvarint(binary.AppendUvarint(dst, like), fresh), move)
	}
	const n = 6000
	for name, c := range map[string]struct {
		steps        []byte
		diffs, fresh int
		ok           bool
	}{
		"right":                 {steps: step(step(nil, 4000, 1000, -4000), 1000, 0, 0), diffs: 5000, fresh: 1000, ok: true},
		"empty ones between":    {steps: step(step(step(nil, 0, 0, 100), 5000, 0, 0), 0, 1000, 0), diffs: 5000, fresh: 1000, ok: true},
		"before the base":       {steps: step(step(nil, 100, 0, -101), 5900, 0, 0), diffs: n},
		"behind the base":       {steps: step(step(nil, 100, 0, 7901), 5900, 0, 0), diffs: n},
		"past its end":          {steps: step(step(nil, 100, 0, 7000), 5900, 0, 0), diffs: n},
		"more than the result":  {steps: step(nil, n+1, 0, 0), diffs: n + 1},
		"more that is new":      {steps: step(nil, 10, n, 0), diffs: 10, fresh: n},
		"an overflow":           {steps: step(nil, 1<<63, 1<<63, 0), diffs: n},
		"a far move":            {steps: step(step(nil, 100, 0, -1<<63), 5900, 0, 0), diffs: n},
		"too few":               {steps: step(nil, 100, 0, 0), diffs: n},
		"too many":              {steps: step(step(nil, n, 0, 0), 0, 0, 0), diffs: n},
		"differences missing":   {steps: step(nil, n, 0, 0), diffs: n - 1},
		"differences left over": {steps: step(nil, n, 0, 0), diffs: n + 1},
		"content missing":       {steps: step(nil, 0, n, 0), fresh: n - 1},
		"content left over":     {steps: step(nil, 0, n, 0), fresh: n + 1},
		"half a step":           {steps: []byte{1, 1}, diffs: n},
		"a bomb of steps":       {steps: make([]byte, 64<<20), diffs: n},
		"a bomb of differences": {steps: step(nil, n, 0, 0), diffs: 256 << 20},
	} {
		a, b := zip(c.steps), zip(make([]byte, c.diffs))
		frame := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(len(a))), uint32(len(b)))
		frame = append(append(append(frame, a...), b...), zip(make([]byte, c.fresh))...)
		d := mustMake(t, delta.Files, base, make([]byte, n))[:152]
		d[4] = 2
		d = binary.LittleEndian.AppendUint64(d, 0)
		for _, x := range []int{len(base), n, len(frame), 1} {
			d = binary.LittleEndian.AppendUint32(d, uint32(x))
		}
		// What comes out is not what the header says, which is found last.
		if _, err := apply(append(d, frame...), base); c.ok != errors.Is(err, delta.ErrResult) || !c.ok && !errors.Is(err, delta.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefusals: another base, and every kind of damage, ends in an error that says which.
func TestRefusals(t *testing.T) {
	t.Run("dictionary", func(t *testing.T) {
		old := noise(9, 50_000)
		refusals(t, 1, old, edited(old, 9))
	})
	t.Run("differences", func(t *testing.T) { refusals(t, 2, program(300, -1), program(300, 100)) })
}

func refusals(t *testing.T, version byte, old, next []byte) {
	d := mustMake(t, delta.Files, old, next)
	if d[4] != version {
		t.Fatalf("version %d", d[4])
	}
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
	old = append(old, program(60, -1)...)
	f.Add(mustMake(f, delta.Files, old, append(noise(5, 2000), program(60, 20)...)))
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

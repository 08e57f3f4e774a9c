package logtool_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestPortableIsReadAsTheLogIs: a query of the portable file gives what one of the log gives, times included; a file that
// was cut off or damaged gives what stands before, and says so.
func TestPortableIsReadAsTheLogIs(t *testing.T) {
	base, ctx := t.TempDir(), context.Background()
	path, file := filepath.Join(base, "log"), filepath.Join(base, "box.edge")
	write(t, path, 2, 500)
	x, err := dir(path).Export(ctx, file, logtool.ExportOptions{Device: "box-17", Program: "test", Now: start})
	if err != nil {
		t.Fatal(err)
	}
	p := logtool.Portable{FS: vfs.OS{}, Path: file}
	v, err := p.Verify(ctx)
	if err != nil || !v.OK || v.Device != "box-17" || v.Nonce != x.Nonce {
		t.Fatalf("%v %+v", err, v)
	}
	for _, s := range v.Streams { // those that hold anything
		e := x.Streams[slices.IndexFunc(x.Streams, func(e logtool.ExportStream) bool { return e.Stream == s.Stream })]
		if s.From != e.From || s.To != e.To || s.Records != e.Records || s.Missing != e.Missing || s.Epochs != 2 {
			t.Errorf("%+v, exported %+v", s, e)
		}
	}
	all := portable(t, p, logtool.Selection{})
	lo, hi := span(t, p)
	for name, q := range map[string]logtool.Selection{"all": {}, "stream": {Stream: "telemetry"}, "offsets": {From: 20, To: 700}, "series": {Series: "noise"},
		"time": {Since: lo.Add(100 * time.Second), Until: hi.Add(-100 * time.Second)}} {
		want, err := contentsOf(dir(path), q)
		if err != nil {
			t.Fatal(err)
		}
		if got := portable(t, p, q); !maps.Equal(got, want) || len(want) == 0 || name != "all" && name != "stream" && len(want) == len(all) {
			t.Errorf("%s: %d records, the log gives %d", name, len(got), len(want))
		}
	}

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"cut": whole[:len(whole)/2], "damaged": flipped(whole, len(whole)/2)} {
		p.Path = filepath.Join(base, name)
		if err := os.WriteFile(p.Path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := p.Verify(ctx)
		if err != nil || v.OK || v.Damage == "" {
			t.Errorf("%s: %v %+v", name, err, v)
		}
		n := uint64(0)
		err = p.Records(ctx, logtool.Selection{}, func(*api.Record) error { n++; return nil })
		records := uint64(0)
		for _, s := range v.Streams {
			records += s.Records
		}
		var bad *carry.DamageError
		if !errors.Is(err, carry.ErrCut) && !errors.As(err, &bad) || n != records || n == 0 || int(n) == len(all) {
			t.Errorf("%s: %d of %d records, %v", name, n, records, err)
		}
	}
	for _, other := range []string{segments(t, path, "telemetry")[0], filepath.Join(base, "missing")} {
		p.Path = other
		if _, err := p.Verify(ctx); err == nil {
			t.Errorf("%s passes", other)
		}
	}
}

func flipped(b []byte, at int) []byte {
	out := append([]byte(nil), b...)
	out[at] ^= 1
	return out
}

// portable is what contents is of a log.
func portable(t *testing.T, p logtool.Portable, q logtool.Selection) map[string]string {
	t.Helper()
	got, err := contentsOf(p, q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// span is the time of the first and of the last record.
func span(t *testing.T, p recorder) (lo, hi time.Time) {
	t.Helper()
	err := p.Records(context.Background(), logtool.Selection{}, func(r *api.Record) error {
		if r.Time.IsZero() {
			return nil
		}
		if lo.IsZero() || r.Time.Before(lo) {
			lo = r.Time
		}
		if r.Time.After(hi) {
			hi = r.Time
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lo, hi
}

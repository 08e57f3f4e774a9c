package logtool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 23, 5, 20, 0, 0, time.UTC)

// write makes a log of two openings and some segments each: noise, a constant, texts, and a producer's messages.
func write(t testing.TB, dir string, openings, n int) {
	t.Helper()
	writeTo(t, vfs.OS{}, dir, openings, n)
}

func writeTo(t testing.TB, disk vfs.FS, dir string, openings, n int) {
	t.Helper()
	ctx := context.Background()
	for k := range openings {
		set, err := buffer.Open(ctx, disk, dir, buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry", SegmentBytes: buffer.MinSegmentBytes}, {Name: "events"}},
			Opening: func(string) []record.Record {
				r, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 1, Clock: record.ClockBoot}, record.BootMark{
					Anchor: record.Anchor{Boot: fmt.Sprintf("boot-%d", k), UTC: start.Add(time.Duration(k) * 24 * time.Hour).UnixNano(), Source: record.SourceNTP}})
				if err != nil {
					t.Error(err)
				}
				return []record.Record{r}
			}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := set.Log("telemetry")
		if err != nil {
			t.Fatal(err)
		}
		var ids []record.SeriesID
		for _, name := range []string{"noise", "constant", "text"} {
			typ := record.TypeInt
			if name == "text" {
				typ = record.TypeString
			}
			id, err := l.Define(record.Series{Name: name, Labels: []record.Label{{Key: "id", Value: "a"}}, Type: typ})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		x := uint64(k + 1)
		for i := range n {
			x = x*6364136223846793005 + 1442695040888963407
			at := int64(i+1) * int64(time.Second)
			recs := []record.Record{
				{Kind: record.KindObservation, Series: ids[0], Type: record.TypeInt, Num: int64(x), Clock: record.ClockBoot, Time: at},
				{Kind: record.KindObservation, Series: ids[1], Type: record.TypeInt, Num: 7, Clock: record.ClockBoot, Time: at}}
			d := record.Draft{Records: recs}
			if i%10 == 0 {
				d.Records = append(d.Records, record.Record{Kind: record.KindObservation, Series: ids[2], Type: record.TypeString, Clock: record.ClockBoot, Time: at, Data: &record.Data{Value: fmt.Appendf(nil, "line %d", i)}})
				d.Producer = &record.ProducerPosition{Name: "app", Incarnation: 5, Sequence: uint64(k*n + i + 1)}
			}
			if _, err := l.Append(ctx, d); err != nil && !errors.Is(err, buffer.ErrRepeated) {
				t.Fatal(err)
			}
			if i%20 == 19 {
				if err := l.Sync(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := set.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func dir(path string) logtool.Dir { return logtool.Dir{FS: vfs.OS{}, Path: path} }

// contents is every record of a log as text, by stream, epoch and offset.
func contents(t testing.TB, path string, q logtool.Selection) map[string]string {
	t.Helper()
	out, err := contentsOf(dir(path), q)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// recorder is a log directory or a portable file.
type recorder interface {
	Records(context.Context, logtool.Selection, func(*api.Record) error) error
}

func contentsOf(d recorder, q logtool.Selection) (map[string]string, error) {
	out := map[string]string{}
	err := d.Records(context.Background(), q, func(r *api.Record) error {
		k := fmt.Sprintf("%s/%s/%d", r.Stream, r.Epoch, r.Offset)
		if r.Gap != nil {
			k = "gap " + k
		}
		if _, twice := out[k]; twice {
			return fmt.Errorf("%s comes twice", k)
		}
		out[k] = fmt.Sprintf("%s %s %s %v", r.Series, r.Value, r.Time, r.Gap)
		return nil
	})
	return out, err
}

func segments(t testing.TB, path, stream string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(path, stream, "*.seg"))
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	return list
}

func TestWholeLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, 2, 2000)
	ctx := context.Background()
	var last, total int64
	d := dir(path)
	d.Progress = func(done, of int64) { last, total = done, of }
	v, err := d.Verify(ctx, "")
	if err != nil || !v.OK || v.Records != 2*(2*2000+200+1) || len(v.Streams[0].Files)+len(v.Streams[1].Files) != 0 {
		t.Fatalf("%v %+v", err, v)
	}
	if last != total || total != 2*v.Bytes {
		t.Errorf("progress ends at %d of %d", last, total)
	}
	in, err := d.Inspect(ctx, "telemetry")
	if err != nil || len(in.Streams) != 1 {
		t.Fatal(err, in)
	}
	s := in.Streams[0]
	if s.Records != 8402 || s.Series != 3 || len(s.Epochs) != 2 || s.Epochs[1].Parent != s.Epochs[0].Epoch || len(s.Segments) < 3 || s.Durable != 8402 ||
		len(s.Producers) != 1 || s.Producers[0].Sequence != 2000+1991 || !s.First.Truncate(time.Second).Equal(start) {
		t.Errorf("%+v", s)
	}
	var bytesOf = map[string]int64{}
	size, err := d.Size(ctx, "", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, x := range size.Series {
		bytesOf[x.Series] += x.Bytes
		sum += x.Bytes
	}
	if b := size.Streams[1].BodyBytes; sum < b-10 || sum > b+10 || len(size.Days) != 2 || bytesOf[`noise{id="a"}`] < 5*bytesOf[`constant{id="a"}`] {
		t.Errorf("shares add up to %d of %d: %+v", sum, b, size)
	}
	all := contents(t, path, logtool.Selection{})
	if len(all) != 8402 {
		t.Errorf("%d records", len(all))
	}
	for _, x := range []struct {
		q    logtool.Selection
		want int
	}{
		{logtool.Selection{From: 100, To: 150}, 50},
		{logtool.Selection{Series: "noise", From: 1, To: 11}, 5},
		{logtool.Selection{Since: start.Add(10 * time.Second), Until: start.Add(20 * time.Second), Series: "constant"}, 10},
		{logtool.Selection{Stream: "telemetry", Since: start.Add(24 * time.Hour)}, 4201},
	} {
		if n := len(contents(t, path, x.q)); n != x.want {
			t.Errorf("%+v: %d records, want %d", x.q, n, x.want)
		}
	}
	if _, err := d.Verify(ctx, "nothing"); !errors.Is(err, buffer.ErrNoStream) {
		t.Error(err)
	}
}

// TestEveryFlipIsFound flips a bit at places all over a sealed segment: verify names the file, and no record changes.
func TestEveryFlipIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, 2, 400)
	files := segments(t, path, "telemetry")
	whole := contents(t, path, logtool.Selection{})
	for _, file := range []string{files[0], files[len(files)-1]} {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(good); at += max(len(good)/60, 1) {
			bad := bytes.Clone(good)
			bad[at] ^= 0x10
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			v, err := dir(path).Verify(context.Background(), "telemetry")
			if err != nil {
				t.Fatal(err)
			}
			if s := v.Streams[0]; v.OK || len(s.Files) != 1 || !strings.HasSuffix(file, filepath.Base(s.Files[0].File)) || len(s.Files[0].Faults) == 0 || s.Files[0].Faults[0].Pos > int64(at) {
				t.Fatalf("byte %d of %s flipped: %+v", at, filepath.Base(file), s)
			}
			for k, r := range contents(t, path, logtool.Selection{}) {
				if !strings.HasPrefix(k, "gap ") && whole[k] != r {
					t.Fatalf("byte %d: %s is %q, was %q", at, k, r, whole[k])
				}
			}
		}
		if err := os.WriteFile(file, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A missing file, of which a later one bears witness.
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	v, err := dir(path).Verify(context.Background(), "telemetry")
	if err != nil || v.OK || len(v.Streams[0].Gaps) != 1 || v.Streams[0].Gaps[0].Known {
		t.Errorf("missing file: %v %+v", err, v)
	}
}

func TestSalvage(t *testing.T) {
	base := t.TempDir()
	path := filepath.Join(base, "log")
	write(t, path, 2, 2000)
	whole := contents(t, path, logtool.Selection{})
	files := segments(t, path, "telemetry")
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			clear(b[4096:8192])
		case 1:
			clear(b[:2048]) // the header and its copy
		}
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(files[3]); err != nil {
		t.Fatal(err)
	}
	damaged := contents(t, path, logtool.Selection{})
	dst := filepath.Join(base, "new")
	r, err := dir(path).Salvage(context.Background(), dst)
	if err != nil || r.Lost == 0 {
		t.Fatal(err, r)
	}
	saved := contents(t, dst, logtool.Selection{})
	records := uint64(0)
	for k, x := range saved {
		if strings.HasPrefix(k, "gap ") {
			continue
		}
		records++
		if whole[k] != x {
			t.Fatalf("%s is %q, was %q", k, x, whole[k])
		}
	}
	for k, x := range damaged {
		if saved[k] != x {
			t.Fatalf("%s: saved %q of %q", k, saved[k], x)
		}
	}
	if records+r.Lost != uint64(len(whole)) {
		t.Errorf("%d saved and %d lost of %d", records, r.Lost, len(whole))
	}
	v, err := dir(dst).Verify(context.Background(), "")
	if err != nil || !v.OK || v.Records != records {
		t.Errorf("%v %+v", err, v)
	}
	// The agent goes on with it: a new epoch, whose parent is the last one; a message that was taken stays taken.
	write(t, dst, 1, 20)
	in, err := dir(dst).Inspect(context.Background(), "telemetry")
	if err != nil {
		t.Fatal(err)
	}
	s := in.Streams[0]
	if n := len(s.Epochs); n != 3 || s.Epochs[2].Parent != s.Epochs[1].Epoch || s.Epochs[2].First != s.Epochs[1].End || s.Producers[0].Sequence != 3991 {
		t.Errorf("%+v %+v", s.Epochs, s.Producers)
	}
	if _, err := dir(path).Salvage(context.Background(), dst); !errors.Is(err, vfs.ErrExist) {
		t.Errorf("into an existing directory: %v", err)
	}
}

// TestExport: what leaves the box are its records, chains and all, also from a damaged log and where the definitions
// do not fit one frame.
func TestExport(t *testing.T) {
	base := t.TempDir()
	path := filepath.Join(base, "log")
	write(t, path, 2, 500)
	ctx := context.Background()
	set, err := buffer.Open(ctx, vfs.OS{}, path, buffer.Options{Streams: []buffer.StreamOptions{{Name: "events"}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := set.Log("events")
	if err != nil {
		t.Fatal(err)
	}
	var recs []record.Record
	for i := range 900 { // about 130 KiB of definitions in one batch
		id, err := l.Define(record.Series{Name: "x", Labels: []record.Label{{Key: "id", Value: fmt.Sprint(i, strings.Repeat("y", 130))}}, Type: record.TypeInt})
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, record.Record{Kind: record.KindObservation, Series: id, Type: record.TypeInt, Num: int64(i), Clock: record.ClockApp, Time: start.UnixNano()})
	}
	_, err = l.Append(ctx, record.Draft{Records: recs})
	if err = errors.Join(err, set.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "box.edge")
	d := dir(path)
	o := logtool.ExportOptions{Device: "box-17", Program: "test", Now: start}
	r, err := d.Export(ctx, file, o)
	if err != nil || !r.Remembered {
		t.Fatal(err, r)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := carry.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	check := newChecker(t)
	for {
		m, err := c.Next()
		if err != nil {
			if st, _ := f.Stat(); err.Error() != "EOF" || c.Pos() != st.Size() || r.Bytes != st.Size() {
				t.Fatal(err)
			}
			break
		}
		check.message(m)
	}
	if check.records != 2*(1000+50+1)+900 || check.frames["events"] < 2 {
		t.Errorf("%d records, %v frames", check.records, check.frames)
	}
	if _, err := d.Export(ctx, file, o); !errors.Is(err, vfs.ErrExist) {
		t.Errorf("over an existing file: %v", err)
	}
	o.Device = "a/b"
	if _, err := d.Export(ctx, file+"2", o); err == nil {
		t.Error("a device that no topic can name")
	}
}

// checker is a hub of a few lines: chains, definitions, order.
type checker struct {
	t       *testing.T
	dec     record.Decoder
	next    map[record.Epoch]record.Offset
	chain   map[record.Epoch]uint64
	defined map[record.Epoch]map[record.SeriesID]bool
	frames  map[string]int
	records int
}

func newChecker(t *testing.T) *checker {
	return &checker{t: t, next: map[record.Epoch]record.Offset{}, chain: map[record.Epoch]uint64{}, defined: map[record.Epoch]map[record.SeriesID]bool{}, frames: map[string]int{}}
}

func (c *checker) message(m wire.Message) {
	d, ok := m.(*wire.Data)
	if !ok {
		return
	}
	c.frames[d.Stream]++
	if c.defined[d.Epoch] == nil {
		c.defined[d.Epoch] = map[record.SeriesID]bool{}
		c.next[d.Epoch], c.chain[d.Epoch] = d.First, d.ChainBase
	}
	recs, end, err := c.dec.DecodeChain(nil, d.ChainBase, d.Codec, d.RawLen, d.Count, d.Body)
	if err != nil || end != d.ChainEnd || d.Base != c.next[d.Epoch] || d.ChainBase != c.chain[d.Epoch] {
		c.t.Fatalf("frame at %d: %v", d.Base, err)
	}
	for _, def := range d.Definitions {
		c.defined[d.Epoch][def.ID] = true
	}
	for i := range recs {
		if id := recs[i].Series; id != 0 && !c.defined[d.Epoch][id] {
			c.t.Fatalf("series %d is not defined at %d", id, d.Base)
		}
	}
	c.records += len(recs)
	c.next[d.Epoch], c.chain[d.Epoch] = d.Base+record.Offset(d.Count), d.ChainEnd
}

// TestEncrypted: with the key everything works; without it checksums are verified, nothing is lost, and it is said.
func TestEncrypted(t *testing.T) {
	base := t.TempDir()
	path := filepath.Join(base, "log")
	ctx := context.Background()
	key := buffer.Key{1, 2, 3}
	set, err := buffer.Open(ctx, vfs.OS{}, path, buffer.Options{Keys: buffer.Keys{Current: &key}, Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := set.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	id, err := l.Define(record.Series{Name: "secret", Type: record.TypeInt})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		_, err = l.Append(ctx, record.Draft{Records: []record.Record{{Kind: record.KindObservation, Series: id, Type: record.TypeInt, Num: int64(i), Clock: record.ClockApp, Time: start.UnixNano()}}})
		if err = errors.Join(err, l.Sync(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	with := logtool.Dir{FS: vfs.OS{}, Path: path, Keys: buffer.Keys{Current: &key}}
	if v, err := with.Verify(ctx, ""); err != nil || !v.OK || v.Records != 50 {
		t.Errorf("%v %+v", err, v)
	}
	v, err := dir(path).Verify(ctx, "")
	if err != nil || !v.OK || v.Records != 0 || len(v.Streams[0].Files) != 1 || !strings.Contains(v.Streams[0].Files[0].Held, "content was not") {
		t.Errorf("%v %+v", err, v)
	}
	dst := filepath.Join(base, "new")
	if _, err := with.Salvage(ctx, dst); err != nil {
		t.Fatal(err)
	}
	if v, err := (logtool.Dir{FS: vfs.OS{}, Path: dst, Keys: with.Keys}).Verify(ctx, ""); err != nil || !v.OK || v.Records != 50 {
		t.Errorf("%v %+v", err, v)
	}
	raw, err := os.ReadFile(segments(t, dst, "telemetry")[0])
	if err != nil || bytes.Contains(raw, []byte("secret")) {
		t.Errorf("what is salvaged of an encrypted log is not encrypted: %v", err)
	}
	blind := filepath.Join(base, "blind")
	r, err := dir(path).Salvage(ctx, blind)
	if err != nil || len(r.Streams[0].Held) != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	if v, err := (logtool.Dir{FS: vfs.OS{}, Path: blind, Keys: with.Keys}).Verify(ctx, ""); err != nil || !v.OK || v.Records != 50 {
		t.Errorf("copied without the key: %v %+v", err, v)
	}
	x, err := dir(path).Export(ctx, filepath.Join(base, "x.edge"), logtool.ExportOptions{Device: "box-17", Now: start})
	if err != nil || x.Streams[0].Held == "" {
		t.Errorf("export without the key: %v %+v", err, x)
	}
}

func TestErase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, 2, 2000)
	ctx := context.Background()
	d := dir(path)
	before := contents(t, path, logtool.Selection{})
	if _, err := d.PlanErase(ctx, logtool.Erasure{Stream: "telemetry", From: 5, To: 6}); !errors.Is(err, logtool.ErrNothing) {
		t.Errorf("within a segment: %v", err)
	}
	all, err := d.PlanErase(ctx, logtool.Erasure{Stream: "telemetry", From: 0, To: 0})
	if err != nil || all.Records != 8402 || all.Undelivered != 8402 {
		t.Fatal(err, all)
	}
	plan, err := d.PlanErase(ctx, logtool.Erasure{Stream: "telemetry", From: all.Segments[1].From, To: all.Segments[len(all.Segments)-1].From})
	if err != nil || len(plan.Segments) != len(all.Segments)-2 {
		t.Fatal(err, plan)
	}
	set, err := buffer.Open(ctx, vfs.OS{}, path, buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Erase(ctx, plan); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("under an agent: %v", err)
	}
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Erase(ctx, plan); err != nil {
		t.Fatal(err)
	}
	for _, s := range plan.Segments {
		if _, err := os.Stat(filepath.Join(path, "telemetry", s.File)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", s.File, err)
		}
	}
	left, gone := contents(t, path, logtool.Selection{}), uint64(0)
	for k, x := range left {
		if strings.HasPrefix(k, "gap ") {
			if !strings.Contains(x, "erased") {
				t.Errorf("%s: %s", k, x)
			}
			continue
		}
		if before[k] != x {
			t.Errorf("%s is %q, was %q", k, x, before[k])
		}
		gone++
	}
	if gone+plan.Records != 8402 {
		t.Errorf("%d left and %d erased of 8402", gone, plan.Records)
	}
	if v, err := d.Verify(ctx, ""); err != nil || !v.OK {
		t.Errorf("%v %+v", err, v)
	}
	// Everything, the newest segment included.
	if all, err = d.PlanErase(ctx, logtool.Erasure{Stream: "telemetry", From: 0, To: 0}); err != nil {
		t.Fatal(err)
	}
	if err := d.Erase(ctx, all); err != nil {
		t.Fatal(err)
	}
	if v, err := d.Verify(ctx, "telemetry"); err != nil || !v.OK || v.Records != 0 {
		t.Errorf("%v %+v", err, v)
	}
}

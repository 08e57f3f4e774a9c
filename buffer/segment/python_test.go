package segment_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// unzstd tells this test binary to be the zstd command that the independent reader calls: FORMAT.md leaves zstd to
// RFC 8878.
const unzstd = "EDGELOG_TEST_UNZSTD"

func TestMain(m *testing.M) {
	if os.Getenv(unzstd) == "" {
		os.Exit(m.Run())
	}
	z, err := zstd.NewReader(os.Stdin)
	if err == nil {
		_, err = io.Copy(os.Stdout, z)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// box writes a real log directory piece by piece.
type box struct {
	t    *testing.T
	dir  string
	set  *buffer.Set
	log  *buffer.Log
	ids  []record.SeriesID
	rng  *rand.Rand
	seq  uint64
	boot int
}

func (b *box) open() {
	b.t.Helper()
	var err error
	b.boot++
	b.set, err = buffer.Open(context.Background(), vfs.OS{}, b.dir, buffer.Options{
		Streams: []buffer.StreamOptions{{Name: "telemetry", SegmentBytes: 16 << 10, MaxBytes: 512 << 10}},
		Opening: func(string) []record.Record {
			m, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 1, Clock: record.ClockBoot},
				record.BootMark{Anchor: record.Anchor{Boot: fmt.Sprint("boot-", b.boot), UTC: 1e18, Source: record.SourceNTP}})
			if err != nil {
				return nil
			}
			return []record.Record{m}
		}})
	if err != nil {
		b.t.Fatal(err)
	}
	if b.log, err = b.set.Log("telemetry"); err != nil {
		b.t.Fatal(err)
	}
	b.ids = b.ids[:0]
	for _, s := range []record.Series{
		{Name: "temperature", Unit: "Cel", Type: record.Decimal(4), Labels: []record.Label{{Key: "rom", Value: "28-0316a2"}}},
		{Name: "load", Type: record.TypeFloat}, {Name: "door", Type: record.TypeBool}, {Name: "text", Type: record.TypeString}} {
		id, err := b.log.Define(s)
		if err != nil {
			b.t.Fatal(err)
		}
		b.ids = append(b.ids, id)
	}
}

// fill commits n batches of every kind of value, some as messages of a producer.
func (b *box) fill(n int) {
	b.t.Helper()
	for i := range n {
		var d record.Draft
		for j := range 100 + b.rng.IntN(900) {
			r := record.Record{Kind: record.KindObservation, Clock: record.ClockBoot, Time: int64(i*1000+j) * 1e6, Series: b.ids[j%4]}
			switch j % 4 {
			case 0:
				r.Type, r.Num = record.Decimal(4), 210000+625*b.rng.Int64N(9)
			case 1:
				r.Float(b.rng.NormFloat64())
			case 2:
				r.Type, r.Num = record.TypeBool, b.rng.Int64N(2)
			default:
				r.Type, r.Data = record.TypeString, &record.Data{}
				if i%6 == 1 { // text enough for zstd
					r.Data.Value = []byte(strings.Repeat("the door was opened; ", b.rng.IntN(4)))
				}
				if i%6 < 2 && j%3 == 0 {
					r.Quality, r.Data.Detail = record.QualityMalformed, []byte{1, 2, byte(j)}
				}
			}
			d.Records = append(d.Records, r)
		}
		if i%3 == 0 {
			b.seq++
			d.Producer = &record.ProducerPosition{Name: "node-1", Incarnation: 77, Sequence: b.seq}
		}
		if _, err := b.log.Append(context.Background(), d); err != nil {
			b.t.Fatal(err)
		}
		if err := b.log.Sync(context.Background()); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *box) close() {
	b.t.Helper()
	if err := b.set.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// expected is what the Go code reads from the directory, in the words of read.py.
func expected(t *testing.T, dir string) []string {
	t.Helper()
	s, err := buffer.OpenReadOnly(context.Background(), vfs.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	from, chain, last := record.Offset(0), uint64(0), record.Batch{}
	flush := func() {
		if last.Count > 0 {
			out = append(out, fmt.Sprintf("records %s %d %d %016x %016x", last.Epoch, from, last.Range().To, chain, last.ChainEnd))
		}
		last = record.Batch{}
	}
	r := l.Read(0)
	defer r.Close()
	for {
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if it.Gap != nil {
			flush()
			out = append(out, fmt.Sprintf("gap %s %d %d %d", it.Gap.Epoch, it.Gap.From, it.Gap.To, it.Gap.Reason))
			continue
		}
		if last.Count == 0 || last.Epoch != it.Batch.Epoch || last.Range().To != it.Batch.Base {
			flush()
			from, chain = it.Batch.Base, it.Batch.ChainBase
		}
		last = it.Batch
	}
	flush()
	var defs []string
	for _, e := range l.Epochs() {
		for _, d := range l.Definitions(e.Epoch) {
			line := fmt.Sprintf("series %s %d %d %s %s", e.Epoch, d.ID, d.Series.Type, d.Series.Name, d.Series.Unit)
			for _, l := range d.Series.Labels {
				line += " " + l.Key + "=" + l.Value
			}
			defs = append(defs, line)
		}
	}
	slices.Sort(defs)
	out = append(out, defs...)
	out = append(out, fmt.Sprintf("delivered %d", l.Delivered()))
	for _, o := range l.Owed() {
		out = append(out, fmt.Sprintf("owed %d %d %d", o.From, o.To, o.Reason))
	}
	c, err := l.Cursor("kafka")
	if err != nil {
		t.Fatal(err)
	}
	if c.Position() > 0 {
		out = append(out, fmt.Sprintf("cursor kafka %d", c.Position()))
	}
	if p, ok := s.Producer("node-1", 77); ok {
		out = append(out, fmt.Sprintf("producer node-1 %d %d", p.Incarnation, p.Sequence))
	}
	return out
}

func python(t *testing.T, dir string) []string {
	t.Helper()
	cmd := exec.Command("python3", "testdata/read.py", "--zstd", os.Args[0], filepath.Join(dir, "telemetry"))
	cmd.Env = append(os.Environ(), unzstd+"=1", "GORACE=atexit_sleep_ms=0") // it is started for each body
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3 testdata/read.py (this test needs python3): %v\n%s", err, &stderr)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func agree(t *testing.T, dir string) {
	t.Helper()
	want, got := expected(t, dir), python(t, dir)
	if !slices.Equal(want, got) {
		t.Fatalf("the independent reader found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// snapshot copies the directory as it is now: what a box without power holds.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(dir + "/telemetry/*.seg")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// change overwrites bytes of a file.
func change(t *testing.T, path string, at func(size int) (from, to int)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	from, to := at(len(b))
	for i := from; i < to; i++ {
		b[i] ^= 0x55
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPythonReader reads what the Go code wrote with the independent reader written from FORMAT.md: several epochs and
// segments, a stated gap, all kinds of values, an unsealed segment, and damage of every kind that the page speaks of.
func TestPythonReader(t *testing.T) {
	b := &box{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(1, 7))}
	b.open()
	b.fill(12)
	c, err := b.log.Cursor("kafka")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(100); err != nil {
		t.Fatal(err)
	}
	b.log.SetDelivered(55, record.Owed{Range: record.Range{From: 20, To: 23}, Reason: record.ReasonRetention},
		record.Owed{Range: record.Range{From: 54, To: 60}, Reason: record.ReasonSeveral})
	b.fill(3)
	active := snapshot(t, b.dir)
	b.close()
	b.open()
	b.fill(5)
	if err := b.log.DeclareGap(context.Background(), record.Range{From: 340, To: 360}, record.ReasonUnsendable); err != nil {
		t.Fatal(err)
	}
	b.fill(4)
	late := snapshot(t, b.dir)
	b.close()

	t.Run("sealed", func(t *testing.T) { agree(t, b.dir) })
	t.Run("active", func(t *testing.T) { agree(t, active) })
	t.Run("active with gap", func(t *testing.T) { agree(t, late) })
	for name, at := range map[string]func(size int) (int, int){
		"header":   func(int) (int, int) { return 30, 31 },
		"a bit":    func(n int) (int, int) { return n / 2, n/2 + 1 },
		"a page":   func(n int) (int, int) { p := n / 2 &^ 4095; return p, p + 4096 },
		"trailer":  func(n int) (int, int) { return n - 3, n - 2 },
		"the tail": func(n int) (int, int) { return n - 3000, n },
	} {
		t.Run("damaged "+name, func(t *testing.T) {
			for i := range segments(t, b.dir) {
				dir := snapshot(t, b.dir)
				change(t, segments(t, dir)[i], at)
				agree(t, dir)
			}
		})
	}
	t.Run("torn", func(t *testing.T) {
		dir := snapshot(t, active)
		list := segments(t, dir)
		fi, err := os.Stat(list[len(list)-1])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(list[len(list)-1], fi.Size()/3); err != nil {
			t.Fatal(err)
		}
		agree(t, dir)
	})
}

// TestPythonReaderWithoutAHeader: of the last epoch there is only the end of its last segment.
func TestPythonReaderWithoutAHeader(t *testing.T) {
	b := &box{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(5, 7))}
	b.open()
	b.fill(3)
	b.close()
	b.open()
	old := len(segments(t, b.dir))
	for len(segments(t, b.dir)) < old+2 {
		b.fill(1)
	}
	b.fill(2)
	dir := snapshot(t, b.dir)
	b.close()
	list := segments(t, dir)
	for _, p := range list[old : len(list)-1] {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	change(t, list[len(list)-1], func(int) (int, int) { return 0, 3000 })
	if found := expected(t, dir); !strings.HasPrefix(found[0], "records ") || !strings.HasPrefix(found[1], "gap ") || !strings.HasPrefix(found[2], "records ") {
		t.Fatal(strings.Join(found, "\n"))
	}
	agree(t, dir)
}

// moves lets the hub contradict the epoch of this opening and then one of an earlier opening, each in the middle of
// what stands around a gap, and returns the directory before, between and after.
func moves(t *testing.T) []string {
	b := &box{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(3, 9))}
	b.open()
	b.fill(3)
	b.close()
	b.open()
	b.fill(12)
	c, err := b.log.Cursor("kafka")
	if err == nil {
		err = c.Commit(100)
	}
	list := b.log.Epochs()
	old, now := list[0], list[len(list)-1]
	for _, e := range []buffer.EpochInfo{old, now} {
		mid := e.First + 2*(e.End-e.First)/3
		err = errors.Join(err, b.log.DeclareGap(context.Background(), record.Range{From: mid, To: mid + 5}, record.ReasonUnsendable))
	}
	if err != nil {
		t.Fatal(err)
	}
	out := []string{snapshot(t, b.dir)}
	for _, e := range []buffer.EpochInfo{now, old} {
		if err := b.log.CloseEpoch(context.Background(), e.Epoch, e.First+(e.End-e.First)/3); err != nil {
			t.Fatal(err)
		}
		out = append(out, snapshot(t, b.dir))
		b.fill(1)
	}
	out = append(out, snapshot(t, b.dir)) // the whole of the newest epoch is moved, too
	if list = b.log.Epochs(); !list[len(list)-1].Current {
		t.Fatalf("%+v", list)
	}
	if err := b.log.CloseEpoch(context.Background(), list[len(list)-1].Epoch, 0); err != nil {
		t.Fatal(err)
	}
	out = append(out, snapshot(t, b.dir))
	b.fill(1)
	b.close()
	return append(out, snapshot(t, b.dir))
}

// TestPythonReaderOfMovedEpochs: both readers see the same after a move, and after one that was cut off before or behind
// the header that makes it count.
func TestPythonReaderOfMovedEpochs(t *testing.T) {
	dirs := moves(t)
	for i, dir := range dirs {
		t.Run(fmt.Sprint("moves ", i), func(t *testing.T) { agree(t, dir) })
	}
	for _, i := range []int{0, 1, 3} {
		before, after := dirs[i], dirs[i+1]
		made := map[string]bool{}
		for _, p := range segments(t, after) {
			made[filepath.Base(p)] = true
		}
		kept := snapshot(t, after)
		var gone []string
		for _, p := range segments(t, before) {
			name := filepath.Base(p)
			if made[name] {
				delete(made, name)
				continue
			}
			gone = append(gone, name)
			place(t, p, kept)
		}
		t.Run(fmt.Sprint("old files kept ", i), func(t *testing.T) { agree(t, kept) })
		// The segment that made the move count is the one of the epoch that goes on; the others are its moved records.
		cut := snapshot(t, before)
		going := strings.Split(lastWritten(t, after), "-")[1]
		moved := 0
		for name := range made {
			if strings.Contains(name, going) {
				continue
			}
			moved++
			place(t, filepath.Join(after, "telemetry", name), cut)
		}
		if moved == 0 {
			t.Fatal("nothing was moved")
		}
		t.Run(fmt.Sprint("not finished ", i), func(t *testing.T) { agree(t, cut) })
		if i == 1 {
			continue // nothing was removed
		}
		if len(gone) == 0 {
			t.Fatal("no old segment was removed")
		}
		for _, name := range gone {
			if err := os.Remove(filepath.Join(cut, "telemetry", name)); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(fmt.Sprint("header that counts lost ", i), func(t *testing.T) { agree(t, cut) })
	}
}

// place copies a segment file into the stream's directory in dir.
func place(t *testing.T, path, dir string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "telemetry", filepath.Base(path)), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// lastWritten is the name of the segment of the newest opening.
func lastWritten(t *testing.T, dir string) string {
	t.Helper()
	var best string
	var opening uint64
	var seq uint32
	for _, p := range segments(t, dir) {
		f, err := vfs.OS{}.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		c, err := segment.Peek(f, p)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if h := c.Header; h.Opening > opening || h.Opening == opening && h.Seq >= seq {
			best, opening, seq = filepath.Base(p), h.Opening, h.Seq
		}
	}
	return best
}

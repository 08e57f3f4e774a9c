package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/pipeline"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// patience is how long a condition is waited for on a busy machine.
const patience = 2 * time.Minute

// machine is a disk with an open log of two streams, whose commits run.
type machine struct {
	t       testing.TB
	fs      *vfs.Mem
	set     *buffer.Set
	in, out *buffer.Log
	ids     []record.SeriesID
	stop    context.CancelFunc
	ran     sync.WaitGroup
	now     int64 // boot time of the last reading
}

const stateFile = "pipelines/w.state"

// open opens the log, with a boot mark of a machine that has been up for now.
func open(t testing.TB, fs *vfs.Mem, now int64, streams ...buffer.StreamOptions) *machine {
	t.Helper()
	if len(streams) == 0 {
		streams = []buffer.StreamOptions{{Name: "telemetry", MaxBytes: 1 << 20, SegmentBytes: 16 << 10}, {Name: "rollups", MaxBytes: 4 << 20}}
	}
	m := &machine{t: t, fs: fs, now: now}
	for _, err := range []error{fs.MkdirAll("log"), fs.MkdirAll("pipelines"), fs.SyncDir(".")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	m.set, err = buffer.Open(context.Background(), fs, "log", buffer.Options{Streams: streams, Opening: func(string) []record.Record {
		return []record.Record{boot("boot-1", m.now, t0+m.now, record.SourceNTP)}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if m.in, err = m.set.Log("telemetry"); err == nil {
		m.out, err = m.set.Log("rollups")
	}
	for _, s := range rooms {
		id, err2 := m.in.Define(s)
		m.ids, err = append(m.ids, id), errors.Join(err, err2)
	}
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, m.stop = context.WithCancel(context.Background())
	m.ran.Go(func() { _ = m.set.Run(ctx) }) // a disk that was stopped cannot commit
	return m
}

func (m *machine) close() {
	m.t.Helper()
	m.stop()
	m.ran.Wait()
	if err := m.set.Close(); err != nil && !m.fs.Stopped() {
		m.t.Error(err)
	}
}

// feed appends n random readings, in drafts of up to ten.
func (m *machine) feed(r *rand.Rand, n int) {
	m.t.Helper()
	for n > 0 {
		k := min(n, 1+r.IntN(10))
		n -= k
		var d record.Draft
		for range k {
			m.now += int64(r.IntN(1500)) * 1e6
			x := at(record.SeriesID(1+r.IntN(5)), 0, int64(r.IntN(2000)))
			x.Time, x.Series = m.now, m.ids[x.Series-1]
			d.Records = append(d.Records, x)
		}
		if _, err := m.in.Append(context.Background(), d); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := m.in.Sync(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

func windows() pipeline.Definition {
	return pipeline.Definition{Name: "w", From: "telemetry", To: "rollups", Earliest: true,
		Window: &pipeline.Window{Size: 20 * time.Second, Every: 10 * time.Second, Late: time.Second, Compute: []pipeline.Compute{pipeline.Mean, pipeline.Count}}}
}

func limits() pipeline.Definition {
	limit := 100.0
	return pipeline.Definition{Name: "w", From: "telemetry", To: "rollups", Earliest: true, Series: "temperature", Alarm: &pipeline.Alarm{Above: &limit, Severity: "warning"}}
}

// work runs a pipeline until it has read everything, and returns how it began and its status.
func (m *machine) work(d pipeline.Definition, every time.Duration) (how pipeline.Beginning, s pipeline.Status) {
	m.t.Helper()
	how = -1
	r := pipeline.NewRunner(pipeline.Options{Definition: d, In: m.in, Out: m.out, FS: m.fs, Dir: "pipelines", Random: rand.Uint64, Every: every,
		Events: pipeline.Events{Began: func(h pipeline.Beginning, _ string) { how = h }}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	end := time.Now().Add(patience)
	for s = r.Status(); s.Next < m.in.Info().Durable || s.Beginning == 0 && s.Next == 0; s = r.Status() {
		if time.Now().After(end) {
			m.t.Fatalf("the pipeline does not come to its end: %+v", s)
		}
		if m.fs.Stopped() {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	cancel()
	if err := <-done; err != nil {
		m.t.Fatal(err)
	}
	return how, r.Status()
}

// results are what stands in the output of the pipeline, in its order.
func (m *machine) results() (lines []string) {
	m.t.Helper()
	entries, err := buffertest.ReadAll(m.out)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Gap != nil || e.Record.Kind != record.KindObservation {
			continue
		}
		s, _ := m.out.Series(e.Epoch, e.Record.Series)
		lines = append(lines, line(&pipeline.Result{Series: &s, Record: e.Record}))
	}
	return lines
}

// expected is what the pure core makes of the whole input.
func (m *machine) expected(d pipeline.Definition) (lines []string) {
	m.t.Helper()
	entries, err := buffertest.ReadAll(m.in)
	if err != nil {
		m.t.Fatal(err)
	}
	c := pipeline.NewCore(d, m.in.Series)
	for _, e := range entries {
		if e.Gap != nil {
			c.Gap(e.Gap.To)
			continue
		}
		c.Enter(e.Epoch)
		c.Record(&e.Record)
		for _, x := range c.Messages() {
			for i := range x.Results {
				lines = append(lines, line(&x.Results[i]))
			}
		}
	}
	return lines
}

// twice is the first window that stands in the output more than once.
func twice(lines []string) string {
	if len(lines) > 0 && strings.Contains(lines[0], ".alarm{") {
		return ""
	}
	seen := map[string]string{}
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		if old, ok := seen[f[0]+f[1]]; ok {
			return old + "\n" + l
		}
		seen[f[0]+f[1]] = l
	}
	return ""
}

// TestPowerCuts cuts the power after every operation on the disk of a box that takes readings, computes, saves
// checkpoints and is restarted. Whatever is left: after the next start each result is in the output exactly once.
func TestPowerCuts(t *testing.T) {
	for name, d := range map[string]pipeline.Definition{"windows": windows(), "alarms": limits()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(7, 7))
			var cuts []*vfs.Mem
			fs := vfs.NewMem()
			var m *machine
			fs.OnOp(func(op vfs.Op) {
				keep := []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom}[len(cuts)%3]
				cuts = append(cuts, fs.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(uint64(op.N), 5))}))
			})
			now := int64(0)
			for range 3 {
				m = open(t, fs, now)
				for range 4 {
					m.feed(r, 40)
					m.work(d, time.Nanosecond)
				}
				now = m.now + 5*second
				m.close()
			}
			fs.OnOp(nil)
			if len(cuts) < 200 {
				t.Fatalf("only %d power cuts", len(cuts))
			}
			for i, c := range cuts {
				what := fmt.Sprintf("power cut %d of %d", i, len(cuts))
				m := open(t, c, now)
				m.feed(rand.New(rand.NewPCG(uint64(i), 1)), 30)
				if i%2 == 0 { // cut a second time, while it catches up
					again := int64(i)%17 + 1
					c.StopAfter(again)
					m.work(d, time.Nanosecond)
					left := c.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(uint64(i), 9))})
					m.stop()
					m.ran.Wait()
					_ = m.set.Close()
					now2 := m.now + second
					m = open(t, left, now2)
				}
				_, s := m.work(d, time.Hour)
				got, want := m.results(), m.expected(d)
				if strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Fatalf("%s: %+v\n%s", what, s, firstDifference(got, want))
				}
				if len(want) == 0 {
					t.Fatal(what, "nothing was computed")
				}
				m.close()
			}
		})
	}
}

// put writes a file, or removes it where b is nil.
func put(t *testing.T, fs *vfs.Mem, name string, b []byte) {
	t.Helper()
	err := fs.Remove(name)
	if b != nil {
		err = vfs.WriteFileAtomic(fs, name, b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, fs *vfs.Mem, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fs, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// past is a box that has computed twice; early is its checkpoint after the first time, cut the disk before the second.
func past(t *testing.T, d pipeline.Definition) (m *machine, early []byte, cut *vfs.Mem) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 3))
	m = open(t, vfs.NewMem(), 0)
	m.feed(r, 200)
	m.work(d, time.Hour)
	early = get(t, m.fs, stateFile)
	m.feed(r, 200)
	cut = m.fs.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
	m.work(d, time.Hour)
	return m, early, cut
}

// TestTheCheckCanFail breaks the two rules on which everything rests, from outside, and sees that the comparison of
// TestPowerCuts notices.
func TestTheCheckCanFail(t *testing.T) {
	d := windows()
	t.Run("a checkpoint before its results", func(t *testing.T) {
		m, _, cut := past(t, d)
		late, now := get(t, m.fs, stateFile), m.now
		m.close()
		put(t, cut, stateFile, late)
		m = open(t, cut, now)
		defer m.close()
		m.feed(rand.New(rand.NewPCG(1, 1)), 100)
		if how, _ := m.work(d, time.Hour); how != pipeline.BeganResumed {
			t.Fatal(how)
		}
		if got, want := m.results(), m.expected(d); len(got) >= len(want) {
			t.Errorf("%d results of %d: nothing is missing", len(got), len(want))
		}
	})
	t.Run("messages with other numbers", func(t *testing.T) {
		m, early, _ := past(t, d)
		put(t, m.fs, stateFile, pipeline.Renamed(early, d))
		defer m.close()
		m.feed(rand.New(rand.NewPCG(1, 1)), 100)
		if how, _ := m.work(d, time.Hour); how != pipeline.BeganResumed {
			t.Fatal(how)
		}
		if twice(m.results()) == "" {
			t.Error("nothing is there twice")
		}
	})
}

// TestLostCheckpoint: without its checkpoint a pipeline goes on behind its last result. Nothing is written twice, and
// what is not whole says so.
func TestLostCheckpoint(t *testing.T) {
	for name, b := range map[string][]byte{"gone": nil, "damaged": []byte("EPL1 and something else"), "short": []byte("E")} {
		for kind, d := range map[string]pipeline.Definition{"windows": windows(), "alarms": limits()} {
			t.Run(name+" "+kind, func(t *testing.T) {
				m, _, _ := past(t, d)
				before := len(m.results())
				put(t, m.fs, stateFile, b)
				m.feed(rand.New(rand.NewPCG(1, 1)), 200)
				how, s := m.work(d, time.Hour)
				defer m.close()
				got, want := m.results(), m.expected(d)
				if how != pipeline.BeganBehind || s.Repeated > 0 || len(got) <= before {
					t.Errorf("began %d, %+v, %d results of %d", how, s, len(got), before)
				}
				if l := twice(got); l != "" {
					t.Errorf("twice: %s", l)
				}
				if d.Alarm != nil && strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Error(firstDifference(got, want))
				}
				if last := want[len(want)-1]; !strings.Contains(strings.Join(got, "\n")+"\n", last+"\n") {
					t.Errorf("%s is not there", last)
				}
				for _, l := range got {
					if !strings.Contains(strings.Join(want, "\n")+"\n", l+"\n") && !strings.Contains(l, "start") {
						t.Errorf("%s is another result and does not say so", l)
					}
				}
			})
		}
	}
}

// TestInputGoneBeforeTheReplay: after a crash the records between checkpoint and last result are gone, so that they cannot
// be computed again. What was written is not written again all the same.
func TestInputGoneBeforeTheReplay(t *testing.T) {
	for kind, d := range map[string]pipeline.Definition{"windows": windows(), "alarms": limits()} {
		for _, length := range []record.Offset{20, 150, 230} {
			t.Run(fmt.Sprint(kind, " ", length), func(t *testing.T) {
				m, early, _ := past(t, d)
				defer m.close()
				before := m.results()
				put(t, m.fs, stateFile, early)
				m.feed(rand.New(rand.NewPCG(1, 1)), 200)
				if err := m.in.DeclareGap(context.Background(), record.Range{From: 205, To: 205 + length}, record.ReasonErased); err != nil {
					t.Fatal(err)
				}
				how, s := m.work(d, time.Hour)
				got := m.results()
				if how != pipeline.BeganResumed || s.Missing != uint64(length) || len(got) <= len(before) {
					t.Fatalf("began %d, %+v, %d results of %d", how, s, len(got), len(before))
				}
				if l := twice(got); l != "" {
					t.Errorf("twice: %s", l)
				}
				if d.Alarm != nil {
					alternate(t, got)
				}
			})
		}
	}
}

// alternate: an alarm is raised, cleared, raised.
func alternate(t *testing.T, lines []string) {
	t.Helper()
	raised := map[string]bool{}
	for _, l := range lines {
		key := strings.SplitN(l, " ", 3)[1]
		now := strings.Contains(l, `"raised"`)
		if raised[key] == now {
			t.Errorf("%s: it was so already", l)
		}
		raised[key] = now
	}
}

// TestDiskThatLostInput: offsets that results were computed from will be given again. The pipeline begins anew in another
// incarnation, and the results of the new records are not taken for repetitions.
func TestDiskThatLostInput(t *testing.T) {
	t.Run("checkpoint beyond it", func(t *testing.T) { diskThatLostInput(t, false) })
	t.Run("results beyond it", func(t *testing.T) { diskThatLostInput(t, true) })
}

func diskThatLostInput(t *testing.T, early bool) {
	d := windows()
	r := rand.New(rand.NewPCG(3, 3))
	m := open(t, vfs.NewMem(), 0)
	m.feed(r, 100)
	old := map[string][]byte{}
	snapshot := m.fs.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
	m.work(d, time.Hour)
	state := get(t, m.fs, stateFile)
	m.feed(r, 200)
	m.work(d, time.Hour)
	now := m.now
	m.close()
	list, err := snapshot.List("log/telemetry")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		old[f.Name] = get(t, snapshot, "log/telemetry/"+f.Name)
	}
	if list, err = m.fs.List("log/telemetry"); err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		put(t, m.fs, "log/telemetry/"+f.Name, nil)
	}
	for name, b := range old {
		put(t, m.fs, "log/telemetry/"+name, b)
	}
	if early {
		put(t, m.fs, stateFile, state)
	}
	m = open(t, m.fs, now)
	defer m.close()
	before := len(m.results())
	d.Earliest = false
	how, _ := m.work(d, time.Hour)
	m.feed(r, 100) // at offsets that were used before
	_, s := m.work(d, time.Hour)
	if got := len(m.results()); how != pipeline.BeganAnew || s.Repeated > 0 || got < before+10 {
		t.Errorf("began %d, %+v, %d results, %d before", how, s, got, before)
	}
}

// TestAnotherDefinition begins anew, and is no fault.
func TestAnotherDefinition(t *testing.T) {
	m, _, _ := past(t, limits())
	defer m.close()
	d := limits()
	other := 90.0
	d.Alarm.Clear, d.Earliest = &other, false
	how, _ := m.work(d, time.Hour)
	m.feed(rand.New(rand.NewPCG(4, 4)), 200)
	again, s := m.work(d, time.Hour)
	if how != pipeline.BeganChanged || again != pipeline.BeganResumed || s.Results == 0 {
		t.Errorf("began %d, then %d: %+v", how, again, s)
	}
	alternate(t, m.results()) // what was raised by the old definition is known to be so
}

// TestFullOutput: while the output takes nothing the pipeline waits, and loses nothing.
func TestFullOutput(t *testing.T) {
	d := windows()
	m := open(t, vfs.NewMem(), 0, buffer.StreamOptions{Name: "telemetry", MaxBytes: 4 << 20, SegmentBytes: 64 << 10},
		buffer.StreamOptions{Name: "rollups", MaxBytes: 32 << 10, SegmentBytes: 16 << 10, Full: buffer.Block})
	defer m.close()
	x := rand.New(rand.NewPCG(3, 3))
	for range 80 {
		m.feed(x, 200)
	}
	r := pipeline.NewRunner(pipeline.Options{Definition: d, In: m.in, Out: m.out, FS: m.fs, Dir: "pipelines", Random: rand.Uint64, Every: time.Nanosecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	blocked, keep := 0, []string{}
	for end := time.Now().Add(patience); r.Status().Next < m.in.Info().Durable; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", r.Status())
		}
		if r.Status().Blocked != "" && m.out.Info().State == buffer.StateFull {
			blocked++
			keep = append(keep[:0], m.results()...)
			m.out.SetDelivered(m.out.Info().Durable)
			if err := m.out.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := m.expected(d)
	got := m.results() // the rest has made room
	if blocked == 0 || len(keep) == 0 || strings.Join(got, "\n") != strings.Join(want[len(want)-len(got):], "\n") || r.Status().Results != uint64(len(want)) {
		t.Errorf("blocked %d times; %d results stand there of %d, %+v", blocked, len(got), len(want), r.Status())
	}
}

// TestCheckpointsThatFail: while its state cannot be saved a pipeline works on and says so; then it saves it.
func TestCheckpointsThatFail(t *testing.T) {
	d := windows()
	m := open(t, vfs.NewMem(), 0)
	defer m.close()
	disk := vfs.NewInject(m.fs)
	r := pipeline.NewRunner(pipeline.Options{Definition: d, In: m.in, Out: m.out, FS: disk, Dir: "pipelines", Random: rand.Uint64, Every: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	until := func(what string, f func(pipeline.Status) bool) {
		t.Helper()
		for end := time.Now().Add(patience); !f(r.Status()); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, r.Status())
			}
		}
	}
	x := rand.New(rand.NewPCG(3, 3))
	m.feed(x, 100)
	until("read", func(s pipeline.Status) bool { return s.Saved == m.in.Info().Durable })
	disk.SetRules(vfs.Rule{Kind: vfs.OpRename, Path: stateFile, Nth: 1, Sticky: true})
	saved := r.Status().Saved
	m.feed(x, 200)
	until("failing, and working", func(s pipeline.Status) bool { return s.Failed != "" && s.Next == m.in.Info().Durable })
	if s := r.Status(); s.Saved != saved {
		t.Errorf("%+v", s)
	}
	disk.SetRules()
	until("saved", func(s pipeline.Status) bool { return s.Failed == "" && s.Saved == m.in.Info().Durable })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, want := m.results(), m.expected(d); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Error(firstDifference(got, want))
	}
}

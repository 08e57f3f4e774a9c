package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestStorm kills agent, hub and broker, cuts the link and fills the disk at random moments, and then compares, record
// for record, what the agent's log holds, what its producer was acknowledged and what the hub's store has.
func TestStorm(t *testing.T) {
	dir := t.TempDir()
	b := newBroker(t, dir, "box-1")
	hub := newHub(t, dir, b, "")
	data := filepath.Join(dir, "disk")
	fill, free := func() {}, func() {}
	diskFaults := os.Getuid() == 0
	if diskFaults {
		fill, free = smallDisk(t, data, 192)
	} else {
		t.Log("not root: no small disk can be mounted, so the fault \"disk full\" is left out of this run")
	}
	x := newBox(t, dir, b, boxOptions{device: "box-1", data: filepath.Join(data, "agent"), extra: witnessYAML + stormStreams,
		sources: hostSource + syntheticSource("load", 20, 400)})
	hub.Start()
	x.up()

	rng, s := stormRand(t)
	t.Logf("seed %d, %d rounds", s, *rounds)
	w := &witness{x: x, incarnation: uint64(s) | 1}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.run(ctx, 20*time.Millisecond) })
	st := &storm{t: t, rng: rng, b: b, hub: hub, x: x, fill: fill, free: free, disk: diskFaults, count: map[string]int{}}
	for i := 0; i < *rounds && !t.Failed(); i++ {
		st.round()
	}
	st.calm()
	time.Sleep(time.Second)
	stop()
	wg.Wait()
	acc := x.quiet(b, 2*time.Minute)
	if !acc.Balanced {
		t.Errorf("the account of the box does not balance: %+v", acc.Streams)
	}
	acked, resent := w.count()
	t.Logf("faults: %v; witness: %d acknowledged, %d resends recognised", st.count, acked, resent)
	run(t, filepath.Join(bin, "edgectl"), "--run-dir", x.run, "account")
	x.Stop()
	checkWitness(t, hub, acked)
	compare(t, x, hub)
	out := run(t, filepath.Join(bin, "edge-hub"), "verify", "--config", hub.file)
	t.Logf("edge-hub verify: %s", strings.TrimSpace(out))
	run(t, filepath.Join(bin, "edge-hub"), "account", "--config", hub.file)
	hub.Stop()
}

const stormStreams = "streams:\n  telemetry: {commit_interval: 200ms, max_bytes: 64MiB, segment_bytes: 1MiB}\n  events: {commit_interval: 0s, max_bytes: 32MiB, segment_bytes: 1MiB}\n"

func stormRand(t *testing.T) (*rand.Rand, int64) {
	s := *seed
	if s == 0 {
		s = time.Now().UnixNano() & 0xffffffff
	}
	return rand.New(rand.NewPCG(uint64(s), 1)), s
}

type storm struct {
	t          *testing.T
	rng        *rand.Rand
	b          *broker
	hub        *receiver
	x          *box
	fill, free func()
	disk       bool
	count      map[string]int
}

func (s *storm) pause(lo, hi time.Duration) {
	time.Sleep(lo + time.Duration(s.rng.Int64N(int64(hi-lo))))
}

// round is one fault at a random moment, and what follows it.
func (s *storm) round() {
	s.pause(100*time.Millisecond, 900*time.Millisecond)
	faults := []string{"kill agent", "kill hub", "kill broker", "cut link", "stop agent", "reload", "kill agent and hub", "kill all"}
	if s.disk {
		faults = append(faults, "disk full", "disk full and kill agent")
	}
	f := faults[s.rng.IntN(len(faults))]
	s.count[f]++
	switch f {
	case "kill agent":
		s.x.Kill()
		s.pause(0, 300*time.Millisecond)
		s.x.up()
	case "kill hub":
		s.hub.Kill()
		s.pause(0, 800*time.Millisecond)
		s.hub.Start()
	case "kill broker":
		s.b.Kill()
		s.pause(0, 500*time.Millisecond)
		s.b.Start()
	case "cut link":
		s.x.link.Cut()
		s.pause(100*time.Millisecond, 1500*time.Millisecond)
		s.x.link.Restore()
	case "stop agent":
		s.x.Stop()
		s.x.up()
	case "reload":
		if err := syscall.Kill(s.x.PID(), syscall.SIGHUP); err != nil {
			s.t.Errorf("reload: %v", err)
		}
	case "kill agent and hub":
		s.x.Kill()
		s.hub.Kill()
		s.pause(0, 300*time.Millisecond)
		s.hub.Start()
		s.x.up()
	case "kill all":
		s.x.Kill()
		s.b.Kill()
		s.hub.Kill()
		s.b.Start()
		s.hub.Start()
		s.x.up()
	case "disk full":
		s.fill()
		s.pause(200*time.Millisecond, 1500*time.Millisecond)
		s.free()
	case "disk full and kill agent":
		s.fill()
		s.pause(100*time.Millisecond, 600*time.Millisecond)
		s.x.Kill()
		s.x.Start() // it may have to wait for room, or end and say so
		s.pause(100*time.Millisecond, 400*time.Millisecond)
		s.free()
		if s.pause(300*time.Millisecond, 400*time.Millisecond); !s.x.Running() {
			s.x.up()
		}
	}
}

// calm ends all faults.
func (s *storm) calm() {
	s.free()
	s.x.link.Restore()
	if !s.b.Running() {
		s.b.Start()
	}
	if !s.hub.Running() {
		s.hub.Start()
	}
	if !s.x.Running() {
		s.x.up()
	}
}

// checkWitness asks the store for the sequence that the producer was acknowledged: each once, in order. What was
// sent and not acknowledged may be there too, at the end.
func checkWitness(t *testing.T, hub *receiver, acked uint64) {
	t.Helper()
	rows := hub.query("SELECT CAST(value AS INTEGER) FROM readings WHERE series = 'witness.sequence' ORDER BY record_offset")
	if uint64(len(rows)) < acked || uint64(len(rows)) > acked+1 {
		t.Errorf("the store has %d messages of the producer, %d were acknowledged", len(rows), acked)
	}
	for i, r := range rows {
		if r != strconv.Itoa(i+1) {
			t.Fatalf("message %d of the producer stands in the place of %d", i+1, i+1)
		}
	}
}

// compare reads the whole log of the box and demands the same records, at the same offsets, in the store.
func compare(t *testing.T, x *box, hub *receiver) {
	t.Helper()
	set, err := buffer.OpenReadOnly(t.Context(), vfs.OS{}, filepath.Join(x.data, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	total := 0
	for _, l := range set.Logs() {
		want := logLines(t, l)
		got := hub.query("SELECT epoch, record_offset, series || labels, value, quality FROM readings WHERE device = '" + x.device +
			"' AND stream = '" + l.Name() + "' ORDER BY record_offset, epoch")
		gone := false // whether the log has let go of delivered records, to make room
		for _, g := range l.Info().Gaps {
			if gone = true; g.Reason != record.ReasonDelivered {
				t.Errorf("stream %s has a gap: %+v", l.Name(), g)
			}
		}
		if gone { // then the store has more: what the log still has must be its end part, record for record
			got = held(got, want)
		}
		if len(got) != len(want) {
			t.Errorf("stream %s: the log has %d observations, the store %d", l.Name(), len(want), len(got))
		}
		for i := range min(len(got), len(want)) {
			if !sameLine(got[i], want[i]) {
				t.Fatalf("stream %s, observation %d:\n log   %s\n store %s", l.Name(), i, want[i], got[i])
			}
		}
		total += len(want)
	}
	t.Logf("%d observations are the same in the log and in the store, each once", total)
}

// held are the lines of the store whose epoch and offset the log still has.
func held(store, log []string) (out []string) {
	place := func(line string) string { f := strings.SplitN(line, "|", 3); return f[0] + "|" + f[1] }
	have := map[string]bool{}
	for _, l := range log {
		have[place(l)] = true
	}
	for _, l := range store {
		if have[place(l)] {
			out = append(out, l)
		}
	}
	return out
}

func logLines(t *testing.T, l *buffer.Log) []string {
	t.Helper()
	var out []string
	var dec record.Decoder
	r := l.Read(l.Info().Low)
	defer r.Close()
	for {
		item, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if item.Gap != nil {
			continue
		}
		b := item.Batch
		recs, err := dec.Decode(nil, b.Codec, b.RawLen, b.Count, b.Body)
		if err != nil {
			t.Fatal(err)
		}
		for i := range recs {
			rec := &recs[i]
			if rec.Kind != record.KindObservation {
				continue
			}
			s, ok := l.Series(b.Epoch, rec.Series)
			if !ok {
				t.Fatalf("stream %s: series %d of epoch %s is not defined", l.Name(), rec.Series, b.Epoch)
			}
			value := ""
			if rec.Type != record.TypeNone {
				value = string(rec.AppendText(nil))
			}
			out = append(out, fmt.Sprintf("%s|%d|%s|%s|%s", b.Epoch, b.Base+record.Offset(i), s.Name+labelsJSON(s), value, rec.Quality))
		}
	}
}

func labelsJSON(s record.Series) string {
	m := map[string]string{}
	for _, l := range s.Labels {
		m[l.Key] = l.Value
	}
	b, err := json.Marshal(m) // sorted by key
	if err != nil {
		panic(err)
	}
	return string(b)
}

// sameLine compares two lines; values are compared as numbers where they are, since the shell prints 21.0 for 21.0000.
func sameLine(a, b string) bool {
	if a == b {
		return true
	}
	fa, fb := strings.Split(a, "|"), strings.Split(b, "|")
	if len(fa) != 5 || len(fb) != 5 || fa[0] != fb[0] || fa[1] != fb[1] || fa[2] != fb[2] || fa[4] != fb[4] {
		return false
	}
	va, erra := strconv.ParseFloat(fa[3], 64)
	vb, errb := strconv.ParseFloat(fb[3], 64)
	// sqlite3 prints 15 significant digits
	return erra == nil && errb == nil && (va == vb || abs(va-vb) <= 1e-14*max(abs(va), abs(vb)))
}

func abs(v float64) float64 {
	if v < 0 {
		return -v
	}
	return v
}

package agent

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/vfs"
)

// bench is a judge with the codes that are raised now.
type bench struct {
	judge
	codes map[health.Code]string
}

func newBench() *bench {
	b := &bench{codes: map[health.Code]string{}}
	b.raise = func(code health.Code, key, _, text string) { b.codes[code] = key + ": " + text }
	b.clear = func(code health.Code, key string) { delete(b.codes, code) }
	return b
}

func (b *bench) want(t *testing.T, what string, codes ...health.Code) {
	t.Helper()
	var got []health.Code
	for c := range b.codes {
		got = append(got, c)
	}
	slices.Sort(got)
	slices.Sort(codes)
	if !slices.Equal(got, codes) {
		t.Errorf("%s: %v, want %v", what, b.codes, codes)
	}
}

func TestJudgeDisk(t *testing.T) {
	b := newBench()
	const mib = 1 << 20
	for _, c := range []struct {
		free, total uint64
		low         bool
	}{
		{0, 0, false},                                                                                              // not known
		{10 << 30, 20 << 30, false}, {200 * mib, 20 << 30, true}, {0, 20 << 30, true}, {300 * mib, 20 << 30, true}, // not before it is well above
		{400 * mib, 20 << 30, false}, {4 * mib, 64 * mib, false}, {1 * mib, 64 * mib, true},
	} {
		b.disk(vfs.Usage{Free: c.free, Total: c.total}, "/data")
		if _, low := b.codes[health.DiskSpaceLow]; low != c.low {
			t.Errorf("%d of %d: %v", c.free, c.total, b.codes)
		}
	}
}

func TestJudgeBalance(t *testing.T) {
	b := newBench()
	for range unbalancedLooks - 1 {
		b.balance(false)
	}
	b.want(t, "what is in motion")
	b.balance(true)
	for range unbalancedLooks {
		b.balance(false)
	}
	b.want(t, "it lasts", health.Unbalanced)
	b.balance(true)
	b.want(t, "it balances again")
}

func TestJudgeLink(t *testing.T) {
	b, now := newBench(), time.Unix(1e9, 0)
	look := func(after time.Duration, st uplink.Status) { now = now.Add(after); b.link(now, st, "tcp://b") }
	waiting, streaming := uplink.Status{Phase: uplink.PhaseWaiting}, uplink.Status{Phase: uplink.PhaseStreaming, Credit: 1}
	look(0, waiting)
	look(silentHub-time.Second, waiting)
	b.want(t, "not yet silent")
	look(time.Second, uplink.Status{Phase: uplink.PhaseHello})
	b.want(t, "silent", health.HubSilent)
	look(time.Second, uplink.Status{}) // the broker is gone, too: that is another fault
	b.want(t, "down")
	look(time.Second, waiting)
	b.want(t, "it begins anew")
	look(time.Second, streaming)
	look(0, uplink.Status{Phase: uplink.PhaseStreaming})
	look(noCredit, uplink.Status{Phase: uplink.PhaseStreaming, Unreadable: 1})
	b.want(t, "no credit, and a frame that nobody can read", health.NoCredit, health.UplinkUnreadable)
	look(time.Second, streaming)
	b.want(t, "all well")
}

// TestJudgeTaken: a broker that answers hellos and drops frames leaves everything well but one stream.
func TestJudgeTaken(t *testing.T) {
	b, now := newBench(), time.Unix(1e9, 0)
	st := uplink.Status{Phase: uplink.PhaseStreaming, Credit: 1, Connects: 1, Acks: 1}
	var end, settled uint64 = 100, 0
	look := func(after time.Duration) {
		now = now.Add(after)
		b.taken(now, st, []api.StreamAccount{{Name: "alarms", Sum: api.EpochAccount{End: 5, Delivered: 5}},
			{Name: "events", Sum: api.EpochAccount{End: end, Delivered: settled, Buffered: end - settled - 1, InFlight: 1}}})
	}
	look(0)
	look(nothingTaken)
	b.want(t, "a hub that does not answer is another fault")
	st.Acks += 5
	look(time.Second)
	b.want(t, "no time-out: something else goes first")
	st.Timeouts += fruitlessTries
	look(time.Second)
	b.want(t, "frames are lost", health.NothingTaken)
	end += 50
	look(judgeEvery)
	b.want(t, "more waits", health.NothingTaken)
	settled++
	look(judgeEvery)
	b.want(t, "something arrives")
	st.Connects, st.Acks = st.Connects+9, st.Acks+9
	look(nothingTaken - time.Second)
	b.want(t, "not yet")
	st.Held = "budget"
	look(time.Minute)
	b.want(t, "it must not be sent")
	st.Held = ""
	look(nothingTaken)
	b.want(t, "the wait begins anew")
	st = uplink.Status{}
	look(nothingTaken)
	b.want(t, "no uplink")
}

// TestJudgeTooLarge: the fault names the size of what does not arrive, for the stream that it is of.
func TestJudgeTooLarge(t *testing.T) {
	k := uplink.Stuck{Stream: "events", Bytes: 41_000, Whole: true, Misses: 2}
	if s := tooLarge(k, "events"); !strings.Contains(s, "41,000 bytes") || !strings.Contains(s, "cannot be divided") || !strings.Contains(s, "262144") {
		t.Error(s)
	}
	if s := tooLarge(k, "alarms"); s != "" {
		t.Error(s)
	}
	if s := tooLarge(uplink.Stuck{}, "events"); s != "" {
		t.Error(s)
	}
}

func TestJudgeSource(t *testing.T) {
	b, now := newBench(), time.Unix(1e9, 0)
	var read, late, large uint64
	look := func(dRead, dLate, dLarge uint64) {
		now, read, late, large = now.Add(slowWindow), read+dRead, late+dLate, large+dLarge
		b.source(now, collect.SourceStatus{Name: "meters", Interval: time.Second, Quality: map[record.Quality]uint64{record.QualityGood: read},
			Missed: map[string]uint64{"late": late, "too-large": large}})
	}
	look(0, 0, 0)
	look(50, 10, 0)
	b.want(t, "one slow minute")
	look(50, 10, 0)
	b.want(t, "two", health.SourceMissed)
	look(60, 1, 2)
	b.want(t, "a late reading now and then", health.RecordRefused)
	look(60, 0, 0)
	b.want(t, "well")
	look(50, 10, 0)
	read, late = 0, 0 // begun anew by a reload
	look(1, 0, 0)
	look(50, 10, 0)
	b.want(t, "the minutes before do not count")
}

// What is noted again and again is counted each time and logged once a minute.
func TestNotesAreLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	f := &faults{log: slog.New(slog.NewTextHandler(&out, nil))}
	for range 5 {
		f.note(health.WriteFailed, "telemetry", "stream telemetry", "a commit failed")
	}
	f.note(health.WriteFailed, "events", "stream events", "a commit failed")
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
	for _, line := range f.List() {
		if line.Key == "telemetry" && line.Count != 5 {
			t.Errorf("counted %d times", line.Count)
		}
	}
}

// A full disk and a full stream want different things of a person.
func TestWhyFull(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: reserve: %w", buffer.ErrFull, syscall.ENOSPC), "no space is left on the disk"},
		{fmt.Errorf("telemetry: %w", buffer.ErrFull), "its max_bytes are filled"},
		{nil, "its max_bytes are filled"},
		{fmt.Errorf("something else"), "something else"},
	} {
		if got := whyFull(c.err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}

package pipeline_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/pipeline"
	"github.com/edgelog/edgelog/buffer/record"
)

const second = int64(time.Second)

// t0 is where the streams of these tests begin, on a whole hour.
var t0 = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC).UnixNano()

// world is the series of an input.
type world []record.Series

func (w world) resolve(_ record.Epoch, id record.SeriesID) (record.Series, bool) {
	if id < 1 || int(id) > len(w) {
		return record.Series{}, false
	}
	return w[id-1], true
}

var rooms = world{
	{Name: "temperature", Unit: "Cel", Type: record.Decimal(4), Labels: []record.Label{{Key: "rom", Value: "28-1"}}},
	{Name: "temperature", Unit: "Cel", Type: record.Decimal(1), Labels: []record.Label{{Key: "rom", Value: "28-2"}}},
	{Name: "temp.float", Unit: "Cel", Type: record.TypeFloat},
	{Name: "temp.count", Type: record.TypeInt},
	{Name: "humidity", Unit: "%", Type: record.Decimal(1)},
	{Name: "door", Type: record.TypeBool},
}

func boot(id string, bootTime, utc int64, source record.ClockSource) record.Record {
	r, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: bootTime, Clock: record.ClockBoot},
		record.BootMark{Anchor: record.Anchor{Boot: id, BootTime: bootTime, UTC: utc, Source: source}})
	if err != nil {
		panic(err)
	}
	return r
}

func anchor(id string, bootTime, utc, bound int64, source record.ClockSource) record.Record {
	r, err := record.MarkRecord(record.KindAnchor, record.Stamp{Time: bootTime, Clock: record.ClockBoot},
		record.Anchor{Boot: id, BootTime: bootTime, UTC: utc, Error: bound, Source: source})
	if err != nil {
		panic(err)
	}
	return r
}

// at makes a reading at a boot time in seconds.
func at(id record.SeriesID, seconds float64, num int64) record.Record {
	return record.Record{Kind: record.KindObservation, Series: id, Time: int64(seconds * 1e9), Clock: record.ClockBoot, Type: rooms[id-1].Type, Num: num}
}

func bad(id record.SeriesID, seconds float64, q record.Quality) record.Record {
	r := at(id, seconds, 0)
	r.Type, r.Quality = record.TypeNone, q
	return r
}

func minutes(compute ...pipeline.Compute) pipeline.Definition {
	return pipeline.Definition{Name: "m", From: "telemetry", Series: "temp*", To: "rollups",
		Window: &pipeline.Window{Size: time.Minute, Every: time.Minute, Compute: compute}}
}

// run gives a core records, and says what it makes of them: one line a result.
func run(c *pipeline.Core, recs ...record.Record) (lines []string) {
	c.Enter(1)
	for i := range recs {
		c.Record(&recs[i])
		lines = append(lines, text(c)...)
	}
	return lines
}

func text(c *pipeline.Core) (lines []string) {
	for _, m := range c.Messages() {
		for i := range m.Results {
			lines = append(lines, fmt.Sprintf("%d.%d %s", pipeline.OffsetOf(m.Sequence), m.Sequence&(1<<14-1), line(&m.Results[i])))
		}
	}
	return lines
}

func line(x *pipeline.Result) string {
	r := &x.Record
	out := fmt.Sprintf("+%ds %s %s", (r.Time-t0)/second, x.Series.Key(), r.AppendText(nil))
	if x.Series.Unit != "" {
		out += " " + x.Series.Unit
	}
	if !r.Quality.Good() {
		out += fmt.Sprintf(" %s (%s)", r.Quality, r.Detail())
	}
	return out
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestWindowsOfEveryType(t *testing.T) {
	c := pipeline.NewCore(minutes(pipeline.Mean, pipeline.Min, pipeline.Max, pipeline.Sum, pipeline.First, pipeline.Last, pipeline.Count, pipeline.Bad), rooms.resolve)
	got := run(c, boot("b", 0, t0, record.SourceNTP),
		at(1, 60, 210625), at(1, 70, 210000), at(1, 80, 209375), at(1, 90, 215000),
		at(3, 61, float(1e100)), at(3, 62, float(1)), at(3, 63, float(-1e100)),
		at(4, 64, 7), at(4, 65, -8), at(5, 66, 500), at(5, 121, 500))
	key := `temperature.%s{pipeline="m",rom="28-1"} %s`
	var want []string
	for _, x := range [][2]string{{"mean", "21.1250 Cel"}, {"min", "20.9375 Cel"}, {"max", "21.5000 Cel"}, {"sum", "84.5000 Cel"}, {"first", "21.0625 Cel"}, {"last", "21.5000 Cel"}, {"count", "4 1"}, {"bad", "0 1"}} {
		want = append(want, "11.0 +60s "+fmt.Sprintf(key, x[0], x[1]))
	}
	for _, l := range got[8:16] {
		if !strings.Contains(l, "temp.float.") {
			t.Error(l)
		}
	}
	for _, x := range [][2]string{{"mean", "-0.500"}, {"min", "-8"}, {"max", "7"}, {"sum", "-1"}, {"first", "7"}, {"last", "-8"}, {"count", "2 1"}, {"bad", "0 1"}} {
		got2 := fmt.Sprintf(`11.0 +60s temp.count.%s{pipeline="m"} %s`, x[0], x[1])
		if !strings.Contains(strings.Join(got, "\n"), got2) {
			t.Errorf("%s is not there:\n%s", got2, strings.Join(got, "\n"))
		}
	}
	expect(t, got[:8], want...)
}

func TestReadingsThatAreNotGood(t *testing.T) {
	c := pipeline.NewCore(minutes(pipeline.Mean, pipeline.Count, pipeline.Bad), rooms.resolve)
	doubt := at(1, 62, 200000)
	doubt.Quality = record.QualityOutOfRange
	got := run(c, boot("b", 0, t0, record.SourceNTP), at(5, 60, 0),
		at(1, 60, 100000), bad(1, 61, record.QualityCRC), doubt, // one bad, one uncertain
		bad(1, 121, record.QualityAbsent), bad(1, 122, record.QualityPowerOn), // nothing but bad ones
		at(4, 130, math.MaxInt64), at(4, 131, math.MaxInt64), // what does not fit
		at(5, 200, 1))
	expect(t, got,
		`5.0 +60s temperature.mean{pipeline="m",rom="28-1"} 15.0000 Cel uncertain (1 bad (bad:crc), 1 uncertain)`,
		`5.0 +60s temperature.count{pipeline="m",rom="28-1"} 2 1 uncertain (1 bad (bad:crc), 1 uncertain)`,
		`5.0 +60s temperature.bad{pipeline="m",rom="28-1"} 1 1 uncertain (1 bad (bad:crc), 1 uncertain)`,
		`9.0 +120s temperature.mean{pipeline="m",rom="28-1"} - Cel bad:power-on (2 bad (bad:power-on))`,
		`9.0 +120s temperature.count{pipeline="m",rom="28-1"} 0 1 uncertain (2 bad (bad:power-on))`,
		`9.0 +120s temperature.bad{pipeline="m",rom="28-1"} 2 1 uncertain (2 bad (bad:power-on))`,
		`9.0 +120s temp.count.mean{pipeline="m"} - bad:overflow ()`,
		`9.0 +120s temp.count.count{pipeline="m"} 2 1`,
		`9.0 +120s temp.count.bad{pipeline="m"} 0 1`)
}

// TestInterruptions: a window in which readings may be missing says so, and why; its neighbours do not.
func TestInterruptions(t *testing.T) {
	c := pipeline.NewCore(minutes(pipeline.Count), rooms.resolve)
	var got []string
	got = append(got, run(c, boot("b", 30*second, t0+30*second, record.SourceNTP), at(1, 31, 1), at(1, 61, 1), at(1, 121, 1))...)
	c.Gap(c.Next() + 5)
	got = append(got, run(c, at(1, 150, 1), at(1, 181, 1), at(1, 241, 1), at(1, 242, 1))...)
	got = append(got, run(c, boot("b", 290*second, t0+290*second, record.SourceNTP), at(1, 291, 1), at(1, 301, 1))...)
	got = append(got, run(c, boot("c", 5*second, 86400*second, record.SourceSystem), at(1, 10, 1), // a reboot, and no clock: time goes on
		anchor("c", 60*second, t0+420*second, 1, record.SourceHub), at(1, 62, 1), at(1, 121, 1), at(1, 181, 1))...)
	expect(t, got,
		`2.0 +0s temperature.count{pipeline="m",rom="28-1"} 1 1 uncertain (start)`,
		`3.0 +60s temperature.count{pipeline="m",rom="28-1"} 1 1`,
		`10.0 +120s temperature.count{pipeline="m",rom="28-1"} 2 1 uncertain (gap)`,
		`11.0 +180s temperature.count{pipeline="m",rom="28-1"} 1 1`,
		`15.0 +240s temperature.count{pipeline="m",rom="28-1"} 3 1 uncertain (restart)`,
		`18.0 +300s temperature.count{pipeline="m",rom="28-1"} 2 1 uncertain (restart, clock)`,
		`20.0 +420s temperature.count{pipeline="m",rom="28-1"} 1 1`,
		`21.0 +480s temperature.count{pipeline="m",rom="28-1"} 1 1`)
	if s := c.Stats(); s.Missing != 5 || s.Late != 0 {
		t.Errorf("%+v", s)
	}
}

// TestTimeThatWasFarAhead: a clock that was years ahead does not silence the windows until it is right.
func TestTimeThatWasFarAhead(t *testing.T) {
	c := pipeline.NewCore(minutes(pipeline.Count), rooms.resolve)
	year := 365 * 86400 * second
	got := run(c, boot("b", 0, t0+year, record.SourceSystem), at(1, 60, 1), at(1, 61, 1),
		anchor("b", 90*second, t0+90*second, 1, record.SourceNTP), at(1, 100, 1), at(1, 121, 1), at(1, 181, 1))
	expect(t, got,
		fmt.Sprintf(`3.0 +%ds temperature.count{pipeline="m",rom="28-1"} 2 1 uncertain (clock)`, year/second+60),
		`5.0 +60s temperature.count{pipeline="m",rom="28-1"} 1 1 uncertain (clock)`,
		`6.0 +120s temperature.count{pipeline="m",rom="28-1"} 1 1`)
}

// TestTimesThatDevicesAssert: a device that stamps its readings has a time of its own, the box's closes what it leaves
// open, and one stamp far ahead does no harm.
func TestTimesThatDevicesAssert(t *testing.T) {
	c := pipeline.NewCore(minutes(pipeline.Count), rooms.resolve)
	node := func(seconds int64) record.Record {
		r := at(1, 0, 1)
		r.Time, r.Clock = t0+seconds*second, record.ClockNode
		return r
	}
	got := run(c, boot("b", 0, t0, record.SourceNTP), node(60), node(61), node(121), node(86400*400), node(122), at(2, 190, 1), node(100), at(2, 250, 1))
	expect(t, got,
		`3.0 +60s temperature.count{pipeline="m",rom="28-1"} 2 1`,
		`6.0 +120s temperature.count{pipeline="m",rom="28-1"} 2 1`,
		`8.0 +180s temperature.count{pipeline="m",rom="28-2"} 1 1`)
	if s := c.Stats(); s.Untimed != 1 || s.Late != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAlarms(t *testing.T) {
	limit, clear := 8.1, 7.0
	d := pipeline.Definition{Name: "warm", From: "telemetry", To: "alarms", Series: "temperature",
		Alarm: &pipeline.Alarm{Above: &limit, Clear: &clear, For: 10 * time.Second, Severity: "critical", Text: "cold room"}}
	c := pipeline.NewCore(d, rooms.resolve)
	got := run(c, boot("b", 0, t0, record.SourceNTP),
		at(2, 1, 81), at(2, 2, 82), at(2, 11, 82), at(2, 11.5, 81), // exactly the limit ends the wait
		at(2, 13, 83), bad(2, 20, record.QualityCRC), at(2, 23, 84), at(2, 30, 90), // raised at 23, once
		at(2, 31, 75), at(2, 32, 82), at(2, 33, 70), at(2, 40, 82), at(2, 50, 82))
	key := `temperature.alarm{pipeline="warm",rom="28-2"}`
	expect(t, got,
		`7.0 +23s `+key+` {"alarm":"raised","severity":"critical","text":"cold room","value":8.4,"unit":"Cel","above":8.1,"since":"2026-11-23T02:00:13Z"}`,
		`11.0 +33s `+key+` {"alarm":"cleared","severity":"critical","text":"cold room","value":7.0,"unit":"Cel","above":8.1}`,
		`13.0 +50s `+key+` {"alarm":"raised","severity":"critical","text":"cold room","value":8.2,"unit":"Cel","above":8.1,"since":"2026-11-23T02:00:40Z"}`)

	c = pipeline.NewCore(pipeline.Definition{Name: "dead", From: "telemetry", To: "alarms", Alarm: &pipeline.Alarm{Bad: true, Severity: "warning"}}, rooms.resolve)
	got = run(c, boot("b", 0, t0, record.SourceNTP), at(6, 1, 1), bad(6, 2, record.QualityAbsent), bad(6, 3, record.QualityBus), at(6, 4, 0))
	expect(t, got,
		`2.0 +2s door.alarm{pipeline="dead"} {"alarm":"raised","severity":"warning","value":null,"quality":"bad:absent"}`,
		`4.0 +4s door.alarm{pipeline="dead"} {"alarm":"cleared","severity":"warning","value":false}`)

	badge := world{{Name: "badge", Type: record.TypeString}} // a text of digits stays a text
	c = pipeline.NewCore(pipeline.Definition{Name: "dead", From: "telemetry", To: "alarms", Alarm: &pipeline.Alarm{Bad: true, Severity: "warning"}}, badge.resolve)
	digits := record.Record{Kind: record.KindObservation, Series: 1, Time: 3e9, Clock: record.ClockBoot, Type: record.TypeString, Data: &record.Data{Value: []byte("0123")}}
	got = run(c, boot("b", 0, t0, record.SourceNTP), bad(1, 2, record.QualityAbsent), digits)
	expect(t, got,
		`1.0 +2s badge.alarm{pipeline="dead"} {"alarm":"raised","severity":"warning","value":null,"quality":"bad:absent"}`,
		`2.0 +3s badge.alarm{pipeline="dead"} {"alarm":"cleared","severity":"warning","value":"0123"}`)
}

// stream is random input: readings out of order, bad ones, restarts, reboots with and without a clock, gaps.
type stream struct {
	recs []record.Record
	gaps map[int]int // before record i so many are gone
}

func randomStream(r *rand.Rand, n int, plain bool) stream {
	s := stream{gaps: map[int]int{}}
	id, now, good := 1, int64(0), true
	utc := t0
	s.recs = append(s.recs, boot("boot-1", 0, utc, record.SourceNTP))
	for len(s.recs) < n {
		step := int64(r.IntN(3000)) * 1e6
		now, utc = now+step, utc+step
		x := at(record.SeriesID(1+r.IntN(len(rooms))), 0, int64(r.IntN(2000)-1000))
		x.Time = max(now-int64(r.IntN(20_000))*1e6, 0)
		if x.Type == record.TypeFloat {
			x.Num = int64(math.Float64bits(float64(x.Num) / 8)) // sums of these are exact in any order
		}
		if x.Type == record.TypeBool {
			x.Num &= 1
		}
		switch k := r.IntN(1000); {
		case k < 50:
			x.Type, x.Quality, x.Num = record.TypeNone, record.QualityCRC, 0
		case k < 80:
			x.Quality = record.QualityStuck
		case plain:
		case k < 200:
			x.Clock, x.Time = record.ClockNode, utc-int64(r.IntN(200_000))*1e6
		case k < 210:
			s.gaps[len(s.recs)] = 1 + r.IntN(100)
		case k < 220:
			s.recs = append(s.recs, boot(fmt.Sprint("boot-", id), now, utc, map[bool]record.ClockSource{true: record.SourceNTP, false: record.SourceSystem}[good]))
		case k < 230:
			id, now, utc = id+1, int64(r.IntN(5))*second, utc+int64(r.IntN(100))*second
			if good = r.IntN(2) == 0; good {
				s.recs = append(s.recs, boot(fmt.Sprint("boot-", id), now, utc, record.SourceNTP))
			} else {
				s.recs = append(s.recs, boot(fmt.Sprint("boot-", id), now, []int64{0, utc - 50*second, utc + 1e6*second}[r.IntN(3)], record.SourceSystem))
			}
			continue
		case k < 240:
			good = true
			s.recs = append(s.recs, anchor(fmt.Sprint("boot-", id), now, utc+int64(r.IntN(2000)-1000)*1e6, int64(r.IntN(1000)), record.SourceHub))
		}
		s.recs = append(s.recs, x)
	}
	return s
}

// play lets a core work through a stream from record i on; between calls it gets a chance to be written and read.
func (s *stream) play(c *pipeline.Core, from int, each func(i int, c *pipeline.Core) *pipeline.Core) (lines []string) {
	for i := from; i < len(s.recs); i++ {
		if each != nil {
			c = each(i, c)
		}
		if n := s.gaps[i]; n > 0 {
			c.Gap(c.Next() + record.Offset(n))
		}
		c.Enter(record.Epoch(1 + i/1000))
		c.Record(&s.recs[i])
		lines = append(lines, text(c)...)
	}
	return lines
}

func randomDefinition(r *rand.Rand) pipeline.Definition {
	if r.IntN(4) == 0 {
		limit, clear := float64(r.IntN(40)-20), -20.0
		return pipeline.Definition{Name: "a", From: "telemetry", To: "alarms", Alarm: &pipeline.Alarm{Above: &limit, Clear: &clear, For: time.Duration(r.IntN(3)) * time.Second}}
	}
	every := time.Duration(1+r.IntN(20)) * time.Second
	return pipeline.Definition{Name: "w", From: "telemetry", To: "rollups", Series: []string{"", "temp*", "temperature"}[r.IntN(3)],
		Window: &pipeline.Window{Size: every * time.Duration(1+r.IntN(6)), Every: every, Late: time.Duration(r.IntN(30)) * time.Second,
			Compute: []pipeline.Compute{pipeline.Mean, pipeline.Min, pipeline.Max, pipeline.Sum, pipeline.First, pipeline.Last, pipeline.Count, pipeline.Bad}}}
}

// TestReplayFromAnyCheckpoint: a core that was written and read again between any two records makes the same messages, and
// so does one that goes back to any checkpoint.
func TestReplayFromAnyCheckpoint(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		d, s := randomDefinition(r), randomStream(r, 1500, false)
		want := s.play(pipeline.NewCore(d, rooms.resolve), 0, nil)
		if len(want) < 3 {
			t.Fatalf("seed %d: %d results", seed, len(want))
		}
		cut := r.IntN(len(s.recs))
		var at *pipeline.Core
		var before []string
		got := s.play(pipeline.NewCore(d, rooms.resolve), 0, func(i int, c *pipeline.Core) *pipeline.Core {
			if r.IntN(50) == 0 || i == cut {
				again, err := pipeline.Reborn(c)
				if err != nil {
					t.Fatalf("seed %d, record %d: %v", seed, i, err)
				}
				if i == cut {
					if at, err = pipeline.Reborn(c); err != nil {
						t.Fatal(err)
					}
				}
				return again
			}
			return c
		})
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("seed %d: written and read between: other results\n%s", seed, firstDifference(got, want))
		}
		whole := pipeline.NewCore(d, rooms.resolve)
		short := stream{recs: s.recs[:cut], gaps: s.gaps}
		before = short.play(whole, 0, nil)
		after := s.play(at, cut, nil)
		if got := append(before, after...); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("seed %d: from the checkpoint at %d: other results\n%s", seed, cut, firstDifference(got, want))
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("%d of %d, %d\n got %s\nwant %s", i, len(got), len(want), g, w)
		}
	}
	return "none"
}

// TestAgainstTheDefinition compares with what a window is by definition: the readings of a series whose time lies in it and
// that came before the stream's time was Late past its end.
func TestAgainstTheDefinition(t *testing.T) {
	results := 0
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 3))
		d := randomDefinition(r)
		if d.Window == nil {
			continue
		}
		s := randomStream(r, 700, true)
		got := map[string]string{}
		c := pipeline.NewCore(d, rooms.resolve)
		for i := range s.recs {
			c.Enter(1)
			c.Record(&s.recs[i])
			for _, l := range text(c) {
				at, rest, _ := strings.Cut(l, ".")
				_, rest, _ = strings.Cut(rest, " ")
				time, rest, _ := strings.Cut(rest, " ")
				key, value, _ := strings.Cut(rest, " ")
				if old, twice := got[time+" "+key]; twice {
					t.Fatalf("seed %d: %s %s twice: %s, %s", seed, time, key, old, value)
				}
				value, _, _ = strings.Cut(value, " ")
				got[time+" "+key] = at + " " + value
			}
		}
		want := byDefinition(d, s.recs)
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("seed %d: %s: got %q, want %q", seed, k, got[k], v)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d results, want %d", seed, len(got), len(want))
		}
		results += len(want)
	}
	if results < 5_000 {
		t.Errorf("only %d results", results)
	}
}

func byDefinition(d pipeline.Definition, recs []record.Record) map[string]string {
	w := d.Window
	out := map[string]string{}
	now := make([]int64, len(recs)) // the stream's time with record i
	latest := int64(math.MinInt64)
	for i := range recs {
		latest = max(latest, t0+recs[i].Time)
		now[i] = latest
	}
	for id := range rooms {
		s := rooms[id]
		prefix := strings.TrimSuffix(d.Series, "*")
		if d.Series != "" && s.Name != d.Series && !(prefix != d.Series && strings.HasPrefix(s.Name, prefix)) {
			continue
		}
		for end := t0 - t0%int64(w.Every) - int64(w.Size)*2; end <= latest; end += int64(w.Every) {
			closed := len(recs)
			for i := range recs {
				if now[i]-int64(w.Late) >= end {
					closed = i
					break
				}
			}
			if closed == len(recs) {
				continue
			}
			var in []record.Record
			n := 0
			for i := range recs[:closed] {
				if x := recs[i]; x.Kind == record.KindObservation && int(x.Series) == id+1 && t0+x.Time >= end-int64(w.Size) && t0+x.Time < end {
					n++
					if x.Type != record.TypeNone {
						in = append(in, x)
					}
				}
			}
			if n == 0 {
				continue
			}
			for _, compute := range w.Compute {
				key := fmt.Sprintf("+%ds %s.%s{pipeline=%q", (end-int64(w.Size)-t0)/second, s.Name, compute, d.Name)
				for _, l := range s.Labels {
					key += fmt.Sprintf(",%s=%q", l.Key, l.Value)
				}
				out[key+"}"] = fmt.Sprintf("%d %s", closed, computed(compute, s.Type, in, n-len(in)))
			}
		}
	}
	return out
}

// computed is a result as text, with rational numbers.
func computed(c pipeline.Compute, t record.Type, in []record.Record, bad int) string {
	switch {
	case c == pipeline.Count:
		return fmt.Sprint(len(in))
	case c == pipeline.Bad:
		return fmt.Sprint(bad)
	case len(in) == 0:
		return "-"
	}
	value := func(r record.Record) *big.Rat {
		v, _ := new(big.Rat).SetString(string((&record.Record{Type: record.Decimal(r.Type.Decimals()), Num: r.Num}).AppendText(nil)))
		if r.Type == record.TypeFloat {
			v = new(big.Rat).SetFloat64(math.Float64frombits(uint64(r.Num)))
		}
		return v
	}
	pick, sum := in[0], new(big.Rat)
	for _, r := range in {
		sum.Add(sum, value(r))
		if c == pipeline.Min && value(r).Cmp(value(pick)) < 0 || c == pipeline.Max && value(r).Cmp(value(pick)) > 0 ||
			c == pipeline.First && r.Time < pick.Time || c == pipeline.Last && r.Time >= pick.Time {
			pick = r
		}
	}
	if c == pipeline.Mean {
		sum.Quo(sum, big.NewRat(int64(len(in)), 1))
	}
	if c != pipeline.Mean && c != pipeline.Sum {
		return string(pick.AppendText(nil))
	}
	if t == record.TypeFloat {
		f, _ := sum.Float64()
		return string((&record.Record{Type: t, Num: int64(math.Float64bits(f))}).AppendText(nil))
	}
	digits := t.Decimals()
	if c == pipeline.Mean {
		digits = max(digits, 3)
	}
	// Half to even, from the two neighbours.
	scaled := new(big.Rat).Mul(sum, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)))
	low := new(big.Int).Div(scaled.Num(), scaled.Denom())
	rest := new(big.Rat).Sub(scaled, new(big.Rat).SetInt(low))
	if half := rest.Cmp(big.NewRat(1, 2)); half > 0 || half == 0 && low.Bit(0) == 1 {
		low.Add(low, big.NewInt(1))
	}
	return string(record.AppendDecimal(nil, low.Int64(), digits))
}

func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	d := minutes(pipeline.Mean)
	s := randomStream(r, 300, false)
	c := pipeline.NewCore(d, rooms.resolve)
	s.play(c, 0, nil)
	f.Add(pipeline.Encoded(c)[8:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := pipeline.Decode(pipeline.Signed(b), d); err == nil {
			s.play(got, 0, nil)
		}
	})
}

func float(v float64) int64 { return int64(math.Float64bits(v)) }

package collect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/synthetic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAlignedScheduleAndAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Second) // the agent starts between two multiples
		log := newLog()
		log.delay = 1500 * time.Millisecond
		b := run(t, log, source("a", sensor(quantity("x", record.TypeInt), quantity("y", record.TypeInt)), 10*time.Second))
		b.until(27500 * time.Millisecond)
		expect(t, "sweeps", log.times("x"), "0s 7s 17s 27s")
		s := b.status("a")
		expect(t, "taken", s.Taken, 6) // the latest two are not durable yet
		expect(t, "state", s.State, collect.StateOK)
		b.until(29 * time.Second)
		s = b.status("a")
		expect(t, "taken", s.Taken, 8)
		expect(t, "missed", missed(s), "")
		expect(t, "good", s.Quality[record.QualityGood], 8)
		expect(t, "value", s.Series[1].Value, "3")
		expect(t, "trend", fmt.Sprint(s.Series[0].Trend), "[0 1 2 3]")
		b.until(37500 * time.Millisecond)
		expect(t, "stop", b.stop(), nil) // waits for what was just read
		expect(t, "stopped", time.Since(b.start), 38500*time.Millisecond)
		expect(t, "taken after stop", b.status("a").Taken, 10)
	})
}

func TestHungBusDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		bad := sensor(quantity("bad", record.TypeInt))
		ok := say(drivers.Sample{Type: record.TypeInt, Num: 1})
		bad.script = append(bad.script, ok, func(_ context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
			<-hang // deaf to context and Close
			return dst, drivers.ErrBus
		}, ok)
		log := newLog()
		b := run(t, log, source("bad", bad, time.Second), source("good", sensor(quantity("good", record.TypeInt)), time.Second))
		b.until(20 * time.Second)
		expect(t, "other source", b.status("good").Sweeps, 21)
		expect(t, "other source", missed(b.status("good")), "")
		expect(t, "state", b.status("bad").State, collect.StateDead)
		// Due at 1 s: hangs. 2 to 7 s: could not start. From 8 s, beyond the time-out and a second of grace: hung.
		expect(t, "missed", missed(b.status("bad")), "late=6 timeout=13")
		close(hang)
		b.until(25 * time.Second)
		expect(t, "missed", missed(b.status("bad")), "bus=1 late=6 timeout=13")
		expect(t, "state", b.status("bad").State, collect.StateOK)
		expect(t, "events", b.told(), "8s dead bad since 1s: device did not answer: "+
			"a read does not return; the driver or the bus below it hangs\n21s back bad")
		expect(t, "stop", b.stop(), nil)
	})
}

func TestHungReadIsLeftBehindAtStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		s := sensor(quantity("x", record.TypeInt))
		s.script = append(s.script, func(_ context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
			<-hang
			return append(dst, drivers.Sample{Type: record.TypeInt}), nil
		})
		log := newLog()
		b := run(t, log, source("x", s, time.Second))
		b.until(3 * time.Second)
		if err := b.stop(); err == nil || !strings.Contains(err.Error(), "stop source x") {
			t.Errorf("stop: %v", err)
		}
		expect(t, "stopping took", time.Since(b.start), 8*time.Second)
		close(hang)
		synctest.Wait()
		expect(t, "closed", s.isClosed(), true)
		expect(t, "records after the log was closed", len(log.lines()), 0)
	})
}

func TestSlowDiskDoesNotSlowTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		log.hold = make(chan struct{})
		b := run(t, log, source("a", sensor(quantity("x", record.TypeInt)), time.Second))
		b.until(99500 * time.Millisecond)
		s := b.status("a")
		expect(t, "sweeps", s.Sweeps, 100)
		expect(t, "taken", s.Taken, 0)
		expect(t, "missed", missed(s), "backlog=35") // 64 wait and one is being waited for
		expect(t, "state", s.State, collect.StateDegraded)
		close(log.hold)
		b.until(101 * time.Second)
		s = b.status("a")
		expect(t, "taken", s.Taken, 67)
		expect(t, "state", s.State, collect.StateOK)
		expect(t, "events", b.told(), "65s refused a telemetry: too many readings wait for the disk\n100s log back a telemetry")
		expect(t, "stop", b.stop(), nil)
	})
}

func TestSensorThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sensor(quantity("x", record.TypeInt), quantity("y", record.TypeInt))
		good := say(drivers.Sample{Quantity: 0, Type: record.TypeInt}, drivers.Sample{Quantity: 1, Type: record.TypeInt})
		s.script = append(s.script, good, failWith(fmt.Errorf("read: %w", drivers.ErrTimeout)),
			failWith(errors.New("odd")), good)
		opens := 0
		src := source("a", s, time.Second)
		src.Open = func() (drivers.Sensor, error) {
			if opens++; opens <= 4 {
				return nil, fmt.Errorf("/dev/x: %w", drivers.ErrNoDevice)
			}
			return s, nil
		}
		b := run(t, newLog(), src)
		b.until(2500 * time.Millisecond)
		expect(t, "state", b.status("a").State, collect.StateDead)
		expect(t, "error", b.status("a").LastError, "open fake: /dev/x: device not found")
		b.until(8500 * time.Millisecond)
		st := b.status("a")
		expect(t, "missed", missed(st), "error=2 no-device=4 timeout=2")
		expect(t, "taken", st.Taken, 6)
		expect(t, "events", b.told(), "2s dead a since 0s: open fake: /dev/x: device not found\n4s back a")
		expect(t, "stop", b.stop(), nil)
		expect(t, "closed", s.isClosed(), true)
	})
}

func TestLogRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		log.err = fmt.Errorf("append: %w", collect.ErrFull)
		b := run(t, log, source("a", sensor(quantity("x", record.TypeInt)), time.Second))
		b.until(2500 * time.Millisecond)
		log.mu.Lock()
		log.err = errors.New("no such thing")
		log.mu.Unlock()
		b.until(3500 * time.Millisecond)
		log.mu.Lock()
		log.err = nil
		log.mu.Unlock()
		b.until(4500 * time.Millisecond)
		expect(t, "missed", missed(b.status("a")), "full=3 refused=1")
		expect(t, "taken", b.status("a").Taken, 1)
		expect(t, "events", b.told(), "0s refused a telemetry: append: log is full\n4s log back a telemetry")
		expect(t, "stop", b.stop(), nil)
	})
}

func TestJudgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sensor(
			drivers.Quantity{Series: record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4)}, Min: -55, Max: 125},
			quantity("f", record.TypeFloat), quantity("s", record.TypeString), quantity("j", record.TypeJSON),
			quantity("limited", record.TypeInt))
		nan := int64(math.Float64bits(math.NaN()))
		s.script = append(s.script, say(
			drivers.Sample{Quantity: 0, Type: record.Decimal(4), Num: 125_0001},
			drivers.Sample{Quantity: 1, Type: record.TypeFloat, Num: nan},
			drivers.Sample{Quantity: 2, Type: record.TypeString, Value: []byte("a\xff")},
			drivers.Sample{Quantity: 3, Type: record.TypeJSON, Value: []byte(`7`)},
			drivers.Sample{Quantity: 4, Type: record.TypeInt, Num: 11},
		), say(
			drivers.Sample{Quantity: 0, Quality: record.QualityCRC, Type: record.Decimal(4), Num: 5, Detail: []byte("raw")},
			drivers.Sample{Quantity: 1, Type: record.TypeInt, Num: 1},
			drivers.Sample{Quantity: 2, Type: record.TypeString, Value: []byte("ok")},
			drivers.Sample{Quantity: 3, Type: record.TypeJSON, Value: []byte(`{"a":1}`)},
			drivers.Sample{Quantity: 4, Type: record.TypeInt, Num: 10, Quality: record.QualityStale},
			drivers.Sample{Quantity: 9, Type: record.TypeInt},
		))
		src := source("a", s, time.Second)
		src.Ranges = map[string]collect.Range{"limited": {0, 10}}
		src.Labels = []record.Label{{Key: "room", Value: "7"}}
		log := newLog()
		b := run(t, log, src)
		b.until(1500 * time.Millisecond)
		expect(t, "records", strings.ReplaceAll(strings.Join(log.lines(), "\n"), `{room="7"}`, ""), strings.Join([]string{
			"0s temperature 125.0001 uncertain:range",
			`0s f - bad:nan "NaN"`,
			`0s s - bad:malformed "a\xff"`,
			`0s j - bad:malformed "7"`,
			"0s limited 11 uncertain:range",
			`1s temperature - bad:crc "raw"`,
			`1s f - bad:malformed "1"`,
			"1s s ok",
			`1s j {"a":1}`,
			"1s limited 10 uncertain:stale",
		}, "\n"))
		expect(t, "missed", missed(b.status("a")), "refused=1")
		expect(t, "stop", b.stop(), nil)
	})
}

func TestBadSeriesAndStuckValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sensor(quantity("x", record.TypeInt))
		bad := say(drivers.Sample{Quality: record.QualityPowerOn, Detail: []byte("raw")})
		good := say(drivers.Sample{Type: record.TypeInt, Num: 7})
		s.script = append(s.script, good, bad, bad, bad, bad, good)
		src := source("a", s, time.Second)
		src.StuckAfter = 4500 * time.Millisecond
		log := newLog()
		b := run(t, log, src)
		b.until(4500 * time.Millisecond)
		st := b.status("a")
		expect(t, "state", st.State, collect.StateDegraded)
		expect(t, "value", st.Series[0].Value, "-")
		expect(t, "last good", st.Series[0].LastGood.Time, 0)
		expect(t, "since", st.Series[0].Since.Time, int64(time.Second))
		expect(t, "trend", fmt.Sprint(st.Series[0].Trend), "[7 NaN NaN NaN NaN]")
		b.until(10500 * time.Millisecond)
		expect(t, "events", b.told(), "3s bad a x since 1s: bad:power-on\n5s good a x")
		expect(t, "last", log.lines()[9]+"|"+log.lines()[10], "9s x 7|10s x 7 uncertain:stuck")
		expect(t, "stop", b.stop(), nil)
	})
}

func TestSeriesLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var qs []drivers.Quantity
		for i := range 4 {
			q := quantity("x", record.TypeInt)
			q.Labels = []record.Label{{Key: "n", Value: fmt.Sprint(i)}}
			qs = append(qs, q)
		}
		src := source("a", sensor(qs...), time.Hour)
		src.MaxNewSeries = 2
		log := newLog()
		b := run(t, log, src)
		b.until(time.Hour + time.Second)
		expect(t, "records", strings.Join(log.lines(), "\n"), strings.Join([]string{
			`0s x{n="0"} 0`, `0s x{n="1"} 0`,
			`0s overflow{source="a"} 0 "x{n=\"2\"}"`, `0s overflow{source="a"} 0 "x{n=\"3\"}"`,
			`3600s x{n="0"} 1`, `3600s x{n="1"} 1`, `3600s x{n="2"} 1`, `3600s x{n="3"} 1`,
		}, "\n"))
		expect(t, "events", b.told(), `0s limit a x{n="2"}`)
		expect(t, "taken", b.status("a").Taken, 8)
		expect(t, "stop", b.stop(), nil)
	})
}

func TestReconfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		var mu sync.Mutex
		made := map[string][]*fakeSensor{}
		src := func(name, config string, interval time.Duration) collect.Source {
			s := source(name, nil, interval)
			s.Config = config
			s.Open = func() (drivers.Sensor, error) {
				x := sensor(quantity(name, record.TypeInt))
				mu.Lock()
				defer mu.Unlock()
				made[name] = append(made[name], x)
				return x, nil
			}
			return s
		}
		b := run(t, log, src("same", "1", time.Second), src("faster", "1", 2*time.Second),
			src("other", "1", time.Second), src("gone", "1", time.Second))
		b.until(4500 * time.Millisecond)
		ctx := context.Background()
		for _, p := range []collect.Plan{
			{Sources: []collect.Source{src("a", "", time.Second), src("a", "", time.Second)}},
			{Sources: []collect.Source{src("a", "", time.Microsecond)}},
			{Sources: []collect.Source{{Name: "a", Stream: "Bad", Open: src("a", "", 0).Open}}},
			{Sources: []collect.Source{{Name: "a", Stream: "nowhere", Open: src("a", "", 0).Open}}},
		} {
			if err := b.c.Reconfigure(ctx, p); !errors.Is(err, collect.ErrPlan) {
				t.Errorf("bad plan: %v", err)
			}
		}
		err := b.c.Reconfigure(ctx, collect.Plan{Sources: []collect.Source{src("new", "1", time.Second),
			src("other", "2", time.Second), src("faster", "1", time.Second), src("same", "1", time.Second)}})
		expect(t, "reconfigure", err, nil)
		b.until(7500 * time.Millisecond)
		expect(t, "same", log.times("same"), "0s 1s 2s 3s 4s 5s 6s 7s")
		expect(t, "faster", log.times("faster"), "0s 2s 4s 4.5s 5s 6s 7s")
		expect(t, "other", log.times("other"), "0s 1s 2s 3s 4s 4.5s 5s 6s 7s")
		expect(t, "gone", log.times("gone"), "0s 1s 2s 3s 4s")
		expect(t, "new", log.times("new"), "4.5s 5s 6s 7s")
		for name, want := range map[string]string{"same": "open", "faster": "open", "other": "closed open", "gone": "closed", "new": "open"} {
			var got []string
			for _, s := range made[name] {
				got = append(got, map[bool]string{true: "closed", false: "open"}[s.isClosed()])
			}
			expect(t, name, strings.Join(got, " "), want)
		}
		expect(t, "taken goes on", b.status("faster").Taken, 7)
		expect(t, "trend goes on", len(b.status("faster").Series[0].Trend), 6)
		expect(t, "order", b.c.Snapshot()[0].Name, "new")
		expect(t, "stop", b.stop(), nil)
		if err := b.c.Reconfigure(ctx, collect.Plan{}); err == nil {
			t.Error("reconfigured a stopped collector")
		}
	})
}

func TestFaultsGoWithTheirSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sensor(quantity("x", record.TypeInt))
		s.script = append(s.script, say(drivers.Sample{Quality: record.QualityCRC, Detail: []byte("raw")}))
		dead := sensor()
		dead.script = append(dead.script, failWith(drivers.ErrBus))
		b := run(t, newLog(), source("a", s, time.Second), source("b", dead, time.Second))
		b.until(2500 * time.Millisecond)
		expect(t, "events", len(strings.Split(b.told(), "\n")), 2)
		expect(t, "reconfigure", b.c.Reconfigure(context.Background(), collect.Plan{}), nil)
		if told := b.told(); !strings.Contains(told, "2.5s good a x") || !strings.Contains(told, "2.5s back b") {
			t.Errorf("events:\n%s", told)
		}
		expect(t, "closed", s.isClosed() && dead.isClosed(), true)
		expect(t, "stop", b.stop(), nil)
	})
}

func TestLargeSweepIsSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := synthetic.New(synthetic.Options{Series: 20000})
		if err != nil {
			t.Fatal(err)
		}
		src := source("load", s, time.Hour)
		src.MaxNewSeries = 20000
		log := newLog()
		b := run(t, log, src)
		b.until(time.Second)
		expect(t, "drafts", log.drafts, 3)
		expect(t, "taken", b.status("load").Taken, 20000)
		expect(t, "stop", b.stop(), nil)
	})
}

func TestClockSteps(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("15:04:05.000", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ name, now, target, want string }{
		{"on time", "10:00:10.000", "10:00:10.000", "10:00:20.000"},
		{"a little late", "10:00:10.040", "10:00:10.000", "10:00:20.000"},
		{"slewed: early", "10:00:09.990", "10:00:10.000", "10:00:20.000"},
		{"a whole sweep late", "10:00:21.000", "10:00:10.000", "10:00:30.000"},
		{"set forward", "17:12:13.500", "10:00:10.000", "17:12:20.000"},
		{"set back", "08:00:03.000", "10:00:10.000", "08:00:10.000"},
	} {
		if got := collect.NextTick(at(c.now), at(c.target), 10*time.Second); !got.Equal(at(c.want)) {
			t.Errorf("%s: got %s, want %s", c.name, got.Format("15:04:05.000"), c.want)
		}
	}
	for _, c := range []struct {
		slept, wanted, late time.Duration
		passed              int
	}{
		{time.Second, time.Second, 0, 0},
		{900 * time.Millisecond, time.Second, 0, 0},
		{1100 * time.Millisecond, time.Second, 100 * time.Millisecond, 0},
		{3500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 2},
	} {
		if late, passed := collect.Lateness(c.slept, c.wanted, time.Second); late != c.late || passed != c.passed {
			t.Errorf("slept %s for %s: %s, %d", c.slept, c.wanted, late, passed)
		}
	}
}

// nullLog takes everything and keeps nothing.
type nullLog struct{ ids record.SeriesID }

func (l *nullLog) Define(record.Series) (record.SeriesID, error) { l.ids++; return l.ids, nil }
func (*nullLog) Append(_ context.Context, d record.Draft) (collect.Ticket, error) {
	return nullTicket{}, nil
}

type nullTicket struct{}

func (nullTicket) Wait(context.Context) (record.Range, error) { return record.Range{}, nil }

func sweeper(t testing.TB, n int) collect.Sweeper {
	t.Helper()
	s, err := synthetic.New(synthetic.Options{Series: n})
	if err != nil {
		t.Fatal(err)
	}
	src := source("load", s, time.Second)
	src.MaxNewSeries = n
	o := collect.Options{Stamp: func() record.Stamp { return record.Stamp{Time: time.Now().UnixNano(), Clock: record.ClockBoot} }}
	return collect.NewSweeper(o, src, &nullLog{})
}

func TestNoAllocationPerSample(t *testing.T) {
	few, many := sweeper(t, 10), sweeper(t, 5000)
	count := func(s collect.Sweeper) float64 {
		s.Sweep(t.Context())
		return testing.AllocsPerRun(20, func() { s.Sweep(t.Context()) })
	}
	if a, b := count(few), count(many); b > a {
		t.Errorf("a sweep of 10 takes %g allocations, one of 5000 %g", a, b)
	}
}

func BenchmarkSweep(b *testing.B) {
	s := sweeper(b, 5000)
	s.Sweep(context.Background())
	b.ReportAllocs()
	for b.Loop() {
		s.Sweep(context.Background())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/sample")
}

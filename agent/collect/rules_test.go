package collect_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
)

// script makes a sensor of one quantity that reads these values, one after the other; the last repeats.
func script(q drivers.Quantity, values ...drivers.Sample) *fakeSensor {
	s := sensor(q)
	for _, v := range values {
		s.script = append(s.script, say(v))
	}
	return s
}

func decimal(v int64) drivers.Sample { return drivers.Sample{Type: record.Decimal(1), Num: v} }

func TestReportOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		q := quantity("t", record.Decimal(1))
		bad := drivers.Sample{Quality: record.QualityCRC, Detail: []byte("raw")}
		s := source("a", script(q, decimal(200), decimal(201), decimal(204), decimal(205), decimal(201), decimal(200), bad, bad, decimal(200)), time.Second)
		s.Rules = []collect.Rule{{Name: "t", Report: &collect.Report{Deadband: 0.5, Heartbeat: 5 * time.Second}}}
		b := run(t, log, s)
		b.until(14500 * time.Millisecond)
		expect(t, "records", strings.Join(log.lines(), "\n"), strings.Join([]string{"0s t 20.0", "3s t 20.5", "5s t 20.0",
			`6s t - bad:crc "raw"`, "8s t 20.0", "13s t 20.0"}, "\n"))
		st := b.status("a")
		expect(t, "unchanged", st.Unchanged, 9)
		expect(t, "taken", st.Taken, 6)
		expect(t, "missed", missed(st), "")
		expect(t, "the latest is shown all the same", st.Series[0].Stamp.Time, int64(14*time.Second))
		expect(t, "stop", b.stop(), nil)
	})
}

// TestReportAfterALoss: what the log did not take was not reported, however little it differs.
func TestReportAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		s := source("a", script(quantity("t", record.TypeInt), drivers.Sample{Type: record.TypeInt, Num: 7}), time.Second)
		s.Rules = []collect.Rule{{Report: &collect.Report{}}}
		log.err = collect.ErrFull
		b := run(t, log, s)
		b.until(2500 * time.Millisecond)
		log.mu.Lock()
		log.err = nil
		log.mu.Unlock()
		b.until(6500 * time.Millisecond)
		expect(t, "records", log.times("t"), "3s")
		expect(t, "missed", missed(b.status("a")), "full=3")
		expect(t, "unchanged", b.status("a").Unchanged, 3)
		expect(t, "stop", b.stop(), nil)
	})
}

func TestRulesNameCalibrateAndRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		log.others = map[string]*fakeLog{"alarms": newLog()}
		rom := func(v string) drivers.Quantity {
			return drivers.Quantity{Series: record.Series{Name: "temperature", Type: record.Decimal(2), Labels: []record.Label{{Key: "rom", Value: v}}}}
		}
		x := sensor(rom("1"), rom("2"), quantity("count", record.TypeInt), quantity("door", record.TypeBool))
		x.script = append(x.script, say(drivers.Sample{Quantity: 0, Type: record.Decimal(2), Num: 2010},
			drivers.Sample{Quantity: 1, Type: record.Decimal(2), Num: 2010}, drivers.Sample{Quantity: 2, Type: record.TypeInt, Num: 3},
			drivers.Sample{Quantity: 3, Type: record.TypeBool, Num: 1}))
		s := source("a", x, time.Second)
		s.Labels = []record.Label{{Key: "site", Value: "north"}}
		s.Rules = []collect.Rule{
			{Name: "temp*", Calibration: &collect.Calibration{Offset: -0.1}, AddLabels: []record.Label{{Key: "site", Value: "south"}}},
			{Labels: []record.Label{{Key: "rom", Value: "2"}}, Rename: "boiler", Range: &collect.Range{Min: 0, Max: 40},
				Calibration: &collect.Calibration{Table: [][2]float64{{0, 1}, {20, 22}, {30, 31}}}},
			{Name: "count", Calibration: &collect.Calibration{Gain: 0.5, Offset: 1}},
			{Name: "door", Stream: "alarms", Report: &collect.Report{}, Calibration: &collect.Calibration{Gain: 2}},
		}
		b := run(t, log, s)
		b.until(1500 * time.Millisecond)
		expect(t, "records", strings.Join(log.lines()[:3], "\n"), strings.Join([]string{
			`0s temperature{rom="1",site="south"} 20.00`, `0s boiler{rom="2",site="south"} 22.09`, `0s count{site="north"} 2.500`}, "\n"))
		expect(t, "alarms", strings.Join(log.others["alarms"].lines(), "\n"), `0s door{site="north"} true`)
		st := b.status("a")
		expect(t, "taken", st.Taken, 7)
		expect(t, "stream", st.Series[3].Stream, "alarms")
		// Another calibration is another plan; the sensor stays open.
		s.Rules = s.Rules[:1]
		expect(t, "reconfigure", b.c.Reconfigure(context.Background(), collect.Plan{Sources: []collect.Source{s}}), nil)
		b.until(2500 * time.Millisecond)
		expect(t, "still open", x.isClosed(), false)
		expect(t, "then", log.times(`temperature{rom="2",site="south"}`), "1.5s 2s")
		expect(t, "stop", b.stop(), nil)
	})
}

func TestDoorReportsOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, d := newLog(), newDoor()
		s := doorSource("a", d)
		s.Rules = []collect.Rule{{Name: "t", Rename: "tank", Report: &collect.Report{Deadband: 2}}}
		b := run(t, log, s)
		emit := <-d.emit
		ctx := context.Background()
		for _, v := range []int64{1, 2, 3} {
			expect(t, "emit", emit(ctx, door.Message{Readings: []door.Reading{reading("t", v)}}), nil)
		}
		// Who waits for an answer gets all of it into the log.
		expect(t, "emit", emit(ctx, door.Message{Readings: []door.Reading{reading("t", 3)}, Durable: true}), nil)
		expect(t, "records", strings.Join(log.lines(), "\n"), "0s tank 1\n0s tank 3\n0s tank 3")
		b.until(time.Second)
		expect(t, "unchanged", b.status("a").Unchanged, 1)
		expect(t, "stop", b.stop(), nil)
	})
}

func TestCalibrationTable(t *testing.T) {
	c := collect.Calibration{Table: [][2]float64{{0, 10}, {10, 30}, {20, 35}}}
	for x, want := range map[float64]float64{-5: 0, 0: 10, 5: 20, 10: 30, 15: 32.5, 20: 35, 40: 45} {
		if got := c.Apply(x); math.Abs(got-want) > 1e-12 {
			t.Errorf("%g is %g, want %g", x, got, want)
		}
	}
}

func TestRuleChecks(t *testing.T) {
	for want, r := range map[string]collect.Rule{
		"at the end":   {Name: "a*b"},
		"distance":     {Report: &collect.Report{Deadband: -1}},
		"heartbeat":    {Report: &collect.Report{Heartbeat: -1}},
		"empty":        {Range: &collect.Range{Min: 2, Max: 1}},
		"stream":       {Stream: "Big"},
		"must rise":    {Calibration: &collect.Calibration{Table: [][2]float64{{1, 1}, {1, 2}}}},
		"or a table":   {Calibration: &collect.Calibration{Gain: 1, Table: [][2]float64{{1, 1}, {2, 2}}}},
		"2 to":         {Calibration: &collect.Calibration{Table: [][2]float64{{1, 1}}}},
		"that is none": {Calibration: &collect.Calibration{Offset: math.NaN()}},
		"name":         {Rename: "no name"},
	} {
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", r, err, want)
		}
	}
	s := source("a", sensor(), time.Second)
	s.Rules = []collect.Rule{{Stream: "Big"}}
	if _, err := collect.New(collect.Options{}, collect.Plan{Sources: []collect.Source{s}}); !errors.Is(err, collect.ErrPlan) {
		t.Errorf("plan: %v", err)
	}
}

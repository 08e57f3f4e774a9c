package health_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/health"
)

func TestTableIsCompleteAndUnique(t *testing.T) {
	seen := map[health.Code]bool{}
	form := regexp.MustCompile(`^[SBUCAMNP]\d{3}$`)
	for _, d := range health.Table() {
		if !form.MatchString(string(d.Code)) || seen[d.Code] {
			t.Errorf("code %s is malformed or used twice", d.Code)
		}
		seen[d.Code] = true
		for name, text := range map[string]string{"title": d.Title, "means": d.Means, "found": d.Found, "do": d.Do, "risk": d.Risk} {
			if len(text) < 8 || name != "title" && !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %s is %q", d.Code, name, text)
			}
		}
		if len(d.Title) > 50 || d.Severity < health.Notice || d.Severity > health.Failed {
			t.Errorf("%s: title of %d bytes, severity %v", d.Code, len(d.Title), d.Severity)
		}
	}
	if d, ok := health.Lookup("s012"); !ok || d.Code != health.SensorPowerOn {
		t.Error("lookup must not care for case")
	}
	if _, ok := health.Lookup("X999"); ok {
		t.Error("X999 is not declared")
	}
}

var t0 = time.Date(2026, 11, 23, 2, 14, 0, 0, time.UTC)

func after(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }

func TestOneFaultIsOneLineUntilAcknowledged(t *testing.T) {
	var tr health.Tracker
	if !tr.Raise(t0, health.SensorPowerOn, "28-1", "cold room 2", "reads 85 °C") {
		t.Error("did not begin")
	}
	if tr.Raise(after(1), health.SensorPowerOn, "28-1", "cold room 2", "still reads 85 °C") {
		t.Error("began twice")
	}
	if !tr.Clear(after(2), health.SensorPowerOn, "28-1") || tr.Clear(after(3), health.SensorPowerOn, "28-1") {
		t.Error("clear")
	}
	list := tr.List()
	if len(list) != 1 || list[0].Until != after(2) || list[0].Severity() != health.Notice || health.Worst(list) != 0 {
		t.Errorf("after the end: %+v, worst %v", list, health.Worst(list))
	}
	tr.Raise(after(5), health.SensorPowerOn, "28-1", "cold room 2", "again")
	list = tr.List()
	if len(list) != 1 || list[0].Since != t0 || list[0].Count != 2 || list[0].Severity() != health.Degraded {
		t.Errorf("flapping must stay one line: %+v", list)
	}
	if f, err := tr.Ack(after(6), list[0].ID, "uid 1000"); err != nil || !f.Active() || len(tr.List()) != 1 {
		t.Errorf("ack of a lasting fault: %+v, %v", f, err)
	}
	tr.Clear(after(7), health.SensorPowerOn, "28-1")
	if list = tr.List(); len(list) != 0 {
		t.Errorf("acknowledged and over, still listed: %+v", list)
	}
	if _, err := tr.Ack(after(8), 99, "x"); !errors.Is(err, health.ErrNoFault) {
		t.Error(err)
	}
}

func TestGapsCountUntilAcknowledged(t *testing.T) {
	var tr health.Tracker
	tr.Note(t0, after(10), health.DroppedUnsent, "telemetry", "telemetry", "1,000 records")
	tr.Raise(after(3), health.ClockFree, "", "clock", "free")
	tr.Note(after(10), after(20), health.DroppedUnsent, "telemetry", "telemetry", "2,000 records")
	list := tr.List()
	if len(list) != 2 || list[0].Code != health.DroppedUnsent || list[0].Since != t0 || list[0].Until != after(20) {
		t.Fatalf("got %+v", list)
	}
	if health.Worst(list) != health.Degraded {
		t.Error("a loss nobody acknowledged counts")
	}
	if _, err := tr.Ack(after(30), list[0].ID, "ops"); err != nil {
		t.Fatal(err)
	}
	if w := health.Worst(tr.List()); w != health.Notice {
		t.Errorf("worst %v", w)
	}
}

func TestClearExcept(t *testing.T) {
	var tr health.Tracker
	tr.Raise(t0, health.SourceDead, "a", "", "")
	tr.Raise(t0, health.SourceDead, "b", "", "")
	tr.ClearExcept(after(1), health.SourceDead, map[string]bool{"b": true})
	active := 0
	for _, f := range tr.List() {
		if f.Active() {
			active++
		}
	}
	if active != 1 {
		t.Errorf("%d active", active)
	}
}

func TestBounded(t *testing.T) {
	var tr health.Tracker
	for i := range health.MaxFaults {
		tr.Raise(after(i), health.SensorCRC, fmt.Sprint(i), "", strings.Repeat("ä", 2000))
	}
	tr.Raise(t0, health.SourceDead, "new", "", "")
	if tr.Refused() != 1 || len(tr.List()) != health.MaxFaults {
		t.Errorf("refused %d of %d", tr.Refused(), len(tr.List()))
	}
	tr.Clear(after(600), health.SensorCRC, "7")
	if !tr.Raise(t0, health.SourceDead, "new", "", "") || len(tr.List()) != health.MaxFaults {
		t.Error("a line that is over must make room")
	}
	if n := len(tr.List()[0].Text); n > health.MaxTextBytes {
		t.Errorf("text of %d bytes", n)
	}
}

func TestRestore(t *testing.T) {
	var a, b health.Tracker
	a.Raise(t0, health.SensorCRC, "x", "x", "garbled")
	a.Note(t0, t0, health.LogCorrupt, "telemetry", "telemetry", "gap")
	saved := append(a.List(), health.Fault{ID: 77, Code: "Z999"})
	b.Restore(after(9), saved)
	list := b.List()
	if len(list) != 2 || list[0].Code != health.LogCorrupt || list[1].Until != after(9) {
		t.Fatalf("got %+v", list)
	}
	b.Raise(after(10), health.SensorCRC, "x", "x", "garbled")
	b.Raise(after(10), health.SourceDead, "y", "y", "")
	for _, f := range b.List() {
		if f.Code == health.SourceDead && f.ID <= 2 || f.Code == health.SensorCRC && f.Since != t0 {
			t.Errorf("got %+v", f)
		}
	}
}

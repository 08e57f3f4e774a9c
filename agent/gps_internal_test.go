package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// TestGPSTime plays receivers against a boot clock: the true offset of UTC must lie within the anchor's error.
func TestGPSTime(t *testing.T) {
	const delay = time.Second
	start := time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)
	truth := start.UnixNano() // at boot time 0
	var g gps
	tell := func(second int, late, wrong time.Duration) {
		boot := int64(time.Duration(second)*time.Second + late)
		g.take("boot", boot, start.Add(time.Duration(second)*time.Second+wrong), delay)
	}
	check := func(what string, at int64) {
		t.Helper()
		if !g.best.Good() || g.best.Source != record.SourceGPS {
			t.Fatalf("%s: anchor %+v", what, g.best)
		}
		if off := g.best.UTC - g.best.BootTime - at; abs(off) > g.best.Error {
			t.Errorf("%s: off by %s, error %s", what, time.Duration(off), time.Duration(g.best.Error))
		}
	}
	tell(1, 600*time.Millisecond, 0)
	tell(2, 650*time.Millisecond, 0)
	if g.best.Good() {
		t.Error("two times are not enough")
	}
	tell(3, 600*time.Millisecond, 0)
	check("three agree", truth)
	tell(4, 80*time.Millisecond, 0)
	best := g.best
	check("sooner", truth)
	tell(5, 900*time.Millisecond, 0)
	if g.best != best {
		t.Error("a later sentence replaced a sooner one")
	}
	tell(6, 100*time.Millisecond, time.Hour)
	tell(7, 100*time.Millisecond, 0)
	tell(8, 100*time.Millisecond, time.Hour)
	check("single contradictions", truth)
	for s := 9; s < 12; s++ {
		tell(s, 100*time.Millisecond, time.Hour)
	}
	check("three that agree", truth+int64(time.Hour))
}

func TestGPSIsAnAnchorOfTheClock(t *testing.T) {
	c, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	for range gpsConfirm {
		c.gpsTime(time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC), time.Now(), time.Second) // weeks ran over
	}
	if c.gps.best.Good() {
		t.Error("a time before the build counts")
	}
	utc := time.Now().Add(24 * time.Hour)
	for range gpsConfirm {
		c.gpsTime(utc, time.Now(), time.Second)
	}
	if !c.gps.best.Good() {
		t.Fatal("no anchor")
	}
	if a := c.anchor(); !c.system().Good() && a.Source != record.SourceGPS {
		t.Errorf("anchor %+v", a)
	}
	c.hubTime(bootTime(), utc.UnixNano(), int64(20*time.Millisecond), true)
	if a := c.anchor(); !c.system().Good() && a.Source != record.SourceHub {
		t.Errorf("the hub's smaller error does not win: %+v", a)
	}
}

// TestHubWithoutTime: a hub that answers and does not know the time itself is named, or people would look for a link.
func TestHubWithoutTime(t *testing.T) {
	c, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixNano()
	c.hubTime(bootTime(), now, 1, false)
	if c.hub.Good() || !strings.Contains(c.free(), "the hub's own clock is not synchronised") {
		t.Errorf("%q, anchor %+v", c.free(), c.hub)
	}
	c.hubTime(bootTime(), now, 1, true)
	if !c.hub.Good() || strings.Contains(c.free(), "hub") {
		t.Errorf("%q, anchor %+v", c.free(), c.hub)
	}
}

package agent

import (
	"testing"
	"time"
)

func TestWear(t *testing.T) {
	var w wear
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if b, over := w.perDay(); b != 0 || over != 0 {
		t.Fatal(b, over)
	}
	step := func(d time.Duration, perSecond uint64) {
		for range int(d / (10 * time.Second)) {
			at = at.Add(10 * time.Second)
			w.add(at, w.last.bytes+10*perSecond)
		}
	}
	w.add(at, 5_000_000_000) // the disk was in use before
	step(30*time.Minute, 1000)
	if b, _ := w.perDay(); b != 0 {
		t.Fatalf("%.0f after half an hour", b)
	}
	step(time.Hour, 1000)
	if b, over := w.perDay(); b != 86_400_000 || over < time.Hour {
		t.Fatalf("%.0f over %s", b, over)
	}
	step(48*time.Hour, 2000) // what was longer ago than a day does not count
	if b, over := w.perDay(); b != 2*86_400_000 || over < 23*time.Hour || over > 25*time.Hour {
		t.Fatalf("%.0f over %s", b, over)
	}
	w.add(at.Add(time.Second), 0) // another disk
	if b, _ := w.perDay(); b != 0 {
		t.Fatalf("%.0f of a new disk", b)
	}
}

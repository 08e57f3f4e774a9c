package uplink_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
)

var (
	seeds = flag.Uint64("seeds", 300, "how many random runs")
	seed  = flag.Uint64("seed", 0, "only this one")
)

// TestRandomFaults lets everything happen that a network, a disk and a hub do, in random order, then lets them be
// well, and expects the promises to hold: every record once, in its place, or in a named gap; the account closed.
func TestRandomFaults(t *testing.T) {
	from, to := uint64(1), *seeds+1
	if *seed != 0 {
		from, to = *seed, *seed+1
	}
	for n := from; n < to; n++ {
		w, log := randomRun(n)
		w.settle(48 * time.Hour)
		if wrong := w.check(); len(wrong) > 0 {
			t.Fatalf("seed %d (run with -seed %d):\n%s\n%s\nevents %s", n, n, strings.Join(wrong[:min(len(wrong), 12)], "\n"), strings.Join(log, "\n"), w.events)
		}
		for _, e := range w.events {
			if strings.HasPrefix(e, "conflict") || strings.HasPrefix(e, "failed") || strings.HasPrefix(e, "unsendable") {
				t.Fatalf("seed %d: %s\n%s", n, e, strings.Join(log, "\n"))
			}
		}
	}
}

func randomRun(n uint64) (*world, []string) {
	w := newWorld(n, 1+int(n%7), []string{"telemetry", "alarms"}[:1+n%2]...)
	w.window = 64<<10 + int(n%3)*10000
	w.gather = n%2 == 0
	w.start()
	if n%5 == 0 {
		w.hub.Credit = 700
	}
	var backup *uplinktest.Hub
	var log []string
	for range 60 + w.rng.IntN(150) {
		note := w.randomStep(&backup, n)
		if note != "" {
			log = append(log, note)
		}
	}
	return w, log
}

func (w *world) randomStep(backup **uplinktest.Hub, n uint64) string {
	l := w.rng.IntN(len(w.logs))
	pick := func(q int) int { // mostly in order
		if w.rng.IntN(4) > 0 {
			return 0
		}
		return w.rng.IntN(q)
	}
	switch k := w.rng.IntN(100); {
	case k < 12:
		w.append(l, 1+w.rng.IntN(12))
	case k < 15 && n%3 == 0: // without drops: a gap may cut a message on the disk
		w.message(l, 1+w.rng.IntN(3), w.rng.IntN(2) == 0)
	case k < 30:
		w.pump(1 + w.rng.IntN(4))
	case k < 55:
		if len(w.up) > 0 {
			i := pick(len(w.up))
			switch w.rng.IntN(8) {
			case 0:
				take(&w.up, i)
			case 1:
				w.hubTakes(w.up[i])
			default:
				w.hubTakes(take(&w.up, i))
			}
		}
	case k < 80:
		if len(w.down) > 0 {
			i := pick(len(w.down))
			switch w.rng.IntN(8) {
			case 0:
				take(&w.down, i)
			case 1:
				w.s.Received(w.down[i], w.now)
			default:
				w.s.Received(take(&w.down, i), w.now)
			}
		}
	case k < 86:
		w.now = w.now.Add(time.Duration(w.rng.IntN(15)) * time.Second)
		if w.connected {
			w.s.Tick(w.now)
		}
	case k < 90:
		if !w.connected {
			w.connect()
		} else {
			w.disconnect()
		}
	case k < 92:
		w.start()
		return "agent restarts"
	case k < 94:
		*backup = w.hub.Backup()
		return "backup"
	case k < 96:
		if *backup != nil {
			w.hub.Restore(*backup)
			return "restore"
		}
	case k < 98 && n%3 > 0:
		return w.randomDrop(l)
	case k == 98 && n%4 == 0: // the card is copied; the copy lies in a drawer
		w.spare = nil
		for _, l := range w.logs {
			w.spare = append(w.spare, l.Clone())
		}
		return "clone"
	case k == 99 && w.spare != nil: // the copy runs in place of the original
		w.logs, w.spare = w.spare, w.logs
		w.start()
		return "swap cards"
	}
	return ""
}

// randomDrop lets retention or rot take some records of one epoch: reported ones become a gap.
func (w *world) randomDrop(l int) string {
	eps := w.logs[l].Epochs()
	if len(eps) == 0 {
		return ""
	}
	e := eps[w.rng.IntN(len(eps))]
	a := e.First + record.Offset(w.rng.IntN(int(e.End-e.First)))
	b := a + 1 + record.Offset(w.rng.IntN(5))
	why := record.ReasonCorrupt
	if w.rng.IntN(2) == 0 { // retention takes whole oldest batches, delivered or not
		a, b, why = e.First, a+1, record.ReasonRetention
	}
	b = min(b, e.End)
	w.logs[l].Drop(record.Range{From: a, To: b}, why)
	w.s.LogChanged(w.logs[l].Name)
	return fmt.Sprintf("drop e%d [%d,%d) %s", e.Epoch, a, b, why)
}

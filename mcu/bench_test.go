package mcu_test

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu"
	"github.com/edgelog/edgelog/mcu/sim"
)

// syncTime is what a Sync of the log takes here: an SD card.
const syncTime = 10 * time.Millisecond

// benchCase is a chip at a speed of the line.
type benchCase struct {
	chip  string
	baud  int
	code  uint16
	queue int
}

// TestBench prints what a node gets through its line, beside what the line could carry: 8 bytes of 10 bits an event,
// nothing else. The STC89C52 and the AVR run in simulated time, cycle by cycle; the STM32 in qemu, whose time is the
// clock on the wall and which takes no time to speak of for an instruction: what it shows is the protocol on the line. Its
// image is built for 168 MHz, the clock of qemu's STM32F405.
func TestBench(t *testing.T) {
	if !*runBench {
		return
	}
	worst := map[string]float64{}
	note := func(name, chip string, v float64, unit string) {
		fmt.Printf("bench %s_%s %.4g %s\n", name, chip, v, unit)
		w, ok := worst[name+" "+unit]
		if more := unit == "ms"; !ok || more == (v > w) {
			worst[name+" "+unit] = v
		}
	}
	for _, c := range []benchCase{{"stc89", 9600, 0, 7}, {"avr", 9600, 0, 64}, {"stm32", 9600, 0, 64}, {"avr", 115200, 3, 64}, {"stm32", 115200, 3, 64}} {
		if !slices.Contains(strings.Split(*benchChips, ","), c.chip) {
			continue
		}
		measure := func(t *testing.T) {
			rate, latency := benchNode(t, c)
			note(fmt.Sprintf("node_events_per_s_%d", c.baud), c.chip, rate, "events/s")
			note(fmt.Sprintf("node_events_vs_line_%d", c.baud), c.chip, rate*80/float64(c.baud), "ratio")
			fmt.Printf("bench node_line_limit_%d_%s %.4g ratio\n", c.baud, c.chip, c.limit())
			if c.baud == 9600 {
				note("node_to_durable_ms", c.chip, latency, "ms")
			}
		}
		if c.chip == "stm32" {
			measure(t)
		} else {
			synctest.Test(t, measure)
		}
	}
	var names []string
	for name := range worst {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		n, unit, _ := strings.Cut(name, " ")
		fmt.Printf("bench %s %.4g %s\n", n, worst[name], unit)
	}
}

// limit is what remains for events, as the ratio above, if neither chip, agent nor disk took any time: frames of function
// 65 with as many events as the queue or an answer holds, and the two silences that Modbus wants.
func (c benchCase) limit() float64 {
	n := min(c.queue, mcu.MaxEvents)
	frames := time.Duration(12+17+6*n) * 10 * time.Second / time.Duration(c.baud)
	events := time.Duration(8*n) * 10 * time.Second / time.Duration(c.baud)
	return float64(events) / float64(frames+2*modbus.FramePause(c.baud))
}

// benchNode is events per second at full load, and the 99th percentile of ms from event to durable at a light one.
func benchNode(t *testing.T, c benchCase) (rate, latency float64) {
	unit := byte(11)
	var n *sim.Node
	if c.chip == "stm32" { // its settings are not kept in qemu, whose UART has every speed: the line makes it
		chip, err := sim.NewQEMU(images+"node-stm32f4-qemu.elf", c.baud)
		if err != nil {
			t.Fatal(err)
		}
		n, unit = &sim.Node{Chip: chip, Name: c.chip}, 247
	} else {
		n = imageOf(t, c.chip, 1)
		commission(t, n, uint16(unit), c.code)
	}
	b := newBus(t, c.baud, 1, n)
	defer b.line.Close()
	if c.chip == "stm32" {
		b.timeout = time.Second // a busy machine lets qemu be late
	}
	g := &logModel{syncTakes: syncTime}
	l, stop := serve(t, b, g, c.baud, []mcu.Node{{Name: c.chip, Unit: unit}}, nil)
	time.Sleep(5 * time.Second)
	from := time.Now()
	for time.Since(from) < 40*time.Second {
		testEvents(t, l, c, 1)
		time.Sleep(370 * time.Millisecond)
	}
	latency = g.late(b, from)
	testEvents(t, l, c, 60000)
	time.Sleep(2 * time.Second)
	before, _ := l.Status()
	from = time.Now()
	time.Sleep(15 * time.Second)
	after, _ := l.Status()
	rate = float64(after[0].EventsTotal-before[0].EventsTotal) / time.Since(from).Seconds()
	if n := after[0].Timeouts - before[0].Timeouts; n > 0 {
		fmt.Printf("%s at %d baud: %d time-outs\n", c.chip, c.baud, n)
		if c.chip != "stm32" {
			t.Error("in simulated time nothing is late")
		}
	}
	if after[0].Lost[mcu.LostOverflow] > before[0].Lost[mcu.LostOverflow] {
		t.Errorf("%s: %d events ran over", c.chip, after[0].Lost[mcu.LostOverflow])
	}
	stop()
	return rate, latency
}

func testEvents(t *testing.T, l *mcu.Line, c benchCase, n uint16) {
	t.Helper()
	for try := 0; ; try++ {
		err := l.TestEvents(context.Background(), c.chip, n)
		if err == nil {
			return
		} else if c.chip != "stm32" || try > 30 {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}

// late is the 99th percentile of ms from an event, after from, until it is durable.
func (g *logModel) late(b *bus, from time.Time) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	var late []float64
	for _, d := range g.drafts {
		durable := d.at.Add(time.Second)
		if d.synced && d.syncedAt.Before(durable) {
			durable = d.syncedAt
		}
		for _, r := range d.Records {
			if at := b.base.Add(time.Duration(r.Time)); at.After(from) {
				late = append(late, float64(durable.Sub(at))/1e6)
			}
		}
	}
	if len(late) == 0 {
		b.t.Fatal("nothing came")
	}
	sort.Float64s(late)
	return late[len(late)*99/100]
}

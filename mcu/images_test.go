package mcu_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/internal/sim/onewire"
	"github.com/edgelog/edgelog/mcu"
	"github.com/edgelog/edgelog/mcu/sim"
)

var (
	imageFaults = flag.Int("image-faults", 8, "faults in TestImages")
	imageChips  = flag.String("image-chips", "avr,stc89,stc89", "chips in TestImages; an 8052 costs a tenth of what an AVR costs to simulate")
	benchChips  = flag.String("bench-chips", "stc89,avr", "chips in TestBench")
	runBench    = flag.Bool("bench-mcu", false, "run TestBench")
)

const images = "../firmware/build/"

var imageFiles = map[string]string{"avr": "node-avr.elf", "stc89": "node-stc89.ihx"}

// imageOf makes a node that runs the real image for a chip.
func imageOf(t testing.TB, chip string, sensors int) *sim.Node {
	t.Helper()
	var chips []*onewire.Chip
	for i := range sensors {
		c, _ := onewire.NewThermometer(0x28, 0x1122334400+uint64(i), 20*16+i)
		chips = append(chips, c)
	}
	b := sim.NewBoard(chips...)
	var n *sim.Node
	var err error
	switch chip {
	case "avr":
		n, err = sim.NewAVRNode(chip, images+imageFiles[chip], b)
	case "stc89":
		n, err = sim.NewSTCNode(chip, images+imageFiles[chip], b)
	default:
		t.Fatalf("no chip %s", chip)
	}
	if err != nil {
		t.Fatalf("%s: %v (run make firmware)", chip, err)
	}
	return n
}

// bus joins a line in simulated time with the virtual time of a test's bubble: whoever sleeps there lets the chips run.
type bus struct {
	t    testing.TB
	line *sim.Line
	base time.Time // virtual time of simulated 0

	turn  chan struct{}     // holds one element while somebody uses the line: a mutex would stop the bubble's time
	acked map[uint32]uint32 // by the low word of the incarnation
}

func newBus(t testing.TB, baud int, seed uint64, nodes ...*sim.Node) *bus {
	b := &bus{t: t, line: sim.NewLine(baud, seed, nodes...), turn: make(chan struct{}, 1), acked: map[uint32]uint32{}}
	if err := b.line.Run(200 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	b.base = time.Now().Add(-b.line.Now())
	return b
}

// catchUp lets the chips run until now.
func (b *bus) catchUp() error {
	if d := time.Since(b.base) - b.line.Now(); d > 0 {
		return b.line.Run(d)
	}
	return nil
}

// Exchange implements modbus.Line.
func (b *bus) Exchange(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) ([]byte, error) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	if err := b.catchUp(); err != nil {
		return nil, err
	}
	before := b.line.Now()
	answer, err := b.line.Exchange(ctx, unit, pdu, timeout)
	if pdu[0] == 65 && err == nil { // what the line acknowledges, and the node took
		tag := binary.BigEndian.Uint32(pdu[1:])
		b.acked[tag] = max(b.acked[tag], binary.BigEndian.Uint32(pdu[5:]))
	}
	time.Sleep(b.line.Now() - before)
	return answer, err
}

func (b *bus) Close() error { return nil }

// do has the chips to itself, at the present time.
func (b *bus) do(f func()) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	if err := b.catchUp(); err != nil {
		b.t.Error(err)
	}
	b.line.Do(f)
}

// commission gives a node that is alone on a line its address and speed.
func commission(t testing.TB, n *sim.Node, unit uint16, speed uint16) {
	t.Helper()
	l := sim.NewLine(9600, 1, n)
	if err := l.Run(300 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: 2 * time.Second})
	ctx := context.Background()
	words := []uint16{unit}
	if speed > 0 {
		words = append(words, speed)
	}
	if err := m.WriteRegisters(ctx, 247, mcu.RegSettings, words); err != nil {
		t.Fatalf("%s: %v", n.Name, err)
	}
	if err := m.WriteRegister(ctx, 247, mcu.RegSave, 0x5341); err != nil {
		t.Fatalf("%s: %v", n.Name, err)
	}
	n.PowerCycle()
}

// serve runs a line over the bus until stop.
func serve(t testing.TB, b *bus, g mcu.Log, baud int, nodes []mcu.Node, change func(o *mcu.Options)) (*mcu.Line, func()) {
	t.Helper()
	start := b.base
	o := mcu.Options{Name: "images", Nodes: nodes, Log: g, Baud: baud, Clock: mcu.ClockUTC,
		Open: func() (mcu.Bus, io.Closer, error) {
			return modbus.NewMaster(b, modbus.MasterOptions{Timeout: 300 * time.Millisecond, Retries: -1}), b, nil
		},
		Stamp: func() record.Stamp { return record.Stamp{Time: int64(time.Since(start)), Clock: record.ClockBoot} },
		UTC:   func() (time.Time, bool) { return time.Now().UTC(), true }}
	if change != nil {
		change(&o)
	}
	l, err := mcu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// The real images on one line, in simulated time: resets, power cuts in the middle of writing settings, noise, lost
// frames, an agent that dies. What was acknowledged is in the log once and in order; what is missing is named.
func TestImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(*first, 9))
		chips := strings.Split(*imageChips, ",")
		var sims []*sim.Node
		var nodes []mcu.Node
		for i, chip := range chips {
			n := imageOf(t, chip, 1)
			commission(t, n, uint16(11+i), 0)
			sims = append(sims, n)
			nodes = append(nodes, mcu.Node{Name: fmt.Sprintf("%s-%d", chip, i), Unit: byte(11 + i), Settings: map[string]string{"report": "2"}})
		}
		b := newBus(t, 9600, *first, sims...)
		defer b.line.Close()
		truth := watchTruth(t, b, chips, sims)
		g := &logModel{}
		l, stop := serve(t, b, g, 9600, nodes, nil)
		time.Sleep(5 * time.Second)
		stated := map[string]time.Duration{}
		look := func() { // a new agent begins anew
			list, _ := l.Status()
			for _, s := range list {
				stated[s.Name] = max(stated[s.Name], s.TimeWorst)
			}
		}
		ctx := context.Background()
		for i := range *imageFaults {
			k := r.IntN(len(nodes))
			name := nodes[k].Name
			_ = l.TestEvents(ctx, name, uint16(10+r.IntN(60))) // a node that is away says so
			time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
			pull := func(f func()) {
				b.do(f)
				truth[k].Restarted()
			}
			switch f := r.IntN(9); {
			case f < 3:
				pull(sims[k].Reset)
			case f < 5:
				done := make(chan struct{})
				go func() { defer close(done); _ = l.Set(ctx, name, map[string]string{"page": fmt.Sprint(1 + i%60)}) }()
				time.Sleep(time.Duration(100+r.IntN(400)) * time.Millisecond)
				pull(sims[k].PowerCycle)
				<-done
			case f == 5:
				b.line.SetFaults(sim.Faults{Noise: 0.01})
			case f == 6:
				b.line.SetFaults(sim.Faults{LostReply: 0.3, LostRequest: 0.2})
			default:
				stop()
				look()
				g.crash()
				time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
				l, stop = serve(t, b, g, 9600, nodes, nil)
			}
			if r.IntN(2) == 0 {
				b.line.SetFaults(sim.Faults{})
			}
		}
		b.line.SetFaults(sim.Faults{})
		list, _ := l.Status()
		for range 40 { // until all are back, and then until their queues are empty
			time.Sleep(time.Second)
			list, _ = l.Status()
			quiet := true
			for _, s := range list {
				quiet = quiet && s.State == mcu.StateOnline && s.Fill == 0 && s.Taken == s.Durable
			}
			if quiet {
				break
			}
		}
		look()
		stop()
		for _, bad := range g.bad {
			t.Error(bad)
		}
		for i := range list {
			if list[i].State != mcu.StateOnline {
				t.Errorf("%+v", list[i])
			}
			checkImage(t, g, b, list[i], truth[i], stated[list[i].Name])
			for _, v := range sims[i].Board.Violations() {
				if !strings.Contains(v, "driver") { // a frame that a reset cuts off
					t.Logf("%s: %s", list[i].Name, v)
				}
			}
		}
	})
}

// watchTruth notes when each node queues its events.
func watchTruth(t *testing.T, b *bus, chips []string, nodes []*sim.Node) []*sim.Truth {
	t.Helper()
	var all []*sim.Truth
	for i, n := range nodes {
		x, err := sim.NewTruth(n, images+imageFiles[chips[i]])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	b.line.Watch(func(now time.Duration) {
		for _, x := range all {
			x.Look(now)
		}
	})
	return all
}

// checkImage reads what the log has of a node.
func checkImage(t *testing.T, g *logModel, b *bus, s mcu.Status, truth *sim.Truth, stated time.Duration) {
	t.Helper()
	have := map[uint32]uint64{}
	var inc, last uint64
	test, events, lost := int64(-1), 0, uint64(0)
	worst, timed := time.Duration(0), 0
	bad := func(format string, a ...any) {
		t.Helper()
		t.Errorf("%s: life %016x at %d: %s", s.Name, inc, last, fmt.Sprintf(format, a...))
	}
	for _, d := range g.drafts {
		if d.Producer.Name != mcu.Producer(s.Name) {
			continue
		}
		if d.Producer.Incarnation != inc {
			if inc != 0 {
				if l := lostOf(t, g, d.Records[0]); l.Reason != mcu.LostReset || uint64(l.Last) != last || l.Incarnation != fmt.Sprintf("%016x", inc) {
					bad("its end is %+v", l)
				}
			}
			inc, last, test = d.Producer.Incarnation, 0, -1
		}
		for _, r := range d.Records {
			series := g.series[r.Series-1]
			switch series.Name {
			case "node.lost":
				l := lostOf(t, g, r)
				if l.Reason == mcu.LostOverflow {
					last, test = uint64(l.To), -2
				}
				lost += max(l.Count, l.AtMost)
				continue
			case "node.boot":
				var m mcu.BootRecord
				if err := json.Unmarshal(r.Value(), &m); err != nil || last != 0 {
					bad("boot %+v %v", m, err)
				}
			case "node.test":
				if test > -2 && r.Num != test+1 {
					bad("test event %d follows %d", r.Num, test)
				}
				test = r.Num
			}
			last++
			events++
			if x := truth.Of(inc); x != nil && int(last) <= len(x.At) && x.At[last-1] >= 0 {
				off := (time.Duration(r.Time) - x.At[last-1]).Abs()
				if timed++; off > stated+3*time.Millisecond { // ms of the node, ms of the record, and what Truth is late
					bad("%s is off by %v, stated is %v", series.Name, off, stated)
				}
				worst = max(worst, off)
			}
		}
		if last != d.Producer.Sequence {
			bad("the message ends at %d", d.Producer.Sequence)
			last = d.Producer.Sequence
		}
		have[uint32(inc)] = last
	}
	acked := 0
	for i, seq := range b.acked {
		if n, ok := have[i]; ok {
			acked++
			if uint64(seq) > n {
				bad("acknowledged up to %d, the log has %d", seq, n)
			}
		}
	}
	t.Logf("%s: %d events, %d lives, %d resets, at most %d lost; times of %d events are off by at most %v, stated ±%v", s.Name, events, len(have), len(truth.Lives)-1, lost, timed, worst, stated)
	if acked == 0 || events == 0 || timed < events*9/10 {
		bad("nothing came")
	}
}

// slowDisk is a stream whose Sync takes what an SD card takes.
type slowDisk struct{ *logModel }

const syncTime = 10 * time.Millisecond

func (g slowDisk) Sync(ctx context.Context) error {
	time.Sleep(syncTime)
	return g.logModel.Sync(ctx)
}

// TestBench prints what a node gets through its line in simulated time, beside what the line could carry: 8 bytes of 10
// bits an event, nothing else. A Sync of the log takes syncTime.
func TestBench(t *testing.T) {
	if !*runBench {
		return
	}
	worst := map[string]float64{}
	note := func(name, chip string, v float64, unit string, more bool) {
		fmt.Printf("bench %s_%s %.4g %s\n", name, chip, v, unit)
		if w, ok := worst[name]; !ok || more == (v < w) {
			worst[name] = v
		}
	}
	for _, c := range []struct {
		chip string
		baud int
		code uint16
	}{{"stc89", 9600, 0}, {"avr", 9600, 0}, {"avr", 115200, 3}} {
		if !strings.Contains(","+*benchChips+",", ","+c.chip+",") {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			rate, latency := benchNode(t, c.chip, c.baud, c.code)
			note(fmt.Sprintf("node_events_per_s_%d", c.baud), c.chip, rate, "events/s", true)
			note(fmt.Sprintf("node_events_vs_line_%d", c.baud), c.chip, rate*80/float64(c.baud), "ratio", true)
			if c.baud == 9600 {
				note("node_to_durable_ms", c.chip, latency, "ms", false)
			}
		})
	}
	var names []string
	for name := range worst {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		unit := map[bool]string{true: "ms", false: "ratio"}[strings.HasSuffix(name, "_ms")]
		if strings.Contains(name, "per_s") {
			unit = "events/s"
		}
		fmt.Printf("bench %s %.4g %s\n", name, worst[name], unit)
	}
}

// benchNode is events per second at full load, and the 99th percentile of ms from event to durable at a light one.
func benchNode(t *testing.T, chip string, baud int, code uint16) (rate, latency float64) {
	n := imageOf(t, chip, 1)
	commission(t, n, 11, code)
	b := newBus(t, baud, 1, n)
	defer b.line.Close()
	g := &logModel{}
	l, stop := serve(t, b, slowDisk{g}, baud, []mcu.Node{{Name: chip, Unit: 11, Settings: map[string]string{"report": "1"}}}, nil)
	time.Sleep(20 * time.Second)
	var late []float64
	g.mu.Lock()
	for i, d := range g.drafts {
		durable := d.at.Add(time.Second)
		if d.synced && !g.drafts[i].syncedAt.IsZero() {
			durable = d.syncedAt
		}
		for _, r := range d.Records {
			if name := g.series[r.Series-1].Name; name == "temperature" {
				late = append(late, float64(durable.Sub(b.base.Add(time.Duration(r.Time))))/1e6)
			}
		}
	}
	g.mu.Unlock()
	if len(late) == 0 {
		t.Fatal("no readings came")
	}
	sort.Float64s(late)
	latency = late[len(late)*99/100]
	if err := l.TestEvents(context.Background(), chip, 60000); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	before, _ := l.Status()
	from := time.Now()
	time.Sleep(15 * time.Second)
	after, _ := l.Status()
	rate = float64(after[0].EventsTotal-before[0].EventsTotal) / time.Since(from).Seconds()
	stop()
	return rate, latency
}

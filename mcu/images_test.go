package mcu_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
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
	imageFaults = flag.Int("image-faults", 6, "faults in TestImages")
	imageChips  = flag.String("image-chips", "avr,stc89,stc89", "chips in TestImages; an 8052 costs a tenth of what an AVR costs to simulate")
	benchChips  = flag.String("bench-chips", "stc89,avr,stm32", "chips in TestBench")
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

	timeout time.Duration     // for an answer
	turn    chan struct{}     // holds one element while somebody uses the line: a mutex would stop the bubble's time
	acked   map[uint32]uint32 // by the low word of the incarnation
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
	answer, err := b.line.Exchange(ctx, unit, pdu, timeout)
	if pdu[0] == 65 && err == nil { // what the line acknowledges, and the node took
		tag := binary.BigEndian.Uint32(pdu[1:])
		b.acked[tag] = max(b.acked[tag], binary.BigEndian.Uint32(pdu[5:]))
	}
	time.Sleep(time.Until(b.base.Add(b.line.Now()))) // none with a chip whose time is that of the wall
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
			return modbus.NewMaster(b, modbus.MasterOptions{Timeout: cmp.Or(b.timeout, 300*time.Millisecond), Retries: -1}), b, nil
		},
		Stamp: func() record.Stamp { return record.Stamp{Time: int64(time.Since(start)), Clock: record.ClockBoot} },
		UTC:   func() (time.Time, bool) { return time.Now().UTC(), true }}
	if change != nil {
		change(&o)
	}
	return begin(t, o)
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

// hanger is a chip whose program can be made to hang.
type hanger interface{ Hang() error }

// A program that hangs is reset by its watchdog, says so, and the agent's log has it: the end of the life before, with what
// may be lost of it, and the new one with its cause.
func TestWatchdog(t *testing.T) {
	for _, chip := range []string{"avr", "stc89"} {
		synctest.Test(t, func(t *testing.T) {
			n := imageOf(t, chip, 1)
			commission(t, n, 11, 0)
			b := newBus(t, 9600, *first, n)
			defer b.line.Close()
			g := &logModel{}
			var causes []string
			l, stop := serve(t, b, g, 9600, []mcu.Node{{Name: chip, Unit: 11}}, func(o *mcu.Options) {
				o.Events.Restarted = func(_ string, id mcu.Identity) { causes = append(causes, id.Cause) }
			})
			time.Sleep(5 * time.Second)
			list, _ := l.Status()
			first := list[0]
			b.do(func() {
				if err := n.Chip.(hanger).Hang(); err != nil {
					t.Fatal(err)
				}
			})
			time.Sleep(10 * time.Second)
			list, _ = l.Status()
			stop()
			if s := list[0]; s.State != mcu.StateOnline || s.Identity.Cause != "watchdog" || s.Identity.Boots != first.Identity.Boots+1 || s.Incarnation == first.Incarnation {
				t.Errorf("%s: %+v", chip, s)
			}
			if len(causes) != 2 || causes[1] != "watchdog" {
				t.Errorf("%s: lives began by %v", chip, causes)
			}
			var lost *mcu.LostRecord
			boot := false
			for _, d := range g.drafts {
				for _, r := range d.Records {
					switch g.series[r.Series-1].Name {
					case "node.lost":
						x := lostOf(t, g, r)
						lost = &x
					case "node.boot":
						var m mcu.BootRecord
						if err := json.Unmarshal(r.Value(), &m); err != nil {
							t.Error(err)
						}
						boot = boot || m.Cause == "watchdog" && lost != nil
					}
				}
			}
			if lost == nil || lost.Reason != mcu.LostReset || lost.Incarnation != fmt.Sprintf("%016x", first.Incarnation) || lost.AtMost != uint64(first.Identity.Queue) || !boot {
				t.Errorf("%s: lost %+v, boot record behind it: %v", chip, lost, boot)
			}
		})
	}
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

package e2e_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/sim/onewire"
	"github.com/edgelog/edgelog/mcu"
	"github.com/edgelog/edgelog/mcu/boot"
	"github.com/edgelog/edgelog/mcu/sim"
	"github.com/edgelog/edgelog/mcu/sim/target"
)

var (
	nodeFaults = flag.Int("node-faults", 10, "faults in TestNodes")
	nodeChips  = flag.String("node-chips", "stc89,avr,stc89", "chips on the line of TestNodes")
	nodeSeed   = flag.Uint64("node-seed", 0, "seed of these faults; 0 picks one and prints it")
)

const images = "../../firmware/build/"

// busRig is a line with three nodes that run real images, paced by the clock on the wall, behind a terminal.
type busRig struct {
	t     *testing.T
	line  *sim.Line
	nodes []*sim.Node
	names []string
	pty   *target.PTY

	mu    sync.Mutex
	sent  []byte            // of the agent, not yet taken apart
	acked map[uint32]uint32 // by the low half of the incarnation: what the agent has acknowledged
	late  time.Duration     // by which the chips are behind the clock on the wall

	truth []*sim.Truth // by node; changed while the line's nodes stand still
	steps []step
}

// step says that the chips' time was sim at a time on the wall.
type step struct {
	sim  time.Duration
	wall time.Time
}

// tap passes bytes between the terminal and the line, and notes what the agent says. It is the chip of the terminal.
type tap struct {
	target.Chip
	r *busRig
}

func (x tap) Receive(b byte, _ boot.Mode) {
	x.r.mu.Lock()
	x.r.sent = append(x.r.sent, b)
	x.r.listen()
	x.r.mu.Unlock()
	x.r.line.Send([]byte{b})
}

func (x tap) Send(boot.Mode) []byte {
	b, _ := x.r.line.Received()
	return b
}

// listen finds acknowledgements: function 65 of unit 11 and up, whose CRC holds. mu is held.
//
//	unit | 65 | low half of the incarnation u32 | sequence u32 | CRC u16
func (r *busRig) listen() {
	const length = 12
	for ; len(r.sent) >= length; r.sent = r.sent[1:] {
		b := r.sent[:length]
		if b[0] < 11 || int(b[0]) >= 11+len(r.names) || b[1] != 65 {
			continue
		}
		if crc := modbus.CRC(b[:length-2]); byte(crc) != b[length-2] || byte(crc>>8) != b[length-1] {
			continue
		}
		life := binary.BigEndian.Uint32(b[2:])
		r.acked[life] = max(r.acked[life], binary.BigEndian.Uint32(b[6:]))
	}
}

func imageOf(name string) string {
	if strings.HasPrefix(name, "stc89") {
		return "node-stc89.ihx"
	}
	return "node-avr.elf"
}

// newNode is one node with its own address, given as a person would who commissions it.
func newNode(t *testing.T, name string, unit int) *sim.Node {
	t.Helper()
	chip, _ := onewire.NewThermometer(0x28, 0x1122334400+uint64(unit), 20*16+unit)
	b := sim.NewBoard(chip)
	var n *sim.Node
	var err error
	if strings.HasPrefix(name, "stc89") {
		n, err = sim.NewSTCNode(name, images+imageOf(name), b)
	} else {
		n, err = sim.NewAVRNode(name, images+imageOf(name), b)
	}
	if err != nil {
		t.Fatalf("node %s: %v (run make firmware)", name, err)
	}
	l := sim.NewLine(9600, 1, n)
	if err := l.Run(200 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: 2 * time.Second})
	ctx := context.Background()
	if err := m.WriteRegister(ctx, 247, mcu.RegSettings, uint16(unit)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := m.WriteRegister(ctx, 247, mcu.RegSave, 0x5341); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	n.PowerCycle()
	return n
}

func newBus(t *testing.T, seed uint64, names ...string) *busRig {
	r := &busRig{t: t, names: names, acked: map[uint32]uint32{}}
	for i, name := range names {
		n := newNode(t, name, 11+i)
		x, err := sim.NewTruth(n, images+imageOf(name))
		if err != nil {
			t.Fatal(err)
		}
		r.nodes, r.truth = append(r.nodes, n), append(r.truth, x)
	}
	r.line = sim.NewLine(9600, seed, r.nodes...)
	if err := r.line.Run(5 * time.Second); err != nil { // beyond the time that commissioning took
		t.Fatal(err)
	}
	r.line.Watch(func(now time.Duration) {
		for _, x := range r.truth {
			x.Look(now)
		}
	})
	var err error
	if r.pty, err = target.NewPTY(tap{r: r}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- r.pty.Run(ctx) }()
	go func() { done <- r.pace(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		r.line.Close()
	})
	return r
}

// pace lets the line run with the clock on the wall; what a busy machine leaves behind is not caught up.
func (r *busRig) pace(ctx context.Context) error {
	for last := time.Now(); ctx.Err() == nil; {
		now := time.Now()
		if behind := now.Sub(last); behind > 500*time.Microsecond {
			d := min(behind, 20*time.Millisecond)
			last = now
			r.mu.Lock()
			r.late += behind - d
			r.steps = append(r.steps, step{r.line.Now() + d, now})
			r.mu.Unlock()
			if err := r.line.Run(d); err != nil {
				return err
			}
			continue
		}
		time.Sleep(500 * time.Microsecond)
	}
	return nil
}

func (r *busRig) reset(i int, power bool) {
	r.line.Do(func() {
		if power {
			r.nodes[i].PowerCycle()
		} else {
			r.nodes[i].Reset()
		}
		r.truth[i].Restarted()
	})
}

// wall is the time on the wall of a moment of the chips.
func (r *busRig) wall(at time.Duration) time.Time {
	i := sort.Search(len(r.steps), func(i int) bool { return r.steps[i].sim >= at })
	if i == len(r.steps) {
		return time.Time{}
	}
	return r.steps[i].wall.Add(at - r.steps[i].sim)
}

func nodesYAML(port string, names []string) string {
	y := fmt.Sprintf("nodes:\n  - line: cellar\n    port: %s\n    poll: 200ms\n    timeout: %s\n    clock: utc\n    stream: events\n    nodes:\n", port, answerTimeout)
	for i, n := range names {
		y += fmt.Sprintf("      - {name: %s, unit: %d, settings: {report: 1}}\n", n, 11+i)
	}
	return y
}

// TestNodes is the whole way: nodes that run real images on one RS-485 line, agent, broker, hub. They are reset, lose
// their power in the middle of writing settings, the line is noisy and loses questions and answers, the agent is
// killed. Every event that the agent acknowledged to a node is in the hub once, in order, and every event that a node
// lost is named.
func TestNodes(t *testing.T) {
	seed := *nodeSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-node-seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	var names []string
	for i, chip := range strings.Split(*nodeChips, ",") {
		names = append(names, fmt.Sprintf("%s-%d", chip, i+1))
	}
	r := newBus(t, seed, names...)
	dir := t.TempDir()
	b := newBroker(t, dir, "box-1")
	hub := newHub(t, dir, b, "")
	hub.Start()
	x := newBox(t, dir, b, boxOptions{device: "box-1", extra: nodesYAML(r.pty.Name, names)})
	x.up()
	online := func(n int) func() bool {
		return func() bool { return onlineNodes(x) >= n }
	}
	waitFor(t, 5*time.Minute, "three nodes are online", online(3))
	ctx := context.Background()
	worst := time.Duration(0)
	for i := range *nodeFaults {
		k := rnd.IntN(len(names))
		change := func(q api.NodeRequest) {
			c, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			_, _ = x.api.ChangeNode(c, names[k], q) // a node that is away says so
		}
		change(api.NodeRequest{Test: uint16(20 + rnd.IntN(60))})
		time.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
		f := rnd.IntN(11)
		if i == 0 {
			f = 9 // in short runs too
		}
		switch {
		case f < 3:
			r.reset(k, rnd.IntN(2) == 0)
		case f < 5: // the power goes while settings are written to EEPROM
			done := make(chan struct{})
			go func() {
				defer close(done)
				change(api.NodeRequest{Settings: map[string]string{"page": fmt.Sprint(1 + i%60)}})
			}()
			time.Sleep(time.Duration(50+rnd.IntN(300)) * time.Millisecond)
			r.reset(k, true)
			<-done
		case f == 5:
			r.line.SetFaults(sim.Faults{Noise: 0.01})
		case f == 6:
			r.line.SetFaults(sim.Faults{LostReply: 0.3, LostRequest: 0.2})
		case f < 9:
			x.Kill()
			time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond)
			x.up()
		case f == 9: // somebody else talks on the pair, into answers too: on a loaded machine it may take long to meet one
			end := time.Now().Add(2 * time.Minute)
			for n := 0; n < 40 || r.line.Counts().Collisions == 0 && time.Now().Before(end); n++ {
				junk := make([]byte, 1+rnd.IntN(12))
				for i := range junk {
					junk[i] = byte(rnd.Uint32())
				}
				time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond)
				if said := r.line.Counts().FromNodes; rnd.IntN(2) == 0 { // when a node has begun to answer
					for range 200 {
						if time.Sleep(time.Millisecond); r.line.Counts().FromNodes != said {
							break
						}
					}
				}
				r.line.Send(junk)
			}
		default:
			r.line.SetFaults(sim.Faults{Cut: true})
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		}
		if rnd.IntN(2) == 0 {
			r.line.SetFaults(sim.Faults{})
		}
		if n, err := x.api.Nodes(ctx); err == nil {
			for _, l := range n.Lines {
				for _, y := range l.Nodes {
					worst = max(worst, time.Duration(y.TimeWorst*float64(time.Second)))
				}
			}
		}
	}
	r.line.SetFaults(sim.Faults{})
	waitFor(t, 5*time.Minute, "three nodes are online again", online(3))
	time.Sleep(3 * time.Second)
	x.quiet(b, 60*time.Second) // the configuration without nodes: the line is let go, the rest delivered
	checkNodes(t, r, hub, worst)
	if c := r.line.Counts(); c.Collisions == 0 {
		t.Errorf("no characters of two talkers met: %+v", c)
	}
	x.Stop()
}

func onlineNodes(x *box) (n int) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	all, err := x.api.Nodes(ctx)
	if err != nil {
		return 0
	}
	for _, l := range all.Lines {
		for _, y := range l.Nodes {
			if y.State == api.NodeOnline && y.Incarnation != "" {
				n++
			}
		}
	}
	return n
}

// nodeLife is what the hub has of one life of a node.
type nodeLife struct {
	inc  uint64
	boot uint32
	last uint32 // sequence up to which everything is there or named
}

// checkNodes reads every node's rows at the hub in their order, and compares.
func checkNodes(t *testing.T, r *busRig, hub *receiver, stated time.Duration) {
	have := map[uint32]uint32{}
	var events, lost, overflow int
	var times nodeTimes
	for k, name := range r.names {
		rows := hub.query("SELECT series, t, ifnull(value, '') FROM readings JOIN epoch e ON printf('%016x', e.epoch) = readings.epoch AND e.stream = readings.stream" +
			" WHERE json_extract(labels, '$.node') = '" + name + "' ORDER BY e.ref, record_offset")
		var cur nodeLife
		test := -1
		for _, row := range rows {
			f := strings.SplitN(row, "|", 3)
			bad := func(format string, a ...any) {
				t.Errorf("%s: %s (in life %+v)", name, fmt.Sprintf(format, a...), cur)
			}
			switch f[0] {
			case "node.lost":
				var l mcu.LostRecord
				if err := json.Unmarshal([]byte(f[2]), &l); err != nil {
					bad("%s: %v", row, err)
				}
				switch l.Reason {
				case mcu.LostReset:
					if inc, _ := strconv.ParseUint(l.Incarnation, 16, 64); inc != cur.inc || l.Last != cur.last {
						bad("its end is %+v", l)
					}
					lost += int(l.AtMost)
					have[uint32(cur.inc)] = cur.last
					cur = nodeLife{}
				case mcu.LostOverflow:
					if cur.inc == 0 {
						cur.inc, _ = strconv.ParseUint(l.Incarnation, 16, 64)
						test = -2
					}
					if l.Last != cur.last || uint64(l.To-l.Last) != l.Count {
						bad("overflow %+v", l)
					}
					cur.last, test = l.To, -2
					overflow += int(l.Count)
				case mcu.LostUnseen:
				default:
					bad("%+v", l)
				}
				continue
			case "node.boot":
				var m mcu.BootRecord
				if err := json.Unmarshal([]byte(f[2]), &m); err != nil {
					bad("%s: %v", row, err)
				}
				if cur.inc != 0 {
					bad("boot %+v without the end of the life before", m)
				}
				cur.inc, _ = strconv.ParseUint(m.Incarnation, 16, 64)
				cur.boot, cur.last, test = m.Boot, 0, -1
			case "node.test":
				v, err := strconv.Atoi(f[2])
				if err != nil || test > -2 && v != test+1 {
					bad("test event %s follows %d", f[2], test)
				}
				test = v
			}
			if cur.inc == 0 {
				bad("%s before its life began", row)
			}
			cur.last++
			events++
			us, _ := strconv.ParseInt(f[1], 10, 64)
			times.compare(r, k, cur, f[0], time.UnixMicro(us))
		}
		have[uint32(cur.inc)] = cur.last
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for inc, seq := range r.acked {
		if have[inc] < seq {
			t.Errorf("life …%08x: acknowledged up to %d, the hub has %d", inc, seq, have[inc])
		}
	}
	t.Logf("%+v", r.line.Counts())
	t.Logf("%d events of %d lives in the hub, %d acknowledged lives, %d lost by overflow, at most %d by resets", events, len(have), len(r.acked), overflow, lost)
	times.check(t, events, stated, r.late)
}

// nodeTimes are the times that events have at the hub beside those at which the programs queued them.
type nodeTimes struct {
	off  []time.Duration
	text []string
}

func (x *nodeTimes) compare(r *busRig, node int, cur nodeLife, series string, at time.Time) {
	life := r.truth[node].Of(cur.inc)
	if life == nil || int(cur.last) > len(life.At) || life.At[cur.last-1] < 0 {
		return
	}
	wall := r.wall(life.At[cur.last-1])
	if wall.IsZero() {
		return
	}
	x.off = append(x.off, at.Sub(wall).Abs())
	x.text = append(x.text, fmt.Sprintf("%s: event %d of life %016x, %s", r.names[node], cur.last, cur.inc, series))
}

// answerTimeout of the line, for busy machines.
const answerTimeout = 10 * time.Second

// check wants every time within what the agent stated, and what the chips were late: they are slower than the clock on
// the wall where the machine is, and no agent can know that of a node. What an agent stated that was killed right after
// its first look at a node nobody has heard: that look took no longer than its time-out. (TestImages of package mcu, in
// simulated time, allows nothing of this.)
func (x *nodeTimes) check(t *testing.T, events int, stated, late time.Duration) {
	t.Helper()
	if len(x.off) < events*8/10 {
		t.Errorf("the truth is known of %d of %d events only", len(x.off), events)
	}
	if len(x.off) == 0 {
		return
	}
	wrong := 0
	for i, off := range x.off {
		if off > stated+late+answerTimeout {
			if wrong++; wrong < 10 {
				t.Errorf("%s is off by %v", x.text[i], off)
			}
		}
	}
	sorted := slices.Sorted(slices.Values(x.off))
	t.Logf("times of %d events: median off by %v, p99 %v, worst %v; stated ±%v; the chips were late by %v in all", len(sorted), sorted[len(sorted)/2],
		sorted[len(sorted)*99/100], sorted[len(sorted)-1], stated, late)
}

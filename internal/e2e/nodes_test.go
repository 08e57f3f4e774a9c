package e2e_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
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
	nodeFaults = flag.Int("node-faults", 24, "faults in TestNodes")
	nodeChips  = flag.String("node-chips", "stc89,stc89,stc89", "chips on the line of TestNodes; an avr needs a quick machine to keep up with the clock")
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
	sent  []byte                 // of the agent, not yet taken apart
	acked map[uint64]uint32      // by incarnation: what the agent has acknowledged
	life  map[string][]time.Time // by node: when it was reset
	late  time.Duration          // by which the chips are behind the clock on the wall
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

// listen finds acknowledgements: writes of INCARNATION and RELEASED, by function 16 or 23. mu is held.
func (r *busRig) listen() {
	for len(r.sent) > 0 {
		b := r.sent
		at, n := 0, 0
		switch {
		case len(b) < 2:
			return
		case b[1] == 23 && len(b) >= 11:
			at, n = 11, 13+int(b[10])
		case b[1] == 16 && len(b) >= 7:
			at, n = 7, 9+int(b[6])
		case b[1] == 3 || b[1] == 6:
			n = 8
		case b[1] == 23 || b[1] == 16:
			return
		}
		if n == 0 || n > 64 {
			r.sent = b[1:]
			continue
		}
		if len(b) < n {
			return
		}
		if crc := modbus.CRC(b[:n-2]); byte(crc) != b[n-2] || byte(crc>>8) != b[n-1] {
			r.sent = b[1:]
			continue
		}
		w := func(i int) uint64 { return uint64(b[at+2*i])<<8 | uint64(b[at+2*i+1]) }
		to := 2
		if b[1] == 23 {
			to = 6
		}
		if at > 0 && b[to] == 0x01 && b[to+1] == 0x00 && n-2-at == 12 {
			inc := w(0)<<48 | w(1)<<32 | w(2)<<16 | w(3)
			r.acked[inc] = max(r.acked[inc], uint32(w(4)<<16|w(5)))
		}
		r.sent = b[n:]
	}
}

// newNode is one node with its own address, given as a person would who commissions it.
func newNode(t *testing.T, name string, unit int) *sim.Node {
	t.Helper()
	chip, _ := onewire.NewThermometer(0x28, 0x1122334400+uint64(unit), 20*16+unit)
	b := sim.NewBoard(chip)
	var n *sim.Node
	var err error
	if strings.HasPrefix(name, "stc89") {
		n, err = sim.NewSTCNode(name, images+"node-stc89.ihx", b)
	} else {
		n, err = sim.NewAVRNode(name, images+"node-avr.elf", b)
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
	r := &busRig{t: t, names: names, acked: map[uint64]uint32{}, life: map[string][]time.Time{}}
	for i, name := range names {
		r.nodes = append(r.nodes, newNode(t, name, 11+i))
	}
	r.line = sim.NewLine(9600, seed, r.nodes...)
	if err := r.line.Run(5 * time.Second); err != nil { // beyond the time that commissioning took
		t.Fatal(err)
	}
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
	})
	r.mu.Lock()
	r.life[r.names[i]] = append(r.life[r.names[i]], time.Now())
	r.mu.Unlock()
}

func nodesYAML(port string, names []string) string {
	y := fmt.Sprintf("nodes:\n  - line: cellar\n    port: %s\n    poll: 200ms\n    timeout: 10s\n    clock: utc\n    stream: events\n    nodes:\n", port)
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
	hub.start()
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
		switch f := rnd.IntN(10); {
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
			x.kill()
			time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond)
			x.up()
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
					worst = max(worst, time.Duration(y.TimeError*float64(time.Second)))
				}
			}
		}
	}
	r.line.SetFaults(sim.Faults{})
	waitFor(t, 5*time.Minute, "three nodes are online again", online(3))
	time.Sleep(3 * time.Second)
	x.quiet(b, 60*time.Second) // the configuration without nodes: the line is let go, the rest delivered
	checkNodes(t, r, hub, worst)
	x.stop()
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
	have := map[uint64]uint32{}
	var events, lost, overflow int
	var off []time.Duration
	for _, name := range r.names {
		rows := hub.query("SELECT series, t, ifnull(value, '') FROM readings JOIN epoch e ON printf('%016x', e.epoch) = readings.epoch AND e.stream = readings.stream" +
			" WHERE json_extract(labels, '$.node') = '" + name + "' ORDER BY e.ref, record_offset")
		var cur nodeLife
		test, lives := -1, 0
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
					have[cur.inc] = cur.last
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
				if us, _ := strconv.ParseInt(f[1], 10, 64); lives > 0 { // the first began before anybody looked at a clock
					off = append(off, r.nearest(name, time.UnixMicro(us)))
				}
				lives++
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
		}
		have[cur.inc] = cur.last
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for inc, seq := range r.acked {
		if have[inc] < seq {
			t.Errorf("life %016x: acknowledged up to %d, the hub has %d", inc, seq, have[inc])
		}
	}
	sort.Slice(off, func(i, j int) bool { return off[i] < off[j] })
	t.Logf("%d events of %d lives in the hub, %d acknowledged lives, %d lost by overflow, at most %d by resets", events, len(have), len(r.acked), overflow, lost)
	if len(off) > 0 {
		t.Logf("time of %d restarts: median off by %v, worst by %v; stated for events: ±%v; the chips were late by %v in all", len(off), off[len(off)/2], off[len(off)-1], stated, r.late)
		if worst := off[len(off)-1]; worst > stated+r.late+200*time.Millisecond { // and what the test takes to note a reset
			t.Errorf("a restart is off by %v", worst)
		}
	}
}

// nearest is how far a time is from the nearest reset of a node that we made.
func (r *busRig) nearest(name string, at time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	best := time.Hour
	for _, x := range r.life[name] {
		best = min(best, at.Sub(x).Abs())
	}
	return best
}

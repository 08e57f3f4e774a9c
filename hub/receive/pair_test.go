package receive_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/hub/store/storetest"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestPair plays each testdata/pair/*.txt: the real sender of one or more boxes and the real receiver of one or two hubs,
// every message through its bytes, in time of their own. A line of the script is followed by what happened, indented.
func TestPair(t *testing.T) {
	files, _ := filepath.Glob("testdata/pair/*.txt")
	if len(files) == 0 {
		t.Fatal("no transcripts in testdata/pair")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			steps := &steps{}
			synctest.Test(t, func(t *testing.T) { playPair(t, file, steps) })
			steps.check(t, strings.TrimSuffix(filepath.Base(file), ".txt"))
		})
	}
}

func playPair(t *testing.T, file string, steps *steps) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t, steps)
	defer func() {
		for _, h := range p.hubs {
			h.end()
		}
	}()
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line + "\n")
		if line != "" && line[0] != '#' {
			p.do(strings.Fields(line))
			for _, l := range append(p.out, p.told()...) {
				out.WriteString("  " + l + "\n")
			}
			p.out = nil
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(b) {
		t.Errorf("the transcript differs; run with -rewrite and read the diff\n%s", out.String())
	}
}

// pair is boxes that all say they are the device "box", a network, hubs and their store.
type pair struct {
	t     *testing.T
	boxes []*pairBox
	disks map[string]*uplinktest.Log
	up    []wire.Message
	store *memory.Store
	steps *steps // what it was asked
	save  *memory.Store
	hubs  map[string]*hub
	at    *hub // takes what the network brings
	ids   record.Epoch
	num   int64
	nonce uint64
	short map[wire.Nonce]int
	out   []string

	mu    sync.Mutex // guards what follows
	down  []*wire.Ack
	news  []string
	fault memory.Fault
}

type pairBox struct {
	name string
	log  *realLog
	s    *uplink.Sender
	conn bool
}

func newPair(t *testing.T, steps *steps) *pair {
	p := &pair{t: t, steps: steps, disks: map[string]*uplinktest.Log{}, hubs: map[string]*hub{}, short: map[wire.Nonce]int{}}
	p.store = memory.New(func(op string) (before, after error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if f := p.fault; f != nil && op == "commit" {
			p.fault = nil
			return f(op)
		}
		return nil, nil
	})
	steps.Store = p.store
	p.start("A")
	return p
}

func (p *pair) say(format string, args ...any) { p.out = append(p.out, fmt.Sprintf(format, args...)) }

func (p *pair) tell(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.news = append(p.news, fmt.Sprintf("! "+format, args...))
}

func (p *pair) told() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.news
	p.news = nil
	return n
}

// start starts a hub and sends it what comes from now on.
func (p *pair) start(name string) {
	ctx, stop := context.WithCancel(context.Background())
	h := &hub{stop: stop, done: make(chan struct{})}
	h.r = receive.New(receive.Options{Store: p.steps, Events: receive.Events{
		Notice: func(_, text string) { p.tell("hub %s: %s", name, text) }}})
	go func() {
		defer close(h.done)
		if err := h.r.Run(ctx); err != nil {
			p.t.Errorf("run: %v", err)
		}
	}()
	p.hubs[name], p.at = h, h
}

func (p *pair) box(name string) *pairBox {
	for _, b := range p.boxes {
		if b.name == name {
			return b
		}
	}
	p.t.Fatalf("no box %q", name)
	return nil
}

// boot starts the process of a box on a disk: a new opening of its log.
func (p *pair) boot(name string, disk *uplinktest.Log) {
	b := &pairBox{name: name, log: &realLog{Log: disk}}
	disk.Reopen()
	b.s = uplink.New(p.options(name), b.log)
	for i, old := range p.boxes {
		if old.name == name {
			p.boxes[i] = b
			return
		}
	}
	p.boxes = append(p.boxes, b)
}

func (p *pair) options(name string) uplink.Options {
	return uplink.Options{FrameCost: 1, NoGather: true, Codec: new(uplink.Bodies),
		Random: func() uint64 { p.nonce++; return p.nonce },
		Events: uplink.Events{
			Conflict: func(_ string, e record.Epoch, at record.Offset) { p.tell("%s: conflict e%d at %d", name, e, at) },
			Lost:     func(_ string, e record.Epoch, r record.Range) { p.tell("%s: lost e%d [%d,%d)", name, e, r.From, r.To) },
			Unsendable: func(_ string, e record.Epoch, r record.Range) {
				p.tell("%s: unsendable e%d [%d,%d)", name, e, r.From, r.To)
			},
			Skipped: func(_ string, e record.Epoch, k wire.SkippedRange) {
				p.tell("%s: skipped e%d [%d,%d) %s", name, e, k.From, k.To, k.Reason)
			},
			Notice: func(text string) { p.tell("%s hears: %s", name, text) },
			Failed: func(_ string, err error) { p.tell("%s: failed %v", name, err) },
		}}
}

// do does one line:
//
//	box B                     a process on an empty disk
//	append B N                readings
//	message B SEQUENCE N [I]  a producer's message of N readings, of its incarnation I or 1
//	copy B DISK               a copy of its disk is taken
//	boot B DISK               a process starts on a copy of that disk
//	resume B DISK             memory and disk go back to the copy: the same opening goes on
//	restart B                 the process ends and starts again
//	drop B FROM TO REASON     a gap in the place of records
//	forget B                  its log forgets the oldest epoch
//	behead B OFFSET           its log has lost the beginning of the oldest epoch, up to that offset
//	connect B, disconnect B
//	send B [N]                it hands N messages to the network
//	lose, twice, last, spoil  the oldest is lost; comes twice; the newest comes first; the oldest has a wrong CRC
//	hub [N]                   the hub in charge takes N messages and answers
//	ack [N], lose-acks        all boxes hear N answers
//	stick B FROM TO           a range comes to the hub under a nonce of its own
//	start H, stop H, with H   hubs over one store
//	fault before|after        the next commit fails, before or after it has taken effect
//	backup, restore           of the store, under running hubs
//	wait D, settle, state
func (p *pair) do(f []string) {
	n := func(i int) int {
		if i >= len(f) {
			return 1
		}
		v, err := strconv.Atoi(f[i])
		if err != nil {
			p.t.Fatalf("%v: %v", f, err)
		}
		return v
	}
	switch f[0] {
	case "box":
		p.boot(f[1], uplinktest.NewLog("telemetry", 4, func() record.Epoch { p.ids++; return p.ids }))
	case "append", "message", "drop":
		p.write(p.box(f[1]), f, n)
	case "copy":
		p.disks[f[2]] = p.box(f[1]).log.Clone()
	case "boot":
		p.boot(f[1], p.disks[f[2]].Clone())
	case "resume":
		b := p.box(f[1])
		*b.log.Log = *p.disks[f[2]].Clone()
		b.s, b.conn = uplink.New(p.options(b.name), b.log), false
	case "restart":
		p.boot(f[1], p.box(f[1]).log.Log)
	case "behead":
		p.box(f[1]).log.Behead(record.Offset(n(2)))
		p.box(f[1]).s.LogChanged("telemetry")
	case "forget":
		p.box(f[1]).log.Forget()
		p.box(f[1]).s.LogChanged("telemetry")
	case "connect":
		b := p.box(f[1])
		b.conn = true
		b.s.Connected(time.Now())
	case "disconnect":
		b := p.box(f[1])
		b.conn = false
		b.s.Disconnected(time.Now(), nil)
	case "send":
		for range n(2) {
			if !p.pump(p.box(f[1]), true) {
				p.say("nothing")
				break
			}
		}
	case "state":
		p.state()
	default:
		p.network(f, n)
	}
}

func (p *pair) write(b *pairBox, f []string, n func(int) int) {
	nums := func(k int) []int64 {
		out := make([]int64, k)
		for i := range out {
			p.num++
			out[i] = p.num
		}
		return out
	}
	switch f[0] {
	case "append":
		b.log.Append(nums(n(2))...)
	case "message":
		b.log.AppendMessage(record.ProducerPosition{Name: "node", Incarnation: uint64(n(4)), Sequence: uint64(n(2))}, true, nums(n(3))...)
	case "drop":
		why := map[string]record.Reason{"retention": record.ReasonRetention, "corrupt": record.ReasonCorrupt, "delivered": record.ReasonDelivered, "lost": record.ReasonDiskLost}[f[4]]
		b.log.Drop(record.Range{From: record.Offset(n(2)), To: record.Offset(n(3))}, why)
	}
	b.s.LogChanged(b.log.Name)
}

func (p *pair) network(f []string, n func(int) int) {
	switch f[0] {
	case "lose":
		p.say("%s", p.show(p.up[0]))
		p.up = p.up[1:]
	case "twice":
		p.up = append([]wire.Message{throughBytes(p.t, p.up[0])}, p.up...)
	case "last":
		k := len(p.up) - 1
		p.up = append([]wire.Message{p.up[k]}, p.up[:k]...)
	case "spoil":
		p.up[0].(*wire.Data).CRC++
	case "hub":
		before := p.waiting()
		for range n(1) {
			p.take(1)
		}
		p.showAcks(before)
	case "ack":
		for range n(1) {
			p.hear()
		}
		p.positions()
	case "lose-acks":
		p.mu.Lock()
		p.down = nil
		p.mu.Unlock()
	case "stick":
		p.stick(p.box(f[1]), record.Range{From: record.Offset(n(2)), To: record.Offset(n(3))})
	case "start":
		p.start(f[1])
	case "stop":
		p.hubs[f[1]].end()
		delete(p.hubs, f[1])
	case "with":
		p.at = p.hubs[f[1]]
	case "fault":
		err := fmt.Errorf("%w: a fault", store.ErrUnavailable)
		p.mu.Lock()
		p.fault = func(string) (error, error) {
			if f[1] == "before" {
				return err, nil
			}
			return nil, err
		}
		p.mu.Unlock()
	case "backup":
		p.save = p.store.Backup()
		p.steps.add(storetest.Step{Backup: true})
	case "restore":
		p.store.Restore(p.save)
		p.steps.add(storetest.Step{Restore: true})
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			p.t.Fatal(err)
		}
		p.pass(d)
	case "settle":
		p.settle()
	default:
		p.t.Fatalf("unknown line %v", f)
	}
}

// pump moves one message from a box into the network.
func (p *pair) pump(b *pairBox, show bool) bool {
	if !b.conn {
		return false
	}
	m, ok := b.s.Next(time.Now())
	if !ok {
		return false
	}
	m = throughBytes(p.t, m)
	p.up = append(p.up, m)
	if show {
		p.say("%s", p.show(m))
	}
	return true
}

// take hands n messages to the hub in charge and lets it commit.
func (p *pair) take(n int) {
	if len(p.up) < n {
		p.t.Fatalf("the network holds %d messages, not %d; so far:\n%s", len(p.up), n, strings.Join(p.out, "\n"))
	}
	for _, m := range p.up[:n] {
		p.at.r.Handle("box", m, p.reply)
	}
	p.up = p.up[n:]
	time.Sleep(receive.MaxLinger)
	synctest.Wait()
}

// waiting is how many answers are under way.
func (p *pair) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.down)
}

func (p *pair) reply(a *wire.Ack) {
	out, err := wire.ParseAck(wire.AppendAck(nil, a))
	if err != nil {
		p.t.Errorf("ack %+v: %v", a, err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = append(p.down, out)
}

// hear gives the oldest answer to every box: all are the same device.
func (p *pair) hear() bool {
	p.mu.Lock()
	if len(p.down) == 0 {
		p.mu.Unlock()
		return false
	}
	a := p.down[0]
	p.down = p.down[1:]
	p.mu.Unlock()
	for _, b := range p.boxes {
		if b.conn {
			b.s.Received(a, time.Now())
		}
	}
	return true
}

// pass lets time pass, ticking boxes when they want it.
func (p *pair) pass(d time.Duration) {
	for end := time.Now().Add(d); ; {
		at := end
		for _, b := range p.boxes {
			if w := b.s.Wake(); b.conn && !w.IsZero() && w.Before(at) {
				at = w
			}
		}
		time.Sleep(time.Until(at))
		for _, b := range p.boxes {
			if b.conn {
				b.s.Tick(time.Now())
			}
		}
		if at.Equal(end) || len(p.saying()) > 0 {
			time.Sleep(time.Until(end))
			return
		}
	}
}

// saying are the boxes that have a hello to send.
func (p *pair) saying() (out []*pairBox) {
	for _, b := range p.boxes {
		if b.conn && b.s.Status().Phase == uplink.PhaseHello {
			out = append(out, b)
		}
	}
	return out
}

// settle lets everything happen until every box has said hello once more and found nothing to do.
func (p *pair) settle() {
	hellos := map[string]uint64{}
	for _, b := range p.boxes {
		if !b.conn {
			b.conn = true
			b.s.Connected(time.Now())
		}
		hellos[b.name] = b.s.Status().Hellos
	}
	for range 2000 {
		busy, done := false, true
		for _, b := range p.boxes {
			for p.pump(b, false) {
				busy = true
			}
			done = done && b.log.Position == b.log.End() && b.s.Status().Hellos > hellos[b.name] && b.s.Status().Phase == uplink.PhaseStreaming
		}
		if len(p.up) > 0 {
			p.take(len(p.up))
		}
		for p.hear() {
			busy = true
		}
		switch {
		case busy:
		case done:
			p.positions()
			return
		default:
			p.pass(time.Minute)
		}
	}
	p.say("IT NEVER COMES TO REST")
}

// stick brings a range as an import would, under the nonce of the export.
func (p *pair) stick(b *pairBox, r record.Range) {
	before := p.waiting()
	for _, e := range b.log.Epochs() {
		for o := max(r.From, e.First); o < min(r.To, e.End); {
			it, err := b.log.At(e.Epoch, o)
			if err != nil || it.Gap != nil {
				p.t.Fatalf("offset %d: %v %v", o, it.Gap, err)
			}
			x := &it.Batch
			d := &wire.Data{FrameHeader: wire.FrameHeader{Stream: b.log.Name, Epoch: e.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd, First: e.First, Nonce: 1 << 40},
				Base: x.Base, Count: x.Count, ChainBase: x.ChainBase, ChainEnd: x.ChainEnd, Codec: x.Codec, RawLen: x.RawLen, CRC: x.CRC, Body: x.Body, Producers: x.Producers}
			for id := record.SeriesID(1); id <= 3; id++ {
				series, _ := b.log.Series(e.Epoch, id)
				d.Definitions = append(d.Definitions, record.Definition{ID: id, Series: series})
			}
			p.up = append([]wire.Message{throughBytes(p.t, d)}, p.up...)
			p.take(1)
			o = x.Range().To
		}
	}
	p.showAcks(before)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = p.down[:before] // its answer goes back to the stick
}

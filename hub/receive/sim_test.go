package receive_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/wire"
)

var seeds = flag.Int("seeds", 60, "seeds of the random tests")

// sim is one device with the real sender, a network that loses, doubles and reorders, and one or two real receivers
// over one store that fails at times. Time is that of a synctest bubble.
type sim struct {
	t     *testing.T
	rng   *rand.Rand
	log   []*realLog
	s     *uplink.Sender
	conn  bool
	up    []wire.Message
	mu    sync.Mutex // guards down
	down  []wire.Message
	store *memory.Store
	save  *memory.Store
	hubs  []*hub
	ids   record.Epoch
	num   int64
	seq   uint64
	calm  atomic.Bool // no faults from now on
	seen  map[string]bool
}

type hub struct {
	r    *receive.Receiver
	stop context.CancelFunc
	done chan struct{}
}

// realLog is the log of uplinktest with bodies of the real codec.
type realLog struct {
	*uplinktest.Log
	enc record.Encoder
}

func (l *realLog) At(e record.Epoch, o record.Offset) (uplink.Item, error) {
	it, err := l.Log.At(e, o)
	if err != nil || it.Gap != nil {
		return it, err
	}
	b := &it.Batch
	recs, err := uplinktest.Codec{}.Decode(nil, b.Codec, b.RawLen, b.Count, b.Body)
	if err != nil {
		return it, err
	}
	body, used, raw, err := l.enc.Encode(nil, recs, record.CodecColumns)
	b.Body, b.Codec, b.RawLen, b.CRC = body, used, uint32(raw), wire.Checksum(body)
	return it, err
}

// realCodec is what an agent uses for parts of batches.
type realCodec struct {
	record.Encoder
	record.Decoder
}

func newSim(t *testing.T, seed uint64, hubs int) *sim {
	m := &sim{t: t, rng: rand.New(rand.NewPCG(seed, 7)), seen: map[string]bool{}}
	var mu sync.Mutex // guards faults
	faults := rand.New(rand.NewPCG(seed, 8))
	m.store = memory.New(func(op string) (before, after error) {
		if m.calm.Load() {
			return nil, nil
		}
		mu.Lock()
		k, pause := faults.IntN(24), time.Duration(faults.IntN(400))*time.Millisecond
		mu.Unlock()
		switch k {
		case 0:
			return fmt.Errorf("%w: before %s", store.ErrUnavailable, op), nil
		case 1:
			return nil, fmt.Errorf("%w: after %s", store.ErrUnavailable, op)
		case 2, 3:
			time.Sleep(pause)
		}
		return nil, nil
	})
	m.save = m.store.Backup()
	for _, name := range []string{"telemetry", "alarms"} {
		m.log = append(m.log, &realLog{Log: uplinktest.NewLog(name, 1+m.rng.IntN(6), func() record.Epoch { m.ids++; return m.ids })})
	}
	for range hubs {
		m.hubs = append(m.hubs, m.startHub())
	}
	m.startAgent()
	return m
}

func (m *sim) random(n int) int { return m.rng.IntN(n) }

func (m *sim) startHub() *hub {
	ctx, stop := context.WithCancel(context.Background())
	h := &hub{r: receive.New(receive.Options{Store: m.store, MaxRows: 50}), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		if err := h.r.Run(ctx); err != nil {
			m.t.Errorf("run: %v", err)
		}
	}()
	return h
}

func (h *hub) end() {
	h.stop()
	<-h.done
}

func (m *sim) startAgent() {
	if m.conn {
		m.disconnect()
	}
	var src []uplink.Source
	for _, l := range m.log {
		l.Reopen()
		src = append(src, l)
	}
	m.s = uplink.New(uplink.Options{Codec: &realCodec{}, Window: 2000, Random: m.rng.Uint64, NoGather: m.rng.IntN(2) == 0,
		Events: uplink.Events{
			Conflict: func(st string, e record.Epoch, at record.Offset) { m.t.Errorf("conflict %s %d at %d", st, e, at) },
			Failed:   func(st string, err error) { m.t.Errorf("failed %s: %v", st, err) },
			Notice:   func(text string) { m.seen[text] = true },
		}}, src...)
}

func (m *sim) disconnect() {
	m.conn = false
	m.mu.Lock()
	m.up, m.down = nil, nil
	m.mu.Unlock()
	m.s.Disconnected(time.Now(), nil)
}

// handle hands a message to one of the hubs; the ack comes back through its bytes.
func (m *sim) handle(msg wire.Message) {
	h := m.hubs[m.rng.IntN(len(m.hubs))]
	h.r.Handle("box", msg, func(a *wire.Ack) {
		out, err := wire.ParseAck(wire.AppendAck(nil, a))
		if err != nil {
			m.t.Errorf("ack %+v: %v", a, err)
			return
		}
		m.mu.Lock()
		m.down = append(m.down, out)
		m.mu.Unlock()
	})
}

func (m *sim) pump(n int) (moved int) {
	for ; moved < n && m.conn; moved++ {
		msg, ok := m.s.Next(time.Now())
		if !ok {
			break
		}
		m.up = append(m.up, throughBytes(m.t, msg))
	}
	return moved
}

func throughBytes(t *testing.T, m wire.Message) (out wire.Message) {
	var err error
	switch m := m.(type) {
	case *wire.Data:
		out, err = wire.ParseData(m.Stream, wire.AppendData(nil, m))
	case *wire.Gap:
		out, err = wire.ParseGap(m.Stream, wire.AppendGap(nil, m))
	case *wire.Hello:
		out, err = wire.ParseHello(wire.AppendHello(nil, m))
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (m *sim) takeUp(i int) wire.Message {
	msg := m.up[i]
	m.up = append(m.up[:i:i], m.up[i+1:]...)
	return msg
}

func (m *sim) takeDown(any bool) wire.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.down) == 0 {
		return nil
	}
	i := 0
	if any {
		i = m.rng.IntN(len(m.down))
	}
	msg := m.down[i]
	m.down = append(m.down[:i:i], m.down[i+1:]...)
	return msg
}

func (m *sim) append() {
	l := m.log[m.rng.IntN(len(m.log))]
	nums := make([]int64, 1+m.rng.IntN(5))
	for i := range nums {
		m.num++
		nums[i] = m.num
	}
	if m.rng.IntN(4) == 0 {
		m.seq++
		l.AppendMessage(record.ProducerPosition{Name: "to-" + l.Name, Incarnation: 9, Sequence: m.seq}, m.rng.IntN(2) == 0, nums...)
	} else {
		l.Append(nums...)
	}
	m.s.LogChanged(l.Name)
}

// step does one random thing.
func (m *sim) step() {
	if !m.conn && m.random(10) == 0 {
		m.conn = true
		m.s.Connected(time.Now())
	}
	switch k := m.random(400); {
	case k < 40:
		m.append()
	case k < 120:
		m.pump(1 + m.random(4))
	case k < 210:
		if len(m.up) > 0 {
			m.network()
		}
	case k < 300:
		if msg := m.takeDown(m.random(10) == 0); msg != nil && m.conn && m.random(20) > 0 {
			m.s.Received(msg, time.Now())
		}
	case k < 386:
		time.Sleep(time.Duration(m.random(120)) * time.Millisecond)
		m.tick()
	case k < 388:
		time.Sleep(time.Duration(m.random(12)) * time.Second)
		m.tick()
	case k == 388:
		if m.conn {
			m.disconnect()
		}
	case k == 389:
		m.startAgent()
	case k == 390:
		i := m.random(len(m.hubs))
		m.hubs[i].end()
		m.hubs[i] = m.startHub()
	case k == 391:
		m.save = m.store.Backup()
	case k == 392: // the hub is stopped, restored and started
		for _, h := range m.hubs {
			h.end()
		}
		m.store.Restore(m.save)
		for i := range m.hubs {
			m.hubs[i] = m.startHub()
		}
	case k < 396:
		m.damage()
	}
}

// network hands one message on, or not, or twice, or damaged, and at times not the oldest.
func (m *sim) network() {
	i := 0
	if m.random(12) == 0 {
		i = m.random(len(m.up))
	}
	switch msg := m.takeUp(i); m.random(24) {
	case 0: // lost
	case 1: // twice
		m.handle(msg)
		m.handle(msg)
	case 2:
		if d, ok := msg.(*wire.Data); ok {
			d.CRC++
		}
		m.handle(msg)
	default:
		m.handle(msg)
	}
}

// damage puts a gap in the place of a few records of one log.
func (m *sim) damage() {
	l := m.log[m.rng.IntN(len(m.log))]
	es := l.Epochs()
	if len(es) == 0 {
		return
	}
	e := es[m.rng.IntN(len(es))]
	from := e.First + record.Offset(m.rng.IntN(int(e.End-e.First)))
	why := record.ReasonCorrupt
	if from < l.Position {
		why = record.ReasonDelivered
	}
	l.Drop(m.whole(l, record.Range{From: from, To: min(e.End, from+1+record.Offset(m.rng.IntN(4)))}, e), why)
	m.s.LogChanged(l.Name)
}

// whole widens a range so that no message of a producer is cut: a log removes whole batches.
func (m *sim) whole(l *realLog, r record.Range, e uplink.Epoch) record.Range {
	for o := e.First; o < e.End; {
		it, err := l.Log.At(e.Epoch, o)
		if err != nil {
			return r
		}
		if it.Gap != nil {
			o = it.Gap.To
			continue
		}
		for _, p := range it.Batch.Producers {
			if p.From < r.To && r.From < p.To {
				r = record.Range{From: min(r.From, p.From), To: max(r.To, p.To)}
			}
		}
		o = it.Batch.Range().To
	}
	return r
}

func (m *sim) tick() {
	if w := m.s.Wake(); !w.IsZero() && !time.Now().Before(w) {
		m.s.Tick(time.Now())
	}
}

// settle runs without faults until everything is delivered.
func (m *sim) settle() bool {
	m.calm.Store(true)
	end := time.Now().Add(6 * time.Hour)
	hellos := -1
	for time.Now().Before(end) {
		if !m.conn {
			m.conn = true
			m.s.Connected(time.Now())
		}
		if hellos < 0 {
			hellos = int(m.s.Status().Hellos)
		}
		busy := m.pump(64) > 0
		for len(m.up) > 0 {
			m.handle(m.takeUp(0))
			busy = true
		}
		time.Sleep(60 * time.Millisecond)
		synctest.Wait()
		for msg := m.takeDown(false); msg != nil; msg = m.takeDown(false) {
			m.s.Received(msg, time.Now())
			busy = true
		}
		if busy {
			continue
		}
		if m.drained() && int(m.s.Status().Hellos) > hellos {
			return true
		}
		if w := m.s.Wake(); !w.IsZero() {
			time.Sleep(time.Until(w))
		}
		m.s.Tick(time.Now())
	}
	return false
}

func (m *sim) drained() bool {
	for _, l := range m.log {
		if l.Position != l.End() {
			return false
		}
	}
	return m.s.Status().Phase == uplink.PhaseStreaming
}

// check compares the store with the logs and with itself.
func (m *sim) check() {
	st, err := m.store.Positions(context.Background(), "box")
	if err != nil {
		m.t.Fatal(err)
	}
	stored := map[receive.Key]store.Position{}
	nums := map[int64]bool{}
	for _, p := range st.Positions {
		stored[receive.Key{Stream: p.Stream, Epoch: p.Epoch}] = p
		m.checkAccount(&p, nums)
	}
	for _, l := range m.log {
		for _, e := range l.Epochs() {
			p, ok := stored[receive.Key{Stream: l.Name, Epoch: e.Epoch}]
			if !ok || p.Next != e.End {
				m.t.Errorf("%s %d: ends at %d, the hub is at %d", l.Name, e.Epoch, e.End, p.Next)
				continue
			}
			m.checkRows(l, e, &p)
		}
	}
}

func (m *sim) checkAccount(p *store.Position, nums map[int64]bool) {
	left := int64(p.Next-p.First) - int64(p.Rows)
	for _, g := range p.Gaps {
		left -= int64(g.Len())
	}
	for _, k := range p.Skipped {
		left -= int64(k.Len())
	}
	if left != 0 {
		m.t.Errorf("account of %s: remainder %d", position(p), left)
	}
	last, seen := int64(-1), map[record.Offset]bool{}
	for _, r := range m.store.Rows("box", p.Stream, p.Epoch) {
		if seen[r.Offset] || nums[r.Record.Num] {
			m.t.Errorf("%s %d: offset %d (%d) is stored twice", p.Stream, p.Epoch, r.Offset, r.Record.Num)
		}
		seen[r.Offset], nums[r.Record.Num] = true, true
		if !r.Late && int64(r.Offset) <= last {
			m.t.Errorf("%s %d: offset %d after %d", p.Stream, p.Epoch, r.Offset, last)
		}
		if !r.Late {
			last = int64(r.Offset)
		}
	}
}

// checkRows: every record that the box still holds is a row, with its content.
func (m *sim) checkRows(l *realLog, e uplink.Epoch, p *store.Position) {
	rows := map[record.Offset]int64{}
	for _, r := range m.store.Rows("box", l.Name, e.Epoch) {
		rows[r.Offset] = r.Record.Num
	}
	for o := e.First; o < e.End; {
		it, err := l.Log.At(e.Epoch, o)
		if err != nil {
			m.t.Fatal(err)
		}
		if it.Gap != nil {
			o = it.Gap.To
			continue
		}
		recs, _ := uplinktest.Codec{}.Decode(nil, it.Batch.Codec, it.Batch.RawLen, it.Batch.Count, it.Batch.Body)
		for ; o < it.Batch.Range().To; o++ {
			if num, ok := rows[o]; !ok || num != recs[o-it.Batch.Base].Num {
				m.t.Errorf("%s: offset %d is held by the box, the hub has %d, %v", position(p), o, num, ok)
				return
			}
		}
	}
}

func TestSenderAndReceiver(t *testing.T) {
	var sum receive.Stats
	for seed := range uint64(*seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newSim(t, seed, 1+int(seed%2))
				defer func() {
					for _, h := range m.hubs {
						h.end()
					}
				}()
				for range 3000 {
					m.step()
				}
				if !m.settle() {
					t.Errorf("not drained: %+v", m.s.Status())
					for _, l := range m.log {
						t.Logf("%s: position %d of %d, epochs %+v", l.Name, l.Position, l.End(), l.Epochs())
					}
				}
				m.check()
				for _, h := range m.hubs {
					s := h.r.Stats()
					sum.Lost, sum.Duplicates, sum.Rewinds, sum.BadCRC = sum.Lost+s.Lost, sum.Duplicates+s.Duplicates, sum.Rewinds+s.Rewinds, sum.BadCRC+s.BadCRC
					sum.Waits, sum.Definitions, sum.Gaps, sum.Late = sum.Waits+s.Waits, sum.Definitions+s.Definitions, sum.Gaps+s.Gaps, sum.Late+s.Late
				}
			})
		})
	}
	// The faults must have happened, or nothing was shown.
	if sum.Lost == 0 || sum.Duplicates == 0 || sum.Rewinds == 0 || sum.BadCRC == 0 || sum.Waits == 0 || sum.Gaps == 0 {
		t.Errorf("a fault never happened: %+v", sum)
	}
	t.Logf("%+v", sum)
}

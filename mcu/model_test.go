package mcu_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu"
)

// life is the truth about one life of a model node.
type life struct {
	boot   uint32
	inc    uint64
	newest uint32
	acked  uint32 // by the line
	over   uint32 // dropped by the queue
}

// model is a node as firmware/REGISTERS.md describes it, in Go: for tests that need thousands of restarts. The real
// images are tested elsewhere.
type model struct {
	r       *rand.Rand
	unit    byte
	q, b    int
	every   time.Duration // between two events
	lives   []*life
	queue   []mcu.Event
	rel     uint32
	born    time.Time
	next    time.Time
	serial  uint32
	regs    [0x180]uint16 // settings and what is written
	saved   [0x1d]uint16
	saves   int
	clock   time.Duration // the clock chip is ahead by
	down    bool
	drift   float64 // of its milliseconds
	keeps   bool    // its boot counter
	armed   bool
	scanned int
	noSave  bool
	plain   bool // it does not know function 65
}

func newModel(r *rand.Rand, unit byte, every time.Duration) *model {
	m := &model{r: r, unit: unit, q: 20, b: 10, every: every, serial: 1000 + uint32(unit), keeps: true}
	copy(m.saved[:], []uint16{uint16(unit), 0, 0, uint16(m.serial), 0, 0, 0, 0, 384, 400, 480, 464, 60, 60, 60, 60, 1, 30, 10, 12, 480, 1200})
	m.reset()
	return m
}

func (m *model) cur() *life { return m.lives[len(m.lives)-1] }

func (m *model) reset() {
	l := &life{boot: uint32(len(m.lives) + 1)}
	if !m.keeps {
		l.boot = 0
	}
	m.lives = append(m.lives, l)
	m.queue, m.rel, m.born, m.next, m.armed = nil, 0, time.Now(), time.Now().Add(m.every), false
	copy(m.regs[mcu.RegSettings:], m.saved[:])
	m.push(mcu.KindBoot, 4, m.born)
}

func (m *model) ms() uint32 { return m.msAt(time.Now()) }

func (m *model) msAt(t time.Time) uint32 {
	return uint32(int64(float64(t.Sub(m.born)) * (1 - m.drift) / float64(time.Millisecond)))
}

func (m *model) push(kind uint8, value uint16, at time.Time) {
	l := m.cur()
	l.newest++
	if len(m.queue) == m.q {
		m.queue = m.queue[1:]
		m.rel++
		l.over++
	}
	m.queue = append(m.queue, mcu.Event{Sequence: l.newest, Kind: kind, MS: m.msAt(at), Value: value})
}

// turn makes the events that are due.
func (m *model) turn() {
	for now := time.Now(); !m.next.After(now); m.next = m.next.Add(m.every) {
		m.push(mcu.KindTest, uint16(m.cur().newest+1), m.next) // its own sequence
	}
}

func hi(v uint32) uint16 { return uint16(v >> 16) }

func (m *model) read(addr uint16, n int) ([]uint16, error) {
	m.turn()
	l := m.cur()
	all := m.regs
	copy(all[:], []uint16{mcu.Magic, 1, 5, 0x0102, 3, hi(m.serial), uint16(m.serial), uint16(m.q), uint16(m.b), 8, 4, mcu.FeatureClock | mcu.FeatureSettings | mcu.FeatureBootloader,
		hi(l.boot), uint16(l.boot), 4, 16, hi(m.ms()), uint16(m.ms()), hi(m.ms() / 1000), uint16(m.ms() / 1000)})
	copy(all[mcu.RegStats:], []uint16{0, 0, 0, hi(l.over), uint16(l.over), 0, 0, 0, 0, hi(l.newest), uint16(l.newest)})
	t := time.Now().UTC().Add(m.clock)
	copy(all[mcu.RegClock:], []uint16{uint16(t.Year()), uint16(t.Month())<<8 | uint16(t.Day()), uint16(t.Hour())<<8 | uint16(t.Minute()), uint16(t.Second()) << 8, 0})
	q := all[mcu.RegQueue:]
	copy(q, []uint16{uint16(l.inc >> 48), uint16(l.inc >> 32), uint16(l.inc >> 16), uint16(l.inc), hi(m.rel), uint16(m.rel), uint16(len(m.queue)), uint16(l.over), hi(m.ms()), uint16(m.ms())})
	for i, e := range m.queue[:min(len(m.queue), m.b)] {
		copy(q[10+4*i:], []uint16{uint16(e.Kind)<<12 | uint16(e.Source)<<8 | uint16(e.Quality), hi(e.MS), uint16(e.MS), e.Value})
	}
	if int(addr)+n > len(all)-6 {
		return nil, &modbus.Exception{Function: 3, Code: 2}
	}
	return append([]uint16(nil), all[addr:int(addr)+n]...), nil
}

func (m *model) write(addr uint16, v []uint16) error {
	m.turn()
	bad := &modbus.Exception{Function: 16, Code: modbus.IllegalValue}
	l := m.cur()
	switch {
	case addr == mcu.RegQueue && (len(v) == 4 || len(v) == 6):
		inc := uint64(v[0])<<48 | uint64(v[1])<<32 | uint64(v[2])<<16 | uint64(v[3])
		if len(v) == 4 {
			if inc == 0 || l.inc != 0 && l.inc != inc {
				return bad
			}
			l.inc = inc
			return nil
		}
		seq := uint32(v[4])<<16 | uint32(v[5])
		if inc == 0 || l.inc != inc || seq > l.newest {
			return bad
		}
		l.acked = max(l.acked, seq)
		for len(m.queue) > 0 && m.queue[0].Sequence <= seq {
			m.queue, m.rel = m.queue[1:], m.queue[0].Sequence
		}
	case addr == mcu.RegSave:
		if m.noSave {
			return &modbus.Exception{Function: 16, Code: modbus.DeviceFailure}
		}
		copy(m.saved[:], m.regs[mcu.RegSettings:])
		m.regs[mcu.RegState] = 0
		m.saves++
	case addr == mcu.RegArm:
		m.armed = true
	case addr == mcu.RegCommand:
		if !m.armed {
			return &modbus.Exception{Function: 16, Code: modbus.DeviceFailure}
		}
		m.reset()
	case addr == mcu.RegRescan:
		m.scanned++
	case addr == mcu.RegClock:
		t := time.Date(int(v[0]), time.Month(v[1]>>8), int(v[1]&0xff), int(v[2]>>8), int(v[2]&0xff), int(v[3]>>8), 0, time.UTC)
		m.clock = time.Until(t)
	case addr >= mcu.RegSettings && addr < mcu.RegState, addr == mcu.RegOverride:
		copy(m.regs[addr:], v)
		if addr >= mcu.RegSettings {
			m.regs[mcu.RegState] = 1
		}
	default:
		return &modbus.Exception{Function: 16, Code: modbus.IllegalAddress}
	}
	return nil
}

// take is function 65.
func (m *model) take(function byte, p []byte) ([]byte, error) {
	if function != 65 || m.plain {
		return nil, &modbus.Exception{Function: function, Code: modbus.IllegalFunction}
	}
	l, be := m.cur(), binary.BigEndian
	if tag := be.Uint32(p); tag == 0 || tag != uint32(l.inc) {
		return nil, &modbus.Exception{Function: function, Code: modbus.IllegalValue}
	}
	if err := m.write(mcu.RegQueue, []uint16{uint16(l.inc >> 48), uint16(l.inc >> 32), uint16(l.inc >> 16), uint16(l.inc), be.Uint16(p[4:]), be.Uint16(p[6:])}); err != nil {
		return nil, err
	}
	m.turn()
	out := be.AppendUint16(be.AppendUint32(nil, m.rel), uint16(len(m.queue)))
	out = be.AppendUint32(be.AppendUint16(out, uint16(l.over)), m.ms())
	for _, e := range m.queue[:min(len(m.queue), m.b)] {
		out = append(out, e.Kind<<4|e.Source, e.Quality)
		out = be.AppendUint16(be.AppendUint16(out, uint16(min(m.ms()-e.MS, 0xffff))), e.Value)
	}
	return out, nil
}

// wires is a line with model nodes that loses and damages what it is told to. It takes the time of 9600 baud.
type wires struct {
	random *rand.Rand // of the line
	mu     sync.Mutex
	r      *rand.Rand
	nodes  []*model
	loss   float64 // of a question or of an answer
	asked  int
}

func newWires(seed uint64, loss float64) *wires {
	return &wires{random: rand.New(rand.NewPCG(seed, 3)), r: rand.New(rand.NewPCG(seed, 2)), loss: loss}
}

func (w *wires) node(unit byte) *model {
	for _, m := range w.nodes {
		if m.unit == unit && !m.down {
			return m
		}
	}
	return nil
}

func (w *wires) exchange(out, back int, unit byte, do func(m *model) error) error {
	time.Sleep(time.Duration(out) * time.Second / 960)
	w.mu.Lock()
	w.asked++
	m, lost := w.node(unit), w.r.Float64() < w.loss
	var err error
	if m != nil && !lost {
		err = do(m)
	}
	late, p, loss := time.Duration(w.r.IntN(8))*time.Millisecond, w.r.Float64(), w.loss
	w.mu.Unlock()
	if m == nil || lost {
		time.Sleep(100 * time.Millisecond)
		return modbus.ErrTimeout
	}
	time.Sleep(time.Duration(back)*time.Second/960 + late)
	switch {
	case p < loss:
		time.Sleep(100 * time.Millisecond)
		return modbus.ErrTimeout
	case p < 2*loss:
		return modbus.ErrChecksum
	}
	return err
}

func (w *wires) ReadHolding(_ context.Context, unit byte, addr uint16, n int) (v []uint16, err error) {
	err = w.exchange(8, 5+2*n, unit, func(m *model) (err error) { v, err = m.read(addr, n); return err })
	return v, err
}

func (w *wires) WriteRegisters(_ context.Context, unit byte, addr uint16, v []uint16) error {
	return w.exchange(9+2*len(v), 8, unit, func(m *model) error { return m.write(addr, v) })
}

func (w *wires) Custom(_ context.Context, unit, function byte, data []byte) (out []byte, err error) {
	err = w.exchange(12, 50, unit, func(m *model) (err error) { out, err = m.take(function, data); return err })
	return out, err
}

func (w *wires) Close() error { return nil }

// do has the line and its nodes to itself.
func (w *wires) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// logModel is a stream that becomes durable a second after it was appended, or at Sync, and loses the rest in a crash.
type logModel struct {
	mu     sync.Mutex
	drafts []logged
	series []record.Series
	full   bool
	bad    []string

	syncTakes time.Duration
}

type logged struct {
	record.Draft
	at       time.Time
	synced   bool
	syncedAt time.Time
}

func (g *logModel) durable(i int) bool {
	return g.drafts[i].synced || time.Since(g.drafts[i].at) >= time.Second
}

func (g *logModel) Define(s record.Series) (record.SeriesID, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, x := range g.series {
		if x.Key() == s.Key() {
			return record.SeriesID(i + 1), nil
		}
	}
	g.series = append(g.series, s)
	return record.SeriesID(len(g.series)), nil
}

func (g *logModel) Append(_ context.Context, d record.Draft) (mcu.Ticket, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full {
		return nil, fmt.Errorf("log is full")
	}
	for _, x := range g.drafts {
		if x.Producer.Name == d.Producer.Name && x.Producer.Incarnation == d.Producer.Incarnation && d.Producer.Sequence <= x.Producer.Sequence {
			g.bad = append(g.bad, fmt.Sprintf("%+v was appended again", *d.Producer))
		}
	}
	d.Records = slices.Clone(d.Records)
	g.drafts = append(g.drafts, logged{Draft: d, at: time.Now()})
	return ticket{g, len(g.drafts) - 1}, nil
}

type ticket struct {
	g *logModel
	i int
}

func (t ticket) Wait(ctx context.Context) (record.Range, error) {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	if t.i < len(t.g.drafts) && t.g.durable(t.i) {
		return record.Range{}, nil
	}
	return record.Range{}, ctx.Err()
}

func (g *logModel) Sync(context.Context) error {
	time.Sleep(max(g.syncTakes, 5*time.Millisecond))
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.drafts {
		if !g.drafts[i].synced {
			g.drafts[i].synced, g.drafts[i].syncedAt = true, time.Now()
		}
	}
	return nil
}

func (g *logModel) Last(name string, _ uint64) (p record.ProducerPosition, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, d := range g.drafts {
		if d.Producer.Name == name && g.durable(i) {
			p, ok = *d.Producer, true
		}
	}
	return p, ok
}

// crash loses what is not durable.
func (g *logModel) crash() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.drafts {
		if !g.durable(i) {
			g.drafts = g.drafts[:i]
			return
		}
	}
}

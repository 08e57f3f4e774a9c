package sim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// machine is one running agent: its disk, its logs, its sender. A shadow is a second machine that is given exactly the
// same from its start: frozen, it is a snapshot of disk and memory.
type machine struct {
	w       *world
	disk    *vfs.Mem
	fs      *vfs.Inject
	crypto  *rand.ChaCha8
	random  *rand.Rand // of the sender
	lineage *lineage
	shadow  bool
	frozen  bool
	streams []*stream
	sender  *uplink.Sender
	skew    time.Duration // of the wall clock
	failed  string        // last failure of the source, for people
}

// stream is one log with what was appended to it and is not acknowledged.
type stream struct {
	name    string
	set     *buffer.Set
	log     *buffer.Log
	src     uplink.Source
	ids     [2]record.SeriesID
	pending []appended
	changed <-chan struct{}
	epoch   record.Epoch // last one noted
}

type appended struct {
	t    buffer.Ticket
	nums []int64
	msg  *message // of a producer
}

// over is a context that has ended: whoever would wait does not.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// boot opens the logs of a disk. One set for each stream: sets open their streams in no particular order.
func (w *world) boot(disk *vfs.Mem, seed uint64, id string, l *lineage, shadow bool) (*machine, error) {
	m := &machine{w: w, disk: disk, fs: vfs.NewInject(disk), crypto: rand.NewChaCha8(seed32(seed, 2)), lineage: l, shadow: shadow}
	w.crypto.src = m.crypto
	var sources []uplink.Source
	for _, name := range w.cfg.streams {
		st := &stream{name: name}
		set, err := buffer.Open(context.Background(), m.fs, "log-"+name, m.options(name, id))
		if err != nil {
			return nil, err
		}
		if st.log, err = set.Log(name); err != nil {
			return nil, err
		}
		for i, s := range []record.Series{{Name: "count", Type: record.TypeInt}, {Name: "text", Type: record.TypeString}} {
			if st.ids[i], err = st.log.Define(s); err != nil {
				return nil, err
			}
		}
		st.set, st.src, st.changed = set, uplink.NewLog(st.log), st.log.Changed()
		if w.rule != nil && w.rule.source != nil {
			st.src = w.rule.source(w, m, st)
		}
		m.streams = append(m.streams, st)
		sources = append(sources, st.src)
	}
	m.random = rand.New(rand.NewPCG(seed, 3))
	random := func() uint64 { return m.random.Uint64() }
	if w.rule != nil && w.rule.random != nil {
		random = w.rule.random(random)
	}
	m.sender = uplink.New(uplink.Options{Window: w.cfg.window, FrameCost: 4 << 10, Random: random, NoGather: seed%3 == 0, Events: uplink.Events{
		Failed: func(st string, err error) { m.failed = st + ": " + err.Error(); m.say("source failed: %s", m.failed) },
		Conflict: func(st string, e record.Epoch, at record.Offset) {
			m.say("conflict in %s %s at %d", st, e, at)
		},
		Unsendable: func(st string, e record.Epoch, r record.Range) { m.say("unsendable %s %s %v", st, e, r) },
	}}, sources...)
	return m, nil
}

func (m *machine) say(format string, args ...any) {
	if !m.shadow {
		m.w.note("  "+format, args...)
	}
}

func (m *machine) options(name, id string) buffer.Options {
	o := buffer.StreamOptions{Name: name, CommitInterval: m.w.cfg.commit, MaxBytes: 2 << 20, SegmentBytes: 64 << 10}
	if m.w.cfg.tight {
		o.MaxBytes, o.SegmentBytes = 48<<10, 16<<10
	}
	return buffer.Options{Streams: []buffer.StreamOptions{o},
		Opening: func(string) []record.Record {
			r, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 1, Clock: record.ClockBoot},
				record.BootMark{Anchor: record.Anchor{Boot: id, BootTime: 1, UTC: time.Now().Add(m.skew).UnixNano(), Source: record.SourceSystem}})
			if err != nil {
				return nil
			}
			return []record.Record{r}
		},
		Events: buffer.Events{
			GapMade: func(st string, g record.Gap) {
				m.say("%s: gap [%d, %d) of %s: %s", st, g.From, g.To, g.Epoch, g.Reason)
			},
			SegmentGone: func(string, string, int64) { m.lineage.retained = true },
		}}
}

// number is the number that a record bears, -1 for marks.
func number(r *record.Record) int64 {
	if r.Kind != record.KindObservation {
		return -1
	}
	if r.Type == record.TypeString {
		digits, _, ok := bytes.Cut(r.Value(), []byte{' '})
		n, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil || !ok {
			return -2
		}
		return n
	}
	return r.Num
}

// noise is what texts are cut from.
var noise = func() (b [64 << 10]byte) {
	x := rand.New(rand.NewPCG(5, 5))
	for i := range b {
		b[i] = byte('!' + x.IntN(90))
	}
	return b
}()

// text begins with the number; it and how long the rest is, at most 20 and longest bytes, depend on the number only.
func text(n int64, longest int) []byte {
	x := uint64(n) * 0x9e3779b97f4a7c15
	size := 20 + int(x>>40)%longest
	at := int(x>>16) % (len(noise) - size)
	return append(append(strconv.AppendInt(make([]byte, 0, 12+size), n, 10), ' '), noise[at:at+size]...)
}

// records are those that bear the numbers. Which have a text, and how long it is, depends on the number only.
func (m *machine) records(st *stream, nums []int64) []record.Record {
	recs := make([]record.Record, 0, len(nums)+1)
	for _, n := range nums {
		r := record.Record{Kind: record.KindObservation, Series: st.ids[0], Time: time.Now().Add(m.skew).UnixNano(), Clock: record.ClockApp, Type: record.TypeInt, Num: n}
		if n%5 == 0 || m.w.cfg.tight && n%2 == 0 {
			r.Series, r.Type, r.Num = st.ids[1], record.TypeString, 0
			r.Data = &record.Data{Value: text(n, m.w.cfg.longest)}
		}
		recs = append(recs, r)
	}
	return recs
}

// append hands a draft to the log; false: it was refused.
func (m *machine) append(st *stream, nums []int64, msg *message) bool {
	m.w.crypto.src = m.crypto
	d := record.Draft{Records: m.records(st, nums)}
	if msg != nil {
		d.Producer = &record.ProducerPosition{Name: "node-" + st.name, Incarnation: msg.incarnation, Sequence: msg.sequence}
	}
	t, err := st.log.Append(over, d)
	switch {
	case errors.Is(err, buffer.ErrRepeated):
		m.say("%s: message %d is a repeat", st.name, msg.sequence)
		nums = nil
	case err != nil:
		m.say("%s: append: %v", st.name, err)
		return false
	}
	if nums != nil || msg != nil {
		st.pending = append(st.pending, appended{t, nums, msg})
	}
	return true
}

// sync commits a stream and acknowledges what has become durable.
func (m *machine) sync(st *stream) {
	m.w.crypto.src = m.crypto
	err := st.log.Sync(context.Background())
	if err != nil {
		m.say("%s: sync: %v", st.name, err)
	}
	e := st.log.Info().Epoch
	rest := st.pending[:0]
	for _, a := range st.pending {
		r, err := a.t.Wait(over)
		if err != nil {
			rest = append(rest, a)
			continue
		}
		if m.shadow {
			continue
		}
		if a.msg != nil {
			a.msg.acked = true
			for _, n := range a.msg.nums {
				m.w.acknowledgedAnywhere(n, m.lineage)
			}
		}
		for i, n := range a.nums {
			m.w.acknowledged(n, place{st.name, e, r.From + record.Offset(i)}, m.lineage)
		}
	}
	st.pending = rest
	if e != st.epoch && !m.shadow {
		m.links(st)
	}
}

// links notes the ancestry of the epochs.
func (m *machine) links(st *stream) {
	for _, e := range st.log.Epochs() {
		st.epoch = e.Epoch
		m.w.link(st.name, e, m.lineage)
	}
}

// scan reads a log from end to end: everything in it is durable there. It must be sound.
func (m *machine) scan(st *stream) {
	if m.disk.Stopped() {
		return
	}
	if m.shadow {
		return
	}
	all, err := buffertest.VerifyAll(st.log)
	if m.disk.Stopped() {
		return
	}
	if err != nil {
		m.w.violation("log: %s: %v", st.name, err)
		return
	}
	for i := range all {
		if x := &all[i]; x.Gap == nil {
			if n := number(&x.Record); n >= 0 {
				m.w.found(n, place{st.name, x.Epoch, x.Offset}, m.lineage)
			}
		}
	}
	m.links(st)
}

// received hands a message of the hub to the sender. After a conflict the log has moved records.
func (m *machine) received(msg wire.Message) {
	m.w.crypto.src = m.crypto
	before := m.sender.Status().Conflicts
	old := make([][]buffer.EpochInfo, len(m.streams))
	for i, st := range m.streams {
		old[i] = st.log.Epochs()
	}
	m.sender.Received(msg, time.Now())
	if m.sender.Status().Conflicts == before {
		return
	}
	for i, st := range m.streams {
		m.moved(st, old[i])
		m.scan(st)
		rest := st.pending[:0]
		for _, a := range st.pending { // a ticket may tell of the old epoch: the scan has found the place
			if _, err := a.t.Wait(over); err != nil {
				rest = append(rest, a)
				continue
			}
			if m.shadow {
				continue
			}
			nums := a.nums
			if a.msg != nil {
				a.msg.acked, nums = true, a.msg.nums
			}
			for _, n := range nums {
				m.w.acknowledgedAnywhere(n, m.lineage)
			}
		}
		st.pending = rest
	}
}

// moved notes what a move has renamed, gaps as well: what they name stands under the new epoch now.
func (m *machine) moved(st *stream, old []buffer.EpochInfo) {
	if m.shadow {
		return
	}
	gaps := st.log.Info().Gaps
	for _, e := range st.log.Epochs() {
		for _, o := range old {
			if o.Epoch == e.Epoch {
				break
			}
			if o.First > e.First || e.First >= o.End {
				continue
			}
			m.w.leave(st.name, o.Epoch, e.First, m.lineage)
			for _, g := range gaps {
				if g.Epoch == e.Epoch {
					m.w.renamed(st.name, o.Epoch, &g, m.lineage)
				}
			}
		}
	}
}

// pump lets the sender work and returns what it has to say.
func (m *machine) pump(connected bool) (out []wire.Message) {
	m.w.crypto.src = m.crypto
	for _, st := range m.streams {
		select {
		case <-st.changed:
			st.changed = st.log.Changed()
			m.sender.LogChanged(st.name)
		default:
		}
	}
	if !connected {
		return nil
	}
	now := time.Now()
	m.sender.Tick(now)
	for range pumpFrames {
		msg, ok := m.sender.Next(now)
		if !ok {
			break
		}
		out = append(out, throughBytes(msg))
	}
	return out
}

// throughBytes is the message as its bytes say it.
func throughBytes(m wire.Message) (out wire.Message) {
	var err error
	switch m := m.(type) {
	case *wire.Data:
		out, err = wire.ParseData(m.Stream, wire.AppendData(nil, m))
	case *wire.Gap:
		out, err = wire.ParseGap(m.Stream, wire.AppendGap(nil, m))
	case *wire.Hello:
		out, err = wire.ParseHello(wire.AppendHello(nil, m))
	case *wire.Ack:
		out, err = wire.ParseAck(wire.AppendAck(nil, m))
	default:
		return m
	}
	if err != nil {
		panic(fmt.Sprintf("%T does not survive its own bytes: %v", m, err))
	}
	return out
}

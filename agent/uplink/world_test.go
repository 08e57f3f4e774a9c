package uplink_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// world is a device with its logs, a network that can do everything, and a model hub.
type world struct {
	rng       *rand.Rand
	now       time.Time
	ids       record.Epoch
	num       int64
	logs      []*uplinktest.Log
	s         *uplink.Sender
	hub       *uplinktest.Hub
	up, down  []wire.Message
	connected bool
	spare     []*uplinktest.Log
	window    int
	gather    bool            // small batches are joined
	largest   int             // bytes of a frame that the broker takes, if not 0 …
	closes    bool            // … larger ones end the connection; else it drops them
	refused   int             // frames
	out       strings.Builder // what happened, for transcripts
	events    []string
}

func newWorld(seed uint64, batch int, streams ...string) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), hub: uplinktest.NewHub()}
	for _, name := range streams {
		w.logs = append(w.logs, uplinktest.NewLog(name, batch, func() record.Epoch { w.ids++; return w.ids }))
	}
	w.start()
	return w
}

// start makes a new sender: the agent's process starts. Epochs are those of a new opening.
func (w *world) start() {
	if w.connected {
		w.disconnect()
	}
	var src []uplink.Source
	for _, l := range w.logs {
		l.Reopen()
		src = append(src, l)
	}
	w.s = uplink.New(w.options(), src...)
}

func (w *world) options() uplink.Options {
	event := func(format string, args ...any) { w.events = append(w.events, fmt.Sprintf(format, args...)) }
	nonce := uint64(0)
	return uplink.Options{FrameCost: 1, NoGather: !w.gather, Window: w.window, Codec: uplinktest.Codec{}, Random: func() uint64 { nonce++; w.num++; return uint64(w.num)<<32 | nonce },
		Events: uplink.Events{
			Conflict: func(st string, e record.Epoch, at record.Offset) { event("conflict %s e%d at %d", st, e, at) },
			Lost:     func(st string, e record.Epoch, r record.Range) { event("lost %s e%d [%d,%d)", st, e, r.From, r.To) },
			Unsendable: func(st string, e record.Epoch, r record.Range) {
				event("unsendable %s e%d [%d,%d)", st, e, r.From, r.To)
			},
			Skipped: func(st string, e record.Epoch, s wire.SkippedRange) {
				event("skipped %s e%d [%d,%d) %s", st, e, s.From, s.To, s.Reason)
			},
			Notice: func(text string) { event("notice %s", text) },
			HubTime: func(sent, got time.Time, utc int64, synced bool) {
				event("hub time %d rtt %v synced %v", utc, got.Sub(sent), synced)
			},
			Failed: func(st string, err error) { event("failed %s: %v", st, err) },
		}}
}

func (w *world) append(i, n int) {
	nums := make([]int64, n)
	for k := range nums {
		w.num++
		nums[k] = w.num
	}
	w.logs[i].Append(nums...)
	w.s.LogChanged(w.logs[i].Name)
}

// appendSeries appends a record of the series.
func (w *world) appendSeries(i, series int, border bool) {
	w.num++
	w.logs[i].AppendRecord(record.Record{Kind: record.KindObservation, Type: record.TypeInt, Clock: record.ClockApp, Series: record.SeriesID(series), Num: w.num}, border)
	w.s.LogChanged(w.logs[i].Name)
}

// message appends a producer's message of n records.
func (w *world) message(i, n int, border bool) {
	nums := make([]int64, n)
	for k := range nums {
		w.num++
		nums[k] = w.num
	}
	w.num++
	w.logs[i].AppendMessage(record.ProducerPosition{Name: "node", Incarnation: 1, Sequence: uint64(w.num)}, border, nums...)
	w.s.LogChanged(w.logs[i].Name)
}

func (w *world) connect() {
	w.connected = true
	w.s.Connected(w.now)
}

func (w *world) disconnect() {
	w.connected = false
	w.up, w.down = nil, nil
	w.s.Disconnected(w.now, nil)
}

// pump moves at most n messages from the sender into the network, through their bytes.
func (w *world) pump(n int) (moved int) {
	for ; moved < n && w.connected; moved++ {
		m, ok := w.s.Next(w.now)
		if !ok {
			break
		}
		if w.largest > 0 && bytesOf(m) > w.largest {
			w.refused++
			if w.closes {
				arrived := w.up
				w.disconnect()
				for _, m := range arrived { // what it took before is at the hub
					w.hub.Handle(m)
				}
				break
			}
			continue
		}
		w.up = append(w.up, throughBytes(m))
		if traceAll {
			fmt.Printf("%s %T %+v\n", w.now.Format("15:04:05.000"), m, m)
		}
	}
	return moved
}

func (w *world) broker(closes bool, largest int) { w.closes, w.largest = closes, largest }

// bytesOf is how large a message is on the wire.
func bytesOf(m wire.Message) int {
	switch m := m.(type) {
	case *wire.Data:
		return len(wire.AppendData(nil, m))
	case *wire.Gap:
		return len(wire.AppendGap(nil, m))
	case *wire.Hello:
		return len(wire.AppendHello(nil, m))
	}
	return 0
}

// throughBytes is the message as the other side reads it.
func throughBytes(m wire.Message) wire.Message {
	var out wire.Message
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
	case *wire.HubUp:
		out, err = wire.ParseHubUp(wire.AppendHubUp(nil, m))
	}
	if err != nil {
		panic(err)
	}
	return out
}

func (w *world) hubTakes(m wire.Message) {
	if a := w.hub.Handle(m); a != nil {
		w.down = append(w.down, throughBytes(a))
		if traceAll {
			fmt.Printf("%s          %+v\n", w.now.Format("15:04:05.000"), a)
		}
	}
}

func take(q *[]wire.Message, i int) wire.Message {
	m := (*q)[i]
	*q = append((*q)[:i:i], (*q)[i+1:]...)
	return m
}

// settle runs without faults until nothing more happens, at most for the given virtual time.
func (w *world) settle(limit time.Duration) {
	end, hellos := w.now.Add(limit), w.s.Status().Hellos
	for steps := 0; w.now.Before(end); steps++ {
		if steps == 20_000 {
			w.events = append(w.events, "failed: it never comes to rest")
			return
		}
		if !w.connected {
			w.connect()
		}
		busy := w.pump(64) > 0
		for len(w.up) > 0 {
			w.hubTakes(take(&w.up, 0))
			busy = true
		}
		for len(w.down) > 0 {
			w.s.Received(take(&w.down, 0), w.now)
			busy = true
		}
		if !w.connected { // the broker has ended it
			w.now = w.now.Add(time.Second)
			continue
		}
		if busy {
			w.now = w.now.Add(time.Millisecond)
			continue
		}
		if w.drained() && hellos < w.s.Status().Hellos {
			return // a hello of after the last fault has found nothing to do
		}
		next := w.s.Wake()
		if next.IsZero() || next.After(end) {
			return
		}
		if next.Before(w.now) {
			w.events = append(w.events, "failed: the sender wants to be woken in the past")
			return
		}
		w.now = next
		w.s.Tick(w.now)
	}
}

// drained reports that every log counts as delivered to its end.
func (w *world) drained() bool {
	if w.s.Status().Phase != uplink.PhaseStreaming {
		return false
	}
	for _, l := range w.logs {
		if l.Position != l.End() {
			return false
		}
	}
	return true
}

// check returns what is wrong after a settle: the promises of the protocol.
func (w *world) check() (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if !w.drained() {
		complain("not drained: %+v", w.s.Status())
	}
	for _, a := range w.s.Accounts() {
		if !a.Balanced || a.Buffered != 0 || a.InFlight != 0 {
			complain("account does not close: %+v", a)
		}
	}
	for _, l := range w.logs {
		for _, info := range l.Epochs() {
			wrong = append(wrong, w.checkEpoch(l, info)...)
		}
	}
	for _, id := range w.hub.Epochs() {
		if e := w.hub.Epoch(id); e.Twice > 0 {
			complain("epoch %d: %d rows were stored twice", id, e.Twice)
		}
	}
	return wrong
}

func (w *world) checkEpoch(l *uplinktest.Log, info uplink.Epoch) (wrong []string) {
	e := w.hub.Epoch(info.Epoch)
	if e == nil {
		return []string{fmt.Sprintf("%s: the hub has never heard of epoch %d", l.Name, info.Epoch)}
	}
	// A gap whose beginning this log does not hold either cannot be filled (H3 fills upward).
	gone := func(o record.Offset) (in, fillable bool) {
		for _, g := range e.Gaps {
			if g.Contains(o) {
				item, err := l.At(info.Epoch, g.From)
				return true, err == nil && item.Gap == nil
			}
		}
		return false, false
	}
	for _, m := range e.Messages { // A10
		if p, ok := l.Message(m.From); m.To <= info.End && (!ok || p != m) {
			wrong = append(wrong, fmt.Sprintf("%s e%d: a frame held the message %+v, the log has %+v", l.Name, info.Epoch, m, p))
		}
	}
	for o := info.First; o < info.End; {
		item, err := l.At(info.Epoch, o)
		if err != nil {
			return []string{err.Error()}
		}
		if item.Gap != nil {
			for ; o < item.Gap.To; o++ {
				if _, ok := e.Rows[o]; !ok && !in(gone(o)) {
					wrong = append(wrong, fmt.Sprintf("%s e%d: offset %d is neither a row nor a gap", l.Name, info.Epoch, o))
				}
			}
			continue
		}
		recs, err := uplinktest.Codec{}.Decode(nil, item.Batch.Codec, item.Batch.RawLen, item.Batch.Count, item.Batch.Body)
		if err != nil {
			return []string{err.Error()}
		}
		for ; o < item.Batch.Range().To; o++ {
			want := recs[o-item.Batch.Base].Num
			row, ok := e.Rows[o]
			if gap, fillable := gone(o); gap && !fillable && !ok {
				continue
			}
			if !ok || row.Num != want || in(gone(o)) {
				wrong = append(wrong, fmt.Sprintf("%s e%d: offset %d holds %d here, the hub has %+v (%v, gap %v)", l.Name, info.Epoch, o, want, row, ok, in(gone(o))))
			}
		}
	}
	return wrong
}

var traceAll = false

func in(is, _ bool) bool { return is }

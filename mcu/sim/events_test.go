package sim_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu/sim"
)

type event struct {
	seq     uint32
	kind    int
	source  int
	quality byte
	ms      uint32
	value   int16
}

var life = []uint16{0x1234, 0x5678, 0x9abc, 0xdef0}

// take reads one block and says what RELEASED was; it repeats what the line damaged, as an agent does.
func (r *rig) take() (events []event, released uint32) {
	r.t.Helper()
	var v []uint16
	for try := 0; ; try++ {
		var err error
		if v, err = r.master.ReadHolding(context.Background(), r.unit, 0x100, 10+28*4); err == nil {
			break
		} else if try > 30 {
			r.t.Fatalf("%s: no block: %v", r.node.Name, err)
		}
	}
	released = uint32(v[4])<<16 | uint32(v[5])
	for i := range int(min(v[6], 28)) {
		w := v[10+4*i:]
		events = append(events, event{released + 1 + uint32(i), int(w[0] >> 12), int(w[0] >> 8 & 15), byte(w[0]), uint32(w[1])<<16 | uint32(w[2]), int16(w[3])})
	}
	return events, released
}

// ack acknowledges; a lost answer is repeated.
func (r *rig) ack(seq uint32) {
	r.t.Helper()
	w := append(append([]uint16(nil), life...), uint16(seq>>16), uint16(seq))
	for try := 0; ; try++ {
		err := r.master.WriteRegisters(context.Background(), r.unit, 0x100, w)
		if err == nil {
			return
		} else if try > 30 {
			r.t.Fatalf("%s: acknowledge %d: %v", r.node.Name, seq, err)
		}
	}
}

// exactlyOnce moves test events over a bad line and wants each once, in order.
func (r *rig) exactlyOnce() {
	r.t.Helper()
	r.run(3 * time.Second) // the sensors are found: what they add now waits for room
	r.write(0x100, life...)
	total := int16(5 * r.read(7, 1)[0])
	r.write(0xd3, uint16(total))
	r.line.SetFaults(sim.Faults{Noise: 0.0005, LostRequest: 0.1, LostReply: 0.1})
	defer r.line.SetFaults(sim.Faults{})
	next, want, lastMS := uint32(1), int16(0), uint32(0)
	for want < total {
		events, released := r.take()
		if released+1 > next {
			r.t.Fatalf("%s: events %d to %d are lost", r.node.Name, next, released)
		}
		for _, e := range events {
			if e.seq < next {
				continue // a repeat, recognised by its sequence
			}
			if e.seq != next || e.ms < lastMS {
				r.t.Fatalf("%s: event %+v behind sequence %d, %d ms", r.node.Name, e, next-1, lastMS)
			}
			next, lastMS = next+1, e.ms
			if e.kind == 7 {
				if e.value != want {
					r.t.Fatalf("%s: test event %d, want %d", r.node.Name, e.value, want)
				}
				want++
			}
		}
		r.ack(next - 1)
	}
	c := r.line.Counts()
	if c.LostReplies+c.LostRequests+c.Noise == 0 {
		r.t.Errorf("%s: the line did no harm: %+v", r.node.Name, c)
	}
}

func TestExactlyOnceOverABadLine(t *testing.T) {
	eachChip(t, 2, func(t *testing.T, r *rig) { r.exactlyOnce() })
}

func TestAcknowledgementOfAnotherLife(t *testing.T) {
	eachChip(t, 1, func(t *testing.T, r *rig) {
		refused := func(what string, w ...uint16) {
			t.Helper()
			err := r.master.WriteRegisters(context.Background(), r.unit, 0x100, w)
			var x *modbus.Exception
			if !errors.As(err, &x) || x.Code != 3 {
				t.Errorf("%s: %v, want exception 3", what, err)
			}
		}
		refused("acknowledge before there is an incarnation", 1, 2, 3, 4, 0, 1)
		refused("incarnation 0", 0, 0, 0, 0)
		r.write(0x100, life...)
		r.write(0x100, life...)
		refused("another incarnation", 1, 2, 3, 4)
		refused("another life's acknowledgement", 1, 2, 3, 4, 0, 1)
		refused("beyond the newest event", append(append([]uint16(nil), life...), 0, 200)...)
		refused("far beyond", append(append([]uint16(nil), life...), 1, 1)...)
		events, released := r.take()
		if released != 0 || len(events) < 1 || events[0].kind != 4 || events[0].value != 1 {
			t.Fatalf("released %d, %+v", released, events)
		}
		r.ack(1)
		r.ack(1)
		r.ack(0) // an old one, late
		if _, released := r.take(); released != 1 {
			t.Errorf("released %d", released)
		}
		r.line.Do(r.node.Reset)
		r.run(100 * time.Millisecond)
		if v := r.read(0x100, 6); v[0]|v[1]|v[2]|v[3]|v[5] != 0 {
			t.Errorf("a restarted node has an incarnation or released events: %v", v)
		}
		refused("acknowledgement for the life before", append(append([]uint16(nil), life...), 0, 1)...)
		if id := r.read(0xc, 3); id[1] != 2 || id[2] != 3 {
			t.Errorf("boots %d, cause %d, want 2 and 3 (reset pin)", id[1], id[2])
		}
	})
}

func TestOverflowIsVisible(t *testing.T) {
	eachChip(t, 1, func(t *testing.T, r *rig) {
		q := uint32(r.read(7, 1)[0])
		r.write(0x100, life...)
		r.write(0xd3, uint16(2*q)) // fills the queue; the rest waits for room
		r.run(time.Second)
		if fill := r.read(0x106, 1)[0]; uint32(fill) != q {
			t.Fatalf("%d events in a queue of %d", fill, q)
		}
		r.write(0x84, 1, 1, 30) // an override switches the heater: this event pushes the oldest out
		r.run(100 * time.Millisecond)
		over := r.read(0x23, 2)
		lost := uint32(over[0])<<16 | uint32(over[1])
		if _, released := r.take(); released != lost || lost == 0 {
			t.Errorf("released %d, overflows %d", released, lost)
		}
	})
}

// TestTake uses function 65 on the real images: what is acknowledged goes, and the rest comes in the same answer with its age.
func TestTake(t *testing.T) {
	eachChip(t, 1, func(t *testing.T, r *rig) {
		ctx := context.Background()
		take := func(life, seq uint32) ([]byte, byte) {
			t.Helper()
			b, err := r.master.Custom(ctx, r.unit, 65, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, life), seq))
			var x *modbus.Exception
			if errors.As(err, &x) {
				return nil, x.Code
			} else if err != nil {
				t.Fatal(err)
			}
			return b, 0
		}
		low := uint32(life[2])<<16 | uint32(life[3])
		if _, code := take(0, 0); code != 3 {
			t.Errorf("before there is an incarnation: exception %d", code)
		}
		r.write(0x100, life...)
		if _, code := take(low+1, 0); code != 3 {
			t.Errorf("another life: exception %d", code)
		}
		r.run(2 * time.Second)
		events, _ := r.take()
		b, code := take(low, 0)
		if code != 0 || len(b) != 12+6*len(events) || len(events) < 2 {
			t.Fatalf("exception %d, % x beside %+v", code, b, events)
		}
		now := binary.BigEndian.Uint32(b[8:])
		for i, e := range events {
			p := b[12+6*i:]
			if int(p[0]) != e.kind<<4|e.source || p[1] != e.quality || int16(binary.BigEndian.Uint16(p[4:])) != e.value || now-uint32(binary.BigEndian.Uint16(p[2:])) != e.ms {
				t.Errorf("event %d is % x, the registers say %+v", i, p[:6], e)
			}
		}
		if b, _ = take(low, 1); binary.BigEndian.Uint32(b) != 1 || int(b[5]) != len(events)-1 {
			t.Errorf("after event 1 was acknowledged: % x", b)
		}
		if _, code := take(low, 200); code != 3 {
			t.Errorf("beyond the newest event: exception %d", code)
		}
	})
}

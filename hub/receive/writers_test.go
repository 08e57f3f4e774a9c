package receive_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// sibling lets another hub create a child of the epoch, of which the receiver is told nothing.
func (r *rig) sibling(parent *history, id record.Epoch) {
	r.t.Helper()
	end := parent.end()
	res, err := r.store.Commit(context.Background(), []store.Change{{Device: "box", Stream: parent.stream, Epoch: id, Create: true,
		Parent: parent.id, ParentEnd: end, First: end, From: end, To: end, FromChain: parent.chain(end), ToChain: parent.chain(end)}})
	if err != nil || !res[0].Applied {
		r.t.Fatalf("create epoch %d: %+v %v", id, res, err)
	}
}

func (r *rig) child(parent *history, id record.Epoch) *history {
	end := parent.end()
	h := r.box.epoch(id, parent.stream, parent.id, end, end)
	h.extend(end+2, 0)
	return h
}

// TestTwoHubsTwoChildren: each of two hubs creates one child of a parent; the one that comes second says so although it had
// read the device before, and where it could not, the one that answers the next hello does (H7).
func TestTwoHubsTwoChildren(t *testing.T) {
	told := func(acks []*wire.Ack) bool {
		return slices.ContainsFunc(acks, func(a *wire.Ack) bool { return slices.Contains(a.Notices, "two-writers telemetry") })
	}
	var notices []string
	run(t, receive.Options{Events: receive.Events{Notice: func(_, n string) { notices = append(notices, n) }}}, func(r *rig) {
		root := r.epoch(1, "telemetry", 4)
		r.handle("box", r.data(root, 0, 4))
		r.wait("box", time.Second)
		r.sibling(root, 2)
		r.handle("box", r.data(r.child(root, 3), 4, 6))
		r.wait("box", time.Second)
	})
	if !slices.Equal(notices, []string{"two-writers telemetry"}) {
		t.Errorf("the second child was created, people were told %q", notices)
	}
	run(t, receive.Options{}, func(r *rig) {
		root := r.epoch(1, "telemetry", 4)
		r.handle("box", r.data(root, 0, 4))
		r.wait("box", time.Second)
		r.sibling(root, 2)
		r.hello("box", 1, root)
		if told(r.wait("box", time.Second)) {
			t.Error("two writers, and the box has one epoch")
		}
		r.sibling(root, 3)
		r.hello("box", 2, r.child(root, 3))
		if !told(r.wait("box", time.Second)) {
			t.Error("the newest epoch of the box has a sibling and nobody was told")
		}
	})
}

// TestGrowthBehindItsEnd: a child has said where its parent ends, and the parent goes on growing: another box holds it, too.
func TestGrowthBehindItsEnd(t *testing.T) {
	var notices []string
	run(t, receive.Options{Events: receive.Events{Notice: func(_, n string) { notices = append(notices, n) }}}, func(r *rig) {
		root := r.epoch(1, "telemetry", 4)
		r.handle("box", r.data(root, 0, 4))
		r.handle("box", r.data(r.child(root, 2), 4, 6))
		r.wait("box", time.Second)
		if len(notices) != 0 {
			t.Errorf("told too early: %q", notices)
		}
		root.extend(6, 0)
		r.handle("box", r.data(root, 4, 6))
		if a := r.wait("box", time.Second); len(a) != 1 || a[0].Positions[0].Next != 6 {
			t.Errorf("it is delivered all the same: %+v", a)
		}
	})
	if !slices.Equal(notices, []string{"two-writers telemetry"}) {
		t.Errorf("people were told %q", notices)
	}
}

// TestProducerMemory: of more ranges of sequences than are kept the lowest is forgotten; a message from below is stored rather than
// lost, and people are told that it may be there twice (H6).
func TestProducerMemory(t *testing.T) {
	const messages = store.MaxSequenceRanges + 3
	var notices []string
	run(t, receive.Options{Events: receive.Events{Notice: func(_, n string) { notices = append(notices, n) }}}, func(r *rig) {
		h := r.epoch(1, "telemetry", messages+1)
		span := func(o record.Offset, sequence uint64) {
			h.producers = append(h.producers, record.ProducerSpan{Range: record.Range{From: o, To: o + 1},
				ProducerPosition: record.ProducerPosition{Name: "node", Incarnation: 1, Sequence: sequence}})
		}
		for o := range record.Offset(messages) { // every second one: as many ranges
			span(o, 10+2*uint64(o))
		}
		span(messages, 10) // the first one again
		r.handle("box", r.data(h, 0, messages))
		r.wait("box", time.Second)
		if len(notices) != 0 {
			t.Errorf("told too early: %q", notices)
		}
		r.handle("box", r.data(h, messages, messages+1))
		r.wait("box", time.Second)
		if st, err := r.store.Positions(context.Background(), "box"); err != nil || st.Positions[0].Rows != messages+1 {
			t.Errorf("%+v, %v", st, err)
		}
	})
	if !slices.Equal(notices, []string{"producer-memory telemetry node"}) {
		t.Errorf("people were told %q", notices)
	}
}

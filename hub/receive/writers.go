package receive

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// writers notices two boxes that write one stream (H7): a cloned card or a resumed snapshot. Both are delivered.
type writers struct {
	last, before growth
	switches     int // turns between the same two epochs
	noted        bool
}

type growth struct {
	epoch record.Epoch
	nonce wire.Nonce
}

// adopt tells the parent of a new epoch where it ends.
func (v *View) adopt(e *epochView, d *Decision) {
	if e.pos.Parent == 0 {
		return
	}
	p := v.epochs[Key{e.pos.Stream, e.pos.Parent}]
	if p == nil {
		return
	}
	p.pos.End = max(p.pos.End, e.pos.ParentEnd)
	v.siblings(e, d)
}

// siblings looks for another child of an epoch's parent. It is asked when an epoch is created, after that was committed,
// when one begins to grow, and of the newest one that a hello names: the hub that created it may have died before it could
// tell anybody, or two hubs may have created one each.
func (v *View) siblings(e *epochView, d *Decision) {
	if e.pos.Parent == 0 {
		return
	}
	for _, o := range v.epochs {
		if o != e && o.pos.Stream == e.pos.Stream && o.pos.Parent == e.pos.Parent {
			v.twoWriters(e.pos.Stream, d)
			return
		}
	}
}

// newest looks for another child beside the newest stored epoch of each stream of a hello.
func (v *View) newest(h *wire.Hello) []string {
	var d Decision
	if h.Part+1 < h.Parts {
		return nil
	}
	for _, s := range h.Streams {
		for _, e := range slices.Backward(s.Epochs) {
			if x := v.epochs[Key{s.Stream, e.Epoch}]; x != nil {
				v.siblings(x, &d)
				break
			}
		}
	}
	return d.Notices
}

// created looks for another child beside those that the changes have created.
func (v *View) created(changes []store.Change) []string {
	var d Decision
	for i := range changes {
		if e := v.epochs[Key{changes[i].Stream, changes[i].Epoch}]; e != nil && changes[i].Create {
			v.siblings(e, &d)
		}
	}
	return d.Notices
}

// grown looks at the order in which epochs of a stream grow. One box finishes an epoch before the next, and its frames
// carry the nonce of its latest hello: a nonce that comes back after another one's growth, growth beyond the end that
// a child stated, or two epochs that take turns are two boxes.
func (v *View) grown(e *epochView, nonce wire.Nonce, d *Decision) {
	w := v.writers[e.pos.Stream]
	if w == nil {
		w = &writers{}
		v.writers[e.pos.Stream] = w
	}
	now := growth{e.pos.Epoch, nonce}
	if w.last.epoch != now.epoch {
		v.siblings(e, d)
		if w.before.epoch == now.epoch {
			w.switches++
		} else {
			w.switches = 0
		}
		if w.before == now && w.last.nonce != nonce || w.switches >= maxSwitches {
			v.twoWriters(e.pos.Stream, d)
		}
		w.before = w.last
	}
	w.last = now
	if e.pos.End != 0 && e.pos.Next > e.pos.End {
		v.twoWriters(e.pos.Stream, d)
	}
}

func (v *View) twoWriters(stream string, d *Decision) {
	w := v.writers[stream]
	if w == nil {
		w = &writers{}
		v.writers[stream] = w
	}
	if !w.noted {
		w.noted = true
		d.notice("two-writers %s", stream)
	}
}

package explore

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"reflect"
	"slices"
	"unsafe"

	"github.com/edgelog/edgelog/internal/wire"
)

// Two states are the same if everything is that decides what can still happen. Left out are counters for people, memory
// kept for reuse, and how long a wait still takes: a time-out may come whenever it may come at all. Nonces count as the
// order in which they appear, and messages under way have no order.
var leftOut = map[string]bool{
	"uplink.Status": true, "uplink.timer": true, "uplink.Options": true, "uplink.ages": true, "uplink.pacer": true, "uplink.held": true,
	"uplink.Bodies": true, "uplink.scratch": true, "uplink.gathering": true, "uplink.stuck": true, "record.Encoder": true, "record.Decoder": true,
	"receive.counters": true, "receive.queue": true, "receive.credit": true, "receive.Options": true, "receive.bodies": true,
	"receive.storeState": true, "time.Duration": true, "sync.Mutex": true,
}

// leftOutFields are single fields, by type and name.
var leftOutFields = map[string]bool{
	"uplink.Sender.silent": true, "uplink.Sender.turn": true, "uplink.answers.sent": true, "receive.Receiver.lastTurn": true,
	"receive.device.used": true, "receive.device.heard": true, "receive.device.since": true, "memory.Store.commits": true,
	"memory.Store.fault": true, "uplink.stream.retryIn": true, "uplink.stream.at": true, "uplink.stream.since": true, "uplinktest.Log.Closed": true,
}

type id [16]byte

// digest is what is there but for the names of nonces: the first that appears is 1, the next other one 2. Where parts are
// put together, these names are those of nonces.
type digest struct {
	sum    id
	nonces []wire.Nonce
}

// hasher writes what decides into a buffer.
type hasher struct {
	buf    []byte
	nonces []wire.Nonce
	seen   []seenValue
	all    bool // nothing is left out
}

type seenValue struct {
	at   unsafe.Pointer
	plan *hashPlan
}

// hashPlan writes a value. How a type is written is worked out once; nil: it is left out.
type hashPlan struct {
	write func(h *hasher, at unsafe.Pointer)
	nonce bool // there may be nonces in it
}

type planKey struct {
	t   reflect.Type
	all bool
}

var (
	hashPlans = map[planKey]*hashPlan{}
	hashing   hasher
)

func (h *hasher) number(n uint64) { h.buf = binary.AppendUvarint(h.buf, n) }

// name is the number of a nonce.
func name(nonces *[]wire.Nonce, n wire.Nonce) uint64 {
	i := slices.Index(*nonces, n)
	if i < 0 {
		i = len(*nonces)
		*nonces = append(*nonces, n)
	}
	return uint64(i + 1)
}

// digestOf makes the digest of what p points to.
func digestOf[T any](p *T) *digest { return digestAll(p, false) }

func digestAll[T any](p *T, all bool) *digest {
	h := &hashing
	clear(h.seen)
	h.buf, h.nonces, h.seen, h.all = h.buf[:0], nil, h.seen[:0], all
	h.plan(reflect.TypeFor[*T]()).write(h, unsafe.Pointer(&p))
	sum := sha256.Sum256(h.buf)
	return &digest{id(sum[:16]), h.nonces}
}

// digest is that of the part.
func (p *part[T]) digest() *digest {
	if p.sum == nil {
		p.sum = digestOf(p.v)
	}
	return p.sum
}

// hash is the identity of a state.
func hash(s *state) id {
	var names []wire.Nonce
	buf := make([]byte, 0, 512)
	add := func(d *digest) {
		buf = append(buf, d.sum[:]...)
		for _, n := range d.nonces {
			buf = binary.AppendUvarint(buf, name(&names, n))
		}
	}
	buf = append(buf, byte(len(s.boxes)), byte(len(s.hubs)), byte(len(s.up)), byte(len(s.down)))
	for i := range s.boxes {
		add(s.boxes[i].digest())
	}
	for i := range s.hubs {
		add(s.hubs[i].digest())
	}
	add(s.store.digest())
	add(s.save.digest())
	add(s.snap.digest())
	add(s.spare.digest())
	add(s.truth.digest())
	for _, list := range [][]message{s.up, s.down} {
		for _, m := range inOrder(list, names) {
			add(m.sum)
		}
	}
	h := &hashing
	h.buf, h.all = buf, false
	h.number(uint64(s.epochs))
	h.plan(reflect.TypeFor[budget]()).write(h, unsafe.Pointer(&s.left))
	sum := sha256.Sum256(h.buf)
	return id(sum[:16])
}

// inOrder are messages in an order that does not depend on that in which they were sent. Of those that differ only in
// nonces the first is that whose nonces have the lower names, or, without names, were drawn first.
func inOrder(list []message, names []wire.Nonce) []message {
	if len(list) < 2 {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b message) int {
		if c := bytes.Compare(a.sum.sum[:], b.sum.sum[:]); c != 0 {
			return c
		}
		for i, n := range a.sum.nonces {
			x, y := uint(slices.Index(names, n)), uint(slices.Index(names, b.sum.nonces[i]))
			if c := cmp.Or(cmp.Compare(x, y), cmp.Compare(n, b.sum.nonces[i])); c != 0 {
				return c
			}
		}
		return 0
	})
	return list
}

// plan is how a type is written, nil where it is left out.
func (h *hasher) plan(t reflect.Type) *hashPlan {
	k := planKey{t, h.all}
	if p, ok := hashPlans[k]; ok {
		return p
	}
	name := t.String()
	if leftOut[name] && !h.all || name == "sync.Mutex" || h.all && sharedTypes[name] && name != "record.Data" {
		hashPlans[k] = nil
		return nil
	}
	p := &hashPlan{}
	hashPlans[k] = p
	switch {
	case name == "wire.Nonce":
		p.nonce = true
		p.write = func(h *hasher, at unsafe.Pointer) { h.number(nameOf(h, *(*wire.Nonce)(at))) }
	case name == "time.Time": // only whether there is one
		p.write = func(h *hasher, at unsafe.Pointer) { h.truth(!reflect.NewAt(t, at).Elem().IsZero()) }
	default:
		h.planKind(t, p)
	}
	return p
}

func nameOf(h *hasher, n wire.Nonce) uint64 { return name(&h.nonces, n) }

func (h *hasher) truth(b bool) {
	if b {
		h.buf = append(h.buf, 1)
	} else {
		h.buf = append(h.buf, 0)
	}
}

func (h *hasher) planKind(t reflect.Type, p *hashPlan) {
	switch t.Kind() {
	case reflect.Bool:
		p.write = func(h *hasher, at unsafe.Pointer) { h.truth(*(*bool)(at)) }
	case reflect.Int8, reflect.Uint8:
		p.write = func(h *hasher, at unsafe.Pointer) { h.buf = append(h.buf, *(*byte)(at)) }
	case reflect.Int16, reflect.Uint16:
		p.write = func(h *hasher, at unsafe.Pointer) { h.number(uint64(*(*uint16)(at))) }
	case reflect.Int32, reflect.Uint32:
		p.write = func(h *hasher, at unsafe.Pointer) { h.number(uint64(*(*uint32)(at))) }
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64, reflect.Float64:
		p.write = func(h *hasher, at unsafe.Pointer) { h.number(*(*uint64)(at)) }
	case reflect.String:
		p.write = func(h *hasher, at unsafe.Pointer) {
			s := *(*string)(at)
			h.number(uint64(len(s)))
			h.buf = append(h.buf, s...)
		}
	case reflect.Pointer:
		h.planPointer(t, p)
	case reflect.Interface:
		p.nonce = true
		p.write = func(h *hasher, at unsafe.Pointer) { h.dynamic(reflect.NewAt(t, at).Elem().Elem()) }
	case reflect.Slice:
		elem, size := h.elem(t, p), t.Elem().Size()
		p.write = func(h *hasher, at unsafe.Pointer) {
			s := *(*[]byte)(at) // of any type: only where it begins, and how many
			h.number(uint64(len(s)))
			if size == 1 {
				h.buf = append(h.buf, s...)
				return
			}
			h.several(elem, unsafe.Pointer(unsafe.SliceData(s)), len(s), size)
		}
	case reflect.Array:
		elem, size, n := h.elem(t, p), t.Elem().Size(), t.Len()
		p.write = func(h *hasher, at unsafe.Pointer) { h.several(elem, at, n, size) }
	case reflect.Map:
		h.planMap(t, p)
	case reflect.Struct:
		h.planStruct(t, p)
	case reflect.Func, reflect.Chan: // what they do is code, or memory for waking
		p.write = func(*hasher, unsafe.Pointer) {}
	default:
		panic("explore: no identity of " + t.String())
	}
}

// elem is the plan of the elements of t.
func (h *hasher) elem(t reflect.Type, p *hashPlan) *hashPlan {
	e := h.plan(t.Elem())
	p.nonce = p.nonce || e != nil && (e.nonce || e.write == nil)
	return e
}

func (h *hasher) several(elem *hashPlan, at unsafe.Pointer, n int, size uintptr) {
	if elem == nil {
		return
	}
	for i := range n {
		elem.write(h, unsafe.Add(at, uintptr(i)*size))
	}
}

func (h *hasher) planPointer(t reflect.Type, p *hashPlan) {
	elem := h.elem(t, p)
	p.write = func(h *hasher, at unsafe.Pointer) {
		to := *(*unsafe.Pointer)(at)
		if to == nil {
			h.number(0)
			return
		}
		if elem == nil {
			h.number(1)
			return
		}
		for i, s := range h.seen {
			if s.at == to && s.plan == elem {
				h.number(uint64(i + 2))
				return
			}
		}
		h.seen = append(h.seen, seenValue{to, elem})
		h.number(1)
		elem.write(h, to)
	}
}

// dynamic writes what an interface holds.
func (h *hasher) dynamic(e reflect.Value) {
	if !e.IsValid() {
		h.number(0)
		return
	}
	plan := h.plan(e.Type())
	if plan == nil {
		h.number(1)
		return
	}
	name := e.Type().String()
	h.number(uint64(len(name)) + 2)
	h.buf = append(h.buf, name...)
	n := reflect.New(e.Type())
	n.Elem().Set(e)
	plan.write(h, n.UnsafePointer())
}

func (h *hasher) planStruct(t reflect.Type, p *hashPlan) {
	type field struct {
		at   uintptr
		plan *hashPlan
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if leftOutFields[t.String()+"."+f.Name] && !h.all {
			continue
		}
		if plan := h.plan(f.Type); plan != nil {
			fields = append(fields, field{f.Offset, plan})
			p.nonce = p.nonce || plan.nonce || plan.write == nil
		}
	}
	p.write = func(h *hasher, at unsafe.Pointer) {
		for i := range fields {
			fields[i].plan.write(h, unsafe.Add(at, fields[i].at))
		}
	}
}

// planMap writes a map in the order of its keys' bytes, in which no nonce may stand: its name would depend on the order.
func (h *hasher) planMap(t reflect.Type, p *hashPlan) {
	key, elem := h.plan(t.Key()), h.elem(t, p)
	if key == nil || key.nonce {
		panic("explore: no order of " + t.String())
	}
	type entry struct {
		key []byte
		val reflect.Value
	}
	p.write = func(h *hasher, at unsafe.Pointer) {
		v := reflect.NewAt(t, at).Elem()
		h.number(uint64(v.Len()))
		if v.Len() == 0 {
			return
		}
		list := make([]entry, 0, v.Len())
		k, from := reflect.New(t.Key()), len(h.buf)
		for it := v.MapRange(); it.Next(); {
			k.Elem().SetIterKey(it)
			key.write(h, k.UnsafePointer())
			val := reflect.New(t.Elem())
			val.Elem().SetIterValue(it)
			list = append(list, entry{bytes.Clone(h.buf[from:]), val})
			h.buf = h.buf[:from]
		}
		slices.SortFunc(list, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
		for _, e := range list {
			h.buf = append(h.buf, e.key...)
			if elem != nil {
				elem.write(h, e.val.UnsafePointer())
			}
		}
	}
}

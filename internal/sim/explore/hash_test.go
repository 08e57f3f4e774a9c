package explore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"reflect"
	"slices"

	"github.com/edgelog/edgelog/internal/wire"
)

// Two states are the same if everything is that decides what can still happen. Left out are counters for people, memory
// kept for reuse, and how long a wait still takes: a time-out may come whenever it may come at all. Nonces count as the
// order in which they appear.
var leftOut = map[string]bool{
	"uplink.Status": true, "uplink.timer": true, "uplink.Options": true, "uplink.ages": true, "uplink.pacer": true, "uplink.held": true,
	"uplink.Bodies": true, "uplink.scratch": true, "uplink.gathering": true, "record.Encoder": true, "record.Decoder": true,
	"receive.counters": true, "receive.queue": true, "receive.credit": true, "receive.Options": true, "receive.bodies": true,
	"receive.storeState": true, "time.Duration": true, "sync.Mutex": true, "explore.rules": true,
}

// leftOutFields are single fields, by type and name.
var leftOutFields = map[string]bool{
	"uplink.Sender.silent": true, "uplink.Sender.turn": true, "uplink.answers.sent": true, "receive.Receiver.lastTurn": true,
	"receive.device.used": true, "receive.device.heard": true, "receive.device.since": true, "memory.Store.commits": true,
	"memory.Store.fault": true, "explore.state.now": true, "explore.state.num": true, "uplink.stream.retryIn": true,
	"uplink.stream.at": true, "uplinktest.Log.Closed": true,
}

type id [16]byte

type hasher struct {
	buf    bytes.Buffer
	nonces map[wire.Nonce]uint64
	seen   map[seenKey]uint64
}

func hash(s *state) id {
	h := hasher{nonces: map[wire.Nonce]uint64{}, seen: map[seenKey]uint64{}}
	h.value(reflect.ValueOf(s).Elem())
	sum := sha256.Sum256(h.buf.Bytes())
	return id(sum[:16])
}

func (h *hasher) number(n uint64) {
	var b [10]byte
	h.buf.Write(b[:binary.PutUvarint(b[:], n)])
}

func (h *hasher) value(v reflect.Value) {
	t := v.Type()
	info := kindOf(t)
	switch {
	case info.out:
		return
	case info.nonce:
		n, ok := h.nonces[wire.Nonce(v.Uint())]
		if !ok {
			n = uint64(len(h.nonces) + 1)
			h.nonces[wire.Nonce(v.Uint())] = n
		}
		h.number(n)
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		if v.Bool() {
			h.number(1)
		} else {
			h.number(0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		h.number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		h.number(v.Uint())
	case reflect.String:
		h.number(uint64(v.Len()))
		h.buf.WriteString(v.String())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			h.number(0)
			return
		}
		if t.Kind() == reflect.Pointer {
			k := seenKey{v.UnsafePointer(), t}
			if n, ok := h.seen[k]; ok {
				h.number(n)
				return
			}
			h.seen[k] = uint64(len(h.seen) + 2)
		}
		h.number(1)
		h.value(v.Elem())
	case reflect.Slice:
		h.number(uint64(v.Len()))
		if t.Elem().Kind() == reflect.Uint8 {
			h.buf.Write(v.Bytes())
			return
		}
		for i := range v.Len() {
			h.value(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			h.value(v.Index(i))
		}
	case reflect.Map:
		h.mapping(v)
	case reflect.Struct:
		h.fields(v, info)
	}
}

func (h *hasher) fields(v reflect.Value, info *kind) {
	for _, i := range info.fields {
		h.value(v.Field(i))
	}
	for _, i := range info.times { // only whether there is one
		set := uint64(0)
		if !v.Field(i).IsZero() {
			set = 1
		}
		h.number(set)
	}
}

// kind is what is known of a type.
type kind struct {
	out, nonce    bool
	fields, times []int // of a struct
}

var kinds = map[reflect.Type]*kind{}

func kindOf(t reflect.Type) *kind {
	if k := kinds[t]; k != nil {
		return k
	}
	name := t.String()
	k := &kind{out: leftOut[name], nonce: name == "wire.Nonce"}
	kinds[t] = k
	if t.Kind() != reflect.Struct {
		return k
	}
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case leftOutFields[name+"."+f.Name] || leftOut[f.Type.String()]:
		case f.Type.String() == "time.Time":
			k.times = append(k.times, i)
		default:
			k.fields = append(k.fields, i)
		}
	}
	return k
}

// mapping writes a map in the order of its keys' bytes.
func (h *hasher) mapping(v reflect.Value) {
	h.number(uint64(v.Len()))
	if v.Len() == 0 {
		return
	}
	type entry struct {
		key []byte
		val reflect.Value
	}
	var list []entry
	for it := v.MapRange(); it.Next(); {
		k := hasher{nonces: h.nonces, seen: h.seen}
		k.value(it.Key())
		list = append(list, entry{k.buf.Bytes(), it.Value()})
	}
	slices.SortFunc(list, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	for _, e := range list {
		h.buf.Write(e.key)
		h.value(e.val)
	}
}

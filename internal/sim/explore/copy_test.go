package explore

import (
	"reflect"
	"unsafe"
)

// A state is copied whole, by reflection: the machines need no hooks for it. Pointers that were the same stay the same.
// What only keeps memory for reuse, and what never changes, is shared.
var shared = map[string]bool{
	"uplink.Bodies": true, "uplink.scratch": true, "uplink.gathering": true, "receive.bodies": true,
	"record.Encoder": true, "record.Decoder": true, "record.Data": true, "time.Time": true, "time.Location": true,
	"uplinktest.Codec": true, "explore.rules": true,
}

type copier struct{ seen map[seenKey]reflect.Value }

type seenKey struct {
	at unsafe.Pointer
	t  reflect.Type
}

// copyOf is a deep copy of what p points to.
func copyOf[T any](p *T) *T {
	c := copier{seen: map[seenKey]reflect.Value{}}
	v := reflect.ValueOf(&p).Elem()
	c.fix(v)
	return p
}

// fix replaces what v, an addressable shallow copy, refers to by copies.
func (c *copier) fix(v reflect.Value) {
	t := v.Type()
	if !refers(t) {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			v.Set(c.pointer(v))
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		n := reflect.MakeSlice(t, v.Len(), v.Len())
		reflect.Copy(n, v)
		if refers(t.Elem()) {
			for i := range n.Len() {
				c.fix(n.Index(i))
			}
		}
		v.Set(n)
	case reflect.Map:
		if v.IsNil() {
			return
		}
		n := reflect.MakeMapWithSize(t, v.Len())
		for it := v.MapRange(); it.Next(); {
			e := reflect.New(t.Elem()).Elem()
			e.Set(it.Value())
			c.fix(e)
			n.SetMapIndex(it.Key(), e)
		}
		v.Set(n)
	case reflect.Interface:
		if e := v.Elem(); e.IsValid() && refers(e.Type()) {
			n := reflect.New(e.Type()).Elem()
			n.Set(e)
			c.fix(n)
			v.Set(n)
		}
	case reflect.Struct:
		for _, i := range referring[t].fields {
			c.fix(open(v.Field(i)))
		}
	case reflect.Array:
		for i := range v.Len() {
			c.fix(v.Index(i))
		}
	}
}

func (c *copier) pointer(v reflect.Value) reflect.Value {
	k := seenKey{v.UnsafePointer(), v.Type()}
	if n, ok := c.seen[k]; ok {
		return n
	}
	n := reflect.New(v.Type().Elem())
	c.seen[k] = n
	n.Elem().Set(v.Elem())
	c.fix(n.Elem())
	return n
}

// open gives access to an unexported field of an addressable struct.
func open(f reflect.Value) reflect.Value {
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

var referring = map[reflect.Type]*reference{}

// reference says whether values of a type refer to memory that must be copied, and which fields of a struct do.
type reference struct {
	is     bool
	fields []int
}

func refers(t reflect.Type) bool {
	if r := referring[t]; r != nil {
		return r.is
	}
	r := &reference{}
	switch {
	case shared[t.String()]:
	case t.Kind() == reflect.Pointer:
		r.is = !shared[t.Elem().String()]
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Map, t.Kind() == reflect.Interface:
		r.is = true
	case t.Kind() == reflect.Array:
		r.is = refers(t.Elem())
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if refers(t.Field(i).Type) {
				r.is = true
				r.fields = append(r.fields, i)
			}
		}
	}
	referring[t] = r
	return r.is
}

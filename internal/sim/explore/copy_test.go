package explore

import (
	"reflect"
	"unsafe"
)

// A part is copied whole, by reflection: the machines need no hooks for it. Pointers that were the same stay the same.
// What only keeps memory for reuse, and what never changes, is shared. How a type is copied is worked out once.
var sharedTypes = map[string]bool{
	"uplink.Bodies": true, "uplink.scratch": true, "uplink.gathering": true, "receive.bodies": true,
	"record.Encoder": true, "record.Decoder": true, "record.Data": true, "time.Time": true, "time.Location": true,
	"uplinktest.Codec": true,
}

// copyPlan replaces what a shallow copy refers to by copies; its fix is nil where there is nothing to replace.
type copyPlan struct {
	t   reflect.Type
	fix func(c *copier, at unsafe.Pointer)
}

// copier remembers the pointers of one copy.
type copier struct{ seen []seenPointer }

type seenPointer struct {
	old, now unsafe.Pointer
	plan     *copyPlan
}

var (
	copyPlans = map[reflect.Type]*copyPlan{}
	refer     = map[reflect.Type]bool{}
	copying   copier
)

// copyOf is a deep copy of what p points to.
func copyOf[T any](p *T) *T {
	clear(copying.seen)
	copying.seen = copying.seen[:0]
	planOf(reflect.TypeFor[*T]()).fix(&copying, unsafe.Pointer(&p))
	return p
}

// refers says whether values of a type refer to memory that must be copied.
func refers(t reflect.Type) bool {
	if r, ok := refer[t]; ok {
		return r
	}
	r := false
	switch {
	case sharedTypes[t.String()]:
	case t.Kind() == reflect.Pointer:
		r = !sharedTypes[t.Elem().String()]
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Map, t.Kind() == reflect.Interface:
		r = true
	case t.Kind() == reflect.Array:
		r = refers(t.Elem())
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			r = r || refers(t.Field(i).Type)
		}
	}
	refer[t] = r
	return r
}

func planOf(t reflect.Type) *copyPlan {
	if p := copyPlans[t]; p != nil {
		return p
	}
	p := &copyPlan{t: t}
	copyPlans[t] = p
	if !refers(t) {
		return p
	}
	switch t.Kind() {
	case reflect.Pointer:
		p.fix = copyPointer(planOf(t.Elem()))
	case reflect.Slice:
		p.fix = copySlice(t, planOf(t.Elem()))
	case reflect.Map:
		p.fix = copyMap(t, planOf(t.Elem()))
	case reflect.Interface:
		p.fix = func(c *copier, at unsafe.Pointer) {
			v := reflect.NewAt(t, at).Elem()
			if e := v.Elem(); e.IsValid() && refers(e.Type()) {
				n := reflect.New(e.Type())
				n.Elem().Set(e)
				planOf(e.Type()).fix(c, n.UnsafePointer())
				v.Set(n.Elem())
			}
		}
	case reflect.Struct:
		p.fix = copyFields(t)
	case reflect.Array:
		elem, n, size := planOf(t.Elem()), t.Len(), t.Elem().Size()
		p.fix = func(c *copier, at unsafe.Pointer) {
			for i := range n {
				elem.fix(c, unsafe.Add(at, uintptr(i)*size))
			}
		}
	}
	return p
}

func copyPointer(elem *copyPlan) func(*copier, unsafe.Pointer) {
	return func(c *copier, at unsafe.Pointer) {
		old := *(*unsafe.Pointer)(at)
		if old == nil {
			return
		}
		for _, s := range c.seen {
			if s.old == old && s.plan == elem {
				*(*unsafe.Pointer)(at) = s.now
				return
			}
		}
		n := reflect.New(elem.t)
		n.Elem().Set(reflect.NewAt(elem.t, old).Elem())
		now := n.UnsafePointer()
		c.seen = append(c.seen, seenPointer{old, now, elem})
		*(*unsafe.Pointer)(at) = now
		if elem.fix != nil {
			elem.fix(c, now)
		}
	}
}

func copySlice(t reflect.Type, elem *copyPlan) func(*copier, unsafe.Pointer) {
	size := t.Elem().Size()
	return func(c *copier, at unsafe.Pointer) {
		v := reflect.NewAt(t, at).Elem()
		if v.IsNil() {
			return
		}
		n := reflect.MakeSlice(t, v.Len(), v.Len())
		reflect.Copy(n, v)
		if elem.fix != nil {
			for i := range v.Len() {
				elem.fix(c, unsafe.Add(n.UnsafePointer(), uintptr(i)*size))
			}
		}
		v.Set(n)
	}
}

func copyMap(t reflect.Type, elem *copyPlan) func(*copier, unsafe.Pointer) {
	return func(c *copier, at unsafe.Pointer) {
		v := reflect.NewAt(t, at).Elem()
		if v.IsNil() {
			return
		}
		n := reflect.MakeMapWithSize(t, v.Len())
		if v.Len() > 0 {
			key, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem())
			for it := v.MapRange(); it.Next(); {
				key.SetIterKey(it)
				e.Elem().SetIterValue(it)
				if elem.fix != nil {
					elem.fix(c, e.UnsafePointer())
				}
				n.SetMapIndex(key, e.Elem())
			}
		}
		v.Set(n)
	}
}

func copyFields(t reflect.Type) func(*copier, unsafe.Pointer) {
	type field struct {
		at   uintptr
		plan *copyPlan
	}
	var fields []field
	for i := range t.NumField() {
		if f := t.Field(i); refers(f.Type) {
			fields = append(fields, field{f.Offset, planOf(f.Type)})
		}
	}
	return func(c *copier, at unsafe.Pointer) {
		for i := range fields {
			fields[i].plan.fix(c, unsafe.Add(at, fields[i].at))
		}
	}
}

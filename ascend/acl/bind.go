package acl

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// MissingError says that a library lacks a function without which nothing works.
type MissingError struct {
	Libraries []string // where it was looked for
	Symbol    string
	Version   string // of the runtime, as far as it could be asked
}

func (e *MissingError) Error() string {
	v := e.Version
	if v == "" {
		v = "unknown"
	}
	return fmt.Sprintf("%s has no function %s (runtime version %s): install CANN 8.0 or newer for this chip", strings.Join(e.Libraries, ", "), e.Symbol, v)
}

// bind fills the fields of an api from the loaded libraries; missing lists the optional functions that none has.
func (l *Library) bind() (missing []string, err error) {
	var required string
	each(reflect.ValueOf(&l.api).Elem(), func(name string, need bool, field reflect.Value) {
		sym := l.symbol(name)
		switch {
		case sym != 0:
			assign(field, sym)
		case need && required == "":
			required = name
		case !need:
			missing = append(missing, name)
		}
	})
	if required != "" {
		e := &MissingError{Libraries: l.paths, Symbol: required}
		if l.api.GetVersion != nil {
			e.Version = l.version()
		}
		return missing, e
	}
	return missing, nil
}

func each(v reflect.Value, visit func(name string, required bool, field reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			each(v.Field(i), visit)
			continue
		}
		name, need, _ := strings.Cut(f.Tag.Get("acl"), ",")
		visit(name, need == "required", v.Field(i))
	}
}

func (l *Library) symbol(name string) uintptr {
	for _, h := range l.handles {
		if sym, err := purego.Dlsym(h, name); err == nil { // an error means that this library does not have it
			return sym
		}
	}
	return 0
}

// words are the arguments of calls under way. SyscallN keeps its arguments on the heap; a pool makes that free.
var words = sync.Pool{New: func() any { return new([6]uintptr) }}

// call calls a function of at most six integers without allocating.
func call(sym uintptr, n int, a, b, c, d, e, f uintptr) int32 {
	w := words.Get().(*[6]uintptr)
	*w = [6]uintptr{a, b, c, d, e, f}
	r, _, _ := purego.SyscallN(sym, w[:n]...)
	words.Put(w)
	return int32(r)
}

// assign gives a field its function. Functions of integers only go straight through SyscallN, without allocation;
// the others through purego's reflection.
func assign(field reflect.Value, sym uintptr) {
	switch f := field.Addr().Interface().(type) {
	case *func(uintptr) int32:
		*f = func(a uintptr) int32 { return call(sym, 1, a, 0, 0, 0, 0, 0) }
	case *func(uintptr, uintptr) int32:
		*f = func(a, b uintptr) int32 { return call(sym, 2, a, b, 0, 0, 0, 0) }
	case *func(uintptr, int32) int32:
		*f = func(a uintptr, b int32) int32 { return call(sym, 2, a, uintptr(b), 0, 0, 0, 0) }
	case *func(uintptr) uint32:
		*f = func(a uintptr) uint32 { return uint32(call(sym, 1, a, 0, 0, 0, 0, 0)) }
	case *func(uintptr, uint32) int32:
		*f = func(a uintptr, b uint32) int32 { return call(sym, 2, a, uintptr(b), 0, 0, 0, 0) }
	case *func(uintptr, uint32, uint32, uint32, uint32) int32:
		*f = func(a uintptr, b, c, d, e uint32) int32 {
			return call(sym, 5, a, uintptr(b), uintptr(c), uintptr(d), uintptr(e), 0)
		}
	case *func(uintptr, uintptr, uint32, uintptr, uintptr) int32:
		*f = func(a, b uintptr, c uint32, d, e uintptr) int32 { return call(sym, 5, a, b, uintptr(c), d, e, 0) }
	case *func(uintptr, uintptr, uintptr, uintptr) int32:
		*f = func(a, b, c, d uintptr) int32 { return call(sym, 4, a, b, c, d, 0, 0) }
	case *func(uintptr, uintptr, uintptr, uintptr, uintptr) int32:
		*f = func(a, b, c, d, e uintptr) int32 { return call(sym, 5, a, b, c, d, e, 0) }
	case *func(uintptr, uintptr, uintptr, uintptr, uintptr, uintptr) int32:
		*f = func(a, b, c, d, e, g uintptr) int32 { return call(sym, 6, a, b, c, d, e, g) }
	case *func(uintptr, uintptr, uintptr) int32:
		*f = func(a, b, c uintptr) int32 { return call(sym, 3, a, b, c, 0, 0, 0) }
	case *func(uint32, uintptr, uintptr) int32:
		*f = func(a uint32, b, c uintptr) int32 { return call(sym, 3, uintptr(a), b, c, 0, 0, 0) }
	case *func(uint32, uintptr, uintptr, uintptr) int32:
		*f = func(a uint32, b, c, d uintptr) int32 { return call(sym, 4, uintptr(a), b, c, d, 0, 0) }
	case *func(uint32, uintptr, uintptr, uintptr, uintptr) int32:
		*f = func(a uint32, b, c, d, e uintptr) int32 { return call(sym, 5, uintptr(a), b, c, d, e, 0) }
	case *func(uint32, uintptr, uintptr, uint64) int32:
		*f = func(a uint32, b, c uintptr, d uint64) int32 { return call(sym, 4, uintptr(a), b, c, uintptr(d), 0, 0) }
	case *func(uintptr, uintptr, uintptr, uintptr, int32, uintptr) int32:
		*f = func(a, b, c, d uintptr, e int32, g uintptr) int32 { return call(sym, 6, a, b, c, d, uintptr(e), g) }
	case *func(uintptr, uintptr, unsafe.Pointer, uintptr, int32) int32:
		*f = func(a, b uintptr, p unsafe.Pointer, d uintptr, e int32) int32 {
			r := call(sym, 5, a, b, uintptr(p), d, uintptr(e), 0)
			runtime.KeepAlive(p)
			return r
		}
	case *func(unsafe.Pointer, uintptr, uintptr, uintptr, int32) int32:
		*f = func(p unsafe.Pointer, b, c, d uintptr, e int32) int32 {
			r := call(sym, 5, uintptr(p), b, c, d, uintptr(e), 0)
			runtime.KeepAlive(p)
			return r
		}
	default:
		purego.RegisterFunc(field.Addr().Interface(), sym)
	}
}

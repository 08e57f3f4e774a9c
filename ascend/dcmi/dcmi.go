// Package dcmi binds the Ascend device management library (libdcmi.so) through purego, without cgo: cards, chips, their
// temperature, power, load, memory and errors.
//
// Units are normal: °C, W, V, MHz, percent, bytes. A quantity that a chip does not have is ErrUnsupported, never 0.
// The library is never given a structure of exactly the documented size: some drivers write more. Calls have no
// thread rules, but a call that hangs cannot be interrupted: keep one goroutine for them.
package dcmi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Places where the library usually lies.
var places = []string{"/usr/local/Ascend/driver/lib64/driver/libdcmi.so", "/usr/local/dcmi/libdcmi.so", "libdcmi.so"}

// Bounds of what is asked for.
const (
	MaxCards     = 64  // in a host
	MaxChips     = 4   // on a card
	MaxErrors    = 128 // error codes of a chip
	MaxProcesses = 32  // the library fills so many and has no argument for the room
	maxEvents    = 64  // that wait to be read; more are dropped and counted, because the library's thread must not wait
	maxText      = 256
	slack        = 256 // bytes behind every structure; the driver must not reach them
	canary       = 0xC3
)

// Sentinel errors.
var (
	ErrNotFound    = errors.New("device management library not found")
	ErrUnsupported = errors.New("not supported by this chip")
	ErrMissing     = errors.New("function missing in this driver")
)

// Code is a return code of the library.
type Code int32

// Codes that decide something.
const (
	codeParameter   Code = -8001
	codePermission  Code = -8002
	codeInner       Code = -8005
	codeTimeout     Code = -8006
	codeNoDevice    Code = -8008
	codeNotReady    Code = -8012
	codeUnsupported Code = -8255
)

var codeTexts = map[Code]string{
	-8001: "invalid parameter", -8002: "not permitted: some queries need root", -8003: "memory operation failed", -8004: "secure function failed",
	-8005: "inner error: no driver, or another container holds the device", -8006: "timeout", -8007: "invalid device id", -8008: "device does not exist",
	-8009: "ioctl failed", -8010: "send failed", -8011: "receive failed", -8012: "not ready: the card may have dropped", -8013: "busy or not supported in a container",
	-8014: "file error", -8015: "reset failed", -8016: "aborted", -8017: "upgrading", -8020: "resource occupied: another container holds the device",
	-8022: "partition error", -8023: "configuration absent", -8255: "not supported",
}

// Error is a call that failed.
type Error struct {
	Call string
	Code Code
}

func (e *Error) Error() string {
	text := codeTexts[e.Code]
	if text == "" {
		text = "unknown code"
	}
	if e.Call == "dcmi_init" && e.Code == codeUnsupported {
		text += ": this chip is too new for version 1 of the interface"
	}
	return fmt.Sprintf("%s: %d %s", e.Call, int32(e.Code), text)
}

// Is makes an unsupported query match ErrUnsupported.
func (e *Error) Is(target error) bool { return target == ErrUnsupported && e.Code == codeUnsupported }

// dropped reports whether the error says that the card is gone.
func dropped(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Code == codeNotReady || e.Code == codeNoDevice)
}

// Library is the loaded library. Methods may be called by one goroutine at a time.
type Library struct {
	api       api
	handle    uintptr
	path      string
	simulated string
	missing   []string
	grown     atomic.Uint64
	seen      map[string]int
	events    chan Event
	lost      atomic.Uint64 // events that found no room
}

// Open loads the library and initialises it; path "" looks in the usual places.
func Open(path string) (*Library, error) {
	list := places
	if path != "" {
		list = []string{path}
	}
	l := &Library{seen: map[string]int{}}
	var tried []string
	for _, p := range list {
		if filepath.IsAbs(p) {
			if _, err := os.Stat(p); err != nil {
				tried = append(tried, p+" (not there)")
				continue
			}
		}
		h, err := purego.Dlopen(p, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err == nil {
			l.handle, l.path = h, p
			break
		}
		tried = append(tried, err.Error())
	}
	if l.handle == 0 {
		return nil, fmt.Errorf("%w. Tried: %s. Install the driver, or set the path in the configuration", ErrNotFound, strings.Join(tried, "; "))
	}
	v := reflect.ValueOf(&l.api).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("dcmi")
		if sym, err := purego.Dlsym(l.handle, name); err == nil {
			purego.RegisterFunc(v.Field(i).Addr().Interface(), sym)
		} else {
			l.missing = append(l.missing, name)
		}
	}
	if l.api.Init == nil {
		return nil, fmt.Errorf("%s has no function dcmi_init: it is not the device management library", l.path)
	}
	if sym, err := purego.Dlsym(l.handle, "standin_identity"); err == nil {
		var identity func() string
		purego.RegisterFunc(&identity, sym)
		l.simulated = identity()
	}
	return l, l.check("dcmi_init", l.api.Init())
}

// Simulated is the name of the stand-in, "" for the vendor's library.
func (l *Library) Simulated() string { return l.simulated }

// Path is the file that was loaded.
func (l *Library) Path() string { return l.path }

// Missing lists the functions that this driver does not have.
func (l *Library) Missing() []string { return l.missing }

// Grown counts structures that the driver wrote beyond their documented end.
func (l *Library) Grown() uint64 { return l.grown.Load() }

// Errors counts failed calls by code, not supported ones excepted.
func (l *Library) Errors() map[string]int { return l.seen }

func (l *Library) check(call string, code int32) error {
	if code == 0 {
		return nil
	}
	if Code(code) != codeUnsupported {
		l.seen[fmt.Sprint(code)]++
	}
	return &Error{Call: call, Code: Code(code)}
}

func absent(call string) error { return fmt.Errorf("%s: %w", call, ErrMissing) }

// fill lets the library write into a structure that has room behind it, and copies the documented part out.
func fill[T any](l *Library, out *T, f func(p unsafe.Pointer) int32) int32 {
	n := int(unsafe.Sizeof(*out))
	words := make([]uint64, (n+slack+7)/8)
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
	for i := n; i < len(buf); i++ {
		buf[i] = canary
	}
	code := f(unsafe.Pointer(&words[0]))
	for _, b := range buf[n:] {
		if b != canary {
			l.grown.Add(1)
			break
		}
	}
	if code == 0 {
		*out = *(*T)(unsafe.Pointer(&words[0]))
	}
	runtime.KeepAlive(words)
	return code
}

// text is a fixed field, cut at its first NUL or at its end.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.TrimSpace(s)
}

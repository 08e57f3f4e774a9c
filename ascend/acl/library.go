// Package acl binds the Ascend Computing Language runtime (libascendcl.so) through purego, without cgo.
//
// Open loads the library; Init, then Run give a Context, which is owned by one goroutine locked to its thread: the
// runtime keeps its current device, context and error text per thread. Within a Context there are streams, memory,
// events and models. An error is an *Error with the code, its name and the runtime's own text. Device addresses are
// numbers (DevPtr); memory that the device copies from or to asynchronously is pinned host memory (Host).
//
// Functions that a runtime lacks make features absent (ErrUnsupported); only those without which nothing works are
// required, and their absence is one *MissingError. A library that names itself a stand-in makes Simulated true, and
// whoever shows or records results says so.
//
// A call into the library cannot be interrupted. Who needs a deadline watches from outside and ends the process.
package acl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ebitengine/purego"
)

// Places where the runtime usually lies, in the order in which they are tried.
var places = []string{
	"/usr/local/Ascend/ascend-toolkit/latest/lib64/libascendcl.so",
	"/usr/local/Ascend/cann/lib64/libascendcl.so",
	"libascendcl.so",
}

// split is the runtime where the umbrella library is no more.
var split = []string{"libacl_rt.so", "libacl_mdl.so"}

// mediaLibrary holds the media units; it is optional.
const mediaLibrary = "libacl_dvpp.so"

// Options of Open.
type Options struct {
	Path string // of libascendcl.so; "" looks in the usual places and on LD_LIBRARY_PATH
}

// Library is a loaded runtime. A process has one, and keeps it until it ends: it is never unloaded, because the
// destructors of the real one harm other threads.
type Library struct {
	api       api
	paths     []string
	handles   []uintptr
	simulated string
	missing   []string
	signals   []string

	mu     sync.Mutex
	inited bool

	counters counters
	events   chan Exception
}

// counters are what is open now, by kind.
type counters struct {
	contexts, streams, events, device, host, models, descs, buffers, datasets, media, channels, pictures, regions, aipp, configs atomic.Int64
}

// Live counts what is open and was not closed: everything is 0 after an orderly end.
type Live struct {
	Contexts, Streams, Events, DeviceMemory, HostMemory, Models, Descs, Buffers, Datasets int64
	MediaMemory, Channels, Pictures, Regions, Preprocessings, Configs                     int64
}

// Sum is the number of all open things.
func (l Live) Sum() int64 {
	return l.Contexts + l.Streams + l.Events + l.DeviceMemory + l.HostMemory + l.Models + l.Descs + l.Buffers + l.Datasets +
		l.MediaMemory + l.Channels + l.Pictures + l.Regions + l.Preprocessings + l.Configs
}

// Live tells what is open.
func (l *Library) Live() Live {
	c := &l.counters
	return Live{c.contexts.Load(), c.streams.Load(), c.events.Load(), c.device.Load(), c.host.Load(), c.models.Load(), c.descs.Load(), c.buffers.Load(), c.datasets.Load(),
		c.media.Load(), c.channels.Load(), c.pictures.Load(), c.regions.Load(), c.aipp.Load(), c.configs.Load()}
}

// Open loads the library. Signal handlers that it installs are taken out again: see SignalsRestored.
func Open(o Options) (*Library, error) {
	if err := quietSignals(); err != nil {
		return nil, fmt.Errorf("open runtime library: %w", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &Library{}
	was := readSignals()
	err := l.load(o.Path)
	if err == nil {
		l.loadMedia()
	}
	l.signals = restoreSignals(was)
	if err != nil {
		return nil, err
	}
	if sym := l.symbol("standin_identity"); sym != 0 {
		var identity func() string
		purego.RegisterFunc(&identity, sym)
		l.simulated = identity()
	}
	l.missing, err = l.bind()
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Library) load(path string) error {
	if path != "" {
		return l.dlopen(path)
	}
	var tried []string
	for _, p := range places {
		if filepath.IsAbs(p) {
			if _, err := os.Stat(p); err != nil {
				tried = append(tried, p+" (not there)")
				continue
			}
		}
		err := l.dlopen(p)
		if err == nil {
			return nil
		}
		tried = append(tried, err.Error())
	}
	for _, p := range split {
		if err := l.dlopen(p); err != nil {
			return fmt.Errorf("%w. Tried: %s; %v. Install the CANN toolkit and set LD_LIBRARY_PATH in the service unit", ErrNotFound, strings.Join(tried, "; "), err)
		}
	}
	return nil
}

// loadMedia looks for the library of the media units beside the runtime, then where the loader looks. Without it, or with
// one that does not fit, there are no media units.
func (l *Library) loadMedia() {
	if strings.ContainsRune(l.paths[0], '/') { // a bare name is looked up by the loader
		beside, err := filepath.Abs(filepath.Join(filepath.Dir(l.paths[0]), mediaLibrary))
		if err == nil {
			_, err = os.Stat(beside)
		}
		if err == nil && l.dlopen(beside) == nil {
			return
		}
	}
	_ = l.dlopen(mediaLibrary) // Missing tells of it
}

// Media reports whether there are media units: JPEG decoding and scaling on the device.
func (l *Library) Media() bool { return l.api.hasMedia() }

func (l *Library) dlopen(path string) error {
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotFound, path, err)
	}
	l.handles, l.paths = append(l.handles, h), append(l.paths, path)
	return nil
}

// Simulated is the name of the stand-in, "" for the vendor's library.
func (l *Library) Simulated() string { return l.simulated }

// Paths are the files that were loaded.
func (l *Library) Paths() []string { return l.paths }

// Missing lists the optional functions that this runtime does not have.
func (l *Library) Missing() []string { return l.missing }

// SignalsRestored lists the signals whose handlers the library replaced, at loading or first use; Go's were put back.
func (l *Library) SignalsRestored() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.signals...)
}

// guard runs a call that may install signal handlers. The thread is locked by the caller.
func (l *Library) guard(f func() int32) int32 {
	was := readSignals()
	code := f()
	if changed := restoreSignals(was); len(changed) > 0 {
		l.mu.Lock()
		l.signals = append(l.signals, changed...)
		l.mu.Unlock()
	}
	return code
}

// check turns a return code into an error with the runtime's text, which is kept per thread and read once.
func (l *Library) check(call string, code int32) error {
	if code == 0 {
		return nil
	}
	e := &Error{Call: call, Code: Code(code)}
	if l.api.RecentErrMsg != nil {
		e.Text = strings.TrimSpace(l.api.RecentErrMsg())
	}
	return e
}

// Init initialises the runtime, once in the life of a process.
func (l *Library) Init() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.mu.Lock()
	done := l.inited
	l.mu.Unlock()
	if done {
		return nil
	}
	code := l.guard(func() int32 { return l.api.Init(nil) })
	if Code(code) == codeRepeatInit { // documented as harmless: somebody else in this process did it
		code = 0
		if l.api.RecentErrMsg != nil {
			l.api.RecentErrMsg()
		}
	}
	if err := l.check("aclInit", code); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inited = true
	return nil
}

// Finalize ends the runtime. Every Context must be closed. It is not for atexit handlers and not for a runtime that
// hangs: then end the process.
func (l *Library) Finalize() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.mu.Lock()
	done := !l.inited
	l.inited = false
	l.mu.Unlock()
	if done {
		return nil
	}
	code := l.api.Finalize()
	if Code(code) == codeRepeatFinalize {
		return nil
	}
	return l.check("aclFinalize", code)
}

// Devices is the number of devices that this process may use.
func (l *Library) Devices() (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var n uint32
	if err := l.check("aclrtGetDeviceCount", l.api.GetDeviceCount(&n)); err != nil {
		return 0, err
	}
	return int(n), nil
}

// SoC is the name of the chip, such as Ascend310P3; "" if the runtime cannot tell.
func (l *Library) SoC() string { return l.api.GetSocName() }

// Versions of the parts.
type Versions struct {
	Runtime string `json:"runtime"`           // of the interface: 1.13.0
	CANN    string `json:"cann,omitempty"`    // of the toolkit: 8.1.RC1
	Warning string `json:"warning,omitempty"` // this combination was never tried
}

func (l *Library) version() string {
	var a, b, c int32
	if l.api.GetVersion == nil || l.api.GetVersion(&a, &b, &c) != 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", a, b, c)
}

// Versions asks for the versions. What cannot be told stays empty.
func (l *Library) Versions() Versions {
	v := Versions{Runtime: l.version()}
	var p pkgVersion
	if l.api.GetPackageVersion != nil && l.api.GetPackageVersion(packageCANN, &p) == 0 {
		v.CANN = text(p.Version[:])
	}
	var a, b, c int32
	if l.api.GetVersion != nil && l.api.GetVersion(&a, &b, &c) == 0 && (a != versionMajor || b < versionMinor) {
		v.Warning = fmt.Sprintf("runtime interface %d.%d is older or of another line than %d.%d, which this was made for", a, b, versionMajor, versionMinor)
	}
	if soc := l.SoC(); soc != "" && !strings.HasPrefix(soc, "Ascend310P") && !strings.HasPrefix(soc, "Ascend710") {
		v.Warning = strings.TrimPrefix(v.Warning+"; chip "+soc+" is not a 310P", "; ")
	}
	return v
}

// Status asks whether the device is normal; absent functions make it ErrUnsupported.
func (l *Library) Status(device int) (normal bool, err error) {
	if l.api.QueryDeviceStatus == nil {
		return false, fmt.Errorf("aclrtQueryDeviceStatus: %w", ErrUnsupported)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var s int32
	if err := l.check("aclrtQueryDeviceStatus", l.api.QueryDeviceStatus(int32(device), &s)); err != nil {
		return false, err
	}
	return s == 0, nil
}

// Utilization of a device in percent; -1 where the chip has no such unit.
type Utilization struct{ Cube, Vector, AICPU int }

// Utilization asks for the load. It means nothing while profiling runs.
func (l *Library) Utilization(device int) (Utilization, error) {
	if l.api.GetUtilization == nil {
		return Utilization{}, fmt.Errorf("aclrtGetDeviceUtilizationRate: %w", ErrUnsupported)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var u utilInfo
	if err := l.check("aclrtGetDeviceUtilizationRate", l.api.GetUtilization(int32(device), &u)); err != nil {
		return Utilization{}, err
	}
	return Utilization{int(u.Cube), int(u.Vector), int(u.AICPU)}, nil
}

// SetOpTimeout bounds a single operator on the device, in whole seconds, for the whole process. The default of the
// runtime is minutes.
func (l *Library) SetOpTimeout(seconds uint32) error {
	if l.api.SetOpTimeout == nil {
		return fmt.Errorf("aclrtSetOpExecuteTimeOut: %w", ErrUnsupported)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return l.check("aclrtSetOpExecuteTimeOut", l.api.SetOpTimeout(seconds))
}

// Exception is what the runtime tells of a task that failed on the device.
type Exception struct{ Task, Stream, Thread, Device, Code uint32 }

// maxExceptions wait to be read; more are dropped, because the runtime's thread must not wait.
const maxExceptions = 64

var errOnce = errors.New("exceptions are watched already")

// Exceptions begins to receive exceptions. It may be called once: a callback is never given back.
func (l *Library) Exceptions() (<-chan Exception, error) {
	a := &l.api
	if a.SetExceptionCallback == nil || a.ExceptionCode == nil {
		return nil, fmt.Errorf("aclrtSetExceptionInfoCallback: %w", ErrUnsupported)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events != nil {
		return nil, errOnce
	}
	events := make(chan Exception, maxExceptions)
	f := purego.NewCallback(func(info uintptr) uintptr {
		e := Exception{Task: a.ExceptionTask(info), Stream: a.ExceptionStream(info), Thread: a.ExceptionThread(info),
			Device: a.ExceptionDevice(info), Code: a.ExceptionCode(info)}
		select {
		case events <- e:
		default:
		}
		return 0
	})
	l.events = events
	return events, l.check("aclrtSetExceptionInfoCallback", a.SetExceptionCallback(f))
}

// text is a fixed field up to its first NUL.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// Probe binds any function that has the shape of an asynchronous execution (model, two datasets, stream) by the same
// path as the execution itself, so that a benchmark can time the call alone.
func (l *Library) Probe(symbol string) (func(uint32, uintptr, uintptr, uintptr) int32, error) {
	var f func(uint32, uintptr, uintptr, uintptr) int32
	sym := l.symbol(symbol)
	if sym == 0 {
		return nil, &MissingError{Libraries: l.paths, Symbol: symbol, Version: l.version()}
	}
	assign(reflect.ValueOf(&f).Elem(), sym)
	return f, nil
}

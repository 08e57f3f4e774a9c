// Package simavr drives libsimavr (simavr 1.6, Debian's libsimavr2) without cgo.
//
// Several cores may live in a process, each used by one goroutine at a time. The structure of avr_t is known by its
// offsets; New checks them against a fresh core and refuses another library.
package simavr

import (
	"debug/elf"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Offsets into avr_t of simavr 1.6 on 64-bit machines.
const (
	offRamend     = 10
	offFlashend   = 12
	offState      = 60
	offFrequency  = 64
	offCycle      = 80
	offCycleLimit = 96
	offSleep      = 168
	offPC         = 204
	offResetPC    = 208
	offFlash      = 11712
	offData       = 11720
)

// MCUSR and the UART's registers in data memory of an ATmega328P.
const (
	AddrMCUSR  = 0x54
	AddrUCSR0A = 0xc0
	AddrUBRR0L = 0xc4
)

const (
	stateDone    = 6
	stateCrashed = 7
	turnCycles   = 200 // cycles of one call into the library
)

// ErrLibrary says that the library cannot be used.
var ErrLibrary = errors.New("libsimavr.so.2 (Debian package libsimavr2, simavr 1.6) cannot be used")

// ErrCrashed is a program that left sane paths.
var ErrCrashed = errors.New("the program crashed")

// library holds its functions, loaded once a process, and the Go side of callbacks: purego's callbacks are few and
// never freed, so there is one of each kind, and C carries an index as its parameter.
var library struct {
	once sync.Once
	err  error

	makeMCU, init, reset, run, loadcode, getIRQ, raise, notify, ioctl, timer, terminate, levels uintptr
	logger, quiet, nap, onIRQ, onTimer                                                          uintptr

	mu     sync.RWMutex // guards the tables; entries are never removed
	hooks  []func(uint32)
	timers []func()
}

func load() error {
	l := &library
	l.once.Do(func() {
		h, err := purego.Dlopen("libsimavr.so.2", purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			l.err = fmt.Errorf("%w: %w", ErrLibrary, err)
			return
		}
		for name, p := range map[string]*uintptr{
			"avr_make_mcu_by_name": &l.makeMCU, "avr_init": &l.init, "avr_reset": &l.reset, "avr_run": &l.run,
			"avr_loadcode": &l.loadcode, "avr_io_getirq": &l.getIRQ, "avr_raise_irq": &l.raise, "avr_irq_register_notify": &l.notify,
			"avr_ioctl": &l.ioctl, "avr_cycle_timer_register": &l.timer, "avr_terminate": &l.terminate, "avr_global_logger_set": &l.logger,
			"avr_extint_set_strict_lvl_trig": &l.levels,
		} {
			if *p, err = purego.Dlsym(h, name); err != nil {
				l.err = fmt.Errorf("%w: %w", ErrLibrary, err)
				return
			}
		}
		c, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW)
		if err == nil {
			l.nap, err = purego.Dlsym(c, "getppid") // has no effect: the library must not sleep, and its log goes nowhere
		}
		if err != nil {
			l.err = fmt.Errorf("%w: %w", ErrLibrary, err)
			return
		}
		l.onIRQ = purego.NewCallback(func(_ uintptr, v uint32, i uintptr) { hook(i)(v) })
		l.onTimer = purego.NewCallback(func(_ uintptr, _ uint64, i uintptr) uintptr { timer(i)(); return 0 })
		purego.SyscallN(l.logger, l.nap)
	})
	return l.err
}

func hook(i uintptr) func(uint32) {
	library.mu.RLock()
	defer library.mu.RUnlock()
	return library.hooks[i]
}

func timer(i uintptr) func() {
	library.mu.RLock()
	defer library.mu.RUnlock()
	return library.timers[i]
}

// AVR is one core.
type AVR struct {
	p    uintptr
	freq uint64
	free []*alarm
	used map[*alarm]bool

	// OnReset is called when the core has been reset by itself (watchdog): all pins float.
	OnReset func()
}

type alarm struct {
	id uintptr
	f  func()
}

func call(fn uintptr, a ...uintptr) uintptr { r, _, _ := purego.SyscallN(fn, a...); return r }

// at is the memory of C at an address that C gave.
func at[T any](addr uintptr) *T { return *(**T)(unsafe.Pointer(&addr)) }

func field[T any](a *AVR, off uintptr) *T { return at[T](a.p + off) }

// New is an ATmega328P at freq Hz.
func New(freq uint32) (*AVR, error) {
	if err := load(); err != nil {
		return nil, err
	}
	name := []byte("atmega328p\x00")
	p := call(library.makeMCU, uintptr(unsafe.Pointer(&name[0])))
	runtime.KeepAlive(name)
	if p == 0 {
		return nil, fmt.Errorf("%w: it knows no atmega328p", ErrLibrary)
	}
	call(library.init, p)
	a := &AVR{p: p, freq: uint64(freq), used: map[*alarm]bool{}}
	if f, r, e := *field[uint32](a, offFrequency), *field[uint16](a, offRamend), *field[uint32](a, offFlashend); f != 1000000 || r != 0x8ff || e != 0x7fff {
		return nil, fmt.Errorf("%w: it is laid out in another way (frequency %d, ramend %#x, flashend %#x)", ErrLibrary, f, r, e)
	}
	*field[uint32](a, offFrequency) = freq
	*field[uintptr](a, offSleep) = library.nap
	for i := range a.Flash() {
		a.Flash()[i] = 0xff
	}
	a.Reset()
	return a, nil
}

// Close frees the core.
func (a *AVR) Close() {
	if a.p != 0 {
		call(library.terminate, a.p)
		a.p = 0
	}
}

// Cycle is the time in clock cycles.
func (a *AVR) Cycle() uint64 { return *field[uint64](a, offCycle) }

// PC is the address in bytes of the next instruction.
func (a *AVR) PC() uint32 { return *field[uint32](a, offPC) }

// SetPC has the program go on at another address, between two calls of Run.
func (a *AVR) SetPC(pc uint32) { *field[uint32](a, offPC) = pc }

// SetEntry is where a reset leads to: the boot section, by fuses.
func (a *AVR) SetEntry(pc uint32) { *field[uint32](a, offResetPC) = pc }

// Data is the data memory: registers, I/O, RAM to 0x8ff.
func (a *AVR) Data() []byte { return unsafe.Slice(at[byte](*field[uintptr](a, offData)), 0x900) }

// Flash is the program memory of 32 KiB.
func (a *AVR) Flash() []byte { return unsafe.Slice(at[byte](*field[uintptr](a, offFlash)), 0x8000) }

// Reset resets the core and sets no flag in MCUSR.
func (a *AVR) Reset() {
	call(library.reset, a.p)
	a.afterReset()
}

// afterReset restores what a reset of the library's core undoes, and forgets the timers that it dropped.
func (a *AVR) afterReset() {
	*field[uint64](a, offCycleLimit) = turnCycles
	for n := range uintptr(2) { // or a low pin of INT0 or INT1 takes a callback every cycle, though the interrupt is off
		call(library.levels, a.p, n, 0)
	}
	for x := range a.used {
		a.free = append(a.free, x)
	}
	clear(a.used)
}

// LoadELF writes the program's segments into the flash.
func (a *AVR) LoadELF(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("load image: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Filesz == 0 || p.Paddr >= 0x800000 {
			continue
		}
		if p.Paddr+p.Filesz > 0x8000 {
			return fmt.Errorf("load image: %s: segment %#x+%#x does not fit the flash", path, p.Paddr, p.Filesz)
		}
		if _, err := p.ReadAt(a.Flash()[p.Paddr:p.Paddr+p.Filesz], 0); err != nil {
			return fmt.Errorf("load image: %w", err)
		}
	}
	return nil
}

// Run runs until the cycle, or an instruction more.
func (a *AVR) Run(until uint64) error {
	for {
		left := int64(until - a.Cycle())
		if left <= 0 {
			return nil
		}
		limit := field[uint64](a, offCycleLimit)
		*limit = max(2, min(uint64(left), turnCycles)) // never 1: see below
		st := int32(call(library.run, a.p))
		if st == stateDone || st == stateCrashed {
			return fmt.Errorf("%w at %#x", ErrCrashed, a.PC())
		}
		if *limit == 1 { // a reset from within leaves this behind, and has dropped all timers
			a.afterReset()
			if a.OnReset != nil {
				a.OnReset()
			}
		}
	}
}

// After calls f in so many cycles, within Run, unless a reset comes first.
func (a *AVR) After(cycles uint64, f func()) {
	var x *alarm
	if n := len(a.free); n > 0 {
		x, a.free = a.free[n-1], a.free[:n-1]
	} else {
		x = &alarm{}
		library.mu.Lock()
		x.id = uintptr(len(library.timers))
		library.timers = append(library.timers, func() {
			delete(a.used, x)
			a.free = append(a.free, x)
			x.f()
		})
		library.mu.Unlock()
	}
	x.f = f
	a.used[x] = true
	purego.SyscallN(library.timer, a.p, uintptr(max(cycles, 1)), library.onTimer, x.id)
}

func fourcc(s string, n byte) uintptr {
	return uintptr(s[0])<<24 | uintptr(s[1])<<16 | uintptr(s[2])<<8 | uintptr(n)
}

// Signals of a port, beside its pins 0 to 7.
const (
	Direction = 9
	Output    = 10
)

// Port is a signal of port 'B', 'C' or 'D'.
func (a *AVR) Port(port byte, signal int) uintptr {
	return call(library.getIRQ, a.p, fourcc("iog", port), uintptr(signal))
}

// UART is its input (0) or output (1).
func (a *AVR) UART(signal int) uintptr {
	quiet := uint32(0) // no echo, no sleep while it is polled
	call(library.ioctl, a.p, fourcc("uas", '0'), uintptr(unsafe.Pointer(&quiet)))
	return call(library.getIRQ, a.p, fourcc("uar", '0'), uintptr(signal))
}

// Hook calls f with each value of a signal, within Run. f must not panic: C code stands below it.
func (a *AVR) Hook(signal uintptr, f func(uint32)) {
	library.mu.Lock()
	library.hooks = append(library.hooks, f)
	i := len(library.hooks) - 1
	library.mu.Unlock()
	call(library.notify, signal, library.onIRQ, uintptr(i))
}

// Raise sets a signal.
func (a *AVR) Raise(signal uintptr, v uint32) { purego.SyscallN(library.raise, signal, uintptr(v)) }

// External drives the pins of mask of a port from outside, against the pull-ups.
func (a *AVR) External(port, mask, value byte) {
	v := uint64(port&0x7f) | uint64(mask)<<7 | uint64(value)<<15
	call(library.ioctl, a.p, fourcc("iop", port), uintptr(unsafe.Pointer(&v)))
}

// EEPROM is its memory of 1 KiB.
func (a *AVR) EEPROM() []byte {
	d := struct {
		ee     uintptr
		offset uint16
		size   uint32
	}{size: 1024}
	call(library.ioctl, a.p, fourcc("eeg", 'p'), uintptr(unsafe.Pointer(&d)))
	return unsafe.Slice(at[byte](d.ee), 1024)
}

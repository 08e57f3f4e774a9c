package acl

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// The vendor's trace library installs handlers for these signals when it is loaded. Without SA_ONSTACK they end a Go
// program at the next signal, and with it they turn a nil dereference from a panic into a crash.
var touched = []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT,
	syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGSYS, 35}

// signalState is what the kernel holds for a process and thread: the actions as opaque bytes, the alternate stack.
type signalState struct {
	action [64]([40]byte)
	stack  [24]byte
}

const signalSetBytes = 8

func readSignals() *signalState {
	s := new(signalState)
	for _, n := range touched {
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(n), 0, uintptr(unsafe.Pointer(&s.action[n])), signalSetBytes, 0, 0)
	}
	syscall.RawSyscall(syscall.SYS_SIGALTSTACK, 0, uintptr(unsafe.Pointer(&s.stack)), 0)
	return s
}

// restoreSignals puts back what has changed since was was read, and says what that was. The thread must be the same.
func restoreSignals(was *signalState) (changed []string) {
	is := readSignals()
	for _, n := range touched {
		if is.action[n] != was.action[n] {
			changed = append(changed, signalName(n))
			syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(&was.action[n])), 0, signalSetBytes, 0, 0)
		}
	}
	if is.stack != was.stack {
		changed = append(changed, "the alternate signal stack")
		syscall.RawSyscall(syscall.SYS_SIGALTSTACK, uintptr(unsafe.Pointer(&was.stack)), 0, 0)
	}
	return changed
}

func signalName(n syscall.Signal) string {
	return "signal " + strconv.Itoa(int(n)) + " (" + n.String() + ")"
}

// quietSignals asks the trace library not to install its handlers; purego passes it on to the C environment.
func quietSignals() error {
	if os.Getenv("ASCEND_COREDUMP_SIGNAL") != "" {
		return nil
	}
	return os.Setenv("ASCEND_COREDUMP_SIGNAL", "none")
}

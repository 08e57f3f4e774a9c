package acl

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Code is a return code of the runtime.
type Code int32

//go:embed codes.txt
var codesText string

var codeNames = sync.OnceValue(func() map[Code]string {
	m := map[Code]string{}
	for line := range strings.Lines(codesText) {
		num, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(num); ok && err == nil {
			m[Code(n)] = name
		}
	}
	return m
})

func (c Code) String() string {
	if n, ok := codeNames()[c]; ok {
		return n
	}
	return "unknown code"
}

// Codes that decide something.
const (
	codeRepeatInit     Code = 100002
	codeRepeatFinalize Code = 100037
	codeStub           Code = 100039
	codeStreamTimeout  Code = 507046
)

// Class is what a code means for the one who called.
type Class int

// Classes, from the mildest. The comment says what helps.
const (
	ClassUnknown   Class = iota // never taken for success; rebuild the context
	ClassCaller                 // the arguments are wrong: this request fails, the next may work
	ClassModel                  // the file is bad: keep the old model
	ClassMemory                 // out of device memory: smaller batches, free something
	ClassBusy                   // a queue is full: wait
	ClassTimeout                // the task still runs: give up the context
	ClassExecution              // a task failed: rebuild the context
	ClassContext                // wrong thread or context: a bug of ours
	ClassAbsent                 // no device or driver: try again slowly
	ClassLost                   // the device is gone: restart the process
)

func (c Class) String() string {
	return [...]string{"unknown", "caller", "model", "memory", "busy", "timeout", "execution", "context", "absent", "lost"}[c]
}

// Class sorts the code by what helps.
func (c Code) Class() Class {
	switch {
	case c == 507010, c == 507899, c == 507901, c == 507053, c == 507054:
		return ClassLost
	case c == codeStreamTimeout, c == 507047, c == 545601, c == 107020, c == 107019:
		return ClassTimeout
	case c >= 507011 && c <= 507018, c == 507022, c >= 507034 && c <= 507036, c >= 507042 && c <= 507045, c >= 507048 && c <= 507052:
		return ClassExecution
	case c == 207001, c == 207018, c == 245000, c == 200000:
		return ClassMemory
	case c == 507002, c == 207008, c == 207007, c == 207014:
		return ClassBusy
	case c >= 107002 && c <= 107005, c == 507007, c == 107017:
		return ClassContext
	case c == 507008, c == 507033, c == 107001, c == 207004, c == 500000:
		return ClassAbsent
	case c >= 145011 && c <= 145013, c == 145021, c == 100017, c == 100018:
		return ClassCaller
	case c >= 145000 && c <= 145009, c >= 545001 && c <= 545005, c >= 100012 && c <= 100016, c == 500002, c == 100003, c == 100005:
		return ClassModel
	case c >= 100000 && c < 200000:
		return ClassCaller
	}
	return ClassUnknown
}

// Error is a call that failed.
type Error struct {
	Call string // the function of the library
	Code Code
	Text string // what the runtime said, if anything
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.Call, int32(e.Code), e.Code)
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Code == codeStub {
		text += ": this is the link-time stub library of the toolkit; take its devlib directory out of LD_LIBRARY_PATH"
	}
	return text
}

// ClassOf is the class of an error of this package, ClassUnknown of others.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Code.Class()
	}
	return ClassUnknown
}

// Sentinel errors.
var (
	ErrNotFound    = errors.New("runtime library not found")
	ErrUnsupported = errors.New("not supported by this runtime")
	ErrThread      = errors.New("context used outside its goroutine")
)

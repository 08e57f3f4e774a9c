package acl

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Context is a device context. It and everything made from it may be used only in the function that Run calls, on
// its goroutine.
type Context struct {
	l      *Library
	a      *api
	device int32
	handle uintptr
	thread int
	broken bool
}

// Run locks the goroutine to its thread, makes a context on the device, calls f with it and takes both down.
func (l *Library) Run(device int, f func(*Context) error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a := &l.api
	if err := l.check("aclrtSetDevice", l.guard(func() int32 { return a.SetDevice(int32(device)) })); err != nil {
		return err
	}
	c := &Context{l: l, a: a, device: int32(device), thread: unix.Gettid()}
	if err := l.check("aclrtCreateContext", a.CreateContext(&c.handle, c.device)); err != nil {
		return errors.Join(err, l.check("aclrtResetDevice", a.ResetDevice(c.device)))
	}
	l.counters.contexts.Add(1)
	defer func() { err = errors.Join(err, c.close()) }()
	return f(c)
}

// Abandon gives the device up: a task on it never ended, or the device was lost. It is reset by force where the runtime
// can. Every handle of every context on this device is void then; closing them only counts and calls nothing.
func (c *Context) Abandon() error {
	if c.broken {
		return nil
	}
	c.broken = true
	if c.a.ResetDeviceForce == nil {
		return fmt.Errorf("aclrtResetDeviceForce: %w", ErrUnsupported)
	}
	return c.l.check("aclrtResetDeviceForce", c.a.ResetDeviceForce(c.device))
}

// release calls the function that gives a handle back, unless the context was abandoned.
func (c *Context) release(call string, f func() int32) error {
	if c.broken {
		return nil
	}
	return c.check(call, f())
}

func (c *Context) close() error {
	c.l.counters.contexts.Add(-1)
	return errors.Join(c.release("aclrtDestroyContext", func() int32 { return c.a.DestroyContext(c.handle) }),
		c.release("aclrtResetDevice", func() int32 { return c.a.ResetDevice(c.device) }))
}

func (c *Context) check(call string, code int32) error { return c.l.check(call, code) }

// here fails on another thread than the context's own. It costs a system call and stands where things are made.
func (c *Context) here() error {
	if unix.Gettid() != c.thread {
		return fmt.Errorf("%w: made on thread %d, used on %d", ErrThread, c.thread, unix.Gettid())
	}
	return nil
}

// Current makes the context current again, after other code on this thread used another.
func (c *Context) Current() error {
	if err := c.here(); err != nil {
		return err
	}
	if c.a.GetCurrentContext != nil {
		var now uintptr
		if c.a.GetCurrentContext(&now) == 0 && now == c.handle {
			return nil
		}
	}
	return c.check("aclrtSetCurrentContext", c.a.SetCurrentContext(c.handle))
}

// OnCard reports whether host and device have memories of their own, as with a card in a server.
func (c *Context) OnCard() (bool, error) {
	if c.a.GetRunMode == nil {
		return false, fmt.Errorf("aclrtGetRunMode: %w", ErrUnsupported)
	}
	var mode int32
	err := c.check("aclrtGetRunMode", c.a.GetRunMode(&mode))
	return mode == 1, err
}

// Device is the number that the runtime gives the device of this thread.
func (c *Context) Device() (int, error) {
	if c.a.GetDevice == nil {
		return int(c.device), nil
	}
	var d int32
	err := c.check("aclrtGetDevice", c.a.GetDevice(&d))
	return int(d), err
}

// LastError is the code of the last call that failed on this thread, 0 if none; reading it clears it.
func (c *Context) LastError() Code {
	if c.a.GetLastError == nil || c.a.PeekAtLastError == nil {
		return 0
	}
	if e := c.a.PeekAtLastError(0); e == 0 {
		return 0
	}
	return Code(c.a.GetLastError(0))
}

// Stream is an ordered queue of work on the device.
type Stream struct {
	c      *Context
	handle uintptr
}

// NewStream makes a stream; work after a failed task of it is not begun.
func (c *Context) NewStream() (*Stream, error) {
	if err := c.here(); err != nil {
		return nil, err
	}
	s := &Stream{c: c}
	if err := c.check("aclrtCreateStream", c.a.CreateStream(&s.handle)); err != nil {
		return nil, err
	}
	c.l.counters.streams.Add(1)
	if c.a.SetFailureMode != nil {
		if err := c.check("aclrtSetStreamFailureMode", c.a.SetFailureMode(s.handle, streamStopOnFault)); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Sync waits until the stream is idle. A time-out is an *Error of ClassTimeout, and the task goes on; 0 waits for ever.
func (s *Stream) Sync(timeout time.Duration) error {
	ms := forever
	if timeout > 0 {
		ms = int32(max(timeout.Milliseconds(), 1))
	} else if s.c.a.SyncStream != nil {
		return s.c.check("aclrtSynchronizeStream", s.c.a.SyncStream(s.handle))
	}
	if code := s.c.a.SyncStreamTimeout(s.handle, ms); code != 0 {
		return s.c.check("aclrtSynchronizeStreamWithTimeout", code)
	}
	return nil
}

// Idle asks whether everything on the stream has ended.
func (s *Stream) Idle() (bool, error) {
	if s.c.a.StreamQuery == nil {
		return false, fmt.Errorf("aclrtStreamQuery: %w", ErrUnsupported)
	}
	var status int32
	err := s.c.check("aclrtStreamQuery", s.c.a.StreamQuery(s.handle, &status))
	return status != streamNotReady, err
}

// Wait makes the work that follows wait for the event.
func (s *Stream) Wait(e *Event) error {
	if s.c.a.StreamWaitEvent == nil {
		return fmt.Errorf("aclrtStreamWaitEvent: %w", ErrUnsupported)
	}
	return s.c.check("aclrtStreamWaitEvent", s.c.a.StreamWaitEvent(s.handle, e.handle))
}

// Close destroys the stream when its work has ended; Kill does not wait for what has not begun.
func (s *Stream) Close() error {
	if s.handle == 0 {
		return nil
	}
	h := s.handle
	s.handle = 0
	s.c.l.counters.streams.Add(-1)
	return s.c.release("aclrtDestroyStream", func() int32 { return s.c.a.DestroyStream(h) })
}

// Kill destroys the stream and forgets what has not begun on it.
func (s *Stream) Kill() error {
	if s.handle == 0 || s.c.a.DestroyStreamForce == nil {
		return s.Close()
	}
	h := s.handle
	s.handle = 0
	s.c.l.counters.streams.Add(-1)
	return s.c.release("aclrtDestroyStreamForce", func() int32 { return s.c.a.DestroyStreamForce(h) })
}

// SyncDevice waits until everything on the device has ended.
func (c *Context) SyncDevice() error {
	if c.a.SyncDevice == nil {
		return fmt.Errorf("aclrtSynchronizeDevice: %w", ErrUnsupported)
	}
	return c.check("aclrtSynchronizeDevice", c.a.SyncDevice())
}

// Event marks a point in a stream.
type Event struct {
	c      *Context
	handle uintptr
}

// NewEvent makes an event; ErrUnsupported where the runtime has none.
func (c *Context) NewEvent() (*Event, error) {
	a := c.a
	if a.CreateEvent == nil || a.RecordEvent == nil || a.SyncEventTimeout == nil || a.DestroyEvent == nil {
		return nil, fmt.Errorf("events: %w", ErrUnsupported)
	}
	e := &Event{c: c}
	if err := c.check("aclrtCreateEvent", a.CreateEvent(&e.handle)); err != nil {
		return nil, err
	}
	c.l.counters.events.Add(1)
	return e, nil
}

// Record puts the event behind what is on the stream now.
func (e *Event) Record(s *Stream) error {
	if code := e.c.a.RecordEvent(e.handle, s.handle); code != 0 {
		return e.c.check("aclrtRecordEvent", code)
	}
	return nil
}

// Sync waits for the event as Stream.Sync waits for the stream; 0 waits for ever.
func (e *Event) Sync(timeout time.Duration) error {
	if timeout <= 0 && e.c.a.SyncEvent != nil {
		return e.c.check("aclrtSynchronizeEvent", e.c.a.SyncEvent(e.handle))
	}
	ms := forever
	if timeout > 0 {
		ms = int32(max(timeout.Milliseconds(), 1))
	}
	if code := e.c.a.SyncEventTimeout(e.handle, ms); code != 0 {
		return e.c.check("aclrtSynchronizeEventWithTimeout", code)
	}
	return nil
}

// Done asks whether the event has been reached.
func (e *Event) Done() (bool, error) {
	if e.c.a.QueryEvent == nil {
		return false, fmt.Errorf("aclrtQueryEventStatus: %w", ErrUnsupported)
	}
	var s int32
	err := e.c.check("aclrtQueryEventStatus", e.c.a.QueryEvent(e.handle, &s))
	return s == eventComplete, err
}

// Since is the time on the device between two events that were reached.
func (e *Event) Since(begin *Event) (time.Duration, error) {
	if e.c.a.EventElapsed == nil {
		return 0, fmt.Errorf("aclrtEventElapsedTime: %w", ErrUnsupported)
	}
	var ms float32
	err := e.c.check("aclrtEventElapsedTime", e.c.a.EventElapsed(&ms, begin.handle, e.handle))
	return time.Duration(float64(ms) * float64(time.Millisecond)), err
}

// Close destroys the event.
func (e *Event) Close() error {
	if e == nil || e.handle == 0 {
		return nil
	}
	h := e.handle
	e.handle = 0
	e.c.l.counters.events.Add(-1)
	return e.c.release("aclrtDestroyEvent", func() int32 { return e.c.a.DestroyEvent(h) })
}

package serial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Port is one serial device. Read and Write may run beside each other and Close beside everything; the other methods
// belong to one goroutine at a time.
type Port struct {
	o Options

	mu     sync.Mutex
	file   *os.File // nil: not connected
	opened int      // how often Connect opened the device
	baud   int
	stop   int // stop bits
	closed bool
}

// New checks the options and opens nothing: call Connect before the first operation.
func New(o Options) (*Port, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	return &Port{o: o, baud: o.Baud, stop: o.StopBits}, nil
}

// Name is the device that was asked for.
func (p *Port) Name() string { return p.o.Device }

// Connect opens the device unless it is open, and sets it up as the options say. fresh says that it was opened now:
// whatever hangs on the line may have been restarted. Errors wrap ErrAbsent, ErrBusy, ErrUnsupported, ErrClosed or
// are those of the system. A cable that was pulled while nobody read shows up at the next operation.
func (p *Port) Connect(ctx context.Context) (fresh bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return false, ErrClosed
	case p.file != nil:
		return false, nil
	}
	f, err := p.open()
	if err != nil {
		return false, err
	}
	p.file, p.baud, p.stop = f, p.o.Baud, p.o.StopBits
	p.opened++
	return true, nil
}

func (p *Port) open() (*os.File, error) {
	if err := foreignLock(p.o.LockDir, p.o.Device); err != nil {
		return nil, err
	}
	// O_NONBLOCK: opening must not wait for a carrier, and the poller gives reads and writes their time-outs.
	f, err := os.OpenFile(p.o.Device, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV):
		return nil, fmt.Errorf("%w: %s", ErrAbsent, p.o.Device)
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("%w: %s is held by another program", ErrBusy, p.o.Device)
	case err != nil:
		return nil, fmt.Errorf("open serial port: %w", err)
	}
	if err := p.setUp(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// setUp takes the device and puts it into raw mode. The flock is what counts: it excludes every program that asks for
// one, root's too, under whatever name the device was opened. TIOCEXCL keeps out those who do not ask, except root.
func (p *Port) setUp(f *os.File) error {
	err := control(f, func(fd int) error {
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return fmt.Errorf("%w: %s is locked by another program", ErrBusy, p.o.Device)
		}
		if err := p.setTermios(fd, p.o.Baud, p.o.StopBits); err != nil {
			return fmt.Errorf("set up %s: %w (is it a serial port?)", p.o.Device, err)
		}
		if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
			return fmt.Errorf("set up %s: %w", p.o.Device, err)
		}
		if p.o.LowLatency {
			lowLatency(fd)
		}
		if p.o.RS485 == nil {
			return nil
		}
		return p.setRS485(fd, p.o.RS485)
	})
	if err != nil {
		return err
	}
	for line, level := range []*bool{DTR: p.o.DTR, RTS: p.o.RTS} {
		if level == nil {
			continue
		}
		if err := p.drive(f, Line(line), *level); err != nil {
			return err
		}
	}
	return nil
}

// Connected reports whether the device is open as far as anyone noticed.
func (p *Port) Connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file != nil
}

// use returns the open file.
func (p *Port) use() (*os.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, ErrClosed
	case p.file == nil:
		return nil, fmt.Errorf("%w: %s", ErrLost, p.o.Device)
	}
	return p.file, nil
}

// Read waits until at least one byte is there and returns what is. It ends with ErrTimeout after ReadTimeout, with
// the context's error, ErrClosed, or ErrLost once the device is gone; n is 0 with every error.
func (p *Port) Read(ctx context.Context, b []byte) (int, error) {
	return p.readUntil(ctx, b, time.Now().Add(p.o.ReadTimeout))
}

// ReadWithin is Read with a time-out of its own.
func (p *Port) ReadWithin(ctx context.Context, b []byte, timeout time.Duration) (int, error) {
	return p.readUntil(ctx, b, time.Now().Add(timeout))
}

// ReadFull fills b or fails as Read does, the time-out being that of the whole. n is what was read before an error.
func (p *Port) ReadFull(ctx context.Context, b []byte, timeout time.Duration) (n int, err error) {
	end := time.Now().Add(timeout)
	for n < len(b) {
		m, err := p.readUntil(ctx, b[n:], end)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (p *Port) readUntil(ctx context.Context, b []byte, end time.Time) (int, error) {
	f, err := p.use()
	if err != nil {
		return 0, err
	}
	defer bounded(ctx, end, f.SetReadDeadline)()
	n, err := f.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		// A box that stood still for longer than the time-out finds both it and the data: the data count.
		_ = control(f, func(fd int) error {
			if m, late := unix.Read(fd, b); late == nil && m > 0 {
				n = m
			}
			return nil
		})
	}
	if n > 0 || len(b) == 0 {
		return n, nil
	}
	return 0, p.failed(ctx, f, "read", err)
}

// Write hands all of b to the system, or ends as Read does with WriteTimeout; n is what was taken.
func (p *Port) Write(ctx context.Context, b []byte) (n int, err error) {
	f, err := p.use()
	if err != nil {
		return 0, err
	}
	defer bounded(ctx, time.Now().Add(p.o.WriteTimeout), f.SetWriteDeadline)()
	n, err = f.Write(b)
	if err != nil {
		return n, p.failed(ctx, f, "write", err)
	}
	return n, nil
}

// bounded sets a deadline that the context moves into the past; the result must be called when the operation is over.
func bounded(ctx context.Context, end time.Time, set func(time.Time) error) func() {
	_ = set(end) // fails on a closed file only, and so does the operation
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = set(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-done // else it might hit the operation after this one
		}
	}
}

// failed names the error of an operation, and lets go of a device that is gone.
func (p *Port) failed(ctx context.Context, f *os.File, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %s %s", ErrTimeout, what, p.o.Device)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.file == f {
		p.file = nil
		release(f)
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO) ||
		errors.Is(err, unix.ENODEV) || errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("%w: %s was unplugged", ErrLost, p.o.Device)
	}
	return fmt.Errorf("%w: %s %s: %w", ErrLost, what, p.o.Device, err)
}

// Disconnect lets go of the device; the next Connect opens it again. For a device that answers nonsense.
func (p *Port) Disconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil {
		release(p.file)
		p.file = nil
	}
}

// Close makes running operations return ErrClosed. It is idempotent.
func (p *Port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.file == nil {
		return nil
	}
	f := p.file
	p.file = nil
	return release(f)
}

// release gives the device back. Its exclusive mode would outlive the descriptor where another one is still open.
func release(f *os.File) error {
	_ = control(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCNXCL, 0) }) // fails on one unplugged
	return f.Close()
}

// Stream binds a context to a port, for code that wants an io.ReadWriter.
func (p *Port) Stream(ctx context.Context) io.ReadWriter { return stream{ctx, p} }

type stream struct {
	ctx context.Context // of the one exchange that the stream is made for
	p   *Port
}

func (s stream) Read(b []byte) (int, error)  { return s.p.Read(s.ctx, b) }
func (s stream) Write(b []byte) (int, error) { return s.p.Write(s.ctx, b) }

func control(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

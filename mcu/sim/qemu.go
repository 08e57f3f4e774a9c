package sim

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// QEMU is a Cortex-M image in qemu-system-arm, which knows the STM32F405 with its UART and timers, but no pins, no flash
// that can be programmed, and no cycles: its time is that of the clock on the wall, so Run waits for it, and a line with
// such a chip is never faster. It implements Chip.
type QEMU struct {
	image string
	baud  int
	dir   string

	cmd      *exec.Cmd
	uart     net.Conn
	monitor  net.Conn
	in       chan []byte
	began    time.Time
	now      time.Duration
	sent     []Char
	sentEnd  time.Duration
	frame    []byte // heard, and not yet handed over
	frameEnd time.Duration
	failure  error
}

const qemuStart = 10 * time.Second

// NewQEMU starts the image at path; baud is what its UART is set to, which qemu does not tell.
func NewQEMU(path string, baud int) (*QEMU, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, errors.Join(err, ErrNoImage)
	}
	dir, err := os.MkdirTemp("", "qemu")
	if err != nil {
		return nil, fmt.Errorf("start qemu: %w", err)
	}
	c := &QEMU{image: path, baud: baud, dir: dir, began: time.Now()}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

func (c *QEMU) start() error {
	uart, monitor := filepath.Join(c.dir, "uart"), filepath.Join(c.dir, "monitor")
	_, _ = os.Remove(uart), os.Remove(monitor)
	c.cmd = exec.Command("qemu-system-arm", "-M", "netduinoplus2", "-display", "none", "-nodefaults",
		"-chardev", "socket,id=u,path="+uart+",server=on,wait=off", "-serial", "chardev:u",
		"-chardev", "socket,id=m,path="+monitor+",server=on,wait=off", "-mon", "chardev=m", "-S", "-kernel", c.image)
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start qemu (Debian package qemu-system-arm): %w", err)
	}
	for deadline := time.Now().Add(qemuStart); ; time.Sleep(5 * time.Millisecond) {
		var err error
		if c.uart == nil {
			c.uart, err = net.Dial("unix", uart)
		}
		if err == nil {
			if c.monitor, err = net.Dial("unix", monitor); err == nil {
				break
			}
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("start qemu: %w", err), c.stop())
		}
	}
	c.in = make(chan []byte, 256)
	go pump(c.uart, c.in) // ends when stop closes the connection
	go discard(c.monitor)
	_, err := c.monitor.Write([]byte("cont\n"))
	return err
}

func pump(from net.Conn, to chan<- []byte) {
	defer close(to)
	for {
		b := make([]byte, 256)
		n, err := from.Read(b)
		if n > 0 {
			to <- b[:n]
		}
		if err != nil {
			return
		}
	}
}

func discard(from net.Conn) {
	var b [256]byte
	for {
		if _, err := from.Read(b[:]); err != nil {
			return
		}
	}
}

func (c *QEMU) stop() error {
	if c.uart != nil {
		c.uart.Close()
		for range c.in {
		}
	}
	if c.monitor != nil {
		c.monitor.Close()
	}
	c.uart, c.monitor = nil, nil
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // it says that it was killed
	return nil
}

// Now implements Chip.
func (c *QEMU) Now() time.Duration { return c.now }

// Run implements Chip: it waits until the clock on the wall is there.
func (c *QEMU) Run(until time.Duration) error {
	if c.failure != nil {
		return c.failure
	}
	time.Sleep(until - time.Since(c.began))
	c.now = until
	if len(c.frame) > 0 && until > c.frameEnd+max(20*time.Second/time.Duration(c.baud), 2*slice) { // a slice brings several at once
		if _, err := c.uart.Write(c.frame); err != nil {
			return fmt.Errorf("write to qemu: %w", err)
		}
		c.frame = c.frame[:0]
	}
	for {
		select {
		case b, ok := <-c.in:
			if !ok {
				return errors.New("qemu has ended")
			}
			for _, x := range b {
				start := max(c.now, c.sentEnd)
				c.sentEnd = start + 10*time.Second/time.Duration(c.baud)
				c.sent = append(c.sent, Char{Byte: x, Start: start, End: c.sentEnd, Baud: c.baud})
			}
		default:
			return nil
		}
	}
}

// Receive implements Chip. A frame is handed over at once when the line falls silent: a host that stalls in its middle
// would make two of it. A character with a bad stop bit arrives as another one: qemu's UART knows no framing errors.
func (c *QEMU) Receive(x Char) {
	if x.Bad {
		x.Byte ^= 0x55
	}
	c.frame, c.frameEnd = append(c.frame, x.Byte), x.End
}

// Sent implements Chip.
func (c *QEMU) Sent(dst []Char) []Char {
	dst = append(dst, c.sent...)
	c.sent = c.sent[:0]
	return dst
}

// Reset resets the machine; its RAM stays.
func (c *QEMU) Reset() {
	if _, err := c.monitor.Write([]byte("system_reset\n")); err != nil {
		c.failure = err
	}
}

// PowerCycle starts the machine anew.
func (c *QEMU) PowerCycle() {
	_ = c.stop()
	c.failure = c.start()
}

// Close ends qemu.
func (c *QEMU) Close() error { return errors.Join(c.stop(), os.RemoveAll(c.dir)) }

// NewQEMUNode is a node with the ELF image at path, at 9600 baud as a new node is.
func NewQEMUNode(name, path string) (*Node, error) {
	c, err := NewQEMU(path, 9600)
	if err != nil {
		return nil, err
	}
	return &Node{Chip: c, Name: name}, nil
}

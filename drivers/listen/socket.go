package listen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/lineproto"
)

// serveUnix reads lines from every connection: line protocol, or JSON objects (a line that begins with {).
func (d *Door) serveUnix(ctx context.Context, l net.Listener, emit door.Emit) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		wg.Go(func() {
			stop := context.AfterFunc(ctx, func() { c.Close() })
			defer stop()
			defer c.Close()
			d.stream(ctx, c, emit)
		})
	}
}

// stream takes what a connection sends. While the log is full it does not read, so that the sender waits.
func (d *Door) stream(ctx context.Context, c net.Conn, emit door.Emit) {
	buf := make([]byte, maxUnixLine)
	n := 0 // bytes of buf that wait for the rest of their line
	var patient time.Time
	for {
		c.SetReadDeadline(patient) //nolint:errcheck // Read says what is wrong with the connection
		m, err := c.Read(buf[n:])
		fresh := bytes.IndexByte(buf[n:n+m], '\n') >= 0
		n += m
		if fresh || err != nil && n > 0 {
			text := string(buf[:n])
			lines := wholeLines(text)
			if err != nil {
				lines = strings.LastIndexByte(text, '\n') + 1
			}
			if lines > 0 {
				d.take(ctx, text[:lines], emit)
			}
			n = copy(buf, text[lines:])
			switch {
			case strings.IndexByte(text[lines:], '\n') < 0:
				patient = time.Time{}
			case lines > 0 || patient.IsZero():
				patient = time.Now().Add(quotePatience)
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			if len(bytes.TrimSpace(buf[:n])) > 0 {
				d.o.Events.TellMissed(door.MissedMalformed, 1, errors.New("the last line has no newline: it may be cut"))
			}
			return
		case n == len(buf):
			d.o.Events.TellMissed(door.MissedTooLarge, 1, fmt.Errorf("a line of more than %d bytes", maxUnixLine))
			return // what follows has no beginning
		}
	}
}

// wholeLines is how many bytes of text, from its beginning, are lines that no later byte changes: a newline within the
// quotes of a string field ends none.
func wholeLines(text string) (n int) {
	for n < len(text) {
		rest := text[n:]
		end, whole := strings.IndexByte(rest, '\n'), true
		if !strings.HasPrefix(strings.TrimLeft(rest, " \t\r"), "{") {
			end, whole = lineproto.LineEnd(rest)
		}
		if end < 0 || !whole {
			break
		}
		n += end + 1
	}
	return n
}

// take hands good lines to the log and counts bad ones.
func (d *Door) take(ctx context.Context, text string, emit door.Emit) {
	var out []door.Reading
	add := func(rs []door.Reading, err error) {
		if err != nil {
			d.o.Events.TellMissed(door.MissedMalformed, 1, err)
			return
		}
		out = rs
	}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) != "" {
				add(d.o.JSON.JSON(out, []byte(line), d.o.Labels))
			}
		}
	} else {
		lineproto.Parse(text, func(p lineproto.Point) { add(d.point(out, p, time.Nanosecond)) },
			func(e *lineproto.SyntaxError) { add(nil, e) })
	}
	for len(out) > 0 {
		n := min(len(out), door.MaxReadings)
		err := d.limit.Admit(out[:n])
		if err == nil {
			err = emit(ctx, door.Message{Readings: out[:n]})
		}
		if err != nil {
			why := door.WhyMissed(err)
			if errors.Is(err, context.DeadlineExceeded) {
				why = door.MissedOverload
			}
			d.o.Events.TellMissed(why, n, err)
		}
		out = out[n:]
	}
}

// serveUDP takes each datagram by itself. A sender over UDP is never told that something was lost.
func (d *Door) serveUDP(ctx context.Context, c net.PacketConn, emit door.Emit) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if u, ok := c.(*net.UDPConn); ok {
		if err := u.SetReadBuffer(udpBuffer); err != nil {
			d.o.Events.TellNote("warn", fmt.Sprintf("udp receive buffer: %v", err))
		}
	}
	buf := make([]byte, MaxDatagram)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		patience, cancel := context.WithTimeout(ctx, udpPatience)
		d.take(patience, string(buf[:n]), emit)
		cancel()
	}
}

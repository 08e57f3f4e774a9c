package listen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
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
	r := bufio.NewReaderSize(c, MaxBody/4)
	var batch strings.Builder
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			d.o.Events.TellMissed(door.MissedTooLarge, 1, fmt.Errorf("a line of more than %d bytes", MaxBody/4))
			return // what follows has no beginning
		}
		if err == nil {
			batch.Write(line)
		} else if len(strings.TrimSpace(string(line))) > 0 {
			d.o.Events.TellMissed(door.MissedMalformed, 1, errors.New("the last line has no newline: it may be cut"))
		}
		if batch.Len() > 0 && (err != nil || r.Buffered() == 0 || batch.Len() > unixBatch) {
			d.take(ctx, batch.String(), emit)
			batch.Reset()
		}
		if err != nil {
			return
		}
	}
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

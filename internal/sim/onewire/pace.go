package onewire

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Times of a DS2480B at flexible speed with the pulse lengths that our master sets (datasheet figures 5 and 6).
const (
	SlotTime  = 67 * time.Microsecond   // 10 µs low, 8 µs to the sample, 49 µs high
	ResetTime = 1096 * time.Microsecond // 512 µs low, the presence pulse and what follows it
)

// CharTime is a character of 8 data bits on a serial line.
func CharTime(baud, stopBits int) time.Duration {
	return time.Duration(9+stopBits) * time.Second / time.Duration(baud)
}

// character is one that the host wrote, at that time.
type character struct {
	b          byte
	baud, stop int
	at         time.Time
}

// answerPaced lets every character arrive when a serial line would have brought it, and answers when the chip would have.
func (a *Adapter) answerPaced(m *os.File) error {
	came := make(chan character, 4096)
	failed := make(chan error, 1)
	go func() { // ends with the pty, and answerPaced with it
		defer close(came)
		buf := make([]byte, 512)
		for {
			n, err := m.Read(buf)
			if err != nil {
				failed <- err
				return
			}
			now := time.Now()
			baud, stop := speedOf(m)
			if a.oneStop {
				stop = 1
			}
			for _, b := range buf[:n] {
				came <- character{b, max(baud, 1), stop, now}
			}
		}
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // else sleeps are 50 µs longer
	var t timing
	var out []byte
	for c := range came {
		if a.mute.Load() {
			continue
		}
		answer, due := a.take(&t, c)
		if out = append(out, answer...); len(out) == 0 {
			continue
		}
		// A passive adapter's echo is handed over as a UART's FIFO is, not byte by byte.
		if !a.buffer && len(came) > 0 && len(out) < 64 {
			continue
		}
		sleepUntil(due.Add(a.late))
		if _, err := m.Write(out); err != nil {
			for range came { // until the reader has ended
			}
			return err
		}
		out = out[:0]
	}
	return <-failed
}

// timing is until when line and chip are busy.
type timing struct {
	line  time.Time // the last character from the host has come
	chip  time.Time // the chip is done
	reply time.Time // the last answer has gone
	begin time.Time // the chip begins with the byte before; until then that lies in its buffer
}

// take gives a character to the chip. The answer is complete at the host when it is due.
func (a *Adapter) take(t *timing, c character) (answer []byte, due time.Time) {
	char := CharTime(c.baud, c.stop)
	t.line = later(t.line, c.at).Add(char)
	if !a.buffer { // a wire and no more: the echo ends with the character
		return a.chip(c.baud, c.b), t.line
	}
	if t.begin.After(t.line) {
		a.lost.Add(1)
		return nil, t.line
	}
	before := a.wire.Look()
	answer = a.chip(c.baud, c.b)
	after := a.wire.Look()
	t.begin = later(t.line, t.chip)
	t.chip = t.begin.Add(time.Duration(after.Slots-before.Slots)*SlotTime + time.Duration(after.Resets-before.Resets)*ResetTime)
	if len(answer) == 0 {
		return nil, t.chip
	}
	t.reply = later(t.reply, t.chip).Add(time.Duration(len(answer)) * CharTime(c.baud, 1))
	return answer, t.reply
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sleepUntil sleeps to some microseconds, which the timers of Go do not.
func sleepUntil(t time.Time) {
	for {
		d := time.Until(t)
		if d <= 0 {
			return
		}
		ts := unix.NsecToTimespec(int64(d))
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil) // a signal ends it early: again
	}
}

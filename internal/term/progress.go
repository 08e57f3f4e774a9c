package term

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	progressTTY  = 100 * time.Millisecond // between redraws on a terminal
	progressLine = 10 * time.Second       // between lines elsewhere
)

// Progress shows how far a long piece of work has come: one line redrawn on a terminal, a line every ten seconds
// elsewhere. It is used by one goroutine and takes the time as a value.
type Progress struct {
	Out   io.Writer
	Style Style
	Label string
	Total int64                // 0: unknown
	Unit  func(n int64) string // nil: Comma
	Start time.Time

	shown time.Time
	drawn bool
}

// Update shows that done of Total is done at now, if it is time to show something. Errors of the writer are ignored:
// work does not stop because nobody looks.
func (p *Progress) Update(now time.Time, done int64) {
	every := progressLine
	if p.Style.TTY {
		every = progressTTY
	}
	last := p.shown
	if last.IsZero() && !p.Style.TTY {
		last = p.Start
	}
	if now.Sub(last) < every {
		return
	}
	p.shown = now
	p.print(now, done, p.Style.TTY)
}

// Clear takes a drawn bar off the terminal, where what follows says the result.
func (p *Progress) Clear() {
	if p.drawn {
		fmt.Fprint(p.Out, "\r\x1b[K")
		p.drawn = false
	}
}

func (p *Progress) print(now time.Time, done int64, redraw bool) {
	line := p.Line(now, done)
	if redraw {
		if p.drawn {
			fmt.Fprint(p.Out, "\r\x1b[K")
		}
		p.drawn = true
		fmt.Fprint(p.Out, line)
		return
	}
	fmt.Fprintln(p.Out, line)
}

// Line is one line: label, bar, done of total, rate, time left.
func (p *Progress) Line(now time.Time, done int64) string {
	unit := p.Unit
	if unit == nil {
		unit = Comma
	}
	elapsed := now.Sub(p.Start)
	rate := 0.0
	if elapsed > 0 {
		rate = float64(done) / elapsed.Seconds()
	}
	parts := []string{p.Label}
	if p.Total > 0 {
		part := min(max(float64(done)/float64(p.Total), 0), 1)
		if p.Style.TTY {
			parts = append(parts, bar(part, 20, p.Style.UTF8))
		}
		parts = append(parts, fmt.Sprintf("%3.0f%%", part*100), unit(done)+" of "+unit(p.Total))
	} else {
		parts = append(parts, unit(done))
	}
	if rate > 0 {
		parts = append(parts, unit(int64(rate))+"/s")
	}
	if left := float64(p.Total-done) / max(rate, 1e-9); p.Total > 0 && done < p.Total && rate > 0 && left < 1e6 {
		parts = append(parts, Duration(time.Duration(left*float64(time.Second)))+" left")
	}
	return p.Style.Clip(strings.Join(parts, "  "), p.Style.Width())
}

func bar(part float64, width int, utf8 bool) string {
	full, empty := "█", "░"
	if !utf8 {
		full, empty = "#", "."
	}
	n := int(part * float64(width))
	return "[" + strings.Repeat(full, n) + strings.Repeat(empty, width-n) + "]"
}

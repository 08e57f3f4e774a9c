package ds2480b

import (
	"math"

	"github.com/edgelog/edgelog/drivers/bus/onewire"
)

// line is a run of bytes for the chip, and which of them it answers with a byte of its own.
type line struct {
	out    []byte
	gives  []bool
	search bool // its data bytes are steps of the search accelerator: twelve slots each
}

func (l *line) clear() { l.out, l.gives, l.search = l.out[:0], l.gives[:0], false }

// ask adds a byte that is answered.
func (l *line) ask(c byte) { l.out, l.gives = append(l.out, c), append(l.gives, true) }

// tell adds bytes that are not.
func (l *line) tell(cs ...byte) {
	for _, c := range cs {
		l.out, l.gives = append(l.out, c), append(l.gives, false)
	}
}

// data adds a byte of data mode, in which the byte that ends the mode is sent twice.
func (l *line) data(c byte) {
	if c == modeCommand {
		l.tell(c)
	}
	l.ask(c)
}

// transaction adds a reset, what t writes and ones for what it reads.
func (l *line) transaction(t *onewire.Transaction) {
	l.ask(reset)
	if len(t.W)+len(t.R) == 0 {
		return
	}
	l.tell(modeData)
	for _, c := range t.W {
		l.data(c)
	}
	for range t.R {
		l.data(0xff)
	}
	l.tell(modeCommand)
}

// window is how many bytes may be on their way beyond those answered and those that the chip takes at once: all of them
// where a character lasts longer than the slots that it stands for, else two, the one that is at work and its buffer.
func (l *line) window(baud, stop int) int {
	char := float64(9+stop) * 1e6 / float64(baud) // µs
	slots := 8.0
	if l.search {
		slots = 12
	}
	if char > slots*slotMicros {
		return math.MaxInt
	}
	return 2
}

// reach is how far the line may be sent when everything before at has been answered.
func (l *line) reach(at, window int) int {
	for at < len(l.out) && !l.gives[at] {
		at++ // changes of mode take no time
	}
	if window > len(l.out)-at {
		return len(l.out)
	}
	return at + window
}

// behind is the place behind the n-th answered byte from at.
func (l *line) behind(at, n int) int {
	for ; n > 0 && at < len(l.out); at++ {
		if l.gives[at] {
			n--
		}
	}
	return at
}

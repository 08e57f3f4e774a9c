package receive_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

func (p *pair) number(n wire.Nonce) int {
	if p.short[n] == 0 {
		p.short[n] = len(p.short) + 1
	}
	return p.short[n]
}

func (p *pair) show(m wire.Message) string {
	switch m := m.(type) {
	case *wire.Hello:
		text := fmt.Sprintf("hello n%d", p.number(m.Nonce))
		for _, st := range m.Streams {
			for _, e := range st.Epochs {
				text += fmt.Sprintf(" e%d of e%d [%d,%d) low %d", e.Epoch, e.Parent, e.First, e.End, e.Low)
			}
		}
		return text
	case *wire.Data:
		text := fmt.Sprintf("data n%d e%d [%d,%d)", p.number(m.Nonce), m.Epoch, m.Base, m.Base+record.Offset(m.Count))
		for _, x := range m.Producers {
			text += fmt.Sprintf(" %s:%d", x.Name, x.Sequence)
		}
		if len(m.Definitions) > 0 {
			text += fmt.Sprintf(" +%d definitions", len(m.Definitions))
		}
		return text
	case *wire.Gap:
		return fmt.Sprintf("gap n%d e%d [%d,%d) %s", p.number(m.Nonce), m.Epoch, m.From, m.To, m.Reason)
	case *wire.Ack:
		text := "ack"
		if m.Answer {
			text = "answer"
		}
		text += fmt.Sprintf(" n%d", p.number(m.Nonce))
		for _, x := range m.Positions {
			text += fmt.Sprintf(" e%d next %d", x.Epoch, x.Next)
			if !x.Known {
				text += " unknown"
			}
			if x.Verdict != wire.VerdictOK {
				text += " " + x.Verdict.String()
			}
			for _, g := range x.Gaps {
				text += fmt.Sprintf(" gap [%d,%d)", g.From, g.To)
			}
		}
		return text
	}
	return fmt.Sprintf("%T", m)
}

func (p *pair) showAcks(from int) {
	p.mu.Lock()
	acks := slices.Clone(p.down[from:])
	p.mu.Unlock()
	if len(acks) == 0 {
		p.say("no answer")
	}
	for _, a := range acks {
		p.say("%s", p.show(a))
	}
}

func (p *pair) positions() {
	for _, b := range p.boxes {
		p.say("%s: delivered %d, %s", b.name, b.log.Position, b.s.Status().Phase)
	}
}

// state is the account of every box, then what the store holds, judged: an offset or a number that is stored twice
// without saying so, and an account with a remainder, are shouted.
func (p *pair) state() {
	for _, b := range p.boxes {
		for _, a := range b.s.Accounts() {
			text := fmt.Sprintf("%s: e%d [%d,%d) delivered %d", b.name, a.Epoch, a.First, a.End, a.Delivered)
			for _, why := range slices.Sorted(maps.Keys(a.Skipped)) {
				text += fmt.Sprintf(", skipped %d (%s)", a.Skipped[why], why)
			}
			for _, why := range slices.Sorted(maps.Keys(a.Dropped)) {
				text += fmt.Sprintf(", dropped %d (%s)", a.Dropped[why], why)
			}
			if n := a.InFlight + a.Buffered; n > 0 {
				text += fmt.Sprintf(", waiting %d", n)
			}
			if a.Owed > 0 {
				text += fmt.Sprintf(", owed %d", a.Owed)
			}
			if a.Lost > 0 {
				text += fmt.Sprintf(", delivered and locally lost %d", a.Lost)
			}
			if !a.Balanced {
				text += " DOES NOT BALANCE"
			}
			p.say("%s", text)
		}
	}
	st, err := p.store.Positions(context.Background(), "box")
	if err != nil {
		p.t.Fatal(err)
	}
	stored := map[int64]bool{}
	for i := range st.Positions {
		x := &st.Positions[i]
		text := "hub: " + strings.TrimPrefix(position(x), "telemetry ")
		repeat, late, twice := 0, 0, 0
		at := map[record.Offset]bool{}
		for _, r := range p.store.Rows("box", x.Stream, x.Epoch) {
			marked := r.Record.Quality == record.QualityMayRepeat
			if at[r.Offset] || stored[r.Record.Num] && !marked {
				twice++
			}
			at[r.Offset], stored[r.Record.Num] = true, true
			if marked {
				repeat++
			}
			if r.Late {
				late++
			}
		}
		if repeat > 0 {
			text += fmt.Sprintf(", %d may repeat", repeat)
		}
		if late > 0 {
			text += fmt.Sprintf(", %d late", late)
		}
		if twice > 0 {
			text += fmt.Sprintf(", %d TWICE", twice)
		}
		p.say("%s", text)
	}
}

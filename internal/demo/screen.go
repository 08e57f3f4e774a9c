package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/term"
)

// screen is the live table: redrawn in place on a terminal, a line every two seconds elsewhere.
type screen struct {
	style              term.Style
	text               string // what happens now
	lines              int    // drawn last time
	last               time.Time
	backlog            []float64
	end                uint64 // as last seen, shown while the agent is dead; so are the others
	waiting, delivered uint64
}

func newScreen(style term.Style) *screen { return &screen{style: style} }

func (s *screen) say(text string) {
	s.text = text
	if !s.style.TTY {
		fmt.Println(text)
	}
}

func (s *screen) draw(v view, now, length time.Duration) {
	if v.status != nil {
		s.end, s.waiting, s.delivered = 0, 0, 0
		for _, st := range v.status.Streams {
			s.waiting += st.Buffered + st.InFlight
			s.delivered += st.Durable - st.Buffered - st.InFlight
			s.end += st.Durable
		}
		s.backlog = append(s.backlog, float64(s.waiting))
		s.backlog = s.backlog[max(0, len(s.backlog)-60):]
	}
	if !s.style.TTY {
		if time.Since(s.last) >= 2*time.Second {
			s.last = time.Now()
			npu := ""
			if v.npu != nil {
				npu = "  simulated NPU score " + v.scoreText()
			}
			fmt.Printf("%4.0f s  link %-4s  agent %-7s  records %s  delivered %s  backlog %s%s\n", now.Seconds(), linkWord(v.linked), agentWord(v),
				term.CommaU(s.end), term.CommaU(s.delivered), term.CommaU(s.waiting), npu)
		}
		return
	}
	var b strings.Builder
	clock := term.Duration(now.Truncate(time.Second))
	if length > 0 {
		clock += " of " + term.Duration(length)
	}
	fmt.Fprintf(&b, "Edgelog demo   %s   link %s   agent %s   (Ctrl-C ends it)\n", clock, linkWord(v.linked), agentWord(v))
	fmt.Fprintf(&b, "%s\n\n", s.text)
	if v.status != nil {
		src := v.status.Sources
		fmt.Fprintf(&b, "SOURCES   %d ok   %d degraded   %d dead   %s readings/s\n\n", src.OK, src.Degraded, src.Dead, term.Rate(src.Rate))
		t := term.Table{Head: []string{"STREAM", "END", "DELIVERED", "IN FLIGHT", "BUFFERED", "DROPPED", "BALANCED"}, Right: []bool{false, true, true, true, true, true}}
		for _, st := range v.status.Streams {
			if st.Durable == 0 {
				continue
			}
			t.Row(st.Name, term.CommaU(st.Durable), term.CommaU(st.Durable-st.Buffered-st.InFlight-st.Dropped), term.CommaU(st.InFlight),
				term.CommaU(st.Buffered), term.CommaU(st.Dropped), yes(st.Balanced))
		}
		b.WriteString(t.String())
	} else {
		fmt.Fprintf(&b, "The agent does not answer. Its log has %s records as last seen.\n", term.CommaU(s.end))
	}
	fmt.Fprintf(&b, "\nBACKLOG   %s  %s\n", s.style.Sparkline(s.backlog, 60), term.CommaU(s.waiting))
	b.WriteString(s.readings(v))
	b.WriteString(s.npu(v))
	text := b.String()
	if s.lines > 0 {
		fmt.Printf("\x1b[%dA\x1b[J", s.lines)
	}
	fmt.Fprint(os.Stdout, text)
	s.lines = strings.Count(text, "\n")
}

// readings are the processor's load and the first thermometers, with their course; what is bad says why.
func (s *screen) readings(v view) string {
	if v.sensors == nil {
		return ""
	}
	t := term.Table{Head: []string{"READING", "VALUE", "", "COURSE", ""}, Right: []bool{false, true}}
	for _, src := range v.sensors.Sources {
		for _, x := range src.Sensors {
			name := x.Series
			if x.ID != "" {
				name = x.ID
			} else if name != "cpu.busy" {
				continue
			}
			value, note := x.Value, ""
			if x.Quality != "good" {
				value, note = "-", x.Quality
			} else if x.Simulated {
				note = "simulated"
			}
			t.Row(name, value, x.Unit, s.style.Sparkline(x.Recent, 24), note)
			if len(t.Rows) == 5 {
				return "\n" + t.String()
			}
		}
	}
	return "\n" + t.String()
}

func linkWord(up bool) string {
	if up {
		return "up"
	}
	return "CUT"
}

func agentWord(v view) string {
	if v.status == nil {
		return "KILLED"
	}
	return "running"
}

func yes(ok bool) string {
	if ok {
		return "yes"
	}
	return "NO"
}

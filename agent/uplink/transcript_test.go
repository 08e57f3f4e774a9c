package uplink_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts in testdata anew")

// TestTranscripts plays the scripts in testdata: a line "> command" does something, the lines below it say what
// happened. Each begins with a comment that names what it shows.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, want)
			if *rewrite {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("it went differently:\n%s", got)
			}
		})
	}
}

type stage struct {
	*world
	backup   *uplinktest.Hub
	snapshot *uplinktest.Log
	short    map[wire.Nonce]int
}

func play(t *testing.T, script []byte) []byte {
	var out bytes.Buffer
	s := &stage{world: newWorld(1, 4, "telemetry"), short: map[wire.Nonce]int{}}
	sc := bufio.NewScanner(bytes.NewReader(script))
	for sc.Scan() {
		line := sc.Text()
		if strings.HasPrefix(line, "#") || line == "" {
			fmt.Fprintln(&out, line)
			continue
		}
		cmd, ok := strings.CutPrefix(line, "> ")
		if !ok {
			continue
		}
		fmt.Fprintln(&out, line)
		s.out.Reset()
		s.do(t, strings.Fields(cmd))
		for _, e := range s.events {
			s.say("! %s", e)
		}
		s.events = nil
		out.WriteString(s.out.String())
	}
	return out.Bytes()
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(&s.out, "  "+format+"\n", args...) }

func (s *stage) do(t *testing.T, f []string) {
	arg := func(i int) int {
		if i >= len(f) {
			return 1
		}
		n, err := strconv.Atoi(f[i])
		if err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		return n
	}
	log := s.logs[0]
	switch f[0] {
	case "streams":
		s.world = newWorld(1, 4, f[1:]...)
	case "append": // append N [stream index]
		i := 0
		if len(f) > 2 {
			i = arg(2)
		}
		s.world.append(i, arg(1))
	case "message": // a producer's message of N records
		nums := make([]int64, arg(1))
		log.AppendMessage(record.ProducerPosition{Name: "node", Incarnation: 1, Sequence: uint64(arg(2))}, arg(2) == 1, nums...)
		s.s.LogChanged(log.Name)
	case "connect":
		s.connect()
	case "disconnect":
		s.disconnect()
	case "send": // the agent sends up to N messages
		before := len(s.up)
		s.pump(arg(1))
		for _, m := range s.up[before:] {
			s.say("%s", s.show(m))
		}
		if len(s.up) == before {
			s.say("nothing")
		}
	case "lose": // the oldest message to the hub is lost
		s.say("%s", s.show(take(&s.up, 0)))
	case "hub": // the hub takes N messages
		for range arg(1) {
			before := len(s.down)
			s.hubTakes(take(&s.up, 0))
			s.showNew(before)
		}
	case "lose-ack":
		s.say("%s", s.show(take(&s.down, 0)))
	case "ack": // the agent receives N messages
		for range arg(1) {
			s.s.Received(take(&s.down, 0), s.now)
		}
		s.say("delivered %d, %s", log.Position, s.s.Status().Phase)
	case "late-ack": // the newest of those under way comes first
		s.s.Received(take(&s.down, len(s.down)-1), s.now)
		s.say("delivered %d, %s", log.Position, s.s.Status().Phase)
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(d)
		s.s.Tick(s.now)
		s.say("%s", s.s.Status().Phase)
	case "restart":
		s.start()
	case "backup":
		s.backup = s.hub.Backup()
	case "restore":
		s.hub.Restore(s.backup)
	case "forget-definitions":
		s.hub.ForgetDefinitions()
	case "hub-up":
		s.s.Received(&wire.HubUp{SpreadSeconds: uint16(arg(1))}, s.now)
	case "credit":
		s.hub.Credit = uint32(arg(1))
	case "blind": // the hub cannot read frames of more than N records, or packed ones with "packed"
		n := arg(1)
		packed := len(f) > 2
		s.hub.Unreadable = func(d *wire.Data) bool { return int(d.Count) > n || packed && d.Codec != record.CodecPlain }
	case "batch": // of so many records, from now on
		log.Batch = arg(1)
	case "broker": // broker drops|closes N: it takes no frames of more than N bytes
		s.broker(f[1] == "closes", arg(2))
	case "wake": // time passes until the sender wants it
		s.now = s.s.Wake()
		s.s.Tick(s.now)
		s.say("%s", s.s.Status().Phase)
	case "drop": // drop FROM TO reason
		s.drop(f, arg)
	case "snapshot":
		s.snapshot = log.Clone()
	case "resume": // memory and disk go back: the same opening goes on
		if s.connected {
			s.disconnect()
		}
		*log = *s.snapshot.Clone()
		s.s = uplink.New(s.options(), log)
	case "forged": // an ack with a nonce that is not ours
		s.s.Received(&wire.Ack{Nonce: 12345, Credit: 1 << 20, Positions: []wire.Position{{Stream: "telemetry", Epoch: 1, Known: true, Next: 1000}}}, s.now)
		s.say("delivered %d, ignored %d", log.Position, s.s.Status().Ignored)
	case "settle":
		s.settle(24 * time.Hour)
		for _, w := range s.check() {
			s.say("WRONG %s", w)
		}
		s.account()
	case "account":
		s.account()
	default:
		t.Fatalf("unknown command %v", f)
	}
}

func (s *stage) drop(f []string, arg func(int) int) {
	why := map[string]record.Reason{"retention": record.ReasonRetention, "corrupt": record.ReasonCorrupt, "delivered": record.ReasonDelivered}[f[3]]
	s.logs[0].Drop(record.Range{From: record.Offset(arg(1)), To: record.Offset(arg(2))}, why)
	s.s.LogChanged(s.logs[0].Name)
}

func (s *stage) account() {
	for _, a := range s.s.Accounts() {
		text := fmt.Sprintf("%s e%d [%d,%d) delivered %d", a.Stream, a.Epoch, a.First, a.End, a.Delivered)
		for r, n := range a.Dropped {
			text += fmt.Sprintf(", dropped %d (%s)", n, r)
		}
		text += fmt.Sprintf(", in flight %d, buffered %d", a.InFlight, a.Buffered)
		if a.Lost > 0 {
			text += fmt.Sprintf(", delivered and locally lost %d", a.Lost)
		}
		if !a.Balanced {
			text += " DOES NOT BALANCE"
		}
		s.say("%s", text)
	}
	for _, id := range s.hub.Epochs() {
		e := s.hub.Epoch(id)
		text := fmt.Sprintf("hub %s e%d next %d rows %d", e.Stream, id, e.Next, len(e.Rows))
		for _, g := range e.Gaps {
			text += fmt.Sprintf(" gap [%d,%d) %s", g.From, g.To, g.Reason)
		}
		repeat, late := 0, 0
		for _, r := range e.Rows {
			if r.Quality == record.QualityMayRepeat {
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
		s.say("%s", text)
	}
}

func (s *stage) showNew(before int) {
	for _, m := range s.down[before:] {
		s.say("%s", s.show(m))
	}
	if len(s.down) == before {
		s.say("no answer")
	}
}

// nonce numbers nonces in the order of their appearance.
func (s *stage) nonce(n wire.Nonce) int {
	if s.short[n] == 0 {
		s.short[n] = len(s.short) + 1
	}
	return s.short[n]
}

func (s *stage) show(m wire.Message) string {
	switch m := m.(type) {
	case *wire.Hello:
		text := fmt.Sprintf("hello n%d", s.nonce(m.Nonce))
		for _, st := range m.Streams {
			for _, e := range st.Epochs {
				text += fmt.Sprintf(" %s e%d parent e%d [%d,%d) low %d", st.Stream, e.Epoch, e.Parent, e.First, e.End, e.Low)
			}
		}
		return text
	case *wire.Data:
		text := fmt.Sprintf("data n%d %s e%d [%d,%d)", s.nonce(m.Nonce), m.Stream, m.Epoch, m.Base, m.Base+record.Offset(m.Count))
		for _, d := range m.Definitions {
			text += fmt.Sprintf(" +s%d", d.ID)
		}
		for _, p := range m.Producers {
			text += fmt.Sprintf(" %s:%d[%d,%d)", p.Name, p.Sequence, p.From, p.To)
		}
		if m.Codec == record.CodecPlain {
			text += " plain"
		}
		return text
	case *wire.Gap:
		return fmt.Sprintf("gap n%d %s e%d [%d,%d) %s", s.nonce(m.Nonce), m.Stream, m.Epoch, m.From, m.To, m.Reason)
	case *wire.Ack:
		text := "ack"
		if m.Answer {
			text = "answer"
		}
		text += fmt.Sprintf(" n%d", s.nonce(m.Nonce))
		for _, p := range m.Positions {
			text += fmt.Sprintf(" %s e%d next %d", p.Stream, p.Epoch, p.Next)
			if p.Verdict != wire.VerdictOK {
				text += " " + p.Verdict.String()
			}
			if !p.Known {
				text += " (unknown)"
			}
			for _, g := range p.Gaps {
				text += fmt.Sprintf(" gap [%d,%d)", g.From, g.To)
			}
		}
		return text
	}
	return fmt.Sprintf("%T", m)
}

var _ uplink.Source = (*uplinktest.Log)(nil)

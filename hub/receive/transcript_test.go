package receive_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/wire"
)

var rewrite = flag.Bool("rewrite", false, "write what the receiver says into testdata")

// TestTranscripts plays each testdata/*.txt: lines of a script, each followed by what the receiver said, indented.
// Every change is committed to a store at once, and the view must say what the store says.
func TestTranscripts(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		t.Fatal("no transcripts in testdata")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := newScript(t)
			var out strings.Builder
			for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
				if strings.HasPrefix(line, "  ") {
					continue
				}
				out.WriteString(line + "\n")
				if line != "" && line[0] != '#' {
					for _, l := range s.run(line) {
						out.WriteString("  " + l + "\n")
					}
				}
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if out.String() != string(b) {
				t.Errorf("the transcript differs; run with -rewrite and read the diff\n%s", out.String())
			}
		})
	}
}

type script struct {
	t      *testing.T
	box    *box
	store  *memory.Store
	backup *memory.Store
	view   *receive.View
}

func newScript(t *testing.T) *script {
	return &script{t: t, box: newBox(t), store: memory.New(nil), view: receive.NewView("box", store.DeviceState{})}
}

func (s *script) scan(line, format string, into ...any) {
	if _, err := fmt.Sscanf(line, format, into...); err != nil {
		s.t.Fatalf("script %q: want %q: %v", line, format, err)
	}
}

// run does one line:
//
//	epoch ID STREAM PARENT PARENT-END FIRST    begin a history (PARENT 0: a root)
//	extend ID TO VARIANT                       append readings
//	fork ID AT TO VARIANT                      other readings from AT on, as a resumed snapshot has
//	put ID boot|json|text|float|kind           append one special record
//	producer ID NAME INCARNATION SEQUENCE N    append one message of N readings
//	data ID FROM TO [OPTION…]                  a frame; options: crc body chain nodefs plain nonce=N
//	gap ID FROM TO REASON [nonce=N]
//	backup, restore, positions, rows ID
func (s *script) run(line string) []string {
	f := strings.Fields(line)
	var id, parent record.Epoch
	var from, to, at record.Offset
	var variant int64
	switch f[0] {
	case "epoch":
		var stream string
		s.scan(line, "epoch %d %s %d %d %d", &id, &stream, &parent, &at, &from)
		s.box.epoch(id, stream, parent, at, from)
	case "extend":
		s.scan(line, "extend %d %d %d", &id, &to, &variant)
		s.box.epochs[id].extend(to, variant)
	case "fork":
		s.scan(line, "fork %d %d %d %d", &id, &at, &to, &variant)
		h := s.box.epochs[id]
		h.recs = h.recs[: at-h.first : at-h.first]
		h.extend(to, variant)
	case "put":
		var what string
		s.scan(line, "put %d %s", &id, &what)
		h := s.box.epochs[id]
		h.recs = append(h.recs, special(s.t, what, h.end()))
	case "producer":
		var n record.Offset
		var p record.ProducerSpan
		s.scan(line, "producer %d %s %d %d %d", &id, &p.Name, &p.Incarnation, &p.Sequence, &n)
		h := s.box.epochs[id]
		p.From, p.To = h.end(), h.end()+n
		h.producers = append(h.producers, p)
		h.extend(p.To, 0)
	case "data":
		s.scan(line, "data %d %d %d", &id, &from, &to)
		return s.frame(s.data(id, record.Range{From: from, To: to}, f[4:]))
	case "gap":
		var why record.Reason
		s.scan(line, "gap %d %d %d %d", &id, &from, &to, &why)
		return s.frame(s.box.gap(s.box.epochs[id], record.Range{From: from, To: to}, why, nonce(f[5:])))
	case "backup":
		s.backup = s.store.Backup()
	case "restore":
		s.store.Restore(s.backup)
		st, _ := s.store.Positions(context.Background(), "box")
		s.view.Reset(st)
	case "positions":
		st, _ := s.store.Positions(context.Background(), "box")
		var out []string
		for i := range st.Positions {
			out = append(out, position(&st.Positions[i]))
		}
		for _, p := range st.Producers {
			out = append(out, fmt.Sprintf("producer %s:%d took %s", p.Name, p.Incarnation, p.Taken))
		}
		return out
	case "rows":
		s.scan(line, "rows %d", &id)
		var b strings.Builder
		for _, r := range s.store.Rows("box", s.box.epochs[id].stream, id) {
			fmt.Fprintf(&b, " %d=%s", r.Offset, r.Record.AppendText(nil))
			if r.Late {
				b.WriteString("(late)")
			}
		}
		return []string{"rows" + b.String()}
	default:
		s.t.Fatalf("script %q", line)
	}
	return nil
}

func nonce(options []string) wire.Nonce {
	n := wire.Nonce(1)
	for _, o := range options {
		fmt.Sscanf(o, "nonce=%d", &n)
	}
	return n
}

func (s *script) data(id record.Epoch, r record.Range, options []string) *wire.Data {
	codec := record.CodecColumns
	for _, o := range options {
		if o == "plain" {
			codec = record.CodecPlain
		}
	}
	d := s.box.data(s.box.epochs[id], r, codec, nonce(options))
	for _, o := range options {
		switch o {
		case "crc":
			d.CRC++
		case "body":
			d.Body = append([]byte{0xff, 0xff}, d.Body...)
			d.CRC = wire.Checksum(d.Body)
		case "chain":
			d.ChainEnd++
		case "nodefs":
			d.Definitions = nil
		}
	}
	return d
}

func special(t *testing.T, what string, o record.Offset) record.Record {
	r := reading(o, 0)
	r.Num = 0
	anchor := record.Anchor{Boot: "b00t", BootTime: 5e9, UTC: 1e18, Source: record.SourceNTP}
	switch what {
	case "boot", "anchor":
		kind := record.KindBoot
		if what == "anchor" {
			kind = record.KindAnchor
		}
		m, err := record.MarkRecord(kind, record.Stamp{Time: int64(o), Clock: record.ClockBoot}, record.BootMark{Anchor: anchor})
		if err != nil {
			t.Fatal(err)
		}
		return m
	case "json":
		r.Type, r.Data = record.TypeJSON, &record.Data{Value: []byte(`{"broken":`)}
	case "text":
		r.Type, r.Data = record.TypeString, &record.Data{Value: []byte("\xff")}
	case "kind":
		r.Kind, r.Type = 9, record.TypeInt
	default:
		t.Fatalf("put %q", what)
	}
	return r
}

// frame decides and commits, and compares the view with the store.
func (s *script) frame(f wire.Frame) []string {
	d := s.view.Decide(f, decoder{})
	line := d.Outcome.String()
	if v := d.Outcome.Verdict(); v != wire.VerdictOK && v.String() != line {
		line += " verdict " + v.String()
	}
	if d.Parent != 0 {
		line += fmt.Sprintf(" for %d", uint64(d.Parent))
	}
	out := []string{line}
	for i := range d.Changes {
		out = append(out, change(&d.Changes[i]))
	}
	for _, n := range d.Notices {
		out = append(out, "notice "+n)
	}
	res, err := s.store.Commit(context.Background(), d.Changes)
	if err != nil {
		s.t.Fatalf("%v: %v", out, err)
	}
	for i, r := range res {
		if !r.Applied {
			s.t.Fatalf("%v: change %d was not applied", out, i)
		}
	}
	h := f.Header()
	c, _ := s.view.ReadBack(receive.Key{Stream: h.Stream, Epoch: h.Epoch})
	res, err = s.store.Commit(context.Background(), []store.Change{c})
	if err != nil {
		s.t.Fatal(err)
	}
	p := res[0].Position
	if res[0].Applied != (p.Epoch != 0) {
		s.t.Fatalf("%v: the view says next %d, the store %d", out, c.From, p.Next)
	}
	if p.Epoch == 0 {
		return append(out, "= unknown")
	}
	return append(out, "= "+position(&p))
}

func change(c *store.Change) string {
	var b strings.Builder
	if c.Create {
		fmt.Fprintf(&b, "create first %d, ", c.First)
		if c.Parent != 0 {
			fmt.Fprintf(&b, "parent %d to %d, ", uint64(c.Parent), c.ParentEnd)
		}
	}
	fmt.Fprintf(&b, "%d to %d", c.From, c.To)
	if len(c.Rows) > 0 {
		fmt.Fprintf(&b, ", rows [%d,%d)", c.RowBase, c.RowBase+record.Offset(len(c.Rows)))
	}
	if c.Late {
		b.WriteString(" late")
	}
	for _, d := range c.Definitions {
		fmt.Fprintf(&b, ", define %d", d.ID)
	}
	b.WriteString(lists(c.Gaps, c.Skips))
	for _, g := range c.ShrinkGaps {
		fmt.Fprintf(&b, ", gap at %d now [%d,%d)", g.At, g.Now.From, g.Now.To)
		if g.At == g.Now.From {
			fmt.Fprintf(&b, " %s", g.Now.Reason)
		}
	}
	for _, d := range c.DeadLetters {
		fmt.Fprintf(&b, ", dead %d: %s", d.Offset, d.Reason)
	}
	for _, p := range c.Producers {
		fmt.Fprintf(&b, ", producer %s:%d took %s", p.Name, p.Incarnation, p.Taken)
	}
	if c.Boot != "" {
		fmt.Fprintf(&b, ", boot %s", c.Boot)
	}
	if len(c.Anchors) > 0 {
		fmt.Fprintf(&b, ", anchors %d", len(c.Anchors))
	}
	if c.Quarantine {
		b.WriteString(", quarantine")
	}
	return b.String()
}

func lists(gaps []record.Gap, skips []store.Skip) string {
	var b strings.Builder
	for _, g := range gaps {
		fmt.Fprintf(&b, ", gap [%d,%d) %s", g.From, g.To, g.Reason)
	}
	for _, k := range skips {
		fmt.Fprintf(&b, ", skip [%d,%d) %s", k.From, k.To, k.Reason)
	}
	return b.String()
}

func position(p *store.Position) string {
	s := fmt.Sprintf("%s %d: next %d, rows %d", p.Stream, uint64(p.Epoch), p.Next, p.Rows)
	if p.End != 0 {
		s += fmt.Sprintf(", end %d", p.End)
	}
	s += lists(p.Gaps, p.Skipped)
	if p.Quarantined {
		s += ", quarantined"
	}
	account := uint64(p.Next-p.First) - p.Rows
	for _, g := range p.Gaps {
		account -= g.Len()
	}
	for _, k := range p.Skipped {
		account -= k.Len()
	}
	if account != 0 {
		s += fmt.Sprintf(", UNACCOUNTED %d", int64(account))
	}
	return s
}

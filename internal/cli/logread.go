package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/term"
)

func streamFlag(s *flag.FlagSet, f *logFlags) { s.StringVar(&f.stream, "stream", "", "") }

func (a *app) logVerify(ctx context.Context, args []string) error {
	f, _, d, err := a.parseLog("verify", args, 0, streamFlag)
	if err != nil {
		return err
	}
	if f.file != "" && f.stream != "" {
		return usagef("log verify: a portable file is verified whole, without --stream")
	}
	if f.file != "" {
		r, err := a.portable(f.file, "log verify").Verify(ctx)
		if err != nil {
			return err
		}
		return a.show(r, func() string { return a.view().portable(r) }, r.OK)
	}
	r, err := d.Verify(ctx, f.stream)
	if err != nil {
		return err
	}
	return a.show(r, func() string { return a.view().verification(r) }, r.OK)
}

func (v view) portable(r *logtool.PortableReport) string {
	t := term.Table{Head: []string{"STREAM", "FROM", "TO", "RECORDS", "MISSING", ""}, Right: []bool{false, true, true, true, true, false}, Gap: 2}
	var notes strings.Builder
	for _, s := range r.Streams {
		state := "ok"
		if len(s.Problems) > 0 {
			state = "DAMAGED"
		}
		t.Row(s.Stream, term.CommaU(s.From), term.CommaU(s.To), term.CommaU(s.Records), term.CommaU(s.Missing), state)
		for _, p := range s.Problems {
			notes.WriteString("!  " + term.Wrap(s.Stream+": "+p, 80, "   ") + "\n")
		}
	}
	if r.Damage != "" {
		notes.WriteString("!  " + term.Wrap("The file ends early: "+r.Damage+". What stands before is good, and edge-hub import takes it.", 80, "   ") + "\n")
	}
	if r.OK {
		notes.WriteString("The file is whole.\n")
	}
	return fmt.Sprintf("%s: %s of device %s, made %s\n\n%s\n%s", r.File, term.Bytes(r.Bytes), r.Device, r.Made.Format(time.RFC3339), v.table(&t), notes.String())
}

func (v view) verification(r *logtool.VerifyReport) string {
	t := term.Table{Head: []string{"STREAM", "SEGMENTS", "SIZE", "BATCHES", "RECORDS", ""}, Right: []bool{false, true, true, true, true, false}, Gap: 2}
	var b strings.Builder
	for _, s := range r.Streams {
		state := "ok"
		if !s.OK {
			state = "DAMAGED"
		}
		t.Row(s.Stream, term.Comma(int64(s.Segments)), term.Bytes(s.Bytes), term.CommaU(s.Batches), term.CommaU(s.Records), state)
		verifyFiles(&b, &s)
		for _, p := range s.Problems {
			b.WriteString("!  " + term.Wrap(s.Stream+": "+p, 80, "   ") + "\n")
		}
		for _, g := range s.Gaps {
			switch {
			case g.Reason != "corrupt" && g.Reason != "lost-by-disk":
			case g.Known:
				fmt.Fprintf(&b, "   %s: offsets %s to %s are a recorded gap (%s)\n", s.Stream, term.CommaU(g.From), term.CommaU(g.To), g.Reason)
			default:
				fmt.Fprintf(&b, "!  %s: offsets %s to %s are lost (%s, %s)\n", s.Stream, term.CommaU(g.From), term.CommaU(g.To), g.Reason, term.Count(g.Count, "record"))
			}
		}
	}
	out := v.table(&t)
	if b.Len() > 0 {
		out += "\n" + b.String()
	}
	if r.OK {
		return out + "\nEvery segment is whole; every offset is there or explained.\n"
	}
	return out + "\nThe agent goes on with such a log: it delivers what is whole and names the rest.\nInto a fresh directory: edgectl log salvage " + r.Dir + " DST\n"
}

func verifyFiles(b *strings.Builder, s *logtool.StreamCheck) {
	for _, f := range s.Files {
		switch {
		case f.Held != "":
			b.WriteString("!  " + term.Wrap(f.File+" is kept but cannot be read: "+f.Held, 80, "   ") + "\n")
		case len(f.Faults) > 0:
			b.WriteString("!  " + f.File + "\n")
		case f.TornBytes > 0:
			b.WriteString("   " + f.File + "\n")
		}
		for _, x := range f.Faults {
			b.WriteString("   " + term.Wrap(fmt.Sprintf("byte %s: %s", term.Comma(x.Pos), x.Reason), 80, "   ") + "\n")
		}
		if f.More > 0 {
			fmt.Fprintf(b, "   and %d more places\n", f.More)
		}
		for _, l := range f.Lost {
			if len(f.Faults) == 0 {
				break // recorded damage of a file that was written anew
			}
			fmt.Fprintf(b, "   takes offsets %s to %s (%s)\n", term.CommaU(l.From), term.CommaU(l.To), term.Count(l.Count, "record"))
		}
		if f.TornBytes > 0 {
			fmt.Fprintf(b, "   an unfinished tail of %s: normal after a power cut, or while the agent writes\n", term.Bytes(f.TornBytes))
		}
	}
}

func (a *app) logInspect(ctx context.Context, args []string) error {
	f, _, d, err := a.parseLog("inspect", args, 0, streamFlag)
	if err != nil {
		return err
	}
	r, err := d.Inspect(ctx, f.stream)
	if err != nil {
		return err
	}
	return a.show(r, func() string { return a.inspectText(r) }, true)
}

func (a *app) span(first, last time.Time) string {
	if first.IsZero() {
		return "time unknown"
	}
	return term.Clock(first.In(a.Zone), a.now()) + " to " + term.Clock(last.In(a.Zone), a.now())
}

func perRecord(bytes int64, records uint64) string {
	if records == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f B", float64(bytes)/float64(records))
}

func (a *app) inspectText(r *logtool.InspectReport) string {
	var b strings.Builder
	for i, s := range r.Streams {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s   %s in %s   %s\n", strings.ToUpper(s.Stream), term.Bytes(s.Bytes), term.Count(len(s.Segments), "segment"), a.span(s.First, s.Last))
		fmt.Fprintf(&b, "  offsets   low %s   delivered %s   end %s\n", term.CommaU(s.Low), term.CommaU(s.Delivered), term.CommaU(s.Durable))
		fmt.Fprintf(&b, "  records   %s of %d series in %s batches   %s each in a body\n", term.CommaU(s.Records), s.Series, term.CommaU(s.Batches), perRecord(s.BodyBytes, s.Records))
		if s.RawBytes > 0 {
			fmt.Fprintf(&b, "  bodies    %s, %.0f %% of what they are without zstd\n", term.Bytes(s.BodyBytes), 100*float64(s.BodyBytes)/float64(s.RawBytes))
		}
		for _, c := range s.Cursors {
			fmt.Fprintf(&b, "  cursor    %s at %s\n", c.Name, term.CommaU(c.Offset))
		}
		for _, p := range s.Producers {
			fmt.Fprintf(&b, "  producer  %s %s at %s\n", p.Name, p.Incarnation, term.CommaU(p.Sequence))
		}
		for _, g := range s.Gaps {
			fmt.Fprintf(&b, "  gap       %s to %s (%s), %s\n", term.CommaU(g.From), term.CommaU(g.To), term.Count(g.Count, "record"), g.Reason)
		}
		t := term.Table{Head: []string{"  EPOCH", "PARENT", "FIRST", "END", "SERIES"}, Right: []bool{false, false, true, true, true}, Gap: 2}
		for _, e := range s.Epochs {
			t.Row("  "+e.Epoch, or(e.Parent, "root"), term.CommaU(e.First), term.CommaU(e.End), fmt.Sprint(e.Series))
		}
		if len(s.Epochs)+len(s.Segments) > 0 {
			b.WriteString(a.view().table(&t))
			a.inspectSegments(&b, s.Segments)
		}
	}
	return b.String()
}

// inspectSegments lists the files: the last few, or all with -o wide.
func (a *app) inspectSegments(b *strings.Builder, list []logtool.SegmentContent) {
	const few = 8
	if a.g.output != "wide" && len(list) > few {
		fmt.Fprintf(b, "  %d older segments; -o wide lists all\n", len(list)-few)
		list = list[len(list)-few:]
	}
	t := term.Table{Head: []string{"  BASE", "END", "RECORDS", "BATCHES", "SIZE", "STATE", "TIME"}, Right: []bool{true, true, true, true, true, false, false}, Gap: 2}
	for _, s := range list {
		t.Row("  "+term.CommaU(s.Base), term.CommaU(s.End), term.CommaU(s.Records), term.CommaU(s.Batches), term.Bytes(s.Bytes), s.State, or(s.Note, a.span(s.First, s.Last)))
	}
	b.WriteString(a.view().table(&t))
}

func (a *app) logDump(ctx context.Context, args []string) error {
	f, _, d, err := a.parseLog("dump", args, 0, func(s *flag.FlagSet, f *logFlags) {
		streamFlag(s, f)
		s.StringVar(&f.series, "series", "", "")
		s.StringVar(&f.since, "since", "", "")
		s.StringVar(&f.until, "until", "", "")
		s.Uint64Var(&f.from, "from", 0, "")
		s.Uint64Var(&f.to, "to", 0, "")
		s.BoolVar(&f.csv, "csv", false, "")
	})
	if err != nil {
		return err
	}
	q := logtool.Selection{Stream: f.stream, Series: f.series, From: f.from, To: f.to}
	for _, t := range []struct {
		flag, text string
		into       *time.Time
	}{{"--since", f.since, &q.Since}, {"--until", f.until, &q.Until}} {
		if t.text == "" {
			continue
		}
		if *t.into, err = cmdline.Time(t.text, a.now()); err != nil {
			return usagef("%s: %w", t.flag, err)
		}
	}
	if f.file != "" {
		p := a.portable(f.file, "log dump")
		p.Progress = nil // the records are the progress
		return a.dump(ctx, p, q, f.csv)
	}
	d.Progress = nil
	return a.dump(ctx, d, q, f.csv)
}

// dumper is what records are read from: a log directory or a portable file.
type dumper interface {
	Records(context.Context, logtool.Selection, func(*api.Record) error) error
}

// dump prints records as JSON lines or CSV.
func (a *app) dump(ctx context.Context, d dumper, q logtool.Selection, asCSV bool) error {
	p := a.printer()
	p.a = &app{Env: a.Env, g: a.g}
	p.a.g.json = true
	if !asCSV {
		err := d.Records(ctx, q, p.record)
		return errors.Join(err, p.out.Flush())
	}
	c := csv.NewWriter(p.out)
	if err := c.Write([]string{"stream", "epoch", "offset", "time", "kind", "series", "value", "unit", "quality", "detail"}); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	err := d.Records(ctx, q, func(r *api.Record) error { return c.Write(csvRow(r)) })
	c.Flush()
	return errors.Join(err, c.Error(), p.out.Flush())
}

// csvRow is one record; a gap has its reason as quality and the offset behind it as value.
func csvRow(r *api.Record) []string {
	value, quality, at := string(r.Value), r.Quality, ""
	var text string
	switch {
	case r.Gap != nil:
		value, quality = fmt.Sprint(r.Gap.To), r.Gap.Reason
	case value == "null":
		value = ""
	case json.Unmarshal(r.Value, &text) == nil:
		value = text
	}
	if !r.Time.IsZero() {
		at = r.Time.Format(time.RFC3339Nano)
	}
	return []string{r.Stream, r.Epoch, fmt.Sprint(r.Offset), at, r.Kind, r.Series, value, r.Unit, quality, r.Detail}
}

func (a *app) logSize(ctx context.Context, args []string) error {
	f, _, d, err := a.parseLog("size", args, 0, streamFlag)
	if err != nil {
		return err
	}
	r, err := d.Size(ctx, f.stream, a.Zone)
	if err != nil {
		return err
	}
	return a.show(r, func() string { return a.sizeText(r) }, true)
}

func (a *app) sizeText(r *logtool.SizeReport) string {
	const fewSeries, fewDays = 20, 10
	t := term.Table{Head: []string{"STREAM", "SIZE", "BODIES", "RECORDS", "SERIES"}, Right: []bool{false, true, true, true, true}, Gap: 2}
	var bodies int64
	for _, s := range r.Streams {
		t.Row(s.Stream, term.Bytes(s.Bytes), term.Bytes(s.BodyBytes), term.CommaU(s.Records), fmt.Sprint(s.Series))
		bodies += s.BodyBytes
	}
	b := a.view().table(&t) + "\n"
	limit := func(n, few int) int {
		if a.g.output == "wide" {
			return n
		}
		return min(n, few)
	}
	narrow := a.Style.Width() < 80 && a.g.output != "wide"
	t = term.Table{Head: []string{"PER DAY", "SIZE", "SHARE", "RECORDS", "EACH", "SERIES"}, Right: []bool{true, true, true, true, true, false}, Gap: 2}
	n := limit(len(r.Series), fewSeries)
	for _, s := range r.Series[:n] {
		name, share := s.Stream+" "+or(s.Series, "(marks)"), fmt.Sprintf("%.0f %%", 100*float64(s.Bytes)/float64(max(bodies, 1)))
		if narrow {
			b += fmt.Sprintf("%s a day   %s   %s\n  %s\n", term.Bytes(s.PerDay), share, term.Count(s.Records, "record"), a.Style.Clip(a.Style.Text(name), a.Style.Width()-2))
			continue
		}
		t.Row(term.Bytes(s.PerDay), term.Bytes(s.Bytes), share, term.CommaU(s.Records), perRecord(s.Bytes, s.Records), a.Style.Clip(name, 38))
	}
	if !narrow {
		b += t.String()
	}
	if n < len(r.Series) {
		b += fmt.Sprintf("and %d more series; -o wide lists all\n", len(r.Series)-n)
	}
	t = term.Table{Head: []string{"DAY", "BODIES", "RECORDS"}, Right: []bool{false, true, true}, Gap: 2}
	n = limit(len(r.Days), fewDays)
	for _, d := range r.Days[:n] {
		t.Row(or(d.Day, "not known"), term.Bytes(d.Bytes), term.CommaU(d.Records))
	}
	b += "\n" + a.view().table(&t)
	if n < len(r.Days) {
		b += fmt.Sprintf("and %d more days; -o wide lists all\n", len(r.Days)-n)
	}
	return b
}

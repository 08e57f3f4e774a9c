package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/logquery"
	"github.com/edgelog/edgelog/internal/term"
)

// printer writes records as lines.
type printer struct {
	a   *app
	out *bufio.Writer
}

func (a *app) printer() *printer { return &printer{a: a, out: bufio.NewWriterSize(a.Stdout, 64<<10)} }

func (p *printer) record(r *api.Record) error {
	if p.a.g.json {
		data, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode record: %w", err)
		}
		p.out.Write(data) // the error stays in the buffer and comes back from Flush
		return p.out.WriteByte('\n')
	}
	_, err := p.out.WriteString(p.a.view().record(r) + "\n")
	return err
}

// end writes the last line of a query.
func (p *printer) end(e api.QueryEnd) error {
	if p.a.g.json {
		data, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		p.out.Write(append(data, '\n'))
	}
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	if e.Records == 0 && !p.a.g.json {
		fmt.Fprintln(p.a.Stderr, "edgectl: no record is like that; edgectl status lists the streams, edgectl sensors the series")
	}
	if e.Truncated && !p.a.g.json {
		fmt.Fprintf(p.a.Stderr, "edgectl: stopped after %s records; --limit N shows more\n", term.CommaU(e.Records))
	}
	return nil
}

// configMark is what the agent writes down of a reload.
type configMark struct {
	Event   string   `json:"event"`
	By      string   `json:"by"`
	Applied []string `json:"applied"`
	Restart []string `json:"needs_restart"`
}

// markText says what a boot, anchor or configuration mark means; other marks stay as they are.
func markText(r *api.Record, value string) string {
	var c configMark
	if json.Unmarshal(r.Value, &c) == nil && c.Event == "reload" {
		text := "reload by " + c.By + ": " + strings.Join(c.Applied, ", ")
		if len(c.Restart) > 0 {
			text += "; needs a restart: " + strings.Join(c.Restart, ", ")
		}
		return text
	}
	var m record.BootMark
	if json.Unmarshal(r.Value, &m) != nil || m.State == "" {
		return value
	}
	text := "clock " + m.State
	if m.Good() {
		text += " (" + string(m.Source) + ", ±" + term.Duration(time.Duration(m.Error)) + ")"
	}
	if r.Kind == record.KindBoot.String() {
		text = "edge-agent " + m.Agent + " opened the log, " + text
	}
	return text
}

// record is one line: time, series, value, and the quality where it is not good.
func (v view) record(r *api.Record) string {
	at := "time unknown                 "
	if !r.Time.IsZero() {
		at = r.Time.In(v.now.Location()).Format("2006-01-02T15:04:05.000Z07:00")
		if r.TError > 0 { // no clock had been found for that boot: a bound, not a time
			at = "~" + at
		}
	}
	phone := v.style.TTY && v.style.Width() < 80 && !v.wide
	if phone { // the day only where it is another, and what it is of below
		at = strings.Replace(strings.TrimSpace(at), v.now.Format("2006-01-02T"), "", 1)
	}
	if g := r.Gap; g != nil {
		return v.clean(fmt.Sprintf("%s  GAP of %s in %s: %s", at, term.Count(g.Count, "record"), r.Stream, g.Reason))
	}
	if line, ok := npuLine(r); ok && !v.wide {
		return v.clean(at + "  " + line)
	}
	if line, ok := alarmLine(r); ok && !v.wide {
		return v.clean(at + "  " + line)
	}
	name := r.Series
	if name == "" {
		name = "[" + r.Kind + "]"
	}
	var text string
	value := string(r.Value)
	if json.Unmarshal(r.Value, &text) == nil && strings.HasPrefix(value, `"`) {
		value = text
	}
	if value == "null" || value == "" {
		value = "-"
	}
	if r.Kind != record.KindObservation.String() {
		value = markText(r, value)
	}
	if r.Unit != "" && text == "" {
		value = term.Decimal(value)
	}
	if unit := unitText(r.Unit); unit != "" && value != "-" {
		value += " " + unit
	}
	if r.Quality != "good" && r.Quality != "" {
		value += "  " + r.Quality
	}
	line := at + "  " + name + "  " + value
	if phone {
		return v.clean(strings.ReplaceAll(at+"  "+value, "\n", " ")) + "\n  " + v.clean(strings.ReplaceAll(name, "\n", " "))
	}
	reason := why(r)
	if reason != "" {
		line += " (" + reason + ")"
	}
	if v.wide {
		line += fmt.Sprintf("  %s/%s/%d", r.Stream, r.Epoch, r.Offset)
		if r.Detail != "" && reason == "" {
			line += "  detail " + r.Detail
		}
	}
	return v.clean(strings.ReplaceAll(line, "\n", " "))
}

func (a *app) tail(ctx context.Context, args []string) error {
	follow, n := false, api.DefaultTail
	words, err := a.parse("tail", args, 1, func(f *flag.FlagSet) {
		f.BoolVar(&follow, "f", false, "")
		f.BoolVar(&follow, "follow", false, "")
		f.IntVar(&n, "n", n, "")
	})
	if err != nil {
		return err
	}
	if n < 1 || n > api.MaxTail {
		return usagef("-n %d: possible are 1 to %s", n, term.Comma(api.MaxTail))
	}
	stream := ""
	if len(words) == 1 {
		stream = words[0]
	}
	p := a.printer()
	each := func(r *api.Record) error {
		if err := p.record(r); err != nil || !follow {
			return err
		}
		return p.out.Flush()
	}
	end, err := a.client.Tail(ctx, stream, n, follow, each)
	switch {
	case follow && ctx.Err() != nil:
		return p.out.Flush() // a person ended it: that is its ordinary end
	case errors.Is(err, api.ErrUnreachable) && !follow:
		return a.offline(ctx, err, func(r *logquery.Reader) error {
			var count uint64
			err := r.Tail(ctx, stream, n, false, func(rec *api.Record) error { count++; return each(rec) }, func() error { return nil })
			return errors.Join(err, p.end(api.QueryEnd{SchemaVersion: api.SchemaVersion, End: true, Records: count}))
		})
	case err != nil:
		p.out.Flush()
		return err
	}
	return p.end(end)
}

func (a *app) query(ctx context.Context, args []string) error {
	var since, until string
	var q api.Query
	_, err := a.parse("query", args, 0, func(f *flag.FlagSet) {
		f.StringVar(&since, "since", "", "")
		f.StringVar(&until, "until", "", "")
		f.StringVar(&q.Series, "series", "", "")
		f.StringVar(&q.Stream, "stream", "", "")
		f.Uint64Var(&q.Limit, "limit", 0, "")
	})
	if err != nil {
		return err
	}
	if q.Limit > api.MaxQueryRecords {
		return usagef("--limit %d: possible are 1 to %s", q.Limit, term.Comma(api.MaxQueryRecords))
	}
	for _, t := range []struct {
		flag, text string
		into       *time.Time
	}{{"--since", since, &q.Since}, {"--until", until, &q.Until}} {
		if t.text == "" {
			continue
		}
		if *t.into, err = cmdline.Time(t.text, a.now()); err != nil {
			return usagef("%s: %w", t.flag, err)
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return usagef("--since %s is not before --until %s", since, until)
	}
	p := a.printer()
	end, err := a.client.Query(ctx, q, p.record)
	if errors.Is(err, api.ErrUnreachable) {
		return a.offline(ctx, err, func(r *logquery.Reader) error {
			var n uint64
			cut, err := r.Query(ctx, q, nil, func(rec *api.Record) error { n++; return p.record(rec) })
			return errors.Join(err, p.end(api.QueryEnd{SchemaVersion: api.SchemaVersion, End: true, Records: n, Truncated: cut}))
		})
	}
	if err != nil {
		p.out.Flush()
		return err
	}
	return p.end(end)
}

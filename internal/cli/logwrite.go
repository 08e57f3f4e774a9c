package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
)

// device is the id under which the hub files an export: of the flag, else of the configuration if the log is this box's.
func (a *app) device(flag, dir string, own bool) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if own {
		if c, err := config.Load(a.g.config, a.Host); err == nil && c.Device != "" {
			return c.Device, nil
		}
	}
	return "", usagef("%s is not known to be this box's log: --device names the box (edge-hub status lists them)", dir)
}

func (a *app) logExport(ctx context.Context, args []string) error {
	f, words, d, err := a.parseLog("export", args, 1, func(s *flag.FlagSet, f *logFlags) {
		streamFlag(s, f)
		s.BoolVar(&f.sinceDelivered, "since-delivered", false, "")
		s.StringVar(&f.device, "device", "", "")
	})
	if err != nil {
		return err
	}
	return a.export(ctx, d, words[0], len(words) == 1, f)
}

func (a *app) export(ctx context.Context, d logtool.Dir, file string, own bool, f logFlags) error {
	device, err := a.device(f.device, d.Path, own)
	if err != nil {
		return err
	}
	r, err := d.Export(ctx, filepath.ToSlash(file), logtool.ExportOptions{Device: device, Stream: f.stream, SinceDelivered: f.sinceDelivered,
		Program: "edgectl " + version.String(), Now: a.Now()})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; choose another name, or remove it once the hub has it", file)
	}
	if err != nil {
		return err
	}
	whole := true
	for _, s := range r.Streams {
		whole = whole && s.Held == "" && len(s.Lost) == 0
	}
	return a.show(r, func() string { return a.view().export(r) }, whole)
}

func (v view) export(r *logtool.ExportReport) string {
	t := term.Table{Head: []string{"STREAM", "FROM", "TO", "RECORDS", "MISSING"}, Right: []bool{false, true, true, true, true}, Gap: 2}
	var notes strings.Builder
	for _, s := range r.Streams {
		t.Row(s.Stream, term.CommaU(s.From), term.CommaU(s.To), term.CommaU(s.Records), term.CommaU(s.Missing))
		for _, g := range s.Lost {
			fmt.Fprintf(&notes, "!  %s: offsets %s to %s are lost (%s)\n", s.Stream, term.CommaU(g.From), term.CommaU(g.To), g.Reason)
		}
		if s.Held != "" {
			notes.WriteString("!  " + term.Wrap(s.Stream+" ends early: "+s.Held, 80, "   ") + "\n")
		}
	}
	if !r.Remembered {
		notes.WriteString("!  " + term.Wrap("The directory cannot be written ("+r.Why+"): the ack file of this export will not count on it. The hub says over the network what it has.", 80, "   ") + "\n")
	}
	out := fmt.Sprintf("%s: %s of device %s\n\n%s\n%s", r.File, term.Bytes(r.Bytes), r.Device, v.table(&t), notes.String())
	return out + "At the centre: edge-hub import " + filepath.Base(r.File) + "\nBack here, if you like: edgectl log import " + filepath.Base(r.File) + carry.AckSuffix + "\n"
}

func (a *app) logImport(ctx context.Context, args []string) error {
	_, words, d, err := a.parseLog("import", args, 1, func(*flag.FlagSet, *logFlags) {})
	if err != nil {
		return err
	}
	f, err := os.Open(words[0])
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := d.Deliver(ctx, f)
	if err != nil {
		return fmt.Errorf("%s: %w", words[0], changeError(err))
	}
	return a.show(r, func() string {
		t := term.Table{Head: []string{"STREAM", "DELIVERED BEFORE", "NOW", "NEW"}, Right: []bool{false, true, true, true}, Gap: 2}
		var notes strings.Builder
		for _, s := range r.Streams {
			t.Row(s.Stream, term.CommaU(s.Before), term.CommaU(s.After), term.CommaU(s.After-s.Before))
			for _, n := range s.Notes {
				notes.WriteString("!  " + term.Wrap(s.Stream+": "+n, 80, "   ") + "\n")
			}
		}
		return a.view().table(&t) + notes.String()
	}, true)
}

func (a *app) logSalvage(ctx context.Context, args []string) error {
	var f logFlags
	words, err := a.parse("log", args, 2, func(s *flag.FlagSet) {
		streamFlag(s, &f)
		s.StringVar(&f.key, "key-file", "", "")
		s.BoolVar(&f.portable, "portable", false, "")
		s.BoolVar(&f.lines, "lines", false, "")
		s.StringVar(&f.device, "device", "", "")
	})
	if err != nil {
		return err
	}
	if len(words) != 2 || f.portable && f.lines {
		return usagef("log salvage: its form is edgectl log %s", form("salvage"))
	}
	d, err := a.logTool(words[0], "log salvage", f.key)
	if err != nil {
		return err
	}
	switch {
	case f.portable:
		return a.export(ctx, d, words[1], false, f)
	case f.lines:
		return a.salvageLines(ctx, d, words[1], f.stream)
	case f.stream != "":
		return usagef("log salvage: --stream goes with --portable or --lines; a directory takes all streams")
	}
	r, err := d.Salvage(ctx, filepath.ToSlash(words[1]))
	if _, e := a.Host.Stat(words[1]); errors.Is(err, fs.ErrExist) && e == nil {
		return fmt.Errorf("%s exists: what is saved goes into a fresh directory; name another one", words[1])
	}
	if err != nil {
		return err
	}
	return a.showSalvage(r)
}

// salvageLines writes all records that can be read as JSON lines, gaps included.
func (a *app) salvageLines(ctx context.Context, d logtool.Dir, name, stream string) error {
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	b := &app{Env: a.Env, g: a.g}
	b.Stdout = out
	err = b.dump(ctx, d, logtool.Selection{Stream: stream}, false)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	r, err := d.Losses(ctx)
	if err != nil {
		return err
	}
	r.Destination = name
	return a.showSalvage(r)
}

func (a *app) showSalvage(r *logtool.SalvageReport) error {
	return a.show(r, func() string {
		t := term.Table{Head: []string{"STREAM", "SAVED", "LOST"}, Right: []bool{false, true, true}, Gap: 2}
		var notes strings.Builder
		for _, s := range r.Streams {
			lost := uint64(0)
			for _, g := range s.Lost {
				lost += g.Count
				fmt.Fprintf(&notes, "!  %s: offsets %s to %s (%s): %s\n", s.Stream, term.CommaU(g.From), term.CommaU(g.To), term.Count(g.Count, "record"), g.Reason)
			}
			for _, h := range s.Held {
				notes.WriteString("   " + s.Stream + "/" + filepath.Base(h) + ": not readable by this program, kept as it is\n")
			}
			t.Row(s.Stream, term.CommaU(s.Records), term.CommaU(lost))
		}
		out := a.view().table(&t) + "\n" + notes.String()
		if r.Lost == 0 {
			out += "Nothing was lost. "
		}
		return out + r.Destination + " has every record that can be read; " + r.Source + " is as it was.\n"
	}, r.Lost == 0)
}

func (a *app) logErase(ctx context.Context, args []string) error {
	f, _, d, err := a.parseLog("erase", args, 0, func(s *flag.FlagSet, f *logFlags) {
		streamFlag(s, f)
		s.Uint64Var(&f.from, "from", 0, "")
		s.Uint64Var(&f.to, "to", 0, "")
		s.StringVar(&f.keyID, "key", "", "")
		s.BoolVar(&f.dryRun, "dry-run", false, "")
		s.BoolVar(&f.yes, "yes", false, "")
	})
	if err != nil {
		return err
	}
	if f.stream == "" {
		return usagef("log erase needs --stream: what shall go?")
	}
	plan, err := d.PlanErase(ctx, logtool.Erasure{Stream: f.stream, From: f.from, To: f.to, Key: f.keyID})
	if errors.Is(err, logtool.ErrNothing) {
		return fmt.Errorf("%w: only whole segments are erased. edgectl log inspect -o wide lists them; nothing was changed", err)
	}
	if err != nil {
		return err
	}
	if !f.dryRun {
		if !f.yes {
			what := fmt.Sprintf("%s of %s will be erased for good, %s of them not delivered.", term.Count(plan.Records, "record"), f.stream, term.CommaU(plan.Undelivered))
			if err := a.confirm(what, "erase"); err != nil {
				return err
			}
		}
		if err := d.Erase(ctx, plan); err != nil {
			return changeError(err)
		}
	}
	return a.show(plan, func() string { return a.view().erasure(plan) }, true)
}

func (v view) erasure(p *logtool.ErasePlan) string {
	t := term.Table{Head: []string{"SEGMENT", "FROM", "TO", "SIZE"}, Right: []bool{false, true, true, true}, Gap: 2}
	for _, s := range p.Segments {
		t.Row(s.File, term.CommaU(s.From), term.CommaU(s.To), term.Bytes(s.Bytes))
	}
	sum := fmt.Sprintf("%s of %s, %s; %s of them not delivered.", term.Count(p.Records, "record"), p.Stream, term.Bytes(p.Bytes), term.CommaU(p.Undelivered))
	if p.DryRun {
		return v.table(&t) + "\nWould erase " + sum + "\nNothing was changed.\n"
	}
	return v.table(&t) + "\nErased " + sum + "\nA gap says so, here and at the hub.\n"
}

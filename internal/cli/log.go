package cli

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

// logCommand is one verb of `edgectl log`.
type logCommand struct {
	name, args, short string
	run               func(a *app, ctx context.Context, args []string) error
}

func logCommands() []logCommand {
	return []logCommand{
		{"verify", "[DIR] [--stream S]", "read every byte; say exactly what is damaged", (*app).logVerify},
		{"inspect", "[DIR] [--stream S]", "segments, epochs, positions, times, compression", (*app).logInspect},
		{"dump", "[DIR] [--csv] [--stream S] [--series S] [--since T] [--until T] [--from N] [--to N]", "records as JSON lines or CSV", (*app).logDump},
		{"size", "[DIR] [--stream S]", "what fills the disk: bytes per series and day", (*app).logSize},
		{"salvage", "SRC DST [--portable | --lines]", "every undamaged record; what was lost", (*app).logSalvage},
		{"export", "FILE [DIR] [--stream S] [--since-delivered] [--device D]", "a portable file to carry to the hub", (*app).logExport},
		{"import", "FILE.ack [DIR]", "what the hub has of an export counts as delivered", (*app).logImport},
		{"erase", "[DIR] --stream S [--from N] [--to N] [--key ID] [--dry-run] [--yes]", "remove whole segments; recorded as a gap", (*app).logErase},
	}
}

// logHelp is the page of `edgectl help log`.
func logHelp() string {
	t := term.Table{Gap: 2}
	for _, c := range logCommands() {
		t.Row("  edgectl log "+c.name, c.short)
	}
	return t.String() + `
DIR is a log directory, or the data directory around it; default is that of this
box. All but import and erase only read, and work beside a running agent or on
the disk of a dead box. verify and dump take a portable file in its place.

  edgectl log verify /mnt/var/lib/edge-agent
  edgectl log dump --series temperature --since 2h --csv > t.csv
  edgectl log salvage /mnt/old/log /var/lib/edge-agent/log
  edgectl log export /media/stick/box-17.edge --since-delivered
  edgectl log import /media/stick/box-17.edge.ack     with the agent stopped
  edgectl log erase --stream telemetry --to 120000 --dry-run

  --stream S          only this stream
  --series S          dump: only series that have S in their key
  --since T --until T dump: by time; --from N --to N: by offset (erase too)
  --csv               dump: CSV instead of JSON lines
  --portable, --lines salvage: into a portable file, or JSON lines
  --since-delivered   export: only what is not known to be delivered
  --device D          export, salvage --portable: the id of the box
  --key-file FILE     of an encrypted log; default is that of the configuration
  --key ID            erase: only what this key opens (inspect names it), lost too
  --dry-run, --yes    erase: only show it; do not ask
`
}

func (a *app) log(ctx context.Context, args []string) error {
	var names []string
	for _, c := range logCommands() {
		if len(args) > 0 && args[0] == c.name {
			return c.run(a, ctx, args[1:])
		}
		names = append(names, c.name)
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		return a.helpOn("log")
	}
	return usagef("there is no command %q; there are log %s", "log "+args[0], strings.Join(names, ", log "))
}

// logFlags are the flags of the verbs.
type logFlags struct {
	stream, series, since, until, device string
	key, keyID                           string
	from, to                             uint64
	csv, portable, lines, sinceDelivered bool
	dryRun, yes                          bool
	file                                 string // a portable file in the place of DIR
}

// parseLog reads a verb's arguments: at least need words, then DIR if there is one more.
func (a *app) parseLog(verb string, args []string, need int, register func(*flag.FlagSet, *logFlags)) (f logFlags, words []string, d logtool.Dir, err error) {
	words, err = a.parse("log", args, need+1, func(s *flag.FlagSet) {
		s.StringVar(&f.key, "key-file", "", "")
		register(s, &f)
	})
	if err != nil {
		return f, nil, d, err
	}
	if len(words) < need {
		return f, nil, d, usagef("log %s: its form is edgectl log %s", verb, form(verb))
	}
	dir := ""
	if len(words) > need {
		dir = words[need]
	}
	if info, e := a.Host.Stat(dir); dir != "" && e == nil && info.Mode().IsRegular() {
		if verb != "verify" && verb != "dump" {
			return f, nil, d, usagef("log %s: %s is a file, and a log is a directory; of a portable file there are log verify and log dump", verb, dir)
		}
		f.file = dir
		return f, words, d, nil
	}
	d, err = a.logTool(dir, "log "+verb, f.key)
	return f, words, d, err
}

func form(verb string) string {
	for _, c := range logCommands() {
		if c.name == verb {
			return c.name + " " + c.args
		}
	}
	return verb
}

// logTool is the log in a directory, "" for that of this box, with a progress bar.
func (a *app) logTool(dir, label, keyFile string) (logtool.Dir, error) {
	e, named := config.Encryption{KeyFile: keyFile}, dir != ""
	if dir == "" {
		if c, err := config.Load(a.g.config, a.Host); err == nil && keyFile == "" {
			e = c.Storage.Encryption
		}
		dir = a.logDir()
	} else if _, err := a.Host.Stat(config.LogDir(dir)); err == nil {
		dir = config.LogDir(dir)
	}
	if info, err := a.Host.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return logtool.Dir{}, &noLogError{dir, named}
	} else if err != nil {
		return logtool.Dir{}, fmt.Errorf("read log directory: %w", err)
	}
	keys, err := e.Keys(a.Host.ReadFile)
	if err != nil {
		return logtool.Dir{}, err
	}
	return logtool.Dir{FS: vfs.OS{}, Path: filepath.ToSlash(dir), Keys: keys, Progress: a.progressBar(label)}, nil
}

// progressBar shows how far a tool is.
func (a *app) progressBar(label string) func(done, total int64) {
	p := &term.Progress{Out: a.Stderr, Style: a.Style, Label: label, Start: a.Now(), Unit: term.Bytes}
	return func(done, total int64) {
		p.Total = total
		p.Update(a.Now(), done)
		if done == total && a.Style.TTY {
			fmt.Fprint(a.Stderr, "\r\x1b[K") // the report takes its place
		}
	}
}

// portable is a portable file in the place of a log directory: it is only read.
func (a *app) portable(path, label string) logtool.Portable {
	return logtool.Portable{FS: vfs.OS{}, Path: filepath.ToSlash(path), Progress: a.progressBar(label)}
}

// show prints a value for programs or its text for people, and ends with the exit code of a degraded box if not ok.
func (a *app) show(v any, text func() string, ok bool) error {
	var err error
	if a.g.json {
		err = a.json(v)
	} else {
		err = a.narrow(text())
	}
	if err == nil && !ok {
		return &exit{code: ExitDegraded}
	}
	return err
}

// confirm asks a person to type a word; without one --yes is needed.
func (a *app) confirm(what, word string) error {
	if a.Stdin == nil || !a.StdinTTY {
		return usagef("%s Nobody can be asked here: add --yes, or see --dry-run", what)
	}
	fmt.Fprint(a.Stderr, a.Style.Text(what)+" Type "+word+": ")
	line, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if strings.TrimSpace(line) == word {
		return nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read answer: %w", err)
	}
	return &exit{ExitError, fmt.Errorf("not confirmed; nothing was changed")}
}

// changeError says what to do when the log is in use.
func changeError(err error) error {
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("the agent runs on this log: stop it first (systemctl stop edge-agent), and start it afterwards: %w", err)
	}
	return err
}

package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
)

// Exit codes. They are part of the interface.
const (
	ExitOK          = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitDegraded    = 3 // degraded, or a proof failed
	ExitUnreachable = 4 // the hub does not run
)

// Env is the machine as the program sees it.
type Env struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	StdinTTY       bool       // a person can be asked
	Style          term.Style // of Stdout
	Now            func() time.Time
	Zone           *time.Location
}

// OS is the machine that the program runs on.
func OS() Env {
	tty, _ := term.Terminal(os.Stdin)
	return Env{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, StdinTTY: tty,
		Style: term.DetectFile(os.Stdout), Now: time.Now, Zone: time.Local}
}

// app is one run of the program.
type app struct {
	Env
	file   string // configuration
	db     string // store, instead of the configuration's
	asJSON bool
	utc    bool
	wide   bool
	probe  func(*flag.FlagSet) // asks for a command's flags in place of running it
}

// command is one verb.
type command struct {
	name, args, short string
	run               func(a *app, ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"run", "", "receive from the broker into the store", (*app).cmdRun},
		{"check", "", "check the configuration", (*app).cmdCheck},
		{"status", "[DEVICE]", "devices, lag and what is wrong, worst first", (*app).cmdStatus},
		{"account", "[DEVICE]", "what the hub has of every stream; does it balance", (*app).cmdAccount},
		{"verify", "", "read every row: nothing doubled, missing or out of order", (*app).cmdVerify},
		{"count", "[--series LIKE] [--device D] [--stream S]", "count rows", (*app).cmdCount},
		{"purge", "[--before T] [--max-bytes N] [--dry-run] [--yes]", "remove old rows; the account keeps their number", (*app).cmdPurge},
		{"import", "FILE [--ack FILE]", "take a log that was carried by hand; write its ack file", (*app).cmdImport},
		{"migrate", "--to FILE", "move positions to the store of another configuration", (*app).cmdMigrate},
		{"quarantine", "[resolve DEVICE STREAM EPOCH]", "list epochs whose history differs; take them again", (*app).cmdQuarantine},
		{"command", "DEVICE OP --key FILE [--why TEXT]", "one signed command to one box, carried out once", (*app).cmdCommand},
		{"enrol", "add|revoke DEVICE | list | audit", "who may get a certificate, with a one-time code", (*app).cmdEnrol},
		{"rollout", "create FILE | list | show [ID] | pause|resume|abort ID | audit | events", "releases on their way to the fleet", (*app).cmdRollout},
		{"bench", "[--devices N] [--rate R] [--every D] [--for D] [--catch-up D]", "measure a hub on this machine with virtual agents", (*app).cmdBench},
		{"completion", "bash|zsh|fish", "completions for the shell", (*app).cmdCompletion},
		{"version", "", "the version of this program", (*app).cmdVersion},
		{"help", "[COMMAND]", "this page", (*app).cmdHelp},
	}
}

const flagHelp = `Flags of every command
  --config FILE     default /etc/edge-hub/hub.yaml
  --db FILE         the store itself, where there is no configuration
  --json            for programs: a stable form with schema_version
  --utc             times in UTC, not in the zone of this machine
  -o wide           more rows: every epoch

Exit codes: 0 fine, 1 error, 2 wrong usage, 3 degraded or not proven, 4 the hub
does not run.
`

// exit is an error with an exit code; a nil err prints nothing more.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func usage(err error) error { return &exit{ExitUsage, err} }

func usagef(format string, args ...any) error { return &exit{ExitUsage, fmt.Errorf(format, args...)} }

// Main runs the program and returns its exit code.
func Main(ctx context.Context, env Env) int {
	a := &app{Env: env}
	err := a.main(ctx)
	var e *exit
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &e):
		if e.err != nil {
			a.complain(e.err)
		}
		return e.code
	case errors.Is(err, context.Canceled):
		return 130 // interrupted, as shells say it
	}
	a.complain(err)
	return ExitError
}

const asHub = "Run it as the hub's user: sudo -u edge-hub edge-hub ..."

func (a *app) complain(err error) {
	if wrong := (*strictyaml.Error)(nil); errors.As(err, &wrong) { // names file, line and column itself
		strictyaml.Tell(a.Stderr, err)
		if slices.ContainsFunc(wrong.Problems, func(p strictyaml.Problem) bool { return strings.HasSuffix(p.Text, "may not be read by this user") }) {
			fmt.Fprintln(a.Stderr, asHub)
		}
		return
	}
	fmt.Fprintln(a.Stderr, "edge-hub: "+a.Style.Text(err.Error()))
	switch {
	case errors.Is(err, sqlite.ErrDamaged):
		fmt.Fprintln(a.Stderr, "Stop the hub, keep a copy of the file, and try: sqlite3 FILE .recover. Then start it again: the devices\n"+
			"send what is missing as far as they still hold it.")
	case errors.Is(err, errNoFile):
	case errors.Is(err, os.ErrNotExist):
		fmt.Fprintln(a.Stderr, "Is it another file? See --config and --db.")
	case errors.Is(err, os.ErrPermission):
		fmt.Fprintln(a.Stderr, asHub+"\nTo try it as yourself, name places of your own in the configuration: store and run_dir.")
	}
}

func (a *app) main(ctx context.Context) error {
	f := a.flags("edge-hub", new(string))
	switch err := f.Parse(a.Args); {
	case errors.Is(err, flag.ErrHelp):
		return a.help()
	case err != nil:
		return usage(cmdline.Then(cmdline.Explain(f, err), "edge-hub help lists all"))
	case f.NArg() == 0:
		return a.help()
	}
	if f.Arg(0) == cmdline.CompleteCommand {
		return a.complete(ctx, f.Args()[1:])
	}
	before, name := a.Args[:len(a.Args)-f.NArg()], f.Arg(0) // flags may stand before the command, too
	for _, c := range commands() {
		if c.name == name {
			return c.run(a, ctx, append(slices.Clone(before), f.Args()[1:]...))
		}
	}
	return unknownCommand(name)
}

// flags are those of every command.
func (a *app) flags(name string, output *string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&a.file, "config", cmp.Or(a.file, DefaultFile), "")
	f.StringVar(&a.db, "db", a.db, "")
	f.BoolVar(&a.asJSON, "json", a.asJSON, "")
	f.BoolVar(&a.utc, "utc", a.utc, "")
	f.StringVar(output, "o", "", "")
	return f
}

// parse reads a command's flags, which may stand before and after its other arguments. At most max of those are allowed.
func (a *app) parse(name string, args []string, max int, more func(*flag.FlagSet)) ([]string, error) {
	output := ""
	f := a.flags(name, &output)
	if more != nil {
		more(f)
	}
	if a.probe != nil {
		a.probe(f)
		return nil, errFlagsOnly
	}
	words, err := cmdline.Parse(f, args, max)
	if errors.Is(err, flag.ErrHelp) {
		if err := a.help(name); err != nil {
			return nil, err
		}
		return nil, &exit{code: ExitOK}
	}
	if err != nil {
		return nil, usage(cmdline.Then(fmt.Errorf("%s: %w", name, err), "edge-hub help "+name+" shows its form"))
	}
	switch output {
	case "":
	case "wide":
		a.wide = true
	case "json":
		a.asJSON = true
	default:
		return nil, usagef("-o %s: there are wide and json", output)
	}
	if a.utc {
		a.Zone = time.UTC
	}
	return words, nil
}

// place is the store and, where there is a configuration, the status socket.
func (a *app) place() (s Store, socket string, err error) {
	if a.db != "" {
		return Store{SQLite: a.db}, "", nil
	}
	c, err := Load(a.file)
	if err != nil {
		return Store{}, "", err
	}
	return c.Store, c.StatusSocket(), nil
}

// reader opens the store for reading.
func (a *app) reader(ctx context.Context) (s engine, socket string, err error) {
	db, socket, err := a.place()
	if err != nil {
		return nil, "", err
	}
	s, err = db.open(ctx, true, a.Now)
	return s, socket, err
}

// writer opens the store for a change; it must exist.
func (a *app) writer(ctx context.Context) (engine, error) {
	db, _, err := a.place()
	if err != nil {
		return nil, err
	}
	if err := db.mustExist(); err != nil {
		return nil, err
	}
	return db.open(ctx, false, a.Now)
}

func (a *app) now() time.Time { return a.Now().In(a.Zone) }

// json prints one value for programs.
func (a *app) json(v any) error {
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// text prints for people.
func (a *app) text(s string) error {
	if _, err := io.WriteString(a.Stdout, a.Style.Text(s)); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

func (a *app) cmdHelp(_ context.Context, args []string) error {
	words, err := a.parse("help", args, 1, nil)
	if err != nil {
		return err
	}
	return a.help(words...)
}

// help prints the page of all commands, or that of one.
func (a *app) help(words ...string) error {
	if len(words) > 0 {
		for _, c := range commands() {
			if c.name == words[0] {
				return a.page(fmt.Sprintf("edge-hub %s\n\n%s.\n\n%s%s", strings.TrimSpace(c.name+" "+c.args), c.short, details(c.name), flagHelp))
			}
		}
		return unknownCommand(words[0])
	}
	t := term.Table{Gap: 2}
	for _, c := range commands() {
		t.Row("  "+c.name, c.short)
	}
	return a.page("edge-hub receives the logs of Edgelog devices into the central store.\n\n  edge-hub COMMAND [flags]\n" +
		"  edge-hub help COMMAND   its words, flags and examples\n\n" + t.String() + "\n" + flagHelp)
}

// page prints a page that was written for 80 columns.
func (a *app) page(text string) error {
	return a.text(term.Page(a.Style.Text(text), a.Style.Width()))
}

// narrow prints what is laid out for 80 columns, broken where the terminal has fewer.
func (a *app) narrow(text string) error {
	if a.Style.Width() < 80 {
		return a.page(text)
	}
	return a.text(text)
}

func unknownCommand(word string) error {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return usage(cmdline.Then(cmdline.Unknown("command", word, names), "edge-hub help lists all"))
}

func details(name string) string {
	switch name {
	case "purge":
		return "  edge-hub purge --before 90d --dry-run     what would go\n  edge-hub purge --before 2026-01-01        rows certainly taken before\n" +
			"  edge-hub purge --max-bytes 50GiB          those that arrived first\n\n" +
			"Positions, series, gaps and the account stay, so nothing is sent again.\n--keep-file leaves the file as large as it is.\n\n"
	case "quarantine":
		return "An epoch is in quarantine when a device came with another history than the hub\nhas: a resumed snapshot, a copied card, a bug. The device has closed it and goes\n" +
			"on in a new one. resolve lets the hub take frames of it again from its position;\none whose history still differs is quarantined again.\n\n"
	case "import":
		return "  edge-hub import /media/stick/box-17.edge\n\nFILE is what edgectl log export made at the box. It goes through the same rules as\n" +
			"frames from the network: importing it twice, or a network that returns later,\ndoubles nothing. The hub may run meanwhile. FILE.ack tells the box what arrived:\n" +
			"edgectl log import FILE.ack.\n\n"
	case "bench":
		return "  edge-hub bench --devices 1000                  a sample a second each, sent every 10 s\n" +
			"  edge-hub bench --devices 100 --rate 2000 --every 1s\n" +
			"  edge-hub bench --catch-up 24h --rate 100        one box comes back after a day\n\n" +
			"Starts a hub and a Mosquitto of its own in a directory that is removed afterwards\n(--dir keeps it) and touches no other. Offers 2 % more than asked for, prints\n" +
			"\"bench NAME VALUE UNIT\", and proves at the end that everything is stored once.\n\n"
	case "migrate":
		return "  edge-hub migrate --config hub.yaml --to new.yaml\n\nMoves what decides about the next frame: positions, series, gaps, producers,\nclocks. Stop every hub first. Rows stay in the old store, and nothing is sent\n" +
			"again. It may be repeated after an interruption.\n\n"
	case "rollout":
		return rolloutHelp
	case "enrol":
		return enrolHelp
	case "command":
		return commandHelp
	case "completion":
		return "  source <(edge-hub completion bash)                  in ~/.bashrc\n" +
			"  source <(edge-hub completion zsh)                   in ~/.zshrc, after compinit\n" +
			"  edge-hub completion fish > ~/.config/fish/completions/edge-hub.fish\n\n"
	case "count":
		return "  edge-hub count --series 'temperature%' --device box-17\n\nLIKE is matched against name{label=\"value\",...}.\n\n"
	}
	return ""
}

func (a *app) cmdVersion(_ context.Context, args []string) error {
	if _, err := a.parse("version", args, 0, nil); err != nil {
		return err
	}
	if a.asJSON {
		return a.json(struct {
			SchemaVersion int    `json:"schema_version"`
			Hub           string `json:"edge_hub"`
			Store         int    `json:"store_schema"`
		}{SchemaVersion, version.String(), sqlite.Schema})
	}
	return a.text(fmt.Sprintf("edge-hub %s, store schema %d\n", version.String(), sqlite.Schema))
}

func (a *app) cmdCheck(_ context.Context, args []string) error {
	if _, err := a.parse("check", args, 0, nil); err != nil {
		return err
	}
	c, err := Load(a.file)
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.json(struct {
			SchemaVersion int    `json:"schema_version"`
			OK            bool   `json:"ok"`
			Store         string `json:"store"`
		}{SchemaVersion, true, c.Store.place()})
	}
	return a.text(fmt.Sprintf("%s is fine: %s → %s\n", a.file, c.origin(), c.Store.place()))
}

// origin is where messages come from, for people.
func (c *Config) origin() string {
	switch {
	case c.Broker != nil:
		return c.Broker.URL
	case c.Embedded.TLS != nil:
		return "embedded broker on " + c.Embedded.TLS.Listen
	}
	return "embedded broker on " + c.Embedded.Listen
}

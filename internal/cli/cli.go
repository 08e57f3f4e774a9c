// Package cli is edgectl: what field engineers and operators type at a box.
//
// It is a thin client of the agent's control API. When the agent is dead it reads the log directory and the
// configuration itself. Everything that it touches comes in through Env, so that tests give it a machine of values.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
)

// Exit codes. They are part of the interface.
const (
	ExitOK          = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitDegraded    = 3 // degraded or failed
	ExitUnreachable = 4 // the agent does not answer
	ExitTrust       = 5 // a signature or certificate is not trusted
)

// Env is the machine as edgectl sees it.
type Env struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	StdinTTY       bool // a person can be asked
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Style          term.Style // of Stdout
	Now            func() time.Time
	Zone           *time.Location
	Host           config.Host
	// Run runs a program and returns its output, for journalctl.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
	// Child runs a program that must not be cut off: an interruption is passed on, and its end is awaited. It returns
	// what the program wrote and its exit status.
	Child func(ctx context.Context, name string, args ...string) (output []byte, status int, err error)
	// Dial tries a TCP address.
	Dial func(ctx context.Context, addr string) error
	// ReadClock says whether the kernel's clock is synchronised, and the bound of its error.
	ReadClock func() (synchronised bool, errorBound time.Duration, err error)
	// Note leaves a line in the box's own log; nil: nowhere.
	Note func(line string)
}

// OS is the machine that the program runs on.
func OS() Env {
	tty, _ := term.Terminal(os.Stdin)
	return Env{
		Args: os.Args[1:], Stdin: os.Stdin, StdinTTY: tty, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Style: term.DetectFile(os.Stdout), Now: time.Now, Zone: time.Local, Host: config.OS{},
		Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
			return exec.CommandContext(ctx, name, args...).Output()
		},
		Child: func(ctx context.Context, name string, args ...string) ([]byte, int, error) {
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			out, err := cmd.CombinedOutput()
			var status *exec.ExitError
			if errors.As(err, &status) {
				return out, status.ExitCode(), nil
			}
			return out, 0, err
		},
		Dial: func(ctx context.Context, addr string) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return conn.Close()
		},
		ReadClock: readClock,
		Note:      note,
	}
}

// app is one run.
type app struct {
	Env
	g      globals
	client *api.Client
	flags  func(*flag.FlagSet) // asks for a command's flags in place of running it
}

// command is one verb.
type command struct {
	name  string
	args  string // after the name, for help
	short string
	run   func(a *app, ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"status", "", "is it reading, keeping, delivering; what is wrong and what to do", (*app).status},
		{"sensors", "[watch] [TEXT] [--every 2s]", "every sensor with its latest reading; watch: again and again", (*app).sensors},
		{"scan", "[PORT...] [--list]", "what is connected to this box, and how to configure it", (*app).scan},
		{"modbus", "scan|read|profiles", "try a Modbus line on the bench; works without the agent", (*app).modbus},
		{"tail", "[-f] [-n N] [STREAM]", "the latest records of a stream; -f follows", (*app).tail},
		{"query", "[--since T] [--until T] [--series S] [--stream S]", "records from the box's own log", (*app).query},
		{"account", "", "where every record is; does it balance", (*app).account},
		{"faults", "[ack ID]", "what is or was wrong; ack: I know of it", (*app).faults},
		{"explain", "CODE", "what a fault means and what to do", (*app).explain},
		{"doctor", "", "look for the cause; works with the agent dead", (*app).doctor},
		{"pipeline", "[try --since T --name NAME]", "what is computed on the log; try: over its past", (*app).pipeline},
		{"npu", "[run --model M FILE…]", "the NPU: chips, models, queue; run a model on files", (*app).npu},
		{"log", "verify|inspect|dump|size|salvage|export|import|erase", "the log on disk, of a dead box too", (*app).log},
		{"node", "list|show|set|flash|monitor", "microcontroller nodes: look, set, new firmware", (*app).node},
		{"update", "[explain|history|hold|pause|abort|import|…]", "updates of this box: how far, why not, stop, import", (*app).update},
		{"enrol", "CODE", "get this box's certificate with a one-time code", (*app).enrol},
		{"keys", "new NAME", "a key for signing releases", (*app).signingKeys},
		{"release", "prepare|add|freeze|sign|publish|verify", "make and check signed releases", (*app).release},
		{"version", "", "versions of edgectl and of the agent", (*app).version},
		{"completion", "bash|zsh|fish", "completions for the shell", (*app).completion},
		{"help", "[COMMAND]", "this page", (*app).help},
	}
}

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

func usagef(format string, args ...any) error {
	return &exit{ExitUsage, fmt.Errorf(format, args...)}
}

// Main runs edgectl and returns its exit code.
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
	case errors.Is(err, api.ErrUnreachable):
		a.complain(err)
		fmt.Fprintln(a.Stderr, "edgectl doctor says why. Is it another directory? See --run-dir.")
		return ExitUnreachable
	case errors.Is(err, api.ErrForbidden):
		if a.Note != nil && strings.Contains(err.Error(), api.ControlSocket) {
			a.noteRefused()
		}
		a.complain(err)
		fmt.Fprintln(a.Stderr, "Use sudo, or join the group of the socket: usermod -aG edge-view $USER (edge-ops for changes).")
		return ExitError
	default:
		a.complain(err)
		if errors.Is(err, fs.ErrPermission) {
			fmt.Fprintln(a.Stderr, "This user may not: use sudo.")
		}
		return ExitError
	}
}

func (a *app) complain(err error) {
	fmt.Fprintln(a.Stderr, "edgectl: "+a.Style.Text(err.Error()))
}

func (a *app) main(ctx context.Context) error {
	g, rest, err := parseGlobals(a.Args, a.Getenv)
	if err != nil {
		return err
	}
	a.g = g
	if g.help || len(rest) == 0 {
		return a.help(ctx, nil)
	}
	if rest[0] == cmdline.CompleteCommand {
		return a.complete(ctx, rest[1:])
	}
	for _, c := range commands() {
		if c.name == rest[0] {
			return c.run(a, ctx, rest[1:])
		}
	}
	return usage(unknownCommand(rest[0]))
}

// open takes over the flags: zone, sockets.
func (a *app) open() {
	if a.g.utc {
		a.Zone = time.UTC
	}
	a.client = api.NewClient(a.g.runDir)
}

// now is the time in the zone that people see.
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
	if _, err := io.WriteString(a.Stdout, s); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// stateExit is the exit code of an overall state.
func stateExit(state string) error {
	switch state {
	case api.StateOK:
		return nil
	case api.StateDown:
		return &exit{code: ExitUnreachable}
	}
	return &exit{code: ExitDegraded}
}

// versions is the JSON of version.
type versions struct {
	SchemaVersion int    `json:"schema_version"`
	Edgectl       string `json:"edgectl"`
	Agent         string `json:"agent,omitempty"`
	Device        string `json:"device,omitempty"`
}

func (a *app) version(ctx context.Context, args []string) error {
	if _, err := a.parse("version", args, 0, nil); err != nil {
		return err
	}
	v := versions{SchemaVersion: api.SchemaVersion, Edgectl: version.String()}
	if s, err := a.client.Status(ctx); err == nil { // without an agent its version is not known: that is no error
		v.Agent, v.Device = s.Version, s.Device
	}
	if a.g.json {
		return a.json(v)
	}
	agent := "edge-agent does not answer"
	if v.Agent != "" {
		agent = "edge-agent " + v.Agent + " on " + v.Device
	}
	return a.text(a.Style.Text("edgectl "+v.Edgectl+"\n"+agent) + "\n")
}

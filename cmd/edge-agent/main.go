// Edge-agent is the daemon on the box: sensors to a durable log to the central broker.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/edgelog/edgelog/agent"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/sdnotify"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
)

const usage = `edge-agent: sensors to a durable log to the central broker

  edge-agent run   [--config FILE]   run (as a service, or in the foreground)
  edge-agent check [--config FILE]   check a configuration; nothing is changed
  edge-agent enrol CODE [flags]      get this box's certificate with a one-time code
  edge-agent version

FILE is /etc/edge-agent/agent.yaml if not given. SIGTERM stops after a last commit; SIGHUP reads FILE again.
Exit status: 0 fine, 1 error, 2 usage, 5 (enrol) refused.
`

// Exit statuses.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// recentBytes of the log are kept for those who ask from afar.
const recentBytes = 64 << 10

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	if args[0] == "enrol" {
		return enrolCommand(args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("edge-agent "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", config.DefaultFile, "configuration `FILE`")
	command := args[0]
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	switch command {
	case "run", "check":
	case "version", "--version":
		fmt.Fprintln(stdout, "edge-agent", version.String())
		return exitOK
	case "help", "--help", "-h":
		fmt.Fprint(stdout, usage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "edge-agent: unknown command %q\n\n%s", command, usage)
		return exitUsage
	}
	c, err := config.Load(*file, config.OS{})
	if err != nil {
		strictyaml.Tell(stderr, err)
		return exitError
	}
	err = agent.CheckSources(c.Sources)
	if err == nil {
		err = agent.CheckNodes(c.Nodes)
	}
	if err != nil {
		strictyaml.Tell(stderr, fmt.Errorf("%s: %w", *file, err))
		return exitError
	}
	if command == "check" {
		fmt.Fprintf(stdout, "%s: fine. Device %s, %d sources, %d lines of nodes, %d streams.\n", *file, c.Device, len(c.Sources), len(c.Nodes), len(c.Streams))
		return exitOK
	}
	if err := serve(c, *file, stderr); err != nil {
		fmt.Fprintln(stderr, "edge-agent:", err)
		return exitError
	}
	return exitOK
}

func serve(c *config.Config, file string, stderr io.Writer) error {
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // a small box has more time than memory
	}
	recent := &term.Recent{Max: recentBytes}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(stderr, recent), &slog.HandlerOptions{Level: level}))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	a, err := agent.New(ctx, agent.Options{Config: c, File: file, Log: log, Level: level, Recent: recent.String})
	if err != nil {
		return err
	}
	reloads := sdnotify.OnReload(ctx, func() {
		if r, err := a.Reload(ctx, "SIGHUP"); err != nil || r.Error != "" {
			log.Error("configuration not reloaded; the old one stays", "err", reason(r, err))
		}
	})
	err = a.Run(ctx)
	stop()
	reloads()
	return err
}

func reason(r *api.Reload, err error) string {
	if err != nil {
		return err.Error()
	}
	return r.Error
}

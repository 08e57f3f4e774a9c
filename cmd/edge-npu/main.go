// Command edge-npu is the worker around the Ascend NPU of a box; see package ascend/npu.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/edgelog/edgelog/ascend/acl"
	"github.com/edgelog/edgelog/ascend/npu"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/sdnotify"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/version"
)

const usage = `edge-npu runs models on the Ascend NPU of this box and gives their results to the
agent.

  edge-npu run    [--config FILE]   work until SIGTERM; SIGHUP: new models
  edge-npu check  [--config FILE]   check a configuration; nothing is changed
  edge-npu doctor [--config FILE] [--report FILE]
                                    the checklist of the first day with a card
  edge-npu version

FILE is /etc/edge-agent/npu.yaml if not given.

Exit status: 0 fine, 1 error, 2 usage, 3 doctor found something, 75 the device
needs a new process (systemd starts it).
`

// Exit statuses.
const (
	exitOK    = 0
	exitError = 1
	exitFound = 3
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("edge-npu", flag.ContinueOnError)
	file := flags.String("config", npu.DefaultFile, "")
	report := flags.String("report", "", "")
	command, status := cmdline.Program{Name: "edge-npu", Usage: usage, Commands: []string{"run", "check", "doctor"}}.Command(args, flags, stdout, stderr)
	if command == "" {
		return status
	}
	c, err := npu.Load(*file)
	if err != nil {
		strictyaml.Tell(stderr, err)
		return exitError
	}
	switch command {
	case "check":
		fmt.Fprintf(stdout, "%s: fine. %d models, %d directories, %d windows.\n", *file, len(c.Models), len(c.Files), len(c.Windows))
		return exitOK
	case "doctor":
		return doctor(c, *report, stdout, stderr)
	}
	if err := serve(c, *file, stderr); err != nil {
		fmt.Fprintln(stderr, "edge-npu:", err)
		return exitError
	}
	return exitOK
}

func doctor(c *npu.Config, report string, stdout, stderr io.Writer) int {
	var out io.Writer = stdout
	if report != "" {
		f, err := os.Create(report)
		if err != nil {
			fmt.Fprintln(stderr, "edge-npu:", err)
			return exitError
		}
		defer f.Close()
		out = io.MultiWriter(stdout, f)
	}
	if !npu.Doctor(c, out) {
		return exitFound
	}
	return exitOK
}

func serve(c *npu.Config, file string, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	lib, err := acl.Open(acl.Options{Path: c.ACL})
	if err == nil {
		err = lib.Init()
	}
	if err != nil {
		lib = nil
		log.Error("no NPU runtime", "err", err)
	} else if lib.Simulated() != "" {
		log.Warn("SIMULATED: this is a stand-in library, not the vendor's", "library", lib.Paths())
	}
	if lib != nil && len(lib.SignalsRestored()) > 0 {
		log.Warn("the runtime's libraries had installed signal handlers; they were taken out", "signals", lib.SignalsRestored())
	}
	w, nerr := npu.New(npu.Options{Config: c, Library: lib, LibraryError: err, Version: version.String(), Log: log})
	if nerr != nil {
		return nerr
	}
	reloads := sdnotify.OnReload(ctx, func() { reload(w, file, log) })
	if err := sdnotify.Notify(sdnotify.Ready); err != nil {
		log.Warn("systemd not told", "err", err)
	}
	err = w.Run(ctx)
	stop()
	reloads()
	if lib != nil && err == nil {
		err = lib.Finalize()
	}
	return err
}

func reload(w *npu.Worker, file string, log *slog.Logger) {
	c, err := npu.Load(file)
	if err != nil {
		log.Error("configuration not reloaded; the old one stays", "err", err)
		return
	}
	if waits := w.Reload(c); len(waits) > 0 {
		log.Warn("a part of the new configuration waits for a restart", "what", waits)
	}
}

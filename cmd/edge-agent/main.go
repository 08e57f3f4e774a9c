// Edge-agent is the daemon on the box: sensors to a durable log to the central broker.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/edgelog/edgelog/agent"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/sdnotify"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

const usage = `edge-agent: sensors to a durable log to the central broker

  edge-agent run   [--config FILE]   run (as a service, or in the foreground)
  edge-agent check [--config FILE]   check a configuration; nothing is changed
  edge-agent enrol CODE [flags]      get this box's certificate with a one-time code
  edge-agent version

FILE is /etc/edge-agent/agent.yaml if not given. SIGTERM stops after a last
commit; SIGHUP reads FILE again.

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
	if len(args) > 0 && args[0] == "enrol" {
		return enrolCommand(args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("edge-agent", flag.ContinueOnError)
	file := flags.String("config", config.DefaultFile, "")
	command, status := cmdline.Program{Name: "edge-agent", Usage: usage, Commands: []string{"run", "check", "enrol"}}.Command(args, flags, stdout, stderr)
	if command == "" {
		return status
	}
	c, err := config.Load(*file, config.OS{})
	if err == nil {
		err = agent.Check(c)
	}
	if err != nil {
		strictyaml.Tell(stderr, err)
		return exitError
	}
	if command == "check" {
		check(stdout, *file, c)
		return exitOK
	}
	if err := serve(c, *file, stderr); err != nil {
		fmt.Fprintln(stderr, "edge-agent:", err)
		switch {
		case errors.Is(err, fs.ErrPermission):
			fmt.Fprintf(stderr, "As a service it may: systemctl start edge-agent. To try it as yourself, name places of your own: data_dir and run_dir in %s,\n"+
				"and edgectl --run-dir DIR.\n", *file)
		case errors.Is(err, vfs.ErrLocked):
			fmt.Fprintf(stderr, "Another agent runs on %s (edgectl status --run-dir %s): stop it, or give this one another data_dir and run_dir.\n", c.DataDir, c.RunDir)
		}
		return exitError
	}
	return exitOK
}

// check tells what a good configuration makes, and what is worth knowing of it.
func check(w io.Writer, file string, c *config.Config) {
	ports, _ := serial.List("/dev") // where they cannot be listed none are named
	var names []string
	for _, p := range ports {
		names = append(names, cmp.Or(p.Stable, p.Path, p.Kernel))
	}
	to := "no uplink: records stay on this box"
	switch {
	case c.Uplink.MQTT != nil:
		to = "delivers to " + c.Uplink.MQTT.Broker
	case c.Uplink.Kafka != nil:
		to = "delivers to Kafka at " + strings.Join(c.Uplink.Kafka.Brokers, ", ")
	}
	fmt.Fprintf(w, "%s: fine. Device %s, %s, %s, %s; %s.\n", file, c.Device, term.Count(len(c.Sources), "source"),
		term.Count(len(c.Nodes), "line")+" of nodes", term.Count(len(c.Streams), "stream"), to)
	for _, n := range c.Notes(config.OS{}, names) {
		fmt.Fprintln(w, "note: "+term.Wrap(n, 80, "      "))
	}
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

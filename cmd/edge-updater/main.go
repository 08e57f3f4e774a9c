// Edge-updater verifies a release and puts it in force on this box. It is the only program that writes to /opt/edge, runs
// as root without a network, and believes nobody but the fleet's signed metadata.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/clocksync"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/vfs"
)

const usage = `edge-updater: verifies a release and puts it in force on this box

  edge-updater check --from DIR [--release NAME]
                   verify only; nothing is installed
  edge-updater apply --from DIR [--release NAME] [--retry]
                   verify, install, watch, and commit or roll back
  edge-updater request --from DIR
                   install what the agent has fetched (edge-update.service)
  edge-updater resume
                   finish what a restart interrupted (edge-updater.service)
  edge-updater status [--json]
                   the update that is open or was last, and the releases here
  edge-updater rescue
                   re-hash the release in force; if it is damaged, go back
                   (edge-rescue.service)
  edge-updater version

DIR holds metadata/ and targets/, as a mounted USB stick does; that of request
holds the agent's stage/ and apply. Without --release the newest one is taken.

  --root DIR       of releases (/opt/edge)
  --state DIR      of trust and journal (/var/lib/edge-updater)
  --run-dir DIR    of the agent's sockets (/run/edge-agent)
  --npu-dir DIR    of the NPU worker's socket (/run/edge-npu)
  --trust FILE     the fleet's first root (/etc/edge-agent/root.json)
  --orders FILE    of operators: hold, pause, abort
                   (/var/lib/edge-agent/update/orders.json)
  --product FILE   what this box is, NAME=VALUE (/etc/edge-agent/product)

Exit status: 0 fine, 1 error, 2 usage, 3 the update failed or was rolled back,
5 not trusted.
`

// Exit statuses.
const (
	exitOK     = 0
	exitError  = 1
	exitUsage  = 2
	exitFailed = 3
	exitTrust  = 5
)

type options struct {
	from, release, root, state, runDir, npuDir, trust, product, orders string
	retry, json                                                        bool
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	f := flag.NewFlagSet("edge-updater", flag.ContinueOnError)
	f.StringVar(&o.from, "from", "", "")
	f.StringVar(&o.release, "release", "", "")
	f.StringVar(&o.root, "root", "/opt/edge", "")
	f.StringVar(&o.state, "state", "/var/lib/edge-updater", "")
	f.StringVar(&o.runDir, "run-dir", "/run/edge-agent", "")
	f.StringVar(&o.npuDir, "npu-dir", api.DefaultNPURunDir, "")
	f.StringVar(&o.trust, "trust", "/etc/edge-agent/root.json", "")
	f.StringVar(&o.product, "product", "/etc/edge-agent/product", "")
	f.StringVar(&o.orders, "orders", "/var/lib/edge-agent/update/orders.json", "")
	f.BoolVar(&o.retry, "retry", false, "")
	f.BoolVar(&o.json, "json", false, "")
	commands := []string{"check", "apply", "request", "resume", "status", "rescue"}
	command, code := cmdline.Program{Name: "edge-updater", Usage: usage, Commands: commands}.Command(args, f, stdout, stderr)
	if command == "" {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, down := context.WithCancelCause(ctx)
	defer down(nil)
	term := make(chan os.Signal, 1) // the machine goes down, or the unit is stopped
	signal.Notify(term, syscall.SIGTERM)
	defer signal.Stop(term)
	go func() {
		select {
		case <-term:
			down(install.ErrInterrupted)
		case <-ctx.Done():
		}
	}()
	p := &program{o: o, out: stdout, err: stderr}
	switch command {
	case "check", "apply", "request":
		if o.from == "" {
			fmt.Fprintf(stderr, "edge-updater: %s: --from is missing; edge-updater help shows all\n", command)
			return exitUsage
		}
		if command == "request" {
			return p.request(ctx)
		}
		return p.with(false, func(s *update.Session) int { return p.take(ctx, s, command == "apply") })
	case "resume":
		return p.with(false, func(s *update.Session) int {
			txn, err := s.Resume(ctx)
			return p.ended(txn, err)
		})
	case "status":
		return p.with(true, p.status)
	default: // rescue
		looked := false
		code := p.with(false, func(s *update.Session) int {
			looked = true
			return p.rescue(ctx, s)
		})
		if looked {
			return code
		}
		return p.startAnyway(ctx, code)
	}
}

// startAnyway starts the agent where nothing could be looked at, as without a root of trust: its unit has given up by then, and a
// box that cannot be updated still takes readings.
func (p *program) startAnyway(ctx context.Context, code int) int {
	if p.locked { // whoever is at work starts one of the two agents, and is asked again
		return code
	}
	if err := (update.Systemd{}).StartStable(ctx); err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
		return code
	}
	fmt.Fprintln(p.out, "the agent was started again as it is")
	return code
}

type program struct {
	o        options
	out, err io.Writer
	muted    bool // that people are not told was said
	locked   bool // another edge-updater is at work
}

// with opens the box and gives it to f; peek only looks.
func (p *program) with(peek bool, f func(*update.Session) int) int {
	root, err := os.ReadFile(p.o.trust)
	if err != nil {
		fmt.Fprintf(p.err, "edge-updater: this box has no root of trust: %v\n", err)
		if errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(p.err, "Put the fleet's 1.root.json there: sudo install -D -m 644 1.root.json %s\n", p.o.trust)
		}
		return exitTrust
	}
	facts := release.Facts{"arch": runtime.GOARCH}
	if err := update.ReadFacts(p.o.product, facts); err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
		return exitError
	}
	agent := api.NewClient(p.o.runDir)
	var s *update.Session
	s, err = update.Box{FS: vfs.OS{}, Root: p.o.root, StateDir: p.o.state, FactoryRoot: root, Facts: facts, Now: clock,
		Units: update.Systemd{}, Judge: update.Judge{Agent: agent, Nodes: agent, NPU: api.NewNPUClient(p.o.npuDir)}, Nodes: update.Nodes{Agent: agent}, Running: running, Peek: peek, Publish: p.report, Orders: p.orders,
		Changed: func(t install.Txn) {
			fmt.Fprintf(p.err, "%s  %s %s\n", time.Now().Format("15:04:05"), t.Release, t.State)
			p.publish(s, nil)
		}}.Open()
	if p.locked = errors.Is(err, vfs.ErrLocked); p.locked {
		fmt.Fprintln(p.err, "edge-updater: another edge-updater is at work: see `edge-updater status`")
		return exitError
	}
	if err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
		return exitError
	}
	for _, wrong := range append(s.Trust.Recovered, s.Recovered...) {
		fmt.Fprintln(p.err, "edge-updater: damaged state was passed over:", wrong)
	}
	if !peek {
		if was, err := update.ReadPublic(vfs.OS{}, p.o.state); err == nil {
			p.publish(s, was.Refused)
		} else {
			p.publish(s, nil)
		}
	}
	code := f(s)
	if err := s.Close(); err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
	}
	return code
}

// report tells the people of the box, who are in the group that may look at the agent.
func (p *program) report(r update.Report) {
	group := -1
	if g, err := user.LookupGroup("edge-view"); err == nil {
		group, _ = strconv.Atoi(g.Gid) // a group's number is one
	}
	if err := r.Write(p.o.state, group); err != nil && !p.muted {
		p.muted = true
		fmt.Fprintln(p.err, "edge-updater: people are not told:", err)
	}
}

// orders of operators. What cannot be read holds nothing up but the start of an install.
func (p *program) orders() update.Orders {
	o, err := update.ReadOrders(p.o.orders)
	if err != nil {
		return update.Orders{Hold: &api.UpdateOrder{By: "edge-updater", Why: err.Error()}}
	}
	return o
}

// publish lets the agent know; that it cannot is no reason to stop.
func (p *program) publish(s *update.Session, refused *update.Refused) {
	if err := s.Publish(refused); err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
	}
}

// request installs what the agent asks for, if signed metadata vouches for it.
func (p *program) request(ctx context.Context) int {
	r, err := update.TakeRequest(p.o.from)
	if err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
		return exitError
	}
	if r == nil {
		fmt.Fprintln(p.out, "nothing is asked for")
		return exitOK
	}
	return p.with(false, func(s *update.Session) int {
		refuse := func(err error) int {
			p.publish(s, &update.Refused{Request: *r, Reason: update.Reason(err), Detail: err.Error(), At: time.Now().UTC().Truncate(time.Second)})
			return p.refused(err)
		}
		if !s.Journal().Txn.State.Terminal() { // an updater was killed in it
			if txn, err := s.Resume(ctx); err != nil {
				return p.ended(txn, err)
			}
		}
		src, err := update.OpenDirectory(filepath.Join(p.o.from, update.StageName))
		if err != nil {
			return refuse(err)
		}
		defer src.Close()
		offer, err := s.Check(src, r.Release)
		if err == nil && offer.Manifest != r.Manifest {
			err = &install.Error{Reason: install.BadHash, Err: fmt.Errorf("release %s has manifest %s, asked for is %s", r.Release, offer.Manifest, r.Manifest)}
		}
		if err != nil {
			return refuse(err)
		}
		before := s.Journal().Txn.ID
		id := newID()
		txn, err := s.Apply(ctx, src, offer, id, r.Tries)
		if err != nil && txn.ID == before { // it was not begun
			return refuse(err)
		}
		return p.ended(txn, err)
	})
}

func newID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// take verifies an offer and, if apply says so, installs it.
func (p *program) take(ctx context.Context, s *update.Session, apply bool) int {
	src, err := update.OpenDirectory(p.o.from)
	if err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
		return exitError
	}
	defer src.Close()
	offer, err := s.Check(src, p.o.release)
	if err != nil {
		return p.refused(err)
	}
	m := offer.Plan.Manifest
	fmt.Fprintf(p.out, "release %s (counter %d) is signed and meant for this box:\n", m.Release, m.Counter)
	for _, c := range offer.Plan.Components {
		fmt.Fprintf(p.out, "  %3d  %-24s %-10s %-12s %9s\n", c.Order, c.Name, c.Kind, c.Version, term.Bytes(c.Size))
	}
	if !apply {
		return exitOK
	}
	tries := 1
	if last := s.Journal().Txn; last.Manifest == offer.Manifest {
		tries = last.Tries
		if p.o.retry {
			tries++
		}
	}
	txn, err := s.Apply(ctx, src, offer, newID(), tries)
	if update.Reason(err) == install.Policy {
		return p.refused(err) // it was not begun
	}
	return p.ended(txn, err)
}

func (p *program) refused(err error) int {
	fmt.Fprintf(p.err, "edge-updater: not installed: %v\n", err)
	if trust.ReasonOf(err) != "" {
		return exitTrust
	}
	return exitFailed
}

func (p *program) ended(t install.Txn, err error) int {
	if err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
		return exitError
	}
	switch t.State {
	case "":
		fmt.Fprintln(p.out, "no update was open")
	case install.Committed:
		fmt.Fprintf(p.out, "release %s is in force\n", t.Release)
	default:
		fmt.Fprintf(p.out, "release %s was not kept (%s, %s): %s\n", t.Release, t.State, t.Reason, t.Detail)
	}
	for _, u := range t.Unfinished {
		fmt.Fprintf(p.out, "  needs a person: %s\n", u)
	}
	if t.State != install.Committed && t.State != "" || len(t.Unfinished) > 0 {
		return exitFailed
	}
	return exitOK
}

func (p *program) status(s *update.Session) int {
	r := s.Report()
	if r.Problem != "" {
		fmt.Fprintln(p.err, "edge-updater:", r.Problem)
	}
	t := r.Journal.Txn
	if p.o.json {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			fmt.Fprintln(p.err, "edge-updater:", err)
			return exitError
		}
	} else {
		stable := r.Stable
		if stable == "" {
			stable = "none (the packaged programs run)"
		}
		fmt.Fprintf(p.out, "release    %s   counter %d   trust: root v%d, timestamp v%d\n", stable, r.Counter, r.Trust.Root, r.Trust.Timestamp)
		if r.Previous != "" {
			fmt.Fprintf(p.out, "previous   %s\n", r.Previous)
		}
		if t.ID != "" {
			fmt.Fprintf(p.out, "last       %s   %s since %s\n", t.Release, strings.ToUpper(string(t.State)), t.Since.Local().Format(time.RFC3339))
			if t.Reason != "" {
				fmt.Fprintf(p.out, "           %s: %s\n", t.Reason, t.Detail)
			}
		}
	}
	if !t.State.Terminal() {
		return exitFailed
	}
	return exitOK
}

func (p *program) rescue(ctx context.Context, s *update.Session) int {
	damage, did, err := s.Rescue(ctx)
	for _, d := range damage {
		fmt.Fprintln(p.out, "damaged:", d)
	}
	fmt.Fprintln(p.out, did)
	if err != nil {
		fmt.Fprintln(p.err, "edge-updater:", err)
		return exitError
	}
	if len(damage) > 0 {
		return exitFailed
	}
	return exitOK
}

// clock is the system's clock if it is synchronised, else long ago: then only what signed metadata has proven counts.
func clock() time.Time {
	if s, err := clocksync.Read(); err != nil || !s.Synchronised {
		return time.Time{}
	}
	return time.Now()
}

// running are the programs that run.
func running() []string {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil
	}
	var out []string
	for _, l := range links {
		if exe, err := os.Readlink(l); err == nil {
			out = append(out, strings.TrimSuffix(exe, " (deleted)"))
		}
	}
	return out
}

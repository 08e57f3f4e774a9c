// Command edge-w1sim lays out and animates a simulated 1-Wire bus in a directory, for demos and load tests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/internal/sim/w1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const usage = `usage: edge-w1sim --dir DIR [--sensors N] [--seed N] [--interval 1s] [--faults]

Lays out a simulated 1-Wire bus in DIR, with the files of the kernel's
/sys/bus/w1/devices, and lets its sensors follow a daily curve until it is
stopped. Give DIR to edge-agent as the root of a w1 source. Every reading of
it is labelled simulated=true.

`

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	fs := flag.NewFlagSet("edge-w1sim", flag.ContinueOnError)
	fs.SetOutput(errOut)
	dir := fs.String("dir", "", "directory of the bus: new, empty, or a simulated bus")
	sensors := fs.Int("sensors", 8, "number of sensors")
	seed := fs.Uint64("seed", 1, "same seed: same sensors, curves and faults")
	interval := fs.Duration("interval", time.Second, "time between two readings")
	faults := fs.Bool("faults", false, "let sensors fail at times: 85 °C, CRC errors, all-zero, 127.94 °C, vanish and return")
	fs.Usage = func() { fmt.Fprint(errOut, usage); fs.PrintDefaults() }
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *dir == "" || fs.NArg() > 0 || *interval < time.Millisecond:
		fmt.Fprintln(errOut, "edge-w1sim: --dir DIR is needed, --interval is at least 1ms, and nothing else is taken")
		fs.Usage()
		return 2
	}
	tree, err := w1.New(*dir)
	if err != nil {
		return fail(errOut, err)
	}
	a, err := w1.NewAnimation(tree, *sensors, *seed, *faults)
	if err != nil {
		return fail(errOut, err)
	}
	fmt.Fprintf(out, "simulated 1-Wire bus with %d sensors in %s; Ctrl-C stops it\n", *sensors, tree.Dir())
	if err := a.Run(ctx, *interval); err != nil {
		return fail(errOut, err)
	}
	return 0
}

func fail(errOut io.Writer, err error) int {
	fmt.Fprintln(errOut, "edge-w1sim:", err)
	return 1
}

// Command driversbench prints the figures of the sensor layer, a line each: "bench NAME VALUE UNIT".
//
// Sweeps and the Modbus line are measured against what the wire itself takes, on simulated adapters and slaves that are
// as slow as real ones (internal/sim), owserver on its own fake devices; collecting in two agents side by side.
// docs/benchmarks.md says what each figure means and how it is taken.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"time"
)

// env is what a benchmark is given.
type env struct {
	rounds  int
	agent   string // the program edge-agent
	seconds time.Duration
}

// figures in the order in which they are printed.
var figures = []struct {
	name string
	run  func(context.Context, *env) error
}{
	{"sweep_ds2480b", sweepDS2480B},
	{"sweep_ds9097", sweepDS9097},
	{"sweep_netlink", sweepNetlink},
	{"sweep_sysfs", sweepSysfs},
	{"sweep_owserver", sweepOWServer},
	{"modbus", benchModbus},
	{"collect", benchCollect},
}

func main() {
	var e env
	only := flag.String("only", ".", "regular expression: run the benchmarks whose name it matches")
	flag.IntVar(&e.rounds, "rounds", 3, "sweeps of each figure, of which the best counts")
	flag.StringVar(&e.agent, "agent", "bin/edge-agent", "the agent that collects")
	flag.DurationVar(&e.seconds, "window", 30*time.Second, "how long the agents are watched")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	match, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "driversbench:", err)
		os.Exit(2)
	}
	failed := false
	for _, f := range figures {
		if !match.MatchString(f.name) {
			continue
		}
		if err := f.run(ctx, &e); err != nil {
			fmt.Fprintf(os.Stderr, "driversbench: %s: %v\n", f.name, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func report(name string, value float64, unit string) {
	fmt.Printf("bench %s %.4g %s\n", name, value, unit)
}

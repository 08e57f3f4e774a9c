// Updatebench prints the figures of fleet updates, as "bench NAME VALUE UNIT".
//
//	updatebench -agent bin/edge-agent -old scratch/old/edge-agent     every figure (make bench-update)
//
// Each figure is measured on real programs of this tree on this machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
)

// options are what the figures are made with.
type options struct {
	agent string // edge-agent of this tree
	old   string // edge-agent of an earlier commit
	dir   string // scratch
}

// figure is one measurement.
type figure struct {
	name string
	run  func(options) error
}

func figures() []figure {
	return []figure{{"delta", deltaFigures}, {"gap", gapFigure},
		{"mqtt", mqttFigures}, {"tls", tlsFigure}, {"https", httpsFigure}, {"link", linkFigure}}
}

func main() {
	var o options
	only := flag.String("only", "", "figures whose name matches this regexp: delta, gap, …")
	flag.StringVar(&o.agent, "agent", "bin/edge-agent", "edge-agent of this tree")
	flag.StringVar(&o.old, "old", "", "edge-agent of an earlier commit; without it no delta is measured")
	if len(os.Args) > 1 && os.Args[1] == applyCommand {
		exit(applyDelta(os.Args[2:]))
	}
	flag.Parse()
	re, err := regexp.Compile(*only)
	if err != nil {
		exit(err)
	}
	if o.dir, err = os.MkdirTemp("", "updatebench"); err != nil {
		exit(err)
	}
	for _, f := range figures() {
		if re.MatchString(f.name) {
			if e := f.run(o); e != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", f.name, e))
			}
		}
	}
	exit(errors.Join(err, os.RemoveAll(o.dir)))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "updatebench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func bench(name string, value float64, unit string) {
	fmt.Printf("bench %s %.4g %s\n", name, value, unit)
}

// Command bufferbench prints the figures of the log, a line each: "bench NAME VALUE UNIT". Ratios are taken side by
// side in one run: the parties take turns, the ratio is that of one turn, and the median of the turns is printed.
// docs/benchmarks.md says what each figure means and how it is taken.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
)

// env is what a benchmark is given.
type env struct {
	dir    string // scratch directory on the disk that is measured
	rounds int
	csv    string // seattle-weather-hourly-normals.csv
	host   string // output of hostrec
	xor    string // program that makes Prometheus' chunks, built from internal/bench/xor
	gib    float64
}

// figures in the order in which they are printed.
var figures = []struct {
	name string
	run  func(context.Context, *env) error
}{
	{"encode", benchCodec},
	{"bytes_per_sample", benchBytes},
	{"codec_vs_xor", benchXOR},
	{"append", benchAppend},
	{"ingest", benchIngest},
	{"group_commit", benchGroup},
	{"device", benchDevice},
	{"read_vs_decode", benchRead},
	{"encrypted", benchEncrypted},
	{"10g", bench10G},
}

func main() {
	var e env
	only := flag.String("only", ".", "regular expression: run the benchmarks whose name it matches")
	flag.StringVar(&e.dir, "dir", "scratch/bench", "scratch directory, on the disk that is measured")
	flag.IntVar(&e.rounds, "rounds", 9, "rounds of each figure")
	flag.StringVar(&e.csv, "csv", "", "seattle-weather-hourly-normals.csv of the npm package vega-datasets")
	flag.StringVar(&e.host, "host", "", "host metrics recorded by hostrec")
	flag.StringVar(&e.xor, "xor", "", "program built from internal/bench/xor")
	flag.Float64Var(&e.gib, "gib", 10, "size of the large log, GiB")
	part := flag.String("part", "", "for the program itself: the part of a benchmark that is a process of its own")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &e, *only, *part); err != nil {
		fmt.Fprintln(os.Stderr, "bufferbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, e *env, only, part string) error {
	if part != "" {
		return runPart(ctx, e, part)
	}
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if e.dir, err = filepath.Abs(e.dir); err != nil {
		return err
	}
	for _, f := range figures {
		if !match.MatchString(f.name) {
			continue
		}
		if err := os.MkdirAll(e.dir, 0o750); err != nil {
			return err
		}
		if err := f.run(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// show prints one figure.
func show(name string, value float64, unit string) {
	fmt.Printf("bench %s %.4g %s\n", name, value, unit)
}

// fresh is an empty directory for one use.
func (e *env) fresh(name string) (string, error) {
	dir := filepath.Join(e.dir, name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o750)
}

func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile q of the values, 0 … 1.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	sort.Float64s(s)
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

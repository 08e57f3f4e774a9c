package hub

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/edgelog/edgelog/hub/bench"
)

func (a *app) cmdBench(ctx context.Context, args []string) (err error) {
	o := bench.Options{Out: a.Stdout, Log: a.Stderr}
	_, err = a.parse("bench", args, 0, func(f *flag.FlagSet) {
		f.IntVar(&o.Devices, "devices", 100, "")
		f.Float64Var(&o.Rate, "rate", 1, "")
		f.DurationVar(&o.Every, "every", 10*time.Second, "")
		f.DurationVar(&o.For, "for", time.Minute, "")
		f.DurationVar(&o.CatchUp, "catch-up", 0, "")
		f.StringVar(&o.Dir, "dir", "", "")
	})
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	o.Hub = []string{program}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "edge-hub-bench"); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	if err = bench.Run(ctx, o); errors.Is(err, bench.ErrOptions) {
		return &exit{ExitUsage, err}
	}
	return err
}

// Command hostrec records this host's metrics with the agent's own driver, once a second, into a text file: the real
// data that the codec is compared on. A line is: time in ms of UTC, type, number (as record.Record.Num), key of the
// series; separated by tabs. Samples without a number are left out.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/system"
)

func main() {
	out := flag.String("o", "host-metrics.tsv", "file to write")
	seconds := flag.Int("seconds", 3600, "how long to record, s")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "hostrec:", err)
		os.Exit(1)
	}
}

// run writes a new file under a temporary name, and gives it its name when it is complete or ctx ends.
func run(ctx context.Context, out string, seconds int) error {
	h, err := system.New(system.Options{})
	if err != nil {
		return err
	}
	defer h.Close()
	f, err := os.Create(out + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var samples []drivers.Sample
	for range seconds {
		if samples, err = h.Read(ctx, samples[:0]); err != nil && ctx.Err() == nil {
			return fmt.Errorf("read host: %w", err)
		}
		write(w, h.Quantities(), samples, time.Now().UnixMilli())
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return os.Rename(out+".tmp", out)
}

func write(w *bufio.Writer, quantities []drivers.Quantity, samples []drivers.Sample, ms int64) {
	for _, s := range samples {
		switch s.Type.Base() {
		case record.TypeInt, record.TypeFloat, record.TypeDecimal, record.TypeBool:
			fmt.Fprintf(w, "%d\t%d\t%d\t%s\n", ms, uint8(s.Type), s.Num, quantities[s.Quantity].Key())
		}
	}
}

// Command xor encodes series as Prometheus does, with its own code, and prints how long that is. It is a module of its
// own so that Edgelog does not depend on Prometheus.
//
// Input: a line "series NUMBER", then lines "MILLISECONDS BITS", BITS being the hexadecimal bits of a double. Output,
// a line for each series: NUMBER SAMPLES BYTES.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

func main() {
	chunk := flag.Int("chunk", 120, "samples of a chunk, at most 65535")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *chunk); err != nil {
		fmt.Fprintln(os.Stderr, "xor:", err)
		os.Exit(1)
	}
}

// peer encodes one series.
type peer struct {
	most    int
	c       *chunkenc.XORChunk
	app     chunkenc.Appender
	samples int
	bytes   int
}

func (p *peer) add(ms int64, v float64) error {
	if p.c == nil || p.c.NumSamples() >= p.most {
		p.cut()
		p.c = chunkenc.NewXORChunk()
		var err error
		if p.app, err = p.c.Appender(); err != nil {
			return err
		}
	}
	p.app.Append(ms, v)
	p.samples++
	return nil
}

func (p *peer) cut() {
	if p.c != nil {
		p.bytes += len(p.c.Bytes())
		p.c = nil
	}
}

func run(in io.Reader, out io.Writer, chunk int) error {
	p := peer{most: chunk}
	series := -1
	tell := func() {
		if p.cut(); series >= 0 {
			fmt.Fprintln(out, series, p.samples, p.bytes)
		}
		p = peer{most: chunk}
	}
	s := bufio.NewScanner(in)
	for s.Scan() {
		var ms int64
		var bits uint64
		n := 0
		if _, err := fmt.Sscanf(s.Text(), "series %d", &n); err == nil {
			tell()
			series = n
			continue
		}
		if _, err := fmt.Sscanf(s.Text(), "%d %x", &ms, &bits); err != nil {
			return fmt.Errorf("%q: %w", s.Text(), err)
		}
		if err := p.add(ms, math.Float64frombits(bits)); err != nil {
			return err
		}
	}
	tell()
	return s.Err()
}

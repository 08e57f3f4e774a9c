package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// chunkSamples is where Prometheus cuts a chunk.
const chunkSamples = 120

// column is one real series.
type column struct {
	name string
	recs []record.Record // one series, times in ms
}

// benchXOR compares bytes a sample with Prometheus' XOR chunks, stamps included, definitions not.
func benchXOR(ctx context.Context, e *env) error {
	if e.xor == "" {
		return errors.New("needs -xor, the program built from internal/bench/xor")
	}
	if e.csv == "" {
		return errors.New("needs -csv, seattle-weather-hourly-normals.csv")
	}
	weather, err := weatherColumns(e.csv)
	if err != nil {
		return err
	}
	if err := e.compare(ctx, "seattle", weather, false); err != nil {
		return err
	}
	if e.host == "" {
		return errors.New("needs -host, a recording of hostrec")
	}
	host, seconds, err := hostColumns(e.host)
	if err != nil {
		return err
	}
	show("codec_vs_xor_host_recorded", seconds, "s")
	return e.compare(ctx, "host", host, true)
}

// compare prints a column each, or the largest ratio of all columns and that of all columns together.
func (e *env) compare(ctx context.Context, what string, cols []column, summed bool) error {
	cut, err := e.peer(ctx, cols, chunkSamples)
	if err != nil {
		return err
	}
	whole, err := e.peer(ctx, cols, math.MaxUint16)
	if err != nil {
		return err
	}
	var ours, xor, worst float64
	worstName, all := "", []float64(nil)
	for i, c := range cols {
		n, err := encodedBytes(c.recs, record.MaxBatchRecords)
		if err != nil {
			return err
		}
		small, err := encodedBytes(c.recs, chunkSamples)
		if err != nil {
			return err
		}
		ratio := n / cut[i]
		ours, xor = ours+n, xor+cut[i]
		all = append(all, ratio)
		if ratio > worst {
			worst, worstName = ratio, c.name
		}
		if summed {
			continue
		}
		show("codec_vs_xor_"+what+"_"+c.name, ratio, "ratio")
		show("codec_vs_xor_"+what+"_"+c.name+"_cut_alike", small/cut[i], "ratio")
		show("codec_vs_xor_"+what+"_"+c.name+"_one_chunk", n/whole[i], "ratio")
		show("bytes_per_sample_"+what+"_"+c.name, n/float64(len(c.recs)), "B")
	}
	if !summed {
		return nil
	}
	show("codec_vs_xor_"+what, ours/xor, "ratio")
	show("codec_vs_xor_"+what+"_median_column", median(all), "ratio")
	show("codec_vs_xor_"+what+"_worst_column", worst, "ratio ("+worstName+")")
	n, err := encodedBytes(interleaved(cols), record.MaxBatchRecords)
	if err != nil {
		return err
	}
	show("codec_vs_xor_"+what+"_sweeps", n/xor, "ratio")
	return nil
}

// interleaved is all columns in the order of arrival, as the agent records them.
func interleaved(cols []column) []record.Record {
	var out []record.Record
	for _, c := range cols {
		out = append(out, c.recs...)
	}
	slices.SortStableFunc(out, func(a, b record.Record) int { return int(a.Time/1e6 - b.Time/1e6) })
	return out
}

// encodedBytes is the length of all bodies of at most most records; each is decoded again and compared.
func encodedBytes(recs []record.Record, most int) (float64, error) {
	var e record.Encoder
	var d record.Decoder
	n := 0
	for part := range slices.Chunk(recs, most) {
		if err := encodeAll(&e, part, func(b body) error {
			n += len(b.bytes)
			got, err := d.Decode(nil, b.codec, b.raw, b.count, b.bytes)
			if err == nil && !slices.Equal(got, part[:b.count]) {
				err = errors.New("the codec gives back something else")
			}
			part = part[b.count:]
			return err
		}); err != nil {
			return 0, err
		}
	}
	return float64(n), nil
}

// peer lets Prometheus' own code encode the columns and returns the bytes of each.
func (e *env) peer(ctx context.Context, cols []column, chunk int) ([]float64, error) {
	var in bytes.Buffer
	for i, c := range cols {
		fmt.Fprintln(&in, "series", i)
		for _, r := range c.recs {
			v, _ := r.Float64()
			fmt.Fprintf(&in, "%d %016x\n", r.Time/1e6, math.Float64bits(v))
		}
	}
	cmd := exec.CommandContext(ctx, e.xor, "-chunk", strconv.Itoa(chunk))
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.xor, err)
	}
	out := make([]float64, len(cols))
	for line := range strings.Lines(string(text)) {
		var i, samples int
		var n float64
		if _, err := fmt.Sscan(line, &i, &samples, &n); err != nil || i >= len(cols) || samples != len(cols[i].recs) {
			return nil, fmt.Errorf("%s said %q", e.xor, line)
		}
		out[i] = n
	}
	return out, nil
}

// weatherColumns reads the columns as floats: what Prometheus is given, bit by bit.
func weatherColumns(path string) ([]column, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		return nil, fmt.Errorf("%s: %d rows: %w", path, len(rows), err)
	}
	cols := make([]column, len(rows[0])-1)
	for i := range cols {
		cols[i].name = rows[0][i+1]
		for _, row := range rows[1:] {
			at, err := time.Parse("2006-01-02T15:04:05", row[0])
			if err != nil {
				return nil, err
			}
			v, err := strconv.ParseFloat(row[i+1], 64)
			if err != nil {
				return nil, err
			}
			r := record.Record{Kind: record.KindObservation, Series: record.SeriesID(i + 1), Clock: record.ClockBoot, Time: at.UnixNano()}
			r.Float(v)
			cols[i].recs = append(cols[i].recs, r)
		}
	}
	return cols, nil
}

// hostColumns reads what hostrec wrote, and how many seconds it covers.
func hostColumns(path string) ([]column, float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	byName := map[string]*column{}
	var first, last int64
	for s := bufio.NewScanner(f); s.Scan(); {
		part := strings.SplitN(s.Text(), "\t", 4)
		if len(part) != 4 {
			return nil, 0, fmt.Errorf("%s: %q", path, s.Text())
		}
		ms, err1 := strconv.ParseInt(part[0], 10, 64)
		typ, err2 := strconv.ParseUint(part[1], 10, 8)
		num, err3 := strconv.ParseInt(part[2], 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", path, err)
		}
		c := byName[part[3]]
		if c == nil {
			c = &column{name: part[3]}
			byName[part[3]] = c
		}
		if first == 0 {
			first = ms
		}
		last = ms
		c.recs = append(c.recs, record.Record{Kind: record.KindObservation, Series: record.SeriesID(len(byName)), Clock: record.ClockBoot,
			Time: ms * 1e6, Type: record.Type(typ), Num: num})
	}
	var cols []column
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		c := byName[name]
		for i := range c.recs {
			c.recs[i].Series = record.SeriesID(len(cols) + 1)
		}
		if len(c.recs) >= 2 { // told once: a fact of the host, not a series
			cols = append(cols, *c)
		}
	}
	return cols, float64(last-first) / 1000, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

const codecSweeps = 1000

// body is one encoded batch in memory.
type body struct {
	codec record.Codec
	raw   uint32
	count uint32
	bytes []byte
}

// encodeAll encodes all records into as few bodies as the encoder likes.
func encodeAll(e *record.Encoder, recs []record.Record, each func(body) error) error {
	var buf []byte
	for len(recs) > 0 {
		b, used, raw, n, err := e.EncodePrefix(buf[:0], recs, record.CodecColumnsZ, nil)
		if err != nil {
			return err
		}
		if err := each(body{used, uint32(raw), uint32(n), b}); err != nil {
			return err
		}
		buf, recs = b, recs[n:]
	}
	return nil
}

// benchCodec encodes and decodes 100 series × 1,000 in the order of arrival, on one core.
func benchCodec(ctx context.Context, e *env) error {
	recs := sweeps(codecSweeps)
	var enc record.Encoder
	var bodies []body
	if err := encodeAll(&enc, recs, func(b body) error {
		b.bytes = append([]byte(nil), b.bytes...)
		bodies = append(bodies, b)
		return nil
	}); err != nil {
		return err
	}
	var dec record.Decoder
	var out []record.Record
	decode := func(chained bool) error {
		chain := uint64(0)
		for _, b := range bodies {
			var err error
			if chained {
				out, chain, err = dec.DecodeChain(out[:0], chain, b.codec, b.raw, b.count, b.bytes)
			} else {
				out, err = dec.Decode(out[:0], b.codec, b.raw, b.count, b.bytes)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	ignore := func(body) error { return nil }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rate, n, err := e.rate(len(recs), func() error { return encodeAll(&enc, recs, ignore) })
	runtime.ReadMemStats(&after)
	if err != nil {
		return err
	}
	show("encode_msamples_per_s", rate, "M/s")
	show("encode_allocs_per_sample", float64((after.Mallocs-before.Mallocs)*1000/uint64(n))/1000, "allocs")
	for _, chained := range []bool{false, true} {
		if rate, _, err = e.rate(len(recs), func() error { return decode(chained) }); err != nil {
			return err
		}
		if chained {
			show("decode_ordered_chain_msamples_per_s", rate, "M/s")
		} else {
			show("decode_msamples_per_s", rate, "M/s")
		}
	}
	return ctx.Err()
}

// rate is the median of millions a second over the rounds, a fifth of a second each, and how many samples were worked
// on in all.
func (e *env) rate(samples int, work func() error) (float64, int, error) {
	var rates []float64
	total := 0
	for range e.rounds {
		start, n := time.Now(), 0
		for time.Since(start) < 200*time.Millisecond {
			if err := work(); err != nil {
				return 0, 0, err
			}
			n += samples
		}
		rates = append(rates, float64(n)/time.Since(start).Seconds()/1e6)
		total += n
	}
	return median(rates), total, nil
}

// benchBytes is the length of the files of an hour of 100 thermometers, headers and definitions included.
func benchBytes(ctx context.Context, e *env) error {
	for _, c := range []struct {
		name  string
		every int // sweeps a commit
		kind  weather
	}{{"60s", 60, walk}, {"1s", 1, walk}, {"1s_settled", 1, settled}, {"60s_jitter", 60, jitter}} {
		dir, err := e.fresh("bytes")
		if err != nil {
			return err
		}
		n, err := hour(ctx, dir, c.every, c.kind, nil)
		if err != nil {
			return err
		}
		show("bytes_per_sample_ds18b20_"+c.name, float64(n)/(3600*series), "B")
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// hour writes an hour of sweeps and returns the length of the closed files in bytes. A meter counts all but opening
// and closing the log.
func hour(ctx context.Context, dir string, every int, kind weather, m *meter) (int64, error) {
	s, l, err := openLog(ctx, dir, buffer.StreamOptions{})
	if err != nil {
		return 0, err
	}
	if m != nil {
		err = m.begin()
	}
	t := newThermometers(kind)
	for i := 0; i < 3600 && err == nil; i++ {
		if _, err = l.Append(ctx, record.Draft{Records: t.next()}); err == nil && (i+1)%every == 0 {
			err = l.Sync(ctx)
		}
	}
	if m != nil {
		err = errors.Join(err, m.end())
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return 0, fmt.Errorf("write an hour: %w", err)
	}
	return segmentBytes(dir)
}

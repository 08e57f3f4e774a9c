package buffer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestAppendCopiesBytes: what the caller does with its buffers after Append changes nothing, however often the memory of
// the log was used before.
func TestAppendCopiesBytes(t *testing.T) {
	s, l := open(t, vfs.NewMem(), buffer.StreamOptions{})
	id, err := l.Define(record.Series{Name: "blob", Type: record.TypeBytes})
	if err != nil {
		t.Fatal(err)
	}
	text := func(i int) ([]byte, []byte) {
		return bytes.Repeat([]byte{byte(i), byte(i >> 8), 'x'}, i%97+1), bytes.Repeat([]byte{byte(i)}, i%5)
	}
	const n = 3000
	var data record.Data
	for i := range n {
		v, d := text(i)
		data.Value, data.Detail = append(data.Value[:0], v...), append(data.Detail[:0], d...)
		r := record.Record{Kind: record.KindObservation, Series: id, Time: int64(i), Clock: record.ClockBoot, Type: record.TypeBytes, Data: &data}
		if _, err := l.Append(context.Background(), record.Draft{Records: []record.Record{r}}); err != nil {
			t.Fatal(err)
		}
		clear(data.Value)
		clear(data.Detail)
		if i%(i/100+1) == 0 {
			if err := l.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	var dec record.Decoder
	r, i := l.Read(0), 0
	for {
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		recs, err := dec.Decode(nil, it.Batch.Codec, it.Batch.RawLen, it.Batch.Count, it.Batch.Body)
		if err != nil {
			t.Fatal(err)
		}
		for k := range recs {
			if recs[k].Kind != record.KindObservation {
				continue // the boot mark
			}
			if v, d := text(i); !bytes.Equal(recs[k].Value(), v) || !bytes.Equal(recs[k].Detail(), d) {
				t.Fatalf("record %d: %x, %x", i, recs[k].Value(), recs[k].Detail())
			}
			i++
		}
	}
	if i != n {
		t.Fatal("records:", i)
	}
	verify(t, l)
	if err := errors.Join(r.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestAppendAllocatesNothing: in steady state the memory that an append needs is there, for numbers and for bytes.
func TestAppendAllocatesNothing(t *testing.T) {
	s, l := open(t, vfs.NewMem(), buffer.StreamOptions{MaxBytes: 1 << 20})
	number := define(t, l)
	id, err := l.Define(record.Series{Name: "blob", Type: record.TypeBytes})
	if err != nil {
		t.Fatal(err)
	}
	blob := record.Record{Kind: record.KindObservation, Series: id, Clock: record.ClockBoot, Type: record.TypeBytes, Data: &record.Data{Value: make([]byte, 200)}}
	for _, r := range []record.Record{value(number, 1, 1), blob} {
		t.Run(fmt.Sprint(r.Type), func(t *testing.T) {
			d := record.Draft{Records: []record.Record{r, r, r, r}}
			fill := func() uint64 {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range 500 {
					if _, err := l.Append(context.Background(), d); err != nil {
						t.Fatal(err)
					}
				}
				runtime.ReadMemStats(&after)
				if err := l.Sync(context.Background()); err != nil {
					t.Fatal(err)
				}
				return after.Mallocs - before.Mallocs
			}
			least := fill()
			for range 4 { // something else in the process may allocate meanwhile
				least = min(least, fill())
			}
			if least > 20 {
				t.Errorf("%d allocations for 2,000 records", least)
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

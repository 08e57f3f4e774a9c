package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// A reading is on the disk when Wait has returned nil; from then on every reader sees it, after a power cut too.
func Example() {
	dir, err := os.MkdirTemp("", "edgelog")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(context.Background())
	set, err := buffer.Open(ctx, vfs.OS{}, dir, buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- set.Run(ctx) }() // commits what is appended
	l, err := set.Log("telemetry")
	if err != nil {
		log.Fatal(err)
	}

	id, err := l.Define(record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(1)})
	if err != nil {
		log.Fatal(err)
	}
	ticket, err := l.Append(ctx, record.Draft{Records: []record.Record{
		{Kind: record.KindObservation, Series: id, Clock: record.ClockBoot, Time: 1e9, Type: record.Decimal(1), Num: 215},
		{Kind: record.KindObservation, Series: id, Clock: record.ClockBoot, Time: 2e9, Type: record.Decimal(1), Num: 216},
	}})
	if err != nil {
		log.Fatal(err)
	}
	durable, err := ticket.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("durable:", durable.From, "to", durable.To)

	r := l.Read(durable.From)
	var d record.Decoder
	for {
		item, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			break // wait on l.Changed and call Next again
		}
		if err != nil {
			log.Fatal(err)
		}
		if item.Gap != nil {
			fmt.Println("lost:", item.Gap.Range, item.Gap.Reason)
			continue
		}
		b := &item.Batch
		records, err := d.Decode(nil, b.Codec, b.RawLen, b.Count, b.Body)
		if err != nil {
			log.Fatal(err)
		}
		for i, rec := range records {
			series, _ := l.Series(item.Header.Epoch, rec.Series)
			v, _ := rec.Float64()
			fmt.Println(b.Base+record.Offset(i), series.Name, v, series.Unit)
		}
	}

	if err := r.Close(); err != nil {
		log.Fatal(err)
	}
	stop()
	if err := errors.Join(<-ended, set.Close()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// durable: 0 to 2
	// 0 temperature 21.5 Cel
	// 1 temperature 21.6 Cel
}

package bench

import (
	"errors"
	"math/rand/v2"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer/record"
)

// memoryLog is one stream of one epoch whose records lie encoded in memory until they are delivered. It is an
// uplink.Source.
type memoryLog struct {
	stream    string
	epoch     record.Epoch
	series    []record.Series
	batches   []record.Batch
	end       record.Offset
	chain     uint64
	delivered record.Offset
	below     uint64 // chain(delivered), where it is known
}

var errVirtual = errors.New("a virtual agent has no disk")

func newMemoryLog(stream string, series int, epoch record.Epoch) *memoryLog {
	l := &memoryLog{stream: stream, epoch: epoch}
	for i := range series {
		l.series = append(l.series, record.Series{Name: "load.value", Type: record.Decimal(2),
			Labels: []record.Label{{Key: "n", Value: string(rune('a' + i%26))}}})
	}
	return l
}

// append encodes recs as one batch, or as many as it takes.
func (l *memoryLog) append(enc *record.Encoder, recs []record.Record) error {
	for len(recs) > 0 {
		body, used, raw, n, err := enc.EncodePrefix(nil, recs, record.CodecColumnsZ, nil)
		if err != nil {
			return err
		}
		b := record.Batch{Epoch: l.epoch, Base: l.end, Count: uint32(n), ChainBase: l.chain, Codec: used, RawLen: uint32(raw),
			Body: body, CRC: checksum(body)}
		l.chain = record.FoldChain(l.chain, recs[:n])
		b.ChainEnd = l.chain
		l.batches = append(l.batches, b)
		l.end += record.Offset(n)
		recs = recs[n:]
	}
	return nil
}

func (l *memoryLog) Stream() string { return l.stream }

func (l *memoryLog) Epochs() []uplink.Epoch {
	if l.end == 0 {
		return nil
	}
	return []uplink.Epoch{{Epoch: l.epoch, Low: min(l.delivered, l.low()), End: l.end, Current: true}}
}

func (l *memoryLog) low() record.Offset {
	if len(l.batches) == 0 {
		return l.end
	}
	return l.batches[0].Base
}

func (l *memoryLog) At(_ record.Epoch, o record.Offset) (uplink.Item, error) {
	for i := range l.batches {
		if l.batches[i].Range().Contains(o) {
			return uplink.Item{Batch: l.batches[i]}, nil
		}
	}
	return uplink.Item{}, uplink.ErrEnd
}

func (l *memoryLog) Chain(_ record.Epoch, o record.Offset) (uint64, bool) {
	switch {
	case o == l.end:
		return l.chain, true
	case o == l.delivered && l.below != 0:
		return l.below, true
	}
	for i := range l.batches {
		if l.batches[i].Base == o {
			return l.batches[i].ChainBase, true
		}
	}
	return 0, false
}

func (l *memoryLog) Series(_ record.Epoch, id record.SeriesID) (record.Series, bool) {
	if id < 1 || int(id) > len(l.series) {
		return record.Series{}, false
	}
	return l.series[id-1], true
}

func (l *memoryLog) Defined(record.Epoch) int { return len(l.series) }

func (l *memoryLog) DeclareGap(record.Epoch, record.Range) error  { return errVirtual }
func (l *memoryLog) CloseEpoch(record.Epoch, record.Offset) error { return errVirtual }
func (l *memoryLog) Delivered() record.Offset                     { return l.delivered }
func (l *memoryLog) Gaps() []record.Gap                           { return nil }
func (l *memoryLog) Owed() []record.Owed                          { return nil }

// SetDelivered lets go of what the hub has.
func (l *memoryLog) SetDelivered(o record.Offset, _ ...record.Owed) {
	for len(l.batches) > 0 && l.batches[0].Range().To <= o {
		l.below = l.batches[0].ChainEnd
		l.batches[0].Body = nil
		l.batches = l.batches[1:]
	}
	l.delivered = o
}

// samples are n readings of a few slowly changing values, ending at now.
func samples(dst []record.Record, rng *rand.Rand, series int, walk []int64, from, step int64, n int) []record.Record {
	dst = dst[:0]
	for i := range n {
		s := i % series
		walk[s] += rng.Int64N(21) - 10
		dst = append(dst, record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Time: from + int64(i)*step,
			Type: record.Decimal(2), Num: walk[s], Series: record.SeriesID(s + 1)})
	}
	return dst
}

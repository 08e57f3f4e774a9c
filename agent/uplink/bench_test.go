package uplink_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// oneBatch is a source that yields one stored body again and again, as an endless stream.
type oneBatch struct {
	*uplinktest.Log
	b   record.Batch
	end record.Offset
}

func (o *oneBatch) Epochs() []uplink.Epoch {
	return []uplink.Epoch{{Epoch: 1, End: o.end, Current: true}}
}
func (o *oneBatch) Defined(record.Epoch) int { return 0 }
func (o *oneBatch) At(_ record.Epoch, at record.Offset) (uplink.Item, error) {
	b := o.b
	b.Base = at
	return uplink.Item{Batch: b}, nil
}

// BenchmarkSender measures the sender's own cost of one frame of a stored batch: state machine and bytes, no disk, no
// network.
func BenchmarkSender(b *testing.B) {
	body := make([]byte, 60<<10)
	src := &oneBatch{Log: uplinktest.NewLog("telemetry", 1, nil), end: 1 << 60,
		b: record.Batch{Epoch: 1, Count: 16000, Codec: record.CodecColumns, RawLen: uint32(len(body)), CRC: wire.Checksum(body), Body: body}}
	s := uplink.New(uplink.Options{Random: rand.Uint64, Codec: uplinktest.Codec{}}, src)
	now := time.Now()
	s.Connected(now)
	m, _ := s.Next(now)
	nonce := m.(*wire.Hello).Nonce
	s.Received(&wire.Ack{Nonce: nonce, Answer: true, Parts: 1, Credit: 1 << 30, Positions: []wire.Position{{Stream: "telemetry", Epoch: 1}}}, now)
	var buf []byte
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		m, ok := s.Next(now)
		if !ok {
			b.Fatal("nothing to send")
		}
		d := m.(*wire.Data)
		buf = wire.AppendData(buf[:0], d)
		s.Received(&wire.Ack{Nonce: nonce, Credit: 1 << 30, Positions: []wire.Position{{Stream: "telemetry", Epoch: 1, Known: true, Next: d.Base + record.Offset(d.Count)}}}, now)
	}
}

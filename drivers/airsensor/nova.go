package airsensor

import (
	"encoding/binary"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// nova is the SDS011. A report, numbers little-endian in 0.1 µg/m³:
//
//	+----+----+-------+------+----+-----------------+----+
//	| aa | c0 | PM2.5 | PM10 | id | checksum        | ab |
//	|    |    |       |      |    | sum of the six  |    |
//	+----+----+-------+------+----+-----------------+----+
//	 1    1    2       2      2    1                 1 byte
type nova struct{ period int }

const novaSize = 10

func (nova) quantities() []drivers.Quantity {
	model := record.Label{Key: "model", Value: SDS011}
	return []drivers.Quantity{series("pm2_5", "ug/m3", record.Decimal(1), 0, 999, model), series("pm10", "ug/m3", record.Decimal(1), 0, 999, model)}
}

// settings: report by itself, and the working period. Both are kept in its flash.
func (n nova) settings() []setting {
	out := []setting{novaSetting(2, 0)}
	if n.period >= 0 {
		out = append(out, novaSetting(8, byte(n.period)))
	}
	return out
}

func novaSetting(which, value byte) setting {
	return setting{query: novaCommand(which, 0), answer: []byte{0xaa, 0xc5, which, 0}, want: value, set: novaCommand(which, 1, value)}
}

func novaCommand(data ...byte) []byte {
	c := [19]byte{0: 0xaa, 1: 0xb4, 15: 0xff, 16: 0xff, 18: 0xab}
	copy(c[2:], data)
	for _, b := range c[2:17] {
		c[17] += b
	}
	return c[:]
}

func (nova) request() []byte { return nil }

func (n nova) patience() time.Duration {
	if n.period > 0 {
		return time.Duration(n.period)*time.Minute + warmUpPatience
	}
	return framePatience
}

func (nova) frame(b []byte) (skip, size int, ok bool) {
	skip = find(b, 0xaa, 0xc0)
	b = b[skip:]
	if len(b) < novaSize {
		return skip, 0, false
	}
	sum := byte(0)
	for _, c := range b[2:8] {
		sum += c
	}
	return skip, novaSize, sum == b[8] && b[9] == 0xab
}

func (nova) decode(frame []byte, dst []drivers.Sample) []drivers.Sample {
	for i := range 2 {
		v := binary.LittleEndian.Uint16(frame[2+2*i:])
		dst = append(dst, drivers.Sample{Quantity: i, Type: record.Decimal(1), Num: int64(v)})
	}
	return dst
}

package airsensor

import (
	"encoding/binary"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// plantower is PMS5003 and PMS7003 in active mode. A frame, all numbers big-endian:
//
//	+-------+--------+--------------+-------------+----------------------+---------+-------+----------+
//	| 42 4d | length | PM1 2.5 10   | PM1 2.5 10  | particles above 0.3  | version | error | checksum |
//	|       | 28     | factory dust | atmosphere  | 0.5 1 2.5 5 10 µm    |         |       | sum      |
//	+-------+--------+--------------+-------------+----------------------+---------+-------+----------+
//	 2       2        3 × 2          3 × 2         6 × 2                  1         1       2 bytes
type plantower struct{ name string }

const (
	plantowerSize = 32
	plantowerBody = 28 // behind the length, checksum included
)

func series(name, unit string, t record.Type, lo, hi float64, labels ...record.Label) drivers.Quantity {
	return drivers.Quantity{Series: record.Series{Name: name, Unit: unit, Type: t, Labels: labels}, Min: lo, Max: hi}
}

func (p plantower) quantities() (out []drivers.Quantity) {
	model := record.Label{Key: "model", Value: p.name}
	for _, calibration := range []string{"cf1", "atmosphere"} {
		for _, size := range []string{"pm1", "pm2_5", "pm10"} {
			out = append(out, series(size, "ug/m3", record.TypeInt, 0, 1000, record.Label{Key: "calibration", Value: calibration}, model))
		}
	}
	for _, above := range []string{"0.3", "0.5", "1", "2.5", "5", "10"} {
		out = append(out, series("particles", "/dL", record.TypeInt, 0, 0, record.Label{Key: "above_um", Value: above}, model))
	}
	return out
}

// settings: active mode, which a PMS forgets without supply.
func (plantower) settings() []setting {
	return []setting{{set: []byte{0x42, 0x4d, 0xe1, 0x00, 0x01, 0x01, 0x71}}}
}

func (plantower) request() []byte { return nil }

func (plantower) patience() time.Duration { return framePatience }

func (plantower) frame(b []byte) (skip, size int, ok bool) {
	skip = find(b, 0x42, 0x4d, 0, plantowerBody)
	b = b[skip:]
	if len(b) < plantowerSize {
		return skip, 0, false
	}
	sum := uint16(0)
	for _, c := range b[:plantowerSize-2] {
		sum += uint16(c)
	}
	return skip, plantowerSize, sum == binary.BigEndian.Uint16(b[plantowerSize-2:])
}

func (p plantower) decode(frame []byte, dst []drivers.Sample) []drivers.Sample {
	words := frame[4:28]
	empty := true
	for _, c := range words {
		empty = empty && c == 0
	}
	for i := range len(words) / 2 {
		x := drivers.Sample{Quantity: i, Type: record.TypeInt, Num: int64(binary.BigEndian.Uint16(words[2*i:]))}
		if failed := frame[29] != 0; failed || empty { // an error of its own, or the fan does not run yet
			x = drivers.Sample{Quantity: i, Quality: record.QualityDevice, Detail: frame}
		}
		dst = append(dst, x)
	}
	return dst
}

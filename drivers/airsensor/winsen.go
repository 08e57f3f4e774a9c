package airsensor

import (
	"encoding/binary"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// winsen is the MH-Z19 and its kin. The answer to command 86, the number big-endian:
//
//	+----+----+-----+----------+------------------------------+
//	| ff | 86 | CO₂ | not used | checksum: −sum of the seven  |
//	|    |    | ppm |          |                              |
//	+----+----+-----+----------+------------------------------+
//	 1    1    2     4          1 byte
//
// What stands in the bytes that the manual does not name (a temperature, a status) differs between versions and is not
// read.
type winsen struct{ baseline string }

const winsenSize = 9

func (winsen) quantities() []drivers.Quantity {
	return []drivers.Quantity{series("co2", "[ppm]", record.TypeInt, 0, 10000, record.Label{Key: "model", Value: MHZ19})}
}

func (w winsen) settings() []setting {
	switch w.baseline {
	case "on":
		return []setting{{set: winsenCommand(0x79, 0xa0)}}
	case "off":
		return []setting{{set: winsenCommand(0x79, 0x00)}}
	}
	return nil
}

func (winsen) request() []byte { return winsenCommand(0x86, 0) }

func winsenCommand(command, value byte) []byte {
	c := []byte{0xff, 1, command, value, 0, 0, 0, 0, 0}
	c[8] = winsenSum(c)
	return c
}

func winsenSum(c []byte) (sum byte) {
	for _, b := range c[1:8] {
		sum -= b
	}
	return sum
}

func (winsen) patience() time.Duration { return answerPatience }

func (winsen) frame(b []byte) (skip, size int, ok bool) {
	skip = find(b, 0xff, 0x86)
	b = b[skip:]
	if len(b) < winsenSize {
		return skip, 0, false
	}
	return skip, winsenSize, winsenSum(b) == b[8]
}

func (winsen) decode(frame []byte, dst []drivers.Sample) []drivers.Sample {
	v := binary.BigEndian.Uint16(frame[2:])
	if v == 0 { // it has not measured yet
		return append(dst, drivers.Sample{Quality: record.QualityDevice, Detail: frame})
	}
	return append(dst, drivers.Sample{Type: record.TypeInt, Num: int64(v)})
}

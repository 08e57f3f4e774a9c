package genericserial

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
)

type binaryType struct {
	bytes         int
	signed, float bool
	little        bool
}

var binaryTypes = map[string]binaryType{
	"u8": {bytes: 1}, "i8": {bytes: 1, signed: true},
	"u16be": {bytes: 2}, "u16le": {bytes: 2, little: true}, "i16be": {bytes: 2, signed: true}, "i16le": {bytes: 2, signed: true, little: true},
	"u32be": {bytes: 4}, "u32le": {bytes: 4, little: true}, "i32be": {bytes: 4, signed: true}, "i32le": {bytes: 4, signed: true, little: true},
	"u64be": {bytes: 8}, "u64le": {bytes: 8, little: true}, "i64be": {bytes: 8, signed: true}, "i64le": {bytes: 8, signed: true, little: true},
	"f32be": {bytes: 4, float: true}, "f32le": {bytes: 4, float: true, little: true},
	"f64be": {bytes: 8, float: true}, "f64le": {bytes: 8, float: true, little: true},
}

// checksums give the checksum of what precedes it, as the bytes that should follow.
var checksums = map[string]struct {
	size int
	of   func([]byte) []byte
}{
	"none": {0, func([]byte) []byte { return nil }},
	"sum8": {1, func(b []byte) []byte { return []byte{byte(sum(b))} }},
	"xor8": {1, func(b []byte) []byte {
		x := byte(0)
		for _, c := range b {
			x ^= c
		}
		return []byte{x}
	}},
	"sum16be":      {2, func(b []byte) []byte { s := sum(b); return []byte{byte(s >> 8), byte(s)} }},
	"crc16-modbus": {2, crc16},
}

func sum(b []byte) uint16 {
	var s uint16
	for _, c := range b {
		s += uint16(c)
	}
	return s
}

// crc16 is that of Modbus: polynomial 0xa001 reflected, start 0xffff, low byte first.
func crc16(b []byte) []byte {
	crc := uint16(0xffff)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0xa001
			}
		}
	}
	return []byte{byte(crc), byte(crc >> 8)}
}

// frames is a parser of binary messages. It finds the sync bytes; where the checksum is wrong it looks for the next
// ones behind the first byte. A frame that is damaged in a stream that was in step makes bad:crc readings.
type frames struct {
	sync   []byte
	length int
	check  func([]byte) []byte
	size   int // of the checksum
	fields []field
	step   bool // the last frame was good
}

func newFrames(f Frame, fields []field) (*frames, error) {
	sync, err := hex.DecodeString(f.Sync)
	if err != nil || len(sync) == 0 || len(sync) > 16 {
		return nil, fmt.Errorf("sync %q: want 1 to 16 bytes in hexadecimal", f.Sync)
	}
	if f.Checksum == "" {
		f.Checksum = "none"
	}
	c, ok := checksums[f.Checksum]
	if !ok {
		return nil, fmt.Errorf("checksum %q: want none, sum8, xor8, sum16be or crc16-modbus", f.Checksum)
	}
	if f.Length < len(sync)+c.size+1 || f.Length > MaxFrame {
		return nil, fmt.Errorf("length %d: want more than sync and checksum, at most %d", f.Length, MaxFrame)
	}
	for _, x := range fields {
		if x.Offset < 0 || x.Offset+binaryTypes[x.Type].bytes > f.Length-c.size {
			return nil, fmt.Errorf("%s: offset %d does not lie before the checksum", x.Name, x.Offset)
		}
	}
	return &frames{sync: sync, length: f.Length, check: c.of, size: c.size, fields: fields}, nil
}

var errChecksum = errors.New("checksum is wrong")

func (f *frames) feed(buf []byte, take func([]door.Reading), miss func(error)) []byte {
	for {
		i := bytes.Index(buf, f.sync)
		if i < 0 { // the beginning of a sync may stand at the end
			return buf[max(0, len(buf)-len(f.sync)+1):]
		}
		if buf = buf[i:]; len(buf) < f.length {
			return buf
		}
		frame := buf[:f.length]
		body := frame[:f.length-f.size]
		if bytes.Equal(f.check(body), frame[len(body):]) {
			f.step = true
			take(f.readings(body))
			buf = buf[f.length:]
			continue
		}
		if f.step {
			take(f.damaged(frame))
		} else {
			miss(errChecksum)
		}
		f.step = false
		buf = buf[1:]
	}
}

func (f *frames) damaged(frame []byte) []door.Reading {
	var out []door.Reading
	for i := range f.fields {
		r := f.fields[i].reading()
		r.Bad(record.QualityCRC, fmt.Sprintf("% x", frame[:min(len(frame), 300)]))
		out = append(out, r)
	}
	return out
}

func (f *frames) readings(body []byte) []door.Reading {
	var out []door.Reading
	for i := range f.fields {
		x := &f.fields[i]
		t := binaryTypes[x.Type]
		var raw uint64
		for j := range t.bytes {
			at := x.Offset + j
			if t.little {
				at = x.Offset + t.bytes - 1 - j
			}
			raw = raw<<8 | uint64(body[at])
		}
		r := x.reading()
		switch shift := 64 - 8*t.bytes; {
		case t.float && t.bytes == 4:
			r.Float(float64(math.Float32frombits(uint32(raw))))
		case t.float:
			r.Float(math.Float64frombits(raw))
		case t.signed:
			r.Int(int64(raw<<shift) >> shift)
		default:
			r.Uint(raw)
		}
		if r.Series.Type = x.series.Type; !r.Quality.Bad() {
			r.Type = x.series.Type
		}
		out = append(out, r)
	}
	return out
}

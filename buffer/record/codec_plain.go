package record

import (
	"encoding/binary"
	"fmt"
)

// appendPlain is CodecPlain: the canonical bytes of each record, one after the other.
func appendPlain(dst []byte, recs []Record) ([]byte, error) {
	start := len(dst)
	for i := range recs {
		if err := recs[i].wellFormed(); err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		dst = recs[i].AppendCanonical(dst)
		if len(dst)-start > MaxBodyBytes {
			return nil, ErrBodyTooLarge
		}
	}
	return dst, nil
}

// decodePlain reads count records from b, which it refers to.
func (d *Decoder) decodePlain(dst []Record, count int, b []byte) ([]Record, error) {
	d.data = d.data[:0]
	withData := 0
	for rest := b; len(rest) >= canonicalFixed; {
		n := uint64(canonicalFixed)
		if rest[3]&canonicalData != 0 {
			withData++
			if len(rest) < canonicalFixed+8 {
				break
			}
			v, t := binary.LittleEndian.Uint32(rest[24:]), binary.LittleEndian.Uint32(rest[28:])
			n += 8 + (uint64(v)+uint64(t)+7)&^7
		}
		if n > uint64(len(rest)) {
			break
		}
		rest = rest[n:]
	}
	d.data = grow(d.data, min(withData, count)) // so that pointers into it stay valid
	next := 0
	for i := range count {
		var r Record
		var err error
		if b, err = d.cutPlain(&r, b, &next); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrBody, i, err)
		}
		dst = append(dst, r)
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the last record", ErrBody, len(b))
	}
	return dst, nil
}

// cutPlain reads one record and returns what follows it.
func (d *Decoder) cutPlain(r *Record, b []byte, next *int) ([]byte, error) {
	if len(b) < canonicalFixed {
		return nil, errTruncated
	}
	r.Kind, r.Quality, r.Type, r.Clock = Kind(b[0]), Quality(b[1]), Type(b[2]), Clock(b[3]&^canonicalData)
	r.Series = SeriesID(binary.LittleEndian.Uint32(b[4:]))
	r.Time = int64(binary.LittleEndian.Uint64(b[8:]))
	r.Num = int64(binary.LittleEndian.Uint64(b[16:]))
	hasData := b[3]&canonicalData != 0
	b = b[canonicalFixed:]
	if hasData {
		if len(b) < 8 || *next >= len(d.data) {
			return nil, errTruncated
		}
		v, t := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		padded := (v + t + 7) &^ 7
		if padded > uint64(len(b)) {
			return nil, errTruncated
		}
		for _, c := range b[v+t : padded] {
			if c != 0 {
				return nil, fmt.Errorf("%w: padding is not zero", ErrRecord)
			}
		}
		data := &d.data[*next]
		*next++
		data.Value, data.Detail = b[:v:v], b[v:v+t:v+t]
		r.Data, b = data, b[padded:]
	}
	if hasData != r.hasData() {
		return nil, fmt.Errorf("%w: data flag", ErrRecord)
	}
	return b, r.wellFormed()
}

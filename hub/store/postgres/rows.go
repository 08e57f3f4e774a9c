package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// rows is the body of one COPY in the server's binary form: after a header of 19 bytes, for each row
//
//	i16 columns | columns × (i32 length, -1 for NULL; bytes, big-endian)
//
// and i16 -1 at the end (PostgreSQL manual, COPY, "Binary Format").
type rows struct {
	buf   []byte
	spots []spot                   // of rows in boot time, for shifts within the transaction
	last  map[*ledger.Series]int32 // scratch of remember
}

// spot is a run of rows of one epoch in boot time, by the place of their t in buf.
type spot struct {
	epoch int64
	at    []int
}

var copyHeader = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")

const (
	columns  = 10
	copySQL  = "COPY record (t, arrival, record_offset, epoch, series, form, num, real, body, detail) FROM STDIN BINARY"
	placeOfT = 2 + 4 // in a row
)

// addRows appends rows with consecutive offsets.
func (t *tx) addRows(s *step, arrival int64, list []record.Record, at record.Offset) error {
	n := &t.rows
	if len(n.buf) == 0 {
		n.buf = append(t.writer.buf[:0], copyHeader...)
	}
	var series *ledger.Series
	lastID, lastKey, form := record.SeriesID(0), uint32(0), int16(0)
	var boot []int
	for i := range list {
		r := &list[i]
		if r.Series != lastID {
			series, lastID = s.Epoch.Definitions[r.Series], r.Series
		}
		ref := int64(0)
		if r.Kind == record.KindObservation {
			ref = series.Ref
		}
		if key := formKey(r); key != lastKey {
			form, lastKey = t.forms[key], key
		}
		if !r.Clock.Asserted() {
			boot = append(boot, len(n.buf)+placeOfT)
		}
		b := n.buf
		b = binary.BigEndian.AppendUint16(b, columns)
		for _, v := range [3]int64{s.Micros(r), arrival, int64(at) + int64(i)} {
			b = binary.BigEndian.AppendUint32(b, 8)
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		}
		for _, v := range [2]int64{s.Epoch.Ref, ref} {
			b = binary.BigEndian.AppendUint32(b, 4)
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
		b = binary.BigEndian.AppendUint32(b, 2)
		b = binary.BigEndian.AppendUint16(b, uint16(form))
		n.buf = appendValue(b, r)
	}
	if len(boot) > 0 {
		n.spots = append(n.spots, spot{s.Epoch.Ref, boot})
	}
	return nil
}

const null = ^uint32(0)

// appendValue appends num, real, body and detail.
func appendValue(b []byte, r *record.Record) []byte {
	num, real := false, false
	var body []byte
	switch r.Type.Base() {
	case record.TypeInt, record.TypeDecimal, record.TypeBool:
		num = true
	case record.TypeFloat:
		real = true
	case record.TypeString, record.TypeJSON, record.TypeBytes:
		body = notNil(r.Value())
	}
	for _, here := range [2]bool{num, real} {
		if here {
			b = binary.BigEndian.AppendUint32(b, 8)
			b = binary.BigEndian.AppendUint64(b, uint64(r.Num))
		} else {
			b = binary.BigEndian.AppendUint32(b, null)
		}
	}
	b = appendBytes(b, body)
	if d := r.Detail(); len(d) > 0 {
		return appendBytes(b, d)
	}
	return binary.BigEndian.AppendUint32(b, null)
}

func appendBytes(b, v []byte) []byte {
	if v == nil {
		return binary.BigEndian.AppendUint32(b, null)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

// shift moves rows of an epoch that are not sent yet.
func (n *rows) shift(epoch, micros int64) {
	for _, s := range n.spots {
		if s.epoch != epoch {
			continue
		}
		for _, at := range s.at {
			binary.BigEndian.PutUint64(n.buf[at:], binary.BigEndian.Uint64(n.buf[at:])+uint64(micros))
		}
	}
}

// copyRows sends what addRows has gathered.
func (t *tx) copyRows(ctx context.Context) error {
	n := &t.rows
	if len(n.buf) == 0 {
		return nil
	}
	n.buf = binary.BigEndian.AppendUint16(n.buf, ^uint16(0))
	_, err := t.Tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(n.buf), copySQL)
	if cap(n.buf) <= maxKeptBuffer {
		t.writer.buf = n.buf[:0]
	}
	return err
}

// withoutNUL replaces what the engine's text cannot hold; a unit or a label with a NUL is legal UTF-8 to everyone else.
func withoutNUL(s string) string { return strings.ReplaceAll(s, "\x00", "\u2400") }

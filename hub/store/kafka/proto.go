package kafka

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendBlob(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

// appendProto writes a row as edgelog.v1.Reading of reading.proto. The series' part is made once.
func appendProto(b []byte, h head, a *ledger.Applied, s *ledger.Series, r *record.Record, o record.Offset) []byte {
	b = appendBlob(b, 1, h.device)
	b = appendBlob(b, 2, h.stream)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 3, protowire.Fixed64Type), uint64(a.Epoch.Epoch))
	b = appendVarint(b, 4, uint64(o))
	b = appendVarint(b, 5, protowire.EncodeZigZag(a.Micros(r)))
	if !r.Clock.Asserted() {
		b = appendVarint(b, 6, uint64(a.TError))
		b = appendVarint(b, 7, 1)
	}
	if s != nil {
		if s.Text == nil {
			s.Text = seriesProto(s)
		}
		b = append(b, s.Text...)
	}
	b = appendText(b, 11, r.Type.String())
	b = appendText(b, 12, r.Quality.String())
	b = appendText(b, 13, r.Kind.String())
	b = appendProtoValue(b, r)
	if d := r.Detail(); len(d) > 0 {
		b = appendBlob(b, 21, d)
	}
	return b
}

func seriesProto(s *ledger.Series) []byte {
	b := appendText([]byte{}, 8, s.Name)
	for _, l := range s.Labels {
		b = appendBlob(b, 9, appendText(appendText(nil, 1, l.Key), 2, l.Value))
	}
	return appendText(b, 10, s.Unit)
}

// appendProtoValue writes the field of the oneof that is set, zero or not.
func appendProtoValue(b []byte, r *record.Record) []byte {
	varint := func(field protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
	}
	switch r.Type.Base() {
	case record.TypeInt:
		return varint(14, protowire.EncodeZigZag(r.Num))
	case record.TypeFloat:
		return protowire.AppendFixed64(protowire.AppendTag(b, 15, protowire.Fixed64Type), uint64(r.Num))
	case record.TypeDecimal:
		var buf [24]byte
		d := appendVarint(buf[:0], 1, protowire.EncodeZigZag(r.Num))
		return appendBlob(b, 16, appendVarint(d, 2, uint64(r.Type.Decimals())))
	case record.TypeBool:
		return varint(17, uint64(r.Num))
	case record.TypeString:
		return appendBlob(b, 18, r.Value())
	case record.TypeJSON:
		return appendBlob(b, 19, r.Value())
	case record.TypeBytes:
		return appendBlob(b, 20, r.Value())
	}
	return b
}

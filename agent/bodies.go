package agent

import "github.com/edgelog/edgelog/buffer/record"

// bodies is the sender's codec: the log's own.
type bodies struct {
	enc record.Encoder
	dec record.Decoder
}

// Encode implements uplink.Codec.
func (b *bodies) Encode(dst []byte, recs []record.Record, c record.Codec) ([]byte, record.Codec, int, error) {
	return b.enc.Encode(dst, recs, c)
}

// Decode implements uplink.Codec.
func (b *bodies) Decode(dst []record.Record, c record.Codec, rawLen, count uint32, body []byte) ([]record.Record, error) {
	return b.dec.Decode(dst, c, rawLen, count, body)
}

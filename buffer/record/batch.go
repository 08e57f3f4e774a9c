package record

// Codec says how a body is encoded. The numbers stand in segments and frames and never change.
type Codec uint8

// The codecs. Every reader reads all of them; CODEC.md states the layouts.
const (
	CodecPlain    Codec = 0 // canonical bytes of each record, one after the other: the form of last resort
	CodecColumns  Codec = 1 // columns with prediction per series
	CodecColumnsZ Codec = 2 // CodecColumns, then zstd; RawLen is the length before zstd
)

// Batch is the unit of CRC and compression: one encoded body of consecutive records of one epoch.
type Batch struct {
	Epoch     Epoch
	Base      Offset
	Count     uint32
	ChainBase uint64 // chain(Base)
	ChainEnd  uint64 // chain(Base+Count)
	Codec     Codec
	RawLen    uint32 // length of the body before general compression, ≤ MaxRawBytes
	CRC       uint32 // CRC-32C of Body
	Body      []byte // ≤ MaxBodyBytes
	Producers []ProducerSpan
}

// Range is the offsets that the batch holds.
func (b *Batch) Range() Range { return Range{b.Base, b.Base + Offset(b.Count)} }

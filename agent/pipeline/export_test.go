package pipeline

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/edgelog/edgelog/buffer/record"
)

// Reborn is the core as a checkpoint gives it back.
func Reborn(c *Core) (*Core, error) {
	k := checkpoint{incarnation: uint64(c.def.id()) << 32, core: c}
	got, err := decode(k.encode(nil), c.def, c.resolve)
	if err != nil {
		return nil, err
	}
	return got.core, nil
}

// Encoded is the bytes of a checkpoint of a core.
func Encoded(c *Core) []byte {
	k := checkpoint{incarnation: uint64(c.def.id()) << 32, core: c}
	return k.encode(nil)
}

// Decode reads a checkpoint.
func Decode(b []byte, d Definition) (*Core, error) {
	k, err := decode(b, d, func(record.Epoch, record.SeriesID) (record.Series, bool) { return record.Series{}, false })
	if err != nil {
		return nil, err
	}
	return k.core, nil
}

// Stats of a core.
func (c *Core) Stats() Stats { return c.stats }

// OffsetOf is of which record the message with a sequence was made.
func OffsetOf(sequence uint64) record.Offset { return offsetOf(sequence) }

// Signed makes bytes a checkpoint whose checksum is right.
func Signed(b []byte) []byte {
	out := append([]byte(magic), 0, 0, 0, 0)
	out = append(out, b...)
	binary.LittleEndian.PutUint32(out[4:], crc32.Checksum(out[8:], castagnoli))
	return out
}

// Renamed is a checkpoint that claims to have written nothing yet, in an incarnation that nobody knows.
func Renamed(b []byte, d Definition) []byte {
	k, err := decode(b, d, nil)
	if err != nil {
		panic(err)
	}
	k.before, k.core.stats.Messages = k.incarnation, 0
	k.incarnation ^= 1
	return k.encode(nil)
}

package buffertest_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path"
	"testing"

	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestLyingFooter changes every bit of what a sealed segment's index says of offsets, positions, chains and times, and
// makes all checksums right: no record is lost by it, and none is shown where it did not stand.
func TestLyingFooter(t *testing.T) {
	whole := victim(t, true)
	for n, info := range segments(t, whole) {
		name := path.Join("log/s", info.Name)
		b, err := vfs.ReadFile(whole, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		pos := int64(binary.LittleEndian.Uint32(b[len(b)-16:]))
		f, err := whole.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		k, err := segment.NewBlocks(f, name, binary.LittleEndian.Uint32(b[pos:]), info.Size).Header(pos)
		if err != nil || k.Type != segment.BlockIndex {
			t.Fatal(k, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		body := b[pos+k.Size-int64(k.BodyLen):][:k.BodyLen]
		says := 2 + int(body[1])      // summary: tag, length, content
		says += 2 + int(body[says+1]) // index
		for bit := range says * 8 {
			body[bit/8] ^= 1 << (bit % 8)
			forgeBlock(b[pos:pos+k.Size], pos, len(body))
			disk := whole.CrashClone(vfs.CrashOptions{})
			poke(t, disk, name, func(h vfs.File) error {
				_, err := h.WriteAt(b, 0)
				return err
			})
			outcome(t, disk, fmt.Sprintf("segment %d, bit %d of byte %d of the index", n, bit%8, bit/8), 2*records)
			body[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// forgeBlock makes the checksums of a block right whose last n bytes are its body.
func forgeBlock(b []byte, pos int64, n int) {
	table := crc32.MakeTable(crc32.Castagnoli)
	head := b[:len(b)-n]
	binary.LittleEndian.PutUint32(head[8:], crc32.Checksum(b[len(b)-n:], table))
	crc := crc32.Checksum(binary.LittleEndian.AppendUint64(nil, uint64(pos)), table)
	crc = crc32.Update(crc, table, head[:4])
	binary.LittleEndian.PutUint32(head[4:], crc32.Update(crc, table, head[8:]))
}

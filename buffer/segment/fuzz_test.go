package segment_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"reflect"
	"testing"

	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// FuzzBlock gives any block header with right checksums, and any body behind it, to the reader: what a checksum cannot
// tell is refused by the bounds, or lies within the file.
func FuzzBlock(f *testing.F) {
	f.Add([]byte("\x03\x01chain(b)chain(e)\x02\x04\x0a\x64\x00\x00\x0a\x00body"), uint16(36))
	f.Add([]byte("\x05\x80chain(b)chain(e)\x00\x84\x80\x04\x00\x64\x00\x05"), uint16(40))
	f.Add([]byte("\x01\x00chain(b)chain(e)\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00"), uint16(0))
	f.Fuzz(func(t *testing.T, after []byte, start uint16) {
		const pos = 64
		table := crc32.MakeTable(crc32.Castagnoli)
		b := make([]byte, pos, pos+12+len(after))
		b = append(b, "salt....bcrc"...)
		b = append(b, after...)
		head := b[pos:]
		if int(start) < 12 || int(start) > len(head) {
			start = uint16(len(head))
		}
		binary.LittleEndian.PutUint32(head[8:], crc32.Checksum(head[start:], table))
		c := crc32.Checksum(binary.LittleEndian.AppendUint64(nil, pos), table)
		c = crc32.Update(c, table, head[:4])
		binary.LittleEndian.PutUint32(head[4:], crc32.Update(c, table, head[8:start]))
		disk := vfs.NewMem()
		h, err := disk.Create("s")
		if err == nil {
			_, err = h.WriteAt(b, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		r := segment.NewBlocks(h, "s", binary.LittleEndian.Uint32(head), int64(len(b)))
		k, err := r.Header(pos)
		var bad *segment.CorruptionError
		if err != nil {
			if !errors.As(err, &bad) && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return
		}
		if k.Pos+k.Size > int64(len(b)) || k.Synced > pos || int64(k.BodyLen) > k.Size {
			t.Fatalf("%+v of %d bytes", k, len(b))
		}
		if _, err := r.Body(&k); err != nil && !errors.As(err, &bad) && !errors.Is(err, segment.ErrKey) {
			t.Fatal(err)
		}
	})
}

// FuzzParseHeader gives any header with right checksums: what is taken is written again as the same header.
func FuzzParseHeader(f *testing.F) {
	b, err := segment.AppendHeader(nil, header())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[20 : len(b)-4])
	f.Fuzz(func(t *testing.T, inner []byte) {
		table := crc32.MakeTable(crc32.Castagnoli)
		b := append([]byte("edgeseg\n"), 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(20+len(inner)+4))
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, table))
		b = append(b, inner...)
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, table))
		h, n, err := segment.ParseHeader(b)
		if err != nil {
			if !errors.Is(err, segment.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		if n != len(b) {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
		again, err := segment.AppendHeader(nil, &h)
		if errors.Is(err, segment.ErrTooBig) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		h2, _, err := segment.ParseHeader(again)
		if err != nil || !reflect.DeepEqual(h, h2) {
			t.Fatalf("%v\n%+v\n%+v", err, h, h2)
		}
	})
}

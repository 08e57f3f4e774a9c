package segment_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

var testKey = segment.Key{1, 2, 3}

// three writes an encrypted segment of three batches of equal size and returns their positions.
func three(t *testing.T, fs vfs.FS, salt uint32) []segment.Block {
	t.Helper()
	if err := fs.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	w, err := segment.CreateEncrypted(fs, "d", fmt.Sprint("s", salt), &segment.Header{Salt: salt, Stream: "telemetry", Epoch: 7}, 0, &testKey)
	if err != nil {
		t.Fatal(err)
	}
	var out []segment.Block
	for i := range 3 {
		body := []byte(fmt.Sprintf("body number %d", i))
		b := segment.Block{Codec: record.CodecPlain, Count: 1, Base: record.Offset(i), ChainBase: 5, ChainEnd: 5, RawLen: uint32(len(body))}
		if err := w.Batch(&b, body); err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

func peekKey(t *testing.T, fs vfs.FS, name string) (*segment.Contents, vfs.File, *segment.Blocks) {
	t.Helper()
	f, err := fs.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := segment.Peek(f, name)
	if err != nil {
		t.Fatal(err)
	}
	b := segment.NewBlocks(f, name, c.Header.Salt, c.Size)
	if c.Key, err = c.DataKey(f, &segment.Keys{Current: &testKey}); err != nil {
		t.Fatal(err)
	}
	b.SetKey(c.Key)
	return c, f, b
}

// Of the blocks here: the numbers take a byte each and there is no ext.
const (
	atCodec, atChain = 13, 14
	atBodyLen        = 31
	atCount, atBase  = 32, 33
	atBody           = 36
)

// forge writes bytes over a block at pos and makes all checksums right, as somebody would who has no key.
func forge(t *testing.T, f vfs.File, salt uint32, pos int64, b []byte) {
	t.Helper()
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.LittleEndian.PutUint32(b, salt)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[atBody:], table))
	at := binary.LittleEndian.AppendUint64(nil, uint64(pos))
	crc := crc32.Update(crc32.Update(crc32.Checksum(at, table), table, b[:4]), table, b[8:atBody])
	binary.LittleEndian.PutUint32(b[4:], crc)
	if _, err := f.WriteAt(b, pos); err != nil {
		t.Fatal(err)
	}
}

func TestForgedBlocksAreDamage(t *testing.T) {
	cut := func(b []byte) []byte {
		b[atBodyLen]--
		return b[:len(b)-1]
	}
	for name, change := range map[string]func(first, second, other []byte) []byte{
		"moved from another place":   func(_, second, _ []byte) []byte { return second },
		"moved, told another offset": func(_, second, _ []byte) []byte { second[atBase] = 0; return second },
		"moved from another segment": func(_, _, other []byte) []byte { return other },
		"another chain":              func(first, _, _ []byte) []byte { first[atChain]++; return first },
		"another codec":              func(first, _, _ []byte) []byte { first[atCodec]++; return first },
		"another count":              func(first, _, _ []byte) []byte { first[atCount]++; return first },
		"another body":               func(first, _, _ []byte) []byte { first[len(first)-1]++; return first },
		"cut off":                    func(first, _, _ []byte) []byte { return cut(first) },
	} {
		fs := vfs.NewMem()
		blocks := three(t, fs, 0x11111111)
		three(t, fs, 0x22222222)
		read := func(file string, k segment.Block) []byte {
			f, err := fs.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b := make([]byte, k.Size)
			if _, err := f.ReadAt(b, k.Pos); err != nil {
				t.Fatal(err)
			}
			return b
		}
		const mine, other = "d/s286331153", "d/s572662306"
		b := change(read(mine, blocks[0]), read(mine, blocks[1]), read(other, blocks[0]))
		_, f, _ := peekKey(t, fs, mine)
		forge(t, f, 0x11111111, blocks[0].Pos, b)
		_, _, r := peekKey(t, fs, mine)
		k, err := r.Header(blocks[0].Pos)
		if err != nil {
			t.Fatalf("%s: the forged checksums do not pass: %v", name, err)
		}
		var bad *segment.CorruptionError
		if body, err := r.Body(&k); !errors.As(err, &bad) {
			t.Errorf("%s: read as %q, %v", name, body, err)
		}
		if k, err = r.Header(blocks[2].Pos); err != nil {
			t.Fatal(err)
		}
		if body, err := r.Body(&k); err != nil || string(body) != "body number 2" {
			t.Errorf("%s: the third block is read as %q, %v", name, body, err)
		}
	}
}

// Damaged key slots: one is enough, both missing are a clear error; verification of checksums needs no key.
func TestKeySlots(t *testing.T) {
	fs := vfs.NewMem()
	three(t, fs, 0x11111111)
	const name = "d/s286331153"
	c, f, _ := peekKey(t, fs, name)
	for i, at := range []int64{4096, 8192} {
		if _, err := f.WriteAt(make([]byte, 512), at); err != nil {
			t.Fatal(err)
		}
		_, err := c.DataKey(f, &segment.Keys{Current: &testKey})
		if i == 0 {
			if err != nil {
				t.Fatal("one slot is not enough:", err)
			}
			if did, err := segment.Rewrap(fs, c, &segment.Keys{Current: &testKey}); !did || err != nil {
				t.Fatal("the damaged slot is not mended:", did, err)
			}
			if _, err := f.WriteAt(make([]byte, 512), at); err != nil {
				t.Fatal(err)
			}
		} else if !errors.Is(err, segment.ErrKey) {
			t.Fatal(err)
		}
	}
	c, err := segment.Peek(f, name)
	if err == nil {
		err = c.Scan(f, 0)
	}
	if err != nil || c.Index.End != 3 || len(c.Damage) != 0 {
		t.Fatalf("%v: %+v", err, c)
	}
}

func TestParseKey(t *testing.T) {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(i)
	}
	want, err := segment.ParseKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{hex.EncodeToString(raw) + "\n", " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"} {
		if k, err := segment.ParseKey([]byte(s)); err != nil || k != want {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "secret", string(make([]byte, 32)), string(make([]byte, 64)), hex.EncodeToString(make([]byte, 32))} {
		if _, err := segment.ParseKey([]byte(s)); err == nil {
			t.Errorf("%q is taken for a key", s)
		}
	}
}

// FuzzKeySlot: whatever stands in the slots, a key is found there only if it was put there.
func FuzzKeySlot(f *testing.F) {
	f.Add([]byte("edgekey\n"), 0)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		fs := vfs.NewMem()
		three(t, fs, 0x11111111)
		c, file, _ := peekKey(t, fs, "d/s286331153")
		for _, slot := range []int64{4096, 8192} {
			if _, err := file.WriteAt(b, slot+int64(uint(at)%88)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.DataKey(file, &segment.Keys{Current: &testKey}); err != nil && !errors.Is(err, segment.ErrKey) {
			t.Fatal(err)
		}
	})
}

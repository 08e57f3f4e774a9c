package segment_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// BenchmarkEncryption appends encoded bodies of 50 kB, four to a commit, to reserved segments on the disk, and reads them
// back, with and without encryption.
func BenchmarkEncryption(b *testing.B) {
	body := make([]byte, 50_000)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(body) // does not fail (math/rand/v2)
	const commits = 40
	for _, key := range []*segment.Key{nil, &testKey} {
		name := map[bool]string{true: "encrypted", false: "plain"}[key != nil]
		b.Run("append/"+name, func(b *testing.B) {
			dir := b.TempDir()
			b.SetBytes(commits * 4 * int64(len(body)))
			for n := 0; b.Loop(); n++ {
				writeSegment(b, dir, fmt.Sprint(n), body, key, commits)
			}
		})
		b.Run("read/"+name, func(b *testing.B) {
			dir := b.TempDir()
			writeSegment(b, dir, "s", body, key, commits)
			b.SetBytes(commits * 4 * int64(len(body)))
			for b.Loop() {
				readSegment(b, dir+"/s", key, commits*4)
			}
		})
	}
}

func writeSegment(b *testing.B, dir, name string, body []byte, key *segment.Key, commits int) {
	w, err := segment.CreateEncrypted(vfs.OS{}, dir, name, &segment.Header{Salt: 0x11111111, Stream: "telemetry", Epoch: 7}, 16<<20, key)
	if err != nil {
		b.Fatal(err)
	}
	for i := range commits * 4 {
		k := segment.Block{Codec: record.CodecPlain, Count: 1, Base: record.Offset(i), RawLen: uint32(len(body))}
		if err := w.Batch(&k, body); err != nil {
			b.Fatal(err)
		}
		if i%4 != 3 {
			continue
		}
		if err := w.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

func readSegment(b *testing.B, name string, key *segment.Key, want int) {
	f, err := vfs.OS{}.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	c, err := segment.Peek(f, name)
	if err != nil {
		b.Fatal(err)
	}
	k, err := c.DataKey(f, &segment.Keys{Current: key})
	if err != nil {
		b.Fatal(err)
	}
	r := segment.NewBlocks(f, name, c.Header.Salt, c.Size)
	r.SetKey(k)
	n := 0
	for pos := c.Start; n < want; {
		h, err := r.Header(pos)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Body(&h); err != nil {
			b.Fatal(err)
		}
		if pos += h.Size; h.Type == segment.BlockBatch {
			n++
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

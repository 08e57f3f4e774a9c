package record

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

var errTruncated = errors.New("truncated")

// bodyReader is a cursor over a body that remembers its first error: decode a section, check once. Eight readable
// bytes follow end, so that packed integers can be loaded by words.
type bodyReader struct {
	b   []byte
	off int
	end int
	err error
}

func (r *bodyReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.off = r.end
}

// take returns the next n bytes, nil after an error.
func (r *bodyReader) take(n int) []byte {
	if n < 0 || n > r.end-r.off {
		r.fail(errTruncated)
		return nil
	}
	b := r.b[r.off : r.off+n]
	r.off += n
	return b
}

func (r *bodyReader) byte() byte {
	if r.off >= r.end {
		r.fail(errTruncated)
		return 0
	}
	r.off++
	return r.b[r.off-1]
}

func (r *bodyReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.off:r.end])
	if n <= 0 {
		r.fail(errTruncated)
		return 0
	}
	r.off += n
	return v
}

func (r *bodyReader) svarint() int64 { return unzigzag(r.uvarint()) }

// upTo reads a number that must lie in [lo, hi].
func (r *bodyReader) upTo(lo, hi int) int {
	v := r.uvarint()
	if r.err == nil && (v < uint64(lo) || v > uint64(hi)) {
		r.fail(errRange)
	}
	if r.err != nil {
		return lo
	}
	return int(v)
}

var errRange = errors.New("a number is out of range")

// bits unpacks len(dst) values of w bits, 0 ≤ w ≤ 64.
func (r *bodyReader) bits(dst []uint64, w int) {
	at := r.off
	if r.take(packedLen(len(dst), w)) == nil {
		clear(dst)
		return
	}
	unpack(dst, r.b[at:], uint(w))
}

// unpack reads len(dst) values of w bits from b, which is at least 8 bytes longer than they are.
func unpack(dst []uint64, b []byte, w uint) {
	switch {
	case w == 0:
		clear(dst)
		return
	case w <= 8:
		mask := uint64(1)<<w - 1
		for len(dst) >= 8 {
			x := binary.LittleEndian.Uint64(b)
			d := dst[:8:8]
			d[0] = x & mask
			x >>= w
			d[1] = x & mask
			x >>= w
			d[2] = x & mask
			x >>= w
			d[3] = x & mask
			x >>= w
			d[4] = x & mask
			x >>= w
			d[5] = x & mask
			x >>= w
			d[6] = x & mask
			x >>= w
			d[7] = x & mask
			b, dst = b[w:], dst[8:]
		}
	}
	if w <= 57 {
		mask := uint64(1)<<w - 1
		for i, at := 0, uint(0); i < len(dst); i, at = i+1, at+w {
			dst[i] = binary.LittleEndian.Uint64(b[at>>3:]) >> (at & 7) & mask
		}
		return
	}
	mask := ^uint64(0) >> (64 - w)
	for i, at := 0, uint(0); i < len(dst); i, at = i+1, at+w {
		p, s := at>>3, at&7
		x := binary.LittleEndian.Uint64(b[p:]) >> s
		if s > 0 {
			x |= uint64(b[p+8]) << (64 - s)
		}
		dst[i] = x & mask
	}
}

// blocks reads a stream of len(dst) integers.
func (d *Decoder) blocks(r *bodyReader, dst []int64) {
	for len(dst) > 0 && r.err == nil {
		n := min(len(dst), blockLen)
		d.block(r, dst[:n])
		dst = dst[n:]
	}
}

func (d *Decoder) block(r *bodyReader, dst []int64) {
	z := d.zz[:len(dst)]
	x := r.byte()
	w := int(x &^ blockPatched)
	if w >= blockBase {
		if x&blockPatched != 0 {
			r.fail(errRange)
			return
		}
		base := r.svarint()
		r.bits(z, w-blockBase)
		for i, u := range z[:len(dst)] {
			dst[i] = base + int64(u)
		}
		return
	}
	if x&blockPatched != 0 {
		d.patched(r, z, w)
	} else {
		r.bits(z, w)
	}
	for i, u := range z[:len(dst)] {
		dst[i] = unzigzag(u)
	}
}

func (d *Decoder) patched(r *bodyReader, z []uint64, w int) {
	count, high := int(r.byte())+1, int(r.byte())
	if count > len(z) || high == 0 || w+high > 64 {
		r.fail(errRange)
		return
	}
	positions := d.positions[:0]
	if bitmap := packedLen(len(z), 1); count >= bitmap {
		for i, b := range r.take(bitmap) {
			for ; b != 0; b &= b - 1 {
				positions = append(positions, byte(i<<3+bits.TrailingZeros8(b)))
			}
		}
	} else {
		positions = append(positions, r.take(count)...)
	}
	if len(positions) != count {
		r.fail(errRange)
		return
	}
	highs := d.high[:count]
	r.bits(highs, high)
	r.bits(z, w)
	for i, p := range positions {
		if int(p) >= len(z) {
			r.fail(errRange)
			return
		}
		z[p] |= highs[i] << uint(w)
	}
}

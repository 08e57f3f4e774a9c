package record

import (
	"encoding/binary"
	"math/bits"
)

// A stream of integers is cut into blocks of up to blockLen; each has its own width, so that it follows its data.
// The first byte of a block, x:
//
//	x & 0x7f ≤ 64      zigzag, width w = x & 0x7f
//	x & 0x7f > 64      minus a base (svarint, next), width w = x & 0x7f − 65
//	x & 0x80           patched (zigzag only): u8 exceptions−1 | u8 high width | positions | high parts
//
// then ⌈n·w/8⌉ bytes, least significant bit first. Patched values keep their low w bits there; positions are one byte
// each, or a bitmap of ⌈n/8⌉ bytes where that is not longer; high parts are packed with the high width.
const (
	blockLen     = 128
	blockBase    = 65
	blockPatched = 0x80
)

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func packedLen(n, w int) int { return (n*w + 7) >> 3 }

func varintLen(u uint64) int { return (bits.Len64(u|1) + 6) / 7 }

func appendSvarint(dst []byte, v int64) []byte { return binary.AppendUvarint(dst, zigzag(v)) }

// appendBits packs the low w bits of each value, least significant bit first.
func appendBits(dst []byte, v []uint64, w int) []byte {
	if w == 0 || len(v) == 0 {
		return dst
	}
	end := len(dst) + packedLen(len(v), w)
	dst = grow(dst, end+8)
	out := dst[end-packedLen(len(v), w):]
	mask := ^uint64(0) >> (64 - uint(w))
	var acc uint64
	n := uint(0)
	p := 0
	for _, x := range v {
		x &= mask
		acc |= x << n
		n += uint(w)
		if n >= 64 {
			binary.LittleEndian.PutUint64(out[p:], acc)
			p += 8
			n -= 64
			acc = x >> (uint(w) - n) // a shift by 64 gives 0
		}
	}
	if n > 0 {
		binary.LittleEndian.PutUint64(out[p:], acc)
	}
	return dst[:end]
}

// grow gives s the length n and keeps what it holds.
func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	t := make([]T, n, n+n/4+16)
	copy(t, s[:cap(s)])
	return t
}

// appendBlocks writes a stream of integers; its length is known to the reader.
func (e *Encoder) appendBlocks(dst []byte, v []int64) []byte {
	for len(v) > 0 {
		n := min(len(v), blockLen)
		dst = e.appendBlock(dst, v[:n])
		v = v[n:]
	}
	return dst
}

func (e *Encoder) appendBlock(dst []byte, v []int64) []byte {
	z := e.zz[:len(v)]
	var or uint64
	lo, hi := v[0], v[0]
	for i, x := range v {
		u := zigzag(x)
		z[i] = u
		or |= u
		lo, hi = min(lo, x), max(hi, x)
	}
	n, wide := len(v), bits.Len64(or)
	cost := packedLen(n, wide)
	// Minus a base.
	based := bits.Len64(uint64(hi) - uint64(lo))
	useBase := false
	if c := packedLen(n, based) + varintLen(zigzag(lo)); c < cost && based <= 62 {
		cost, useBase = c, true
	}
	// Patched: worth a look only where some values are much wider than the others.
	if cost > 4 && wide > 2 {
		if w, count := choosePatch(z, wide, cost); w >= 0 {
			return e.appendPatched(dst, z, w, wide-w, count)
		}
	}
	if !useBase {
		dst = append(dst, byte(wide))
		return appendBits(dst, z, wide)
	}
	dst = append(dst, byte(blockBase+based))
	dst = appendSvarint(dst, lo)
	for i, x := range v {
		z[i] = uint64(x) - uint64(lo)
	}
	return appendBits(dst, z, based)
}

// choosePatch finds the low width that makes a patched block smaller than cost, -1 if there is none.
func choosePatch(z []uint64, wide, cost int) (w, count int) {
	var hist [65]uint8
	for _, u := range z {
		hist[bits.Len64(u)&127]++
	}
	w, n, over := -1, len(z), 0
	for low := wide - 1; low >= 0; low-- {
		over += int(hist[low+1])
		c := 2 + packedLen(n, low) + min(over, packedLen(n, 1)) + packedLen(over, wide-low)
		if c < cost {
			cost, w, count = c, low, over
		}
	}
	return w, count
}

func (e *Encoder) appendPatched(dst []byte, z []uint64, w, high, count int) []byte {
	dst = append(dst, byte(w)|blockPatched, byte(count-1), byte(high))
	highs := e.high[:0]
	at := len(dst)
	bitmap := packedLen(len(z), 1)
	if count >= bitmap {
		for range bitmap {
			dst = append(dst, 0)
		}
	}
	for i, u := range z {
		if u>>uint(w) == 0 {
			continue
		}
		highs = append(highs, u>>uint(w))
		if count >= bitmap {
			dst[at+i>>3] |= 1 << (i & 7)
		} else {
			dst = append(dst, byte(i))
		}
	}
	dst = appendBits(dst, highs, high)
	return appendBits(dst, z, w)
}

package record

import (
	"encoding/binary"
	"math/bits"
)

// The canonical bytes of a record, little-endian:
//
//	 0       1         2      3                4        8      16     24
//	+-------+---------+------+----------------+--------+------+------+
//	| kind  | quality | type | clock (|0x80)  | series | time | num  |
//	| u8    | u8      | u8   | u8             | u32    | i64  | i64  |
//	+-------+---------+------+----------------+--------+------+------+
//	only if the clock byte has bit 7 set (a value in bytes, or a detail):
//	+---------------+----------------+-------+--------+----------------+
//	| value len u32 | detail len u32 | value | detail | zeros to 8     |
//	+---------------+----------------+-------+--------+----------------+
//
// digest and chain are functions of these 8-byte words alone; CHAIN.md states them with test vectors. They are a
// check against accidents (a resumed snapshot, a live copy, a bug), not against forgery.
const (
	canonicalFixed = 24
	canonicalData  = 0x80
)

// hasData reports whether the record has the variable part of the canonical bytes.
func (r *Record) hasData() bool {
	return r.Type.InData() || r.Data != nil && (len(r.Data.Value) > 0 || len(r.Data.Detail) > 0)
}

// CanonicalLen is the length of the canonical bytes, a multiple of 8.
func (r *Record) CanonicalLen() int {
	if !r.hasData() {
		return canonicalFixed
	}
	return canonicalFixed + 8 + (len(r.Value())+len(r.Detail())+7)&^7
}

// AppendCanonical appends the canonical bytes.
func (r *Record) AppendCanonical(dst []byte) []byte {
	clock := byte(r.Clock)
	data := r.hasData()
	if data {
		clock |= canonicalData
	}
	dst = append(dst, byte(r.Kind), byte(r.Quality), byte(r.Type), clock)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.Series))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Time))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Num))
	if !data {
		return dst
	}
	v, d := r.Value(), r.Detail()
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(d)))
	dst = append(dst, v...)
	dst = append(dst, d...)
	for n := (len(v) + len(d)) & 7; n > 0 && n < 8; n++ {
		dst = append(dst, 0)
	}
	return dst
}

// Odd constants of the digest and the chain: the first 64 bits of the fractional parts of the square roots of
// 2, 3, 5, 7 and 11, made odd.
const (
	k0 = 0x6a09e667f3bcc909
	k1 = 0xbb67ae8584caa73b
	k2 = 0x3c6ef372fe94f82b
	k3 = 0xa54ff53a5f1d36f1
	kc = 0x510e527fade682d1
)

func mum(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Digest is a 64-bit digest of the canonical bytes.
func (r *Record) Digest() uint64 {
	w0 := uint64(r.Kind) | uint64(r.Quality)<<8 | uint64(r.Type)<<16 | uint64(r.Clock)<<24 | uint64(r.Series)<<32
	if r.Data == nil && !r.Type.InData() {
		return mum(mum(w0^k0, uint64(r.Time)^k1)^k2, uint64(r.Num)^k3)
	}
	return r.digestData(w0)
}

func (r *Record) digestData(w0 uint64) uint64 {
	if !r.hasData() {
		return mum(mum(w0^k0, uint64(r.Time)^k1)^k2, uint64(r.Num)^k3)
	}
	w0 |= canonicalData << 24
	h := mum(mum(w0^k0, uint64(r.Time)^k1)^k2, uint64(r.Num)^k3)
	v, d := r.Value(), r.Detail()
	h = mum(h^k2, (uint64(len(v))|uint64(len(d))<<32)^k3)
	var w [8]byte
	n := 0
	for _, part := range [2][]byte{v, d} {
		for len(part) > 0 {
			if n == 0 && len(part) >= 8 {
				h = mum(h^k2, binary.LittleEndian.Uint64(part)^k3)
				part = part[8:]
				continue
			}
			c := copy(w[n:], part)
			part, n = part[c:], n+c
			if n == 8 {
				h = mum(h^k2, binary.LittleEndian.Uint64(w[:])^k3)
				w, n = [8]byte{}, 0
			}
		}
	}
	if n > 0 {
		h = mum(h^k2, binary.LittleEndian.Uint64(w[:])^k3)
	}
	return h
}

// Mix folds one digest into the chain: chain(o+1) = Mix(chain(o), digest(record o)). It is a bijection of the
// chain for a given digest and of the digest for a given chain. A root epoch starts at chain 0.
func Mix(chain, digest uint64) uint64 {
	return (bits.RotateLeft64(chain, 29) ^ digest) * kc
}

// FoldChain folds the records in order.
func FoldChain(chain uint64, recs []Record) uint64 {
	for i := range recs {
		chain = Mix(chain, recs[i].Digest())
	}
	return chain
}

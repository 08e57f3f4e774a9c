package vfs

import (
	"bytes"
	"slices"
)

// token marks who may change a page in place. It has a size so that every new(token) has its own address.
type token struct{ _ byte }

// page is one block of file content. A page may be changed in place only by the file state whose token it carries;
// everybody else copies it first. That lets clones share pages.
type page struct {
	owner *token
	data  [PageSize]byte
}

// reservedPage stands for a block that is allocated but was never written. It reads as zeros, has no owner, and is
// therefore never changed.
var reservedPage = new(page)

// pages is the content of a file by block. nil is a hole. Bytes beyond the file's size are zero.
type pages []*page

// written says whether block i was ever written (not a hole, not merely reserved).
func (t pages) written(i int64) bool {
	return i < int64(len(t)) && t[i] != nil && t[i] != reservedPage
}

// has says whether block i takes space.
func (t pages) has(i int64) bool { return i < int64(len(t)) && t[i] != nil }

// allocated is the number of blocks that take space.
func (t pages) allocated() int64 {
	var n int64
	for _, p := range t {
		if p != nil {
			n++
		}
	}
	return n
}

// readAt fills p with the content at off; holes and what lies behind the table read as zero.
func (t pages) readAt(p []byte, off int64) {
	for len(p) > 0 {
		i, o := off/PageSize, int(off%PageSize)
		n := min(len(p), PageSize-o)
		if i < int64(len(t)) && t[i] != nil {
			copy(p[:n], t[i].data[o:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+int64(n)
	}
}

// writeAt copies p to off, growing the table and copying pages that tok does not own.
func (t *pages) writeAt(p []byte, off int64, tok *token) {
	for len(p) > 0 {
		i, o := off/PageSize, int(off%PageSize)
		n := min(len(p), PageSize-o)
		t.own(i, tok)
		copy((*t)[i].data[o:], p[:n])
		p, off = p[n:], off+int64(n)
	}
}

// writeIfNew is writeAt that says whether it changed anything.
func (t *pages) writeIfNew(p []byte, off int64, tok *token) bool {
	old := make([]byte, len(p))
	if t.readAt(old, off); bytes.Equal(old, p) {
		return false
	}
	t.writeAt(p, off, tok)
	return true
}

// own makes block i a page that tok may change.
func (t *pages) own(i int64, tok *token) {
	t.grow(i + 1)
	switch p := (*t)[i]; {
	case p == nil, p == reservedPage:
		(*t)[i] = &page{owner: tok}
	case p.owner != tok:
		(*t)[i] = &page{owner: tok, data: p.data}
	}
}

// grow makes the table at least n blocks long.
func (t *pages) grow(n int64) {
	if d := n - int64(len(*t)); d > 0 {
		*t = append(*t, make(pages, d)...)
	}
}

// trim drops every byte at and above size.
func (t *pages) trim(size int64, tok *token) {
	n := blocks(size)
	if n < int64(len(*t)) {
		clear((*t)[n:])
		*t = (*t)[:n]
	}
	i, o := size/PageSize, size%PageSize
	if o == 0 || !t.written(i) || allZero((*t)[i].data[o:]) {
		return
	}
	t.own(i, tok)
	clear((*t)[i].data[o:])
}

// reserve allocates the holes below size.
func (t *pages) reserve(size int64) {
	t.grow(blocks(size))
	for i, p := range (*t)[:blocks(size)] {
		if p == nil {
			(*t)[i] = reservedPage
		}
	}
}

func (t pages) clone() pages { return slices.Clone(t) }

// blocks is the number of blocks that size bytes touch.
func blocks(size int64) int64 { return (size + PageSize - 1) / PageSize }

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

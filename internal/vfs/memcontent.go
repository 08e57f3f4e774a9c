package vfs

// mutation is one change of a file's content that no sync has covered yet.
type mutation struct {
	kind  OpKind // OpWrite, OpTruncate or OpReserve
	off   int64  // of a write
	data  []byte // of a write; never changed after
	size  int64  // of a truncate or reserve
	after int64  // the file's size after it
}

// content is what one file holds: as a reader sees it now, as it is durable, and the mutations in between.
//
//	durable --(lost, pending, in order)--> now
type content struct {
	tok  *token // owner of pages that may be changed in place; nil: none may
	now  pages
	size int64

	durable     pages
	durableSize int64
	pending     []mutation

	// Writes whose sync failed. The kernel forgot that their pages are dirty: a later successful sync does not write
	// them, unless the page was written again since. lostPages are the blocks for which that still holds.
	lost      []mutation
	lostPages map[int64]bool

	link bool // a symbolic link: the content is its target, and never changes
}

// freeze forbids changing present pages in place, because somebody shares them from now on.
func (c *content) freeze() { c.tok = nil }

func (c *content) token() *token {
	if c.tok == nil {
		c.tok = new(token)
	}
	return c.tok
}

func (c *content) write(p []byte, off int64) {
	c.now.writeAt(p, off, c.token())
	c.size = max(c.size, off+int64(len(p)))
	c.pending = append(c.pending, mutation{kind: OpWrite, off: off, data: append([]byte(nil), p...), after: c.size})
}

func (c *content) truncate(size int64) {
	if size < c.size {
		c.now.trim(size, c.token())
		for i := range c.lostPages {
			if i >= size/PageSize {
				delete(c.lostPages, i) // gone or written again
			}
		}
	}
	c.size = size
	c.pending = append(c.pending, mutation{kind: OpTruncate, size: size, after: size})
}

func (c *content) reserve(size int64) {
	c.now.reserve(size)
	c.size = max(c.size, size)
	c.pending = append(c.pending, mutation{kind: OpReserve, size: size, after: c.size})
}

// sync makes the present content durable, except what a failed sync lost.
func (c *content) sync() {
	onlyWrites := true
	for _, m := range c.pending {
		if m.kind != OpWrite {
			onlyWrites = false
			continue
		}
		for i := m.off / PageSize; i < blocks(m.off+int64(len(m.data))); i++ {
			delete(c.lostPages, i)
		}
	}
	if onlyWrites {
		c.durable.grow(int64(len(c.now)))
		for _, m := range c.pending {
			for i := m.off / PageSize; i < blocks(m.off+int64(len(m.data))); i++ {
				c.durable[i] = c.now[i]
			}
		}
	} else {
		old := c.durable
		c.durable = c.now.clone()
		for i := range c.lostPages {
			if i < int64(len(c.durable)) {
				c.durable[i] = nil
				if i < int64(len(old)) {
					c.durable[i] = old[i]
				}
			}
		}
	}
	c.durableSize = c.size
	c.pending = nil
	if len(c.lostPages) == 0 {
		c.lost = nil
	}
	c.freeze()
}

// failSync is what a failed fsync leaves: the written pages count as clean although they are not on the disk.
// Truncates and reservations stay pending, as the journal still holds them.
func (c *content) failSync() {
	var rest []mutation
	for _, m := range c.pending {
		if m.kind != OpWrite {
			rest = append(rest, m)
			continue
		}
		if c.lostPages == nil {
			c.lostPages = make(map[int64]bool)
		}
		for i := m.off / PageSize; i < blocks(m.off+int64(len(m.data))); i++ {
			c.lostPages[i] = true
		}
		c.lost = append(c.lost, m)
	}
	c.pending = rest
}

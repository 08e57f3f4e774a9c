package vfs

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// memFile is an open file of a Mem.
type memFile struct {
	m      *Mem
	n      *node
	name   string
	write  bool
	closed bool // guarded by m.mu
}

var errNegative = errors.New("negative offset or size")

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.RLock()
	defer f.m.mu.RUnlock()
	switch {
	case f.m.stopped():
		return 0, pathErr("read", f.name, ErrStopped)
	case f.closed:
		return 0, pathErr("read", f.name, os.ErrClosed)
	case off < 0:
		return 0, pathErr("read", f.name, errNegative)
	}
	c := f.n.file
	if len(p) == 0 {
		return 0, nil
	}
	n := int(min(int64(len(p)), max(c.size-off, 0)))
	c.now.readAt(p[:n], off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// check refuses what a closed or read-only handle cannot do.
func (f *memFile) check(write bool, at int64) error {
	switch {
	case f.closed:
		return os.ErrClosed
	case write && !f.write:
		return syscall.EBADF
	case at < 0:
		return errNegative
	}
	return nil
}

func (f *memFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.m.mutate(Op{Kind: OpWrite, Name: f.name, Off: off, Size: int64(len(p))}, func() error {
		if err := f.check(true, off); err != nil || len(p) == 0 {
			return err
		}
		c := f.n.file
		n = f.m.allocate(c, off, len(p))
		if n > 0 {
			c.write(p[:n], off)
			f.n.touch()
		}
		if n < len(p) {
			return syscall.ENOSPC
		}
		return nil
	})
	return n, err
}

// allocate takes the space that a write of n bytes at off needs and returns how many bytes fit.
func (m *Mem) allocate(c *content, off int64, n int) int {
	free := m.free()
	end := off + int64(n)
	for i := off / PageSize; i < blocks(end); i++ {
		if c.now.has(i) {
			continue
		}
		if free == 0 {
			return int(max(i*PageSize-off, 0))
		}
		free--
		m.used++
	}
	return n
}

func (f *memFile) Reserve(size int64) error {
	return f.m.mutate(Op{Kind: OpReserve, Name: f.name, Size: size}, func() error {
		if err := f.check(true, size); err != nil || size == 0 {
			return err
		}
		c, need := f.n.file, int64(0)
		for i := range blocks(size) {
			if !c.now.has(i) {
				need++
			}
		}
		if need > f.m.free() {
			return syscall.ENOSPC
		}
		f.m.used += need
		c.reserve(size)
		return nil
	})
}

func (f *memFile) Truncate(size int64) error {
	return f.m.mutate(Op{Kind: OpTruncate, Name: f.name, Size: size}, func() error {
		if err := f.check(true, size); err != nil {
			return err
		}
		c := f.n.file
		before := c.now.allocated()
		if blocks(size) < int64(len(c.now)) {
			f.m.bury(c.now.clone())
			c.freeze()
		}
		c.truncate(size)
		f.m.used -= before - c.now.allocated()
		f.n.touch()
		return nil
	})
}

func (f *memFile) Sync() error {
	return f.m.mutate(Op{Kind: OpSync, Name: f.name}, func() error {
		if err := f.check(false, 0); err != nil {
			return err
		}
		if !f.m.lying {
			f.n.file.sync()
		}
		return nil
	})
}

// failSync makes what is written and not synced behave as after a failed fsync (see Inject).
func (f *memFile) failSync() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.file.failSync()
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.RLock()
	defer f.m.mu.RUnlock()
	switch {
	case f.m.stopped():
		return 0, pathErr("size", f.name, ErrStopped)
	case f.closed:
		return 0, pathErr("size", f.name, os.ErrClosed)
	}
	return f.n.file.size, nil
}

// Close is idempotent and always succeeds. It makes nothing durable.
func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	f.n.handles--
	f.m.release(f.n)
	return nil
}

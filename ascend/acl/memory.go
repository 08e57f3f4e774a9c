package acl

import (
	"fmt"
	"unsafe"
)

// Buffer is device memory.
type Buffer struct {
	c    *Context
	Ptr  DevPtr
	Size int // bytes
}

// Malloc takes device memory; its contents are undefined. Taking and giving back is slow: keep and use again.
func (c *Context) Malloc(size int, p Policy) (*Buffer, error) {
	if err := c.here(); err != nil {
		return nil, err
	}
	if size <= 0 {
		return nil, fmt.Errorf("allocate %d bytes of device memory: the size must be positive", size)
	}
	var ptr uintptr
	if err := c.check("aclrtMalloc", c.a.Malloc(&ptr, uintptr(size), int32(p))); err != nil {
		return nil, err
	}
	c.l.counters.device.Add(1)
	return &Buffer{c: c, Ptr: DevPtr(ptr), Size: size}, nil
}

// Free gives the memory back, at once and whatever still uses it.
func (b *Buffer) Free() error {
	if b == nil || b.Ptr == 0 {
		return nil
	}
	p := b.Ptr
	b.Ptr = 0
	b.c.l.counters.device.Add(-1)
	return b.c.release("aclrtFree", func() int32 { return b.c.a.Free(uintptr(p)) })
}

// Upload copies to the device before it returns.
func (b *Buffer) Upload(src []byte) error {
	if len(src) > b.Size {
		return fmt.Errorf("copy %d bytes to a device buffer of %d", len(src), b.Size)
	}
	if len(src) == 0 {
		return nil
	}
	return b.c.check("aclrtMemcpy", b.c.a.MemcpyUp(uintptr(b.Ptr), uintptr(b.Size), unsafe.Pointer(&src[0]), uintptr(len(src)), hostToDevice))
}

// Download copies from the device. It does not wait for any stream: synchronise first.
func (b *Buffer) Download(dst []byte) error {
	if len(dst) > b.Size {
		return fmt.Errorf("copy %d bytes from a device buffer of %d", len(dst), b.Size)
	}
	if len(dst) == 0 {
		return nil
	}
	return b.c.check("aclrtMemcpy", b.c.a.MemcpyDown(unsafe.Pointer(&dst[0]), uintptr(len(dst)), uintptr(b.Ptr), uintptr(len(dst)), deviceToHost))
}

// CopyFrom copies between two device buffers before it returns.
func (b *Buffer) CopyFrom(src *Buffer, n int) error {
	return b.c.check("aclrtMemcpy", b.c.a.MemcpyDevice(uintptr(b.Ptr), uintptr(b.Size), uintptr(src.Ptr), uintptr(n), deviceToDevice))
}

// Fill sets n bytes; on a stream if one is given.
func (b *Buffer) Fill(value byte, n int, s *Stream) error {
	switch {
	case s == nil && b.c.a.Memset != nil:
		return b.c.check("aclrtMemset", b.c.a.Memset(uintptr(b.Ptr), uintptr(b.Size), int32(value), uintptr(n)))
	case s != nil && b.c.a.MemsetAsync != nil:
		return b.c.check("aclrtMemsetAsync", b.c.a.MemsetAsync(uintptr(b.Ptr), uintptr(b.Size), int32(value), uintptr(n), s.handle))
	}
	return fmt.Errorf("aclrtMemset: %w", ErrUnsupported)
}

// Host is pinned host memory: the only host memory with asynchronous copies. Bytes is valid until Free.
type Host struct {
	c     *Context
	ptr   unsafe.Pointer
	Bytes []byte
}

// MallocHost takes pinned host memory.
func (c *Context) MallocHost(size int) (*Host, error) {
	if err := c.here(); err != nil {
		return nil, err
	}
	h := &Host{c: c}
	if err := c.check("aclrtMallocHost", c.a.MallocHost(&h.ptr, uintptr(size))); err != nil {
		return nil, err
	}
	h.Bytes = unsafe.Slice((*byte)(h.ptr), size)
	c.l.counters.host.Add(1)
	return h, nil
}

// Free gives the memory back.
func (h *Host) Free() error {
	if h == nil || h.ptr == nil {
		return nil
	}
	p := h.ptr
	h.ptr, h.Bytes = nil, nil
	h.c.l.counters.host.Add(-1)
	return h.c.release("aclrtFreeHost", func() int32 { return h.c.a.FreeHost(p) })
}

// UploadAsync copies the first n bytes of h to b on the stream; h must stay as it is until then.
func (s *Stream) UploadAsync(b *Buffer, h *Host, n int) error {
	return s.copy(uintptr(b.Ptr), b.Size, uintptr(h.ptr), len(h.Bytes), n, hostToDevice)
}

// DownloadAsync copies the first n bytes of b to h on the stream.
func (s *Stream) DownloadAsync(h *Host, b *Buffer, n int) error {
	return s.copy(uintptr(h.ptr), len(h.Bytes), uintptr(b.Ptr), b.Size, n, deviceToHost)
}

func (s *Stream) copy(dst uintptr, room int, src uintptr, have, n int, kind int32) error {
	if n > room || n > have {
		return fmt.Errorf("copy %d bytes between buffers of %d and %d", n, have, room)
	}
	if s.c.a.MemcpyAsync == nil {
		return fmt.Errorf("aclrtMemcpyAsync: %w", ErrUnsupported)
	}
	if code := s.c.a.MemcpyAsync(dst, uintptr(room), src, uintptr(n), kind, s.handle); code != 0 {
		return s.c.check("aclrtMemcpyAsync", code)
	}
	return nil
}

// Memory is the device memory of the chip, in bytes.
type Memory struct{ Free, Total uint64 }

// Memory asks how much device memory there is.
func (c *Context) Memory() (Memory, error) {
	var free, total uintptr
	err := c.check("aclrtGetMemInfo", c.a.GetMemInfo(memDDR, &free, &total))
	return Memory{uint64(free), uint64(total)}, err
}

package w1fuse

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const master = "w1_bus_master1"

// Mount shows the bus below dir, an empty directory, as /sys/bus/w1/devices. The result unmounts it.
func Mount(dir string, b *Bus) (unmount func() error, err error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return nil, fmt.Errorf("mount the 1-Wire tree: %w (modprobe fuse, or in a container: --device /dev/fuse)", err)
	}
	s, err := fs.Mount(dir, &node{entries: b.root}, &fs.Options{EntryTimeout: &b.Names, AttrTimeout: &b.Names,
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "w1", Name: "w1fuse"}, // no fusermount is needed
	})
	if err != nil {
		return nil, fmt.Errorf("mount the 1-Wire tree: %w (root, or CAP_SYS_ADMIN, is needed)", err)
	}
	return func() error {
		err := s.Unmount()
		s.Wait()
		return err
	}, nil
}

// entry is one name in a directory: a file, a link, or a directory with entries of its own.
type entry struct {
	file *file
	link string
	dir  func() map[string]entry
}

func (b *Bus) root() map[string]entry {
	out := map[string]entry{master: {dir: b.master}}
	for _, rom := range b.roms() {
		out[rom] = entry{link: path.Join(master, rom)}
	}
	return out
}

// node is a directory whose entries are asked for anew each time.
type node struct {
	fs.Inode
	entries func() map[string]entry
	path    string
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
)

func (n *node) child(name string) string { return path.Join(n.path, name) }

func inode(p string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(p))
	return binary.LittleEndian.Uint64(h.Sum(nil)) >> 1
}

func (e entry) mode() uint32 {
	switch {
	case e.file != nil:
		return syscall.S_IFREG
	case e.link != "":
		return syscall.S_IFLNK
	}
	return syscall.S_IFDIR
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	e, ok := n.entries()[name]
	if !ok {
		return nil, syscall.ENOENT
	}
	var ops fs.InodeEmbedder
	switch {
	case e.file != nil:
		ops = e.file
		out.Mode = e.file.mode
	case e.link != "":
		ops = &fs.MemSymlink{Data: []byte(e.link)}
	default:
		ops = &node{entries: e.dir, path: n.child(name)}
	}
	return n.NewInode(ctx, ops, fs.StableAttr{Mode: e.mode(), Ino: inode(n.child(name))}), 0
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	var list []fuse.DirEntry
	for name, e := range n.entries() {
		list = append(list, fuse.DirEntry{Name: name, Mode: e.mode(), Ino: inode(n.child(name))})
	}
	return fs.NewListDirStream(list), 0
}

// file is one attribute. show and store are nil where the kernel has none.
type file struct {
	fs.Inode
	mode  uint32
	show  func() (string, syscall.Errno)
	store func(text string) syscall.Errno
}

var (
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeSetattrer = (*file)(nil)
)

// opened is one open attribute: what it shows is made by the first read.
type opened struct {
	once  sync.Once
	text  string
	errno syscall.Errno
}

func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = f.mode, 4096
	return 0
}

// Setattr lets a shell's > truncate, as sysfs does.
func (f *file) Setattr(context.Context, fs.FileHandle, *fuse.SetAttrIn, *fuse.AttrOut) syscall.Errno {
	return 0
}

func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return &opened{}, fuse.FOPEN_DIRECT_IO, 0
}

func (f *file) Read(_ context.Context, h fs.FileHandle, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	o, ok := h.(*opened)
	if !ok {
		return nil, syscall.EBADF
	}
	if f.show == nil {
		return nil, syscall.EIO
	}
	o.once.Do(func() { o.text, o.errno = f.show() })
	if o.errno != 0 {
		return nil, o.errno
	}
	from := min(off, int64(len(o.text)))
	return fuse.ReadResultData([]byte(o.text[from:min(from+int64(len(buf)), int64(len(o.text)))])), 0
}

func (f *file) Write(_ context.Context, _ fs.FileHandle, data []byte, _ int64) (uint32, syscall.Errno) {
	if f.store == nil {
		return 0, syscall.EIO
	}
	if errno := f.store(strings.TrimSpace(string(data))); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

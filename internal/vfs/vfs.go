// Package vfs is the only way to disk for the buffer and for updates: the disk seam.
//
// OS is the real disk. Mem is a disk in memory that can be cloned as it would look after a power cut (CrashClone).
// Inject wraps any FS and fails chosen operations. All three pass one conformance suite.
//
// Names are slash-separated paths. A file's content is durable after Sync returned nil; a creation, rename or
// removal is durable after SyncDir of its directory returned nil. Nothing else is.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"time"
)

// FS is a disk. All methods may be called concurrently. Errors satisfy errors.Is with fs.ErrNotExist, fs.ErrExist,
// syscall.ENOSPC and syscall.EIO where these apply.
type FS interface {
	// Create makes a new file for reading and writing; it fails with fs.ErrExist if the name is taken.
	Create(name string) (File, error)
	// Open opens an existing file for reading; OpenRW for reading and writing.
	Open(name string) (File, error)
	OpenRW(name string) (File, error)
	Remove(name string) error
	// Rename replaces newname atomically if it exists.
	Rename(oldname, newname string) error
	// List returns the entries of a directory, sorted by name.
	List(dir string) ([]Info, error)
	Stat(name string) (Info, error)
	MkdirAll(dir string) error
	// SyncDir makes creations, renames and removals in dir durable.
	SyncDir(dir string) error
	// Usage is the space of the file system that holds dir, in bytes; Free is what an unprivileged writer may use.
	Usage(dir string) (Usage, error)
	// Lock takes an exclusive advisory lock on the file, creating it; ErrLocked if another process holds it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt may be called concurrently with everything; WriteAt, Reserve, Truncate and Sync by
// one goroutine at a time.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Reserve allocates disk space for the bytes [0, size) without changing content; the file's size becomes at
	// least size and unwritten bytes read as zero. A file system that cannot reserve returns ErrNotSupported.
	Reserve(size int64) error
	Truncate(size int64) error
	// Sync makes the content and what is needed to read it back durable (fdatasync).
	Sync() error
	Size() (int64, error)
	Close() error
}

// Starter is a File that can begin to write to the disk what Sync will have to wait for. It promises nothing and reports
// nothing: what fails is told by Sync.
type Starter interface {
	// StartWrite lets the disk begin with n bytes at off.
	StartWrite(off, n int64)
}

// Info is one directory entry.
type Info struct {
	Name    string // base name
	Size    int64
	Dir     bool
	ModTime time.Time // for display only; nothing decides by it
}

// Usage is the space of a file system in bytes, and what wears it out.
type Usage struct {
	Total, Free uint64
	// Written is what the disk under it has been told to write since the machine started, by everybody, the journal
	// included; 0 where that is not known.
	Written uint64
}

// Sentinel errors.
var (
	ErrLocked       = errors.New("file is locked by another process")
	ErrNotSupported = errors.New("operation not supported by this file system")
	ErrNotExist     = fs.ErrNotExist
	ErrExist        = fs.ErrExist
)

package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// OS is the real disk.
type OS struct{}

func (OS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}
func (OS) Open(name string) (File, error)   { return openOS(name, os.O_RDONLY) }
func (OS) OpenRW(name string) (File, error) { return openOS(name, os.O_RDWR) }
func (OS) Remove(name string) error         { return os.Remove(name) }
func (OS) Rename(o, n string) error         { return os.Rename(o, n) }
func (OS) MkdirAll(dir string) error        { return os.MkdirAll(dir, 0o750) }

func openOS(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o640)
	if err != nil {
		return nil, err
	}
	return &osFile{f: f}, nil
}

func (OS) List(dir string) ([]Info, error) {
	es, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := make([]Info, 0, len(es))
	for _, e := range es {
		fi, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Info{Name: e.Name(), Size: fi.Size(), Dir: fi.IsDir(), ModTime: fi.ModTime()})
	}
	return out, nil
}

func (OS) Stat(name string) (Info, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return Info{}, err
	}
	return Info{Name: fi.Name(), Size: fi.Size(), Dir: fi.IsDir(), ModTime: fi.ModTime()}, nil
}

func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (OS) Usage(dir string) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Usage{}, fmt.Errorf("statfs %s: %w", dir, err)
	}
	bs := uint64(st.Bsize)
	u := Usage{Total: st.Blocks * bs, Free: st.Bavail * bs}
	var in unix.Stat_t
	if unix.Stat(dir, &in) == nil {
		u.Written = deviceWritten("/sys", unix.Major(in.Dev), unix.Minor(in.Dev))
	}
	return u, nil
}

// deviceWritten is what the whole disk of a device number was told to write, in bytes: sectors of 512, field 7 of its
// stat file (Documentation/block/stat.rst). 0: the file system is on no disk of its own, or /sys does not tell.
func deviceWritten(sys string, major, minor uint32) uint64 {
	dev := fmt.Sprintf("%s/dev/block/%d:%d/", sys, major, minor)
	if _, err := os.Stat(dev + "partition"); err == nil {
		dev += "../" // the disk; the path goes through a link, so that it cannot be cleaned
	}
	b, err := os.ReadFile(dev + "stat")
	f := strings.Fields(string(b))
	if err != nil || len(f) < 7 {
		return 0
	}
	n, err := strconv.ParseUint(f[6], 10, 54)
	if err != nil {
		return 0
	}
	return n * 512
}

func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", name, ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

type osFile struct {
	f    *os.File
	once sync.Once
	err  error
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error)  { return f.f.ReadAt(p, off) }
func (f *osFile) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }
func (f *osFile) Truncate(size int64) error                { return f.f.Truncate(size) }

func (f *osFile) Reserve(size int64) error {
	if size == 0 {
		return nil // fallocate refuses it
	}
	for {
		err := unix.Fallocate(int(f.f.Fd()), 0, 0, size)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return ErrNotSupported
		default:
			return fmt.Errorf("reserve %d bytes in %s: %w", size, f.f.Name(), err)
		}
	}
}

func (f *osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			if err != nil {
				return fmt.Errorf("fdatasync %s: %w", f.f.Name(), err)
			}
			return nil
		}
	}
}

// StartWrite neither waits nor takes an error away from the Sync that follows (SYNC_FILE_RANGE_WRITE alone).
func (f *osFile) StartWrite(off, n int64) {
	_ = unix.SyncFileRange(int(f.f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

func (f *osFile) Size() (int64, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f *osFile) Close() error {
	f.once.Do(func() { f.err = f.f.Close() })
	return f.err
}

package install

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// unpack writes a tar.zst archive below dir, which must not exist, and syncs all of it. Only directories and regular
// files are taken; modes, owners and times of the archive do not count.
func (l *Layout) unpack(dir string, r io.Reader) error {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(maxArchiveBytes), zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecoderConcurrency(1))
	if err != nil {
		return &Error{BadFile, fmt.Errorf("open archive: %w", err)}
	}
	defer z.Close()
	return l.unpackTar(dir, z)
}

// unpackTar is unpack of an archive that is not compressed.
func (l *Layout) unpackTar(dir string, z io.Reader) error {
	if err := errors.Join(l.fs.MkdirAll(dir), l.fs.Executable(dir)); err != nil {
		return diskError("unpack archive", err)
	}
	u := &unpacking{l: l, dir: dir, kinds: map[string]bool{".": true}}
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return &Error{archiveReason(err), fmt.Errorf("read archive: %w", err)}
		}
		if err := u.entry(h, t); err != nil {
			return err
		}
	}
	// What follows the end of the archive is read, so that the hash covers it, and bounded as the archive is.
	if n, err := io.Copy(io.Discard, io.LimitReader(z, copyBytes+1)); err != nil || n > copyBytes {
		return &Error{BadFile, errors.Join(errors.New("read archive: more behind its end"), err)}
	}
	for d := range u.kinds {
		if u.kinds[d] {
			if err := l.fs.SyncDir(path.Join(dir, d)); err != nil {
				return diskError("sync archive", err)
			}
		}
	}
	return nil
}

func archiveReason(err error) string {
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return TooLarge
	}
	return BadFile
}

type unpacking struct {
	l     *Layout
	dir   string
	kinds map[string]bool // names taken; true for directories
	bytes int64
}

func (u *unpacking) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeDir && path.Clean(h.Name) == "." {
		return nil // the archive's own root
	}
	name, err := safeName(h.Name)
	if err != nil {
		return err
	}
	if len(u.kinds) > maxArchiveFiles {
		return &Error{TooLarge, fmt.Errorf("archive holds more than %d files", maxArchiveFiles)}
	}
	isDir, taken := u.kinds[name]
	switch h.Typeflag {
	case tar.TypeDir:
		if taken && !isDir {
			return &Error{BadPath, fmt.Errorf("archive: %q is a file and a directory", h.Name)}
		}
		return u.mkdir(name)
	case tar.TypeReg:
		if taken {
			return &Error{BadPath, fmt.Errorf("archive: %q stands twice", h.Name)}
		}
		if u.bytes += h.Size; h.Size < 0 || u.bytes > maxArchiveBytes {
			return &Error{TooLarge, fmt.Errorf("archive unpacks to more than %d bytes", int64(maxArchiveBytes))}
		}
		if err := u.mkdir(path.Dir(name)); err != nil {
			return err
		}
		u.kinds[name] = false
		return u.l.writeFile(path.Join(u.dir, name), io.LimitReader(r, h.Size))
	}
	return &Error{BadPath, fmt.Errorf("archive: %q is of type %q; only files and directories are taken", h.Name, h.Typeflag)}
}

func (u *unpacking) mkdir(name string) error {
	for p := name; p != "."; p = path.Dir(p) {
		if isDir, taken := u.kinds[p]; taken && !isDir {
			return &Error{BadPath, fmt.Errorf("archive: %q is a file and a directory", p)}
		}
		u.kinds[p] = true
	}
	full := path.Join(u.dir, name)
	if err := u.l.fs.MkdirAll(full); err != nil {
		return diskError("unpack archive", err)
	}
	for p := name; p != "."; p = path.Dir(p) {
		if err := u.l.fs.Executable(path.Join(u.dir, p)); err != nil {
			return diskError("unpack archive", err)
		}
	}
	return nil
}

// safeName is the name of an entry, relative and without detours.
func safeName(name string) (string, error) {
	clean := path.Clean(name)
	if name == "" || strings.ContainsAny(name, "\\\x00") || path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") ||
		clean == "." || len(name) > 255 || strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/") != clean {
		return "", &Error{BadPath, fmt.Errorf("archive: name %q", name)}
	}
	return clean, nil
}

package system

import (
	"bytes"
	"io"

	"golang.org/x/sys/unix"
)

// file is read again and again through one descriptor: files of /proc and /sys make their content anew when read
// from the start. After an error it is opened again.
type file struct {
	path string
	fd   int // -1: not open
}

func (f *file) close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// read returns the whole content, in *buf, which it enlarges where needed up to maxFileBytes.
func (f *file) read(buf *[]byte) ([]byte, error) {
	if f.fd < 0 {
		fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		f.fd = fd
	}
	n := 0
	for {
		m, err := unix.Pread(f.fd, (*buf)[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			f.close()
			return nil, err
		}
		n += m
		switch {
		case m == 0:
			return (*buf)[:n], nil
		case n < len(*buf):
		case n >= maxFileBytes:
			return nil, io.ErrShortBuffer
		default:
			*buf = append(*buf, make([]byte, len(*buf))...)
		}
	}
}

func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// cutField cuts the first field; fields are separated by spaces and tabs. Empty at the end.
func cutField(b []byte) (field, rest []byte) {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for i, c := range b {
		if c == ' ' || c == '\t' || c == '\n' {
			return b[:i], b[i:]
		}
	}
	return b, nil
}

// parseUint reads decimal digits. Counters of the kernel have 64 bits; the low 63 are kept, as the log states.
func parseUint(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return int64(v &^ (1 << 63)), true
}

// parseInt reads an optional minus and decimal digits.
func parseInt(b []byte) (int64, bool) {
	if len(b) > 0 && b[0] == '-' {
		v, ok := parseUint(b[1:])
		return -v, ok
	}
	return parseUint(b)
}

// parseFixed reads digits, a point and exactly two digits as hundredths.
func parseFixed(b []byte) (int64, bool) {
	n := len(b)
	if n < 4 || n > 16 || b[n-3] != '.' {
		return 0, false
	}
	whole, ok1 := parseUint(b[:n-3])
	part, ok2 := parseUint(b[n-2:])
	return whole*100 + part, ok1 && ok2
}

// Package mirror reads the content of releases from places beside the broker: a web server over HTTPS, or a directory as
// that of a stick. They hold the same targets/ as the fleet's directory of releases, and nothing that they give is
// believed: who asks holds each chunk against its signed index.
//
// A place is read as one stream that goes on from chunk to chunk, so that a round trip is paid once a file and not once
// a chunk. A stream that stands still, is cut short or belongs to another file ends with an error; nothing is retried
// here.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"

	"github.com/edgelog/edgelog/internal/release"
)

// Errors of places.
var (
	ErrAbsent  = errors.New("the file is not there")
	ErrOther   = errors.New("it has another file under this name")
	ErrRefused = errors.New("it refuses")
	ErrStalled = errors.New("it sends next to nothing")
)

// Mirror is one place. Open and Close may be called concurrently.
type Mirror interface {
	// Name is what people see.
	Name() string
	// Open gives a target, which has size bytes, from byte off on. What is read beyond size-off bytes means nothing. The
	// stream ends with ctx. Errors wrap ErrAbsent or ErrOther where asking again is of no use.
	Open(ctx context.Context, target string, size, off int64) (io.ReadCloser, error)
	// Close lets connections go that are kept for the next Open.
	Close() error
}

// Directory is a directory with targets/ in it. Nothing outside of it is read, whatever links it holds.
type Directory struct{ Dir string }

// Name implements Mirror.
func (d Directory) Name() string { return d.Dir }

// Close implements Mirror.
func (d Directory) Close() error { return nil }

// Open implements Mirror. A stick that is not there is no error of the file.
func (d Directory) Open(_ context.Context, target string, size, off int64) (io.ReadCloser, error) {
	if !release.ValidPath(target) {
		return nil, fmt.Errorf("open %q: %w", target, release.ErrPath)
	}
	root, err := os.OpenRoot(d.Dir)
	if err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	defer root.Close()
	// Without waiting: a pipe under the name would be waited for.
	f, err := root.OpenFile(path.Join("targets", target), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w: %w", target, ErrAbsent, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", target, err)
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != size) {
		err = fmt.Errorf("open %s: %w: %s of %d bytes, signed are %d", target, ErrOther, info.Mode().Type(), info.Size(), size)
	}
	if err == nil {
		_, err = f.Seek(off, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

var _ Mirror = Directory{}

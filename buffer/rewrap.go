package buffer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/edgelog/edgelog/buffer/segment"
)

// Rewrap wraps the data keys of all segments that can be read with the current key, where it was another: after that
// the older keys are not needed any more. No record is rewritten. It returns how many segments were changed. After an
// error, or a power cut at any moment, every segment still opens with the current or an older key; call it again.
func (s *Set) Rewrap(ctx context.Context) (int, error) {
	if s.readOnly {
		return 0, ErrReadOnly
	}
	n := 0
	var errs []error
	for _, l := range s.logs {
		l.mu.Lock()
		var paths []string
		for _, g := range l.segs {
			if g.key != nil && !g.active {
				paths = append(paths, g.path)
			}
		}
		l.mu.Unlock()
		for _, p := range paths {
			if err := ctx.Err(); err != nil {
				return n, errors.Join(append(errs, err)...)
			}
			did, err := l.rewrap(p)
			if did {
				n++
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // retention may have removed it
				errs = append(errs, fmt.Errorf("stream %s: %w", l.name, err))
			}
		}
	}
	return n, errors.Join(errs...)
}

func (l *Log) rewrap(p string) (bool, error) {
	l.w.mu.Lock() // against retention
	defer l.w.mu.Unlock()
	f, err := l.set.fs.Open(p)
	if err != nil {
		return false, fmt.Errorf("open segment: %w", err)
	}
	c, err := segment.Peek(f, p)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	return segment.Rewrap(l.set.fs, c, &l.set.opt.Keys)
}

package buffer

import (
	"path"

	"github.com/edgelog/edgelog/buffer/segment"
)

// aheadName is the file that holds the space of the next segment. An opening removes it, like all that ends so.
const aheadName = "NEXT" + tmpSuffix

// ahead is the space of the next segment, reserved while the active one fills: a disk that gets full meanwhile does not
// stop intake at once. It belongs to the writer.
type ahead struct {
	r     *segment.Reserved
	tried bool // for the active segment; a disk that refuses is not asked with each commit
}

// reserveAhead reserves the next segment once the active one is half full. If it cannot, the roll tries for itself. What
// is to be left for others is left.
func (l *Log) reserveAhead() {
	w := &l.w
	l.mu.Lock()
	low := l.lowDisk
	l.mu.Unlock()
	if low {
		l.set.opt.Events.cleanupFailed(l.name, w.ahead.drop())
		return
	}
	if w.ahead.r != nil || w.ahead.tried || w.seg == nil || w.seg.Pos() < l.opt.SegmentBytes/2 {
		return
	}
	w.ahead.tried = true
	w.ahead.r, _ = segment.Reserve(l.set.fs, path.Join(l.dir, aheadName), l.opt.SegmentBytes+l.slack()) // nothing depends on it
}

// take hands the space over if it is at least so many bytes, else nil.
func (a *ahead) take(bytes int64) *segment.Reserved {
	r := a.r
	if r == nil || r.Bytes() < bytes {
		return nil
	}
	a.r = nil
	return r
}

// drop gives the space back.
func (a *ahead) drop() error {
	if a.r == nil {
		return nil
	}
	r := a.r
	a.r = nil
	return r.Drop()
}

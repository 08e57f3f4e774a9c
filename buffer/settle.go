package buffer

import (
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// settle makes durable what recovery found, so that nothing that a reader is shown can vanish in a later power cut,
// and gives complete segments their index.
func (r *recovery) settle() error {
	l := r.l
	if l.set.readOnly {
		return nil
	}
	for _, f := range r.files {
		if f.held != nil || f.blank || f.dup || f.c.Sealed && !f.c.Scanned {
			continue
		}
		if err := r.settleFile(f); err != nil {
			return err
		}
	}
	if len(r.files) > 0 {
		if err := l.set.fs.SyncDir(l.dir); err != nil {
			return fmt.Errorf("sync %s: %w", l.dir, err)
		}
	}
	r.leftovers()
	return nil
}

func (r *recovery) settleFile(f *file) error {
	l := r.l
	if len(f.c.Notes) == 0 && !f.c.Sealed && f.lock == nil {
		err := segment.Seal(l.set.fs, f.c)
		var late *segment.SealError
		if errors.As(err, &late) {
			l.set.opt.Events.cleanupFailed(l.name, err)
			return nil
		}
		if err != nil {
			return err
		}
		for _, s := range l.segs {
			if s.path == f.c.Path {
				s.bytes = f.c.EndPos
			}
		}
		return nil
	}
	h, err := l.set.fs.OpenRW(f.c.Path)
	if err != nil {
		return fmt.Errorf("open segment to sync it: %w", err)
	}
	if err := errors.Join(h.Sync(), h.Close()); err != nil {
		return fmt.Errorf("sync recovered segment: %w", err)
	}
	return nil
}

// leftovers removes what holds nothing: at once what a gap has replaced, the rest when a newer segment restates the
// state that may stand in it.
func (r *recovery) leftovers() {
	l := r.l
	for i, f := range r.files {
		last := true
		for _, n := range r.files[i+1:] {
			last = last && (!n.headed() || n.dup || n.moved()) // the others state what is known up to here, and stay
		}
		switch {
		case f.gone && last:
			l.w.stale = append(l.w.stale, f.c.Path)
		case f.gone || f.dup || f.blank && i == len(r.files)-1 && r.unborn(f):
			r.remove = append(r.remove, f.c.Path)
		}
	}
	l.removeFiles(r.remove)
}

// unborn: the last file, in which nothing was recognised, is one whose header never became durable.
func (r *recovery) unborn(f *file) bool {
	end := record.Offset(0)
	for _, e := range r.l.epochs {
		end = max(end, e.End)
	}
	return f.base >= end
}

// finish sets what the log knows from the beginning.
func (r *recovery) finish() {
	l := r.l
	for _, e := range l.epochs {
		l.durable = max(l.durable, e.End)
	}
	for _, s := range l.segs {
		if s.held != nil && !s.known {
			l.durable = max(l.durable, s.base)
		} else if s.end == l.durable {
			l.chainDurable = s.chainEnd
		}
	}
	if n := len(l.gaps); n > 0 && l.gaps[n-1].To == l.durable {
		l.chainDurable = l.gaps[n-1].ChainTo
	}
	l.end = l.durable
	l.state = r.state
	l.state.Gaps, l.state.Epochs = nil, nil
	l.state.Delivered = min(l.state.Delivered, l.durable)
	l.state.Owed = owedBelow(l.state.Owed, l.state.Delivered)
	for i := range l.state.Cursors {
		c := &l.state.Cursors[i]
		c.Offset = min(c.Offset, l.durable)
	}
	for _, a := range l.state.Anchors {
		l.timeline.Add(a)
	}
	for _, p := range l.state.Producers {
		l.producers[p.Name] = pendingProducer{ProducerPosition: p}
	}
	if l.heldTail {
		l.durable++ // a reader is to be stopped before it, not to be told that nothing follows
		l.end = l.durable
	}
	l.forget()
}

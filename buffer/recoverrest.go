package buffer

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// rests leaves out what a disk that lied has kept of a move that does not count: segments without a header, of an epoch
// that the newest segment does not know, whose offsets it knows to be those of other epochs that still hold them all.
// Taken for an epoch of its own, a rest would cut off the one that it was copied from. It says which files these are
// before any is loaded: what a rest knows of producers is older than what stands in the files around it.
func (r *recovery) rests() error {
	if !slices.ContainsFunc(r.files, (*file).headless) {
		return nil
	}
	w, err := r.witness()
	if w == nil || err != nil {
		return err
	}
	for _, f := range r.files {
		if !f.headless() || w.knows(f.epoch) {
			continue
		}
		end, err := r.reaches(f)
		if err != nil {
			return err
		}
		if f.dup, err = w.holds(record.Range{From: f.base, To: end}); err != nil {
			return err
		}
		if f.dup {
			r.stats.Damaged++
			for _, e := range f.c.Notes {
				r.l.set.opt.Events.damaged(r.l.name, e)
			}
		}
	}
	return nil
}

// headless: nothing but the file's name and its blocks tell what it holds.
func (f *file) headless() bool { return f.held == nil && !f.blank && !f.dup && f.c.Lost }

// witness is the newest segment that can tell of the others.
type witness struct {
	r     *recovery
	epoch record.Epoch
	first record.Offset // of its epoch, which may have grown since
	state segment.State
}

// witness is nil if there is none.
func (r *recovery) witness() (*witness, error) {
	for _, f := range slices.Backward(r.files) {
		if !f.headed() || f.dup || f.moved() {
			continue
		}
		c, err := r.contents(f)
		if err != nil {
			return nil, err
		}
		return &witness{r: r, epoch: f.epoch, first: f.c.Header.First, state: c.State}, nil
	}
	return nil, nil
}

func (w *witness) knows(e record.Epoch) bool {
	return e == w.epoch || slices.ContainsFunc(w.state.Epochs, func(s segment.Epoch) bool { return s.Epoch == e })
}

// holds: all offsets of rng, at least one, stand in files of epochs that the witness knows, or in gaps that it knows.
func (w *witness) holds(rng record.Range) (bool, error) {
	at := rng.From
	for at < rng.To {
		if g, ok := gapTable(w.state.Gaps).at(at); ok {
			at = g.To
			continue
		}
		to, err := w.reach(at)
		if err != nil || to <= at {
			return false, err
		}
		at = to
	}
	return rng.From < rng.To, nil
}

// reach is up to where files of the epoch to which the witness says that at belongs hold what stands from at on; at
// itself if they do not.
func (w *witness) reach(at record.Offset) (record.Offset, error) {
	e, end := w.epoch, ^record.Offset(0)
	if at < w.first {
		i := slices.IndexFunc(w.state.Epochs, func(s segment.Epoch) bool { return s.First <= at && at < s.End })
		if i < 0 {
			return at, nil
		}
		e, end = w.state.Epochs[i].Epoch, w.state.Epochs[i].End
	}
	for _, f := range slices.Backward(w.r.files) {
		if f.epoch != e || f.held != nil || f.blank || f.dup || f.base > at {
			continue
		}
		if to, err := w.r.reaches(f); err != nil || to > at {
			return min(to, end), err
		}
	}
	return at, nil
}

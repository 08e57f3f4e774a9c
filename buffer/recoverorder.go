package buffer

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// order sorts the files as they were written: by opening and number; those that cannot tell these by base.
func (r *recovery) order() error {
	var known, rest []*file
	for _, f := range r.files {
		if f.headed() {
			known = append(known, f)
		} else {
			rest = append(rest, f)
		}
	}
	sort.SliceStable(known, func(i, j int) bool {
		a, b := &known[i].c.Header, &known[j].c.Header
		if a.Opening != b.Opening {
			return a.Opening < b.Opening
		}
		return a.Seq < b.Seq
	})
	if err := r.twins(known); err != nil {
		return err
	}
	for _, f := range rest {
		if f.held == nil && !f.blank && slices.ContainsFunc(known, func(k *file) bool { return k.headed() && k.c.Header.Salt == f.c.Header.Salt }) {
			f.blank = true // blocks of another segment that resurfaced here
		}
		i := 0
		for i < len(known) && (known[i].base < f.base || known[i].base == f.base && known[i].epoch == f.epoch) {
			i++
		}
		known = slices.Insert(known, i, f)
	}
	r.files = known
	return nil
}

// twins leaves out all but one of the files that have the same header: copies, or a file in which old contents of the
// disk resurfaced. The one that holds most counts; of equals, the one whose name is its own.
func (r *recovery) twins(known []*file) error {
	same := func(a, b *file) bool {
		return a.c.Header.Salt == b.c.Header.Salt && a.epoch == b.epoch && a.c.Header.Seq == b.c.Header.Seq
	}
	for i := 0; i < len(known); i++ {
		n := i + 1
		for n < len(known) && same(known[i], known[n]) {
			n++
		}
		if n == i+1 {
			continue
		}
		best, most := -1, record.Offset(0)
		for k := i; k < n; k++ {
			end, err := r.reaches(known[k])
			if err != nil {
				return err
			}
			if best < 0 || end > most || end == most && known[k].ownName() && !known[best].ownName() {
				best, most = k, end
			}
		}
		for k := i; k < n; k++ {
			known[k].dup = k != best
		}
		i = n - 1
	}
	return nil
}

// reaches is the offset up to which a file can be read.
func (r *recovery) reaches(f *file) (record.Offset, error) {
	c, err := r.contents(f)
	if err != nil {
		return 0, err
	}
	return c.Index.End, nil
}

// contents loads a file ahead of its turn, and leaves f as it is.
func (r *recovery) contents(f *file) (*segment.Contents, error) {
	h, err := r.l.set.fs.Open(f.c.Path)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	c := *f.c
	c.Header.State = c.Header.State.Clone()
	if err := errors.Join(c.Load(h, 0), h.Close()); err != nil {
		return nil, fmt.Errorf("read segment: %w", err)
	}
	return &c, nil
}

// ownName: the file's name says what its header says.
func (f *file) ownName() bool {
	base, epoch, ok := parseName(path.Base(f.c.Path))
	return ok && base == f.base && epoch == f.epoch
}

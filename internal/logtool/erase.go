package logtool

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// ErasePlan is what Erase would remove, or has removed: whole segments of one stream.
type ErasePlan struct {
	SchemaVersion int         `json:"schema_version"`
	Stream        string      `json:"stream"`
	DryRun        bool        `json:"dry_run"`
	Segments      []EraseLine `json:"segments"`
	Bytes         int64       `json:"bytes"`
	Records       uint64      `json:"records"`
	Undelivered   uint64      `json:"undelivered"` // of these: nobody else has them
}

// EraseLine is one segment.
type EraseLine struct {
	File  string `json:"file"`
	Epoch string `json:"epoch"`
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
	Bytes int64  `json:"bytes"`
}

// ErrNothing: no segment lies wholly in the range.
var ErrNothing = errors.New("no segment lies wholly in that range")

// Erasure says which segments of a stream go: those that lie wholly in [From, To); To 0 means the end. With Key, the id
// of a key (16 hexadecimal digits), only those that it opens: also without that key, when it is lost or must not be used
// again.
type Erasure struct {
	Stream   string
	From, To uint64
	Key      string
}

// PlanErase lists what would go. Only whole segments are erased: a part of a file cannot be taken off a disk.
func (d Dir) PlanErase(ctx context.Context, e Erasure) (*ErasePlan, error) {
	stream, from, to := e.Stream, e.From, e.To
	list, err := d.files(stream)
	if err != nil {
		return nil, err
	}
	set, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	l, err := set.Log(stream)
	if err != nil {
		return nil, err
	}
	plan := &ErasePlan{SchemaVersion: SchemaVersion, Stream: stream, DryRun: true, Segments: []EraseLine{}}
	info := l.Info()
	for i, f := range list[0].files {
		if f.c == nil || f.c.Lost || f.locked != nil && e.Key == "" {
			continue
		}
		if ok, err := f.opensWith(d.FS, e.Key); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		s, err := d.inspectFile(f, l)
		if err != nil {
			return nil, err
		}
		if o := uint64(list[0].stated(i)); o != 0 {
			s.End = min(s.End, o) // above it stands what was given up after a failed write
		}
		if s.End <= s.Base || s.Base < from || to != 0 && s.End > to {
			continue
		}
		plan.Segments = append(plan.Segments, EraseLine{f.name, s.Epoch, s.Base, s.End, s.Bytes})
		plan.Bytes += s.Bytes
		r := record.Range{From: record.Offset(s.Base), To: record.Offset(s.End)}
		plan.Records += r.Len() - inGaps(info.Gaps, f.c.Header.Epoch, r)
		if r.From = max(r.From, info.Delivered); r.From < r.To {
			plan.Undelivered += r.Len() - inGaps(info.Gaps, f.c.Header.Epoch, r)
		}
	}
	if len(plan.Segments) == 0 {
		return nil, ErrNothing
	}
	return plan, nil
}

// opensWith: the file's data key is wrapped with the key of that id; "" takes any file.
func (f *segFile) opensWith(disk vfs.FS, key string) (bool, error) {
	if key == "" {
		return true, nil
	}
	h, err := disk.Open(f.path)
	if err != nil {
		return false, fmt.Errorf("open segment: %w", err)
	}
	ids, err := f.c.KeyIDs(h)
	if err = errors.Join(err, h.Close()); err != nil {
		return false, err
	}
	return slices.ContainsFunc(ids, func(id segment.KeyID) bool { return strings.EqualFold(id.String(), key) }), nil
}

func inGaps(gaps []record.Gap, e record.Epoch, r record.Range) (n uint64) {
	for _, g := range gaps {
		if g.Epoch == e {
			n += record.Range{From: max(g.From, r.From), To: min(g.To, r.To)}.Len()
		}
	}
	return n
}

// Erase removes the planned segments: first a gap with the reason "erased" is durable in place of each, then the keys of
// encrypted ones are overwritten, then the files go; where damage was recorded in them that reason stays. The agent must be stopped (vfs.ErrLocked). After a crash in
// between the gaps stand, and the next opening of the log, or Erase once more, removes what is left. The medium may keep
// copies of what was in the files; only encryption or destruction is proof against that.
func (d Dir) Erase(ctx context.Context, plan *ErasePlan) error {
	set, err := d.change(ctx)
	if err != nil {
		return err
	}
	if err = erase(ctx, set, plan); err == nil {
		err = d.unlink(plan)
	}
	if err = errors.Join(err, set.Close()); err == nil {
		plan.DryRun = false
	}
	return err
}

// unlink removes files that hold nothing but gaps. The log is locked.
func (d Dir) unlink(plan *ErasePlan) error {
	dir := path.Join(d.Path, plan.Stream)
	for _, s := range plan.Segments {
		if err := segment.DestroyKey(d.FS, path.Join(dir, s.File)); err != nil && !errors.Is(err, vfs.ErrNotExist) && !errors.Is(err, segment.ErrFormat) {
			return fmt.Errorf("the records are gaps now, but the file stays: %w", err)
		}
		if err := d.FS.Remove(path.Join(dir, s.File)); err != nil && !errors.Is(err, vfs.ErrNotExist) {
			return fmt.Errorf("the records are gaps now, but the file stays: %w", err)
		}
	}
	if err := d.FS.SyncDir(dir); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

func erase(ctx context.Context, set *buffer.Set, plan *ErasePlan) error {
	l, err := set.Log(plan.Stream)
	if err != nil {
		return err
	}
	for _, s := range plan.Segments {
		if err := l.DeclareGap(ctx, record.Range{From: record.Offset(s.From), To: record.Offset(s.To)}, record.ReasonErased); err != nil {
			return fmt.Errorf("erase %s: %w", s.File, err)
		}
	}
	return nil
}

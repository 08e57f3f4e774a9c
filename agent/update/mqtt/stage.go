package mqtt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/vfs"
)

// partName is the directory of files that are not complete, by their sha256. A complete one is verified, synced and then
// renamed below stage/targets.
const partName = "part"

func (c *Client) part(p release.Pin) string { return path.Join(c.o.Dir, partName, p.SHA256) }

// want is a file of the release that is not here.
type want struct {
	release.Pin
	index *release.Pin // nil: the file has none
}

// staged is the stage as a Source; it notes what it lacks.
type staged struct {
	c             *Client
	missing, last string
	err           error // of the disk
}

func (s *staged) Metadata(trust.Have) (*trust.Bundle, error) {
	return nil, errors.New("the stage gives no metadata")
}

func (s *staged) Open(p string) (io.ReadCloser, error) {
	s.last = p
	s.c.flow.opened[p] = true
	f, err := vfs.OpenReader(s.c.o.FS, s.c.stage("targets", p))
	if errors.Is(err, vfs.ErrNotExist) {
		s.missing = p
	} else if err != nil {
		s.err = err
	}
	return f, err
}

var _ update.Source = (*staged)(nil)

// want fetches a small file that the plan needs.
func (c *Client) want(ctx context.Context, p string) time.Duration {
	t, err := c.flow.view.Find(p)
	if err != nil {
		return c.failing(err)
	}
	c.flow.wanted = append(c.flow.wanted, want{Pin: release.Pin{Path: t.Path, Size: t.Size, SHA256: t.SHA256}})
	return c.fetch(ctx)
}

// needs lists what of the plan is neither in the store nor staged. What is staged is read: rot would make the updater
// refuse it, again and again.
func (c *Client) needs(ctx context.Context) error {
	f := &c.flow
	f.wanted, f.have, f.total = nil, 0, 0
	for _, comp := range f.offer.Plan.Components {
		if !c.o.Has(comp.SHA256) {
			w := c.carrier(comp)
			f.total += w.Size
			ok, err := c.intact(ctx, w.Pin)
			if err != nil {
				return err
			}
			if ok {
				f.have += w.Size
				f.opened[w.Path] = true
				continue
			}
			if w.index != nil {
				f.wanted = append(f.wanted, want{Pin: *w.index})
			}
			f.wanted = append(f.wanted, w)
		}
	}
	return nil
}

// intact tells whether a file is staged as it is signed; one that is not is removed.
func (c *Client) intact(ctx context.Context, p release.Pin) (bool, error) {
	name := c.stage("targets", p.Path)
	sum, size, err := c.sum(ctx, name)
	if errors.Is(err, vfs.ErrNotExist) {
		return false, nil
	}
	if err == nil && size == p.Size && sum == p.SHA256 {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return false, c.remove(name)
}

// sum is the sha256 of a file.
func (c *Client) sum(ctx context.Context, name string) (string, int64, error) {
	f, err := c.o.FS.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return "", 0, err
	}
	h, buf := sha256.New(), make([]byte, 256<<10)
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		h.Write(buf[:n])
		if off += int64(n); err != nil && (!errors.Is(err, io.EOF) || off < size) {
			return "", 0, err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

func (c *Client) remove(name string) error {
	err := c.o.FS.Remove(name)
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, c.o.FS.SyncDir(path.Dir(name)))
}

// collect removes what the present plan does not need; without a plan, everything.
func (c *Client) collect() error {
	keep, parts := map[string]bool{}, map[string]bool{}
	if c.flow.phase != over && c.flow.offer != nil {
		for p := range c.flow.opened {
			keep[p] = true
		}
		for _, comp := range c.flow.offer.Plan.Components {
			keep[comp.Path] = true
			for _, d := range comp.Deltas {
				keep[d.Path] = true
				if d.Index != nil {
					keep[d.Index.Path] = true
				}
			}
			if comp.Index != nil {
				keep[comp.Index.Path] = true
			}
		}
		for _, w := range c.flow.wanted {
			parts[w.SHA256] = true
		}
	}
	entries, err := c.o.FS.List(path.Join(c.o.Dir, partName))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !parts[e.Name] {
			errs = append(errs, c.o.FS.Remove(path.Join(c.o.Dir, partName, e.Name)))
		}
	}
	return errors.Join(append(errs, c.sweep("", keep, 0))...)
}

// sweep removes the files below stage/targets/dir that are not to be kept. Empty directories stay.
func (c *Client) sweep(dir string, keep map[string]bool, depth int) error {
	entries, err := c.o.FS.List(c.stage("targets", dir))
	if err != nil || depth > release.MaxDepth {
		return err
	}
	var errs []error
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		if e.Dir {
			errs = append(errs, c.sweep(name, keep, depth+1))
		} else if !keep[name] {
			errs = append(errs, c.o.FS.Remove(c.stage("targets", name)))
		}
	}
	return errors.Join(errs...)
}

// room refuses early what would not fit. Records of the log are not deleted for an update.
func (c *Client) room() error {
	need := int64(reserveBytes)
	for _, w := range c.flow.wanted {
		need += w.Size
		if info, err := c.o.FS.Stat(c.part(w.Pin)); err == nil {
			need -= min(info.Size, w.Size)
		}
	}
	u, err := c.o.FS.Usage(c.o.Dir)
	if err != nil {
		return diskError(err)
	}
	if u.Free < uint64(need) {
		err := &install.Error{Reason: install.NoSpace, Err: fmt.Errorf("%d MiB free below %s, %d MiB needed; records of the log are not deleted for it",
			u.Free>>20, c.o.Dir, need>>20)}
		c.trouble(NoDisk, err.Err.Error())
		return err
	}
	return nil
}

func diskError(err error) error {
	var e *install.Error
	if errors.As(err, &e) {
		return err
	}
	reason := install.DiskIO
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		reason = install.NoSpace
	}
	return &install.Error{Reason: reason, Err: err}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("update: message cannot be encoded: " + err.Error()) // structs of our own
	}
	return b
}

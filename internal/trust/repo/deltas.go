package repo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/edgelog/edgelog/internal/delta"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/klauspost/compress/zstd"
)

// A delta is kept only where it saves at least a fifth of the file.
const maxDeltaPercent = 80

// maxDeltaInput bounds what is read into memory to make a delta: of one file, unpacked.
const maxDeltaInput = 1 << 30

// deltas makes the deltas of a pinned component from what earlier releases had under its name and returns what is to be
// signed for them.
func (r *Repo) deltas(c *release.Component, since []string) (pins []release.Pin, err error) {
	c.Deltas = nil
	for _, name := range since {
		old, err := r.earlier(name, c.Name)
		if err != nil {
			return nil, err
		}
		if old == nil || old.SHA256 == c.SHA256 || old.Kind != c.Kind || c.DeltaFrom(old.SHA256) != nil {
			continue
		}
		var b bytes.Buffer
		if err := r.delta(&b, old, c); err != nil {
			return nil, err
		}
		if int64(b.Len())*100 > c.Size*maxDeltaPercent {
			continue
		}
		d := release.Delta{From: old.SHA256}
		path := c.Path + ".from-" + old.SHA256[:16] + ".delta"
		if d.Size = int64(b.Len()); d.Size > release.MaxUnindexed {
			var index release.Pin
			if d.Pin, index, err = r.AddIndexed(path, &b); err == nil {
				d.Index = &index
				pins = append(pins, index)
			}
		} else {
			d.Pin, err = r.Add(path, &b)
		}
		if err != nil {
			return nil, err
		}
		c.Deltas = append(c.Deltas, d)
		pins = append(pins, d.Pin)
	}
	return pins, nil
}

// earlier is a component of an earlier release, nil if that had none of the name.
func (r *Repo) earlier(name, component string) (*release.Component, error) {
	data, err := os.ReadFile(r.Path("releases/" + name + ".json"))
	if err != nil {
		return nil, fmt.Errorf("delta since %s: %w", name, err)
	}
	m, err := release.Resolve(data, func(p release.Pin) ([]byte, error) { return os.ReadFile(r.Path(p.Path)) })
	if err != nil {
		return nil, fmt.Errorf("delta since %s: %w", name, err)
	}
	return m.Component(component), nil
}

// delta writes the delta from one component's content to another's.
func (r *Repo) delta(w io.Writer, from, to *release.Component) error {
	form := delta.Files
	if to.Kind == release.Agent {
		form = delta.Trees
	}
	old, err := r.content(from, form)
	if err != nil {
		return err
	}
	next, err := r.content(to, form)
	if err != nil {
		return err
	}
	return delta.Make(w, form, old, next)
}

// content reads a component into memory, an archive uncompressed, and holds it against its pin.
func (r *Repo) content(c *release.Component, form delta.Form) (s delta.Source, err error) {
	if now, err := r.pin(c.Path); err != nil || now != c.Pin {
		return s, errors.Join(fmt.Errorf("delta: %s is not what was pinned", c.Path), err)
	}
	sum, err := hex.DecodeString(c.SHA256)
	if err != nil {
		return s, fmt.Errorf("delta: %s: %w", c.Path, err)
	}
	copy(s.SHA256[:], sum)
	f, err := os.Open(r.Path(c.Path))
	if err != nil {
		return s, err
	}
	defer f.Close()
	content := io.Reader(f)
	if form == delta.Trees {
		z, err := zstd.NewReader(f)
		if err != nil {
			return s, fmt.Errorf("delta: %s: %w", c.Path, err)
		}
		defer z.Close()
		content = z
	}
	s.Data, err = io.ReadAll(io.LimitReader(content, maxDeltaInput+1))
	if err == nil && len(s.Data) > maxDeltaInput {
		err = fmt.Errorf("more than %d bytes", maxDeltaInput)
	}
	if err != nil {
		return s, fmt.Errorf("delta: %s: %w", c.Path, err)
	}
	return s, nil
}

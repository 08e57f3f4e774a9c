// Package update is what a box does about a release that is offered to it: it decides by signed metadata whether the
// release may be installed, from whatever place its files come, and judges whether the box does as well with it as it
// did before. The transaction itself is agent/update/install; which chunks to fetch is agent/update/fetch.
package update

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
)

// Source is a place that files of a repository come from: a USB stick, a directory that chunks were fetched into.
// Nothing that it gives is believed.
type Source interface {
	// Metadata is what lies there beyond what the box believes.
	Metadata(have trust.Have) (*trust.Bundle, error)
	// Open opens a target by its path.
	Open(path string) (io.ReadCloser, error)
}

// Offer is a release that may be installed.
type Offer struct {
	Plan     *release.Plan
	Manifest string // sha256 of the manifest, hex
}

// Admit decides whether a box with those facts may install a release. floor is the counter below which nothing is taken.
// Errors are *trust.Error or *install.Error and carry the reason. Nothing but the manifest is read for it.
func Admit(v *trust.View, name string, src Source, facts release.Facts, floor uint64) (*Offer, error) {
	path := releasePath(name)
	data, err := vouched(v, src, path, release.MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	m, err := release.Resolve(data, func(p release.Pin) ([]byte, error) {
		return vouched(v, src, p.Path, release.MaxManifestBytes)
	})
	if err != nil {
		return nil, &install.Error{Reason: manifestReason(err), Err: err}
	}
	if m.Release != name {
		return nil, &install.Error{Reason: install.BadFile, Err: fmt.Errorf("%s is the manifest of release %s", path, m.Release)}
	}
	if m.Counter < floor {
		return nil, &install.Error{Reason: install.Replayed, Err: fmt.Errorf("release %s has counter %d; this box has committed %d",
			name, m.Counter, floor)}
	}
	if floor != 0 && floor < m.MinFrom {
		return nil, &install.Error{Reason: install.NotOurs, Err: fmt.Errorf("release %s updates from counter %d on; this box has %d: "+
			"an intermediate release is needed", name, m.MinFrom, floor)}
	}
	if m, err = ofSite(v, m, src, facts); err != nil {
		return nil, err
	}
	plan, err := m.For(facts)
	if err != nil {
		return nil, &install.Error{Reason: install.NotOurs, Err: err}
	}
	for _, c := range plan.Components {
		pins := []*release.Pin{&c.Pin, c.Index}
		for i := range c.Deltas {
			pins = append(pins, &c.Deltas[i].Pin, c.Deltas[i].Index)
		}
		for _, p := range pins {
			if err := signed(v, p); err != nil {
				return nil, err
			}
		}
	}
	sum := sha256.Sum256(data)
	return &Offer{Plan: plan, Manifest: hex.EncodeToString(sum[:])}, nil
}

// ofSite lays the overlay of the box's site over a manifest: of those that the metadata vouches for, that with the highest
// counter. A box without the fact site, or whose site has none, takes the release as it is.
func ofSite(v *trust.View, m *release.Manifest, src Source, facts release.Facts) (*release.Manifest, error) {
	site := facts["site"]
	if site == "" {
		return m, nil
	}
	if !release.ValidName(site) || strings.Contains(site, "/") {
		return nil, &install.Error{Reason: install.BadFile, Err: fmt.Errorf("the fact site is %q, which is no name", site)}
	}
	var best *release.Manifest
	for _, path := range v.Paths("sites/" + site + ".overlay-") {
		data, err := vouched(v, src, path, release.MaxManifestBytes)
		if err != nil {
			return nil, err
		}
		o, err := release.Parse(data)
		if err != nil {
			return nil, &install.Error{Reason: manifestReason(err), Err: fmt.Errorf("%s: %w", path, err)}
		}
		if best == nil || o.Counter > best.Counter {
			best = o
		}
	}
	if best == nil {
		return m, nil
	}
	if err := release.Select(best.Compatible, facts); err != nil {
		return nil, &install.Error{Reason: install.NotOurs, Err: fmt.Errorf("overlay %s: %w", best.Release, err)}
	}
	out, err := m.Overlay(best)
	if err != nil {
		return nil, &install.Error{Reason: manifestReason(err), Err: err}
	}
	return out, nil
}

func releasePath(name string) string { return "releases/" + name + ".json" }

// signed holds a pin of the manifest against the role that may vouch for its path: the release's signer alone cannot
// bring in a file.
func signed(v *trust.View, p *release.Pin) error {
	if p == nil {
		return nil
	}
	t, err := v.Find(p.Path)
	if err != nil {
		return err
	}
	if t.Size != p.Size || t.SHA256 != p.SHA256 {
		return &install.Error{Reason: install.BadHash, Err: fmt.Errorf("%s: the manifest pins sha256 %s, role %s signed %s",
			p.Path, p.SHA256, t.Role, t.SHA256)}
	}
	return nil
}

// vouched reads a small file and holds it against the metadata.
func vouched(v *trust.View, src Source, path string, limit int64) ([]byte, error) {
	t, err := v.Find(path)
	if err != nil {
		return nil, err
	}
	if t.Size > limit {
		return nil, &install.Error{Reason: install.TooLarge, Err: fmt.Errorf("%s: %d bytes, at most %d", path, t.Size, limit)}
	}
	r, err := src.Open(path)
	if err != nil {
		return nil, &install.Error{Reason: string(trust.NotThere), Err: fmt.Errorf("open %s: %w", path, err)}
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, &install.Error{Reason: install.DiskIO, Err: fmt.Errorf("read %s: %w", path, err)}
	}
	if err := t.Check(data); err != nil {
		return nil, &install.Error{Reason: install.BadHash, Err: err}
	}
	return data, nil
}

func manifestReason(err error) string {
	switch {
	case errors.Is(err, release.ErrPath):
		return install.BadPath
	case errors.Is(err, release.ErrSize):
		return install.TooLarge
	case errors.Is(err, release.ErrHash):
		return install.BadHash
	}
	var e *install.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	if r := trust.ReasonOf(err); r != "" {
		return string(r)
	}
	return install.BadFile
}

// newest is the release of the highest counter that the metadata vouches for and the source holds; "" if there is none.
func newest(v *trust.View, src Source) (string, error) {
	best, counter := "", uint64(0)
	for _, path := range v.Paths("releases/") {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "releases/"), ".json")
		data, err := vouched(v, src, path, release.MaxManifestBytes)
		if err != nil {
			var e *install.Error
			if errors.As(err, &e) && e.Reason == string(trust.NotThere) {
				continue // the source holds a part of the repository
			}
			return "", err
		}
		m, err := release.Parse(data)
		if err != nil {
			continue // of a schema that this program does not read; another release may do
		}
		if m.Counter > counter && m.Release == name {
			best, counter = name, m.Counter
		}
	}
	return best, nil
}

// Reason is the reason of an error of this package or of those below it, "" for others.
func Reason(err error) string {
	var e *install.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return string(trust.ReasonOf(err))
}

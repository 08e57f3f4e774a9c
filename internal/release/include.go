package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Resolve reads a manifest and the bases it includes; load returns the content of a pinned file, which Resolve holds
// against the pin. A component of a nearer manifest replaces one of the same name in its base; what else a base says
// (release, counter, compatible, probation) does not count.
func Resolve(data []byte, load func(Pin) ([]byte, error)) (*Manifest, error) {
	m, err := Parse(data)
	if err != nil {
		return nil, err
	}
	top := m
	for depth := 1; m.Include != nil; depth++ {
		if depth == MaxIncludes {
			return nil, fmt.Errorf("manifest: more than %d include one another: %w", MaxIncludes, ErrFormat)
		}
		pin := *m.Include
		base, err := load(pin)
		if err != nil {
			return nil, fmt.Errorf("load base manifest %s: %w", pin.Path, err)
		}
		if err := pin.Check(base); err != nil {
			return nil, err
		}
		if m, err = Parse(base); err != nil {
			return nil, fmt.Errorf("base manifest %s: %w", pin.Path, err)
		}
		for _, c := range m.Components {
			if top.Component(c.Name) == nil {
				top.Components = append(top.Components, c)
			}
		}
	}
	top.Include = nil
	if err := top.Validate(); err != nil {
		return nil, err
	}
	return top, nil
}

// Overlay is a site's own manifest: it may replace configuration, and nothing else.
func (m *Manifest) Overlay(site *Manifest) (*Manifest, error) {
	out := *m
	out.Components = append([]Component(nil), m.Components...)
	for _, c := range site.Components {
		if c.Kind != Config {
			return nil, fmt.Errorf("site overlay %s: component %s is of kind %s; a site may replace configuration only: %w",
				site.Release, c.Name, c.Kind, ErrFormat)
		}
		if have := out.Component(c.Name); have != nil {
			if have.Kind != Config {
				return nil, fmt.Errorf("site overlay %s: component %s is of kind %s in the release: %w",
					site.Release, c.Name, have.Kind, ErrFormat)
			}
			*have = c
		} else {
			out.Components = append(out.Components, c)
		}
	}
	if err := out.Validate(); err != nil {
		return nil, err
	}
	return &out, nil
}

// Check holds content against the pin.
func (p Pin) Check(data []byte) error {
	if int64(len(data)) != p.Size {
		return fmt.Errorf("%s has %d bytes, pinned are %d: %w", p.Path, len(data), p.Size, ErrHash)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.SHA256 {
		return fmt.Errorf("%s has sha256 %x, pinned is %s: %w", p.Path, sum, p.SHA256, ErrHash)
	}
	return nil
}

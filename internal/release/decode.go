package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// Parse reads a manifest. It does not follow Include. Errors wrap ErrFormat, ErrSize or ErrPath.
func Parse(data []byte) (*Manifest, error) {
	if len(data) > MaxManifestBytes {
		return nil, fmt.Errorf("read manifest: %d bytes: %w (%d)", len(data), ErrSize, MaxManifestBytes)
	}
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("read manifest: text is not UTF-8: %w", ErrFormat)
	}
	if err := scan(data); err != nil {
		return nil, err
	}
	var schema struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		return nil, fmt.Errorf("read manifest: %w: %w", ErrFormat, err)
	}
	if schema.Schema > Schema {
		return nil, fmt.Errorf("read manifest: schema %d needs a newer agent, this one reads %d: %w", schema.Schema, Schema, ErrFormat)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var m Manifest
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("read manifest: %w: %w", ErrFormat, err)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return &m, nil
}

// scan refuses what encoding/json would accept in silence: a key twice in one object, text behind the end, nesting
// without bound.
func scan(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	type level struct {
		keys  map[string]bool // nil in an array
		isKey bool
	}
	var stack []level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read manifest: %w: %w", ErrFormat, err)
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			if len(stack) == 0 {
				if rest := bytes.TrimSpace(data[d.InputOffset():]); len(rest) > 0 {
					return fmt.Errorf("read manifest: text behind the end at byte %d: %w", d.InputOffset(), ErrFormat)
				}
			}
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].keys != nil {
			top := &stack[n-1]
			if top.isKey {
				key := token.(string)
				if top.keys[key] {
					return fmt.Errorf("read manifest: key %q stands twice, at byte %d: %w", key, d.InputOffset(), ErrFormat)
				}
				top.keys[key], top.isKey = true, false
				continue
			}
			top.isKey = true
		}
		if delim, ok := token.(json.Delim); ok {
			if len(stack) == MaxDepth {
				return fmt.Errorf("read manifest: nested deeper than %d at byte %d: %w", MaxDepth, d.InputOffset(), ErrFormat)
			}
			next := level{}
			if delim == '{' {
				next = level{keys: map[string]bool{}, isKey: true}
			}
			stack = append(stack, next)
		} else if len(stack) == 0 {
			return fmt.Errorf("read manifest: not an object: %w", ErrFormat)
		}
	}
}

// ParseDraft reads a manifest whose components name paths only: it is strict in everything but what Freeze fills in.
func ParseDraft(data []byte) (*Manifest, error) {
	if len(data) > MaxManifestBytes {
		return nil, fmt.Errorf("read draft: %d bytes: %w (%d)", len(data), ErrSize, MaxManifestBytes)
	}
	if err := scan(data); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var m Manifest
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("read draft: %w: %w", ErrFormat, err)
	}
	for _, c := range m.Components {
		if !ValidPath(c.Path) {
			return nil, fmt.Errorf("read draft: component %s: path %q: %w", c.Name, c.Path, ErrPath)
		}
	}
	return &m, nil
}

// Encode is the manifest's file; it must be valid.
func (m *Manifest) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return append(data, '\n'), nil
}

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Keys reads the key files. An error names the file and says what is wrong with it, never what stands in it.
func (e *Encryption) Keys(read func(name string) ([]byte, error)) (segment.Keys, error) {
	var out segment.Keys
	if e.KeyFile != "" {
		k, err := key(e.KeyFile, read)
		if err != nil {
			return out, err
		}
		out.Current = &k
	}
	for _, name := range e.OldKeyFiles {
		k, err := key(name, read)
		if err != nil {
			return out, err
		}
		out.Older = append(out.Older, k)
	}
	return out, nil
}

func key(name string, read func(string) ([]byte, error)) (segment.Key, error) {
	b, err := read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return segment.Key{}, fmt.Errorf("key file %q does not exist", name)
	case errors.Is(err, fs.ErrPermission):
		return segment.Key{}, fmt.Errorf("key file %q may not be read by this user", name)
	case err != nil:
		return segment.Key{}, fmt.Errorf("key file %q cannot be read: %w", name, err)
	}
	k, err := segment.ParseKey(b)
	if err != nil {
		return segment.Key{}, fmt.Errorf("key file %q: %w", name, err)
	}
	return k, nil
}

func (e *Encryption) check(r *strictyaml.Report, host Host) {
	const path = "storage.encryption."
	one := func(at, name string) {
		if name == "" {
			return
		}
		if _, err := key(name, host.ReadFile); err != nil {
			r.Addf(at, "%s: %v", at, err)
		}
	}
	one(path+"key_file", e.KeyFile)
	for i, name := range e.OldKeyFiles {
		one(path+"old_key_files["+strconv.Itoa(i)+"]", name)
	}
}

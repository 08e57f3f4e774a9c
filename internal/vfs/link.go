package vfs

import (
	"io/fs"
	"os"
	"syscall"
)

// Linker is a disk with symbolic links and executable files. OS, Mem and Inject are Linkers; the buffer needs neither.
type Linker interface {
	// Symlink makes a link; it fails with fs.ErrExist if the name is taken. Its target is durable with its entry.
	Symlink(target, name string) error
	// Readlink is the target of a link; fs.ErrInvalid if the name is something else.
	Readlink(name string) (string, error)
	// Executable lets everybody read and run a file or enter a directory, instead of its owner alone. Mem has no modes.
	Executable(name string) error
}

// Symlink makes a symbolic link.
func (OS) Symlink(target, name string) error { return os.Symlink(target, name) }

// Readlink is the target of a symbolic link.
func (OS) Readlink(name string) (string, error) { return os.Readlink(name) }

// Executable sets mode 0755.
func (OS) Executable(name string) error { return os.Chmod(name, 0o755) }

// Symlink makes a link. No other operation follows it.
func (m *Mem) Symlink(target, name string) error {
	return m.mutate(Op{Kind: OpCreate, Name: name}, func() error {
		n, err := m.create(name)
		if err != nil {
			return err
		}
		n.file.now.writeAt([]byte(target), 0, new(token))
		n.file.size, n.file.durable, n.file.durableSize = int64(len(target)), n.file.now.clone(), int64(len(target))
		n.file.link = true
		m.used += n.file.now.allocated()
		return nil
	})
}

// Readlink is the target of a link.
func (m *Mem) Readlink(name string) (string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.stopped() {
		return "", pathErr("readlink", name, ErrStopped)
	}
	n, err := m.find(name)
	if err == nil && (n.file == nil || !n.file.link) {
		err = syscall.EINVAL
	}
	if err != nil {
		return "", pathErr("readlink", name, err)
	}
	b := make([]byte, n.file.size)
	n.file.now.readAt(b, 0)
	return string(b), nil
}

// Executable does nothing: Mem has no modes.
func (m *Mem) Executable(name string) error {
	_, err := m.Stat(name)
	return err
}

// Symlink makes a link under the rules for OpCreate.
func (in *Inject) Symlink(target, name string) error {
	l, ok := in.fs.(Linker)
	if !ok {
		return &fs.PathError{Op: "symlink", Path: name, Err: ErrNotSupported}
	}
	return in.run(OpCreate, func() error { return l.Symlink(target, name) }, name)
}

// Readlink is the target of a link.
func (in *Inject) Readlink(name string) (string, error) {
	l, ok := in.fs.(Linker)
	if !ok {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: ErrNotSupported}
	}
	return l.Readlink(name)
}

// Executable lets everybody run a file.
func (in *Inject) Executable(name string) error {
	if l, ok := in.fs.(Linker); ok {
		return l.Executable(name)
	}
	return &fs.PathError{Op: "chmod", Path: name, Err: ErrNotSupported}
}

package vfs

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Create makes a new file; its entry is durable after SyncDir of its directory.
func (m *Mem) Create(name string) (File, error) {
	var n *node
	err := m.mutate(Op{Kind: OpCreate, Name: name}, func() (err error) {
		n, err = m.create(name)
		if err == nil {
			n.handles++
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &memFile{m: m, n: n, name: name, write: true}, nil
}

func (m *Mem) create(name string) (*node, error) {
	d, base, err := m.parent(name)
	if err != nil {
		return nil, err
	}
	if d.now[base] != nil {
		return nil, syscall.EEXIST
	}
	if m.free() == 0 {
		return nil, syscall.ENOSPC
	}
	n := newFile()
	d.now[base] = n
	m.dirOps = append(m.dirOps, dirOp{n: n, to: d, toName: base})
	return n, nil
}

// Open opens a file for reading.
func (m *Mem) Open(name string) (File, error) { return m.open(name, false) }

// OpenRW opens a file for reading and writing.
func (m *Mem) OpenRW(name string) (File, error) { return m.open(name, true) }

func (m *Mem) open(name string, write bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped() {
		return nil, pathErr("open", name, ErrStopped)
	}
	n, err := m.find(name)
	if err == nil && n.file == nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathErr("open", name, err)
	}
	n.handles++
	return &memFile{m: m, n: n, name: name, write: write}, nil
}

// Remove removes a file or an empty directory.
func (m *Mem) Remove(name string) error {
	return m.mutate(Op{Kind: OpRemove, Name: name}, func() error {
		d, base, err := m.parent(name)
		if err != nil {
			return err
		}
		n := d.now[base]
		if n == nil {
			return syscall.ENOENT
		}
		if n.dir != nil && len(n.dir.now) > 0 {
			return syscall.ENOTEMPTY
		}
		m.unlink(d, base)
		m.dirOps = append(m.dirOps, dirOp{n: n, from: d, fromName: base})
		return nil
	})
}

func (m *Mem) unlink(d *directory, base string) {
	n := d.now[base]
	delete(d.now, base)
	n.links--
	m.release(n)
}

// Rename moves a file or directory, replacing a file at newname. Onto a directory it fails with fs.ErrExist.
func (m *Mem) Rename(oldname, newname string) error {
	return m.mutate(Op{Kind: OpRename, Name: oldname, To: newname}, func() error {
		from, oldBase, err := m.parent(oldname)
		if err != nil {
			return err
		}
		n := from.now[oldBase]
		if n == nil {
			return syscall.ENOENT
		}
		to, newBase, err := m.parent(newname)
		if err != nil {
			return err
		}
		old := to.now[newBase]
		switch {
		case old == n:
			return nil
		case old != nil && old.dir != nil:
			return syscall.EEXIST
		case old != nil && n.dir != nil:
			return syscall.ENOTDIR
		case n.dir != nil && strings.HasPrefix(path.Clean("/"+newname)+"/", path.Clean("/"+oldname)+"/"):
			return syscall.EINVAL // into itself
		}
		if old != nil {
			m.unlink(to, newBase)
		}
		delete(from.now, oldBase)
		to.now[newBase] = n
		m.dirOps = append(m.dirOps, dirOp{n: n, from: from, fromName: oldBase, to: to, toName: newBase})
		return nil
	})
}

// List returns the entries of a directory, sorted by name.
func (m *Mem) List(dir string) ([]Info, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.stopped() {
		return nil, pathErr("list", dir, ErrStopped)
	}
	d, err := m.find(dir)
	if err == nil && d.dir == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathErr("list", dir, err)
	}
	out := make([]Info, 0, len(d.dir.now))
	for name, n := range d.dir.now {
		out = append(out, n.info(name))
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func (n *node) info(name string) Info {
	i := Info{Name: name, Dir: n.dir != nil, ModTime: n.mtime}
	if n.file != nil {
		i.Size = n.file.size
	}
	return i
}

// Stat describes one name.
func (m *Mem) Stat(name string) (Info, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.stopped() {
		return Info{}, pathErr("stat", name, ErrStopped)
	}
	n, err := m.find(name)
	if err != nil {
		return Info{}, pathErr("stat", name, err)
	}
	return n.info(path.Base(path.Clean("/" + name))), nil
}

// MkdirAll makes a directory and its missing parents. Each new level is durable after SyncDir of the level above.
func (m *Mem) MkdirAll(dir string) error {
	return m.mutate(Op{Kind: OpMkdir, Name: dir}, func() error {
		n := m.root
		for _, part := range parts(dir) {
			if n.dir == nil {
				return syscall.ENOTDIR
			}
			next := n.dir.now[part]
			if next == nil {
				if m.free() == 0 {
					return syscall.ENOSPC
				}
				next = newDir()
				n.dir.now[part] = next
				m.dirOps = append(m.dirOps, dirOp{n: next, to: n.dir, toName: part})
			}
			n = next
		}
		if n.dir == nil {
			return syscall.ENOTDIR
		}
		return nil
	})
}

// SyncDir makes the entries of one directory durable (not those of directories below it).
func (m *Mem) SyncDir(dir string) error {
	return m.mutate(Op{Kind: OpSyncDir, Name: dir}, func() error {
		n, err := m.find(dir)
		if err != nil {
			return err
		}
		if n.dir == nil {
			return syscall.ENOTDIR
		}
		if !m.lying {
			m.syncDir(n.dir)
		}
		return nil
	})
}

// syncDir applies the changes of d to what is durable. A rename between directories is one change: it takes with it
// everything earlier in both, so that changes of one name never become durable out of order.
func (m *Mem) syncDir(d *directory) {
	covered := map[*directory]bool{d: true}
	var sync, rest []dirOp
	for _, op := range slices.Backward(m.dirOps) {
		if !covered[op.from] && !covered[op.to] {
			rest = append(rest, op)
			continue
		}
		if op.from != nil {
			covered[op.from] = true
		}
		if op.to != nil {
			covered[op.to] = true
		}
		sync = append(sync, op)
	}
	for _, op := range slices.Backward(sync) {
		op.apply(func(d *directory) map[string]*node { return d.durable })
	}
	slices.Reverse(rest)
	m.dirOps = rest
}

// apply replays the change on the entries that view gives for a directory.
func (op dirOp) apply(view func(*directory) map[string]*node) {
	if op.from != nil {
		delete(view(op.from), op.fromName)
	}
	if op.to != nil {
		view(op.to)[op.toName] = op.n
	}
}

// Lock takes an exclusive lock on the file within this Mem, creating it. A clone has no locks: its machine has just
// started.
func (m *Mem) Lock(name string) (io.Closer, error) {
	var n *node
	err := m.mutate(Op{Kind: OpLock, Name: name}, func() (err error) {
		n, err = m.find(name)
		if err == syscall.ENOENT {
			n, err = m.create(name)
		}
		switch {
		case err != nil:
			return err
		case n.file == nil:
			return syscall.EISDIR
		case m.locks[n]:
			return ErrLocked
		}
		n.handles++
		m.locks[n] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memLock{m: m, n: n}, nil
}

type memLock struct {
	m    *Mem
	n    *node
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		delete(l.m.locks, l.n)
		l.n.handles--
		l.m.release(l.n)
	})
	return nil
}

// touch notes a change of content for display.
func (n *node) touch() { n.mtime = time.Now() }

// Dump lists every file with its size, durable size and the number of its mutations that are not durable, one a line,
// sorted; for the messages of failed tests.
func (m *Mem) Dump() string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var b strings.Builder
	var walk func(prefix string, d *directory)
	walk = func(prefix string, d *directory) {
		for _, name := range slices.Sorted(maps.Keys(d.now)) {
			switch n := d.now[name]; {
			case n.dir != nil:
				fmt.Fprintf(&b, "%s%s/\n", prefix, name)
				walk(prefix+name+"/", n.dir)
			default:
				fmt.Fprintf(&b, "%s%s size %d, durable %d, %d mutations not durable\n", prefix, name, n.file.size,
					n.file.durableSize, len(n.file.pending)+len(n.file.lost))
			}
		}
	}
	walk("/", m.root.dir)
	fmt.Fprintf(&b, "%d directory changes not durable\n", len(m.dirOps))
	return b.String()
}

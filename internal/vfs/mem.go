package vfs

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a disk in memory that knows what of it is durable. It behaves as the contract says and no better:
//
//   - What WriteAt, Truncate and Reserve did is readable at once and durable after File.Sync. Sync does not make the
//     file's directory entry durable.
//   - A creation, removal, rename or new directory (MkdirAll: one entry for each level) is visible at once and durable
//     after SyncDir of the directory that holds the entry. A rename between two directories is durable after SyncDir of
//     either; with it everything that happened earlier in both.
//   - An unlinked file lives, and takes space, while a handle is open.
//
// CrashClone gives the disk as a power cut could leave it. Names are cleaned and taken from the root, so "a" and "/a"
// are one file; the root directory always exists and is durable. All methods may be called concurrently.
//
// The zero value is not usable; call NewMem.
type Mem struct {
	mu       sync.RWMutex
	root     *node
	dirOps   []dirOp // directory changes that are not durable, in order
	graves   []pages // contents of removed files, newest last: what stale blocks may show
	locks    map[*node]bool
	capacity int64 // bytes; 0: unlimited
	used     int64 // blocks
	lying    bool
	ops      int64
	stopAt   int64 // ops at which the machine stops; -1: never
	onOp     func(Op)
	subset   uint64
}

// node is a file or a directory.
type node struct {
	file    *content // nil for a directory
	dir     *directory
	links   int // 0 or 1
	handles int
	mtime   time.Time
}

// directory is the entries of a directory as seen now and as durable.
type directory struct {
	now, durable map[string]*node
}

// dirOp is a change of a directory: n appears as to/toName (unless to is nil) and disappears from from/fromName (unless
// from is nil). A rename has both.
type dirOp struct {
	n                *node
	from, to         *directory
	fromName, toName string
}

// NewMem returns an empty disk without a size limit.
func NewMem() *Mem {
	return &Mem{root: newDir(), locks: make(map[*node]bool), stopAt: -1}
}

func newDir() *node {
	return &node{dir: &directory{now: map[string]*node{}, durable: map[string]*node{}}, links: 1, mtime: time.Now()}
}

func newFile() *node { return &node{file: &content{}, links: 1, mtime: time.Now()} }

// Ops is the number of mutating operations (OpMutating) begun so far, failed ones included. A clone starts at 0.
func (m *Mem) Ops() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.ops
}

// StopAfter stops the simulated machine after n more mutating operations: every operation after the n-th, of any kind,
// returns ErrStopped and does nothing. StopAfter(0) stops at once; a negative n lets it run. Closing a file or a lock
// is no disk operation and always succeeds. CrashClone works on a stopped machine.
//
// The state "in the middle of operation n+1" needs no case of its own: it is among the random clones of a machine
// stopped after n+1, as an operation that has returned is no more durable than one in flight; a sync in flight is among
// those of a machine stopped after n.
func (m *Mem) StopAfter(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopAt = -1
	if n >= 0 {
		m.stopAt = m.ops + n
	}
}

// Stopped says whether StopAfter has stopped the machine.
func (m *Mem) Stopped() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.stopped()
}

func (m *Mem) stopped() bool { return m.stopAt >= 0 && m.ops >= m.stopAt }

// OnOp sets a hook that is called after each mutating operation, in the goroutine that made it and without any lock
// held: it may call CrashClone or StopAfter. Operations that ErrStopped refused are not reported. nil removes it.
func (m *Mem) OnOp(f func(Op)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onOp = f
}

// LyingSync makes Sync and SyncDir return nil without making anything durable, as a drive does that acknowledges a flush
// it has not done. After LyingSync(false) the next sync covers everything before it.
func (m *Mem) LyingSync(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lying = on
}

// SetCapacity sets the size of the disk in bytes; 0 is unlimited. Space is taken in blocks of PageSize, by writing or
// reserving them. When none is left, a write writes what fits and fails with ENOSPC, Reserve fails and changes nothing,
// and new names fail; blocks that are written or reserved can still be written, and removals work.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = max(bytes, 0)
}

// Usage reports the capacity; without one, 1 TiB.
func (m *Mem) Usage(dir string) (Usage, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.stopped() {
		return Usage{}, pathErr("statfs", dir, ErrStopped)
	}
	if _, err := m.find(dir); err != nil {
		return Usage{}, pathErr("statfs", dir, err)
	}
	total := m.capacity
	if total == 0 {
		total = unlimitedBytes
	}
	return Usage{Total: uint64(total), Free: uint64(max(total-m.used*PageSize, 0))}, nil
}

// free is the number of blocks that can still be allocated.
func (m *Mem) free() int64 {
	total := m.capacity
	if total == 0 {
		total = unlimitedBytes
	}
	return max(total/PageSize-m.used, 0)
}

// mutate runs one mutating operation under the lock, counted, and reports it to the hook after.
func (m *Mem) mutate(op Op, f func() error) error {
	m.mu.Lock()
	if m.stopped() {
		m.mu.Unlock()
		return pathErr(op.Kind.String(), op.Name, ErrStopped)
	}
	m.ops++
	op.N = m.ops
	err := f()
	hook := m.onOp
	m.mu.Unlock()
	if err != nil {
		err = pathErr(op.Kind.String(), op.Name, err)
	}
	if hook != nil {
		op.Err = err
		hook(op)
	}
	return err
}

// find returns the node of a name.
func (m *Mem) find(name string) (*node, error) {
	n := m.root
	for _, part := range parts(name) {
		if n.dir == nil {
			return nil, syscall.ENOTDIR
		}
		next, ok := n.dir.now[part]
		if !ok {
			return nil, syscall.ENOENT
		}
		n = next
	}
	return n, nil
}

// parent returns the directory that holds, or would hold, name.
func (m *Mem) parent(name string) (*directory, string, error) {
	ps := parts(name)
	if len(ps) == 0 {
		return nil, "", syscall.EBUSY // the root is in no directory
	}
	n, err := m.find(strings.Join(ps[:len(ps)-1], "/"))
	if err != nil {
		return nil, "", err
	}
	if n.dir == nil {
		return nil, "", syscall.ENOTDIR
	}
	return n.dir, ps[len(ps)-1], nil
}

// release frees the space of a file that has neither a name nor a handle; its content becomes stale disk content.
func (m *Mem) release(n *node) {
	if n.links > 0 || n.handles > 0 || n.file == nil {
		return
	}
	m.used -= n.file.now.allocated()
	n.file.freeze()
	m.bury(n.file.now)
}

// bury remembers content that no longer belongs to a file. The table must not change any more.
func (m *Mem) bury(t pages) {
	if len(t) == 0 {
		return
	}
	if len(m.graves) == maxGraves {
		m.graves = slices.Delete(m.graves, 0, 1)
	}
	m.graves = append(m.graves, t)
}

func parts(name string) []string {
	p := path.Clean("/" + name)
	if p == "/" {
		return nil
	}
	return strings.Split(p[1:], "/")
}

func pathErr(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

package vfs

import (
	"io"
	"path"
	"strings"
	"sync"
	"syscall"
)

// Rule fails chosen operations of an Inject.
type Rule struct {
	Kind OpKind // kinds that match; 0: OpMutating
	// Path matches names that end in it (either name of a rename); "" matches all.
	Path string
	// Nth is which matching operation fails, counted from 1; 0 is 1.
	Nth int
	// Sticky fails every matching operation from the Nth on.
	Sticky bool
	// Err is what the operation returns, wrapped with its kind and name; nil is EIO.
	Err error
	// Short makes a failing write write the first half of its bytes, and a failing read read it.
	Short bool
	// Done carries the operation out and reports the failure nevertheless.
	Done bool
}

// Inject wraps an FS and fails the operations that its rules choose. A failing operation does nothing, unless its rule
// says Short or Done.
//
// A failed Sync of a file on a Mem has the consequence it has on Linux: what was written before counts as clean although
// it may not be on the disk, and a later Sync that succeeds does not make it durable, unless it is written again.
// (Done excepted: then it is durable.) A failed SyncDir leaves the changes pending: a later one covers them.
//
// Of several rules that choose one operation the first counts. Closing never fails. All methods may be called
// concurrently.
type Inject struct {
	fs FS

	mu    sync.Mutex
	rules []ruleState
	hits  int
}

type ruleState struct {
	Rule
	seen int
}

// NewInject wraps fsys.
func NewInject(fsys FS, rules ...Rule) *Inject {
	in := &Inject{fs: fsys}
	in.SetRules(rules...)
	return in
}

// SetRules replaces the rules and sets the count of hits to zero.
func (in *Inject) SetRules(rules ...Rule) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.hits, in.rules = 0, nil
	for _, r := range rules {
		if r.Kind == 0 {
			r.Kind = OpMutating
		}
		if r.Err == nil {
			r.Err = syscall.EIO
		}
		r.Nth = max(r.Nth, 1)
		in.rules = append(in.rules, ruleState{Rule: r})
	}
}

// Hits is how many operations rules have failed. An error matrix raises Nth from 1 until a run ends with no hit.
func (in *Inject) Hits() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.hits
}

// check returns the rule that fails the operation, nil if none does.
func (in *Inject) check(kind OpKind, names ...string) *Rule {
	in.mu.Lock()
	defer in.mu.Unlock()
	var hit *Rule
	for i := range in.rules {
		r := &in.rules[i]
		if r.Kind&kind == 0 || !r.matches(names) {
			continue
		}
		r.seen++
		if hit == nil && (r.seen == r.Nth || r.Sticky && r.seen > r.Nth) {
			hit = &Rule{}
			*hit = r.Rule
			in.hits++
		}
	}
	return hit
}

func (r *Rule) matches(names []string) bool {
	for _, n := range names {
		if strings.HasSuffix(path.Clean(n), r.Path) {
			return true
		}
	}
	return false
}

// run carries out an operation without a result under the rules.
func (in *Inject) run(kind OpKind, f func() error, names ...string) error {
	r := in.check(kind, names...)
	if r == nil {
		return f()
	}
	if r.Done {
		if err := f(); err != nil {
			return err
		}
	}
	return pathErr(kind.String(), names[0], r.Err)
}

func (in *Inject) open(kind OpKind, name string, f func(string) (File, error)) (File, error) {
	var file File
	err := in.run(kind, func() (err error) { file, err = f(name); return err }, name)
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return &injectFile{in: in, f: file, name: name}, nil
}

func (in *Inject) Create(name string) (File, error) { return in.open(OpCreate, name, in.fs.Create) }
func (in *Inject) Open(name string) (File, error)   { return in.open(OpOpen, name, in.fs.Open) }
func (in *Inject) OpenRW(name string) (File, error) { return in.open(OpOpen, name, in.fs.OpenRW) }

func (in *Inject) Remove(name string) error {
	return in.run(OpRemove, func() error { return in.fs.Remove(name) }, name)
}

func (in *Inject) Rename(oldname, newname string) error {
	return in.run(OpRename, func() error { return in.fs.Rename(oldname, newname) }, oldname, newname)
}

func (in *Inject) List(dir string) (out []Info, err error) {
	err = in.run(OpList, func() (err error) { out, err = in.fs.List(dir); return err }, dir)
	return out, err
}

func (in *Inject) Stat(name string) (out Info, err error) {
	err = in.run(OpStat, func() (err error) { out, err = in.fs.Stat(name); return err }, name)
	return out, err
}

func (in *Inject) MkdirAll(dir string) error {
	return in.run(OpMkdir, func() error { return in.fs.MkdirAll(dir) }, dir)
}

func (in *Inject) SyncDir(dir string) error {
	return in.run(OpSyncDir, func() error { return in.fs.SyncDir(dir) }, dir)
}

func (in *Inject) Usage(dir string) (out Usage, err error) {
	err = in.run(OpUsage, func() (err error) { out, err = in.fs.Usage(dir); return err }, dir)
	return out, err
}

func (in *Inject) Lock(name string) (io.Closer, error) {
	var c io.Closer
	err := in.run(OpLock, func() (err error) { c, err = in.fs.Lock(name); return err }, name)
	if err != nil {
		if c != nil {
			c.Close()
		}
		return nil, err
	}
	return c, nil
}

// injectFile is an open file of an Inject.
type injectFile struct {
	in   *Inject
	f    File
	name string
}

func (f *injectFile) ReadAt(p []byte, off int64) (int, error) {
	return f.transfer(OpRead, f.f.ReadAt, p, off)
}

func (f *injectFile) WriteAt(p []byte, off int64) (int, error) {
	return f.transfer(OpWrite, f.f.WriteAt, p, off)
}

func (f *injectFile) transfer(kind OpKind, do func([]byte, int64) (int, error), p []byte, off int64) (n int, err error) {
	r := f.in.check(kind, f.name)
	switch {
	case r == nil:
		return do(p, off)
	case r.Done:
		n, err = do(p, off)
	case r.Short:
		n, err = do(p[:len(p)/2], off)
	}
	if err != nil {
		return n, err
	}
	return n, pathErr(kind.String(), f.name, r.Err)
}

func (f *injectFile) Reserve(size int64) error {
	return f.in.run(OpReserve, func() error { return f.f.Reserve(size) }, f.name)
}

func (f *injectFile) Truncate(size int64) error {
	return f.in.run(OpTruncate, func() error { return f.f.Truncate(size) }, f.name)
}

func (f *injectFile) Sync() error {
	done := false
	err := f.in.run(OpSync, func() error { done = true; return f.f.Sync() }, f.name)
	if !done {
		f.failSync()
	}
	return err
}

// failSync passes a failed sync on to a file that can play its consequence.
func (f *injectFile) failSync() {
	if m, ok := f.f.(interface{ failSync() }); ok {
		m.failSync()
	}
}

func (f *injectFile) Size() (n int64, err error) {
	err = f.in.run(OpSize, func() (err error) { n, err = f.f.Size(); return err }, f.name)
	return n, err
}

func (f *injectFile) Close() error { return f.f.Close() }

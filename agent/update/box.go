package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
)

// Box is the machine that is updated, as edge-updater sees it.
type Box struct {
	FS          install.Disk
	Root        string // of releases, e.g. /opt/edge
	StateDir    string // of trust and journal, e.g. /var/lib/edge-updater
	FactoryRoot []byte // the first root of the fleet's metadata
	Facts       release.Facts
	Now         func() time.Time // the system's clock, if it may be believed; else a time long past
	Units       install.Units
	Judge       install.Judge
	Nodes       install.Nodes
	Running     func() []string
	Changed     func(install.Txn)
	Publish     func(Report)  // tells people of the box; nil: nobody
	Orders      func() Orders // of operators; nil: there are none
	Peek        bool          // only look: another updater may be at work
}

// releaseFloor is the name of the releases' counter in the trust store.
const releaseFloor = "release"

// Session is an opened box. One process at a time holds it.
type Session struct {
	box   Box
	lock  io.Closer
	Trust *trust.Store
	*install.Updater
	Layout *install.Layout
}

// Open locks the box and reads what it believes and what it was doing. An error with vfs.ErrLocked says that another
// updater is at work.
func (b Box) Open() (_ *Session, err error) {
	if err := b.FS.MkdirAll(b.StateDir); err != nil {
		return nil, fmt.Errorf("open %s: %w", b.StateDir, err)
	}
	if !b.Peek { // what is for people lies in it, readable for their group; journal and trust are not
		if err := b.FS.Executable(b.StateDir); err != nil {
			return nil, fmt.Errorf("open %s: %w", b.StateDir, err)
		}
	}
	s := &Session{box: b, Layout: install.NewLayout(b.FS, b.Root)}
	s.lock = io.NopCloser(nil)
	if !b.Peek {
		if s.lock, err = b.FS.Lock(path.Join(b.StateDir, "lock")); err != nil {
			return nil, fmt.Errorf("lock %s: %w", b.StateDir, err)
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if s.Trust, err = trust.Open(b.FS, path.Join(b.StateDir, "trust"), b.FactoryRoot); err != nil {
		return nil, err
	}
	s.Updater, err = install.Open(install.Options{Layout: s.Layout, Dir: b.StateDir, Units: b.Units, Judge: b.Judge, Nodes: b.Nodes,
		Raise:   func(t *install.Txn) error { return s.Trust.Raise(counters(t)) },
		Running: b.Running, Progress: func(install.Progress) { s.publish() }, Stop: func(t install.Txn) string { return s.orders().Stops(t) },
		Changed: func(t install.Txn) {
			if b.Changed != nil {
				b.Changed(t)
			}
			s.publish()
		}})
	if err == nil && !b.Peek {
		err = s.remembered()
	}
	return s, err
}

// Close tells people once more and gives the lock back.
func (s *Session) Close() error {
	if !s.box.Peek {
		s.publish()
	}
	return s.lock.Close()
}

func (s *Session) orders() Orders {
	if s.box.Orders == nil {
		return Orders{}
	}
	return s.box.Orders()
}

// now is the trusted time: never before what signed metadata has proven, nor before this program was built.
func (s *Session) now() time.Time {
	t := s.Trust.TimeFloor()
	if sys := s.box.Now(); sys.After(t) {
		t = sys
	}
	return t
}

// Check verifies what a source offers and returns the release that may be installed; name "" takes the newest. What it
// learned of the metadata is kept, whatever the verdict.
func (s *Session) Check(src Source, name string) (*Offer, error) {
	b, err := src.Metadata(s.Trust.Have())
	if err != nil {
		return nil, &install.Error{Reason: string(trust.NotThere), Err: err}
	}
	v, err := s.Trust.Ingest(b, s.now())
	if err != nil {
		return nil, err
	}
	if name == "" {
		if name, err = newest(v, src); err != nil {
			return nil, err
		}
		if name == "" {
			return nil, &install.Error{Reason: string(trust.NotThere), Err: errors.New("no release is offered")}
		}
	}
	o, err := Admit(v, name, src, s.box.Facts, s.Trust.Floor(releaseFloor))
	if err == nil {
		err = s.heldByNodes(o.Plan)
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Apply installs an offer from its source, to the end. tries is raised to try again what has failed.
func (s *Session) Apply(ctx context.Context, src Source, o *Offer, id string, tries int) (install.Txn, error) {
	if why := s.orders().Held(time.Now()); why != "" {
		return s.Journal().Txn, &install.Error{Reason: install.Policy, Err: fmt.Errorf("updates of this box are %s; `edgectl update unhold` or `resume` ends it", why)}
	}
	if err := s.Begin(id, o.Plan, o.Manifest, tries, s.now()); err != nil {
		return s.Journal().Txn, err
	}
	err := s.Run(ctx, func(p release.Pin) (io.ReadCloser, error) { return src.Open(p.Path) })
	if err == nil {
		_, err = s.Clean()
	}
	return s.Journal().Txn, err
}

// Resume brings an open transaction to its end after a restart of the machine or of the updater.
func (s *Session) Resume(ctx context.Context) (install.Txn, error) {
	err := s.Run(ctx, func(release.Pin) (io.ReadCloser, error) {
		return nil, errors.New("interrupted while it was copied; begin again from its source")
	})
	if err == nil && s.Journal().Txn.ID != "" {
		_, err = s.Clean()
	}
	return s.Journal().Txn, err
}

// Rescue looks at the release in force and, if its files are damaged, puts previous in its place. It starts the agent in any case:
// its unit has given up. It returns what it found, and what it did.
func (s *Session) Rescue(ctx context.Context) (damage []string, did string, err error) {
	name, err := s.Layout.Release(install.Stable)
	if err != nil {
		damage = []string{err.Error()}
	} else if name == "" {
		return nil, "no release is in force; the packaged programs run", s.box.Units.StartStable(ctx)
	} else if damage, err = s.Layout.Damage(name); err != nil {
		damage = []string{err.Error()}
	}
	if len(damage) == 0 {
		return nil, "release " + name + " is sound", s.box.Units.StartStable(ctx)
	}
	previous, err := s.Layout.Release(install.Previous)
	if err == nil && previous != "" && previous != name {
		if bad, e := s.Layout.Damage(previous); e == nil && len(bad) == 0 {
			if err := s.Layout.Point(install.Stable, previous); err != nil {
				return damage, "", err
			}
			return damage, "release " + previous + " is in force again", s.box.Units.StartStable(ctx)
		}
	}
	// Without the link the units start the packaged programs.
	if err := s.Layout.Unpoint(install.Stable); err != nil {
		return damage, "", err
	}
	return damage, "no sound release is left; the packaged programs run", s.box.Units.StartStable(ctx)
}

// ReadFacts reads KEY=VALUE lines, as of /etc/edge-agent/product; empty lines and those with # do not count.
func ReadFacts(file string, into release.Facts) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read facts: %w", err)
	}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok || !release.ValidName(k) {
			return fmt.Errorf("%s:%d: %q is not NAME=VALUE", file, i+1, line)
		}
		into[k] = strings.Trim(v, `"`)
	}
	return nil
}

// Where things are on a box.
const (
	DefaultStateDir = "/var/lib/edge-updater"
	DefaultRoot     = "/opt/edge"
	DefaultTrust    = "/etc/edge-agent/root.json"
	AgentDir        = "update" // of the agent's part in updates, below its own directory
)

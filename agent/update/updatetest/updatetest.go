// Package updatetest is a virtual box for tests of fleets: the real client of updates over a disk in memory, beside an
// updater that verifies a request as edge-updater does and then only says how its install ended.
package updatetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/agent/update/mqtt"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Dir is where a box's client has its files, on its disk.
const Dir = "/data/update"

// Box is one virtual box. Its disk survives Start and Stop.
type Box struct {
	Disk    *vfs.Mem
	Options mqtt.Options // completed by New
	// Ends says how the install of a release ends: "" is committed; else the reason of a rollback.
	Ends func(release string) string
	Took time.Duration // of an install

	mu        sync.Mutex // guards what follows
	pub       update.Public
	store     map[string]bool
	Unsettled bool

	// What follows belongs to Updater.
	open  *update.Request // its install has begun and not ended
	offer *update.Offer
	Began int // installs
}

// New makes a box; o needs Topics, Root, Facts and Now.
func New(o mqtt.Options) *Box {
	b := &Box{Disk: vfs.NewMem(), store: map[string]bool{}, Ends: func(string) string { return "" }}
	o.FS, o.Dir = b.Disk, Dir
	o.Public = func() (*update.Public, error) {
		p := b.Public()
		return &p, nil
	}
	o.Has = func(sum string) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.store[sum]
	}
	b.Options = o
	return b
}

// Public is what the updater says.
func (b *Box) Public() update.Public {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pub
}

func (b *Box) say(f func(*update.Public)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.pub)
}

// Client is a new client over the box's disk, as after a restart.
func (b *Box) Client() (*mqtt.Client, error) { return mqtt.New(b.Options) }

// Updater serves requests until ctx ends.
func (b *Box) Updater(ctx context.Context) {
	if b.open != nil { // it was killed; what it needs lies in its own store
		b.carryOut(ctx, *b.open, b.offer)
	}
	for ctx.Err() == nil {
		name := path.Join(Dir, update.RequestName)
		if data, err := vfs.ReadFile(b.Disk, name, 4096); err == nil {
			_ = b.Disk.Remove(name)
			var r update.Request
			if err := json.Unmarshal(data, &r); err == nil {
				b.install(ctx, r)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (b *Box) install(ctx context.Context, r update.Request) {
	offer, err := b.verify(r)
	if b.Disk.Stopped() { // the power is off
		return
	}
	if t := b.Public().Txn; err == nil && t.Manifest == r.Manifest && t.Tries == r.Tries {
		err = &install.Error{Reason: install.Policy, Err: errors.New("asked for again")}
	}
	if err != nil {
		b.say(func(p *update.Public) {
			p.Refused = &update.Refused{Request: r, Reason: update.Reason(err), Detail: err.Error(), At: time.Now()}
		})
		return
	}
	b.Began++
	b.open, b.offer = &r, offer
	b.carryOut(ctx, r, offer)
}

func (b *Box) carryOut(ctx context.Context, r update.Request, offer *update.Offer) {
	to := func(s install.State, reason, detail string) {
		b.say(func(p *update.Public) {
			p.Refused = nil
			p.Txn = update.PublicTxn{Release: r.Release, Manifest: r.Manifest, Tries: r.Tries, State: s, Since: time.Now(), Reason: reason, Detail: detail}
			if b.Unsettled && s == install.RolledBack {
				p.Txn.Unfinished = []string{"node/a: could not be restored"}
			}
		})
	}
	to(install.Begun, "", "")
	to(install.Probation, "", "")
	select {
	case <-ctx.Done():
		return
	case <-time.After(b.Took):
	}
	b.open = nil
	if reason := b.Ends(r.Release); reason != "" {
		to(install.RolledBack, reason, "the candidate did worse than the release before")
		return
	}
	b.mu.Lock()
	for _, c := range offer.Plan.Components {
		b.store[c.SHA256] = true
	}
	b.mu.Unlock()
	b.say(func(p *update.Public) {
		p.Stable, p.StableManifest, p.Counter = r.Release, r.Manifest, offer.Plan.Manifest.Counter
	})
	to(install.Committed, "", "")
}

// verify does what edge-updater does with a stage: it believes the factory root, and nothing that the client has verified.
func (b *Box) verify(r update.Request) (*update.Offer, error) {
	now, _ := b.Options.Now()
	s := stage{b}
	bundle, err := s.Metadata(trust.Have{})
	if err != nil {
		return nil, err
	}
	_, v, err := trust.Verify(b.Options.Root, trust.State{}, bundle, now)
	if err != nil {
		return nil, err
	}
	offer, err := update.Admit(v, r.Release, s, b.Options.Facts, b.Public().Counter)
	if err != nil {
		return nil, err
	}
	if offer.Manifest != r.Manifest {
		return nil, &install.Error{Reason: install.BadHash, Err: errors.New("another manifest")}
	}
	for _, c := range offer.Plan.Components {
		if b.Options.Has(c.SHA256) {
			continue
		}
		f, err := s.Open(c.Path)
		if err != nil {
			return nil, &install.Error{Reason: install.DiskIO, Err: err}
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		if sum := hex.EncodeToString(h.Sum(nil)); sum != c.SHA256 {
			return nil, &install.Error{Reason: install.BadHash, Err: fmt.Errorf("%s has sha256 %s", c.Name, sum)}
		}
	}
	return offer, nil
}

// stage is a box's stage as a Source.
type stage struct{ b *Box }

func (s stage) Metadata(trust.Have) (*trust.Bundle, error) {
	dir := path.Join(Dir, update.StageName, "metadata")
	files, err := s.b.Disk.List(dir)
	if err != nil {
		return nil, err
	}
	read := func(name string) []byte {
		data, err := vfs.ReadFile(s.b.Disk, path.Join(dir, name), trust.MaxTargetsBytes)
		if err != nil {
			return nil
		}
		return data
	}
	out := &trust.Bundle{Timestamp: read("timestamp.json"), Snapshot: read("snapshot.json"), Targets: map[string][]byte{}}
	for version := 2; ; version++ {
		root := read(fmt.Sprintf("%d.root.json", version))
		if root == nil {
			break
		}
		out.Roots = append(out.Roots, root)
	}
	for _, f := range files {
		if role, ok := strings.CutSuffix(f.Name, ".json"); ok && role != "timestamp" && role != "snapshot" && !strings.HasSuffix(role, ".root") {
			out.Targets[role] = read(f.Name)
		}
	}
	return out, nil
}

func (s stage) Open(p string) (io.ReadCloser, error) {
	return vfs.OpenReader(s.b.Disk, path.Join(Dir, update.StageName, "targets", p))
}

// Topics are those of a device under the default prefix.
func Topics(device string) fleetwire.Topics { return fleetwire.Topics{Device: device} }

// Facts of a box that the tests' releases are meant for.
func Facts() release.Facts { return release.Facts{"product": "edgebox-2", "arch": "arm64"} }

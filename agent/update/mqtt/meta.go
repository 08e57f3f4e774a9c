package mqtt

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/vfs"
)

// metaRequest is a request for metadata.
type metaRequest struct {
	id, nonce string // "": none is under way
	sent      time.Duration
	next      time.Duration // the earliest time of the next
	wait      time.Duration // between two that failed
}

// check asks for metadata until it vouches for the desired release.
func (c *Client) check(ctx context.Context) time.Duration {
	if c.kept.Paused != "" {
		c.set(fleetwire.Waiting, install.Policy, "paused by "+c.kept.Paused)
		return idleEvery
	}
	m, now := &c.flow.meta, c.now()
	if m.id != "" && now-m.sent >= metaTimeout {
		m.id = ""
		c.later(fleetwire.Checking, string(trust.NotThere), "the server did not answer")
	}
	switch {
	case c.link == nil:
		return idleEvery
	case m.id != "":
		return metaTimeout - (now - m.sent)
	case now < m.next:
		return m.next - now
	}
	have := c.trust.Have()
	have.Root = c.chain()
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	m.id, m.nonce, m.sent = c.nextID(), hex.EncodeToString(nonce[:]), now
	c.send(ctx, c.o.Topics.MetaRequest(), fleetwire.MetaRequest{ID: m.id, Nonce: m.nonce, Have: have})
	return metaTimeout
}

func (c *Client) nextID() string {
	c.seed++
	return strconv.FormatUint(c.seed, 36)
}

// later says why metadata is of no use yet, and when it is asked for again.
func (c *Client) later(s fleetwire.State, reason, detail string) {
	m := &c.flow.meta
	m.wait = min(max(2*m.wait, metaRetryMin), metaRetryMax)
	m.next = c.now() + m.wait
	c.set(s, reason, detail)
	if reason != string(trust.NotThere) {
		c.trouble(NoTrust, reason+": "+detail)
	}
}

// learn takes an answer.
func (c *Client) learn(id string, payload []byte) {
	m := &c.flow.meta
	if id != m.id || m.id == "" || c.flow.phase != checking {
		c.count(func(s *Stats) { s.Unasked++ })
		return
	}
	a, err := fleetwire.Decode[fleetwire.MetaAnswer](payload)
	if err != nil || a.Nonce != m.nonce || a.Bundle == nil {
		c.count(func(s *Stats) { s.Malformed++ })
		return
	}
	m.id = ""
	v, err := c.trust.Ingest(a.Bundle, c.trusted())
	if cerr := c.keepRoots(a.Bundle.Roots); cerr != nil {
		c.failing(cerr)
		return
	}
	switch {
	case err == nil && a.More, err != nil && a.More && trust.ReasonOf(err) == trust.NotThere:
		m.next = c.now() // the rest
	case err != nil:
		c.later(fleetwire.Checking, update.Reason(err), err.Error())
	default:
		c.clear(NoTrust)
		c.flow.view, c.flow.phase = v, planning
		if _, err := v.Find("releases/" + c.kept.Desired.Release + ".json"); err != nil {
			c.flow.phase = checking
			c.later(fleetwire.Checking, update.Reason(err), err.Error())
			return
		}
		c.set(fleetwire.Planned, "", "")
	}
}

// rootVersion is the version that a root file claims.
func rootVersion(data []byte) int64 {
	var r struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	if json.Unmarshal(data, &r) != nil {
		return 0
	}
	return r.Signed.Version
}

func (c *Client) rootFile(version int64) string {
	return c.stage("metadata", strconv.FormatInt(version, 10)+".root.json")
}

// follows tells whether next is a root that the holders of root have made after it.
func (c *Client) follows(root, next []byte) bool {
	s, _, _ := trust.Verify(c.o.Root, trust.State{Root: root}, &trust.Bundle{Roots: [][]byte{next}}, c.trusted())
	return string(s.Root) == string(next)
}

// chain is the version up to which the stage holds every root since the first, for the updater, which may be behind. One
// that is damaged is removed, and asked for again.
func (c *Client) chain() int64 {
	root, version := c.o.Root, rootVersion(c.o.Root)
	for {
		next, err := vfs.ReadFile(c.o.FS, c.rootFile(version+1), trust.MaxRootBytes)
		if err != nil {
			return version
		}
		if !c.follows(root, next) {
			_ = c.o.FS.Remove(c.rootFile(version + 1)) // if it stays, the next answer replaces it
			return version
		}
		root, version = next, version+1
	}
}

// keepRoots adds roots to the stage.
func (c *Client) keepRoots(roots [][]byte) error {
	version := c.chain()
	root := c.o.Root
	if version > rootVersion(c.o.Root) {
		var err error
		if root, err = vfs.ReadFile(c.o.FS, c.rootFile(version), trust.MaxRootBytes); err != nil {
			return err
		}
	}
	for _, next := range roots {
		if rootVersion(next) != version+1 || !c.follows(root, next) {
			continue
		}
		root, version = next, version+1
		if err := vfs.WriteFileAtomic(c.o.FS, c.rootFile(version), next); err != nil {
			return err
		}
	}
	return nil
}

// writeMetadata puts what is believed into the stage. The updater verifies it; a mixture that a crash leaves is refused
// there and written again here.
func (c *Client) writeMetadata() error {
	s := c.trust.State()
	files := map[string][]byte{"timestamp": s.Timestamp, "snapshot": s.Snapshot}
	for role, data := range s.Targets {
		if !release.ValidName(role) {
			return fmt.Errorf("role %q is no name of a file", role)
		}
		files[role] = data
	}
	var errs []error
	for role, data := range files {
		errs = append(errs, vfs.WriteFileAtomic(c.o.FS, c.stage("metadata", role+".json"), data))
	}
	return errors.Join(errs...)
}

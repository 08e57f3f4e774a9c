package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/vfs"
)

// The agent fetches and asks, edge-updater decides and installs. They meet in two files, neither of which is believed:
// the request lies in a directory of the agent's, and names what the updater verifies anew; the public file is what the
// updater lets everybody know.
const (
	RequestName = "apply"       // below the agent's directory of updates
	StageName   = "stage"       // there, too: metadata/ and targets/, a Source
	publicName  = "public.json" // below the updater's state directory

	maxRequestBytes = 4 << 10
	maxPublicBytes  = 64 << 10
)

// Request asks the updater to install a staged release.
type Request struct {
	Release  string `json:"release"`
	Manifest string `json:"manifest"` // sha256, hex
	Tries    int    `json:"tries"`
}

// Public is what the updater lets the agent know.
type Public struct {
	SchemaVersion  int       `json:"schema_version"`
	Stable         string    `json:"stable"`          // the release in force; "" where the packaged programs run
	StableManifest string    `json:"stable_manifest"` // its sha256, hex
	Counter        uint64    `json:"counter"`         // of the newest release that was committed
	Txn            PublicTxn `json:"txn"`             // the update that is open or was the last
	Refused        *Refused  `json:"refused,omitempty"`
}

// PublicTxn is a transaction without what is only for people at the box.
type PublicTxn struct {
	Release    string        `json:"release"`
	Manifest   string        `json:"manifest"`
	Tries      int           `json:"tries"`
	State      install.State `json:"state"`
	Since      time.Time     `json:"since"`
	Reason     string        `json:"reason,omitempty"`
	Detail     string        `json:"detail,omitempty"`
	Unfinished []string      `json:"unfinished,omitempty"`
}

// Refused is a request that did not become a transaction.
type Refused struct {
	Request
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
	At     time.Time `json:"at"`
}

// Publish writes the public file anew. It is a view: a power cut leaves an older one, and the next start of the updater
// writes it again. refused is nil where the last request was taken.
func (s *Session) Publish(refused *Refused) error {
	t := s.Journal().Txn
	p := Public{SchemaVersion: 1, Counter: s.Trust.Floor(releaseFloor), Refused: refused, Txn: PublicTxn{Release: t.Release, Manifest: t.Manifest,
		Tries: t.Tries, State: t.State, Since: t.Since, Reason: t.Reason, Detail: t.Detail, Unfinished: t.Unfinished}}
	if name, err := s.Layout.Release(install.Stable); err == nil && name != "" {
		p.Stable = name
		if tree, err := s.Layout.Tree(name); err == nil {
			p.StableManifest = tree.Manifest
		}
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode %s: %w", publicName, err)
	}
	file := path.Join(s.box.StateDir, publicName)
	if err := vfs.WriteFileAtomic(s.box.FS, file, body); err != nil {
		return err
	}
	return s.box.FS.Executable(file) // for all to read
}

// ReadPublic reads the public file below an updater's state directory; an empty one where no updater has run yet.
func ReadPublic(fs vfs.FS, stateDir string) (*Public, error) {
	data, err := vfs.ReadFile(fs, path.Join(stateDir, publicName), maxPublicBytes)
	if errors.Is(err, vfs.ErrNotExist) {
		return &Public{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", publicName, err)
	}
	var p Public
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read %s: %w", publicName, err)
	}
	return &p, nil
}

// TakeRequest reads and removes the request below dir, which others may write to. It is removed first of all, so that
// whatever comes of it, it does not start the updater again. Nil, nil: there is none.
func TakeRequest(dir string) (*Request, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("look for a request: %w", err)
	}
	defer root.Close()
	var data []byte
	info, err := root.Lstat(RequestName)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err == nil && (!info.Mode().IsRegular() || info.Size() > maxRequestBytes):
		err = fmt.Errorf("%s is no file of at most %d bytes", RequestName, maxRequestBytes)
	case err == nil:
		data, err = (&Directory{root}).read(RequestName, maxRequestBytes) // it may have become another one meanwhile
	}
	if rerr := root.RemoveAll(RequestName); rerr != nil {
		return nil, fmt.Errorf("remove request: %w", rerr)
	}
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	var r Request
	if err := json.Unmarshal(data, &r); err != nil || !release.ValidName(r.Release) || len(r.Manifest) != 64 || r.Tries < 1 {
		return nil, fmt.Errorf("read request: %q names no release: %w", data, errors.Join(install.ErrRequest, err))
	}
	return &r, nil
}

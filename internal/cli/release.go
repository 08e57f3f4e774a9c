package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/trust/repo"
)

const keysHelp = `  edgectl keys new root-anna   writes root-anna.key (keep it secret) and .pub

An ed25519 key. Root and targets keys belong on machines without a network;
docs/updates.md tells the ceremony.
`

const releaseHelp = `  edgectl release prepare fleet/      root and targets of roles.yaml, unsigned
  edgectl release sign fleet/metadata/1.root.json --key root-anna.key
  edgectl release add fleet/ build/agent.tar.zst=agent/2.31.0-arm64.tar.zst
  edgectl release freeze fleet/ draft.json      pins every component, says what to sign
      --delta-from 2026.11.2,2026.11.1          deltas for boxes that run those
      --site north                              configuration for boxes of a site
  edgectl release sign fleet/metadata/agent.json --key agent.key
  edgectl release publish fleet/ --snapshot snap.key --timestamp time.key
  edgectl release verify fleet/                 as a new box would

fleet/ is a directory with roles.yaml; metadata/ and targets/ are made in it. The
whole directory, copied to a stick, is what edge-updater apply --from takes.
`

// roleFile is where the roles of a repository stand.
const roleFile = "roles.yaml"

func (a *app) signingKeys(_ context.Context, args []string) error {
	words, err := a.parse("keys", args, 2, nil)
	if err != nil {
		return err
	}
	if len(words) != 2 || words[0] != "new" {
		return usagef("keys: its form is edgectl keys new NAME")
	}
	if a.g.json {
		return usagef("keys has no JSON form; its exit code says how it ended")
	}
	k, err := repo.NewKey()
	if err != nil {
		return err
	}
	if err := k.Save(words[1]); err != nil {
		return err
	}
	id, err := k.ID()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%s.key  keep it secret\n%s.pub  name it in roles.yaml\nid %s\n", words[1], words[1], id)
	return nil
}

func (a *app) release(_ context.Context, args []string) error {
	var key, snapshot, timestamp, since, site string
	words, err := a.parse("release", args, 64, func(f *flag.FlagSet) {
		f.StringVar(&key, "key", "", "")
		f.StringVar(&snapshot, "snapshot", "", "")
		f.StringVar(&timestamp, "timestamp", "", "")
		f.StringVar(&since, "delta-from", "", "")
		f.StringVar(&site, "site", "", "")
	})
	if err != nil {
		return err
	}
	verbs := []string{"prepare", "add", "freeze", "sign", "publish", "verify"}
	switch {
	case len(words) == 0:
		return a.helpOn("release")
	case !slices.Contains(verbs, words[0]):
		return usage(cmdline.Then(cmdline.Unknown("edgectl release", words[0], verbs), "edgectl help release lists all"))
	case len(words) == 1:
		return usagef("release %s: which directory? edgectl help release shows its form", words[0])
	}
	dir := words[1]
	if a.g.json && words[0] != "verify" {
		return usagef("release %s has no JSON form; release verify has one", words[0])
	}
	switch words[0] {
	case "prepare":
		return a.releasePrepare(dir)
	case "add":
		return a.releaseAdd(dir, words[2:])
	case "freeze":
		if len(words) != 3 {
			return usagef("edgectl release freeze DIR DRAFT")
		}
		var releases []string
		if since != "" {
			releases = strings.Split(since, ",")
		}
		return a.releaseFreeze(dir, words[2], site, releases)
	case "sign":
		return a.releaseSign(words[1:], key)
	case "publish":
		return a.releasePublish(dir, snapshot, timestamp)
	default: // verify
		return a.releaseVerify(dir)
	}
}

func (a *app) releasePrepare(dir string) error {
	roles, err := repo.LoadRoles(filepath.Join(dir, roleFile))
	if err != nil {
		return err
	}
	files, err := repo.At(dir).Prepare(roles, a.Now())
	if err != nil {
		return err
	}
	for _, f := range files {
		role := "targets"
		if strings.HasSuffix(f, ".root.json") {
			role = "root"
		}
		a.toSign(f, roles.Roles[role])
	}
	return nil
}

// toSign says what is to be done with an unsigned file.
func (a *app) toSign(file string, role repo.Role) {
	fmt.Fprintf(a.Stdout, "%s  needs %d of %d signatures: edgectl release sign %s --key …\n", file, max(role.Threshold, 1), len(role.Keys), file)
}

func (a *app) releaseAdd(dir string, pairs []string) error {
	if len(pairs) == 0 {
		return usagef("edgectl release add DIR FILE=PATH…")
	}
	r := repo.At(dir)
	for _, pair := range pairs {
		file, path, ok := strings.Cut(pair, "=")
		if !ok {
			return usagef("%q is not FILE=PATH", pair)
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		var pin release.Pin
		if err == nil && info.Size() > release.MaxUnindexed {
			pin, _, err = r.AddIndexed(path, f)
		} else if err == nil {
			pin, err = r.Add(path, f)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		fmt.Fprintf(a.Stdout, "%s  %s  sha256 %s\n", pin.Path, term.Bytes(pin.Size), pin.SHA256)
	}
	return nil
}

func (a *app) releaseFreeze(dir, draft, site string, since []string) error {
	roles, err := repo.LoadRoles(filepath.Join(dir, roleFile))
	if err != nil {
		return err
	}
	data, err := os.ReadFile(draft)
	if err != nil {
		return err
	}
	r := repo.At(dir)
	frozen, m, pins, err := r.Freeze(data, since...)
	if err != nil {
		return err
	}
	path := "releases/" + m.Release + ".json"
	if site != "" {
		if _, err := m.Overlay(m); err != nil { // it may hold configuration only
			return err
		}
		path = "sites/" + site + ".overlay-" + m.Release + ".json"
	}
	pin, err := r.Add(path, bytes.NewReader(frozen))
	if err != nil {
		return err
	}
	byRole := map[string][]release.Pin{}
	for _, p := range append(pins, pin) {
		role, err := roles.RoleFor(p.Path)
		if err != nil {
			return err
		}
		byRole[role] = append(byRole[role], p)
	}
	names := make([]string, 0, len(byRole))
	for name := range byRole {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(a.Stdout, "release %s, counter %d, %d components\n", m.Release, m.Counter, len(m.Components))
	for _, c := range m.Components {
		for _, d := range c.Deltas {
			fmt.Fprintf(a.Stdout, "%s  delta from %.8s: %s of %s (%d %%)\n", c.Name, d.From, term.Bytes(d.Size), term.Bytes(c.Size), d.Size*100/c.Size)
		}
	}
	for _, name := range names {
		file, err := r.Role(name, byRole[name], a.Now())
		if err != nil {
			return err
		}
		a.toSign(file, roles.Roles[name])
	}
	return nil
}

func (a *app) releaseSign(files []string, key string) error {
	if key == "" {
		return usagef("--key FILE is missing")
	}
	k, err := repo.LoadKey(key)
	if err != nil {
		return err
	}
	id, err := k.ID()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := repo.Sign(f, k); err != nil {
			return err
		}
		fmt.Fprintf(a.Stdout, "%s  signed by %.8s%s\n", f, id, a.Style.Text(foreign(f, id)))
	}
	return nil
}

// foreign says of a signature that does not count that it does not, where roles.yaml lies in the directory above.
func foreign(file, id string) string {
	name := strings.TrimSuffix(filepath.Base(file), ".json")
	if _, of, ok := strings.Cut(name, "."); ok && of == "root" {
		name = of
	}
	where := filepath.Join(filepath.Dir(filepath.Dir(file)), roleFile)
	roles, err := repo.LoadRoles(where)
	if err != nil {
		return "" // the file may be signed on a machine that has nothing else
	}
	role, ok := roles.Roles[name]
	if !ok {
		return ""
	}
	switch holds, err := role.Holds(id); {
	case err != nil || holds:
		return ""
	case name == "root":
		return "\n!  " + where + " does not name that key for root: it counts only if the root before does"
	}
	return "\n!  " + where + " does not name that key for " + name + ": the signature does not count"
}

func (a *app) releasePublish(dir, snapshot, timestamp string) error {
	if snapshot == "" || timestamp == "" {
		return usagef("--snapshot FILE and --timestamp FILE are needed")
	}
	s, err := repo.LoadKey(snapshot)
	if err != nil {
		return err
	}
	t, err := repo.LoadKey(timestamp)
	if err != nil {
		return err
	}
	if err := repo.At(dir).Unsigned(); err != nil {
		return fmt.Errorf("nothing was published: %w: `edgectl release sign` it first", err)
	}
	if err := repo.At(dir).Publish(s, t, a.Now()); err != nil {
		return err
	}
	return a.releaseVerify(dir)
}

// signedRelease is the JSON of release verify.
type signedRelease struct {
	SchemaVersion int          `json:"schema_version"`
	OK            bool         `json:"ok"`
	Root          int64        `json:"root"`
	Timestamp     int64        `json:"timestamp"`
	Snapshot      int64        `json:"snapshot"`
	Ends          time.Time    `json:"ends"` // the first of their ends
	Files         []signedFile `json:"files"`
}

type signedFile struct {
	Path  string `json:"path"`
	Size  int64  `json:"bytes"`
	Role  string `json:"role"`
	Error string `json:"error,omitempty"`
}

func (a *app) releaseVerify(dir string) error {
	v, err := repo.At(dir).Check(a.Now())
	if err != nil {
		if trust.ReasonOf(err) != "" {
			return &exit{ExitTrust, fmt.Errorf("a new box would refuse %s: %w", dir, err)}
		}
		return err
	}
	r := signedRelease{SchemaVersion: api.SchemaVersion, Root: v.Root, Timestamp: v.Timestamp, Snapshot: v.Snapshot, Ends: v.Expires, Files: []signedFile{}}
	bad := 0
	for _, path := range v.Paths("") {
		t, err := v.Find(path)
		f := signedFile{Path: path}
		if err == nil {
			f.Size, f.Role = t.Size, t.Role
			err = a.targetMatches(dir, t)
		}
		if err != nil {
			bad++
			f.Error = err.Error()
		}
		r.Files = append(r.Files, f)
	}
	if r.OK = bad == 0; a.g.json {
		err = a.json(r)
	} else {
		err = a.text(a.Style.Text(r.text(a.Zone)))
	}
	if err == nil && bad > 0 {
		err = &exit{ExitTrust, fmt.Errorf("of %s %d differ from what was signed", term.Count(len(r.Files), "file"), bad)}
	}
	return err
}

func (r *signedRelease) text(zone *time.Location) string {
	b := fmt.Sprintf("root v%d, timestamp v%d, snapshot v%d; the first of them ends %s\n", r.Root, r.Timestamp, r.Snapshot,
		r.Ends.In(zone).Format("2006-01-02 15:04 -0700"))
	t := term.Table{Right: []bool{false, true, false}, Gap: 2}
	for _, f := range r.Files {
		if f.Error != "" {
			b += "!  " + f.Path + ": " + f.Error + "\n"
			continue
		}
		t.Row("   "+f.Path, term.Bytes(f.Size), "by "+f.Role)
	}
	return b + t.String()
}

func (a *app) targetMatches(dir string, t trust.Target) error {
	f, err := os.Open(repo.At(dir).Path(t.Path))
	if err != nil {
		return err
	}
	defer f.Close()
	_, sum, err := release.MakeIndex(f, release.DefaultChunkBits)
	if err == nil && fmt.Sprintf("%x", sum) != t.SHA256 {
		err = fmt.Errorf("sha256 is %x, signed is %s", sum, t.SHA256)
	}
	return err
}

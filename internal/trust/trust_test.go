package trust_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/trust/repo"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

var start = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// fleet is a repository with its keys: root and targets two of three, a delegated role models with one key.
type fleet struct {
	t      *testing.T
	dir    string
	repo   *repo.Repo
	root   []repo.Key
	tgts   []repo.Key
	models repo.Key
	snap   repo.Key
	ts     repo.Key
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir()}
	f.repo = repo.At(f.dir)
	for range 3 {
		f.root, f.tgts = append(f.root, f.key()), append(f.tgts, f.key())
	}
	f.models, f.snap, f.ts = f.key(), f.key(), f.key()
	f.rotate(f.root, f.root[:2])
	f.delegate(f.tgts[:2], f.models)
	f.publishModel("models/defect-1.om", "one")
	return f
}

func (f *fleet) key() repo.Key {
	k, err := repo.NewKey()
	must(f.t, err)
	return k
}

func public(t *testing.T, keys ...repo.Key) (out []*metadata.Key) {
	for _, k := range keys {
		p, err := k.Public()
		must(t, err)
		out = append(out, p)
	}
	return out
}

// rotate makes the next root with the given root keys, signed by signers.
func (f *fleet) rotate(root, signers []repo.Key) string {
	f.t.Helper()
	file, err := f.repo.Root(map[string]repo.Holders{
		metadata.ROOT: {Keys: public(f.t, root...), Threshold: 2}, metadata.TARGETS: {Keys: public(f.t, f.tgts...), Threshold: 2},
		metadata.SNAPSHOT:  {Keys: public(f.t, f.snap), Threshold: 1},
		metadata.TIMESTAMP: {Keys: public(f.t, f.ts), Threshold: 1}}, start)
	must(f.t, err)
	f.sign(file, signers...)
	return file
}

func (f *fleet) sign(file string, keys ...repo.Key) {
	f.t.Helper()
	for _, k := range keys {
		must(f.t, repo.Sign(file, k))
	}
}

func (f *fleet) delegate(signers []repo.Key, models repo.Key) {
	f.t.Helper()
	file, err := f.repo.Targets([]repo.Delegation{{Name: "models", Paths: []string{"models/*"},
		Holders: repo.Holders{Keys: public(f.t, models), Threshold: 1}}}, start)
	must(f.t, err)
	f.sign(file, signers...)
}

func (f *fleet) publishModel(path, content string) {
	f.t.Helper()
	pin, err := f.repo.Add(path, strings.NewReader(content))
	must(f.t, err)
	file, err := f.repo.Role("models", []release.Pin{pin}, start)
	must(f.t, err)
	f.sign(file, f.models)
	f.publish(start)
}

func (f *fleet) publish(now time.Time) {
	f.t.Helper()
	must(f.t, f.repo.Publish(f.snap, f.ts, now))
}

func (f *fleet) bundle() *trust.Bundle {
	f.t.Helper()
	b, err := f.repo.Bundle(trust.Have{Root: 1})
	must(f.t, err)
	return b
}

func (f *fleet) factory() []byte {
	root, err := f.repo.FactoryRoot()
	must(f.t, err)
	return root
}

func (f *fleet) store(fs vfs.FS) *trust.Store {
	f.t.Helper()
	s, err := trust.Open(fs, "trust", f.factory())
	must(f.t, err)
	return s
}

// edit changes a metadata file's signed part by hand and signs it with keys.
func edit[T metadata.Roles](f *fleet, m *metadata.Metadata[T], name string, change func(*metadata.Metadata[T]), keys ...repo.Key) {
	f.t.Helper()
	file := filepath.Join(f.dir, "metadata", name)
	data, err := os.ReadFile(file)
	must(f.t, err)
	m, err = m.FromBytes(data)
	must(f.t, err)
	change(m)
	m.ClearSignatures()
	data, err = m.ToBytes(true)
	must(f.t, err)
	must(f.t, os.WriteFile(file, data, 0o644))
	f.sign(file, keys...)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantReason(t *testing.T, err error, want trust.Reason) {
	t.Helper()
	if got := trust.ReasonOf(err); got != want {
		t.Errorf("reason %q of error %v, want %q", got, err, want)
	}
}

func TestIngestAndFind(t *testing.T) {
	f := newFleet(t)
	disk := vfs.NewMem()
	s := f.store(disk)
	v, err := s.Ingest(f.bundle(), start)
	must(t, err)
	target, err := v.Find("models/defect-1.om")
	must(t, err)
	if target.Role != "models" || target.Check([]byte("one")) != nil || target.Check([]byte("two")) == nil {
		t.Errorf("%+v", target)
	}
	if _, err := v.Find("agent/edge-agent"); trust.ReasonOf(err) != trust.NotThere {
		t.Errorf("found what nobody signed: %v", err)
	}
	if !s.TimeFloor().Equal(start) {
		t.Errorf("time floor %v", s.TimeFloor())
	}
	// A second opening believes the same, and needs only what changed.
	f.publishModel("models/defect-2.om", "two")
	again := f.store(disk)
	have := again.Have()
	b, err := f.repo.Bundle(have)
	must(t, err)
	if len(b.Roots) != 0 || b.Targets["targets"] != nil || b.Targets["models"] == nil {
		t.Errorf("for %+v: %d roots, targets %t, models %t", have, len(b.Roots), b.Targets["targets"] != nil, b.Targets["models"] != nil)
	}
	v, err = again.Ingest(b, start.Add(day))
	must(t, err)
	if _, err := v.Find("models/defect-2.om"); err != nil {
		t.Error(err)
	}
}

// refusals are attacks on a box that believes version one of everything; numbers are those of docs/updates.md.
var refusals = map[string]struct {
	attack func(f *fleet) *trust.Bundle
	want   trust.Reason
}{
	"02 unknown key": {func(f *fleet) *trust.Bundle {
		f.delegate([]repo.Key{f.key(), f.key()}, f.models)
		f.publish(start)
		return f.bundle()
	}, trust.BadSignature},
	"02 right id, wrong key": {func(f *fleet) *trust.Bundle {
		f.publish(start)
		b := f.bundle()
		other := f.key()
		ts, err := metadata.Timestamp().FromBytes(b.Timestamp)
		must(f.t, err)
		id := ts.Signatures[0].KeyID
		file := filepath.Join(f.dir, "metadata", "timestamp.json")
		must(f.t, f.repo.Timestamp(other, start))
		data, err := os.ReadFile(file)
		must(f.t, err)
		ts, err = metadata.Timestamp().FromBytes(data)
		must(f.t, err)
		ts.Signatures[0].KeyID = id
		b.Timestamp, err = ts.ToBytes(false)
		must(f.t, err)
		return b
	}, trust.BadSignature},
	"03 below the threshold": {func(f *fleet) *trust.Bundle {
		f.delegate(f.tgts[:1], f.models)
		f.publish(start)
		return f.bundle()
	}, trust.BadSignature},
	"05 threshold 0": {func(f *fleet) *trust.Bundle {
		f.rotate(f.root, f.root[:2])
		edit(f, metadata.Root(), "2.root.json", func(m *metadata.Metadata[metadata.RootType]) {
			m.Signed.Roles[metadata.TIMESTAMP].Threshold = 0
		}, f.root[:2]...)
		must(f.t, f.repo.Timestamp(f.key(), start))
		return f.bundle()
	}, trust.BadSignature},
	"06 key of two bytes": {func(f *fleet) *trust.Bundle {
		f.delegate(f.tgts[:2], f.models)
		edit(f, metadata.Targets(), "targets.json", func(m *metadata.Metadata[metadata.TargetsType]) {
			for _, k := range m.Signed.Delegations.Keys {
				k.Value.PublicKey = "abcd"
			}
		}, f.tgts[:2]...)
		f.publish(start)
		return f.bundle()
	}, ""},
	"07 root N+1 not signed by N": {func(f *fleet) *trust.Bundle {
		fresh := []repo.Key{f.key(), f.key(), f.key()}
		f.rotate(fresh, fresh[:2])
		return f.bundle()
	}, trust.BadSignature},
	"07 root N+2 without N+1": {func(f *fleet) *trust.Bundle {
		f.rotate(f.root, f.root[:2])
		f.rotate(f.root, f.root[:2])
		b := f.bundle()
		b.Roots = b.Roots[1:]
		return b
	}, trust.Rollback},
	"07 another root of version 1": {func(f *fleet) *trust.Bundle {
		edit(f, metadata.Root(), "1.root.json", func(m *metadata.Metadata[metadata.RootType]) {
			m.Signed.Expires = m.Signed.Expires.Add(day)
		}, f.root[:2]...)
		data, err := os.ReadFile(filepath.Join(f.dir, "metadata", "1.root.json"))
		must(f.t, err)
		b := f.bundle()
		b.Roots = [][]byte{data}
		return b
	}, trust.Rollback},
	"11 old timestamp": {func(f *fleet) *trust.Bundle {
		edit(f, metadata.Timestamp(), "timestamp.json", func(m *metadata.Metadata[metadata.TimestampType]) { m.Signed.Version = 0 })
		must(f.t, f.repo.Timestamp(f.ts, start)) // version 1, as the first one
		return f.bundle()
	}, trust.Rollback},
	"13 a role disappears": {func(f *fleet) *trust.Bundle {
		must(f.t, os.Remove(filepath.Join(f.dir, "metadata", "models.json")))
		f.publish(start)
		return f.bundle()
	}, trust.Rollback},
	"13 a role goes backwards": {func(f *fleet) *trust.Bundle {
		edit(f, metadata.Targets(), "models.json", func(m *metadata.Metadata[metadata.TargetsType]) { m.Signed.Version = 1 }, f.models)
		f.publish(start)
		return f.bundle()
	}, trust.Rollback},
	"17 files of two states": {func(f *fleet) *trust.Bundle {
		old := f.bundle()
		f.publishModel("models/x.om", "x")
		f.delegate(f.tgts[:2], f.models)
		f.publish(start)
		b := f.bundle()
		b.Targets["targets"] = old.Targets["targets"]
		return b
	}, trust.Mixed},
	"19 oversized role": {func(f *fleet) *trust.Bundle {
		b := f.bundle()
		b.Targets["models"] = bytes.Repeat([]byte(" "), trust.MaxTargetsBytes+1)
		return b
	}, trust.BadFormat},
}

func TestRefusals(t *testing.T) {
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.publishModel("models/defect-2.om", "two")
			s := f.store(vfs.NewMem())
			before, err := s.Ingest(f.bundle(), start)
			must(t, err)
			v, err := s.Ingest(c.attack(f), start)
			if c.want != "" {
				wantReason(t, err, c.want)
				v, err = s.View(start)
			}
			must(t, err)
			if v.Timestamp < before.Timestamp || v.Root != 1 && c.want != trust.BadSignature {
				t.Errorf("believes timestamp %d (before: %d), root %d", v.Timestamp, before.Timestamp, v.Root)
			}
			if name == "06 key of two bytes" {
				if _, err := v.Find("models/defect-2.om"); trust.ReasonOf(err) == "" {
					t.Errorf("found in a role with a broken key: %v", err)
				}
			}
		})
	}
}

// TestFlippedBits: case 1. No flipped bit in any file is believed, and what was believed stays.
func TestFlippedBits(t *testing.T) {
	f := newFleet(t)
	s := f.store(vfs.NewMem())
	if _, err := s.Ingest(f.bundle(), start); err != nil {
		t.Fatal(err)
	}
	f.rotate(f.root, f.root[:2])
	f.publishModel("models/defect-2.om", "two")
	good := f.bundle()
	files := map[string]*[]byte{"root": &good.Roots[0], "timestamp": &good.Timestamp, "snapshot": &good.Snapshot}
	for name, p := range files {
		whole := *p
		for i := 0; i < len(whole); i += 7 {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << (i % 8)
			*p = bad
			next, v, err := trust.Verify(f.factory(), s.State(), good, start)
			if err == nil && !harmless(whole, bad) && (name != "root" || v.Root != 1) {
				t.Fatalf("%s: bit flipped in byte %d is believed: %d\n%s", name, i, v.Timestamp, bad[max(0, i-80):min(len(bad), i+80)])
			}
			if err != nil && name != "root" && string(next.Timestamp) != string(s.State().Timestamp) {
				t.Fatalf("%s: byte %d: %v, and yet it is believed", name, i, err)
			}
		}
		*p = whole
	}
}

// harmless tells whether two files say the same: white space, the case of hex digits, or something outside the signed part.
func harmless(a, b []byte) bool {
	var x, y struct {
		Signed json.RawMessage `json:"signed"`
	}
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	var p, q bytes.Buffer
	return json.Compact(&p, x.Signed) == nil && json.Compact(&q, y.Signed) == nil && bytes.EqualFold(p.Bytes(), q.Bytes())
}

// TestSameKeyTwice: case 4. One key under two names is one signature.
func TestSameKeyTwice(t *testing.T) {
	f := newFleet(t)
	f.delegate(f.tgts[:1], f.models)
	file := filepath.Join(f.dir, "metadata", "targets.json")
	f.sign(file, f.tgts[0])
	data, err := os.ReadFile(file)
	must(t, err)
	m, err := metadata.Targets().FromBytes(data)
	must(t, err)
	twin := m.Signatures[0]
	id, err := f.tgts[1].ID()
	must(t, err)
	twin.KeyID = id
	m.Signatures = append(m.Signatures, twin)
	data, err = m.ToBytes(true)
	must(t, err)
	must(t, os.WriteFile(file, data, 0o644))
	f.publish(start)
	_, err = f.store(vfs.NewMem()).Ingest(f.bundle(), start)
	wantReason(t, err, trust.BadSignature)
}

// TestRotation: case 8. Three roots at once, those in between expired.
func TestRotation(t *testing.T) {
	f := newFleet(t)
	s := f.store(vfs.NewMem())
	_, err := s.Ingest(f.bundle(), start)
	must(t, err)
	keys := f.root
	for i := range 3 {
		next := []repo.Key{f.key(), f.key(), f.key()}
		signers := append(keys[:2:2], next[:2]...)
		f.rotate(next, signers)
		if i < 2 {
			edit(f, metadata.Root(), fmt.Sprintf("%d.root.json", i+2), func(m *metadata.Metadata[metadata.RootType]) {
				m.Signed.Expires = start.Add(-day)
			}, signers...)
		}
		keys = next
	}
	f.publish(start.Add(30 * day))
	v, err := s.Ingest(f.bundle(), start.Add(30*day))
	must(t, err)
	if v.Root != 4 {
		t.Errorf("root %d", v.Root)
	}
}

// TestExpiry: cases 9, 10 and 16.
func TestExpiry(t *testing.T) {
	f := newFleet(t)
	s := f.store(vfs.NewMem())
	_, err := s.Ingest(f.bundle(), start)
	must(t, err)
	later := start.Add(8 * day)
	_, err = s.Ingest(f.bundle(), later) // the server repeats the same bundle: frozen
	wantReason(t, err, trust.Expired)
	if v, err := s.View(start); err != nil || v == nil {
		t.Errorf("an install that began in time cannot be verified any more: %v", err)
	}
	must(t, f.repo.Timestamp(f.ts, later))
	if _, err := s.Ingest(f.bundle(), later); err != nil {
		t.Errorf("checking did not go on: %v", err)
	}
	// An expired newer timestamp is remembered: its predecessor is a rollback afterwards.
	old := f.bundle()
	must(t, f.repo.Timestamp(f.ts, later))
	_, err = s.Ingest(f.bundle(), later.Add(30*day))
	wantReason(t, err, trust.Expired)
	_, err = s.Ingest(old, later)
	wantReason(t, err, trust.Rollback)
}

// TestFastForward: case 12. A stolen timestamp key signs a version far ahead; a new root without it heals.
func TestFastForward(t *testing.T) {
	f := newFleet(t)
	s := f.store(vfs.NewMem())
	edit(f, metadata.Timestamp(), "timestamp.json", func(m *metadata.Metadata[metadata.TimestampType]) { m.Signed.Version = 1<<31 - 2 })
	must(t, f.repo.Timestamp(f.ts, start))
	v, err := s.Ingest(f.bundle(), start)
	must(t, err)
	if v.Timestamp != 1<<31-1 {
		t.Fatal(v.Timestamp)
	}
	f.ts = f.key()
	f.rotate(f.root, f.root[:2])
	must(t, os.Remove(filepath.Join(f.dir, "metadata", "timestamp.json")))
	must(t, f.repo.Timestamp(f.ts, start))
	v, err = s.Ingest(f.bundle(), start)
	must(t, err)
	if v.Timestamp != 1 || v.Root != 2 {
		t.Errorf("timestamp %d, root %d", v.Timestamp, v.Root)
	}
}

// TestFastForwardTime: who stole the key of the timestamp cannot carry a box so far ahead that everything has ended for it: not beyond
// what is signed, and what it said counts no more once the key was changed.
func TestFastForwardTime(t *testing.T) {
	f := newFleet(t)
	s := f.store(vfs.NewMem())
	v, err := s.Ingest(f.bundle(), start)
	must(t, err)
	rootEnds := v.Expires
	if ts, err := metadata.Root().FromBytes(s.State().Root); err == nil {
		rootEnds = ts.Signed.Expires
	}
	say := func(signed time.Time) {
		t.Helper()
		must(t, f.repo.Timestamp(f.ts, signed))
	}
	now := func() time.Time { // as a box sees it
		if floor := s.TimeFloor(); floor.After(start) {
			return floor
		}
		return start
	}
	say(start.AddDate(40, 0, 0))
	_, err = s.Ingest(f.bundle(), now())
	must(t, err)
	if s.TimeFloor().After(start) {
		t.Errorf("a time beyond the root's end, %v, is believed: %v", rootEnds, s.TimeFloor())
	}
	say(rootEnds.Add(-time.Hour))
	if _, err = s.Ingest(f.bundle(), now()); err != nil {
		t.Fatal(err)
	}
	f.ts = f.key()
	f.rotate(f.root, f.root[:2])
	must(t, os.Remove(filepath.Join(f.dir, "metadata", "timestamp.json")))
	must(t, f.repo.Timestamp(f.ts, start))
	if _, err = s.Ingest(f.bundle(), now()); err != nil {
		t.Fatalf("after the key was changed: %v", err)
	}
	if floor := s.TimeFloor(); floor.After(start) {
		t.Errorf("the thief's time still counts: %v", floor)
	}
	if _, err := s.View(now()); err != nil {
		t.Error(err)
	}
}

// TestDelegations: cases 14 and 15.
func TestDelegations(t *testing.T) {
	f := newFleet(t)
	pin, err := f.repo.Add("agent/evil", strings.NewReader("evil"))
	must(t, err)
	file, err := f.repo.Role("models", []release.Pin{pin}, start)
	must(t, err)
	f.sign(file, f.models)
	f.publish(start)
	v, err := f.store(vfs.NewMem()).Ingest(f.bundle(), start)
	must(t, err)
	if _, err := v.Find("agent/evil"); trust.ReasonOf(err) != trust.NotThere {
		t.Errorf("the models key vouches for an agent: %v", err)
	}
	for name, roles := range map[string]func(*metadata.Metadata[metadata.TargetsType]){
		"cycle": func(m *metadata.Metadata[metadata.TargetsType]) {
			d := m.Signed.Delegations
			d.Roles = append(d.Roles, d.Roles[0])
		},
		"10,000 roles": func(m *metadata.Metadata[metadata.TargetsType]) {
			d := m.Signed.Delegations
			for i := range 100 {
				r := d.Roles[0]
				r.Name = fmt.Sprintf("r%d", i)
				d.Roles = append(d.Roles, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.delegate(f.tgts[:2], f.models)
			edit(f, metadata.Targets(), "targets.json", roles, f.tgts[:2]...)
			f.publish(start)
			_, err := f.store(vfs.NewMem()).Ingest(f.bundle(), start)
			wantReason(t, err, trust.BadFormat)
		})
	}
}

// TestDamagedStore: case 21. Whatever the files hold, the store opens and takes what is fresh.
func TestDamagedStore(t *testing.T) {
	f := newFleet(t)
	damage := map[string]func([]byte) []byte{"torn": func(b []byte) []byte { return b[:len(b)/2] },
		"empty": func([]byte) []byte { return nil }, "garbage": func(b []byte) []byte { return bytes.Repeat([]byte{7}, len(b)) },
		"bit": func(b []byte) []byte { b[len(b)/3] ^= 4; return b }}
	for name, spoil := range damage {
		for _, both := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, both %t", name, both), func(t *testing.T) {
				disk := vfs.NewMem()
				s := f.store(disk)
				_, err := s.Ingest(f.bundle(), start)
				must(t, err)
				must(t, s.Raise(map[string]uint64{"release": 7})) // the second generation
				for _, file := range []string{"trust/trust.0", "trust/trust.1"} {
					if file == "trust/trust.1" && !both {
						break
					}
					data, err := vfs.ReadFile(disk, file, 1<<20)
					must(t, err)
					must(t, vfs.WriteFileAtomic(disk, file, spoil(data)))
				}
				s = f.store(disk)
				if len(s.Recovered) == 0 {
					t.Error("damage is not told")
				}
				v, err := s.View(start)
				if both && trust.ReasonOf(err) != trust.NotThere || !both && (err != nil || v.Timestamp != 1) {
					t.Errorf("view %+v, %v", v, err)
				}
				_, err = s.Ingest(f.bundle(), start)
				must(t, err)
			})
		}
	}
}

// TestStorePowerCuts: after a cut at any step of any write, the store holds the old or the new state.
func TestStorePowerCuts(t *testing.T) {
	f := newFleet(t)
	first := f.bundle()
	f.publishModel("models/defect-2.om", "two")
	second := f.bundle()
	for stop := int64(1); ; stop++ {
		disk := vfs.NewMem()
		s := f.store(disk)
		_, err := s.Ingest(first, start)
		must(t, err)
		disk.StopAfter(stop)
		_, errIngest := s.Ingest(second, start)
		errRaise := s.Raise(map[string]uint64{"release": 9})
		for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepRandom, vfs.KeepAll} {
			after, err := trust.Open(disk.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(1, uint64(stop)))}), "trust", f.factory())
			must(t, err)
			v, err := after.View(start)
			must(t, err)
			if errIngest == nil && v.Timestamp != 2 || errRaise == nil && after.Floor("release") != 9 {
				t.Fatalf("cut after %d operations, keep %v: timestamp %d, floor %d: what was said to be kept is gone", stop, keep,
					v.Timestamp, after.Floor("release"))
			}
		}
		if !disk.Stopped() {
			return
		}
	}
}

// TestDiskErrors: case 44. A failed write is told, and what was believed stays.
func TestDiskErrors(t *testing.T) {
	f := newFleet(t)
	disk := vfs.NewMem()
	disk.SetCapacity(4096)
	s := f.store(disk)
	_, err := s.Ingest(f.bundle(), start)
	wantReason(t, err, trust.DiskError)
	disk.SetCapacity(1 << 30)
	_, err = s.Ingest(f.bundle(), start)
	must(t, err)
}

func TestFloors(t *testing.T) {
	f := newFleet(t)
	disk := vfs.NewMem()
	s := f.store(disk)
	must(t, s.Raise(map[string]uint64{"release": 118, "node/flow": 7}))
	must(t, s.Raise(map[string]uint64{"release": 3}))
	if got := f.store(disk).Floor("release"); got != 118 {
		t.Errorf("floor %d", got)
	}
}

func TestReleasedFilesDoNotChange(t *testing.T) {
	f := newFleet(t)
	if _, err := f.repo.Add("models/defect-1.om", strings.NewReader("other")); !errors.Is(err, repo.ErrExists) {
		t.Error(err)
	}
}

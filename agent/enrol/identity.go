package enrol

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/edgelog/edgelog/internal/vfs"
)

// The files of one identity.
const (
	CertName = "cert.pem"
	KeyName  = "key.pem"
	CAName   = "ca.pem"
)

const (
	current  = "current"
	previous = "previous"
	maxPEM   = 64 << 10

	pendingName = "pending.pem"
)

// Disk is what identities need of a disk.
type Disk interface {
	vfs.FS
	vfs.Linker
}

// Identity is a directory of certificates with their keys:
//
//	1/, 2/ …            cert.pem, key.pem, ca.pem; never changed
//	current → N         what connections are made with
//	previous → N        what was in force before, until the broker has taken current
//
// A power cut at any moment leaves a current that is whole.
type Identity struct {
	FS  Disk
	Dir string
	// Own, if not nil, gives a file or directory its owner and mode before anything is written to it.
	Own func(name string) error
}

// File is a file of the identity in force, for configurations.
func (i Identity) File(name string) string { return path.Join(i.Dir, current, name) }

// inForce is where a file of the identity in force lies, the link resolved.
func (i Identity) inForce(name string) (string, error) {
	to, err := i.FS.Readlink(path.Join(i.Dir, current))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNone, err)
	}
	return path.Join(i.Dir, to, name), nil
}

// read reads a file of the identity in force.
func (i Identity) read(name string) ([]byte, error) {
	file, err := i.inForce(name)
	if err != nil {
		return nil, err
	}
	data, err := vfs.ReadFile(i.FS, file, maxPEM)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	return data, nil
}

func (i Identity) own(name string) error {
	if i.Own == nil {
		return nil
	}
	return i.Own(name)
}

// Pending is the key of the enrolment that is under way, made and durable before anything is asked for with it: a box that
// did not get its answer asks again with the same key. Install ends it.
func (i Identity) Pending() (*ecdsa.PrivateKey, error) {
	file := path.Join(i.Dir, pendingName)
	if data, err := vfs.ReadFile(i.FS, file, maxPEM); err == nil {
		if b, _ := pem.Decode(data); b != nil {
			key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
			k, ok := key.(*ecdsa.PrivateKey)
			now, lerr := i.Load()
			if err == nil && ok && !(lerr == nil && now.Key.Equal(k)) { // it has no certificate yet
				return k, nil
			}
		}
	} else if !errors.Is(err, vfs.ErrNotExist) {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	if err := errors.Join(i.FS.MkdirAll(i.Dir), i.own(i.Dir), i.FS.SyncDir(path.Dir(i.Dir))); err != nil {
		return nil, fmt.Errorf("make directory of identities: %w", err)
	}
	if err := i.write(file+vfs.TempSuffix, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, err
	}
	if err := errors.Join(i.FS.Rename(file+vfs.TempSuffix, file), i.FS.SyncDir(i.Dir)); err != nil {
		return nil, fmt.Errorf("keep key: %w", err)
	}
	return key, nil
}

// Current is the identity in force.
type Current struct {
	Leaf, Issuer *x509.Certificate
	Key          *ecdsa.PrivateKey
}

// ErrNone says that the box has no identity in this directory.
var ErrNone = errors.New("this box is not enrolled")

// Load reads the identity in force.
func (i Identity) Load() (*Current, error) {
	leaf, issuer, err := i.chain()
	if err != nil {
		return nil, err
	}
	data, err := i.read(KeyName)
	if err != nil {
		return nil, err
	}
	b, _ := pem.Decode(data)
	if b == nil {
		return nil, errors.New("read key: not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok || !k.PublicKey.Equal(leaf.PublicKey) {
		return nil, errors.New("read key: it does not belong to the certificate")
	}
	return &Current{leaf, issuer, k}, nil
}

// chain reads the certificate in force and that of its authority.
func (i Identity) chain() (leaf, issuer *x509.Certificate, err error) {
	data, err := i.read(CertName)
	if err != nil {
		return nil, nil, err
	}
	first, rest := pem.Decode(data)
	second, _ := pem.Decode(rest)
	if first == nil || second == nil {
		return nil, nil, errors.New("read certificate: not a certificate and its authority in PEM")
	}
	if leaf, err = x509.ParseCertificate(first.Bytes); err == nil {
		issuer, err = x509.ParseCertificate(second.Bytes)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate: %w", err)
	}
	return leaf, issuer, nil
}

// Install puts an identity in force. Without an authority of its own it keeps the one in force.
func (i Identity) Install(x *Issued) error {
	if err := errors.Join(i.FS.MkdirAll(i.Dir), i.own(i.Dir), i.FS.SyncDir(path.Dir(i.Dir))); err != nil {
		return fmt.Errorf("make directory of identities: %w", err)
	}
	n, err := i.next()
	if err != nil {
		return err
	}
	ca := x.CA
	if len(ca) == 0 {
		if ca, err = i.read(CAName); err != nil {
			return err
		}
	}
	tmp, dir := path.Join(i.Dir, ".new"), path.Join(i.Dir, strconv.Itoa(n))
	if err := i.remove(tmp); err != nil {
		return err
	}
	if err := errors.Join(i.FS.MkdirAll(tmp), i.own(tmp)); err != nil {
		return fmt.Errorf("make identity: %w", err)
	}
	for name, data := range map[string][]byte{CertName: x.Cert, KeyName: x.Key, CAName: ca} {
		if err := i.write(path.Join(tmp, name), data); err != nil {
			return err
		}
	}
	if err := errors.Join(i.FS.SyncDir(tmp), i.FS.Rename(tmp, dir), i.FS.SyncDir(i.Dir)); err != nil {
		return fmt.Errorf("make identity: %w", err)
	}
	if old, err := i.FS.Readlink(path.Join(i.Dir, current)); err == nil {
		if err := i.point(previous, old); err != nil {
			return err
		}
	}
	if err := i.point(current, strconv.Itoa(n)); err != nil {
		return err
	}
	if err := i.FS.Remove(path.Join(i.Dir, pendingName)); err != nil && !errors.Is(err, vfs.ErrNotExist) {
		return fmt.Errorf("forget the key of the request: %w", err)
	}
	return i.FS.SyncDir(i.Dir)
}

func (i Identity) write(name string, data []byte) error {
	f, err := i.FS.Create(name)
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	err = i.own(name)
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}

// next is a number that no identity has.
func (i Identity) next() (int, error) {
	entries, err := i.FS.List(i.Dir)
	if err != nil {
		return 0, fmt.Errorf("list identities: %w", err)
	}
	n := 0
	for _, e := range entries {
		if k, err := strconv.Atoi(e.Name); err == nil {
			n = max(n, k)
		}
	}
	return n + 1, nil
}

// point makes a link name an identity, in one step.
func (i Identity) point(link, to string) error {
	tmp := path.Join(i.Dir, link+vfs.TempSuffix)
	if err := i.FS.Remove(tmp); err != nil && !errors.Is(err, vfs.ErrNotExist) {
		return fmt.Errorf("point %s at %s: %w", link, to, err)
	}
	err := i.FS.Symlink(to, tmp)
	if err == nil {
		err = errors.Join(i.FS.Rename(tmp, path.Join(i.Dir, link)), i.FS.SyncDir(i.Dir))
	}
	if err != nil {
		return fmt.Errorf("point %s at %s: %w", link, to, err)
	}
	return nil
}

func (i Identity) remove(dir string) error {
	entries, err := i.FS.List(dir)
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, i.FS.Remove(path.Join(dir, e.Name)))
	}
	if err = errors.Join(err, i.FS.Remove(dir)); err != nil {
		return fmt.Errorf("remove old identity: %w", err)
	}
	return nil
}

// Unproven tells whether the identity in force has not been taken by the broker yet, and another one could be.
func (i Identity) Unproven() bool {
	old, err := i.FS.Readlink(path.Join(i.Dir, previous))
	if err != nil {
		return false
	}
	now, err := i.FS.Readlink(path.Join(i.Dir, current))
	return err == nil && now != old
}

// Proven forgets all identities but the one in force: the broker has taken it.
func (i Identity) Proven() error {
	err := i.FS.Remove(path.Join(i.Dir, previous))
	if errors.Is(err, vfs.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, i.FS.SyncDir(i.Dir)); err != nil {
		return fmt.Errorf("forget old identity: %w", err)
	}
	return i.sweep()
}

// Back puts the identity before the present one in force again.
func (i Identity) Back() error {
	old, err := i.FS.Readlink(path.Join(i.Dir, previous))
	if err != nil {
		return fmt.Errorf("go back to the old identity: %w", err)
	}
	if err := i.point(current, old); err != nil {
		return err
	}
	return i.Proven()
}

// sweep removes what no link names.
func (i Identity) sweep() error {
	keep := map[string]bool{}
	for _, link := range []string{current, previous} {
		if to, err := i.FS.Readlink(path.Join(i.Dir, link)); err == nil {
			keep[to] = true
		}
	}
	entries, err := i.FS.List(i.Dir)
	if err != nil {
		return fmt.Errorf("list identities: %w", err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name); err == nil && !keep[e.Name] {
			if err := i.remove(path.Join(i.Dir, e.Name)); err != nil {
				return err
			}
		}
	}
	return i.FS.SyncDir(i.Dir)
}

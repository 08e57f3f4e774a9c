package repo

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/edgelog/edgelog/internal/trust"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Key is a private ed25519 key.
type Key struct{ private ed25519.PrivateKey }

// NewKey makes one.
func NewKey() (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("make key: %w", err)
	}
	return Key{private}, nil
}

// Public is what a root or delegation names.
func (k Key) Public() (*metadata.Key, error) {
	return metadata.KeyFromPublicKey(k.private.Public())
}

// ID is the key's id, 64 hex digits.
func (k Key) ID() (string, error) {
	public, err := k.Public()
	if err != nil {
		return "", err
	}
	return public.ID()
}

// Save writes NAME.key (PKCS 8, mode 0600) and NAME.pub; neither may exist.
func (k Key) Save(name string) error {
	private, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	if err := writeNew(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return err
	}
	return writeNew(name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644)
}

// LoadKey reads a private key that Save wrote.
func LoadKey(file string) (Key, error) {
	block, err := readPEM(file)
	if err != nil {
		return Key{}, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("read key %s: %w", file, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("read key %s: it is no ed25519 key", file)
	}
	return Key{private}, nil
}

// loadPublic reads a public key that Save wrote.
func loadPublic(file string) (*metadata.Key, error) {
	block, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", file, err)
	}
	return metadata.KeyFromPublicKey(key)
}

func readPEM(file string) (*pem.Block, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("read key %s: it holds no PEM block", file)
	}
	return block, nil
}

// signable are the metadata types.
type signable interface {
	Sign(signature.Signer) (*metadata.Signature, error)
}

func (k Key) sign(m signable) error {
	signer, err := signature.LoadSigner(k.private, crypto.Hash(0))
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	if _, err := m.Sign(signer); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return nil
}

// Sign adds the key's signature to a metadata file in place. A signature of the same key is replaced.
func Sign(file string, k Key) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	id, err := k.ID()
	if err != nil {
		return err
	}
	switch {
	case bytes.Contains(data, []byte(`"_type": "root"`)), bytes.Contains(data, []byte(`"_type":"root"`)):
		return signAs(file, data, metadata.Root(), k, id)
	default:
		return signAs(file, data, metadata.Targets(), k, id)
	}
}

func signAs[T metadata.Roles](file string, data []byte, m *metadata.Metadata[T], k Key, id string) error {
	m, err := m.FromBytes(data)
	if err != nil {
		return fmt.Errorf("sign %s: %w", file, err)
	}
	kept := m.Signatures[:0]
	for _, s := range m.Signatures {
		if s.KeyID != id {
			kept = append(kept, s)
		}
	}
	m.Signatures = kept
	if err := k.sign(m); err != nil {
		return err
	}
	return save(file, m, true)
}

// save writes metadata; replace says whether the file may exist.
func save[T metadata.Roles](file string, m *metadata.Metadata[T], replace bool) error {
	data, err := m.ToBytes(true)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if !replace {
		return writeNew(file, data, 0o644)
	}
	tmp := file + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := writeNew(tmp, data, 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return syncDir(filepath.Dir(file))
}

func writeNew(file string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("write %s: %w", file, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Detached signs bytes that are no metadata, as a command.
func (k Key) Detached(data []byte) (trust.Signature, error) {
	id, err := k.ID()
	if err != nil {
		return trust.Signature{}, err
	}
	return trust.Signature{KeyID: id, Sig: hex.EncodeToString(ed25519.Sign(k.private, data))}, nil
}

package segment

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/edgelog/edgelog/internal/vfs"
)

// Key is a key-encryption key: it wraps the data keys of segments and touches no data itself.
type Key [32]byte

// KeyID names a key without telling it.
type KeyID uint64

func (id KeyID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ID is the first 8 bytes of SHA-256 over "edgelog key id" and the key.
func (k *Key) ID() KeyID {
	h := sha256.New()
	h.Write([]byte("edgelog key id"))
	h.Write(k[:])
	return KeyID(binary.LittleEndian.Uint64(h.Sum(nil)))
}

// ErrKey: the key of a segment is missing or is not the right one.
var ErrKey = errors.New("segment's key is not at hand")

// ParseKey reads the content of a key file: 32 raw bytes, or 64 hexadecimal digits, or base64 of 32 bytes, these with
// blank space around them. A key of equal bytes is refused.
func ParseKey(b []byte) (Key, error) {
	var k Key
	text := bytes.TrimSpace(b)
	switch {
	case len(b) == len(k):
		copy(k[:], b)
	case len(text) == hex.EncodedLen(len(k)):
		if _, err := hex.Decode(k[:], text); err != nil {
			return Key{}, fmt.Errorf("key: %w", err)
		}
	case len(text) == base64.StdEncoding.EncodedLen(len(k)):
		raw, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil || len(raw) != len(k) {
			return Key{}, errors.New("key: not base64 of 32 bytes")
		}
		copy(k[:], raw)
	default:
		return Key{}, fmt.Errorf("key: %d bytes; want 32 raw bytes, 64 hexadecimal digits or base64 of 32 bytes", len(b))
	}
	if bytes.Count(k[:], k[:1]) == len(k) {
		return Key{}, errors.New("key: all bytes are equal; make one with: openssl rand -hex 32")
	}
	return k, nil
}

// Keys are those at hand: that of new segments, and older ones to read with. The zero value has none.
type Keys struct {
	Current *Key // nil: new segments are not encrypted
	Older   []Key
}

func (k *Keys) find(id KeyID) *Key {
	if k.Current != nil && k.Current.ID() == id {
		return k.Current
	}
	for i := range k.Older {
		if k.Older[i].ID() == id {
			return &k.Older[i]
		}
	}
	return nil
}

// DataKey encrypts the bodies of one segment. It may be used concurrently.
type DataKey struct {
	raw  [32]byte
	aead cipher.AEAD
}

// TagBytes is what encryption adds to a body.
const TagBytes = 16

func newDataKey(raw []byte) (*DataKey, error) {
	k := &DataKey{}
	copy(k.raw[:], raw)
	var err error
	k.aead, err = gcm(k.raw[:])
	return k, err
}

func gcm(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cipher: %w", err)
	}
	return cipher.NewGCM(b)
}

// nonce of the block at pos: a data key belongs to one file, and a position in it is written once.
func nonce(pos int64) []byte {
	var n [12]byte
	binary.LittleEndian.PutUint64(n[:], uint64(pos))
	return n[:]
}

// aad binds a body to its place: position, the block's header but for both checksums, ext.
func aad(dst []byte, pos int64, head []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(pos))
	dst = append(dst, head[:4]...)
	return append(dst, head[12:]...)
}

// seal encrypts the block that begins at dst[at:], of which everything but the checksums stands there, in place.
func (k *DataKey) seal(dst []byte, at, body int, pos int64) []byte {
	var buf [512]byte
	x := aad(buf[:0], pos, dst[at:body])
	return k.aead.Seal(dst[:body], nonce(pos), dst[body:], x)
}

// open decrypts the body of a block, of which b is all, into dst.
func (k *DataKey) open(dst, b []byte, head int, pos int64) ([]byte, error) {
	var buf [512]byte
	x := aad(buf[:0], pos, b[:head])
	return k.aead.Open(dst, nonce(pos), b[head:], x)
}

// The key slots. Both hold the same data key; they lie in pages of their own, so that writing one touches nothing else.
//
//	 0           8       12     16       24      36            84    88
//	+-----------+-------+------+--------+-------+-------------+-----+
//	| "edgekey\n"| salt | slot | key id | nonce | wrapped key | crc |
//	+-----------+-------+------+--------+-------+-------------+-----+
const (
	slotMagic = "edgekey\n"
	slotBytes = 88
	slotPage  = 4096
	slotArea  = 2 * slotPage
)

// slots is the position of the first key slot behind a header of so many bytes.
func slots(header int64) int64 { return (header + slotPage - 1) / slotPage * slotPage }

// wrap makes the content of a slot. AES-256-GCM with a random nonce; the salt and the key's id are bound to it.
func wrap(k *DataKey, with *Key, salt uint32, slot int) ([]byte, error) {
	b := append(make([]byte, 0, slotBytes), slotMagic...)
	b = binary.LittleEndian.AppendUint32(b, salt)
	b = binary.LittleEndian.AppendUint32(b, uint32(slot))
	b = binary.LittleEndian.AppendUint64(b, uint64(with.ID()))
	var n [12]byte
	_, _ = rand.Read(n[:]) // does not fail on the systems that Go supports
	b = append(b, n[:]...)
	a, err := gcm(with[:])
	if err != nil {
		return nil, err
	}
	b = a.Seal(b, n[:], k.raw[:], b[:24])
	return binary.LittleEndian.AppendUint32(b, Checksum(b)), nil
}

// slotID is the id of the key that a slot's content is wrapped with; false if the slot is damaged.
func slotID(b []byte, salt uint32) (KeyID, bool) {
	if len(b) < slotBytes || string(b[:8]) != slotMagic || binary.LittleEndian.Uint32(b[8:]) != salt ||
		Checksum(b[:slotBytes-4]) != binary.LittleEndian.Uint32(b[slotBytes-4:]) {
		return 0, false
	}
	return KeyID(binary.LittleEndian.Uint64(b[16:])), true
}

func unwrap(b []byte, with *Key) (*DataKey, error) {
	a, err := gcm(with[:])
	if err != nil {
		return nil, err
	}
	raw, err := a.Open(nil, b[24:36], b[36:84], b[:24])
	if err != nil {
		return nil, err
	}
	return newDataKey(raw)
}

// readSlots reads both slots of a file.
func readSlots(f io.ReaderAt, at int64) (out [2][]byte, err error) {
	for i := range out {
		b := make([]byte, slotBytes)
		n, err := f.ReadAt(b, at+int64(i)*slotPage)
		if err != nil && !errors.Is(err, io.EOF) && !unreadable(err) {
			return out, fmt.Errorf("read key slot: %w", err)
		}
		out[i] = b[:n]
	}
	return out, nil
}

// DataKey is the key of the file's bodies, nil if they are not encrypted. An error that wraps ErrKey: none of the keys
// fits, or both slots are damaged.
func (c *Contents) DataKey(f io.ReaderAt, keys *Keys) (*DataKey, error) {
	at, err := c.slots(f)
	if err != nil || at == 0 {
		return nil, err
	}
	both, err := readSlots(f, at)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, b := range both {
		id, ok := slotID(b, c.Header.Salt)
		if !ok {
			continue
		}
		with := keys.find(id)
		if with == nil {
			ids = append(ids, id.String())
			continue
		}
		k, err := unwrap(b, with)
		if err == nil {
			return k, nil
		}
		ids = append(ids, id.String()+" (does not open it)")
	}
	switch {
	case len(ids) == 0:
		return nil, fmt.Errorf("%w: both key slots are damaged", ErrKey)
	case len(ids) == 2 && ids[0] != ids[1]:
		return nil, fmt.Errorf("%w: encrypted with key %s and key %s", ErrKey, ids[0], ids[1])
	}
	return nil, fmt.Errorf("%w: encrypted with key %s", ErrKey, ids[0])
}

// KeyIDs are the keys that the file's data key is wrapped with, none if it is not encrypted.
func (c *Contents) KeyIDs(f io.ReaderAt) ([]KeyID, error) {
	at, err := c.slots(f)
	if err != nil || at == 0 {
		return nil, err
	}
	both, err := readSlots(f, at)
	if err != nil {
		return nil, err
	}
	var ids []KeyID
	for _, b := range both {
		if id, ok := slotID(b, c.Header.Salt); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// DestroyKey writes zeros over both key slots and syncs them: nobody can read the bodies of this file any more. What is
// not encrypted is not touched. A medium may keep what stood there.
func DestroyKey(fs vfs.FS, name string) error {
	f, err := fs.OpenRW(name)
	if err != nil {
		return fmt.Errorf("open segment to destroy its key: %w", err)
	}
	return errors.Join(destroyKey(f, name), f.Close())
}

func destroyKey(f vfs.File, name string) error {
	c, err := Peek(f, name)
	if err != nil {
		return err
	}
	at, err := c.slots(f)
	if err != nil || at == 0 {
		return err
	}
	if _, err := f.WriteAt(make([]byte, slotArea), at); err != nil {
		return fmt.Errorf("destroy key: %w", err)
	}
	return f.Sync()
}

// slots is where the key slots are, 0 if the file has none. Where header and copy are lost they are looked for.
func (c *Contents) slots(f io.ReaderAt) (int64, error) {
	if !c.Lost {
		if !c.Header.Encrypted {
			return 0, nil
		}
		return slots(c.headerBytes), nil
	}
	b := make([]byte, slotBytes)
	for at := int64(0); at < min(c.Size, MaxHeaderBytes+slotArea); at += slotPage {
		n, err := f.ReadAt(b, at)
		if err != nil && !errors.Is(err, io.EOF) && !unreadable(err) {
			return 0, fmt.Errorf("look for key slots: %w", err)
		}
		if _, ok := slotID(b[:n], c.Header.Salt); ok {
			c.Header.Encrypted = true
			return at - int64(min(b[12], 1))*slotPage, nil
		}
	}
	return 0, nil
}

// Rewrap wraps the data key of a file with the current key, in both slots, one after the other and each durable before
// the next: at every moment one of them opens with the current or an older key. It reports whether there was anything
// to do. The file's blocks are not touched.
func Rewrap(fs vfs.FS, c *Contents, keys *Keys) (bool, error) {
	if keys.Current == nil {
		return false, fmt.Errorf("%w: no current key", ErrKey)
	}
	f, err := fs.OpenRW(c.Path)
	if err != nil {
		return false, fmt.Errorf("open segment to rewrap its key: %w", err)
	}
	did, err := rewrap(f, c, keys)
	if err != nil {
		err = fmt.Errorf("rewrap key of %s: %w", c.Path, err)
	}
	return did, errors.Join(err, f.Close())
}

func rewrap(f vfs.File, c *Contents, keys *Keys) (bool, error) {
	at, err := c.slots(f)
	if err != nil || at == 0 {
		return false, err
	}
	k, err := c.DataKey(f, keys)
	if err != nil {
		return false, err
	}
	both, err := readSlots(f, at)
	if err != nil {
		return false, err
	}
	// A slot that does not open must be written first: while it is, the other one holds the key.
	order := [2]int{0, 1}
	if c.opens(both[1], keys) == nil {
		order = [2]int{1, 0}
	}
	did := false
	for _, i := range order {
		if id, ok := slotID(both[i], c.Header.Salt); ok && id == keys.Current.ID() && c.opens(both[i], keys) != nil {
			continue
		}
		b, err := wrap(k, keys.Current, c.Header.Salt, i)
		if err != nil {
			return did, err
		}
		if _, err := f.WriteAt(b, at+int64(i)*slotPage); err != nil {
			return did, err
		}
		if err := f.Sync(); err != nil {
			return did, err
		}
		did = true
	}
	return did, nil
}

// opens is the data key in a slot's content, nil if it does not open.
func (c *Contents) opens(b []byte, keys *Keys) *DataKey {
	id, ok := slotID(b, c.Header.Salt)
	if !ok {
		return nil
	}
	with := keys.find(id)
	if with == nil {
		return nil
	}
	k, err := unwrap(b, with)
	if err != nil {
		return nil
	}
	return k
}

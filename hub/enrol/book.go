package enrol

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/enrolwire"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// Errors of a Book.
var (
	ErrDevice = errors.New("not a device id: no / + #, not hub or enroll")
	ErrFull   = errors.New("too many codes are open")
	ErrNone   = errors.New("this device has no code and was never enrolled here")
)

// Code is a one-time code as the hub keeps it: its key, never the code.
type Code struct {
	Device  string    `json:"device"`
	Key     []byte    `json:"key,omitempty"`
	By      string    `json:"by"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Tries   int       `json:"tries,omitempty"`
	Used    time.Time `json:"used,omitzero"`
	// For is the SHA-256 of the public key that it was used for, Cert the certificate (DER) that was made then: until the
	// code is over they are kept, with Key, for a box that did not get the answer.
	For     []byte    `json:"for,omitempty"`
	Cert    []byte    `json:"cert,omitempty"`
	Revoked time.Time `json:"revoked,omitzero"`
	// Barred is when the device was revoked last, also once it has a new code: certificates from before renew no more.
	Barred time.Time `json:"barred,omitzero"`
}

// Event is an entry of the audit log.
type Event struct {
	What   string    `json:"what"`
	Device string    `json:"device"`
	By     string    `json:"by,omitempty"`
	Why    string    `json:"why,omitempty"`
	Serial string    `json:"serial,omitempty"`
	Ends   time.Time `json:"ends,omitzero"`
	// Unnoted is how many refusals before this one were too many to be noted.
	Unnoted int `json:"unnoted,omitempty"`
}

// Book is who may enrol, in a file, and the audit log beside it. Two programs use it: the hub that answers and edge-hub
// enrol, which an operator runs; each change is made under a lock on what the file holds then.
type Book struct {
	fs    vfs.FS
	dir   string
	codes map[string]Code
}

const maxBookBytes = 32 << 20 // MaxCodes with their certificates

// OpenBook reads the book below dir.
func OpenBook(fs vfs.FS, dir string) (*Book, error) {
	if err := errors.Join(fs.MkdirAll(dir), fs.SyncDir(path.Dir(dir))); err != nil {
		return nil, fmt.Errorf("open book of codes: %w", err)
	}
	b := &Book{fs: fs, dir: dir}
	return b, b.Refresh()
}

// Close is for symmetry: every change is durable.
func (b *Book) Close() error { return nil }

func (b *Book) file() string { return path.Join(b.dir, codesName+".json") }

// Refresh reads what another program may have changed.
func (b *Book) Refresh() error {
	data, err := vfs.ReadFile(b.fs, b.file(), maxBookBytes)
	if errors.Is(err, vfs.ErrNotExist) {
		b.codes = map[string]Code{}
		return nil
	}
	codes := map[string]Code{}
	if err == nil {
		err = json.Unmarshal(data, &codes)
	}
	if err != nil {
		return fmt.Errorf("read book of codes: %w", err)
	}
	b.codes = codes
	return nil
}

// change makes one change durable, with its entry in the audit log first.
func (b *Book) change(e *Event, now time.Time, f func(map[string]Code) error) error {
	lock, err := b.lock()
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // nothing was written through it
	if err := b.Refresh(); err != nil {
		return err
	}
	next := maps.Clone(b.codes)
	if err := f(next); err != nil {
		return err
	}
	if e != nil {
		if err := b.append(*e, now); err != nil {
			return err
		}
	}
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode book of codes: %w", err)
	}
	if err := vfs.WriteFileAtomic(b.fs, b.file(), data); err != nil {
		return fmt.Errorf("write book of codes: %w", err)
	}
	b.codes = next
	return nil
}

type closer interface{ Close() error }

// lock waits for the other program; what it does takes moments.
func (b *Book) lock() (closer, error) {
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		l, err := b.fs.Lock(path.Join(b.dir, "lock"))
		if err == nil || !errors.Is(err, vfs.ErrLocked) || time.Now().After(limit) {
			if err != nil {
				err = fmt.Errorf("lock book of codes: %w", err)
			}
			return l, err
		}
	}
}

func (b *Book) append(e Event, now time.Time) error {
	l, err := chainlog.Open(b.fs, b.dir, auditName, 0)
	if err != nil {
		return err
	}
	_, err = l.Append(e, now)
	return errors.Join(err, l.Close())
}

// Note adds an entry to the audit log alone.
func (b *Book) Note(e Event, now time.Time) error {
	lock, err := b.lock()
	if err != nil {
		return err
	}
	return errors.Join(b.append(e, now), lock.Close())
}

// Add makes a code for a device; one that it had is void from then on. The code is told here and nowhere else.
func (b *Book) Add(device, by string, life time.Duration, now time.Time) (string, Code, error) {
	if !wire.ValidDevice(device) {
		return "", Code{}, fmt.Errorf("%q: %w", device, ErrDevice)
	}
	code := enrolwire.NewCode()
	key, err := enrolwire.Key(code, device)
	if err != nil {
		return "", Code{}, err
	}
	c := Code{Device: device, Key: key, By: by, Made: now.UTC().Truncate(time.Second), Expires: now.Add(min(life, MaxCode)).UTC().Truncate(time.Second)}
	err = b.change(&Event{What: "code made", Device: device, By: by, Ends: c.Expires}, now, func(codes map[string]Code) error {
		for name, old := range codes { // what has no meaning any more makes room
			switch {
			case !now.After(old.Expires):
			case old.Used.IsZero() && old.Revoked.IsZero() && old.Barred.IsZero():
				delete(codes, name)
			default:
				old.Key, old.For, old.Cert = nil, nil, nil
				codes[name] = old
			}
		}
		if _, there := codes[device]; !there && len(codes) >= MaxCodes && !forget(codes, now) {
			return ErrFull
		}
		c.Barred = codes[device].Barred
		codes[device] = c
		return nil
	})
	return code, c, err
}

// forget drops the box that was enrolled first, of those of which nothing need be known any more: the audit log has them all.
func forget(codes map[string]Code, now time.Time) bool {
	first, found := "", false
	for name, c := range codes {
		if now.After(c.Expires) && c.Revoked.IsZero() && c.Barred.IsZero() && (!found || c.Used.Before(codes[first].Used)) {
			first, found = name, true
		}
	}
	delete(codes, first)
	return found
}

// Tried counts a wrong code.
func (b *Book) Tried(device string) error {
	return b.change(nil, time.Time{}, func(codes map[string]Code) error {
		c := codes[device]
		c.Tries++
		codes[device] = c
		return nil
	})
}

// Use binds a code to the key that it is used for: it is good for no other from then on.
func (b *Book) Use(device string, key []byte, now time.Time) error {
	return b.change(nil, now, func(codes map[string]Code) error {
		c, ok := codes[device]
		if !ok || !c.Used.IsZero() {
			return ErrNone
		}
		c.Used, c.For = now.UTC().Truncate(time.Second), key
		codes[device] = c
		return nil
	})
}

// Issued keeps the certificate that a code has given.
func (b *Book) Issued(device string, cert []byte) error {
	return b.change(nil, time.Time{}, func(codes map[string]Code) error {
		c, ok := codes[device]
		if !ok || c.Used.IsZero() || !c.Revoked.IsZero() {
			return ErrNone
		}
		c.Cert = cert
		codes[device] = c
		return nil
	})
}

// Revoke voids a device's code and refuses its renewals, until a new code is made for it.
func (b *Book) Revoke(device, by, why string, now time.Time) error {
	if !wire.ValidDevice(device) {
		return fmt.Errorf("%q: %w", device, ErrDevice)
	}
	return b.change(&Event{What: "revoked", Device: device, By: by, Why: why}, now, func(codes map[string]Code) error {
		c, ok := codes[device]
		if !ok {
			c = Code{Device: device, By: by, Made: now.UTC().Truncate(time.Second)}
		}
		c.Revoked, c.Key, c.For, c.Cert = now.UTC().Truncate(time.Second), nil, nil, nil
		c.Barred = c.Revoked
		codes[device] = c
		return nil
	})
}

// Code is the code of a device; its key is never empty, so that a device without one costs the same.
func (b *Book) Code(device string) (Code, bool) {
	c, ok := b.codes[device]
	if len(c.Key) == 0 {
		c.Key = make([]byte, 32)
	}
	return c, ok
}

// Revoked tells whether a device may not renew with a certificate that is good from that time on.
func (b *Book) Revoked(device string, from time.Time) bool {
	c := b.codes[device]
	return !c.Revoked.IsZero() || from.Before(c.Barred)
}

// Barred is the time before which no certificate of a device may begin.
func (b *Book) Barred(device string) time.Time { return b.codes[device].Barred }

// Codes lists them by device.
func (b *Book) Codes() []Code {
	return slices.SortedFunc(maps.Values(b.codes), func(x, y Code) int { return cmp.Compare(x.Device, y.Device) })
}

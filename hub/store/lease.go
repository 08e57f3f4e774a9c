package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Leases is what a store offers that several hubs may share. It is found by assertion on a Store; a store without it
// serves one hub alone. All methods may be called concurrently with each other and with those of Store.
//
// A lease is a named right that one owner holds at a time. Whether it still holds is judged by no clock of the store
// and compared between no two machines: the owner raises Beat, and whoever wants the lease takes it by compare-and-set
// once he has seen the same (Number, Beat) for TTL of his own monotonic clock, counted from when he first read it. The
// owner stops acting on it TTL after he began the last beat that succeeded, by his monotonic clock. Clocks need not
// agree, only run at about the same rate; an owner that was stopped in between and does not know it is what Fence is for.
type Leases interface {
	// Leases reads the leases whose names begin with prefix, ascending by name, in one read transaction.
	Leases(ctx context.Context, prefix string) ([]Lease, error)
	// SwapLease puts next in the place of prev if what is stored under next.Name is exactly prev; the zero Lease is
	// what is stored before the first. It returns what is stored afterwards, and whether next was written. A nil error
	// with ok means that next is durable. On an error nothing was written, or the outcome is unknown: read it again.
	// What SwapError refuses is refused with that error. A lease is never removed: its Number must not be used twice.
	SwapLease(ctx context.Context, prev, next Lease) (now Lease, ok bool, err error)
}

// Lease is one stored lease.
type Lease struct {
	Name   string // what it is a right to; printable, without spaces, ≤ MaxLeaseName bytes
	Owner  string // "" while nobody holds it; ≤ MaxLeaseName bytes
	Number uint64 // rises with every change of Owner, also on release, and never falls: the fence
	Beat   uint64 // rises with every renewal of one Number
	TTL    time.Duration
	Note   string // for people: where the owner runs; ≤ MaxLeaseNote bytes of UTF-8
}

// Bounds of a lease.
const (
	MaxLeaseName = 64
	MaxLeaseNote = 256
	MinLeaseTTL  = 100 * time.Millisecond
	MaxLeaseTTL  = time.Hour
)

// Fence names the lease under which a change is made. The zero value is the change of a hub that shares its store with
// nobody. A store checks it in the transaction of the change itself: a change whose lease is not stored with exactly
// this Number (0 is never right) is not applied, a read-back included, whatever else it says, and its Result says Fenced. Whether the lease
// has run out is not looked at: as long as nobody took it, nobody else acts on it. A store whose engine has a fence of
// its own (a Kafka transactional id for each lease name) uses it besides.
type Fence struct {
	Lease  string
	Number uint64
}

// ErrLease is wrapped by SwapError and by SwapLease for a lease that contradicts itself: a bug of the caller.
var ErrLease = errors.New("bad lease")

// SwapError says what is wrong with replacing prev by next; nil if nothing is. Every implementation of SwapLease calls
// it first.
func SwapError(prev, next Lease) error {
	bad := func(what string) error { return fmt.Errorf("swap lease %q: %w: %s", next.Name, ErrLease, what) }
	switch {
	case next.Name == "" || len(next.Name) > MaxLeaseName || strings.ContainsFunc(next.Name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return bad("name")
	case prev != (Lease{}) && prev.Name != next.Name:
		return bad("it is not " + prev.Name)
	case len(next.Owner) > MaxLeaseName || !utf8.ValidString(next.Owner):
		return bad("owner")
	case len(next.Note) > MaxLeaseNote || !utf8.ValidString(next.Note):
		return bad("note")
	case next.TTL < MinLeaseTTL || next.TTL > MaxLeaseTTL || next.TTL%time.Millisecond != 0:
		return bad("TTL " + next.TTL.String())
	case next.Owner != prev.Owner && next.Number <= prev.Number:
		return bad("a change of owner that does not raise the number")
	case next.Number < prev.Number, next.Number == prev.Number && next.Beat <= prev.Beat:
		return bad("neither the number nor the beat rises")
	}
	return nil
}

// TakenBy is the lease as a new owner takes it, whoever held it.
func (l Lease) TakenBy(name, owner, note string, ttl time.Duration) Lease {
	return Lease{Name: name, Owner: owner, Number: l.Number + 1, TTL: ttl, Note: note}
}

// Renewed is the lease with its next beat.
func (l Lease) Renewed() Lease { l.Beat++; return l }

// Released is the lease as its owner gives it back: nobody's, and closed to whatever its owner still has under way.
func (l Lease) Released() Lease {
	l.Owner, l.Number, l.Beat, l.Note = "", l.Number+1, 0, ""
	return l
}

// Fence is what changes made under the lease carry.
func (l Lease) Fence() Fence { return Fence{Lease: l.Name, Number: l.Number} }

package onewire_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/drivers/bus/onewire"
)

// tree answers passes as chips with these ROMs would.
func tree(roms []onewire.Address, disturb func(onewire.Address) onewire.Address) onewire.Pass {
	return func(_ context.Context, _ byte, path onewire.Address) (rom, differ onewire.Address, err error) {
		left := slices.Clone(roms)
		for i := range 64 {
			var has [2]bool
			for _, a := range left {
				has[a>>i&1] = true
			}
			bit := path >> i & 1
			switch {
			case has[0] && has[1]:
				differ |= 1 << i
			case has[1]:
				bit = 1
			case has[0]:
				bit = 0
			default:
				return ^onewire.Address(0), 0, nil
			}
			rom |= bit << i
			left = slices.DeleteFunc(left, func(a onewire.Address) bool { return a>>i&1 != bit })
		}
		return disturb(rom), differ, nil
	}
}

func same(a onewire.Address) onewire.Address { return a }

func TestSearch(t *testing.T) {
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 0))
	for n := range 60 {
		want := map[onewire.Address]bool{}
		for len(want) < n {
			want[onewire.NewAddress(0x28, rng.Uint64()>>(rng.IntN(4)*16))] = true
		}
		var roms []onewire.Address
		for a := range want {
			roms = append(roms, a)
		}
		faults := 0
		disturb := func(a onewire.Address) onewire.Address {
			if faults++; faults%3 == 0 {
				return a ^ 1<<rng.IntN(64)
			}
			return a
		}
		if n == 0 {
			continue
		}
		got, err := onewire.SearchAll(t.Context(), false, tree(roms, disturb))
		if err != nil {
			t.Fatalf("seed %d, %d chips: %v", seed, n, err)
		}
		for _, a := range got {
			if !want[a] {
				t.Fatalf("seed %d: %s found twice or from nowhere", seed, a)
			}
			delete(want, a)
		}
		if len(want) > 0 {
			t.Fatalf("seed %d, %d chips: %d not found", seed, n, len(want))
		}
	}
}

func TestSearchFails(t *testing.T) {
	if got, err := onewire.SearchAll(t.Context(), true, tree(nil, same)); len(got) > 0 || err != nil {
		t.Errorf("nobody in alarm: %v, %v", got, err)
	}
	if _, err := onewire.SearchAll(t.Context(), false, tree(nil, same)); !errors.Is(err, onewire.ErrBus) {
		t.Errorf("presence, but nobody takes part: %v", err)
	}
	// Noise that pretends an endless tree.
	noise := func(context.Context, byte, onewire.Address) (onewire.Address, onewire.Address, error) {
		return onewire.NewAddress(0x28, 1), ^onewire.Address(0), nil
	}
	if got, err := onewire.SearchAll(t.Context(), false, noise); !errors.Is(err, onewire.ErrBus) || len(got) != 1 {
		t.Errorf("noise: %v, %v", got, err)
	}
}

// TestCRC16 checks against the catalogue of CRCs, and the residue that readers rely on.
func TestCRC16(t *testing.T) {
	if got := onewire.CRC16([]byte("123456789")); got != 0xbb3d { // CRC-16/ARC
		t.Errorf("%04x", got)
	}
	p := []byte{0xa5, 0xdf, 1, 0x55, 1, 2, 3, 4, 0, 0, 0, 0}
	c := ^onewire.CRC16(p)
	if got := onewire.CRC16(append(p, byte(c), byte(c>>8))); got != onewire.CRC16OK {
		t.Errorf("%04x", got)
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("28-0000055f1c3a")
	f.Add("28-0000055F1C3A")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := onewire.ParseAddress(s)
		if err == nil && (a.String() != s || !a.Valid()) {
			t.Errorf("%q became %s", s, a)
		}
	})
}

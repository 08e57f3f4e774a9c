package store_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// TestSequences compares the set with a plain one under random additions: what is in it was added, what was added is
// in it or is said to be forgotten, and the bytes give the same set back.
func TestSequences(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s store.Sequences
		plain := map[uint64]bool{}
		spread := uint64(1) << (3 + r.IntN(8))
		for range 400 {
			n := r.Uint64N(spread)
			if r.IntN(50) == 0 {
				n = math.MaxUint64 - r.Uint64N(3)
			}
			s.Add(n)
			plain[n] = true
			if len(s.Ranges) > store.MaxSequenceRanges {
				t.Fatalf("seed %d: %d ranges", seed, len(s.Ranges))
			}
			back, err := store.ParseSequences(s.Append(nil))
			if err != nil || !back.Equal(&s) {
				t.Fatalf("seed %d: %v comes back as %v, %v", seed, s, back, err)
			}
		}
		for n := range spread + 4 {
			if n >= spread {
				n = math.MaxUint64 - (n - spread)
			}
			switch {
			case s.Has(n) && !plain[n]:
				t.Fatalf("seed %d: %d was never added: %v", seed, n, s)
			case plain[n] && !s.Has(n) && !s.Unsure(n):
				t.Fatalf("seed %d: %d is lost: %v", seed, n, s)
			}
		}
	}
}

func TestSequencesClone(t *testing.T) {
	var s store.Sequences
	for n := range uint64(20) {
		s.Add(3 * n)
	}
	c := s.Clone()
	c.Add(1)
	c.Add(2)
	if s.Has(1) || len(s.Ranges) != 20 || c.String() != "0-3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45, 48, 51, 54, 57" {
		t.Errorf("%v and %v", s, c)
	}
}

func FuzzSequences(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 7, 9, 1, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := store.ParseSequences(b)
		if err != nil {
			if !errors.Is(err, store.ErrEncoding) {
				t.Fatal(err)
			}
			return
		}
		back, err := store.ParseSequences(s.Append(nil))
		if err != nil || !back.Equal(&s) {
			t.Fatalf("%v comes back as %v, %v", s, back, err)
		}
	})
}

// TestMarks: bounded, ascending, the newest complete, the older ones at growing distances.
func TestMarks(t *testing.T) {
	var marks []store.Mark
	r := rand.New(rand.NewPCG(1, 2))
	var all []record.Offset
	at := record.Offset(0)
	for range 20_000 {
		at += record.Offset(1 + r.IntN(30))
		all = append(all, at)
		marks = store.AddMark(marks, store.Mark{Offset: at, Chain: uint64(at) * 7})
		if len(marks) > store.MaxMarks {
			t.Fatalf("%d marks", len(marks))
		}
		back, err := store.ParseMarks(nil, store.AppendMarks(nil, marks))
		if err != nil || !slices.Equal(back, marks) {
			t.Fatalf("%v come back as %v, %v", marks, back, err)
		}
	}
	n := len(marks)
	for i := range 16 {
		if marks[n-1-i].Offset != all[len(all)-1-i] {
			t.Errorf("of the newest, %d is missing: %v", all[len(all)-1-i], marks)
		}
	}
	if oldest := at - marks[0].Offset; oldest < at/8 {
		t.Errorf("the oldest mark is only %d of %d back: %v", oldest, at, marks)
	}
	for _, m := range marks {
		if m.Chain != uint64(m.Offset)*7 {
			t.Errorf("mark %v", m)
		}
	}
	if again := store.AddMark(marks, marks[n-1]); !slices.Equal(again, marks) {
		t.Error("a border is there twice")
	}
}

func FuzzMarks(f *testing.F) {
	f.Add(store.AppendMarks(nil, []store.Mark{{Offset: 3, Chain: 4}, {Offset: 300, Chain: 5}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := store.ParseMarks(nil, b)
		if err != nil {
			return
		}
		back, err := store.ParseMarks(nil, store.AppendMarks(nil, m))
		if err != nil || !slices.Equal(m, back) {
			t.Fatalf("%v come back as %v, %v", m, back, err)
		}
	})
}

package mqtt

import (
	"testing"
	"time"
)

// TestValuesThatEndConnections: what ends the connection twice in a row is not sent any more for an hour, smaller ones are.
func TestValuesThatEndConnections(t *testing.T) {
	var s Stats
	v, now := &s.values, time.Unix(1e9, 0)
	carry := func(size int, lives time.Duration) bool {
		l := &Link{}
		ok := v.may(l, size, now)
		now = now.Add(lives)
		v.ended(l, now)
		return ok
	}
	for range 5 {
		carry(30_000, time.Second)
		carry(30_000, time.Minute) // it bears them
	}
	if s.ValuesLimit() != MaxValuesBytes {
		t.Errorf("limit %d after connections that ended later", s.ValuesLimit())
	}
	carry(30_000, time.Second)
	carry(30_000, time.Second)
	if s.ValuesLimit() != 15_000 || carry(30_000, time.Second) || s.ShortValues() != 2 || !carry(15_000, time.Minute) {
		t.Errorf("limit %d, held %d", s.ValuesLimit(), s.ShortValues())
	}
	now = now.Add(valuesAgain)
	if !carry(30_000, time.Minute) || s.ValuesLimit() != MaxValuesBytes {
		t.Error("an hour later it is not tried again")
	}
	for range 10 {
		carry(minValuesLimit, time.Second)
	}
	if !carry(minValuesLimit, time.Second) {
		t.Error("small values are held back")
	}
}

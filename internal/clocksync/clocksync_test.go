package clocksync

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestStamped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "synchronized")
	if s, err := stamped(file, time.Now()); err == nil || s.Synchronised {
		t.Errorf("no stamp: %+v, %v", s, err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]State{
		0:                  {true, 0},
		1000 * time.Second: {true, 500 * time.Millisecond},
		8 * time.Hour:      {true, 14400 * time.Millisecond},
		9 * time.Hour:      {}, // the kernel, too, gives such a clock up
		-time.Second:       {},
	} {
		if s, err := stamped(file, at.Add(age)); err != nil || s != want {
			t.Errorf("%v old: %+v, %v; want %+v", age, s, err, want)
		}
	}
}

// TestRead: what the kernel says of this machine can be read, in whatever state it is.
func TestRead(t *testing.T) {
	s, err := Read()
	t.Logf("%+v, %v", s, err)
	if s.Synchronised && (err != nil || s.Bound < 0 || s.Bound > limit) {
		t.Errorf("%+v, %v", s, err)
	}
}

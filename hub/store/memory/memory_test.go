package memory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/hub/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memory.New(nil) })
	storetest.RunLeases(t, func(*testing.T) (a, b store.Store) { a = memory.New(nil); return a, a })
}

func one() []store.Change {
	return []store.Change{{Device: "box", Stream: "telemetry", Epoch: 1, Create: true, To: 1, ToChain: 9,
		Rows: []record.Record{{Kind: record.KindObservation, Series: 1, Type: record.TypeString, Data: &record.Data{Value: []byte("a")}}}}}
}

func TestFaults(t *testing.T) {
	fail := errors.New("out of order")
	for _, c := range []struct {
		name          string
		before, after error
		rows          int
	}{{"before", fail, nil, 0}, {"after", nil, fail, 1}} {
		t.Run(c.name, func(t *testing.T) {
			on := true
			s := memory.New(func(string) (error, error) {
				if on {
					return c.before, c.after
				}
				return nil, nil
			})
			if _, err := s.Commit(context.Background(), one()); !errors.Is(err, fail) {
				t.Errorf("error %v", err)
			}
			on = false
			if n := len(s.Rows("box", "telemetry", 1)); n != c.rows {
				t.Errorf("%d rows, want %d", n, c.rows)
			}
		})
	}
}

func TestCloseReopenBackup(t *testing.T) {
	s := memory.New(nil)
	b := s.Backup()
	changes := one()
	if _, err := s.Commit(context.Background(), changes); err != nil {
		t.Fatal(err)
	}
	changes[0].Rows[0].Data.Value[0] = 'b' // the caller's again
	if v := s.Rows("box", "telemetry", 1)[0].Record.Value(); string(v) != "a" {
		t.Errorf("the store holds %q", v)
	}
	s.Close()
	if _, err := s.Commit(context.Background(), changes); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("commit after close: %v", err)
	}
	s.Reopen()
	s.Restore(b)
	if d := s.Devices(); len(d) != 0 {
		t.Errorf("after restore: %v", d)
	}
}

func TestRefusesWhatDoesNotAddUp(t *testing.T) {
	s := memory.New(nil)
	c := one()
	c[0].To = 2
	if _, err := s.Commit(context.Background(), c); !errors.Is(err, memory.ErrChange) {
		t.Errorf("error %v", err)
	}
}

package receive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/hub/store/storetest"
)

// steps is a store in memory that writes down what it is asked and what it answers, so that the conformance suite can
// play the same to every other store.
type steps struct {
	*memory.Store

	mu   sync.Mutex // guards list
	list []json.RawMessage
}

func (s *steps) add(x storetest.Step) {
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // plain values
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, b)
}

// Commit implements store.Store.
func (s *steps) Commit(ctx context.Context, changes []store.Change) ([]store.Result, error) {
	before := s.Store.Commits()
	res, err := s.Store.Commit(ctx, changes)
	if err != nil && s.Store.Commits() == before {
		return res, err // nothing happened
	}
	state, _ := s.Store.Positions(context.WithoutCancel(ctx), changes[0].Device)
	s.add(storetest.Step{Changes: changes, Lost: err != nil, Results: res, State: &state})
	return res, err
}

// check compares what was written down with what the conformance suite plays; -rewrite takes it over.
func (s *steps) check(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join("../store/storetest/testdata/protocol", name+".json")
	got := append(append([]byte("[\n"), bytes.Join(raw(s.list), []byte(",\n"))...), "\n]\n"...)
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s does not say what the store was asked (%v); run with -rewrite", file, err)
	}
}

func raw(list []json.RawMessage) (out [][]byte) {
	for _, b := range list {
		out = append(out, b)
	}
	return out
}

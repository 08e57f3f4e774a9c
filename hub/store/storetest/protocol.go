package storetest

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/hub/store"
)

// Step is one thing that happened to a store while a failure case of the protocol was played: a commit, or that the
// store was backed up or put back. hub/receive plays the cases (testdata/pair) with real senders and receivers on the store
// in memory, and writes the steps to testdata/protocol.
type Step struct {
	Backup  bool           `json:",omitempty"`
	Restore bool           `json:",omitempty"` // to the latest backup
	Changes []store.Change `json:",omitempty"`
	Lost    bool           `json:",omitempty"` // the commit took effect, its answer was lost
	Results []store.Result `json:",omitempty"`
	State   *store.DeviceState
}

//go:embed testdata/protocol/*.json
var protocol embed.FS

// testProtocol plays every failure case of the protocol to a store. It must decide about each change as the store in memory
// did, and know the same afterwards. A store that is put back is a device that the store has not heard of, and that
// everything up to the backup is done to again.
func testProtocol(t *testing.T, s store.Store) {
	files, err := protocol.ReadDir("testdata/protocol")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".json")
		t.Run(name, func(t *testing.T) {
			b, err := protocol.ReadFile(path.Join("testdata/protocol", f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			var steps []Step
			if err := json.Unmarshal(b, &steps); err != nil {
				t.Fatal(err)
			}
			p := &player{s: s, name: name}
			for i := range steps {
				p.step(t, i, &steps[i])
			}
			if p.commits == 0 {
				t.Error("nothing was committed")
			}
		})
	}
}

// player plays the steps of one case.
type player struct {
	s       store.Store
	name    string
	lives   int // how often the store was put back
	commits int
	done    []*Step // since the beginning of this life
	saved   []*Step
}

func (p *player) step(t *testing.T, i int, x *Step) {
	t.Helper()
	switch {
	case x.Backup:
		p.saved = p.done[:len(p.done):len(p.done)]
	case x.Restore:
		p.lives++
		p.done = nil
		for _, old := range p.saved {
			p.commit(t, i, old)
		}
	default:
		p.commit(t, i, x)
	}
}

func (p *player) device() string { return fmt.Sprintf("%s-%d", p.name, p.lives) }

func (p *player) commit(t *testing.T, i int, x *Step) {
	t.Helper()
	changes := append([]store.Change(nil), x.Changes...)
	for k := range changes {
		changes[k].Device = p.device()
	}
	res, err := p.s.Commit(context.Background(), changes)
	if err != nil || len(res) != len(changes) {
		t.Fatalf("step %d: %d results, %v", i, len(res), err)
	}
	p.commits++
	p.done = append(p.done, x)
	for k := range x.Results {
		got, want := res[k], x.Results[k]
		got.Position.Series, want.Position.Series, got.Position.Marks, want.Position.Marks = nil, nil, nil, nil // may be left out
		if g, w := told(got), told(want); g != w {
			t.Errorf("step %d, change %d:\n got %s\nwant %s", i, k, g, w)
		}
	}
	got, err := p.s.Positions(context.Background(), p.device())
	if err != nil {
		t.Fatalf("step %d: %v", i, err)
	}
	want := *x.State
	if len(got.Positions) == len(want.Positions) {
		for k := range got.Positions {
			if e := &want.Positions[k]; e.End != 0 && e.Next >= e.End { // its series may be left out
				got.Positions[k].Series, e.Series = nil, nil
			}
		}
	}
	sortProducers(got.Producers)
	sortProducers(want.Producers)
	if g, w := told(got), told(want); g != w {
		t.Errorf("state after step %d:\n got %s\nwant %s", i, g, w)
	}
}

// told is what a value states, whatever way it is allocated.
func told(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(b), "[]", "null")
}

package hub_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/sqlite"
)

// TestReplacedDiskIsOneLine: the epochs of a disk that was replaced stand as "tail unknown from N", in one line for the box; a
// box that was restarted, and one whose records moved to a new epoch after a conflict, have none.
func TestReplacedDiskIsOneLine(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "hub.db"), testNow.Add(-time.Hour)
	s, err := sqlite.Open(path, sqlite.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	chain := uint64(0)
	put := func(device, stream string, e, parent record.Epoch, from, to record.Offset) {
		t.Helper()
		rows := make([]record.Record, to-from)
		for i := range rows {
			rows[i] = record.Record{Kind: record.KindObservation, Series: 1, Time: 1, Clock: record.ClockApp, Type: record.TypeInt}
		}
		c := store.Change{Device: device, Stream: stream, Epoch: e, Create: true, Parent: parent, First: from, From: from, To: to, ToChain: chain + 1,
			FromChain: chain, RowBase: from, Rows: rows, Definitions: []record.Definition{{ID: 1, Series: record.Series{Name: "n", Type: record.TypeInt}}}}
		if parent != 0 {
			c.ParentEnd = from
		}
		res, err := s.Commit(context.Background(), []store.Change{c})
		if err != nil || !res[0].Applied {
			t.Fatalf("%s %s %d: %+v %v", device, stream, e, res, err)
		}
		now = now.Add(time.Second)
	}
	put("box-1", "telemetry", 1, 0, 0, 8)
	put("box-1", "alarms", 2, 0, 0, 3)
	put("box-2", "telemetry", 3, 0, 0, 8)
	put("box-2", "telemetry", 4, 3, 8, 9)
	put("box-2", "telemetry", 5, 0, 9, 12) // moved after a conflict
	if out := run(t, 0, "account", "--db", path); strings.Contains(out, "replaced") {
		t.Errorf("no disk was replaced:\n%s", out)
	}
	put("box-1", "telemetry", 6, 0, 0, 4)
	put("box-1", "alarms", 7, 0, 0, 1)
	const want = "box-1: its disk was replaced: tail unknown from alarms 3, telemetry 8"
	for _, args := range [][]string{{"account", "--db", path}, {"account", "-o", "wide", "--db", path}} {
		if out := run(t, 0, args...); strings.Count(out, want) != 1 || strings.Count(out, "replaced") != 1 {
			t.Errorf("%v:\n%s", args, out)
		}
	}
	if out := strings.Join(strings.Fields(run(t, 0, "status", "--db", path)), " "); strings.Count(out, want) != 1 || strings.Count(out, "replaced") != 1 {
		t.Errorf("status:\n%s", out)
	}
	var acc hub.Account
	if err := json.Unmarshal([]byte(run(t, 0, "account", "--json", "--db", path)), &acc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, st := range acc.Streams {
		for _, e := range st.Epochs {
			if e.TailUnknown {
				n++
			}
		}
	}
	if n != 2 {
		t.Errorf("%d epochs with an unknown tail in %+v", n, acc)
	}
}

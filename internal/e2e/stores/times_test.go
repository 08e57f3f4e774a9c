package stores

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/postgres"
	"github.com/edgelog/edgelog/hub/store/sqlite"
)

// TestSameReadings gives both SQL engines the same changes, with clocks that become known late, and demands the same
// view of both at every step: with corrections noted, half done, and done.
func TestSameReadings(t *testing.T) {
	pg := postgresServer(t)
	schema, file := newSchema(), filepath.Join(t.TempDir(), "hub.db")
	p, err := postgres.Open(context.Background(), postgres.Options{URL: pg.URL(), Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	lite, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer lite.Close()
	same := func(step string) {
		t.Helper()
		const columns = "device, stream, epoch, record_offset, t, t_error, series, unit, quality"
		a, err := pg.Query("SELECT " + columns + " FROM " + schema + ".readings ORDER BY 1, 2, 3, 4")
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("sqlite3", "-readonly", "-separator", "|", file, "SELECT "+columns+" FROM readings ORDER BY 1, 2, 3, 4").Output()
		if err != nil {
			t.Fatal(err)
		}
		if b := strings.TrimSpace(string(out)); a != b {
			t.Errorf("%s: PostgreSQL\n%s\nSQLite\n%s", step, head(a), head(b))
		}
		a, err = pg.Query("SELECT device, series, t, t_error, quality FROM " + schema + ".latest ORDER BY 1, 2")
		if err != nil {
			t.Fatal(err)
		}
		out, err = exec.Command("sqlite3", "-readonly", "-separator", "|", file, "SELECT device, series, t, t_error, quality FROM latest ORDER BY 1, 2").Output()
		if b := strings.TrimSpace(string(out)); err != nil || a != b {
			t.Errorf("%s: latest of PostgreSQL\n%s\nSQLite\n%s (%v)", step, a, b, err)
		}
	}
	next := map[string]record.Offset{}
	commit := func(cs ...store.Change) {
		t.Helper()
		for _, s := range []store.Store{p, lite} {
			res, err := s.Commit(context.Background(), cs)
			if err != nil {
				t.Fatal(err)
			}
			for i := range res {
				if !res[i].Applied {
					t.Fatalf("%T: change %d: %+v", s, i, res[i])
				}
			}
		}
	}
	change := func(stream string, epoch record.Epoch, n int, boot string, anchors ...record.Anchor) store.Change {
		key := fmt.Sprint(stream, epoch)
		at := next[key]
		c := store.Change{Device: "box", Stream: stream, Epoch: epoch, Create: at == 0, From: at, FromChain: uint64(at), To: at + record.Offset(n), ToChain: uint64(at) + uint64(n),
			RowBase: at, Boot: boot, Anchors: anchors, Definitions: []record.Definition{{ID: 1, Series: record.Series{Name: "x." + stream, Unit: "Cel", Type: record.Decimal(4)}}}}
		for i := range n {
			o := int64(at) + int64(i)
			r := record.Record{Kind: record.KindObservation, Series: 1, Clock: record.ClockBoot, Time: 1e9*o + 1234, Type: record.Decimal(4), Num: 210625 + o}
			if i%3 == 2 {
				r.Clock, r.Time = record.ClockApp, 1790000000e9+o
			}
			c.Rows = append(c.Rows, r)
		}
		next[key] = c.To
		return c
	}
	guess := record.Anchor{Boot: "b1", BootTime: 10e9, UTC: 100e9, Source: record.SourceSystem}
	commit(change("telemetry", 1, 30, "b1", guess), change("events", 2, 5, "b1"))
	same("a guess")
	commit(change("telemetry", 1, 30, ""), change("telemetry", 1, 7, ""))
	better := record.Anchor{Boot: "b1", BootTime: 40e9, UTC: 1790000040e9, Error: 5e6, Source: record.SourceHub}
	commit(change("events", 2, 5, "", better))
	same("an anchor, noted")
	best := record.Anchor{Boot: "b1", BootTime: 50e9, UTC: 1790000052e9, Error: 1e6, Source: record.SourceNTP}
	commit(change("telemetry", 1, 4, ""), change("telemetry", 1, 4, "", best), change("telemetry", 1, 3, ""))
	same("two anchors, noted")
	commit(change("telemetry", 9, 6, "b2")) // a boot of which nothing is known but its neighbour
	same("an unknown boot")
	if err := p.Correct(context.Background()); err != nil {
		t.Fatal(err)
	}
	same("corrected in PostgreSQL, noted in SQLite")
	if _, err := lite.Correct(context.Background()); err != nil {
		t.Fatal(err)
	}
	same("corrected")
	if n, err := pg.Query("SELECT count(*) FROM " + schema + ".correction"); err != nil || n != "0" {
		t.Errorf("%s corrections are left (%v)", n, err)
	}
	commit(change("telemetry", 1, 3, ""))
	same("afterwards")
}

func head(s string) string {
	if len(s) > 1500 {
		return s[:1500] + " …"
	}
	return s
}

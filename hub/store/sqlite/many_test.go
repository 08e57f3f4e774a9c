package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/sqlite"
)

// TestHalfCorrected stands between two chunks of a correction, as a killed process leaves them.
func TestHalfCorrected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := newBox("box-1")
	c := b.change(decimal(1, 1), decimal(2, 2), decimal(3, 3), decimal(4, 4))
	c.Rows[2].Clock, c.Rows[2].Time = record.ClockApp, day0 // asserted: never corrected
	c.ToChain, b.chain = 1, 1
	c.Definitions, c.Boot = []record.Definition{temperature()}, "b1"
	c.Anchors = []record.Anchor{{Boot: "b1", UTC: 0, Source: record.SourceSystem}}
	commit(t, s, c)
	c = b.change(decimal(5, 5))
	c.Anchors = []record.Anchor{{Boot: "b1", UTC: day0, Source: record.SourceNTP}}
	commit(t, s, c)
	const q = "SELECT record_offset, t - 1790000000000000, t_error FROM readings ORDER BY record_offset"
	want := "100 1000000 0\n101 2000000 0\n102 0 0\n103 4000000 0\n104 5000000 0"
	if got := ask(t, path, q); got != want {
		t.Fatalf("pending:\n%s", got)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, x := range []string{"UPDATE record SET t = t + (SELECT shift FROM correction) WHERE id <= 2", "UPDATE correction SET done = 2"} {
		if _, err := db.Exec(x); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{"half corrected", "corrected"} {
		if got := ask(t, path, q); got != want {
			t.Fatalf("%s:\n%s", at, got)
		}
		if _, err := s.Correct(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask(t, path, "SELECT count(*) FROM correction"); got != "0" {
		t.Errorf("%s corrections are left", got)
	}
}

// TestAnUnplacedEpochIsPlacedLater: the boot mark fell into a gap, an anchor names the boot later.
func TestAnUnplacedEpochIsPlacedLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := newBox("box-1")
	c := b.change(decimal(1, 1))
	c.Definitions = []record.Definition{temperature()}
	commit(t, s, c)
	if got := ask(t, path, "SELECT t, t_error FROM readings"); got != "1000000 315360000000000" {
		t.Fatal(got)
	}
	c = b.change(decimal(2, 2))
	c.Anchors = []record.Anchor{{Boot: "b1", UTC: day0, Source: record.SourceNTP}}
	commit(t, s, c)
	if got := ask(t, path, "SELECT t - 1790000000000000, t_error FROM readings ORDER BY t"); got != "1000000 0\n2000000 0" {
		t.Fatal(got)
	}
}

// BenchmarkManyDevices commits 1,000 devices with ten rows each in one transaction.
func BenchmarkManyDevices(b *testing.B) {
	s, err := sqlite.Open(filepath.Join(b.TempDir(), "hub.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var boxes []*box
	for i := range 1000 {
		boxes = append(boxes, newBox(fmt.Sprintf("box-%d", i)))
	}
	n := int64(0)
	for b.Loop() {
		var cs []store.Change
		for _, x := range boxes {
			rows := make([]record.Record, 10)
			for i := range rows {
				rows[i] = decimal(n/10_000, 210000+n%1000)
				n++
			}
			c := x.change(rows...)
			if c.Create {
				c.Definitions, c.Boot = []record.Definition{temperature()}, "b1"
				c.Anchors = []record.Anchor{{Boot: "b1", UTC: day0, Source: record.SourceGPS}}
			}
			cs = append(cs, c)
		}
		if _, err := s.Commit(context.Background(), cs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

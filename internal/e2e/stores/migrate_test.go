package stores

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/hub/store/postgres"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/term"
)

// TestMigrate carries a device through all engines with the command, by each of the six ways from one to another, and goes
// on in each where the one before stood.
func TestMigrate(t *testing.T) {
	pg, k := postgresServer(t), kafkaServer(t)
	dir := t.TempDir()
	config := func(name, engine string) string {
		file := filepath.Join(dir, name+".yaml")
		text := fmt.Sprintf("embedded_broker: {listen: '127.0.0.1:0'}\nrun_dir: %s\nstore: %s\n", filepath.Join(dir, name), engine)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	type stop struct {
		file string
		open func() (store.Store, error)
	}
	lite := func(name string) stop {
		db := filepath.Join(dir, name+".db")
		return stop{config(name, "{sqlite: "+db+"}"), func() (store.Store, error) { return sqlite.Open(db, sqlite.Options{}) }}
	}
	inPostgres := func(name string) stop {
		schema := newSchema()
		return stop{config(name, fmt.Sprintf("{postgres: {url: '%s', schema: %s}}", pg.URL(), schema)), func() (store.Store, error) {
			return postgres.Open(context.Background(), postgres.Options{URL: pg.URL(), Schema: schema})
		}}
	}
	inKafka := func(name string) stop {
		prefix := newPrefix()
		return stop{config(name, fmt.Sprintf("{kafka: {brokers: ['%s'], prefix: %s, shards: 2, partitions: 2}}", k.Brokers()[0], prefix)), func() (store.Store, error) {
			return kafka.Open(context.Background(), kafka.Options{Brokers: k.Brokers(), Prefix: prefix})
		}}
	}
	stops := []stop{lite("a"), inPostgres("b"), inKafka("c"), lite("d"), inKafka("e"), inPostgres("f"), lite("g")}
	d := newDevice(1)
	for i, stop := range stops {
		if i > 0 {
			out := command(t, 0, "migrate", "--config", stops[i-1].file, "--to", stop.file)
			if !strings.Contains(out, "Moved 1 devices") {
				t.Errorf("migrate says %s", out)
			}
			command(t, 0, "migrate", "--config", stops[i-1].file, "--to", stop.file) // again: nothing more to do
		}
		s, err := stop.open()
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			st, err := s.Positions(t.Context(), d.name)
			if err != nil || len(st.Positions) != 1 {
				t.Fatalf("stop %d: %+v, %v", i, st, err)
			}
			p := st.Positions[0]
			if p.Next != d.next || p.ChainNext != d.chains[d.next] || len(p.Gaps) != 1 || len(p.Series) != 1 || p.Boot != "b1" || len(p.Marks) == 0 || len(st.Producers) != 1 || !st.Producers[0].Taken.Has(7) {
				t.Errorf("stop %d: %+v %+v", i, p, st.Producers)
			}
		}
		c := d.change(25)
		if i == 0 {
			c.Boot, c.Anchors = "b1", []record.Anchor{{Boot: "b1", BootTime: 5, UTC: 1e18, Source: record.SourceNTP}}
			c.Producers = []store.Producer{{Name: "npu", Incarnation: 1 << 63, Taken: store.Sequences{Ranges: []store.SequenceRange{{First: 5, Last: 9}}}}}
		}
		g := c
		g.Create, g.Rows, g.Definitions, g.Boot, g.Anchors, g.Producers = false, nil, nil, "", nil, nil
		g.From, g.FromChain = c.To, c.ToChain
		d.next, d.known = c.To, true
		lost := d.change(5)
		g.To, g.ToChain, g.RowBase = lost.To, lost.ToChain, lost.To
		g.Gaps = []record.Gap{{Epoch: d.epoch, Range: record.Range{From: g.From, To: g.To}, Reason: record.ReasonErased, ChainFrom: g.FromChain, ChainTo: g.ToChain}}
		changes := []store.Change{c}
		if i == 0 {
			changes = append(changes, g)
			d.next = g.To
		}
		res, err := s.Commit(t.Context(), changes)
		if err != nil || !res[0].Applied || !res[len(res)-1].Applied {
			t.Fatalf("stop %d: %+v, %v", i, res, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if out := command(t, 0, "account", "--config", stop.file); !strings.Contains(out, "telemetry") {
			t.Errorf("account: %s", out)
		}
	}
	// A store that went on is no place to move an older one to.
	if out := command(t, 1, "migrate", "--config", stops[1].file, "--to", stops[0].file); !strings.Contains(out, "other positions") {
		t.Errorf("an older store takes the positions: %s", out)
	}
}

func command(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	code := hub.Main(context.Background(), hub.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
		Style: term.Style{UTF8: true}, Now: time.Now, Zone: time.UTC})
	if code != want {
		t.Errorf("edge-hub %v: exit %d, want %d\n%s", args, code, want, out.String())
	}
	return out.String()
}

package stores

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/hub/store"
)

var sqlBlock = regexp.MustCompile("(?s)```sql\n(.*?)```")

// TestDocsPostgres runs the queries of docs/stores.md as they stand there, those for Grafana with what it puts in.
func TestDocsPostgres(t *testing.T) {
	b, err := os.ReadFile("../../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n## PostgreSQL\n")
	text, _, end := strings.Cut(text, "\n## Kafka\n")
	if !ok || !end {
		t.Fatal("docs/stores.md has no section PostgreSQL")
	}
	pg := postgresServer(t)
	if err := pg.SQL("DROP SCHEMA IF EXISTS edgelog CASCADE"); err != nil {
		t.Fatal(err)
	}
	s := openPostgres(t, pg, "")
	d := newDevice(17)
	if res, err := s.Commit(t.Context(), []store.Change{d.change(10)}); err != nil || !res[0].Applied {
		t.Fatalf("%+v, %v", res, err)
	}
	s.Close()
	blocks := sqlBlock.FindAllStringSubmatch(text, -1)
	if len(blocks) < 3 {
		t.Fatalf("%d blocks of SQL", len(blocks))
	}
	grafana := strings.NewReplacer("$__unixEpochFrom()", "1790000000", "$__unixEpochTo()", "1800000000", "'…'", "'secret'")
	for _, m := range blocks {
		for _, sql := range strings.Split(grafana.Replace(m[1]), ";\n") {
			if strings.HasPrefix(sql, "CREATE DATABASE") {
				sql = strings.Replace(sql, "edgelog OWNER hub", "edgelog_docs OWNER reader_docs", 1)
			}
			if strings.HasPrefix(sql, "CREATE ROLE") {
				sql = strings.Replace(sql, "ROLE hub", "ROLE reader_docs", 1) // the server's own user is called hub
			}
			if strings.TrimSpace(sql) == "" {
				continue
			}
			if err := pg.SQLs("SET search_path TO edgelog", sql); err != nil {
				t.Errorf("%s\n%v", sql, err)
			}
		}
	}
	if err := pg.SQLs("DROP DATABASE edgelog_docs", "DROP ROLE reader_docs", "DROP SCHEMA edgelog CASCADE"); err != nil {
		t.Error(err)
	}
}

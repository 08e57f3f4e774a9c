package agent

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Nanoseconds since 1970 end in 2262: a time beyond them would be recorded as another one.
func TestIngestTime(t *testing.T) {
	set, err := buffer.Open(t.Context(), vfs.NewMem(), "log", buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	log, err := set.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{"2026-11-29T00:00:00Z": true, "2261-12-31T23:59:59Z": true, "9999-12-31T00:00:00Z": false,
		"1969-12-31T23:00:00Z": false, "0001-01-02T00:00:00Z": false} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ingestRecord(log, &api.IngestRecord{Name: "x", Value: json.RawMessage("1"), Time: at}, record.Stamp{})
		if ok != (err == nil) || ok && time.Unix(0, r.Time).UTC().Format(time.RFC3339) != text {
			t.Errorf("%s: %v, %v", text, time.Unix(0, r.Time).UTC(), err)
		}
	}
}

func TestSetValue(t *testing.T) {
	for _, c := range []struct {
		typ, raw string
		quality  record.Quality
		want     string // value as text, or the error
		wantType record.Type
	}{
		{"", `21`, 0, "21", record.TypeInt},
		{"", `21.5`, 0, "21.5", record.TypeFloat},
		{"decimal4", `21.0625`, 0, "21.0625", record.Decimal(4)},
		{"decimal4", `-0.5`, 0, "-0.5000", record.Decimal(4)},
		{"decimal1", `21.06`, 0, "value 21.06 is not a decimal1", 0},
		{"", `true`, 0, "true", record.TypeBool},
		{"", `"on"`, 0, "on", record.TypeString},
		{"", `{"a": 1}`, 0, `{"a":1}`, record.TypeJSON},
		{"json", `1`, 0, "a json value is an object or a list", 0},
		{"", `null`, record.QualityCRC, "-", record.TypeFloat},
		{"", `null`, 0, "a record without a value needs a bad quality that says why", 0},
		{"int", `5`, record.QualityCRC, "a bad record has no value", 0},
		{"int", `1e3`, 0, "value 1e3 is not a int", 0},
		{"complex", `1`, 0, `type "complex" is not known`, 0},
	} {
		r := record.Record{Quality: c.quality}
		got, err := setValue(&r, c.typ, json.RawMessage(c.raw))
		text := string(r.AppendText(nil))
		if err != nil {
			text = err.Error()
		}
		if text != c.want || got != c.wantType {
			t.Errorf("%s %s: got %q (%v), want %q (%v)", c.typ, c.raw, text, got, c.want, c.wantType)
		}
	}
}

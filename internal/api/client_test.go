package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/api"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew; review the difference")

func TestUnreachable(t *testing.T) {
	_, err := api.NewClient(t.TempDir()).Status(context.Background())
	if !errors.Is(err, api.ErrUnreachable) || !strings.Contains(err.Error(), "nothing listens on") {
		t.Errorf("got %v", err)
	}
}

func TestReadRecords(t *testing.T) {
	text := `{"stream":"a","epoch":"0000000000000001","offset":7,"kind":"observation","value":21.0625,"quality":"good"}

{"schema_version":1,"end":true,"records":1,"truncated":true}
`
	var got []uint64
	end, err := api.ReadRecords(strings.NewReader(text), func(r *api.Record) error { got = append(got, r.Offset); return nil })
	if err != nil || len(got) != 1 || got[0] != 7 || !end.Truncated || end.Records != 1 {
		t.Errorf("got %v, %+v, %v", got, end, err)
	}
	cut, _, _ := strings.Cut(text, "\n\n")
	if _, err := api.ReadRecords(strings.NewReader(cut+"\n"), func(*api.Record) error { return nil }); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("an answer without its end gave %v", err)
	}
	if _, err := api.ReadRecords(strings.NewReader(`{"end":true,"error":"disk"}`), nil); err == nil || err.Error() != "disk" {
		t.Errorf("got %v", err)
	}
}

func TestBalance(t *testing.T) {
	a := api.EpochAccount{First: 10, End: 110, Delivered: 50, InFlight: 5, Buffered: 30,
		Skipped: map[string]uint64{"repeat": 5}, Dropped: map[string]uint64{"corrupt": 10}}
	if !a.Balance() {
		t.Errorf("remainder %d", a.Remainder)
	}
	a.Buffered = 31
	if a.Balance() || a.Remainder != -1 {
		t.Errorf("remainder %d", a.Remainder)
	}
}

func TestFaultOf(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 14, 0, 0, time.FixedZone("x", 3600))
	f := api.FaultOf(health.Fault{ID: 3, Code: health.SensorPowerOn, Since: at, Count: 1})
	b, err := json.Marshal(f)
	if err != nil || !f.Active || !strings.Contains(string(b), `"since":"2026-11-23T01:14:00Z"`) || strings.Contains(string(b), "until") {
		t.Errorf("got %s, %v", b, err)
	}
	if s := api.StateOf([]health.Fault{{Code: health.SensorPowerOn}}); s != api.StateDegraded {
		t.Error(s)
	}
}

// The names and types of the JSON are a promise: a change of testdata/schema.txt is a change of the API.
func TestSchema(t *testing.T) {
	var b strings.Builder
	for _, v := range []any{api.Status{}, api.Sensors{}, api.Account{}, api.Faults{}, api.Record{}, api.QueryEnd{}, api.Reload{},
		api.IngestRequest{}, api.IngestPosition{}, api.Problem{}, api.NPUStatus{}, api.NPUResult{}, api.Chart{}, api.Explained{}} {
		t := reflect.TypeOf(v)
		b.WriteString(t.Name() + "\n")
		describe(&b, t, "  ")
	}
	file := filepath.Join("testdata", "schema.txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Errorf("the schema changed (%v); if that is meant, run with -rewrite and review the difference. Now:\n%s", err, b.String())
	}
}

func describe(b *strings.Builder, t reflect.Type, indent string) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		b.WriteString(indent + f.Tag.Get("json") + " " + f.Type.String() + "\n")
		describe(b, f.Type, indent+"  ")
	}
}

func FuzzReadRecords(f *testing.F) {
	f.Add([]byte(`{"stream":"a","offset":7,"value":1}` + "\n" + `{"end":true,"records":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := uint64(0)
		end, err := api.ReadRecords(bytes.NewReader(data), func(*api.Record) error { n++; return nil })
		if err == nil && !end.End {
			t.Fatal("an answer without its end was taken as whole")
		}
	})
}

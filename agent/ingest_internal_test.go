package agent

import (
	"encoding/json"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

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

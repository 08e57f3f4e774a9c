package door_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/lineproto"
)

func show(rs []door.Reading) string {
	var out []string
	for _, r := range rs {
		text := r.Quality.String()
		if !r.Quality.Bad() {
			x := record.Record{Type: r.Type, Num: r.Num, Data: &record.Data{Value: r.Value}}
			text = r.Type.String() + ":" + string(x.AppendText(nil))
		}
		s := r.Series.Key() + " " + text
		if r.Series.Unit != "" {
			s += " " + r.Series.Unit
		}
		if r.At.Clock != 0 {
			s += fmt.Sprintf(" @%d", r.At.Time)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestDecimal(t *testing.T) {
	cases := []struct {
		text     string
		decimals int
		want     string
	}{
		{"21.0625", 4, "210625"}, {"-0.5", 1, "-5"}, {"1e3", 0, "1000"}, {"1.50", 1, "15"}, {"1.55", 1, "bad:overflow"},
		{"0", 9, "0"}, {"-0.00", 1, "0"}, {"9223372036854775807", 0, "9223372036854775807"}, {"9223372036854775808", 0, "bad:overflow"},
		{"-9223372036854775808", 0, "-9223372036854775808"}, {"1e-3", 3, "1"}, {"", 0, "bad:malformed"}, {"x", 0, "bad:malformed"},
		{"1e400", 0, "bad:overflow"}, {"1e9999", 0, "bad:malformed"}, {".5", 1, "5"}, {"0e300", 0, "0"}, {"--1", 0, "bad:malformed"},
	}
	for _, c := range cases {
		n, q := door.Decimal(c.text, c.decimals)
		got := fmt.Sprint(n)
		if q.Bad() {
			got = q.String()
		}
		if got != c.want {
			t.Errorf("%q with %d decimals = %s, want %s", c.text, c.decimals, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{"Node Control/Rebirth": "node_control.rebirth", "batteryLevel": "battery_level", "ENERGY": "energy",
		"CPU0Temp": "cpu0_temp", "°C": "c", "9lives": "lives", "": "", "a..b": "a.b"} {
		if got := door.Name(in); got != want {
			t.Errorf("Name(%q) = %q, want %q", in, got, want)
		}
	}
	if got := door.Key("2nd floor"); got != "_2nd_floor" {
		t.Errorf("Key gave %q", got)
	}
}

func TestFromPoint(t *testing.T) {
	p, bad := lineproto.ParseLine(`cpu,Host=a busy=1.5,n=3i,big=18446744073709551615u,ok=t,s="x" 7`)
	if bad != nil {
		t.Fatal(bad)
	}
	rs, err := door.FromPoint(nil, p, time.Millisecond)
	want := `cpu.busy{host="a"} float:1.5 @7000000; cpu.n{host="a"} int:3 @7000000; cpu.big{host="a"} bad:overflow @7000000; cpu.ok{host="a"} bool:true @7000000; cpu.s{host="a"} string:x @7000000`
	if got := show(rs); err != nil || got != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	for _, line := range []string{"a b=1,B=2", "_ _=1", "a b=1 9223372036854775807"} {
		p, bad := lineproto.ParseLine(line)
		if bad != nil {
			t.Fatal(bad)
		}
		if rs, err := door.FromPoint(nil, p, time.Second); err == nil || len(rs) > 0 {
			t.Errorf("%s: %s", line, show(rs))
		}
	}
}

func TestJSON(t *testing.T) {
	cases := []struct {
		m          door.Mapping
		text, want string
	}{
		{door.Mapping{}, `{"t":21.5,"Deep":{"on":true,"list":[1,2]},"s":"x","n":null}`, `deep.list json:[1,2]; deep.on bool:true; s string:x; t float:21.5`},
		{door.Mapping{Prefix: "room", Decimals: map[string]int{"t": 2, "n": 0}, Units: map[string]string{"t": "Cel"}}, `{"t":21.5,"n":12345678901234567}`,
			`room.n int:12345678901234567; room.t decimal2:21.50 Cel`},
		{door.Mapping{}, `{"n":12345678901234567}`, `n bad:overflow`},
		{door.Mapping{Decimals: map[string]int{"t": 1}}, `{"t":21.55}`, `t bad:overflow`},
		{door.Mapping{Only: []string{"a", "b.c"}, Drop: []string{"a.x"}}, `{"a":{"x":1,"y":2},"b":{"c":3,"d":4}}`, `a.y float:2; b.c float:3`},
		{door.Mapping{Tags: []string{"id"}, Time: "at", TimeUnit: "s"}, `{"id":"k7","at":1700000000.25,"v":1}`, `v{id="k7"} float:1 @1700000000250000000`},
		{door.Mapping{Time: "at"}, `{"at":"2023-11-14T22:13:20.25Z","v":1}`, `v float:1 @1700000000250000000`},
		{door.Mapping{Prefix: "power"}, `17.5`, `power float:17.5`},
		{door.Mapping{}, `{"a":1`, `! not JSON: unexpected EOF`},
		{door.Mapping{}, `{"a":1} {}`, `! not JSON: more than one value`},
		{door.Mapping{}, `{"a":1,"A":2}`, `! two values become the series a`},
		{door.Mapping{Time: "at"}, `{"v":1}`, `! time at: it is missing or of another form`},
		{door.Mapping{}, `{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}}`, `! objects are nested deeper than 8`},
	}
	for _, c := range cases {
		rs, err := c.m.JSON(nil, []byte(c.text), nil)
		got := show(rs)
		if err != nil {
			got = "! " + err.Error()
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"t":21.5,"Deep":{"on":true,"list":[1,2]},"s":"x","n":null}`), 1)
	f.Fuzz(func(t *testing.T, text []byte, decimals int) {
		m := door.Mapping{Prefix: "p", Decimals: map[string]int{"t": decimals & 7}}
		rs, _ := m.JSON(nil, text, nil)
		for _, r := range rs {
			c := r.Series
			if r.Quality.Bad() != (r.Type == record.TypeNone) || r.Quality.Bad() && len(r.Detail) == 0 || c.Normalize() != nil {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func FuzzDecimal(f *testing.F) {
	f.Add("21.0625", 4)
	f.Fuzz(func(t *testing.T, text string, decimals int) {
		d := decimals & 7
		n, q := door.Decimal(text, d)
		if q.Bad() {
			return
		}
		again, q := door.Decimal(string(record.AppendDecimal(nil, n, d)), d)
		if q.Bad() || again != n {
			t.Fatalf("%q: %d, then %d", text, n, again)
		}
	})
}

package strictyaml_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

type source struct {
	Name     string        `yaml:"name,required"`
	Interval time.Duration `yaml:"interval"`
	Labels   map[string]string
	Ranges   map[string][]float64 `yaml:"ranges"`
	W1       *w1                  `yaml:"w1"`
}

type w1 struct {
	Root  string `yaml:"root"`
	Retry uint8  `yaml:"retry"`
}

type config struct {
	Device  string            `yaml:"device"`
	Max     strictyaml.Bytes  `yaml:"max_bytes"`
	Rate    float64           `yaml:"rate"`
	On      bool              `yaml:"on"`
	Sources []source          `yaml:"sources"`
	Streams map[string]source `yaml:"streams"`
}

func TestDecode(t *testing.T) {
	var c config
	c.Device, c.Rate = "default", 7
	pos, err := strictyaml.DecodePos("a.yaml", []byte(`
device: 0017
max_bytes: 20GiB
on: true
sources:
  - name: cold
    interval: 1d12h
    ranges: {temperature: [-30, 10.5]}
    w1:
  - name: warm
    w1: {root: /sys/bus/w1, retry: 3}
streams:
  telemetry: {name: x}
`), &c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Device != "0017" || c.Max != 20*strictyaml.GiB || !c.On || c.Rate != 7 || len(c.Sources) != 2 {
		t.Errorf("got %+v", c)
	}
	if s := c.Sources[0]; s.Interval != 36*time.Hour || s.Ranges["temperature"][1] != 10.5 || s.W1 == nil {
		t.Errorf("got %+v", s)
	}
	if c.Sources[1].W1.Retry != 3 || c.Streams["telemetry"].Name != "x" {
		t.Errorf("got %+v", c)
	}
	for path, want := range map[string]strictyaml.Pos{
		"sources[0].interval": {7, 15}, "sources[0].w1.root": {9, 5}, "streams.telemetry": {13, 3}, "nothing": {2, 1},
	} {
		if got := pos.At(path); got != want {
			t.Errorf("At(%s) = %v, want %v", path, got, want)
		}
	}
	if pos.Has("rate") || !pos.Has("on") {
		t.Error("Has is wrong")
	}
}

func TestProblems(t *testing.T) {
	cases := []struct{ yaml, want string }{
		{"devise: x", `a.yaml:1:1  unknown key "devise"; did you mean "device"?`},
		{"sources:\n- name: x\n  intervall: 1s", `a.yaml:3:3  unknown key "intervall" in sources[0]; did you mean "interval"?`},
		{"zzzzzz: 1", `a.yaml:1:1  unknown key "zzzzzz"; known are device, max_bytes, rate, on, sources, streams`},
		{"device: a\ndevice: b", `a.yaml:2:1  key "device" is given twice; the first is in line 1`},
		{"sources: [{}]", `a.yaml:1:11  key "name" is missing in sources[0]`},
		{"sources: x", `a.yaml:1:10  sources wants a list, not "x"`},
		{"sources: [x]", `a.yaml:1:11  sources[0] wants keys with values, not "x"`},
		{"on: yes", `a.yaml:1:5  on wants true or false, not "yes"`},
		{"on: 'true'", `a.yaml:1:5  on wants true or false, not "true"`},
		{"rate: .inf", `a.yaml:1:7  rate wants a number, not ".inf"`},
		{"rate:", `a.yaml:1:6  rate has no value; give a number or remove the key`},
		{"device: [a]", `a.yaml:1:9  device wants a text, not a list`},
		{"max_bytes: 20Gb", `a.yaml:1:12  max_bytes: "20Gb" is not a size; write it like 512MiB or 20GiB`},
		{"streams: {a: {name: x, interval: 5}}", `a.yaml:1:34  streams.a.interval: "5" is not a length of time; write it with its unit, like 500ms, 10s or 7d`},
		{"sources: [{name: a, w1: {retry: 300}}]", `a.yaml:1:33  sources[0].w1.retry wants a whole number, not "300"`},
		{"sources: [{name: a, w1: {retry: 017}}]", `a.yaml:1:33  sources[0].w1.retry wants a whole number, not "017"`},
		{"device: &x a", `a.yaml:1:9  anchors and aliases (& and *) are not used in configuration files; write the value out`},
		{"device: !!binary aa", `a.yaml:1:9  tags such as !!binary are not used in configuration files`},
		{"device: a\n---\ndevice: b", `a.yaml:2:1  a second document begins here; a configuration is one document`},
		{"- a", `a.yaml:1:1  the file wants keys with values, not a list`},
		{"a: b: c", `a.yaml:1  not valid YAML: mapping values are not allowed in this context`},
		{"rate: x\non: 3", "a.yaml:1:7  rate wants a number, not \"x\"\na.yaml:2:5  on wants true or false, not \"3\""},
	}
	for _, c := range cases {
		err := strictyaml.Decode("a.yaml", []byte(c.yaml), new(config))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.yaml, err, c.want)
		}
	}
}

func TestEmptyFileStillMissesRequiredKeys(t *testing.T) {
	if err := strictyaml.Decode("a.yaml", []byte("# nothing\n"), new(config)); err != nil {
		t.Error(err)
	}
	if err := strictyaml.Decode("a.yaml", nil, new(source)); err == nil || !strings.Contains(err.Error(), `"name" is missing`) {
		t.Errorf("got %v", err)
	}
}

func TestReport(t *testing.T) {
	var c config
	pos, err := strictyaml.DecodePos("a.yaml", []byte("on: 3\ndevice: a/b\n"), &c)
	r := strictyaml.NewReport(pos, err)
	r.Addf("device", "device %q has a slash", c.Device)
	r.Addf("on", "must not be shown: the value could not be read")
	want := "a.yaml:1:5  on wants true or false, not \"3\"\na.yaml:2:9  device \"a/b\" has a slash"
	var e *strictyaml.Error
	if err := r.Err(); !errors.As(err, &e) || err.Error() != want || len(e.Problems) != 2 {
		t.Errorf("got %v", err)
	}
	if err := strictyaml.NewReport(nil, nil).Err(); err != nil {
		t.Error(err)
	}
}

func TestBytes(t *testing.T) {
	for s, want := range map[string]strictyaml.Bytes{
		"0": 0, "1000": 1000, "1KiB": 1024, "1.5 MiB": 3 << 19, "20GiB": 20 << 30, "2GB": 2e9, "7 B": 7,
	} {
		if got, err := strictyaml.ParseBytes(s); err != nil || got != want {
			t.Errorf("%s = %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "GiB", "-1", "1e3", "0x10", "NaN", "99999999TiB", "1 GiB B"} {
		if got, err := strictyaml.ParseBytes(s); err == nil {
			t.Errorf("%q = %d, want an error", s, got)
		}
	}
	for b, want := range map[strictyaml.Bytes]string{20 << 30: "20GiB", 3 << 19: "1536KiB", 1000: "1000", 0: "0"} {
		if got := b.String(); got != want {
			t.Errorf("%d prints %s, want %s", int64(b), got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("device: a\nsources:\n- name: x\n  w1: {retry: 3}\n"))
	f.Add([]byte("a: &x [*x]\n<<: *x\n? [a]\n: b\n---\n!!map {}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b config
		errA := strictyaml.Decode("f", data, &a)
		errB := strictyaml.Decode("f", data, &b)
		if (errA == nil) != (errB == nil) {
			t.Fatal("decoding is not deterministic")
		}
		var e *strictyaml.Error
		if errA != nil && (!errors.As(errA, &e) || len(e.Problems) == 0) {
			t.Fatalf("error of another kind: %v", errA)
		}
	})
}

func FuzzBytes(f *testing.F) {
	f.Add("20GiB")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := strictyaml.ParseBytes(s)
		if err != nil {
			return
		}
		if again, err := strictyaml.ParseBytes(b.String()); b < 0 || err != nil || again != b {
			t.Fatalf("%q = %d, prints %s, reads back %d, %v", s, b, b, again, err)
		}
	})
}

func FuzzDuration(f *testing.F) {
	f.Add("1d12h")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := strictyaml.ParseDuration(s)
		if err != nil {
			return
		}
		if again, err := strictyaml.ParseDuration(d.String()); d < 0 || err != nil || again != d {
			t.Fatalf("%q = %v reads back %v, %v", s, d, again, err)
		}
	})
}

package release_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/internal/release"
)

const hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// text is a manifest that uses everything.
const text = `{"schema":1,"release":"2026.11.3","counter":118,"min_from":96,"created":"2026-11-20T09:00:00Z",
 "compatible":{"product":["edgebox-2"],"hw_rev":[">=2"],"arch":["arm64","amd64"]},
 "probation":{"soak_s":600,"deadline_s":1500,"checks":["ingest","acks","npu","nodes>=90%"]},
 "components":[
  {"name":"node/flow","kind":"firmware","version":"1.8.3+0","path":"firmware/flow-1.8.3.bin","size":191488,"sha256":"HASH",
   "index":{"path":"firmware/flow-1.8.3.idx","size":112,"sha256":"HASH"},"order":10,"selector":{"node_type":["flow"]},"revertable":true},
  {"name":"config/base","kind":"config","version":"37","path":"config/base-37.yaml","size":9211,"sha256":"HASH","order":20},
  {"name":"model/defect","kind":"model","version":"4.2","path":"models/defect-4.2.om","size":9000,"sha256":"HASH","order":30,
   "selector":{"soc_version":["Ascend310P3"],"cann":[">=8.0,<8.6"]}},
  {"name":"agent","kind":"agent","version":"2.31.0","path":"agent/2.31.0-arm64.tar.zst","size":9000,"sha256":"HASH","order":90,
   "requires":["config/base>=37","node/flow>=1.8.0"]}]}`

func manifest(edits ...string) []byte {
	s := strings.NewReplacer(edits...).Replace(text)
	return []byte(strings.ReplaceAll(s, "HASH", hash))
}

func TestParse(t *testing.T) {
	m, err := release.Parse(manifest())
	if err != nil {
		t.Fatal(err)
	}
	if m.Counter != 118 || len(m.Components) != 4 || m.Component("model/defect").Size != 9000 {
		t.Errorf("%+v", m)
	}
	back, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := release.Parse(back); err != nil {
		t.Errorf("what is written is not read: %v\n%s", err, back)
	}
}

// TestRefusals: numbers are those of docs/updates.md.
func TestRefusals(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"19 too large":           {bytes.Repeat([]byte(" "), release.MaxManifestBytes+1), release.ErrSize},
		"19 deep":                {[]byte(deep), release.ErrFormat},
		"19 key twice":           {manifest(`"schema":1,`, `"schema":1,"counter":3,`), release.ErrFormat},
		"19 key twice, deeper":   {manifest(`"soak_s":600`, `"soak_s":600,"soak_s":0`), release.ErrFormat},
		"19 not a number":        {manifest(`118`, `NaN`), release.ErrFormat},
		"19 not UTF-8":           {manifest(`2026.11.3`, "2026.\xff"), release.ErrFormat},
		"19 text behind":         {append(manifest(), '{', '}'), release.ErrFormat},
		"19 unknown key":         {manifest(`"schema":1,`, `"schema":1,"extra":1,`), release.ErrFormat},
		"20 newer schema":        {manifest(`"schema":1`, `"schema":9`), release.ErrFormat},
		"52 name .":              {manifest(`"name":"agent"`, `"name":"."`), release.ErrFormat},
		"52 name ..":             {manifest(`"name":"agent"`, `"name":"a/../b"`), release.ErrFormat},
		"52 long name":           {manifest(`"name":"agent"`, `"name":"`+strings.Repeat("a", 300)+`"`), release.ErrFormat},
		"52 look-alike":          {manifest(`"name":"agent"`, `"name":"аgent"`), release.ErrFormat},
		"52 name twice":          {manifest(`"name":"agent"`, `"name":"config/base"`), release.ErrFormat},
		"52 place of programs":   {manifest(`"name":"config/base"`, `"name":"agent/bin/edge-npu"`), release.ErrFormat},
		"52 below another":       {manifest(`"name":"model/defect"`, `"name":"config/base/more"`), release.ErrFormat},
		"52 the release's own":   {manifest(`"name":"model/defect"`, `"name":"release.json"`), release.ErrFormat},
		"47 path up":             {manifest(`agent/2.31.0-arm64.tar.zst`, `../../etc/shadow`), release.ErrPath},
		"47 absolute path":       {manifest(`agent/2.31.0-arm64.tar.zst`, `/etc/shadow`), release.ErrPath},
		"47 backslash":           {manifest(`agent/2.31.0-arm64.tar.zst`, `a\\b`), release.ErrPath},
		"size 0":                 {manifest(`"size":9211`, `"size":0`), release.ErrSize},
		"size beyond":            {manifest(`"size":9211`, `"size":99999999999`), release.ErrSize},
		"no index":               {manifest(`"size":9211`, `"size":92110`), release.ErrFormat},
		"unknown kind":           {manifest(`"kind":"config"`, `"kind":"kernel"`), release.ErrFormat},
		"unknown check":          {manifest(`"acks"`, `"luck"`), release.ErrFormat},
		"share of what has none": {manifest(`"acks"`, `"acks>=3%"`), release.ErrFormat},
		"soak beyond the unit's": {manifest(`"soak_s":600,"deadline_s":1500`, `"soak_s":3600,"deadline_s":7200`), release.ErrFormat},
		"soak behind deadline":   {manifest(`"soak_s":600`, `"soak_s":1600`), release.ErrFormat},
		"constraint":             {manifest(`">=8.0,<8.6"`, `">=8.0,<"`), release.ErrFormat},
		"requirement":            {manifest(`config/base>=37`, `config/base>=`), release.ErrFormat},
		"no counter":             {manifest(`"counter":118`, `"counter":0`, `"min_from":96`, `"min_from":0`), release.ErrFormat},
		"upper-case hash":        {[]byte(strings.Replace(string(manifest()), hash, strings.ToUpper(hash), 1)), release.ErrFormat},
		"array":                  {[]byte(`[]`), release.ErrFormat},
		"nothing":                {nil, release.ErrFormat},
		"half":                   {manifest()[:200], release.ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := release.Parse(c.data)
			if !errors.Is(err, c.want) {
				t.Errorf("%v; want %v (%+v)", err, c.want, m)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	facts := release.Facts{"product": "edgebox-2", "hw_rev": "3", "arch": "arm64", "soc_version": "Ascend310P3", "cann": "8.0.1"}
	m, err := release.Parse(manifest())
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.For(facts)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, c := range p.Components {
		order = append(order, c.Name)
	}
	if got := strings.Join(order, " "); got != "node/flow config/base model/defect agent" {
		t.Error(got)
	}
	for name, c := range map[string]struct {
		fact, value string
		want        error
	}{
		"23 other product": {"product", "edgebox-1", release.ErrSelect},
		"23 old hardware":  {"hw_rev", "1", release.ErrSelect},
		"64 other chip":    {"soc_version", "Ascend310B", release.ErrSelect},
		"64 newer runtime": {"cann", "8.6", release.ErrSelect},
		"23 unknown fact":  {"hw_rev", "", release.ErrSelect},
	} {
		t.Run(name, func(t *testing.T) {
			f := release.Facts{}
			for k, v := range facts {
				f[k] = v
			}
			f[c.fact] = c.value
			if c.value == "" {
				delete(f, c.fact)
			}
			if _, err := m.For(f); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	old, err := release.Parse(manifest(`"version":"37"`, `"version":"36"`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.For(facts); !errors.Is(err, release.ErrRequire) {
		t.Errorf("requires config/base>=37, has 36: %v", err)
	}
}

func TestCompareVersions(t *testing.T) {
	rising := []string{"0.9", "1.0-rc1", "1", "1.8.0", "1.8.3-beta", "1.8.3", "1.8.3+1", "1.10", "2026.11.3"}
	for i := range rising {
		for j := range rising {
			got := release.CompareVersions(rising[i], rising[j])
			if want := compare(i, j); got != want {
				t.Errorf("%s against %s: %d, want %d", rising[i], rising[j], got, want)
			}
		}
	}
	if release.CompareVersions("8.0", "8") != 0 {
		t.Error("8.0 and 8 differ")
	}
}

func compare(i, j int) int {
	switch {
	case i < j:
		return -1
	case i > j:
		return 1
	}
	return 0
}

func pin(path string, data []byte) release.Pin {
	sum := sha256.Sum256(data)
	return release.Pin{Path: path, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
}

func TestInclude(t *testing.T) {
	base := manifest()
	p, _ := json.Marshal(pin("releases/base.json", base))
	top := []byte(`{"schema":1,"release":"2026.11.4","counter":119,"created":"2026-11-21T09:00:00Z","include":` + string(p) +
		`,"probation":{"soak_s":0,"deadline_s":0,"checks":[]},"components":[{"name":"config/base","kind":"config","version":"38",` +
		`"path":"config/base-38.yaml","size":5,"sha256":"` + hash + `","order":20}]}`)
	load := func(release.Pin) ([]byte, error) { return base, nil }
	m, err := release.Resolve(top, load)
	if err != nil {
		t.Fatal(err)
	}
	if m.Release != "2026.11.4" || len(m.Components) != 4 || m.Component("config/base").Version != "38" {
		t.Errorf("%+v", m)
	}
	if _, err := release.Resolve(top, func(release.Pin) ([]byte, error) { return base[1:], nil }); !errors.Is(err, release.ErrHash) {
		t.Errorf("another base: %v", err)
	}
	site := &release.Manifest{Release: "site-7", Components: []release.Component{*m.Component("agent")}}
	if _, err := m.Overlay(site); !errors.Is(err, release.ErrFormat) {
		t.Errorf("a site replaced the agent: %v", err)
	}
	site.Components[0] = *m.Component("config/base")
	site.Components[0].Version = "38-site7"
	if o, err := m.Overlay(site); err != nil || o.Component("config/base").Version != "38-site7" || m.Component("config/base").Version != "38" {
		t.Errorf("%v", err)
	}
}

func TestIndex(t *testing.T) {
	file := bytes.Repeat([]byte("edgelog"), 30000)
	x, whole, err := release.MakeIndex(bytes.NewReader(file), release.DefaultChunkBits)
	if err != nil || whole != sha256.Sum256(file) || len(x.Hashes) != 4 {
		t.Fatal(err, len(x.Hashes))
	}
	data := x.Append(nil)
	y, err := release.ParseIndex(data, int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range y.Hashes {
		off, n := y.Chunk(i)
		if !y.Check(i, file[off:off+int64(n)]) {
			t.Errorf("chunk %d", i)
		}
		if y.Check(i, file[off:off+int64(n)-1]) || y.Check(i+1, file[off:off+int64(n)]) && i != 0 {
			t.Errorf("chunk %d: another one passes", i)
		}
	}
	if y.Check(-1, nil) || y.Check(4, nil) {
		t.Error("chunks that are none")
	}
	for name, bad := range map[string][]byte{
		"40 other size":   append(data[:8:8], append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, data[16:]...)...),
		"40 short":        data[:len(data)-1],
		"40 long":         append(append([]byte{}, data...), 0),
		"newer":           append([]byte("EIDX\x02"), data[5:]...),
		"chunks too wide": append([]byte("EIDX\x01\x20"), data[6:]...),
		"nothing":         nil,
	} {
		if _, err := release.ParseIndex(bad, int64(len(file))); !errors.Is(err, release.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(manifest())
	f.Add([]byte(`{"a":[1,{"b":[]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := release.Parse(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := release.Parse(again); err != nil && len(again) <= release.MaxManifestBytes {
			t.Errorf("%v\n%s", err, again)
		}
	})
}

func FuzzIndex(f *testing.F) {
	x, _, _ := release.MakeIndex(strings.NewReader("some file"), release.MinChunkBits)
	f.Add(x.Append(nil), int64(9))
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		if x, err := release.ParseIndex(data, size); err == nil && !bytes.Equal(x.Append(nil), data) {
			t.Error("another index comes back")
		}
	})
}

// TestCandidateLife: the units end a candidate when the manifest's bounds say.
func TestCandidateLife(t *testing.T) {
	want := fmt.Sprintf("\nRuntimeMaxSec=%dmin\n", int(release.CandidateLife.Minutes()))
	for _, unit := range []string{"edge-agent-exp.service", "edge-npu-exp.service"} {
		b, err := os.ReadFile("../../deploy/systemd/" + unit)
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %q (%v)", unit, want, err)
		}
	}
}

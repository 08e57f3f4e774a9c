package record_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

var rewrite = flag.Bool("rewrite", false, "write the files of testdata anew")

// golden compares v, as JSON, with a file of testdata.
func golden(t *testing.T, path string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what the code writes; if that is meant, run with -rewrite", path)
	}
}

// vector is one line of testdata/chain.json.
type vector struct {
	What      string `json:"what"`
	Canonical string `json:"canonical"`
	Digest    string `json:"digest"`
	Chain     string `json:"chain"`
}

func vectorRecords() ([]record.Record, []string) {
	mark, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 1_000_000, Clock: record.ClockBoot}, map[string]int{"resolution_ns": 1})
	if err != nil {
		panic(err)
	}
	detail := observation(11, 3, record.TypeNone, 0)
	detail.Quality, detail.Data = record.QualityAllZero, &record.Data{Detail: make([]byte, 9)}
	numDetail := observation(12, 3, record.Decimal(4), 850000)
	numDetail.Quality, numDetail.Data = record.QualityOutOfRange, &record.Data{Detail: []byte("50054b46")}
	none := observation(2, 1, record.TypeNone, 0)
	none.Quality = record.QualityAbsent
	asserted := observation(1_700_000_000, 4, record.TypeInt, 42)
	asserted.Clock = record.ClockLine
	recs := []record.Record{
		{}, mark, none,
		observation(3, 1, record.TypeInt, -1), observation(4, 1, record.TypeInt, -1<<63),
		observation(5, 2, record.TypeFloat, 0x3ff0000000000000), observation(6, 2, record.TypeFloat, -1<<63),
		observation(7, 3, record.Decimal(4), 210625), observation(8, 3, record.Decimal(9), -1), observation(9, 3, record.Decimal(0), 7),
		observation(10, 5, record.TypeBool, 1), detail, numDetail, asserted,
		text(13, 6, record.TypeString, "", ""), text(14, 6, record.TypeString, "open", "door 3"),
		text(15, 6, record.TypeString, "12345678", ""), text(16, 7, record.TypeJSON, `{"class":"bolt","score":0.93}`, "x"),
		text(17, 8, record.TypeBytes, "\x00\x01\x02\x03\x04\x05\x06\x07\x08", "1234567"),
		{Time: -1, Num: 1, Series: 1<<32 - 1, Kind: 255, Quality: 255, Type: record.TypeInt, Clock: 127},
	}
	what := []string{"all zero", "a boot mark (json)", "none, bad quality", "int -1", "least int", "float 1.0", "float -0.0", "decimal 21.0625",
		"decimal -0.000000001", "decimal without decimals", "bool true", "none with a detail of 9 zeros", "decimal with a detail of 8 bytes",
		"int with an asserted UTC", "empty string", "string with detail, 10 bytes in all", "string of 8 bytes", "json with detail, 30 bytes in all",
		"bytes with detail, 16 bytes in all", "greatest numbers everywhere"}
	return recs, what
}

func TestVectors(t *testing.T) {
	recs, what := vectorRecords()
	var out []vector
	chain := uint64(0)
	for i := range recs {
		chain = record.Mix(chain, recs[i].Digest())
		out = append(out, vector{what[i], hex.EncodeToString(recs[i].AppendCanonical(nil)), fmt.Sprintf("%016x", recs[i].Digest()), fmt.Sprintf("%016x", chain)})
	}
	golden(t, "testdata/chain.json", out)
}

// goldenBody is one entry of testdata/bodies.json.
type goldenBody struct {
	Name   string       `json:"name"`
	Codec  record.Codec `json:"codec"`
	Count  int          `json:"count"`
	RawLen int          `json:"raw_len"`
	Chain  string       `json:"chain"`
	Body   string       `json:"body"`
}

// TestGoldenBodies pins the bytes that are written and reads the ones that were written before, on any machine. What
// zstd writes may differ from version to version: there only reading is pinned.
func TestGoldenBodies(t *testing.T) {
	const path = "testdata/bodies.json"
	old := map[string]goldenBody{}
	if b, err := os.ReadFile(path); err == nil {
		var list []goldenBody
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		for _, g := range list {
			old[fmt.Sprint(g.Name, g.Codec)] = g
		}
	}
	var out []goldenBody
	var e record.Encoder
	var d record.Decoder
	all := cases()
	all["vectors"], _ = vectorRecords()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, c := range []record.Codec{record.CodecPlain, record.CodecColumns} {
			recs := all[name][:min(len(all[name]), 20+580*int(c))]
			body, used, rawLen, err := e.Encode(nil, recs, c)
			if err != nil {
				t.Fatal(err)
			}
			g := goldenBody{name, used, len(recs), rawLen, fmt.Sprintf("%016x", record.FoldChain(0, recs)), hex.EncodeToString(body)}
			if o, ok := old[fmt.Sprint(name, used)]; ok && used == record.CodecColumnsZ && !*rewrite {
				g.Body = o.Body
			}
			out = append(out, g)
			if body, err = hex.DecodeString(g.Body); err != nil {
				t.Fatal(err)
			}
			got, err := d.Decode(nil, used, uint32(rawLen), uint32(len(recs)), body)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, recs, got)
		}
	}
	golden(t, path, out)
}

// TestPythonReader reads the golden bodies and vectors with the independent reader written from CODEC.md and CHAIN.md.
func TestPythonReader(t *testing.T) {
	var bodies []goldenBody
	b, err := os.ReadFile("testdata/bodies.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &bodies); err != nil {
		t.Fatal(err)
	}
	var in, want strings.Builder
	for _, g := range bodies {
		if g.Codec != record.CodecColumnsZ {
			fmt.Fprintln(&in, g.Codec, g.Count, g.Body)
			fmt.Fprintln(&want, g.Chain)
		}
	}
	cmd := exec.Command("python3", "testdata/decode.py")
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		stderr := ""
		if e, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output returns it as it is
			stderr = string(e.Stderr)
		}
		t.Fatalf("python3 testdata/decode.py (this test needs python3): %v\n%s", err, stderr)
	}
	if string(out) != want.String() {
		t.Fatalf("the independent reader found\n%swant\n%s", out, want.String())
	}
}

package stores

import (
	"bytes"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
)

// TestKafkaProtobuf has protoc, which knows only reading.proto, decode what kcat reads: every type of value.
func TestKafkaProtobuf(t *testing.T) {
	protoc, err := exec.LookPath("protoc")
	if err != nil {
		t.Fatal("protoc is not on this machine: deploy/bootstrap/setup.sh stores installs it")
	}
	k := kafkaServer(t)
	prefix := newPrefix()
	s := openKafka(t, kafka.Options{Brokers: k.Brokers(), Prefix: prefix, Format: kafka.FormatProtobuf, Shards: 1, Partitions: 1})
	defer s.Close()
	values := []struct {
		r    record.Record
		want string // as protoc writes it
	}{
		{record.Record{Type: record.TypeInt, Num: -7}, "type: \"int\"\nint: -7\n"},
		{record.Record{Type: record.TypeInt, Num: 0}, "type: \"int\"\nint: 0\n"},
		{record.Record{Type: record.TypeFloat, Num: int64(math.Float64bits(2.5))}, "type: \"float\"\nfloat: 2.5\n"},
		{record.Record{Type: record.Decimal(4), Num: -210625}, "type: \"decimal4\"\ndecimal {\n  unscaled: -210625\n  scale: 4\n}\n"},
		{record.Record{Type: record.TypeBool, Num: 1}, "type: \"bool\"\nbool: true\n"},
		{record.Record{Type: record.TypeString, Data: &record.Data{Value: []byte("offen")}}, "type: \"string\"\nstring: \"offen\"\n"},
		{record.Record{Type: record.TypeJSON, Data: &record.Data{Value: []byte(`{"a":1}`)}}, "type: \"json\"\njson: \"{\\\"a\\\":1}\"\n"},
		{record.Record{Type: record.TypeBytes, Data: &record.Data{Value: []byte{0, 255}, Detail: []byte("d")}}, "type: \"bytes\"\nbytes: \"\\000\\377\"\ndetail: \"d\"\n"},
	}
	c := store.Change{Device: "box", Stream: "telemetry", Epoch: 0xe1, Create: true, To: record.Offset(len(values)), ToChain: 1}
	for i, v := range values {
		v.r.Kind, v.r.Clock, v.r.Time, v.r.Series = record.KindObservation, record.ClockApp, 1_790_000_000e9+int64(i)*1e6, record.SeriesID(i+1)
		c.Rows = append(c.Rows, v.r)
		c.Definitions = append(c.Definitions, record.Definition{ID: v.r.Series, Series: record.Series{Name: fmt.Sprintf("s%d", i), Unit: "Cel", Type: v.r.Type,
			Labels: []record.Label{{Key: "rom", Value: "28-1"}}}})
	}
	if res, err := s.Commit(t.Context(), []store.Change{c}); err != nil || !res[0].Applied {
		t.Fatalf("%+v, %v", res, err)
	}
	for i, v := range values {
		raw, err := exec.Command("kcat", "-C", "-q", "-e", "-c", "1", "-b", k.Brokers()[0], "-t", prefix+".telemetry", "-p", "0", "-o", fmt.Sprint(i), "-f", "%s").Output()
		if err != nil {
			t.Fatalf("kcat: %v", err)
		}
		cmd := exec.Command(protoc, "--decode=edgelog.v1.Reading", "-I../../../hub/store/kafka", "reading.proto")
		cmd.Stdin = bytes.NewReader(raw)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("protoc: %v\n%s", err, out)
		}
		offset := ""
		if i > 0 {
			offset = fmt.Sprintf("offset: %d\n", i)
		}
		head := fmt.Sprintf("device: \"box\"\nstream: \"telemetry\"\nepoch: 225\n%st: %d\nseries: \"s%d\"\nlabels {\n  key: \"rom\"\n  value: \"28-1\"\n}\nunit: \"Cel\"\n", offset, 1_790_000_000_000_000+i*1000, i)
		typ, rest, _ := strings.Cut(v.want, "\n")
		if want := head + typ + "\nquality: \"good\"\nkind: \"observation\"\n" + rest; string(out) != want {
			t.Errorf("row %d: protoc says\n%s\nwant\n%s", i, out, want)
		}
	}
}

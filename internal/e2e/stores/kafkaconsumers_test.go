package stores

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

// fleet is rows as boxes send them: decimals every ten seconds of two sensors, some of which could not be read.
type fleet struct {
	prefix string
	began  int64 // s
	parts  int
	rows   int
	bad    int
	sum    int64              // of all values, in 1/10,000
	means  map[string][2]int  // of a series and window: how many, and their sum in 1/10,000
	last   map[string][]int64 // values of a device in order; badValue where there is none
}

const badValue = math.MinInt64

func newFleet() *fleet {
	// Lately, since Kafka deletes by the time that a record says; a whole number of windows.
	began := time.Now().Add(-6*time.Hour).Unix() / 300 * 300
	return &fleet{prefix: newPrefix(), began: began, means: map[string][2]int{}, last: map[string][]int64{}}
}

func (f *fleet) good() int { return f.rows - f.bad }

// write writes the next parts of rows of three boxes through the hub's store, and between them rows of a transaction that
// is given up, which no reader of committed records may see.
func (f *fleet) write(t *testing.T, k *servers.Kafka, parts int) {
	t.Helper()
	s := openKafka(t, kafka.Options{Brokers: k.Brokers(), Prefix: f.prefix})
	defer s.Close()
	const each = 240
	for range parts {
		part := f.parts
		f.parts++
		var changes []store.Change
		for i := range 3 {
			name := fmt.Sprintf("box-%02d", i)
			from := record.Offset(part * each)
			c := store.Change{Device: name, Stream: "telemetry", Epoch: record.Epoch(0xf000 + i), Create: part == 0, From: from, FromChain: uint64(part), RowBase: from,
				To: from + each, ToChain: uint64(part) + 1}
			for id := range 2 {
				c.Definitions = append(c.Definitions, record.Definition{ID: record.SeriesID(id + 1), Series: record.Series{Name: "temperature", Unit: "Cel",
					Labels: []record.Label{{Key: "rom", Value: fmt.Sprintf("28-%d", id)}}, Type: record.Decimal(4)}})
			}
			for o := from; o < c.To; o++ {
				at := f.began + 10*int64(o)
				r := record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Series: record.SeriesID(o%2 + 1), Time: at * 1e9, Type: record.Decimal(4), Num: 200000 + int64(o)*7919%5000 - int64(i)}
				if o%17 == 3 {
					r.Type, r.Num, r.Quality = record.TypeNone, 0, record.QualityTimeout
					f.bad++
					f.last[name] = append(f.last[name], badValue)
				} else {
					f.sum += r.Num
					key := fmt.Sprintf(`%s temperature{"rom":"28-%d"}@%d`, name, o%2, at/300*300*1000)
					m := f.means[key]
					f.means[key] = [2]int{m[0] + 1, m[1] + int(r.Num)}
					f.last[name] = append(f.last[name], r.Num)
				}
				c.Rows = append(c.Rows, r)
				f.rows++
			}
			changes = append(changes, c)
		}
		res, err := s.Commit(t.Context(), changes)
		if err != nil || !res[0].Applied || !res[1].Applied || !res[2].Applied {
			t.Fatalf("commit: %+v, %v", res, err)
		}
		giveUp(t, k, f.prefix+".telemetry")
	}
}

// giveUp writes rows in a transaction and aborts it.
func giveUp(t *testing.T, k *servers.Kafka, topic string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers()...), kgo.TransactionalID("stranger"), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		row := fmt.Sprintf(`{"device":"box-00","stream":"telemetry","epoch":"never","offset":%d,"t":1790000100000000,"t_error":0,"series":"temperature","labels":{"rom":"28-0"},"unit":"Cel","value":1,"quality":"good"}`, i)
		if err := c.ProduceSync(t.Context(), &kgo.Record{Key: []byte("box-00"), Value: []byte(row)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
}

// example is a program of another project that runs until the test ends.
type example struct {
	t   *testing.T
	cmd *exec.Cmd
	end chan error // nil: it has ended
}

func runExample(t *testing.T, cmd *exec.Cmd) *example {
	t.Helper()
	x := &example{t: t, cmd: cmd, end: make(chan error, 1)}
	log := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	go func() { x.end <- cmd.Wait() }() // the clean-up waits for it
	t.Cleanup(func() {
		x.kill()
		if t.Failed() {
			b, _ := os.ReadFile(log)
			t.Logf("the last of %v:\n%s", cmd.Args[len(cmd.Args)-1], b[max(0, len(b)-6000):])
		}
	})
	return x
}

// kill is kill -9, and waits for the end.
func (x *example) kill() {
	if x.end != nil {
		syscall.Kill(-x.cmd.Process.Pid, syscall.SIGKILL)
		<-x.end
		x.end = nil
	}
}

// until waits for ok, which says what there is.
func (x *example) until(what string, ok func() (string, bool)) {
	x.t.Helper()
	said := ""
	for end := time.Now().Add(6 * time.Minute); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		var done bool
		if said, done = ok(); done {
			return
		}
		select {
		case err := <-x.end:
			x.end = nil
			x.t.Fatalf("it ended before %s: %v; %s", what, err, said)
		default:
		}
	}
	x.t.Fatalf("not within six minutes: %s; %s", what, said)
}

// shippedFile is a file of deploy/kafka/consumers with the names of this test in the place of those that stand there.
func shippedFile(t *testing.T, dir, name string, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../deploy/kafka/consumers", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(b), replace[i]) {
			t.Fatalf("%s does not have %q", name, replace[i])
		}
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(string(b))), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestKafkaConnect runs Kafka's own Connect with the files of docs/stores.md. The sink into a file must have every committed
// row once. Debezium's JDBC sink cannot be had here; what stands before it in its file, the schema and the transformation
// that give a table its columns, is run into a file as well.
func TestKafkaConnect(t *testing.T) {
	t.Parallel() // after those that kill servers; it mostly waits for programs to start
	libs, err := servers.ConsumerLibs()
	if err != nil {
		t.Fatal(err)
	}
	k, dir := kafkaServer(t), t.TempDir()
	f := newFleet()
	f.write(t, k, 4)
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	topic, lines, structs := "topics="+f.prefix+".telemetry", filepath.Join(dir, "rows.jsonl"), filepath.Join(dir, "structs")
	worker := shippedFile(t, dir, "worker.properties", "kafka-1:9092", k.Brokers()[0], "127.0.0.1:8083", fmt.Sprintf("127.0.0.1:%d", port), "/var/tmp", dir)
	file := shippedFile(t, dir, "file-sink.properties", "/var/tmp/edge.telemetry.jsonl", lines, "topics=edge.telemetry", topic)
	table := shippedFile(t, dir, "jdbc-sink.properties", "io.debezium.connector.jdbc.JdbcSinkConnector", "org.apache.kafka.connect.file.FileStreamSinkConnector\nfile="+structs,
		"topics=edge.telemetry", topic)
	x := runExample(t, k.JavaWith(libs, "256m", "org.apache.kafka.connect.cli.ConnectStandalone", worker, file, table))
	for _, name := range []string{lines, structs} {
		x.until(name+" has every row", func() (string, bool) {
			b, _ := os.ReadFile(name)
			n := bytes.Count(b, []byte("\n"))
			return fmt.Sprintf("%d of %d lines", n, f.rows), n >= f.rows
		})
	}
	checkLines(t, lines, f)
	checkStructs(t, structs, f)
}

var structLine = regexp.MustCompile(`^Struct\{device=(\S+),stream=telemetry,epoch=[0-9a-f]{16},offset=(\d+),t=\d{16},t_error=0,series=temperature,labels_rom=28-[01],unit=Cel,(?:value=([0-9.]+),)?quality=(\S+)\}$`)

// checkStructs demands the columns of a table.
func checkStructs(t *testing.T, file string, f *fleet) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum, bad := int64(0), 0
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	for _, l := range all {
		m := structLine.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("row %s", l)
		}
		if m[3] == "" {
			bad++
			continue
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil || m[4] != "good" {
			t.Fatalf("row %s: %v", l, err)
		}
		sum += int64(math.Round(v * 10000))
	}
	if len(all) != f.rows || bad != f.bad || sum != f.sum {
		t.Errorf("%d rows, %d of them without a value, sum %d; want %d, %d, %d", len(all), bad, sum, f.rows, f.bad, f.sum)
	}
}

// checkLines demands every row of every device once and in order, and no other.
func checkLines(t *testing.T, file string, f *fleet) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]int64{}
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var r struct {
			Device string
			Offset int64
			Value  *float64
		}
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Fatalf("line %s: %v", l, err)
		}
		if r.Offset != next[r.Device] || int(r.Offset) >= len(f.last[r.Device]) {
			t.Fatalf("of %s came offset %d, want %d", r.Device, r.Offset, next[r.Device])
		}
		value := int64(badValue)
		if r.Value != nil {
			value = int64(math.Round(*r.Value * 10000))
		}
		if want := f.last[r.Device][r.Offset]; value != want {
			t.Errorf("%s at %d: %d, want %d", r.Device, r.Offset, value, want)
		}
		next[r.Device]++
	}
	for d, rows := range f.last {
		if int(next[d]) != len(rows) {
			t.Errorf("%d rows of %s, want %d", next[d], d, len(rows))
		}
	}
}

// TestKafkaStreams runs the Kafka Streams program of docs/stores.md from its source and is killed in the middle: its means
// count every good row once.
func TestKafkaStreams(t *testing.T) {
	t.Parallel() // after those that kill servers; it mostly waits for programs to start
	libs, err := servers.ConsumerLibs()
	if err != nil {
		t.Fatal(err)
	}
	source, err := filepath.Abs("../../../deploy/kafka/consumers/Means.java")
	if err != nil {
		t.Fatal(err)
	}
	k := kafkaServer(t)
	f := newFleet()
	f.write(t, k, 2)
	means := f.prefix + "-means"
	if out, err := k.Java("128m", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", k.Brokers()[0], "--create", "--topic", means, "--partitions", "2").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	state := t.TempDir()
	start := func() *example {
		return runExample(t, k.JavaWith(libs, "256m", source, k.Brokers()[0], f.prefix+".telemetry", means, state))
	}
	read := func() (map[string][2]float64, int) {
		out, err := exec.Command("kcat", "-C", "-q", "-e", "-b", k.Brokers()[0], "-t", means, "-o", "beginning", "-X", "isolation.level=read_committed", "-f", `%k\t%s\n`).Output()
		if err != nil {
			t.Fatalf("kcat: %v", err)
		}
		latest, n := map[string][2]float64{}, 0
		for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			key, value, ok := strings.Cut(l, "\t")
			var m struct{ Count, Mean float64 }
			if ok && json.Unmarshal([]byte(value), &m) == nil {
				latest[key] = [2]float64{m.Count, m.Mean}
			}
		}
		for _, m := range latest {
			n += int(m[0])
		}
		return latest, n
	}
	counted := func() (string, bool) {
		latest, n := read()
		var missing []string
		for key, want := range f.means {
			if got := latest[key]; int(got[0]) != want[0] && len(missing) < 8 {
				missing = append(missing, fmt.Sprintf("%s has %v of %d", key, got[0], want[0]))
			}
		}
		return fmt.Sprintf("%d of %d rows are in the means; %v", n, f.good(), missing), n >= f.good()
	}
	x := start()
	x.until("the means count every row", counted)
	x.kill()
	f.write(t, k, 2)
	start().until("the means count every row after a kill", counted)
	latest, n := read()
	if n != f.good() || len(latest) != len(f.means) {
		t.Errorf("%d rows in %d windows, want %d in %d", n, len(latest), f.good(), len(f.means))
	}
	for key, want := range f.means {
		mean := float64(want[1]) / 10000 / float64(want[0])
		if got := latest[key]; int(got[0]) != want[0] || math.Abs(got[1]-mean) > 1e-9 {
			t.Errorf("%s: %v, want %d rows with mean %v", key, got, want[0], mean)
		}
	}
}

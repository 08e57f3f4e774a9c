package stores

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/hub/store/postgres"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

var (
	runBench = flag.Bool("bench-stores", false, "run TestBench")
	benchFor = flag.Duration("bench-for", 8*time.Second, "how long each store is measured")
	benchOf  = flag.String("bench-of", "sqlite,postgres,kafka", "stores that TestBench measures")
)

// benchLoad is what boxes send: 64 devices with 50 series each, decimals that change slowly, sweeps of one second.
type benchLoad struct {
	devices []benchDevice
	rows    []record.Record
	defs    []record.Definition
}

type benchDevice struct {
	name  string
	next  record.Offset
	chain uint64
	begun bool
}

const benchBatch = 1000 // rows of one change

func newBenchLoad() *benchLoad {
	l := &benchLoad{}
	for i := range 64 {
		l.devices = append(l.devices, benchDevice{name: fmt.Sprintf("box-%03d", i)})
	}
	for i := range 50 {
		l.defs = append(l.defs, record.Definition{ID: record.SeriesID(i + 1), Series: record.Series{Name: "temperature", Unit: "Cel",
			Labels: []record.Label{{Key: "rom", Value: fmt.Sprintf("28-%012x", i)}}, Type: record.Decimal(4)}})
	}
	for i := range benchBatch {
		l.rows = append(l.rows, record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Series: record.SeriesID(i%50 + 1),
			Time: 1790000000e9 + int64(i/50)*1e9, Type: record.Decimal(4), Num: 210000 + int64(i*7919%2000)})
	}
	return l
}

// commit is one round of a hub: 20 changes of 1,000 rows. The chain is made up: folding it is not the store's work.
func (l *benchLoad) commit(s store.Store, round int) error {
	var changes []store.Change
	for i := range 20 {
		d := &l.devices[(round*20+i)%len(l.devices)]
		c := store.Change{Device: d.name, Stream: "telemetry", Epoch: 1, Create: !d.begun, From: d.next, FromChain: d.chain, RowBase: d.next,
			To: d.next + benchBatch, ToChain: d.chain + 1, Rows: l.rows, Definitions: l.defs}
		changes = append(changes, c)
		d.next, d.chain, d.begun = c.To, c.ToChain, true
	}
	res, err := s.Commit(context.Background(), changes)
	if err != nil {
		return err
	}
	for i := range res {
		if !res[i].Applied {
			return fmt.Errorf("change %d was not applied", i)
		}
	}
	return nil
}

// measure is rows a second, after a second of warming up.
func measure(t *testing.T, s store.Store) float64 {
	t.Helper()
	defer s.Close()
	l := newBenchLoad()
	round, rows := 0, 0
	var from time.Time
	for begun := time.Now(); ; round++ {
		if from.IsZero() && time.Since(begun) > time.Second {
			from, rows = time.Now(), 0
		}
		if !from.IsZero() && time.Since(from) > *benchFor {
			return float64(rows) / time.Since(from).Seconds()
		}
		if err := l.commit(s, round); err != nil {
			t.Fatal(err)
		}
		rows += 20 * benchBatch
	}
}

func report(name string, value float64, unit string) {
	fmt.Printf("bench %s %.4g %s\n", name, value, unit)
}

// TestBench measures every store with the same rows, and Kafka's own producer beside ours.
func TestBench(t *testing.T) {
	if !*runBench {
		t.Skip("long: make bench-stores runs it")
	}
	for _, of := range strings.Split(*benchOf, ",") {
		switch of {
		case "sqlite":
			lite, err := sqlite.Open(filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			report("store_sqlite_samples_per_s", measure(t, lite), "samples/s")
		case "postgres":
			benchPostgres(t)
		case "kafka":
			benchKafka(t)
		default:
			t.Fatalf("-bench-of %q", of)
		}
	}
}

func benchPostgres(t *testing.T) {
	pg, err := servers.StartPostgres("shared_buffers=512MB", "max_wal_size=8GB", "wal_compression=lz4", "checkpoint_timeout=15min")
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	p, err := postgres.Open(context.Background(), postgres.Options{URL: pg.URL()})
	if err != nil {
		t.Fatal(err)
	}
	report("store_postgres_samples_per_s", measure(t, p), "rows/s")
}

func benchKafka(t *testing.T) {
	// A transaction that follows at once waits for the one before to be ended everywhere, by default in steps of 20 ms.
	k, err := servers.StartFastKafka("add.partitions.to.txn.retry.backoff.ms=1")
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	o := func(f kafka.Format, prefix string) kafka.Options {
		return kafka.Options{Brokers: k.Brokers(), Prefix: prefix, Format: f, Shards: 4, Partitions: 4, Compression: "lz4"}
	}
	js := openKafka(t, o(kafka.FormatJSON, "warm"))
	measure(t, js) // the broker is a Java program: what it has not run yet it runs slowly
	raw := openKafka(t, o(kafka.FormatRaw, "raw"))
	report("store_kafka_raw_samples_per_s", measure(t, raw), "samples/s")
	js = openKafka(t, o(kafka.FormatJSON, "json"))
	rate := measure(t, js)
	report("store_kafka_json_samples_per_s", rate, "samples/s")
	report("kafka_txn_p99_ms", js.Health().P99Seconds*1000, "ms")

	size := rowBytes(t, k, "json.telemetry")
	perf := perfTest(t, k, size)
	report("kafka_record_bytes", float64(size), "B")
	report("kafka_json_bytes_per_s", rate*float64(size), "B/s")
	report("kafka_perf_test_bytes_per_s", perf, "B/s")
	report("kafka_vs_perf_test", rate*float64(size)/perf, "ratio")
}

// rowBytes is key and value of a row in JSON; headers, which the perf test does not send, are not counted in our favour.
func rowBytes(t *testing.T, k *servers.Kafka, topic string) int {
	t.Helper()
	s, n := 0, 0
	sampleRows(t, k.Brokers(), topic, func(key, value []byte) {
		s, n = s+len(key)+len(value), n+1
	})
	if n == 0 {
		t.Fatal("no rows in " + topic)
	}
	return s / n
}

var perfLine = regexp.MustCompile(`\(([0-9.]+) MB/sec\)`)

// perfTest is the bytes a second of Kafka's own producer-perf-test: same record size, acks=all, same compression and
// batch size, a topic with as many partitions.
func perfTest(t *testing.T, k *servers.Kafka, size int) float64 {
	t.Helper()
	topic := k.Java("256m", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", k.Brokers()[0], "--create", "--topic", "perf", "--partitions", "4")
	if out, err := topic.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	records := int(benchFor.Seconds() * 250_000)
	cmd := k.Java("512m", "org.apache.kafka.tools.ProducerPerformance", "--topic", "perf", "--num-records", strconv.Itoa(records), "--record-size", strconv.Itoa(size),
		"--throughput", "-1", "--producer-props", "bootstrap.servers="+k.Brokers()[0], "acks=all", "compression.type=lz4", "batch.size=1000000", "linger.ms=20", "buffer.memory=268435456")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := perfLine.FindAllSubmatch(out, -1)
	if len(all) == 0 {
		t.Fatalf("the perf test says\n%s", out)
	}
	mb, err := strconv.ParseFloat(string(all[len(all)-1][1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return mb * (1 << 20)
}

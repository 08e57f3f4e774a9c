package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/wire"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startHub runs a hub on a configuration file until stop is called.
func startHub(t *testing.T, file string) (stop func()) {
	t.Helper()
	c, err := hub.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	go func() { done <- hub.Run(ctx, c, log) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// device speaks the protocol by hand.
type device struct {
	t    *testing.T
	conn *mqttclient.Conn
	acks chan *wire.Ack
	tp   wire.Topics
}

func dialDevice(t *testing.T, broker string) *device {
	t.Helper()
	d := &device{t: t, acks: make(chan *wire.Ack, 100)}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for d.conn == nil {
		c, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: broker, ClientID: "box-1"})
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		d.conn = c
	}
	t.Cleanup(d.conn.Abort)
	err := d.conn.Subscribe(ctx, d.tp.Answer("box-1"), 1, func(m mqttclient.Message) {
		a, err := wire.ParseAck(m.Payload)
		if err != nil {
			t.Error(err)
			return
		}
		d.acks <- a
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ask publishes until an ack answers it: the hub may still be connecting.
func (d *device) ask(topic string, payload []byte) *wire.Ack {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		if err := d.conn.Publish(ctx, topic, 1, false, payload); err != nil {
			d.t.Fatal(err)
		}
		select {
		case a := <-d.acks:
			return a
		case <-time.After(time.Second):
		case <-ctx.Done():
			d.t.Fatal("the hub does not answer")
		}
	}
}

const testEpoch = record.Epoch(0xabc)

func (d *device) hello(nonce wire.Nonce, end record.Offset) *wire.Ack {
	return d.ask(d.tp.Hello("box-1"), wire.AppendHello(nil, &wire.Hello{Nonce: nonce, Parts: 1, Agent: "test", Boot: "b",
		Streams: []wire.StreamState{{Stream: "telemetry", Epochs: []wire.EpochState{{Epoch: testEpoch, End: end}}}}}))
}

func frame(nonce wire.Nonce, base record.Offset, chain uint64, recs []record.Record) (*wire.Data, uint64) {
	var body []byte
	for i := range recs {
		body = recs[i].AppendCanonical(body)
	}
	end := record.FoldChain(chain, recs)
	return &wire.Data{FrameHeader: wire.FrameHeader{Stream: "telemetry", Epoch: testEpoch, Nonce: nonce}, Base: base,
		Count: uint32(len(recs)), ChainBase: chain, ChainEnd: end, Codec: record.CodecPlain, RawLen: uint32(len(body)), Body: body,
		CRC:         crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)),
		Definitions: []record.Definition{{ID: 1, Series: record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4)}}}}, end
}

// freePort is a port that nobody has now; the hub takes it twice.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestHubTakesFramesAndSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "hub.yaml")
	port := freePort(t)
	text := fmt.Sprintf("embedded_broker:\n  listen: 127.0.0.1:%d\nstore:\n  sqlite: hub.db\nrun_dir: run\n", port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := startHub(t, file)
	d := dialDevice(t, fmt.Sprintf("tcp://127.0.0.1:%d", port))
	if a := d.hello(7, 3); a.Nonce != 7 || !a.Answer || a.Credit == 0 {
		t.Fatalf("%+v", a)
	}
	boot, err := record.MarkRecord(record.KindBoot, record.Stamp{Clock: record.ClockBoot}, record.BootMark{
		Anchor: record.Anchor{Boot: "b", UTC: time.Now().Add(-time.Minute).UnixNano(), Source: record.SourceNTP}})
	if err != nil {
		t.Fatal(err)
	}
	obs := func(n int64) record.Record {
		return record.Record{Kind: record.KindObservation, Series: 1, Time: n * 1e9, Clock: record.ClockBoot, Type: record.Decimal(4), Num: n}
	}
	f, chain := frame(7, 0, 0, []record.Record{boot, obs(1), obs(2)})
	a := d.ask(d.tp.Data("box-1", "telemetry"), wire.AppendData(nil, f))
	if p := a.Positions[0]; p.Next != 3 || p.ChainNext != chain || p.Verdict != wire.VerdictOK {
		t.Fatalf("%+v", a)
	}
	var st hub.Status
	if err := json.Unmarshal([]byte(run(t, 0, "status", "--json", "--config", file)), &st); err != nil {
		t.Fatal(err)
	}
	if st.State != hub.StateOK || st.Live == nil || !st.Live.Link.Up || st.Devices[0].Device != "box-1" || st.Store.Rows != 3 {
		t.Errorf("%+v", st)
	}
	if out := run(t, 0, "status", "--config", file); !strings.Contains(out, "connected since") || !strings.Contains(out, "box-1") {
		t.Error(out)
	}
	c, err := hub.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.Run(context.Background(), c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another hub") {
		t.Errorf("a second hub on the same directory: %v", err)
	}

	stop()
	run(t, hub.ExitUnreachable, "status", "--config", file)
	startHub(t, file)
	d = dialDevice(t, fmt.Sprintf("tcp://127.0.0.1:%d", port))
	if p := d.hello(8, 4).Positions[0]; p.Next != 3 || p.ChainNext != chain {
		t.Fatalf("after a restart: %+v", p)
	}
	f, chain = frame(8, 2, record.FoldChain(0, []record.Record{boot, obs(1)}), []record.Record{obs(2), obs(3)})
	if p := d.ask(d.tp.Data("box-1", "telemetry"), wire.AppendData(nil, f)).Positions[0]; p.Next != 4 || p.ChainNext != chain {
		t.Fatalf("a frame across the position: %+v", p)
	}
	run(t, 0, "verify", "--config", file)
	if out := run(t, 0, "count", "--config", file, "--series", "temperature%"); out != "3\n" {
		t.Errorf("count: %s", out)
	}
}

package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/golden.txt anew")

func data() *wire.Data {
	body := []byte("a body of some bytes")
	return &wire.Data{
		FrameHeader: wire.FrameHeader{Stream: "telemetry", Epoch: 0xe2, Parent: 0xe1, ParentEnd: 1_000_000, First: 1_000_000, Nonce: 0x1122334455667788},
		Base:        1_234_567, Count: 100, ChainBase: 0xc0ffee, ChainEnd: 0xbeef,
		Codec: record.CodecColumns, RawLen: uint32(len(body)), CRC: wire.Checksum(body), Body: body,
	}
}

func fullData() *wire.Data {
	d := data()
	d.ParentEnd, d.Codec, d.RawLen = 999_999, record.CodecColumnsZ, 70_000
	d.Definitions = []record.Definition{
		{ID: 1, Series: record.Series{Name: "temperature", Labels: []record.Label{{Key: "rom", Value: "28-00000a"}}, Unit: "Cel", Type: record.Decimal(4)}},
		{ID: 7, Series: record.Series{Name: "up", Type: record.TypeBool}},
	}
	span := func(name string, inc, seq uint64, from, to record.Offset) record.ProducerSpan {
		return record.ProducerSpan{ProducerPosition: record.ProducerPosition{Name: name, Incarnation: inc, Sequence: seq}, Range: record.Range{From: from, To: to}}
	}
	d.Producers = []record.ProducerSpan{
		span("node1", 0xaaaa, 17, 1_234_567, 1_234_570), span("node1", 0xaaaa, 18, 1_234_570, 1_234_571),
		span("npu", 5, 1<<40, 1_234_580, 1_234_600), span("node1", 0xaaab, 0, 1_234_600, 1_234_602),
	}
	return d
}

func gap() *wire.Gap {
	return &wire.Gap{FrameHeader: data().FrameHeader, Range: record.Range{From: 1_000_010, To: 1_000_500},
		Reason: record.ReasonRetention, ChainFrom: 1, ChainTo: 2, TimeMin: 1_700_000_000_000_000, TimeMax: 1_700_000_060_000_000}
}

func hello() *wire.Hello {
	return &wire.Hello{Nonce: 9, Part: 0, Parts: 1, Agent: "0.1.0", Boot: "8f1c", BootTime: 12_345_678_901, Clock: "synchronised",
		Inventory: map[string]string{"hostname": "box-17", "kernel": "6.1"},
		Streams: []wire.StreamState{
			{Stream: "alarms"},
			{Stream: "telemetry", Epochs: []wire.EpochState{
				{Epoch: 0xe1, First: 0, Low: 500, End: 1_000_000, ChainKnown: true, ChainEnd: 0xfeed},
				{Epoch: 0xe2, Parent: 0xe1, ParentEnd: 1_000_000, First: 1_000_000, Low: 1_000_000, End: 1_234_667},
				{Epoch: 0xe3, Parent: 0xe2, ParentEnd: 1_234_600, First: 1_234_667, Low: 1_234_667, End: 1_234_667},
			}},
		}}
}

func ack() *wire.Ack {
	return &wire.Ack{Nonce: 9, Positions: []wire.Position{{Stream: "telemetry", Epoch: 0xe2, Known: true, Next: 1_234_667, ChainNext: 0xbeef}}, Credit: 1 << 20}
}

func answer() *wire.Ack {
	g := record.Gap{Epoch: 0xe1, Range: record.Range{From: 10, To: 20}, Reason: record.ReasonCorrupt, ChainFrom: 3, ChainTo: 4, TimeMin: -5, TimeMax: 7}
	return &wire.Ack{Nonce: 9, Answer: true, Part: 1, Parts: 2, Credit: 77, HubTime: 1_700_000_000_123_456_789, HubSynced: true, Notices: []string{"two-writers telemetry"},
		Positions: []wire.Position{
			{Stream: "telemetry", Epoch: 0xe1, Known: true, Next: 30, ChainNext: 5, Verdict: wire.VerdictRewind, Gaps: []record.Gap{g}, Skipped: []wire.SkippedRange{{Range: record.Range{From: 2, To: 3}, Reason: "repeat"}},
				Marks: []wire.Mark{{Offset: 0, Chain: 6}, {Offset: 29, Chain: 9}}},
			{Stream: "telemetry", Epoch: 0xe2, Next: 30, Verdict: wire.VerdictWait, Parent: 0xe1},
			{Stream: "alarms", Epoch: 0xe4, Known: true, Next: 1, ChainNext: 8, Verdict: wire.VerdictConflict},
		}}
}

type codec struct {
	name   string
	m      wire.Message
	append func([]byte) []byte
	parse  func([]byte) (wire.Message, error)
}

func wrap[M wire.Message](m M, err error) (wire.Message, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

func codecs() []codec {
	onData := func(b []byte) (wire.Message, error) { return wrap(wire.ParseData("telemetry", b)) }
	onGap := func(b []byte) (wire.Message, error) { return wrap(wire.ParseGap("telemetry", b)) }
	onAck := func(b []byte) (wire.Message, error) { return wrap(wire.ParseAck(b)) }
	var out []codec
	for name, d := range map[string]*wire.Data{"data": data(), "data-full": fullData()} {
		out = append(out, codec{name, d, func(b []byte) []byte { return wire.AppendData(b, d) }, onData})
	}
	root := data()
	root.Parent, root.ParentEnd, root.First, root.Base = 0, 0, 0, 0
	out = append(out, codec{"data-root", root, func(b []byte) []byte { return wire.AppendData(b, root) }, onData},
		codec{"gap", gap(), func(b []byte) []byte { return wire.AppendGap(b, gap()) }, onGap},
		codec{"hello", hello(), func(b []byte) []byte { return wire.AppendHello(b, hello()) }, func(b []byte) (wire.Message, error) { return wrap(wire.ParseHello(b)) }},
		codec{"ack", ack(), func(b []byte) []byte { return wire.AppendAck(b, ack()) }, onAck},
		codec{"answer", answer(), func(b []byte) []byte { return wire.AppendAck(b, answer()) }, onAck},
		codec{"hubup", &wire.HubUp{SpreadSeconds: 60}, func(b []byte) []byte { return wire.AppendHubUp(b, &wire.HubUp{SpreadSeconds: 60}) }, func(b []byte) (wire.Message, error) { return wrap(wire.ParseHubUp(b)) }},
	)
	return out
}

func TestRoundTripAndDamage(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			b := c.append([]byte("x"))[1:]
			m, err := c.parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(m, c.m) {
				t.Fatalf("got  %+v\nwant %+v", m, c.m)
			}
			for n := range b {
				m, err := c.parse(b[:n])
				if d, ok := m.(*wire.Data); ok && !d.BodyOK() {
					continue // the header is whole, the body's CRC tells
				}
				if !errors.Is(err, wire.ErrMessage) {
					t.Fatalf("first %d bytes: error %v", n, err)
				}
			}
			for bit := range len(b) * 8 {
				bad := bytes.Clone(b)
				bad[bit/8] ^= 1 << (bit % 8)
				m, err := c.parse(bad)
				if d, ok := m.(*wire.Data); ok && !d.BodyOK() {
					continue
				}
				if !errors.Is(err, wire.ErrMessage) {
					t.Fatalf("bit %d flipped: error %v", bit, err)
				}
			}
		})
	}
}

// The bytes of each message may not change within a version of the protocol.
func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "golden.txt")
	var got []string
	for _, c := range codecs() {
		got = append(got, fmt.Sprintf("%s %s", c.name, hex.EncodeToString(c.append(nil))))
	}
	sortLines(got)
	text := strings.Join(got, "\n") + "\n"
	if *rewrite {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("bytes changed (run with -rewrite only before a release):\n%s", text)
	}
}

func sortLines(l []string) {
	for i := range l {
		for j := i; j > 0 && l[j] < l[j-1]; j-- {
			l[j], l[j-1] = l[j-1], l[j]
		}
	}
}

func TestSizes(t *testing.T) {
	d := data()
	if n := len(wire.AppendData(nil, d)) - len(d.Body); n > 65 {
		t.Errorf("data header takes %d bytes", n)
	}
	if n := len(wire.AppendAck(nil, ack())); n > 56 {
		t.Errorf("ack takes %d bytes", n)
	}
	t.Logf("data header %d, ack %d, gap %d", len(wire.AppendData(nil, d))-len(d.Body), len(wire.AppendAck(nil, ack())), len(wire.AppendGap(nil, gap())))
}

func TestFrameOfAnotherStreamDoesNotParse(t *testing.T) {
	if _, err := wire.ParseFrame("alarms", wire.AppendData(nil, data())); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("data: %v", err)
	}
	if _, err := wire.ParseFrame("alarms", wire.AppendGap(nil, gap())); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("gap: %v", err)
	}
}

func TestNewerVersion(t *testing.T) {
	b := wire.AppendAck(nil, ack())
	b[0] = 2<<4 | b[0]&15
	if _, err := wire.ParseAck(b); !errors.Is(err, wire.ErrVersion) || !errors.Is(err, wire.ErrMessage) {
		t.Errorf("got %v", err)
	}
}

func TestBoundsCutWhatIsAppended(t *testing.T) {
	a := answer()
	p := a.Positions[0]
	a.Positions = nil
	for i := range 300 {
		q := p
		q.Epoch = record.Epoch(i + 1)
		q.Gaps = nil
		for j := range 100 {
			g := p.Gaps[0]
			g.Epoch, g.From, g.To = q.Epoch, record.Offset(j*10), record.Offset(j*10+5)
			q.Gaps = append(q.Gaps, g)
		}
		a.Positions = append(a.Positions, q)
	}
	a.Notices = []string{strings.Repeat("é", 200)}
	b := wire.AppendAck(nil, a)
	if len(b) > wire.MaxPacketBytes/2 {
		t.Errorf("ack of %d bytes", len(b))
	}
	got, err := wire.ParseAck(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Positions) != wire.MaxAckPositions || len(got.Positions[0].Gaps) != wire.MaxAckGaps || len(got.Notices[0]) != wire.MaxStringBytes {
		t.Errorf("%d positions, %d gaps, notice of %d bytes", len(got.Positions), len(got.Positions[0].Gaps), len(got.Notices[0]))
	}
}

func TestManyProducerSpansFitAPacket(t *testing.T) {
	d := data()
	d.Base, d.Count = d.First, record.MaxBatchRecords
	for i := range record.MaxBatchRecords {
		o := d.First + record.Offset(i)
		d.Producers = append(d.Producers, record.ProducerSpan{
			ProducerPosition: record.ProducerPosition{Name: fmt.Sprintf("producer-%d", i%record.MaxProducers), Incarnation: uint64(i % record.MaxProducers), Sequence: uint64(i)},
			Range:            record.Range{From: o, To: o + 1}})
	}
	b := wire.AppendData(nil, d)
	if len(b) > wire.MaxPacketBytes-record.MaxBodyBytes-wire.MaxDefinitionsBytes {
		t.Errorf("%d bytes", len(b))
	}
	got, err := wire.ParseData(d.Stream, b)
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("round trip: %v", err)
	}
}

// TestProducerNames: what no log takes comes from no box of ours.
func TestProducerNames(t *testing.T) {
	for _, name := range []string{"", "a b", "npu\x00", "a/b", "\u00e9"} {
		d := data()
		d.Producers = []record.ProducerSpan{{ProducerPosition: record.ProducerPosition{Name: name, Incarnation: 1, Sequence: 1},
			Range: record.Range{From: d.Base, To: d.Base + 1}}}
		if _, err := wire.ParseData(d.Stream, wire.AppendData(nil, d)); err == nil {
			t.Errorf("a message of producer %q was taken", name)
		}
	}
}

func TestTopics(t *testing.T) {
	for _, p := range []wire.Topics{{}, {Prefix: "a/b/c"}} {
		for _, want := range []struct {
			topic string
			is    wire.Topic
		}{
			{p.Data("box-1", "telemetry"), wire.Topic{Channel: wire.ChannelData, Device: "box-1", Stream: "telemetry"}},
			{p.Hello("box-1"), wire.Topic{Channel: wire.ChannelHello, Device: "box-1"}},
			{p.Answer("box-1"), wire.Topic{Channel: wire.ChannelAnswer, Device: "box-1"}},
			{p.State("b x"), wire.Topic{Channel: wire.ChannelState, Device: "b x"}},
			{p.Values("ü"), wire.Topic{Channel: wire.ChannelValues, Device: "ü"}},
			{p.Hub(), wire.Topic{Channel: wire.ChannelHub}},
		} {
			if got, ok := p.ParseTopic(want.topic); !ok || got != want.is {
				t.Errorf("%s: %+v %v", want.topic, got, ok)
			}
		}
	}
	for _, bad := range []string{"", "edge/v1", "edge/v1/", "edge/v1/x", "edge/v1/hub/h", "edge/v1/enroll/h", "edge/v1/x/q", "edge/v1/x/d/", "edge/v1/x/d/UP", "edge/v1/x/d/a/b", "edge/v2/x/h", "edge/v1//h", "edge/v1/a+/h"} {
		if got, ok := (wire.Topics{}).ParseTopic(bad); ok {
			t.Errorf("%q parses as %+v", bad, got)
		}
	}
	for id, want := range map[string]bool{"box": true, "": false, "hub": false, "enroll": false, "a/b": false, "a+": false, "#": false, "$x": false, "a\x00": false, "a\n": false,
		strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "\xff": false} {
		if wire.ValidDevice(id) != want {
			t.Errorf("ValidDevice(%q) is %v", id, !want)
		}
	}
	for prefix, want := range map[string]bool{"": true, "edge/v1": true, "a//b": false, "/a": false, "a/": false, "a/+": false, "$SYS": false} {
		if err := (wire.Topics{Prefix: prefix}).Validate(); (err == nil) != want {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

func TestState(t *testing.T) {
	for _, want := range []wire.State{{}, {Online: true, Agent: "0.1", Boot: "b"}} {
		if got, err := wire.ParseState(wire.AppendState(nil, &want)); err != nil || *got != want {
			t.Errorf("%+v: %+v, %v", want, got, err)
		}
	}
	long := wire.State{Agent: strings.Repeat("x", 10_000)}
	if b := wire.AppendState(nil, &long); len(b) > wire.MaxStateBytes {
		t.Errorf("%d bytes", len(b))
	}
	for _, bad := range []string{"", "[]", strings.Repeat(" ", 5000)} {
		if _, err := wire.ParseState([]byte(bad)); !errors.Is(err, wire.ErrMessage) {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
}

func BenchmarkAppendParseData(b *testing.B) {
	d := data()
	var buf []byte
	for b.Loop() {
		buf = wire.AppendData(buf[:0], d)
		if _, err := wire.ParseData("telemetry", buf); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhatNoLogComesTo: offsets that a store cannot count with and names that it cannot hold are refused here. An engine that fails
// on them would look like one that is down, and stop all devices of the hub.
func TestWhatNoLogComesTo(t *testing.T) {
	const most = record.MaxOffset
	head := wire.FrameHeader{Stream: "telemetry", Epoch: 7, Nonce: 1}
	at := func(first record.Offset) wire.FrameHeader { h := head; h.First = first; return h }
	data := func(h wire.FrameHeader, base record.Offset, producer string) error {
		d := &wire.Data{FrameHeader: h, Base: base, Count: 2, CRC: wire.Checksum(nil)}
		if producer != "-" {
			d.Producers = []record.ProducerSpan{{ProducerPosition: record.ProducerPosition{Name: producer}, Range: record.Range{From: base, To: base + 1}}}
		}
		_, err := wire.ParseData("telemetry", wire.AppendData(nil, d))
		return err
	}
	gap := func(h wire.FrameHeader, from, to record.Offset) error {
		_, err := wire.ParseGap("telemetry", wire.AppendGap(nil, &wire.Gap{FrameHeader: h, Range: record.Range{From: from, To: to}}))
		return err
	}
	hello := func(e wire.EpochState) error {
		_, err := wire.ParseHello(wire.AppendHello(nil, &wire.Hello{Parts: 1, Streams: []wire.StreamState{{Stream: "telemetry", Epochs: []wire.EpochState{e}}}}))
		return err
	}
	child := head
	child.Parent, child.ParentEnd = 6, most+1
	for _, c := range []struct {
		what string
		err  error
		ok   bool
	}{
		{"the last records", data(at(most-2), most-2, "-"), true},
		{"beyond", data(at(most-1), most-1, "-"), false},
		{"above what is signed", data(at(1<<63), 1<<63, "-"), false},
		{"an epoch that begins beyond", gap(at(most+1), most+1, most+2), false},
		{"a parent that ends beyond", data(child, 0, "-"), false},
		{"the last gap", gap(at(0), 0, most), true},
		{"a gap beyond", gap(at(0), 0, most+1), false},
		{"a hello's epoch", hello(wire.EpochState{Epoch: 7, End: most}), true},
		{"a hello's epoch beyond", hello(wire.EpochState{Epoch: 7, End: most + 1}), false},
		{"a hello's parent beyond", hello(wire.EpochState{Epoch: 7, Parent: 6, ParentEnd: most + 1}), false},
		{"a producer", data(head, 0, "npu:1"), true},
		{"a producer with a NUL", data(head, 0, "a\x00b"), false},
		{"a producer without a name", data(head, 0, ""), false},
		{"a producer that moves the cursor", data(head, 0, "\x1b[2J"), false},
	} {
		if (c.err == nil) != c.ok {
			t.Errorf("%s: %v", c.what, c.err)
		}
	}
}

package mqttsource

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

// Data types of metrics.
const (
	typeInt8     = 1
	typeInt16    = 2
	typeInt32    = 3
	typeInt64    = 4
	typeUInt8    = 5
	typeUInt16   = 6
	typeUInt32   = 7
	typeUInt64   = 8
	typeFloat    = 9
	typeDouble   = 10
	typeBoolean  = 11
	typeString   = 12
	typeDateTime = 13
	typeText     = 14
	typeUUID     = 15
	typeBytes    = 17
	typeFile     = 18
)

// maxMillis is the last time in ms since 1970 that fits 63 bits of ns.
const maxMillis = math.MaxInt64 / 1_000_000

// sparkplug follows the edge nodes of a broker. Births name metrics and give them aliases, data messages use them,
// deaths end them. Sequence numbers (0–255, per node, its devices included) show what was lost.
type sparkplug struct {
	group string
	nodes map[string]*node
}

type node struct {
	born    bool
	bdSeq   uint64
	hasBD   bool
	next    uint8 // sequence number expected
	doubt   bool  // something was lost: a new birth may be among it, so aliases are uncertain
	aliases map[uint64]*known
	metrics map[string]*known // by device and name
}

// known is an announced metric.
type known struct {
	device   string
	name     string
	datatype uint32
	unit     string
}

func newSparkplug(group string) *sparkplug {
	return &sparkplug{group: group, nodes: map[string]*node{}}
}

func (s *sparkplug) filters() []string {
	g := "+"
	if s.group != "" {
		g = s.group
	}
	return []string{"spBv1.0/" + g + "/#"}
}

// lost: until its next birth nothing is known of a node.
func (s *sparkplug) lost() { clear(s.nodes) }

// read implements dialect. Topic: spBv1.0/GROUP/TYPE/NODE[/DEVICE].
func (s *sparkplug) read(dst []door.Reading, m mqttclient.Message, tell teller) ([]door.Reading, string) {
	t := strings.Split(m.Topic, "/")
	if len(t) < 4 || len(t) > 5 || t[1] == "STATE" {
		return dst, ""
	}
	kind, device := t[2], ""
	if len(t) == 5 {
		device = t[4]
	}
	if (strings.HasPrefix(kind, "D")) != (device != "") || kind == "NCMD" || kind == "DCMD" {
		return dst, ""
	}
	p, err := parsePayload(m.Payload)
	if err != nil {
		tell(door.MissedMalformed, 1, fmt.Errorf("%s: %w", m.Topic, err))
		return dst, ""
	}
	ask := "spBv1.0/" + t[1] + "/NCMD/" + t[3]
	key := t[1] + "/" + t[3]
	n := s.nodes[key]
	if n == nil {
		if len(s.nodes) >= MaxNodes {
			tell(door.MissedSeries, 1, fmt.Errorf("more than %d edge nodes", MaxNodes))
			return dst, ""
		}
		n = &node{}
		s.nodes[key] = n
	}
	w := &work{n: n, group: t[1], edge: t[3], device: device, p: &p, out: dst, tell: tell, topic: m.Topic}
	switch kind {
	case "NBIRTH":
		w.nodeBirth()
	case "NDEATH":
		w.nodeDeath()
	case "DBIRTH", "NDATA", "DDATA", "DDEATH":
		if !n.born {
			tell(door.MissedUnknown, max(1, len(p.metrics)), fmt.Errorf("%s: the node has not announced its metrics", m.Topic))
			return dst, ask
		}
		w.sequence()
		switch kind {
		case "DBIRTH":
			w.forget(device)
			w.announce()
		case "DDEATH":
			w.absent(device, "the node says that the device is gone")
		}
		if kind != "DDEATH" {
			w.values()
		}
	default:
		return dst, ""
	}
	if !n.doubt && !w.strange {
		ask = ""
	}
	return w.out, ask
}

// work is one message being read.
type work struct {
	n                   *node
	group, edge, device string
	topic               string
	p                   *payload
	out                 []door.Reading
	tell                teller
	strange             bool // an unknown alias came
}

func bdSeq(p *payload) (uint64, bool) {
	for i := range p.metrics {
		if m := &p.metrics[i]; m.name == "bdSeq" && (m.field == fieldLong || m.field == fieldInt) {
			return m.num, true
		}
	}
	return 0, false
}

func (w *work) nodeBirth() {
	*w.n = node{born: true, next: uint8(w.p.seq) + 1, aliases: map[uint64]*known{}, metrics: map[string]*known{}}
	w.n.bdSeq, w.n.hasBD = bdSeq(w.p)
	w.announce()
	w.values()
}

// nodeDeath ends a node, unless it is the will of an earlier session of it.
func (w *work) nodeDeath() {
	if bd, ok := bdSeq(w.p); ok && w.n.hasBD && bd != w.n.bdSeq || !w.n.born {
		return
	}
	for _, k := range w.n.metrics {
		w.gone(k, "the node's connection to the broker ended")
	}
	*w.n = node{}
}

// sequence compares the number of the message with the expected one.
func (w *work) sequence() {
	if !w.p.hasSeq {
		return
	}
	if lost := uint8(w.p.seq) - w.n.next; lost != 0 || w.p.seq > 255 {
		w.n.doubt = true
		w.tell(door.MissedGap, int(lost), fmt.Errorf("%s: sequence %d expected, %d came", w.topic, w.n.next, w.p.seq))
	}
	w.n.next = uint8(w.p.seq) + 1
}

func (w *work) announce() {
	for i := range w.p.metrics {
		m := &w.p.metrics[i]
		if m.name == "" || len(w.n.metrics) >= MaxMetrics {
			w.tell(door.MissedMalformed, 1, fmt.Errorf("%s: a metric without name, or more than %d", w.topic, MaxMetrics))
			continue
		}
		k := &known{w.device, m.name, m.datatype, m.unit}
		w.n.metrics[w.device+"\x00"+m.name] = k
		if m.hasAlias {
			w.n.aliases[m.alias] = k
		}
	}
}

// forget drops what an earlier birth of the device announced.
func (w *work) forget(device string) {
	for key, k := range w.n.metrics {
		if k.device == device {
			delete(w.n.metrics, key)
		}
	}
	for a, k := range w.n.aliases {
		if k.device == device {
			delete(w.n.aliases, a)
		}
	}
}

func (w *work) absent(device, why string) {
	for _, k := range w.n.metrics {
		if k.device == device {
			w.gone(k, why)
		}
	}
}

// gone is the last reading of a metric: it has none any more.
func (w *work) gone(k *known, why string) {
	if r := w.reading(k); r != nil {
		r.At = record.Stamp{} // a will carries the time of the birth: the arrival says more
		r.Series.Type = typeOf(k.datatype)
		r.Bad(record.QualityAbsent, why)
	}
}

func typeOf(datatype uint32) record.Type {
	switch datatype {
	case typeFloat, typeDouble:
		return record.TypeFloat
	case typeBoolean:
		return record.TypeBool
	case typeString, typeText, typeUUID:
		return record.TypeString
	case typeInt8, typeInt16, typeInt32, typeInt64, typeUInt8, typeUInt16, typeUInt32, typeUInt64, typeDateTime:
		return record.TypeInt
	}
	return record.TypeBytes
}

// reading appends an empty reading of a metric; nil if it cannot be a series or is not one.
func (w *work) reading(k *known) *door.Reading {
	if k.name == "bdSeq" || strings.HasPrefix(k.name, "Node Control/") || strings.HasPrefix(k.name, "Device Control/") {
		return nil
	}
	name := door.Name(k.name)
	if name == "" {
		name = "metric"
	}
	labels := []record.Label{{Key: "edge_node", Value: w.edge}, {Key: "group", Value: w.group}}
	if k.device != "" {
		labels = append(labels, record.Label{Key: "device", Value: k.device})
	}
	if name != k.name { // two names may become one: the label keeps them apart
		labels = append(labels, record.Label{Key: "metric", Value: k.name})
	}
	s := record.Series{Name: name, Labels: door.Labels(nil, labels...), Unit: k.unit, Type: typeOf(k.datatype)}
	if err := s.Normalize(); err != nil {
		w.tell(door.MissedMalformed, 1, fmt.Errorf("%s: %w", w.topic, err))
		return nil
	}
	w.out = append(w.out, door.Reading{Series: s})
	return &w.out[len(w.out)-1]
}

var errAlias = errors.New("a metric that was never announced")

func (w *work) values() {
	for i := range w.p.metrics {
		m := &w.p.metrics[i]
		k := w.n.metrics[w.device+"\x00"+m.name]
		byAlias := m.name == "" && m.hasAlias
		if byAlias {
			if k = w.n.aliases[m.alias]; k != nil && k.device != w.device {
				k = nil
			}
		}
		if k == nil {
			w.strange = true
			w.tell(door.MissedUnknown, 1, fmt.Errorf("%s: %w: name %.80q, alias %d", w.topic, errAlias, m.name, m.alias))
			continue
		}
		r := w.reading(k)
		if r == nil {
			continue
		}
		if t := m.time; t != 0 && t < maxMillis {
			r.At = record.Stamp{Time: int64(t) * 1e6, Clock: record.ClockSparkplg}
		} else if t := w.p.time; t != 0 && t < maxMillis {
			r.At = record.Stamp{Time: int64(t) * 1e6, Clock: record.ClockSparkplg}
		}
		m.set(r, k.datatype)
		if !r.Quality.Good() {
			continue
		}
		switch {
		case m.quality == 0:
			r.Bad(record.QualityDevice, "property Quality 0 (bad)")
		case m.quality == 500:
			r.Quality = record.QualityStale
		case m.quality > 0 && m.quality != 192, byAlias && w.n.doubt:
			r.Quality = record.QualityUncertain
		}
	}
}

// set turns the value of a metric into that of a reading; datatype is the announced one.
func (m *metric) set(r *door.Reading, datatype uint32) {
	bad := func(q record.Quality, format string, a ...any) { r.Bad(q, fmt.Sprintf(format, a...)) }
	wrong := func() { bad(record.QualityMalformed, "value in field %d for data type %d", m.field, datatype) }
	signed := func(bits int) { // two's complement in an unsigned field, cut to its width or not
		if m.field != fieldInt && m.field != fieldLong {
			wrong()
			return
		}
		r.Int(int64(m.num<<(64-bits)) >> (64 - bits))
	}
	unsigned := func(bits int) {
		if m.field != fieldInt && m.field != fieldLong {
			wrong()
			return
		}
		r.Uint(m.num << (64 - bits) >> (64 - bits))
	}
	switch {
	case m.null:
		bad(record.QualityBad, "null")
		return
	case m.datatype != 0 && datatype != 0 && m.datatype != datatype:
		bad(record.QualityMalformed, "data type %d announced, %d came", datatype, m.datatype)
		return
	}
	switch datatype {
	case typeInt8:
		signed(8)
	case typeInt16:
		signed(16)
	case typeInt32:
		signed(32)
	case typeInt64:
		signed(64)
	case typeUInt8:
		unsigned(8)
	case typeUInt16:
		unsigned(16)
	case typeUInt32:
		unsigned(32)
	case typeUInt64, typeDateTime:
		unsigned(64)
	case typeFloat:
		if m.field != fieldFloat {
			wrong()
			return
		}
		r.Float(float64(math.Float32frombits(uint32(m.num))))
	case typeDouble:
		if m.field != fieldDouble {
			wrong()
			return
		}
		r.Float(math.Float64frombits(m.num))
	case typeBoolean:
		if m.field != fieldBool {
			wrong()
			return
		}
		r.Bool(m.num != 0)
	case typeString, typeText, typeUUID:
		if m.field != fieldString || !utf8.Valid(m.text) {
			wrong()
			return
		}
		r.String(string(m.text))
	case typeBytes, typeFile:
		if m.field != fieldBytes || len(m.text) > record.MaxRecordBytes-2*record.MaxDetailBytes {
			wrong()
			return
		}
		r.Type, r.Value = record.TypeBytes, append([]byte(nil), m.text...)
	default:
		bad(record.QualityUnsupported, "data type %d (data sets, templates and arrays are not taken)", datatype)
	}
}

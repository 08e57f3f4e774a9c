package mqttsource

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// payload is what a Sparkplug B message says (sparkplug_b.proto of Eclipse Tahu, Sparkplug 3.0 section 6.4), as far
// as it becomes readings.
type payload struct {
	time    uint64 // ms since 1970
	seq     uint64
	hasSeq  bool
	metrics []metric
}

type metric struct {
	name     string
	alias    uint64
	hasAlias bool
	time     uint64 // ms since 1970, 0: none
	datatype uint32 // 0: as announced
	null     bool
	field    protowire.Number // which of the value fields came, 0: none
	num      uint64           // int, long, bool, bits of float and double
	text     []byte           // string, bytes; raw form of data sets and templates
	quality  int64            // property "Quality", -1: none
	unit     string           // property "engUnit"
}

// Numbers of the fields of a metric that hold its value.
const (
	fieldInt      = 10
	fieldLong     = 11
	fieldFloat    = 12
	fieldDouble   = 13
	fieldBool     = 14
	fieldString   = 15
	fieldBytes    = 16
	fieldDataSet  = 17
	fieldTemplate = 18
)

var errPayload = errors.New("not a Sparkplug payload")

// each calls f for every field of a protobuf message.
func each(b []byte, f func(num protowire.Number, v uint64, sub []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", errPayload, protowire.ParseError(n))
		}
		b = b[n:]
		var v uint64
		var sub []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var w uint32
			w, n = protowire.ConsumeFixed32(b)
			v = uint64(w)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			if sub, n = protowire.ConsumeBytes(b); sub == nil {
				sub = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", errPayload, protowire.ParseError(n))
		}
		b = b[n:]
		if err := f(num, v, sub); err != nil {
			return err
		}
	}
	return nil
}

// parsePayload reads a message. What it returns shares memory with b.
func parsePayload(b []byte) (p payload, err error) {
	err = each(b, func(num protowire.Number, v uint64, sub []byte) error {
		switch num {
		case 1:
			p.time = v
		case 2:
			if len(p.metrics) >= MaxMetrics {
				return fmt.Errorf("%w: more than %d metrics", errPayload, MaxMetrics)
			}
			m, err := parseMetric(sub)
			if err != nil {
				return err
			}
			p.metrics = append(p.metrics, m)
		case 3:
			p.seq, p.hasSeq = v, true
		}
		return nil
	})
	return p, err
}

func parseMetric(b []byte) (metric, error) {
	m := metric{quality: -1}
	err := each(b, func(num protowire.Number, v uint64, sub []byte) error {
		switch num {
		case 1:
			if len(sub) > MaxMetricName {
				return fmt.Errorf("%w: a metric's name has %d bytes", errPayload, len(sub))
			}
			m.name = string(sub)
		case 2:
			m.alias, m.hasAlias = v, true
		case 3:
			m.time = v
		case 4:
			m.datatype = uint32(min(v, math.MaxUint32))
		case 7:
			m.null = v != 0
		case 9:
			return m.properties(sub)
		case fieldInt, fieldLong, fieldFloat, fieldDouble, fieldBool:
			if sub != nil {
				return fmt.Errorf("%w: field %d is no number", errPayload, num)
			}
			m.field, m.num = num, v
		case fieldString, fieldBytes, fieldDataSet, fieldTemplate:
			if sub == nil {
				return fmt.Errorf("%w: field %d is no text", errPayload, num)
			}
			m.field, m.text = num, sub
		}
		return nil
	})
	return m, err
}

// properties reads those that say how good a value is and in which unit: keys and values stand in two lists.
func (m *metric) properties(b []byte) error {
	var keys []string
	var values [][]byte
	err := each(b, func(num protowire.Number, _ uint64, sub []byte) error {
		if len(keys)+len(values) > 256 {
			return fmt.Errorf("%w: too many properties", errPayload)
		}
		switch num {
		case 1:
			keys = append(keys, string(sub))
		case 2:
			values = append(values, sub)
		}
		return nil
	})
	for i := range min(len(keys), len(values)) {
		if err != nil {
			break
		}
		err = each(values[i], func(num protowire.Number, v uint64, sub []byte) error {
			switch {
			case keys[i] == "Quality" && (num == 3 || num == 4):
				m.quality = int64(min(v, math.MaxInt32))
			case keys[i] == "engUnit" && num == 8 && len(sub) <= 64:
				m.unit = string(sub)
			}
			return nil
		})
	}
	return err
}

// rebirthCommand is an NCMD that asks an edge node to announce its metrics again.
func rebirthCommand(now time.Time) []byte {
	ms := uint64(now.UnixMilli())
	var m []byte
	m = protowire.AppendTag(m, 1, protowire.BytesType)
	m = protowire.AppendString(m, "Node Control/Rebirth")
	m = protowire.AppendTag(m, 3, protowire.VarintType)
	m = protowire.AppendVarint(m, ms)
	m = protowire.AppendTag(m, 4, protowire.VarintType)
	m = protowire.AppendVarint(m, typeBoolean)
	m = protowire.AppendTag(m, fieldBool, protowire.VarintType)
	m = protowire.AppendVarint(m, 1)
	var p []byte
	p = protowire.AppendTag(p, 1, protowire.VarintType)
	p = protowire.AppendVarint(p, ms)
	p = protowire.AppendTag(p, 2, protowire.BytesType)
	return protowire.AppendBytes(p, m)
}

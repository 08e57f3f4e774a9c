package mqttsource

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

type teller = func(door.Missed, int, error)

// topic is a filter with named levels.
type topic []string

func parseTopic(s string) (topic, error) {
	levels := strings.Split(s, "/")
	for i, l := range levels {
		named := strings.HasPrefix(l, "{") && strings.HasSuffix(l, "}") && door.Key(l[1:len(l)-1]) == l[1:len(l)-1] && len(l) > 2
		if s == "" || strings.ContainsAny(l, "{}") && !named || strings.Contains(l, "+") && l != "+" || strings.Contains(l, "#") && (l != "#" || i < len(levels)-1) {
			return nil, fmt.Errorf("topic %q: want levels as text, +, {label} or a # at the end", s)
		}
	}
	return levels, nil
}

func (t topic) filter() string {
	var out []string
	for _, l := range t {
		if strings.HasPrefix(l, "{") {
			l = "+"
		}
		out = append(out, l)
	}
	return strings.Join(out, "/")
}

// labels reads the named levels; rest is what lies behind the filter's own levels.
func (t topic) labels(name string) (ls []record.Label, rest []string) {
	levels := strings.Split(name, "/")
	for i, l := range t {
		if l == "#" || i >= len(levels) {
			break
		}
		if strings.HasPrefix(l, "{") {
			ls = append(ls, record.Label{Key: l[1 : len(l)-1], Value: levels[i]})
		}
	}
	return door.Labels(nil, ls...), levels[min(len(t), len(levels)):]
}

// aged marks the readings of a retained message.
func aged(rs []door.Reading, m mqttclient.Message) {
	for i := range rs {
		if m.Retained && rs[i].Quality.Good() && rs[i].At.Clock == 0 {
			rs[i].Quality = record.QualityStale
		}
	}
}

func mapped(m *door.Mapping, dst []door.Reading, msg mqttclient.Message, labels []record.Label, tell teller) []door.Reading {
	from := len(dst)
	dst, err := m.JSON(dst, msg.Payload, labels)
	if err != nil {
		tell(door.MissedMalformed, 1, fmt.Errorf("%s: %w", msg.Topic, err))
	}
	aged(dst[from:], msg)
	return dst
}

// jsonTopic takes objects, and single values named after the last level of their topic.
type jsonTopic struct {
	topic topic
	m     door.Mapping
}

func (j *jsonTopic) filters() []string { return []string{j.topic.filter()} }
func (j *jsonTopic) lost()             {}

func (j *jsonTopic) read(dst []door.Reading, m mqttclient.Message, tell teller) ([]door.Reading, string) {
	labels, _ := j.topic.labels(m.Topic)
	mapping := j.m
	if mapping.Prefix == "" && len(m.Payload) > 0 && m.Payload[0] != '{' {
		mapping.Prefix = m.Topic[strings.LastIndexByte(m.Topic, '/')+1:]
	}
	return mapped(&mapping, dst, m, labels, tell), ""
}

// tasmota: tele/DEVICE/SENSOR and STATE are objects, LWT is Online or Offline.
type tasmota struct{ prefix string }

func newTasmota(prefix string) (*tasmota, error) {
	if prefix == "" {
		prefix = "tele"
	}
	if strings.ContainsAny(prefix, "+#{}") {
		return nil, fmt.Errorf("topic %q: want the prefix before the device, without wildcards", prefix)
	}
	return &tasmota{prefix}, nil
}

func (t *tasmota) filters() []string {
	return []string{t.prefix + "/+/SENSOR", t.prefix + "/+/STATE", t.prefix + "/+/LWT"}
}
func (t *tasmota) lost() {}

func (t *tasmota) read(dst []door.Reading, m mqttclient.Message, tell teller) ([]door.Reading, string) {
	rest := strings.Split(strings.TrimPrefix(m.Topic, t.prefix+"/"), "/")
	labels := []record.Label{{Key: "device", Value: rest[0]}}
	if rest[len(rest)-1] == "LWT" {
		return online(dst, m, labels, "Online", "Offline", tell), ""
	}
	var head struct{ TempUnit string }
	_ = json.Unmarshal(m.Payload, &head) // what is wrong with it is told below
	// Time is the device's local time without a zone: not usable.
	from := len(dst)
	dst = mapped(&door.Mapping{Drop: []string{"Time", "TempUnit"}}, dst, m, labels, tell)
	for i := range dst[from:] {
		s := &dst[from+i].Series
		last := s.Name[strings.LastIndexByte(s.Name, '.')+1:]
		if unit, ok := tasmotaUnit(last); ok {
			s.Unit = unit
		} else if last == "temperature" || last == "dew_point" {
			s.Unit = map[string]string{"C": "Cel", "F": "[degF]"}[head.TempUnit]
		}
	}
	return dst, ""
}

func tasmotaUnit(name string) (string, bool) {
	switch name {
	case "humidity":
		return "%", true
	case "voltage":
		return "V", true
	case "current":
		return "A", true
	case "power":
		return "W", true
	case "apparent_power":
		return "V.A", true
	case "reactive_power":
		return "var", true
	case "frequency":
		return "Hz", true
	case "total", "today", "yesterday":
		return "kW.h", true
	case "uptime_sec":
		return "s", true
	}
	return "", false
}

// online is the series of a device's last will.
func online(dst []door.Reading, m mqttclient.Message, labels []record.Label, yes, no string, tell teller) []door.Reading {
	text := strings.TrimSpace(string(m.Payload))
	if text != yes && text != no {
		tell(door.MissedMalformed, 1, fmt.Errorf("%s: %.40q is neither %s nor %s", m.Topic, text, yes, no))
		return dst
	}
	r := door.Reading{Series: record.Series{Name: "online", Labels: labels}}
	r.Bool(text == yes)
	if err := r.Series.Normalize(); err != nil {
		tell(door.MissedMalformed, 1, err)
		return dst
	}
	dst = append(dst, r) // a retained will is the broker's present word: not stale
	return dst
}

// esphome: PREFIX/COMPONENT/OBJECT/state with a plain value, PREFIX/status with online or offline.
type esphome struct{ topic topic }

func (e *esphome) filters() []string {
	f := e.topic.filter()
	return []string{f + "/+/+/state", f + "/status"}
}
func (e *esphome) lost() {}

func (e *esphome) read(dst []door.Reading, m mqttclient.Message, tell teller) ([]door.Reading, string) {
	labels, rest := e.topic.labels(m.Topic)
	if len(rest) == 1 {
		return online(dst, m, labels, "online", "offline", tell), ""
	}
	text := string(m.Payload)
	if len(rest) != 3 || !utf8.ValidString(text) {
		tell(door.MissedMalformed, 1, fmt.Errorf("%s is not a state", m.Topic))
		return dst, ""
	}
	r := door.Reading{Series: record.Series{Name: door.Name(rest[1]), Labels: door.Labels(labels, record.Label{Key: "component", Value: rest[0]})}}
	switch rest[0] {
	case "sensor", "number":
		if l := strings.ToLower(text); l == "nan" || l == "na" || l == "unknown" || l == "" {
			r.Series.Type = record.TypeFloat
			r.Bad(record.QualityNaN, "the node says \""+text+"\"")
		} else {
			r.Number(text, -1)
		}
	case "binary_sensor", "switch", "light", "fan":
		if text != "ON" && text != "OFF" {
			r.Series.Type = record.TypeBool
			r.Bad(record.QualityMalformed, "neither ON nor OFF: "+text)
		} else {
			r.Bool(text == "ON")
		}
	default:
		r.String(text)
	}
	if err := r.Series.Normalize(); err != nil {
		tell(door.MissedMalformed, 1, fmt.Errorf("%s: %w", m.Topic, err))
		return dst, ""
	}
	dst = append(dst, r)
	aged(dst[len(dst)-1:], m)
	return dst, ""
}

// zigbee: BASE/NAME is an object, BASE/NAME/availability says whether the device is reachable. Names may hold slashes.
type zigbee struct{ base string }

func (z *zigbee) filters() []string { return []string{z.base + "/#"} }
func (z *zigbee) lost()             {}

func (z *zigbee) read(dst []door.Reading, m mqttclient.Message, tell teller) ([]door.Reading, string) {
	name := strings.TrimPrefix(strings.TrimPrefix(m.Topic, z.base), "/")
	if name == "" || name == "bridge" || strings.HasPrefix(name, "bridge/") || len(m.Payload) == 0 {
		return dst, ""
	}
	if device, ok := strings.CutSuffix(name, "/availability"); ok {
		labels := []record.Label{{Key: "device", Value: device}}
		var state struct{ State string }
		if json.Unmarshal(m.Payload, &state) == nil {
			m.Payload = []byte(state.State)
		}
		return online(dst, m, labels, "online", "offline", tell), ""
	}
	for _, command := range []string{"/set", "/get"} {
		if strings.HasSuffix(name, command) || strings.Contains(name, command+"/") {
			return dst, ""
		}
	}
	if m.Payload[0] != '{' {
		tell(door.MissedMalformed, 1, fmt.Errorf("%s: %w", m.Topic, errNoObject))
		return dst, ""
	}
	mapping := door.Mapping{Drop: []string{"update", "update_available", "last_seen", "device"}}
	from := len(dst)
	dst = mapped(&mapping, dst, m, []record.Label{{Key: "device", Value: name}}, tell)
	for i := range dst[from:] {
		s := &dst[from+i].Series
		s.Unit = zigbeeUnit(s.Name)
	}
	return dst, ""
}

var errNoObject = errors.New("not a JSON object (set output: json in Zigbee2MQTT)")

// zigbeeUnit is the unit of a value, as Zigbee2MQTT's documentation of exposes has it.
func zigbeeUnit(name string) string {
	switch name {
	case "temperature", "device_temperature":
		return "Cel"
	case "humidity", "battery":
		return "%"
	case "pressure":
		return "hPa"
	case "voltage":
		return "V"
	case "current":
		return "A"
	case "power":
		return "W"
	case "energy":
		return "kW.h"
	case "co2":
		return "[ppm]"
	}
	return ""
}

package mcu

import (
	"encoding/json"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
)

// observation is a record and the series that it belongs to.
type observation struct {
	series record.Series
	rec    record.Record
}

// outputs by number.
var outputNames = []string{"heater", "fan", "timer1", "timer2", "timer3", "timer4"}

var outputWhy = []string{"", "threshold", "fail-safe", "timer", "override"}

// BootRecord is the JSON of series node.boot: a life of a node began.
type BootRecord struct {
	Incarnation string `json:"incarnation"` // 16 hexadecimal digits
	Boot        uint32 `json:"boot,omitempty"`
	Cause       string `json:"cause"`
	Chip        string `json:"chip"`
	Version     string `json:"version"`
	Serial      uint32 `json:"serial,omitempty"`
}

// LostRecord is the JSON of series node.lost: events that happened in a node and are nowhere.
type LostRecord struct {
	Reason      string `json:"reason"`                // reset, reset-unseen, overflow, log
	Incarnation string `json:"incarnation,omitempty"` // of the life that they belong to
	Boot        uint32 `json:"boot,omitempty"`        // of that life
	ToBoot      uint32 `json:"to_boot,omitempty"`     // reset-unseen: the last of several lives
	Last        uint32 `json:"last_sequence"`         // the last event of that life that is in the log; 0: none
	To          uint32 `json:"to_sequence,omitempty"` // overflow, log: the last one that is lost
	Count       uint64 `json:"count,omitempty"`       // how many exactly, where that is known
	AtMost      uint64 `json:"at_most,omitempty"`     // else the most that the queue held
	// More says that the queue may have run over unseen before the reset: it was filling fast, or nobody could look at it
	// or keep what it held for a while. What it then dropped is not in AtMost.
	More bool `json:"more_possible,omitempty"`
}

// Reasons of lost events.
const (
	LostReset    = "reset"
	LostUnseen   = "reset-unseen"
	LostOverflow = "overflow"
	LostLog      = "log"
)

func hex16(v uint64) string { return fmt.Sprintf("%016x", v) }

func jsonRecord(v any) record.Record {
	b, err := json.Marshal(v)
	if err != nil {
		panic("mcu: record cannot be encoded: " + err.Error())
	}
	return record.Record{Kind: record.KindObservation, Type: record.TypeJSON, Data: &record.Data{Value: b}}
}

// observe turns an event into what the log keeps. rom is the sensor in a slot at the time of the event.
func (n *node) observe(e Event, rom func(slot uint8) string) observation {
	series := func(name, unit string, t record.Type, labels ...record.Label) record.Series {
		return record.Series{Name: name, Unit: unit, Type: t, Labels: append(labels, n.labels...)}
	}
	plain := record.Record{Kind: record.KindObservation}
	switch e.Kind {
	case KindReading:
		sensor := rom(e.Source)
		if sensor == "" {
			sensor = fmt.Sprintf("slot-%d", e.Source)
		}
		r := plain
		r.Quality = record.Quality(e.Quality)
		if e.Value == 0x8000 && !r.Quality.Bad() {
			r.Quality = record.QualityBad
		}
		if r.Quality.Bad() {
			r.Data = &record.Data{Detail: []byte{byte(e.Value >> 8), byte(e.Value)}}
		} else {
			r.Type, r.Num = record.Decimal(4), int64(int16(e.Value))*625
		}
		return observation{series("temperature", "Cel", record.Decimal(4), record.Label{Key: "rom", Value: sensor}), r}
	case KindOutput:
		r := plain
		r.Type, r.Num = record.TypeBool, int64(e.Value&1)
		if why := int(e.Value >> 8); why > 0 && why < len(outputWhy) {
			r.Data = &record.Data{Detail: []byte(outputWhy[why])}
		}
		return observation{series("output", "", record.TypeBool, record.Label{Key: "output", Value: nameOf(outputNames, uint16(e.Source))}), r}
	case KindTest:
		r := plain
		r.Type, r.Num = record.TypeInt, int64(e.Value)
		return observation{series("node.test", "", record.TypeInt), r}
	case KindBoot:
		return observation{series("node.boot", "", record.TypeJSON), jsonRecord(BootRecord{Incarnation: hex16(n.life), Boot: n.id.Boots,
			Cause: nameOf(causes, e.Value), Chip: n.id.Chip, Version: n.id.Version, Serial: n.id.Serial})}
	}
	what := map[string]any{"sequence": e.Sequence, "value": e.Value}
	name := fmt.Sprintf("kind-%d", e.Kind)
	switch e.Kind {
	case KindSensor:
		name, what = "sensor", map[string]any{"slot": e.Source, "rom": rom(e.Source), "found": e.Value == 1}
	case KindSettings:
		name, what = "settings", map[string]any{"generation": e.Value}
	case KindClock:
		name, what = "clock", map[string]any{"set": e.Value == 1}
	case KindFault:
		name, what = "fault", map[string]any{"settings_memory": e.Source == 1, "raised": e.Value == 1}
	default:
		what["source"], what["quality"] = e.Source, e.Quality
	}
	what["event"] = name
	return observation{series("node.event", "", record.TypeJSON), jsonRecord(what)}
}

// lost is the record of lost events.
func (n *node) lost(l LostRecord) observation {
	return observation{record.Series{Name: "node.lost", Type: record.TypeJSON, Labels: n.labels}, jsonRecord(l)}
}

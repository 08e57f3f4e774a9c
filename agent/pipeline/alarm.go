package pipeline

import (
	"encoding/json"
	"math"

	"github.com/edgelog/edgelog/buffer/record"
)

const (
	alarmSuffix  = "alarm"
	alarmRaised  = "raised"
	alarmCleared = "cleared"
)

// alarmState is that of one series.
type alarmState struct {
	raised  bool
	at      int64 // since when; 0 if it was learned without a time
	pending bool  // the condition holds, not for long enough yet
	since   int64 // from which reading on
}

// alarmValue is the json value of an alarm's record.
type alarmValue struct {
	Alarm    string          `json:"alarm"` // raised, cleared
	Severity string          `json:"severity"`
	Text     string          `json:"text,omitempty"`
	Value    json.RawMessage `json:"value"` // the reading that made it, exactly; null: it had none, or a text
	Unit     string          `json:"unit,omitempty"`
	Quality  string          `json:"quality,omitempty"` // of the reading, where it is not good
	Above    *float64        `json:"above,omitempty"`
	Below    *float64        `json:"below,omitempty"`
	Since    string          `json:"since,omitempty"` // when the condition began to hold
}

// alarmOf reads whether a record of the output raises or clears.
func alarmOf(r *record.Record) (raised, ok bool) {
	var v alarmValue
	if json.Unmarshal(r.Value(), &v) != nil {
		return false, false
	}
	return v.Alarm == alarmRaised, v.Alarm == alarmRaised || v.Alarm == alarmCleared
}

// judge holds one reading against the condition.
func (c *Core) judge(s *series, r *record.Record, at int64) {
	holds, over, known := c.def.Alarm.test(r)
	a := &s.alarm
	switch {
	case !known: // a reading without a value says nothing about a limit
	case a.raised:
		if over {
			c.tell(s, r, alarmCleared, at, 0)
			*a = alarmState{}
		}
	case !holds:
		a.pending = false
	default:
		if !a.pending || at < a.since {
			a.pending, a.since = true, at
		}
		if at-a.since >= int64(c.def.Alarm.For) {
			c.tell(s, r, alarmRaised, at, a.since)
			c.stats.Raised++
			*a = alarmState{raised: true, at: at}
		}
	}
}

// test says whether the condition holds, whether it is over, and whether the reading says anything about it.
func (a *Alarm) test(r *record.Record) (holds, over, known bool) {
	if a.Bad {
		return r.Quality.Bad(), !r.Quality.Bad(), true
	}
	v, ok := r.Float64()
	if !ok || math.IsNaN(v) {
		return false, false, false
	}
	limit, clear := a.Above, a.Clear
	if limit == nil {
		limit = a.Below
	}
	if clear == nil {
		clear = limit
	}
	if a.Above != nil {
		return v > *limit, v <= *clear, true
	}
	return v < *limit, v >= *clear, true
}

func (c *Core) tell(s *series, r *record.Record, what string, at, since int64) {
	d := c.def.Alarm
	v := alarmValue{Alarm: what, Severity: d.Severity, Text: d.Text, Value: json.RawMessage("null"), Unit: s.def.Unit, Above: d.Above, Below: d.Below}
	if b := r.AppendText(nil); r.Type != record.TypeNone && len(b) <= maxAlarmValue {
		v.Value = valueJSON(r.Type, b)
	}
	if !r.Quality.Good() {
		v.Quality = r.Quality.String()
	}
	if since != 0 && since != at {
		v.Since = timeText(since)
	}
	out := record.Record{Kind: record.KindObservation, Time: at, Clock: record.ClockApp, Type: record.TypeJSON}
	b, err := json.Marshal(v)
	if err != nil {
		panic("pipeline: an alarm cannot be encoded: " + err.Error()) // its limits are finite, its value is valid
	}
	out.Data = &record.Data{Value: b}
	if !c.clock.good && !r.Clock.Asserted() {
		out.Quality, out.Data.Detail = record.QualityUncertain, []byte("clock")
	}
	c.emit(Result{&s.results[0], out})
}

// valueJSON is the text of a value as JSON. A text of digits stays a text; what JSON has no number for becomes one.
func valueJSON(t record.Type, text []byte) json.RawMessage {
	if t != record.TypeString && t != record.TypeBytes && json.Valid(text) {
		return text
	}
	b, err := json.Marshal(string(text))
	if err != nil {
		panic("pipeline: a text cannot be encoded: " + err.Error())
	}
	return b
}

// Standing is one alarm that is raised.
type Standing struct {
	Series string
	Since  int64 // UTC, ns; 0 if not known
}

// Standings are the alarms that are raised now, the newest n of them, and how many there are.
func (c *Core) standings(n int) (list []Standing, count int) {
	for i := len(c.series) - 1; i >= 0; i-- {
		if s := c.series[i]; s.alarm.raised {
			count++
			if len(list) < n {
				list = append(list, Standing{s.key, s.alarm.at})
			}
		}
	}
	return list, count
}

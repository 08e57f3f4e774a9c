package agent

import (
	"encoding/json"
	"sort"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
)

// Bounds of the latest-values message.
const (
	maxValues     = 500
	maxValueBytes = 1 << 10 // a longer one is left out: it would cost others their place
)

// values is the JSON on {prefix}/{device}/v: the latest reading of each series, fresher than delivery and never part
// of the account.
type values struct {
	SchemaVersion int       `json:"schema_version"`
	Device        string    `json:"device"`
	Time          time.Time `json:"time"`
	State         string    `json:"state"`
	Faults        int       `json:"faults"`
	Backlog       uint64    `json:"backlog"`
	Truncated     bool      `json:"truncated,omitempty"` // there are more series than fit, or a longer value (null)
	Values        []value   `json:"values"`
}

type value struct {
	Series  string          `json:"series"`
	Unit    string          `json:"unit,omitempty"`
	Value   json.RawMessage `json:"value"` // number, boolean, text or JSON, as the reading's type says; null: none
	Quality string          `json:"quality"`
	Time    time.Time       `json:"time,omitzero"`
}

// valuesJSON composes the message, of at most so many bytes; what is not good comes first when not everything fits.
func valuesJSON(st *api.Status, sensors *api.Sensors, most int) ([]byte, error) {
	out := values{SchemaVersion: api.SchemaVersion, Device: st.Device, Time: st.Time, State: st.State, Values: []value{}}
	for _, f := range st.Faults {
		if f.Active {
			out.Faults++
		}
	}
	for _, s := range st.Streams {
		out.Backlog += s.Buffered + s.InFlight
	}
	for _, src := range sensors.Sources {
		for _, s := range src.Sensors {
			text := s.Value
			if len(text) > maxValueBytes {
				text, out.Truncated = "", true
			}
			out.Values = append(out.Values, value{Series: s.Series, Unit: s.Unit, Value: valueJSON(text, s.Type), Quality: s.Quality, Time: s.Time})
		}
	}
	if len(out.Values) > maxValues {
		sort.SliceStable(out.Values, func(i, j int) bool { return out.Values[i].Quality != "good" && out.Values[j].Quality == "good" })
		out.Values, out.Truncated = out.Values[:maxValues], true
	}
	for {
		b, err := json.Marshal(out)
		if err != nil || len(b) <= most || len(out.Values) == 0 {
			return b, err
		}
		out.Values, out.Truncated = out.Values[:len(out.Values)*3/4], true
	}
}

// valueJSON is the text of a value as JSON: numbers, booleans and JSON as they are; texts, bytes and what JSON has no number
// for are quoted, a text of digits too.
func valueJSON(text, kind string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	if kind != record.TypeString.String() && kind != record.TypeBytes.String() && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	b, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

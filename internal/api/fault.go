package api

import "github.com/edgelog/edgelog/agent/health"

// FaultOf is the JSON of one line, with the texts of its code.
func FaultOf(f health.Fault) Fault {
	d, _ := health.Lookup(f.Code)
	return Fault{
		ID: f.ID, Code: string(f.Code), Severity: f.Severity().String(), Title: d.Title, Do: d.Do,
		Key: f.Key, Subject: f.Subject, Text: f.Text,
		Since: f.Since.UTC(), Until: f.Until.UTC(), Count: f.Count, Active: f.Active(),
		Acked: f.Acked.UTC(), AckedBy: f.AckedBy,
	}
}

// FaultsOf is the JSON of a list, in its order.
func FaultsOf(list []health.Fault) []Fault {
	out := make([]Fault, len(list))
	for i, f := range list {
		out[i] = FaultOf(f)
	}
	return out
}

// StateOf is the overall state that the faults make.
func StateOf(list []health.Fault) string {
	switch health.Worst(list) {
	case health.Failed:
		return StateFailed
	case health.Degraded:
		return StateDegraded
	}
	return StateOK
}

// Explained is what the table of faults says.
type Explained struct {
	SchemaVersion int         `json:"schema_version"`
	Faults        []FaultText `json:"faults"`
}

// FaultText is one declared fault, for people.
type FaultText struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Title    string `json:"title"`
	Means    string `json:"means"`
	Found    string `json:"found"`
	Do       string `json:"do"`
	Risk     string `json:"risk"`
}

// TextOf is the JSON of a declared fault.
func TextOf(d health.Declared) FaultText {
	return FaultText{string(d.Code), d.Severity.String(), d.Title, d.Means, d.Found, d.Do, d.Risk}
}

// Package health holds the one table of everything that can be wrong with a box: a stable code, how bad it is, what
// it means, how it is found, what to do about it and what is at risk. The same text stands in `edgectl explain`, in
// status, in logs, in JSON and in the manual page.
//
// Tracker keeps which faults a box has now, and those that are over but nobody has acknowledged yet.
package health

import (
	"sort"
	"strings"
	"sync"
)

// Severity says how much a fault costs.
type Severity int

// The severities, from the mildest.
const (
	Notice   Severity = 1 // worth knowing; nothing is lost and nothing waits
	Degraded Severity = 2 // a part does not do its work; the rest does
	Failed   Severity = 3 // the box does not keep or does not read what it should
)

func (s Severity) String() string {
	switch s {
	case Notice:
		return "notice"
	case Degraded:
		return "degraded"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// Code names a declared fault. Codes never change their meaning and are never used again.
type Code string

// Declared is what is known about a code, for people.
type Declared struct {
	Code     Code
	Severity Severity
	Title    string // what happened, a phrase: "the sensor answers with its power-on value"
	Means    string // what it means
	Found    string // how the agent finds it
	Do       string // what to do, in the order to try
	Risk     string // what is at risk meanwhile
	Lossy    bool   // records are lost or doubtful: it counts until a person has acknowledged it, even when over
}

// Lookup finds a code, in any case of letters.
func Lookup(code Code) (Declared, bool) {
	d, ok := byCode()[Code(strings.ToUpper(string(code)))]
	return d, ok
}

// byCode is the table for lookups, built once and never changed.
var byCode = sync.OnceValue(func() map[Code]Declared {
	m := map[Code]Declared{}
	for _, d := range table() {
		m[d.Code] = d
	}
	return m
})

// Table lists every declared fault by code.
func Table() []Declared {
	t := table()
	sort.Slice(t, func(i, j int) bool { return t[i].Code < t[j].Code })
	return t
}

func table() []Declared {
	var t []Declared
	t = append(t, sensorFaults()...)
	t = append(t, qualityFaults()...)
	t = append(t, bufferFaults()...)
	t = append(t, uplinkFaults()...)
	t = append(t, updateFaults()...)
	t = append(t, enrolFaults()...)
	t = append(t, nodeFaults()...)
	t = append(t, npuFaults()...)
	t = append(t, pipelineFaults()...)
	return append(t, agentFaults()...)
}

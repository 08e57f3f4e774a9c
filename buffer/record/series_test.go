package record_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

func goodSeries() []record.Series {
	return []record.Series{
		{Name: "temperature", Unit: "Cel", Type: record.Decimal(4), Labels: []record.Label{{Key: "rom", Value: "28-0000075a1b2c"}}},
		{Name: "cpu.busy", Unit: "%", Type: record.TypeFloat},
		{Name: "door", Type: record.TypeBool, Labels: []record.Label{{Key: "a", Value: "straße \"3\""}, {Key: "z_9", Value: ""}}},
	}
}

func TestDefinitionRoundTrip(t *testing.T) {
	for _, s := range goodSeries() {
		want := record.Definition{ID: record.MaxSeriesPerEpoch, Series: s}
		b := append(record.AppendDefinition(nil, want), "rest"...)
		got, rest, err := record.ParseDefinition(b)
		if err != nil || string(rest) != "rest" || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %q, %v", s.Key(), got, rest, err)
		}
		for i := range len(b) - len("rest") {
			if _, _, err := record.ParseDefinition(b[:i]); !errors.Is(err, record.ErrDefinition) {
				t.Errorf("%s cut at %d: %v", s.Key(), i, err)
			}
		}
	}
}

func TestNormalize(t *testing.T) {
	s := record.Series{Name: "x", Labels: []record.Label{{"b", "2"}, {"a", "1"}}}
	given := s.Labels
	if err := s.Normalize(); err != nil || s.Key() != `x{a="1",b="2"}` {
		t.Errorf("%s, %v", s.Key(), err)
	}
	if given[0].Key != "b" {
		t.Error("the caller's labels were sorted in place")
	}
	if s.Label("b") != "2" || s.Label("c") != "" {
		t.Error("Label")
	}
	many := make([]record.Label, record.MaxLabels+1)
	for i := range many {
		many[i].Key = string(rune('a' + i))
	}
	for what, s := range map[string]record.Series{
		"no name":         {},
		"upper case":      {Name: "Temp"},
		"leading digit":   {Name: "1x"},
		"long name":       {Name: strings.Repeat("a", 129)},
		"space":           {Name: "a b"},
		"repeated label":  {Name: "a", Labels: []record.Label{{"k", "1"}, {"k", "2"}}},
		"label key":       {Name: "a", Labels: []record.Label{{"9", "1"}}},
		"empty key":       {Name: "a", Labels: []record.Label{{"", "1"}}},
		"label not UTF-8": {Name: "a", Labels: []record.Label{{"k", "\xff"}}},
		"unit not UTF-8":  {Name: "a", Unit: "\xff"},
		"type":            {Name: "a", Type: 9},
		"decimals":        {Name: "a", Type: record.TypeDecimal | 10<<4},
		"too many labels": {Name: "a", Labels: many},
		"too long":        {Name: "a", Labels: []record.Label{{"k", strings.Repeat("x", record.MaxDefinitionBytes)}}},
	} {
		if err := s.Normalize(); !errors.Is(err, record.ErrDefinition) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestValidStream(t *testing.T) {
	for s, want := range map[string]bool{"telemetry": true, "a-9": true, "": false, "A": false, "a/b": false, "a+": false,
		strings.Repeat("a", record.MaxStreamName): true, strings.Repeat("a", record.MaxStreamName+1): false} {
		if record.ValidStream(s) != want {
			t.Errorf("%q: want %t", s, want)
		}
	}
}

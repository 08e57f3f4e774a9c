// Package lineproto reads and writes InfluxDB line protocol, the text form in which Telegraf's plugins and many
// others speak of measurements:
//
//	measurement[,tag=value…] field=value[,field=value…] [timestamp]
//
//	fields: 1.5 (float)  3i (int)  3u (unsigned)  true/t/T/TRUE (bool)  "text" (string; \" and \\ escaped)
//	names:  a backslash escapes , = space (in a measurement , and space)
//
// Nothing here knows of series or clocks. Strings of a Point may share memory with the text that was parsed.
package lineproto

import (
	"errors"
	"fmt"
)

// Bounds of one line.
const (
	MaxLineBytes = 64 << 10
	MaxTags      = 64
	MaxFields    = 1024
)

// Kind is the type of a field.
type Kind uint8

// The kinds of fields.
const (
	Float  Kind = iota // text in Text
	Int                // text in Text, without i
	Uint               // text in Text, without u
	Bool               // Text is "true" or "false"
	String             // Text is the text, without escapes
)

// Pair is a tag.
type Pair struct{ Key, Value string }

// Field is one value. Numbers stay text, so that whoever takes them decides what is exact.
type Field struct {
	Key  string
	Kind Kind
	Text string
}

// Point is one line.
type Point struct {
	Name   string
	Tags   []Pair // in the order of the line
	Fields []Field
	Time   int64 // in the unit that the sender chose
	Timed  bool  // false: the line has no timestamp
}

// ErrSyntax is wrapped by SyntaxError.
var ErrSyntax = errors.New("bad line protocol")

// SyntaxError says where a text is not line protocol.
type SyntaxError struct {
	Line   int // from 1
	Column int // in bytes, from 1
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

func (e *SyntaxError) Unwrap() error { return ErrSyntax }

package lineproto

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse reads all lines of a text and hands each point to take. A line that is wrong goes to bad and the rest is read
// on; empty lines and lines that begin with # are skipped. A string field may hold newlines.
func Parse(text string, take func(Point), bad func(*SyntaxError)) {
	for line := 1; text != ""; {
		n, _ := LineEnd(text)
		one := text[:n]
		text = text[min(n+1, len(text)):]
		if t := strings.TrimLeft(one, " \t\r"); t != "" && t[0] != '#' {
			p, err := ParseLine(strings.TrimSuffix(one, "\r"))
			if err != nil {
				err.Line += line - 1
				bad(err)
			} else {
				take(p)
			}
		}
		line += strings.Count(one, "\n") + 1
	}
}

// LineEnd finds the newline that ends the first line: one outside the quotes of a string field. Where quotes do not
// close, the line ends at its first newline, so that a bad line costs itself only. whole is false where that may change
// with what follows text: there is no newline yet, or the quotes are open and the line is not too long.
func LineEnd(text string) (n int, whole bool) {
	first := strings.IndexByte(text, '\n')
	if first < 0 {
		return len(text), false
	}
	if strings.IndexByte(text[:first], '"') < 0 {
		return first, true
	}
	if t := strings.TrimLeft(text, " \t\r"); t[0] == '#' {
		return first, true
	}
	spaces, quoted, value := 0, false, false
	i := 0
	for ; i < len(text) && i <= MaxLineBytes; i++ {
		c := text[i]
		switch {
		case c == '\\':
			i++
			value = false
			continue
		case quoted:
			quoted = c != '"'
			continue
		case c == '\n':
			return i, true
		case c == ' ' && i > 0:
			spaces++
		case c == '"' && spaces >= 1 && value:
			quoted = true
		}
		value = c == '='
	}
	switch next := strings.IndexByte(text[min(i, len(text)):], '\n'); {
	case quoted:
		return first, i > MaxLineBytes
	case next >= 0: // the line is too long
		return i + next, true
	}
	return len(text), false
}

// ParseLine reads one line without its newline.
func ParseLine(line string) (Point, *SyntaxError) {
	s := scanner{text: line}
	p, reason := s.point()
	if reason != "" {
		at := min(s.at, len(line))
		before := line[:at]
		return Point{}, &SyntaxError{1 + strings.Count(before, "\n"), at - strings.LastIndexByte(before, '\n'), reason}
	}
	return p, nil
}

type scanner struct {
	text string
	at   int
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) blanks() {
	for s.peek() == ' ' {
		s.at++
	}
}

func (s *scanner) point() (p Point, reason string) {
	if len(s.text) > MaxLineBytes {
		return p, "the line is longer than " + strconv.Itoa(MaxLineBytes) + " bytes"
	}
	if !utf8.ValidString(s.text) || strings.IndexByte(s.text, 0) >= 0 {
		return p, "the line is not UTF-8 text"
	}
	s.blanks()
	if p.Name = s.name(", ", ", "); p.Name == "" {
		return p, "a measurement is missing"
	}
	for s.peek() == ',' {
		s.at++
		key := s.name(",= ", ",= ")
		if key == "" || s.peek() != '=' {
			return p, "a tag is written key=value"
		}
		s.at++
		value := s.name(",= ", ",= ")
		if s.peek() == '=' {
			return p, "a = in a tag value is written \\="
		}
		if value == "" {
			return p, "the tag " + key + " has no value"
		}
		if len(p.Tags) == MaxTags {
			return p, "more than " + strconv.Itoa(MaxTags) + " tags"
		}
		p.Tags = append(p.Tags, Pair{key, value})
	}
	if s.peek() != ' ' {
		return p, "fields are missing"
	}
	s.blanks()
	if p.Fields, reason = s.fields(); reason != "" {
		return p, reason
	}
	s.blanks()
	if s.at < len(s.text) {
		rest := strings.TrimRight(s.text[s.at:], " ")
		t, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return p, "the timestamp is not a whole number"
		}
		p.Time, p.Timed = t, true
	}
	return p, ""
}

// name reads up to an unescaped byte of stops. A backslash before one of escapes escapes it, else it is itself.
func (s *scanner) name(stops, escapes string) string {
	from, plain := s.at, true
	for s.at < len(s.text) {
		c := s.text[s.at]
		if c == '\\' && s.at+1 < len(s.text) && strings.IndexByte(escapes, s.text[s.at+1]) >= 0 {
			plain = false
			s.at += 2
			continue
		}
		if strings.IndexByte(stops, c) >= 0 || c == '\n' {
			break
		}
		s.at++
	}
	raw := s.text[from:s.at]
	if plain {
		return raw
	}
	return unescape(raw, escapes)
}

func unescape(raw, escapes string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' && i+1 < len(raw) && strings.IndexByte(escapes, raw[i+1]) >= 0 {
			i++
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

func (s *scanner) fields() ([]Field, string) {
	var out []Field
	for {
		key := s.name(",= ", ",= ")
		if key == "" || s.peek() != '=' {
			return nil, "a field is written key=value"
		}
		s.at++
		f, reason := s.value()
		if reason != "" {
			return nil, reason
		}
		if len(out) == MaxFields {
			return nil, "more than " + strconv.Itoa(MaxFields) + " fields"
		}
		f.Key = key
		out = append(out, f)
		if s.peek() != ',' {
			return out, ""
		}
		s.at++
	}
}

func (s *scanner) value() (Field, string) {
	if s.peek() == '"' {
		return s.quoted()
	}
	from := s.at
	for s.at < len(s.text) && strings.IndexByte(", \n", s.text[s.at]) < 0 {
		s.at++
	}
	raw := s.text[from:s.at]
	end := s.at
	s.at = from // where an error points
	f, reason := plain(raw)
	if reason == "" {
		s.at = end
	}
	return f, reason
}

func plain(raw string) (Field, string) {
	switch raw {
	case "t", "T", "true", "True", "TRUE":
		return Field{Kind: Bool, Text: "true"}, ""
	case "f", "F", "false", "False", "FALSE":
		return Field{Kind: Bool, Text: "false"}, ""
	case "":
		return Field{}, "a field has no value"
	}
	last := raw[len(raw)-1]
	switch last {
	case 'i':
		if _, err := strconv.ParseInt(raw[:len(raw)-1], 10, 64); err != nil {
			return Field{}, raw + " is not a 64-bit integer"
		}
		return Field{Kind: Int, Text: raw[:len(raw)-1]}, ""
	case 'u':
		if _, err := strconv.ParseUint(raw[:len(raw)-1], 10, 64); err != nil {
			return Field{}, raw + " is not an unsigned 64-bit integer"
		}
		return Field{Kind: Uint, Text: raw[:len(raw)-1]}, ""
	}
	if strings.Trim(raw, "0123456789+-.eE") != "" {
		return Field{}, raw + " is neither a number, nor true or false, nor a text in quotes"
	}
	if v, err := strconv.ParseFloat(raw, 64); err != nil || math.IsInf(v, 0) {
		return Field{}, raw + " is not a number that fits 64 bits"
	}
	return Field{Kind: Float, Text: raw}, ""
}

func (s *scanner) quoted() (Field, string) {
	open := s.at
	s.at++
	from := s.at
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			raw := s.text[from:s.at]
			s.at++
			if c := s.peek(); s.at < len(s.text) && c != ',' && c != ' ' {
				return Field{}, "a text ends with its quotes"
			}
			return Field{Kind: String, Text: unescape(raw, `"\`)}, ""
		}
		s.at++
	}
	s.at = open
	return Field{}, "the quotes are not closed"
}

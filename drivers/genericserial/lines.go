package genericserial

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
)

const lineEnds = "\r\n"

// lines is a parser of text lines that end with LF, CR or both. NULs around a line are padding, unless the line has a
// parity bit: then, and within a line always, they are what is left of a damaged character.
type lines struct {
	parity bool
	one    func(line string) ([]door.Reading, error)
}

func (l *lines) feed(buf []byte, take func([]door.Reading), miss func(error)) []byte {
	for {
		i := bytes.IndexAny(buf, lineEnds)
		if i < 0 {
			if len(buf) > MaxLine {
				miss(fmt.Errorf("%d bytes without a line end", len(buf)))
				return buf[:0]
			}
			return buf
		}
		raw := buf[:i]
		if !l.parity {
			raw = bytes.Trim(raw, "\x00")
		}
		line := strings.TrimSpace(string(raw))
		buf = buf[i+1:]
		if line == "" {
			continue
		}
		if strings.IndexByte(line, 0) >= 0 {
			miss(fmt.Errorf("%.80q: a character came damaged", line))
			continue
		}
		if !utf8.ValidString(line) {
			miss(errors.New("a line is not UTF-8 (wrong baud rate?)"))
			continue
		}
		rs, err := l.one(line)
		if err != nil {
			miss(fmt.Errorf("%.80q: %w", line, err))
			continue
		}
		take(rs)
	}
}

var errNoMatch = errors.New("does not match the pattern")

func byRegexp(re *regexp.Regexp, groups []int, fields []field, line string) ([]door.Reading, error) {
	m := re.FindStringSubmatchIndex(line)
	if m == nil {
		return nil, errNoMatch
	}
	var out []door.Reading
	for i := range fields {
		if from, to := m[2*groups[i]], m[2*groups[i]+1]; from >= 0 { // a group that took no part is no reading
			out = append(out, fields[i].text(line[from:to]))
		}
	}
	return out, nil
}

// byCSV takes columns apart; quotes are not special.
func byCSV(sep string, fields []field, line string) ([]door.Reading, error) {
	cols := strings.Split(line, sep)
	if len(cols) != len(fields) {
		return nil, fmt.Errorf("%d columns, want %d", len(cols), len(fields))
	}
	var out []door.Reading
	for i := range fields {
		if fields[i].Name != "" {
			out = append(out, fields[i].text(strings.TrimSpace(cols[i])))
		}
	}
	return out, nil
}

// text is the reading of a field written as text.
func (f *field) text(s string) door.Reading {
	r := f.reading()
	switch f.series.Type.Base() {
	case record.TypeString:
		r.String(s)
	case record.TypeBool:
		switch strings.ToLower(s) {
		case "1", "true", "on", "yes":
			r.Bool(true)
		case "0", "false", "off", "no":
			r.Bool(false)
		default:
			r.Bad(record.QualityMalformed, fmt.Sprintf("%.200q", s))
		}
	case record.TypeFloat:
		r.Number(s, -1)
	default:
		r.Number(s, f.series.Type.Decimals())
	}
	r.Series.Type = f.series.Type
	if r.Quality.Bad() && len(r.Detail) == 0 {
		r.Detail = []byte("empty")
	}
	return r
}

// valueType is the type of a field's series.
func (f *Field) valueType(binary bool) (record.Type, error) {
	if f.Decimals < 0 || f.Decimals > record.MaxDecimals {
		return 0, fmt.Errorf("decimals %d: want 0 to %d", f.Decimals, record.MaxDecimals)
	}
	if binary {
		t, ok := binaryTypes[f.Type]
		switch {
		case !ok:
			return 0, fmt.Errorf("type %q: want u8, i8, u16be, u16le, i16be, …, u64le, i64le, f32be, f32le, f64be or f64le", f.Type)
		case t.float:
			return record.TypeFloat, nil
		case f.Decimals > 0:
			return record.Decimal(f.Decimals), nil
		}
		return record.TypeInt, nil
	}
	switch f.Type {
	case "", "float":
		return record.TypeFloat, nil
	case "int":
		return record.TypeInt, nil
	case "decimal":
		if f.Decimals == 0 {
			return 0, errors.New("a decimal needs decimals of 1 to 9")
		}
		return record.Decimal(f.Decimals), nil
	case "bool":
		return record.TypeBool, nil
	case "string":
		return record.TypeString, nil
	}
	return 0, fmt.Errorf("type %q: want float, int, decimal, bool or string", f.Type)
}

package lineproto

import (
	"strconv"
	"strings"
)

// Append appends the point as one line with its newline. Names must not be empty or hold newlines, a point has at
// least one field; ok is false, and nothing is appended, for what has no form in line protocol.
func (p *Point) Append(dst []byte) (out []byte, ok bool) {
	if !writable(p.Name) || len(p.Fields) == 0 || p.Name[0] == '#' {
		return dst, false
	}
	from := len(dst)
	dst = escape(dst, p.Name, ", ")
	for _, t := range p.Tags {
		if !writable(t.Key) || !writable(t.Value) {
			return dst[:from], false
		}
		dst = append(escape(append(dst, ','), t.Key, ",= "), '=')
		dst = escape(dst, t.Value, ",= ")
	}
	for i, f := range p.Fields {
		if !writable(f.Key) {
			return dst[:from], false
		}
		sep := byte(',')
		if i == 0 {
			sep = ' '
		}
		dst = append(escape(append(dst, sep), f.Key, ",= "), '=')
		switch f.Kind {
		case Int:
			dst = append(append(dst, f.Text...), 'i')
		case Uint:
			dst = append(append(dst, f.Text...), 'u')
		case String:
			dst = append(escape(append(dst, '"'), f.Text, `"\`), '"')
		default:
			dst = append(dst, f.Text...)
		}
	}
	if p.Timed {
		dst = strconv.AppendInt(append(dst, ' '), p.Time, 10)
	}
	return append(dst, '\n'), true
}

// writable refuses what the protocol cannot say: nothing, newlines, and a backslash at the end.
func writable(s string) bool {
	return s != "" && !strings.ContainsAny(s, "\n\x00") && s[len(s)-1] != '\\' && s[0] != ' '
}

func escape(dst []byte, s, which string) []byte {
	for i := range len(s) {
		if strings.IndexByte(which, s[i]) >= 0 {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return dst
}

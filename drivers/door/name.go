package door

import (
	"slices"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
)

// Name makes a series name of any text: lower case, what is not a letter or digit becomes _, parts joined by dots.
// Empty if nothing is left. "Node Control/Rebirth" is node_control.rebirth.
func Name(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		for _, q := range strings.FieldsFunc(p, func(r rune) bool { return r == '/' || r == '.' }) {
			if c := clean(q); c != "" {
				if b.Len() > 0 {
					b.WriteByte('.')
				}
				b.WriteString(c)
			}
		}
	}
	s := strings.TrimLeft(b.String(), "0123456789_.")
	return s[:min(len(s), 128)]
}

// Key makes a label key of any text.
func Key(text string) string {
	c := clean(text)
	if c != "" && c[0] >= '0' && c[0] <= '9' {
		c = "_" + c
	}
	return c[:min(len(c), 64)]
}

func clean(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b = append(b, c)
		case c >= 'A' && c <= 'Z':
			if i > 0 && (s[i-1] >= 'a' && s[i-1] <= 'z' || s[i-1] >= '0' && s[i-1] <= '9') { // batteryLevel: battery_level
				b = append(b, '_')
			}
			b = append(b, c+'a'-'A')
		case len(b) > 0 && b[len(b)-1] != '_':
			b = append(b, '_')
		}
	}
	return strings.TrimRight(string(b), "_")
}

// Labels adds labels to a list, keeps it sorted, and lets the first of a key win.
func Labels(have []record.Label, more ...record.Label) []record.Label {
	out := append([]record.Label(nil), have...)
	for _, l := range more {
		if l.Key != "" && !slices.ContainsFunc(out, func(h record.Label) bool { return h.Key == l.Key }) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b record.Label) int { return strings.Compare(a.Key, b.Key) })
	return out
}

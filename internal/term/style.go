// Package term formats what programs say to people: numbers, times, tables, sparklines, colour and progress.
//
// Functions are pure: they take values and return text. What the terminal can show is a Style, found once by Detect.
// Colour only repeats what words say; without UTF-8 everything has an ASCII form.
package term

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style is what the reader's terminal can show. The zero Style is plain ASCII without colour, 80 columns wide.
type Style struct {
	TTY     bool // a person looks at it now
	Colour  bool
	UTF8    bool
	Columns int // 0 means 80
}

// Detect finds the style: getenv reads the environment, tty says whether the output is a terminal, columns is its
// width, 0 if unknown. NO_COLOR and TERM=dumb are respected; CLICOLOR_FORCE is not.
func Detect(getenv func(string) string, tty bool, columns int) Style {
	return Style{
		TTY:     tty,
		Colour:  tty && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb",
		UTF8:    utf8Locale(getenv),
		Columns: columns,
	}
}

func utf8Locale(getenv func(string) string) bool {
	for _, key := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(key)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// Width is the number of columns to use: the terminal's, between 40 and 80; 80 elsewhere.
func (s Style) Width() int {
	if s.Columns <= 0 {
		return 80
	}
	return min(max(s.Columns, 40), 80)
}

// Colours of Paint.
const (
	Red    = "31"
	Green  = "32"
	Yellow = "33"
	Dim    = "2"
)

// Paint wraps text in a colour where colours are shown.
func (s Style) Paint(colour, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

var asciiFor = map[rune]string{
	'°': "deg ", 'µ': "u", 'μ': "u", '±': "+/-", '…': "...", '–': "-", '—': "-", '→': "->", '←': "<-", '·': ".",
	'“': `"`, '”': `"`, '‘': "'", '’': "'", '≤': "<=", '≥': ">=", '×': "x", '−': "-", '³': "3", '²': "2",
	'▁': "_", '▂': ".", '▃': "-", '▄': "=", '▅': "+", '▆': "*", '▇': "#", '█': "#", 'Ω': "Ohm",
	'ä': "ae", 'ö': "oe", 'ü': "ue", 'Ä': "Ae", 'Ö': "Oe", 'Ü': "Ue", 'ß': "ss", 'é': "e", 'è': "e", 'à': "a",
}

// Text is s as the terminal can show it. Control characters are removed always: names come from devices and must not
// move a cursor. Line breaks stay.
func (s Style) Text(text string) string {
	clean := true
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || r == utf8.RuneError) || r >= utf8.RuneSelf && !s.UTF8 || unicode.Is(unicode.Cf, r) {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r == '\n':
			b.WriteByte('\n')
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
		case r < utf8.RuneSelf || s.UTF8:
			b.WriteRune(r)
		default:
			if a, ok := asciiFor[r]; ok {
				b.WriteString(a)
			} else {
				b.WriteByte('?')
			}
		}
	}
	return b.String()
}

// Columns is the number of columns that text takes on a terminal: wide East Asian characters take two, escape
// sequences of Paint and combining marks none.
func Columns(text string) int {
	n, escape := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case unicode.Is(unicode.Mn, r):
		case wide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

func wide(r rune) bool {
	return r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 ||
		r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd)
}

// Clip shortens text to the given columns, with an ellipsis where something was cut. The text has no colour.
func (s Style) Clip(text string, columns int) string {
	if Columns(text) <= columns {
		return text
	}
	mark := "…"
	if !s.UTF8 {
		mark = "."
	}
	n, end := 0, 0
	for i, r := range text {
		w := Columns(string(r))
		if n+w > columns-1 {
			end = i
			break
		}
		n += w
	}
	return text[:end] + mark
}

// Wrap breaks text at spaces into lines of at most width columns, each but the first indented. A word longer than a
// line stays whole.
func Wrap(text string, width int, indent string) string {
	return wrapFrom(text, width, len(indent), indent)
}

// wrapFrom is Wrap of a text whose first line begins at a column of its own.
func wrapFrom(text string, width, col int, indent string) string {
	var b strings.Builder
	for p, para := range strings.Split(text, "\n") {
		if p > 0 {
			b.WriteString("\n" + indent)
			col = len(indent)
		}
		for i, word := range strings.Fields(para) {
			w := Columns(word)
			switch {
			case i == 0:
			case col+1+w > width:
				b.WriteString("\n" + indent)
				col = len(indent)
			default:
				b.WriteByte(' ')
				col++
			}
			b.WriteString(word)
			col += w
		}
	}
	return b.String()
}

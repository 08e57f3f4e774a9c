package term

import "strings"

// Page fits a page that was written by hand for 80 columns to width. Paragraphs without indent are filled anew. An indented
// line that is too long keeps its columns, which two spaces or more divide, and breaks its last one: beside what stands before
// it, or where that takes more than half of the width, in lines below. Words joined by | may be broken there.
func Page(text string, width int) string {
	lines := strings.Split(text, "\n")
	var out []string
	for i := 0; i < len(lines); {
		j := i
		for j < len(lines) && prose(lines[j]) {
			j++
		}
		if j > i {
			out = append(out, paragraph(lines[i:j], width)...)
			i = j
			continue
		}
		out = append(out, hang(lines[i], width))
		i++
	}
	return strings.Join(out, "\n")
}

// prose reports whether a line belongs to a paragraph without indent and columns.
func prose(line string) bool { return line != "" && line[0] != ' ' && !strings.Contains(line, "  ") }

// paragraph leaves lines that fit as they are.
func paragraph(lines []string, width int) []string {
	for _, l := range lines {
		if Columns(l) > width {
			return []string{Wrap(breakable(strings.Join(lines, " "), width), width, "")}
		}
	}
	return lines
}

func hang(line string, width int) string {
	if Columns(line) <= width {
		return line
	}
	body := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(body)]
	if at := strings.LastIndex(body, "  "); at > 0 {
		last := body[at+2:]
		column := Columns(line) - Columns(last)
		if column <= width/2 {
			return line[:len(line)-len(last)] + Wrap(breakable(last, width-column), width, strings.Repeat(" ", column))
		}
		deeper := indent + "    "
		return hang(indent+strings.TrimRight(body[:at], " "), width) + "\n" + deeper + Wrap(breakable(last, width-len(deeper)), width, deeper)
	}
	deeper := indent + "    "
	if len(indent) >= continued { // it goes on a line before
		for len(indent) > 6 && (len(indent) > width/2 || len(indent)+longest(body) > width) {
			indent = indent[1:]
		}
		deeper = indent
	}
	return indent + wrapFrom(breakable(body, width-len(indent)), width, len(indent), deeper)
}

// continued is the indent from which on a line is taken for the rest of the one before.
const continued = 10

func longest(text string) int {
	n := 0
	for _, w := range strings.Fields(text) {
		n = max(n, Columns(w))
	}
	return n
}

// breakable puts a space behind the | of words that are longer than room, as often as they need it.
func breakable(text string, room int) string {
	words := strings.Split(text, " ")
	for i, w := range words {
		if Columns(w) <= room || !strings.Contains(w, "|") {
			continue
		}
		var b strings.Builder
		n := 0
		for _, part := range strings.SplitAfter(w, "|") {
			if n > 0 && n+Columns(part) > room {
				b.WriteByte(' ')
				n = 0
			}
			b.WriteString(part)
			n += Columns(part)
		}
		words[i] = b.String()
	}
	return strings.Join(words, " ")
}

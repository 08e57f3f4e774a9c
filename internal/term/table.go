package term

import (
	"strings"
)

// Table lines up columns. Columns of numbers are aligned to the right; which rows come first is the caller's choice.
// Cells may be painted.
type Table struct {
	Head  []string
	Right []bool // per column: align to the right
	Rows  [][]string
	Gap   int // spaces between columns, 0 means 3
}

// Row adds a row.
func (t *Table) Row(cells ...string) { t.Rows = append(t.Rows, cells) }

// String is the table, each line ended by a newline and without spaces before it.
func (t *Table) String() string {
	rows := t.Rows
	if len(t.Head) > 0 {
		rows = append([][]string{t.Head}, rows...)
	}
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Columns(c))
		}
	}
	gap := t.Gap
	if gap == 0 {
		gap = 3
	}
	var b strings.Builder
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			pad := strings.Repeat(" ", widths[i]-Columns(c))
			if i > 0 {
				line.WriteString(strings.Repeat(" ", gap))
			}
			if i < len(t.Right) && t.Right[i] {
				line.WriteString(pad + c)
			} else {
				line.WriteString(c + pad)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// Fit is the table, if no line of it is longer than width; else each row stands by itself: its first cell, and the others
// with their heads, broken between them.
func (t *Table) Fit(width int) string {
	out := t.String()
	wide := false
	for line := range strings.Lines(out) {
		wide = wide || Columns(strings.TrimRight(line, "\n")) > width
	}
	if !wide || len(t.Head) == 0 {
		return out
	}
	var b strings.Builder
	for _, r := range t.Rows {
		const indent = "  "
		line := strings.TrimSpace(r[0])
		if len(t.Right) > 0 && t.Right[0] { // a number says nothing alone
			line = strings.TrimSpace(t.Head[0]) + " " + line
		}
		for i, cell := range r[1:] {
			if strings.TrimSpace(cell) == "" {
				continue
			}
			part := strings.TrimSpace(t.Head[i+1] + " " + cell)
			if Columns(line)+3+Columns(part) > width {
				b.WriteString(line + "\n")
				line = indent + part
				continue
			}
			line += "   " + part
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// Sparkline draws the values from oldest to newest, one column each, at most width (the newest are kept). NaN is a
// space. Equal values are drawn in the middle.
func (s Style) Sparkline(values []float64, width int) string {
	marks := []rune("▁▂▃▄▅▆▇")
	if !s.UTF8 {
		marks = []rune("_.-=+*#")
	}
	if len(values) > width {
		values = values[len(values)-max(width, 0):]
	}
	lo, hi, any := 0.0, 0.0, false
	for _, v := range values {
		if v != v {
			continue
		}
		if !any {
			lo, hi, any = v, v, true
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	out := make([]rune, 0, len(values))
	for _, v := range values {
		switch {
		case v != v:
			out = append(out, ' ')
		case hi == lo:
			out = append(out, marks[len(marks)/2])
		default:
			part := (v/2 - lo/2) / (hi/2 - lo/2) // halves: the difference of two large floats may overflow
			out = append(out, marks[min(max(int(part*float64(len(marks))), 0), len(marks)-1)])
		}
	}
	return string(out)
}

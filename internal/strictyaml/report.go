package strictyaml

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with a file, in one sentence.
type Problem struct {
	Line, Col int    // from 1; 0 where unknown
	Path      string // sources[2].interval
	Text      string
}

// Error lists everything that is wrong with a file, in the order of its lines. Its text has one line a problem:
//
//	agent.yaml:31:5  unknown key "intervall" in sources[2]; did you mean "interval"?
type Error struct {
	File     string
	Problems []Problem // at most MaxProblems
	More     int       // that there are beyond them
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		if p.Col > 0 {
			fmt.Fprintf(&b, ":%d", p.Col)
		}
		b.WriteString("  ")
		b.WriteString(p.Text)
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n%s  and %d more", e.File, e.More)
	}
	return b.String()
}

// Tell prints why a configuration was refused and, where that is a list of problems, how many there are.
func Tell(w io.Writer, err error) {
	fmt.Fprintln(w, err)
	var e *Error
	switch errors.As(err, &e); {
	case e == nil && errors.Is(err, fs.ErrNotExist):
		fmt.Fprintln(w, "Name another file with --config, or begin with the commented example in deploy/.")
	case e == nil:
	case len(e.Problems)+e.More == 1:
		fmt.Fprintln(w, "1 error; nothing was changed.")
	default:
		fmt.Fprintf(w, "%d errors; nothing was changed.\n", len(e.Problems)+e.More)
	}
}

// Report collects problems. Checks that run after decoding add theirs by path.
type Report struct {
	pos      *Positions
	problems []Problem
	dropped  int
}

// NewReport begins a report on a decoded file; pos may be nil for values that come from no file. The problems of
// decoding, if err is an *Error, are taken over.
func NewReport(pos *Positions, err error) *Report {
	r := &Report{pos: pos}
	var e *Error
	if errors.As(err, &e) {
		r.problems, r.dropped = append(r.problems, e.Problems...), e.More
	}
	return r
}

// Addf adds a problem with the value at path. A path that already has one is left alone: a value that could not be
// read is not also "missing".
func (r *Report) Addf(path, format string, args ...any) {
	for _, p := range r.problems {
		if p.Path == path {
			return
		}
	}
	r.add(r.pos.At(path), path, fmt.Sprintf(format, args...))
}

// Err is an *Error with all problems sorted by line, nil if there are none.
func (r *Report) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	e := &Error{Problems: append([]Problem(nil), r.problems...), More: r.dropped}
	if r.pos != nil {
		e.File = r.pos.File
	}
	sort.SliceStable(e.Problems, func(i, j int) bool {
		a, b := e.Problems[i], e.Problems[j]
		return a.Line < b.Line || a.Line == b.Line && a.Col < b.Col
	})
	return e
}

func (r *Report) at(n *yaml.Node, path, text string) { r.add(Pos{n.Line, n.Column}, path, text) }

func (r *Report) add(pos Pos, path, text string) {
	if len(r.problems) >= MaxProblems {
		r.dropped++
		return
	}
	r.problems = append(r.problems, Problem{Line: pos.Line, Col: pos.Col, Path: path, Text: text})
}

const minBeginning = 3 // letters that tell which word is meant

// Suggest is the end of a sentence on an unknown word: "; did you mean …?" if a known one is near, else the list
// of known ones if it is short, else nothing.
func Suggest(word string, known []string) string {
	best, bestDist := "", max(len(word)/3, 1)+1
	if len(word) <= MaxSuggestBytes {
		for _, k := range known {
			if d := distance(word, k); d < bestDist {
				best, bestDist = k, d
			}
		}
	}
	for _, k := range known { // the beginning of one, if nothing is nearer
		if best == "" && len(word) >= minBeginning && strings.HasPrefix(k, word) {
			best = k
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) > 0 && len(known) <= 12:
		return "; known are " + strings.Join(known, ", ")
	}
	return ""
}

// distance counts the edits from a to b: insert, delete, replace, swap of neighbours.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

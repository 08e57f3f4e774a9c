package cmdline

import (
	"flag"
	"slices"
	"strings"
)

// Choice is what may stand at one place of a command line.
type Choice struct {
	Words []string
	Files bool // any file, too
	Open  bool // the word goes on behind what stands here: NAME=
}

// Completer knows the command lines of a program, for the shells.
type Completer struct {
	// Flags are those of a command line with these words, the command first; without words those before a command.
	Flags func(words []string) *flag.FlagSet
	// Value is what a flag takes.
	Value func(words []string, flag string) Choice
	// Argument is what may stand behind these words.
	Argument func(words []string) Choice
}

// Complete is what the last word of line may become. The values of flags before it are set, so that names are asked for
// where the line asks: --run-dir.
func (c Completer) Complete(line []string) Choice {
	if len(line) == 0 {
		line = []string{""}
	}
	cur, rest := line[len(line)-1], line[:len(line)-1]
	var words []string
	f := c.Flags(nil)
	for i := 0; i < len(rest); i++ {
		name, value, joined := strings.Cut(strings.TrimLeft(rest[i], "-"), "=")
		x := f.Lookup(name)
		switch {
		case !strings.HasPrefix(rest[i], "-") || rest[i] == "-":
			words = append(words, rest[i])
			f = c.Flags(words)
		case x == nil, takesNone(x):
		case joined:
			_ = f.Set(name, value) // a wrong value is told when the line is run
		case i+1 == len(rest):
			return starting(cur, c.Value(words, name))
		default:
			i++
			_ = f.Set(name, rest[i])
		}
	}
	if !strings.HasPrefix(cur, "-") {
		return starting(cur, c.Argument(words))
	}
	if name, _, joined := strings.Cut(strings.TrimLeft(cur, "-"), "="); joined && f.Lookup(name) != nil {
		v := c.Value(words, name)
		for i, w := range v.Words {
			v.Words[i] = cur[:strings.Index(cur, "=")+1] + w
		}
		return starting(cur, Choice{Words: v.Words})
	}
	out := Choice{Words: []string{"--help"}}
	f.VisitAll(func(x *flag.Flag) {
		if d := dashed(x.Name); d != "-h" {
			out.Words = append(out.Words, d)
		}
	})
	slices.Sort(out.Words)
	return starting(cur, Choice{Words: slices.Compact(out.Words)})
}

func takesNone(x *flag.Flag) bool {
	b, ok := x.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func starting(cur string, c Choice) Choice {
	c.Words = slices.DeleteFunc(slices.Clone(c.Words), func(w string) bool { return !strings.HasPrefix(w, cur) })
	return c
}

// Lines is a choice as the completion scripts read it: words, and :files or :open for what the shell itself does.
func (c Choice) Lines() string {
	lines := c.Words
	if c.Files {
		lines = append(slices.Clone(lines), ":files")
	}
	if c.Open {
		lines = append(slices.Clone(lines), ":open")
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

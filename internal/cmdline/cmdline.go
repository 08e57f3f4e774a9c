// Package cmdline reads what people type behind a program's name: words and flags in any order, times and lengths of
// time. A mistake is told in the words of the command line, with what was probably meant.
package cmdline

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
)

// Parse reads the flags of f, which may stand before and after other words, of which at most max are taken. The error is
// flag.ErrHelp where help is asked for, else a sentence. f prints nothing.
func Parse(f *flag.FlagSet, args []string, max int) (words []string, err error) {
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	for rest := args; ; {
		if err := f.Parse(rest); err != nil {
			return nil, Explain(f, err)
		}
		if rest = f.Args(); len(rest) == 0 {
			break
		}
		words, rest = append(words, rest[0]), rest[1:]
	}
	if len(words) > max {
		return nil, fmt.Errorf("%q is one word too many", words[max])
	}
	return words, nil
}

var (
	undefined = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)
	noValue   = regexp.MustCompile(`^flag needs an argument: -(.*)$`)
	badValue  = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?-([^:]*): (.*)$`)
)

// Explain turns an error of package flag into one that speaks of what was typed. flag.ErrHelp stays what it is.
func Explain(f *flag.FlagSet, err error) error {
	text := err.Error()
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if m := undefined.FindStringSubmatch(text); m != nil {
		var names []string
		f.VisitAll(func(x *flag.Flag) {
			if len(x.Name) > 1 {
				names = append(names, dashed(x.Name))
			}
		})
		hint := strictyaml.Suggest("--"+m[1], names)
		if strings.Contains(hint, "known are") {
			hint = ""
		}
		return fmt.Errorf("there is no flag %s%s", dashed(m[1]), hint)
	}
	if m := noValue.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s wants a value", dashed(m[1]))
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		if m[3] == "parse error" || m[3] == "value out of range" {
			return fmt.Errorf("%s %q: %s", dashed(m[2]), m[1], wanted(f, m[2]))
		}
		return fmt.Errorf("%s %q: %s", dashed(m[2]), m[1], m[3])
	}
	return err
}

func wanted(f *flag.FlagSet, name string) string {
	if g, ok := f.Lookup(name).Value.(flag.Getter); ok {
		switch g.Get().(type) {
		case bool:
			return "it takes no value, or true or false"
		case int, int64, uint, uint64:
			return "want a whole number"
		case float64:
			return "want a number"
		}
	}
	return "want a length of time such as 500ms, 10s or 5m"
}

// Then joins a mistake and what can be typed instead, which may follow a question: "there is no …; did you mean …? edgectl
// help lists all".
func Then(mistake error, next string) error {
	if strings.HasSuffix(mistake.Error(), "?") {
		return fmt.Errorf("%w %s", mistake, next)
	}
	return fmt.Errorf("%w; %s", mistake, next)
}

// Unknown is the mistake of a word that is none of those known.
func Unknown(what, word string, known []string) error {
	return fmt.Errorf("there is no %s %q%s", what, word, strictyaml.Suggest(word, known))
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// Exit statuses of Program.Command.
const (
	statusOK    = 0
	statusUsage = 2
)

// Program is one whose commands take flags and no other words, as the daemons' do.
type Program struct {
	Name     string
	Usage    string // the page of help
	Commands []string
}

// Page prints a page that was written for 80 columns as wide as w is.
func Page(w io.Writer, text string) {
	style := term.Detect(os.Getenv, false, 0)
	if f, ok := w.(*os.File); ok {
		style = term.DetectFile(f)
	}
	fmt.Fprint(w, term.Page(style.Text(text), style.Width()))
}

// Command reads args into f and returns the command. Where help or the version is asked for, or something is wrong, it has
// said so; the command is "" then, and the program ends with status.
func (p Program) Command(args []string, f *flag.FlagSet, stdout, stderr io.Writer) (command string, status int) {
	wrong := func(err error) (string, int) {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, Then(err, p.Name+" help shows all"))
		return "", statusUsage
	}
	if len(args) == 0 {
		Page(stderr, p.Usage)
		return "", statusUsage
	}
	switch command = args[0]; command {
	case "version", "--version":
		fmt.Fprintln(stdout, p.Name, version.String())
		return "", statusOK
	case "help", "--help", "-h":
		Page(stdout, p.Usage)
		return "", statusOK
	}
	if !slices.Contains(p.Commands, command) {
		return wrong(Unknown("command", command, p.Commands))
	}
	switch _, err := Parse(f, args[1:], 0); {
	case errors.Is(err, flag.ErrHelp):
		Page(stdout, p.Usage)
		return "", statusOK
	case err != nil:
		return wrong(fmt.Errorf("%s: %w", command, err))
	}
	return command, statusOK
}

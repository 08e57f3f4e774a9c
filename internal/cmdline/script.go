package cmdline

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed shells
var scripts embed.FS

// Shells are those that completions exist for.
var Shells = []string{"bash", "zsh", "fish"}

// CompleteCommand is what the scripts call with the words of the line behind it; it is not for people.
const CompleteCommand = "__complete"

// Script completes a program's command lines in a shell, by asking the program.
func Script(program, shell string) (string, error) {
	if !slices.Contains(Shells, shell) {
		if shell == "" {
			return "", fmt.Errorf("which shell? There are %s", strings.Join(Shells, ", "))
		}
		return "", fmt.Errorf("completions for %q do not exist; there are %s", shell, strings.Join(Shells, ", "))
	}
	b, err := scripts.ReadFile("shells/" + shell)
	if err != nil {
		panic("cmdline: a script is missing: " + err.Error()) // they are part of the program
	}
	return strings.NewReplacer("PROGRAM", program, "FUNCTION", strings.ReplaceAll(program, "-", "_")).Replace(string(b)), nil
}

package cli_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/cmdline"
)

func TestCompletion(t *testing.T) {
	dir := serve(t, degradedBox())
	for line, want := range map[string]string{
		"stat":                              "status",
		"--run-dir DIR tail ":               "telemetry events alarms health",
		"tail --run-dir DIR ev":             "events",
		"query --run-dir DIR --series ":     "cpu.busy disk.free temperature",
		"query --series=":                   "", // no agent at the usual place
		"query --run-dir=DIR --series=d":    "--series=disk.free",
		"status --js":                       "--json",
		"log erase --k":                     "--key --key-file",
		"log dump --c":                      "--config --csv",
		"log erase --c":                     "--config",
		"log ver":                           "verify",
		"log verify ":                       ":files",
		"explain a":                         "",
		"explain A00":                       "A001 A002 A003 A005 A006",
		"modbus read --ty":                  "--type",
		"modbus read --word-order ":         "big little",
		"modbus read --byte-order ":         "big little",
		"modbus scan --ty":                  "",
		"node set x heater_o":               "heater_on= heater_off= :open",
		"node flash x ":                     ":files",
		"status --config ":                  ":files",
		"-o ":                               "wide json",
		"--run-dir DIR -o wide faults ack ": "1 2 3 4",
		"completion ":                       "bash zsh fish",
		"no-such-command ":                  "",
		"help doc":                          "doctor",
	} {
		words := strings.Split(strings.ReplaceAll(line, "DIR", dir), " ")
		code, out, errs := run{args: append([]string{"__complete"}, words...)}.do(t)
		got := strings.Fields(out)
		if strings.Contains(line, "ack") {
			slices.Sort(got)
		}
		if code != 0 || errs != "" || strings.Join(got, " ") != want {
			t.Errorf("%q: exit %d %q %s, want %q", line, code, got, errs, want)
		}
	}
}

// TestCompletionScripts: each shell itself completes with what the program says.
func TestCompletionScripts(t *testing.T) {
	bin := t.TempDir()
	fake := `#!/bin/sh
[ "$1" = __complete ] || exit 9
shift
case "$#:$*" in
"1:") printf 'status\nlog\n' ;;
"1:sta") echo status ;;
"3:--run-dir /x y sta") echo status ;;
"2:log ") printf 'verify\ninspect\n' ;;
"3:node set hea") ;;
"4:node set x hea") printf 'heater_on=\n:open\n' ;;
"3:log verify fi") echo :files ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "edgectl"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "file.seg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	lines := []string{"sta", "--run-dir /x\\ y sta", "log ", "node set x hea", "log verify fi"}
	all := []string{"status", "status", "inspect verify", "heater_on=", "file.seg"}
	drivers := map[string]string{
		"bash": `. "$SCRIPT"; for line in "$@"; do
eval "set -- $line"; COMP_WORDS=(edgectl "$@"); [[ $line == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _edgectl; printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd' '; done`,
		// A zsh of its own on a terminal, where a person types the line and Tab.
		"zsh": `zmodload zsh/zpty; for line in "$@"; do
zpty z "zsh -f -i"; zpty -w z 'PROMPT=; autoload -Uz compinit; compinit -u -d $HOME/dump; source $SCRIPT; bindkey "^I" menu-complete
show() { print -r -- "LINE<$BUFFER>" }; zle -N show; bindkey "^G" show; print READ""Y'
while zpty -r z got && [[ $got != *READY* ]]; do :; done
zpty -w -n z "edgectl $line"$'\t\C-g'
while zpty -r z got && [[ $got != *LINE\<* ]]; do :; done
got=${got##*LINE<}; got=${got%%>*}; zpty -d z; print -r -- ${${got% }##* }; done`,
		"fish": `source $SCRIPT; for line in $argv; complete -C "edgectl $line" | string split -f1 \t | sort | string join " "; end; true`,
	}
	for _, shell := range cmdline.Shells {
		code, out, errs := run{args: []string{"completion", shell}}.do(t)
		if code != 0 {
			t.Fatalf("%s: exit %d %s", shell, code, errs)
		}
		name := map[string]string{"bash": "edgectl.bash", "zsh": "_edgectl", "fish": "edgectl.fish"}[shell]
		compare(t, "../../deploy/completions/"+name, out)
		if _, err := exec.LookPath(shell); err != nil {
			t.Errorf("%s is not installed; deploy/bootstrap/setup.sh test installs it", shell)
			continue
		}
		script, err := filepath.Abs("../../deploy/completions/" + name)
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"-c", drivers[shell]}, lines...)
		switch shell {
		case "bash":
			args = append([]string{"--norc", "-c", drivers[shell], "bash"}, lines...)
		case "zsh":
			args = append([]string{"-f", "-c", drivers[shell], "zsh"}, lines...)
		}
		want := slices.Clone(all)
		if shell == "zsh" {
			want[2] = "inspect" // the first of them
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, shell, args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "SCRIPT="+script, "HOME="+t.TempDir(), "LC_ALL=C.UTF-8", "TERM=dumb")
		b, err := cmd.CombinedOutput()
		got := strings.Split(strings.TrimSpace(string(b)), "\n")
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %v\n got %q\nwant %q", shell, err, got, want)
		}
	}
}

package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/term"
)

const flagHelp = `Flags of every command
  --json            for programs: a stable form with schema_version
  --utc             times in UTC, not in the zone of the box
  -o wide           more columns
  --run-dir DIR     where the sockets are; $EDGE_RUN_DIR or /run/edge-agent
  --socket PATH     the same, by the path of view.sock
  --dir DIR         data of a dead agent; $EDGE_DATA_DIR or /var/lib/edge-agent
  --config FILE     $EDGE_CONFIG or /etc/edge-agent/agent.yaml

Exit codes: 0 fine, 1 error, 2 wrong usage, 3 degraded or failed, 4 agent
unreachable, 5 trust error.
`

// accountWords explains the columns of status and account.
const accountWords = `END, TAKEN   records that were made; each is on the disk
DELIVERED    of these, what the hub has stored
SKIPPED      the hub can never store them; it says why
DROPPED      not on this disk any more; the hub has them as a named gap
IN FLIGHT    sent, and not answered yet
BUFFERED     wait on the disk
REST         what none of these explains; BALANCED: it is 0
`

// examples are shown by `help COMMAND`.
func examples(name string) string {
	switch name {
	case "status":
		return "  edgectl status -o wide    rooms of the streams, errors\n\n" + accountWords
	case "account":
		return "  edgectl account -o wide   every epoch by itself\n\n" + accountWords
	case "tail":
		return "  edgectl tail -f              what comes in now\n  edgectl tail -n 100 alarms   the last 100 alarms\n\n" +
			"~ before a time: the box had no clock then, and its time is a guess. -o wide shows\nwhere a record stands and the raw bytes of a bad reading.\n"
	case "query":
		return "  edgectl query --since 1h --series temperature\n  edgectl query --since yesterday --until today --json > day.ndjson\n\n" +
			"Times: 2026-11-23T02:14:00Z, \"2026-11-23 02:14\", 02:14, today, 90m (ago).\n" +
			"--limit N (default 100,000) bounds the answer. Works with the agent dead.\n"
	case "faults":
		return "  edgectl faults          all lines, worst first\n  edgectl faults ack 12   line 12 is known; it goes once it is over\n"
	case "explain":
		return "  edgectl explain S012    one fault\n  edgectl explain         the list of all\n"
	case "sensors":
		return "  edgectl sensors                 worst first\n  edgectl sensors cold            what has \"cold\" in its source, id, name or series\n" +
			"  edgectl sensors watch cold      again every 2 s; --every 500ms\n"
	case "scan":
		return scanHelp
	case "modbus":
		return modbusHelp
	case "pipeline":
		return pipelineHelp
	case "npu":
		return npuHelp
	case "enrol":
		return enrolHelp
	case "update":
		return updateHelp
	case "keys":
		return keysHelp
	case "release":
		return releaseHelp
	case "log":
		return logHelp()
	case "node":
		return nodeHelp()
	case "completion":
		return "  source <(edgectl completion bash)                   in ~/.bashrc\n" +
			"  source <(edgectl completion zsh)                    in ~/.zshrc, after compinit\n" +
			"  edgectl completion fish > ~/.config/fish/completions/edgectl.fish\n"
	}
	return ""
}

func (a *app) help(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return a.helpOn(args[0])
	}
	t := term.Table{Gap: 2}
	for _, c := range commands() {
		t.Row("  "+c.name, c.short)
	}
	return a.page("edgectl asks the Edgelog agent of this box.\n\n  edgectl COMMAND [flags]\n  edgectl help COMMAND   its words, flags and examples\n\n" + t.String() + "\n" + flagHelp)
}

// page prints a page that was written for 80 columns.
func (a *app) page(text string) error {
	return a.text(term.Page(a.Style.Text(text), a.Style.Width()))
}

// narrow prints what is laid out for 80 columns, broken where the terminal has fewer.
func (a *app) narrow(text string) error {
	if a.Style.Width() < 80 {
		return a.page(text)
	}
	return a.text(a.Style.Text(text))
}

func (a *app) helpOn(name string) error {
	for _, c := range commands() {
		if c.name == name {
			text := fmt.Sprintf("edgectl %s\n\n%s.\n\n", strings.TrimSpace(c.name+" "+c.args), c.short)
			if ex := examples(name); ex != "" {
				text += strings.TrimRight(ex, "\n") + "\n\n"
			}
			return a.page(text + flagHelp)
		}
	}
	return usage(unknownCommand(name))
}

func unknownCommand(word string) error {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return cmdline.Then(cmdline.Unknown("command", word, names), "edgectl help lists all")
}

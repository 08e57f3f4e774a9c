package cli

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
)

// nodeCommands are the verbs of `edgectl node`.
func nodeCommands() []logCommand {
	return []logCommand{
		{"list", "[--scan LINE]", "every microcontroller node, worst first", (*app).nodeList},
		{"show", "NAME", "one node: identity, queue, sensors, outputs, settings", (*app).nodeShow},
		{"set", "NAME KEY=VALUE … [--for TIME]", "settings, clock, outputs by hand, rescan, reset", (*app).nodeSet},
		{"flash", "NAME FILE [--want VERSION] [--yes]", "new firmware: ELF, Intel HEX or binary", (*app).nodeFlash},
		{"monitor", "NAME [-n N]", "what the node says, as it comes", (*app).nodeMonitor},
	}
}

// nodeHelp is the page of `edgectl help node`.
func nodeHelp() string {
	t := term.Table{Gap: 2}
	for _, c := range nodeCommands() {
		t.Row("  edgectl node "+c.name, c.short)
	}
	return t.String() + `
  edgectl node list
  edgectl node list --scan cellar       ask every address of the line "cellar"
  edgectl node set aquarium heater_on=24.5 heater_off=25.5
  edgectl node set aquarium timer1_on=08:30 timer1_off=20:00
  edgectl node set aquarium unit=5      its address from its next start on
  edgectl node set aquarium clock=now
  edgectl node set aquarium output.fan=on output.heater=off --for 10m
  edgectl node set aquarium output=auto
  edgectl node set aquarium command=rescan      or command=reset
  edgectl node flash aquarium node-atmega328p.hex --want 1.2.0
  edgectl node monitor aquarium

What the configuration declares (settings of a node) is changed there. A flash
empties the node's queue first, takes the line from the other nodes meanwhile,
and can be run again whatever interrupted it.

  --want VERSION   the node must say this version afterwards
  --for TIME       how long outputs stay under manual control
  --yes            flash: do not ask
`
}

func (a *app) node(ctx context.Context, args []string) error {
	var names []string
	for _, c := range nodeCommands() {
		if len(args) > 0 && args[0] == c.name {
			return c.run(a, ctx, args[1:])
		}
		names = append(names, c.name)
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		return a.helpOn("node")
	}
	return usagef("there is no command %q%s", "node "+args[0], strictyaml.Suggest(args[0], names))
}

// nodeRank orders states from worst to best.
func nodeRank(n *api.Node) int {
	switch {
	case n.State == api.NodeOffline, n.State == api.NodeForeign:
		return 0
	case n.State != api.NodeOnline:
		return 1
	case !n.SettingsOK, n.FailSafe:
		return 2
	}
	return 3
}

// nodesOK reports whether every node is well.
func nodesOK(n *api.Nodes) bool {
	for _, l := range n.Lines {
		for i := range l.Nodes {
			if nodeRank(&l.Nodes[i]) < 2 {
				return false
			}
		}
	}
	return true
}

func (a *app) nodeList(ctx context.Context, args []string) error {
	scan := ""
	if _, err := a.parse("node", args, 0, func(f *flag.FlagSet) { f.StringVar(&scan, "scan", "", "") }); err != nil {
		return err
	}
	if scan != "" {
		fmt.Fprintln(a.Stderr, a.Style.Text("asking every address of "+scan+"; this takes up to two minutes …"))
		if _, err := a.client.ChangeNode(ctx, scan, api.NodeRequest{Scan: true}); err != nil {
			return err
		}
	}
	n, err := a.client.Nodes(ctx)
	if err != nil {
		return err
	}
	return a.show(n, func() string { return a.view().nodes(n) }, nodesOK(n))
}

func (v view) nodes(n *api.Nodes) string {
	if len(n.Lines) == 0 {
		return "No line of nodes is configured: nodes: in agent.yaml (docs/node-agent.md).\n"
	}
	var b strings.Builder
	for i, l := range n.Lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(v.clean(v.fields(3, l.Name, l.Port, fmt.Sprintf("%d baud", l.Baud), "stream "+l.Stream)))
		list := slices.Clone(l.Nodes)
		sort.SliceStable(list, func(i, j int) bool { return nodeRank(&list[i]) < nodeRank(&list[j]) })
		t := term.Table{Right: []bool{false, false, true, false, false, true, true, true}, Gap: 2}
		t.Row("", "NODE", "UNIT", "STATE", "CHIP", "VERSION", "QUEUE", "HEARD")
		for k := range list {
			x := &list[k]
			mark, colour := "  ", ""
			switch nodeRank(x) {
			case 0:
				mark, colour = "!", term.Red
			case 1, 2:
				mark, colour = "-", term.Yellow
			}
			queue := "-"
			if x.Queue > 0 {
				queue = fmt.Sprintf("%d/%d", x.Fill, x.Queue)
			}
			t.Row(v.style.Paint(colour, mark), v.style.Clip(v.clean(x.Name), 20), fmt.Sprint(x.Unit), x.State, v.style.Clip(v.clean(x.Chip), 12), v.clean(x.Version), queue, term.Ago(x.Heard, v.now))
		}
		b.WriteString(t.String())
		for k := range list {
			if list[k].Error != "" {
				b.WriteString("   " + term.Wrap(v.clean(list[k].Name+": "+list[k].Error), v.style.Width(), "   ") + "\n")
			}
		}
		for _, f := range l.Found {
			b.WriteString(v.clean(fmt.Sprintf("   unit %d: %s %s, serial %d: answers and is not configured\n", f.Unit, f.Chip, f.Version, f.Serial)))
		}
	}
	return b.String()
}

// findNode is one node with its line.
func (a *app) findNode(ctx context.Context, name string) (*api.NodeLine, *api.Node, error) {
	all, err := a.client.Nodes(ctx)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for i := range all.Lines {
		for k := range all.Lines[i].Nodes {
			n := &all.Lines[i].Nodes[k]
			if n.Name == name {
				return &all.Lines[i], n, nil
			}
			names = append(names, n.Name)
		}
	}
	return nil, nil, usage(cmdline.Then(cmdline.Unknown("node", name, names), "edgectl node list shows all"))
}

// nodeJSON is the JSON of `node show`.
type nodeJSON struct {
	SchemaVersion int    `json:"schema_version"`
	Line          string `json:"line"`
	api.Node
}

func (a *app) nodeShow(ctx context.Context, args []string) error {
	words, err := a.parse("node", args, 1, nil)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("node show: which one? edgectl node list shows all")
	}
	l, n, err := a.findNode(ctx, words[0])
	if err != nil {
		return err
	}
	return a.show(nodeJSON{api.SchemaVersion, l.Name, *n}, func() string { return a.view().node(l, n) }, nodeRank(n) >= 2)
}

// node is the page of one node.
func (v view) node(l *api.NodeLine, n *api.Node) string {
	var b strings.Builder
	b.WriteString(v.clean(v.fields(3, n.Name, strings.ToUpper(n.State), fmt.Sprintf("unit %d on %s (%s, %d baud)", n.Unit, l.Name, l.Port, l.Baud))))
	if n.Error != "" {
		b.WriteString("!  " + term.Wrap(v.clean(n.Error), v.style.Width(), "   ") + "\n")
	}
	t := term.Table{Gap: 3}
	row := func(name string, parts ...string) {
		var keep []string
		for _, p := range parts {
			if p != "" {
				keep = append(keep, p)
			}
		}
		if len(keep) > 0 {
			t.Row(name, v.clean(strings.Join(keep, "   ")))
		}
	}
	if n.Chip != "" {
		row("FIRMWARE", n.Chip+" "+n.Version, optional("serial %d", n.Serial), optional("boot %d", n.Boots), "last reset: "+n.Cause)
		row("HEARD", term.Ago(n.Heard, v.now), fmt.Sprintf("%s time-outs, %s damaged answers", term.CommaU(n.Timeouts), term.CommaU(n.Damaged)))
		row("QUEUE", fmt.Sprintf("%d of %d", n.Fill, n.Queue), fmt.Sprintf("%s events taken, %s/s", term.CommaU(n.Events), term.Rate(n.Rate)))
		row("LOST", lostText(n.Lost))
		row("SEQUENCE", fmt.Sprintf("%s durable of %s taken", term.Comma(int64(n.Durable)), term.Comma(int64(n.Taken))), "life "+n.Incarnation)
	}
	if n.TimeError > 0 {
		drift := ""
		if n.DriftPPM != 0 {
			drift = fmt.Sprintf("its crystal %+.0f ppm", -n.DriftPPM)
		}
		text := "events ±" + term.Duration(seconds(n.TimeError))
		if n.TimeWorst > n.TimeError {
			text += ", at worst ±" + term.Duration(seconds(n.TimeWorst))
		}
		row("TIME", text, drift)
	}
	if n.ClockState != "" {
		off := ""
		if n.ClockState == "runs" {
			off = fmt.Sprintf("off by %+.1f s", n.ClockOff)
		}
		row("CLOCK", n.ClockState, off)
	}
	var outputs []string
	for _, name := range slices.Sorted(mapKeys(n.Outputs)) {
		state := "off"
		if n.Outputs[name] {
			state = "on"
		}
		outputs = append(outputs, name+" "+state)
	}
	if n.FailSafe {
		outputs = append(outputs, "FAIL-SAFE: its sensor is bad")
	}
	row("OUTPUTS", outputs...)
	b.WriteString(t.String())
	b.WriteString(v.nodeTables(n))
	return b.String()
}

// nodeTables are the sensors and settings of a node.
func (v view) nodeTables(n *api.Node) string {
	var b strings.Builder
	if len(n.Sensors) > 0 {
		t := term.Table{Right: []bool{false, true, false, true, true}, Gap: 2}
		t.Row("SENSOR", "VALUE", "QUALITY", "AGE", "ERRORS")
		for _, s := range n.Sensors {
			value := fmt.Sprintf("%.2f °C", s.Value)
			if !strings.HasPrefix(s.Quality, "good") {
				value = "-"
			}
			t.Row(v.clean(s.ROM), v.clean(value), v.clean(s.Quality), term.Duration(seconds(s.Age)), fmt.Sprint(s.Errors))
		}
		b.WriteString("\n" + t.String())
	}
	if len(n.Settings) > 0 {
		t := term.Table{Right: []bool{false, true, false}, Gap: 2}
		t.Row("SETTING", "VALUE", "")
		for _, s := range n.Settings {
			note := ""
			switch {
			case s.Declared == "":
			case s.Declared == s.Value:
				note = "as configured"
			default:
				note = "configured: " + s.Declared
			}
			t.Row(v.clean(s.Name), v.clean(strings.TrimSpace(s.Value+" "+s.Unit)), v.clean(note))
		}
		b.WriteString("\n" + t.String())
	}
	return b.String()
}

func optional(format string, v uint32) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func lostText(lost map[string]uint64) string {
	var parts []string
	for _, why := range slices.Sorted(mapKeys(lost)) {
		most := ""
		if strings.HasPrefix(why, "reset") {
			most = "≤ "
		}
		parts = append(parts, most+term.CommaU(lost[why])+" by "+why)
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ")
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// nodeRequest turns KEY=VALUE words into one request.
func nodeRequest(words []string, d time.Duration) (api.NodeRequest, error) {
	r := api.NodeRequest{For: d.Seconds()}
	kinds := map[string]bool{}
	for _, w := range words {
		k, val, ok := strings.Cut(w, "=")
		if !ok {
			return r, usagef("node set: %q is not KEY=VALUE", w)
		}
		output, isOutput := strings.CutPrefix(k, "output.")
		switch {
		case k == "clock":
			if val != "now" {
				return r, usagef("node set: clock=now sets the clock")
			}
			r.Clock, kinds["clock"] = true, true
		case k == "command":
			r.Command, kinds["command"] = val, true
		case k == "output" && val == "auto":
			r.Outputs, r.For, kinds["output"] = map[string]bool{}, 0, true
		case isOutput:
			if val != "on" && val != "off" {
				return r, usagef("node set: %s is on or off", k)
			}
			if d <= 0 {
				return r, usagef("node set: for how long? Add --for 10m; output=auto ends it")
			}
			if r.Outputs == nil {
				r.Outputs = map[string]bool{}
			}
			r.Outputs[output], kinds["output"] = val == "on", true
		default:
			if r.Settings == nil {
				r.Settings = map[string]string{}
			}
			r.Settings[k], kinds["settings"] = val, true
		}
	}
	if len(kinds) != 1 {
		return r, usagef("node set: give settings, or clock=now, or outputs, or a command; one kind at a time")
	}
	return r, nil
}

func (a *app) nodeSet(ctx context.Context, args []string) error {
	var d time.Duration
	words, err := a.parse("node", args, 64, func(f *flag.FlagSet) {
		f.Func("for", "", func(s string) (err error) { d, err = strictyaml.ParseDuration(s); return err })
	})
	if err != nil {
		return err
	}
	if len(words) < 2 {
		return usagef("node set: its form is edgectl node set NAME KEY=VALUE …")
	}
	r, err := nodeRequest(words[1:], d)
	if err != nil {
		return err
	}
	done, err := a.client.ChangeNode(ctx, words[0], r)
	if err != nil {
		return err
	}
	return a.show(done, func() string { return words[0] + ": " + done.Text + "\n" }, true)
}

// nodeMonitor follows the records of one node.
func (a *app) nodeMonitor(ctx context.Context, args []string) error {
	n := 10
	words, err := a.parse("node", args, 1, func(f *flag.FlagSet) { f.IntVar(&n, "n", n, "") })
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("node monitor: which one? edgectl node list shows all")
	}
	l, node, err := a.findNode(ctx, words[0])
	if err != nil {
		return err
	}
	if !a.g.json {
		fmt.Fprint(a.Stderr, a.Style.Text(a.view().node(l, &api.Node{Name: node.Name, State: node.State, Unit: node.Unit, Error: node.Error})))
	}
	p := a.printer()
	mark := fmt.Sprintf("node=%q", node.Name)
	_, err = a.client.Tail(ctx, l.Stream, max(n, 1)*8, true, func(r *api.Record) error { // others share the stream
		if !strings.Contains(r.Series, mark) {
			return nil
		}
		if err := p.record(r); err != nil {
			return err
		}
		return p.out.Flush()
	})
	return err
}

package hub

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edgelog/edgelog/hub/shard"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
)

// readStatus reads the store and, if it runs, asks the hub.
func (a *app) readStatus(ctx context.Context) (*Status, error) {
	s, socket, err := a.reader(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	st := &Status{SchemaVersion: SchemaVersion, Store: StoreStatus{Path: s.Path()}}
	if socket != "" {
		// A hub that does not answer is a state, not an error.
		if live, err := askLive(ctx, socket); err == nil {
			st.Live = live
		}
	}
	info, err := s.Info(ctx)
	if err != nil {
		return nil, err
	}
	epochs, err := s.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	list := streams(epochs)
	for i := range list {
		st.Store.Rows += list[i].Rows
	}
	st.Store.Schema, st.Store.UsedBytes, st.Store.FileBytes = info.Schema, info.UsedBytes, info.FileBytes
	st.Store.DeadLetters, st.Store.PendingCorrections = info.DeadLetters, info.Corrections
	if l, ok := s.(store.Leases); ok {
		leases, err := l.Leases(ctx, "")
		if err != nil {
			return nil, err
		}
		st.Hubs = shard.Owners(leases)
	}
	st.Devices = deviceReports(list, st.Live, a.Now())
	st.unasked = a.db != ""
	st.summarise()
	return st, nil
}

func (a *app) cmdStatus(ctx context.Context, args []string) error {
	words, err := a.parse("status", args, 1, nil)
	if err != nil {
		return err
	}
	st, err := a.readStatus(ctx)
	if err != nil {
		return err
	}
	if len(words) == 1 {
		if st.Devices, err = onlyDevice(st.Devices, words[0], func(d DeviceReport) string { return d.Device }); err != nil {
			return err
		}
		st.summarise()
	}
	if a.asJSON {
		err = a.json(st)
	} else {
		err = a.narrow(a.statusText(st))
	}
	switch {
	case err != nil:
		return err
	case st.State == StateDown:
		return &exit{code: ExitUnreachable}
	case st.State != StateOK:
		return &exit{code: ExitDegraded}
	}
	return nil
}

// statusRows is how many devices and problems fit one screen.
const statusRows = 12

func (a *app) statusText(st *Status) string {
	var b strings.Builder
	state := strings.ToUpper(st.State)
	switch {
	case st.Live != nil:
		fmt.Fprintf(&b, "edge-hub %s   %s   up %s\n", st.Live.Version, state, term.Duration(a.Now().Sub(st.Live.Started)))
	case a.db != "":
		fmt.Fprintf(&b, "edge-hub   %s   --db reads the file only and asks no hub\n", state)
	default:
		fmt.Fprintf(&b, "edge-hub   %s   it does not answer; systemctl status edge-hub says why\n", state)
	}
	lines := a.problemLines(st)
	if len(lines) > 0 {
		b.WriteByte('\n')
	}
	for i, l := range lines {
		if i == statusRows {
			fmt.Fprintf(&b, "   and %d more; edge-hub status --json lists all\n", len(lines)-i)
			break
		}
		b.WriteString("!  " + term.Wrap(l, a.Style.Width(), "   ") + "\n")
	}
	b.WriteByte('\n')
	if st.Live != nil {
		r := st.Live.Receiver
		b.WriteString(columns("BROKER", fmt.Sprintf("%s   %s since %s", st.Live.Link.Broker, upDown(st.Live.Link.Up),
			term.Clock(st.Live.Link.Since.In(a.Zone), a.now())), a.Style.Width()))
		b.WriteString(columns("QUEUE", fmt.Sprintf("%s in %s   %s   last %s", term.Bytes(r.QueueBytes), term.Count(r.QueueFrames, "frame"),
			term.Count(r.Commits, "commit"), term.Duration(seconds(r.LastCommitSeconds))), a.Style.Width()))
	}
	if len(st.Hubs) > 0 {
		b.WriteString(columns("HUBS", hubsText(st), a.Style.Width()))
	}
	if st.Live != nil && st.Live.Engine != nil {
		b.WriteString(columns("ENGINE", engineText(st.Live.Engine), a.Style.Width()))
	}
	place := fmt.Sprintf("%s   %s", term.Bytes(st.Store.FileBytes), term.Count(st.Store.Rows, "row"))
	if n := st.Store.DeadLetters; n > 0 {
		place += "   " + term.Count(n, "dead letter")
	}
	b.WriteString(columns("STORE", place, a.Style.Width()))
	if len(st.Devices) > 1 {
		b.WriteString(columns("DEVICES", devicesText(st), a.Style.Width()))
	}
	b.WriteByte('\n')
	t := term.Table{Head: []string{"DEVICE", "", "LAST ROW", "BEHIND", "DELAY", "ROWS", "GAPS", "BALANCED"},
		Right: []bool{false, false, true, true, true, true, true, false}, Gap: 2}
	for i, d := range st.Devices {
		if i == statusRows && !a.wide {
			break
		}
		rows, gaps := uint64(0), uint64(0)
		for _, s := range d.Streams {
			rows, gaps = rows+s.Rows, gaps+s.Gaps
		}
		online := "-"
		if d.Online != nil {
			online = map[bool]string{true: "online", false: "offline"}[*d.Online]
		}
		t.Row(a.Style.Clip(d.Device, 20), online, term.Ago(d.LastStored, a.Now()), term.CommaU(d.Behind),
			term.Duration(seconds(d.DelaySeconds)), term.CommaU(rows), term.CommaU(gaps), yesNo(balanced(d.Streams)))
	}
	b.WriteString(a.table(&t))
	for i, d := range st.Devices {
		if i == statusRows && !a.wide {
			break
		}
		for _, l := range tails(d.Streams) {
			b.WriteString(term.Wrap(l, a.Style.Width(), "   ") + "\n")
		}
	}
	if n := len(st.Devices); n > statusRows && !a.wide {
		fmt.Fprintf(&b, "and %s; edge-hub status DEVICE shows one, -o wide all\n", term.Count(n-statusRows, "more device"))
	}
	if len(st.Devices) == 0 {
		b.WriteString("no device has sent anything yet\n")
	}
	return b.String()
}

// fewSilent are told one by one; of more, one line says how many.
const fewSilent = 3

// problemLines is what is wrong, worst first. Boxes that are silent come last and together: there may be hundreds.
func (a *app) problemLines(st *Status) []string {
	lines := append([]string(nil), st.Problems...)
	var silent []*DeviceReport
	for i := range st.Devices {
		d := &st.Devices[i]
		for _, p := range d.own() {
			lines = append(lines, d.Device+"  "+p)
		}
		if !d.silent.IsZero() {
			silent = append(silent, d)
		}
	}
	if len(silent) <= fewSilent {
		for _, d := range silent {
			lines = append(lines, d.Device+"  "+d.Problems[len(d.Problems)-1])
		}
		return lines
	}
	var names []string
	for _, d := range silent[:fewSilent] {
		names = append(names, d.Device+" ("+term.Ago(d.silent, a.Now())+")")
	}
	return append(lines, fmt.Sprintf("%s are silent, longest %s. Are they up, does their edgectl status show a link?",
		term.Count(len(silent), "device"), strings.Join(names, ", ")))
}

// devicesText counts the devices; who is online is known only while the hub runs.
func devicesText(st *Status) string {
	online, offline, bad := 0, 0, 0
	for _, d := range st.Devices {
		switch {
		case d.Online == nil:
		case *d.Online:
			online++
		default:
			offline++
		}
		if len(d.Problems) > 0 {
			bad++
		}
	}
	parts := []string{term.Comma(int64(len(st.Devices)))}
	if online+offline > 0 {
		parts = append(parts, term.Comma(int64(online))+" online", term.Comma(int64(offline))+" offline")
	}
	if bad > 0 {
		parts = append(parts, term.Comma(int64(bad))+" with a problem")
	}
	return strings.Join(parts, "   ")
}

// onlyDevice is what belongs to one device.
func onlyDevice[T any](list []T, name string, device func(T) string) (out []T, err error) {
	var names []string
	for _, x := range list {
		if device(x) == name {
			out = append(out, x)
		} else if n := device(x); len(names) == 0 || names[len(names)-1] != n {
			names = append(names, n)
		}
	}
	if len(out) == 0 {
		hint := strictyaml.Suggest(name, names)
		if !strings.Contains(hint, "did you mean") { // a thousand names are no help
			hint = ""
		}
		return nil, fmt.Errorf("no device %q has sent anything%s", name, hint)
	}
	return out, nil
}

// columns is a line of the status: a head of ten columns and what stands beside each other behind it, three spaces apart,
// in further lines where the width does not do.
func columns(head, text string, width int) string {
	var b strings.Builder
	line := fmt.Sprintf("%-10s", head)
	for i, part := range strings.Split(text, "   ") {
		switch {
		case i == 0:
		case utf8.RuneCountInString(line)+3+utf8.RuneCountInString(part) > width:
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", 10)
		default:
			line += "   "
		}
		line += part
	}
	return b.String() + line + "\n"
}

// engineText is the line of a store that is a server.
func engineText(e *Engine) string {
	return fmt.Sprintf("%s transactions   last %s   p99 %s   lag %s   %s aborted   %s fences", term.CommaU(e.Transactions),
		term.Duration(seconds(e.LastSeconds)), term.Duration(seconds(e.P99Seconds)), term.Duration(seconds(e.LagSeconds)),
		term.CommaU(e.Aborted), term.CommaU(e.Fences+e.LeaseFences))
}

// hubsText says which hub has which shards: "a 8: 0-7 (this one)   b 8: 8-15".
func hubsText(st *Status) string {
	var parts []string
	for _, o := range st.Hubs {
		name, note := o.Hub, ""
		switch {
		case o.Hub == "":
			name = "NOBODY"
		case !o.Member:
			note = " (has left)"
		case st.Live != nil && st.Live.Hubs != nil && st.Live.Hubs.Name == o.Hub:
			note = " (this one)"
		}
		parts = append(parts, fmt.Sprintf("%s %d: %s%s", name, len(o.Shards), ranges(o.Shards), note))
	}
	return strings.Join(parts, "   ")
}

// ranges writes ascending numbers as 0-3,7.
func ranges(n []int) string {
	if len(n) == 0 {
		return "none"
	}
	var b strings.Builder
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, n[i])
		if j > i {
			fmt.Fprintf(&b, "-%d", n[j])
		}
		i = j + 1
	}
	return b.String()
}

func seconds(s float64) time.Duration { return time.Duration(s * 1e9).Round(time.Millisecond) }

func upDown(up bool) string {
	if up {
		return "connected"
	}
	return "not connected"
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "NO"
}

// table is t in lines of the terminal's width; -o wide keeps its columns.
func (a *app) table(t *term.Table) string {
	if a.wide {
		return t.String()
	}
	return t.Fit(a.Style.Width())
}

func (a *app) cmdAccount(ctx context.Context, args []string) error {
	words, err := a.parse("account", args, 1, nil)
	if err != nil {
		return err
	}
	s, _, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	epochs, err := s.Accounts(ctx)
	if err != nil {
		return err
	}
	acc := Account{SchemaVersion: SchemaVersion, Streams: streams(epochs)}
	if len(words) == 1 {
		if acc.Streams, err = onlyDevice(acc.Streams, words[0], func(s StreamAccount) string { return s.Device }); err != nil {
			return err
		}
	}
	acc.Balanced = balanced(acc.Streams)
	if a.asJSON {
		err = a.json(acc)
	} else {
		err = a.narrow(a.accountText(&acc))
	}
	if err == nil && !acc.Balanced {
		return &exit{code: ExitDegraded}
	}
	return err
}

// accountRows is how many streams fit one screen; one that does not balance is shown always.
const accountRows = 40

func (a *app) accountText(acc *Account) string {
	if len(acc.Streams) == 0 {
		return "no device has sent anything yet\n"
	}
	why := tails(acc.Streams)
	rank := func(s *StreamAccount) int {
		switch {
		case s.Remainder != 0:
			return 0
		case s.Gaps+s.Skipped > 0:
			return 1
		}
		return 2
	}
	sort.SliceStable(acc.Streams, func(i, j int) bool { return rank(&acc.Streams[i]) < rank(&acc.Streams[j]) }) // worst first
	t := term.Table{Head: []string{"DEVICE", "STREAM", "TAKEN", "ROWS", "REMOVED", "SKIPPED", "GAPS", "REST"},
		Right: []bool{false, false, true, true, true, true, true, true}, Gap: 2}
	for i, s := range acc.Streams {
		if i >= accountRows && s.Remainder == 0 && !a.wide {
			break
		}
		t.Row(a.Style.Clip(s.Device, 20), a.Style.Clip(s.Stream, 16), term.CommaU(s.Taken), term.CommaU(s.Rows),
			term.CommaU(s.Removed), term.CommaU(s.Skipped), term.CommaU(s.Gaps), term.Comma(s.Remainder))
		if a.wide {
			for _, e := range s.Epochs {
				t.Row("", "  "+e.Epoch, term.CommaU(e.Next-e.First), term.CommaU(e.Rows), term.CommaU(e.Removed),
					term.CommaU(total(e.SkippedFor)), term.CommaU(total(e.GapsFor)), term.Comma(e.Remainder))
			}
		}
		for _, x := range []struct {
			what string
			n    uint64
			why  map[string]uint64
		}{{"gaps", s.Gaps, s.GapsFor}, {"skipped", s.Skipped, s.SkippedFor}} {
			if x.n > 0 {
				why = append(why, fmt.Sprintf("%s/%s %s: %s", s.Device, s.Stream, x.what, reasons(x.why)))
			}
		}
	}
	out := a.table(&t)
	if n := len(acc.Streams) - len(t.Rows); n > 0 && !a.wide {
		out += fmt.Sprintf("and %s; edge-hub account DEVICE shows one, -o wide all\n", term.Count(n, "more stream"))
	}
	for i, w := range why {
		why[i] = term.Wrap(w, a.Style.Width(), "   ")
	}
	if len(why) > 0 {
		out += "\n" + strings.Join(why, "\n") + "\n"
	}
	if acc.Balanced {
		return out + "\nEvery stream balances.\n"
	}
	return out + "\nAn account does NOT balance. This is a bug of the hub: keep a copy of the store\nand report it. edge-hub verify says which offsets.\n"
}

func reasons(m map[string]uint64) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return m[keys[i]] > m[keys[j]] || m[keys[i]] == m[keys[j]] && keys[i] < keys[j] })
	for i, k := range keys {
		keys[i] = term.CommaU(m[k]) + " " + k
	}
	return strings.Join(keys, ", ")
}

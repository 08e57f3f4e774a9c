package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
)

const maxStatusFaults = 5 // shown in status; the rest is counted

func (a *app) status(ctx context.Context, args []string) error {
	if _, err := a.parse("status", args, 0, nil); err != nil {
		return err
	}
	s, err := a.client.Status(ctx)
	if errors.Is(err, api.ErrUnreachable) {
		return a.offlineStatus(ctx, err)
	}
	if err != nil {
		return err
	}
	if a.g.json {
		err = a.json(s)
	} else {
		err = a.text(a.view().status(s))
	}
	if err != nil {
		return err
	}
	return stateExit(s.State)
}

// view renders for people. It is a value: the same answer at the same time gives the same text.
type view struct {
	style term.Style
	now   time.Time
	wide  bool
}

func (a *app) view() view { return view{style: a.Style, now: a.now(), wide: a.g.output == "wide"} }

// fields joins parts by three spaces and wraps between them.
func (v view) fields(indent int, parts ...string) string {
	var b strings.Builder
	col := 0
	for _, p := range parts {
		if p == "" {
			continue
		}
		w := term.Columns(v.style.Text(p))
		switch {
		case col > 0 && indent+w > v.style.Width(): // it fills lines of its own
			p = term.Wrap(p, v.style.Width(), strings.Repeat(" ", indent))
			b.WriteString("\n" + strings.Repeat(" ", indent))
			last := p[strings.LastIndexByte(p, '\n')+1:]
			col, w = 0, term.Columns(v.style.Text(last))
		case col == 0:
		case col+3+w > v.style.Width():
			b.WriteString("\n" + strings.Repeat(" ", indent))
			col = indent
		default:
			b.WriteString("   ")
			col += 3
		}
		b.WriteString(p)
		col += w
	}
	return b.String() + "\n"
}

func (v view) state(state string) string {
	colour := map[string]string{api.StateOK: term.Green, api.StateDegraded: term.Yellow, api.StateFailed: term.Red, api.StateDown: term.Red}[state]
	return v.style.Paint(colour, strings.ToUpper(state))
}

// clean makes the text fit for the terminal; colours are painted after it.
func (v view) clean(s string) string { return v.style.Text(s) }

func (v view) status(s *api.Status) string {
	var b strings.Builder
	up := ""
	if !s.Started.IsZero() {
		up = "up " + term.Duration(v.now.Sub(s.Started))
	}
	b.WriteString(v.fields(3, v.clean(s.Device), v.state(s.State), v.clean("edge-agent "+s.Version), up, v.clean(clockText(s.Clock))))
	healthy := s.State == api.StateOK && !v.wide
	faults := v.faultLines(s.Faults, maxStatusFaults)
	if faults != "" {
		healthy = false
		b.WriteString("\n" + faults + "\n")
	}
	b.WriteString(v.clean(v.fields(10, sourceFields(s.Sources)...)))
	b.WriteString(v.clean(v.fields(10, v.bufferFields(s)...)))
	b.WriteString(v.clean(v.fields(10, v.uplinkFields(s.Uplink)...)))
	if s.NPU != nil {
		b.WriteString(v.clean(v.fields(10, npuFields(s.NPU)...)))
	}
	if len(s.Pipelines) > 0 {
		b.WriteString(v.clean(v.fields(10, pipelineFields(s.Pipelines)...)))
	}
	if s.Update != nil && (!ended(s.Update) || updateExit(s.Update) != nil || s.Update.Hold != nil || s.Update.Pause != nil || v.wide) {
		b.WriteString(v.updateLine(s.Update) + "\n")
	}
	if healthy {
		b.WriteString(v.clean(v.fields(10, streamFields(s.Streams)...)))
	} else {
		b.WriteString(v.clean(v.streams(s.Streams)))
	}
	if n := past(s.Faults); n > 0 {
		b.WriteString(v.clean(term.Wrap(fmt.Sprintf("%d past %s nobody has acknowledged: edgectl faults", n, plural(n, "fault")), v.style.Width(), "   ")) + "\n")
	}
	return b.String()
}

// table fits the terminal, unless all columns were asked for.
func (v view) table(t *term.Table) string {
	if v.wide {
		return t.String()
	}
	return t.Fit(v.style.Width())
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func clockText(c api.Clock) string {
	if !c.Synchronised {
		return "clock NOT synchronised"
	}
	text := c.Source
	if c.ErrorSeconds > 0 {
		text += ", ±" + term.Duration(seconds(c.ErrorSeconds))
	}
	return strings.TrimSuffix("clock synchronised ("+strings.TrimPrefix(text, ", ")+")", " ()")
}

func seconds(s float64) time.Duration {
	return time.Duration(min(s, 9e9) * float64(time.Second))
}

func sourceFields(s api.Sources) []string {
	f := []string{fmt.Sprintf("SOURCES   %d ok", s.OK)}
	if s.Degraded > 0 || s.Dead > 0 {
		f = append(f, fmt.Sprintf("%d degraded", s.Degraded), fmt.Sprintf("%d dead", s.Dead))
	}
	missed := "missed today " + term.CommaU(s.MissedToday)
	if s.MissedText != "" && s.MissedToday > 0 {
		missed += " (" + s.MissedText + ")"
	}
	return append(f, term.Rate(s.Rate)+" readings/s", missed)
}

func (v view) bufferFields(s *api.Status) []string {
	b := s.Buffer
	f := []string{fmt.Sprintf("BUFFER    %s of %s", term.Bytes(b.Bytes), term.Bytes(b.MaxBytes))}
	if !b.Oldest.IsZero() {
		f = append(f, "oldest "+term.Duration(v.now.Sub(b.Oldest)))
	}
	switch room := term.Duration(seconds(b.RoomSeconds)); {
	case b.RoomSeconds <= 0 || s.Uplink.State == api.UplinkNone:
	case s.Uplink.State == api.UplinkOnline:
		f = append(f, "room "+room)
	default:
		f = append(f, "room for "+room+" without a link")
	}
	if b.WearPerDay > 0 {
		wear := "wear " + term.Bytes(int64(b.WearPerDay)) + "/day"
		if b.WearLimit > 0 {
			wear += " of " + term.Bytes(b.WearLimit)
		}
		f = append(f, wear)
	}
	if b.WearPerDay == 0 || v.wide {
		f = append(f, "written today "+term.Bytes(b.WrittenToday))
	}
	if b.DiskFree > 0 && (v.wide || b.DiskFree < b.MaxBytes-b.Bytes) { // the disk limits the log, not its configuration
		f = append(f, "disk free "+term.Bytes(b.DiskFree))
	}
	return f
}

func (v view) uplinkFields(u api.Uplink) []string {
	since := ""
	if !u.Since.IsZero() {
		since = " since " + term.Clock(u.Since, v.now) + " (" + term.Duration(v.now.Sub(u.Since)) + ")"
	}
	ack := ""
	if !u.LastAck.IsZero() {
		ack = "last answer " + term.Ago(u.LastAck, v.now)
	}
	switch u.State {
	case api.UplinkOnline:
		return append([]string{"UPLINK    online", u.Broker, ack}, budgetFields(u)...)
	case api.UplinkWaiting:
		return []string{"UPLINK    connected" + since + ", the hub does not answer", u.Broker, ack}
	case api.UplinkConnecting:
		why := strings.TrimPrefix(u.Error, "connect to "+u.Broker+": ") // the broker stands beside it
		return []string{"UPLINK    not connected" + since, u.Broker, ack, why}
	}
	return []string{"UPLINK    none configured: records stay on this box"}
}

// budgetFields say what of a metered link was used, and whether that or the backlog's rate holds records back.
func budgetFields(u api.Uplink) (out []string) {
	if u.Held == "pace" {
		out = append(out, "backlog paced")
	}
	b := u.Budget
	if b == nil {
		return out
	}
	share := func(used, most uint64, what string) {
		if most > 0 {
			out = append(out, fmt.Sprintf("%s of %s this %s", term.Bytes(int64(used)), term.Bytes(int64(most)), what))
		}
	}
	share(b.HourBytes, b.HourBudget, "hour")
	share(b.MonthBytes, b.MonthBudget, "month")
	if b.UsedUp {
		out = append(out, "BUDGET USED UP: alarms only")
	}
	return out
}

func streamFields(streams []api.Stream) []string {
	var end, waiting, dropped uint64
	balanced := 0
	for _, s := range streams {
		end, waiting, dropped = end+s.Durable, waiting+s.Buffered+s.InFlight, dropped+s.Dropped
		if s.Balanced {
			balanced++
		}
	}
	b := fmt.Sprintf("%d balanced", balanced)
	if balanced < len(streams) {
		b += fmt.Sprintf(", %d NOT BALANCED", len(streams)-balanced)
	}
	return []string{"STREAMS   " + b, term.CommaU(end) + " records", term.CommaU(waiting) + " waiting", term.CommaU(dropped) + " dropped"}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}

// streamRank orders streams from the worst.
func streamRank(s api.Stream) int {
	switch {
	case !s.Balanced:
		return 0
	case s.Error != "" || s.Dropped > 0:
		return 1
	}
	return 2
}

func (v view) streams(streams []api.Stream) string {
	t := term.Table{Head: []string{"STREAM", "END", "DELIVERED", "IN FLIGHT", "BUFFERED", "DROPPED", "BALANCED"},
		Right: []bool{false, true, true, true, true, true, false}, Gap: 2}
	if v.wide {
		t.Head = append(t.Head, "STATE", "BYTES", "OF", "ERROR")
	}
	worst := slices.Clone(streams)
	slices.SortStableFunc(worst, func(a, b api.Stream) int { return cmp.Compare(streamRank(a), streamRank(b)) })
	for _, s := range worst {
		row := []string{s.Name, term.CommaU(s.Durable), term.CommaU(s.Delivered), term.CommaU(s.InFlight), term.CommaU(s.Buffered),
			term.CommaU(s.Dropped), yesNo(s.Balanced)}
		if v.wide {
			row = append(row, s.State, term.Bytes(s.Bytes), term.Bytes(s.MaxBytes), s.Error)
		}
		t.Row(row...)
	}
	return v.table(&t)
}

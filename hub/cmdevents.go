package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/term"
)

// eventSeries holds the lines of the boxes' chained logs: updates, orders, commands (agent/update.EventSeries).
const eventSeries = "update.event"

// maxEventsShown of one box.
const maxEventsShown = 100_000

// boxEvent is one line of a box's log.
type boxEvent struct {
	Device string    `json:"device"`
	Number uint64    `json:"n"`
	Time   time.Time `json:"time"` // by the box's clock
	What   string    `json:"what"`
	By     string    `json:"by,omitempty"`
	ID     string    `json:"id,omitempty"`
	Detail string    `json:"detail,omitempty"`
	Prev   string    `json:"prev"`
	Hash   string    `json:"hash"`
}

// eventsShown is the answer for programs.
type eventsShown struct {
	SchemaVersion int        `json:"schema_version"`
	Events        []boxEvent `json:"events"`
	Broken        []string   `json:"broken,omitempty"` // where the chain does not hold
}

// rolloutEvents shows what boxes did about updates, orders and commands, as it was delivered: the newest event of every
// box, or those of one box, whose chain is checked.
func (a *app) rolloutEvents(ctx context.Context, device string, last int) error {
	if last < 1 || last > maxEventsShown {
		return usagef("rollout events: --last %d; possible are 1 to %d", last, maxEventsShown)
	}
	s, _, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	lister, ok := s.(store.Lister)
	if !ok {
		return unable(s, "rollout events", "they are rows of the stream events, series "+eventSeries)
	}
	f := store.Filter{Device: device, SeriesLike: eventSeries}
	var values []store.Value
	if device == "" {
		values, err = lister.Latest(ctx, f)
	} else {
		values, err = lister.Values(ctx, f, last)
	}
	if err != nil {
		return err
	}
	x := eventsShown{SchemaVersion: SchemaVersion}
	for _, v := range values {
		e, err := readEvent(v)
		if err != nil {
			x.Broken = append(x.Broken, err.Error())
			continue
		}
		x.Events = append(x.Events, e)
	}
	if device != "" {
		x.Broken = append(x.Broken, brokenChain(x.Events)...)
	}
	if a.asJSON {
		err = a.json(x)
	} else {
		err = a.text(a.eventsText(&x, device))
	}
	if err == nil && len(x.Broken) > 0 {
		return &exit{code: ExitDegraded}
	}
	return err
}

func readEvent(v store.Value) (boxEvent, error) {
	var entry chainlog.Entry
	e := boxEvent{Device: v.Device}
	err := json.Unmarshal([]byte(v.Value), &entry)
	if err == nil {
		err = json.Unmarshal(entry.Event, &e)
	}
	if err != nil {
		return e, fmt.Errorf("%s: an event cannot be read: %w", v.Device, err)
	}
	sum := sha256.Sum256([]byte(v.Value))
	e.Device, e.Number, e.Time, e.Prev, e.Hash = v.Device, entry.Number, entry.Time, entry.Prev, hex.EncodeToString(sum[:])
	return e, nil
}

// brokenChain names the events of one box that follow on nothing that is there. The oldest may: what stands before it was
// not asked for, or is not kept.
func brokenChain(events []boxEvent) (out []string) {
	known := map[string]bool{}
	for _, e := range events {
		known[e.Hash] = true
	}
	for i, e := range events {
		if i > 0 && e.Prev != "" && !known[e.Prev] {
			out = append(out, fmt.Sprintf("%s: event %d does not follow on one that is here: something was changed or removed", e.Device, e.Number))
		}
	}
	return out
}

func (a *app) eventsText(x *eventsShown, device string) string {
	if len(x.Events)+len(x.Broken) == 0 {
		return "no events have been delivered\n"
	}
	t := term.Table{Head: []string{"DEVICE", "N", "TIME", "WHAT", "BY", "DETAIL"}, Right: []bool{1: true}, Gap: 2}
	for _, e := range x.Events {
		detail := strings.TrimSpace(e.ID + " " + strings.ReplaceAll(e.Detail, "\n", " "))
		if !a.wide {
			detail = a.Style.Clip(detail, 40)
		}
		t.Row(e.Device, term.CommaU(e.Number), e.Time.In(a.Zone).Format("2006-01-02 15:04:05"), e.What, e.By, detail)
	}
	text := a.table(&t)
	for _, b := range x.Broken {
		text += term.Wrap("!  "+b, a.Style.Width(), "   ") + "\n"
	}
	switch {
	case device == "":
		text += "the newest event of every box; edge-hub rollout events DEVICE shows those of one\n"
	case len(x.Broken) == 0:
		text += fmt.Sprintf("the chain of these %s events is whole\n", num(len(x.Events)))
	}
	return text
}

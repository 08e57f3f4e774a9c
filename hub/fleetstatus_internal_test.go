package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/term"
)

// TestStatusOfAThousand: one box in quarantine is seen among a thousand of which many are silent, on one screen, and one box
// can be asked for.
func TestStatusOfAThousand(t *testing.T) {
	now := time.Date(2026, 9, 21, 15, 0, 0, 0, time.UTC)
	var epochs []store.EpochAccount
	live := &Live{Version: "1", Started: now.Add(-time.Hour), Link: Link{Up: true, Broker: "ssl://b", Since: now}}
	for i := range 1000 {
		name := fmt.Sprintf("box-%04d", i)
		e := store.EpochAccount{Device: name, Stream: "telemetry", Epoch: record.Epoch(i + 1), First: 0, Next: 10, Rows: 10, Arrived: now.UnixMicro(), LastTime: now.UnixMicro()}
		if i%3 == 0 {
			e.Arrived = now.Add(-lateAfter - time.Duration(i)*time.Minute).UnixMicro()
		} else {
			live.Devices = append(live.Devices, LiveDevice{Device: name, Online: true})
		}
		e.Quarantined = i == 700
		epochs = append(epochs, e)
	}
	list := streams(epochs)
	st := &Status{Live: live, Devices: deviceReports(list, live, now)}
	st.summarise()
	a := &app{Env: Env{Now: func() time.Time { return now }, Zone: time.UTC, Style: term.Style{UTF8: true}}}
	text := a.statusText(st)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > 30 {
		t.Errorf("%d lines:\n%s", len(lines), text)
	}
	for _, want := range []string{
		"\n!  box-0700 telemetry: epoch 00000000000002bd is in quarantine",
		"\n!  333 devices are silent, longest box-0999 (",
		"\nDEVICES   1,000   666 online   334 offline   334 with a problem\n",
		"and 988 more devices; edge-hub status DEVICE shows one, -o wide all\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	if !strings.HasPrefix(lines[slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "DEVICE ") })+1], "box-0700") {
		t.Errorf("the worst is not first:\n%s", text)
	}
	one, err := onlyDevice(st.Devices, "box-0003", func(d DeviceReport) string { return d.Device })
	if err != nil || len(one) != 1 {
		t.Fatal(one, err)
	}
	st.Devices = one
	if text := a.statusText(st); !strings.Contains(text, "!  box-0003 last heard of ") || strings.Contains(text, "DEVICES") {
		t.Errorf("one box:\n%s", text)
	}
	if _, err := onlyDevice(list, "bix-0003", func(s StreamAccount) string { return s.Device }); err == nil || !strings.Contains(err.Error(), `did you mean "box-0003"?`) {
		t.Errorf("%v", err)
	}
	acc := &Account{Balanced: true, Streams: list}
	if text := a.accountText(acc); strings.Count(text, "\n") > accountRows+6 || !strings.Contains(text, "and 960 more streams; edge-hub account DEVICE shows one, -o wide all\n") {
		t.Errorf("account:\n%s", text)
	}
}

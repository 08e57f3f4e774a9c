package hub

import (
	"strings"
	"testing"
)

// A note keeps its word, by which people find it in the protocol, and says what it means.
func TestNoticeText(t *testing.T) {
	for _, notice := range []string{"two-writers telemetry", "conflict telemetry 00000000000000aa", "chain-break telemetry 00000000000000aa",
		"unknown-parent telemetry 00000000000000aa", "producer-memory telemetry edge-npu"} {
		if got := noticeText(notice); !strings.HasPrefix(got, notice+": ") || len(got) < len(notice)+40 {
			t.Errorf("%s: %s", notice, got)
		}
	}
	if got := noticeText("something new"); got != "something new" {
		t.Errorf("%s", got)
	}
}

// A hub that cannot keep its leases answers nobody; what the store said last of its shards is no comfort.
func TestLeasesThatCannotBeKept(t *testing.T) {
	s := Status{Live: &Live{Link: Link{Up: true}, Hubs: &LiveHubs{Name: "a"}}}
	if s.summarise(); s.State != StateOK {
		t.Errorf("%s: %q", s.State, s.Problems)
	}
	s.Live.Hubs.Error = "write lease hub/a: database or disk is full"
	if s.summarise(); s.State != StateDegraded || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "disk is full") {
		t.Errorf("%s: %q", s.State, s.Problems)
	}
	s.Live.Receiver.StoreError, s.Problems = "database or disk is full", nil
	if s.summarise(); len(s.Problems) != 1 {
		t.Errorf("one cause, one line: %q", s.Problems)
	}
}

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

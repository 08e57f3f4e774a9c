package update_test

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/agent/update"
)

// TestSystemdIsLost: systemctl that loses systemd in the middle of an answer (it is executed anew, or the machine goes down)
// has not said that a candidate failed. It is asked again.
func TestSystemdIsLost(t *testing.T) {
	exit := exec.Command("false").Run()
	var exited *exec.ExitError
	if !errors.As(exit, &exited) {
		t.Fatal(exit)
	}
	for _, said := range []string{"Warning! D-Bus connection terminated.\nFailed to wait for response: Connection reset by peer\n",
		"Failed to connect to bus: No such file or directory\n"} {
		broken := map[string]bool{"start": true, "is-active": true}
		var asked []string
		s := update.Systemd{Run: func(_ context.Context, _ string, args ...string) (string, error) {
			asked = append(asked, args[0])
			switch {
			case args[0] == "is-enabled":
				return "disabled\n", exit
			case broken[args[0]]:
				broken[args[0]] = false
				return said, exit
			case args[0] == "is-active":
				return "active\n", nil
			}
			return "", nil
		}}
		if err := s.StartCandidate(t.Context()); err != nil {
			t.Errorf("%q: %v", said, err)
		}
		if runs, err := s.CandidateRuns(t.Context()); err != nil || !runs {
			t.Errorf("%q: runs %v, %v", said, runs, err)
		}
		if want := strings.Fields("is-enabled reset-failed start start is-enabled is-active is-active"); !slices.Equal(asked, want) {
			t.Errorf("%q: asked %v, want %v", said, asked, want)
		}
	}
	failed := 0
	s := update.Systemd{Run: func(_ context.Context, _ string, args ...string) (string, error) {
		if args[0] != "start" {
			return "", exit
		}
		failed++
		return "Job for edge-agent-exp.service failed because a timeout was exceeded.\n", exit
	}}
	if err := s.StartCandidate(t.Context()); err == nil || failed != 1 {
		t.Errorf("a candidate that does not start: %v after %d tries", err, failed)
	}
}

package update

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// The units. Only stable is started at boot; the candidate conflicts with it and starts it again when it ends for any
// reason, so that a crash, a hang, a time-out, a reboot and a power cut all end on stable without code of ours.
const (
	StableUnit    = "edge-agent.service"
	CandidateUnit = "edge-agent-exp.service"
)

// How long systemctl may take: longer than the units' own limits.
const unitTimeout = 6 * time.Minute

// Systemd starts and stops the units (install.Units).
type Systemd struct {
	// Run runs a program and returns its output; nil runs it for real.
	Run func(ctx context.Context, name string, args ...string) (string, error)
}

func (s Systemd) run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, unitTimeout)
	defer cancel()
	if s.Run != nil {
		return s.Run(ctx, name, args...)
	}
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

func (s Systemd) systemctl(ctx context.Context, args ...string) error {
	if out, err := s.run(ctx, "systemctl", args...); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(out))
	}
	return nil
}

// StartCandidate starts the candidate; systemd stops stable for it.
func (s Systemd) StartCandidate(ctx context.Context) error {
	// A candidate of an earlier attempt may have left the unit failed, which would count against its start limit.
	_, _ = s.run(ctx, "systemctl", "reset-failed", CandidateUnit)
	return s.systemctl(ctx, "start", CandidateUnit)
}

// StartStable starts stable anew; systemd stops the candidate for it.
func (s Systemd) StartStable(ctx context.Context) error {
	return s.systemctl(ctx, "restart", StableUnit)
}

// CandidateRuns tells whether the candidate is active.
func (s Systemd) CandidateRuns(ctx context.Context) (bool, error) {
	out, err := s.run(ctx, "systemctl", "is-active", CandidateUnit)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, fmt.Errorf("systemctl is-active: %w", err)
	}
	return strings.TrimSpace(out) == "active", nil
}

// CandidateLog is the candidate's last lines.
func (s Systemd) CandidateLog(ctx context.Context) string {
	lines, err := s.run(ctx, "journalctl", "-q", "--no-pager", "-n", "500", "-o", "short-iso", "-u", CandidateUnit)
	if err != nil {
		return "the journal could not be read: " + err.Error() + "\n"
	}
	return lines
}

// CandidateExit is how the candidate ended, as systemd says it.
func (s Systemd) CandidateExit(ctx context.Context) string {
	how, err := s.run(ctx, "systemctl", "show", "-p", "Result,ExecMainCode,ExecMainStatus", CandidateUnit)
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSpace(how), "\n", " ")
}

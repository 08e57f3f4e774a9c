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

// The units of the NPU worker, in the same scheme: its candidate lives no longer than the agent's, and stable is started
// again when it ends. They count on boxes on which the worker is enabled.
const (
	WorkerUnit          = "edge-npu.service"
	WorkerCandidateUnit = "edge-npu-exp.service"
)

const (
	unitTimeout = 6 * time.Minute // for systemctl: longer than the units' own limits
	lostTimeout = time.Minute     // for systemd to answer again
	lostRetry   = time.Second
)

// Systemd starts and stops the units (install.Units).
type Systemd struct {
	// Run runs a program and returns its output; nil runs it for real.
	Run func(ctx context.Context, name string, args ...string) (string, error)
}

func (s Systemd) run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, unitTimeout)
	defer cancel()
	for end := time.Now().Add(lostTimeout); ; {
		out, err := s.once(ctx, name, args...)
		if err == nil || !lost(out) || time.Now().After(end) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, err
		case <-time.After(lostRetry):
		}
	}
}

func (s Systemd) once(ctx context.Context, name string, args ...string) (string, error) {
	if s.Run != nil {
		return s.Run(ctx, name, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C") // lost reads what it says
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// lost tells whether systemctl could not hear systemd to the end: it was executed anew, or the machine goes down around us.
// That says nothing about a unit, so that nothing may be decided on it. All that is asked for here may be asked twice.
func lost(said string) bool {
	if strings.Contains(said, "not been booted with systemd") {
		return false
	}
	for _, s := range []string{"D-Bus connection terminated", "Failed to connect to bus", "Failed to wait for response", "Connection reset by peer",
		"Transport endpoint is not connected", "Remote peer disconnected"} {
		if strings.Contains(said, s) {
			return true
		}
	}
	return false
}

func (s Systemd) systemctl(ctx context.Context, args ...string) error {
	if out, err := s.run(ctx, "systemctl", args...); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(out))
	}
	return nil
}

// worker tells whether this box has an NPU worker.
func (s Systemd) worker(ctx context.Context) bool {
	out, err := s.run(ctx, "systemctl", "is-enabled", WorkerUnit)
	return err == nil && strings.HasPrefix(out, "enabled")
}

// candidates are the units of the candidate, the agent's first.
func (s Systemd) candidates(ctx context.Context) []string {
	if s.worker(ctx) {
		return []string{CandidateUnit, WorkerCandidateUnit}
	}
	return []string{CandidateUnit}
}

// StartCandidate starts the candidate; systemd stops stable for it.
func (s Systemd) StartCandidate(ctx context.Context) error {
	for _, unit := range s.candidates(ctx) {
		// A candidate of an earlier attempt may have left the unit failed, which would count against its start limit.
		_, _ = s.run(ctx, "systemctl", "reset-failed", unit)
		if err := s.systemctl(ctx, "start", unit); err != nil {
			return err
		}
	}
	return nil
}

// StartStable starts stable anew; systemd stops the candidate for it.
func (s Systemd) StartStable(ctx context.Context) error {
	units := []string{StableUnit}
	if s.worker(ctx) {
		units = append(units, WorkerUnit)
	}
	var errs []error
	for _, unit := range units {
		// A stable release that was damaged has been started until its start limit was reached: the one before it must not
		// wait for that.
		_, _ = s.run(ctx, "systemctl", "reset-failed", unit)
		errs = append(errs, s.systemctl(ctx, "restart", unit))
	}
	return errors.Join(errs...)
}

// CandidateRuns tells whether every unit of the candidate is active.
func (s Systemd) CandidateRuns(ctx context.Context) (bool, error) {
	for _, unit := range s.candidates(ctx) {
		out, err := s.run(ctx, "systemctl", "is-active", unit)
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return false, fmt.Errorf("systemctl is-active: %w", err)
		}
		if strings.TrimSpace(out) != "active" {
			return false, nil
		}
	}
	return true, nil
}

// CandidateLog is the candidate's last lines.
func (s Systemd) CandidateLog(ctx context.Context) string {
	args := []string{"-q", "--no-pager", "-n", "500", "-o", "short-iso"}
	for i, unit := range s.candidates(ctx) {
		if i > 0 {
			args = append(args, "+")
		}
		// Of its last start only: what an earlier candidate said is another story.
		if id, err := s.run(ctx, "systemctl", "show", "-p", "InvocationID", "--value", unit); err == nil && strings.TrimSpace(id) != "" {
			id = strings.TrimSpace(id)
			args = append(args, "_SYSTEMD_INVOCATION_ID="+id, "+", "INVOCATION_ID="+id)
		} else {
			args = append(args, "_SYSTEMD_UNIT="+unit, "+", "UNIT="+unit)
		}
	}
	lines, err := s.run(ctx, "journalctl", args...)
	if err != nil {
		return "the journal could not be read: " + err.Error() + "\n"
	}
	return lines
}

// CandidateExit is how the candidate ended, as systemd says it.
func (s Systemd) CandidateExit(ctx context.Context) string {
	var all []string
	for _, unit := range s.candidates(ctx) {
		how, err := s.run(ctx, "systemctl", "show", "-p", "Result,ExecMainCode,ExecMainStatus", unit)
		if err != nil {
			return ""
		}
		all = append(all, strings.ReplaceAll(strings.TrimSpace(how), "\n", " "))
	}
	return strings.Join(all, "; "+WorkerCandidateUnit+": ")
}

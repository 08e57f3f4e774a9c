// Package clocksync tells whether the system's clock is synchronised, and how far off it can be.
//
// The kernel knows (adjtimex(2)). A unit with ProtectClock= may not ask it, because the same call could set the clock; there
// the stamp of systemd-timesyncd counts, whose age gives the very bound that the kernel would.
package clocksync

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Stamp is the file that systemd-timesyncd touches each time it has set the clock.
const Stamp = "/run/systemd/timesync/synchronized"

const (
	// The kernel lets the bound of a clock grow so fast once nobody disciplines it, and calls it unsynchronised beyond the limit.
	growthPPM = 500
	limit     = 16 * time.Second
)

// State is what is known of the system's clock.
type State struct {
	Synchronised bool
	Bound        time.Duration // how far off it is at most, where it is synchronised
}

// Read asks the kernel, and where that is not allowed the stamp. An error says that neither could be asked; the clock then
// counts as unsynchronised.
func Read() (State, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err == nil {
		if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
			return State{}, nil
		}
		return State{true, time.Duration(t.Maxerror) * time.Microsecond}, nil
	}
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) {
		return State{}, fmt.Errorf("read state of the clock: %w", err)
	}
	return stamped(Stamp, time.Now())
}

// stamped is the state by a stamp of timesyncd. The stamp's time is of the clock that it speaks of; one from the future was
// made before the clock was set back.
func stamped(file string, now time.Time) (State, error) {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return State{}, fmt.Errorf("read state of the clock: this unit may not ask the kernel (ProtectClock=), and systemd-timesyncd has not set the clock: %w", err)
	}
	if err != nil {
		return State{}, fmt.Errorf("read state of the clock: %w", err)
	}
	age := now.Sub(info.ModTime())
	bound := age / (1e6 / growthPPM)
	if age < 0 || bound >= limit {
		return State{}, nil
	}
	return State{true, bound}, nil
}

package cli

import (
	"time"

	"github.com/edgelog/edgelog/internal/clocksync"
)

// readClock asks the kernel without changing anything.
func readClock() (synchronised bool, bound time.Duration, err error) {
	s, err := clocksync.Read()
	return s.Synchronised, s.Bound, err
}

package hub

import "github.com/edgelog/edgelog/internal/clocksync"

// clockSynced reports whether the system's clock is synchronised.
func clockSynced() bool {
	s, err := clocksync.Read()
	return err == nil && s.Synchronised
}

package hub

import "golang.org/x/sys/unix"

// clockSynced reports whether the kernel's clock is synchronised (adjtimex, STA_UNSYNC clear).
func clockSynced() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

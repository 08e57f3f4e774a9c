package sim

import "time"

const (
	slice       = 250 * time.Microsecond // chips of a line run in turns of this length
	echoGap     = 4                      // characters of silence that end a frame
	notesLimit  = 200                    // violations that a board remembers
	lagLimit    = 2 * time.Second        // a line that is later than this against the clock on the wall gives up catching up
	masterQueue = 4096                   // characters of the master that wait for the line
	qemuStall   = 200 * time.Millisecond // for which a busy machine stops qemu in its answer
)

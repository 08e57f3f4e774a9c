package mqtt

import (
	"time"

	"github.com/edgelog/edgelog/internal/wire"
)

// Receiver is what the messages of all devices go to; *receive.Receiver is the one that is used. Its methods are
// called from the connection's reader and from Run, concurrently, and must not block.
type Receiver interface {
	// Handle takes a frame or a hello. The message belongs to the receiver from now on. reply sends the answer or ack
	// and may be called later, from any goroutine.
	Handle(device string, m wire.Message, reply func(*wire.Ack))
	// Online says that a device's connection to the broker stands or has ended.
	Online(device string, online bool)
	// Hostile counts a message that no honest agent sends. device may be "".
	Hostile(device string)
	// Heard is when the last message and the last frame came, the zero time before the first, and how many bytes
	// devices may have on their way.
	Heard() (message, frame time.Time, credit int)
}

package carry

import "github.com/edgelog/edgelog/internal/wire"

// Bounds of a file; a length is checked against them before it is believed.
const (
	// MaxPayloadBytes is one record's payload: a frame or hello of the delivery protocol and the stream's name.
	MaxPayloadBytes = wire.MaxPacketBytes + 64
	// MaxProgramBytes is the text that names the program that wrote the file.
	MaxProgramBytes = 64
	// AckSuffix ends the name of the ack file of an export.
	AckSuffix = ".ack"

	bufferBytes = 256 << 10
)

package wire

// Further bounds of the codec, beside those of wire.go. What is over a bound is cut off when a message is made
// (long texts, further gaps: they come in a later answer) and refused when one is read.
const (
	MaxDeviceBytes  = 64   // X.520 upper bound of a common name
	MaxPrefixBytes  = 128  // of the topic prefix
	MaxAckSkipped   = 64   // per epoch
	MaxAckGapsTotal = 1024 // gaps in one ack, over all of its epochs; the same for skipped ranges and for marks
	MaxHelloStreams = 64
)

package uplink

import "time"

// Bounds and times of the sender. T and the time-outs are those of the protocol.
const (
	HelloEvery    = 15 * time.Minute // T, ± 20 %
	AckTimeout    = 10 * time.Second // doubling
	MaxAckTimeout = 5 * time.Minute

	DefaultWindow = 4 << 20  // bytes in flight, if the hub's credit allows as much
	MinWindow     = 64 << 10 // one frame of the usual size

	// HubUpPatience is how long the hello that a hub has asked for waits for acks of what is in flight after the last of them.
	HubUpPatience = time.Second

	maxFirstHello = time.Minute // time-out of a connection's first hello

	MaxHelloParts = 256 // hellos of one nonce
	helloEpochs   = 128 // in one of them: below 6 KiB, which any broker takes
	// DefaultFrameCost: 32 MiB of credit are at most 1,000 messages, which is what Mosquitto queues for a subscriber.
	DefaultFrameCost = 32 << 10

	gatherBelow   = 8 << 10 // only batches with smaller bodies are joined …
	gatherBytes   = 32 << 10
	gatherRecords = 8 << 10 // … to at most so many records and bytes of bodies

	maxFillAttempts = 3 // for one gap, then it stays
	maxSkipped      = 1024
	maxOwed         = 1024
	maxReadErrors   = time.Minute // longest wait after a source that cannot be read

	maxSlowFrames = 64  // where the slow start after a rewind ends
	frameOverhead = 160 // bytes of header and topic, rounded up: what the window counts beside body and definitions
	recodeFloor   = 1   // records of the smallest frame
	maxHardTries  = 8   // of that frame, uncompressed, before a gap takes its place

	stallLimit = time.Minute // nothing of a stream is acknowledged for so long, while something of others is

	missesToDivide   = 2       // times in a row that a frame comes to nothing before frames become smaller
	minFrameLimit    = 1 << 10 // bytes: no frame is made smaller than that, a hello is not
	minProbeWait     = 4 * time.Minute
	maxProbeWait     = time.Hour // between two looks whether larger frames pass by now
	producerOverhead = 32        // bytes of a producer's position in a frame, beside its name

	budgetLook = 10 * time.Second // between two looks whether a used-up budget has begun anew

	maxReceived   = 1024             // messages of the hub that wait while a frame is being sent
	repairTimeout = 30 * time.Second // for the log to make a gap or a new epoch durable

	backoffMin = time.Second // between connections
	backoffMax = time.Minute
)

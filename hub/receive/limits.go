package receive

import "time"

// Bounds of the receiver.
const (
	DefaultQueueBytes  = 32 << 20 // frames that wait for the committer, over all devices
	DefaultCreditBytes = 32 << 20 // sum of the credits given to connected devices: the broker's queue
	DefaultMessages    = 1000     // frames that the broker queues for the hub: Mosquitto's default
	DefaultMaxRows     = 20000    // rows after which a round is committed
	DefaultLinger      = 25 * time.Millisecond
	DefaultMaxDevices  = 16384     // devices whose view is kept in memory
	maxViewEpochs      = 128 << 10 // epochs in all of these views, about 300 B each

	MaxLinger = 100 * time.Millisecond

	// frameCost is what a data frame counts at least against a credit at the agent, and here unless the broker queues more
	// messages than the credit would be with that: brokers bound their queues by messages too (Mosquitto: 1,000 for one
	// subscriber, which is 32 MiB of credit). Devices take turns where the smallest credit for each would be too much.
	frameCost   = 32 << 10
	leastCredit = 2 << 10
	// A device alone gets at most this part of the sum, so that others need not wait until it has shrunk.
	creditShare = 8
	// The sum of the credits is at most what the store takes in drainTime, so that no frame waits until its ack is
	// overdue (10 s), but not less than minBudget.
	drainTime   = 3 * time.Second
	minBudget   = 32  // frames
	firstBudget = 512 // frames, until it is known what the store takes
	minRound    = 64  // frames of one transaction, at least
	telling     = 16  // frames of a round, or left behind it, from which its speed is that of the store

	maxRoundFrames = 4096
	maxBadBodies   = 3    // bodies with a wrong CRC at one base before the verdict is unreadable
	maxBadEpochs   = 256  // epochs of one device with a wrong CRC that are remembered
	maxAttempts    = 4    // decisions of one round for one device after lost compare-and-sets
	maxNotices     = 16   // remembered for each device, below wire.MaxNotices
	maxTold        = 1024 // gaps remembered for each hello as stated under its nonce
	maxSwitches    = 4    // turns between two growing epochs that mean two writers
	maxHelloShare  = 8    // hellos may use 1/8 more of the queue than frames

	frameOverhead = 160      // bytes that a frame counts beside body and definitions; the agent counts the same
	maxHeld       = 64 << 10 // epochs remembered of one hello, over all of its parts
	maxSessions   = 4        // hellos of one device that are remembered: its own and those of its clones
	maxDropNames  = 256      // devices told apart among those whose messages were dropped
	maxChunks     = 4        // of bodyChunk records, kept from round to round
	maxKept       = 4 << 20  // bytes, or texts, kept from round to round

	activeFor  = 18 * time.Minute // a device says hello at least every 15 min ± 20 %
	turnLength = 2 * time.Second  // of a credit while others wait for one
	creditTick = 250 * time.Millisecond
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
	maxDevices = 64 << 10 // devices remembered at all
)

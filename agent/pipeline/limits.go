package pipeline

import (
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/buffer/record"
)

// Bounds of a pipeline.
const (
	MaxSeries = 4096                  // of the input that one pipeline follows; further ones are left out, counted and told
	MaxPanes  = config.MaxWindowPanes // spans of Every that Size and Late cover together
	MaxHops   = config.MaxWindowHops  // windows that one reading belongs to

	// MaxAhead is how far a stamp that a device asserts may be ahead of the stream's own time; beyond it the reading is left
	// out: one of them would make all that follow late.
	MaxAhead = 24 * time.Hour
	// MaxBack is how far the stream's time may be set back, beyond the length of a window, before what is open is closed and
	// windows begin again. Up to it time stands still, and what is late is late.
	MaxBack = time.Hour

	// maxStamp is how far from 1970 a stamp that a device asserts may lie, ns: from 1823 to 2116.
	maxStamp = 1 << 62

	CheckpointEvery = time.Minute // at most one checkpoint in so long, and one at the end

	maxHoles          = 32        // interruptions that are remembered one by one
	maxMessageRecords = 512       // of one message
	maxMessageBytes   = 40 << 10  // canonical bytes; a producer's message may have record.MaxRecordBytes
	maxStateBytes     = 256 << 20 // a checkpoint that is larger is not believed
	maxDetailBytes    = record.MaxDetailBytes
	maxAlarmValue     = 64              // bytes of a value that an alarm repeats: numbers are shorter
	retryFull         = time.Second     // between attempts to append while the output is full
	retryRead         = 5 * time.Second // between attempts to read or to save what fails
	closeTimeout      = 20 * time.Second
	partBits          = 14 // of a sequence: the messages of one input record
)

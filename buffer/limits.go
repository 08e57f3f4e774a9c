package buffer

import (
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// Defaults and bounds of the log.
const (
	DefaultMaxBytes     = 1 << 30
	DefaultSegmentBytes = 16 << 20
	MinSegmentBytes     = 16 << 10
	MaxSegmentBytes     = 1 << 30
	MaxCommitInterval   = time.Minute
	MaxStreams          = 64
	MaxPriority         = 9

	stateSlack      = 256 << 10 // reserved behind SegmentBytes, for state blocks and the index on a full disk
	minSlack        = 16 << 10  // the same for small segments
	chunkRecords    = record.MaxBatchRecords
	chunkBytes      = 512 << 10             // canonical bytes after which a chunk is closed
	maxChunks       = 4                     // chunks waiting for the encoder before Append waits
	maxEncoded      = 4 << 20               // encoded bytes waiting for a commit before Append waits
	commitBytes     = 1 << 20               // encoded bytes that start a commit before its time
	maxDraftBytes   = 4 << 20               // canonical bytes of one draft
	maxEpochs       = 1024                  // epochs of one stream; beyond it the oldest are dropped as for lack of room
	maxBatchAnchors = 32                    // anchors of the marks of one batch
	maxNames        = 16                    // names tried for one segment
	maxOpening      = 16                    // opening records of an epoch
	heldRoom        = 1 << 32               // offsets left free for a last segment of a newer format
	maxSpans        = 512                   // producer messages in one batch
	gatherFor       = time.Millisecond      // a commit waits at most so long for those whom the last one woke, …
	gatherIdle      = 20 * time.Microsecond // … and so long since one of them appended
	failuresToStop  = 3                     // failed commits in a row that stop intake
	retryFull       = time.Second           // between attempts on a full disk
	retryFailing    = 5 * time.Second       // between attempts on a failing disk
	stateInterval   = time.Minute           // cursors and delivered position are written alone at most this often
	retainInterval  = 10 * time.Second      // between looks at age and free space
	defCacheEpochs  = 8                     // closed epochs whose definitions are kept in memory
)

package kafka

import "time"

// Bounds of the engine.
const (
	DefaultPrefix             = "edge"
	DefaultShards             = 16 // partitions of PREFIX-offsets; the number of shards that a group of hubs has by default
	DefaultPartitions         = 12 // of the topic of a stream
	DefaultTransactionTimeout = 15 * time.Second

	minTransactionTimeout = 2 * time.Second
	maxTransactionTimeout = 5 * time.Minute
	maxPartitions         = 10_000

	batchBytes       = 1_000_000 // of one batch to a partition, below the broker's default of 1 MiB
	gatherTime       = 20 * time.Millisecond
	maxBuffered      = 1 << 20   // records of one transaction in memory
	maxBufferedBytes = 256 << 20 // …
	fetchBytes       = 8 << 20   // of one read of positions
	fetchWait        = 250 * time.Millisecond

	maxGapsPart   = 2000 // of an epoch's gaps in one record, below batchBytes with …
	maxSkipsPart  = 4000 // … its skipped ranges
	maxHolesParts = 10_000

	stuckAfter    = time.Second      // of waiting for a transaction to end, before the cluster is asked about it
	barrierMargin = 15 * time.Second // beyond the time-out of transactions: the cluster looks for those that ran out now and then

	openTimeout     = 20 * time.Second
	resolveTimeout  = 30 * time.Second // to learn what became of a transaction
	maxAttempts     = 5                // of one commit, while nothing of it was applied
	maxLooks        = 50               // for what is open, while the cluster does not answer
	maxSwaps        = 40               // tries of one swap of a lease while others fence each other
	maxSecretBytes  = 64 << 10
	maxVerifyFaults = 100
	maxParallel     = 16 // transactions at a time, each of another lease
)

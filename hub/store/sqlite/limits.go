package sqlite

import (
	"time"

	"github.com/edgelog/edgelog/hub/store"
)

// Bounds of the engine.
const (
	pageBytes          = 4096
	writerCacheKiB     = 16 << 10 // page cache of the one connection that writes
	readerCacheKiB     = 4 << 10  // of each that reads
	walCheckpointPages = 4096     // 16 MiB: how far the write-ahead log grows before it is folded back
	walKeepBytes       = 64 << 20 // the file is cut to this after a checkpoint
	maxReaders         = 3
	busyTimeout        = 5 * time.Second
	busyLook           = time.Millisecond // between tries while another process writes
	courtesy           = 3 * busyLook     // left after a commit where others write, too
	courteousFor       = 30 * time.Second // after the last commit of another process

	keepIncarnations = 4 * store.KeepIncarnations // of one producer of one device

	maxCachedEpochs  = 20_000 // series tables kept in memory; beyond it all are read again as needed
	maxCachedDevices = 20_000

	correctChunk    = 50_000 // rows looked at in one transaction of a time correction
	purgeChunk      = 20_000 // rows removed in one transaction of retention
	vacuumPages     = 2_000  // pages given back to the file system in one transaction
	verifyChunk     = 200_000
	maxVerifyFaults = 100 // listed; further ones are counted
)

package vfs

// Bounds and sizes of this package.
const (
	// PageSize is the unit of allocation and of sharing between crash clones in Mem, in bytes.
	PageSize = 4096
	// SectorSize is the smallest unit that a disk writes whole or not at all, in bytes.
	SectorSize = 512
	// maxGraves is how many removed or truncated file contents a Mem remembers as stale disk content.
	maxGraves = 8
	// unlimitedBytes is the size that a Mem without a capacity reports, 1 TiB.
	unlimitedBytes = 1 << 40
)

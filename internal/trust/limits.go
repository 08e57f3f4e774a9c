package trust

// Bounds of what is read.
const (
	MaxRootBytes      = 64 << 10
	MaxTimestampBytes = 16 << 10
	MaxSnapshotBytes  = 64 << 10
	MaxTargetsBytes   = 256 << 10 // of one role
	MaxRoots          = 64        // that one bundle may carry
	MaxRoles          = 16        // delegated roles, and depth of delegation
	maxStateBytes     = 8 << 20
)

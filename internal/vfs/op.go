package vfs

import (
	"errors"
	"strings"
)

// OpKind is a set of kinds of file-system operations: one bit each.
type OpKind uint32

// The kinds. OpOpen stands for Open and OpenRW.
const (
	OpCreate OpKind = 1 << iota
	OpOpen
	OpRemove
	OpRename
	OpList
	OpStat
	OpMkdir
	OpSyncDir
	OpUsage
	OpLock
	OpRead
	OpWrite
	OpReserve
	OpTruncate
	OpSync
	OpSize

	// OpMutating are the operations that can change the disk or make a change durable: what a crash matrix counts.
	OpMutating = OpCreate | OpRemove | OpRename | OpMkdir | OpSyncDir | OpLock | OpWrite | OpReserve | OpTruncate | OpSync
	// OpAny are all kinds.
	OpAny = OpMutating | OpOpen | OpList | OpStat | OpUsage | OpRead | OpSize
)

// String names the kinds in the set, joined by "|".
func (k OpKind) String() string {
	names := [...]string{"create", "open", "remove", "rename", "list", "stat", "mkdir", "syncdir", "usage", "lock",
		"read", "write", "reserve", "truncate", "sync", "size"}
	var out []string
	for i, n := range names {
		if k&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return strings.Join(out, "|")
}

// Op describes one mutating operation of a Mem.
type Op struct {
	N    int64  // 1 for the first mutating operation of this Mem
	Kind OpKind // one bit of OpMutating
	Name string // as the caller gave it
	To   string // the new name of a rename
	Off  int64  // of a write
	Size int64  // bytes of a write; the size given to Reserve and Truncate
	Err  error  // what the operation returned
}

// ErrStopped is what every operation of a Mem returns once StopAfter has stopped the simulated machine.
var ErrStopped = errors.New("simulated machine has stopped")

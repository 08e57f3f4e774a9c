// Package segment is the byte format of one file of the durable log: its header, its blocks, its index, and how a
// file is read back after a power cut or with damage in it. FORMAT.md beside this file states the format for
// readers in other languages.
//
// The package knows one file at a time. Which files there are, in which order, and what is durable is the business
// of package buffer. A torn tail is told from damage by a witness: every block states up to which position the file
// had been fsynced before the block was written. A bad block below such a position is damage, one above is a tail
// that was never promised to anybody.
package segment

import (
	"errors"
	"fmt"
)

// Sentinel errors.
var (
	ErrFormat  = errors.New("not a segment of this format")
	ErrNewer   = errors.New("segment of a newer format version")
	ErrSealed  = errors.New("segment is sealed")
	ErrTooBig  = errors.New("block exceeds its bound")
	ErrDamaged = errors.New("damaged block")
)

// CorruptionError says where in which file something is not what was written.
type CorruptionError struct {
	Path string
	Pos  int64 // byte position in the file
	Err  error
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("%s: byte %d: %v", e.Path, e.Pos, e.Err)
}

func (e *CorruptionError) Unwrap() error { return e.Err }

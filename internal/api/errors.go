package api

import (
	"errors"
	"io/fs"
	"syscall"
)

// Codes of Problem.
const (
	CodeBadRequest  = "bad-request"
	CodeNotFound    = "not-found"
	CodeForbidden   = "forbidden"
	CodeTooLarge    = "too-large"
	CodeFull        = "full"    // the log has no room; try again later
	CodeStopped     = "stopped" // the log takes nothing more in this run
	CodeOrder       = "order"   // the sequence is not the next one
	CodeUnavailable = "unavailable"
	CodeBusy        = "busy" // too many at once
)

func isPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }

func isNotThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

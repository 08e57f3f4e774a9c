package install

import (
	"io"
	"time"
)

// Progress is how far the open transaction is within its state. It is for people and not durable.
type Progress struct {
	Copied    []string  `json:"copied,omitempty"`     // components that the store holds
	Component string    `json:"component,omitempty"`  // being copied
	Done      int64     `json:"done_bytes,omitempty"` // bytes of it
	Total     int64     `json:"total_bytes,omitempty"`
	Deadline  time.Time `json:"deadline,omitzero"`   // of the probation
	GoodSince time.Time `json:"good_since,omitzero"` // since when every check holds; zero while one does not
	Failing   string    `json:"failing,omitempty"`   // the check that does not hold, and why
}

// tellEvery is how often progress within one state is told.
const tellEvery = 500 * time.Millisecond

// tell hands progress on.
func (u *Updater) tell() {
	u.told = time.Now()
	if u.o.Progress != nil {
		u.o.Progress(u.progress)
	}
}

// Progress is how far the open transaction is within its state, as far as this Updater has carried it.
func (u *Updater) Progress() Progress { return u.progress }

// counted counts what is read of a component.
type counted struct {
	io.Reader
	u *Updater
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.u.progress.Done += int64(n)
	if time.Since(c.u.told) >= tellEvery {
		c.u.tell()
	}
	return n, err
}

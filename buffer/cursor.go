package buffer

import (
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// Cursor is a named position of a follower. Its methods may be called concurrently.
type Cursor struct {
	l    *Log
	name string
}

// Cursor returns the position of that name (record.ValidProducer, else ErrInvalid); a new one stands at the oldest
// retained offset. ErrFull: the stream has segment.MaxCursors others.
func (l *Log) Cursor(name string) (*Cursor, error) {
	if !record.ValidProducer(name) {
		return nil, fmt.Errorf("%w: cursor name %q", ErrInvalid, name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.state.Cursors {
		if c.Name == name {
			return &Cursor{l, name}, nil
		}
	}
	if len(l.state.Cursors) >= segment.MaxCursors {
		return nil, fmt.Errorf("%w: more than %d cursors in %s", ErrFull, segment.MaxCursors, l.name)
	}
	l.state.Cursors = append(l.state.Cursors, segment.CursorPos{Name: name, Offset: l.low()})
	return &Cursor{l, name}, nil
}

// Position is the committed offset: the next to read.
func (c *Cursor) Position() record.Offset {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	for _, p := range c.l.state.Cursors {
		if p.Name == c.name {
			return p.Offset
		}
	}
	return 0
}

// Commit moves the position up; a lower offset leaves it, one above durable is an error. The position is written
// with a later batch, within a minute, at a roll or at close: after a crash it may be lower, never higher.
func (c *Cursor) Commit(o record.Offset) error {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if o > l.durable {
		return fmt.Errorf("%w: cursor %s at %d, durable is %d", ErrRange, c.name, o, l.durable)
	}
	for i := range l.state.Cursors {
		if p := &l.state.Cursors[i]; p.Name == c.name && p.Offset < o {
			p.Offset = o
			l.dirty.cursors[c.name] = true
			l.touch()
		}
	}
	return nil
}

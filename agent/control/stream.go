package control

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/edgelog/edgelog/internal/api"
)

// lines writes NDJSON with a deadline for each piece, so that a reader that stops reading frees its place.
type lines struct {
	w     http.ResponseWriter
	buf   *bufio.Writer
	since int // bytes since the last flush
	n     uint64
	live  bool // flush each line
}

func newLines(w http.ResponseWriter, live bool) *lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	deadline(w, writeTimeout)
	return &lines{w: w, buf: bufio.NewWriterSize(w, 16<<10), live: live}
}

func (l *lines) record(r *api.Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode record %s/%d: %w", r.Stream, r.Offset, err)
	}
	l.n++
	return l.line(data, l.live)
}

func (l *lines) line(data []byte, flush bool) error {
	if l.since == 0 {
		deadline(l.w, writeTimeout)
	}
	l.since += len(data) + 1
	if _, err := l.buf.Write(append(data, '\n')); err != nil {
		return err
	}
	if flush || l.since >= flushEvery {
		return l.flush()
	}
	return nil
}

func (l *lines) flush() error {
	l.since = 0
	deadline(l.w, writeTimeout)
	if err := l.buf.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(l.w).Flush()
}

// end writes the last line. An error of the query is told there, because the status line is out already; errors of
// writing it mean that the reader has gone.
func (l *lines) end(truncated bool, err error) {
	e := api.QueryEnd{SchemaVersion: api.SchemaVersion, End: true, Records: l.n, Truncated: truncated}
	if err != nil {
		e.Error = err.Error()
	}
	data, merr := json.Marshal(e)
	if merr == nil {
		_ = l.line(data, true)
	}
}

// finish ends a streamed answer; one that failed before its first line is an ordinary error.
func finish(w http.ResponseWriter, out *lines, truncated bool, err error) {
	if out == nil {
		if err != nil {
			problem(w, err)
			return
		}
		out = newLines(w, false)
	}
	out.end(truncated, err)
}

// idle flushes what waits; if nothing does, an empty line finds out whether the reader is still there.
func (l *lines) idle() error {
	if l.since > 0 {
		return l.flush()
	}
	return l.line(nil, true)
}

package logtool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// InspectReport says what a log directory holds.
type InspectReport struct {
	SchemaVersion int             `json:"schema_version"`
	Dir           string          `json:"dir"`
	Streams       []StreamContent `json:"streams"`
}

// StreamContent is one stream. Body bytes are what the batches take in the files, raw bytes what they took before the
// general compression.
type StreamContent struct {
	Stream    string           `json:"stream"`
	Low       uint64           `json:"low"`
	Durable   uint64           `json:"durable"` // end of what the files hold
	Delivered uint64           `json:"delivered"`
	Bytes     int64            `json:"bytes"`
	BodyBytes int64            `json:"body_bytes"`
	RawBytes  int64            `json:"raw_bytes"`
	Batches   uint64           `json:"batches"`
	Records   uint64           `json:"records"`
	Series    int              `json:"series"` // distinct, over all epochs
	First     time.Time        `json:"first,omitzero"`
	Last      time.Time        `json:"last,omitzero"`
	Cursors   []CursorLine     `json:"cursors"`
	Producers []ProducerLine   `json:"producers"`
	Epochs    []EpochLine      `json:"epochs"`
	Segments  []SegmentContent `json:"segments"`
	Gaps      []GapLine        `json:"gaps"`
}

// CursorLine is a follower's position.
type CursorLine struct {
	Name   string `json:"name"`
	Offset uint64 `json:"offset"`
}

// ProducerLine is how far a producer's messages were taken.
type ProducerLine struct {
	Name        string `json:"name"`
	Incarnation string `json:"incarnation"`
	Sequence    uint64 `json:"sequence"`
}

// EpochLine is what one opening of the log wrote.
type EpochLine struct {
	Epoch     string `json:"epoch"`
	Parent    string `json:"parent,omitempty"`
	ParentEnd uint64 `json:"parent_end,omitempty"`
	First     uint64 `json:"first"`
	Low       uint64 `json:"low"`
	End       uint64 `json:"end"`
	Boot      string `json:"boot,omitempty"`
	Series    int    `json:"series"`
}

// SegmentContent is one file.
type SegmentContent struct {
	File      string    `json:"file"`
	Bytes     int64     `json:"bytes"`
	State     string    `json:"state"`          // sealed, open, damaged, held
	Keys      []string  `json:"keys,omitempty"` // ids of the keys that open it, if it is encrypted
	Epoch     string    `json:"epoch,omitempty"`
	Base      uint64    `json:"base"`
	End       uint64    `json:"end"`
	Batches   uint64    `json:"batches"`
	Records   uint64    `json:"records"`
	BodyBytes int64     `json:"body_bytes"`
	RawBytes  int64     `json:"raw_bytes"`
	Zstd      uint64    `json:"zstd_batches"`
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	Note      string    `json:"note,omitempty"`
}

// Inspect reads the headers of all blocks and the definitions. stream "" means all.
func (d Dir) Inspect(ctx context.Context, stream string) (*InspectReport, error) {
	list, err := d.files(stream)
	if err != nil {
		return nil, err
	}
	set, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	var total int64
	for i := range list {
		total += list[i].bytes()
	}
	p := d.progress(total)
	r := &InspectReport{SchemaVersion: SchemaVersion, Dir: d.Path, Streams: []StreamContent{}}
	for i := range list {
		l, err := set.Log(list[i].stream)
		if err != nil {
			return nil, err
		}
		s, err := d.inspect(ctx, &list[i], l, p)
		if err != nil {
			return nil, err
		}
		r.Streams = append(r.Streams, *s)
	}
	return r, nil
}

func (d Dir) inspect(ctx context.Context, files *streamFiles, l *buffer.Log, p *progress) (*StreamContent, error) {
	info := l.Info()
	s := &StreamContent{Stream: l.Name(), Low: uint64(info.Low), Durable: uint64(info.Durable), Delivered: uint64(info.Delivered),
		Cursors: []CursorLine{}, Producers: []ProducerLine{}, Epochs: []EpochLine{}, Segments: []SegmentContent{}, Gaps: []GapLine{}}
	keys := map[string]bool{}
	for _, e := range l.Epochs() {
		defs := l.Definitions(e.Epoch)
		for _, def := range defs {
			keys[def.Series.Key()] = true
		}
		line := EpochLine{Epoch: e.Epoch.String(), ParentEnd: uint64(e.ParentEnd), First: uint64(e.First), Low: uint64(e.Low), End: uint64(e.End), Boot: e.Boot, Series: len(defs)}
		if e.Parent != 0 {
			line.Parent = e.Parent.String()
		}
		s.Epochs = append(s.Epochs, line)
	}
	s.Series = len(keys)
	for _, g := range info.Gaps {
		s.Gaps = append(s.Gaps, gapLine(g, true))
	}
	for _, f := range files.files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := d.inspectFile(f, l)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.add(c)
		p.add(f.size)
	}
	st, err := d.newestState(l.Name())
	if err != nil {
		return nil, err
	}
	for _, c := range st.Cursors {
		s.Cursors = append(s.Cursors, CursorLine{c.Name, uint64(c.Offset)})
	}
	for _, x := range st.Producers {
		s.Producers = append(s.Producers, ProducerLine{x.Name, fmt.Sprintf("%016x", x.Incarnation), x.Sequence})
	}
	slices.SortFunc(s.Segments, func(a, b SegmentContent) int { return compare(a.Base, b.Base) })
	return s, nil
}

func (s *StreamContent) add(c SegmentContent) {
	s.Segments = append(s.Segments, c)
	s.Bytes += c.Bytes
	s.BodyBytes += c.BodyBytes
	s.RawBytes += c.RawBytes
	s.Batches += c.Batches
	s.Records += c.Records
	if !c.First.IsZero() && (s.First.IsZero() || c.First.Before(s.First)) {
		s.First = c.First
	}
	if c.Last.After(s.Last) {
		s.Last = c.Last
	}
}

func (d Dir) inspectFile(f *segFile, l *buffer.Log) (SegmentContent, error) {
	c := SegmentContent{File: f.name, Bytes: f.size, State: "open"}
	switch {
	case f.held != nil:
		c.State, c.Note = "held", reason(f.held)
		return c, nil
	case f.blank != nil:
		c.State, c.Note = "damaged", "nothing in it was recognised"
		return c, nil
	}
	h, err := d.FS.Open(f.path)
	if err != nil {
		return c, fmt.Errorf("open segment: %w", err)
	}
	defer h.Close()
	if err := f.c.Load(h, 0); err != nil {
		return c, fmt.Errorf("read segment: %w", err)
	}
	ids, err := f.c.KeyIDs(h)
	if err != nil {
		return c, err
	}
	for _, id := range ids {
		c.Keys = append(c.Keys, id.String())
	}
	c.Epoch, c.Base, c.End = f.c.Header.Epoch.String(), uint64(f.c.Header.Base), uint64(f.c.Index.End)
	switch {
	case f.locked != nil:
		c.State, c.Note = "held", reason(f.locked)
	case len(f.c.Notes) > 0:
		c.State, c.Note = "damaged", "edgectl log verify says where"
	case f.c.Sealed:
		c.State = "sealed"
	}
	err = f.blocks(h, func(k *segment.Block, _ *segment.Blocks) error {
		if k.Type != segment.BlockBatch {
			return nil
		}
		c.Batches++
		c.Records += uint64(k.Count)
		c.BodyBytes += int64(k.BodyLen)
		c.RawBytes += int64(k.RawLen)
		if k.Codec == record.CodecColumnsZ {
			c.Zstd++
		}
		return nil
	})
	c.Bytes = f.written()
	c.First, c.Last = times(l, f.c.Header.Epoch, f.c.Index.Boot, f.c.Index.UTC)
	return c, err
}

// times turns stamps into the range of UTC that they stand for; zero where it is not known.
func times(l *buffer.Log, e record.Epoch, boot, utc segment.Times) (first, last time.Time) {
	add := func(ns int64, clock record.Clock) {
		t, ok := l.Time(e, record.Stamp{Time: ns, Clock: clock})
		if !ok {
			return
		}
		at := time.Unix(0, t.UTC).UTC()
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	if boot.Has {
		add(boot.Min, record.ClockBoot)
		add(boot.Max, record.ClockBoot)
	}
	if utc.Has {
		add(utc.Min, record.ClockApp)
		add(utc.Max, record.ClockApp)
	}
	return first, last
}

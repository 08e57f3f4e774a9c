package logtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// Portable is a portable file, as Export makes it. It is only read: on a box nothing merges it into a log.
type Portable struct {
	FS   vfs.FS
	Path string
	// Progress is told how many bytes of how many are done; it may be nil.
	Progress func(done, total int64)
}

// PortableReport says what a portable file holds, and whether it is whole.
type PortableReport struct {
	SchemaVersion int              `json:"schema_version"`
	OK            bool             `json:"ok"`
	File          string           `json:"file"`
	Bytes         int64            `json:"bytes"`
	Device        string           `json:"device"`
	Nonce         string           `json:"nonce"`
	Made          time.Time        `json:"made"`
	Program       string           `json:"program"`
	Damage        string           `json:"damage,omitempty"` // where the file ends early; what stands before is good
	Streams       []PortableStream `json:"streams"`
}

// PortableStream is one stream of it.
type PortableStream struct {
	Stream   string   `json:"stream"`
	Epochs   int      `json:"epochs"`
	From     uint64   `json:"from"`
	To       uint64   `json:"to"`
	Records  uint64   `json:"records"`
	Missing  uint64   `json:"missing"` // records in whose place a gap stands
	Problems []string `json:"problems"`
}

// Verify reads the whole file: every checksum, every body decoded, the chain folded over its records, offsets dense
// within an epoch, every series defined.
func (f Portable) Verify(ctx context.Context) (*PortableReport, error) {
	r, _, err := f.load(ctx)
	return r, err
}

// Records is Dir.Records for a portable file. A file that ends early gives what stands before, and then an error that
// says so.
func (f Portable) Records(ctx context.Context, q Selection, each func(*api.Record) error) error {
	r, streams, err := f.load(ctx)
	if err != nil {
		return err
	}
	if q.Stream != "" && !slices.ContainsFunc(streams, func(s *carried) bool { return s.name == q.Stream }) {
		return fmt.Errorf("%s has no stream %s", f.Path, q.Stream)
	}
	f.Progress = nil // the second reading
	walkers := map[string]*walker{}
	for _, s := range streams {
		walkers[s.name] = &walker{l: s, q: q, each: each, series: map[record.SeriesID]*series{}}
	}
	_, damage, err := f.read(ctx, func(m wire.Frame) error {
		w := walkers[m.Header().Stream]
		if q.Stream != "" && w.l.Name() != q.Stream {
			return nil
		}
		switch m := m.(type) {
		case *wire.Data:
			b := record.Batch{Epoch: m.Epoch, Base: m.Base, Count: m.Count, Codec: m.Codec, RawLen: m.RawLen, Body: m.Body}
			return w.batch(&b)
		case *wire.Gap:
			return w.gap(&record.Gap{Epoch: m.Epoch, Range: m.Range, Reason: m.Reason, TimeMin: m.TimeMin, TimeMax: m.TimeMax})
		}
		return nil
	})
	if err == nil && damage != nil {
		return fmt.Errorf("read %s up to byte %d: %w", f.Path, r.Bytes, damage)
	}
	return err
}

// read calls each for every frame; damage is why the file ends before its trailer, nil if it does not.
func (f Portable) read(ctx context.Context, each func(wire.Frame) error) (head carry.Header, damage, err error) {
	file, err := f.FS.Open(f.Path)
	if err != nil {
		return head, nil, fmt.Errorf("open portable file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Size()
	if err != nil {
		return head, nil, fmt.Errorf("open portable file: %w", err)
	}
	r, err := carry.NewReader(io.NewSectionReader(file, 0, size))
	if err != nil {
		return head, nil, fmt.Errorf("read %s: %w", f.Path, err)
	}
	if head = r.Header; head.Kind != carry.Export {
		return head, nil, fmt.Errorf("%s is the hub's answer to an export: edgectl log import reads it", f.Path)
	}
	for {
		if err := ctx.Err(); err != nil {
			return head, nil, err
		}
		if f.Progress != nil {
			f.Progress(r.Pos(), size)
		}
		m, err := r.Next()
		var bad *carry.DamageError
		switch {
		case errors.Is(err, io.EOF):
			return head, nil, nil
		case errors.Is(err, carry.ErrCut), errors.As(err, &bad):
			return head, err, nil
		case err != nil:
			return head, nil, fmt.Errorf("read %s: %w", f.Path, err)
		}
		if frame, ok := m.(wire.Frame); ok {
			if err := each(frame); err != nil {
				return head, nil, err
			}
		}
	}
}

// load checks the file and learns what reading its records needs: definitions, and the marks that tell the time.
func (f Portable) load(ctx context.Context) (*PortableReport, []*carried, error) {
	r := &PortableReport{SchemaVersion: SchemaVersion, File: f.Path, Streams: []PortableStream{}}
	if info, err := f.FS.Stat(f.Path); err == nil {
		r.Bytes = info.Size
	}
	var streams []*carried
	head, damage, err := f.read(ctx, func(m wire.Frame) error {
		name := m.Header().Stream
		i := slices.IndexFunc(streams, func(s *carried) bool { return s.name == name })
		if i < 0 {
			i = len(streams)
			streams = append(streams, &carried{name: name, epochs: map[record.Epoch]*carriedEpoch{}, out: PortableStream{Stream: name, Problems: []string{}}})
		}
		streams[i].take(m)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	r.Device, r.Nonce, r.Made, r.Program, r.OK = head.Device, nonceText(head.Nonce), head.Made, head.Program, damage == nil
	if damage != nil {
		r.Damage = damage.Error()
	}
	for _, s := range streams {
		s.out.Epochs = len(s.epochs)
		r.OK = r.OK && len(s.out.Problems) == 0
		r.Streams = append(r.Streams, s.out)
	}
	return r, streams, nil
}

// carried is one stream of a portable file.
type carried struct {
	name     string
	timeline record.Timeline
	epochs   map[record.Epoch]*carriedEpoch
	out      PortableStream
	dec      record.Decoder
	recs     []record.Record
}

type carriedEpoch struct {
	boot  string
	defs  map[record.SeriesID]record.Series
	next  record.Offset
	chain uint64
}

func (s *carried) Name() string { return s.name }

func (s *carried) Time(e record.Epoch, at record.Stamp) (record.Time, bool) {
	boot := ""
	if x := s.epochs[e]; x != nil {
		boot = x.boot
	}
	return s.timeline.At(boot, at)
}

func (s *carried) Series(e record.Epoch, id record.SeriesID) (record.Series, bool) {
	x := s.epochs[e]
	if x == nil {
		return record.Series{}, false
	}
	def, ok := x.defs[id]
	return def, ok
}

func (s *carried) problem(at record.Offset, format string, args ...any) {
	if len(s.out.Problems) < maxProblems {
		s.out.Problems = append(s.out.Problems, fmt.Sprintf("offset %d: ", at)+fmt.Sprintf(format, args...))
	}
}

func (s *carried) take(m wire.Frame) {
	rng, chain := record.Range{}, uint64(0)
	switch m := m.(type) {
	case *wire.Data:
		rng, chain = record.Range{From: m.Base, To: m.Base + record.Offset(m.Count)}, m.ChainBase
	case *wire.Gap:
		rng, chain = m.Range, m.ChainFrom
	}
	if s.out.Records+s.out.Missing == 0 {
		s.out.From = uint64(rng.From)
	}
	e := s.epochs[m.Header().Epoch]
	switch {
	case e == nil:
		e = &carriedEpoch{defs: map[record.SeriesID]record.Series{}}
		s.epochs[m.Header().Epoch] = e
	case rng.From != e.next:
		s.problem(rng.From, "the frame before it ended at %d", e.next)
	case chain != e.chain:
		s.problem(rng.From, "the chain does not go on")
	}
	e.next, s.out.To = rng.To, uint64(rng.To)
	switch m := m.(type) {
	case *wire.Data:
		e.chain = m.ChainEnd
		s.out.Records += uint64(m.Count)
		s.data(e, m)
	case *wire.Gap:
		e.chain = m.ChainTo
		s.out.Missing += m.Len()
	}
}

func (s *carried) data(e *carriedEpoch, m *wire.Data) {
	for _, d := range m.Definitions {
		e.defs[d.ID] = d.Series
	}
	var chain uint64
	var err error
	if s.recs, chain, err = s.dec.DecodeChain(s.recs[:0], m.ChainBase, m.Codec, m.RawLen, m.Count, m.Body); err != nil {
		s.problem(m.Base, "%v", err)
		return
	}
	if chain != m.ChainEnd {
		s.problem(m.Base, "the records fold to another chain")
	}
	for i := range s.recs {
		r := &s.recs[i]
		if r.Kind == record.KindObservation {
			if _, ok := e.defs[r.Series]; !ok {
				s.problem(m.Base+record.Offset(i), "series %d is not defined", r.Series)
			}
			continue
		}
		if a, ok := record.AnchorOf(r); ok {
			s.timeline.Add(a)
			if e.boot == "" {
				e.boot = a.Boot
			}
		}
	}
}

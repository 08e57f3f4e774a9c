package logtool

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// SalvageReport says what was saved and what was lost.
type SalvageReport struct {
	SchemaVersion int             `json:"schema_version"`
	Source        string          `json:"source"`
	Destination   string          `json:"destination"`
	Streams       []SalvageStream `json:"streams"`
	Lost          uint64          `json:"lost"` // records, over all streams
}

// SalvageStream is one stream of it.
type SalvageStream struct {
	Stream   string    `json:"stream"`
	Records  uint64    `json:"records"`
	Segments int       `json:"segments"` // written
	Held     []string  `json:"held"`     // files copied as they are: this program cannot read them
	Lost     []GapLine `json:"lost"`     // gaps that stand for damage
}

// Losses are the gaps of a log that stand for damage, by stream: what no salvage brings back.
func (d Dir) Losses(ctx context.Context) (*SalvageReport, error) {
	set, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	r := &SalvageReport{SchemaVersion: SchemaVersion, Source: d.Path, Streams: []SalvageStream{}}
	for _, l := range set.Logs() {
		s := SalvageStream{Stream: l.Name(), Held: l.Info().Held}
		err := each(ctx, l, 0, func(item *buffer.Item) error {
			if item.Gap == nil {
				s.Records += uint64(item.Batch.Count)
			}
			return nil
		}, func(*buffer.HeldError) {})
		if err != nil {
			return nil, err
		}
		r.add(&s, l.Info().Gaps)
	}
	return r, nil
}

func (r *SalvageReport) add(s *SalvageStream, gaps []record.Gap) {
	s.Lost = []GapLine{}
	for _, g := range gaps {
		if damage(g.Reason) {
			s.Lost = append(s.Lost, gapLine(g, true))
			r.Lost += g.Len()
		}
	}
	r.Streams = append(r.Streams, *s)
}

// Salvage writes every undamaged record into a fresh log directory dst with the same epochs, offsets and chains, so
// that it can take the place of the damaged one: an agent goes on with it, and nothing doubles at the hub. What is lost
// is a gap there. dst must not exist; it appears when everything in it is durable.
func (d Dir) Salvage(ctx context.Context, dst string) (*SalvageReport, error) {
	if _, err := d.FS.Stat(dst); err == nil {
		return nil, fmt.Errorf("%s: %w", dst, vfs.ErrExist)
	}
	tmp := dst + ".part"
	if _, err := d.FS.Stat(tmp); err == nil {
		return nil, fmt.Errorf("%s: %w: left from a salvage that was interrupted; remove it", tmp, vfs.ErrExist)
	}
	set, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	r := &SalvageReport{SchemaVersion: SchemaVersion, Source: d.Path, Destination: dst, Streams: []SalvageStream{}}
	var total int64
	for _, l := range set.Logs() {
		total += l.Info().Bytes
	}
	p := d.progress(total)
	for _, l := range set.Logs() {
		dir := path.Join(tmp, l.Name())
		if err := d.FS.MkdirAll(dir); err != nil {
			return nil, fmt.Errorf("make %s: %w", dir, err)
		}
		s := salvager{d: d, l: l, dir: dir, p: p}
		if err := s.run(ctx); err != nil {
			return nil, fmt.Errorf("salvage stream %s: %w", l.Name(), err)
		}
		r.add(&s.out, s.st.Gaps)
	}
	if b, err := vfs.ReadFile(d.FS, path.Join(d.Path, exportsName), maxStateBytes); err == nil {
		if err := vfs.WriteFileAtomic(d.FS, path.Join(tmp, exportsName), b); err != nil {
			return nil, err
		}
	}
	if err := syncUp(d.FS, tmp); err != nil {
		return nil, err
	}
	if err := d.FS.Rename(tmp, dst); err != nil {
		return nil, fmt.Errorf("finish %s: %w", dst, err)
	}
	if err := d.FS.SyncDir(path.Dir(dst)); err != nil {
		return nil, fmt.Errorf("finish %s: %w", dst, err)
	}
	p.add(total)
	return r, nil
}

// syncUp makes the entries of a directory durable, and those of all directories above it, which may have been made along
// with it. One that we may not open is not one that we made.
func syncUp(disk vfs.FS, dir string) error {
	for {
		if err := disk.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("sync %s: %w", dir, err)
		}
		up := path.Dir(dir)
		if up == dir {
			return nil
		}
		dir = up
	}
}

// salvager writes one stream anew.
type salvager struct {
	d       Dir
	l       *buffer.Log
	dir     string
	p       *progress
	out     SalvageStream
	st      segment.State
	w       *segment.Writer
	epoch   record.Epoch
	opening uint64
	seq     uint32
	defined map[record.SeriesID]bool
	dec     record.Decoder
	recs    []record.Record
}

func (s *salvager) run(ctx context.Context) (err error) {
	info := s.l.Info()
	s.out = SalvageStream{Stream: s.l.Name(), Held: []string{}}
	if s.st, err = s.d.newestState(s.l.Name()); err != nil {
		return err
	}
	s.st.Delivered, s.st.Gaps, s.st.Epochs = info.Delivered, nil, nil
	for _, e := range s.l.Epochs() {
		s.st.Epochs = append(s.st.Epochs, segment.Epoch{Epoch: e.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd, First: e.First, End: e.End, ChainFirst: e.ChainFirst, Boot: e.Boot})
	}
	err = each(ctx, s.l, 0, func(item *buffer.Item) error {
		s.p.add(int64(len(item.Batch.Body)))
		if item.Gap != nil {
			s.st.Gaps = append(s.st.Gaps, *item.Gap)
			return nil
		}
		return s.batch(item)
	}, func(*buffer.HeldError) {})
	if err == nil {
		err = s.finish()
	} else if s.w != nil {
		err = errors.Join(err, s.w.Close())
	}
	for _, p := range info.Held {
		if err == nil {
			err = s.copy(p)
		}
	}
	if err != nil {
		return err
	}
	return s.d.FS.SyncDir(s.dir)
}

// batch writes one batch as it is, with the definitions that its segment does not have yet.
func (s *salvager) batch(item *buffer.Item) (err error) {
	b, e := &item.Batch, &item.Header
	var chain uint64
	s.recs, chain, err = s.dec.DecodeChain(s.recs[:0], b.ChainBase, b.Codec, b.RawLen, b.Count, b.Body)
	if err != nil || chain != b.ChainEnd {
		s.st.Gaps = append(s.st.Gaps, record.Gap{Epoch: b.Epoch, Range: b.Range(), Reason: record.ReasonCorrupt, ChainFrom: b.ChainBase, ChainTo: b.ChainEnd})
		return nil // its checksum is right and its content is not: damaged before it was written
	}
	if s.w == nil || s.epoch != b.Epoch || s.w.Pos() > salvageSegment {
		if err := s.begin(e, b); err != nil {
			return err
		}
	}
	k := segment.Block{Codec: b.Codec, Count: b.Count, Base: b.Base, ChainBase: b.ChainBase, ChainEnd: b.ChainEnd, RawLen: b.RawLen}
	k.Ext.Spans = b.Producers
	var defs []record.Definition
	for i := range s.recs {
		r := &s.recs[i]
		if r.Clock == record.ClockBoot {
			k.Ext.Boot.Add(r.Time)
		} else {
			k.Ext.UTC.Add(r.Time)
		}
		if a, ok := record.AnchorOf(r); ok {
			k.Ext.Anchors = append(k.Ext.Anchors, a)
		}
		if r.Series == 0 || s.defined[r.Series] {
			continue
		}
		s.defined[r.Series] = true
		if def, ok := s.l.Series(b.Epoch, r.Series); ok {
			defs = append(defs, record.Definition{ID: r.Series, Series: def})
		}
	}
	if err := s.w.Definitions(defs); err != nil {
		return err
	}
	s.w.Skip(b.Base)
	s.out.Records += uint64(b.Count)
	return s.w.Batch(&k, b.Body)
}

// begin starts a segment at a batch.
func (s *salvager) begin(e *buffer.EpochInfo, b *record.Batch) error {
	if err := s.finish(); err != nil {
		return err
	}
	if s.epoch != b.Epoch {
		s.epoch, s.seq = b.Epoch, 0
		s.opening++
	}
	h := segment.Header{Salt: newSalt(), Seq: s.seq, Opening: s.opening, Stream: s.l.Name(), Epoch: e.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd,
		First: e.First, Base: b.Base, ChainFirst: e.ChainFirst, ChainBase: b.ChainBase, Boot: e.Boot, State: s.st}
	s.seq++
	w, err := segment.CreateEncrypted(s.d.FS, s.dir, fmt.Sprintf("%016x-%s.seg", uint64(b.Base), e.Epoch), &h, 0, s.d.Keys.Current)
	if err != nil {
		return err
	}
	s.w, s.defined = w, map[record.SeriesID]bool{}
	s.out.Segments++
	return nil
}

// finish seals the segment that is being written with everything that is known by now.
func (s *salvager) finish() error {
	if s.w == nil {
		return nil
	}
	slices.SortFunc(s.st.Gaps, func(a, b record.Gap) int { return compare(uint64(a.From), uint64(b.From)) })
	err := s.w.Sync()
	if err == nil {
		err = s.w.Seal(&s.st)
	}
	err = errors.Join(err, s.w.Close())
	s.w = nil
	return err
}

// copy takes a file along that this program cannot read.
func (s *salvager) copy(name string) error {
	in, err := s.d.FS.Open(name)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer in.Close()
	out, err := s.d.FS.Create(path.Join(s.dir, path.Base(name)))
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	size, err := in.Size()
	buf := make([]byte, 1<<20)
	for at := int64(0); err == nil && at < size; {
		var n int
		part := buf[:min(int64(len(buf)), size-at)]
		if n, err = in.ReadAt(part, at); n == len(part) {
			_, err = out.WriteAt(part, at)
		}
		at += int64(n)
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	s.out.Held = append(s.out.Held, path.Base(name))
	return nil
}

// newSalt is the salt of a segment: no byte is zero.
func newSalt() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // does not fail on the systems that Go supports
	for i := range b {
		if b[i] == 0 {
			b[i] = byte(i) + 1
		}
	}
	return binary.LittleEndian.Uint32(b[:])
}

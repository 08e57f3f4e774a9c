package logtool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// SchemaVersion of everything that this package returns as JSON.
const SchemaVersion = 1

// VerifyReport is the outcome of Verify.
type VerifyReport struct {
	SchemaVersion int           `json:"schema_version"`
	Dir           string        `json:"dir"`
	OK            bool          `json:"ok"`
	Bytes         int64         `json:"bytes"`
	Records       uint64        `json:"records"`
	Streams       []StreamCheck `json:"streams"`
}

// StreamCheck is what Verify found in one stream.
type StreamCheck struct {
	Stream   string      `json:"stream"`
	OK       bool        `json:"ok"`
	Segments int         `json:"segments"`
	Bytes    int64       `json:"bytes"`
	Batches  uint64      `json:"batches"`
	Records  uint64      `json:"records"` // that a reader gets
	Files    []FileCheck `json:"files"`   // those of which there is something to say
	Gaps     []GapLine   `json:"gaps"`
	Problems []string    `json:"problems"` // of the history as a reader sees it
}

// FileCheck is what is wrong with one file.
type FileCheck struct {
	File      string     `json:"file"`
	Held      string     `json:"held,omitempty"`   // why it cannot be read by this program; it is kept
	Faults    []Fault    `json:"faults,omitempty"` // damaged places
	More      int        `json:"more_faults,omitempty"`
	Lost      []LostLine `json:"lost,omitempty"`       // records that the damage took
	TornBytes int64      `json:"torn_bytes,omitempty"` // an unfinished tail: normal after a power cut, or while the agent writes
}

// Fault is one damaged place.
type Fault struct {
	Pos    int64  `json:"position"` // bytes from the beginning of the file
	Reason string `json:"reason"`
}

// LostLine is a range of records.
type LostLine struct {
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
	Count uint64 `json:"count"`
}

// GapLine is a gap as the log tells it.
type GapLine struct {
	Epoch  string `json:"epoch"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Count  uint64 `json:"count"`
	Reason string `json:"reason"`
	Known  bool   `json:"recorded"` // stands in the log; false: found just now
}

func lostLine(r record.Range) LostLine {
	return LostLine{uint64(r.From), uint64(r.To), r.Len()}
}

func gapLine(g record.Gap, known bool) GapLine {
	return GapLine{g.Epoch.String(), uint64(g.From), uint64(g.To), g.Len(), g.Reason.String(), known}
}

// damage reports whether a gap stands for records that were lost rather than let go.
func damage(r record.Reason) bool { return r == record.ReasonCorrupt || r == record.ReasonDiskLost }

// Verify reads every byte of every segment twice: once file by file (checksums of headers and bodies, index), once as a
// reader gets it (bodies decoded, chain folded, offsets dense within an epoch, borders of epochs, series defined).
// stream "" means all.
func (d Dir) Verify(ctx context.Context, stream string) (*VerifyReport, error) {
	list, err := d.files(stream)
	if err != nil {
		return nil, err
	}
	r := &VerifyReport{SchemaVersion: SchemaVersion, Dir: d.Path, OK: true}
	for i := range list {
		r.Bytes += list[i].bytes()
	}
	p := d.progress(2 * r.Bytes)
	checks := make([]StreamCheck, len(list))
	for i := range list {
		if err := d.checkFiles(ctx, &list[i], &checks[i], p); err != nil {
			return nil, err
		}
	}
	set, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	for i := range checks {
		l, err := set.Log(checks[i].Stream)
		if err != nil {
			return nil, err
		}
		if err := d.checkHistory(ctx, l, &checks[i], p); err != nil {
			return nil, err
		}
		r.Records += checks[i].Records
		r.OK = r.OK && checks[i].OK
	}
	p.add(p.total)
	r.Streams = checks
	return r, nil
}

func (d Dir) checkFiles(ctx context.Context, s *streamFiles, out *StreamCheck, p *progress) error {
	*out = StreamCheck{Stream: s.stream, OK: true, Files: []FileCheck{}, Gaps: []GapLine{}, Problems: []string{}}
	recorded, err := d.recorded(s.stream)
	if err != nil {
		return err
	}
	end := record.Offset(0) // of what stands in the files before and in gaps
	for _, g := range recorded {
		end = max(end, g.To)
	}
	for i, f := range s.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		fc := FileCheck{File: s.stream + "/" + f.name}
		switch {
		case f.held != nil:
			fc.Held = reason(f.held)
			out.OK = false
		case f.blank != nil && i == len(s.files)-1 && f.named() >= end:
			fc.TornBytes = f.size // begun, and its header never became durable
		case f.blank != nil:
			fc.Faults = []Fault{{0, "nothing in it was recognised: neither header nor blocks"}}
		default:
			err := f.check(d.FS, s.reach(i, recorded), &fc, out)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			end = max(end, f.c.Index.End)
			if f.locked != nil {
				fc.Held = reason(f.locked) + "; its checksums were verified, its content was not"
			}
		}
		out.Segments++
		out.Bytes += f.written()
		if len(fc.Faults) > 0 || len(fc.Lost) > 0 || fc.Held != "" || fc.TornBytes > 0 {
			out.Files = append(out.Files, fc)
		}
		out.OK = out.OK && len(fc.Faults) == 0
		p.add(f.size)
	}
	return nil
}

// reason is an error without the path that its line names anyway.
func reason(err error) string {
	var c *segment.CorruptionError
	if errors.As(err, &c) {
		err = c.Err
	}
	return err.Error()
}

// reach is an offset that a later file says to have been durable in the i-th, 0 if none does. What the recorded gaps
// stand for is not asked of it.
func (s *streamFiles) reach(i int, recorded []record.Gap) record.Offset {
	o := s.stated(i)
	for k := len(recorded) - 1; k >= 0; k-- {
		if g := &recorded[k]; g.Epoch == s.files[i].c.Header.Epoch && g.From < o && o <= g.To {
			o = g.From
		}
	}
	return o
}

func (s *streamFiles) stated(i int) record.Offset {
	f := s.files[i]
	for _, n := range s.files[i+1:] {
		if n.c == nil || n.c.Lost {
			continue
		}
		switch h := &n.c.Header; {
		case h.Epoch == f.c.Header.Epoch:
			return h.Base
		case h.Parent == f.c.Header.Epoch:
			return h.ParentEnd
		}
		return 0
	}
	return 0
}

// named is the base that the file's name tells.
func (f *segFile) named() (base record.Offset) {
	_, _ = fmt.Sscanf(f.name, "%16x", (*uint64)(&base)) // 0 where the name tells nothing
	return base
}

const trailerBytes = 16

// check scans one file.
func (f *segFile) check(fsys vfs.FS, reach record.Offset, out *FileCheck, sum *StreamCheck) error {
	h, err := fsys.Open(f.path)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	defer h.Close()
	x, indexed, err := segment.ReadIndex(h, f.path, f.c.Header.Salt)
	if err != nil {
		return err
	}
	if indexed {
		reach = max(reach, x.End)
	}
	if err := f.c.Scan(h, reach); err != nil {
		return fmt.Errorf("read segment: %w", err)
	}
	for _, n := range f.c.Notes {
		pos := int64(0)
		var c *segment.CorruptionError
		if errors.As(n, &c) {
			pos = c.Pos
		}
		out.fault(pos, reason(n))
	}
	for _, d := range f.c.Damage {
		out.Lost = append(out.Lost, lostLine(d.Range))
	}
	if reach > f.c.Index.End {
		out.fault(f.c.EndPos, fmt.Sprintf("the file ends here, at offset %d; it had been durable up to %d", f.c.Index.End, reach))
		out.Lost = append(out.Lost, lostLine(record.Range{From: f.c.Index.End, To: reach}))
	}
	tail := make([]byte, trailerBytes)
	n, _ := h.ReadAt(tail, max(f.size-trailerBytes, 0)) // a short read is no trailer
	claims := n == trailerBytes && string(tail[8:]) == "edgeidx\n"
	switch {
	case f.c.Sealed && !indexed && f.sealing(h):
	case f.c.Sealed && (!indexed || binary.LittleEndian.Uint32(tail[4:]) != f.c.Header.Salt):
		out.fault(max(f.size-trailerBytes, f.c.EndPos), "the trailer or index is damaged; no record is touched")
	case !f.c.Sealed && claims:
		out.fault(f.c.EndPos, "the index is damaged; no record is touched")
	case !f.c.Sealed && len(f.c.Notes) == 0:
		out.TornBytes = f.torn(h)
	}
	return f.count(h, sum)
}

// sealing: the index stands, but the file was not cut behind its trailer, or that has not reached the disk: a power cut
// while it was sealed.
func (f *segFile) sealing(h vfs.File) bool {
	k, err := segment.NewBlocks(h, f.path, f.c.Header.Salt, f.size).Header(f.c.EndPos)
	if err != nil || k.Type != segment.BlockIndex {
		return false
	}
	n := f.size - k.Pos - k.Size
	if n > trailerBytes {
		return true
	}
	rest := make([]byte, n)
	_, err = h.ReadAt(rest, k.Pos+k.Size)
	return err == nil && bytes.Count(rest, []byte{0}) == len(rest)
}

// torn is how much of what follows the last block is not reserved space.
func (f *segFile) torn(h vfs.File) int64 {
	buf := make([]byte, 64<<10)
	last := int64(0)
	for at := f.c.EndPos; at < f.size; at += int64(len(buf)) {
		n, err := h.ReadAt(buf[:min(int64(len(buf)), f.size-at)], at)
		for i := n - 1; i >= 0; i-- {
			if buf[i] != 0 {
				last = at + int64(i) + 1 - f.c.EndPos
				break
			}
		}
		if err != nil {
			break
		}
	}
	return last
}

func (c *FileCheck) fault(pos int64, why string) {
	if len(c.Faults) >= maxFaultsPerFile {
		c.More++
		return
	}
	c.Faults = append(c.Faults, Fault{pos, why})
}

// count counts the good batches.
func (f *segFile) count(h vfs.File, sum *StreamCheck) error {
	return f.blocks(h, func(k *segment.Block, _ *segment.Blocks) error {
		if k.Type == segment.BlockBatch {
			sum.Batches++
		}
		return nil
	})
}

// blocks calls each for every block whose header is good.
func (f *segFile) blocks(h vfs.File, each func(*segment.Block, *segment.Blocks) error) error {
	b := segment.NewBlocks(h, f.path, f.c.Header.Salt, f.size)
	for pos := f.c.Start; ; {
		k, ok, err := b.Resync(pos)
		if err != nil || !ok {
			return err
		}
		if err := each(&k, b); err != nil {
			return err
		}
		if pos = k.Pos + k.Size; k.Type == segment.BlockIndex {
			return nil
		}
	}
}

// history checks what a reader gets.
type history struct {
	l        *buffer.Log
	out      *StreamCheck
	dec      record.Decoder
	recs     []record.Record
	at       record.Offset
	chain    uint64
	epoch    buffer.EpochInfo
	begun    bool
	unknown  map[record.SeriesID]bool
	problems int
}

func (d Dir) checkHistory(ctx context.Context, l *buffer.Log, out *StreamCheck, p *progress) error {
	h := history{l: l, out: out, unknown: map[record.SeriesID]bool{}}
	err := each(ctx, l, 0, func(item *buffer.Item) error {
		h.item(item)
		p.add(int64(len(item.Batch.Body)))
		return nil
	}, func(e *buffer.HeldError) { h.begun = false })
	if err != nil {
		return err
	}
	recorded, err := d.recorded(l.Name())
	if err != nil {
		return err
	}
	for _, g := range l.Info().Gaps {
		known := covered(recorded, g)
		out.Gaps = append(out.Gaps, gapLine(g, known))
		if damage(g.Reason) && !known {
			out.OK = false
		}
	}
	out.OK = out.OK && len(out.Problems) == 0
	return nil
}

func (h *history) problem(format string, args ...any) {
	if h.problems++; h.problems <= maxProblems {
		h.out.Problems = append(h.out.Problems, fmt.Sprintf(format, args...))
	}
}

func (h *history) item(item *buffer.Item) {
	r, e := item.Range(), item.Header
	from, to := item.Batch.ChainBase, item.Batch.ChainEnd
	if g := item.Gap; g != nil {
		from, to = g.ChainFrom, g.ChainTo
	}
	switch {
	case !h.begun:
	case e.Epoch == h.epoch.Epoch && r.From != h.at:
		h.problem("epoch %s: offsets %d to %d are neither there nor in a gap", e.Epoch, h.at, r.From)
	case e.Epoch == h.epoch.Epoch && from != h.chain:
		h.problem("epoch %s: the chain at offset %d is %016x, before it %016x: another history", e.Epoch, r.From, from, h.chain)
	case e.Epoch != h.epoch.Epoch && e.Parent == h.epoch.Epoch && e.ParentEnd != h.at:
		h.problem("epoch %s: its parent %s ends at %d, it says %d", e.Epoch, e.Parent, h.at, e.ParentEnd)
	case e.Epoch != h.epoch.Epoch && e.Parent == h.epoch.Epoch && r.From == e.First && from != h.chain:
		h.problem("epoch %s: the chain at its beginning is not that of its parent's end", e.Epoch)
	}
	if !h.begun || e.Epoch != h.epoch.Epoch {
		clear(h.unknown)
	}
	h.begun, h.epoch, h.at, h.chain = true, e, r.To, to
	if item.Gap == nil {
		h.batch(&item.Batch)
	}
}

func (h *history) batch(b *record.Batch) {
	var err error
	var end uint64
	h.recs, end, err = h.dec.DecodeChain(h.recs[:0], b.ChainBase, b.Codec, b.RawLen, b.Count, b.Body)
	switch {
	case err != nil:
		h.problem("epoch %s: the batch at offset %d cannot be decoded although its checksum is right: %v", b.Epoch, b.Base, err)
		return
	case end != b.ChainEnd:
		h.problem("epoch %s: the records at offsets %d to %d do not give the chain that is stated", b.Epoch, b.Base, b.Range().To)
	}
	h.out.Records += uint64(b.Count)
	for i := range h.recs {
		id := h.recs[i].Series
		if id == 0 || h.unknown[id] {
			continue
		}
		if s, ok := h.l.Series(b.Epoch, id); !ok || s.Name == "undefined" {
			h.problem("epoch %s: series %d has no definition left (first met at offset %d)", b.Epoch, id, b.Base+record.Offset(i))
		}
		h.unknown[id] = true
	}
}

// recorded are the gaps that the newest readable segment of a stream states.
func (d Dir) recorded(stream string) ([]record.Gap, error) {
	st, err := d.newestState(stream)
	return st.Gaps, err
}

// newestState is the state that the newest readable segment of a stream states.
func (d Dir) newestState(stream string) (segment.State, error) {
	list, err := d.files(stream)
	if err != nil {
		return segment.State{}, err
	}
	for files := list[0].files; len(files) > 0; files = files[:len(files)-1] {
		f := files[len(files)-1]
		if f.c == nil || f.c.Lost {
			continue
		}
		h, err := d.FS.Open(f.path)
		if err == nil {
			err = errors.Join(f.c.Load(h, 0), h.Close())
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return f.c.State, err
	}
	return segment.State{}, nil
}

// covered reports whether the gaps of the list cover g.
func covered(list []record.Gap, g record.Gap) bool {
	at := g.From
	for _, x := range list {
		if x.Epoch == g.Epoch && x.From <= at && at < x.To {
			at = x.To
		}
	}
	return at >= g.To
}

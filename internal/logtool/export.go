package logtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// ExportOptions say what goes into a portable file.
type ExportOptions struct {
	Device         string // the box's id: the hub files everything under it
	Stream         string // "": all
	SinceDelivered bool   // only what the log does not know to be delivered
	Program        string // that writes the file
	Now            time.Time
}

// ExportReport says what went into a portable file.
type ExportReport struct {
	SchemaVersion int            `json:"schema_version"`
	File          string         `json:"file"`
	Device        string         `json:"device"`
	Nonce         string         `json:"nonce"`
	Bytes         int64          `json:"bytes"`
	Remembered    bool           `json:"remembered"` // an ack file will count on this directory
	Why           string         `json:"not_remembered_because,omitempty"`
	Streams       []ExportStream `json:"streams"`
}

// ExportStream is one stream of it.
type ExportStream struct {
	Stream  string    `json:"stream"`
	From    uint64    `json:"from"`
	To      uint64    `json:"to"`
	Records uint64    `json:"records"`
	Missing uint64    `json:"missing"` // records in whose place a gap stands
	Held    string    `json:"held,omitempty"`
	Lost    []GapLine `json:"lost"` // gaps that stand for damage
}

// Export writes the log, as far as it is durable, into a new portable file. Beside a running agent it makes durable what
// it is about to write first. Where the directory cannot be written the export is made all the same, and the report says
// that its ack file will not count. On error no file remains.
func (d Dir) Export(ctx context.Context, name string, o ExportOptions) (r *ExportReport, err error) {
	if !wire.ValidDevice(o.Device) {
		return nil, fmt.Errorf("device %q: want the id of the box, as its certificate or configuration names it", o.Device)
	}
	if _, err := d.FS.Stat(name); err == nil {
		return nil, fmt.Errorf("%s: %w", name, vfs.ErrExist)
	}
	set, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	list, err := logs(set, o.Stream)
	if err != nil {
		return nil, err
	}
	if err := d.harden(); err != nil {
		return nil, err
	}
	r = &ExportReport{SchemaVersion: SchemaVersion, File: name, Device: o.Device, Streams: []ExportStream{}}
	x := exporter{d: d, o: o, nonce: newNonce(), r: r}
	r.Nonce = nonceText(x.nonce)
	var total int64
	for _, l := range list {
		total += l.Info().Bytes
	}
	x.p = d.progress(total)
	if err := d.remember(exported{Nonce: r.Nonce, Device: o.Device, File: path.Base(name), Made: o.Now.UTC()}); err != nil {
		r.Why = err.Error()
	}
	r.Remembered = r.Why == ""
	tmp := name + ".part"
	if err := d.FS.Remove(tmp); err != nil && !errors.Is(err, vfs.ErrNotExist) {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	f, err := d.FS.Create(tmp)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	err = x.write(ctx, &fileWriter{f: f}, set.Logs(), list)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.FS.Rename(tmp, name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", name, err), ignoreGone(d.FS.Remove(tmp)))
	}
	if err := d.FS.SyncDir(path.Dir(name)); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	x.p.add(x.p.total)
	return r, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	return err
}

// harden makes durable what a reader of the directory may see: the writer beside us may not have synced it yet, and
// what leaves the box must not be lost by it.
func (d Dir) harden() error {
	list, err := d.files("")
	if err != nil {
		return err
	}
	for _, s := range list {
		for _, f := range s.files {
			h, err := d.FS.Open(f.path)
			if errors.Is(err, vfs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = errors.Join(h.Sync(), h.Close())
			}
			if err != nil {
				return fmt.Errorf("sync %s before it is exported: %w", f.path, err)
			}
		}
		if err := d.FS.SyncDir(path.Join(d.Path, s.stream)); err != nil {
			return fmt.Errorf("sync stream %s before it is exported: %w", s.stream, err)
		}
	}
	return nil
}

// fileWriter appends to a file.
type fileWriter struct {
	f  vfs.File
	at int64
}

func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.f.WriteAt(p, w.at)
	w.at += int64(n)
	return n, err
}

// exporter writes one file.
type exporter struct {
	d       Dir
	o       ExportOptions
	nonce   wire.Nonce
	r       *ExportReport
	p       *progress
	w       *carry.Writer
	dec     record.Decoder
	enc     record.Encoder
	recs    []record.Record
	body    []byte
	epoch   record.Epoch
	defined map[record.SeriesID]bool
	known   int // definitions of the epoch
	def     []byte
}

func (x *exporter) write(ctx context.Context, w io.Writer, all, list []*buffer.Log) (err error) {
	head := carry.Header{Kind: carry.Export, Nonce: x.nonce, Device: x.o.Device, Made: x.o.Now, Program: x.o.Program}
	if x.w, err = carry.NewWriter(w, head); err != nil {
		return err
	}
	for _, h := range hellos(all, x.nonce, x.o.Program) {
		if err := x.w.Hello(h); err != nil {
			return err
		}
	}
	for _, l := range list {
		if err := x.stream(ctx, l); err != nil {
			return err
		}
	}
	if err := x.w.Close(); err != nil {
		return err
	}
	x.r.Bytes = x.w.Bytes()
	return nil
}

// hellos say everything that the box holds, not only what goes into the file: a hub must not take an epoch for one
// whose parent is gone.
func hellos(all []*buffer.Log, nonce wire.Nonce, program string) []*wire.Hello {
	h := &wire.Hello{}
	out := []*wire.Hello{h}
	left := wire.MaxHelloEpochs
	for _, l := range all {
		var states []wire.EpochState
		for _, e := range l.Epochs() {
			states = append(states, wire.EpochState{Epoch: e.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd, First: e.First, Low: e.Low, End: e.End})
		}
		for first := true; first || len(states) > 0; first = false {
			if (left == 0 && len(states) > 0 || len(h.Streams) == wire.MaxHelloStreams) && len(out) < maxHelloParts {
				h = &wire.Hello{}
				out = append(out, h)
				left = wire.MaxHelloEpochs
			}
			n := min(len(states), left)
			h.Streams = append(h.Streams, wire.StreamState{Stream: l.Name(), Epochs: states[:n]})
			states, left = states[n:], left-n
			if n == 0 {
				break
			}
		}
	}
	for i, h := range out {
		h.Nonce, h.Part, h.Parts, h.Agent = nonce, uint16(i), uint16(len(out)), program
	}
	return out
}

func (x *exporter) stream(ctx context.Context, l *buffer.Log) error {
	from := record.Offset(0)
	if x.o.SinceDelivered {
		from = l.Delivered()
	}
	s := ExportStream{Stream: l.Name(), Lost: []GapLine{}}
	x.epoch, x.defined = 0, map[record.SeriesID]bool{}
	begun := false
	// A file that cannot be read ends the export of its stream, as it stops delivery: nothing may overtake it.
	err := each(ctx, l, from, func(item *buffer.Item) error {
		r := item.Range()
		if !begun {
			s.From, begun = uint64(r.From), true
		}
		s.To = uint64(r.To)
		x.p.add(int64(len(item.Batch.Body)))
		e := &item.Header
		h := wire.FrameHeader{Stream: l.Name(), Epoch: e.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd, First: e.First, Nonce: x.nonce}
		if g := item.Gap; g != nil {
			s.Missing += g.Len()
			if damage(g.Reason) {
				s.Lost = append(s.Lost, gapLine(*g, true))
			}
			return x.w.Frame(&wire.Gap{FrameHeader: h, Range: g.Range, Reason: g.Reason, ChainFrom: g.ChainFrom, ChainTo: g.ChainTo, TimeMin: g.TimeMin, TimeMax: g.TimeMax})
		}
		s.Records += uint64(item.Batch.Count)
		return x.batch(l, h, &item.Batch)
	}, nil)
	var held *buffer.HeldError
	if errors.As(err, &held) {
		s.Held, err = held.Error(), nil
	}
	x.r.Streams = append(x.r.Streams, s)
	return err
}

// batch writes a batch as one frame, or as several where its definitions would be too many for one.
func (x *exporter) batch(l *buffer.Log, h wire.FrameHeader, b *record.Batch) (err error) {
	if x.epoch != b.Epoch {
		x.epoch = b.Epoch
		clear(x.defined)
		x.known = len(l.Definitions(b.Epoch))
	}
	whole := wire.Data{FrameHeader: h, Base: b.Base, Count: b.Count, ChainBase: b.ChainBase, ChainEnd: b.ChainEnd, Producers: b.Producers,
		Codec: b.Codec, RawLen: b.RawLen, CRC: b.CRC, Body: b.Body}
	if len(x.defined) >= x.known {
		return x.w.Frame(&whole)
	}
	if x.recs, err = x.dec.Decode(x.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
		return fmt.Errorf("read stream %s at offset %d: %w", l.Name(), b.Base, err)
	}
	chain := b.ChainBase
	for at := 0; at < len(x.recs); {
		defs, end, err := x.definitions(l, b, at)
		if err != nil {
			return err
		}
		if at == 0 && end == len(x.recs) {
			whole.Definitions = defs
			return x.w.Frame(&whole)
		}
		part := x.recs[at:end]
		f := wire.Data{FrameHeader: h, Base: b.Base + record.Offset(at), Count: uint32(len(part)), ChainBase: chain, Definitions: defs}
		if err := x.recode(&f, b, part); err != nil {
			return err
		}
		if err := x.w.Frame(&f); err != nil {
			return err
		}
		chain, at = f.ChainEnd, end
	}
	return nil
}

// definitions are those that the records from at on use and the file does not have yet; end is where the next would be
// one too many.
func (x *exporter) definitions(l *buffer.Log, b *record.Batch, at int) (defs []record.Definition, end int, err error) {
	size := 0
	for i := at; i < len(x.recs); i++ {
		id := x.recs[i].Series
		if id == 0 || x.defined[id] {
			continue
		}
		s, ok := l.Series(b.Epoch, id)
		if !ok {
			continue // the hub says so
		}
		def := record.Definition{ID: id, Series: s}
		x.def = record.AppendDefinition(x.def[:0], def)
		if size += len(x.def); size > wire.MaxDefinitionsBytes {
			if end = border(b, at, i); end <= at {
				return nil, 0, fmt.Errorf("stream %s, offset %d: one producer message brings more than %d bytes of definitions", l.Name(), b.Base+record.Offset(i), wire.MaxDefinitionsBytes)
			}
			for _, d := range defs { // those that only the cut-off part uses come with it
				x.defined[d.ID] = false
			}
			used := defs[:0]
			for _, d := range defs {
				for k := at; k < end; k++ {
					if x.recs[k].Series == d.ID {
						used, x.defined[d.ID] = append(used, d), true
						break
					}
				}
			}
			x.prune()
			return used, end, nil
		}
		defs, x.defined[id] = append(defs, def), true
	}
	return defs, len(x.recs), nil
}

// prune takes out what is marked as not defined, because the number of entries counts.
func (x *exporter) prune() {
	for id, ok := range x.defined {
		if !ok {
			delete(x.defined, id)
		}
	}
}

// border is the end of a frame that begins at record index at and may reach to: no producer's message is divided.
func border(b *record.Batch, at, to int) int {
	for _, p := range b.Producers {
		from, end := int(p.From-b.Base), int(p.To-b.Base)
		if from < to && to < end {
			return max(from, at)
		}
	}
	return to
}

func (x *exporter) recode(f *wire.Data, b *record.Batch, recs []record.Record) error {
	body, used, raw, err := x.enc.Encode(x.body[:0], recs, record.CodecColumnsZ)
	if err != nil {
		return fmt.Errorf("encode %d records at %d: %w", len(recs), f.Base, err)
	}
	x.body = body
	f.Codec, f.RawLen, f.Body, f.CRC = used, uint32(raw), body, wire.Checksum(body)
	f.ChainEnd = record.FoldChain(f.ChainBase, recs)
	to := f.Base + record.Offset(len(recs))
	for _, p := range b.Producers {
		if p.From >= f.Base && p.To <= to {
			f.Producers = append(f.Producers, p)
		}
	}
	return nil
}

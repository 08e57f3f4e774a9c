package segment

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Writer appends blocks to a new segment. The first error latches it: nothing more is written, and what counts is
// what the last successful Sync covered. It belongs to one goroutine.
type Writer struct {
	fs   vfs.FS
	f    vfs.File
	path string
	head Header

	buf    []byte // blocks not yet written, they stand at pos−len(buf)
	pos    int64  // where the next block goes
	synced int64
	sent   int64 // up to here the disk was told to begin
	half   int64 // where it is told next; 0: not
	start  int64
	index  Index
	defs   []byte // definitions written, while they are few
	err    error
	sealed bool
	key    *DataKey // nil: plain
}

const (
	flushBytes = 1 << 20
	startBytes = 128 << 10 // of a commit, from which on the disk begins with its first half before the second is ready
	pageBytes  = 4096
)

// Create makes the segment file dir/name and makes header and directory entry durable. reserve is the disk space to
// allocate, in bytes. On error nothing remains, as far as the disk allows.
func Create(fs vfs.FS, dir, name string, h *Header, reserve int64) (*Writer, error) {
	return CreateEncrypted(fs, dir, name, h, reserve, nil)
}

// CreateEncrypted is Create of a segment whose bodies are encrypted with a new data key that is wrapped with the given
// one; nil: not encrypted. It sets h.Encrypted.
func CreateEncrypted(fs vfs.FS, dir, name string, h *Header, reserve int64, with *Key) (*Writer, error) {
	p := path.Join(dir, name)
	h.Encrypted = with != nil
	hb, err := AppendHeader(nil, h)
	if err != nil {
		return nil, err
	}
	lead, key, err := lead(hb, h, with)
	if err != nil {
		return nil, err
	}
	f, err := fs.Create(p)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if err := f.Reserve(reserve); err != nil && !errors.Is(err, vfs.ErrNotSupported) {
		return nil, errors.Join(err, f.Close(), fs.Remove(p))
	}
	w := newWriter(fs, f, p, h, key)
	if err = w.begin(hb, lead); err == nil {
		err = w.syncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), fs.Remove(p))
	}
	return w, nil
}

func newWriter(fs vfs.FS, f vfs.File, p string, h *Header, key *DataKey) *Writer {
	w := &Writer{fs: fs, f: f, path: p, head: *h, key: key}
	w.index = Index{Base: h.Base, End: h.Base, ChainBase: h.ChainBase, ChainEnd: h.ChainBase}
	return w
}

func (w *Writer) syncDir(dir string) error {
	if err := w.fs.SyncDir(dir); err != nil {
		return fmt.Errorf("sync directory of %s: %w", w.path, err)
	}
	return nil
}

// lead is what stands before the first block: the header, and the key slots if there is a key to wrap with.
func lead(header []byte, h *Header, with *Key) ([]byte, *DataKey, error) {
	if with == nil {
		return header, nil, nil
	}
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // does not fail on the systems that Go supports
	key, err := newDataKey(raw[:])
	if err != nil {
		return nil, nil, err
	}
	at := slots(int64(len(header)))
	out := make([]byte, at+slotArea)
	copy(out, header)
	for i := range 2 {
		b, err := wrap(key, with, h.Salt, i)
		if err != nil {
			return nil, nil, err
		}
		copy(out[at+int64(i)*slotPage:], b)
	}
	return out, key, nil
}

func (w *Writer) begin(header, lead []byte) error {
	w.buf = append(w.buf, lead...)
	w.pos = int64(len(lead))
	w.start = w.pos
	if err := w.add(&Block{Type: BlockHeaderCopy}, header); err != nil {
		return err
	}
	return w.Sync()
}

// Header is what the segment began with.
func (w *Writer) Header() *Header { return &w.head }

// Path is the file's name.
func (w *Writer) Path() string { return w.path }

// Key is what the bodies are encrypted with, nil if they are not.
func (w *Writer) Key() *DataKey { return w.key }

// File is the open file, for readers; they must stay below Synced.
func (w *Writer) File() vfs.File { return w.f }

// Start is the position of the first block.
func (w *Writer) Start() int64 { return w.start }

// Pos is where the next block goes.
func (w *Writer) Pos() int64 { return w.pos }

// Synced is the position up to which the file is durable.
func (w *Writer) Synced() int64 { return w.synced }

// Err is what latched the writer.
func (w *Writer) Err() error { return w.err }

func (w *Writer) add(b *Block, body []byte) error {
	if w.err != nil {
		return w.err
	}
	if w.sealed {
		return ErrSealed
	}
	if b.Type != BlockBatch {
		b.Base, b.ChainBase, b.ChainEnd = w.index.End, w.index.ChainEnd, w.index.ChainEnd
	}
	b.Synced = uint32(w.synced)
	w.makeRoom(len(body))
	buf, err := appendBlock(w.buf, w.head.Salt, w.pos, b, body, w.key)
	if err != nil {
		return err
	}
	if w.pos+b.Size > MaxFileBytes {
		return fmt.Errorf("%w: segment of %d bytes", ErrTooBig, w.pos+b.Size)
	}
	w.buf = buf
	w.pos += b.Size
	w.index.Add(b)
	if len(w.buf) >= flushBytes || w.half > 0 && w.pos >= w.half {
		return w.send()
	}
	return nil
}

// Expect says how many bytes the next Sync is going to cover. Of a large commit the disk begins with the first half while
// the second is put together, summed and encrypted.
func (w *Writer) Expect(bytes int64) {
	if w.half = 0; bytes >= startBytes {
		w.half = w.synced + bytes/2
	}
}

// send writes what there is and lets the disk begin with it: with whole pages only, so that none is written twice.
func (w *Writer) send() error {
	if err := w.flush(); err != nil {
		return err
	}
	from, to := max(w.sent, w.synced&^(pageBytes-1)), w.pos&^(pageBytes-1)
	if s, ok := w.f.(vfs.Starter); ok {
		s.StartWrite(from, to-from)
	}
	w.sent, w.half = to, 0
	return nil
}

// makeRoom doubles the buffer where a block with a body of n bytes would not fit.
func (w *Writer) makeRoom(n int) {
	if need := len(w.buf) + n + 1<<10; need > cap(w.buf) {
		w.buf = append(make([]byte, 0, max(need, min(2*cap(w.buf), 2*flushBytes))), w.buf...)
	}
}

// TakeBuffer takes over the memory of a writer that is done, so that a log fills the same pages again and again.
func (w *Writer) TakeBuffer(done *Writer) {
	if len(w.buf) == 0 && cap(done.buf) > cap(w.buf) {
		w.buf, done.buf = done.buf[:0], nil
	}
}

// Batch adds one encoded body. b names codec, count, base, chains, raw length and ext; it must continue where the last
// batch ended.
func (w *Writer) Batch(b *Block, body []byte) error {
	if b.Base != w.index.End {
		return fmt.Errorf("%w: batch at %d behind %d", ErrFormat, b.Base, w.index.End)
	}
	b.Type = BlockBatch
	return w.add(b, body)
}

// Defs are the positions of the definitions blocks added. The slice only grows.
func (w *Writer) Defs() []int64 { return w.index.Defs }

// Skip lets the next batch begin at o, above the end of the last: a gap that the state names stands between them.
func (w *Writer) Skip(o record.Offset) { w.index.End = max(w.index.End, o) }

// Definitions adds series definitions, before the first batch that uses them.
func (w *Writer) Definitions(defs []record.Definition) error {
	var body []byte
	for _, d := range defs {
		if len(w.defs) < maxSealDefs+record.MaxDefinitionBytes {
			w.defs = record.AppendDefinition(w.defs, d)
		}
		if len(body) > maxDefBlock-2*record.MaxDefinitionBytes {
			if err := w.add(&Block{Type: BlockDefinitions}, body); err != nil {
				return err
			}
			body = nil
		}
		body = record.AppendDefinition(body, d)
	}
	if len(body) == 0 {
		return nil
	}
	return w.add(&Block{Type: BlockDefinitions}, body)
}

// State adds the whole state.
func (w *Writer) State(s *State) error {
	return w.add(&Block{Type: BlockState}, AppendState(nil, s))
}

func (w *Writer) flush() error {
	if w.err != nil {
		return w.err
	}
	if len(w.buf) == 0 {
		return nil
	}
	if _, err := w.f.WriteAt(w.buf, w.pos-int64(len(w.buf))); err != nil {
		w.err = fmt.Errorf("write segment: %w", err)
		return w.err
	}
	if cap(w.buf) > 2*flushBytes {
		w.buf = nil
	}
	w.buf = w.buf[:0]
	return nil
}

// Sync makes all blocks added durable.
func (w *Writer) Sync() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		w.err = fmt.Errorf("sync segment: %w", err)
		return w.err
	}
	w.synced, w.half = w.pos, 0
	return nil
}

// Seal adds the index with the state as of now, gives back the reservation and makes all durable. The records in the
// segment do not depend on its success. Blocks added and not synced are lost.
func (w *Writer) Seal(s *State) error {
	if w.err == nil && w.synced != w.pos {
		w.err = errors.New("seal with blocks that are not durable")
	}
	if w.err != nil {
		return w.err
	}
	if n := len(w.defs); n > 0 && n <= maxSealDefs { // a second copy: a damaged page does not take the names along
		if err := w.add(&Block{Type: BlockDefinitions}, w.defs); err != nil {
			return err
		}
	}
	at := w.pos
	if err := w.add(&Block{Type: BlockIndex}, appendIndex(nil, &w.index, s)); err != nil {
		return err
	}
	w.sealed = true
	w.buf = append(w.buf, trailer(at, w.head.Salt)...)
	w.pos += trailerLen
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.f.Truncate(w.pos); err != nil {
		w.err = fmt.Errorf("truncate segment: %w", err)
		return w.err
	}
	return w.Sync()
}

func trailer(at int64, salt uint32) []byte {
	t := binary.LittleEndian.AppendUint32(nil, uint32(at))
	t = binary.LittleEndian.AppendUint32(t, salt)
	return append(t, trailerMagic...)
}

// Abandon cuts a latched segment to what is durable, so that nobody takes the rest for data. The file stays open for
// readers.
func (w *Writer) Abandon() error {
	if w.err == nil {
		w.err = errors.New("segment abandoned")
	}
	return w.f.Truncate(w.synced)
}

// Close closes the file. Readers that share it must be done.
func (w *Writer) Close() error { return w.f.Close() }

// Seal adds an index and a trailer to a recovered segment whose tail was cut: nothing that holds a record changes.
func Seal(fs vfs.FS, c *Contents) error {
	f, err := fs.OpenRW(c.Path)
	if err != nil {
		return fmt.Errorf("open segment to seal it: %w", err)
	}
	err = seal(f, c)
	if err != nil {
		return errors.Join(fmt.Errorf("seal %s: %w", c.Path, err), f.Close())
	}
	return f.Close()
}

func seal(f vfs.File, c *Contents) error {
	// What was recovered becomes durable before anybody is shown it, and before the index testifies that it was.
	if err := f.Sync(); err != nil {
		return err
	}
	b := Block{Type: BlockIndex, Base: c.Index.End, ChainBase: c.Index.ChainEnd, ChainEnd: c.Index.ChainEnd, Synced: uint32(c.EndPos)}
	body := appendIndex(nil, &c.Index, &c.State)
	buf, err := appendBlock(nil, c.Header.Salt, c.EndPos, &b, body, nil)
	if err != nil {
		return err
	}
	buf = append(buf, trailer(c.EndPos, c.Header.Salt)...)
	// Written into the reservation and cut afterwards: this works on a full disk, too.
	if _, err := f.WriteAt(buf, c.EndPos); err != nil {
		return &SealError{err}
	}
	if err := f.Truncate(c.EndPos + int64(len(buf))); err != nil {
		return &SealError{err}
	}
	if err := f.Sync(); err != nil {
		return &SealError{err}
	}
	return nil
}

// SealError says that a recovered segment is durable but could not be given its index: it is scanned again on the
// next opening.
type SealError struct{ Err error }

func (e *SealError) Error() string { return "write index: " + e.Err.Error() }
func (e *SealError) Unwrap() error { return e.Err }

package npu

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Kinds of input that a sequence can be bound to.
const (
	refFile   = "file"
	refFrame  = "frame"
	refWindow = "window"
)

// ref names one input, so that it can be found or recognised after a restart.
type ref struct {
	Kind string `json:"k"`
	Name string `json:"n"`           // path of the file, reference of the frame, name of the window
	ID   string `json:"i,omitempty"` // of the file: device, inode, size and time of change; of the window: its last record
	Root string `json:"r,omitempty"` // directory that the file was found in
}

// frame is what one model was asked about a frame. The model is "" where a version before this one has noted only the name.
type frame struct{ model, name string }

// entry is one line of the journal.
type entry struct {
	Incarnation uint64          `json:"incarnation,omitempty"` // first line
	Seq         uint64          `json:"s,omitempty"`           // a sequence is bound
	Model       string          `json:"m,omitempty"`
	Refs        []ref           `json:"r,omitempty"`
	Note        json.RawMessage `json:"note,omitempty"` // the records of a message that has no input
	Tried       int             `json:"t,omitempty"`    // begun so often, with Seq: its frames are lost
	Forget      []string        `json:"f,omitempty"`    // frames that got no result, with Seq
	Acked       uint64          `json:"a,omitempty"`    // everything up to it is done, files put away
}

// journal binds sequence numbers to inputs before they are worked on, durably:
//
//	crc32 of the JSON, 8 hexadecimal digits | space | JSON | newline
//
// A last line that is torn was never relied upon and is cut off. bind may be called concurrently.
type journal struct {
	path string

	sync journalSync

	mu          sync.Mutex
	f           *os.File
	size        int
	written     uint64 // entries in the file
	incarnation uint64
	next        uint64
	acked       uint64
	pending     map[uint64]entry
	refs        map[frame]uint64 // to recognise a repeated one
	order       []frame
	damaged     string // what was found wrong at opening

	away    int       // messages with files put away since their directories were synced
	flushed time.Time // when that was
	syncDir func(dir string) error
}

// errJournal latches: what could not be written must not be worked on.
var errJournal = errors.New("journal of bound inputs failed")

// openJournal reads the journal in dir, or begins one.
func openJournal(dir string) (*journal, error) {
	path := filepath.Join(dir, "journal")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := readJournal(path, data)
	return j, j.rewrite()
}

// readJournal is the state that the whole lines of a journal give, up to the first that is damaged.
func readJournal(path string, data []byte) *journal {
	j := &journal{path: path, pending: map[uint64]entry{}, refs: map[frame]uint64{}, next: 1, syncDir: syncDir}
	rest := data
	for len(rest) > 0 {
		line, tail, whole := bytes.Cut(rest, []byte("\n"))
		e, ok := parseLine(line)
		if !whole || !ok {
			if whole && bytes.Contains(tail, []byte("\n")) {
				j.damaged = fmt.Sprintf("%s: line at byte %d is damaged; what follows it is not used", j.path, len(data)-len(rest))
			}
			break
		}
		j.apply(e)
		rest = tail
	}
	if j.incarnation == 0 {
		j.renew()
	}
	return j
}

func parseLine(line []byte) (e entry, ok bool) {
	if len(line) < 10 || line[8] != ' ' {
		return e, false
	}
	if string(line[:8]) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(line[9:])) || json.Unmarshal(line[9:], &e) != nil {
		return e, false
	}
	return e, e.Seq < maxSequence && e.Acked < maxSequence && e.Tried >= 0
}

// maxSequence is beyond every number that is ever bound.
const maxSequence = 1 << 62

func (j *journal) apply(e entry) {
	switch {
	case e.Incarnation != 0:
		j.incarnation = e.Incarnation
		j.next = max(e.Seq, 1)
	case e.Acked != 0:
		j.acked = max(j.acked, e.Acked)
		j.next = max(j.next, j.acked+1)
		for s := range j.pending {
			if s <= e.Acked {
				delete(j.pending, s)
			}
		}
	case len(e.Forget) > 0:
		for _, name := range e.Forget {
			j.unknow(name, e.Seq)
		}
	case e.Tried != 0:
		if p, ok := j.pending[e.Seq]; ok {
			p.Tried = e.Tried
			j.pending[e.Seq] = p
			for _, r := range p.Refs {
				if r.Kind == refFrame {
					j.unknow(r.Name, e.Seq)
				}
			}
		}
	case e.Seq != 0:
		j.next = max(j.next, e.Seq+1)
		j.remember(e)
		if e.Seq > j.acked {
			j.pending[e.Seq] = e
		}
	}
}

func (j *journal) remember(e entry) {
	for _, r := range e.Refs {
		if f := (frame{e.Model, r.Name}); r.Kind == refFrame && j.refs[f] == 0 {
			j.refs[f] = e.Seq
			if j.order = append(j.order, f); len(j.order) > maxRefs {
				delete(j.refs, j.order[0])
				j.order = j.order[1:]
			}
		}
	}
}

// unknow makes a frame that a sequence brought no result for one that was never posted.
func (j *journal) unknow(name string, seq uint64) {
	j.order = slices.DeleteFunc(j.order, func(f frame) bool {
		if f.name != name || j.refs[f] != seq {
			return false
		}
		delete(j.refs, f)
		return true
	})
}

// renew begins a new incarnation: the old numbers are never used again. What was pending is bound anew.
func (j *journal) renew() {
	var b [8]byte
	rand.Read(b[:]) // never fails
	j.incarnation = binary.LittleEndian.Uint64(b[:])>>1 | 1
	old := j.pending
	j.next, j.acked, j.pending, j.refs, j.order = 1, 0, map[uint64]entry{}, map[frame]uint64{}, nil
	for _, s := range sorted(old) {
		e := old[s]
		tried := e.Tried
		e.Seq, e.Tried = j.next, 0
		j.apply(e)
		if tried > 0 {
			j.apply(entry{Seq: e.Seq, Tried: tried})
		}
	}
}

// journalSync shares one fdatasync among those who bind at the same time.
type journalSync struct {
	mu   sync.Mutex
	done uint64 // entries that are durable
	err  error  // latched
}

// durable returns once the entry with that number is on the disk.
func (j *journal) durable(n uint64) error {
	j.sync.mu.Lock()
	defer j.sync.mu.Unlock()
	if j.sync.done >= n || j.sync.err != nil {
		return j.sync.err
	}
	j.mu.Lock()
	f, upTo := j.f, j.written
	fd, err := unix.Dup(int(f.Fd())) // a rewrite may close the file meanwhile; what it held is durable then
	j.mu.Unlock()
	if err == nil {
		err = errors.Join(unix.Fdatasync(fd), unix.Close(fd))
	}
	if err != nil {
		j.sync.err = fmt.Errorf("%w: %w", errJournal, err)
		return j.sync.err
	}
	j.sync.done = upTo
	return nil
}

// lines encodes entries.
func lines(entries ...entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		text, err := json.Marshal(e)
		if err != nil {
			panic(err) // strings and numbers
		}
		fmt.Fprintf(&b, "%08x %s\n", crc32.ChecksumIEEE(text), text)
	}
	return b.Bytes()
}

// compacted is what still counts, as the lines of a journal.
func (j *journal) compacted() []byte {
	out := []entry{{Incarnation: j.incarnation, Seq: j.next}}
	for _, f := range j.order { // first, so that a pending entry is the later word on a sequence
		if s := j.refs[f]; j.pending[s].Seq == 0 {
			out = append(out, entry{Seq: s, Model: f.model, Refs: []ref{{Kind: refFrame, Name: f.name}}})
		}
	}
	if j.acked > 0 {
		out = append(out, entry{Acked: j.acked})
	}
	for _, s := range sorted(j.pending) {
		e := j.pending[s]
		tried := e.Tried
		e.Tried = 0
		if out = append(out, e); tried > 0 {
			out = append(out, entry{Seq: s, Tried: tried})
		}
		forgotten := entry{Seq: s}
		for _, r := range e.Refs {
			if r.Kind == refFrame && j.refs[frame{e.Model, r.Name}] != s {
				forgotten.Forget = append(forgotten.Forget, r.Name)
			}
		}
		if len(forgotten.Forget) > 0 {
			out = append(out, forgotten)
		}
	}
	return lines(out...)
}

// rewrite makes a new file of what still counts. Directories of finished files are synced by the caller before (flush).
func (j *journal) rewrite() error {
	data := j.compacted()
	tmp := j.path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(tmp, j.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(j.path))
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("write journal: %w", err)
	}
	if j.f != nil {
		j.f.Close()
	}
	j.f, j.size = f, len(data)
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// bind gives the next sequence to a message, durably. The worker must end if it fails.
func (j *journal) bind(e entry) (uint64, error) {
	j.mu.Lock()
	e.Seq = j.next
	n, err := j.write(e)
	if err == nil {
		j.apply(e)
	}
	j.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return e.Seq, j.durable(n)
}

// tried notes durably that a message is begun again after a restart. Frames of it were in memory only: they may be posted
// again.
func (j *journal) tried(seq uint64, times int) error { return j.note(entry{Seq: seq, Tried: times}) }

// forget notes durably that frames of a message got no result: they may be posted again under their references.
func (j *journal) forget(seq uint64, frames []string) error {
	return j.note(entry{Seq: seq, Forget: frames})
}

func (j *journal) note(e entry) error {
	j.mu.Lock()
	n, err := j.write(e)
	if err == nil {
		j.apply(e)
	}
	j.mu.Unlock()
	if err != nil {
		return err
	}
	return j.durable(n)
}

// done notes that everything up to seq is acknowledged and put away. It needs no sync of its own: the agent knows the
// position, and putting a file away twice harms nobody. But the line may not become durable, by the next bind, before the
// directories dirs are: a file that a power cut brings back would be new to a journal that has forgotten it. So the line
// waits until they were synced, for some files together; what is acknowledged meanwhile the agent tells after a restart.
func (j *journal) done(seq uint64, dirs []string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq <= j.acked {
		return nil
	}
	for s, e := range j.pending {
		if s <= seq && slices.ContainsFunc(e.Refs, func(r ref) bool { return r.Kind == refFile }) {
			j.away++
		}
	}
	j.apply(entry{Acked: seq})
	if j.away > 0 && j.away < awayMost && time.Since(j.flushed) < awayFor && j.size < maxJournalBytes {
		return nil
	}
	return j.flush(dirs)
}

// settle writes what done has left for later.
func (j *journal) settle(dirs []string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.away == 0 {
		return nil
	}
	return j.flush(dirs)
}

func (j *journal) flush(dirs []string) error {
	if j.away > 0 {
		for _, d := range dirs {
			if err := j.syncDir(d); err != nil && !errors.Is(err, fs.ErrNotExist) { // no directory brings no file back
				return fmt.Errorf("%w: sync %s: %w", errJournal, d, err)
			}
		}
	}
	j.away, j.flushed = 0, time.Now()
	if _, err := j.write(entry{Acked: j.acked}); err != nil {
		return err
	}
	if j.size < maxJournalBytes {
		return nil
	}
	return j.rewrite()
}

// write puts an entry into the file and returns its number.
func (j *journal) write(e entry) (uint64, error) {
	data := lines(e)
	if _, err := j.f.Write(data); err != nil {
		return 0, fmt.Errorf("%w: %w", errJournal, err)
	}
	j.size += len(data)
	j.written++
	return j.written, nil
}

// known is the sequence that a frame's reference was bound to before, 0 if it is new.
func (j *journal) known(f frame) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return max(j.refs[f], j.refs[frame{name: f.name}])
}

func (j *journal) position() (next, acked uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next, j.acked
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.f.Close()
}

func sorted(m map[uint64]entry) []uint64 { return slices.Sorted(maps.Keys(m)) }

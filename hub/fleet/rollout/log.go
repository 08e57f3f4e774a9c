package rollout

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/twoslot"
	"github.com/edgelog/edgelog/internal/vfs"
)

// ErrChain says that the audit log is not what was written: a line was changed, removed or put in.
var ErrChain = errors.New("the audit log is not whole")

// Log is the audit log and, by it, the durable state of a fleet: lines of JSON, each with the sha256 of the one before,
// in files audit-N.log named by their first entry. A snapshot saves reading all of them at a start. Nothing is ever
// removed from it. One goroutine uses it.
type Log struct {
	fs    vfs.FS
	dir   string
	slots *twoslot.Slots
	file  vfs.File // the newest, nil before the first entry
	size  int64
	n     uint64
	hash  string
	saved uint64 // entry of the snapshot
	err   error  // of a write: what is on the disk is not known any more
	// Recovered says what was wrong when the log was opened.
	Recovered []string
}

// snapshot is the state after an entry.
type snapshot struct {
	Number uint64 `json:"n"`
	Hash   string `json:"hash"`
	Fleet  *Fleet `json:"fleet"`
}

const (
	filePrefix = "audit-"
	fileSuffix = ".log"
	saveEvery  = 5_000 // entries
)

func fileName(first uint64) string { return fmt.Sprintf("%s%020d%s", filePrefix, first, fileSuffix) }

// OpenLog reads the state below dir. An end that a power cut tore is cut off and told; damage elsewhere is an error.
func OpenLog(fs vfs.FS, dir string) (*Log, *Fleet, error) {
	l := &Log{fs: fs, dir: dir}
	slots, content, wrong, err := twoslot.Open(fs, dir, "state", maxSnapshot, func(b []byte) error {
		var s snapshot
		return json.Unmarshal(b, &s)
	})
	if err != nil {
		return nil, nil, err
	}
	l.slots, l.Recovered = slots, wrong
	f := New()
	if content != nil {
		s := snapshot{Fleet: f}
		if err := json.Unmarshal(content, &s); err != nil {
			return nil, nil, fmt.Errorf("read snapshot: %w", err)
		}
		l.n, l.hash, l.saved = s.Number, s.Hash, s.Number
		f.fill()
	}
	files, err := l.files()
	if err != nil {
		return nil, nil, err
	}
	start := 0 // the last file that begins at or before the entry behind the snapshot
	for i, first := range files {
		if first <= l.n+1 {
			start = i
		}
	}
	if len(files) > 0 && files[start] > l.n+1 {
		return nil, nil, fmt.Errorf("%w: entries %d to %d are missing in %s", ErrChain, l.n+1, files[start]-1, dir)
	}
	if len(files) == 0 && l.n > 0 {
		return nil, nil, fmt.Errorf("%w: the files with entries up to %d are missing in %s", ErrChain, l.n, dir)
	}
	for i := start; i < len(files); i++ {
		if err := l.replay(f, files[i], i == len(files)-1); err != nil {
			return nil, nil, err
		}
	}
	return l, f, nil
}

// fill makes the maps that a snapshot left out.
func (f *Fleet) fill() {
	if f.Devices == nil {
		f.Devices = map[string]*Device{}
	}
	for _, r := range f.Rollouts {
		if r.Jobs == nil {
			r.Jobs = map[string]*Job{}
		}
	}
}

func (l *Log) files() (first []uint64, err error) {
	entries, err := l.fs.List(l.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.dir, err)
	}
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name, filePrefix); ok && strings.HasSuffix(name, fileSuffix) {
			var n uint64
			if _, err := fmt.Sscanf(name, "%d", &n); err == nil {
				first = append(first, n)
			}
		}
	}
	return first, nil
}

// replay applies the entries of one file that the snapshot lacks.
func (l *Log) replay(f *Fleet, first uint64, last bool) (err error) {
	name := path.Join(l.dir, fileName(first))
	file, err := l.fs.OpenRW(name)
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	defer func() {
		if err != nil || !last {
			err = errors.Join(err, file.Close())
		}
	}()
	size, err := file.Size()
	if err != nil {
		return err
	}
	want, hash := first, ""
	if first == l.n+1 {
		hash = l.hash
	}
	good, scanErr := scan(io.NewSectionReader(file, 0, size), first, func(line []byte, e *Entry) error {
		if e.Number != want || hash != "" && e.Prev != hash || e.Number == 1 && e.Prev != "" {
			return fmt.Errorf("%w: line with entry %d of %s does not follow on entry %d", ErrChain, e.Number, name, want-1)
		}
		want, hash = want+1, hashOf(line)
		switch {
		case e.Number == l.n && hash != l.hash:
			return fmt.Errorf("%w: entry %d of %s is not the one that the snapshot was made after", ErrChain, e.Number, name)
		case e.Number > l.n:
			f.Apply(e)
			l.n, l.hash = e.Number, hash
		}
		return nil
	})
	if scanErr != nil && !(errors.Is(scanErr, errTorn) && last) {
		return scanErr
	}
	if want <= l.n { // the file ends before the snapshot
		return fmt.Errorf("%w: %s ends with entry %d, the snapshot was made after %d", ErrChain, name, want-1, l.n)
	}
	if !last {
		return nil
	}
	if good < size {
		l.Recovered = append(l.Recovered, fmt.Sprintf("%s: %d bytes behind entry %d were cut off", fileName(first), size-good, l.n))
		if err := errors.Join(file.Truncate(good), file.Sync()); err != nil {
			return fmt.Errorf("cut %s: %w", name, err)
		}
	}
	l.file, l.size = file, good
	return nil
}

var errTorn = errors.New("a torn end")

// sameWrite reports whether the entry was written at once with the entry n before it.
func (e *Entry) sameWrite(n uint64) bool { return e.First > 0 && e.First <= n && n < e.Number }

// scan calls each for every line, of which the first is entry next, and returns the length of what was whole. errTorn: the rest is no line, and nothing
// whole stands behind it that was not written with it.
func scan(r io.Reader, next uint64, each func([]byte, *Entry) error) (good int64, err error) {
	br := bufio.NewReaderSize(r, MaxEntry)
	for {
		line, err := br.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return good, nil
		}
		var e Entry
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		if err != nil {
			// Whole entries behind it say that this is damage, not an end; but for those of the same write, whose pages may
			// reach the disk in any order.
			for {
				rest, rerr := br.ReadSlice('\n')
				e = Entry{}
				if rerr == nil && json.Unmarshal(rest, &e) == nil && e.Number > 0 && !e.sameWrite(next) {
					return good, fmt.Errorf("%w: what stands before entry %d cannot be read", ErrChain, e.Number)
				}
				if rerr != nil && !errors.Is(rerr, bufio.ErrBufferFull) {
					return good, errTorn
				}
			}
		}
		if err := each(line, &e); err != nil {
			return good, err
		}
		next++
		good += int64(len(line))
	}
}

func hashOf(line []byte) string {
	sum := sha256.Sum256(bytes.TrimSuffix(line, []byte("\n")))
	return hex.EncodeToString(sum[:])
}

// Append makes entries durable and then applies them. After an error nothing of them counts, and the log takes no more:
// what the disk holds is found out by the next OpenLog.
func (l *Log) Append(f *Fleet, entries []Entry) error {
	if l.err != nil {
		return l.err
	}
	if len(entries) == 0 {
		return nil
	}
	n, hash := l.n, l.hash
	var body []byte
	for i := range entries {
		e := &entries[i]
		n++
		e.Number, e.Prev, e.Time = n, hash, e.Time.UTC().Truncate(time.Millisecond)
		if len(entries) > 1 {
			e.First = l.n + 1
		}
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode entry: %w", err)
		}
		if len(line) >= MaxEntry {
			return fmt.Errorf("encode entry: %d bytes, at most %d", len(line), MaxEntry-1)
		}
		hash = hashOf(line)
		body = append(append(body, line...), '\n')
	}
	if err := l.write(body, l.n+1); err != nil {
		l.err = fmt.Errorf("write audit log: %w", err)
		return l.err
	}
	l.n, l.hash = n, hash
	for i := range entries {
		f.Apply(&entries[i])
	}
	return nil
}

func (l *Log) write(body []byte, first uint64) error {
	if l.file != nil && l.size+int64(len(body)) > segmentSize {
		if err := l.file.Close(); err != nil {
			return err
		}
		l.file = nil
	}
	if l.file == nil {
		file, err := l.fs.Create(path.Join(l.dir, fileName(first)))
		if err != nil {
			return err
		}
		l.file, l.size = file, 0
		if err := l.fs.SyncDir(l.dir); err != nil {
			return err
		}
	}
	if _, err := l.file.WriteAt(body, l.size); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.size += int64(len(body))
	return nil
}

// Save writes a snapshot where one is due, or in any case where now is set.
func (l *Log) Save(f *Fleet, now bool) error {
	if l.err != nil || l.n == l.saved && !now || l.n-l.saved < saveEvery && !now {
		return l.err
	}
	body, err := json.Marshal(snapshot{Number: l.n, Hash: l.hash, Fleet: f})
	if err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	if err := l.slots.Write(body); err != nil {
		return err
	}
	l.saved = l.n
	return nil
}

// Last is the number and sha256 of the newest entry.
func (l *Log) Last() (uint64, string) { return l.n, l.hash }

// Close closes the file.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// Read calls each with every entry of the log below dir from the first on and verifies the chain. A torn end is no error:
// a hub may be writing it.
func Read(fs vfs.FS, dir string, each func(*Entry) error) (last uint64, hash string, err error) {
	l := &Log{fs: fs, dir: dir}
	files, err := l.files()
	if err != nil {
		return 0, "", err
	}
	if len(files) > 0 && files[0] != 1 {
		return 0, "", fmt.Errorf("%w: it begins with entry %d", ErrChain, files[0])
	}
	for i, first := range files {
		if first != last+1 {
			return last, hash, fmt.Errorf("%w: a file begins with entry %d, the one before ends with %d", ErrChain, first, last)
		}
		file, err := fs.Open(path.Join(dir, fileName(first)))
		if err != nil {
			return last, hash, err
		}
		size, err := file.Size()
		if err == nil {
			_, err = scan(io.NewSectionReader(file, 0, size), first, func(line []byte, e *Entry) error {
				if e.Number != last+1 || e.Prev != hash {
					return fmt.Errorf("%w: entry %d does not follow on entry %d", ErrChain, e.Number, last)
				}
				last, hash = e.Number, hashOf(line)
				return each(e)
			})
		}
		if errors.Is(err, errTorn) && i == len(files)-1 {
			err = nil
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return last, hash, err
		}
	}
	return last, hash, nil
}

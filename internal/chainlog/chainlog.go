// Package chainlog is a log of decisions whose entries are chained by hashes: each line carries the SHA-256 of the line
// before it, so that a line that was changed, removed or put in is found by whoever reads all of them or has kept one
// hash. An entry is durable before Append returns.
//
// The log is a directory of files NAME-N.log, each named by its first entry. A torn end, as a power cut leaves it, is cut
// off and told; damage elsewhere is told, what stands behind it is kept, and the chain begins anew at a new file.
package chainlog

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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/vfs"
)

// Bounds.
const (
	MaxEntryBytes = 16 << 10
	maxFileBytes  = 1 << 20 // then the next file begins
)

// Errors.
var (
	ErrChain = errors.New("the chain of entries is broken")
	ErrEntry = errors.New("entry is too large")
)

// Entry is one line.
type Entry struct {
	Number uint64          `json:"n"`
	Prev   string          `json:"prev"` // sha256 of the line before, hex; "" for the first of a chain
	Time   time.Time       `json:"t"`
	Event  json.RawMessage `json:"e"`
	Hash   string          `json:"-"` // of this line
}

// Log is an opened log. One goroutine at a time uses it.
type Log struct {
	fs        vfs.FS
	dir, name string
	keep      int // files; 0: all
	file      vfs.File
	size      int64
	last      Entry
	broken    bool // a write failed: what is on the disk is not known
	Recovered []string
}

// Open reads the newest file. keep bounds the number of files, 0 keeps all.
func Open(fs vfs.FS, dir, name string, keep int) (*Log, error) {
	l := &Log{fs: fs, dir: dir, name: name, keep: keep}
	if err := errors.Join(fs.MkdirAll(dir), fs.SyncDir(path.Dir(dir))); err != nil {
		return nil, fmt.Errorf("open %s: %w", path.Join(dir, name), err)
	}
	return l, l.reopen()
}

// reopen finds the end of the chain.
func (l *Log) reopen() error {
	if err := l.Close(); err != nil {
		return err
	}
	files, err := l.files()
	if err != nil {
		return err
	}
	l.last, l.broken = Entry{}, false
	if len(files) == 0 {
		return nil
	}
	newest := files[len(files)-1]
	f, err := l.fs.OpenRW(path.Join(l.dir, newest.name))
	if err != nil {
		return fmt.Errorf("open %s: %w", newest.name, err)
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	good, last, bad := scan(io.NewSectionReader(f, 0, size), nil, nil)
	l.last = last
	if last.Number == 0 { // the file has no entry yet: its name goes on where the file before ended
		l.last.Number = newest.first - 1
		if len(files) > 1 {
			l.last = l.tail(files[len(files)-2].name)
		}
	}
	switch {
	case good == size:
	case bad != nil:
		l.Recovered = append(l.Recovered, fmt.Sprintf("%s at byte %d: %v; a new file begins", newest.name, good, bad))
		l.last.Number += uint64(bytes.Count(must(io.ReadAll(io.NewSectionReader(f, good, size-good))), []byte{'\n'}))
		return f.Close()
	default:
		l.Recovered = append(l.Recovered, fmt.Sprintf("%s: %d bytes of a torn entry were cut off", newest.name, size-good))
		if err := errors.Join(f.Truncate(good), f.Sync()); err != nil {
			return errors.Join(fmt.Errorf("cut %s: %w", newest.name, err), f.Close())
		}
	}
	l.file, l.size = f, good
	return nil
}

func must(b []byte, _ error) []byte { return b }

// tail is the last entry of a file.
func (l *Log) tail(name string) Entry {
	f, err := l.fs.Open(path.Join(l.dir, name))
	if err != nil {
		return Entry{}
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return Entry{}
	}
	_, last, _ := scan(io.NewSectionReader(f, 0, size), nil, nil)
	return last
}

type file struct {
	name  string
	first uint64
}

func (l *Log) files() ([]file, error) {
	entries, err := l.fs.List(l.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.dir, err)
	}
	var out []file
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name, l.name+"-")
		number, ok2 := strings.CutSuffix(rest, ".log")
		if n, err := strconv.ParseUint(number, 10, 64); ok && ok2 && err == nil {
			out = append(out, file{e.Name, n})
		}
	}
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// scan reads lines and checks their chain, from prev if that is given. good is where the last right line ends; bad is
// nil if only a torn end follows.
func scan(r io.Reader, prev *Entry, each func(Entry) error) (good int64, last Entry, bad error) {
	b := bufio.NewReaderSize(r, MaxEntryBytes+1)
	for {
		line, err := b.ReadSlice('\n')
		if err != nil { // no whole line
			if len(line) > MaxEntryBytes {
				return good, last, ErrEntry
			}
			return good, last, nil
		}
		sum := sha256.Sum256(line[:len(line)-1])
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return good, last, fmt.Errorf("%w: %w", ErrChain, err)
		}
		e.Hash = hex.EncodeToString(sum[:])
		switch {
		case last.Number != 0 && (e.Number != last.Number+1 || e.Prev != last.Hash),
			last.Number == 0 && prev != nil && prev.Number != 0 && e.Prev != "" && (e.Number != prev.Number+1 || e.Prev != prev.Hash):
			return good, last, fmt.Errorf("%w at entry %d", ErrChain, e.Number)
		}
		if each != nil {
			if err := each(e); err != nil {
				return good, last, err
			}
		}
		last, good = e, good+int64(len(line))
	}
}

// Last is the newest entry; its Number is 0 where there is none.
func (l *Log) Last() Entry { return l.last }

// Append adds an event and returns once it is durable. After an error the event may or may not be there; the next call
// looks.
func (l *Log) Append(event any, now time.Time) (Entry, error) {
	if l.broken {
		if err := l.reopen(); err != nil {
			return Entry{}, err
		}
	}
	body, err := json.Marshal(event)
	if err != nil {
		return Entry{}, fmt.Errorf("encode entry: %w", err)
	}
	e := Entry{Number: l.last.Number + 1, Prev: l.last.Hash, Time: now.UTC().Truncate(time.Millisecond), Event: body}
	line, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("encode entry: %w", err)
	}
	if len(line) >= MaxEntryBytes {
		return Entry{}, fmt.Errorf("append to %s: %d bytes: %w", l.name, len(line), ErrEntry)
	}
	if l.file == nil || l.size+int64(len(line)) > maxFileBytes {
		if err := l.begin(e.Number); err != nil {
			l.broken = true
			return Entry{}, err
		}
	}
	if _, err = l.file.WriteAt(append(line, '\n'), l.size); err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.broken = true
		return Entry{}, fmt.Errorf("append to %s: %w", l.name, err)
	}
	sum := sha256.Sum256(line)
	e.Hash = hex.EncodeToString(sum[:])
	l.size += int64(len(line)) + 1
	l.last = e
	return e, nil
}

// begin makes the next file and removes the oldest beyond those that are kept.
func (l *Log) begin(first uint64) error {
	if err := l.Close(); err != nil {
		return err
	}
	f, err := l.fs.Create(path.Join(l.dir, fmt.Sprintf("%s-%016d.log", l.name, first)))
	if err == nil {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		return fmt.Errorf("begin a file of %s: %w", l.name, err)
	}
	l.file, l.size = f, 0
	files, err := l.files()
	if err != nil || l.keep <= 0 {
		return err
	}
	for len(files) > l.keep {
		if err := l.fs.Remove(path.Join(l.dir, files[0].name)); err != nil {
			return fmt.Errorf("remove old entries: %w", err)
		}
		files = files[1:]
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}

// Read calls each for every entry that is kept, the oldest first, and checks the chain over all files. An error that
// wraps ErrChain says where it is broken.
func Read(fs vfs.FS, dir, name string, each func(Entry) error) error {
	l := &Log{fs: fs, dir: dir, name: name}
	files, err := l.files()
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var prev *Entry
	for _, x := range files {
		f, err := fs.Open(path.Join(dir, x.name))
		if err != nil {
			return fmt.Errorf("read %s: %w", x.name, err)
		}
		size, err := f.Size()
		if err != nil {
			return errors.Join(fmt.Errorf("read %s: %w", x.name, err), f.Close())
		}
		good, last, bad := scan(io.NewSectionReader(f, 0, size), prev, each)
		if err := f.Close(); err != nil {
			return fmt.Errorf("read %s: %w", x.name, err)
		}
		if bad != nil || good != size && x != files[len(files)-1] {
			return fmt.Errorf("read %s at byte %d: %w", x.name, good, errors.Join(bad, ErrChain))
		}
		if last.Number != 0 {
			prev = &last
		}
	}
	return nil
}

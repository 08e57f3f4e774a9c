package delta

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Source is one of the two contents that a delta is made of: whole in memory, as release engineers have it.
type Source struct {
	SHA256 [sha256.Size]byte // of the file as a manifest pins it
	// Data is the content: of a file, or of an uncompressed archive.
	Data []byte
}

// segment is a piece of the result and where in the base what it resembles lies.
type segment struct {
	at, n  int64 // in the base
	result []byte
}

// Make writes the delta that leads from one content to another.
func Make(w io.Writer, form Form, from, to Source) error {
	base, segments, err := from.Data, []segment(nil), error(nil)
	if form == Trees {
		if base, segments, err = cutTrees(from.Data, to.Data); err != nil {
			return err
		}
	} else {
		segments = cut(to.Data, 0, int64(len(base)))
	}
	if int64(len(base)) > MaxTotal || int64(len(to.Data)) > MaxTotal || len(to.Data) == 0 {
		return fmt.Errorf("make delta: %d bytes from %d; at most %d, at least 1", len(to.Data), len(base), int64(MaxTotal))
	}
	h := Header{Form: form, BaseSize: int64(len(base)), ResultSize: int64(len(to.Data)), Base: sha256.Sum256(base),
		Result: sha256.Sum256(to.Data), From: from.SHA256, To: to.SHA256}
	frames, kinds := make([][]byte, len(segments)), make([]int, len(segments))
	h.version = 1
	for i, s := range segments {
		if frames[i], kinds[i], err = s.smallest(base); err != nil {
			return err
		}
		if kinds[i] != asDictionary {
			h.version = version
		}
	}
	if _, err := w.Write(h.append(nil)); err != nil {
		return fmt.Errorf("write delta: %w", err)
	}
	for i, s := range segments {
		head := binary.LittleEndian.AppendUint64(nil, uint64(s.at))
		for _, n := range []int{int(s.n), len(s.result), len(frames[i]), kinds[i]} {
			head = binary.LittleEndian.AppendUint32(head, uint32(n))
		}
		if h.version == 1 {
			head = head[:segmentBytes]
		}
		if _, err := w.Write(append(head, frames[i]...)); err != nil {
			return fmt.Errorf("write delta: %w", err)
		}
	}
	return nil
}

// smallest encodes a segment both ways.
func (s segment) smallest(base []byte) (frame []byte, kind int, err error) {
	if frame, err = s.encode(base); err != nil || s.n < minDifferences || len(s.result) < minDifferences {
		return frame, asDictionary, err
	}
	other, err := differences(base[s.at:s.at+s.n], s.result)
	if err == nil && len(other) < len(frame) {
		return other, asDiffers, nil
	}
	return frame, asDictionary, err
}

// minDifferences is the size of a segment below which differences are not tried.
const minDifferences = 4 << 10

// encode compresses a segment. Of the encoder's levels only the best one looks for long matches in a dictionary.
func (s segment) encode(base []byte) ([]byte, error) {
	window := zstd.MinWindowSize
	for window < int(s.n)+len(s.result) {
		window *= 2
	}
	options := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window)}
	if s.n > 0 {
		options = append(options, zstd.WithEncoderDictRaw(dictionaryID, base[s.at:s.at+s.n]))
	}
	e, err := zstd.NewWriter(nil, options...)
	if err != nil {
		return nil, fmt.Errorf("make delta: %w", err)
	}
	frame := e.EncodeAll(s.result, nil)
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("make delta: %w", err)
	}
	if len(frame) > MaxFrame {
		return nil, fmt.Errorf("make delta: a segment of %d bytes grew to %d", len(s.result), len(frame))
	}
	return frame, nil
}

// cut cuts content at fixed lengths; each piece refers to what lies around the same place in the piece [at, at+n) of the
// base.
func cut(content []byte, at, n int64) []segment {
	if len(content) <= MaxResult && n <= MaxBase {
		return []segment{{at, n, content}}
	}
	var out []segment
	for off := int64(0); off < int64(len(content)); off += pieceBytes {
		from := min(max(off-pieceBefore, 0), n)
		to := min(off+pieceBytes+pieceBefore, n)
		out = append(out, segment{at + from, to - from, content[off:min(off+pieceBytes, int64(len(content)))]})
	}
	return out
}

// cutTrees makes the base of an archive and cuts another one at its files, each of which refers to the old file of its
// name.
func cutTrees(from, to []byte) (base []byte, segments []segment, err error) {
	type place struct{ at, n int64 }
	var names []string
	bodies := map[string][]byte{}
	err = walk(from, func(name string, begin, end int64) {
		names, bodies[name] = append(names, name), from[begin:end]
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make delta: old archive: %w", err)
	}
	slices.SortFunc(names, ComparePaths)
	places := map[string]place{}
	for _, name := range names {
		places[name] = place{int64(len(base)), int64(len(bodies[name]))}
		base = append(base, bodies[name]...)
	}
	last := int64(0)
	err = walk(to, func(name string, _, end int64) {
		p := places[name]
		segments = append(segments, cut(to[last:end], p.at, p.n)...)
		last = end
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make delta: new archive: %w", err)
	}
	if last < int64(len(to)) {
		segments = append(segments, cut(to[last:], 0, 0)...)
	}
	return base, segments, nil
}

// ComparePaths orders paths as a walk through directories meets them: names of one directory sorted, each directory in
// its place.
func ComparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

// walk calls each for the regular files of an archive: where their content begins and ends.
func walk(archive []byte, each func(name string, begin, end int64)) error {
	r := bytes.NewReader(archive)
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		begin := int64(len(archive)) - int64(r.Len())
		if h.Typeflag == tar.TypeReg {
			if begin+h.Size > int64(len(archive)) {
				return fmt.Errorf("%s is cut short", h.Name)
			}
			each(path.Clean(h.Name), begin, begin+h.Size)
		}
	}
}

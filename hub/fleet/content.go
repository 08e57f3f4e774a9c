package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
)

// content sends chunks of the files below the directory of releases to the boxes that ask, one chunk to each in turns. It
// never sends what was not asked for, and of what was asked for twice the chunk that waits already counts.
type content struct {
	dir  string
	rate int64 // bytes a second to all boxes together; 0: no limit
	wake chan struct{}

	mu    sync.Mutex // guards what follows
	boxes map[string]*asking
	ring  []string // boxes with something pending, the next first

	files []openFile // used by run alone, the last used first
	stats ContentStats
}

// ContentStats count since the start.
type ContentStats struct {
	Requests uint64 `json:"requests"`
	Chunks   uint64 `json:"chunks"`
	Bytes    uint64 `json:"bytes"`
	Refused  uint64 `json:"refused"`
}

type asking struct {
	path  string
	bits  uint8
	ids   map[int]string // of the newest request for a chunk
	order []int
}

type openFile struct {
	path string
	f    *os.File
	size int64
}

func newContent(dir string, rate int64) *content {
	return &content{dir: dir, rate: rate, wake: make(chan struct{}, 1), boxes: map[string]*asking{}}
}

// ask takes a request; the code is that of a refusal, "" if it is taken.
func (c *content) ask(device string, r *fleetwire.ChunkRequest) (code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Requests++
	defer func() {
		if code != "" {
			c.stats.Refused++
		}
	}()
	if 1<<r.ChunkBits > fleetwire.MaxChunkBytes {
		return fleetwire.RefusedBad
	}
	b := c.boxes[device]
	if b == nil || b.path != r.Path || b.bits != r.ChunkBits {
		size, err := c.size(r.Path)
		if err != nil {
			return fleetwire.RefusedNotFound
		}
		if int64(r.First)<<r.ChunkBits >= size {
			return fleetwire.RefusedBad
		}
		if b == nil && len(c.boxes) >= maxBoxes {
			return fleetwire.RefusedBusy
		}
		if b == nil {
			c.ring = append(c.ring, device)
		}
		b = &asking{path: r.Path, bits: r.ChunkBits, ids: map[int]string{}}
		c.boxes[device] = b
	}
	for i := range fleetwire.MaxChunksAsked {
		if r.Bits>>i&1 == 0 {
			continue
		}
		n := r.First + i
		if _, waits := b.ids[n]; !waits {
			if len(b.order) >= maxPending {
				continue // it is asked for again
			}
			b.order = append(b.order, n)
		}
		b.ids[n] = r.ID
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return ""
}

// drop forgets what a box has asked for: it is gone.
func (c *content) drop(device string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.boxes[device] != nil {
		delete(c.boxes, device)
		c.ring = slices.DeleteFunc(c.ring, func(d string) bool { return d == device })
	}
}

// next takes the next chunk to send.
func (c *content) next() (device, path, id string, chunk int, bits uint8, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.ring) > 0 {
		device = c.ring[0]
		c.ring = c.ring[1:]
		b := c.boxes[device]
		if len(b.order) == 0 {
			delete(c.boxes, device)
			continue
		}
		chunk = b.order[0]
		b.order = b.order[1:]
		id = b.ids[chunk]
		delete(b.ids, chunk)
		if len(b.order) == 0 {
			delete(c.boxes, device)
		} else {
			c.ring = append(c.ring, device)
		}
		return device, b.path, id, chunk, b.bits, true
	}
	return "", "", "", 0, 0, false
}

// run sends until ctx ends. link is the connection of the moment, nil if there is none.
func (c *content) run(ctx context.Context, topics func(device string) fleetwire.Topics, link func() fleetwire.Link) error {
	defer c.close()
	tokens, filled := float64(c.rate), time.Now()
	for {
		device, name, id, chunk, bits, ok := c.next()
		if !ok {
			select {
			case <-c.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		data, err := c.read(name, chunk, bits)
		l := link()
		if l == nil {
			continue // asked for again over the next connection
		}
		t := topics(device)
		sctx, cancel := context.WithTimeout(ctx, sendLimit)
		if err != nil {
			err = l.Enqueue(sctx, t.Refused(id), 1, false, encode(fleetwire.Refusal{Code: fleetwire.RefusedBad}))
		} else {
			err = l.Enqueue(sctx, t.Chunk(id, chunk), 0, false, data)
			c.mu.Lock()
			c.stats.Chunks++
			c.stats.Bytes += uint64(len(data))
			c.mu.Unlock()
		}
		cancel()
		if err != nil || c.rate == 0 {
			continue
		}
		now := time.Now()
		tokens = min(tokens+float64(c.rate)*now.Sub(filled).Seconds(), float64(c.rate)) - float64(len(data))
		filled = now
		if tokens < 0 && !sleep(ctx, time.Duration(-tokens/float64(c.rate)*float64(time.Second))) {
			return nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// open opens a target; nothing outside of the directory is read, whatever links it holds.
func (c *content) open(target string) (*os.File, int64, error) {
	if !release.ValidPath(target) {
		return nil, 0, release.ErrPath
	}
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	f, err := root.Open(path.Join("targets", target))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func (c *content) size(target string) (int64, error) {
	f, size, err := c.open(target)
	if err != nil {
		return 0, err
	}
	return size, f.Close()
}

// read reads a chunk. The few files that boxes fetch at the same time stay open.
func (c *content) read(target string, chunk int, bits uint8) ([]byte, error) {
	i := slices.IndexFunc(c.files, func(o openFile) bool { return o.path == target })
	var o openFile
	if i >= 0 {
		o = c.files[i]
		c.files = slices.Delete(c.files, i, i+1)
	} else {
		f, size, err := c.open(target)
		if err != nil {
			return nil, err
		}
		o = openFile{target, f, size}
	}
	c.files = slices.Insert(c.files, 0, o)
	if len(c.files) > maxOpen {
		c.files[maxOpen].f.Close()
		c.files = c.files[:maxOpen]
	}
	off := int64(chunk) << bits
	if off >= o.size {
		return nil, fmt.Errorf("chunk %d of %s: %w", chunk, target, io.EOF)
	}
	data := make([]byte, min(int64(1)<<bits, o.size-off))
	if _, err := o.f.ReadAt(data, off); err != nil {
		// Replaced or cut short meanwhile: opened anew the next time.
		o.f.Close()
		c.files = c.files[1:]
		return nil, fmt.Errorf("read %s: %w", target, err)
	}
	return data, nil
}

func (c *content) close() {
	for _, o := range c.files {
		o.f.Close()
	}
	c.files = nil
}

func (c *content) counts() ContentStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

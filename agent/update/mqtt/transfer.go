package mqtt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/agent/update/fetch"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/vfs"
)

// transfer is one file on its way.
type transfer struct {
	want
	file     vfs.File
	index    *release.Index // nil: only the whole has a hash
	bits     uint8
	fetch    *fetch.Fetch
	unsynced int64
	tries    int
	counted  fetch.Stats // what Stats has of it
	from     *place      // whom the machine asks now, nil: the broker
	lack     lack
}

func (t *transfer) close() {
	if t.from != nil {
		t.from.Drop()
	}
	if t.file != nil {
		_ = t.file.Close() // what it had not synced is read again
		t.file = nil
	}
}

// fetch asks for what is missing, file after file.
func (c *Client) fetch(ctx context.Context) time.Duration {
	f := &c.flow
	if len(f.wanted) == 0 {
		if f.phase == fetching {
			f.phase = ready
			c.clear(Slow)
			c.set(fleetwire.Staged, "", "")
		}
		return 0
	}
	if f.file == nil {
		if err := c.open(ctx, f.wanted[0], 0); err != nil {
			return c.failing(err)
		}
		c.slowAt, c.slowHad = time.Now(), 0
	}
	t := f.file
	c.tally(t)
	if t.fetch.Done() {
		return c.complete(ctx)
	}
	if err := t.fetch.Err(); err != nil {
		reason := string(trust.NotThere)
		if errors.Is(err, fetch.ErrBadSource) {
			reason = install.BadHash
		}
		if !c.spoilt(t, &install.Error{Reason: reason, Err: fmt.Errorf("fetch %s: %w", t.Path, err)}) {
			return idleEvery
		}
	}
	why := c.o.Spent()
	if c.kept.Paused != "" {
		why = "paused by " + c.kept.Paused
	}
	if why != "" {
		c.set(fleetwire.Waiting, install.Policy, why)
		c.slowAt = time.Now()
		return idleEvery
	}
	from, ok, wait := c.source(t)
	if ok && from != t.from {
		c.turn(t, from)
	}
	if f.phase == fetching {
		c.set(fleetwire.Downloading, "", c.resting())
	} else {
		c.set(fleetwire.Planned, "", "")
	}
	if !ok && t.lack.broker != nil && !c.hopeful(t) {
		return c.end(fleetwire.Failed, t.lack.broker)
	}
	if !ok {
		c.slowAt = time.Now()
		return wait
	}
	t.fetch.Yield(c.o.Busy())
	c.slowness()
	for {
		ask, ok, wait := t.fetch.Next(c.now())
		if !ok {
			c.tally(t)
			return max(min(wait, lookEvery), time.Millisecond)
		}
		if !c.ask(ctx, t, ask) {
			return lookEvery
		}
	}
}

// open begins, or goes on with, a file.
func (c *Client) open(ctx context.Context, w want, tries int) error {
	t := &transfer{want: w, bits: release.DefaultChunkBits, tries: tries}
	if w.index != nil {
		data, err := vfs.ReadFile(c.o.FS, c.stage("targets", w.index.Path), release.MaxIndexBytes)
		if err != nil {
			return err
		}
		if t.index, err = release.ParseIndex(data, w.Size); err != nil {
			return &install.Error{Reason: install.BadFile, Err: fmt.Errorf("%s: %w", w.index.Path, err)}
		}
		if t.bits = t.index.Bits; int64(1)<<t.bits > fleetwire.MaxChunkBytes {
			err := &install.Error{Reason: install.TooLarge, Err: fmt.Errorf("%s has chunks of %d KiB; over MQTT at most %d KiB are carried",
				w.Path, 1<<t.bits>>10, fleetwire.MaxChunkBytes>>10)}
			if len(c.places) == 0 {
				return err
			}
			t.lack.broker = err
		}
	}
	name := c.part(w.Pin)
	have, err := c.resume(ctx, t, name)
	if err != nil {
		return errors.Join(err, closed(t.file))
	}
	rate := c.rate()
	c.seed += 1 << 24 // room for the ids of this file's requests
	if t.index != nil {
		t.fetch = fetch.New(t.index, have, rate, c.seed, c.now())
	} else {
		t.fetch = fetch.NewWhole(w.Size, rate, c.seed, c.now())
	}
	if from, ok, _ := c.source(t); ok && from != nil {
		t.from = from
		t.fetch.Turn(true)
	}
	c.flow.file = t
	return nil
}

func closed(f vfs.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// rate is the smaller of the box's own limit and the server's.
func (c *Client) rate() int64 {
	rate := c.o.MaxRate
	if d := c.kept.Desired; d.MaxBps > 0 && (rate == 0 || d.MaxBps < rate) {
		rate = d.MaxBps
	}
	return rate
}

// resume opens the part and finds out by its content which chunks are there.
func (c *Client) resume(ctx context.Context, t *transfer, name string) ([]bool, error) {
	f, err := c.o.FS.OpenRW(name)
	if err == nil && t.index == nil { // nothing of it can be verified alone
		if err := errors.Join(f.Close(), c.o.FS.Remove(name)); err != nil {
			return nil, err
		}
		err = vfs.ErrNotExist
	}
	if errors.Is(err, vfs.ErrNotExist) {
		if t.file, err = c.o.FS.Create(name); err != nil {
			return nil, err
		}
		if err := c.o.FS.SyncDir(path.Dir(name)); err != nil {
			return nil, err
		}
		if err := t.file.Reserve(t.Size); err != nil && !errors.Is(err, vfs.ErrNotSupported) {
			return nil, err
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t.file = f
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	have := make([]bool, len(t.index.Hashes))
	buf := make([]byte, 1<<t.bits)
	for i := range have {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		off, n := t.index.Chunk(i)
		if off+int64(n) > size {
			break
		}
		// A chunk that cannot be read is fetched again; if the disk fails, its write says so.
		got, _ := f.ReadAt(buf[:n], off)
		have[i] = got == n && t.index.Check(i, buf[:n])
	}
	return have, nil
}

// arrived takes a chunk.
func (c *Client) arrived(topic string, payload []byte) {
	id, i, ok := c.o.Topics.ParseChunk(topic)
	t := c.flow.file
	n, err := strconv.ParseUint(id, 36, 64)
	if !ok || t == nil || err != nil {
		c.count(func(s *Stats) { s.Unasked++ })
		return
	}
	if t.fetch.Arrived(n, i, payload, c.now()) {
		c.keep(t, i, payload)
	}
}

// keep writes a chunk that is right.
func (c *Client) keep(t *transfer, i int, payload []byte) {
	if _, err := t.file.WriteAt(payload, int64(i)<<t.bits); err != nil {
		c.failing(err)
		return
	}
	if t.unsynced += int64(len(payload)); t.unsynced >= syncBytes {
		t.unsynced = 0
		if err := t.file.Sync(); err != nil {
			c.failing(errors.Join(err, c.dropPart(t)))
		}
	}
}

// dropPart forgets a part whose sync failed: what of it is on the disk is not known any more.
func (c *Client) dropPart(t *transfer) error {
	t.close()
	return c.remove(c.part(t.Pin))
}

// refused takes a refusal of chunks.
func (c *Client) refusedChunks(id string, payload []byte) {
	t := c.flow.file
	n, err := strconv.ParseUint(id, 36, 64)
	r, derr := fleetwire.Decode[fleetwire.Refusal](payload)
	if t == nil || err != nil || derr != nil {
		c.count(func(s *Stats) { s.Unasked++ })
		return
	}
	if !t.fetch.Asked(n) {
		c.count(func(s *Stats) { s.Unasked++ })
		return
	}
	if r.Code == fleetwire.RefusedBusy {
		t.fetch.Busy(n, c.now(), min(time.Duration(r.RetryAfter)*time.Second, metaRetryMax))
		return
	}
	c.spoilt(t, &install.Error{Reason: string(trust.NotThere), Err: fmt.Errorf("the server refuses %s: %s", t.Path, r.Code)})
}

// complete verifies a whole file, syncs it and gives it its name.
func (c *Client) complete(ctx context.Context) time.Duration {
	f := &c.flow
	t := f.file
	name := c.part(t.Pin)
	if err := t.file.Sync(); err != nil {
		return c.failing(errors.Join(err, c.dropPart(t)))
	}
	err := t.file.Truncate(t.Size) // a reserve may have made it longer
	if err == nil {
		err = t.file.Sync()
	}
	sum, _, serr := c.sum(ctx, name)
	if err = errors.Join(err, serr); err != nil {
		return c.failing(err)
	}
	t.close()
	if sum != t.SHA256 {
		if err := c.remove(name); err != nil {
			return c.failing(err)
		}
		if t.index == nil && (t.tries+1 < maxWholeTries || t.from != nil) { // one of its chunks was wrong; nobody can say which
			if t.from != nil {
				t.tries-- // it is not asked again
				c.wrong(t.from, "the content of "+t.Path)
			}
			if err := c.open(ctx, t.want, t.tries+1); err != nil {
				return c.failing(err)
			}
			return 0
		}
		return c.end(fleetwire.Failed, &install.Error{Reason: install.BadHash, Err: fmt.Errorf("%s has sha256 %s, signed is %s", t.Path, sum, t.SHA256)})
	}
	target := c.stage("targets", t.Path)
	if err := c.name(name, target); err != nil {
		return c.failing(err)
	}
	if f.phase == fetching {
		for _, comp := range f.offer.Plan.Components {
			if comp.Path == t.Path {
				f.have += t.Size
				break
			}
		}
	}
	f.file, f.wanted = nil, f.wanted[1:]
	return 0
}

// name moves a complete part below stage/targets.
func (c *Client) name(part, target string) error {
	if err := c.o.FS.MkdirAll(path.Dir(target)); err != nil {
		return err
	}
	// The directories above may be new, too.
	for dir := path.Dir(target); len(dir) > len(c.o.Dir); dir = path.Dir(dir) {
		if err := c.o.FS.SyncDir(path.Dir(dir)); err != nil {
			return err
		}
	}
	if err := c.o.FS.Rename(part, target); err != nil {
		return err
	}
	return errors.Join(c.o.FS.SyncDir(path.Dir(target)), c.o.FS.SyncDir(path.Dir(part)))
}

// slowness tells of content that comes too slowly although it is asked for.
func (c *Client) slowness() {
	t := c.flow.file
	since := time.Since(c.slowAt)
	if since < slowAfter {
		return
	}
	if got := t.fetch.Stats.Taken - c.slowHad; got < slowBytes {
		c.trouble(Slow, fmt.Sprintf("%d KiB of %s came within %v", got>>10, t.Path, since.Round(time.Second)))
	} else {
		c.clear(Slow)
	}
	c.slowAt, c.slowHad = time.Now(), t.fetch.Stats.Taken
}

// tally adds what the machine counted to the client's figures.
func (c *Client) tally(t *transfer) {
	now, was := t.fetch.Stats, t.counted
	t.counted = now
	c.count(func(s *Stats) {
		s.Asked += now.Asked - was.Asked
		s.Taken += now.Taken - was.Taken
		s.Lost += now.Lost - was.Lost
		s.Late += now.Late - was.Late
		s.Bad += now.Bad - was.Bad
		s.Unasked += now.Unsolicited - was.Unsolicited
		s.Requests += now.Requests - was.Requests
	})
}

package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, changes []store.Change) ([]store.Result, error) {
	results := make([]store.Result, len(changes))
	err := s.writing(ctx, func(w *writer) error {
		t := &tx{writer: w, now: s.now().UnixMicro(), epochs: map[epochKey]*epochRow{}, latest: map[int64]lastValue{}}
		for i := range changes {
			r, err := t.apply(&changes[i])
			if err != nil {
				c := &changes[i]
				return fmt.Errorf("commit %s/%s %s [%d,%d): %w", c.Device, c.Stream, c.Epoch, c.From, c.To, err)
			}
			results[i] = r
		}
		return t.finish()
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// tx is one transaction of Commit.
type tx struct {
	*writer
	now    int64 // µs
	epochs map[epochKey]*epochRow
	order  []*epochRow         // in the order of their first use: what finish writes
	latest map[int64]lastValue // by series, until flushLatest
	fences map[string]uint64   // lease numbers that this transaction has read
}

func (t *tx) apply(c *store.Change) (store.Result, error) {
	if err := ledger.Check(c); err != nil {
		return store.Result{}, err
	}
	if fenced, err := t.fenced(c.Fence); err != nil || fenced {
		return store.Result{Fenced: fenced}, err
	}
	device, err := t.device(c.Device)
	if err != nil {
		return store.Result{}, err
	}
	e, err := t.epoch(device, c.Stream, c.Epoch)
	if err != nil {
		return store.Result{}, err
	}
	ok, err := t.matches(device, e, c)
	switch {
	case err != nil:
		return store.Result{}, err
	case !ok && e == nil:
		return store.Result{}, nil
	case !ok || ledger.ReadBack(c):
		return t.result(e, ok)
	}
	if device == 0 {
		if device, err = t.addDevice(c.Device); err != nil {
			return store.Result{}, err
		}
	}
	if e == nil {
		if e, err = t.create(device, c); err != nil {
			return store.Result{}, err
		}
	}
	for _, step := range []func(*epochRow, *store.Change) error{
		t.applyClock, t.applyDefinitions, t.insertRows, t.applyGaps, t.applySkips, t.applyProducers,
	} {
		if err := step(e, c); err != nil {
			return store.Result{}, err
		}
	}
	if c.Lower {
		e.pos.First = c.First
	}
	e.pos.Next, e.pos.ChainNext = c.To, c.ToChain
	if c.BeginsWithMark() {
		if err := e.mark(store.Mark{Offset: c.First, Chain: c.FromChain}); err != nil {
			return store.Result{}, err
		}
	}
	if c.To > c.From {
		if err := e.mark(store.Mark{Offset: c.To, Chain: c.ToChain}); err != nil {
			return store.Result{}, err
		}
	}
	e.pos.Quarantined = e.pos.Quarantined || c.Quarantine
	e.dirty = true
	return t.result(e, true)
}

func (t *tx) result(e *epochRow, applied bool) (store.Result, error) {
	boot := ""
	if e.boot != 0 {
		k, err := t.clock(e.device)
		if err != nil {
			return store.Result{}, err
		}
		boot = k.byRef[e.boot].id
	}
	p, err := e.position(t.c, boot)
	return store.Result{Applied: applied, Position: p}, err
}

// device finds the device; 0 if there is none.
func (t *tx) device(name string) (int64, error) {
	if ref := t.cache.devices[name]; ref != 0 {
		return ref, nil
	}
	ref, ok, err := t.c.one("SELECT ref FROM device WHERE name = ?", name)
	if ok {
		t.cache.devices[name] = ref
	}
	return ref, err
}

func (t *tx) addDevice(name string) (int64, error) {
	if err := t.c.exec("INSERT INTO device (name) VALUES (?)", name); err != nil {
		return 0, err
	}
	return t.device(name)
}

// epoch is the position as this transaction sees it, nil if there is none.
func (t *tx) epoch(device int64, stream string, id record.Epoch) (*epochRow, error) {
	if device == 0 {
		return nil, nil
	}
	key := epochKey{device, stream, id}
	if e := t.epochs[key]; e != nil {
		return e, nil
	}
	var e *epochRow
	err := t.c.query("SELECT "+epochColumns+" FROM epoch WHERE device = ? AND stream = ? AND epoch = ?",
		func(v []driver.Value) error { e = scanEpoch(v); return nil }, device, stream, int64(id))
	if err != nil || e == nil {
		return nil, err
	}
	t.epochs[key] = e
	t.order = append(t.order, e)
	return e, nil
}

// create adds the epoch's position. A parent learns its end from its child, whichever of the two came first.
func (t *tx) create(device int64, c *store.Change) (*epochRow, error) {
	e := &epochRow{device: device, pos: store.Position{Stream: c.Stream, Epoch: c.Epoch, Parent: c.Parent,
		ParentEnd: c.ParentEnd, First: c.First, Next: c.First, ChainNext: c.FromChain}}
	end, _, err := t.c.one("SELECT max(parent_end) FROM epoch WHERE device = ? AND stream = ? AND parent = ?",
		device, c.Stream, int64(c.Epoch))
	if err != nil {
		return nil, err
	}
	e.pos.End = record.Offset(end)
	if c.Parent != 0 {
		p, err := t.epoch(device, c.Stream, c.Parent)
		if err != nil {
			return nil, err
		}
		if p != nil && c.ParentEnd > p.pos.End {
			p.pos.End, p.dirty = c.ParentEnd, true
		}
	}
	last, err := t.lastID()
	if err != nil {
		return nil, err
	}
	e.firstID = last + 1
	err = t.c.exec(`INSERT INTO epoch (device, stream, epoch, parent, parent_end, first, next, chain_next, ends,
		quarantined, rows, removed, skipped, gapped, first_id, arrived, last_t, marks)
		VALUES (?,?,?,?,?,?,?,?,?, 0,0,0,0,0, ?,?,0,x'')`, device, c.Stream, int64(c.Epoch), int64(c.Parent),
		int64(c.ParentEnd), int64(c.First), int64(c.First), int64(c.FromChain), end, e.firstID, t.now)
	if err != nil {
		return nil, err
	}
	if e.ref, _, err = t.c.one("SELECT last_insert_rowid()"); err != nil {
		return nil, err
	}
	t.epochs[epochKey{device, c.Stream, c.Epoch}] = e
	t.order = append(t.order, e)
	return e, nil
}

// lastID is the greatest row id ever given.
func (t *tx) lastID() (int64, error) {
	id, _, err := t.c.one("SELECT seq FROM sqlite_sequence WHERE name = 'record'")
	return id, err
}

func (t *tx) table(epoch int64) (*seriesTable, error) {
	if s := t.cache.tables[epoch]; s != nil {
		return s, nil
	}
	s, err := readSeriesTable(t.c, epoch)
	if err == nil {
		t.cache.tables[epoch] = s
	}
	return s, err
}

// applyDefinitions adds what is new. A series id never gets a second meaning: the first stays.
func (t *tx) applyDefinitions(e *epochRow, c *store.Change) error {
	if len(c.Definitions) == 0 {
		return nil
	}
	table, err := t.table(e.ref)
	if err != nil {
		return err
	}
	for _, d := range c.Definitions {
		if table.ref(d.ID) != 0 {
			continue
		}
		ref, err := t.series(e.device, d.Series)
		if err != nil {
			return err
		}
		if err := t.c.exec("INSERT INTO definition VALUES (?,?,?)", e.ref, int64(d.ID), ref); err != nil {
			return err
		}
		table.set(d.ID, ref)
	}
	return nil
}

// series finds or adds the series: the same thing with another unit or type is another one, so that old rows keep
// their meaning.
func (t *tx) series(device int64, s record.Series) (int64, error) {
	const find = "SELECT ref FROM series_item WHERE device = ? AND key = ? AND unit = ? AND type = ?"
	key := s.Key()
	ref, ok, err := t.c.one(find, device, key, s.Unit, int64(s.Type))
	if err != nil || ok {
		return ref, err
	}
	labels := make(map[string]string, len(s.Labels))
	for _, l := range s.Labels {
		labels[l.Key] = l.Value
	}
	text, err := json.Marshal(labels)
	if err != nil {
		return 0, fmt.Errorf("encode labels: %w", err)
	}
	err = t.c.exec("INSERT INTO series_item (device, key, name, labels, unit, type) VALUES (?,?,?,?,?,?)",
		device, key, s.Name, string(text), s.Unit, int64(s.Type))
	if err != nil {
		return 0, err
	}
	ref, _, err = t.c.one(find, device, key, s.Unit, int64(s.Type))
	return ref, err
}

// applyProducers moves producers. Of the incarnations of one producer the newest are kept.
func (t *tx) applyProducers(e *epochRow, c *store.Change) error {
	for i := range c.Producers {
		p := &c.Producers[i]
		last, _ := p.Taken.Last()
		err := t.c.exec(`INSERT INTO producer VALUES (?,?,?,?,?,?)
			ON CONFLICT DO UPDATE SET sequence = excluded.sequence, taken = excluded.taken, moved = excluded.moved`,
			e.device, p.Name, int64(p.Incarnation), int64(last), p.Taken.Append(nil), t.now)
		if err != nil {
			return err
		}
		if producerIn(c.ProducersFrom, p) != nil {
			continue
		}
		err = t.c.exec(`DELETE FROM producer WHERE device = ?1 AND name = ?2 AND incarnation <> ?4 AND incarnation NOT IN
			(SELECT incarnation FROM producer WHERE device = ?1 AND name = ?2 ORDER BY moved DESC LIMIT ?3)`,
			e.device, p.Name, int64(keepIncarnations), int64(p.Incarnation))
		if err != nil {
			return err
		}
	}
	return nil
}

// finish writes the positions and the latest values.
func (t *tx) finish() error {
	for _, e := range t.order {
		if !e.dirty {
			continue
		}
		err := t.c.exec(`UPDATE epoch SET first = ?, next = ?, chain_next = ?, ends = ?, quarantined = ?, rows = ?, skipped = ?,
			gapped = ?, arrived = ?, last_t = ?, marks = ? WHERE ref = ?`, int64(e.pos.First), int64(e.pos.Next), int64(e.pos.ChainNext),
			int64(e.pos.End), e.pos.Quarantined, int64(e.pos.Rows), e.skipped, e.gapped, t.now, e.lastT, notNil(e.marks), e.ref)
		if err != nil {
			return err
		}
	}
	return t.flushLatest()
}

package sqlite

import (
	"database/sql/driver"
	"fmt"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// epochRow is one row of the epoch table as this transaction read or wrote it.
type epochRow struct {
	ref, device int64
	pos         store.Position // without its lists
	marks       []byte         // as stored
	skipped     int64
	gapped      int64
	removed     int64
	boot        int64 // 0: unknown
	firstID     int64
	lastT       int64
	dirty       bool

	gaps  []record.Gap // valid if gapsRead
	skips []store.Skip // valid if skipsRead

	gapsRead, skipsRead bool
}

type epochKey struct {
	device int64
	stream string
	epoch  record.Epoch
}

const epochColumns = `ref, device, stream, epoch, parent, parent_end, first, next, chain_next, ends, quarantined,
	rows, removed, skipped, gapped, boot, first_id, last_t, marks`

func scanEpoch(v []driver.Value) *epochRow {
	return &epochRow{ref: asInt(v[0]), device: asInt(v[1]), pos: store.Position{Stream: asText(v[2]),
		Epoch: record.Epoch(asInt(v[3])), Parent: record.Epoch(asInt(v[4])), ParentEnd: record.Offset(asInt(v[5])),
		First: record.Offset(asInt(v[6])), Next: record.Offset(asInt(v[7])), ChainNext: uint64(asInt(v[8])),
		End: record.Offset(asInt(v[9])), Quarantined: asInt(v[10]) != 0, Rows: uint64(asInt(v[11]))},
		removed: asInt(v[12]), skipped: asInt(v[13]), gapped: asInt(v[14]), boot: asInt(v[15]),
		firstID: asInt(v[16]), lastT: asInt(v[17]), marks: asBytes(v[18])}
}

func readGaps(c *conn, e record.Epoch, ref int64) (out []record.Gap, err error) {
	err = c.query(`SELECT first, next, reason, chain_from, chain_to, t_min, t_max FROM gap WHERE epoch = ? ORDER BY first`,
		func(v []driver.Value) error {
			out = append(out, record.Gap{Epoch: e,
				Range:  record.Range{From: record.Offset(asInt(v[0])), To: record.Offset(asInt(v[1]))},
				Reason: record.Reason(asInt(v[2])), ChainFrom: uint64(asInt(v[3])), ChainTo: uint64(asInt(v[4])),
				TimeMin: asInt(v[5]), TimeMax: asInt(v[6])})
			return nil
		}, ref)
	return out, err
}

func readSkips(c *conn, ref int64) (out []store.Skip, err error) {
	err = c.query(`SELECT first, next, reason FROM skip WHERE epoch = ? ORDER BY first`,
		func(v []driver.Value) error {
			out = append(out, store.Skip{Reason: asText(v[2]),
				Range: record.Range{From: record.Offset(asInt(v[0])), To: record.Offset(asInt(v[1]))}})
			return nil
		}, ref)
	return out, err
}

func readSeriesTable(c *conn, ref int64) (*seriesTable, error) {
	t := &seriesTable{}
	err := c.query(`SELECT id, series FROM definition WHERE epoch = ? ORDER BY id`, func(v []driver.Value) error {
		t.set(record.SeriesID(asInt(v[0])), asInt(v[1]))
		return nil
	}, ref)
	return t, err
}

// set appends or inserts an id that is not there yet.
func (t *seriesTable) set(id record.SeriesID, ref int64) {
	if int(id) >= len(t.refs) {
		t.refs = append(t.refs, make([]int64, int(id)+1-len(t.refs))...)
	}
	t.refs[id] = ref
	if n := len(t.ids); n == 0 || t.ids[n-1] < id {
		t.ids = append(t.ids, id) // beyond the length of every slice handed out
		return
	}
	ids := make([]record.SeriesID, 0, len(t.ids)+1)
	for i, have := range t.ids {
		if have > id {
			ids = append(append(append(ids, t.ids[:i]...), id), t.ids[i:]...)
			break
		}
	}
	t.ids = ids
}

// lists reads gaps and skips, once a transaction.
func (e *epochRow) lists(c *conn) (err error) {
	if e.gapped > 0 && !e.gapsRead {
		if e.gaps, err = readGaps(c, e.pos.Epoch, e.ref); err != nil {
			return err
		}
	}
	if e.skipped > 0 && !e.skipsRead {
		if e.skips, err = readSkips(c, e.ref); err != nil {
			return err
		}
	}
	e.gapsRead, e.skipsRead = true, true
	return nil
}

// mark notes where a change has moved the position to.
func (e *epochRow) mark(m store.Mark) error {
	marks, err := store.ParseMarks(make([]store.Mark, 0, store.MaxMarks+1), e.marks)
	if err != nil {
		return fmt.Errorf("%w: marks of %s %s: %w", ErrDamaged, e.pos.Stream, e.pos.Epoch, err)
	}
	e.marks = store.AppendMarks(e.marks[:0], store.AddMark(marks, m))
	return nil
}

// position is what callers see of the epoch, without its series and marks.
func (e *epochRow) position(c *conn, boot string) (store.Position, error) {
	if err := e.lists(c); err != nil {
		return store.Position{}, err
	}
	p := e.pos
	p.Gaps, p.Skipped, p.Boot = slices.Clone(e.gaps), slices.Clone(e.skips), boot
	return p, nil
}

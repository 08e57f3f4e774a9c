package sqlite

import (
	"database/sql/driver"

	"github.com/edgelog/edgelog/buffer/record"
)

// lastValue is what the table of latest values will hold of one series after this transaction.
type lastValue struct {
	epoch, t, form int64
	offset         record.Offset
	value          driver.Value
}

// remember notes the last row of each series in a run: one upsert a series and transaction, not one a row.
func (n *inserter) remember(rows []record.Record, at record.Offset) error {
	if n.seen == nil {
		n.seen = map[record.SeriesID]bool{}
	}
	clear(n.seen)
	for i := len(rows) - 1; i >= 0; i-- {
		r := &rows[i]
		if r.Kind != record.KindObservation || n.seen[r.Series] {
			continue
		}
		n.seen[r.Series] = true
		series := n.table.ref(r.Series)
		if series == 0 {
			continue // the insert reports it
		}
		form, err := n.form(r)
		if err != nil {
			return err
		}
		n.latest[series] = lastValue{epoch: n.epoch, t: n.time(r), form: form, offset: at + record.Offset(i),
			value: columnValue(r)}
	}
	return nil
}

func (t *tx) flushLatest() error {
	for series, l := range t.latest {
		err := t.c.exec("INSERT OR REPLACE INTO last_value VALUES (?,?,?,?,?,?)",
			series, l.epoch, int64(l.offset), l.t, l.form, l.value)
		if err != nil {
			return err
		}
	}
	clear(t.latest)
	return nil
}

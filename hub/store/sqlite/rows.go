package sqlite

import (
	"fmt"
	"math"
	"strings"

	"database/sql/driver"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// insertSizes are the rows of one insert statement, greatest first.
var insertSizes = [...]int{128, 16, 4, 1}

const insertFixed, insertPerRow = 2, 4 // parameters: epoch, first offset; then t, series, form, value of each row

// insertSQL makes the insert of n rows with consecutive offsets. Epoch and first offset are bound once.
func insertSQL(n int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO record (t, epoch, record_offset, series, form, value) VALUES ")
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		p := insertFixed + insertPerRow*i
		fmt.Fprintf(&b, "(?%d,?1,?2+%d,?%d,?%d,?%d)", p+1, i, p+2, p+3, p+4)
	}
	return b.String()
}

// insertRows writes the change's rows: maximal runs of consecutive offsets.
func (t *tx) insertRows(e *epochRow, c *store.Change) error {
	if len(c.Rows) == 0 {
		return nil
	}
	k, err := t.clock(e.device)
	if err != nil {
		return err
	}
	table, err := t.table(e.ref)
	if err != nil {
		return err
	}
	ins := &inserter{tx: t, epoch: e.ref, base: k.baseOf(e.boot), table: table}
	stored := 0
	err = ledger.Runs(c, func(rows []record.Record, at record.Offset) error {
		stored += len(rows)
		if c.Late {
			if err := t.noteLate(e, record.Range{From: at, To: at + record.Offset(len(rows))}); err != nil {
				return err
			}
		} else {
			e.lastT = ins.time(&rows[len(rows)-1])
			if err := ins.remember(rows, at); err != nil {
				return err
			}
		}
		return ins.run(rows, at)
	})
	e.pos.Rows += uint64(stored)
	e.dirty = true
	return err
}

// inserter writes rows of one epoch.
type inserter struct {
	*tx
	epoch int64
	base  int64 // µs UTC of boot time 0
	table *seriesTable

	lastT   int64
	boxT    driver.Value // lastT, so that a sweep's rows share one
	lastKey uint32
	boxForm driver.Value
	seen    map[record.SeriesID]bool
}

// time is the row's t, µs UTC: boot time is cut to µs before the base is added, so that a correction is exact.
func (n *inserter) time(r *record.Record) int64 {
	us := floorDiv(r.Time, 1000)
	if r.Clock.Asserted() {
		return us
	}
	return n.base + us
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// run writes rows with consecutive offsets from at.
func (n *inserter) run(rows []record.Record, at record.Offset) error {
	for len(rows) > 0 {
		if len(rows[0].Detail()) > 0 {
			if err := n.withDetail(&rows[0], at); err != nil {
				return err
			}
			rows, at = rows[1:], at+1
			continue
		}
		plain := 1
		for plain < len(rows) && (rows[plain].Data == nil || len(rows[plain].Data.Detail) == 0) {
			plain++
		}
		for _, size := range insertSizes {
			for plain >= size {
				if err := n.insert(rows[:size], at); err != nil {
					return err
				}
				rows, at, plain = rows[size:], at+record.Offset(size), plain-size
			}
		}
	}
	return nil
}

func (n *inserter) insert(rows []record.Record, at record.Offset) error {
	s, err := n.cache.inserts(n.c, len(rows))
	if err != nil {
		return err
	}
	s.args[0].Value, s.args[1].Value = n.epoch, int64(at)
	for i := range rows {
		a := s.args[insertFixed+insertPerRow*i:][:insertPerRow]
		if err := n.bind(&rows[i], a); err != nil {
			return err
		}
	}
	return s.run()
}

// bind sets t, series, form and value.
func (n *inserter) bind(r *record.Record, a []driver.NamedValue) error {
	if t := n.time(r); t != n.lastT || n.boxT == nil {
		n.lastT, n.boxT = t, t
	}
	key := formKey(r)
	if key != n.lastKey || n.boxForm == nil {
		ref, err := n.form(r)
		if err != nil {
			return err
		}
		n.lastKey, n.boxForm = key, ref
	}
	series := int64(0)
	if r.Kind == record.KindObservation {
		if series = n.table.ref(r.Series); series == 0 {
			return fmt.Errorf("series %d is not defined", r.Series)
		}
	}
	a[0].Value, a[1].Value, a[2].Value, a[3].Value = n.boxT, series, n.boxForm, columnValue(r)
	return nil
}

func (n *inserter) withDetail(r *record.Record, at record.Offset) error {
	var a [insertPerRow]driver.NamedValue
	if err := n.bind(r, a[:]); err != nil {
		return err
	}
	return n.c.exec("INSERT INTO record (t, epoch, record_offset, series, form, value, detail) VALUES (?,?,?,?,?,?,?)",
		a[0].Value, n.epoch, int64(at), a[1].Value, a[2].Value, a[3].Value, r.Detail())
}

// columnValue is the value as SQLite holds it; of a decimal the integer.
func columnValue(r *record.Record) driver.Value {
	switch r.Type.Base() {
	case record.TypeInt, record.TypeDecimal, record.TypeBool:
		return r.Num
	case record.TypeFloat:
		return math.Float64frombits(uint64(r.Num))
	case record.TypeString, record.TypeJSON:
		return string(r.Value())
	case record.TypeBytes:
		return notNil(r.Value())
	}
	return nil
}

func formKey(r *record.Record) uint32 {
	return uint32(r.Kind) | uint32(r.Quality)<<8 | uint32(r.Type)<<16 | uint32(r.Clock)<<24
}

// form finds or adds the row of the form table.
func (t *tx) form(r *record.Record) (int64, error) {
	key := formKey(r)
	if ref := t.cache.forms[key]; ref != 0 {
		return ref, nil
	}
	const find = "SELECT ref FROM form WHERE kind = ? AND quality = ? AND type = ? AND clock = ?"
	args := []driver.Value{int64(r.Kind), int64(r.Quality), int64(r.Type), int64(r.Clock)}
	ref, ok, err := t.c.one(find, args...)
	if err == nil && !ok {
		var scale driver.Value
		if r.Type.Base() == record.TypeDecimal {
			scale = math.Pow10(r.Type.Decimals())
		}
		err = t.c.exec(`INSERT INTO form (kind, quality, type, clock, kind_name, quality_name, type_name, scale)
			VALUES (?,?,?,?,?,?,?,?)`, append(args, r.Kind.String(), r.Quality.String(), r.Type.String(), scale)...)
		if err == nil {
			ref, _, err = t.c.one(find, args...)
		}
	}
	if err != nil {
		return 0, err
	}
	t.cache.forms[key] = ref
	return ref, nil
}

// inserts is the prepared insert of n rows.
func (c *cache) inserts(on *conn, n int) (*stmt, error) {
	if c.insert == nil {
		c.insert = map[int]string{}
	}
	sql := c.insert[n]
	if sql == "" {
		sql = insertSQL(n)
		c.insert[n] = sql
	}
	return on.prepare(sql)
}

package door

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/lineproto"
)

// FromPoint turns a point of line protocol into readings: series measurement.field with the tags as labels. unit is
// that of the timestamp (1 ns if 0). A point whose names or time have no form here is an error as a whole.
func FromPoint(dst []Reading, p lineproto.Point, unit time.Duration) ([]Reading, error) {
	at := record.Stamp{}
	if p.Timed {
		unit = max(unit, 1)
		if p.Time > math.MaxInt64/int64(unit) || p.Time < math.MinInt64/int64(unit) {
			return dst, fmt.Errorf("%s: timestamp %d does not fit", p.Name, p.Time)
		}
		at = record.Stamp{Time: p.Time * int64(unit), Clock: record.ClockLine}
	}
	var labels []record.Label
	for _, t := range p.Tags {
		labels = append(labels, record.Label{Key: Key(t.Key), Value: t.Value})
	}
	from := len(dst)
	seen := map[string]bool{}
	for _, f := range p.Fields {
		r := Reading{At: at, Series: record.Series{Name: Name(p.Name, f.Key), Labels: labels}}
		switch f.Kind {
		case lineproto.Float:
			v, err := strconv.ParseFloat(f.Text, 64)
			if err != nil {
				return dst[:from], fmt.Errorf("%s: %w", f.Key, err)
			}
			r.Float(v)
		case lineproto.Int, lineproto.Uint:
			v, err := strconv.ParseUint(f.Text, 10, 64)
			if i, err2 := strconv.ParseInt(f.Text, 10, 64); err2 == nil {
				r.Int(i)
			} else if err == nil {
				r.Uint(v)
			} else {
				return dst[:from], fmt.Errorf("%s: %w", f.Key, err)
			}
		case lineproto.Bool:
			r.Bool(f.Text == "true")
		case lineproto.String:
			r.String(f.Text)
		}
		if err := r.Series.Normalize(); err != nil {
			return dst[:from], err
		}
		if seen[r.Series.Name] {
			return dst[:from], fmt.Errorf("%s: two fields become the series %s", p.Name, r.Series.Name)
		}
		seen[r.Series.Name] = true
		dst = append(dst, r)
	}
	return dst, nil
}

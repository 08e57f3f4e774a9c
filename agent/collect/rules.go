package collect

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// Rule says how some series of a source are treated. All rules that match a series are applied in order: each sets what
// it names, a later one wins.
type Rule struct {
	// Name is that of the series as its driver knows it, or its beginning before a final *; "" is any. Labels must all be
	// there, with these values.
	Name   string
	Labels []record.Label

	Rename      string         // another name
	AddLabels   []record.Label // more labels; they replace those of the driver
	Stream      string         // another stream; not of doors
	Range       *Range         // plausible values, behind the calibration
	Calibration *Calibration
	Report      *Report
}

// Report says which readings go to the log: the first, one whose quality is another, one that differs from the latest
// that went there by at least Deadband (any difference where it is 0), and one at least every Heartbeat. The others
// count as unchanged.
type Report struct {
	Deadband  float64       // in the unit of the series
	Heartbeat time.Duration // 0: none
}

// Calibration corrects numbers: gain·x + offset, or a table, between whose points it goes straight and beyond them
// straight on. What was a whole number becomes a decimal with three digits; others keep their type and digits.
type Calibration struct {
	Offset, Gain float64      // Gain 0 is 1
	Table        [][2]float64 // reading, true value; rising readings, at least two; excludes the others
}

const calibratedDecimals = 3 // of what was a whole number

// Check says what is wrong with a rule.
func (r Rule) Check() error {
	switch c := r.Calibration; {
	case strings.Contains(strings.TrimSuffix(r.Name, "*"), "*"):
		return fmt.Errorf("match %q: a * may stand at the end only", r.Name)
	case r.Report != nil && !(r.Report.Deadband >= 0 && r.Report.Deadband < math.MaxFloat64):
		return fmt.Errorf("deadband %v is not a distance", r.Report.Deadband)
	case r.Report != nil && (r.Report.Heartbeat < 0 || r.Report.Heartbeat > MaxHeartbeat):
		return fmt.Errorf("heartbeat %s, want up to %s", r.Report.Heartbeat, MaxHeartbeat)
	case r.Range != nil && !(r.Range.Min <= r.Range.Max):
		return fmt.Errorf("range %g to %g is empty", r.Range.Min, r.Range.Max)
	case r.Stream != "" && !record.ValidStream(r.Stream):
		return fmt.Errorf("stream %q: want 1 to %d of a-z, 0-9 and -", r.Stream, record.MaxStreamName)
	case c != nil:
		if err := c.check(); err != nil {
			return err
		}
	}
	s := record.Series{Name: "x", Labels: slices.Clone(r.AddLabels)}
	if r.Rename != "" {
		s.Name = r.Rename
	}
	return s.Normalize()
}

func (c *Calibration) check() error {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	if !finite(c.Offset) || !finite(c.Gain) {
		return errors.New("calibration with a number that is none")
	}
	if len(c.Table) == 0 {
		return nil
	}
	if c.Offset != 0 || c.Gain != 0 {
		return errors.New("calibration: give offset and gain, or a table")
	}
	if len(c.Table) < 2 || len(c.Table) > MaxTable {
		return fmt.Errorf("calibration table of %d points, want 2 to %d", len(c.Table), MaxTable)
	}
	for i, p := range c.Table {
		if !finite(p[0]) || !finite(p[1]) || i > 0 && !(p[0] > c.Table[i-1][0]) {
			return fmt.Errorf("calibration table: point %d (%g, %g): readings must rise", i+1, p[0], p[1])
		}
	}
	return nil
}

// Apply is the true value of a reading.
func (c *Calibration) Apply(x float64) float64 {
	if len(c.Table) == 0 {
		if c.Gain == 0 {
			return x + c.Offset
		}
		return c.Gain*x + c.Offset
	}
	i := 1
	for i < len(c.Table)-1 && x > c.Table[i][0] {
		i++
	}
	a, b := c.Table[i-1], c.Table[i]
	return a[1] + (x-a[0])*(b[1]-a[1])/(b[0]-a[0])
}

func (r *Rule) matches(def *record.Series) bool {
	if begin, any := strings.CutSuffix(r.Name, "*"); any && !strings.HasPrefix(def.Name, begin) || !any && r.Name != "" && r.Name != def.Name {
		return false
	}
	for _, want := range r.Labels {
		if !slices.Contains(def.Labels, want) {
			return false
		}
	}
	return true
}

// treatment is what the rules make of one series.
type treatment struct {
	dest   int         // which of the worker's outlets
	raw    record.Type // as the driver gives it
	cal    *Calibration
	report *Report

	sent     bool // something went to the log since the start, or since the log refused something
	sentAt   int64
	sentQ    record.Quality
	sentType record.Type
	sentNum  int64
	sentHash uint64
}

// treated makes the series of a definition that came from the driver: labels of the source, rules, range.
func (w *worker) treated(def record.Series, lo, hi float64) *series {
	def.Labels = mergeLabels(def.Labels, w.source.Labels)
	s := &series{treatment: treatment{raw: def.Type}}
	if r, ok := w.source.Ranges[def.Name]; ok {
		lo, hi = r.Min, r.Max
	}
	out := def
	for i := range w.source.Rules {
		r := &w.source.Rules[i]
		if !r.matches(&def) {
			continue
		}
		if r.Rename != "" {
			out.Name = r.Rename
		}
		if len(r.AddLabels) > 0 {
			out.Labels = mergeLabels(r.AddLabels, out.Labels)
		}
		if r.Stream != "" {
			s.dest = w.outlet(r.Stream)
		}
		if r.Range != nil {
			lo, hi = r.Range.Min, r.Range.Max
		}
		if r.Calibration != nil {
			s.cal = r.Calibration
		}
		if r.Report != nil {
			s.report = r.Report
		}
	}
	if s.cal != nil {
		switch def.Type.Base() {
		case record.TypeInt:
			out.Type = record.Decimal(calibratedDecimals)
		case record.TypeDecimal, record.TypeFloat:
		default:
			s.cal = nil // nothing to calculate with
		}
	}
	s.def, s.lo, s.hi, s.ranged = out, lo, hi, lo != 0 || hi != 0
	s.invalid = s.def.Normalize()
	s.key = s.def.Key()
	return s
}

// outlet is the index of a stream among those that the source writes to; 0, its own, for one that is not among them.
func (w *worker) outlet(stream string) int {
	return max(0, slices.IndexFunc(w.outlets, func(o outlet) bool { return o.stream == stream }))
}

// calibrate corrects the value of a record that is good or uncertain. A result that does not fit is an overflow.
func (s *series) calibrate(r *record.Record) record.Quality {
	v, ok := r.Float64()
	if s.cal == nil || !ok {
		return record.QualityGood
	}
	v = s.cal.Apply(v)
	if s.def.Type == record.TypeFloat {
		r.Type, r.Num = s.def.Type, int64(math.Float64bits(v))
		return record.QualityGood
	}
	v = math.Round(v * math.Pow10(s.def.Type.Decimals()))
	if math.Abs(v) > 1<<53 {
		return record.QualityOverflow
	}
	r.Type, r.Num = s.def.Type, int64(v)
	return record.QualityGood
}

// due reports whether a record is to be reported.
func (s *series) due(r *record.Record, at int64) bool {
	switch {
	case s.report == nil || !s.sent || r.Quality != s.sentQ || r.Type != s.sentType:
		return true
	case s.report.Heartbeat > 0 && at-s.sentAt >= int64(s.report.Heartbeat) || at < s.sentAt:
		return true
	case r.Type == record.TypeNone:
		return false
	case r.Type.InData():
		return hash(r.Value()) != s.sentHash
	case s.report.Deadband == 0 || r.Type == record.TypeBool:
		return r.Num != s.sentNum
	}
	was := record.Record{Type: s.sentType, Num: s.sentNum}
	a, okA := r.Float64()
	b, okB := was.Float64()
	// A decimal's own digits are exact; the distance of two floats of it is not, by less than a part in 10^12.
	return !okA || !okB || math.Abs(a-b) >= s.report.Deadband*(1-1e-12)
}

// reported notes that a record goes to the log.
func (s *series) reported(r *record.Record, at int64) {
	if s.report == nil {
		return
	}
	s.sent, s.sentAt, s.sentQ, s.sentType, s.sentNum = true, at, r.Quality, r.Type, r.Num
	if r.Type.InData() {
		s.sentHash = hash(r.Value())
	}
}

func hash(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = bytes.NewReader(b).WriteTo(h) // a hash takes everything
	return h.Sum64()
}

func sameRules(a, b []Rule) bool { return slices.EqualFunc(a, b, Rule.equal) }

func (r Rule) equal(o Rule) bool {
	return r.Name == o.Name && slices.Equal(r.Labels, o.Labels) && r.Rename == o.Rename && slices.Equal(r.AddLabels, o.AddLabels) &&
		r.Stream == o.Stream && same(r.Range, o.Range) && same(r.Report, o.Report) && r.Calibration.equal(o.Calibration)
}

func (c *Calibration) equal(o *Calibration) bool {
	return (c == nil) == (o == nil) && (c == nil || c.Offset == o.Offset && c.Gain == o.Gain && slices.Equal(c.Table, o.Table))
}

// same reports whether two optional values are equal.
func same[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

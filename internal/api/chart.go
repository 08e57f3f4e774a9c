package api

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Bounds of a chart.
const (
	MaxChartSeries     = 32
	MaxChartPoints     = 500
	DefaultChartPoints = 120
	MaxChartGaps       = 64
	MaxChartRecords    = 5_000_000 // read for one chart; of a longer span a part of each point's records is read
	MaxChartSpan       = 10 * 366 * 24 * time.Hour
)

// ChartQuery selects what a chart shows.
type ChartQuery struct {
	Stream       string   // "" means all
	Series       []string // keys, 1 to MaxChartSeries
	Since, Until time.Time
	Points       int // at most so many for each series; 0 means DefaultChartPoints
}

// Chart is how series went over a span: for each a point for every part of it that has readings. Parts without one are
// left out.
type Chart struct {
	SchemaVersion int           `json:"schema_version"`
	Since         time.Time     `json:"since"` // begin of the first part
	Until         time.Time     `json:"until"` // end of the last one
	PointSeconds  float64       `json:"point_seconds"`
	Records       uint64        `json:"records"`             // that were read
	Held          uint64        `json:"held"`                // of all series, that the log holds of this span and a day after it
	Sampled       bool          `json:"sampled,omitempty"`   // of each part only the first records were read: there are too many
	Truncated     bool          `json:"truncated,omitempty"` // the time for one chart was over; a part was not read
	Series        []ChartSeries `json:"series"`              // as asked for
	Gaps          []ChartGap    `json:"gaps,omitempty"`
}

// ChartSeries is one line of a chart.
type ChartSeries struct {
	Series string       `json:"series"`
	Unit   string       `json:"unit,omitempty"`
	Points []ChartPoint `json:"points"` // in the order of time
}

// ChartPoint is what was read in one part. Minimum, mean and maximum are of the readings that are not bad and have a
// number; they are not there if there is none.
type ChartPoint struct {
	Time      time.Time `json:"time"` // begin of the part
	Readings  uint64    `json:"readings"`
	Bad       uint64    `json:"bad,omitempty"`
	Uncertain uint64    `json:"uncertain,omitempty"`
	Min       *float64  `json:"min,omitempty"`
	Mean      *float64  `json:"mean,omitempty"`
	Max       *float64  `json:"max,omitempty"`
}

// ChartGap is a gap in the log that touches the span.
type ChartGap struct {
	Stream string    `json:"stream"`
	From   time.Time `json:"time_from"`
	Until  time.Time `json:"time_until"`
	Count  uint64    `json:"count"`
	Reason string    `json:"reason"`
}

// widths are the lengths of a part: those that people count in, so that the parts of two charts fall together.
var widths = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// Parts divides the span: from, in UTC ns, where the first begins, how long each is, and how many there are.
func (q *ChartQuery) Parts() (from, width int64, n int) {
	points := q.Points
	if points <= 0 {
		points = DefaultChartPoints
	}
	since, until := q.Since.UnixNano(), q.Until.UnixNano()
	fit := func(w int64) bool {
		from, width = since-((since%w)+w)%w, w
		n = int((until - from + w - 1) / w)
		return n <= points
	}
	for _, w := range widths {
		if fit(int64(w)) {
			return from, width, n
		}
	}
	day := int64(24 * time.Hour)
	for days := int64(2); !fit(days * day); days++ {
	}
	return from, width, n
}

// Chart asks for GET /v1/chart.
func (c *Client) Chart(ctx context.Context, q ChartQuery) (*Chart, error) {
	v := url.Values{"series": q.Series, "since": {q.Since.UTC().Format(time.RFC3339Nano)}}
	if !q.Until.IsZero() {
		v.Set("until", q.Until.UTC().Format(time.RFC3339Nano))
	}
	if q.Stream != "" {
		v.Set("stream", q.Stream)
	}
	if q.Points > 0 {
		v.Set("points", strconv.Itoa(q.Points))
	}
	return get[Chart](ctx, c, ViewSocket, "/v1/chart?"+v.Encode(), MaxReloadTime)
}

package cmdline

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Time reads a time as people type it: RFC 3339, "2026-11-23 02:14", "2026-11-23", "02:14" (today), "now",
// "today", "yesterday", or a length of time ago: "90m", "1h30m", "7d". Days and hours are those of now's zone.
func Time(s string, now time.Time) (time.Time, error) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch s {
	case "now":
		return now, nil
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	if d, err := strictyaml.ParseDuration(strings.TrimSuffix(strings.TrimSuffix(s, "ago"), " ")); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time; write 2026-11-23T02:14:00Z, \"2026-11-23 02:14\", 02:14, yesterday, or 90m (ago)", s)
}

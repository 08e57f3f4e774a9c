package term

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Comma is n with thousands separators: 104,882,113.
func Comma(n int64) string {
	if n < 0 {
		return "-" + CommaU(-uint64(n))
	}
	return CommaU(uint64(n))
}

// CommaU is Comma for unsigned numbers.
func CommaU(n uint64) string {
	s := strconv.FormatUint(n, 10)
	out := make([]byte, 0, len(s)+len(s)/3)
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, s[i])
	}
	return string(out)
}

// Decimal is a number in text, exact, with thousands separators from five digits on: "81,234,567,890", "21.0625". Other text
// stays as it is.
func Decimal(s string) string {
	digits := strings.TrimPrefix(s, "-")
	whole, part, _ := strings.Cut(digits, ".")
	if len(whole) < 5 || strings.Trim(whole+part, "0123456789") != "" {
		return s
	}
	n, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || whole[0] == '0' {
		return s
	}
	return strings.TrimSuffix(s, digits) + CommaU(n) + digits[len(whole):]
}

// Count is a number of things: "1 source", "24 sources", "1,200 records".
func Count[T int | int64 | uint64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return CommaU(uint64(n)) + " " + thing + "s"
}

var byteUnits = []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Bytes is a size in binary units with no more precision than is meant: 512 B, 1.2 GiB, 41 MiB.
func Bytes(n int64) string {
	if n < 0 {
		return "-" + Bytes(-(n + 1))
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.5 && i < len(byteUnits)-1 {
		f, i = f/1024, i+1
	}
	if f < 9.95 {
		return strconv.FormatFloat(f, 'f', 1, 64) + " " + byteUnits[i]
	}
	return strconv.FormatFloat(f, 'f', 0, 64) + " " + byteUnits[i]
}

// Duration is a length of time in its two largest units: 12d 4h, 3h 06m, 25m, 40s, 120 ms.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-max(d, -1<<62))
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	days, hours := d/(24*time.Hour), d%(24*time.Hour)/time.Hour
	if days >= 30 || hours == 0 {
		return fmt.Sprintf("%dd", days)
	}
	return fmt.Sprintf("%dd %dh", days, hours)
}

// Ago is the time from then to now: "25m ago", "just now", "never" for a zero then.
func Ago(then, now time.Time) string {
	switch d := now.Sub(then); {
	case then.IsZero():
		return "never"
	case d < -time.Second:
		return "in " + Duration(-d)
	case d < time.Second:
		return "just now"
	default:
		return Duration(d) + " ago"
	}
}

// Clock is a time as a person at the box wants it: 02:14 today, else 2026-11-21 02:14, in the zone of now.
func Clock(t, now time.Time) string {
	t = t.In(now.Location())
	if y, m, d := t.Date(); y == now.Year() && m == now.Month() && d == now.Day() {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// Rate is a count per second: "118", "0.2", "0.02", "250,000".
func Rate(perSecond float64) string {
	switch {
	case perSecond <= 0:
		return "0"
	case perSecond < 0.001:
		return "<0.001"
	case perSecond < 0.095:
		return strconv.FormatFloat(perSecond, 'g', 1, 64)
	case perSecond < 9.95:
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	default:
		return Comma(int64(perSecond + 0.5))
	}
}

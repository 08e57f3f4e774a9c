package term_test

import (
	"bytes"
	"math"
	"os"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/term"
)

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got %q\nwant %q", what, got, want)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 104882113: "104,882,113",
		math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		check(t, "Comma", term.Comma(n), want)
	}
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1288490189: "1.2 GiB", 41 << 20: "41 MiB", 1<<20 - 1: "1.0 MiB",
		math.MaxInt64: "8.0 EiB",
	} {
		check(t, "Bytes", term.Bytes(n), want)
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 120 * time.Millisecond: "120 ms", 40 * time.Second: "40s", 25 * time.Minute: "25m",
		3*time.Hour + 6*time.Minute: "3h 06m", 292 * time.Hour: "12d 4h", 151 * 24 * time.Hour: "151d",
		-90 * time.Second: "-1m",
	} {
		check(t, "Duration", term.Duration(d), want)
	}
	now := time.Date(2026, 11, 23, 5, 20, 0, 0, time.UTC)
	check(t, "Ago", term.Ago(now.Add(-25*time.Minute), now), "25m ago")
	check(t, "Ago", term.Ago(now, now), "just now")
	check(t, "Ago", term.Ago(time.Time{}, now), "never")
	check(t, "Clock", term.Clock(now.Add(-3*time.Hour), now), "02:20")
	check(t, "Clock", term.Clock(now.Add(-30*time.Hour), now), "2026-11-21 23:20")
	check(t, "Rate", term.Rate(117.6), "118")
	check(t, "Rate", term.Rate(0.2), "0.2")
	check(t, "Rate", term.Rate(1.0/60), "0.02")
	check(t, "Rate", term.Rate(1.0/86400), "<0.001")
	for s, want := range map[string]string{"81234567890": "81,234,567,890", "-12345.50": "-12,345.50", "1234": "1234", "21.0625": "21.0625",
		"99999999999999999999": "99999999999999999999", "00123": "00123", "ace6a2c1": "ace6a2c1", "": "", "12345e6": "12345e6"} {
		check(t, "Decimal", term.Decimal(s), want)
	}
	check(t, "Count", term.Count(1, "source")+term.Count(1200, "record"), "1 source1,200 records")
}

func TestStyle(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	s := term.Detect(env(map[string]string{"LANG": "de_DE.UTF-8"}), true, 100)
	if !s.Colour || !s.UTF8 || s.Width() != 80 {
		t.Errorf("got %+v", s)
	}
	s = term.Detect(env(map[string]string{"LC_ALL": "C", "LANG": "de_DE.UTF-8", "NO_COLOR": "1"}), true, 60)
	if s.Colour || s.UTF8 || s.Width() != 60 {
		t.Errorf("got %+v", s)
	}
	if term.Detect(env(nil), false, 0).Colour {
		t.Error("colour without a terminal")
	}
	check(t, "Paint", term.Style{}.Paint(term.Red, "x"), "x")
	check(t, "Paint", term.Style{Colour: true}.Paint(term.Red, "x"), "\x1b[31mx\x1b[0m")
	check(t, "ascii", term.Style{}.Text("85 °C ± 4 µs… Kühlraum 冷"), "85 deg C +/- 4 us... Kuehlraum ?")
	check(t, "utf8", term.Style{UTF8: true}.Text("85 °C \x1b[2Jevil\u202e"), "85 °C [2Jevil")
	if n := term.Columns("\x1b[31m冷a\x1b[0m"); n != 3 {
		t.Errorf("Columns = %d", n)
	}
	check(t, "Clip", term.Style{UTF8: true}.Clip("cold room", 5), "cold…")
	check(t, "Clip", term.Style{}.Clip("cold", 4), "cold")
	check(t, "Wrap", term.Wrap("one two three\nfour", 10, "  "), "one two\n  three\n  four")
}

func TestTable(t *testing.T) {
	tab := term.Table{Head: []string{"STREAM", "END"}, Right: []bool{false, true}}
	tab.Row("telemetry", "1,000")
	tab.Row(term.Style{Colour: true}.Paint(term.Red, "冷"), "7")
	check(t, "Table", tab.String(), "STREAM        END\ntelemetry   1,000\n\x1b[31m冷\x1b[0m              7\n")
}

// A table that is too wide for the terminal says the same in more lines.
func TestTableFits(t *testing.T) {
	tab := term.Table{Head: []string{"STREAM", "END", "DELIVERED", ""}, Right: []bool{false, true}}
	tab.Row("telemetry", "104,882,113", "7", "yes")
	tab.Row("  aaaa", "1", "", "")
	check(t, "wide", tab.Fit(80), tab.String())
	check(t, "narrow", tab.Fit(30), "telemetry   END 104,882,113\n  DELIVERED 7   yes\naaaa   END 1\n")
}

func TestSparkline(t *testing.T) {
	u := term.Style{UTF8: true}
	check(t, "rise", u.Sparkline([]float64{0, 1, 2, 3, 4, 5, 6}, 10), "▁▂▃▄▅▆▇")
	check(t, "ascii", term.Style{}.Sparkline([]float64{0, 6, math.NaN(), 6}, 10), "_# #")
	check(t, "flat", u.Sparkline([]float64{5, 5}, 10), "▄▄")
	check(t, "width", u.Sparkline([]float64{0, 1, 2}, 2), "▁▇")
	check(t, "huge", u.Sparkline([]float64{-math.MaxFloat64, math.MaxFloat64}, 2), "▁▇")
	check(t, "none", u.Sparkline(nil, 3), "")
}

func TestProgress(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b bytes.Buffer
	p := term.Progress{Out: &b, Label: "verify", Total: 1000, Start: start}
	p.Update(start.Add(5*time.Second), 100)
	p.Update(start.Add(10*time.Second), 250)
	p.Update(start.Add(11*time.Second), 260)
	p.Update(start.Add(40*time.Second), 1000)
	check(t, "lines", b.String(), "verify   25%  250 of 1,000  25/s  30s left\nverify  100%  1,000 of 1,000  25/s\n")
	b.Reset()
	q := term.Progress{Out: &b, Style: term.Style{TTY: true}, Label: "read", Total: 4, Start: start}
	q.Update(start.Add(time.Second), 1)
	q.Update(start.Add(2*time.Second), 4)
	q.Clear()
	check(t, "bar", b.String(), "read  [#####...............]   25%  1 of 4  1/s  3s left\r\x1b[Kread  [####################]  100%  4 of 4  2/s\r\x1b[K")
}

func TestTerminal(t *testing.T) {
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if tty, _ := term.Terminal(f); tty {
		t.Error("/dev/null is no terminal")
	}
}

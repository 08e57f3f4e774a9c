package cli_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
)

// Long names, values and codes are cut or moved, never over the edge.
func TestSensorsFitTheTerminal(t *testing.T) {
	b := healthyBox()
	src := api.Source{Name: "a-source-with-a-name-of-32-chars", Driver: "synthetic", State: "ok", Stream: "telemetry", Interval: 0.25, Taken: 1 << 40}
	for i := range 12 {
		src.Sensors = append(src.Sensors, api.Sensor{Series: fmt.Sprintf("network.received{interface=\"enp%ds0f1np1\"}", i), ID: strings.Repeat("冷", i+1) + "-device-id-0123456789",
			Label: strings.Repeat("long name ", i), Unit: "By/s", Value: strings.Repeat("9", 3*i), Quality: "bad:no-conversion",
			Time: ago(time.Duration(i) * time.Hour), Recent: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}})
	}
	b.sensors.Sources = []api.Source{src}
	dir := serve(t, b)
	for _, columns := range []int{80, 72} {
		_, out, _ := run{args: []string{"sensors", "--run-dir", dir}, style: term.Style{UTF8: true, Columns: columns}}.do(t)
		for line := range strings.Lines(out) {
			if n := term.Columns(strings.TrimSuffix(line, "\n")); n > columns {
				t.Errorf("%d columns of %d: %s", n, columns, line)
			}
		}
	}
}

// Pages of help are written for 80 columns and fit 40, but for single words that are longer: paths.
func TestHelpFitsTheTerminal(t *testing.T) {
	pages := [][]string{{"help"}, {"explain"}, {"explain", "B011"}, {"modbus", "profiles"}}
	_, out, _ := run{args: []string{"__complete", ""}}.do(t)
	for name := range strings.FieldsSeq(out) {
		pages = append(pages, []string{"help", name})
	}
	for _, args := range pages {
		for _, columns := range []int{80, 60, 40} {
			_, out, errs := run{args: args, style: term.Style{Columns: columns}}.do(t)
			if out == "" {
				t.Errorf("%s: nothing but %s", args, errs)
			}
			for line := range strings.Lines(out) {
				line = strings.TrimSuffix(line, "\n")
				if n := term.Columns(line); n > columns && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%s: %d columns of %d: %s", args, n, columns, line)
				}
				if strings.IndexFunc(line, func(r rune) bool { return r > '~' }) >= 0 {
					t.Errorf("%s: not ASCII: %s", args, line)
				}
			}
			if strings.Contains(out, "\n\n\n") {
				t.Errorf("%s: two empty lines", args)
			}
		}
	}
	if len(pages) < 20 {
		t.Errorf("%d pages", len(pages))
	}
}

// On a phone a record takes two lines: when and how much, and of what.
func TestRecordsOnAPhone(t *testing.T) {
	dir := serve(t, degradedBox())
	_, out, _ := run{args: []string{"tail", "--utc", "--run-dir", dir}, style: term.Style{TTY: true, UTF8: true, Columns: 40}}.do(t)
	compare(t, "testdata/tail-narrow.txt", out)
}

package npu

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/internal/api"
)

// A window has good values only, each once, and those of the series that was meant.
func TestWindowTakes(t *testing.T) {
	w := newWindow(Window{Series: []string{"cpu", "place=\"a\""}, Length: 3})
	take := func(epoch string, offset uint64, series, value, quality string) {
		w.take(&api.Record{Stream: "telemetry", Epoch: epoch, Offset: offset, Series: series, Value: json.RawMessage(value), Quality: quality})
	}
	want := func(when string, i int, v ...float64) {
		t.Helper()
		if !slices.Equal(w.values[i], v) {
			t.Errorf("%s: %v, want %v", when, w.values[i], v)
		}
	}
	const a = `t{place="a"}`
	take("1", 1, a, "20", "good")
	take("1", 2, a, "null", "bad:crc")
	take("1", 3, a, "0", "bad:range")
	take("1", 4, a, `"+Inf"`, "good")
	take("1", 5, a, "21", "uncertain:stale")
	want("bad readings are passed over", 1, 20, 21)
	take("1", 5, a, "21", "uncertain:stale") // what a new connection begins with
	take("2", 1, a, "22", "good")
	take("1", 5, a, "21", "uncertain:stale")
	take("2", 1, a, "22", "good")
	want("nothing is taken twice", 1, 20, 21, 22)
	take("2", 2, "cpu.temperature", "50", "good")
	take("2", 3, "cpu", "7", "good")
	take("2", 4, "cpu.temperature", "51", "good")
	take("2", 5, "cpu", "8", "good")
	want("a whole key is meant, where there is one", 0, 7, 8)
}

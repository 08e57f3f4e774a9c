package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/internal/api"
)

// A very long value takes no place from the others.
func TestLatestValuesBesideALongOne(t *testing.T) {
	src := api.Source{Sensors: []api.Sensor{{Series: "report", Value: `{"x":"` + strings.Repeat("x", 100<<10) + `"}`, Quality: "good"}}}
	for i := range 20 {
		src.Sensors = append(src.Sensors, api.Sensor{Series: fmt.Sprint("t", i), Value: fmt.Sprint(i), Quality: "good"})
	}
	b, err := valuesJSON(&api.Status{}, &api.Sensors{Sources: []api.Source{src}}, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	var got values
	if err := json.Unmarshal(b, &got); err != nil || len(b) > 64<<10 {
		t.Fatal(len(b), err)
	}
	if len(got.Values) != 21 || !got.Truncated || string(got.Values[0].Value) != "null" || string(got.Values[20].Value) != "19" {
		t.Errorf("%d values: %.300s", len(got.Values), b)
	}
}

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/config"
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

// A reading keeps its type on its way into the message: a text of digits is no number.
func TestLatestValuesKeepTheirType(t *testing.T) {
	dir, err := os.MkdirTemp("", "values") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := dir + "/agent.yaml"
	text := "device: box\ndata_dir: data\nrun_dir: run\nsources:\n  - name: p\n    driver: exec\n    exec:\n" +
		`      command: [sh, -c, 'echo "t text=\"123\",word=\"true\",int=7i,float=1.5,flag=true,name=\"a b\""; exec sleep 600']` + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, config.OS{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), Options{Config: c, File: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	want := map[string]string{"t.text": `"123"`, "t.word": `"true"`, "t.int": "7", "t.float": "1.5", "t.flag": "true", "t.name": `"a b"`}
	got := map[string]string{}
	for end := time.Now().Add(2 * time.Minute); len(got) < len(want); time.Sleep(10 * time.Millisecond) {
		b, err := valuesJSON(a.view.Status(), a.view.Sensors(), 64<<10)
		if err != nil || time.Now().After(end) {
			t.Fatalf("%v\n%s", err, b)
		}
		var v values
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		for _, x := range v.Values {
			if string(x.Value) != "null" {
				got[x.Series] = string(x.Value)
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

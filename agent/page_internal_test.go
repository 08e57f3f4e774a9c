package agent

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
)

// pageHost has a token in every file.
type pageHost struct{ config.OS }

func (pageHost) ReadFile(string) ([]byte, error)  { return []byte("0123456789abcdef\n"), nil }
func (pageHost) Stat(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }

// TestGuideToThePage: the configuration that the guide prints is accepted, and every path of its table is served.
func TestGuideToThePage(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Look at a box with a phone\n")
	if !ok {
		t.Fatal("docs/operations.md has no section about the phone")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	_, block, _ := strings.Cut(section, "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	c, err := config.Parse("/etc/edge-agent/agent.yaml", []byte("device: x\n"+block), pageHost{})
	if err != nil {
		t.Fatal(err)
	}
	if h := c.Control.HTTP; h == nil || h.Address != ":8480" || h.Token != "0123456789abcdef" || c.Control.ViewGroup != "edge-view" {
		t.Errorf("got %+v", c.Control)
	}
	view := control.NewView(control.Options{View: still{}, Records: &logquery.Reader{Sources: func() []logquery.Source { return nil }}, Nodes: noNodes{}}, control.Bounds{})
	paths := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for i, part := range strings.Split(cells[1], "`") {
			if i%2 == 0 {
				continue
			}
			paths++
			w := httptest.NewRecorder()
			view.ServeHTTP(w, httptest.NewRequest(http.MethodGet, strings.NewReplacer("since=…", "since=2026-11-29T00:00:00Z", "follow=1", "n=1").Replace(part), nil))
			if w.Code != http.StatusOK && !strings.Contains(w.Body.String(), "log is empty") {
				t.Errorf("%s: %d %s", part, w.Code, w.Body)
			}
		}
	}
	if paths < 9 {
		t.Errorf("the table has %d paths", paths)
	}
}

type nodesOnly interface{ control.Nodes }

// noNodes only lists; nothing else of it is called by one who reads.
type noNodes struct{ nodesOnly }

func (noNodes) Nodes() *api.Nodes { return &api.Nodes{} }

// still is a viewer that counts how often it was asked.
type still struct{ asked *int }

func (s still) Status() *api.Status {
	if s.asked != nil {
		*s.asked++
	}
	return &api.Status{Device: "box-17"}
}
func (s still) Sensors() *api.Sensors {
	if s.asked != nil {
		*s.asked++
	}
	return &api.Sensors{Sources: []api.Source{{Name: "rooms", Sensors: []api.Sensor{{Series: "a", Quality: "good"}, {Series: "b", Quality: "bad"}}}}}
}
func (still) Account() *api.Account { return &api.Account{} }
func (still) Faults() []api.Fault   { return nil }

// TestManyWhoLook: those who ask at the same time get one answer, and what one of them leaves out the others still have.
func TestManyWhoLook(t *testing.T) {
	asked := 0
	l := &lately{Viewer: still{asked: &asked}}
	for range 100 {
		l.Status()
		s := l.Sensors()
		if len(s.Sources) != 1 || len(s.Sources[0].Sensors) != 2 {
			t.Fatalf("got %+v", s.Sources)
		}
		s.Keep("", 1)
		if x := s.Sources[0]; len(x.Sensors) != 1 || x.Sensors[0].Series != "b" || x.LeftOut != 1 {
			t.Fatalf("got %+v", x)
		}
	}
	before := asked
	l.at[0], l.at[1] = time.Now().Add(-time.Minute), time.Now().Add(-time.Minute)
	l.Status()
	l.Sensors()
	if before > 50 || asked != before+2 {
		t.Errorf("the viewer was asked %d times, then %d", before, asked)
	}
}

// endless is a stream whose batches never end.
type endless struct{ logquery.Log }

func (endless) Name() string { return "telemetry" }
func (endless) Time(_ record.Epoch, s record.Stamp) (record.Time, bool) {
	return record.Time{UTC: s.Time}, true
}
func (endless) Series(record.Epoch, record.SeriesID) (record.Series, bool) {
	return record.Series{Name: "temperature"}, true
}
func (endless) Close() error { return nil }
func (endless) Next() (buffer.Item, error) {
	r := record.Record{Kind: record.KindObservation, Time: 1, Clock: record.ClockApp, Series: 1, Type: record.TypeInt}
	b := r.AppendCanonical(nil)
	return buffer.Item{Batch: record.Batch{Epoch: 1, Count: 1, RawLen: uint32(len(b)), Body: b}}, nil
}

// TestQueryThatFindsNothingEndsInTime: what the log is read for in vain is bounded like what is found.
func TestQueryThatFindsNothingEndsInTime(t *testing.T) {
	records := &logquery.Reader{Sources: func() []logquery.Source {
		return []logquery.Source{{Log: endless{}, Open: func(record.Offset) logquery.Items { return endless{} }}}
	}}
	view := control.NewView(control.Options{View: still{}, Records: records}, control.Bounds{QueryTime: 20 * time.Millisecond, Spare: true})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := httptest.NewRecorder()
	view.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/query?series=pressure", nil))
	if ctx.Err() != nil || w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"truncated":true`) {
		t.Errorf("%v: %d %s", ctx.Err(), w.Code, w.Body)
	}
}

package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/api"
)

// door serves a view within bounds.
func door(t *testing.T, b *box, bounds control.Bounds) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(control.NewView(control.Options{View: b, Records: b}, bounds))
	t.Cleanup(s.Close)
	return s
}

func look(t *testing.T, s *httptest.Server, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		b.WriteString(lines.Text() + "\n")
	}
	return resp.StatusCode, b.String()
}

func TestViewReadsOnly(t *testing.T) {
	s := door(t, &box{records: 3}, control.Bounds{Records: 100})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/status", 200}, {"GET", "/v1/sensors", 200}, {"GET", "/v1/sensors?match=x&limit=5", 200}, {"GET", "/v1/account", 200},
		{"GET", "/v1/faults", 200}, {"GET", "/v1/query?limit=100", 200}, {"GET", "/v1/tail?n=2", 200}, {"GET", "/v1/explain/s012", 200},
		{"GET", "/v1/chart?series=a&points=500", 200}, {"GET", "/v1/chart?series=a&since=2026-11-23T02:00:00Z&until=2026-11-23T03:00:00Z", 200},
		{"GET", "/v1/query?limit=101", 400}, {"GET", "/v1/tail?n=101", 400}, {"GET", "/v1/sensors?limit=0", 400}, {"GET", "/v1/sensors?x=0", 400},
		{"GET", "/v1/explain/X999", 404}, {"GET", "/v1/chart", 400}, {"GET", "/v1/chart?series=a&points=501", 400}, {"GET", "/v1/chart?series=a&points=1", 400},
		{"GET", "/v1/chart?series=a&since=2026-11-23T02:00:00Z&until=2026-11-23T02:00:00Z", 400}, {"GET", "/v1/chart?series=a&since=0001-01-02T00:00:00Z", 400},
		{"GET", "/v1/chart?" + strings.Repeat("series=a&", api.MaxChartSeries+1), 400}, {"GET", "/v1/chart?series=a&step=5", 400},
		{"POST", "/v1/faults/ack", 404}, {"POST", "/v1/reload", 404}, {"POST", "/v1/ingest/a", 404}, {"GET", "/v1/ingest/a", 404},
		{"POST", "/v1/update", 404}, {"POST", "/v1/nodes/a", 404}, {"POST", "/v1/status", 404}, {"DELETE", "/v1/faults", 404},
	} {
		if status, body := look(t, s, c.method, c.path); status != c.status || !strings.HasPrefix(body, "{") {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, body, c.status)
		}
	}
	var e api.Explained
	_, body := look(t, s, "GET", "/v1/explain/S012")
	d, _ := health.Lookup("S012")
	if err := json.Unmarshal([]byte(body), &e); err != nil || len(e.Faults) != 1 || e.Faults[0].Means != d.Means || e.Faults[0].Do != d.Do {
		t.Errorf("%s, %v", body, err)
	}
}

// A query that takes too long is ended and says that there is more; a tail that is followed for too long ends in order.
func TestViewEndsInTime(t *testing.T) {
	s := door(t, &box{records: 50_000_000}, control.Bounds{QueryTime: 30 * time.Millisecond, TailTime: 30 * time.Millisecond, Spare: true})
	_, body := look(t, s, "GET", "/v1/query?limit=10000000")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	var end api.QueryEnd
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || !end.End || !end.Truncated || end.Error != "" || end.Records >= 10_000_000 {
		t.Errorf("%s, %v", lines[len(lines)-1], err)
	}
	_, body = look(t, s, "GET", "/v1/tail?n=1&follow=1")
	if !strings.Contains(body, `"end":true`) || strings.Contains(body, `"error"`) {
		t.Errorf("got %s", body)
	}
}

// Readers beyond the bound are told so, and status goes on answering.
func TestViewStreamsAreBounded(t *testing.T) {
	s := door(t, &box{}, control.Bounds{Streams: 2})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range 2 {
		req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/v1/tail?n=1&follow=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	if status, body := look(t, s, "GET", "/v1/tail"); status != http.StatusTooManyRequests {
		t.Errorf("got %d %s", status, body)
	}
	if status, _ := look(t, s, "GET", "/v1/status"); status != 200 {
		t.Errorf("status: %d", status)
	}
}

// The worst sensors come first where not all are shown, and what is left out is counted.
func TestSensorsAreBounded(t *testing.T) {
	var s api.Sensors
	for i := range 4 {
		src := api.Source{Name: fmt.Sprintf("rooms-%d", i)}
		for k := range 100 {
			x := api.Sensor{Series: fmt.Sprintf(`temperature{n="%d"}`, k), Label: fmt.Sprintf("room %d/%d", i, k), Quality: "good"}
			if i == 3 && k%10 == 0 {
				x.Quality = "bad:crc"
			}
			src.Sensors = append(src.Sensors, x)
		}
		s.Sources = append(s.Sources, src)
	}
	most := s
	most.Sources = append([]api.Source(nil), s.Sources...)
	most.Keep("", 15)
	shown, bad, left := 0, 0, 0
	for _, src := range most.Sources {
		left += src.LeftOut
		for _, x := range src.Sensors {
			shown++
			if api.Rank(x.Quality) == 0 {
				bad++
			}
		}
	}
	if shown != 15 || bad != 10 || left != 385 {
		t.Errorf("%d shown, %d bad, %d left out", shown, bad, left)
	}
	few := s
	few.Keep("ROOM 2/7", 0)
	if len(few.Sources) != 1 || len(few.Sources[0].Sensors) != 11 || len(s.Sources[2].Sensors) != 100 {
		t.Errorf("got %+v", few.Sources)
	}
}

package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/unixsocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// box is an agent made of values.
type box struct {
	mu       sync.Mutex
	acked    []string
	ingested []api.IngestRequest
	records  int
}

func (b *box) Status() *api.Status {
	return &api.Status{SchemaVersion: 1, Device: "box-17", State: api.StateOK}
}
func (b *box) Sensors() *api.Sensors { return &api.Sensors{SchemaVersion: 1} }
func (b *box) Account() *api.Account { return &api.Account{SchemaVersion: 1, Balanced: true} }
func (b *box) Faults() []api.Fault   { return []api.Fault{{ID: 4, Code: "S012"}} }

func (b *box) Ack(id uint64, by string) (api.Fault, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id != 4 {
		return api.Fault{}, fmt.Errorf("%w: fault %d", control.ErrNotFound, id)
	}
	b.acked = append(b.acked, by)
	return api.Fault{ID: id, Code: "S012"}, nil
}

func (b *box) Reload(context.Context, string) (*api.Reload, error) {
	return &api.Reload{SchemaVersion: 1, Error: "agent.yaml:1:1  unknown key"}, nil
}

func (b *box) Query(ctx context.Context, q api.Query, _ func() error, each func(*api.Record) error) (bool, error) {
	if q.Stream == "none" {
		return false, fmt.Errorf("%w: stream none", control.ErrNotFound)
	}
	for i := range min(uint64(b.records), q.Limit) {
		if err := each(&api.Record{Stream: q.Stream, Offset: i}); err != nil {
			return false, err
		}
	}
	if q.Stream == "broken" {
		return false, errors.New("disk read failed")
	}
	return q.Limit < uint64(b.records), nil
}

func (b *box) Tail(ctx context.Context, stream string, n int, follow bool, each func(*api.Record) error, idle func() error) error {
	for i := range n {
		if err := each(&api.Record{Stream: stream, Offset: uint64(i)}); err != nil {
			return err
		}
	}
	for follow && ctx.Err() == nil {
		if err := idle(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func (b *box) Chart(_ context.Context, q api.ChartQuery, pause func() error) (*api.Chart, error) {
	for range b.records {
		if pause() != nil {
			return &api.Chart{SchemaVersion: 1, Truncated: true}, nil
		}
	}
	from, width, n := q.Parts()
	c := &api.Chart{SchemaVersion: 1, Since: time.Unix(0, from).UTC(), Until: time.Unix(0, from+int64(n)*width).UTC(), PointSeconds: float64(width) / 1e9}
	for _, key := range q.Series {
		c.Series = append(c.Series, api.ChartSeries{Series: key, Points: []api.ChartPoint{}})
	}
	return c, nil
}

func (b *box) Ingest(_ context.Context, producer string, r *api.IngestRequest) (*api.IngestPosition, error) {
	if r.Sequence > 100 {
		return nil, fmt.Errorf("%w: want 2", control.ErrOrder)
	}
	if producer == "full" {
		return nil, control.ErrFull
	}
	b.mu.Lock()
	b.ingested = append(b.ingested, *r)
	b.mu.Unlock()
	return &api.IngestPosition{SchemaVersion: 1, Producer: producer, Incarnation: r.Incarnation, Sequence: r.Sequence, Known: true}, nil
}

func (b *box) Position(producer string, inc uint64) (*api.IngestPosition, error) {
	return &api.IngestPosition{SchemaVersion: 1, Producer: producer, Incarnation: inc}, nil
}

// start serves b; the directory's name is short because a socket's path may have 107 bytes.
func start(t *testing.T, b *box) (*api.Client, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	s, err := control.New(control.Options{RunDir: dir, ViewGroup: "no-such-group-here", View: b, Records: b, Operator: b, Ingester: b})
	if err != nil {
		t.Fatal(err)
	}
	if notes := s.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "no-such-group-here does not exist") {
		t.Errorf("notes %q", notes)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		os.RemoveAll(dir)
	})
	return api.NewClient(dir), dir
}

func TestRoundTrips(t *testing.T) {
	b := &box{records: 5}
	c, dir := start(t, b)
	ctx := context.Background()
	for _, name := range []string{api.ViewSocket, api.ControlSocket, api.IngestSocket} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != unixsocket.Mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if s, err := c.Status(ctx); err != nil || s.Device != "box-17" {
		t.Errorf("status %+v, %v", s, err)
	}
	if s, err := c.Sensors(ctx); err != nil || s.SchemaVersion != 1 {
		t.Errorf("sensors %+v, %v", s, err)
	}
	if a, err := c.Account(ctx); err != nil || !a.Balanced {
		t.Errorf("account %+v, %v", a, err)
	}
	if f, err := c.Faults(ctx); err != nil || len(f.Faults) != 1 {
		t.Errorf("faults %+v, %v", f, err)
	}
	if f, err := c.Ack(ctx, 4); err != nil || f.Code != "S012" || !strings.Contains(b.acked[0], fmt.Sprintf("uid %d", os.Getuid())) {
		t.Errorf("ack %+v, %v by %v", f, err, b.acked)
	}
	if r, err := c.Reload(ctx); err != nil || r.Error == "" {
		t.Errorf("reload %+v, %v", r, err)
	}
	var e *api.Error
	if _, err := c.Ack(ctx, 5); !errors.As(err, &e) || e.Status != http.StatusNotFound || e.Code != api.CodeNotFound {
		t.Errorf("ack of an unknown id: %v", err)
	}
	n := 0
	count := func(*api.Record) error { n++; return nil }
	if end, err := c.Query(ctx, api.Query{Stream: "telemetry", Limit: 3, Since: time.Unix(0, 0)}, count); err != nil || n != 3 || !end.Truncated {
		t.Errorf("query: %d records, %+v, %v", n, end, err)
	}
	if _, err := c.Query(ctx, api.Query{Stream: "none"}, count); !errors.As(err, &e) || e.Code != api.CodeNotFound {
		t.Errorf("query of an unknown stream: %v", err)
	}
	if _, err := c.Query(ctx, api.Query{Stream: "broken"}, count); err == nil || err.Error() != "disk read failed" {
		t.Errorf("an error in the middle: %v", err)
	}
}

func TestTail(t *testing.T) {
	c, _ := start(t, &box{})
	n := 0
	if _, err := c.Tail(context.Background(), "telemetry", 7, false, func(*api.Record) error { n++; return nil }); err != nil || n != 7 {
		t.Errorf("%d records, %v", n, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	n = 0
	_, err := c.Tail(ctx, "telemetry", 2, true, func(*api.Record) error { n++; return nil })
	if n != 2 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestIngest(t *testing.T) {
	b := &box{}
	c, _ := start(t, b)
	ctx := context.Background()
	msg := func(seq uint64) api.IngestRequest {
		return api.IngestRequest{Incarnation: 9, Sequence: seq, Records: []api.IngestRecord{{Name: "x", Value: []byte("1")}}}
	}
	p, err := c.Ingest(ctx, "npu:0", msg(1))
	if err != nil || p.Producer != "npu:0" || p.Sequence != 1 || len(b.ingested) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	if p, err := c.Position(ctx, "npu:0", 9); err != nil || p.Incarnation != 9 || p.Known {
		t.Errorf("got %+v, %v", p, err)
	}
	big := msg(2)
	big.Records[0].Value = []byte(`"` + strings.Repeat("x", api.MaxRequestBytes) + `"`)
	many := msg(2)
	many.Records = make([]api.IngestRecord, api.MaxIngestRecords+1)
	cases := []struct {
		name, producer string
		req            api.IngestRequest
		code           string
	}{
		{"order", "npu", msg(101), api.CodeOrder},
		{"full", "full", msg(2), api.CodeFull},
		{"no sequence", "npu", msg(0), api.CodeBadRequest},
		{"no records", "npu", api.IngestRequest{Sequence: 2}, api.CodeBadRequest},
		{"large", "npu", big, api.CodeTooLarge},
		{"many", "npu", many, api.CodeTooLarge},
		{"name", "a b", msg(2), api.CodeBadRequest},
	}
	for _, x := range cases {
		var e *api.Error
		if _, err := c.Ingest(ctx, x.producer, x.req); !errors.As(err, &e) || e.Code != x.code {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if len(b.ingested) != 1 {
		t.Errorf("%d messages came through", len(b.ingested))
	}
}

// raw asks a socket without the client.
func raw(t *testing.T, dir, socket, method, path, body string) (int, string) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, socket))
	}}
	req, err := http.NewRequest(method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestRefusals(t *testing.T) {
	_, dir := start(t, &box{})
	cases := []struct {
		socket, method, path, body string
		status                     int
	}{
		{api.ViewSocket, "POST", "/v1/faults/ack", `{"id":4}`, 404},     // the view socket changes nothing
		{api.ViewSocket, "POST", "/v1/reload", `{}`, 404},               //
		{api.ViewSocket, "POST", "/v1/ingest/a", `{"sequence":1}`, 404}, //
		{api.IngestSocket, "GET", "/v1/status", "", 404},                // producers read their position only
		{api.ControlSocket, "GET", "/v1/status", "", 200},
		{api.ControlSocket, "POST", "/v1/faults/ack", `{"id":4,"x":1}`, 400},
		{api.ControlSocket, "POST", "/v1/faults/ack", `{"id":4}{}`, 400},
		{api.ControlSocket, "POST", "/v1/faults/ack", strings.Repeat(" ", api.MaxRequestBytes+1), 413},
		{api.ViewSocket, "GET", "/v1/query?since=yesterday", "", 400},
		{api.ViewSocket, "GET", "/v1/query?limit=0", "", 400},
		{api.ViewSocket, "GET", "/v1/query?serie=x", "", 400},
		{api.ViewSocket, "GET", "/v1/tail?n=-1", "", 400},
		{api.IngestSocket, "GET", "/v1/ingest/a?incarnation=x", "", 400},
	}
	for _, c := range cases {
		if status, body := raw(t, dir, c.socket, c.method, c.path, c.body); status != c.status || !strings.HasPrefix(body, "{") {
			t.Errorf("%s %s %s: %d %s, want %d", c.socket, c.method, c.path, status, body, c.status)
		}
	}
}

func TestBusyIsSaid(t *testing.T) {
	c, dir := start(t, &box{})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var started sync.WaitGroup
	for range control.MaxStreamAnswers {
		wg.Add(1)
		started.Add(1)
		var once sync.Once
		go func() {
			defer wg.Done()
			c.Tail(ctx, "telemetry", 1, true, func(*api.Record) error { once.Do(started.Done); return nil })
		}()
	}
	started.Wait()
	if status, body := raw(t, dir, api.ViewSocket, "GET", "/v1/tail", ""); status != http.StatusTooManyRequests {
		t.Errorf("got %d %s", status, body)
	}
	if s, err := c.Status(context.Background()); err != nil || s.Device == "" {
		t.Errorf("status must answer beside %d tails: %v", control.MaxStreamAnswers, err)
	}
	cancel()
	wg.Wait()
}

func TestSocketsOfAnotherAgent(t *testing.T) {
	b := &box{}
	c, dir := start(t, b)
	if _, err := control.New(control.Options{RunDir: dir, View: b, Records: b, Operator: b, Ingester: b}); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("a second agent got the sockets: %v", err)
	}
	if _, err := c.Status(context.Background()); err != nil {
		t.Error(err)
	}
	// A socket left by a killed agent is replaced.
	stale, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(stale)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(stale, api.ViewSocket), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	s, err := control.New(control.Options{RunDir: stale, View: b, Records: b, Operator: b, Ingester: b})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

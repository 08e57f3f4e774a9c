package listen_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a log with producers.
type sink struct {
	mu     sync.Mutex
	got    []string
	next   uint64
	fail   error
	missed map[door.Missed]int
}

func (s *sink) emit(_ context.Context, m door.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if p := m.Producer; p != nil {
		switch {
		case p.Sequence < s.next:
			return door.ErrRepeated
		case p.Sequence > s.next:
			return &door.OrderError{Next: s.next}
		}
		s.next++
	}
	for _, r := range m.Readings {
		x := record.Record{Type: r.Type, Num: r.Num, Data: &record.Data{Value: r.Value}}
		text := r.Series.Key() + "=" + string(x.AppendText(nil))
		if r.At.Clock != 0 {
			text += fmt.Sprintf("@%d", r.At.Time)
		}
		if m.Durable {
			text += " durable"
		}
		s.got = append(s.got, text)
	}
	return nil
}

func (s *sink) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := strings.Join(s.got, "; ")
	s.got = nil
	return out
}

func start(t *testing.T, o listen.Options) (*listen.Door, *sink) {
	t.Helper()
	s := &sink{missed: map[door.Missed]int{}}
	o.Events.Missed = func(w door.Missed, n int, _ error) { s.mu.Lock(); s.missed[w] += n; s.mu.Unlock() }
	d, err := listen.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, s.emit) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	d.Addr(t.Context(), "")
	return d, s
}

func post(t *testing.T, url, body string, headers ...string) (int, http.Header) {
	t.Helper()
	r, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	return a.StatusCode, a.Header
}

func TestHTTP(t *testing.T) {
	d, s := start(t, listen.Options{HTTP: "127.0.0.1:0", Labels: []record.Label{{Key: "site", Value: "x"}}, MaxSeries: 4})
	base := "http://" + d.Addr(t.Context(), "http")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("a b=3"))
	z.Close()
	cases := []struct {
		path, body string
		headers    []string
		status     int
		got        string
	}{
		{"/api/v2/write?org=o&bucket=b&precision=s", "a,k=v b=1.5,c=2i 7\n", nil, 204, `a.b{k="v",site="x"}=1.5@7000000000 durable; a.c{k="v",site="x"}=2@7000000000 durable`},
		{"/write?db=x", "a,k=v b=2", nil, 204, `a.b{k="v",site="x"}=2 durable`},
		{"/api/v2/write", packed.String(), []string{"Content-Encoding", "gzip"}, 204, `a.b{site="x"}=3 durable`},
		{"/api/edgelog/json", `{"t":true}`, nil, 204, `t{site="x"}=true durable`},
		{"/api/v2/write", "a b=1\nbad line", nil, 400, ""},
		{"/api/v2/write?precision=day", "a b=1", nil, 400, ""},
		{"/api/v2/write", "e f=1", nil, 422, ""}, // the fifth series
		{"/api/v2/write", strings.Repeat("a", listen.MaxBody+1), nil, 413, ""},
		{"/api/v2/write", "a b=1", []string{"Origin", "http://evil.example"}, 403, ""},
		{"/api/v2/write", "", nil, 204, ""},
		{"/elsewhere", "a b=1", nil, 404, ""},
	}
	for _, c := range cases {
		status, _ := post(t, base+c.path, c.body, c.headers...)
		if got := s.take(); status != c.status || got != c.got {
			t.Errorf("%s %.30q: %d, %s; want %d, %s", c.path, c.body, status, got, c.status, c.got)
		}
	}
	s.fail = door.ErrFull
	if status, h := post(t, base+"/write", "a b=1"); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("full log: %d", status)
	}
	if s.missed[door.MissedMalformed] != 1 || s.missed[door.MissedTooLarge] != 1 || s.missed[door.MissedSeries] != 1 || s.missed[door.MissedRefused] != 1 {
		t.Errorf("missed %v", s.missed)
	}
}

func TestProducer(t *testing.T) {
	d, s := start(t, listen.Options{HTTP: "127.0.0.1:0", Position: func(string, uint64) (uint64, bool, error) { return 41, true, nil }})
	base := "http://" + d.Addr(t.Context(), "http")
	send := func(seq, body string) (int, http.Header) {
		return post(t, base+"/api/v2/write", body, listen.HeaderProducer, "app", listen.HeaderIncarnation, "0a", listen.HeaderSequence, seq)
	}
	if status, _ := send("0", "a b=1"); status != 204 || s.take() == "" {
		t.Errorf("first: %d", status)
	}
	if status, h := send("0", "a b=1"); status != 204 || h.Get(listen.HeaderRepeated) != "true" || s.take() != "" {
		t.Errorf("resend: %d", status)
	}
	if status, h := send("5", "a b=1"); status != 409 || h.Get(listen.HeaderSequence) != "1" {
		t.Errorf("gap: %d", status)
	}
	if status, _ := send("1", strings.Repeat("a b=1\n", listen.MaxProducerBody/6+1)); status != 413 {
		t.Errorf("large: %d", status)
	}
	if status, _ := send("x", "a b=1"); status != 400 {
		t.Errorf("no number: %d", status)
	}
	a, err := http.Get(base + "/api/edgelog/position?producer=app&incarnation=0a")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.ReadFrom(a.Body)
	a.Body.Close()
	if b.String() != `{"known":true,"producer":"app","sequence":41}`+"\n" {
		t.Errorf("position %s", b.String())
	}
}

func TestSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	d, s := start(t, listen.Options{Unix: path, UDP: "127.0.0.1:0", HTTP: "127.0.0.1:0", Token: "secret"})
	for network, addr := range map[string]string{"unix": path, "udp": d.Addr(t.Context(), "udp")} {
		c, err := net.Dial(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "a b=1\nbad\na b=2\n")
		if network == "unix" {
			fmt.Fprint(c, "a b=99") // cut
		}
		c.Close()
		end := time.Now().Add(time.Minute)
		got := ""
		for !strings.Contains(got, "=2") && time.Now().Before(end) {
			got += s.take()
			time.Sleep(time.Millisecond)
		}
		if !strings.HasPrefix(got, "a.b=1") || strings.Contains(got, "99") {
			t.Errorf("%s: %s", network, got)
		}
	}
	base := "http://" + d.Addr(t.Context(), "http")
	if status, _ := post(t, base+"/write", "a b=1"); status != 401 {
		t.Errorf("without token: %d", status)
	}
	if status, _ := post(t, base+"/write", "a b=1", "Authorization", "Token secret"); status != 204 {
		t.Errorf("with token: %d", status)
	}
	if _, err := listen.New(listen.Options{Unix: path}); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, o := range []listen.Options{{}, {HTTP: "0.0.0.0:1"}, {HTTP: ":8186"}, {UDP: "8186"}, {HTTP: "0.0.0.0:1", AllowRemote: true}, {UDP: "example.com:1"}, {Unix: "/x", MaxSeries: -1}} {
		if _, err := listen.New(o); !errors.Is(err, drivers.ErrConfig) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := listen.New(listen.Options{HTTP: "0.0.0.0:1", AllowRemote: true, Token: "x"}); err != nil {
		t.Error(err)
	}
}

func TestConformance(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "lines.sock")
	driverstest.RunDoor(t, func(t *testing.T, e door.Events) door.Source {
		d, err := listen.New(listen.Options{Unix: socket, Events: e})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, driverstest.DoorOptions{Feed: func(ctx context.Context, t *testing.T) {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for ctx.Err() == nil {
			if _, err := io.WriteString(c, "m,k=a v=1i,w=2.5\n"); err != nil {
				return // the door was closed
			}
			time.Sleep(10 * time.Millisecond)
		}
	}})
}

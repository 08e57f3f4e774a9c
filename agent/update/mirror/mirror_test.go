package mirror_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/update/mirror"
)

const chunkBits = 14

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// server is a web server with a certificate of its own and the mirror that trusts it.
func server(t *testing.T, h http.Handler) (*httptest.Server, *mirror.HTTPS) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, trusting(t, s, s.URL+"/fleet")
}

func trusting(t *testing.T, s *httptest.Server, address string) *mirror.HTTPS {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	u, err := url.Parse(address)
	must(t, err)
	return mirror.NewHTTPS(mirror.HTTPSOptions{URL: u, CAFile: ca})
}

// pulling runs a puller over m.
func pulling(t *testing.T, m mirror.Mirror) (*mirror.Puller, chan mirror.Piece) {
	t.Helper()
	out := make(chan mirror.Piece)
	p := mirror.NewPuller(m, out)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	return p, out
}

func next(t *testing.T, out chan mirror.Piece) mirror.Piece {
	t.Helper()
	select {
	case x := <-out:
		return x
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing comes")
		return mirror.Piece{}
	}
}

func ask(id uint64, size int, first int, bits uint64) mirror.Ask {
	return mirror.Ask{ID: id, Target: "models/a.om", Size: int64(size), ChunkBits: chunkBits, First: first, Bits: bits}
}

func chunk(content []byte, i int) []byte {
	off := i << chunkBits
	return content[off:min(off+1<<chunkBits, len(content))]
}

// fleetDir is a directory with the content as models/a.om.
func fleetDir(t *testing.T, content []byte) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "targets", "models"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "targets", "models", "a.om"), content, 0o644))
	return dir
}

// TestChunks: whatever order chunks are asked for in, each is what the file has there, over a server with ranges, one
// without, and a directory; a file that is read from its beginning to its end costs one request.
func TestChunks(t *testing.T) {
	content := noise(40<<chunkBits + 77)
	dir := fleetDir(t, content)
	var requests atomic.Int32
	counted := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests.Add(1); h.ServeHTTP(w, r) })
	}
	_, ranged := server(t, counted(http.StripPrefix("/fleet/", http.FileServer(http.Dir(dir)))))
	_, plain := server(t, counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content)
	})))
	for name, m := range map[string]mirror.Mirror{"ranges": ranged, "no ranges": plain, "directory": mirror.Directory{Dir: dir}} {
		t.Run(name, func(t *testing.T) {
			p, out := pulling(t, m)
			requests.Store(0)
			for first := 0; first < 41; first += 8 {
				if !p.Ask(ask(uint64(1+first), len(content), first, 0xff>>max(0, first+8-41))) {
					t.Fatal("refused")
				}
			}
			for i := range 41 {
				x := next(t, out)
				if x.Err != nil || x.From != p || x.Chunk != i || x.Ask != uint64(1+i/8*8) || !bytes.Equal(x.Data, chunk(content, i)) {
					t.Fatalf("chunk %d: %+v", i, x.Err)
				}
			}
			if n := requests.Load(); n > 1 {
				t.Errorf("%d requests for one file", n)
			}
			for id, i := range []int{5, 6, 2, 2, 40, 0} { // backwards, twice, far ahead
				p.Ask(ask(uint64(100+id), len(content), i, 1))
				if x := next(t, out); x.Err != nil || x.Chunk != i || !bytes.Equal(x.Data, chunk(content, i)) {
					t.Fatalf("chunk %d: %v", i, x.Err)
				}
			}
		})
	}
}

// TestHostileServers: what a server does wrong ends with an error that says what, and nothing waits for ever or grows.
func TestHostileServers(t *testing.T) {
	content := noise(8 << chunkBits)
	size := len(content)
	moved := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { moved++ }))
	t.Cleanup(elsewhere.Close)
	partial := func(w http.ResponseWriter, format string, args ...any) {
		w.Header().Set("Content-Range", fmt.Sprintf(format, args...))
		w.WriteHeader(http.StatusPartialContent)
	}
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want error
		text string
	}{
		"absent":        {h: http.NotFound, want: mirror.ErrAbsent},
		"gone":          {h: status(http.StatusGone), want: mirror.ErrAbsent},
		"forbidden":     {h: status(http.StatusForbidden), want: mirror.ErrRefused, text: "403"},
		"broken":        {h: status(http.StatusInternalServerError), want: mirror.ErrRefused, text: "500"},
		"not that long": {h: status(http.StatusRequestedRangeNotSatisfiable), want: mirror.ErrOther},
		"redirect": {h: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
			want: mirror.ErrRefused, text: "redirects to"},
		"redirect to itself": {h: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusPermanentRedirect)
		}, want: mirror.ErrRefused, text: "redirects to"},
		"41: another size": {h: func(w http.ResponseWriter, r *http.Request) { partial(w, "bytes 0-%d/%d", size, size+1) }, want: mirror.ErrOther},
		"41: another size, whole": {h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size-1))
			_, _ = w.Write(content[1:])
		}, want: mirror.ErrOther},
		"another range": {h: func(w http.ResponseWriter, r *http.Request) { partial(w, "bytes 1-%d/%d", size-1, size) }, want: mirror.ErrRefused},
		"no range":      {h: func(w http.ResponseWriter, r *http.Request) { partial(w, "bytes */%d", size) }, want: mirror.ErrRefused, text: "Content-Range"},
		"overflow":      {h: func(w http.ResponseWriter, r *http.Request) { partial(w, "bytes 0-9/99999999999999999999") }, want: mirror.ErrRefused},
		"compressed": {h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte{1})
		}, want: mirror.ErrRefused, text: "encoded"},
		"header of megabytes": {h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, text: "models/a.om"},
		"cut short": {h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(content[:100])
		}, want: io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			_, m := server(t, c.h)
			p, out := pulling(t, m)
			p.Ask(ask(1, size, 0, 1))
			p.Ask(ask(2, size, 1, 1)) // is dropped with the first
			x := next(t, out)
			if x.Err == nil || x.Ask != 1 || c.want != nil && !errors.Is(x.Err, c.want) || !strings.Contains(x.Err.Error(), c.text) {
				t.Fatalf("ask %d, chunk %d, %d bytes: %v", x.Ask, x.Chunk, len(x.Data), x.Err)
			}
			select {
			case x := <-out:
				t.Errorf("and ask %d, chunk %d: %v", x.Ask, x.Chunk, x.Err)
			case <-time.After(20 * time.Millisecond):
			}
		})
	}
	if moved > 0 {
		t.Errorf("a redirect was followed %d times", moved)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// TestEndless: case 38. Of a body without an end as much is read as the file has, and what is kept of it is bounded.
func TestEndless(t *testing.T) {
	const size = 16 << chunkBits
	var sent atomic.Int64
	_, m := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 64<<10)
		for {
			n, err := w.Write(buf)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	p, out := pulling(t, m)
	p.Ask(ask(1, size, 0, 0xffff))
	for range 16 {
		if x := next(t, out); x.Err != nil || len(x.Data) != 1<<chunkBits {
			t.Fatalf("ask %d, chunk %d, %d bytes: %v", x.Ask, x.Chunk, len(x.Data), x.Err)
		}
	}
	// The stream is closed behind its last byte: the server's writes end.
	for end, last := time.Now().Add(2*time.Minute), int64(-1); ; time.Sleep(200 * time.Millisecond) {
		if n := sent.Load(); n == last {
			break
		} else if last = n; time.Now().After(end) {
			t.Fatalf("%d bytes were sent, and more come", n)
		}
	}
}

// TestWhoseServer: a server of another authority, of another name, or an old TLS is not spoken with, and one that asks for
// a certificate gets it.
func TestWhoseServer(t *testing.T) {
	content := noise(1 << chunkBits)
	h := http.StripPrefix("/fleet/", http.FileServer(http.Dir(fleetDir(t, content))))
	get := func(m *mirror.HTTPS) error {
		r, err := m.Open(t.Context(), "models/a.om", int64(len(content)), 0)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(data, content) {
			err = errors.New("another content")
		}
		return errors.Join(err, r.Close(), m.Close())
	}
	s, m := server(t, h)
	must(t, get(m))
	u, err := url.Parse(s.URL + "/fleet")
	must(t, err)
	if err := get(mirror.NewHTTPS(mirror.HTTPSOptions{URL: u})); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the system's authorities: %v", err)
	}
	_, port, err := net.SplitHostPort(u.Host)
	must(t, err)
	if err := get(trusting(t, s, "https://localhost:"+port+"/fleet")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("another name: %v", err)
	}
	m = trusting(t, s, s.URL+"/fleet")
	future := mirror.NewHTTPS(mirror.HTTPSOptions{URL: u, CAFile: caFile(t, s), Now: func() time.Time { return time.Now().AddDate(200, 0, 0) }})
	if err := get(future); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("a certificate that has ended: %v", err)
	}
	must(t, get(m))
	if err := get(mirror.NewHTTPS(mirror.HTTPSOptions{URL: u, CAFile: filepath.Join(t.TempDir(), "none")})); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no authority's file: %v", err)
	}
	old := httptest.NewUnstartedServer(h)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.StartTLS()
	t.Cleanup(old.Close)
	if err := get(trusting(t, old, old.URL+"/fleet")); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	return ca
}

// slow is a mirror whose stream gives a byte a second, on virtual time.
type slow struct{ opened, closed int }

func (s *slow) Name() string { return "slow" }
func (s *slow) Close() error { return nil }
func (s *slow) Open(ctx context.Context, _ string, _, _ int64) (io.ReadCloser, error) {
	s.opened++
	return &trickle{s, ctx}, nil
}

type trickle struct {
	s   *slow
	ctx context.Context
}

func (t *trickle) Read(p []byte) (int, error) {
	select {
	case <-t.ctx.Done():
		return 0, t.ctx.Err()
	case <-time.After(time.Second):
		return 1, nil
	}
}

func (t *trickle) Close() error { t.s.closed++; return nil }

// TestTrickle: case 39. A byte a second is an error after a minute, and nothing of the stream is left.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{}
		p, out := pulling(t, m)
		began := time.Now()
		p.Ask(ask(1, 1<<20, 0, 1))
		if x := <-out; !errors.Is(x.Err, mirror.ErrStalled) {
			t.Errorf("%d bytes, %v", len(x.Data), x.Err)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it took %v", took)
		}
		p.Ask(ask(2, 1<<20, 0, 1))
		time.Sleep(time.Second)
		p.Drop()
		synctest.Wait()
		if m.opened != 2 || m.closed != 2 {
			t.Errorf("%d streams were opened, %d closed", m.opened, m.closed)
		}
	})
}

// TestNoLeak: a server that accepts and then says nothing costs no goroutine once its ask is dropped.
func TestNoLeak(t *testing.T) {
	held := make(chan struct{})
	s, m := server(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-held }))
	defer close(held)
	before := runtime.NumGoroutine()
	out := make(chan mirror.Piece)
	p := mirror.NewPuller(m, out)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	for id := range uint64(20) {
		p.Ask(ask(id, 1<<20, 0, 1))
		time.Sleep(5 * time.Millisecond)
		p.Drop()
	}
	stop()
	<-done
	s.CloseClientConnections()
	for end := time.Now().Add(2 * time.Minute); runtime.NumGoroutine() > before+25; time.Sleep(50 * time.Millisecond) { // the server's own hang
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestDirectory: nothing outside of the directory is read, and what is no file of the signed size is refused at once.
func TestDirectory(t *testing.T) {
	content := noise(100)
	dir := fleetDir(t, content)
	models := filepath.Join(dir, "targets", "models")
	must(t, os.Symlink("/etc/passwd", filepath.Join(models, "link")))
	must(t, syscall.Mkfifo(filepath.Join(models, "pipe"), 0o600))
	for target, want := range map[string]error{"models/none": mirror.ErrAbsent, "models/pipe": mirror.ErrOther, "models": mirror.ErrOther,
		"../../etc/passwd": nil, "models/link": nil, "/etc/passwd": nil} {
		if r, err := (mirror.Directory{Dir: dir}).Open(t.Context(), target, 100, 0); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", target, r, err)
		}
	}
	if _, err := (mirror.Directory{Dir: dir}).Open(t.Context(), "models/a.om", 99, 0); !errors.Is(err, mirror.ErrOther) {
		t.Errorf("another size: %v", err)
	}
	if _, err := (mirror.Directory{Dir: dir + "/stick"}).Open(t.Context(), "models/a.om", 100, 0); err == nil || errors.Is(err, mirror.ErrAbsent) {
		t.Errorf("a stick that is not there says that the file is not: %v", err)
	}
}

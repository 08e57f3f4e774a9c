package unixsocket_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/internal/unixsocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// short is a directory with a short name: the path of a socket is bounded.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "us")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serve answers with who asked, until the test ends it.
func serve(t *testing.T, l *unixsocket.Listener, grace time.Duration, h http.HandlerFunc) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- unixsocket.Serve(ctx, &http.Server{Handler: h, ConnContext: unixsocket.ConnContext}, l, grace)
	}()
	return func() error { cancel(); return <-ended }
}

func who(w http.ResponseWriter, r *http.Request) {
	p := unixsocket.PeerOf(r.Context())
	io.WriteString(w, p.String()+"|"+p.Account()) //nolint:errcheck // the test sees what is missing
}

func ask(t *testing.T, path string) string {
	t.Helper()
	resp, err := unixsocket.Client(path, time.Minute).Get("http://x/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestSocket: mode, peer, a second program, and a name that is gone afterwards.
func TestSocket(t *testing.T) {
	path := filepath.Join(short(t), "run", "s.sock")
	l, err := unixsocket.Listen(path, unixsocket.Options{Owner: "agent", Group: "no-such-group-here", MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeSocket|unixsocket.Mode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if !strings.Contains(l.Note(), "group no-such-group-here does not exist; only the agent's own user") {
		t.Errorf("note %q", l.Note())
	}
	stop := serve(t, l, time.Minute, who)
	for range 3 { // more than MaxConns, one after the other
		if got := ask(t, path); !strings.HasPrefix(got, "uid ") || !strings.Contains(got, " pid ") || strings.HasSuffix(got, "|") {
			t.Errorf("peer %q", got)
		}
	}
	if _, err := unixsocket.Listen(path, unixsocket.Options{Owner: "agent"}); err == nil || !strings.Contains(err.Error(), "another agent listens on it") {
		t.Errorf("a second one: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the name stays: %v", err)
	}
}

// TestSuccessor: an old listener that closes late does not take the socket of the next run away.
func TestSuccessor(t *testing.T) {
	path := filepath.Join(short(t), "s.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close() // a run that was killed leaves its name
	old, err := unixsocket.Listen(path, unixsocket.Options{Owner: "hub"})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := unixsocket.Listen(path, unixsocket.Options{Owner: "hub"})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	stop := serve(t, next, 0, who)
	ask(t, path)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestRefused: what cannot be a socket is said before anything listens.
func TestRefused(t *testing.T) {
	dir := short(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file: "is not a socket",
		filepath.Join(dir, strings.Repeat("x", 120)): "choose a shorter directory",
		filepath.Join(file, "below"):                 "not a directory",
	} {
		if l, err := unixsocket.Listen(path, unixsocket.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", path, l, err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "mine" {
		t.Errorf("the file: %q, %v", data, err)
	}
	longest := filepath.Join(dir, strings.Repeat("x", unixsocket.MaxPath-len(dir)-1))
	l, err := unixsocket.Listen(longest, unixsocket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// TestGrace: an answer under way when the end comes is finished within grace, and cut off after it.
func TestGrace(t *testing.T) {
	for _, grace := range []time.Duration{time.Minute, 0} {
		path := filepath.Join(short(t), "s.sock")
		l, err := unixsocket.Listen(path, unixsocket.Options{})
		if err != nil {
			t.Fatal(err)
		}
		begun, goOn := make(chan struct{}), make(chan struct{})
		stop := serve(t, l, grace, func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			select {
			case <-goOn:
			case <-r.Context().Done():
			}
		})
		answered := make(chan error, 1)
		go func() {
			resp, err := unixsocket.Client(path, time.Minute).Get("http://x/")
			if err == nil {
				resp.Body.Close()
			}
			answered <- err
		}()
		<-begun
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		if grace > 0 {
			close(goOn)
		}
		if err := <-answered; (err == nil) != (grace > 0) {
			t.Errorf("grace %v: %v", grace, err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
}

package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/net/netutil"
)

// listenStatus opens the socket for `edge-hub status`, mode 0660. A running hub on the same directory is an error: it
// would lose its socket.
func listenStatus(path string) (net.Listener, error) {
	l, err := listenSocket(path)
	if err != nil {
		return nil, err
	}
	return netutil.LimitListener(l, maxStatusClients), nil
}

// listenSocket is listenStatus without a bound of clients; its connections tell who is at their other end.
func listenSocket(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("open status socket: %w", err)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if c, err := net.DialTimeout("unix", path, statusTimeout); err == nil {
			c.Close()
			return nil, fmt.Errorf("open status socket: another hub answers on %s; give this one another run_dir", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("open status socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open status socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("open status socket: %w", err), l.Close())
	}
	return l, nil
}

// serveStatus answers GET /status until ctx ends.
func (h *hub) serveStatus(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(h.live()); err != nil {
			h.log.Debug("status answer was not read", keyError, err)
		}
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: statusTimeout, WriteTimeout: 5 * statusTimeout,
		IdleTimeout: statusTimeout, MaxHeaderBytes: 8 << 10}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve status: %w", err)
	case <-ctx.Done():
	}
	err := s.Close()
	<-ended
	return err
}

// askLive asks a running hub.
func askLive(ctx context.Context, socket string) (*Live, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hub/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask hub: %w", err)
	}
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask hub: %w", err)
	}
	defer resp.Body.Close()
	var l Live
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatusBytes)).Decode(&l); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask hub: status %d: %w", resp.StatusCode, err)
	}
	return &l, nil
}

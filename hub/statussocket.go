package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/edgelog/edgelog/internal/unixsocket"
)

// listen opens a socket of this hub. A running hub with the same run_dir is an error: it would lose its socket.
func listen(path string) (*unixsocket.Listener, error) {
	return unixsocket.Listen(path, unixsocket.Options{Owner: "hub", MaxConns: maxSocketClients})
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
	return unixsocket.Serve(ctx, s, l, 0)
}

// askLive asks a running hub.
func askLive(ctx context.Context, socket string) (*Live, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hub/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask hub: %w", err)
	}
	resp, err := unixsocket.Client(socket, statusTimeout).Do(req)
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

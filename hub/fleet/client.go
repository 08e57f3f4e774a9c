package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/unixsocket"
)

// ErrUnreachable says that no hub answers on the socket.
var ErrUnreachable = errors.New("no hub with a fleet answers")

// Client asks a running hub over its socket.
type Client struct{ Socket string }

// List asks for all rollouts.
func (c Client) List(ctx context.Context) (*List, error) {
	return ask[List](ctx, c, http.MethodGet, "/rollouts", nil)
}

// Show asks for one.
func (c Client) Show(ctx context.Context, id string) (*Answer, error) {
	return ask[Answer](ctx, c, http.MethodGet, "/rollouts/"+url.PathEscape(id), nil)
}

// Create makes one; dry only says what it would be.
func (c Client) Create(ctx context.Context, s *rollout.Spec, dry bool) (*Answer, error) {
	path := "/rollouts"
	if dry {
		path += "?dry_run=1"
	}
	return ask[Answer](ctx, c, http.MethodPost, path, s)
}

// Change is pause, resume or abort.
func (c Client) Change(ctx context.Context, id, op string, force bool) (*Answer, error) {
	path := "/rollouts/" + url.PathEscape(id) + "/" + op
	if force {
		path += "?force=1"
	}
	return ask[Answer](ctx, c, http.MethodPost, path, nil)
}

func ask[T any](ctx context.Context, c Client, method, path string, in any) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*apiTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		body = strings.NewReader(string(encode(in)))
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://hub"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := unixsocket.Client(c.Socket, 2*time.Second).Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w on %s: %w", ErrUnreachable, c.Socket, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("ask hub: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var e APIError
		if json.Unmarshal(data, &e) == nil && e.Error != "" {
			return nil, errors.New(e.Error)
		}
		return nil, fmt.Errorf("ask hub: %s", resp.Status)
	}
	var out T
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("ask hub: %w", err)
	}
	return &out, nil
}

package hub

import (
	"context"
	"sync"
	"time"

	"github.com/edgelog/edgelog/hub/receive/mqtt"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

// linkState is what the hub says of its connection to the broker.
type linkState struct {
	mu sync.Mutex // guards l
	l  Link
}

func (s *linkState) get() Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.l
}

// set notes the state and reports whether it is news.
func (s *linkState) set(up bool, why string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.l.Up != up || s.l.Error != why
	if s.l.Up != up || s.l.Since.IsZero() {
		s.l.Since = time.Now().UTC()
	}
	s.l.Up, s.l.Error = up, why
	return news
}

// clientOptions are how the hub reaches its broker.
func (h *hub) clientOptions() mqttclient.Options {
	b := h.c.Broker
	if b == nil {
		return mqttclient.Options{Broker: h.broker.HubURL(), ClientID: "edge-hub"}
	}
	return mqttclient.Options{Broker: b.URL, ClientID: b.ClientID, Username: b.Username, PasswordFile: b.PasswordFile,
		TLS: mqttclient.TLS{CAFile: b.CAFile, CertFile: b.CertFile, KeyFile: b.KeyFile}}
}

// newLink makes the adapter whose Run keeps the connection.
func (h *hub) newLink() (*mqtt.Adapter, error) {
	h.link.l.Broker = h.c.origin()
	h.link.set(false, "not connected yet")
	return mqtt.New(mqtt.Options{Client: h.clientOptions(), Topics: h.c.Topics(), Mine: h.mine(), Events: mqtt.Events{
		Connected: func() {
			h.link.set(true, "")
			h.log.Info("connected to the broker", keyBroker, h.c.origin())
		},
		Disconnected: func(err error) {
			if h.link.set(false, err.Error()) {
				h.log.Warn("no connection to the broker; it is tried again", keyBroker, h.c.origin(), keyError, err)
			}
		},
		Quiet: func(silence time.Duration) {
			h.log.Warn("nothing came although devices have credit: connecting anew", "silence", silence)
		},
	}}, h.recv)
}

func (h *hub) stats(a *mqtt.Adapter) LinkStats {
	s := a.Stats()
	return LinkStats{Connects: s.Connects, DroppedAcks: s.DroppedAcks, Foreign: s.Foreign, BytesIn: s.BytesIn, BytesOut: s.BytesOut}
}

// runBroker runs the embedded broker, if there is one.
func (h *hub) runBroker(ctx context.Context) error {
	if h.broker == nil {
		return nil
	}
	return h.broker.Run(ctx)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsSystem is a NATS leaf node with JetStream on the box, whose stream a hub server sources into its own; both write
// with fsync before they acknowledge, and the producer's message ids are known for two minutes.
type natsSystem struct {
	dir       string
	parts     parts
	leaf, hub string // URLs
	conn      *nats.Conn
	js        jetstream.JetStream
}

func newNATS(dir string) system { return &natsSystem{dir: dir} }

func (s *natsSystem) Parts() parts { return s.parts }

const natsHub = `server_name: hub
listen: "%s"
jetstream { store_dir: "%s", domain: hub, sync_interval: always }
leafnodes { listen: "%s" }
`

const natsLeaf = `server_name: leaf
listen: "%s"
jetstream { store_dir: "%s", domain: leaf, sync_interval: always }
leafnodes { reconnect: 1, remotes: [ { url: "nats-leaf://%s" } ] }
`

func (s *natsSystem) Start(ctx context.Context) error {
	var addr [3]string
	for i := range addr {
		port, err := freePort()
		if err != nil {
			return err
		}
		addr[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	s.hub, s.leaf = "nats://"+addr[0], "nats://"+addr[2]
	var err error
	if s.parts.link, err = newLink(addr[1]); err != nil {
		return err
	}
	for file, text := range map[string]string{
		"hub.conf":  fmt.Sprintf(natsHub, addr[0], filepath.Join(s.dir, "hub"), addr[1]),
		"leaf.conf": fmt.Sprintf(natsLeaf, addr[2], filepath.Join(s.dir, "leaf"), s.parts.link.addr()),
	} {
		if err := os.WriteFile(filepath.Join(s.dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	program := filepath.Join(*tools, "nats-server")
	s.parts.box = newProcess(filepath.Join(s.dir, "leaf.log"), program, "-c", filepath.Join(s.dir, "leaf.conf"))
	s.parts.receiver = newProcess(filepath.Join(s.dir, "hub.log"), program, "-c", filepath.Join(s.dir, "hub.conf"))
	s.parts.broker = s.parts.receiver // one program is both
	s.parts.receiver.start()
	s.parts.box.start()
	for _, a := range []string{addr[0], addr[2]} {
		if err := listening(a); err != nil {
			return err
		}
	}
	if s.conn, err = nats.Connect(s.leaf, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.RetryOnFailedConnect(true)); err != nil {
		return err
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return err
	}
	_, err = s.js.CreateStream(ctx, jetstream.StreamConfig{Name: "storm", Subjects: []string{"storm"}, Storage: jetstream.FileStorage, Duplicates: 2 * time.Minute})
	if err != nil {
		return fmt.Errorf("create the box's stream: %w", err)
	}
	return s.central(ctx, func(js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "central", Storage: jetstream.FileStorage,
			Sources: []*jetstream.StreamSource{{Name: "storm", External: &jetstream.ExternalStream{APIPrefix: "$JS.leaf.API"}}}})
		return err
	})
}

func (s *natsSystem) central(ctx context.Context, f func(jetstream.JetStream) error) error {
	c, err := nats.Connect(s.hub, nats.Timeout(5*time.Second))
	if err != nil {
		return err
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		return err
	}
	return f(js)
}

func (s *natsSystem) Send(ctx context.Context, seq int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := s.js.Publish(ctx, "storm", []byte(strconv.Itoa(seq)), jetstream.WithMsgID(strconv.Itoa(seq)))
	return err
}

func (s *natsSystem) Received(ctx context.Context) (out []int, err error) {
	err = s.central(ctx, func(js jetstream.JetStream) error {
		st, err := js.Stream(ctx, "central")
		if err != nil {
			return err
		}
		info, err := st.Info(ctx)
		if err != nil {
			return err
		}
		for seq := info.State.FirstSeq; seq > 0 && seq <= info.State.LastSeq; seq++ {
			m, err := st.GetMsg(ctx, seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(m.Data))
			if err != nil {
				return err
			}
			out = append(out, n)
		}
		return nil
	})
	return out, err
}

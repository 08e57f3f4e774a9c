package mqttclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/mqttclient"
)

// TestDialError: what a person reads when there is no connection, and what a program can still ask.
func TestDialError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = mqttclient.Dial(t.Context(), mqttclient.Options{Broker: "tcp://" + addr, ClientID: "x"})
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "connect to tcp://"+addr+": connection refused: the machine answers, and nothing listens on that port" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err = mqttclient.Dial(ctx, mqttclient.Options{Broker: "tcp://" + addr, ClientID: "x"}); err == nil || !strings.HasSuffix(err.Error(), "no answer in time") {
		t.Errorf("%v", err)
	}
	for want, cause := range map[string]error{
		"nobody knows the name b.example":                               &net.DNSError{Name: "b.example", Err: "no such host", IsNotFound: true},
		"cannot be looked up (server misbehaving): is there a network?": &net.DNSError{Name: "b.example", Err: "server misbehaving"},
		"no way to that machine":                                        &net.OpError{Op: "dial", Err: syscall.ENETUNREACH},
		"is TLS spoken on that port":                                    &net.OpError{Op: "read", Err: syscall.ECONNRESET},
		"the broker closed the connection without a word":               fmt.Errorf("network Error : %w", io.EOF),
		"the broker ended the TLS handshake: expired certificate":       errors.New("network Error : remote error: tls: expired certificate"),
		"x509: anything else":                                           errors.New("x509: anything else"),
	} {
		if e := (&mqttclient.DialError{Broker: "ssl://b", Err: cause}); !strings.Contains(e.Error(), want) || !errors.Is(e, cause) {
			t.Errorf("%v", e)
		}
	}
}

// TestLost: so does the end of a connection that stood.
func TestLost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b := make([]byte, 256)
		if _, err := c.Read(b); err == nil {
			_, _ = c.Write([]byte{0x20, 2, 0, 0}) // CONNACK: accepted; what goes wrong here the client sees
		}
		_, _ = c.Read(b[:1])
		c.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: "tcp://" + l.Addr().String(), ClientID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.Publish(ctx, "a", 0, false, nil) // the broker closes on it
	select {
	case <-c.Done():
	case <-ctx.Done():
		t.Fatal("the connection does not end")
	}
	if err := c.Err(); !errors.Is(err, mqttclient.ErrLost) || !strings.HasPrefix(err.Error(), "mqtt connection was lost: the ") {
		t.Errorf("%v", err)
	}
}

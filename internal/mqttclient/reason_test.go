package mqttclient_test

import (
	"context"
	"errors"
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
		"x509: anything else":                                           errors.New("x509: anything else"),
	} {
		if e := (&mqttclient.DialError{Broker: "ssl://b", Err: cause}); !strings.Contains(e.Error(), want) || !errors.Is(e, cause) {
			t.Errorf("%v", e)
		}
	}
}

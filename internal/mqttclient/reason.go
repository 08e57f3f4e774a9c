package mqttclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// DialError is why there is no connection, in the words of a person; what it wraps is the cause.
type DialError struct {
	Broker string
	Err    error
}

func (e *DialError) Error() string { return "connect to " + e.Broker + ": " + reason(e.Err) }

func (e *DialError) Unwrap() error { return e.Err }

// reason says the common causes without the chain of layers that they came through.
func reason(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: the machine answers, and nothing listens on that port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to that machine (network unreachable)"
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("nobody knows the name %s", dns.Name)
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %s cannot be looked up (%s): is there a network?", dns.Name, dns.Err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, syscall.ECONNRESET):
		return "the other side broke the connection off: is TLS spoken on that port, and does the broker want a certificate of ours?"
	}
	return err.Error()
}

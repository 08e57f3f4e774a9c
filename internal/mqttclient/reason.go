package mqttclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
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
	case errors.Is(err, io.EOF):
		return "the broker closed the connection without a word"
	}
	if alert := Alert(err); alert != "" {
		return "the broker ended the TLS handshake: " + alert
	}
	return err.Error()
}

// Alert is why the broker ended the TLS handshake, empty if it did not: "expired certificate", "unknown certificate authority".
func Alert(err error) string {
	if e := (*DialError)(nil); errors.As(err, &e) {
		err = e.Err
	}
	_, alert, _ := strings.Cut(err.Error(), "remote error: tls: ") // the MQTT library keeps only the text
	return alert
}

// lost is the end of a connection that stood, in the words of a person.
type lost struct{ err error }

func (e lost) Error() string {
	switch {
	case errors.Is(e.err, io.EOF):
		return "the broker closed it"
	case errors.Is(e.err, syscall.ECONNRESET), errors.Is(e.err, syscall.EPIPE):
		return "the other side broke it off"
	}
	return e.err.Error()
}

func (e lost) Unwrap() error { return e.err }

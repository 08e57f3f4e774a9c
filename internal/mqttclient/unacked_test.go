package mqttclient_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/mqttclient"
)

// forgetful is a broker for one client that takes every packet and acknowledges the publishes that it is told to.
func forgetful(t *testing.T, acks func(n int) bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		br := bufio.NewReader(c)
		for n := 0; ; {
			first, err := br.ReadByte()
			if err != nil {
				return
			}
			length, err := binary.ReadUvarint(br)
			if err != nil {
				return
			}
			body := make([]byte, length)
			if _, err := io.ReadFull(br, body); err != nil {
				return
			}
			switch first >> 4 {
			case 1:
				_, err = c.Write([]byte{0x20, 2, 0, 0})
			case 3:
				if n++; acks(n) {
					at := 2 + int(binary.BigEndian.Uint16(body))
					_, err = c.Write([]byte{0x40, 2, body[at], body[at+1]})
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return "tcp://" + l.Addr().String()
}

// TestLostAcknowledgement: a PUBACK that never comes takes one place, not the connection.
func TestLostAcknowledgement(t *testing.T) {
	c := dial(t, mqttclient.Options{Broker: forgetful(t, func(n int) bool { return n%20 != 0 }), ClientID: "a", MaxUnacked: 8})
	for i := range 100 { // five are never acknowledged, among them one of the first
		if err := c.Enqueue(testContext(t), "x", 1, false, []byte{byte(i)}); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if err := c.Publish(testContext(t), "x", 1, false, []byte("last")); err != nil {
		t.Errorf("the last one: %v", err)
	}
}

// TestNothingIsAcknowledged: a connection on which no PUBACK comes any more ends; else nothing would ever leave on it.
func TestNothingIsAcknowledged(t *testing.T) {
	c := dial(t, mqttclient.Options{Broker: forgetful(t, func(n int) bool { return n < 5 }), ClientID: "a", MaxUnacked: 8, WriteTimeout: 2 * time.Second})
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = c.Enqueue(testContext(t), "x", 1, false, []byte{byte(i)})
	}
	if !errors.Is(err, mqttclient.ErrLost) {
		t.Errorf("error %v, want that the connection was lost", err)
	}
}

package mqttclient_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/mqttclient"
)

// BenchmarkEnqueue is what it costs to publish 400 bytes at QoS 1: CPU of the whole process, with a broker in it that reads
// from a buffer and answers each with a PUBACK.
func BenchmarkEnqueue(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	all := make(chan int, 1)
	go func() { all <- acknowledge(l, b.N) }()
	c, err := mqttclient.Dial(b.Context(), mqttclient.Options{Broker: "tcp://" + l.Addr().String(), ClientID: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	payload := make([]byte, 400)
	before := cpu()
	for range b.N {
		if err := c.Enqueue(b.Context(), "edge/v1/box-17/a", 1, false, payload); err != nil {
			b.Fatal(err)
		}
	}
	if n := <-all; n < b.N {
		b.Fatalf("%d of %d arrived", n, b.N)
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// acknowledge is a broker for one publisher; it returns how many it has acknowledged, at n or at the end of the connection.
func acknowledge(l net.Listener, n int) (got int) {
	c, err := l.Accept()
	if err != nil {
		return 0
	}
	br := bufio.NewReaderSize(c, 64<<10)
	var body []byte
	for {
		first, err := br.ReadByte()
		if err != nil {
			return got
		}
		length, _ := binary.ReadUvarint(br)
		if uint64(cap(body)) < length {
			body = make([]byte, length)
		}
		body = body[:length]
		if _, err := io.ReadFull(br, body); err != nil {
			return got
		}
		switch first >> 4 {
		case 1:
			c.Write([]byte{0x20, 2, 0, 0})
		case 3:
			at := 2 + int(binary.BigEndian.Uint16(body))
			c.Write([]byte{0x40, 2, body[at], body[at+1]})
			if got++; got == n {
				go func() { io.Copy(io.Discard, br); c.Close() }()
				return got
			}
		}
	}
}

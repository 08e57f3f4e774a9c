package mqtt_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/receive/mqtt"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/wire"
)

// BenchmarkForeign is what it costs a hub to hear one frame of 400 bytes of a device that another hub serves: CPU of the
// whole process, with a sender that writes prepared packets.
func BenchmarkForeign(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go feed(l, b.N)
	a, err := mqtt.New(mqtt.Options{Client: mqttclient.Options{Broker: "tcp://" + l.Addr().String(), ClientID: "hub"},
		Mine: func(string) bool { return false }}, receive.New(receive.Options{Store: memory.New(nil)}))
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	before := cpu()
	go func() { done <- a.Run(ctx) }()
	for a.Stats().Foreign < uint64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// feed is a broker for one subscriber that sends it n frames.
func feed(l net.Listener, n int) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	br := bufio.NewReader(c)
	for subscribed := 0; subscribed < 3; {
		first, err := br.ReadByte()
		if err != nil {
			return
		}
		length, _ := binary.ReadUvarint(br)
		body := make([]byte, length)
		if _, err := io.ReadFull(br, body); err != nil {
			return
		}
		switch first >> 4 {
		case 1:
			c.Write([]byte{0x20, 2, 0, 0})
		case 8:
			subscribed++
			c.Write([]byte{0x90, 3, body[0], body[1], 0})
		}
	}
	topic := wire.Topics{}.Data("box-17", "telemetry")
	packet := binary.BigEndian.AppendUint16(nil, uint16(len(topic)))
	packet = append(append(packet, topic...), make([]byte, 400)...)
	packet = append(binary.AppendUvarint([]byte{0x30}, uint64(len(packet))), packet...)
	for range n {
		if _, err := c.Write(packet); err != nil {
			return
		}
	}
	io.Copy(io.Discard, br)
}

package modbus_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
)

// BenchmarkLine reads 125 registers again and again over a pty whose slave keeps the times of a real line: the request
// and the answer take 11 bits a byte, and the slave waits the silence of a frame's end before it answers. The limit is
// a master that sends the next request exactly one silence after the answer.
func BenchmarkLine(b *testing.B) {
	for _, baud := range []int{9600, 115200} {
		b.Run(fmt.Sprint(baud), func(b *testing.B) {
			f, name := openPTY(b)
			s := &slave{unit: 1}
			wire := func(n int) time.Duration { return time.Duration(n) * 11 * time.Second / time.Duration(baud) }
			pause := modbus.FramePause(baud)
			done := make(chan struct{})
			go func() {
				defer close(done)
				var q [8]byte
				for {
					if _, err := io.ReadFull(f, q[:]); err != nil {
						return
					}
					answer := modbus.AppendRTU(nil, 1, s.pdu(q[1:6]))
					time.Sleep(wire(len(q)) + pause + wire(len(answer)))
					if _, err := f.Write(answer); err != nil {
						return
					}
				}
			}()
			l := modbus.NewRTU(modbus.RTUOptions{Open: openTTY(name), Baud: baud})
			m := modbus.NewMaster(l, modbus.MasterOptions{})
			if _, err := m.ReadHolding(context.Background(), 1, 0, 125); err != nil {
				b.Fatal(err)
			}
			started, n := time.Now(), 0
			for b.Loop() {
				if _, err := m.ReadHolding(context.Background(), 1, 0, 125); err != nil {
					b.Fatal(err)
				}
				n++
			}
			cycle := time.Since(started) / time.Duration(n)
			limit := wire(8) + wire(255) + 2*pause
			b.ReportMetric(float64(125)/cycle.Seconds(), "registers/s")
			b.ReportMetric(float64(limit)/float64(cycle), "of_limit")
			l.Close()
			f.Close()
			<-done
		})
	}
}

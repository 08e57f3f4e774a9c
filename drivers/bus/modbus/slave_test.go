package modbus_test

import (
	"encoding/binary"
	"errors"
	"os"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
)

// slave is the tests' own RTU slave: registers 3·n+1, with faults to order. mbpoll checks that it is one.
type slave struct {
	unit  byte
	fault func(request, answer []byte) []byte // changes what goes out; nil: nothing
	stop  chan struct{}
}

// serve answers on f until it is closed.
func (s *slave) serve(f *os.File) {
	var buf []byte
	var b [300]byte
	for {
		f.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		n, err := f.Read(b[:])
		buf = append(buf, b[:n]...)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err == nil {
			continue // a request ends with silence
		}
		select {
		case <-s.stop:
			return
		default:
		}
		if len(buf) < 4 {
			buf = buf[:0]
			continue
		}
		crc := modbus.CRC(buf[:len(buf)-2])
		if buf[0] == s.unit && buf[len(buf)-2] == byte(crc) && buf[len(buf)-1] == byte(crc>>8) {
			answer := modbus.AppendRTU(nil, s.unit, s.pdu(buf[1:len(buf)-2]))
			if s.fault != nil {
				answer = s.fault(buf, answer)
			}
			f.Write(answer)
		}
		buf = buf[:0]
	}
}

func (s *slave) pdu(q []byte) []byte {
	be := binary.BigEndian
	switch q[0] {
	case 3, 4:
		addr, n := be.Uint16(q[1:]), be.Uint16(q[3:])
		if addr >= 1000 {
			return []byte{q[0] | 0x80, 2}
		}
		out := []byte{q[0], byte(2 * n)}
		for i := range n {
			out = be.AppendUint16(out, 3*(addr+i)+1)
		}
		return out
	case 6:
		return q
	case 65: // its own: what it hears, with the length
		return append([]byte{65, byte(len(q) - 1)}, q[1:]...)
	case 24: // the example of the specification, section 6.18
		return []byte{0x18, 0, 6, 0, 2, 0x01, 0xb8, 0x12, 0x84}
	case 20: // section 6.14, one of its two groups
		return []byte{0x14, 6, 5, 6, 0x0d, 0xfe, 0x00, 0x20}
	case 43: // section 6.21: "Company identification", product "Product code XX", version "V2.11"
		if q[3] == 0 {
			return append([]byte{0x2b, 0x0e, 1, 1, 0xff, 2, 2, 0, 22}, "Company identification\x01\x0fProduct code XX"...)
		}
		return append([]byte{0x2b, 0x0e, 1, 1, 0, 0, 1, 2, 5}, "V2.11"...)
	}
	return []byte{q[0] | 0x80, 1}
}

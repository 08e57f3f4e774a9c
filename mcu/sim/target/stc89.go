package target

import (
	"encoding/binary"
	"time"

	"github.com/edgelog/edgelog/mcu/boot"
)

// STC89 is an STC89C52RC at 11.0592 MHz with ISP monitor 7.2C. The monitor listens for a second after power-on.
type STC89 struct {
	core
	*Flash
	Runs bool // the application was started
}

const (
	stcFlashBytes = 8 << 10
	stcWindow     = time.Second
	stcClock      = 11059200
	stcMagic      = 0xf002
)

// NewSTC89 makes a chip without supply.
func NewSTC89() *STC89 {
	s := &STC89{}
	s.Flash = newFlash(stcFlashBytes, s.core.step)
	s.run = s.monitor
	return s
}

// State says what the chip would run: "empty" has no reset vector.
func (s *STC89) State() string {
	if s.Cells[0] == 0xff {
		return "empty"
	}
	return "image"
}

func (s *STC89) frame(after time.Duration, payload ...byte) {
	b := []byte{0x46, 0xb9, 0x68}
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)+5))
	b = append(b, payload...)
	sum := byte(0)
	for _, c := range b[2:] {
		sum += c
	}
	s.writeAfter(after, append(b, sum, 0x16)...)
}

func (s *STC89) application() {
	s.Runs = true
	for {
		s.read()
	}
}

func (s *STC89) monitor() {
	s.Runs = false
	s.mode = boot.Mode{Baud: 2400}
	for s.read() != 0x7f {
		if time.Since(s.onSince) > stcWindow {
			s.application()
		}
	}
	if time.Since(s.onSince) > stcWindow {
		s.application()
	}
	count := uint16(stcClock * 7 / (2400 * 12))
	status := []byte{0x00}
	for range 8 {
		status = binary.BigEndian.AppendUint16(status, count)
	}
	status = append(status, 0x72, 'C', 0xfd, stcMagic>>8, stcMagic&0xff)
	s.frame(0, append(status, make([]byte, 16)...)...)
	for {
		if p := s.request(); len(p) > 0 && s.obey(p) {
			return
		}
	}
}

// request reads one frame; bytes outside frames and damaged frames are passed over. A frame that stands still for
// longer than half a second is given up, as the next one begins.
func (s *STC89) request() []byte {
	for {
		if s.read() != 0x46 || s.read() != 0xb9 || s.read() != 0x6a {
			continue
		}
		began := time.Now()
		hi, lo := s.read(), s.read()
		n := int(hi)<<8 | int(lo)
		if n < 6 || n > 300 {
			continue
		}
		sum := 0x6a + hi + lo
		p := make([]byte, 0, n)
		for len(p) < n-5 {
			c := s.read()
			if time.Since(began) > 2*time.Second {
				break
			}
			p = append(p, c)
			sum += c
		}
		if len(p) < n-5 || s.read() != sum || s.read() != 0x16 {
			continue
		}
		return p
	}
}

// obey does what a request wants; true ends the monitor.
func (s *STC89) obey(p []byte) bool {
	const settle = 150 * time.Millisecond // after a change of speed the host gets time to follow
	switch p[0] {
	case 0x8f, 0x8e:
		if len(p) < 6 || p[3] != 0xff-p[1] || p[4] != byte(2*(256-int(binary.BigEndian.Uint16(p[1:])))) {
			return false
		}
		old := s.mode
		ticks := 65536 - int(binary.BigEndian.Uint16(p[1:]))
		s.mode.Baud = nominal(stcClock / (32 * ticks))
		s.frame(settle, p...)
		if p[0] == 0x8f {
			s.mode = old
		}
	case 0x80:
		s.frame(0, 0x80)
	case 0x84:
		if len(p) >= 2 {
			s.erase(0, int(p[1])*256, 512)
			s.frame(0, 0x80)
		}
	case 0x00:
		if len(p) != 7+128 {
			return false
		}
		s.Flash.program(int(binary.BigEndian.Uint16(p[3:])), p[7:])
		sum := byte(0)
		for i := range 128 { // of what the cells hold now
			sum += s.Cells[(int(binary.BigEndian.Uint16(p[3:]))+i)%len(s.Cells)]
		}
		s.frame(0, 0x80, sum)
	case 0x8d:
		s.frame(0, p...)
	case 0x82:
		s.application()
	}
	return false
}

// nominal is the usual speed that a divider comes closest to.
func nominal(baud int) int {
	for _, b := range []int{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200} {
		if baud > b*96/100 && baud < b*104/100 {
			return b
		}
	}
	return baud
}

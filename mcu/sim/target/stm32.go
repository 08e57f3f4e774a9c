package target

import (
	"encoding/binary"

	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/mcu/boot"
)

// STM32 is an STM32F103 (medium density, 128 KiB in pages of 1 KiB) with its ROM bootloader version 2.2.
type STM32 struct {
	core
	*Flash
	Boot0     bool // pin at reset: true starts the ROM
	Protected bool // readout protection
	Went      bool // the ROM was told to go to the application
}

const (
	stmFlashBytes = 128 << 10
	stmPage       = 1 << 10
	stmBase       = 0x08000000
	stmAck        = 0x79
	stmNack       = 0x1f
)

// NewSTM32 makes a chip without supply.
func NewSTM32() *STM32 {
	s := &STM32{}
	s.mode = boot.Mode{Baud: 115200, Parity: serial.ParityEven}
	s.Flash = newFlash(stmFlashBytes, s.core.step)
	s.run = s.program
	return s
}

// Reset pulls the reset pin.
func (s *STM32) Reset() { s.Power(true) }

// State says what the chip would run: "empty" has no reset vector, or one that is written in part and points nowhere.
func (s *STM32) State() string {
	if s.Cells[7] == 0xff {
		return "empty"
	}
	return "image"
}

func (s *STM32) program() {
	s.Went = false
	if !s.Boot0 {
		for {
			s.read() // the application listens to nobody here
		}
	}
	for s.read() != 0x7f {
	}
	s.write(stmAck)
	for {
		code, check := s.read(), s.read()
		if code^check != 0xff {
			s.write(stmNack)
			continue
		}
		s.command(code)
		if s.Went {
			for {
				s.read()
			}
		}
	}
}

func (s *STM32) command(code byte) {
	switch code {
	case 0x00:
		list := []byte{0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x43, 0x63, 0x73, 0x82, 0x92}
		s.write(stmAck, byte(len(list)), 0x22)
		s.write(list...)
		s.write(stmAck)
	case 0x01:
		s.write(stmAck, 0x22, 0, 0, stmAck)
	case 0x02:
		s.write(stmAck, 1, 0x04, 0x10, stmAck)
	case 0x11:
		s.readMemory()
	case 0x21:
		if s.allowed() {
			if addr, ok := s.address(); ok {
				s.Went = addr == stmBase
			}
		}
	case 0x31:
		s.writeMemory()
	case 0x43:
		s.eraseMemory()
	default:
		s.write(stmNack)
	}
}

func (s *STM32) allowed() bool {
	if s.Protected {
		s.write(stmNack)
		return false
	}
	s.write(stmAck)
	return true
}

// address reads four bytes and their sum.
func (s *STM32) address() (uint32, bool) {
	b := []byte{s.read(), s.read(), s.read(), s.read()}
	if s.read() != b[0]^b[1]^b[2]^b[3] {
		s.write(stmNack)
		return 0, false
	}
	addr := binary.BigEndian.Uint32(b)
	if addr != 0x1ffff7e0 && (addr < stmBase || addr >= stmBase+stmFlashBytes) {
		s.write(stmNack)
		return 0, false
	}
	s.write(stmAck)
	return addr, true
}

func (s *STM32) readMemory() {
	if !s.allowed() {
		return
	}
	addr, ok := s.address()
	if !ok {
		return
	}
	n := s.read()
	if s.read() != ^n {
		s.write(stmNack)
		return
	}
	s.write(stmAck)
	for i := range uint32(n) + 1 {
		switch at := addr + i; {
		case addr == 0x1ffff7e0:
			s.write([]byte{stmFlashBytes >> 10, 0, 0xff, 0xff}[i%4])
		case at-stmBase < stmFlashBytes:
			s.write(s.Cells[at-stmBase])
		default:
			s.write(0)
		}
	}
}

func (s *STM32) writeMemory() {
	if !s.allowed() {
		return
	}
	addr, ok := s.address()
	if !ok {
		return
	}
	n := int(s.read()) + 1
	sum := byte(n - 1)
	data := make([]byte, n)
	for i := range data {
		data[i] = s.read()
		sum ^= data[i]
	}
	if s.read() != sum || addr < stmBase || addr%4 != 0 {
		s.write(stmNack)
		return
	}
	s.Flash.program(int(addr-stmBase), data)
	s.write(stmAck)
}

func (s *STM32) eraseMemory() {
	if !s.allowed() {
		return
	}
	n := s.read()
	if n == 0xff {
		if s.read() != 0 {
			s.write(stmNack)
			return
		}
		s.erase(0, stmFlashBytes, stmPage)
		s.write(stmAck)
		return
	}
	sum, pages := n, make([]byte, int(n)+1)
	for i := range pages {
		pages[i] = s.read()
		sum ^= pages[i]
	}
	if s.read() != sum {
		s.write(stmNack)
		return
	}
	for _, p := range pages {
		s.erase(int(p)*stmPage, stmPage, stmPage)
	}
	s.write(stmAck)
}

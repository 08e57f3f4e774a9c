package boot

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"sort"
)

// Machine is whose code an image is.
type Machine string

// The machines.
const (
	MachineUnknown Machine = ""
	MachineAVR     Machine = "avr"
	MachineARM     Machine = "arm"
	MachineMCS51   Machine = "8051"
)

// Segment is a run of bytes at an address of the chip.
type Segment struct {
	Addr uint32
	Data []byte
}

// Image is firmware: segments in rising order that do not touch each other. Its creator gives the bytes away.
type Image struct {
	Machine  Machine // MachineUnknown for formats that do not say it
	Segments []Segment
}

// Len is the number of bytes.
func (m *Image) Len() int {
	n := 0
	for _, s := range m.Segments {
		n += len(s.Data)
	}
	return n
}

// Span is from the first to behind the last byte.
func (m *Image) Span() Span {
	if len(m.Segments) == 0 {
		return Span{}
	}
	last := m.Segments[len(m.Segments)-1]
	return Span{m.Segments[0].Addr, last.Addr + uint32(len(last.Data))}
}

// Flat is the bytes of a span with fill where the image has none.
func (m *Image) Flat(s Span, fill byte) []byte {
	out := bytes.Repeat([]byte{fill}, s.Len())
	for _, g := range m.Segments {
		from, to := max(g.Addr, s.From), min(g.Addr+uint32(len(g.Data)), s.To)
		if from < to {
			copy(out[from-s.From:], g.Data[from-g.Addr:to-g.Addr])
		}
	}
	return out
}

// blocks are the addresses, in rising order, of the aligned blocks of size bytes that hold a byte of the image.
func (m *Image) blocks(size uint32) []uint32 {
	var out []uint32
	for _, g := range m.Segments {
		for a := g.Addr - g.Addr%size; a < g.Addr+uint32(len(g.Data)); a += size {
			if n := len(out); n == 0 || out[n-1] < a {
				out = append(out, a)
			}
		}
	}
	return out
}

// newImage sorts and joins segments; two that overlap are refused.
func newImage(machine Machine, segs []Segment) (*Image, error) {
	sort.SliceStable(segs, func(i, j int) bool { return segs[i].Addr < segs[j].Addr })
	m := &Image{Machine: machine}
	for _, s := range segs {
		if len(s.Data) == 0 {
			continue
		}
		if uint64(s.Addr)+uint64(len(s.Data)) > 1<<32-1 {
			return nil, fmt.Errorf("%w: it goes beyond the end of the address space", ErrImage)
		}
		if n := len(m.Segments); n > 0 {
			last := &m.Segments[n-1]
			switch end := last.Addr + uint32(len(last.Data)); {
			case s.Addr < end:
				return nil, fmt.Errorf("%w: two parts of it stand at %#x", ErrImage, s.Addr)
			case s.Addr == end:
				last.Data = append(last.Data[:len(last.Data):len(last.Data)], s.Data...)
				continue
			}
		}
		m.Segments = append(m.Segments, s)
	}
	if len(m.Segments) == 0 {
		return nil, fmt.Errorf("%w: it holds nothing", ErrImage)
	}
	if n := m.Span().Len(); n > MaxImageBytes {
		return nil, fmt.Errorf("%w: it covers %d bytes, at most %d are taken", ErrImage, n, MaxImageBytes)
	}
	return m, nil
}

// Parse reads an image as ELF, Intel HEX or, failing both, as plain bytes that belong at base.
func Parse(file []byte, base uint32) (*Image, error) {
	switch {
	case len(file) > MaxFileBytes:
		return nil, fmt.Errorf("%w: the file has %d bytes, at most %d are read", ErrImage, len(file), MaxFileBytes)
	case len(file) == 0:
		return nil, fmt.Errorf("%w: the file is empty", ErrImage)
	case bytes.HasPrefix(file, []byte(elf.ELFMAG)):
		return parseELF(file)
	case file[0] == ':' && looksHex(file):
		return ParseHex(file)
	}
	return newImage(MachineUnknown, []Segment{{base, file}})
}

// looksHex tells text from a binary that begins with a colon by chance.
func looksHex(file []byte) bool {
	for _, c := range file[:min(len(file), 11)] {
		if c != ':' && (c < '0' || c > '9') && (c < 'A' || c > 'F') && (c < 'a' || c > 'f') && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

const (
	emAVR    = elf.Machine(83)
	avrRAM   = 0x800000 // avr-gcc places RAM, EEPROM and fuses at addresses from here
	em8051   = elf.Machine(165)
	maxProgs = 256
)

// parseELF reads the loadable segments at their physical addresses. What avr-gcc places above the flash (EEPROM,
// fuses) is left out: no bootloader here writes it.
func parseELF(file []byte) (_ *Image, err error) {
	defer func() { // debug/elf promises little for hostile files
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: ELF: %v", ErrImage, p)
		}
	}()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: ELF: %w", ErrImage, err)
	}
	machine, ok := map[elf.Machine]Machine{emAVR: MachineAVR, elf.EM_ARM: MachineARM, em8051: MachineMCS51}[f.Machine]
	if !ok {
		return nil, fmt.Errorf("%w: ELF for %v; wanted is AVR, ARM or 8051", ErrImage, f.Machine)
	}
	if len(f.Progs) > maxProgs {
		return nil, fmt.Errorf("%w: ELF with %d segments", ErrImage, len(f.Progs))
	}
	var segs []Segment
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Filesz == 0 || machine == MachineAVR && p.Paddr >= avrRAM {
			continue
		}
		if p.Filesz > uint64(len(file)) || p.Paddr > 1<<32-1 {
			return nil, fmt.Errorf("%w: ELF segment of %d bytes at %#x", ErrImage, p.Filesz, p.Paddr)
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			return nil, fmt.Errorf("%w: ELF: %w", ErrImage, err)
		}
		segs = append(segs, Segment{uint32(p.Paddr), data})
	}
	return newImage(machine, segs)
}

// Check says whether an image may be written to a chip: its errors wrap ErrWrongChip, ErrTooLarge or ErrImage. A format
// that does not name its machine is judged by what stands where the chip begins.
func Check(m *Image, c Chip) error {
	if m == nil || len(m.Segments) == 0 {
		return fmt.Errorf("%w: it holds nothing", ErrImage)
	}
	if m.Machine != MachineUnknown && m.Machine != c.Machine {
		return fmt.Errorf("%w: it is %s code, the chip (%s) runs %s", ErrWrongChip, m.Machine, c.Name, c.Machine)
	}
	s := m.Span()
	if c.Protocol == ProtocolSMP { // a signed file is uploaded as it is; where it runs is MCUboot's business
		if s.Len() > c.Flash.Len() {
			return fmt.Errorf("%w: it has %d bytes, a slot %d", ErrTooLarge, s.Len(), c.Flash.Len())
		}
		return mcubootHead(m.Flat(Span{s.From, s.From + 8}, 0))
	}
	if s.From < c.Flash.From || s.To > c.Flash.To {
		return fmt.Errorf("%w: it covers %#x to %#x, %s has %#x to %#x for an application", ErrTooLarge, s.From, s.To, c.Name, c.Flash.From, c.Flash.To)
	}
	if s.From != c.Flash.From {
		return fmt.Errorf("%w: nothing stands at %#x, where %s begins", ErrWrongChip, c.Flash.From, c.Name)
	}
	if why := startsLike(m, c); why != nil {
		return fmt.Errorf("%w: %w", ErrWrongChip, why)
	}
	return nil
}

// startsLike looks at the reset vector.
func startsLike(m *Image, c Chip) error {
	head := m.Flat(Span{c.Flash.From, c.Flash.From + 8}, 0xff)
	switch c.Machine {
	case MachineAVR:
		op := uint16(head[0]) | uint16(head[1])<<8
		if op&0xfe0e != 0x940c && op&0xf000 != 0xc000 { // JMP, RJMP
			return errors.New("it does not begin with a jump of an AVR")
		}
	case MachineMCS51:
		if head[0] != 0x02 && head[0]&0x1f != 0x01 && head[0] != 0x80 && head[0] != 0x75 && head[0] != 0xc2 { // LJMP, AJMP, SJMP, MOV, CLR
			return errors.New("it does not begin with a jump of an 8051")
		}
	case MachineARM:
		sp, reset := le32(head), le32(head[4:])
		if sp&3 != 0 || sp>>28 != 2 && sp>>28 != 1 || reset&1 == 0 || reset < c.Flash.From || reset >= c.Flash.To {
			return fmt.Errorf("it does not begin with the vectors of a Cortex-M (stack %#x, reset %#x)", sp, reset)
		}
	}
	return nil
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

package boot_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/mcu/boot"
)

// hexText writes Intel HEX with lines of 16 bytes, as objcopy does.
func hexText(addr uint32, data []byte) []byte {
	var b strings.Builder
	line := func(kind byte, at uint16, d []byte) {
		raw := append([]byte{byte(len(d)), byte(at >> 8), byte(at), kind}, d...)
		sum := byte(0)
		for _, c := range raw {
			sum -= c
		}
		fmt.Fprintf(&b, ":%X%02X\r\n", raw, sum)
	}
	upper := uint32(0)
	for i := 0; i < len(data); i += 16 {
		at := addr + uint32(i)
		if at>>16 != upper {
			upper = at >> 16
			line(4, 0, []byte{byte(upper >> 8), byte(upper)})
		}
		line(0, uint16(at), data[i:min(i+16, len(data))])
	}
	line(5, 0, []byte{0, 0, 0, 1})
	line(1, 0, nil)
	return []byte(b.String())
}

// elfFile is a 32-bit little-endian file with two segments.
func elfFile(machine uint16, at []uint32, data [][]byte) []byte {
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, machine)
	for _, v := range []uint32{1, 0, 52, 0, 0} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range []uint16{52, 32, uint16(len(at)), 40, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	off := uint32(52 + 32*len(at))
	for i, a := range at {
		n := uint32(len(data[i]))
		for _, v := range []uint32{1, off, a + 0x100, a, n, n, 5, 1} { // the virtual address differs: the physical one counts
			b = le.AppendUint32(b, v)
		}
		off += n
	}
	for _, d := range data {
		b = append(b, d...)
	}
	return b
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func TestParse(t *testing.T) {
	data := pattern(70000) // crosses a border of 64 KiB
	cases := []struct {
		name    string
		file    []byte
		machine boot.Machine
		from    uint32
	}{
		{"hex", hexText(0x08000000, data), boot.MachineUnknown, 0x08000000},
		{"bin", data, boot.MachineUnknown, 0x1000},
		{"elf", elfFile(40, []uint32{0x08000000}, [][]byte{data}), boot.MachineARM, 0x08000000},
		{"elf of an AVR", elfFile(83, []uint32{0x810000, 0}, [][]byte{{1, 2, 3}, data}), boot.MachineAVR, 0},
	}
	for _, c := range cases {
		m, err := boot.Parse(c.file, 0x1000)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.Machine != c.machine || m.Span() != (boot.Span{From: c.from, To: c.from + 70000}) || !bytes.Equal(m.Flat(m.Span(), 0), data) {
			t.Errorf("%s: machine %q, %+v", c.name, m.Machine, m.Span())
		}
	}
	m, err := boot.ParseHex([]byte(":0200000401026F\n:00000001FF\n"))
	if !errors.Is(err, boot.ErrImage) {
		t.Errorf("nothing in it: %v, %v", m, err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(hexText(0, pattern(64)))
	cases := map[string]string{
		"cut short":        good[:len(good)-13],
		"changed digit":    strings.Replace(good, "0007", "0008", 1),
		"line 2":           good[:45] + "x" + good[45:],
		"follows the end":  good + ":0100000000FF\n",
		"two parts":        ":0100000001FE\n:0100000002FD\n:00000001FF\n",
		"record type 9":    ":00000009F7\n:00000001FF\n",
		"covers":           ":0100000001FE\n:020000048000" + "7A\n:0100000002FD\n:00000001FF\n",
		"address record":   ":0100000401FA\n:00000001FF\n",
		"no end record":    ":0100000001FE\n",
		"does not fit its": ":0300000001FE\n",
	}
	for name, text := range cases {
		_, err := boot.ParseHex([]byte(text))
		if !errors.Is(err, boot.ErrImage) || name != "cut short" && name != "changed digit" && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := boot.Parse(elfFile(62, []uint32{0}, [][]byte{{1}}), 0); !errors.Is(err, boot.ErrImage) || !strings.Contains(err.Error(), "X86_64") {
		t.Errorf("ELF of a PC: %v", err)
	}
	if _, err := boot.Parse(nil, 0); !errors.Is(err, boot.ErrImage) {
		t.Errorf("empty: %v", err)
	}
}

func TestCheck(t *testing.T) {
	avr := boot.Chip{Protocol: boot.ProtocolSTK500, Name: "ATmega328P", Machine: boot.MachineAVR, Flash: boot.Span{To: 0x7e00}}
	stc := boot.Chip{Protocol: boot.ProtocolSTC89, Name: "STC89C52RC", Machine: boot.MachineMCS51, Flash: boot.Span{To: 0x2000}}
	stm := boot.Chip{Protocol: boot.ProtocolAN3155, Name: "STM32F1", Machine: boot.MachineARM, Flash: boot.Span{From: 0x08000000, To: 0x08020000}}
	head := map[string][]byte{"avr": {0x0c, 0x94, 0x34, 0}, "8051": {0x02, 0x00, 0x26}, "arm": {0, 0x50, 0, 0x20, 0x31, 1, 0, 8}}
	for _, c := range []struct {
		name string
		chip boot.Chip
		head string
		at   uint32
		size int
		want error
	}{
		{"fits", avr, "avr", 0, 0x7e00, nil}, {"fits", stc, "8051", 0, 0x2000, nil}, {"fits", stm, "arm", 0x08000000, 0x20000, nil},
		{"too large", avr, "avr", 0, 0x7e01, boot.ErrTooLarge}, {"too large", stc, "8051", 0, 0x2001, boot.ErrTooLarge},
		{"another chip", avr, "8051", 0, 100, boot.ErrWrongChip}, {"another chip", stc, "avr", 0, 100, boot.ErrWrongChip},
		{"another chip", stm, "avr", 0x08000000, 100, boot.ErrWrongChip}, {"not at its place", stm, "arm", 0, 100, boot.ErrTooLarge},
		{"begins late", avr, "avr", 0x100, 100, boot.ErrWrongChip},
	} {
		m, err := boot.Parse(append(append([]byte(nil), head[c.head]...), make([]byte, c.size-len(head[c.head]))...), c.at)
		if err != nil {
			t.Fatal(err)
		}
		if err := boot.Check(m, c.chip); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s on %s: %v, want %v", c.name, c.chip.Name, err, c.want)
		}
	}
	m, _ := boot.Parse(elfFile(40, []uint32{0}, [][]byte{head["avr"]}), 0)
	if err := boot.Check(m, avr); !errors.Is(err, boot.ErrWrongChip) || !strings.Contains(err.Error(), "arm code") {
		t.Errorf("ELF of another machine: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(hexText(0xfff0, pattern(40)))
	f.Add(elfFile(83, []uint32{0, 0x800100}, [][]byte{{1, 2}, {3}}))
	f.Add([]byte(":020000021000EC\n:0100000001FE\n:00000001FF\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := boot.Parse(b, 0)
		if err != nil {
			return
		}
		n, end := 0, uint64(0)
		for _, s := range m.Segments {
			if uint64(s.Addr) < end || len(s.Data) == 0 {
				t.Fatalf("segments are not in order: %#x after %#x", s.Addr, end)
			}
			n, end = n+len(s.Data), uint64(s.Addr)+uint64(len(s.Data))
		}
		if n != m.Len() || n > m.Span().Len() || m.Span().Len() > boot.MaxImageBytes {
			t.Fatalf("%d bytes in %+v", n, m.Span())
		}
		if m.Span().Len() > 1<<16 {
			return
		}
		again, err := boot.ParseHex(hexText(m.Span().From, m.Flat(m.Span(), 0xff)))
		if err != nil || !bytes.Equal(again.Flat(again.Span(), 0), m.Flat(m.Span(), 0xff)) {
			t.Fatalf("as HEX again: %v", err)
		}
	})
}

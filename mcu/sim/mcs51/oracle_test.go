package mcs51_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/mcu/sim/mcs51"
)

// state is what s51 prints behind each step.
type state struct {
	pc    uint16
	ticks int // of this step
	r     [8]byte
	acc   byte
	b     byte
	psw   byte
	sp    byte
	dptr  uint16
}

var (
	stop    = regexp.MustCompile(`Stop at 0x([0-9a-f]+): \(\d+\) (?:stepped (\d+) ticks)?`)
	regs    = regexp.MustCompile(`^     ((?:[0-9a-f]{2} ){7}[0-9a-f]{2})`)
	accB    = regexp.MustCompile(`ACC= 0x([0-9a-f]+).*B= 0x([0-9a-f]+)`)
	pswRE   = regexp.MustCompile(`PSW= 0x([0-9a-f]+)`)
	spRE    = regexp.MustCompile(`^SP 0x([0-9a-f]+)`)
	dptrRE  = regexp.MustCompile(`DPTR= 0x([0-9a-f]+)`)
	bytesRE = regexp.MustCompile(`^0x([0-9a-f]+)\s{5,}((?:[0-9a-f]{2} )+)`)
	namedRE = regexp.MustCompile(`^0x([0-9a-f]+) \w+:.* 0b\d+ 0x([0-9a-f]+)`)
)

func num(s string) uint64 { v, _ := strconv.ParseUint(s, 16, 32); return v }

// s51 runs a program for so many steps in the 8052 simulator of Debian's sdcc-ucsim, with cleared memory. It returns
// the states, and the internal RAM and SFRs at the end.
func s51(t *testing.T, code []byte, steps int) (states []state, iram, sfr []byte) {
	t.Helper()
	bin, err := exec.LookPath("s51")
	if err != nil {
		t.Fatal("s51 is missing: install sdcc-ucsim (deploy/bootstrap/setup.sh mcu)")
	}
	path := filepath.Join(t.TempDir(), "p.ihx")
	if err := os.WriteFile(path, intelHex(code), 0o600); err != nil {
		t.Fatal(err)
	}
	var in strings.Builder
	in.WriteString("fill iram 0 0xff 0\nfill xram 0 0xffff 0\n")
	for range steps {
		in.WriteString("step\n")
	}
	in.WriteString("dump iram 0 0xff\ndump sfr 0x80 0xff\nquit\n")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "-t", "8052", "-X", "12M", "-q", path)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("s51: %v", err)
	}
	iram, sfr = make([]byte, 256), make([]byte, 128)
	into, base := iram, 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		l := lines.Text()
		if m := stop.FindStringSubmatch(l); m != nil {
			ticks, _ := strconv.Atoi(m[2]) // 0: s51 stopped to say that the stack has wrapped, and shows no registers
			states = append(states, state{pc: uint16(num(m[1])), ticks: ticks})
			continue
		}
		if len(states) == 0 {
			continue
		}
		states[len(states)-1].take(l)
		if strings.HasPrefix(l, "0x80 P0:") {
			into, base = sfr, 0x80
		}
		if m := bytesRE.FindStringSubmatch(l); m != nil {
			v, _ := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
			copy(into[int(num(m[1]))-base:], v)
		} else if m := namedRE.FindStringSubmatch(l); m != nil && base != 0 {
			into[int(num(m[1]))-base] = byte(num(m[2]))
		}
	}
	if len(states) < steps*9/10 {
		t.Fatalf("s51 made %d of %d steps: %.300s", len(states), steps, out)
	}
	return states, iram, sfr
}

func (s *state) take(l string) {
	if m := regs.FindStringSubmatch(l); m != nil {
		b, _ := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
		copy(s.r[:], b)
	}
	if m := accB.FindStringSubmatch(l); m != nil {
		s.acc, s.b = byte(num(m[1])), byte(num(m[2]))
	}
	if m := pswRE.FindStringSubmatch(l); m != nil {
		s.psw = byte(num(m[1]))
	}
	if m := spRE.FindStringSubmatch(l); m != nil {
		s.sp = byte(num(m[1]))
	}
	if m := dptrRE.FindStringSubmatch(l); m != nil {
		s.dptr = uint16(num(m[1]))
	}
}

func now(c *mcs51.CPU, ticks int) state {
	s := state{pc: c.PC, ticks: ticks, acc: c.SFR[0x60], b: c.SFR[0x70], psw: c.SFR[0x50], sp: c.SFR[1]}
	s.dptr = uint16(c.SFR[3])<<8 | uint16(c.SFR[2])
	copy(s.r[:], c.RAM[s.psw&0x18:])
	p := byte(0)
	for a := s.acc; a != 0; a &= a - 1 {
		p ^= 1
	}
	s.psw = s.psw&^1 | p
	return s
}

// compare runs the program in both and names the first difference.
func compare(t *testing.T, name string, code []byte, steps int) bool {
	t.Helper()
	want, iram, sfr := s51(t, code, steps)
	c := &mcs51.CPU{Code: code, XRAM: make([]byte, 1<<16)}
	c.Reset()
	total := 0
	for i, w := range want {
		pc, before := c.PC, c.Cycles
		for total += w.ticks; ; { // where an interrupt comes, s51 makes one step of its entry and an instruction
			if err := c.Step(); err != nil {
				t.Errorf("%s, step %d at %#x: %v", name, i, pc, err)
				return false
			}
			if w.ticks == 0 {
				total = int(c.Cycles) * 12
			}
			if int(c.Cycles)*12 >= total {
				break
			}
		}
		got := now(c, int(c.Cycles-before)*12)
		if w.ticks == 0 {
			w = got
			w.pc = want[i].pc
		}
		got.psw, w.psw = got.psw&^1, w.psw&^1 // see TestEveryOpcode
		if got != w {
			t.Errorf("%s, step %d at %#04x, code % x:\n got %+v\nwant %+v", name, i, pc, code[pc:min(int(pc)+3, len(code))], got, w)
			return false
		}
	}
	if !bytes.Equal(c.RAM[:], iram) {
		t.Errorf("%s: internal RAM differs:\n got % x\nwant % x", name, c.RAM, iram)
		return false
	}
	for i, v := range sfr {
		// s51 lets its timers count the last cycle of an instruction when the next one begins.
		late := (i == 0x0a || i == 0x0b || i == 0x4c) && v+1 == c.SFR[i]
		if got := c.SFR[i]; got != v && i != 0x50 && i != 0x19 && !late {
			t.Errorf("%s: SFR %#x is %#x, want %#x", name, i+0x80, got, v)
			return false
		}
	}
	return true
}

func intelHex(code []byte) []byte {
	var b bytes.Buffer
	for at := 0; at < len(code); at += 16 {
		part := code[at:min(at+16, len(code))]
		rec := append([]byte{byte(len(part)), byte(at >> 8), byte(at), 0}, part...)
		sum := byte(0)
		for _, x := range rec {
			sum -= x
		}
		fmt.Fprintf(&b, ":%X%02X\n", rec, sum)
	}
	b.WriteString(":00000001FF\n")
	return b.Bytes()
}

var seeds = flag.Int("seeds", 6, "random programs of TestRandomPrograms")

// TestRandomPrograms compares the state after every instruction, cycles included, and all memory at the end with s51.
func TestRandomPrograms(t *testing.T) {
	for seed := range *seeds {
		if !compare(t, fmt.Sprintf("seed %d", seed), program(uint64(seed), 4000), 1500) {
			return
		}
	}
}

// program is random code without the byte 0x87, which as an address is PCON and can stop the core, and without 0xa5.
// The opcode 0x87 stands in TestEveryOpcode.
func program(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 51))
	code := make([]byte, n)
	for i := range code {
		for code[i] = 0xa5; code[i] == 0xa5 || code[i] == 0x87; {
			code[i] = byte(rng.Uint32())
		}
	}
	return code
}

// TestEveryOpcode runs each opcode with several operands, accumulators and carries. What jumps lands in the middle of
// something else; both cores land there.
func TestEveryOpcode(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for part := range 4 {
		var code []byte
		for op := range 256 {
			if op == 0xa5 || op&0x1f == 0x01 || op&0x1f == 0x11 || op == 0x02 || op == 0x12 || op == 0x22 || op == 0x32 || op == 0x73 {
				continue // random programs are full of them
			}
			ram := func() byte { return 0x28 + byte(rng.IntN(0x50)) }
			// PSW before A: s51 takes a written parity bit as it is, until A changes; the silicon does not.
			code = append(code, 0x75, 0xd0, byte(rng.Uint32()), 0x74, byte(rng.Uint32()), 0x75, 0xf0, byte(rng.Uint32()), // PSW, A, B
				0x78, ram(), 0x79, ram(), 0x75, 0x81, 0x90) // R0, R1, SP
			code = append(code, byte(op), ram(), 0, 0, 0) // a jump by 0 goes on; further bytes are NOPs
		}
		if !compare(t, fmt.Sprintf("part %d", part), code, 256*9) {
			return
		}
	}
}

func TestRealProgram(t *testing.T) {
	mcs51.EntryOfS51(true) // its ticks interrupt it
	defer mcs51.EntryOfS51(false)
	code, err := mcs51.LoadHex("../../../firmware/build/node-stc89.ihx")
	if err != nil {
		t.Fatalf("%v: run make firmware", err)
	}
	compare(t, "node-stc89", code, 20000)
}

// TestTimersAndInterrupts compares programs that count with all timers in all modes and are interrupted by them. Where a
// low and a high interrupt come within an instruction of each other s51 enters both in one step, in the order of its own
// polling: such priorities are not compared.
func TestTimersAndInterrupts(t *testing.T) {
	mcs51.EntryOfS51(true)
	defer mcs51.EntryOfS51(false)
	for _, tmod := range []byte{0x00, 0x11, 0x22, 0x12, 0x21, 0x20, 0x02, 0x10} {
		for _, ip := range []byte{0, 2} {
			code := make([]byte, 0x80)
			at := func(a int, b ...byte) { copy(code[a:], b) }
			at(0, 0x02, 0x00, 0x40)                // LJMP 40
			at(0x0b, 0x05, 0x30, 0x32)             // timer 0: INC 30, RETI
			at(0x1b, 0x05, 0x31, 0x00, 0x32)       // timer 1
			at(0x2b, 0xc2, 0xcf, 0x05, 0x32, 0x32) // timer 2: CLR TF2
			at(0x40,
				0x75, 0x89, tmod, 0x75, 0x8c, 0xf1, 0x75, 0x8d, 0xe3, 0x75, 0x8a, 0x18, 0x75, 0x8b, 0x19, // TMOD, TH0, TH1, TL0, TL1: the upper bits of TL are not defined in mode 0
				0x75, 0xca, 0xb0, 0x75, 0xcb, 0xff, 0x75, 0xcc, 0xc0, 0x75, 0xcd, 0xff, // RCAP2, T2
				0x75, 0xb8, ip, 0x75, 0xa8, 0xaa, 0x75, 0xc8, 0x04, 0x75, 0x88, 0x50, // IP, IE, T2CON, TCON
				0x05, 0x40, 0xa4, 0xe8, 0x80, 0xfa) // INC, MUL, MOV, SJMP
			if !compare(t, fmt.Sprintf("TMOD %#x, IP %#x", tmod, ip), code, 700) {
				continue
			}
		}
	}
}

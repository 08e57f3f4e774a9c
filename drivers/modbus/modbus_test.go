package modbus_test

import (
	"bufio"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	bus "github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/modbus"
)

func TestShippedProfiles(t *testing.T) {
	names := modbus.Names()
	if len(names) < 10 {
		t.Fatalf("%d profiles", len(names))
	}
	for _, n := range names {
		p, err := modbus.Shipped(n)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if p.Name != n || p.Manual == "" || p.Serial.Baud == 0 {
			t.Errorf("%s: name %q, manual %q, baud %d", n, p.Name, p.Manual, p.Serial.Baud)
		}
		for _, g := range p.Registers {
			if g.Type != "bool" && g.Min == 0 && g.Max == 0 {
				t.Errorf("%s: %s has no range", n, g.Name)
			}
		}
	}
	if _, err := modbus.Shipped("xy-md03"); err == nil || !strings.Contains(err.Error(), `did you mean "xy-md02"`) {
		t.Errorf("got %v", err)
	}
}

// Readings as the manuals give them as examples.
func TestManualExamples(t *testing.T) {
	cases := []struct {
		profile, register string
		regs              []uint16
		want              string
	}{
		{"xy-md02", "temperature", []uint16{0x0131}, "30.5"},
		{"xy-md02", "temperature", []uint16{0xff33}, "-20.5"},
		{"xy-md02", "humidity", []uint16{0x0222}, "54.6"},
		{"seeed-soil-ec-02", "temperature", []uint16{0x0702}, "17.94"},
		{"seeed-soil-ec-02", "temperature", []uint16{0xff05}, "-2.51"},
		{"seeed-soil-ec-02", "moisture", []uint16{0x071d}, "18.21"},
		{"seeed-soil-ec-02", "conductivity", []uint16{0x071d}, "1821"},
		{"renke-rs-ecth", "moisture", []uint16{0x01ef}, "49.5"},
		{"renke-rs-ecth", "temperature", []uint16{0x0144}, "32.4"},
		{"senseair-s8", "co2", []uint16{0x0388}, "904"},
		{"pzem-004t-v3", "current", []uint16{0x03e8, 0x0000}, "1.000"},
		{"pzem-004t-v3", "power.active", []uint16{0x08fc, 0x0001}, "6783.6"},
		{"pzem-017", "voltage", []uint16{0x2710}, "100.00"},
		{"eastron-sdm230", "voltage", []uint16{0x4366, 0x3334}, "230.20001220703125"},
		{"carlo-gavazzi-em24", "voltage", []uint16{2301, 0}, "230.1"},
		{"carlo-gavazzi-em24", "power.active.total", []uint16{0xfffe, 0xffff}, "-0.2"},
		{"schneider-iem3155", "energy.import", []uint16{0, 0, 1, 2}, "65538"},
		{"tuf-2000m", "flow", []uint16{0x3334, 0x4366}, "230.20001220703125"},
	}
	for _, c := range cases {
		p, err := modbus.Shipped(c.profile)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for i := range p.Registers {
			if g := &p.Registers[i]; g.Name == c.register && !found {
				found = true
				if got := text(g.Decode(c.regs)); got != c.want {
					t.Errorf("%s %s %04x = %s, want %s", c.profile, c.register, c.regs, got, c.want)
				}
			}
		}
		if !found {
			t.Errorf("%s has no %s", c.profile, c.register)
		}
	}
}

func text(s drivers.Sample) string {
	if s.Quality.Bad() {
		return s.Quality.String()
	}
	r := record.Record{Type: s.Type, Num: s.Num, Data: &record.Data{Value: s.Value}}
	return string(r.AppendText(nil))
}

const head = "name: x\ntitle: x\nmanual: x\nregisters:\n"

func TestDecode(t *testing.T) {
	cases := []struct {
		def  string
		regs []uint16
		want string
	}{
		{"type: uint16", []uint16{65535}, "65535"},
		{"type: int16, scale: '0.5', offset: '-40'", []uint16{0xffff}, "-40.5"},
		{"type: uint16, scale: '0.1', offset: '-40.25'", []uint16{1}, "-40.15"},
		{"type: uint16, scale: '10'", []uint16{7}, "70"},
		{"type: uint64", []uint16{0x8000, 0, 0, 0}, "bad:overflow"},
		{"type: int64", []uint16{0x8000, 0, 0, 0}, "-9223372036854775808"},
		{"type: int64, scale: '0.10'", []uint16{0x7fff, 0, 0, 0}, "bad:overflow"},
		{"type: int32, word_order: little", []uint16{1, 0xffff}, "-65535"},
		{"type: float32, word_order: big, byte_order: big", []uint16{0x42c8, 0x1000}, "100.03125"},       // ABCD
		{"type: float32, word_order: little", []uint16{0x1000, 0x42c8}, "100.03125"},                     // CDAB
		{"type: float32, byte_order: little", []uint16{0xc842, 0x0010}, "100.03125"},                     // BADC
		{"type: float32, word_order: little, byte_order: little", []uint16{0x0010, 0xc842}, "100.03125"}, // DCBA
		{"type: int64, byte_order: little", []uint16{0x0100, 0x0200, 0x0300, 0x0400}, "281483566841860"},
		{"type: int64, word_order: little, byte_order: little", []uint16{0x0400, 0x0300, 0x0200, 0x0100}, "281483566841860"},
		{"type: int16, byte_order: little, none: 0x8000", []uint16{0xfeff}, "-2"},
		{"type: int16, byte_order: little, none: 0x8000", []uint16{0x0080}, "bad:nan"},
		{"type: bcd32, byte_order: little", []uint16{0x3412, 0x7856}, "12345678"},
		{"type: string, length: 2, byte_order: little", []uint16{0x4241, 0x0043}, "ABC"},
		{"bit: 0, byte_order: little", []uint16{0x0100}, "true"},
		{"type: float32", []uint16{0x7fc0, 0}, "bad:nan"},
		{"type: float32", []uint16{0x7f80, 0}, "bad:nan"},
		{"type: float32, scale: '2'", []uint16{0x3fc0, 0}, "3"},
		{"type: float64", []uint16{0x3ff8, 0, 0, 0}, "1.5"},
		{"type: int16, none: 0x8000", []uint16{0x8000}, "bad:nan"},
		{"bit: 15", []uint16{0x8000}, "true"},
		{"table: coil", []uint16{0}, "false"},
		{"type: bcd32", []uint16{0x1234, 0x5678}, "12345678"},
		{"type: bcd16", []uint16{0x1a34}, "bad:malformed"},
		{"type: string, length: 3", []uint16{0x4142, 0x4300, 0}, "ABC"},
		{"type: string, length: 1", []uint16{0xff80}, "bad:malformed"},
		{"type: uint32", []uint16{1}, "bad:malformed"},
	}
	for _, c := range cases {
		p, err := modbus.Load("x", []byte(head+"- {name: v, address: 0, description: x, "+c.def+"}\n"))
		if err != nil {
			t.Errorf("%s: %v", c.def, err)
			continue
		}
		if got := text(p.Registers[0].Decode(c.regs)); got != c.want {
			t.Errorf("%s %04x = %s, want %s", c.def, c.regs, got, c.want)
		}
	}
}

func TestBadProfiles(t *testing.T) {
	cases := []struct{ def, want string }{
		{"type: int17", `x:5:3  v: type "int17": want uint16`},
		{"type: bool", "bool goes with coils"},
		{"table: coils", `table "coils": want one of holding, input, coil, discrete`},
		{"scale: '0'", `scale "0"`},
		{"scale: '1e3'", `scale "1e3"`},
		{"scal: 3", `unknown key "scal"`},
		{"type: string", "a string needs a length"},
		{"type: uint32, word_order: mid", `word_order "mid"`},
		{"type: uint32, word_order: CDAB", "CDAB: word_order little"},
		{"type: uint32, byte_order: swapped", `byte_order "swapped": want big or little; ABCD: both big, CDAB: word_order little, BADC: byte_order little, DCBA: both little`},
		{"none: x", `none "x"`},
		{"min: 3, max: 2", "range 3 to 2 is empty"},
		{"bit: 16", "bit 16"},
	}
	for _, c := range cases {
		_, err := modbus.Load("x", []byte(head+"- {name: v, address: 0, description: x, "+c.def+"}\n"))
		if !errors.Is(err, drivers.ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.def, err)
		}
	}
	if _, err := modbus.Load("x", []byte("byte_order: BADC\n"+head+"- {name: v, address: 0, description: x}\n")); err == nil || !strings.Contains(err.Error(), `x:1:13  byte_order "BADC"`) {
		t.Errorf("byte order of a profile: %v", err)
	}
	twice := head + "- {name: v, address: 0, description: x}\n- {name: v, address: 1, description: x}\n"
	if _, err := modbus.Load("x", []byte(twice)); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("got %v", err)
	}
}

// The byte order of a profile is that of its registers, unless one says another.
func TestByteOrderOfAProfile(t *testing.T) {
	p, err := modbus.Load("x", []byte("byte_order: little\nword_order: little\n"+head+
		"- {name: a, address: 0, type: uint32, description: x}\n- {name: b, address: 2, type: uint32, byte_order: big, word_order: big, description: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, regs := range [][]uint16{{0x0403, 0x0201}, {0x0102, 0x0304}} {
		if got := text(p.Registers[i].Decode(regs)); got != "16909060" {
			t.Errorf("register %d: %s", i, got)
		}
	}
}

// slave starts the libmodbus slave of drivers/bus/modbus: unit any over TCP, register n holds 7n + 3.
func slave(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "slave")
	if out, err := exec.Command("cc", "-O1", "-o", bin, "../bus/modbus/testdata/slave.c", "-lmodbus").CombinedOutput(); err != nil {
		t.Fatalf("this test needs a C compiler and libmodbus (apt-get install gcc libmodbus-dev): %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	cmd := exec.Command(bin, "tcp", port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port
}

const probe = `name: probe
title: test
manual: none
max_gap: 10
registers:
  - {name: a, address: 0, scale: "0.1", unit: V, description: x}
  - {name: b, address: 5, table: input, type: uint32, description: x}
  - {name: c, address: 3, type: int32, word_order: little, description: x}
  - {name: far, address: 999, description: the last register}
  - {name: beyond, address: 1000, description: does not exist}
  - {name: on, address: 6, table: coil, description: x}
  - {name: off, address: 7, table: discrete, description: x}
`

func newBus(t *testing.T, addr string) *modbus.Bus {
	t.Helper()
	p, err := modbus.Load("probe.yaml", []byte(probe))
	if err != nil {
		t.Fatal(err)
	}
	b, err := modbus.New(modbus.Options{Line: bus.NewTCP(addr), Name: "bench", Timeout: 500 * time.Millisecond,
		Devices: []modbus.Device{{Unit: 17, Name: "cellar", Profile: p}, {Unit: 18, Profile: p}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) {
	addr := slave(t)
	driverstest.Run(t, func(t *testing.T) drivers.Sensor { return newBus(t, addr) }, driverstest.Options{})
}

func TestReadsLibmodbus(t *testing.T) {
	b := newBus(t, slave(t))
	defer b.Close()
	for range 2 {
		out, err := b.Read(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, s := range out {
			q := b.Quantities()[s.Quantity]
			got[q.Label("slave")+" "+q.Name] = text(s)
		}
		for k, want := range map[string]string{"17 a": "0.3", "17 b": strconv.Itoa(38<<16 + 45), "17 c": strconv.Itoa(31<<16 + 24),
			"17 far": "6996", "17 beyond": "bad:unsupported", "17 on": "true", "17 off": "false", "18 a": "0.3"} {
			if got[k] != want {
				t.Errorf("%s = %s, want %s", k, got[k], want)
			}
		}
	}
	if k := b.Quantities()[0].Key(); k != `a{bus="bench",name="cellar",profile="probe",slave="17"}` {
		t.Errorf("key %s", k)
	}
}

// A slave that is silent costs one time-out a sweep at first, then nothing until it is probed again.
func TestSilentSlave(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := modbus.Shipped("xy-md02")
	if err != nil {
		t.Fatal(err)
	}
	b, err := modbus.New(modbus.Options{Line: bus.NewTCP(l.Addr().String()), Name: "x", Timeout: 500 * time.Millisecond, Retries: -1,
		Devices: []modbus.Device{{Unit: 1, Profile: p}}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	want := []record.Quality{record.QualityTimeout, record.QualityTimeout, record.QualityTimeout, record.QualityNoDevice}
	for i, q := range want {
		started := time.Now()
		out, err := b.Read(t.Context(), nil)
		if err != nil || len(out) != 2 || out[0].Quality != q || out[1].Quality != q {
			t.Fatalf("sweep %d: %v, %v", i, out, err)
		}
		if i == 3 && time.Since(started) > 400*time.Millisecond {
			t.Errorf("a dead slave cost %s", time.Since(started))
		}
	}
}

func TestLineDown(t *testing.T) {
	b := newBus(t, "127.0.0.1:1")
	defer b.Close()
	if out, err := b.Read(t.Context(), nil); !errors.Is(err, drivers.ErrBus) || len(out) != 0 {
		t.Errorf("got %v, %v", out, err)
	}
}

func FuzzProfile(f *testing.F) {
	f.Add([]byte(probe), uint16(1), uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, a, b uint16) {
		p, err := modbus.Load("f", data)
		if err != nil {
			return
		}
		for i := range p.Registers {
			for n := range 5 {
				s := p.Registers[i].Decode([]uint16{a, b, a ^ b, b, a}[:n])
				if s.Quality.Bad() != (s.Type == record.TypeNone) {
					t.Fatalf("%+v", s)
				}
			}
		}
	})
}

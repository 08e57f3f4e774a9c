package thermo_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
	sim "github.com/edgelog/edgelog/internal/sim/w1"
)

func pad(t *testing.T, hexBytes string) thermo.Scratchpad {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(hexBytes, " ", ""))
	if err != nil || len(b) != 8 {
		t.Fatalf("%q: want 8 bytes", hexBytes)
	}
	return thermo.Scratchpad(append(b, onewire.CRC8(b)))
}

func TestTemperature(t *testing.T) {
	for _, c := range []struct {
		name   string
		family thermo.Family
		bytes  string // without CRC
		want   int64
		q      record.Quality
	}{
		// DS18B20 datasheet (19-7487 Rev 6) table 1.
		{"+125", thermo.DS18B20, "d0 07 4b 46 7f ff 10 10", 125_0000, 0},
		{"+25.0625", thermo.DS18B20, "91 01 4b 46 7f ff 0f 10", 25_0625, 0},
		{"+10.125", thermo.DS18B20, "a2 00 4b 46 7f ff 0e 10", 10_1250, 0},
		{"+0.5", thermo.DS18B20, "08 00 4b 46 7f ff 08 10", 5000, 0},
		{"0", thermo.DS18B20, "00 00 4b 46 7f ff 10 10", 0, 0},
		{"-0.5", thermo.DS18B20, "f8 ff 4b 46 7f ff 08 10", -5000, 0},
		{"-10.125", thermo.DS18B20, "5e ff 4b 46 7f ff 02 10", -10_1250, 0},
		{"-25.0625", thermo.DS18B20, "6f fe 4b 46 7f ff 01 10", -25_0625, 0},
		{"-55", thermo.DS18B20, "90 fc 4b 46 7f ff 10 10", -55_0000, 0},
		// Undefined bits at lower resolutions are cleared.
		{"9 bits", thermo.DS18B20, "97 01 4b 46 1f ff 09 10", 25_0000, 0},
		{"10 bits", thermo.DS18B20, "97 01 4b 46 3f ff 09 10", 25_2500, 0},
		{"11 bits", thermo.DS18B20, "97 01 4b 46 5f ff 09 10", 25_3750, 0},
		{"9 bits below zero", thermo.DS18B20, "ff ff 4b 46 1f ff 01 10", -5000, 0},
		{"127.94", thermo.DS18B20, "ff 07 4b 46 7f ff 0c 10", 0, record.QualityNoConversion},
		{"127.94 at 9 bits", thermo.DS18B20, "f8 07 4b 46 1f ff 0c 10", 0, record.QualityNoConversion},
		{"all zero", thermo.DS18B20, "00 00 00 00 00 00 00 00", 0, record.QualityAllZero},
		{"DS18S20 all zero", thermo.DS18S20, "00 00 00 00 00 00 00 00", 0, record.QualityAllZero},
		{"DS28EA00", thermo.DS28EA00, "91 01 4b 46 7f ff 0f 10", 25_0625, 0},
		// DS18S20: TEMP_READ - 0.25 + (16 - remain)/16.
		{"DS18S20 power-on", thermo.DS18S20, "aa 00 4b 46 ff ff 0c 10", 85_0000, 0},
		{"DS18S20 24.9375", thermo.DS18S20, "32 00 4b 46 ff ff 0d 10", 24_9375, 0},
		{"DS18S20 half degree ignored", thermo.DS18S20, "33 00 4b 46 ff ff 0d 10", 24_9375, 0},
		{"DS18S20 -0.5", thermo.DS18S20, "ff ff 4b 46 ff ff 04 10", -5000, 0},
		{"DS18S20 without count", thermo.DS18S20, "32 00 4b 46 ff ff 0d 00", 0, record.QualityMalformed},
		{"MAX31850", thermo.DS1825, "10 64 4b 46 f0 ff 10 10", 1601_0000, 0},
		{"MAX31850 fault", thermo.DS1825, "11 64 4b 46 f0 ff 10 10", 0, record.QualityDevice},
		{"GX20MH01 14 bits", thermo.DS18B20, "91 01 4b 46 fd ff 0f 10", 25_0781, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := pad(t, c.bytes)
			got, q := s.Temperature(c.family)
			if got != c.want || q != c.q {
				t.Errorf("got %d %s, want %d %s", got, q, c.want, c.q)
			}
		})
	}
}

// TestCRC uses a ROM printed in Maxim's application note 27 and two widely published reads.
func TestCRC(t *testing.T) {
	for _, line := range []string{"02 1c b8 01 00 00 00 a2", "50 05 4b 46 7f ff 0c 10 1c", "72 01 4b 46 7f ff 0e 10 57"} {
		b, _ := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if onewire.CRC8(b) != 0 {
			t.Errorf("CRC over %s is %02x, want 0", line, onewire.CRC8(b))
		}
	}
}

// TestSimulatorAgrees lets the simulator's encoder, written from the datasheet, and the decoder meet at every
// temperature and resolution.
func TestSimulatorAgrees(t *testing.T) {
	for v := -55 * 16; v <= 125*16; v++ {
		for res := 9; res <= 12; res++ {
			p := thermo.Scratchpad(sim.Encode("28-000000000001", v, res))
			want := int64(v) &^ (1<<(12-res) - 1) * 625
			if got, q := p.Temperature(thermo.DS18B20); got != want || !q.Good() || p.Resolution() != res || onewire.CRC8(p[:]) != 0 {
				t.Fatalf("%d/16 at %d bits: got %d %s, want %d", v, res, got, q, want)
			}
		}
		p := thermo.Scratchpad(sim.Encode("10-000000000001", v, 12))
		if got, q := p.Temperature(thermo.DS18S20); got != int64(v)*625 || !q.Good() {
			t.Fatalf("DS18S20 %d/16: got %d %s (% x)", v, got, q, p)
		}
	}
}

func TestPowerOn(t *testing.T) {
	const (
		reset    = "50 05 4b 46 7f ff 0c 10"
		measured = "50 05 4b 46 7f ff 10 10" // byte 6 follows the temperature
		at84     = "40 05 4b 46 7f ff 10 10"
		at8494   = "4f 05 4b 46 7f ff 01 10"
		at21     = "57 01 4b 46 7f ff 09 10"
		clone84  = "4f 05 4b 46 7f ff 0c 10" // byte 6 is constant
		clone21  = "57 01 4b 46 7f ff 0c 10"
		s21      = "2a 00 4b 46 ff ff 0c 10"
		s84      = "a9 00 4b 46 ff ff 0c 10"
		sReset   = "aa 00 4b 46 ff ff 0c 10"
	)
	for _, c := range []struct {
		name   string
		family thermo.Family
		reads  []string
		want   string // p: power-on, g: good
	}{
		{"first read after power-on", thermo.DS18B20, []string{reset, at21}, "pg"},
		{"restart at room temperature", thermo.DS18B20, []string{at21, reset, reset, at21}, "gppg"},
		{"restart near 85, chip known", thermo.DS18B20, []string{at21, at8494, reset}, "ggp"},
		{"ramp through 85, chip known", thermo.DS18B20, []string{at8494, measured, measured, at84}, "gggg"},
		{"jump to a measured 85, chip known", thermo.DS18B20, []string{at21, measured}, "gg"},
		{"85 at the start, byte 6 not that of power-on", thermo.DS18B20, []string{measured}, "p"},
		{"clone: ramp", thermo.DS18B20, []string{clone84, reset}, "gg"},
		{"clone: jump", thermo.DS18B20, []string{clone21, reset, clone21}, "gpg"},
		{"clone: many readings at 85", thermo.DS18B20, []string{clone84, reset, reset, reset}, "gggg"},
		{"byte 6 fits by chance, then 85", thermo.DS18B20, []string{at84, measured}, "gg"},
		{"DS18S20 at the start", thermo.DS18S20, []string{sReset}, "p"},
		{"DS18S20 jump", thermo.DS18S20, []string{s21, sReset}, "gp"},
		{"DS18S20 ramp", thermo.DS18S20, []string{s84, sReset}, "gg"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h thermo.History
			got := ""
			for _, r := range c.reads {
				s := pad(t, r)
				v, q := s.Temperature(c.family)
				if !q.Good() {
					t.Fatalf("%s: %s", r, q)
				}
				if h.PowerOn(c.family, &s, v) {
					got += "p"
				} else {
					got += "g"
				}
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// FuzzJudge: whatever a chip answers, what is called good is a number that its register can hold, and what is bad has none.
func FuzzJudge(f *testing.F) {
	f.Add(byte(0x28), []byte{0x57, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x09, 0x10, 0xc7})
	f.Add(byte(0x10), []byte{0xaa, 0x00, 0x4b, 0x46, 0xff, 0xff, 0x0c, 0x10, 0x87})
	f.Add(byte(0x3b), make([]byte, 9))
	f.Fuzz(func(t *testing.T, family byte, b []byte) {
		if len(b) < 9 {
			return
		}
		s := thermo.Scratchpad(b[:9])
		var h thermo.History
		for _, sum := range []byte{s[8], onewire.CRC8(s[:8])} { // as it is, and with a right checksum
			s[8] = sum
			v, q := thermo.Judge(thermo.Family(family), &h, &s, true)
			if q.Bad() && v != 0 {
				t.Fatalf("% x: %d, %s", s, v, q)
			}
			if !q.Bad() && (v < -16385_0000 || v > 16385_0000) {
				t.Fatalf("% x: %d/10000 °C is %s", s, v, q)
			}
			_ = thermo.Suspect(onewire.NewAddress(family, uint64(b[0])), &s)
		}
	})
}

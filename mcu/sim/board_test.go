package sim_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu/sim"
)

func (r *rig) heater() bool { return r.node.Board.Relays.On(0) }

// quick makes the thresholds' times short: minimum times 2 s, fail-safe after 3 s, fan on in fail-safe.
func (r *rig) quick() {
	r.write(0xac, 2, 2, 2, 2, 2, 3)
}

func TestThermostat(t *testing.T) {
	eachChip(t, 1, func(t *testing.T, r *rig) {
		r.quick()
		r.sensor[0].Sixteenths = 20 * 16
		r.run(5 * time.Second)
		if !r.heater() || r.node.Board.Relays.On(1) {
			t.Fatalf("20 °C: relays %#b", r.node.Board.Relays.State)
		}
		r.sensor[0].Sixteenths = 24*16 + 8 // between the thresholds: stays
		r.run(4 * time.Second)
		if !r.heater() {
			t.Error("the heater went off between its thresholds")
		}
		r.sensor[0].Sixteenths = 29 * 16
		r.run(5 * time.Second)
		if r.heater() || !r.node.Board.Relays.On(1) {
			t.Errorf("29 °C: relays %#b", r.node.Board.Relays.State)
		}
		for i, c := range r.node.Board.Relays.Changes[1:] {
			if d := c.At - r.node.Board.Relays.Changes[i].At; d < 0 {
				t.Error("time runs backwards")
			}
		}
		r.sensor[0].Sixteenths = 20 * 16
		r.run(5 * time.Second)
		r.chips[0].Gone = true
		r.run(3 * time.Second)
		if !r.heater() {
			t.Error("the heater went off before the fail-safe delay")
		}
		r.run(6 * time.Second)
		if r.heater() || !r.node.Board.Relays.On(1) {
			t.Errorf("fail-safe: relays %#b, want the fan only", r.node.Board.Relays.State)
		}
		if v := r.read(0x81, 3); v[0] != 1 || v[1] != 0x8000 || v[2] != 133 {
			t.Errorf("fail-safe registers %#x", v)
		}
		r.chips[0].Gone = false
		r.run(8 * time.Second)
		if !r.heater() {
			t.Error("the heater does not come back with the sensor")
		}
		r.clean()
	})
}

func TestSensorFaults(t *testing.T) {
	eachChip(t, 1, func(t *testing.T, r *rig) {
		r.run(3 * time.Second)
		quality := func(what string, want uint16) {
			t.Helper()
			r.run(3500 * time.Millisecond)
			if v := r.read(0x44, 2); v[1] != want || want != 0 && v[0] != 0x8000 {
				t.Errorf("%s: value %#x, quality %d, want %d", what, v[0], v[1], want)
			}
		}
		quality("healthy", 0)
		r.chips[0].Damage = 1 << 20
		quality("CRC noise", 132)
		r.chips[0].Damage = 0
		quality("healthy again", 0)
		r.node.Board.Wire.Short(true)
		quality("shorted", 135)
		r.node.Board.Wire.Short(false)
		quality("not shorted", 0)
		r.chips[0].Gone = true
		quality("absent", 133)
		r.chips[0].Gone = false
		r.sensor[0].PowerFail(r.chips[0])
		quality("power failed, then converted", 0)
		r.sensor[0].Clone = true
		quality("counterfeit", 0)
		r.node.Board.Pin.Late = 8 * time.Microsecond
		quality("slow", 0)
		r.node.Board.Pin.Late = 0
		r.chips[0].Convert = 10 * time.Second
		quality("never done converting", 134)
	})
}

func TestDisplay(t *testing.T) {
	for _, kind := range []string{"avr", "stc89-lcd"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, kind, 3)
			r.sensor[0].Sixteenths, r.sensor[1].Sixteenths, r.sensor[2].Sixteenths = -170, -170, -170
			r.write(0x90, 2026, 11<<8|28, 18<<8|30, 0<<8|6) // a Saturday evening
			r.write(0xb4, 18*60, 22*60)                     // timer 1
			r.quick()
			r.run(3 * time.Second)
			first := r.node.Board.LCD.Lines()
			if first[0] != "-10.6°C HEAT    " || !strings.HasPrefix(first[1], "18:30:0") || !strings.HasSuffix(first[1], "    1---") {
				t.Errorf("first page:\n%s", r.node.Board.LCD.Picture())
			}
			r.run(4 * time.Second)
			second := r.node.Board.LCD.Lines()
			if !strings.HasPrefix(second[0], "1 -10.6°C   ") || !strings.HasPrefix(second[1], "2 -10.6°C   ") {
				t.Errorf("second page:\n%s", r.node.Board.LCD.Picture())
			}
			r.clean()
			r.line.Do(func() { r.node.Board.LCD.Unplugged = true })
			r.run(3 * time.Second)
			ago := r.line.Now() - time.Second
			r.line.Do(func() { r.node.Board.LCD.Unplugged = false; r.node.Board.LCD.PowerCycle(ago) })
			r.run(12 * time.Second) // until the next page the program speaks past a display that has just come up
			r.node.Board.Violations()
			r.run(6 * time.Second)
			if l := r.node.Board.LCD.Lines(); strings.TrimSpace(l[0]+l[1]) == "" {
				t.Error("a display that was unplugged stays dark")
			}
			r.clean()
		})
	}
}

func TestClockAndTimers(t *testing.T) {
	eachChip(t, 1, func(t *testing.T, r *rig) {
		r.run(1500 * time.Millisecond)
		if s := r.read(0x94, 1)[0]; s != 2 {
			t.Errorf("a chip that was never set: state %d, want 2", s)
		}
		r.write(0xb4, 23*60, 60, 0, 1) // timer 1 over midnight, timer 2 in the first minute
		r.write(0x90, 2027, 12<<8|31, 23<<8|59, 58<<8|5)
		r.run(1500 * time.Millisecond)
		if !r.node.Board.Relays.On(2) || r.node.Board.Relays.On(3) {
			t.Errorf("23:59: relays %#b", r.node.Board.Relays.State)
		}
		r.run(2 * time.Second)
		if v := r.read(0x90, 5); v[0] != 2028 || v[1] != 1<<8|1 || v[2] != 0 || v[4] != 0 {
			t.Errorf("behind the end of the year: %#x", v)
		}
		if !r.node.Board.Relays.On(2) || !r.node.Board.Relays.On(3) {
			t.Errorf("0:00: relays %#b", r.node.Board.Relays.State)
		}
		now := r.line.Now()
		r.line.Do(func() { r.node.Board.Clock.Stop(true, now) })
		r.run(6 * time.Second)
		if s := r.read(0x94, 1)[0]; s != 2 || r.node.Board.Relays.On(2) {
			t.Errorf("stopped clock: state %d, relays %#b", s, r.node.Board.Relays.State)
		}
		r.line.Do(func() { r.node.Board.Clock.Absent = true })
		r.run(2 * time.Second)
		if s := r.read(0x94, 1)[0]; s != 1 {
			t.Errorf("absent clock: state %d", s)
		}
		r.clean()
	})
}

func TestSettings(t *testing.T) {
	eachChip(t, 1, func(t *testing.T, r *rig) {
		exception := func(want byte, addr uint16, v ...uint16) {
			t.Helper()
			err := r.master.WriteRegisters(context.Background(), r.unit, addr, v)
			var x *modbus.Exception
			if !errors.As(err, &x) || x.Code != want {
				t.Errorf("write %#x %v: %v, want exception %d", addr, v, err, want)
			}
		}
		exception(3, 0xa8, 380, 30000)
		if v := r.read(0xa8, 1)[0]; v != 384 {
			t.Errorf("half of a refused write was done: %d", v)
		}
		exception(2, 0x40, 1)
		exception(2, 0x200, 1)
		exception(2, 0xc0, 1)
		exception(3, 0xc2, 1)
		exception(4, 0xd1, 0x5253)
		r.write(0xa8, 500)
		exception(4, 0xc2, 0x5341) // HEATER_ON above HEATER_OFF
		r.write(0xa0, 17)
		r.write(0xa2, 0xdead, 0xbeef)
		r.write(0xa8, 300, 320)
		if s := r.read(0xc0, 1)[0]; s != 1 {
			t.Errorf("settings state %d, want changed", s)
		}
		r.write(0xc2, 0x5341)
		if s := r.read(0xc0, 2); s[0] != 0 || s[1] != 1 {
			t.Errorf("behind SAVE: %v", s)
		}
		r.line.Do(r.node.PowerCycle)
		r.run(200 * time.Millisecond)
		r.unit = 17
		if v := r.read(5, 2); v[0] != 0xdead || v[1] != 0xbeef {
			t.Errorf("serial %#x", v)
		}
		if v := r.read(0xa8, 2); v[0] != 300 || v[1] != 320 {
			t.Errorf("thresholds %v", v)
		}
		r.clean()
	})
}

func TestResetAndWatchdog(t *testing.T) {
	eachChip(t, 1, func(t *testing.T, r *rig) {
		r.write(0xd0, 0xb007)
		r.write(0xd1, 0x5253)
		r.run(500 * time.Millisecond)
		if v := r.read(0xc, 3); v[1] != 2 || v[2] != 5 {
			t.Errorf("boots %d, cause %d, want 2, 5 (command)", v[1], v[2])
		}
		r.write(0xd0, 0xb007)
		r.run(12 * time.Second)
		if err := r.master.WriteRegister(context.Background(), r.unit, 0xd1, 0x5253); err == nil {
			t.Error("a command is obeyed 12 s after ARM")
		}
		r.clean()
	})
}

// TestPowerCutInSave cuts the power at each byte of a save: the settings are the old or the new ones, never anything else.
func TestPowerCutInSave(t *testing.T) {
	r := newRig(t, "stc89", 0)
	stc := r.node.Chip.(*sim.STC)
	old := uint16(300)
	r.write(0xa8, old, 320)
	r.write(0xc2, 0x5341)
	for cut := 1; cut < 66; cut += 3 {
		fresh := uint16(200 + cut)
		r.write(0xa8, fresh)
		stc.CutIn = cut
		_ = r.master.WriteRegister(context.Background(), r.unit, 0xc2, 0x5341)
		done := !stc.Cut
		r.line.Do(r.node.PowerCycle)
		r.run(300 * time.Millisecond)
		got := r.read(0xa8, 1)[0]
		if got != old && got != fresh || done && got != fresh {
			t.Fatalf("cut %d: HEATER_ON is %d, want %d or %d", cut, got, old, fresh)
		}
		if s := r.read(0xc0, 1)[0]; s != 0 {
			t.Fatalf("cut %d: settings state %d", cut, s)
		}
		old = got
	}
}

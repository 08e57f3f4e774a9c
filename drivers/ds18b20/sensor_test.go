package ds18b20_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/ds18b20"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

var masters = []string{ds18b20.MasterDS2480B, ds18b20.MasterDS9097}

func float(n int64) float64 { return math.Float64frombits(uint64(n)) }

func each(t *testing.T, f func(t *testing.T, master string)) {
	for _, m := range masters {
		t.Run(m, func(t *testing.T) { f(t, m) })
	}
}

// options for chips made by thermometer.
func (r *rig) fast(master string) ds18b20.Options {
	o := r.options(master)
	o.Conversion = fast + 20*time.Millisecond
	return o
}

const rescan = time.Second

func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, master string) {
		a, _ := thermometer(0x28, 0x1122e3, 330)
		b, _ := thermometer(0x10, 0xe3e3, -170)
		m, _ := sim.NewMonitor(7)
		var r *rig
		driverstest.Run(t, func(t *testing.T) drivers.Sensor {
			r = newRig(t, master, sim.Options{}, a, b, m)
			o := r.fast(master)
			o.Alarms = true
			s, err := ds18b20.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return closing{s, r}
		}, driverstest.Options{Change: func(t *testing.T, read int) {
			r.wire.Do(func(*[]*sim.Chip) {
				a.Gone = read == 1
				b.Damage = 30 * (read % 2)
			})
		}})
	})
}

// closing pulls the adapter with the sensor, so that the suite sees no goroutine of the simulator.
type closing struct {
	drivers.Sensor
	r *rig
}

func (c closing) Close() error {
	err := c.Sensor.Close()
	c.r.unplug()
	return err
}

func TestQualities(t *testing.T) {
	each(t, func(t *testing.T, master string) {
		a, ta := thermometer(0x28, 0x5f1c3a, 343) // 21.4375
		b, tb := thermometer(0x28, 0x16a1b2c3, -170)
		s18, _ := thermometer(0x10, 0x0802a1b2c3, 401)
		r := newRig(t, master, sim.Options{}, a, b, s18)
		s := open(t, r.fast(master))
		const romA, romB, romS = "28-0000005f1c3a temperature ", "28-000016a1b2c3 temperature ", "10-000802a1b2c3 temperature "
		expect(t, s, romS+"25.0625", romA+"21.4375", romB+"-10.6250")
		// One disturbed answer is asked for again; damage that stays is a CRC error with the bytes as read.
		r.wire.Do(func(*[]*sim.Chip) { a.Damage = 9 })
		expect(t, s, romS+"25.0625", romA+"21.4375", romB+"-10.6250")
		r.wire.Do(func(*[]*sim.Chip) { a.Damage = 27; ta.Sixteenths = 16 })
		expect(t, s, romS+"25.0625", romA+"bad:crc 11 02 4f 4e 6f df 50 90 3c", romB+"-10.6250")
		r.wire.Do(func(*[]*sim.Chip) { a.Damage = 0; b.Gone = true })
		expect(t, s, romS+"25.0625", romA+"1.0000", romB+"bad:absent ff ff ff ff ff ff ff ff ff")
		// b restarts between conversion and reading: it answers 85 °C.
		r.wire.Do(func(*[]*sim.Chip) { b.Gone = false; b.Convert = time.Hour; tb.PowerFail(b) })
		expect(t, s, romS+"25.0625", romA+"1.0000", romB+"bad:power-on 50 05 4b 46 7f ff 0c 10 1c")
	})
}

func TestParasite(t *testing.T) {
	a, _ := thermometer(0x28, 0x5f1c3a, 343)
	b, _ := thermometer(0x28, 0x5f1c3b, 344)
	b.Parasite = true
	r := newRig(t, ds18b20.MasterDS2480B, sim.Options{}, a, b)
	s := open(t, r.fast(ds18b20.MasterDS2480B))
	expect(t, s, "28-0000005f1c3a temperature 21.4375", "28-0000005f1c3b temperature 21.5000")
	// A conversion that takes longer than the pull-up lasts breaks down.
	r.wire.Do(func(*[]*sim.Chip) { b.Convert = time.Hour })
	expect(t, s, "28-0000005f1c3a temperature 21.4375", "28-0000005f1c3b temperature bad:brown-out 50 05 4b 46 7f ff 0c 10 1c")
}

func TestOneConversionPerSweep(t *testing.T) {
	each(t, func(t *testing.T, master string) {
		const n = 10
		var chips []*sim.Chip
		for i := range n {
			c, _ := thermometer(0x28, uint64(i+1)*0x1234567, 320+i)
			chips = append(chips, c)
		}
		r := newRig(t, master, sim.Options{}, chips...)
		s := open(t, r.fast(master))
		if _, err := sweep(t, s); err != nil {
			t.Fatal(err)
		}
		r.wire.Counts()
		if _, err := sweep(t, s); err != nil {
			t.Fatal(err)
		}
		// Skip ROM and convert; then for each chip match ROM (9 bytes), the command and 9 bytes.
		want := sim.Counts{Resets: 1 + n, Slots: 16 + n*19*8, Conversions: n}
		if got := r.wire.Counts(); got != want {
			t.Errorf("a sweep of %d took %+v, want %+v", n, got, want)
		}
	})
}

func TestResolution(t *testing.T) {
	each(t, func(t *testing.T, master string) {
		a, ta := thermometer(0x28, 0x5f1c3a, 343)
		b, tb := thermometer(0x28, 0x5f1c3b, 343)
		tb.SetConfig(b, 0x3f) // has 10 bits already
		r := newRig(t, master, sim.Options{}, a, b)
		o := r.fast(master)
		o.Resolution, o.Persist = 10, true
		s := open(t, o)
		want := []string{"28-0000005f1c3a temperature 21.2500", "28-0000005f1c3b temperature 21.2500"}
		expect(t, s, want...)
		expect(t, s, want...)
		if n := r.wire.Counts().EEPROMWrites; n != 1 {
			t.Errorf("%d EEPROM writes, want 1", n)
		}
		if e := ta.EEPROM(); e != [3]byte{0x4b, 0x46, 0x3f} {
			t.Errorf("EEPROM % x: want alarm limits kept and 10 bits", e)
		}
		r.wire.Do(func(*[]*sim.Chip) { ta.PowerFail(a) }) // comes back with 10 bits
		expect(t, s, want...)
		if n := r.wire.Counts().EEPROMWrites; n != 0 {
			t.Errorf("%d EEPROM writes, want none", n)
		}
		if e := tb.EEPROM(); e[2] != 0x3f {
			t.Errorf("configuration %02x", e[2])
		}
	})
}

func TestAlarms(t *testing.T) {
	each(t, func(t *testing.T, master string) {
		a, ta := thermometer(0x28, 0x5f1c3a, 343)
		b, _ := thermometer(0x28, 0x5f1c3b, 343)
		r := newRig(t, master, sim.Options{}, a, b)
		_ = ta
		o := r.fast(master)
		o.Alarms = true
		s := open(t, o)
		// TL is 0x46, 70 °C: 21 °C lies below it.
		expect(t, s, "28-0000005f1c3a temperature 21.4375", "28-0000005f1c3a alarm 1",
			"28-0000005f1c3b temperature 21.4375", "28-0000005f1c3b alarm 1")
		r.wire.Do(func(*[]*sim.Chip) { ta.Sixteenths = 72 * 16 })
		expect(t, s, "28-0000005f1c3a temperature 72.0000", "28-0000005f1c3a alarm 0",
			"28-0000005f1c3b temperature 21.4375", "28-0000005f1c3b alarm 1")
	})
}

func TestOtherChips(t *testing.T) {
	each(t, func(t *testing.T, master string) {
		m, tm := sim.NewMonitor(0x26)
		w, tw := sim.NewSwitch(0x3a)
		n, tn := sim.NewCounter(0x1d)
		r := newRig(t, master, sim.Options{}, m, w, n)
		s := open(t, r.options(master))
		tm.Temperature, tm.VDD, tm.VAD, tm.Current = -5*32-1, 498, 123, -8
		tw.A, tw.B = true, false
		tn.A, tn.B = 4_000_000_000, 7
		const mon, sw, cnt = "26-000000000026 ", "3a-00000000003a ", "1d-00000000001d "
		want := []string{cnt + "count[a] 4000000000", cnt + "count[b] 7", mon + "temperature -5.03125", mon + "voltage[vdd] 4.98",
			mon + "voltage[vad] 1.23", mon + "voltage[sense] -0.001953125", sw + "level[a] 1", sw + "level[b] 0"}
		expect(t, s, want...)
		expect(t, s, want...)
		r.wire.Do(func(*[]*sim.Chip) { w.Gone, n.Gone, m.Gone = true, true, false })
		got, err := sweep(t, s)
		if err != nil || strings.Count(got, "bad:absent") != 4 {
			t.Errorf("got %v\n%s", err, got)
		}
	})
}

func TestBusFailures(t *testing.T) {
	each(t, func(t *testing.T, master string) {
		a, _ := thermometer(0x28, 0x5f1c3a, 343)
		r := newRig(t, master, sim.Options{}, a)
		o := r.fast(master)
		o.Names = map[string]string{"28-0000005f1c3a": "cold room 2"}
		s := open(t, o)
		const rom = "28-0000005f1c3a temperature "
		good := func() { t.Helper(); expect(t, s, rom+"21.4375") }
		fails := func(quality string, want error) {
			t.Helper()
			got, err := sweep(t, s)
			if !strings.HasPrefix(got, rom+quality+" ") || !errors.Is(err, want) {
				t.Errorf("got %s, %v; want %s, %v", got, err, quality, want)
			}
		}
		r.wire.Do(func(*[]*sim.Chip) { a.Gone = true })
		fails("bad:no-device", drivers.ErrNoDevice)
		r.wire.Do(func(*[]*sim.Chip) { a.Gone = false })
		good()
		r.wire.Short(true)
		fails("bad:shorted", drivers.ErrBus)
		r.wire.Short(false)
		good()
		r.wire.Do(func(*[]*sim.Chip) { a.Gone = true })
		fails("bad:absent", drivers.ErrNoDevice)
		r.wire.Do(func(*[]*sim.Chip) { a.Gone = false })
		good()
		r.adapter.Mute(true)
		fails("bad:timeout", drivers.ErrTimeout)
		r.adapter.Mute(false)
		good()
		r.unplug()
		fails("bad:bus", drivers.ErrBus)
		fails("bad:bus", drivers.ErrNoDevice)
		r.plug()
		good()
	})
}

func TestHotPlug(t *testing.T) {
	a, _ := thermometer(0x28, 0x5f1c3a, 343)
	b, _ := thermometer(0x28, 0x01, 16)
	r := newRig(t, ds18b20.MasterDS2480B, sim.Options{}, a)
	o := r.fast(ds18b20.MasterDS2480B)
	o.Rescan = rescan
	s := open(t, o)
	expect(t, s, "28-0000005f1c3a temperature 21.4375")
	r.wire.Do(func(chips *[]*sim.Chip) { *chips = append(*chips, b) })
	time.Sleep(rescan)
	expect(t, s, "28-0000005f1c3a temperature 21.4375", "28-000000000001 temperature 1.0000")
	r.wire.Do(func(chips *[]*sim.Chip) { *chips = (*chips)[1:] })
	time.Sleep(rescan)
	expect(t, s, "28-0000005f1c3a temperature bad:absent not found on the bus", "28-000000000001 temperature 1.0000")
}

func TestSpeeds(t *testing.T) {
	for _, baud := range []int{9600, 19200, 57600, 115200} {
		t.Run(fmt.Sprint(baud), func(t *testing.T) {
			a, _ := thermometer(0x28, 0xe35f1c3a, 343)
			r := newRig(t, ds18b20.MasterDS2480B, sim.Options{}, a)
			for range 2 { // the second finds the chip at the speed that the first left it at
				o := r.fast(ds18b20.MasterDS2480B)
				o.Port.Baud = baud
				s := open(t, o)
				expect(t, s, "28-0000e35f1c3a temperature 21.4375")
				s.Close()
			}
		})
	}
}

func TestSuspect(t *testing.T) {
	a, ta := thermometer(0x28, 0x5f1c3a, 343)
	b, _ := thermometer(0x28, 0x5f1c3b, 343)
	ta.Clone = true
	r := newRig(t, ds18b20.MasterDS2480B, sim.Options{}, a, b)
	var got []string
	o := r.fast(ds18b20.MasterDS2480B)
	o.Events.Suspect = func(rom, why string) { got = append(got, rom+": "+why) }
	s := open(t, o)
	for range 3 {
		expect(t, s, "28-0000005f1c3a temperature 21.4375", "28-0000005f1c3b temperature 21.4375")
	}
	if len(got) != 1 || got[0] != "28-0000005f1c3a: byte 6 does not follow the temperature" {
		t.Errorf("got %q", got)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    ds18b20.Options
		want string
	}{
		{ds18b20.Options{}, `master ""`},
		{ds18b20.Options{Master: "ds2480b"}, "no device"},
		{ds18b20.Options{Master: "netlink", Resolution: 13}, "13 bits"},
		{ds18b20.Options{Master: "netlink", Persist: true}, "needs a resolution"},
		{ds18b20.Options{Master: "netlink", Rescan: time.Millisecond}, "rescan"},
		{ds18b20.Options{Master: "netlink", Names: map[string]string{"28-x": "a"}}, "28-x"},
		{ds18b20.Options{Master: "netlink", Names: map[string]string{"77-000000000001": "a"}}, "family"},
		{ds18b20.Options{Master: "owserver", Alarms: true}, "owserver sets"},
	} {
		err := c.o.Validate()
		if !errors.Is(err, drivers.ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}

package mcu_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/mcu"
)

// rig is a line with one model node at unit 5.
type rig struct {
	t      *testing.T
	w      *wires
	g      *logModel
	m      *model
	l      *mcu.Line
	events []string
}

func (r *rig) status() mcu.Status {
	list, _ := r.l.Status()
	return list[0]
}

func (r *rig) note(s string) { r.w.do(func() { r.events = append(r.events, s) }) }

func (r *rig) has(event string) bool {
	found := false
	r.w.do(func() {
		for _, e := range r.events {
			found = found || strings.HasPrefix(e, event)
		}
	})
	return found
}

func withRig(t *testing.T, n mcu.Node, prepare func(r *rig), change func(o *mcu.Options), do func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, w: newWires(1, 0), g: &logModel{}}
		r.m = newModel(rand.New(rand.NewPCG(1, 1)), 5, time.Second)
		r.w.nodes = []*model{r.m}
		if prepare != nil {
			prepare(r)
		}
		n.Name, n.Unit = "aquarium", 5
		var stop func()
		r.l, stop = run(t, r.w, r.g, []mcu.Node{n}, func(o *mcu.Options) {
			o.Events = mcu.Events{
				Offline:   func(_ string, _ time.Time, err error) { r.note("offline " + err.Error()) },
				Online:    func(string) { r.note("online") },
				Restarted: func(_ string, id mcu.Identity) { r.note("restarted " + id.Cause) },
				Settings:  func(_ string, err error) { r.note("settings " + errText(err)) },
				Changed:   func(_ string, names []string) { r.note("changed " + strings.Join(names, " ")) },
				Foreign:   func(_ string, err error) { r.note("foreign " + errText(err)) },
				Refused:   func(_ string, err error) { r.note("refused " + errText(err)) },
			}
			if change != nil {
				change(o)
			}
		})
		time.Sleep(3 * time.Second)
		do(r)
		stop()
	})
}

func errText(err error) string {
	if err == nil {
		return "over"
	}
	return err.Error()
}

func TestPollingAndAcknowledging(t *testing.T) {
	withRig(t, mcu.Node{}, nil, nil, func(r *rig) {
		time.Sleep(10 * time.Second)
		s := r.status()
		if s.State != mcu.StateOnline || s.Identity.Version != "1.2.3" || s.Identity.Serial != 1005 || s.EventsTotal < 12 || s.Taken-s.Durable > 3 {
			t.Errorf("%+v", s)
		}
		r.w.do(func() {
			if l := r.m.cur(); l.inc == 0 || l.inc>>32 != 1 || l.acked+4 < l.newest {
				t.Errorf("%+v", *l)
			}
		})
	})
}

// Behind a converter that knows plain Modbus only, registers do. So they do for events that are older than function 65 can tell.
func TestPlainModbus(t *testing.T) {
	for _, plain := range []bool{true, false} {
		withRig(t, mcu.Node{}, func(r *rig) { r.m.plain = plain }, nil, func(r *rig) {
			time.Sleep(10 * time.Second)
			r.w.do(func() { r.m.down = true })
			time.Sleep(80 * time.Second)
			r.w.do(func() { r.m.down = false })
			time.Sleep(30 * time.Second)
			s := r.status()
			if s.State != mcu.StateOnline || s.EventsTotal < 45 || s.Taken-s.Durable > 3 || s.Resets != 1 {
				t.Errorf("%+v", s)
			}
			r.w.do(func() {
				// What it dropped may have been taken already.
				if l := r.m.cur(); l.acked+4 < l.newest || uint64(l.over) < s.Lost[mcu.LostOverflow] || s.EventsTotal+s.Lost[mcu.LostOverflow] != uint64(s.Taken) {
					t.Errorf("%+v beside %+v", *l, s.Lost)
				}
			})
			r.g.mu.Lock()
			defer r.g.mu.Unlock()
			for _, d := range r.g.drafts {
				for _, rec := range d.Records {
					if r.g.series[rec.Series-1].Name == "node.test" { // its number says when it happened
						at := time.Duration(rec.Time-1e9) - r.m.born.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
						if off := (at - time.Duration(rec.Num-1)*time.Second).Abs(); off > 200*time.Millisecond {
							t.Errorf("plain %v: event %d is off by %v", plain, rec.Num, off)
						}
					}
				}
			}
		})
	}
}

// Events get the box's boot time at which they happened, within the error that the status states.
func TestTimes(t *testing.T) {
	for _, drift := range []float64{0, 100e-6, -100e-6} {
		withRig(t, mcu.Node{}, func(r *rig) { r.m.drift = drift }, nil, func(r *rig) {
			began := r.m.born
			time.Sleep(30 * time.Minute)
			s := r.status()
			if s.TimeError <= 0 || s.TimeError > 150*time.Millisecond {
				t.Errorf("drift %g: stated error %v", drift, s.TimeError)
			}
			if got := s.DriftPPM; got < drift*1e6-20 || got > drift*1e6+20 {
				t.Errorf("drift %g is measured as %.1f ppm", drift, got)
			}
			worst := time.Duration(0)
			r.g.mu.Lock()
			defer r.g.mu.Unlock()
			for _, d := range r.g.drafts {
				for _, rec := range d.Records {
					if r.g.series[rec.Series-1].Name == "node.test" { // its number says when it happened: one a second
						truth := time.Duration(rec.Num-1) * time.Second
						at := time.Duration(rec.Time-1e9) - began.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
						worst = max(worst, (at - truth).Abs())
					}
				}
			}
			if worst > s.TimeError+2*time.Millisecond {
				t.Errorf("drift %g: an event is off by %v, stated is %v", drift, worst, s.TimeError)
			}
		})
	}
}

func TestDeclaredSettings(t *testing.T) {
	want := map[string]string{"heater_on": "24.5", "heater_off": "25.5", "report": "30", "timer1_on": "08:30", "failsafe": "fan", "control_sensor": "28-0000055f1c3a"}
	withRig(t, mcu.Node{Settings: want}, nil, nil, func(r *rig) {
		s := r.status()
		if !s.SettingsOK || !r.has("changed") || r.m.saves != 1 {
			t.Errorf("%v, %d saves, %+v", r.events, r.m.saves, s.Settings)
		}
		for _, x := range s.Settings {
			if w, ok := want[x.Name]; ok && (x.Value != w || x.Declared != w) {
				t.Errorf("%+v, want %s", x, w)
			}
		}
		r.w.do(func() { r.m.regs[mcu.RegSettings+8] = 100; r.m.reset(); r.m.saved[8] = 7; r.m.reset() }) // somebody turned a knob
		time.Sleep(3 * time.Second)
		r.w.do(func() {
			if r.m.regs[mcu.RegSettings+8] != 392 || r.m.saved[8] != 392 {
				t.Errorf("heater_on is %d, saved %d", r.m.regs[mcu.RegSettings+8], r.m.saved[8])
			}
		})
		if err := r.l.Set(context.Background(), "aquarium", map[string]string{"heater_on": "20"}); !errors.Is(err, mcu.ErrDeclared) {
			t.Errorf("a declared setting: %v", err)
		}
		if err := r.l.Set(context.Background(), "aquarium", map[string]string{"fan_on": "31.25"}); err != nil {
			t.Error(err)
		}
		r.w.do(func() {
			if r.m.saved[10] != 500 {
				t.Errorf("fan_on is %d", r.m.saved[10])
			}
			r.m.noSave = true
		})
		if err := r.l.Set(context.Background(), "aquarium", map[string]string{"page": "3"}); !errors.Is(err, mcu.ErrRefused) {
			t.Errorf("a save that fails: %v", err)
		}
	})
}

func TestSettingsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"heater_on=24.51": "steps of 0.0625", "heater_on=200": "-55 to 125", "report=0": "1 to 3600", "timer1_on=24:00": "08:30",
		"failsafe=lamp": "none, heater", "control_sensor=28-1": "sensor id", "unit=3": "no \"unit\"", "colour=red": "no \"colour\"",
		"heater_on=25 heater_off=24": "must be below", "fan_on=20 fan_off=20": "must be below",
	} {
		m := map[string]string{}
		for _, w := range strings.Fields(text) {
			k, v, _ := strings.Cut(w, "=")
			m[k] = v
		}
		if err := mcu.CheckSettings(m); !errors.Is(err, mcu.ErrSetting) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := mcu.CheckSettings(map[string]string{"heater_on": "-3.25", "timer4_off": "23:59", "control_sensor": "first", "failsafe": "heater,fan"}); err != nil {
		t.Error(err)
	}
}

func TestClock(t *testing.T) {
	withRig(t, mcu.Node{}, func(r *rig) { r.m.clock = 90 * time.Second }, nil, func(r *rig) {
		s := r.status()
		r.w.do(func() {
			if r.m.clock.Abs() > 100*time.Millisecond {
				t.Errorf("the clock is ahead by %v", r.m.clock)
			}
		})
		if s.ClockState != "runs" || s.ClockOff.Abs() > 1500*time.Millisecond {
			t.Errorf("%+v", s)
		}
	})
	withRig(t, mcu.Node{}, func(r *rig) { r.m.clock = 90 * time.Second }, func(o *mcu.Options) {
		o.UTC = func() (time.Time, bool) { return time.Now(), false } // a box that does not know the time
	}, func(r *rig) {
		r.w.do(func() {
			if r.m.clock < 80*time.Second {
				t.Error("it was set by a clock that nobody trusts")
			}
		})
	})
}

func TestOffline(t *testing.T) {
	withRig(t, mcu.Node{}, nil, nil, func(r *rig) {
		r.w.do(func() { r.m.down = true })
		time.Sleep(10 * time.Second)
		s := r.status()
		if s.State != mcu.StateOffline || !r.has("offline") || time.Since(s.Heard) < 9*time.Second {
			t.Errorf("%+v %v", s, r.events)
		}
		before := r.w.asked
		time.Sleep(5 * time.Minute)
		if n := r.w.asked - before; n > 25 {
			t.Errorf("an offline node was asked %d times in 5 min", n)
		}
		if err := r.l.Rescan(context.Background(), "aquarium"); !errors.Is(err, mcu.ErrOffline) {
			t.Error(err)
		}
		r.w.do(func() { r.m.down = false })
		time.Sleep(20 * time.Second)
		if s := r.status(); s.State != mcu.StateOnline || !r.has("online") || s.Lost[mcu.LostOverflow] == 0 {
			t.Errorf("%+v %v", s, r.events)
		}
	})
}

func TestForeign(t *testing.T) {
	withRig(t, mcu.Node{Serial: 4711}, nil, nil, func(r *rig) {
		if s := r.status(); s.State != mcu.StateForeign || !strings.Contains(s.Error, "serial number 1005, configured is 4711") || len(r.g.drafts) > 0 {
			t.Errorf("%+v", s)
		}
		r.w.do(func() { r.m.serial = 4711 })
		time.Sleep(20 * time.Second)
		if s := r.status(); s.State != mcu.StateOnline || !r.has("foreign over") {
			t.Errorf("%+v", s)
		}
	})
}

func TestCommands(t *testing.T) {
	ctx := context.Background()
	withRig(t, mcu.Node{}, nil, nil, func(r *rig) {
		if err := r.l.Override(ctx, "aquarium", map[string]bool{"heater": false, "fan": true}, 10*time.Minute); err != nil {
			t.Error(err)
		}
		r.w.do(func() {
			if got := r.m.regs[mcu.RegOverride : mcu.RegOverride+3]; got[0] != 3 || got[1] != 2 || got[2] != 600 {
				t.Errorf("manual control %v", got)
			}
		})
		if err := r.l.Override(ctx, "aquarium", map[string]bool{"pump": true}, time.Minute); !errors.Is(err, mcu.ErrSetting) {
			t.Error(err)
		}
		if err := r.l.Rescan(ctx, "aquarium"); err != nil || r.m.scanned != 1 {
			t.Errorf("%v, %d", err, r.m.scanned)
		}
		if err := r.l.Rescan(ctx, "kitchen"); !errors.Is(err, mcu.ErrNoNode) {
			t.Error(err)
		}
		before := r.m.cur()
		if err := r.l.Restart(ctx, "aquarium"); err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Second)
		r.w.do(func() {
			if r.m.cur() == before || before.acked != before.newest {
				t.Errorf("%+v", *before) // its queue was run empty before
			}
		})
	})
}

func TestDiscoverAndScan(t *testing.T) {
	withRig(t, mcu.Node{}, func(r *rig) {
		r.w.nodes = append(r.w.nodes, newModel(r.m.r, 17, time.Second), newModel(r.m.r, 240, time.Second))
	}, nil, func(r *rig) {
		last := 0
		if err := r.l.Scan(context.Background(), func(done int) { last = done }); err != nil || last != mcu.MaxUnit {
			t.Errorf("%v, %d", err, last)
		}
		_, found := r.l.Status()
		if len(found) != 2 || found[0].Unit != 17 || found[1].Unit != 240 || found[0].Identity.Serial != 1017 {
			t.Errorf("%+v", found)
		}
	})
}

// While a node is flashed nobody else uses the line; what it had was taken before, and nothing is lost.
func TestExclusive(t *testing.T) {
	withRig(t, mcu.Node{}, nil, nil, func(r *rig) {
		asked := 0
		err := r.l.Exclusive(context.Background(), "aquarium", func(ctx context.Context, x mcu.Loader) error {
			r.w.do(func() {
				if l := r.m.cur(); l.acked != l.newest {
					t.Errorf("%+v", *l)
				}
			})
			if err := x.Enter(ctx); err != nil {
				return err
			}
			if err := x.Take(); err != nil {
				return err
			}
			asked = r.w.asked
			r.w.do(func() { r.m.down = true })
			time.Sleep(time.Minute)
			if r.w.asked != asked || r.status().State != mcu.StateFlash {
				t.Errorf("%d questions while the line was taken, %s", r.w.asked-asked, r.status().State)
			}
			r.w.do(func() { r.m.down = false; r.m.reset() })
			v, err := x.Confirm(ctx)
			if v != "1.2.3" {
				t.Errorf("version %q", v)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if s := r.status(); s.State != mcu.StateOnline {
			t.Errorf("%+v", s)
		}
		ctx, cancel := context.WithCancel(context.Background())
		err = r.l.Exclusive(ctx, "aquarium", func(ctx context.Context, x mcu.Loader) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	o := mcu.Options{Name: "l", Open: func() (mcu.Bus, io.Closer, error) { return nil, nil, nil }, Stamp: func() record.Stamp { return record.Stamp{} }}
	for _, nodes := range [][]mcu.Node{{{Name: "a", Unit: 0}}, {{Name: "a", Unit: 1}, {Name: "b", Unit: 1}}, {{Name: "a", Unit: 1}, {Name: "a", Unit: 2}},
		{{Name: "a", Unit: 248}}, {{Name: "a", Unit: 1, Settings: map[string]string{"x": "1"}}}} {
		o.Nodes = nodes
		if _, err := mcu.New(o); err == nil {
			t.Errorf("%+v", nodes)
		}
	}
}

// The addresses here are those of the firmware's register map.
func TestRegistersAreThoseOfTheFirmware(t *testing.T) {
	b, err := os.ReadFile("../firmware/registers.csv")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]uint64{}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.SplitN(line, ",", 3)
		if len(f) < 3 || !strings.HasPrefix(f[0], "0x") {
			continue
		}
		if have[f[1]], err = strconv.ParseUint(f[0][2:], 16, 16); err != nil {
			t.Fatal(err)
		}
	}
	for name, addr := range map[string]uint64{"MAGIC": mcu.RegMagic, "BOOTS": mcu.RegBoots, "FRAMES": mcu.RegStats, "SENSOR_TABLE": mcu.RegSensorTable,
		"OUTPUTS": mcu.RegOutputs, "OVERRIDE_MASK": mcu.RegOverride, "YEAR": mcu.RegClock, "CLOCK_STATE": mcu.RegClockState, "UNIT": mcu.RegSettings,
		"SETTINGS_STATE": mcu.RegState, "SAVE": mcu.RegSave, "ARM": mcu.RegArm, "COMMAND": mcu.RegCommand, "RESCAN": mcu.RegRescan,
		"TEST_EVENTS": mcu.RegTestEvents, "INCARNATION": mcu.RegQueue, "RELEASED": mcu.RegQueue + 4, "FILL": mcu.RegQueue + 6, "LOST": mcu.RegQueue + 7,
		"READ_MS": mcu.RegQueue + 8, "EVENT_BLOCK": mcu.RegQueue + 10, "OVERFLOWS": mcu.RegStats + 3, "EVENTS": mcu.RegStats + 9} {
		if have[name] != addr {
			t.Errorf("%s is at %#x, here %#x", name, have[name], addr)
		}
	}
	for _, s := range mcu.SettingAddresses() {
		found := false
		for name, addr := range have {
			found = found || addr == uint64(s.Addr) && name != "TIMER_MINUTES" || name == "TIMER_MINUTES" && uint64(s.Addr) >= addr && uint64(s.Addr) < addr+8
		}
		if !found {
			t.Errorf("setting %s is at %#x, where the map has nothing", s.Name, s.Addr)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x45, 0x4c, 0, 1, 0, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		w := make([]uint16, len(b)/2)
		for i := range w {
			w[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		if id, err := mcu.ParseIdentity(w); err == nil && (id.Block < 1 || id.Block > mcu.MaxEvents) {
			t.Fatalf("%+v", id)
		}
		if bl, err := mcu.ParseBlock(w); err == nil {
			for i, e := range bl.Events {
				if e.Sequence != bl.Released+1+uint32(i) {
					t.Fatalf("%+v", bl)
				}
			}
		}
		_, _ = mcu.ParseSlots(w)
	})
}

package w1fuse

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	sim "github.com/edgelog/edgelog/internal/sim/w1"
)

// Times of the kernel's bit-banged master (drivers/w1/w1_io.c): a slot of either kind, a reset with its msleep(1).
const (
	SlotTime  = 70 * time.Microsecond
	ResetTime = 2 * time.Millisecond
	fullTime  = 750 * time.Millisecond // a conversion at 12 bits

	// ReadSlots are those of one scratchpad: match ROM, its 64 bits, the command and nine bytes.
	ReadSlots = 8 + 64 + 8 + 72
	// ConvertSlots are those of a conversion command to all.
	ConvertSlots = 16
)

// Slave is one thermometer. Its fields may be changed within Bus.Do.
type Slave struct {
	ROM        string
	Sixteenths int  // what it measures, 1/16 °C
	Parasite   bool // fed by the data line
	Damaged    int  // so many readings from now on have a wrong CRC
	Restarted  bool // it lost its supply since the last conversion: power-on 85 °C
	Silent     bool // it is listed and does not answer

	resolution int
	eeprom     int // resolution in the EEPROM
	eepromCost int // writes of it
	low, high  int8
	features   int
	convTime   int // ms, 0: by the resolution
	good       sim.Scratchpad
	pad        sim.Scratchpad
	triggered  bool // a bulk conversion took place that was not read yet
	readyAt    time.Time
}

// Bus is one master with its slaves.
type Bus struct {
	// Scale of all times; 1 is the real thing. Names is how long names may be remembered; 0: each look is answered
	// anew, so that hot-plug shows at once. Set both before the bus is mounted.
	Scale float64
	Names time.Duration

	wire   sync.Mutex // the kernel's bus_mutex
	mu     sync.Mutex
	slaves []*Slave
	hang   chan struct{} // nil: reads of sensors go on
}

// NewBus is a bus with the thermometers on it, each at 12 bits and 20 °C.
func NewBus(roms ...string) *Bus {
	b := &Bus{Scale: 1}
	for _, rom := range roms {
		b.slaves = append(b.slaves, newSlave(rom))
	}
	return b
}

func newSlave(rom string) *Slave {
	s := &Slave{ROM: rom, Sixteenths: 20 * 16, resolution: 12, eeprom: 12, low: -55, high: 100}
	s.powerOn()
	s.good = s.pad
	return s
}

// Do runs f with the slave of that ROM, nil if it is not on the bus.
func (b *Bus) Do(rom string, f func(s *Slave)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b.find(rom))
}

// Plug adds a thermometer, Unplug takes one away: the kernel's search has seen to it.
func (b *Bus) Plug(rom string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slaves = append(b.slaves, newSlave(rom))
}

// Unplug is described at Plug.
func (b *Bus) Unplug(rom string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slaves = slices.DeleteFunc(b.slaves, func(s *Slave) bool { return s.ROM == rom })
}

// Hang makes every read of the bus wait until the returned function is called.
func (b *Bus) Hang() (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan struct{})
	b.hang = c
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.hang = nil
		close(c)
	})
}

// EEPROMWrites of a slave so far.
func (b *Bus) EEPROMWrites(rom string) (n int) {
	b.Do(rom, func(s *Slave) { n = s.eepromCost })
	return n
}

func (b *Bus) find(rom string) *Slave {
	for _, s := range b.slaves {
		if s.ROM == rom {
			return s
		}
	}
	return nil
}

func (b *Bus) roms() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, s := range b.slaves {
		out = append(out, s.ROM)
	}
	return out
}

func (s *Slave) powerOn() {
	s.resolution = s.eeprom
	s.pad = sim.PowerOn(s.ROM)
	s.stamp()
}

// stamp writes limits and resolution into the scratchpad.
func (s *Slave) stamp() {
	s.pad[2], s.pad[3] = byte(s.high), byte(s.low)
	if s.ROM[:2] != "10" {
		s.pad[4] = byte(s.resolution-9)<<5 | 0x1f
	}
	s.pad[8] = sim.CRC8(s.pad[:8])
}

// measure is the end of a conversion.
func (s *Slave) measure() {
	if s.Restarted {
		s.Restarted = false
		s.powerOn()
		return
	}
	s.pad = sim.Encode(s.ROM, s.Sixteenths, s.resolution)
	s.stamp()
}

func (s *Slave) conversion() time.Duration {
	if s.convTime > 0 {
		return time.Duration(s.convTime) * time.Millisecond
	}
	return fullTime >> (12 - s.resolution)
}

// sleep lets the time pass that so many resets and slots take, and d beside it.
func (b *Bus) sleep(resets, slots int, d time.Duration) {
	d += time.Duration(resets)*ResetTime + time.Duration(slots)*SlotTime
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // else each sleep is 50 µs longer
	ts := unix.NsecToTimespec(int64(float64(d) * b.Scale))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, &ts) == unix.EINTR {
	}
}

func (b *Bus) waitHang() {
	b.mu.Lock()
	c := b.hang
	b.mu.Unlock()
	if c != nil {
		<-c
	}
}

// read is what a read of w1_slave or temperature does: convert, unless a bulk conversion is due to be read, and read
// the scratchpad. ok is false if the CRC is wrong, found if nobody answers.
func (b *Bus) read(rom string) (got sim.Scratchpad, good sim.Scratchpad, ok, found bool) {
	b.wire.Lock()
	b.waitHang()
	var wait time.Duration
	triggered := false
	b.Do(rom, func(s *Slave) {
		if found = s != nil && !s.Silent; !found {
			return
		}
		if triggered = s.triggered; triggered {
			wait, s.triggered = time.Until(s.readyAt), false
		} else {
			wait = s.conversion()
		}
	})
	if !found {
		b.sleep(1, 72, 0)
		b.wire.Unlock()
		return got, good, false, false
	}
	if !triggered {
		b.sleep(1, 80, 0)
	}
	b.wire.Unlock() // an external supply: others may use the bus meanwhile
	if triggered {
		time.Sleep(max(wait, 0))
	} else {
		b.sleep(0, 0, wait)
	}
	b.wire.Lock()
	defer b.wire.Unlock()
	b.sleep(1, ReadSlots, 0)
	b.Do(rom, func(s *Slave) {
		if found = s != nil && !s.Silent; !found {
			return
		}
		if !triggered {
			s.measure()
		}
		got, ok = s.pad, true
		if s.Damaged > 0 {
			s.Damaged--
			got, ok = sim.Damaged(got, 3), false
		} else {
			s.good = got
		}
		good = s.good
	})
	return got, good, ok, found
}

// trigger starts a conversion on all.
func (b *Bus) trigger() {
	b.wire.Lock()
	defer b.wire.Unlock()
	b.waitHang()
	b.sleep(1, ConvertSlots, 0)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.slaves {
		s.measure()
		s.triggered = true
		s.readyAt = time.Now().Add(time.Duration(float64(s.conversion()) * b.Scale))
	}
}

// bulk is what therm_bulk_read says.
func (b *Bus) bulk() string {
	b.wire.Lock()
	defer b.wire.Unlock()
	b.sleep(0, 1, 0)
	b.mu.Lock()
	defer b.mu.Unlock()
	state := 0
	for _, s := range b.slaves {
		switch {
		case s.triggered && time.Now().Before(s.readyAt):
			return "-1\n"
		case s.triggered:
			state = 1
		}
	}
	return fmt.Sprintf("%d\n", state)
}

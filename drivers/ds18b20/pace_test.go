package ds18b20_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/ds18b20"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

// TestNoByteIsLost runs a DS2480B that loses what comes faster than its slots, at every speed, and with the latency of a
// USB adapter, where the speed is chosen by it.
func TestNoByteIsLost(t *testing.T) {
	for _, c := range []struct {
		baud    int
		latency time.Duration
	}{{9600, 0}, {19200, 0}, {57600, 0}, {115200, 0}, {0, 0}, {0, 3 * time.Millisecond}} {
		t.Run(fmt.Sprint(c.baud, " ", c.latency), func(t *testing.T) {
			t.Parallel()
			chips, want := three()
			r := newRig(t, ds18b20.MasterDS2480B, sim.Options{Pace: true, Latency: c.latency}, chips...)
			o := r.fast(ds18b20.MasterDS2480B)
			o.Port.Baud = c.baud
			// A loaded machine holds the simulated line up, then hands it everything at once: what is lost once says nothing, five times
			// in a row it does. Each try begins as a new adapter does.
			var lost int
			for range 5 {
				before := r.adapter.Lost()
				s := open(t, o)
				for range 3 {
					expect(t, s, strings.Split(want, "\n")...)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if lost = r.adapter.Lost() - before; lost == 0 {
					return
				}
			}
			t.Errorf("%d bytes came too fast for the chip", lost)
		})
	}
}

// TestSpeedIsGivenUp: behind a USB adapter that does not keep the stop bits it is told, bytes are lost at the speed that
// was chosen; after three failures 9600 baud is what works.
func TestSpeedIsGivenUp(t *testing.T) {
	var chips []*sim.Chip
	for i := range 12 { // so many that their readings, sent in one go, overrun the chip
		c, _ := thermometer(0x28, uint64(i+1), 330)
		chips = append(chips, c)
	}
	r := newRig(t, ds18b20.MasterDS2480B, sim.Options{Pace: true, Latency: 3 * time.Millisecond, OneStop: true}, chips...)
	s := open(t, r.fast(ds18b20.MasterDS2480B))
	// A loaded machine disturbs the simulated line besides: until it works, for a minute.
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if got, err := sweep(t, s); err == nil && strings.Count(got, " 20.6250") == len(chips) {
			if r.adapter.Lost() == 0 {
				t.Error("nothing was lost: this adapter proves nothing")
			}
			return
		}
	}
	got, err := sweep(t, s)
	t.Errorf("a minute of sweeps failed, then: %v\n%s", err, got)
}

package ds18b20_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/ds18b20"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

// BenchmarkSweep measures sweeps of 1, 10 and 100 thermometers at 12 bits against the time that the wire itself needs:
// the conversion, a reset of 1.1 ms per transaction and the slots (70 µs on a DS2480B, a character at 115200 baud on a
// passive adapter). The simulated adapters are as slow as real ones.
func BenchmarkSweep(b *testing.B) {
	for _, c := range []struct {
		master string
		baud   int
		slot   time.Duration
	}{
		{ds18b20.MasterDS2480B, 9600, 70 * time.Microsecond},
		{ds18b20.MasterDS2480B, 57600, 70 * time.Microsecond},
		{ds18b20.MasterDS9097, 0, 10 * time.Second / 115200},
	} {
		for _, n := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("%s-%d/%d", c.master, c.baud, n), func(b *testing.B) {
				var chips []*sim.Chip
				for i := range n {
					chip, _ := sim.NewThermometer(0x28, uint64(i+1)*0x7654321, 330)
					chips = append(chips, chip)
				}
				r := newRig(b, c.master, sim.Options{Pace: true}, chips...)
				o := r.options(c.master)
				o.Port.Baud = c.baud
				s := open(b, o)
				if _, err := s.Read(b.Context(), nil); err != nil {
					b.Fatal(err)
				}
				resets := 1 + n
				slots := 16 + n*19*8
				limit := 750*time.Millisecond + time.Duration(resets)*1100*time.Microsecond + time.Duration(slots)*c.slot
				for b.Loop() {
					out, err := s.Read(b.Context(), nil)
					if err != nil || len(out) != n {
						b.Fatal(len(out), err)
					}
				}
				b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/limit.Seconds(), "vs-limit")
			})
		}
	}
}

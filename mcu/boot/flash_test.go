package boot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/mcu/boot"
	"github.com/edgelog/edgelog/mcu/sim/target"
)

var (
	cuts    = flag.Int("cuts", 200, "points of a flash at which the power is cut")
	avrCuts = flag.Int("avr-cuts", 40, "the same for the AVR, whose chip is simulated instruction by instruction")
	seed    = flag.Uint64("seed", 1, "of the points and of the noise")
)

// kind is one protocol with its simulated chip.
type kind struct {
	name   string
	image  func(n byte) []byte                                           // a whole file, different for each n
	base   uint32                                                        // where it belongs
	make   func(old []byte) target.Chip                                  // without supply
	flash  func(l *target.Line) (f boot.Flasher, keep, confirm boot.Job) // of the chip at the line
	holds  func(c target.Chip, file []byte) bool                         // the image that would run
	safe   func(c target.Chip) bool                                      // neither of both, but it stays in its bootloader or stops
	window func(c target.Chip, file []byte) bool                         // a short time that the flasher's docs name; nil: none
	resets func(c target.Chip)
}

func vectors(head []byte, n byte, size int) []byte {
	b := pattern(size)
	for i := range b {
		b[i] ^= n
	}
	copy(b, head)
	b[size-1] = n
	return b
}

// mcubootFile is an image with header and hash, as imgtool writes it without a signature.
func mcubootFile(n byte, size int) []byte {
	le := binary.LittleEndian
	b := make([]byte, 32)
	le.PutUint32(b, 0x96f3b83d)
	le.PutUint16(b[8:], 32)
	le.PutUint32(b[12:], uint32(size))
	b[20], b[21] = 1, n
	b = append(b, vectors(nil, n, size)...)
	sum := sha256.Sum256(b)
	b = le.AppendUint16(b, 0x6907)
	b = le.AppendUint16(b, 4+4+32)
	b = le.AppendUint16(append(b, 0x10, 0), 32)
	return append(b, sum[:]...)
}

func kinds() []kind {
	return []kind{
		{name: boot.ProtocolAN3155, base: 0x08000000,
			image: func(n byte) []byte { return vectors([]byte{0, 0x50, 0, 0x20, 0x31, 1, 0, 8}, n, 5000) },
			make: func(old []byte) target.Chip {
				c := target.NewSTM32()
				copy(c.Cells, old)
				return c
			},
			flash: func(l *target.Line) (boot.Flasher, boot.Job, boot.Job) {
				c := l.Chip.(*target.STM32)
				pin := func(boot0 bool) boot.Enter {
					return func(context.Context) error { c.Boot0 = boot0; c.Reset(); return nil }
				}
				return boot.NewAN3155(l, boot.AN3155Options{Enter: pin(true)}), boot.Job{}, boot.Job{}
			},
			holds: func(c target.Chip, file []byte) bool { return bytes.HasPrefix(c.(*target.STM32).Cells, file) },
			safe:  func(c target.Chip) bool { return c.(*target.STM32).State() == "empty" },
			resets: func(c target.Chip) {
				c.(*target.STM32).Boot0 = false
				c.Power(true)
			},
		},
		{name: boot.ProtocolSTC89,
			image: func(n byte) []byte { return vectors([]byte{0x02, 0x00, 0x26}, n, 5000) },
			make: func(old []byte) target.Chip {
				c := target.NewSTC89()
				copy(c.Cells, old)
				return c
			},
			flash: func(l *target.Line) (boot.Flasher, boot.Job, boot.Job) {
				power := func(context.Context) error { l.Chip.Power(false); l.Chip.Power(true); return nil }
				return boot.NewSTC89(l, boot.STC89Options{Enter: power}), boot.Job{}, boot.Job{}
			},
			holds: func(c target.Chip, file []byte) bool { return bytes.HasPrefix(c.(*target.STC89).Cells, file) },
			safe:  func(c target.Chip) bool { return c.(*target.STC89).State() == "empty" },
			window: func(c target.Chip, file []byte) bool { // the block of the vector, which is written last, from its first to its last cell
				return bytes.HasPrefix(c.(*target.STC89).Cells[128:], file[128:])
			},
			resets: func(c target.Chip) { c.Power(true) },
		},
		{name: boot.ProtocolSMP,
			image: func(n byte) []byte { return mcubootFile(n, 9000) },
			make:  func(old []byte) target.Chip { return target.NewMCUboot(old) },
			flash: func(l *target.Line) (boot.Flasher, boot.Job, boot.Job) {
				f := boot.NewSMP(l, boot.SMPOptions{Enter: func(context.Context) error {
					if !l.Chip.Powered() {
						l.Chip.Power(true)
					}
					return nil
				}})
				return f, boot.Job{Keep: f.Keep}, boot.Job{Confirm: f.Confirm}
			},
			holds: func(c target.Chip, file []byte) bool {
				want, _, err := boot.MCUbootHash(file)
				return err == nil && bytes.Equal(c.(*target.MCUboot).Runs(), want)
			},
			safe:   func(target.Chip) bool { return false },
			resets: func(c target.Chip) { c.Power(true) },
		},
	}
}

// update flashes file onto the chip of the line.
func (k kind) update(ctx context.Context, t *testing.T, l *target.Line, file []byte) (boot.Result, error) {
	t.Helper()
	img, err := boot.Parse(file, k.base)
	if err != nil {
		t.Fatal(err)
	}
	f, keep, confirm := k.flash(l)
	return boot.Update(ctx, boot.Job{Flasher: f, Image: img, Keep: keep.Keep, Confirm: confirm.Confirm, Patience: 20 * time.Second})
}

func each(t *testing.T, do func(t *testing.T, k kind, r *rand.Rand)) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { do(t, k, rand.New(rand.NewPCG(*seed, uint64(len(k.name))))) })
		})
	}
}

func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, k kind, _ *rand.Rand) {
		old, now := k.image(1), k.image(2)
		l := &target.Line{Chip: k.make(old)}
		l.Chip.Power(true)
		defer l.Chip.Power(false)
		r, err := k.update(t.Context(), t, l, now)
		if err != nil || !k.holds(l.Chip, now) {
			t.Fatalf("%+v, %v", r, err)
		}
		t.Logf("%+v", r)
		if k.name == boot.ProtocolSMP {
			if r.Version != "1.2.0" || r.Chip.Running != "1.1.0" {
				t.Errorf("%+v", r)
			}
			k.resets(l.Chip)
			if !k.holds(l.Chip, now) {
				t.Error("the image was not kept over a reset")
			}
		}
		if r, err = k.update(t.Context(), t, l, now); err != nil { // the same again
			t.Errorf("again: %+v, %v", r, err)
		}
	})
}

// A power cut anywhere: the chip holds the old image, the new one, or waits, and the next update succeeds.
func TestPowerCuts(t *testing.T) {
	each(t, func(t *testing.T, k kind, r *rand.Rand) {
		old, now := k.image(1), k.image(2)
		whole := &target.Line{Chip: k.make(old)}
		whole.Chip.Power(true)
		before := whole.Chip.Steps()
		if _, err := k.update(t.Context(), t, whole, now); err != nil {
			t.Fatal(err)
		}
		steps := whole.Chip.Steps() - before
		whole.Chip.Power(false)
		ends := map[string]int{}
		for range *cuts {
			at := 1 + r.IntN(steps)
			if r.IntN(2) == 0 { // the end is where images change places
				at = steps - r.IntN(min(steps, 500))
			}
			l := &target.Line{Chip: k.make(old)}
			l.Chip.Power(true)
			l.Chip.CutAfter(at)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			_, err := k.update(ctx, t, l, now)
			cancel()
			end := "bootloader"
			l.Chip.CutAfter(0)
			k.resets(l.Chip)
			switch {
			case k.holds(l.Chip, old):
				end = "old"
			case k.holds(l.Chip, now):
				end = "new"
			case k.safe(l.Chip):
			case k.window != nil && k.window(l.Chip, now):
				end = "window"
			default:
				t.Errorf("cut after %d of %d steps (%v): half an image would run", at, steps, err)
			}
			ends[end]++
			if _, err := k.update(t.Context(), t, l, now); err != nil || !k.holds(l.Chip, now) {
				t.Errorf("cut after %d of %d steps, ended on %s, then: %v", at, steps, end, err)
			}
			l.Chip.Power(false)
		}
		t.Logf("%d cuts within %d steps ended on %v", *cuts, steps, ends)
	})
}

func TestNoise(t *testing.T) {
	each(t, func(t *testing.T, k kind, r *rand.Rand) {
		old, now := k.image(1), k.image(2)
		good := 0
		for range 20 {
			l := &target.Line{Chip: k.make(old)}
			l.Chip.Power(true)
			l.Noise = func(_ bool, b byte) (byte, bool) {
				switch n := r.IntN(20000); {
				case n == 0:
					return b ^ 1<<r.IntN(8), true
				case n == 1:
					return b, false
				}
				return b, true
			}
			var err error
			for range 4 { // a person, or the agent, tries again
				if _, err = k.update(t.Context(), t, l, now); err == nil {
					break
				}
			}
			if err == nil && k.holds(l.Chip, now) {
				good++
			} else {
				t.Errorf("four attempts on a noisy line: %v", err)
			}
			l.Chip.Power(false)
		}
		t.Logf("%d of 20 succeed with one byte in 10,000 lost or changed", good)
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, k kind, _ *rand.Rand) {
		old := k.image(1)
		l := &target.Line{Chip: k.make(old)}
		l.Chip.Power(true)
		defer l.Chip.Power(false)
		img, err := boot.Parse(append([]byte("not code at all"), make([]byte, 300)...), k.base)
		if err != nil {
			t.Fatal(err)
		}
		f, _, _ := k.flash(l)
		_, err = boot.Update(t.Context(), boot.Job{Flasher: f, Image: img})
		var p *boot.PhaseError
		if !errors.As(err, &p) || p.Phase != boot.PhaseCheck || !k.holds(l.Chip, old) {
			t.Errorf("nonsense: %v", err)
		}
		dead := &target.Line{Chip: k.make(old)}
		dead.Chip.Power(true)
		dead.Chip.CutAfter(1)
		start := time.Now()
		_, err = k.update(t.Context(), t, dead, old)
		if !errors.Is(err, boot.ErrNoBootloader) || time.Since(start) > 2*time.Minute {
			t.Errorf("no chip: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start = time.Now()
		if _, err = k.update(ctx, t, dead, old); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Minute {
			t.Errorf("interrupted: %v after %v", err, time.Since(start))
		}
	})
}

func TestProtectedSTM32(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kinds()[0]
		l := &target.Line{Chip: k.make(k.image(1))}
		l.Chip.(*target.STM32).Protected = true
		l.Chip.Power(true)
		defer l.Chip.Power(false)
		if _, err := k.update(t.Context(), t, l, k.image(2)); !errors.Is(err, boot.ErrProtected) {
			t.Error(err)
		}
	})
}

// The old image comes back if nobody confirms the new one, and Update says so.
func TestNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kinds()[2]
		old, now := k.image(1), k.image(2)
		l := &target.Line{Chip: k.make(old)}
		l.Chip.Power(true)
		defer l.Chip.Power(false)
		img, err := boot.Parse(now, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := boot.NewSMP(l, boot.SMPOptions{})
		_, err = boot.Update(t.Context(), boot.Job{Flasher: f, Image: img, Keep: f.Keep, Patience: 10 * time.Second,
			Confirm: func(ctx context.Context) (string, error) {
				l.Chip.Power(true) // the new image crashes
				return f.Confirm(ctx)
			}})
		if !errors.Is(err, boot.ErrNotBack) || !k.holds(l.Chip, old) {
			t.Errorf("%v", err)
		}
	})
}

func ExamplePhaseError() {
	fmt.Println(&boot.PhaseError{Phase: boot.PhaseCheck, Left: "nothing was changed", Err: boot.ErrTooLarge})
	// Output: check: image does not fit; nothing was changed
}

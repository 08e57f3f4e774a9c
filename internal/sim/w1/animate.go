package w1

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Animation moves the sensors of a tree along daily curves and, if asked to, through every fault that a real bus
// knows. The same seed gives the same sensors, curves and faults.
type Animation struct {
	tree   *Tree
	faults bool
	rng    *rand.Rand
	actors []*actor
}

type actor struct {
	rom                string
	mean, swing, phase float64 // °C, °C, turns
	noise              int     // 1/16 °C, a bounded random walk
	fault              fault
	left               int // steps until the fault ends
}

type fault int

const (
	healthy fault = iota
	powerOn
	crcError
	allZero
	noConversion
	vanished
	emptyRead
	faultKinds
)

// faultEvery is the mean number of steps between two faults of a sensor.
const faultEvery = 180

// NewAnimation adds n sensors to an empty tree: each eighth a DS18S20, the others DS18B20.
func NewAnimation(t *Tree, n int, seed uint64, faults bool) (*Animation, error) {
	if n < 1 || n > MaxSensors {
		return nil, fmt.Errorf("%d sensors, want 1 to %d", n, MaxSensors)
	}
	a := &Animation{tree: t, faults: faults, rng: rand.New(rand.NewPCG(seed, 0x77315f73696d))}
	for i := range n {
		family := 0x28
		if i%8 == 7 {
			family = 0x10
		}
		c := &actor{
			rom:   fmt.Sprintf("%02x-%012x", family, a.rng.Uint64()>>24<<8|uint64(i&0xff)),
			mean:  4 + 20*a.rng.Float64(),
			swing: 0.5 + 4*a.rng.Float64(),
			phase: a.rng.Float64() / 8,
		}
		if err := t.Add(c.rom); err != nil {
			return nil, err
		}
		a.actors = append(a.actors, c)
	}
	return a, nil
}

// Step sets every sensor to what it reads at a time of day.
func (a *Animation) Step(now time.Time) error {
	day := float64(now.UnixMilli()%86_400_000) / 86_400_000
	for i, c := range a.actors {
		if err := a.step(i, c, day); err != nil {
			return err
		}
	}
	return a.tree.write(master+"/therm_bulk_read", "0\n") // whoever triggered a conversion has had it
}

func (a *Animation) step(i int, c *actor, day float64) error {
	c.noise = max(-8, min(8, c.noise+a.rng.IntN(3)-1))
	celsius := c.mean + c.swing*math.Sin(2*math.Pi*(day+c.phase-0.25))
	v := int(math.Round(celsius*16)) + c.noise
	if err := a.turn(c); err != nil {
		return err
	}
	t := a.tree
	switch c.fault {
	case vanished:
		return nil
	case powerOn:
		return t.Set(c.rom, PowerOn(c.rom), true)
	case crcError:
		return t.Set(c.rom, Damaged(Encode(c.rom, v, t.resolution(c.rom)), a.rng.IntN(72)), false)
	case allZero:
		return t.Set(c.rom, AllZero(), true)
	case noConversion:
		return t.Set(c.rom, NoConversion(), true)
	case emptyRead:
		return t.SetText(c.rom, "")
	}
	return t.SetSixteenths(c.rom, v)
}

// turn begins and ends faults.
func (a *Animation) turn(c *actor) error {
	if c.left > 0 {
		if c.left--; c.left > 0 {
			return nil
		}
		was := c.fault
		c.fault = healthy
		if was == vanished {
			return a.tree.Add(c.rom)
		}
		return nil
	}
	if !a.faults || a.rng.IntN(faultEvery) != 0 {
		return nil
	}
	c.fault, c.left = fault(1+a.rng.IntN(int(faultKinds)-1)), 1+a.rng.IntN(3)
	if c.fault == noConversion && c.rom[:2] == "10" {
		c.fault = powerOn // a DS18S20 has no such value
	}
	if c.fault == vanished {
		c.left = 5 + a.rng.IntN(10)
		return a.tree.Remove(c.rom)
	}
	return nil
}

// Run steps at once and then every interval, until ctx ends; it returns nil then.
func (a *Animation) Run(ctx context.Context, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := a.Step(time.Now()); err != nil {
			return fmt.Errorf("animate bus: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

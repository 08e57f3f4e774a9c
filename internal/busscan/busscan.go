// Package busscan finds what is connected to a box: the kernel's 1-Wire buses, an owserver, serial ports and what hangs
// on them, and writes the configuration lines for it.
//
// A port that any program has open is not touched. A free one is locked, listened to, and asked in turn whether it is a
// 1-Wire adapter, a CO₂ meter or a Modbus line; with List nothing is opened. It needs no agent.
package busscan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/owserver"
	"github.com/edgelog/edgelog/internal/api"
)

// Options say where to look; the zero value is this box.
type Options struct {
	Sys, Dev, Proc, LockDir string   // default /sys, /dev, /proc, /run/lock
	OWServer                string   // default 127.0.0.1:4304
	Ports                   []string // only these; they need not be listed anywhere
	List                    bool     // open nothing
	Units                   []byte   // Modbus units to ask, default 1 to 16
	Bauds                   []int    // at these speeds, default 9600 and 19200
	// Configured says how a place is called in the configuration, "" if it is not there.
	Configured func(place string) string
	// Progress is told what is looked at; concurrently.
	Progress func(text string)
}

func (o Options) withDefaults() Options {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&o.Sys, "/sys")
	def(&o.Dev, "/dev")
	def(&o.Proc, "/proc")
	def(&o.LockDir, "/run/lock")
	def(&o.OWServer, "127.0.0.1:4304")
	if len(o.Units) == 0 {
		for u := range byte(16) {
			o.Units = append(o.Units, u+1)
		}
	}
	if len(o.Bauds) == 0 {
		o.Bauds = []int{9600, 19200}
	}
	if o.Configured == nil {
		o.Configured = func(string) string { return "" }
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// Run looks around. Its error means that the look was interrupted; what a place does not let see stands with the place.
func Run(ctx context.Context, o Options) (*api.Scan, error) {
	o = o.withDefaults()
	out := &api.Scan{SchemaVersion: api.SchemaVersion, Places: []api.Place{}}
	if len(o.Ports) == 0 {
		out.Places = append(out.Places, o.kernel()...)
		if p, ok := o.owserver(ctx); ok {
			out.Places = append(out.Places, p)
		}
	}
	ports := o.ports()
	found := make([]api.Place, len(ports))
	turn := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, p := range ports { // each is a line of its own
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			found[i] = o.port(ctx, p)
		})
	}
	wg.Wait()
	out.Places = append(out.Places, found...)
	o.Progress("")
	for i := range out.Places {
		p := &out.Places[i]
		p.Configured = o.Configured(p.Place)
		if p.Configured != "" {
			p.Configuration = ""
		}
	}
	return out, ctx.Err()
}

// kernel lists the masters below /sys/bus/w1/devices. Names only are read: that costs nothing on the wire.
func (o Options) kernel() (out []api.Place) {
	dir := filepath.Join(o.Sys, "bus/w1/devices")
	masters, err := filepath.Glob(filepath.Join(dir, "w1_bus_master*"))
	if err != nil || len(masters) == 0 {
		return nil
	}
	p := api.Place{Kind: api.PlaceKernel, Place: dir, Found: "1-Wire of the kernel, " + plural(len(masters), "bus", "buses")}
	entries, err := os.ReadDir(dir)
	if err != nil {
		p.Error = err.Error()
	}
	others := 0
	for _, e := range entries {
		if a, err := onewire.ParseAddress(e.Name()); err == nil {
			p.Chips = append(p.Chips, chipOf(a))
			if !thermometer(a) {
				others++
			}
		}
	}
	p.Configuration = "  - name: onewire\n    driver: w1\n    w1:\n" + names("      ", p.Chips)
	if others > 0 {
		p.Configuration += "  # Chips that are no thermometers need driver ds18b20 with master netlink.\n"
	}
	return []api.Place{bounded(p)}
}

func thermometer(a onewire.Address) bool { return chipNames[a.Family()].thermometer }

// chipNames by family.
var chipNames = map[byte]struct {
	name        string
	thermometer bool
}{
	0x10: {"DS18S20, DS1820", true}, 0x22: {"DS1822", true}, 0x28: {"DS18B20, MAX31820", true}, 0x3b: {"DS1825, MAX31850", true},
	0x42: {"DS28EA00", true}, 0x26: {"DS2438", false}, 0xa6: {"DS2438", false}, 0x3a: {"DS2413", false}, 0xba: {"DS2413", false},
	0x1d: {"DS2423", false}, 0x9d: {"DS2423", false}, 0x01: {"DS1990A, a key", false}, 0x81: {"DS1420, the number of an adapter", false},
}

func chipOf(a onewire.Address) api.Chip {
	name := chipNames[a.Family()].name
	if name == "" {
		name = fmt.Sprintf("family %02x, not read", a.Family())
	}
	return api.Chip{ROM: a.String(), Chip: name}
}

// bounded keeps a list short that nobody reads.
func bounded(p api.Place) api.Place {
	if n := len(p.Chips); n > maxChips {
		p.Chips = p.Chips[:maxChips]
		p.Error = fmt.Sprintf("%d chips, the first %d are listed", n, maxChips)
	}
	return p
}

// names is a block in which a person writes what each sensor is called.
func names(indent string, chips []api.Chip) string {
	if len(chips) == 0 {
		return indent + "names: {}\n"
	}
	out := indent + "names:\n"
	for _, c := range chips {
		if !strings.HasSuffix(c.Chip, "not read") && !strings.Contains(c.Chip, ", a key") && !strings.Contains(c.Chip, "number of") {
			out += indent + "  " + c.ROM + ": \"\"    # " + c.Chip + "\n"
		}
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// owserver asks one on this box, if it is there.
func (o Options) owserver(ctx context.Context) (api.Place, bool) {
	ctx, cancel := context.WithTimeout(ctx, owTimeout)
	defer cancel()
	c, err := owserver.New(owserver.Options{Address: o.OWServer, Timeout: owTimeout})
	if err != nil {
		return api.Place{}, false
	}
	defer c.Close()
	paths, err := c.Dir(ctx, "/")
	if err != nil {
		return api.Place{}, false
	}
	p := api.Place{Kind: api.PlaceOWServer, Place: "owserver " + o.OWServer, Found: "owserver"}
	for _, path := range paths {
		if a, ok := owserver.ParseName(path); ok {
			p.Chips = append(p.Chips, chipOf(a))
		}
	}
	slices.SortFunc(p.Chips, func(a, b api.Chip) int { return strings.Compare(a.ROM, b.ROM) })
	p.Configuration = "  - name: owserver\n    driver: ds18b20\n    ds18b20:\n      master: owserver\n      server: " + o.OWServer + "\n" + names("      ", p.Chips)
	return bounded(p), true
}

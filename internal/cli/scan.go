package cli

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/busscan"
	"github.com/edgelog/edgelog/internal/term"
)

const scanHelp = `  edgectl scan                     everything
  edgectl scan --list              open no port: only what the kernel knows
  edgectl scan /dev/ttyUSB0 --units 1-247 --baud 9600,19200,38400

It works without the agent. A port that any program has open is left alone (as
root, which sees who has it). A free one is listened to, and if it is silent it
is asked whether it is a 1-Wire adapter, a CO2 meter or a Modbus line: a device
that takes none of these questions well wants --list.

  --units 1-16        Modbus units to ask
  --baud 9600,19200   at these speeds

`

func (a *app) scan(ctx context.Context, args []string) error {
	units, bauds := "1-16", "9600,19200"
	o := busscan.Options{Configured: a.configuredAs(), Progress: a.progress}
	words, err := a.parse("scan", args, maxScanPorts, func(f *flag.FlagSet) {
		f.BoolVar(&o.List, "list", false, "")
		f.StringVar(&units, "units", units, "")
		f.StringVar(&bauds, "baud", bauds, "")
	})
	if err != nil {
		return err
	}
	for _, w := range words {
		if !strings.HasPrefix(w, "/") {
			return usagef("%q is not the path of a serial port", w)
		}
	}
	o.Ports = words
	if o.Units, err = parseUnits(units, modbus.MaxUnit); err != nil {
		return err
	}
	for _, text := range strings.Split(bauds, ",") {
		baud, err := strconv.Atoi(text)
		if err != nil || baud < 50 || baud > 4_000_000 {
			return usagef("--baud %q is no speed", text)
		}
		o.Bauds = append(o.Bauds, baud)
	}
	s, err := busscan.Run(ctx, o)
	if err != nil {
		return err
	}
	if a.g.json {
		return a.json(s)
	}
	return a.text(a.view().scan(s, o.List))
}

const maxScanPorts = 64

// configuredAs reads the configuration, if it can be, for the names of places that stand there already.
func (a *app) configuredAs() func(place string) string {
	return func(place string) string {
		c, err := config.Load(or(a.g.config, config.DefaultFile), a.Host)
		if err != nil {
			return "" // none, or one with mistakes: then nothing is known to be configured
		}
		for i := range c.Sources {
			if resolved(c.Sources[i].Place()) == resolved(place) {
				return c.Sources[i].Name
			}
		}
		return ""
	}
}

// resolved is the device behind one of its names; other places are as they are.
func resolved(place string) string {
	if real, err := filepath.EvalSymlinks(place); err == nil && filepath.IsAbs(place) {
		return real
	}
	return place
}

func (v view) scan(s *api.Scan, list bool) string {
	if len(s.Places) == 0 {
		return "Nothing is connected: no 1-Wire bus of the kernel, no owserver, no serial port.\n"
	}
	var b, add strings.Builder
	for _, p := range s.Places {
		head := p.Place
		if p.Kernel != "" && !strings.HasSuffix(p.Place, "/"+p.Kernel) {
			head += " (" + p.Kernel + ")"
		}
		b.WriteString(v.clean(head) + "\n")
		for _, line := range placeLines(p, list) {
			b.WriteString("   " + v.style.Clip(v.clean(line), v.style.Width()-3) + "\n")
		}
		t := term.Table{Gap: 2}
		for _, c := range p.Chips {
			t.Row("  ", v.clean(c.ROM), v.clean(c.Chip))
		}
		for _, u := range p.Units {
			t.Row("  ", "unit "+strconv.Itoa(u.Unit), v.clean(strings.TrimSpace(u.Vendor+" "+u.Product)))
		}
		b.WriteString(t.String())
		add.WriteString(p.Configuration)
	}
	if add.Len() > 0 {
		b.WriteString("\nTo add below \"sources:\" in the configuration, with names of your own:\n\n" + v.cleanLines(add.String()) +
			"\nThen: edge-agent check, systemctl reload edge-agent.\n")
	}
	return b.String()
}

// placeLines are what there is to say of a place.
func placeLines(p api.Place, list bool) (out []string) {
	if p.Configured != "" {
		out = append(out, "configured as "+p.Configured)
	}
	switch {
	case p.InUse != "":
		out = append(out, "in use by "+p.InUse+"; left alone")
	case p.Found != "":
		out = append(out, p.Found)
	case list && p.Kind == api.PlaceSerial:
		out = append(out, "free; not opened")
	}
	if p.Heard != "" {
		out = append(out, fmt.Sprintf("heard %s", p.Heard))
	}
	if p.Error != "" {
		out = append(out, p.Error)
	}
	return out
}

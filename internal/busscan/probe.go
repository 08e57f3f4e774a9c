package busscan

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgelog/edgelog/drivers/airsensor"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/ds2480b"
	"github.com/edgelog/edgelog/drivers/bus/onewire/ds9097"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/drivers/nmea"
	"github.com/edgelog/edgelog/internal/api"
)

// prober looks at one port.
type prober struct {
	o   Options
	out *api.Place
}

// port says what hangs on a port.
func (o Options) port(ctx context.Context, p port) api.Place {
	out := api.Place{Kind: api.PlaceSerial, Place: p.name, Kernel: filepath.Base(p.kernel)}
	if out.InUse = o.user(p); out.InUse != "" || o.List {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	x := prober{o, &out}
	for _, step := range []struct {
		what string
		try  func(context.Context) (done bool, err error)
	}{
		{"listening", x.listen}, {"DS2480B?", x.ds2480b}, {"passive 1-Wire adapter?", x.ds9097}, {"MH-Z19?", x.co2}, {"Modbus?", x.modbus},
	} {
		o.Progress(p.name + ": " + step.what)
		done, err := step.try(ctx)
		switch {
		case errors.Is(err, serial.ErrBusy):
			out.InUse = "another program"
			return out
		case errors.Is(err, context.DeadlineExceeded):
			out.Error = fmt.Sprintf("given up after %s", probeTime)
			return out
		case errors.Is(err, serial.ErrAbsent) || errors.Is(err, serial.ErrLost):
			out.Error = err.Error()
			return out
		case done:
			return out
		case err != nil && step.what == "listening": // it cannot be opened
			out.Error = err.Error()
			return out
		}
	}
	out.Found = "nobody answers"
	return out
}

func (x prober) options(baud int) serial.Options {
	return serial.Options{Device: x.out.Place, Baud: baud, LockDir: x.o.LockDir}
}

// hear collects what comes by itself.
func (x prober) hear(ctx context.Context, baud int) ([]byte, error) {
	p, err := serial.New(x.options(baud))
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if _, err := p.Connect(ctx); err != nil {
		return nil, err
	}
	if err := p.Discard(); err != nil {
		return nil, err
	}
	var got []byte
	buf := make([]byte, maxBytesListened)
	for end := time.Now().Add(listenFor); len(got) < maxBytesListened; {
		n, err := p.ReadWithin(ctx, buf, time.Until(end))
		if errors.Is(err, serial.ErrTimeout) {
			break
		}
		if err != nil {
			return nil, err
		}
		got = append(got, buf[:n]...)
	}
	return got, nil
}

// listen recognises what speaks by itself. Whatever does is not asked anything.
func (x prober) listen(ctx context.Context) (bool, error) {
	heard := []byte(nil)
	for _, baud := range []int{9600, 4800, 115200} {
		got, err := x.hear(ctx, baud)
		if err != nil {
			return false, err
		}
		if len(got) == 0 {
			break // silent at one speed is silent at all
		}
		if baud == 9600 {
			heard = got
		}
		if x.recognise(got, baud) {
			return true, nil
		}
	}
	if len(heard) == 0 {
		return false, nil
	}
	x.out.Found, x.out.Heard = "something speaks at a speed or in a form that is not known", hex.EncodeToString(heard[:min(len(heard), 64)])
	return true, nil
}

func (x prober) recognise(got []byte, baud int) bool {
	var f nmea.Fix
	for line := range strings.Lines(string(got)) {
		if kind, err := f.Parse(line); err == nil && kind != "" {
			x.out.Found = fmt.Sprintf("GPS receiver (NMEA 0183) at %d baud", baud)
			x.out.Configuration = fmt.Sprintf("  - name: gps\n    driver: nmea\n    nmea:\n      port: %s\n%s", x.out.Place, unless("      baud: ", baud, 9600))
			return true
		}
	}
	if model := airsensor.Recognise(got); baud == 9600 && model != "" {
		x.out.Found = "air sensor " + model
		x.out.Configuration = "  - name: air\n    driver: air\n    air:\n      model: " + model + "\n      port: " + x.out.Place + "\n"
		return true
	}
	if text := readable(got); text != "" {
		x.out.Found = fmt.Sprintf("text at %d baud: %q", baud, text)
		x.out.Configuration = fmt.Sprintf("  - name: device      # docs/sensors-modbus.md says how to read its lines\n    driver: serial\n    serial:\n      port: %s\n%s"+
			"      format: regexp\n      pattern: '(?P<value>[0-9.]+)'\n      fields:\n        - {name: value, type: float}\n", x.out.Place, unless("      baud: ", baud, 9600))
		return true
	}
	return false
}

// unless is a line of YAML, nothing for the default.
func unless(key string, v, def int) string {
	if v == def {
		return ""
	}
	return fmt.Sprintf("%s%d\n", key, v)
}

// readable is a whole line of text among the bytes, "" if they are none.
func readable(b []byte) string {
	lines := strings.Split(string(b), "\n")
	if len(lines) < 3 { // the first and the last may be cut
		return ""
	}
	line := strings.TrimRight(lines[1], "\r")
	for _, c := range line {
		if c != '\t' && (c < ' ' || c > '~') {
			return ""
		}
	}
	return line[:min(len(line), 60)]
}

func (x prober) ds2480b(ctx context.Context) (bool, error) {
	bus, err := ds2480b.New(ds2480b.Options{Port: x.options(0)})
	if err != nil {
		return false, err
	}
	defer bus.Close()
	return x.wire(ctx, bus, "ds2480b", "1-Wire adapter DS2480B (DS9097U and relatives)")
}

func (x prober) ds9097(ctx context.Context) (bool, error) {
	bus, err := ds9097.New(ds9097.Options{Port: x.options(0)})
	if err != nil {
		return false, err
	}
	defer bus.Close()
	return x.wire(ctx, bus, "ds9097", "passive 1-Wire adapter")
}

// wire searches a 1-Wire bus. A passive adapter without chips is an echo, which an RS-485 adapter may have too.
func (x prober) wire(ctx context.Context, bus onewire.Bus, master, what string) (bool, error) {
	found, err := bus.Search(ctx, false)
	passive := master == "ds9097"
	switch {
	case errors.Is(err, onewire.ErrAdapter) || ctx.Err() != nil:
		return false, err
	case errors.Is(err, onewire.ErrNoDevices):
		if passive {
			x.out.Error = "it hears itself: a passive 1-Wire adapter without chips, or an adapter with echo"
			return false, nil
		}
		what += ", no chip on it"
	case errors.Is(err, onewire.ErrShorted):
		if passive {
			return false, nil
		}
		what += ", its line is shorted"
	case err != nil && len(found) == 0:
		return false, err
	}
	for _, a := range found {
		x.out.Chips = append(x.out.Chips, chipOf(a))
	}
	x.out.Found, x.out.Error = what, ""
	x.out.Configuration = "  - name: onewire\n    driver: ds18b20\n    ds18b20:\n      master: " + master + "\n      port: " + x.out.Place + "\n" +
		names("      ", x.out.Chips)
	*x.out = bounded(*x.out)
	return true, nil
}

func (x prober) co2(ctx context.Context) (bool, error) {
	s, err := airsensor.New(airsensor.Options{Model: airsensor.MHZ19, Port: x.options(0), Patience: 3 * unitTimeout})
	if err != nil {
		return false, err
	}
	defer s.Close()
	out, err := s.Read(ctx, nil)
	if err != nil || len(out) == 0 || out[0].Quality.Bad() {
		return false, err
	}
	x.out.Found = "CO₂ meter MH-Z19"
	x.out.Configuration = "  - name: co2\n    driver: air\n    air:\n      model: mh-z19\n      port: " + x.out.Place + "\n"
	return true, nil
}

func (x prober) modbus(ctx context.Context) (bool, error) {
	for _, baud := range x.o.Bauds {
		line := modbus.NewRTU(modbus.RTUOptions{Open: modbus.OpenSerial(x.options(baud)), Baud: baud})
		err := x.units(ctx, line, baud)
		line.Close()
		if err != nil {
			return false, err
		}
		if len(x.out.Units) == 0 {
			continue
		}
		x.out.Found, x.out.Error = fmt.Sprintf("Modbus at %d baud, %s", baud, plural(len(x.out.Units), "device", "devices")), ""
		x.out.Configuration = "  - name: meters\n    driver: modbus\n    modbus:\n      port: " + x.out.Place + "\n" + unless("      baud: ", baud, 9600) +
			"      devices:\n"
		for _, u := range x.out.Units {
			x.out.Configuration += fmt.Sprintf("        - {unit: %d, profile: PROFILE}    # edgectl modbus profiles\n", u.Unit)
		}
		return true, nil
	}
	return false, nil
}

func (x prober) units(ctx context.Context, line modbus.Line, baud int) error {
	m := modbus.NewMaster(line, modbus.MasterOptions{Timeout: unitTimeout, Retries: -1})
	for _, unit := range x.o.Units {
		x.o.Progress(fmt.Sprintf("%s: Modbus at %d baud, unit %d", x.out.Place, baud, unit))
		how, err := modbus.Present(ctx, m, unit)
		if err != nil {
			return err
		}
		if how == "answers" {
			x.out.Units = append(x.out.Units, api.ModbusUnit{Unit: int(unit), Line: fmt.Sprintf("%d 8N1", baud), Answer: how})
		}
	}
	return nil
}

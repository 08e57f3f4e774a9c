package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	profiles "github.com/edgelog/edgelog/drivers/modbus"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/term"
)

const modbusHelp = `  edgectl modbus scan /dev/ttyUSB0
  edgectl modbus scan /dev/ttyUSB0 --units 1-20 --baud 9600,19200
  edgectl modbus scan 10.0.0.7:502
  edgectl modbus read /dev/ttyUSB0 1 0x0000 10
  edgectl modbus read /dev/ttyUSB0 1 342 2 --table input --type float32
  edgectl modbus read 10.0.0.7:502 1 --profile eastron-sdm72d-m
  edgectl modbus profiles

A place is a serial port, HOST:PORT of a Modbus TCP server, or
rtu:HOST:PORT of a converter that passes serial frames on. A port that the agent
or another program holds is left alone. Addresses count from 0, as on the wire.

  --units 1-247       which to ask (scan)
  --baud, --parity, --stop-bits   of a serial port; scan takes lists
  --timeout 200ms     for one answer
  --table holding     holding, input, coil, discrete (read)
  --type uint16       int16, uint32, float32, ...: docs/sensors-modbus.md
  --word-order big    or little: which register of two comes first
  --byte-order big    or little: which byte of a register comes first
                      (ABCD both big, CDAB words, BADC bytes, DCBA both little)
  --profile NAME      every value of a profile, by name or file

`

func (a *app) modbus(ctx context.Context, args []string) error {
	err := a.modbusVerb(ctx, args)
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Addr != nil && !errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %s", network.Addr, unreached(err))
	case errors.Is(err, serial.ErrAbsent):
		return fmt.Errorf("%w; edgectl scan --list shows those that are there", err)
	}
	return err
}

func (a *app) modbusVerb(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "scan":
			return a.modbusScan(ctx, args[1:])
		case "read":
			return a.modbusRead(ctx, args[1:])
		case "profiles":
			return a.modbusProfiles(args[1:])
		case "help", "--help", "-h":
			return a.helpOn("modbus")
		}
		return usage(cmdline.Then(cmdline.Unknown("edgectl modbus", args[0], []string{"scan", "read", "profiles"}), "edgectl help modbus lists all"))
	}
	return a.helpOn("modbus")
}

// lineFlags are those of a line on the bench.
type lineFlags struct {
	baud, parity string // lists
	stopBits     int
	timeout      time.Duration
}

func (l *lineFlags) register(f *flag.FlagSet) {
	l.baud, l.parity, l.stopBits, l.timeout = "9600", "none", 1, 200*time.Millisecond
	f.StringVar(&l.baud, "baud", l.baud, "")
	f.StringVar(&l.parity, "parity", l.parity, "")
	f.IntVar(&l.stopBits, "stop-bits", l.stopBits, "")
	f.DurationVar(&l.timeout, "timeout", l.timeout, "")
}

// setting is how one line is spoken to.
type setting struct {
	place    string // as the person wrote it
	port     string // "", or a serial port
	tcp, rtu string // "", or host:port
	baud     int
	parity   string
	stopBits int
}

// settings are all combinations that the flags name; one for a line that is none of wires.
func (l *lineFlags) settings(place string) ([]setting, error) {
	if l.timeout < 10*time.Millisecond || l.timeout > modbus.MaxTimeout {
		return nil, usagef("--timeout %s: possible are 10ms to %s", l.timeout, modbus.MaxTimeout)
	}
	s := setting{place: place, stopBits: l.stopBits}
	rest, rtu := strings.CutPrefix(place, "rtu:")
	switch {
	case rtu:
		s.rtu, s.baud = rest, 9600
		return []setting{s}, nil
	case !strings.HasPrefix(place, "/"):
		if !strings.Contains(place, ":") {
			return nil, usagef("%q is neither a serial port (/dev/...) nor host:port", place)
		}
		s.tcp = strings.TrimPrefix(place, "tcp:")
		return []setting{s}, nil
	}
	s.port = place
	var out []setting
	for _, text := range strings.Split(l.baud, ",") {
		baud, err := strconv.Atoi(text)
		if err != nil {
			return nil, usagef("--baud %q is not a number", text)
		}
		for _, parity := range strings.Split(l.parity, ",") {
			s := s
			s.baud, s.parity = baud, parity
			if err := s.serial().Validate(); err != nil || !strings.Contains(" none even odd ", " "+parity+" ") {
				return nil, usagef("%s %d baud parity %s: %v", place, baud, parity, err)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

func (s setting) serial() serial.Options {
	o := serial.Options{Device: s.port, Baud: s.baud, StopBits: s.stopBits}
	switch s.parity {
	case "even":
		o.Parity = serial.ParityEven
	case "odd":
		o.Parity = serial.ParityOdd
	}
	return o
}

// line opens nothing yet: the first request does, and takes the port's lock.
func (s setting) line() modbus.Line {
	switch {
	case s.port != "":
		return modbus.NewRTU(modbus.RTUOptions{Open: modbus.OpenSerial(s.serial()), Baud: s.baud})
	case s.rtu != "":
		dial := func(ctx context.Context) (modbus.Port, error) { return modbus.DialPort(ctx, s.rtu) }
		return modbus.NewRTU(modbus.RTUOptions{Open: dial, Baud: s.baud})
	}
	return modbus.NewTCP(s.tcp)
}

// String is "9600 8N1", "" for a line that is none of wires.
func (s setting) String() string {
	if s.port == "" {
		return ""
	}
	return fmt.Sprintf("%d 8%s%d", s.baud, strings.ToUpper(s.parity[:1]), s.stopBits)
}

// yaml is the block of the configuration down to its devices.
func (s setting) yaml(name string) string {
	out := "  - name: " + name + "\n    driver: modbus\n    modbus:\n"
	switch {
	case s.tcp != "":
		return out + "      tcp: " + s.tcp + "\n"
	case s.rtu != "":
		return out + "      rtu_over_tcp: " + s.rtu + "\n"
	}
	out += "      port: " + s.port + "\n"
	if s.baud != 9600 {
		out += fmt.Sprintf("      baud: %d\n", s.baud)
	}
	if s.parity != "none" {
		out += "      parity: " + s.parity + "\n"
	}
	if s.stopBits != 1 {
		out += fmt.Sprintf("      stop_bits: %d\n", s.stopBits)
	}
	return out
}

// parseUnits reads "1-247", "3" or "1,5,9".
func parseUnits(text string, most int) ([]byte, error) {
	var out []byte
	for _, part := range strings.Split(text, ",") {
		from, to, span := strings.Cut(part, "-")
		if !span {
			to = from
		}
		lo, err1 := strconv.Atoi(from)
		hi, err2 := strconv.Atoi(to)
		if err := errors.Join(err1, err2); err != nil || lo < 0 || hi < lo || hi > most {
			return nil, usagef("--units %q: write 1-247, 3 or 1,5,9", text)
		}
		for u := lo; u <= hi; u++ {
			out = append(out, byte(u))
		}
	}
	return out, nil
}

func (a *app) modbusScan(ctx context.Context, args []string) error {
	var l lineFlags
	units := "1-247"
	words, err := a.parse("modbus", args, 1, func(f *flag.FlagSet) {
		l.register(f)
		f.StringVar(&units, "units", units, "")
	})
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("edgectl modbus scan PLACE: a serial port or host:port")
	}
	list, err := l.settings(words[0])
	if err != nil {
		return err
	}
	most := modbus.MaxUnit
	if list[0].tcp != "" {
		most = 255
	}
	ask, err := parseUnits(units, most)
	if err != nil {
		return err
	}
	out := api.ModbusScan{SchemaVersion: api.SchemaVersion, Place: words[0], Found: []api.ModbusUnit{}}
	for _, s := range list {
		if err := a.scanLine(ctx, s, ask, l.timeout, &out); err != nil {
			return err
		}
	}
	if len(out.Found) > 0 {
		out.Configuration = configurationOf(list, out.Found)
	}
	if a.g.json {
		return a.json(out)
	}
	return a.text(a.view().modbusScan(&out))
}

// scanLine asks every unit once.
func (a *app) scanLine(ctx context.Context, s setting, units []byte, timeout time.Duration, out *api.ModbusScan) error {
	line := s.line()
	defer line.Close()
	m := modbus.NewMaster(line, modbus.MasterOptions{Timeout: timeout, Retries: -1})
	for i, unit := range units {
		a.progress(fmt.Sprintf("%s %s: unit %d of %d, %d found", s.place, s, i+1, len(units), len(out.Found)))
		how, err := modbus.Present(ctx, m, unit)
		if ctx.Err() != nil {
			a.progress("")
			return ctx.Err()
		}
		if errors.Is(err, modbus.ErrLine) {
			a.progress("")
			return err
		}
		if how == "" {
			continue
		}
		u := api.ModbusUnit{Unit: int(unit), Line: s.String(), Answer: how}
		if who, err := m.Identify(ctx, unit); err == nil && how == "answers" {
			u.Vendor, u.Product, u.Revision = who[0], who[1], who[2]
		}
		out.Found = append(out.Found, u)
	}
	a.progress("")
	return nil
}

// progress draws over the line before on a terminal, and nothing elsewhere; "" takes it away.
func (a *app) progress(text string) {
	if a.Style.TTY && !a.g.json {
		fmt.Fprintf(a.Stderr, "\r\x1b[K%s", a.Style.Text(text))
	}
}

// configurationOf is the block for the setting at which most units answered.
func configurationOf(list []setting, found []api.ModbusUnit) string {
	var best setting
	most := 0
	for _, s := range list {
		n := 0
		for _, u := range found {
			if u.Line == s.String() {
				n++
			}
		}
		if n > most {
			best, most = s, n
		}
	}
	out := best.yaml("meters") + "      devices:\n"
	for _, u := range found {
		if u.Line == best.String() {
			out += fmt.Sprintf("        - {unit: %d, profile: PROFILE, name: unit %d}\n", u.Unit, u.Unit)
		}
	}
	return out
}

func (v view) modbusScan(s *api.ModbusScan) string {
	if len(s.Found) == 0 {
		return v.clean("Nobody answers on "+s.Place+".") + "\nPower, A and B swapped, speed, parity? edgectl help modbus shows how to try others.\n"
	}
	t := term.Table{Gap: 2, Right: []bool{true}}
	for _, u := range s.Found {
		t.Row(strconv.Itoa(u.Unit), u.Line, v.clean(u.Answer), v.clean(strings.TrimSpace(u.Vendor+" "+u.Product+" "+u.Revision)))
	}
	return t.String() + "\nTo add below \"sources:\" (edgectl modbus profiles lists what to write for PROFILE):\n\n" + v.cleanLines(s.Configuration)
}

// cleanLines is clean for text of several lines.
func (v view) cleanLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(v.clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

func (a *app) modbusProfiles(args []string) error {
	if _, err := a.parse("modbus", args, 0, nil); err != nil {
		return err
	}
	out := api.ModbusProfiles{SchemaVersion: api.SchemaVersion}
	t := term.Table{Gap: 2}
	for _, name := range profiles.Names() {
		p, err := profiles.Shipped(name)
		if err != nil {
			return err
		}
		out.Profiles = append(out.Profiles, api.ModbusProfile{Name: name, Title: p.Title, Manual: p.Manual})
		t.Row(name, p.Title)
	}
	if a.g.json {
		return a.json(out)
	}
	return a.page(t.String())
}

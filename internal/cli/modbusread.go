package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
	profiles "github.com/edgelog/edgelog/drivers/modbus"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
)

// readFlags say what to read and how to understand it.
type readFlags struct {
	lineFlags
	table, kind, words, bytes, scale, profile string
}

func (a *app) modbusRead(ctx context.Context, args []string) error {
	r := readFlags{table: "holding"}
	words, err := a.parse("modbus", args, 4, func(f *flag.FlagSet) {
		r.register(f)
		f.StringVar(&r.table, "table", r.table, "")
		f.StringVar(&r.kind, "type", "", "")
		f.StringVar(&r.words, "word-order", "big", "")
		f.StringVar(&r.bytes, "byte-order", "big", "")
		f.StringVar(&r.scale, "scale", "1", "")
		f.StringVar(&r.profile, "profile", "", "")
	})
	if err != nil {
		return err
	}
	least := 3
	if r.profile != "" {
		least = 2
	}
	if len(words) < least {
		return usagef("edgectl modbus read PLACE UNIT ADDRESS [COUNT], or read PLACE UNIT --profile NAME")
	}
	list, err := r.settings(words[0])
	if err != nil {
		return err
	}
	if len(list) != 1 {
		return usagef("read takes one speed and one parity")
	}
	unit, err := strconv.ParseUint(words[1], 10, 8)
	if err != nil {
		return usagef("unit %q is not a number from 0 to 255", words[1])
	}
	out := api.ModbusRead{SchemaVersion: api.SchemaVersion, Place: words[0], Unit: int(unit)}
	switch {
	case r.profile != "":
		err = a.readProfile(ctx, list[0], byte(unit), &r, r.profile, &out)
	case r.kind != "":
		err = a.readTyped(ctx, list[0], byte(unit), &r, words[2:], &out)
	default:
		err = a.readRaw(ctx, list[0], byte(unit), &r, words[2:], &out)
	}
	if err != nil {
		return err
	}
	if a.g.json {
		return a.json(out)
	}
	return a.text(a.view().modbusRead(&out))
}

// span is address and count as a person writes them.
func span(words []string) (addr uint16, n int, err error) {
	v, err := strconv.ParseUint(words[0], 0, 16)
	if err != nil {
		return 0, 0, usagef("address %q is not a number from 0 to 65535 (or 0x0000 to 0xffff)", words[0])
	}
	n = 1
	if len(words) > 1 {
		if n, err = strconv.Atoi(words[1]); err != nil || n < 1 || n > modbus.MaxReadRegisters || int(v)+n > 1<<16 {
			return 0, 0, usagef("count %q: possible are 1 to %d, up to address 65535", words[1], modbus.MaxReadRegisters)
		}
	}
	return uint16(v), n, nil
}

// readRaw shows registers or bits as they are.
func (a *app) readRaw(ctx context.Context, s setting, unit byte, r *readFlags, words []string, out *api.ModbusRead) error {
	addr, n, err := span(words)
	if err != nil {
		return err
	}
	line := s.line()
	defer line.Close()
	m := modbus.NewMaster(line, modbus.MasterOptions{Timeout: r.timeout})
	var regs []uint16
	var bits []bool
	switch r.table {
	case "holding":
		regs, err = m.ReadHolding(ctx, unit, addr, n)
	case "input":
		regs, err = m.ReadInput(ctx, unit, addr, n)
	case "coil":
		bits, err = m.ReadCoils(ctx, unit, addr, n)
	case "discrete":
		bits, err = m.ReadDiscrete(ctx, unit, addr, n)
	default:
		return usagef("--table %s: there are holding, input, coil and discrete", r.table)
	}
	if err != nil {
		return noAnswer(s, unit, err)
	}
	for i, v := range regs {
		out.Values = append(out.Values, api.ModbusValue{Address: int(addr) + i, Hex: fmt.Sprintf("%04x", v), Value: strconv.Itoa(int(v)),
			Signed: strconv.Itoa(int(int16(v))), Quality: record.QualityGood.String()})
	}
	for i, on := range bits {
		out.Values = append(out.Values, api.ModbusValue{Address: int(addr) + i, Value: strconv.FormatBool(on), Quality: record.QualityGood.String()})
	}
	return nil
}

// noAnswer adds what to try to an error of the bench.
func noAnswer(s setting, unit byte, err error) error {
	if errors.Is(err, modbus.ErrTimeout) {
		return fmt.Errorf("unit %d on %s does not answer: power, A and B, speed, parity, unit? edgectl modbus scan %s asks all: %w", unit, s.place, s.place, err)
	}
	return err
}

// readTyped reads values of a type, as a profile would.
func (a *app) readTyped(ctx context.Context, s setting, unit byte, r *readFlags, words []string, out *api.ModbusRead) error {
	addr, n, err := span(words)
	if err != nil {
		return err
	}
	size := map[string]int{"uint32": 2, "int32": 2, "float32": 2, "bcd32": 2, "uint64": 4, "int64": 4, "float64": 4}[r.kind]
	text := fmt.Sprintf("name: bench\ntitle: bench\nmanual: none\nword_order: %q\nbyte_order: %q\nregisters:\n", r.words, r.bytes)
	for i := range n {
		text += fmt.Sprintf("  - {name: v%d, address: %d, table: %s, type: %s, scale: %q, description: bench}\n", i, int(addr)+i*max(size, 1), r.table, r.kind, r.scale)
	}
	p, err := profiles.Load("--type", []byte(text))
	if err != nil {
		return &exit{ExitUsage, err}
	}
	if err := readAll(ctx, s, unit, r, p, out); err != nil {
		return err
	}
	for i := range out.Values {
		out.Values[i].Address, out.Values[i].Series = int(addr)+i*max(size, 1), ""
	}
	return nil
}

// readProfile reads everything that a profile names.
func (a *app) readProfile(ctx context.Context, s setting, unit byte, r *readFlags, name string, out *api.ModbusRead) error {
	p, err := profiles.Shipped(name)
	if strings.ContainsAny(name, "./") {
		var text []byte
		if text, err = os.ReadFile(name); err != nil {
			return fmt.Errorf("read profile: %w", err)
		}
		p, err = profiles.Load(name, text)
	}
	if err != nil {
		return &exit{ExitUsage, fmt.Errorf("%w; edgectl modbus profiles lists them", err)}
	}
	return readAll(ctx, s, unit, r, p, out)
}

func readAll(ctx context.Context, s setting, unit byte, r *readFlags, p *profiles.Profile, out *api.ModbusRead) error {
	line := s.line()
	bus, err := profiles.New(profiles.Options{Line: line, Name: s.place, Timeout: r.timeout, Devices: []profiles.Device{{Unit: unit, Profile: p}}})
	if err != nil {
		line.Close()
		return &exit{ExitUsage, err}
	}
	defer bus.Close()
	samples, err := bus.Read(ctx, nil)
	if err != nil {
		return err
	}
	for _, x := range samples {
		q := bus.Quantities()[x.Quantity]
		out.Values = append(out.Values, valueOf(q, x))
	}
	return nil
}

func valueOf(q drivers.Quantity, x drivers.Sample) api.ModbusValue {
	r := record.Record{Type: x.Type, Num: x.Num, Data: &record.Data{Value: x.Value}}
	v := api.ModbusValue{Series: q.Name, Unit: q.Unit, Quality: x.Quality.String()}
	for _, l := range q.Labels {
		switch l.Key {
		case "bus", "slave", "profile", "name":
		default:
			v.Series += " " + l.Key + "=" + l.Value
		}
	}
	if x.Quality.Bad() {
		v.Detail = fmt.Sprintf("%x", x.Detail)
		if printable(x.Detail) {
			v.Detail = string(x.Detail)
		}
		return v
	}
	v.Value = string(r.AppendText(nil))
	return v
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func (v view) modbusRead(r *api.ModbusRead) string {
	t := term.Table{Gap: 2, Right: []bool{true, true, true, true}}
	named := len(r.Values) > 0 && r.Values[0].Series != ""
	if named {
		t.Right = []bool{false, true}
	}
	for _, x := range r.Values {
		quality := strings.TrimPrefix(x.Quality, "good")
		if x.Detail != "" {
			quality += " (" + x.Detail + ")"
		}
		if named {
			t.Row(v.clean(x.Series), v.clean(or(x.Value, "-")), v.clean(unitText(x.Unit)), v.clean(quality))
			continue
		}
		t.Row(strconv.Itoa(x.Address), fmt.Sprintf("0x%04x", x.Address), x.Hex, v.clean(or(x.Value, "-")), signedText(x), v.clean(quality))
	}
	return t.String()
}

// signedText is the other reading of a register that is negative as one with a sign.
func signedText(x api.ModbusValue) string {
	if x.Signed == "" || x.Signed == x.Value {
		return ""
	}
	return "or " + x.Signed
}

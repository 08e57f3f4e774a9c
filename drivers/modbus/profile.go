package modbus

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

//go:embed profiles/*.yaml
var shipped embed.FS

// Profile says what stands in which register of a kind of device. Load checks it; after that it is not changed.
type Profile struct {
	Name      string     `yaml:"name,required"`   // [a-z0-9-]+: label "profile" of the series
	Title     string     `yaml:"title,required"`  // maker and device
	Manual    string     `yaml:"manual,required"` // the document that the registers were taken from
	Note      string     `yaml:"note"`
	Serial    Serial     `yaml:"serial"`     // factory setting
	WordOrder string     `yaml:"word_order"` // big (default: high word in the lower register) or little
	ByteOrder string     `yaml:"byte_order"` // big (default: high byte first in a register, as Modbus says) or little
	MaxRead   int        `yaml:"max_read"`   // registers or bits in one request that the device takes
	MaxGap    *int       `yaml:"max_gap"`    // unwanted registers read to join two requests, default 8; 0: never
	Registers []Register `yaml:"registers,required"`
}

// Serial is how the device leaves the factory.
type Serial struct {
	Baud   int    `yaml:"baud"`
	Parity string `yaml:"parity"` // none, even, odd
	Unit   int    `yaml:"unit"`
}

// Register is one quantity. Its value is raw·Scale + Offset, computed exactly for integers: a scale of 0.1 makes a
// decimal with one digit.
type Register struct {
	Name        string            `yaml:"name,required"`    // of the series
	Address     uint16            `yaml:"address,required"` // on the wire, from 0
	Table       string            `yaml:"table"`            // holding (default), input, coil, discrete
	Type        string            `yaml:"type"`             // see types; default uint16, bool for coils and discrete inputs
	WordOrder   string            `yaml:"word_order"`       // default: that of the profile
	ByteOrder   string            `yaml:"byte_order"`       // default: that of the profile
	Length      int               `yaml:"length"`           // registers of a string
	Bit         *int              `yaml:"bit"`              // of a bool in a register, 0–15
	Scale       string            `yaml:"scale"`            // decimal number, default 1
	Offset      string            `yaml:"offset"`           // decimal number, default 0
	Unit        string            `yaml:"unit"`             // UCUM
	Min         float64           `yaml:"min"`              // plausible range; both 0: none
	Max         float64           `yaml:"max"`
	None        string            `yaml:"none"` // raw value, as 0x7fff, that means "no reading"
	Labels      map[string]string `yaml:"labels"`
	Description string            `yaml:"description,required"`

	table    table
	kind     kind
	words    int
	little   bool // the low word comes first
	swapped  bool // the low byte of a register comes first
	scale    decimal
	offset   decimal
	typ      record.Type
	none     uint64
	hasNone  bool
	position int // of the quantity among those of the device
}

type table int

const (
	holding table = iota
	input
	coil
	discrete
)

var tables = []string{"holding", "input", "coil", "discrete"}

func (t table) bits() bool { return t == coil || t == discrete }

// Names lists the shipped profiles.
func Names() []string {
	entries, err := shipped.ReadDir("profiles")
	if err != nil {
		panic(err) // the files are part of the program
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return out
}

// Shipped is a profile that comes with the program; the error wraps drivers.ErrConfig.
func Shipped(name string) (*Profile, error) {
	b, err := shipped.ReadFile(path.Join("profiles", name+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("%w: no profile %q%s", drivers.ErrConfig, name, strictyaml.Suggest(name, Names()))
	}
	return Load(name+".yaml", b)
}

// Load reads a profile and checks all of it. file is the name that errors give.
func Load(file string, data []byte) (*Profile, error) {
	if len(data) > MaxProfile {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d", drivers.ErrConfig, file, len(data), MaxProfile)
	}
	p := &Profile{}
	pos, err := strictyaml.DecodePos(file, data, p)
	r := strictyaml.NewReport(pos, err)
	if err == nil {
		p.check(r)
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", drivers.ErrConfig, err)
	}
	return p, nil
}

func (p *Profile) check(r *strictyaml.Report) {
	if p.Name == "" || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		r.Addf("name", "name %q: want a-z, 0-9 and -", p.Name)
	}
	if p.MaxRead == 0 {
		p.MaxRead = modbus.MaxReadRegisters
	}
	if p.MaxRead < 1 || p.MaxRead > modbus.MaxReadRegisters {
		r.Addf("max_read", "max_read %d: want 1 to %d", p.MaxRead, modbus.MaxReadRegisters)
	}
	if p.MaxGap == nil {
		gap := defaultMaxGap
		p.MaxGap = &gap
	}
	if *p.MaxGap < 0 || *p.MaxGap > modbus.MaxReadRegisters {
		r.Addf("max_gap", "max_gap %d: want 0 to %d", *p.MaxGap, modbus.MaxReadRegisters)
	}
	if _, err := isLittle("word_order", p.WordOrder); err != nil {
		r.Addf("word_order", "%v", err)
	}
	if _, err := isLittle("byte_order", p.ByteOrder); err != nil {
		r.Addf("byte_order", "%v", err)
	}
	if n := len(p.Registers); n < 1 || n > MaxRegisters {
		r.Addf("registers", "%d registers: want 1 to %d", n, MaxRegisters)
		return
	}
	keys := map[string]int{}
	for i := range p.Registers {
		at := fmt.Sprintf("registers[%d]", i)
		reg := &p.Registers[i]
		if reg.WordOrder == "" {
			reg.WordOrder = p.WordOrder
		}
		if reg.ByteOrder == "" {
			reg.ByteOrder = p.ByteOrder
		}
		if err := reg.resolve(); err != nil {
			r.Addf(at, "%s: %v", reg.Name, err)
			continue
		}
		reg.position = i
		if reg.words > p.MaxRead {
			r.Addf(at, "%s takes %d registers, max_read is %d", reg.Name, reg.words, p.MaxRead)
		}
		q := reg.series("x", 1, p.Name, nil)
		if err := q.Normalize(); err != nil {
			r.Addf(at, "%v", err)
		} else if first, twice := keys[q.Key()]; twice {
			r.Addf(at, "%s is given twice; the first is registers[%d]", reg.Name, first)
		}
		keys[q.Key()] = i
	}
}

// isLittle reads an order. The four letters are how manuals write both orders together, A being the highest byte of 32 bits.
func isLittle(key, order string) (bool, error) {
	switch order {
	case "", "big":
		return false, nil
	case "little":
		return true, nil
	}
	return false, fmt.Errorf("%s %q: want big or little; ABCD: both big, CDAB: word_order little, BADC: byte_order little, DCBA: both little", key, order)
}

// resolve turns the words of a register into what Decode works with.
func (g *Register) resolve() error {
	if g.Table == "" {
		g.Table = "holding"
	}
	t := slices.Index(tables, g.Table)
	if t < 0 {
		return fmt.Errorf("table %q: want one of %s", g.Table, strings.Join(tables, ", "))
	}
	g.table = table(t)
	if g.Type == "" {
		g.Type = "uint16"
		if g.table.bits() || g.Bit != nil {
			g.Type = "bool"
		}
	}
	var err error
	if g.kind, g.words, err = kindOf(g); err != nil {
		return err
	}
	if int(g.Address)+g.words > 1<<16 {
		return fmt.Errorf("address %d with %d registers ends behind 65535", g.Address, g.words)
	}
	if g.little, err = isLittle("word_order", g.WordOrder); err != nil {
		return err
	}
	if g.swapped, err = isLittle("byte_order", g.ByteOrder); err != nil {
		return err
	}
	if g.scale, err = parseDecimal(g.Scale, decimal{1, 0}); err != nil || g.scale.num == 0 {
		return fmt.Errorf("scale %q: want a number other than 0 with at most 9 decimals", g.Scale)
	}
	if g.offset, err = parseDecimal(g.Offset, decimal{}); err != nil {
		return fmt.Errorf("offset %q: want a number with at most 9 decimals", g.Offset)
	}
	if g.None != "" {
		if g.none, err = strconv.ParseUint(g.None, 0, 64); err != nil {
			return fmt.Errorf("none %q: want a raw value such as 0x7fff", g.None)
		}
		g.hasNone = true
	}
	if g.Min > g.Max {
		return fmt.Errorf("range %g to %g is empty", g.Min, g.Max)
	}
	g.typ = g.valueType()
	return nil
}

// series is the register of one device as a series. Its identity is the line, the slave and what the profile calls
// the register.
func (g *Register) series(bus string, unit byte, profile string, more []record.Label) record.Series {
	s := record.Series{Name: g.Name, Unit: g.Unit, Type: g.typ}
	s.Labels = append(s.Labels, record.Label{Key: "bus", Value: bus}, record.Label{Key: "profile", Value: profile},
		record.Label{Key: "slave", Value: strconv.Itoa(int(unit))})
	for k, v := range g.Labels {
		s.Labels = append(s.Labels, record.Label{Key: k, Value: v})
	}
	s.Labels = append(s.Labels, more...)
	slices.SortFunc(s.Labels, func(a, b record.Label) int { return strings.Compare(a.Key, b.Key) })
	return s
}

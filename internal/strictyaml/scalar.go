package strictyaml

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bytes is a size in bytes, ≥ 0. In files it is written with a unit: "512MiB", "20 GiB", "1.5TB", or as a number.
type Bytes int64

// Units of Bytes.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

var byteUnits = []struct {
	name string
	size float64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// ParseBytes reads a size: a number ≥ 0 and a unit of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; without a unit, bytes.
func ParseBytes(s string) (Bytes, error) {
	num, unit := strings.TrimSpace(s), 1.0
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(num, u.name); ok {
			num, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	bad := fmt.Errorf("%q is not a size; write it like 512MiB or 20GiB", s)
	if num == "" || strings.ContainsAny(num, "eExXpP_+-nNiI") {
		return 0, bad
	}
	if n, err := strconv.ParseInt(num, 10, 64); err == nil && unit == 1 {
		return Bytes(n), nil
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil || f*unit >= math.MaxInt64 {
		return 0, bad
	}
	return Bytes(math.Round(f * unit)), nil
}

// String is the shortest exact form: "20GiB", "1536MiB", "1000".
func (b Bytes) String() string {
	for _, u := range byteUnits[:4] {
		if size := Bytes(u.size); b >= size && b%size == 0 {
			return strconv.FormatInt(int64(b/size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// ParseDuration reads a length of time ≥ 0 with its unit: "250ms", "1s", "1h30m", "7d", "1d12h".
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a length of time; write it with its unit, like 500ms, 10s or 7d", s)
	rest := strings.TrimSpace(s)
	var days time.Duration
	if d, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseUint(d, 10, 16)
		if err != nil {
			return 0, bad
		}
		if days, rest = time.Duration(n)*24*time.Hour, after; rest == "" {
			return days, nil
		}
	}
	v, err := time.ParseDuration(rest)
	if err != nil || v < 0 || days+v < 0 {
		return 0, bad
	}
	return days + v, nil
}

var durationType, bytesType = reflect.TypeFor[time.Duration](), reflect.TypeFor[Bytes]()

// text decodes types that have a text form of their own; it reports whether v is one.
func (d *decoder) text(n *yaml.Node, v reflect.Value, path string) bool {
	um, custom := v.Addr().Interface().(encoding.TextUnmarshaler)
	if v.Type() != durationType && v.Type() != bytesType && !custom {
		return false
	}
	if !d.filled(n, path, "a value") {
		return true
	}
	var err error
	switch {
	case v.Type() == durationType:
		var x time.Duration
		if x, err = ParseDuration(n.Value); err == nil {
			v.SetInt(int64(x))
		}
	case v.Type() == bytesType:
		var x Bytes
		if x, err = ParseBytes(n.Value); err == nil {
			v.SetInt(int64(x))
		}
	default:
		err = um.UnmarshalText([]byte(n.Value))
	}
	if err != nil {
		d.at(n, path, path+": "+err.Error())
	}
	return true
}

// filled reports whether the node is a scalar with a value.
func (d *decoder) filled(n *yaml.Node, path, what string) bool {
	switch {
	case isNull(n):
		d.at(n, path, fmt.Sprintf("%s has no value; give %s or remove the key", quotePath(path), what))
	case n.Kind != yaml.ScalarNode:
		d.at(n, path, fmt.Sprintf("%s wants %s, not %s", quotePath(path), what, describe(n)))
	default:
		return true
	}
	return false
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	what := kindName(v.Kind())
	if !d.filled(n, path, what) {
		return
	}
	quoted := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	ok := true
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value) // the text as it stands: an id like 0017 keeps its zeros
	case reflect.Bool:
		if ok = !quoted && n.ShortTag() == "!!bool"; ok {
			v.SetBool(strings.EqualFold(n.Value, "true"))
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		x, err := strconv.ParseInt(plainInt(n.Value), 0, v.Type().Bits())
		if ok = !quoted && err == nil; ok {
			v.SetInt(x)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		x, err := strconv.ParseUint(plainInt(n.Value), 0, v.Type().Bits())
		if ok = !quoted && err == nil; ok {
			v.SetUint(x)
		}
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(n.Value, v.Type().Bits())
		if ok = !quoted && err == nil && !math.IsNaN(x) && !math.IsInf(x, 0); ok {
			v.SetFloat(x)
		}
	default:
		panic("strictyaml: cannot decode into " + v.Type().String())
	}
	if !ok {
		d.at(n, path, fmt.Sprintf("%s wants %s, not %s", path, what, describe(n)))
	}
}

// plainInt passes decimal and 0x numbers and spoils the rest: 0017 is 17 to one reader and 15 to another.
func plainInt(s string) string {
	digits := strings.TrimLeft(s, "+-")
	hex := strings.HasPrefix(digits, "0x")
	if strings.Contains(s, "_") || len(digits) > 1 && digits[0] == '0' && !hex {
		return ""
	}
	return s
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	text := []rune(n.Value)
	if len(text) > 60 {
		text = append(text[:60], '…')
	}
	return strconv.Quote(string(text))
}

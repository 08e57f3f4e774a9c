package door

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
)

// Bad makes the reading one without a value.
func (r *Reading) Bad(q record.Quality, detail string) {
	r.Quality, r.Type, r.Num, r.Value = q, record.TypeNone, 0, nil
	r.Detail = []byte(detail[:min(len(detail), record.MaxDetailBytes)])
}

// Float sets a float; NaN and infinity are bad.
func (r *Reading) Float(v float64) {
	r.Series.Type = record.TypeFloat
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.Bad(record.QualityNaN, strconv.FormatFloat(v, 'g', -1, 64))
		return
	}
	r.Type, r.Num = record.TypeFloat, int64(math.Float64bits(v))
}

// Int sets an integer.
func (r *Reading) Int(v int64) {
	r.Series.Type, r.Type, r.Num = record.TypeInt, record.TypeInt, v
}

// Uint sets an integer; one above 2^63−1 does not fit and is bad.
func (r *Reading) Uint(v uint64) {
	if v > math.MaxInt64 {
		r.Series.Type = record.TypeInt
		r.Bad(record.QualityOverflow, strconv.FormatUint(v, 10))
		return
	}
	r.Int(int64(v))
}

// Bool sets a truth value.
func (r *Reading) Bool(v bool) {
	r.Series.Type, r.Type, r.Num = record.TypeBool, record.TypeBool, 0
	if v {
		r.Num = 1
	}
}

// String sets a text; the bytes are copied.
func (r *Reading) String(s string) {
	r.Series.Type = record.TypeString
	if len(s) > record.MaxRecordBytes-2*record.MaxDetailBytes {
		r.Bad(record.QualityOverflow, fmt.Sprintf("text of %d bytes: %s", len(s), strings.ToValidUTF8(s[:64], "?")))
		return
	}
	r.Type, r.Value = record.TypeString, []byte(s)
}

// Number sets a number from its text. decimals < 0 makes a float: exact to the last bit of 64, and an integer that
// has no such float is bad. 0 to 9 makes an exact integer or decimal; digits beyond it are refused, not rounded.
func (r *Reading) Number(text string, decimals int) {
	if decimals < 0 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil && math.IsInf(v, 0) {
			r.Series.Type = record.TypeFloat
			r.Bad(record.QualityOverflow, text)
			return
		}
		if err != nil {
			r.Series.Type = record.TypeFloat
			r.Bad(record.QualityMalformed, text)
			return
		}
		if r.Float(v); !exactInt(text, v) {
			r.Bad(record.QualityOverflow, text+" has more digits than a float: declare its decimals")
		}
		return
	}
	r.Series.Type = record.TypeInt
	if decimals > 0 {
		r.Series.Type = record.Decimal(decimals)
	}
	n, q := Decimal(text, decimals)
	if q.Bad() {
		r.Bad(q, fmt.Sprintf("%.200q with %d decimals", text, decimals))
		return
	}
	r.Type, r.Num = r.Series.Type, n
}

// exactInt reports whether a text of digits only is the float v and no other integer.
func exactInt(text string, v float64) bool {
	if len(text) < 16 || strings.ContainsAny(text, ".eE") {
		return true
	}
	n, ok := new(big.Int).SetString(strings.TrimPrefix(text, "+"), 10)
	if !ok {
		return true
	}
	f, _ := new(big.Float).SetFloat64(v).Int(nil)
	return n.Cmp(f) == 0
}

// Decimal reads a decimal number exactly as num / 10^decimals. An exponent is understood. Zeros beyond the decimals
// are fine, other digits there do not fit.
func Decimal(text string, decimals int) (num int64, q record.Quality) {
	t := strings.TrimPrefix(text, "+")
	neg := strings.HasPrefix(t, "-")
	t = strings.TrimPrefix(t, "-")
	mant, exp := t, 0
	if i := strings.IndexAny(t, "eE"); i >= 0 {
		e, err := strconv.Atoi(t[i+1:])
		if err != nil || e > 400 || e < -400 {
			return 0, record.QualityMalformed
		}
		mant, exp = t[:i], e
	}
	whole, frac, _ := strings.Cut(mant, ".")
	digits := whole + frac
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, record.QualityMalformed
	}
	shift := exp - len(frac) + decimals // digits · 10^shift
	for ; shift < 0; shift++ {
		n := len(digits)
		if n > 0 && digits[n-1] != '0' {
			return 0, record.QualityOverflow
		}
		digits = digits[:max(n-1, 0)]
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0, record.QualityGood
	}
	if len(digits)+shift > 19 {
		return 0, record.QualityOverflow
	}
	sign := ""
	if neg {
		sign = "-"
	}
	n, err := strconv.ParseInt(sign+digits+strings.Repeat("0", shift), 10, 64)
	if err != nil {
		return 0, record.QualityOverflow
	}
	return n, record.QualityGood
}

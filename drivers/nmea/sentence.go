package nmea

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Errors of a line.
var (
	errNone     = errors.New("not an NMEA sentence")
	errChecksum = errors.New("checksum of a sentence is wrong")
	errField    = errors.New("field of a sentence is none")
)

// Fix is what sentences of one moment say together. Fields without a value in any of them are nil or zero.
type Fix struct {
	Valid      bool // RMC says A, or GGA a quality above 0
	Guess      bool // not of satellites: dead reckoning, typed in, or simulated
	Time       time.Time
	Lat, Lon   *int64 // 10^-7 degrees, north and east positive
	Speed      *int64 // mm/s
	Course     *int64 // 0.01 degrees
	Altitude   *int64 // 0.1 m above mean sea level
	Satellites *int64 // used
	HDOP       *int64 // 0.01
	Quality    int    // of GGA: 0 none, 1 GPS, 2 differential, 4 and 5 RTK, 6 estimated, 7 typed in, 8 simulated
}

// Parse reads one sentence into f and returns its kind (RMC, GGA, ZDA, VTG), or another's name, which changes nothing.
//
//	$ talker kind , field , … * checksum       xor of all between $ and *
func (f *Fix) Parse(line string) (kind string, err error) {
	line = strings.TrimRight(line, "\r\n")
	body, sum, ok := strings.Cut(strings.TrimPrefix(line, "$"), "*")
	if !ok || !strings.HasPrefix(line, "$") || len(line) > MaxSentence {
		return "", errNone
	}
	x := byte(0)
	for i := range len(body) {
		x ^= body[i]
	}
	want, err := strconv.ParseUint(sum, 16, 8)
	if err != nil || len(sum) != 2 {
		return "", errNone
	}
	if byte(want) != x {
		return "", fmt.Errorf("%w: %02X, it says %s", errChecksum, x, sum)
	}
	p := strings.Split(body, ",")
	if len(p[0]) < 5 || p[0][0] == 'P' { // P: of one maker
		return p[0], nil
	}
	kind = p[0][len(p[0])-3:]
	fields := map[string]int{"RMC": 10, "GGA": 12, "ZDA": 5, "VTG": 6}
	n, known := fields[kind]
	if !known {
		return kind, nil
	}
	if len(p) < n {
		return "", fmt.Errorf("%w: %s with %d fields", errField, kind, len(p))
	}
	g := *f // whole or not at all
	switch kind {
	case "RMC":
		err = g.rmc(p)
	case "GGA":
		err = g.gga(p)
	case "ZDA":
		err = g.zda(p)
	case "VTG":
		err = errors.Join(number(p[1], 2, 0, 36000, &g.Course), knots(p[5], &g.Speed))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", kind, err)
	}
	*f = g
	return kind, nil
}

// rmc: time, status, latitude, N, longitude, E, knots, course, date, variation, W, and since NMEA 2.3 how it was found: E
// estimated, M typed in, S simulated.
func (f *Fix) rmc(p []string) error {
	f.Valid = p[2] == "A"
	if len(p) > 12 {
		f.Guess = f.Guess || p[12] == "E" || p[12] == "M" || p[12] == "S"
	}
	t, err := moment(p[1], p[9])
	if err == nil && !t.IsZero() {
		f.Time = t
	}
	return errors.Join(err, f.position(p[3:7]), knots(p[7], &f.Speed), number(p[8], 2, 0, 36000, &f.Course))
}

// gga: time, latitude, N, longitude, E, quality, satellites, HDOP, altitude, M.
func (f *Fix) gga(p []string) error {
	q, err := strconv.Atoi(p[6])
	if err != nil || q < 0 || q > 9 {
		return fmt.Errorf("%w: quality %q", errField, p[6])
	}
	f.Quality, f.Valid, f.Guess = q, q > 0, f.Guess || q >= 6 && q <= 8
	return errors.Join(f.position(p[2:6]), number(p[7], 0, 0, 200, &f.Satellites), number(p[8], 2, 0, 10000, &f.HDOP),
		number(p[9], 1, -100_000, 1_000_000, &f.Altitude))
}

// zda: time, day, month, year.
func (f *Fix) zda(p []string) error {
	if p[1] == "" || p[2] == "" || p[3] == "" || len(p[4]) != 4 {
		return nil // not known yet
	}
	t, err := moment(p[1], p[2]+p[3]+p[4][2:])
	if err == nil && !t.IsZero() {
		f.Time = t
	}
	return err
}

// moment is hhmmss.sss and ddmmyy; zero while the receiver does not know it.
func moment(clock, date string) (time.Time, error) {
	if clock == "" || date == "" {
		return time.Time{}, nil
	}
	whole, frac, _ := strings.Cut(clock, ".")
	if len(whole) != 6 || len(date) != 6 || len(frac) > 9 {
		return time.Time{}, fmt.Errorf("%w: time %q, date %q", errField, clock, date)
	}
	t, err := time.Parse("020106150405", date+whole) // years 69 to 99 are of 19xx: a receiver whose weeks ran over
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: time %q, date %q", errField, clock, date)
	}
	ns, err := strconv.ParseUint((frac + "000000000")[:9], 10, 32)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: time %q", errField, clock)
	}
	return t.Add(time.Duration(ns)), nil
}

// position is latitude ddmm.mmmm, N or S, longitude dddmm.mmmm, E or W; empty while it is not known.
func (f *Fix) position(p []string) error {
	if p[0] == "" || p[2] == "" {
		return nil
	}
	lat, err1 := angle(p[0], 2, p[1], "N", "S", 90)
	lon, err2 := angle(p[2], 3, p[3], "E", "W", 180)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	f.Lat, f.Lon = &lat, &lon
	return nil
}

// angle turns degrees and minutes into 10^-7 degrees, rounded: a ten-thousandth of a minute is 17 of them.
func angle(text string, digits int, side, positive, negative string, most int64) (int64, error) {
	bad := fmt.Errorf("%w: %q %q", errField, text, side)
	if len(text) < digits+2 {
		return 0, bad
	}
	degrees, err := strconv.ParseUint(text[:digits], 10, 16)
	if err != nil {
		return 0, bad
	}
	var minutes *int64
	if err := number(text[digits:], 7, 0, 60e7-1, &minutes); err != nil || minutes == nil {
		return 0, bad
	}
	v := int64(degrees)*1e7 + (*minutes+30)/60
	if v > most*1e7 {
		return 0, bad
	}
	switch side {
	case positive:
		return v, nil
	case negative:
		return -v, nil
	}
	return 0, bad
}

// number reads a decimal number as an integer of 10^-decimals; more digits are rounded. Empty leaves out as it is.
func number(text string, decimals int, lo, hi int64, out **int64) error {
	if text == "" {
		return nil
	}
	whole, frac, _ := strings.Cut(text, ".")
	sign := int64(1)
	if rest, neg := strings.CutPrefix(whole, "-"); neg {
		sign, whole = -1, rest
	}
	digits := whole + (frac + "0000000000")[:decimals+1]
	v, err := strconv.ParseUint(digits, 10, 62)
	if err != nil || len(frac) > 9 || strings.Trim(frac, "0123456789") != "" {
		return fmt.Errorf("%w: %q", errField, text)
	}
	n := sign * int64((v+5)/10)
	if n < lo || n > hi {
		return fmt.Errorf("%w: %q is out of range", errField, text)
	}
	*out = &n
	return nil
}

// knots reads a speed in mm/s: a knot is 1852 m an hour.
func knots(text string, out **int64) error {
	var v *int64
	if err := number(text, 3, 0, 2_000_000, &v); err != nil || v == nil {
		return err
	}
	n := (*v*1852 + 1800) / 3600
	*out = &n
	return nil
}

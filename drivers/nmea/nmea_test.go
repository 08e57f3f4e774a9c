package nmea_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/nmea"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func scaled(v *int64, decimals int) string {
	if v == nil {
		return "-"
	}
	return string(record.AppendDecimal(nil, *v, decimals))
}

// TestSentences compares with what pynmea2 reads in the same sentences (testdata/generate.py).
func TestSentences(t *testing.T) {
	table, err := os.ReadFile("testdata/sentences.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		p := strings.Split(strings.TrimSpace(line), "\t")
		var f nmea.Fix
		kind, err := f.Parse(p[0])
		if err != nil || !f.Valid {
			t.Errorf("%s: %v", p[0], err)
			continue
		}
		got := []string{strconv.Itoa(f.Quality), scaled(f.Lat, 7), scaled(f.Lon, 7), scaled(f.Satellites, 0), scaled(f.HDOP, 2), scaled(f.Altitude, 1)}
		if kind == "RMC" {
			got = []string{f.Time.Format("2006-01-02T15:04:05.000000"), scaled(f.Lat, 7), scaled(f.Lon, 7), scaled(f.Speed, 3), scaled(f.Course, 2)}
		}
		for i := range got {
			// pynmea2 calculates with floats: the last digit may differ.
			a, err1 := strconv.ParseFloat(got[i], 64)
			b, err2 := strconv.ParseFloat(p[1+i], 64)
			if got[i] != p[1+i] && (err1 != nil || err2 != nil || math.Abs(a-b) > 1.5e-3 || i < 3 && math.Abs(a-b) > 1.5e-7) {
				t.Errorf("%s: field %d is %s, pynmea2 says %s", p[0], i, got[i], p[1+i])
			}
		}
		n++
	}
	if n != 24 {
		t.Errorf("%d sentences", n)
	}
}

// with puts the checksum behind a sentence.
func with(body string) string {
	x := byte(0)
	for i := range len(body) {
		x ^= body[i]
	}
	return fmt.Sprintf("$%s*%02X\r\n", body, x)
}

func TestSentencesThatAreNone(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", "not an NMEA"}, {"$GPRMC,", "not an NMEA"}, {"GPRMC*00", "not an NMEA"},
		{"$GPGGA,1*00", "checksum"},
		{with("GPRMC,1"), "with 2 fields"},
		{with("GPRMC,250000,A,,,,,,,010124"), "time"},
		{with("GPRMC,120000,A,9100.0,N,00000.0,E,,,010124"), `"9100.0"`},
		{with("GPRMC,120000,A,4760.0,N,00000.0,E,,,010124"), `"4760.0"`},
		{with("GPRMC,120000,A,4700.0,X,00000.0,E,,,010124"), `"X"`},
		{with("GPGGA,120000,,,,,x,,,,M,,M,,"), `quality "x"`},
		{with("GPGGA,120000,,,,,1,,-1,,M,,M,,"), "out of range"},
	} {
		var f nmea.Fix
		if _, err := f.Parse(c.line); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.line, err, c.want)
		}
		if f != (nmea.Fix{}) {
			t.Errorf("%q left %+v", c.line, f)
		}
	}
	var f nmea.Fix
	if kind, err := f.Parse(with("GPZDA,201530.00,04,07,2024,00,00")); kind != "ZDA" || err != nil || f.Time.Format(time.RFC3339) != "2024-07-04T20:15:30Z" {
		t.Errorf("%s %v %v", kind, err, f.Time)
	}
	if kind, err := f.Parse(with("PUBX,00,x")); kind != "PUBX" || err != nil {
		t.Errorf("%s %v", kind, err)
	}
}

// moment is what a receiver says in one second.
func moment() string {
	return with("GPRMC,092725.00,A,4717.11399,N,00833.91590,E,0.004,77.52,091224,,,A") + with("GPVTG,77.52,T,,M,0.004,N,0.008,K,A") +
		with("GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,") + with("GPGSA,A,3,23,29,07,08,09,18,26,28,,,,,1.94,1.18,1.54") +
		with("GPGLL,4717.11399,N,00833.91590,E,092725.00,A,A")
}

const noFix = "GPRMC,,V,,,,,,,,,,N"

type receiver struct {
	socket *sim.Socket
	says   atomic.Pointer[string]
	done   chan struct{}
}

func plug(t *testing.T, every time.Duration, says string) *receiver {
	t.Helper()
	r := &receiver{socket: sim.NewSocket(filepath.Join(t.TempDir(), "tty")), done: make(chan struct{})}
	r.says.Store(&says)
	if err := r.socket.Plug(); err != nil {
		t.Fatal(err)
	}
	m := r.socket.Master()
	go func() {
		defer close(r.done)
		for {
			time.Sleep(every)
			if _, err := m.WriteString(*r.says.Load()); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		r.socket.Unplug()
		<-r.done
	})
	return r
}

func (r *receiver) open(t *testing.T, o nmea.Options) *nmea.Receiver {
	t.Helper()
	o.Port = serial.Options{Device: r.socket.Link(), LockDir: t.TempDir()}
	s, err := nmea.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

const every = 250 * time.Millisecond

func sweep(t *testing.T, s *nmea.Receiver) (string, error) {
	t.Helper()
	out, err := s.Read(t.Context(), nil)
	var parts []string
	for _, x := range out {
		if x.Quality.Bad() {
			parts = append(parts, x.Quality.String())
			continue
		}
		parts = append(parts, string(record.AppendDecimal(nil, x.Num, x.Type.Decimals())))
	}
	return strings.Join(parts, " "), err
}

func TestReceiver(t *testing.T) {
	r := plug(t, every, moment())
	type told struct {
		utc, at time.Time
		delay   time.Duration
	}
	var times []told
	s := r.open(t, nmea.Options{Delay: 700 * time.Millisecond, Time: func(utc, at time.Time, d time.Duration) { times = append(times, told{utc, at, d}) }})
	const good = "47.2852332 8.5652650 0.002 77.52 499.6 8 1.01"
	for range 2 {
		before := time.Now()
		if got, err := sweep(t, s); err != nil || got != good {
			t.Fatalf("got %s, %v", got, err)
		}
		last := times[len(times)-1]
		if last.utc.Format(time.RFC3339) != "2024-12-09T09:27:25Z" || last.at.Before(before) || last.at.After(time.Now()) || last.delay != 700*time.Millisecond {
			t.Errorf("time %+v", last)
		}
	}
	seven := func(q string) string { return strings.TrimSpace(strings.Repeat(q+" ", 7)) }
	told2 := len(times)
	for text, want := range map[string]string{
		with(noFix):              seven("bad:device"),
		"$GPRMC,1*00\r\n":        seven("bad:crc"),
		"hello\r\n":              seven("bad:malformed"),
		with("GPTXT,01,01,02,u"): seven("bad:malformed"),
	} {
		r.says.Store(&text)
		time.Sleep(2 * every)
		if got, err := sweep(t, s); err != nil || got != want {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
	}
	if len(times) != told2 {
		t.Error("a time without a fix was told")
	}
	for _, text := range []string{
		with("GPGGA,092725.00,4717.11399,N,00833.91590,E,6,08,1.01,499.6,M,48.0,M,,"),
		with("GPRMC,092725.00,A,4717.11399,N,00833.91590,E,0.004,77.52,091224,,,S"),
	} {
		r.says.Store(&text)
		time.Sleep(2 * every)
		out, err := s.Read(t.Context(), nil)
		if err != nil || len(out) < 4 {
			t.Fatalf("%s: %v, %v", text, out, err)
		}
		for _, x := range out {
			if x.Quality != record.QualityUncertain || x.Type == record.TypeNone {
				t.Errorf("%s: %+v", text, x)
			}
		}
	}
	if len(times) != told2 {
		t.Error("the time of a receiver that guesses was told")
	}
	r.socket.Unplug()
	if got, err := sweep(t, s); !errors.Is(err, drivers.ErrBus) || got != seven("bad:bus") {
		t.Errorf("unplugged: %s, %v", got, err)
	}
	if _, err := sweep(t, s); !errors.Is(err, drivers.ErrNoDevice) {
		t.Errorf("without a port: %v", err)
	}
}

func TestConformance(t *testing.T) {
	r := plug(t, every, moment())
	driverstest.Run(t, func(t *testing.T) drivers.Sensor { return r.open(t, nmea.Options{}) }, driverstest.Options{Reads: 3,
		Change: func(_ *testing.T, i int) {
			text := moment()
			if i == 1 {
				text = with(noFix)
			}
			r.says.Store(&text)
		}})
}

func FuzzSentence(f *testing.F) {
	for line := range strings.Lines(moment() + with(noFix)) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var fix nmea.Fix
		if _, err := fix.Parse(line); err != nil && fix != (nmea.Fix{}) {
			t.Fatalf("%q: %v left %+v", line, err, fix)
		}
		// Behind any checksum the fields are what must hold.
		body := strings.TrimPrefix(strings.SplitN(line, "*", 2)[0], "$")
		fix = nmea.Fix{}
		if _, err := fix.Parse(with(body)); err == nil && (fix.Lat != nil && (*fix.Lat > 90e7 || *fix.Lat < -90e7) || fix.Lon != nil && (*fix.Lon > 180e7 || *fix.Lon < -180e7)) {
			t.Fatalf("%q: position %d %d", body, *fix.Lat, *fix.Lon)
		}
	})
}

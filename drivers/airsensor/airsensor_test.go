package airsensor_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/airsensor"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/drivers/driverstest"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// text is the samples as "value value", bad ones as their quality.
func text(out []drivers.Sample) string {
	var parts []string
	for _, x := range out {
		switch {
		case x.Quality.Bad():
			parts = append(parts, x.Quality.String())
		case x.Type.Base() == record.TypeDecimal:
			parts = append(parts, string(record.AppendDecimal(nil, x.Num, x.Type.Decimals())))
		default:
			parts = append(parts, fmt.Sprint(x.Num))
		}
	}
	return strings.Join(parts, " ")
}

// TestFrames compares with what PyPMS reads in the same frames (testdata/generate.py).
func TestFrames(t *testing.T) {
	table, err := os.ReadFile("testdata/frames.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		frame := unhex(t, f[1])
		skip, size, ok, out := airsensor.Parse(airsensor.Options{Model: f[0]}, frame)
		if skip != 0 || size != len(frame) || !ok || text(out) != f[2] {
			t.Errorf("%s\n got %s (%d, %d, %v)\nwant %s", line, text(out), skip, size, ok, f[2])
		}
		n++
	}
	if n != 24 {
		t.Errorf("%d frames", n)
	}
}

// TestManuals are the examples that the makers' manuals print, and what no manual shows.
func TestManuals(t *testing.T) {
	for _, c := range []struct{ model, frame, want string }{
		{airsensor.SDS011, "aa c0 d4 04 3a 0a a1 60 1d ab", "123.6 261.8"}, // control protocol V1.3
		{airsensor.MHZ19, "ff 86 02 60 47 00 00 00 d1", "608"},             // MH-Z19 manual
		{airsensor.MHZ19, "ff 86 00 00 47 00 00 00 33", "bad:device"},
		{airsensor.PMS7003, "42 4d 00 1c" + strings.Repeat("00", 24) + "97 00 01 42", strings.TrimSpace(strings.Repeat("bad:device ", 12))},
		{airsensor.PMS7003, "42 4d 00 1c" + strings.Repeat("0001", 12) + "97 01 01 4f", strings.TrimSpace(strings.Repeat("bad:device ", 12))},
	} {
		_, _, ok, out := airsensor.Parse(airsensor.Options{Model: c.model}, unhex(t, c.frame))
		if !ok || text(out) != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.frame, text(out), ok, c.want)
		}
	}
}

// device is what hangs on the socket: it says what it is told to say, again and again or when it is asked.
type device struct {
	socket *sim.Socket
	says   atomic.Pointer[[]byte]
	heard  chan []byte
}

func plug(t *testing.T, every time.Duration, says ...byte) *device {
	t.Helper()
	d := &device{socket: sim.NewSocket(filepath.Join(t.TempDir(), "tty")), heard: make(chan []byte, 64)}
	d.says.Store(&says)
	if err := d.socket.Plug(); err != nil {
		t.Fatal(err)
	}
	m := d.socket.Master()
	var done [2]chan struct{}
	for i := range done {
		done[i] = make(chan struct{})
	}
	go func() {
		defer close(done[0])
		buf := make([]byte, 64)
		for {
			n, err := m.Read(buf)
			if err != nil {
				return
			}
			select {
			case d.heard <- append([]byte(nil), buf[:n]...):
			default:
			}
			if every == 0 {
				if _, err := m.Write(*d.says.Load()); err != nil {
					return
				}
			}
		}
	}()
	go func() {
		defer close(done[1])
		for every > 0 {
			time.Sleep(every)
			if _, err := m.Write(*d.says.Load()); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		d.socket.Unplug()
		<-done[0]
		<-done[1]
	})
	return d
}

func (d *device) say(b []byte) { d.says.Store(&b) }

func (d *device) open(t *testing.T, o airsensor.Options) *airsensor.Sensor {
	t.Helper()
	o.Port = serial.Options{Device: d.socket.Link(), LockDir: t.TempDir()}
	o.Patience = 400 * time.Millisecond
	s, err := airsensor.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

const (
	novaFrame  = "aac0d4043a0aa1601dab"
	winsenGood = "ff86026047000000d1"
)

func TestReports(t *testing.T) {
	d := plug(t, 10*time.Millisecond, unhex(t, novaFrame)...)
	s := d.open(t, airsensor.Options{Model: airsensor.SDS011, Period: -1})
	read := func(want string, wantErr error) {
		t.Helper()
		out, err := s.Read(t.Context(), nil)
		if text(out) != want || !errors.Is(err, wantErr) {
			t.Errorf("got %s, %v; want %s, %v", text(out), err, want, wantErr)
		}
	}
	read("123.6 261.8", nil)
	for _, want := range []string{"aab402000000000000000000000000ffff00ab", "aab402010000000000000000000000ffff01ab"} { // asked, not answered, told
		if got := hex.EncodeToString(<-d.heard); got != want {
			t.Errorf("set up with %s", got)
		}
	}
	d.say(unhex(t, "00aac0aac0"+"640020030000"+"87ab")) // noise that looks like a beginning
	read("10.0 80.0", nil)
	d.say(unhex(t, "aac0d4043a0aa1601eab"))
	read("bad:crc bad:crc", nil)
	d.say([]byte("hello world\n"))
	read("bad:malformed bad:malformed", nil)
	d.say(nil)
	time.Sleep(50 * time.Millisecond) // what was on its way has come, and is thrown away
	read("bad:timeout bad:timeout", drivers.ErrTimeout)
	d.socket.Unplug()
	read("bad:bus bad:bus", drivers.ErrBus)
	read("bad:bus bad:bus", drivers.ErrNoDevice)
}

func TestAnswers(t *testing.T) {
	d := plug(t, 0, unhex(t, winsenGood)...)
	s := d.open(t, airsensor.Options{Model: airsensor.MHZ19})
	for range 2 {
		if out, err := s.Read(t.Context(), nil); err != nil || text(out) != "608" {
			t.Errorf("got %s, %v", text(out), err)
		}
		if got := hex.EncodeToString(<-d.heard); got != "ff0186000000000079" {
			t.Errorf("asked with %s", got)
		}
	}
	s.Close()
	s = d.open(t, airsensor.Options{Model: airsensor.MHZ19, Baseline: "off"})
	if _, err := s.Read(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if got := hex.EncodeToString(<-d.heard); !strings.HasPrefix(got, "ff0179000000000086") {
		t.Errorf("set up with %s", got)
	}
}

// TestSettingsAreWrittenOnce: a sensor that has its settings is told nothing, since it keeps them in its flash.
func TestSettingsAreWrittenOnce(t *testing.T) {
	const active, period = "aac50200000000a16003ab", "aac508000500a1600eab" // the answers: mode 0, period 5
	d := plug(t, 0, unhex(t, active[:20]+period+novaFrame)...)
	s := d.open(t, airsensor.Options{Model: airsensor.SDS011, Period: 5})
	_, _ = s.Read(t.Context(), nil) // nothing reports by itself here
	var got []string
	for len(d.heard) > 0 {
		got = append(got, hex.EncodeToString(<-d.heard)[:10])
	}
	if text := strings.Join(got, " "); text != "aab4020000 aab4080000" {
		t.Errorf("it was told %s", text)
	}
	s.Close()
	s = d.open(t, airsensor.Options{Model: airsensor.SDS011, Period: 10})
	_, _ = s.Read(t.Context(), nil)
	got = nil
	for len(d.heard) > 0 {
		got = append(got, hex.EncodeToString(<-d.heard)[:10])
	}
	if text := strings.Join(got, " "); text != "aab4020000 aab4080000 aab408010a" {
		t.Errorf("another period: it was told %s", text)
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]airsensor.Options{
		`model "pms1"`: {Model: "pms1"}, "baseline": {Model: airsensor.SDS011, Baseline: "on"}, "period 31": {Model: airsensor.SDS011, Period: 31},
		"period 5": {Model: airsensor.MHZ19, Period: 5}, "no device": {Model: airsensor.MHZ19},
	} {
		if _, err := airsensor.New(o); !errors.Is(err, drivers.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestConformance(t *testing.T) {
	frames := map[string]string{airsensor.SDS011: novaFrame, airsensor.MHZ19: winsenGood,
		airsensor.PMS5003: "424d001c027d010502f7016f032e02c303c5035d02f5029b03b0021e970007b5"}
	for model, frame := range frames {
		t.Run(model, func(t *testing.T) {
			every := 5 * time.Millisecond
			if model == airsensor.MHZ19 {
				every = 0
			}
			good, bad := unhex(t, frame), unhex(t, frame)
			bad[5] ^= 0x10
			d := plug(t, every, good...)
			driverstest.Run(t, func(t *testing.T) drivers.Sensor { return d.open(t, airsensor.Options{Model: model}) },
				driverstest.Options{Reads: 3, Change: func(_ *testing.T, i int) {
					if i == 1 {
						d.say(bad)
					} else {
						d.say(good)
					}
				}})
		})
	}
}

func FuzzFrames(f *testing.F) {
	for _, s := range []string{novaFrame, winsenGood, "424d001c0000", "ff86ff86", "aac0aac0"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []string{airsensor.PMS5003, airsensor.SDS011, airsensor.MHZ19} {
			skip, size, ok, out := airsensor.Parse(airsensor.Options{Model: m}, b)
			if skip < 0 || size < 0 || skip+size > len(b) || ok && (size == 0 || len(out) == 0) {
				t.Fatalf("%s: skip %d, size %d of %d, %v", m, skip, size, len(b), ok)
			}
		}
	})
}

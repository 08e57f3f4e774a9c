package genericserial_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/genericserial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// port says what it was given, then is silent. It is opened in a pause, unless midst is set.
type port struct {
	mu     sync.Mutex
	midst  bool
	chunks [][]byte
	closed bool
	wait   time.Duration
	wrote  []byte
	answer []byte
}

func (p *port) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, io.ErrClosedPipe
	}
	if !p.midst {
		p.midst = true
		return 0, nil
	}
	if len(p.chunks) == 0 {
		p.mu.Unlock()
		time.Sleep(time.Millisecond)
		p.mu.Lock()
		return 0, nil
	}
	n := copy(b, p.chunks[0])
	p.chunks = p.chunks[1:]
	return n, nil
}

func (p *port) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrote = append(p.wrote, b...)
	p.chunks = append(p.chunks, p.answer)
	return len(b), nil
}

func (p *port) SetReadTimeout(d time.Duration) error { p.wait = d; return nil }

func (p *port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

// listen runs a device until want lines came and returns them.
func listen(t *testing.T, o genericserial.Options, p *port, want int) string {
	t.Helper()
	got := make(chan string, 1000)
	o.Name = "tty"
	o.Open = func(context.Context) (genericserial.Port, error) { return p, nil }
	o.Events.Missed = func(w door.Missed, _ int, _ error) { got <- "! " + string(w) }
	d, err := genericserial.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- d.Run(ctx, func(_ context.Context, m door.Message) error {
			for _, r := range m.Readings {
				text := r.Quality.String()
				if !r.Quality.Bad() {
					x := record.Record{Type: r.Type, Num: r.Num, Data: &record.Data{Value: r.Value}}
					text = string(x.AppendText(nil))
				} else if len(r.Detail) == 0 {
					text += " without detail"
				}
				got <- r.Series.Name + "=" + text
			}
			return nil
		})
	}()
	var out []string
	for range want {
		select {
		case s := <-got:
			out = append(out, s)
		case <-time.After(time.Minute):
			t.Fatalf("only %q came", out)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	return strings.Join(out, " ")
}

func chunks(text string, n int) (out [][]byte) {
	for ; len(text) > n; text = text[n:] {
		out = append(out, []byte(text[:n]))
	}
	return append(out, []byte(text))
}

// A port is opened while a device speaks: the end of a number is a number too, but not what was measured.
func TestOpenedInTheMidstOfALine(t *testing.T) {
	o := genericserial.Options{Format: "csv", Fields: []genericserial.Field{{Name: "t", Type: "decimal", Decimals: 1}}}
	for _, n := range []int{1, 3, 1000} {
		if got := listen(t, o, &port{midst: true, chunks: chunks("23.4\r\n123.5\r\n", n)}, 1); got != "t=123.5" {
			t.Errorf("in chunks of %d: %s", n, got)
		}
	}
}

// A character with wrong parity reads as NUL: what is left of the line is another number.
func TestDamagedCharacter(t *testing.T) {
	for _, parity := range []bool{false, true} {
		o := genericserial.Options{Format: "regexp", Pattern: `(?P<t>\d+\.\d)`, Parity: parity,
			Fields: []genericserial.Field{{Name: "t", Type: "decimal", Decimals: 1}}}
		in, want := "1\x003.4\n\x00123.5\x00\n123.6\n", "! malformed t=123.5 t=123.6" // without parity: padding
		if parity {
			in, want = "1\x003.4\n\x0023.5\n123.6\n", "! malformed ! malformed t=123.6"
		}
		if got := listen(t, o, &port{chunks: chunks(in, 1000)}, 3); got != want {
			t.Errorf("parity %v: got %s, want %s", parity, got, want)
		}
	}
}

func TestFormats(t *testing.T) {
	f := []genericserial.Field{{Name: "t", Type: "decimal", Decimals: 2, Unit: "Cel"}, {Name: "n", Type: "int"}, {Name: "ok", Type: "bool"}}
	cases := []struct {
		name string
		o    genericserial.Options
		in   string
		want string
	}{
		{"regexp", genericserial.Options{Format: "regexp", Pattern: `^T=(?P<t>[-\d.]+) N=(?P<n>\S+)( (?P<ok>ON|OFF))?$`, Fields: f},
			"T=21.5 N=3 ON\r\nrubbish\nT=1.234 N=x\n\xff\xfe\nT=-0.5 N=4\n", "t=21.50 n=3 ok=true ! malformed t=bad:overflow n=bad:malformed ! malformed t=-0.50 n=4"},
		{"csv", genericserial.Options{Format: "csv", Separator: ";", Fields: append([]genericserial.Field{{}}, f...)},
			"id7; 20.25;-1; 0\nid7;1\n", "t=20.25 n=-1 ok=false ! malformed"},
		{"json", genericserial.Options{Format: "json", JSON: door.Mapping{Decimals: map[string]int{"t": 1}}}, "{\"t\":1.5}\n{\"t\"\n", "t=1.5 ! malformed"},
		{"binary", genericserial.Options{Format: "binary", Frame: genericserial.Frame{Sync: "aa55", Length: 8, Checksum: "sum8"}, Fields: []genericserial.Field{
			{Name: "t", Type: "i16be", Offset: 2, Decimals: 1}, {Name: "u", Type: "u16le", Offset: 4}, {Name: "b", Type: "i8", Offset: 6}}},
			"\x01\xaa\xaa\x55\xff\xfe\x01\x02\x80\x7f" + "\xaa\x55\xff\xfe\x01\x02\x80\x00" + "\xaa\x55\x00\x0f\x00\x00\x01\x0f", "t=-0.2 u=513 b=-128 t=bad:crc u=bad:crc b=bad:crc t=1.5 u=0 b=1"},
	}
	for _, c := range cases {
		for _, n := range []int{1, 7, 1000} {
			if got := listen(t, c.o, &port{chunks: chunks(c.in, n)}, len(strings.Fields(strings.ReplaceAll(c.want, "! ", "!")))); got != c.want {
				t.Errorf("%s in chunks of %d\n got %s\nwant %s", c.name, n, got, c.want)
			}
		}
	}
}

func TestRequestAndSilence(t *testing.T) {
	f := []genericserial.Field{{Name: "v"}}
	p := &port{answer: []byte("3.5\n")}
	if got := listen(t, genericserial.Options{Format: "csv", Fields: f, Request: []byte("?"), Interval: 10 * time.Millisecond}, p, 2); got != "v=3.5 v=3.5" || string(p.wrote[:2]) != "??" {
		t.Errorf("got %s after %q", got, p.wrote)
	}
	if got := listen(t, genericserial.Options{Format: "csv", Fields: f, Silence: 20 * time.Millisecond}, &port{}, 2); got != "v=bad:timeout v=bad:timeout" {
		t.Errorf("got %s", got)
	}
}

func TestConfig(t *testing.T) {
	open := func(context.Context) (genericserial.Port, error) { return &port{}, nil }
	f := []genericserial.Field{{Name: "v"}}
	for i, o := range []genericserial.Options{{}, {Format: "csv"}, {Format: "xml", Fields: f}, {Format: "regexp", Pattern: "(", Fields: f},
		{Format: "regexp", Pattern: "(?P<w>x)", Fields: f}, {Format: "csv", Separator: "ab", Fields: f}, {Format: "csv", Fields: []genericserial.Field{{Name: "v", Type: "real"}}},
		{Format: "binary", Fields: []genericserial.Field{{Name: "v", Type: "u8", Offset: 9}}, Frame: genericserial.Frame{Sync: "aa", Length: 9}},
		{Format: "binary", Fields: []genericserial.Field{{Name: "v", Type: "u8"}}, Frame: genericserial.Frame{Sync: "a", Length: 9}},
		{Format: "csv", Fields: f, Request: []byte("x")}, {Format: "csv", Fields: append(f, f...)}} {
		if o.Open, o.Name = open, "tty"; i == 0 {
			o.Open = nil
		}
		if _, err := genericserial.New(o); !errors.Is(err, drivers.ErrConfig) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func FuzzFeed(f *testing.F) {
	f.Add([]byte("T=1.5\nx"), []byte("\xaa\x55\x01\x02\x03\x04"))
	fields := []genericserial.Field{{Name: "t", Decimals: 1, Type: "decimal"}}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, o := range []genericserial.Options{{Format: "regexp", Pattern: `T=(?P<t>\S+)`, Fields: fields}, {Format: "csv", Fields: fields}, {Format: "json"},
			{Format: "binary", Frame: genericserial.Frame{Sync: "aa55", Length: 6, Checksum: "sum8"}, Fields: []genericserial.Field{{Name: "t", Type: "f32le", Offset: 1}}}} {
			genericserial.Feed(t, o, a, b)
		}
	})
}

func TestConformance(t *testing.T) {
	driverstest.RunDoor(t, func(t *testing.T, e door.Events) door.Source {
		d, err := genericserial.New(genericserial.Options{Name: "tty", Format: "csv", Request: []byte("?"), Interval: 10 * time.Millisecond,
			Fields: []genericserial.Field{{Name: "a", Type: "float"}, {Name: "b", Type: "int", Max: 9}}, Events: e,
			Open: func(context.Context) (genericserial.Port, error) { return &port{answer: []byte("1.5,7\nx,8\n")}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, driverstest.DoorOptions{})
}

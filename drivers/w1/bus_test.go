package w1_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/w1"
	sim "github.com/edgelog/edgelog/internal/sim/w1"
)

const (
	romA = "28-0000055f1c3a"
	romB = "28-0416a1b2c3ff"
	romS = "10-000802a1b2c3"
)

func tree(t *testing.T, roms ...string) *sim.Tree {
	t.Helper()
	tr, err := sim.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roms {
		if err := tr.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func open(t *testing.T, o w1.Options) *w1.Bus {
	t.Helper()
	b, err := w1.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sweep reads once and writes each sample as "rom value" or "rom quality detail".
func sweep(t *testing.T, b *w1.Bus) (string, error) {
	t.Helper()
	out, err := b.Read(t.Context(), nil)
	var lines []string
	for _, s := range out {
		q := b.Quantities()[s.Quantity]
		line := q.Label("rom") + " "
		if s.Quality.Bad() {
			line += s.Quality.String()
			if len(s.Detail) == 9 {
				line += fmt.Sprintf(" % x", s.Detail)
			} else {
				line += " " + string(s.Detail)
			}
		} else {
			line += string(record.AppendDecimal(nil, s.Num, s.Type.Decimals()))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), err
}

func expect(t *testing.T, b *w1.Bus, want ...string) {
	t.Helper()
	got, err := sweep(t, b)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if got != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestQualities(t *testing.T) {
	tr := tree(t, romA)
	b := open(t, w1.Options{Root: tr.Dir()})
	must(t, tr.SetSixteenths(romA, 21*16+7))
	expect(t, b, romA+" 21.4375")
	must(t, tr.Set(romA, sim.PowerOn(romA), true))
	expect(t, b, romA+" bad:power-on 50 05 4b 46 7f ff 0c 10 1c")
	must(t, tr.Set(romA, sim.NoConversion(), true))
	expect(t, b, romA+" bad:no-conversion ff 07 4b 46 7f ff 0c 10 "+fmt.Sprintf("%02x", sim.NoConversion()[8]))
	must(t, tr.Set(romA, sim.AllZero(), true))
	expect(t, b, romA+" bad:all-zero 00 00 00 00 00 00 00 00 00")
	must(t, tr.Set(romA, sim.Damaged(sim.Encode(romA, 343, 12), 3), false))
	expect(t, b, romA+" bad:crc 5f 01 4b 46 7f ff 09 10 c7")
	must(t, tr.Set(romA, sim.Scratchpad{255, 255, 255, 255, 255, 255, 255, 255, 255}, false))
	expect(t, b, romA+" bad:absent ff ff ff ff ff ff ff ff ff")
	must(t, tr.SetText(romA, ""))
	expect(t, b, romA+" bad:bus empty read")
	must(t, tr.SetText(romA, "57 01 4b"))
	expect(t, b, romA+" bad:malformed 57 01 4b")
	// The kernel says YES, the bytes say otherwise: the bytes count.
	must(t, tr.SetText(romA, "5f 01 4b 46 7f ff 09 10 c7 : crc=c7 YES\n57 01 4b 46 7f ff 09 10 c7 t=21437\n"))
	expect(t, b, romA+" bad:crc 5f 01 4b 46 7f ff 09 10 c7")
	must(t, tr.Remove(romA))
	expect(t, b, romA+" bad:absent not listed by the kernel any more")
	expect(t, b, romA+" bad:absent not listed by the kernel any more")
	must(t, tr.Add(romA))
	expect(t, b, romA+" 20.0000")
}

func TestHotPlugNamesAndMaster(t *testing.T) {
	tr := tree(t, romB)
	b := open(t, w1.Options{Root: tr.Dir(), Master: "w1_bus_master1",
		Names: map[string]string{romA: "cold room 2"}})
	expect(t, b, romA+" bad:no-device never seen", romB+" 20.0000")
	must(t, tr.Add(romS))
	must(t, tr.Add(romA))
	must(t, tr.SetSixteenths(romA, -161))
	expect(t, b, romA+" -10.0625", romB+" 20.0000", romS+" 20.0000")
	if got := b.Quantities()[0].Key(); got != `temperature{name="cold room 2",rom="28-0000055f1c3a",simulated="true"}` {
		t.Errorf("series is %s", got)
	}
	must(t, os.WriteFile(filepath.Join(tr.Dir(), romA, "resolution"), []byte("9\n"), 0o644))
	f, err := b.Facts(t.Context(), romA)
	if err != nil || f.Resolution != 9 || f.Parasite || !f.Known {
		t.Errorf("facts %+v, %v", f, err)
	}
}

func TestNoBus(t *testing.T) {
	b := open(t, w1.Options{Root: filepath.Join(t.TempDir(), "none")})
	if _, err := sweep(t, b); !errors.Is(err, drivers.ErrNoDevice) {
		t.Errorf("no root: %v", err)
	}
	tr := tree(t)
	b = open(t, w1.Options{Root: tr.Dir()})
	if _, err := sweep(t, b); !errors.Is(err, drivers.ErrNoDevice) {
		t.Errorf("no thermometer: %v", err)
	}
	must(t, tr.Add(romA))
	expect(t, b, romA+" 20.0000")
	must(t, os.RemoveAll(tr.Dir()))
	got, err := sweep(t, b)
	if !errors.Is(err, drivers.ErrNoDevice) || !strings.HasPrefix(got, romA+" bad:absent") {
		t.Errorf("bus gone: %q, %v", got, err)
	}
}

// TestHungRead replaces a sensor's file by a FIFO, whose open blocks like a hung bus master.
func TestHungRead(t *testing.T) {
	leak := goleak.IgnoreCurrent()
	tr := tree(t, romA, romB)
	b := open(t, w1.Options{Root: tr.Dir(), ReadTimeout: 300 * time.Millisecond})
	expect(t, b, romA+" 20.0000", romB+" 20.0000")
	file := filepath.Join(tr.Dir(), romA, "w1_slave")
	must(t, os.Remove(file))
	must(t, syscall.Mkfifo(file, 0o644))
	expect(t, b, romA+" bad:timeout no answer in time", romB+" bad:timeout an earlier read of this bus has not returned")
	before := runtime.NumGoroutine()
	for range 20 {
		if got, err := sweep(t, b); !errors.Is(err, drivers.ErrTimeout) || !strings.Contains(got, romB+" bad:timeout") {
			t.Fatalf("hung: %q, %v", got, err)
		}
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("20 sweeps of a hung bus left %d goroutines", n-before)
	}
	w, err := os.OpenFile(file, os.O_WRONLY, 0) // lets the read return, empty
	must(t, err)
	must(t, w.Close())
	must(t, os.Remove(file))
	must(t, tr.SetSixteenths(romA, 100))
	for range 100 { // the read left behind needs a moment to return
		if _, err = sweep(t, b); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	expect(t, b, romA+" 6.2500", romB+" 20.0000")
	goleak.VerifyNone(t, leak)
}

func TestDeadline(t *testing.T) {
	tr := tree(t, romA, romB)
	b := open(t, w1.Options{Root: tr.Dir()})
	expect(t, b, romA+" 20.0000", romB+" 20.0000")
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	out, err := b.Read(ctx, nil)
	if !errors.Is(err, drivers.ErrTimeout) || len(out) != 2 || out[1].Quality != record.QualityTimeout {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []w1.Options{
		{ReadTimeout: -1},
		{Master: "../x"},
		{Names: map[string]string{"28-1": "x"}},
		{Names: map[string]string{"28-0000055F1C3A": "x"}},
		{Names: map[string]string{romA: strings.Repeat("x", 2000)}},
	} {
		if _, err := w1.New(o); !errors.Is(err, drivers.ErrConfig) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestConformance(t *testing.T) {
	var tr *sim.Tree
	driverstest.Run(t, func(t *testing.T) drivers.Sensor {
		tr = tree(t, romA)
		b, err := w1.New(w1.Options{Root: tr.Dir(), Names: map[string]string{romB: "boiler"}})
		must(t, err)
		return b
	}, driverstest.Options{Reads: 6, Change: func(t *testing.T, read int) {
		switch read {
		case 1:
			must(t, tr.Add(romS))
		case 2:
			must(t, tr.Set(romA, sim.AllZero(), true))
		case 3:
			must(t, tr.Remove(romA))
		case 4:
			must(t, tr.Add(romB))
			must(t, tr.SetText(romB, ""))
		case 5:
			must(t, tr.Add(romA))
		}
	}})
}

// TestSuspect gives one genuine number and one that no genuine chip carries.
func TestSuspect(t *testing.T) {
	tr := tree(t, romA, romB)
	var got []string
	b := open(t, w1.Options{Root: tr.Dir(), Suspect: func(rom, why string) { got = append(got, rom+": "+why) }})
	for range 3 {
		if _, err := sweep(t, b); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 1 || got[0] != romB+": the serial number lies outside the range of genuine chips" {
		t.Errorf("got %q", got)
	}
}

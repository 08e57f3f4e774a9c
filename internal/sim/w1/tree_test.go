package w1_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/sim/w1"
)

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTreeIsLikeTheKernels(t *testing.T) {
	const rom = "28-0000055f1c3a"
	tr, err := w1.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, tr.Dir(), "w1_bus_master1", "w1_master_slaves"); got != "not found.\n" {
		t.Errorf("slaves of an empty bus: %q", got)
	}
	if err := tr.Add(rom); err != nil {
		t.Fatal(err)
	}
	if err := tr.SetSixteenths(rom, 343); err != nil {
		t.Fatal(err)
	}
	const good = "57 01 4b 46 7f ff 09 10 c7"
	for _, c := range []struct{ file, want string }{
		{"w1_slave", good + " : crc=c7 YES\n" + good + " t=21437\n"},
		{"temperature", "21437\n"},
		{"hwmon/hwmon0/temp1_input", "21437\n"},
		{"name", rom + "\n"},
		{"ext_power", "1\n"},
	} {
		if got := read(t, tr.Dir(), rom, c.file); got != c.want {
			t.Errorf("%s is %q, want %q", c.file, got, c.want)
		}
	}
	// A damaged read: t= comes from the damaged bytes, line 2 keeps the last good ones, temperature is empty.
	if err := tr.Set(rom, w1.Damaged(w1.Encode(rom, 343, 12), 3), false); err != nil {
		t.Fatal(err)
	}
	want := "5f 01 4b 46 7f ff 09 10 c7 : crc=ed NO\n" + good + " t=21937\n"
	if got := read(t, tr.Dir(), rom, "w1_slave"); got != want {
		t.Errorf("damaged read is %q, want %q", got, want)
	}
	if got := read(t, tr.Dir(), rom, "temperature"); got != "" {
		t.Errorf("temperature of a damaged read is %q", got)
	}
	if _, err := w1.New(tr.Dir()); err != nil {
		t.Errorf("taking over a simulated bus: %v", err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w1.New(other); err == nil {
		t.Error("took over a directory that is not a simulated bus")
	}
}

func TestAnimationRepeatsAndFaults(t *testing.T) {
	film := func(steps int) string {
		tr, err := w1.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		a, err := w1.NewAnimation(tr, 9, 7, true)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for i := range steps {
			if err := a.Step(time.Unix(int64(i), 0)); err != nil {
				t.Fatal(err)
			}
			for _, rom := range tr.ROMs() {
				b.WriteString(read(t, tr.Dir(), rom, "w1_slave"))
				b.WriteByte('|')
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	one := film(400)
	if !strings.HasPrefix(one, film(60)) {
		t.Error("the same seed gave another film")
	}
	for what, mark := range map[string]string{
		"power-on": "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES", "CRC error": " NO\n", "127.94": "ff 07 4b",
		"all zero": "00 00 00 00 00 00 00 00 00 : crc=00 YES", "empty read": "||",
	} {
		if !strings.Contains(one, mark) {
			t.Errorf("no %s in 400 steps of 9 sensors", what)
		}
	}
	counts := map[int]bool{}
	for line := range strings.SplitSeq(one, "|\n") {
		counts[strings.Count(line, "|")] = true
	}
	if len(counts) < 3 {
		t.Error("no sensor vanished and returned")
	}
}

func TestRunStops(t *testing.T) {
	tr, err := w1.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a, err := w1.NewAnimation(tr, 1, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := a.Run(ctx, time.Millisecond); err != nil {
		t.Error(err)
	}
}

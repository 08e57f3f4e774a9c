package w1_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/w1"
	"github.com/edgelog/edgelog/internal/sim/w1fuse"
)

// mount shows a bus as the kernel does: with reads that take their time, writes that have effects, and its errors.
// Times are a tenth of the real ones unless scale says otherwise.
func mount(t *testing.T, scale float64, roms ...string) (*w1fuse.Bus, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a file system can be mounted by root only: sudo go test ./drivers/w1 -run TestKernel. What a plain directory can show is tested all the same")
	}
	b := w1fuse.NewBus(roms...)
	b.Scale = scale
	dir := t.TempDir()
	unmount, err := w1fuse.Mount(dir, b)
	if err != nil {
		t.Fatalf("%v\nThese tests need FUSE: modprobe fuse; in a container: --device /dev/fuse --cap-add SYS_ADMIN", err)
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return b, dir
}

const tenth = 0.1

// TestKernelTree holds the tree itself against what the kernel's documentation says: else the tests below prove little.
func TestKernelTree(t *testing.T) {
	b, dir := mount(t, 1, romA)
	read := func(name string) (string, time.Duration) {
		started := time.Now()
		text, err := os.ReadFile(filepath.Join(dir, romA, name))
		must(t, err)
		return string(text), time.Since(started)
	}
	write := func(name, text string) error { return os.WriteFile(filepath.Join(dir, romA, name), []byte(text), 0) }
	if text, d := read("temperature"); text != "20000\n" || d < 750*time.Millisecond {
		t.Errorf("a read at 12 bits gave %q in %s", text, d)
	}
	must(t, write("resolution", "9\n"))
	if text, d := read("temperature"); text != "20437\n" || d < 93*time.Millisecond || d > 700*time.Millisecond {
		t.Errorf("a read at 9 bits gave %q in %s", text, d)
	}
	for name, text := range map[string]string{"resolution": "20", "alarms": "x", "eeprom_cmd": "burn", "features": "9"} {
		if err := write(name, text); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("echo %s > %s: %v, want EINVAL", text, name, err)
		}
	}
	must(t, write("alarms", "70 -10\n"))
	if text, _ := read("alarms"); text != "-10 70\n" {
		t.Errorf("alarms are %q", text)
	}
	must(t, write("w1_slave", "0\n"))
	if n := b.EEPROMWrites(romA); n != 1 {
		t.Errorf("%d EEPROM writes", n)
	}
	b.Do(romA, func(s *w1fuse.Slave) { s.Silent = true })
	if text, _ := read("temperature"); text != "" {
		t.Errorf("a bus error reads as %q, want nothing", text)
	}
	b.Unplug(romA)
	if _, err := os.ReadFile(filepath.Join(dir, romA, "temperature")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unplugged sensor reads as %v", err)
	}
}

// TestKernelBulk: all sensors convert at once, so that a sweep of many costs one conversion.
func TestKernelBulk(t *testing.T) {
	roms := []string{"28-000000000001", "28-000000000002", "28-000000000003", "28-000000000004", "28-000000000005"}
	b, dir := mount(t, 1, roms...)
	for i, rom := range roms {
		b.Do(rom, func(s *w1fuse.Slave) { s.Sixteenths = 16 * i })
	}
	bus := open(t, w1.Options{Root: dir})
	started := time.Now()
	got, err := sweep(t, bus)
	took := time.Since(started)
	must(t, err)
	want := "28-000000000001 0.0000\n28-000000000002 1.0000\n28-000000000003 2.0000\n28-000000000004 3.0000\n28-000000000005 4.0000"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if took < 750*time.Millisecond || took > 3*time.Second { // five conversions take 3.75 s
		t.Errorf("the sweep took %s", took)
	}
	bus = open(t, w1.Options{Root: dir, NoBulk: true})
	for _, rom := range roms {
		b.Do(rom, func(s *w1fuse.Slave) { s.Sixteenths++ })
		must(t, os.WriteFile(filepath.Join(dir, rom, "resolution"), []byte("9"), 0))
	}
	if got, err := sweep(t, bus); err != nil || strings.Contains(got, "bad") || !strings.HasPrefix(got, "28-000000000001 0.0000\n") {
		t.Errorf("without bulk reads: %v\n%s", err, got)
	}
}

// TestKernelErrors: everything that goes wrong on the wire, as the kernel lets it show.
func TestKernelErrors(t *testing.T) {
	b, dir := mount(t, tenth, romA)
	bus := open(t, w1.Options{Root: dir, ReadTimeout: 2 * time.Second})
	expect := func(what, want string) {
		t.Helper()
		if got, err := sweep(t, bus); err != nil || !strings.HasPrefix(got, romA+" "+want) {
			t.Errorf("%s: got %q, %v; want %s", what, got, err, want)
		}
	}
	expect("good", "20.0000")
	b.Do(romA, func(s *w1fuse.Slave) { s.Damaged = 1 })
	expect("CRC", "bad:crc ")
	expect("good again", "20.0000")
	b.Do(romA, func(s *w1fuse.Slave) { s.Restarted = true })
	expect("lost its supply", "bad:power-on 50 05")
	b.Do(romA, func(s *w1fuse.Slave) { s.Silent = true })
	expect("empty read", "bad:bus ")
	b.Do(romA, func(s *w1fuse.Slave) { s.Silent = false })
	expect("answers", "20.0000")
	b.Unplug(romA)
	expect("unplugged", "bad:absent ")
	b.Plug(romA)
	expect("plugged", "20.0000")
	b.Plug(romB)
	if got, err := sweep(t, bus); err != nil || !strings.Contains(got, romB+" 20.0000") {
		t.Errorf("hot-plug: %v\n%s", err, got)
	}
}

// TestKernelHang: a read that does not return costs its bus, not the caller, and ends when the kernel lets go.
func TestKernelHang(t *testing.T) {
	b, dir := mount(t, tenth, romA)
	bus := open(t, w1.Options{Root: dir, ReadTimeout: 300 * time.Millisecond})
	if got, err := sweep(t, bus); err != nil || got != romA+" 20.0000" {
		t.Fatalf("%q, %v", got, err)
	}
	release := b.Hang()
	defer release()
	for range 2 {
		got, err := sweep(t, bus)
		if !strings.HasPrefix(got, romA+" bad:timeout") || err != nil && !errors.Is(err, drivers.ErrTimeout) {
			t.Errorf("hung: %q, %v", got, err)
		}
	}
	release()
	var got string
	var err error
	for range 100 {
		if got, err = sweep(t, bus); err == nil && got == romA+" 20.0000" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("after the hang: %q, %v", got, err)
}

func TestKernelConformance(t *testing.T) {
	b, dir := mount(t, tenth, romA, romB)
	driverstest.Run(t, func(t *testing.T) drivers.Sensor { return open(t, w1.Options{Root: dir}) }, driverstest.Options{
		Leaks: []goleak.Option{goleak.IgnoreAnyFunction("github.com/hanwen/go-fuse/v2/fuse.(*Server).loop")},
		Change: func(_ *testing.T, i int) {
			b.Do(romA, func(s *w1fuse.Slave) { s.Sixteenths, s.Damaged = 16*i, i%2 })
		}})
}

// TestKernelResolution: it is written where it differs, into the EEPROM once, and again to a sensor that restarted.
func TestKernelResolution(t *testing.T) {
	b, dir := mount(t, tenth, romA, romB)
	resolution := func(rom string) string {
		text, err := os.ReadFile(filepath.Join(dir, rom, "resolution"))
		must(t, err)
		return strings.TrimSpace(string(text))
	}
	bus := open(t, w1.Options{Root: dir, Resolution: 10, Persist: true})
	for range 3 {
		if got, err := sweep(t, bus); err != nil || strings.Contains(got, "bad") {
			t.Fatalf("%v\n%s", err, got)
		}
	}
	if got := resolution(romA) + resolution(romB); got != "1010" || b.EEPROMWrites(romA) != 1 || b.EEPROMWrites(romB) != 1 {
		t.Errorf("resolutions %s, %d and %d EEPROM writes", got, b.EEPROMWrites(romA), b.EEPROMWrites(romB))
	}
	other := open(t, w1.Options{Root: dir, Resolution: 11})
	if _, err := sweep(t, other); err != nil || resolution(romA) != "11" || b.EEPROMWrites(romA) != 1 {
		t.Errorf("without persist: %v, %s, %d writes", err, resolution(romA), b.EEPROMWrites(romA))
	}
	b.Do(romA, func(s *w1fuse.Slave) { s.Silent = true })
	late := open(t, w1.Options{Root: dir, Resolution: 9})
	if got, err := sweep(t, late); err != nil || !strings.Contains(got, romA+" bad:bus") || resolution(romB) != "9" {
		t.Fatalf("with one that does not answer: %v\n%s", err, got)
	}
	b.Do(romA, func(s *w1fuse.Slave) { s.Silent = false })
	if _, err := sweep(t, late); err != nil || resolution(romA) != "9" {
		t.Errorf("when it answers it has %s bits, %v", resolution(romA), err)
	}
	b.Do(romA, func(s *w1fuse.Slave) { s.Restarted, s.Parasite = true, true })
	fed := open(t, w1.Options{Root: dir, Resolution: 11})
	if got, err := sweep(t, fed); err != nil || !strings.HasPrefix(got, romA+" bad:brown-out 50 05") {
		t.Errorf("brown-out: %v\n%s", err, got)
	}
	if got, err := sweep(t, fed); err != nil || strings.Contains(got, "bad") || resolution(romA) != "11" {
		t.Errorf("after the brown-out: %v, %s\n%s", err, resolution(romA), got)
	}
}

package ds18b20_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/ds18b20"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

// program finds a program that the tests need, or fails saying how to get it.
func program(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install %s", name, debianPackage)
	}
	return path
}

// owserver starts one and returns its address.
func owserver(t *testing.T, env []string, args ...string) string {
	t.Helper()
	path := program(t, "owserver", "owserver")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	conf := filepath.Join(t.TempDir(), "owfs.conf") // an empty file: it watches what it is given
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(path, append([]string{"--foreground", "-c", conf, "-p", addr}, args...)...)
	cmd.Stderr, cmd.Stdout = &log, &log
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("owserver: %s", log.String())
		}
	})
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
	}
	t.Fatalf("owserver does not listen: %s", log.String())
	return ""
}

func server(addr string) ds18b20.Options {
	return ds18b20.Options{Master: ds18b20.MasterOWServer, Server: addr, Conversion: 50 * time.Millisecond}
}

func TestOWServerFakes(t *testing.T) {
	addr := owserver(t, nil, "--fake=DS18B20", "--temperature_low=21.5", "--temperature_high=21.5")
	s := open(t, server(addr))
	got, err := sweep(t, s)
	if err != nil || !regexp.MustCompile(`^28-[0-9a-f]{12} temperature 21.5000$`).MatchString(got) {
		t.Errorf("got %q, %v", got, err)
	}
}

// owserver writes six digits: the value behind them is exact all the same, and the one that is no measurement is known.
func TestOWServerAbove100(t *testing.T) {
	for value, want := range map[string]string{"110.0625": "110.0625", "99.9375": "99.9375", "-55": "-55.0000", "100.123": "100.1230",
		"127.9375": "bad:no-conversion"} {
		addr := owserver(t, nil, "--fake=DS18B20", "--temperature_low="+value, "--temperature_high="+value)
		got, err := sweep(t, open(t, server(addr)))
		if _, shown, _ := strings.Cut(got, " temperature "); err != nil || !strings.HasPrefix(shown, want) {
			t.Errorf("%s: got %q, %v; want %s", value, got, err, want)
		}
	}
}

func TestOWServerTester(t *testing.T) {
	addr := owserver(t, nil, "--tester=DS18B20,DS18S20,DS2413,DS2423")
	s := open(t, server(addr))
	got, err := sweep(t, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`28-\w+ temperature 4.0000`, `10-\w+ temperature \d\.\d{4}`, `1d-\w+ count\[a\] \d+`,
		`3a-\w+ level\[b\] [01]`} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

func TestOWServerConformance(t *testing.T) {
	addr := owserver(t, nil, "--tester=DS18B20,DS2413")
	driverstest.Run(t, func(t *testing.T) drivers.Sensor { return open(t, server(addr)) }, driverstest.Options{})
}

// three are chips whose serial numbers hold an E3, which a DS2480B wants doubled.
func three() ([]*sim.Chip, string) {
	var chips []*sim.Chip
	var want []string
	for i, v := range []int{330, -170, 830} {
		c, _ := thermometer(0x28, 0xe3000011+uint64(i), v)
		chips = append(chips, c)
		want = append(want, fmt.Sprintf("28-0000e30000%02x temperature %.4f", 0x11+i, float64(v)/16))
	}
	return chips, strings.Join(want, "\n")
}

// TestDigitemp lets a program that knows nothing of this project read our simulators, and our masters after it.
func TestDigitemp(t *testing.T) {
	for _, c := range []struct{ master, program string }{
		{ds18b20.MasterDS2480B, "digitemp_DS9097U"},
		{ds18b20.MasterDS9097, "digitemp_DS9097"},
	} {
		t.Run(c.program, func(t *testing.T) {
			path := program(t, c.program, "digitemp")
			chips, want := three()
			r := newRig(t, c.master, sim.Options{}, chips...)
			conf := filepath.Join(t.TempDir(), "digitemp.conf")
			run := func(args ...string) string {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				cmd := exec.CommandContext(ctx, path, append([]string{"-c", conf, "-s", r.socket.Link()}, args...)...)
				cmd.Dir = t.TempDir()
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%s %v: %v\n%s", c.program, args, err, out)
				}
				return string(out)
			}
			found := run("-i")
			for _, chip := range chips {
				if rom := fmt.Sprintf("%X", chip.ROM); !strings.Contains(found, rom) {
					t.Errorf("%s did not find %s:\n%s", c.program, rom, found)
				}
			}
			text := run("-q", "-a", "-o%R %.4C")
			for _, chip := range chips {
				rom := fmt.Sprintf("%X", chip.ROM)
				a := addressOf(chip)
				for _, line := range strings.Split(want, "\n") {
					if !strings.HasPrefix(line, a) {
						continue
					}
					value := strings.TrimPrefix(line, a+" temperature ")
					if !strings.Contains(text, rom+" "+value) {
						t.Errorf("%s said\n%s; want %s %s", c.program, text, rom, value)
					}
				}
			}
			expect(t, open(t, r.fast(c.master)), strings.Split(want, "\n")...)
		})
	}
}

func addressOf(c *sim.Chip) string {
	return fmt.Sprintf("%02x-%02x%02x%02x%02x%02x%02x", c.ROM[0], c.ROM[6], c.ROM[5], c.ROM[4], c.ROM[3], c.ROM[2], c.ROM[1])
}

// TestOWServerOnOurAdapter reads the simulated DS2480B through owserver, and then by our own master.
func TestOWServerOnOurAdapter(t *testing.T) {
	chips, want := three()
	r := newRig(t, ds18b20.MasterDS2480B, sim.Options{}, chips...)
	preload := filepath.Join(t.TempDir(), "drain.so")
	if out, err := exec.Command(program(t, "gcc", "gcc"), "-shared", "-fPIC", "-o", preload, "testdata/drain.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	addr := owserver(t, []string{"LD_PRELOAD=" + preload}, "-d", r.socket.Link())
	o := server(addr)
	o.Conversion = fast + 20*time.Millisecond
	s := open(t, o)
	expect(t, s, strings.Split(want, "\n")...)
	r.wire.Do(func(*[]*sim.Chip) { chips[0].Gone = true })
	got, err := sweep(t, s)
	if err != nil || !strings.HasPrefix(got, "28-0000e3000011 temperature bad:bus ") {
		t.Errorf("got %v\n%s", err, got)
	}
}

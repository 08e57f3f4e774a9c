package cli_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cli"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
	"github.com/edgelog/edgelog/internal/term"
)

// slaveOnPort is unit 2 on a serial line: holding register n holds 100·n, except 7, which holds −5, and 10 and 11, which
// hold 21.5 as a float; it has no others, and no input registers.
func slaveOnPort(t *testing.T) (port string) {
	t.Helper()
	s := sim.NewSocket(filepath.Join(t.TempDir(), "tty"))
	if err := s.Plug(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		m, buf := s.Master(), make([]byte, 256)
		for {
			n, err := m.Read(buf)
			if err != nil {
				return
			}
			if n != 8 || buf[0] != 2 {
				continue
			}
			if _, err := m.Write(modbus.AppendRTU(nil, 2, answerOf(buf[1:6]))); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		s.Unplug()
		<-done
	})
	return s.Link()
}

func answerOf(q []byte) []byte {
	addr, n := binary.BigEndian.Uint16(q[1:]), binary.BigEndian.Uint16(q[3:])
	switch {
	case q[0] != 3:
		return []byte{q[0] | 0x80, modbus.IllegalFunction}
	case int(addr)+int(n) > 16:
		return []byte{0x83, modbus.IllegalAddress}
	}
	out := []byte{3, byte(2 * n)}
	for i := range n {
		v := 100 * (addr + i)
		switch addr + i {
		case 7:
			v = 0xfffb
		case 10:
			v = 0x41ac
		case 11:
			v = 0
		}
		out = binary.BigEndian.AppendUint16(out, v)
	}
	return out
}

func TestModbusScan(t *testing.T) {
	port := slaveOnPort(t)
	code, out, stderr := run{args: []string{"modbus", "scan", port, "--units", "1-3", "--timeout", "500ms", "--baud", "9600,19200"}, style: utf8}.do(t)
	if code != cli.ExitOK || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, want := range []string{"2  9600 8N1   answers", "2  19200 8N1  answers", "port: " + port, "- {unit: 2, profile: PROFILE, name: unit 2}"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	_, out, _ = run{args: []string{"modbus", "scan", port, "--units", "2", "--json"}}.do(t)
	var s api.ModbusScan
	if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.Found) != 1 || s.Found[0].Unit != 2 || s.SchemaVersion != api.SchemaVersion {
		t.Errorf("%v\n%s", err, out)
	}
	code, out, _ = run{args: []string{"modbus", "scan", port, "--units", "5", "--timeout", "40ms"}, style: utf8}.do(t)
	if code != cli.ExitOK || !strings.HasPrefix(out, "Nobody answers on ") {
		t.Errorf("exit %d: %s", code, out)
	}
	code, _, stderr = run{args: []string{"modbus", "scan", filepath.Join(t.TempDir(), "none")}}.do(t)
	if code != cli.ExitError || !strings.Contains(stderr, "does not exist") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestModbusRead(t *testing.T) {
	port := slaveOnPort(t)
	for args, want := range map[string]string{
		"2 0x0006 2":                   "6  0x0006  0258    600\n7  0x0007  fffb  65531  or -5\n",
		"2 10 --type float32":          "10  0x000a    21.5\n",
		"2 7 --type int16 --scale 0.1": "7  0x0007    -0.5\n",
		"2 10 --type uint32 --word-order little --byte-order little": "10  0x000a    44097\n", // 41ac 0000
		"2 10 --type uint32 --byte-order BADC":                       "BADC: byte_order little",
		"2 15 2":                                                     "illegal data address",
		"2 0 1 --table input":                                        "illegal function",
		"3 0 1 --timeout 50ms":                                       "unit 3 on " + port + " does not answer",
		"2 --profile xy-md02":                                        "bad:unsupported",
		"2 70000":                                                    `address "70000"`,
		"2 0 1 --table discreet":                                     "there are holding, input, coil and discrete",
		"2 0 --type float":                                           "float",
		"2 --profile nothing":                                        "edgectl modbus profiles lists them",
		"2 0 --baud 9600,19200":                                      "one speed",
		"two 0":                                                      `unit "two"`,
	} {
		code, out, stderr := run{args: append([]string{"modbus", "read", port}, strings.Fields(args)...), style: utf8}.do(t)
		if !strings.Contains(out+stderr, want) || code == cli.ExitOK && stderr != "" {
			t.Errorf("%s: exit %d\n%s%s\nwant %s", args, code, out, stderr, want)
		}
	}
	_, out, _ := run{args: []string{"modbus", "read", port, "2", "6", "2", "--json"}}.do(t)
	var r api.ModbusRead
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Values) != 2 || r.Values[1].Signed != "-5" {
		t.Errorf("%v\n%s", err, out)
	}
	code, out, _ := run{args: []string{"modbus", "profiles"}, style: utf8}.do(t)
	if code != 0 || !strings.Contains(out, "eastron-sdm230") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, _, stderr := (run{args: []string{"modbus", "write"}}).do(t); code != cli.ExitUsage || !strings.Contains(stderr, "there is no edgectl modbus \"write\"") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	// What failed is said without the layers that it failed in.
	for want, args := range map[string][]string{
		"edgectl: 127.0.0.1:1: connection refused: the machine answers, and nothing listens on that port": {"modbus", "read", "127.0.0.1:1", "1", "0", "1"},
		"edgectl scan --list shows those that are there":                                                  {"modbus", "scan", "/dev/no-such-port"},
	} {
		if code, _, stderr := (run{args: args}).do(t); code != cli.ExitError || !strings.Contains(stderr, want) || strings.Contains(stderr, "dial tcp") {
			t.Errorf("%s: exit %d %s", args, code, stderr)
		}
	}
}

func TestScanOfNamedPorts(t *testing.T) {
	port := slaveOnPort(t)
	code, out, stderr := run{args: []string{"scan", port, "--baud", "9600", "--units", "2"}, style: utf8}.do(t)
	if code != 0 || !strings.Contains(out, "Modbus at 9600 baud, 1 device") || !strings.Contains(out, "driver: modbus") {
		t.Errorf("exit %d\n%s%s", code, out, stderr)
	}
	if code, _, stderr := (run{args: []string{"scan", "ttyUSB0"}}).do(t); code != cli.ExitUsage || !strings.Contains(stderr, "not the path") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// Watching draws again and again until it is ended, which is no error.
func TestSensorsWatch(t *testing.T) {
	dir := serve(t, degradedBox())
	watch := func(style term.Style, args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		code, out, stderr := run{args: append([]string{"--run-dir", dir, "sensors", "watch", "--every", "200ms"}, args...), style: style, ctx: ctx}.do(t)
		if code != cli.ExitOK || stderr != "" {
			t.Errorf("exit %d: %s", code, stderr)
		}
		return out
	}
	if out := watch(utf8, "room 1"); strings.Count(out, "cold room 1") < 2 || strings.Contains(out, "\x1b[2J") {
		t.Errorf("not on a terminal:\n%s", out)
	}
	if out := watch(term.Style{UTF8: true, TTY: true}); strings.Count(out, "\x1b[H\x1b[2J") < 2 {
		t.Errorf("on a terminal:\n%s", out)
	}
	out := watch(utf8, "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var s api.Sensors
	if err := json.Unmarshal([]byte(lines[0]), &s); err != nil || len(lines) < 2 {
		t.Errorf("%v: %d lines", err, len(lines))
	}
}

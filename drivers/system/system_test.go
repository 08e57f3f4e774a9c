package system_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/system"
)

// box is a fixture host: a board with eMMC, two thermal zones of one type, a hwmon chip and a USB stick.
type box struct{ dir string }

func (b box) write(t testing.TB, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func newBox(t testing.TB) box {
	t.Helper()
	b := box{t.TempDir()}
	b.write(t, map[string]string{
		"proc/stat":    "cpu  1000 10 500 8000 200 5 15 0 0 0\ncpu0 1 2 3 4\n",
		"proc/loadavg": "0.52 1.05 12.00 2/345 6789\n",
		"proc/meminfo": "MemTotal:        4000000 kB\nMemFree:  100 kB\nMemAvailable:    1000000 kB\n" +
			"SwapTotal:             0 kB\nSwapFree:              0 kB\n",
		"proc/uptime":                           "12345.67 23456.78\n",
		"proc/sys/kernel/random/boot_id":        "0d3b7f5e-8f0e-4b57-9d0c-0123456789ab\n",
		"proc/net/dev":                          netHeader + netLo + netEth,
		"proc/diskstats":                        diskEMMC + diskPart + diskLoop,
		"proc/mounts":                           mountRoot + mountBind + mountProc + mountNFS,
		"sys/block/mmcblk0/device/type":         "MMC\n",
		"sys/block/mmcblk0/device/life_time":    "0x01 0x0b\n",
		"sys/block/mmcblk0/device/pre_eol_info": "0x02\n",
		"sys/class/thermal/thermal_zone0/type":  "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":  "48312\n",
		"sys/class/thermal/thermal_zone1/type":  "cpu-thermal\n",
		"sys/class/thermal/thermal_zone1/temp":  "-1500\n",
		"sys/class/hwmon/hwmon0/name":           "lm75\n",
		"sys/class/hwmon/hwmon0/temp1_input":    "21500\n",
		"sys/class/hwmon/hwmon0/fan1_input":     "1820\n",
		"sys/class/hwmon/hwmon0/fan1_label":     "case\n",
		"sys/class/hwmon/hwmon1/name":           "w1_slave_temp\n",
		"sys/class/hwmon/hwmon1/temp1_input":    "20000\n",
	})
	if err := os.Symlink("../../../bus/i2c/1-0048", filepath.Join(b.dir, "sys/class/hwmon/hwmon0/device")); err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	netHeader = "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	netLo  = "    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0\n"
	netEth = "  eth0: 266701197    9559    1    2    3     4          5         6   657704    6608    7    8    0     0       0          0\n"
	netWan = "  wwan0:100 1 0 0 0 0 0 0 200 2 0 0 0 0 0 0\n"

	diskEMMC = " 179       0 mmcblk0 60685 8676 2961922 10576 14488 14950 3164872 7629 0 7640 18740 5058 31 816440 471 1231 62\n"
	diskPart = " 179       1 mmcblk0p1 1 1 1 1 1 1 1 1 1 1 1\n"
	diskLoop = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"

	mountRoot = "/dev/mmcblk0p1 / ext4 rw,relatime 0 0\n"
	mountBind = "/dev/mmcblk0p1 /etc/hosts ext4 rw,relatime 0 0\n"
	mountProc = "proc /proc proc rw 0 0\n"
	mountNFS  = "nas:/x /mnt/nas nfs4 rw 0 0\n"
	mountUSB  = "/dev/sda1 /media/usb\\040stick vfat rw 0 0\n"
)

func (b box) options() system.Options {
	return system.Options{Proc: b.dir + "/proc", Sys: b.dir + "/sys", Rescan: 1,
		Statfs: func(mount string) (system.Usage, error) {
			if strings.HasPrefix(mount, "/media") && mount != "/media/usb stick" {
				return system.Usage{}, os.ErrNotExist
			}
			return system.Usage{Total: 1000 << 20, Free: 300 << 20, Available: 200 << 20}, nil
		}}
}

func open(t testing.TB, o system.Options) *system.Host {
	t.Helper()
	h, err := system.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// read maps the key of each sampled series to its value with unit, or its quality.
func read(t testing.TB, h *system.Host) map[string]string {
	t.Helper()
	out, err := h.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, s := range out {
		q := h.Quantities()[s.Quantity]
		if s.Quality.Bad() {
			m[q.Key()] = s.Quality.String()
			continue
		}
		r := record.Record{Type: s.Type, Num: s.Num, Data: &record.Data{Value: s.Value}}
		m[q.Key()] = strings.TrimSpace(string(r.AppendText(nil)) + " " + q.Unit)
	}
	return m
}

func diff(t *testing.T, got, want map[string]string) {
	t.Helper()
	keys := map[string]bool{}
	for _, m := range []map[string]string{got, want} {
		for k := range m {
			keys[k] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if got[k] != want[k] {
			t.Errorf("%s: got %q, want %q", k, got[k], want[k])
		}
	}
}

func first() map[string]string {
	return map[string]string{
		"load.1m": "0.52", "load.5m": "1.05", "load.15m": "12.00",
		"memory.total": "4096000000 By", "memory.available": "1024000000 By", "memory.used": "75.00 %",
		"swap.total": "0 By", "swap.free": "0 By",
		"uptime": "12345.67 s", "boot.id": "0d3b7f5e-8f0e-4b57-9d0c-0123456789ab",
		`net.rx_bytes{interface="eth0"}`: "266701197 By", `net.rx_errors{interface="eth0"}`: "1",
		`net.tx_bytes{interface="eth0"}`: "657704 By", `net.tx_errors{interface="eth0"}`: "7",
		`disk.read_bytes{device="mmcblk0"}`: "1516504064 By", `disk.written_bytes{device="mmcblk0"}`: "1620414464 By",
		`disk.total{mount="/"}`: "1048576000 By", `disk.free{mount="/"}`: "209715200 By", `disk.used{mount="/"}`: "77.78 %",
		`disk.wear{device="mmcblk0",memory="a"}`: "10 %", `disk.wear{device="mmcblk0",memory="b"}`: "110 %",
		`disk.pre_eol{device="mmcblk0"}`:                   "2",
		`temperature{sensor="cpu-thermal"}`:                "48.312 Cel",
		`temperature{sensor="cpu-thermal#2"}`:              "-1.500 Cel",
		`temperature{device="1-0048",sensor="lm75/temp1"}`: "21.500 Cel",
		`fan.speed{device="1-0048",sensor="lm75/case"}`:    "1820 {rev}/min",
	}
}

func TestFixtureHost(t *testing.T) {
	b := newBox(t)
	h := open(t, b.options())
	diff(t, read(t, h), first())

	// Second sweep: the CPU's share appears (90 of 390 ticks busy), the boot id is not told again.
	b.write(t, map[string]string{"proc/stat": "cpu  1060 10 530 8280 220 5 15 0 0 0\n"})
	want := first()
	delete(want, "boot.id")
	want["cpu.busy"] = "23.07 %"
	diff(t, read(t, h), want)

	// Nothing moved: no new share. A modem and a stick come.
	b.write(t, map[string]string{
		"proc/net/dev": netHeader + netLo + netEth + netWan,
		"proc/mounts":  mountRoot + mountUSB,
	})
	delete(want, "cpu.busy")
	want[`net.rx_bytes{interface="wwan0"}`], want[`net.rx_errors{interface="wwan0"}`] = "100 By", "0"
	want[`net.tx_bytes{interface="wwan0"}`], want[`net.tx_errors{interface="wwan0"}`] = "200 By", "0"
	want[`disk.total{mount="/media/usb stick"}`], want[`disk.free{mount="/media/usb stick"}`] = "1048576000 By", "209715200 By"
	want[`disk.used{mount="/media/usb stick"}`] = "77.78 %"
	diff(t, read(t, h), want)

	// They go again, and so does a sensor; another tells nonsense.
	b.write(t, map[string]string{
		"proc/net/dev": netHeader + netLo + netEth, "proc/mounts": mountRoot,
		"sys/class/thermal/thermal_zone0/temp": "hot\n", "proc/loadavg": "x 1.05 12.00\n",
	})
	if err := os.Remove(filepath.Join(b.dir, "proc/uptime")); err != nil {
		t.Fatal(err)
	}
	for k := range want {
		if strings.Contains(k, "wwan0") || strings.Contains(k, "usb") {
			want[k] = "bad:absent"
		}
	}
	want[`temperature{sensor="cpu-thermal"}`] = "bad:malformed"
	want["load.1m"] = "bad:malformed"
	diff(t, read(t, h), want) // uptime is still open: its content stays, as that of a deleted file does
}

func TestCPUModes(t *testing.T) {
	b := newBox(t)
	o := b.options()
	o.CPUModes = true
	h := open(t, o)
	read(t, h)
	b.write(t, map[string]string{"proc/stat": "cpu  1025 10 550 8025 200 5 15 0 0 0\n"})
	got := read(t, h)
	for k, want := range map[string]string{"cpu.busy": "75.00 %", `cpu.share{mode="user"}`: "25.00 %",
		`cpu.share{mode="system"}`: "50.00 %", `cpu.share{mode="idle"}`: "25.00 %", `cpu.share{mode="steal"}`: "0.00 %"} {
		if got[k] != want {
			t.Errorf("%s: got %q, want %q", k, got[k], want)
		}
	}
}

func TestEmptyMachine(t *testing.T) {
	h := open(t, box{t.TempDir()}.options())
	if out, err := h.Read(t.Context(), nil); !errors.Is(err, drivers.ErrNoDevice) || len(out) > 0 {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestThisHost(t *testing.T) {
	h := open(t, system.Options{})
	read(t, h)
	got := read(t, h)
	for _, k := range []string{"load.1m", "memory.available", "uptime"} {
		if got[k] == "" || strings.HasPrefix(got[k], "bad") {
			t.Errorf("%s is %q", k, got[k])
		}
	}
}

func TestConformance(t *testing.T) {
	t.Run("fixture", func(t *testing.T) {
		var b box
		driverstest.Run(t, func(t *testing.T) drivers.Sensor {
			b = newBox(t)
			h, err := system.New(b.options())
			if err != nil {
				t.Fatal(err)
			}
			return h
		}, driverstest.Options{Change: func(t *testing.T, read int) {
			switch read {
			case 1:
				b.write(t, map[string]string{"proc/net/dev": netHeader + netWan, "proc/stat": "cpu  9 9\n"})
			case 2:
				b.write(t, map[string]string{"proc/mounts": mountUSB, "proc/diskstats": diskEMMC[:40] + "\n"})
			case 3:
				b.write(t, map[string]string{"proc/net/dev": "", "proc/meminfo": "", "proc/uptime": "", "proc/loadavg": ""})
			}
		}})
	})
	t.Run("this host", func(t *testing.T) {
		driverstest.Run(t, func(t *testing.T) drivers.Sensor {
			h, err := system.New(system.Options{Rescan: 1})
			if err != nil {
				t.Fatal(err)
			}
			return h
		}, driverstest.Options{})
	})
}

func FuzzProcFiles(f *testing.F) {
	f.Add("cpu  1 2 3 4\n", netHeader+netEth, diskEMMC, mountRoot+mountUSB)
	f.Fuzz(func(t *testing.T, stat, net, disk, mounts string) {
		b := box{t.TempDir()}
		b.write(t, map[string]string{"proc/stat": stat, "proc/net/dev": net, "proc/diskstats": disk, "proc/mounts": mounts})
		h := open(t, b.options())
		for range 2 {
			out, _ := h.Read(context.Background(), nil)
			for _, s := range out {
				if s.Quantity < 0 || s.Quantity >= len(h.Quantities()) {
					t.Fatal("sample of no quantity")
				}
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	h := open(b, system.Options{})
	var dst []drivers.Sample
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = h.Read(context.Background(), dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

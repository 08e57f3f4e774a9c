package system

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer/record"
)

// attr is one sysfs file that holds one or two numbers.
type attr struct {
	file
	q    [2]int // -1 where nothing is listed
	wear bool   // "0x01 0x02": tenths of the life that is used up
	hex  bool
}

// readAttr reads one attribute.
func (h *Host) readAttr(a *attr) {
	text, err := a.read(&h.buf)
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO):
		return // absent
	case err != nil:
		for _, q := range a.q {
			h.bad(q, record.QualityDevice, err.Error())
		}
		return
	}
	for _, q := range a.q {
		var field []byte
		field, text = cutField(text)
		if q < 0 {
			continue
		}
		v, ok := a.parse(field)
		if !ok {
			h.bad(q, record.QualityMalformed, a.path+": "+strconv.Quote(string(field)))
			continue
		}
		h.put(q, v)
	}
}

func (a *attr) parse(field []byte) (int64, bool) {
	if !a.hex {
		return parseInt(field)
	}
	v, err := strconv.ParseUint(string(field), 0, 8)
	if a.wear {
		v *= 10
	}
	return int64(v), err == nil
}

// rescan looks for sensors and disks that are new.
func (h *Host) rescan() {
	now := time.Now()
	if !h.scanned.IsZero() && now.Sub(h.scanned) < h.o.Rescan {
		return
	}
	h.scanned = now
	h.scanThermal()
	h.scanHwmon()
	h.scanWear()
}

// watch lists an attribute if it can be read, or gives a known one a new path after a replug.
func (h *Host) watch(path, key string, a attr, list func() [2]int) {
	if known := h.byKey[key]; known != nil {
		if known.path != path {
			known.close()
			known.path = path
		}
		return
	}
	if len(h.attrs) >= MaxQuantities {
		return
	}
	a.file = file{path: path, fd: -1}
	if text, err := a.read(&h.buf); err != nil || len(bytes.TrimSpace(text)) == 0 {
		a.close() // many boards have zones and channels that nothing is connected to
		return
	}
	a.q = list()
	h.attrs = append(h.attrs, &a)
	h.byKey[key] = &a
}

func (h *Host) scanThermal() {
	seen := map[string]int{}
	for _, dir := range numbered(h.o.Sys+"/class/thermal", "thermal_zone") {
		name := text(dir + "/type")
		if name == "" {
			continue
		}
		if seen[name]++; seen[name] > 1 { // zones of one type are told apart by their order, as the board defines it
			name += "#" + strconv.Itoa(seen[name])
		}
		h.watch(dir+"/temp", "thermal/"+name, attr{}, func() [2]int {
			return [2]int{h.add("temperature", "Cel", record.Decimal(3), record.Label{Key: "sensor", Value: name}), -1}
		})
	}
}

// scanHwmon lists temperatures and fans (Documentation/hwmon/sysfs-interface.rst). The number of a hwmon directory
// changes from boot to boot; its name, the device below it and the channel do not.
func (h *Host) scanHwmon() {
	for _, dir := range numbered(h.o.Sys+"/class/hwmon", "hwmon") {
		name := text(dir + "/name")
		if name == "" || name == "w1_slave_temp" {
			continue // reading a 1-Wire sensor here would start a conversion of 750 ms; drivers/w1 does it well
		}
		device := ""
		if to, err := os.Readlink(dir + "/device"); err == nil {
			device = filepath.Base(to)
		}
		for _, path := range inputs(dir) {
			channel, _ := strings.CutSuffix(filepath.Base(path), "_input")
			sensor := name + "/" + channel
			if l := text(dir + "/" + channel + "_label"); l != "" {
				sensor = name + "/" + l
			}
			labels := []record.Label{{Key: "sensor", Value: sensor}}
			if device != "" {
				labels = append(labels, record.Label{Key: "device", Value: device})
			}
			quantity, unit, t := "temperature", "Cel", record.Decimal(3)
			if strings.HasPrefix(channel, "fan") {
				quantity, unit, t = "fan.speed", "{rev}/min", record.TypeInt
			}
			// Two channels may carry one label; the first keeps it.
			key := quantity + "/" + device + "/" + sensor
			if known := h.byKey[key]; known != nil && known.path != path && filepath.Dir(known.path) == dir {
				labels[0].Value = name + "/" + channel
				key = quantity + "/" + device + "/" + labels[0].Value
			}
			h.watch(path, key, attr{}, func() [2]int { return [2]int{h.add(quantity, unit, t, labels...), -1} })
		}
	}
}

// scanWear lists the life of eMMC (JESD84-B51, EXT_CSD 267 to 269): life_time holds two estimates in tenths, of SLC
// and of MLC areas, 0x0b meaning "exceeded"; pre_eol_info is 1 normal, 2 warning (80 % of reserves), 3 urgent.
func (h *Host) scanWear() {
	disks, _ := filepath.Glob(h.o.Sys + "/block/*/device/life_time")
	cards, _ := filepath.Glob(h.o.Sys + "/class/mmc_host/*/*/life_time")
	for _, path := range append(disks, cards...) {
		dir := filepath.Dir(path)
		name := filepath.Base(filepath.Dir(dir)) // block/mmcblk0/device
		if filepath.Base(dir) != "device" {
			if _, err := os.Stat(dir + "/block"); err == nil {
				continue // found below block already
			}
			name = filepath.Base(dir) // mmc_host/mmc0/mmc0:0001
		}
		l := record.Label{Key: "device", Value: name}
		if life := text(path); !strings.HasPrefix(life, "0x00 0x00") {
			h.watch(path, "life/"+name, attr{wear: true, hex: true}, func() [2]int {
				return [2]int{h.add("disk.wear", "%", record.TypeInt, l, record.Label{Key: "memory", Value: "a"}),
					h.add("disk.wear", "%", record.TypeInt, l, record.Label{Key: "memory", Value: "b"})}
			})
		}
		if eol := text(dir + "/pre_eol_info"); eol != "" && eol != "0x00" {
			h.watch(dir+"/pre_eol_info", "eol/"+name, attr{hex: true}, func() [2]int {
				return [2]int{h.add("disk.pre_eol", "", record.TypeInt, l), -1}
			})
		}
	}
}

// numbered lists dir/prefix0, dir/prefix1, … by number.
func numbered(dir, prefix string) []string {
	es, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var numbers []int
	for _, e := range es {
		if rest, ok := strings.CutPrefix(e.Name(), prefix); ok {
			if n, err := strconv.Atoi(rest); err == nil {
				numbers = append(numbers, n)
			}
		}
	}
	sort.Ints(numbers)
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = dir + "/" + prefix + strconv.Itoa(n)
	}
	return out
}

// inputs lists the temperature and fan channels of a hwmon directory, by name.
func inputs(dir string) []string {
	es, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range es {
		n := e.Name()
		if strings.HasSuffix(n, "_input") && (strings.HasPrefix(n, "temp") || strings.HasPrefix(n, "fan")) {
			out = append(out, dir+"/"+n)
		}
	}
	return out
}

// text is the trimmed first line of a short file, "" if it cannot be read.
func text(path string) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) > 4096 {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}

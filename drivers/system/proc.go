package system

import (
	"bytes"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// fixed are the indices of quantities of which a host has one; valid where the bool beside them is true.
type fixed struct {
	load               [3]int
	memory             [5]int
	uptime, boot       int
	hasLoad, hasMemory bool
	hasUptime, hasBoot bool
}

// cpuModes are the columns of the cpu line in /proc/stat (proc(5)); guest time is part of user time already.
var cpuModes = [...]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"}

type cpuTimes struct {
	seen  bool
	last  [len(cpuModes)]int64
	busy  int
	modes [len(cpuModes)]int
	known bool // quantities are listed
}

func (h *Host) readCPU() {
	text, err := h.stat.read(&h.buf)
	if err != nil {
		return
	}
	line, _ := cutLine(text)
	field, line := cutField(line)
	if string(field) != "cpu" {
		return
	}
	var now, delta [len(cpuModes)]int64
	for i := range now {
		field, line = cutField(line)
		now[i], _ = parseUint(field) // old kernels have fewer columns
	}
	c := &h.cpu
	var total int64
	for i := range now {
		delta[i] = max(now[i]-c.last[i], 0) // iowait may fall
		total += delta[i]
	}
	first := !c.seen
	c.seen, c.last = true, now
	if first {
		return
	}
	if !c.known {
		c.known = true
		c.busy = h.add("cpu.busy", "%", record.Decimal(2))
		for i, m := range cpuModes {
			c.modes[i] = -1
			if h.o.CPUModes {
				c.modes[i] = h.add("cpu.share", "%", record.Decimal(2), record.Label{Key: "mode", Value: m})
			}
		}
	}
	if total == 0 { // two reads within one tick of the kernel
		h.skip(c.busy)
		for _, i := range c.modes {
			h.skip(i)
		}
		return
	}
	h.put(c.busy, (total-delta[3]-delta[4])*10000/total)
	for i, q := range c.modes {
		h.put(q, delta[i]*10000/total)
	}
}

func (h *Host) readLoad() {
	text, err := h.loadavg.read(&h.buf)
	if err != nil {
		return
	}
	f := &h.fixed
	if !f.hasLoad {
		f.hasLoad = true
		for i, name := range [...]string{"load.1m", "load.5m", "load.15m"} {
			f.load[i] = h.add(name, "", record.Decimal(2))
		}
	}
	for _, q := range f.load {
		var field []byte
		field, text = cutField(text)
		if v, ok := parseFixed(field); ok {
			h.put(q, v)
		} else {
			h.bad(q, record.QualityMalformed, "loadavg: "+string(field))
		}
	}
}

var memoryKeys = [...]string{"MemTotal:", "MemAvailable:", "SwapTotal:", "SwapFree:"}

func (h *Host) readMemory() {
	text, err := h.meminfo.read(&h.buf)
	if err != nil {
		return
	}
	var v [len(memoryKeys)]int64
	found := 0
	for len(text) > 0 && found < len(v) {
		var line, key []byte
		line, text = cutLine(text)
		key, line = cutField(line)
		for i, k := range memoryKeys {
			if string(key) == k {
				field, _ := cutField(line)
				if n, ok := parseUint(field); ok {
					v[i] = n << 10 // "kB" are KiB
					found++
				}
			}
		}
	}
	if found < len(v) || v[0] == 0 {
		return // before Linux 3.14, or not a meminfo
	}
	f := &h.fixed
	if !f.hasMemory {
		f.hasMemory = true
		f.memory = [...]int{
			h.add("memory.total", "By", record.TypeInt), h.add("memory.available", "By", record.TypeInt),
			h.add("swap.total", "By", record.TypeInt), h.add("swap.free", "By", record.TypeInt),
			h.add("memory.used", "%", record.Decimal(2)),
		}
	}
	for i, n := range v {
		h.put(f.memory[i], n)
	}
	h.put(f.memory[4], percent(v[0]-v[1], v[0]))
}

// percent is a/b in hundredths of a percent, without overflow for any number of bytes.
func percent(a, b int64) int64 {
	for b > 1<<40 {
		a, b = a>>10, b>>10
	}
	if b <= 0 {
		return 0
	}
	return (a*10000 + b/2) / b
}

func (h *Host) readUptime() {
	text, err := h.uptime.read(&h.buf)
	if err != nil {
		return
	}
	f := &h.fixed
	if !f.hasUptime {
		f.hasUptime = true
		f.uptime = h.add("uptime", "s", record.Decimal(2))
	}
	field, _ := cutField(text)
	if v, ok := parseFixed(field); ok {
		h.put(f.uptime, v)
	} else {
		h.bad(f.uptime, record.QualityMalformed, "uptime: "+string(field))
	}
}

// readBoot tells the boot id once: it cannot change while the program runs.
func (h *Host) readBoot() {
	f := &h.fixed
	if f.hasBoot {
		return
	}
	text, err := h.bootID.read(&h.buf)
	id := bytes.TrimSpace(text)
	if err != nil || len(id) == 0 || len(id) > 64 {
		return
	}
	f.hasBoot = true
	f.boot = h.add("boot.id", "", record.TypeString)
	if f.boot < 0 {
		return
	}
	h.state[f.boot].once = true
	h.out = append(h.out, drivers.Sample{Quantity: f.boot, Type: record.TypeString, Value: bytes.Clone(id)})
	h.bootID.close()
}

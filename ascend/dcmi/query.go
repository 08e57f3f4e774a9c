package dcmi

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"unsafe"
)

// Chip is one device: card and place on it. Logic is the number that the runtime gives it.
type Chip struct {
	Card, Device int32
	Logic, Phy   int32 // -1 where the driver cannot tell
}

// Versions of driver and library.
type Versions struct{ DCMI, Driver string }

// Versions asks for the versions; what cannot be told stays empty.
func (l *Library) Versions() (v Versions) {
	get := func(f func(*byte, uint32) int32) string {
		buf := make([]byte, maxText)
		if f == nil || f(&buf[0], maxText) != 0 {
			return ""
		}
		return text(buf)
	}
	return Versions{get(l.api.Version), get(l.api.DriverVersion)}
}

// DriverHealth is 0 if the driver is well; higher is worse. codes are its errors.
func (l *Library) DriverHealth() (health int, codes []uint32, err error) {
	if l.api.DriverHealth == nil {
		return 0, nil, absent("dcmi_get_driver_health")
	}
	var h uint32
	if err := l.check("dcmi_get_driver_health", l.api.DriverHealth(&h)); err != nil {
		return 0, nil, err
	}
	if l.api.DriverErrors == nil {
		return int(h), nil, nil
	}
	var n int32
	list := make([]uint32, MaxErrors+slack/4)
	if err := l.check("dcmi_get_driver_errorcode", l.api.DriverErrors(&n, &list[0], MaxErrors)); err != nil {
		return int(h), nil, err
	}
	return int(h), list[:min(max(n, 0), MaxErrors)], nil
}

// Chips lists the chips of all cards by card and device. Their order in the library may change. A card that has dropped is
// listed with one chip, whose health says so. With an error there are the chips of the cards that answer.
func (l *Library) Chips() ([]Chip, error) {
	list := l.api.CardList
	call := "dcmi_get_card_list"
	if list == nil {
		list, call = l.api.CardNumList, "dcmi_get_card_num_list"
	}
	if list == nil {
		return nil, absent("dcmi_get_card_list")
	}
	var n int32
	cards := make([]int32, MaxCards+slack/4)
	if err := l.check(call, list(&n, &cards[0], MaxCards)); err != nil {
		return nil, err
	}
	var out []Chip
	var silent error
	for _, card := range cards[:min(max(n, 0), MaxCards)] {
		count, err := l.chipsOf(card)
		if dropped(err) {
			count, err = 1, nil
		}
		silent = errors.Join(silent, err)
		for dev := range count {
			c := Chip{Card: card, Device: dev, Logic: -1, Phy: -1}
			var kind int32
			if l.api.DeviceType != nil && l.api.DeviceType(card, dev, &kind) == 0 && kind != unitNPU {
				continue
			}
			var logic int32
			var phy uint32
			if l.api.LogicID != nil && l.api.LogicID(&logic, card, dev) == 0 {
				c.Logic = logic
				if l.api.PhyID != nil && l.api.PhyID(uint32(logic), &phy) == 0 {
					c.Phy = int32(phy)
				}
			}
			out = append(out, c)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Card < out[j].Card || out[i].Card == out[j].Card && out[i].Device < out[j].Device
	})
	return out, silent
}

func (l *Library) chipsOf(card int32) (int32, error) {
	var n, mcu, cpu int32
	if l.api.DeviceIDs != nil && l.api.DeviceIDs(card, &n, &mcu, &cpu) == 0 {
		return min(max(n, 0), MaxChips), nil
	}
	if l.api.DeviceNum == nil {
		return 0, absent("dcmi_get_device_num_in_card")
	}
	err := l.check("dcmi_get_device_num_in_card", l.api.DeviceNum(card, &n))
	return min(max(n, 0), MaxChips), err
}

// Identity is what does not change while a chip is in its slot.
type Identity struct {
	Name    string `json:"name"` // 310P3
	Type    string `json:"type,omitempty"`
	Version string `json:"version,omitempty"`
	AICores int    `json:"ai_cores,omitempty"`
	Product string `json:"product,omitempty"`
	Serial  string `json:"serial,omitempty"`
	PCI     string `json:"pci,omitempty"` // 0000:01:00.0
	Vendor  string `json:"pci_id,omitempty"`
	Board   uint32 `json:"board,omitempty"`
	Slot    int    `json:"pcie_slot,omitempty"` // needs root
}

// Identity asks who the chip is; what cannot be told stays empty. The error is that of the chip's name.
func (l *Library) Identity(c Chip) (id Identity, err error) {
	a := &l.api
	var v2 chipV2
	switch {
	case a.ChipInfoV2 != nil:
		err = l.check("dcmi_get_device_chip_info_v2", fill(l, &v2, func(p unsafe.Pointer) int32 { return a.ChipInfoV2(c.Card, c.Device, p) }))
	case a.ChipInfo != nil:
		var v1 chipV1
		err = l.check("dcmi_get_device_chip_info", fill(l, &v1, func(p unsafe.Pointer) int32 { return a.ChipInfo(c.Card, c.Device, p) }))
		v2 = chipV2{Type: v1.Type, Name: v1.Name, Version: v1.Version, AICores: v1.AICores}
	default:
		err = absent("dcmi_get_device_chip_info_v2")
	}
	id = Identity{Name: text(v2.NPUName[:]), Type: text(v2.Type[:]), Version: text(v2.Version[:]), AICores: int(v2.AICores)}
	if id.Name == "" {
		id.Name = text(v2.Name[:])
	}
	buf := make([]byte, maxText+slack)
	if a.ProductType != nil && a.ProductType(c.Card, c.Device, &buf[0], maxText) == 0 {
		id.Product = text(buf)
	}
	var e elabelInfo
	if a.ELabel != nil && fill(l, &e, func(p unsafe.Pointer) int32 { return a.ELabel(c.Card, c.Device, p) }) == 0 {
		id.Serial = text(e.Serial[:])
	}
	var pci pcieInfo
	if a.PCIeInfo != nil && fill(l, &pci, func(p unsafe.Pointer) int32 { return a.PCIeInfo(c.Card, c.Device, p) }) == 0 {
		id.PCI = fmt.Sprintf("%04x:%02x:%02x.%x", pci.Domain, pci.Bus, pci.Dev, pci.Fn)
		id.Vendor = fmt.Sprintf("%04x:%04x", pci.Vendor, pci.Device)
	}
	var b boardInfo
	if a.BoardInfo != nil && fill(l, &b, func(p unsafe.Pointer) int32 { return a.BoardInfo(c.Card, c.Device, p) }) == 0 {
		id.Board = b.Board
	}
	var slot int32
	if a.PCIeSlot != nil && a.PCIeSlot(c.Card, &slot) == 0 {
		id.Slot = int(slot)
	}
	return id, err
}

// Gauge is one measured quantity of a chip.
type Gauge struct {
	Name  string // temperature, utilization.aicore, …
	Unit  string // UCUM: Cel, W, V, MHz, %, By, 1
	Value float64
	Err   error // why there is no value; ErrUnsupported if the chip does not have it
}

// Gauges asks for everything that is measured. A gauge without a value says why; none is ever 0 for that.
func (l *Library) Gauges(c Chip) []Gauge {
	var out []Gauge
	add := func(name, unit string, v float64, err error) { out = append(out, Gauge{name, unit, v, err}) }
	a := &l.api
	v, err := l.signed("dcmi_get_device_temperature", a.Temperature, c)
	if err == nil && (v < -275 || v > 1000) { // 0x7ffd and 0x7fff are the controller's words for "no reading"
		err = fmt.Errorf("dcmi_get_device_temperature: %v °C is not a temperature", v)
	}
	add("temperature", "Cel", v, err)
	v, err = l.signed("dcmi_get_device_power_info", a.Power, c)
	add("power", "W", v/10, err)
	var p int32
	err = absent("dcmi_mcu_get_power_info")
	if a.BoardPower != nil {
		err = l.check("dcmi_mcu_get_power_info", a.BoardPower(c.Card, &p))
	}
	add("board_power", "W", float64(p)/10, err)
	var u uint32
	err = absent("dcmi_get_device_voltage")
	if a.Voltage != nil {
		err = l.check("dcmi_get_device_voltage", a.Voltage(c.Card, c.Device, &u))
	}
	add("voltage", "V", float64(u)/100, err)
	for _, f := range []struct {
		name string
		kind int32
	}{{"ddr", freqDDR}, {"ctrlcpu", freqCtrlCPU}, {"aicore", freqAICore}, {"aicore_rated", freqAICoreMax}, {"vector", freqVector}} {
		v, err := l.kind("dcmi_get_device_frequency", a.Frequency, c, f.kind)
		add("frequency."+f.name, "MHz", v, err)
	}
	for _, f := range []struct {
		name string
		kind int32
	}{{"memory", utilDDR}, {"aicore", utilAICore}, {"aicpu", utilAICPU}, {"ctrlcpu", utilCtrlCPU}, {"memory_bandwidth", utilDDRBandwidth}, {"vector", utilVector}, {"npu", utilNPU}} {
		v, err := l.kind("dcmi_get_device_utilization_rate", a.Utilization, c, f.kind)
		if err == nil && v > 100 {
			err = fmt.Errorf("dcmi_get_device_utilization_rate: %v %% is more than everything", v)
		}
		add("utilization."+f.name, "%", v, err)
	}
	out = append(out, l.memory(c)...)
	return append(out, l.units(c)...)
}

func (l *Library) signed(call string, f func(int32, int32, *int32) int32, c Chip) (float64, error) {
	if f == nil {
		return 0, absent(call)
	}
	var v int32
	err := l.check(call, f(c.Card, c.Device, &v))
	return float64(v), err
}

func (l *Library) kind(call string, f func(int32, int32, int32, *uint32) int32, c Chip, kind int32) (float64, error) {
	if f == nil {
		return 0, absent(call)
	}
	var v uint32
	err := l.check(call, f(c.Card, c.Device, kind, &v))
	return float64(v), err
}

func (l *Library) memory(c Chip) []Gauge {
	a := &l.api
	const mib = 1 << 20
	var m memoryV3
	err := absent("dcmi_get_device_memory_info_v3")
	if a.MemoryV3 != nil {
		err = l.check("dcmi_get_device_memory_info_v3", fill(l, &m, func(p unsafe.Pointer) int32 { return a.MemoryV3(c.Card, c.Device, p) }))
	}
	if err == nil && m.AvailMB > m.TotalMB {
		err = errors.New("dcmi_get_device_memory_info_v3: more is available than there is")
	}
	if err != nil && a.MemoryV2 != nil { // tells the total only
		var v2 memoryV2
		if fill(l, &v2, func(p unsafe.Pointer) int32 { return a.MemoryV2(c.Card, c.Device, p) }) == 0 {
			return []Gauge{{"memory.total", "By", float64(v2.TotalMB * mib), nil}, {"memory.used", "By", 0, err}}
		}
	}
	out := []Gauge{{"memory.total", "By", float64(m.TotalMB * mib), err}, {"memory.used", "By", float64((m.TotalMB - m.AvailMB) * mib), err}}
	var h hbm
	err = absent("dcmi_get_device_hbm_info")
	if a.HBM != nil {
		err = l.check("dcmi_get_device_hbm_info", fill(l, &h, func(p unsafe.Pointer) int32 { return a.HBM(c.Card, c.Device, p) }))
	}
	return append(out, Gauge{"hbm.total", "By", float64(h.TotalMB * mib), err}, Gauge{"hbm.used", "By", float64(h.UsedMB * mib), err})
}

// units are the media units, the control processors and the error correction.
func (l *Library) units(c Chip) []Gauge {
	a := &l.api
	var d dvppRatio
	err := absent("dcmi_get_device_dvpp_ratio_info")
	if a.DVPP != nil {
		err = l.check("dcmi_get_device_dvpp_ratio_info", fill(l, &d, func(p unsafe.Pointer) int32 { return a.DVPP(c.Card, c.Device, p) }))
	}
	out := []Gauge{{"utilization.vdec", "%", float64(d.VDEC), err}, {"utilization.vpc", "%", float64(d.VPC), err}, {"utilization.venc", "%", float64(d.VENC), err},
		{"utilization.jpege", "%", float64(d.JPEGE), err}, {"utilization.jpegd", "%", float64(d.JPEGD), err}}
	var e ecc
	err = absent("dcmi_get_device_ecc_info")
	if a.ECC != nil {
		err = l.check("dcmi_get_device_ecc_info", fill(l, &e, func(p unsafe.Pointer) int32 { return a.ECC(c.Card, c.Device, eccDDR, p) }))
	}
	out = append(out, Gauge{"ecc.enabled", "1", float64(e.Enable), err}, Gauge{"ecc.single", "1", float64(e.Single), err}, Gauge{"ecc.double", "1", float64(e.Double), err})
	out = append(out, Gauge{"ecc.single_total", "1", float64(e.TotalSingle), err}, Gauge{"ecc.double_total", "1", float64(e.TotalDouble), err},
		Gauge{"ecc.isolated_pages", "1", float64(e.IsoSingle + e.IsoDouble), err})
	var cpu aicpuInfo
	err = absent("dcmi_get_device_aicpu_info")
	if a.AICPU != nil {
		err = l.check("dcmi_get_device_aicpu_info", fill(l, &cpu, func(p unsafe.Pointer) int32 { return a.AICPU(c.Card, c.Device, p) }))
	}
	out = append(out, Gauge{"frequency.aicpu", "MHz", float64(cpu.Cur), err})
	var core aicoreInfo // where the frequency query lacks the AI cores, this has them
	if a.AICore != nil && fill(l, &core, func(p unsafe.Pointer) int32 { return a.AICore(c.Card, c.Device, p) }) == 0 {
		out = append(out, Gauge{"frequency.aicore_limit", "MHz", float64(core.Rated), nil})
	}
	return out
}

// Health of a chip.
type Health int

// States of a chip.
const (
	Healthy  Health = 0
	Minor    Health = 1
	Major    Health = 2
	Critical Health = 3
	Dead     Health = 4 // absent, not started, or dropped
)

func (h Health) String() string {
	if h < Healthy || h > Dead {
		return "unknown"
	}
	return [...]string{"ok", "minor", "major", "critical", "absent"}[h]
}

// Health asks for the chip's state; a card that dropped is Dead, without an error.
func (l *Library) Health(c Chip) (Health, error) {
	if l.api.Health == nil {
		return Dead, absent("dcmi_get_device_health")
	}
	h := uint32(4)
	err := l.check("dcmi_get_device_health", l.api.Health(c.Card, c.Device, &h))
	switch {
	case dropped(err), err == nil && h > 3:
		return Dead, nil
	case err != nil:
		return Dead, err
	}
	return Health(h), nil
}

// Started reports whether the chip has finished booting.
func (l *Library) Started(c Chip) (bool, error) {
	v, err := l.signed("dcmi_get_device_boot_status", l.api.BootStatus, c)
	return v == 16, err
}

// Fault is an error that the chip reports now.
type Fault struct {
	Code uint32
	Text string
}

func (f Fault) String() string { return strings.TrimSpace(fmt.Sprintf("0x%08X %s", f.Code, f.Text)) }

// Faults lists the chip's errors with their texts.
func (l *Library) Faults(c Chip) ([]Fault, error) {
	if l.api.ErrorCodes == nil {
		return nil, absent("dcmi_get_device_errorcode_v2")
	}
	var n int32
	list := make([]uint32, MaxErrors+slack/4)
	if err := l.check("dcmi_get_device_errorcode_v2", l.api.ErrorCodes(c.Card, c.Device, &n, &list[0], MaxErrors)); err != nil {
		return nil, err
	}
	var out []Fault
	for _, code := range list[:min(max(n, 0), MaxErrors)] {
		f := Fault{Code: code}
		buf := make([]byte, maxText+slack)
		if l.api.ErrorText != nil && l.api.ErrorText(c.Card, c.Device, code, &buf[0], maxText) == 0 {
			f.Text = text(buf)
		}
		out = append(out, f)
	}
	return out, nil
}

// Process is a process that uses the chip.
type Process struct {
	PID   int
	Bytes uint64
}

// Processes lists who uses the chip's memory.
func (l *Library) Processes(c Chip) ([]Process, error) {
	if l.api.Processes == nil {
		return nil, absent("dcmi_get_device_resource_info")
	}
	var list [MaxProcesses]procMemory
	var n int32
	err := l.check("dcmi_get_device_resource_info", fill(l, &list, func(p unsafe.Pointer) int32 { return l.api.Processes(c.Card, c.Device, p, &n) }))
	if err != nil {
		return nil, err
	}
	var out []Process
	for _, p := range list[:min(max(n, 0), MaxProcesses)] {
		out = append(out, Process{int(p.PID), p.Bytes})
	}
	return out, nil
}

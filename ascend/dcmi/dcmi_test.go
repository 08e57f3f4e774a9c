package dcmi

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/edgelog/edgelog/ascend/standin"
)

var lib *Library

func control(t testing.TB, lines string) {
	t.Helper()
	sym, err := purego.Dlsym(lib.handle, "standin_control")
	if err != nil {
		t.Fatal(err)
	}
	var f func(string) int32
	purego.RegisterFunc(&f, sym)
	if bad := f(lines); bad != 0 {
		t.Fatalf("stand-in does not understand %q", lines)
	}
}

func TestMain(m *testing.M) {
	path := os.Getenv("STANDIN_DCMI")
	if path == "" {
		libs, err := standin.Cached(standin.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, "the tests need the stand-in library:", err)
			os.Exit(1)
		}
		path = libs.DCMI
	}
	if want := os.Getenv("DCMI_OPEN"); want != "" { // a helper process: opening must fail
		_, err := Open(path)
		fmt.Println(err)
		os.Exit(0)
	}
	if os.Getenv("DCMI_OLD") != "" { // a helper process: an older driver
		l, err := Open(path)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		chips, err := l.Chips()
		fmt.Println(len(chips), "chips", err, "missing", l.Missing())
		for _, g := range l.Gauges(chips[0]) {
			fmt.Println(g.Name, g.Value, g.Err)
		}
		_, herr := l.Health(chips[0])
		_, eerr := l.NextEvent(chips[0], 2, 0)
		_, serr := l.Events(chips, 2)
		fmt.Println("health:", herr, "event:", eerr, "events:", serr)
		os.Exit(0)
	}
	var err error
	if lib, err = Open(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, a := range os.Args {
		if strings.HasPrefix(a, "-test.run=") {
			os.Exit(code)
		}
	}
	sym, _ := purego.Dlsym(lib.handle, "standin_calls")
	var calls func(string) uint64
	purego.RegisterFunc(&calls, sym)
	symbols, err := standin.Symbols()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	for _, s := range symbols {
		if s.Library == "dcmi" && calls(s.Name) == 0 {
			fmt.Fprintln(os.Stderr, "FAIL: no test calls", s.Name)
			code = 1
		}
	}
	os.Exit(code)
}

// Every field has the table's signature, every function of the table a field, every structure its size.
func TestTable(t *testing.T) {
	symbols, err := standin.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, s := range symbols {
		if s.Library == "dcmi" {
			want[s.Name] = s.Signature
		}
	}
	letters := map[reflect.Type]string{reflect.TypeFor[int32](): "i32", reflect.TypeFor[uint32](): "u32", reflect.TypeFor[*int32](): "*i32",
		reflect.TypeFor[*uint32](): "*u32", reflect.TypeFor[*byte](): "B", reflect.TypeFor[eventFilter](): "dcmi_event_filter", reflect.TypeFor[uintptr](): "U"}
	a := reflect.TypeFor[api]()
	for i := range a.NumField() {
		name, f := a.Field(i).Tag.Get("dcmi"), a.Field(i).Type
		ret, args, _ := strings.Cut(strings.TrimSuffix(want[name], ")"), "(")
		list := strings.Fields(args)
		ok := want[name] != "" && f.NumIn() == len(list) && letters[f.Out(0)] == ret
		for k := 0; ok && k < len(list); k++ {
			ok = letters[f.In(k)] == list[k] || f.In(k).Kind() == reflect.UnsafePointer && strings.HasPrefix(list[k], "*dcmi_")
		}
		if !ok {
			t.Errorf("%s has type %s, the table says %q", name, f, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is in the table and not bound", name)
	}
	pins, err := standin.Pins()
	if err != nil {
		t.Fatal(err)
	}
	var m memoryV3
	var h hbm
	sizes := map[string]uintptr{"dcmi_get_memory_info_stru": unsafe.Sizeof(m), "dcmi_get_memory_info_stru.freq@": unsafe.Offsetof(m.FreqMHz),
		"dcmi_get_memory_info_stru.hugepagesize@": unsafe.Offsetof(m.HugePageKB), "dcmi_get_memory_info_stru.utiliza@": unsafe.Offsetof(m.UtilPct),
		"dcmi_memory_info": unsafe.Sizeof(memoryV2{}), "dcmi_hbm_info": unsafe.Sizeof(h), "dcmi_hbm_info.memory_usage@": unsafe.Offsetof(h.UsedMB),
		"dcmi_hbm_info.temp@": unsafe.Offsetof(h.TempC), "dcmi_chip_info_v2": unsafe.Sizeof(chipV2{}), "dcmi_chip_info": unsafe.Sizeof(chipV1{}),
		"dcmi_ecc_info": unsafe.Sizeof(ecc{}), "dcmi_dvpp_ratio": unsafe.Sizeof(dvppRatio{}), "dcmi_aicore_info": unsafe.Sizeof(aicoreInfo{}),
		"dcmi_aicpu_info": unsafe.Sizeof(aicpuInfo{}), "dcmi_pcie_info_all": unsafe.Sizeof(pcieInfo{}), "dcmi_board_info": unsafe.Sizeof(boardInfo{}),
		"dcmi_elabel_info": unsafe.Sizeof(elabelInfo{}), "dcmi_proc_mem_info": unsafe.Sizeof(procMemory{}), "dcmi_event_filter": unsafe.Sizeof(eventFilter{}),
		"dcmi_dms_fault_event": unsafe.Sizeof(faultEvent{}), "dcmi_event": unsafe.Sizeof(event{})}
	values := map[string]string{"DCMI_FREQ_DDR": fmt.Sprint(freqDDR), "DCMI_FREQ_CTRLCPU": fmt.Sprint(freqCtrlCPU), "DCMI_FREQ_AICORE_CURRENT_": fmt.Sprint(freqAICore),
		"DCMI_FREQ_AICORE_MAX": fmt.Sprint(freqAICoreMax), "DCMI_FREQ_VECTORCORE_CURRENT": fmt.Sprint(freqVector), "DCMI_UTILIZATION_RATE_DDR": fmt.Sprint(utilDDR),
		"DCMI_UTILIZATION_RATE_AICORE": fmt.Sprint(utilAICore), "DCMI_UTILIZATION_RATE_AICPU": fmt.Sprint(utilAICPU), "DCMI_UTILIZATION_RATE_CTRLCPU": fmt.Sprint(utilCtrlCPU),
		"DCMI_UTILIZATION_RATE_DDR_BANDWIDTH": fmt.Sprint(utilDDRBandwidth), "DCMI_UTILIZATION_RATE_VECTORCORE": fmt.Sprint(utilVector),
		"DCMI_UTILIZATION_RATE_NPU": fmt.Sprint(utilNPU), "DCMI_DEVICE_TYPE_DDR": fmt.Sprint(eccDDR), "NPU_TYPE": fmt.Sprint(unitNPU)}
	for name, n := range sizes {
		values[name] = fmt.Sprint(n)
	}
	for _, p := range pins {
		if got, ok := values[p.Name]; ok && got != p.Value {
			t.Errorf("%s is %s here, %s in the table", p.Name, got, p.Value)
		}
		delete(values, p.Name)
		if p.Kind == "dcmi-errcode" && p.Value != "0" {
			if n, _ := strconv.Atoi(p.Value); codeTexts[Code(n)] == "" && n > -8100 {
				t.Logf("code %s (%s) has no text of its own", p.Value, p.Name)
			}
		}
	}
	for name := range values {
		t.Errorf("%s is not in the table", name)
	}
}

func gauges(t *testing.T) map[string]Gauge {
	t.Helper()
	chips, err := lib.Chips()
	if err != nil || len(chips) == 0 {
		t.Fatal(chips, err)
	}
	m := map[string]Gauge{}
	for _, g := range lib.Gauges(chips[0]) {
		m[g.Name] = g
	}
	return m
}

func TestGauges(t *testing.T) {
	m := gauges(t)
	for name, want := range map[string]Gauge{"temperature": {Unit: "Cel", Value: 47}, "board_power": {Unit: "W", Value: 42.1}, "voltage": {Unit: "V", Value: 0.8},
		"frequency.aicore": {Unit: "MHz", Value: 960}, "memory.total": {Unit: "By", Value: 256 << 20}, "utilization.jpegd": {Unit: "%", Value: 5},
		"ecc.enabled": {Unit: "1", Value: 1}, "ecc.single": {Unit: "1", Value: 2}, "ecc.double": {Unit: "1", Value: 0}, "ecc.single_total": {Unit: "1", Value: 5}, "ecc.double_total": {Unit: "1", Value: 0}, "ecc.isolated_pages": {Unit: "1", Value: 1},
		"utilization.vdec": {Unit: "%", Value: 1}, "utilization.vpc": {Unit: "%", Value: 2}, "utilization.venc": {Unit: "%", Value: 3}, "utilization.jpege": {Unit: "%", Value: 4}, "utilization.aicpu": {Unit: "%", Value: 3},
		"utilization.ctrlcpu": {Unit: "%", Value: 3}, "utilization.memory_bandwidth": {Unit: "%", Value: 1}, "frequency.ddr": {Unit: "MHz", Value: 1600}, "frequency.ctrlcpu": {Unit: "MHz", Value: 1900}, "frequency.aicore_rated": {Unit: "MHz", Value: 1080},
		"frequency.vector": {Unit: "MHz", Value: 1080}, "frequency.aicore_limit": {Unit: "MHz", Value: 1080}, "frequency.aicpu": {Unit: "MHz", Value: 1900}} {
		g := m[name]
		if g.Err != nil || g.Unit != want.Unit || math.Abs(g.Value-want.Value) > 1e-9 {
			t.Errorf("%s is %+v, want %+v", name, g, want)
		}
	}
	for _, name := range []string{"power", "hbm.total", "utilization.vector", "utilization.npu"} {
		if g := m[name]; !errors.Is(g.Err, ErrUnsupported) {
			t.Errorf("%s, which a 310P does not have, is %+v", name, g)
		}
	}
}

func TestIdentityAndState(t *testing.T) {
	control(t, "set cards 2;set chips 2;set reverse_cards 1")
	defer control(t, "set cards 1;set chips 1;set reverse_cards 0")
	chips, err := lib.Chips()
	if err != nil || len(chips) != 4 || chips[3] != (Chip{1, 1, 3, 3}) {
		t.Fatal(chips, err)
	}
	id, err := lib.Identity(chips[0])
	if err != nil || id.Name != "310P3" || id.PCI != "0000:01:00.0" || id.Vendor != "19e5:d500" || id.Serial != "STANDIN0000" || id.AICores != 8 {
		t.Errorf("%+v %v", id, err)
	}
	if v := lib.Versions(); v.Driver != "24.1.rc1" || v.DCMI != "24.1.rc1" {
		t.Error(v)
	}
	if h, codes, err := lib.DriverHealth(); h != 0 || len(codes) != 0 || err != nil {
		t.Error(h, codes, err)
	}
	if ok, err := lib.Started(chips[0]); !ok || err != nil {
		t.Error(ok, err)
	}
	if p, err := lib.Processes(chips[0]); err != nil || len(p) != 32 || p[31].Bytes != 32<<20 {
		t.Error(p, err)
	}
	// The older functions, as an older driver would have them used.
	old := &Library{api: lib.api, seen: map[string]int{}}
	old.api.CardList, old.api.DeviceIDs, old.api.ChipInfoV2, old.api.MemoryV3 = nil, nil, nil, nil
	if again, err := old.Chips(); err != nil || len(again) != 4 {
		t.Error(again, err)
	}
	if id, err := old.Identity(chips[0]); err != nil || !strings.HasPrefix(id.Name, "310P3-stand-in") || len(id.Name) != 32 {
		t.Errorf("%+v %v", id, err)
	}
	if g := old.memory(chips[0]); g[0].Value != 256<<20 || !errors.Is(g[1].Err, ErrMissing) {
		t.Error(g)
	}
}

func TestFaultsOfTheDevice(t *testing.T) {
	chips, err := lib.Chips()
	if err != nil {
		t.Fatal(err)
	}
	c := chips[0]
	control(t, "set health 3;set error_code 0x80e01801;set error_codes 128")
	if h, err := lib.Health(c); h != Critical || err != nil {
		t.Error(h, err)
	}
	if f, err := lib.Faults(c); err != nil || len(f) != 128 || f[0].String() != "0x80E01801 stand-in error 80E01801" {
		t.Error(len(f), err)
	}
	control(t, "set error_codes 0;set health 0")
	if f, err := lib.Faults(c); err != nil || len(f) != 0 {
		t.Error(f, err)
	}
	control(t, "set not_ready 1")
	if h, err := lib.Health(c); h != Dead || err != nil {
		t.Error("a card that dropped:", h, err)
	}
	control(t, "set not_ready 0;set drop 1")
	if h, err := lib.Health(c); h != Dead || err != nil {
		t.Error("a card that is gone:", h, err)
	}
	control(t, "set drop 0;set events 200")
	for i := range 200 { // a storm
		if e, err := lib.NextEvent(c, 2, time.Millisecond); err != nil || e == nil || e.ID != 0x80e01801 || e.Severity != 2 || e.Name != "stand-in event" {
			t.Fatal(i, e, err)
		}
	}
	if e, err := lib.NextEvent(c, 2, time.Millisecond); e != nil || err != nil {
		t.Error(e, err)
	}
	for lines, name := range map[string]string{"set temperature 0x7ffd": "temperature", "set utilization 600": "utilization.aicore", "on dcmi_get_device_voltage 1 return -8006": "voltage"} {
		control(t, lines)
		if g := gauges(t)[name]; g.Err == nil || errors.Is(g.Err, ErrUnsupported) {
			t.Errorf("%s gives %+v", lines, g)
		}
		control(t, "clear;set temperature 47;set utilization -1")
	}
	if lib.Errors()["-8006"] == 0 {
		t.Error("errors are not counted:", lib.Errors())
	}
}

var pushed <-chan Event

// Events come by callback from a thread of the driver: each once, also when it is over; a storm that nobody reads is
// dropped and counted, and the driver's thread never waits.
func TestEvents(t *testing.T) {
	chips, err := lib.Chips()
	if err != nil {
		t.Fatal(err)
	}
	if pushed == nil { // once in the life of a process, however often the test runs
		if pushed, err = lib.Events(chips, 2); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := lib.Events(chips, 2); err == nil {
		t.Error("events can be received twice")
	}
	next := func() Event {
		select {
		case e := <-pushed:
			return e
		case <-time.After(time.Minute):
			t.Fatal("no event came")
		}
		return Event{}
	}
	lost := lib.EventsLost()
	control(t, "set pushed_events 2")
	begun, over := next(), next()
	if begun.Over == over.Over {
		t.Errorf("%+v, then %+v", begun, over)
	}
	for _, e := range []Event{begun, over} {
		if e.ID != 0x80e01801 || e.Severity != 2 || e.Name != "stand-in event" || !e.Raised.Equal(time.UnixMilli(1700000000000)) {
			t.Errorf("%+v", e)
		}
	}
	control(t, "set pushed_events 300")
	for end := time.Now().Add(time.Minute); lib.EventsLost() < lost+300-maxEvents; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d events of a storm were counted as lost", lib.EventsLost()-lost)
		}
	}
	for range maxEvents {
		next()
	}
	runtime.GC()
}

// A driver that refuses to start says why.
func TestInitRefused(t *testing.T) {
	for code, want := range map[string]string{"-8005": "no driver, or another container", "-8020": "resource occupied", "-8255": "too new"} {
		file := t.TempDir() + "/control"
		if err := os.WriteFile(file, []byte("on dcmi_init 1 return "+code+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		if q := os.Getenv("STANDIN_QEMU"); q != "" {
			cmd = exec.Command(q, os.Args[0], "-test.run=^$")
		}
		cmd.Env = append(os.Environ(), "DCMI_OPEN=1", "STANDIN_CONTROL="+file, "STANDIN_DCMI="+lib.Path())
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s", code, err, out)
		}
	}
}

// An older driver lacks functions: what needs them is missing, by name, and everything else works.
func TestOlderDriver(t *testing.T) {
	if os.Getenv("STANDIN_DCMI") != "" {
		return // the variant below is built for this machine only
	}
	gone := []string{"dcmi_get_card_list", "dcmi_get_device_id_in_card", "dcmi_get_device_chip_info_v2", "dcmi_get_device_memory_info_v3", "dcmi_get_device_health", "dcmi_get_device_dvpp_ratio_info",
		"dcmi_get_fault_event", "dcmi_subscribe_fault_event"}
	libs, err := standin.Cached(standin.Options{Remove: gone})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "DCMI_OLD=1", "STANDIN_DCMI="+libs.DCMI)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, want := range append([]string{"1 chips <nil>", "temperature 47 <nil>", "memory.total 2.68435456e+08 <nil>", "memory.used 0 dcmi_get_device_memory_info_v3: function missing in this driver",
		"utilization.jpegd 0 dcmi_get_device_dvpp_ratio_info: function missing", "health: dcmi_get_device_health: function missing", "event: dcmi_get_fault_event: function missing", "events: dcmi_subscribe_fault_event: function missing"}, gone...) {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// A chip that supports nothing has no gauge at all, and none of them is 0.
func TestNothingSupported(t *testing.T) {
	control(t, "set unsupported 1")
	defer control(t, "set unsupported 0")
	for _, g := range lib.Gauges(Chip{}) {
		if !errors.Is(g.Err, ErrUnsupported) {
			t.Errorf("%+v", g)
		}
	}
}

func TestGrownStructures(t *testing.T) {
	before := gauges(t)
	control(t, "set growth 1")
	defer control(t, "set growth 0")
	n := lib.Grown()
	after := gauges(t)
	if lib.Grown() == n {
		t.Error("nobody noticed that structures grew")
	}
	for name, g := range before {
		if a := after[name]; a.Value != g.Value && !strings.HasPrefix(name, "utilization") {
			t.Errorf("%s is %v with grown structures, %v without", name, a, g)
		}
	}
}

func TestOpen(t *testing.T) {
	if _, err := Open("/nonexistent/libdcmi.so"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "/nonexistent") {
		t.Error(err)
	}
	if lib.Simulated() == "" || lib.Path() == "" || len(lib.Missing()) != 0 {
		t.Error(lib.Simulated(), lib.Path(), lib.Missing())
	}
	e := &Error{Call: "dcmi_init", Code: codeInner}
	if !strings.Contains(e.Error(), "no driver, or another container") {
		t.Error(e)
	}
	for code, want := range map[Code]string{codeUnsupported: "too new", codePermission: "root", codeParameter: "invalid"} {
		if e := (&Error{Call: "dcmi_init", Code: code}); !strings.Contains(e.Error(), want) {
			t.Error(e)
		}
	}
}

// A card that does not answer hides no other one.
func TestCardThatDoesNotAnswer(t *testing.T) {
	control(t, "set cards 2")
	defer control(t, "clear;set cards 1")
	for code, want := range map[int]int{-8008: 2, -8012: 2, -8006: 1} { // one that is gone is listed, to be declared
		control(t, fmt.Sprintf("clear;on dcmi_get_device_id_in_card 1 return %[1]d;on dcmi_get_device_num_in_card 1 return %[1]d", code))
		chips, err := lib.Chips()
		if len(chips) != want || chips[want-1] != (Chip{1, 0, 1, 1}) || (err == nil) != (want == 2) {
			t.Errorf("%d: %+v %v", code, chips, err)
		}
	}
}

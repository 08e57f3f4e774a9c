package acl

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebitengine/purego"
	"github.com/edgelog/edgelog/ascend/standin"
)

// again runs f in a fresh context and returns its error.
func again(f func(*Context) error) error {
	done := make(chan error)
	go func() { done <- lib.Run(0, f) }()
	return <-done
}

func double(c *Context) error {
	m, err := c.Load(standin.Doubler(2).Bytes())
	if err != nil {
		return err
	}
	out, err := run(c, m, floats(1, 2), 1)
	if err == nil && (toFloats(out)[0] != 2 || toFloats(out)[1] != 4) {
		err = fmt.Errorf("the result is %v", toFloats(out))
	}
	return errors.Join(err, m.Close())
}

// Each fault has its class, and a fresh context works after it.
func TestFaults(t *testing.T) {
	for _, f := range []struct {
		name, lines string
		class       Class
	}{
		{"init of the device refused", "on aclrtSetDevice 1 return 507033", ClassAbsent},
		{"out of memory", "on aclrtMalloc 1 return 207018", ClassMemory},
		{"arena full", "set arena_bytes 100", ClassMemory},
		{"load fails", "on aclmdlLoadFromMem 1 return 545001", ClassModel},
		{"load finds an older runtime", "on aclmdlLoadFromMem 1 return 500002", ClassModel},
		{"load without memory", "on aclmdlLoadFromMem 1 return 245000", ClassMemory},
		{"stream table full", "on aclrtCreateStream 1 return 207008", ClassBusy},
		{"AI Core exception", "on task 1 return 507015", ClassExecution},
		{"AI Core time-out", "on task 1 return 507014", ClassExecution},
		{"task that never ends", "set execute_us 3600000000", ClassTimeout},
		{"device lost in a task", "on task 1 return 507010", ClassLost},
		{"unknown code", "on aclmdlExecuteAsync 1 return 999999", ClassUnknown},
	} {
		control(t, "clear")
		control(t, f.lines)
		err := again(double)
		if err == nil {
			t.Errorf("%s: no error", f.name)
		} else if ClassOf(err) != f.class {
			t.Errorf("%s: class %v of %v, want %v", f.name, ClassOf(err), err, f.class)
		}
		control(t, "clear;set execute_us 0;set arena_bytes 268435456")
		if err := again(double); err != nil {
			t.Fatalf("after %s: %v", f.name, err)
		}
	}
}

func TestDeviceLostAndReset(t *testing.T) {
	err := again(func(c *Context) error {
		s, err := c.NewStream()
		must(err)
		control(t, "set lost 1")
		_, err = c.Malloc(64, HugeFirst)
		class(t, err, ClassLost)
		normal, err := lib.Status(0)
		want(t, "status", normal, false)
		return errors.Join(err, c.Abandon(), s.Close())
	})
	if err != nil {
		t.Error(err)
	}
	if err := again(double); err != nil {
		t.Error("after a reset:", err)
	}
	if err := again(func(c *Context) error { return c.Abandon() }); err != nil {
		t.Error(err)
	}
}

func TestSilentCorruptionIsSeenInTheNumbers(t *testing.T) {
	control(t, "set corrupt 1")
	defer control(t, "set corrupt 0")
	if err := again(double); err == nil || !strings.Contains(err.Error(), "the result is") {
		t.Errorf("flipped bits gave %v", err)
	}
}

var exceptions <-chan Exception

// Callbacks come from threads of the library, several at once, and carry the five ids.
func TestExceptions(t *testing.T) {
	if exceptions == nil { // once in the life of a process, however often the test runs
		var err error
		if exceptions, err = lib.Exceptions(); err != nil {
			t.Fatal(err)
		}
	}
	events := exceptions
	if _, err := lib.Exceptions(); err == nil {
		t.Error("exceptions can be watched twice")
	}
	for len(events) > 0 { // of the tests before
		<-events
	}
	control(t, "clear;set callback_twins 2;on task 1 return 507015")
	defer control(t, "clear;set callback_twins 1")
	class(t, again(double), ClassExecution)
	for range 2 {
		select {
		case e := <-events:
			if e.Code != 507015 || e.Device != 0 || e.Thread == 0 {
				t.Errorf("exception %+v", e)
			}
		case <-time.After(time.Minute):
			t.Fatal("no exception came")
		}
	}
	runtime.GC()
}

var helpers = map[string]func(){
	// signals: the library installs bad handlers when it is loaded; Go's must be back, a nil dereference must stay a
	// panic, SIGTERM must arrive.
	"signals": func() {
		was := readSignals()
		l, err := Open(Options{Path: os.Getenv("ACL_PATH")})
		must(err)
		is := readSignals()
		for _, n := range touched {
			if is.action[n] != was.action[n] {
				fmt.Println("changed:", n)
			}
		}
		fmt.Println("restored:", len(l.SignalsRestored()))
		func() {
			defer func() { fmt.Println("recovered:", recover() != nil) }()
			var p *int
			fmt.Println(*p)
		}()
		got := make(chan os.Signal, 1)
		signal.Notify(got, syscall.SIGTERM)
		must(syscall.Kill(os.Getpid(), syscall.SIGTERM))
		fmt.Println("signal:", <-got)
	},
	// unguarded: what happens without the precautions.
	"unguarded": func() {
		_, err := purego.Dlopen(os.Getenv("ACL_PATH"), purego.RTLD_NOW|purego.RTLD_GLOBAL)
		must(err)
		defer func() { fmt.Println("recovered:", recover() != nil) }()
		go func() { time.Sleep(20 * time.Second); fmt.Println("it hangs"); os.Exit(1) }()
		var p *int
		fmt.Println(*p)
	},
	"open": func() {
		l, err := Open(Options{Path: os.Getenv("ACL_PATH")})
		if err == nil {
			err = l.Init()
		}
		if err == nil {
			err = l.Run(0, double)
		}
		if err == nil {
			must(l.Run(0, func(c *Context) error {
				ch, err := c.NewChannel()
				fmt.Println("media:", l.Media(), err)
				return ch.Close()
			}))
		}
		fmt.Println("result:", err)
	},
}

func TestSignals(t *testing.T) {
	for _, mode := range []struct{ env, restored string }{{"STANDIN_SIGNALS=force", "restored: 1"}, {"STANDIN_SIGNALS=on", "restored: 0"}} {
		out, err := helper(t, "signals", mode.env)
		if err != nil || strings.Contains(out, "changed:") || !strings.Contains(out, mode.restored) ||
			!strings.Contains(out, "recovered: true") || !strings.Contains(out, "signal: terminated") {
			t.Errorf("%s: %v\n%s", mode.env, err, out)
		}
	}
}

// Without the precautions the same handlers make an end of a nil dereference that Go would have recovered from: the test
// above can fail.
func TestSignalsWithoutPrecautions(t *testing.T) {
	if out, err := helper(t, "unguarded", "STANDIN_SIGNALS=force"); err == nil || strings.Contains(out, "recovered: true") {
		t.Errorf("the handlers of the stand-in are harmless: %v\n%s", err, out)
	}
}

func TestBadLibraries(t *testing.T) {
	if _, err := Open(Options{Path: "/nonexistent/libascendcl.so"}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("a library that is not there: %v", err)
	}
	stub := t.TempDir() + "/control"
	must(os.WriteFile(stub, []byte("set stub 1\n"), 0o644))
	if out, _ := helper(t, "open", "STANDIN_CONTROL="+stub); !strings.Contains(out, "link-time stub") {
		t.Errorf("the stub library: %s", out)
	}
	must(os.WriteFile(stub, []byte("on aclInit 1 return 507008\n"), 0o644))
	if out, _ := helper(t, "open", "STANDIN_CONTROL="+stub); !strings.Contains(out, "507008 RT_SOC_VERSION") {
		t.Errorf("init refused: %s", out)
	}
	must(os.WriteFile(stub, []byte("on task 1 segv\n"), 0o644))
	if out, err := helper(t, "open", "STANDIN_CONTROL="+stub); err == nil {
		t.Errorf("a crash in a thread of the library went unnoticed: %s", out)
	}
	// A runtime without the library of the media units works, and says what it lacks.
	alone := t.TempDir()
	if data, err := os.ReadFile(lib.paths[0]); err != nil || os.WriteFile(alone+"/libascendcl.so", data, 0o755) != nil {
		t.Fatal(err)
	}
	if out, _ := helper(t, "open", "ACL_PATH="+alone+"/libascendcl.so"); !strings.Contains(out, "result: <nil>") || !strings.Contains(out, "media: false media units: not supported") {
		t.Errorf("without media units: %s", out)
	}
	// One that is named by a relative path has the library of the media units beside it, too.
	if wd, err := os.Getwd(); err != nil {
		t.Error(err)
	} else if rel, err := filepath.Rel(wd, lib.paths[0]); err != nil {
		t.Error(err)
	} else if out, _ := helper(t, "open", "ACL_PATH="+rel); !strings.Contains(out, "media: true <nil>") {
		t.Errorf("by a relative path: %s", out)
	}
	// A runtime of the newer line: two libraries in place of one, found on LD_LIBRARY_PATH.
	dir := t.TempDir()
	data, err := os.ReadFile(lib.paths[0])
	must(err)
	must(os.WriteFile(dir+"/libacl_rt.so", data, 0o755))
	must(os.WriteFile(dir+"/libacl_mdl.so", data, 0o755))
	if out, _ := helper(t, "open", "ACL_PATH=", "LD_LIBRARY_PATH="+dir); !strings.Contains(out, "result: <nil>") {
		t.Errorf("the split runtime: %s", out)
	}
	if os.Getenv("STANDIN_ACL") != "" {
		return // the variants below are built for this machine only
	}
	for _, v := range []struct {
		remove []string
		want   string
	}{
		{[]string{"aclmdlExecuteAsync"}, "has no function aclmdlExecuteAsync (runtime version 1.13.0)"},
		{[]string{"aclGetRecentErrMsg", "aclrtSetStreamFailureMode", "aclrtCreateEvent", "aclrtDestroyStreamForce"}, "result: <nil>"},
	} {
		libs, err := standin.Cached(standin.Options{Remove: v.remove})
		if err != nil {
			t.Fatal(err)
		}
		if out, _ := helper(t, "open", "ACL_PATH="+libs.ACL); !strings.Contains(out, v.want) {
			t.Errorf("without %s: %s, want %q", v.remove, out, v.want)
		}
	}
}

// Echoes prove the calling convention for each shape of signature.
func TestEchoes(t *testing.T) {
	bindTo := func(f any, name string) { purego.RegisterFunc(f, lib.symbol(name)) }
	var e17 func(uintptr, int8, int16, int16, int16, int16, int16, int16, int16, int16, int16, uint8, uint8, uint8, uint8, uint8, uint8) int64
	bindTo(&e17, "standin_echo_17")
	want(t, "17 arguments", e17(1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, 12, 13, 14, 15, 16, 255), int64(1-4+9-16+25-36+49-64+81-100+121+144+169+196+225+256+17*255))
	var mixed func(uintptr, float32, float32, float32, float32, uint64) int32
	bindTo(&mixed, "standin_echo_mixed")
	want(t, "mixed", mixed(1, 2, 3, 4, 5, 6), int32(1+4+9+16+25+36))
	var neg func() int32
	bindTo(&neg, "standin_echo_negative")
	want(t, "negative", neg(), int32(-8255))
	var u32 func() uint32
	bindTo(&u32, "standin_echo_u32")
	want(t, "all ones", u32(), uint32(0xFFFFFFFF))
	var size func(uintptr) uintptr
	bindTo(&size, "standin_echo_size")
	want(t, "above 4 GiB", size(5), uintptr(5+1<<32))
	var str func(int32) string
	bindTo(&str, "standin_echo_text")
	want(t, "texts", str(0)+str(1), "text")
	var back func(uintptr, uintptr) int32
	bindTo(&back, "standin_echo_callback")
	f := purego.NewCallback(func(x uintptr) uintptr { return x * 2 })
	for i := range 50 {
		want(t, "callback of a foreign thread", back(f, uintptr(i)), int32(2*i))
	}
	fast, err := lib.Probe("standin_echo_fast")
	must(err)
	want(t, "fast path", fast(1, 2, 3, 4), int32(10))
	if _, err := lib.Probe("no_such"); err == nil {
		t.Error("a missing function was found")
	}
}

func BenchmarkCall(b *testing.B) {
	fast, err := lib.Probe("standin_echo_fast")
	must(err)
	b.ReportAllocs()
	for i := range b.N {
		fast(uint32(i), 1, 2, 3)
	}
}

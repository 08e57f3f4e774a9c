//go:build cgo

package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
typedef int32_t (*call4)(uint32_t, uintptr_t, uintptr_t, uintptr_t);
static void *open_library(const char *path) { return dlopen(path, RTLD_NOW); }
static void *find(void *h, const char *name) { return dlsym(h, name); }
static int32_t call(void *f, uint32_t a, uintptr_t b, uintptr_t c, uintptr_t d) { return ((call4)f)(a, b, c, d); }
static int64_t loop(void *f, uint64_t n) { return ((int64_t (*)(uint64_t))f)(n); }
*/
import "C"

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/edgelog/edgelog/ascend/acl"
	"github.com/edgelog/edgelog/ascend/standin"
)

// calls times the same call through purego, through cgo and within C, in turns so that the machine's mood hits all.
func calls() error {
	libs, err := standin.Cached(standin.Options{})
	if err != nil {
		return err
	}
	lib, err := acl.Open(acl.Options{Path: libs.ACL})
	if err != nil {
		return err
	}
	fast, err := lib.Probe("standin_echo_fast")
	if err != nil {
		return err
	}
	h, err := library(libs.ACL)
	if err != nil {
		return err
	}
	direct, loop := h.find("standin_echo_fast"), h.find("standin_loop_ns")
	best := map[string]float64{"purego": 1e9, "cgo": 1e9, "c": 1e9}
	keep := func(name string, ns float64) { best[name] = min(best[name], ns) }
	for range 7 {
		r := testing.Benchmark(func(b *testing.B) {
			for i := range b.N {
				fast(uint32(i), 1, 2, 3)
			}
		})
		keep("purego", float64(r.T.Nanoseconds())/float64(r.N))
		r = testing.Benchmark(func(b *testing.B) {
			for i := range b.N {
				C.call(direct, C.uint32_t(i), 1, 2, 3)
			}
		})
		keep("cgo", float64(r.T.Nanoseconds())/float64(r.N))
		const n = 20_000_000
		keep("c", float64(C.loop(loop, n))/n)
	}
	allocs := testing.AllocsPerRun(1000, func() { fast(1, 2, 3, 4) })
	bench("acl_call_purego_ns", best["purego"], "ns")
	bench("acl_call_cgo_ns", best["cgo"], "ns")
	bench("acl_call_c_ns", best["c"], "ns")
	bench("acl_call_overhead_ns", best["purego"]-best["c"], "ns")
	bench("acl_call_vs_cgo", best["purego"]/best["cgo"], "x")
	bench("acl_call_allocs", allocs, "allocs")
	return nil
}

type dl struct{ h unsafe.Pointer }

func library(path string) (dl, error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	h := C.open_library(p)
	if h == nil {
		return dl{}, errors.New("cannot load " + path)
	}
	return dl{h}, nil
}

func (d dl) find(name string) unsafe.Pointer {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	return C.find(d.h, n)
}

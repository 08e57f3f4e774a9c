package acl

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/edgelog/edgelog/ascend/standin"
)

// goType is the table's letter for a Go type of a binding.
func goType(t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return []string{"i" + strconv.Itoa(t.Bits())}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return []string{"u" + strconv.Itoa(t.Bits())}
	case reflect.Float32:
		return []string{"f32"}
	case reflect.Uintptr:
		return []string{"U", "P"}
	case reflect.UnsafePointer:
		return []string{"P"}
	case reflect.String:
		return []string{"S", "T"}
	case reflect.Pointer:
		e := t.Elem()
		switch e.Kind() {
		case reflect.Uint8:
			return []string{"B"}
		case reflect.Struct:
			return []string{"*" + structs[e]}
		}
		var out []string
		for _, s := range goType(e) {
			out = append(out, "*"+s)
		}
		return out
	}
	return []string{t.String()}
}

var structs = map[reflect.Type]string{
	reflect.TypeFor[ioDims](): "aclmdlIODims", reflect.TypeFor[batchGears](): "aclmdlBatch", reflect.TypeFor[hwGears](): "aclmdlHW",
	reflect.TypeFor[dimsRange](): "aclmdlIODimsRange", reflect.TypeFor[utilInfo](): "aclrtUtilizationInfo", reflect.TypeFor[pkgVersion](): "aclCANNPackageVersion",
}

// Every field of the binding has exactly the signature of the table, and every function of the table has a field.
func TestSignatures(t *testing.T) {
	symbols, err := standin.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]standin.Symbol{}
	for _, s := range symbols {
		if s.Library != "dcmi" {
			want[s.Name] = s
		}
	}
	bound := map[string]bool{}
	each(reflect.ValueOf(&api{}).Elem(), func(name string, required bool, field reflect.Value) {
		s, ok := want[name]
		if !ok {
			t.Errorf("%s is bound and not in the table", name)
			return
		}
		bound[name] = true
		if required != (s.Need == "r") {
			t.Errorf("%s: required is %v, the table says %q", name, required, s.Need)
		}
		ret, args, _ := strings.Cut(strings.TrimSuffix(s.Signature, ")"), "(")
		f := field.Type()
		list := strings.Fields(args)
		if f.NumIn() != len(list) || f.NumOut() != 1 {
			t.Errorf("%s has type %s, the table says %s", name, f, s.Signature)
			return
		}
		check := func(where string, got reflect.Type, want string) {
			for _, g := range goType(got) {
				if g == want {
					return
				}
			}
			t.Errorf("%s: %s is %s, the table says %s", name, where, got, want)
		}
		check("result", f.Out(0), ret)
		for i, a := range list {
			check(fmt.Sprintf("argument %d", i), f.In(i), a)
		}
	})
	for name := range want {
		if !bound[name] {
			t.Errorf("%s is in the table and not bound", name)
		}
	}
}

func TestLayoutsAndConstants(t *testing.T) {
	pins, err := standin.Pins()
	if err != nil {
		t.Fatal(err)
	}
	value := map[string]int64{}
	for _, p := range pins {
		n, err := strconv.ParseInt(p.Value, 0, 64)
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		value[p.Name] = n
	}
	var d ioDims
	var u utilInfo
	for name, got := range map[string]int64{
		"aclmdlIODims": int64(unsafe.Sizeof(d)), "aclmdlIODims.dimCount@": int64(unsafe.Offsetof(d.DimCount)), "aclmdlIODims.dims@": int64(unsafe.Offsetof(d.Dims)),
		"aclmdlBatch": int64(unsafe.Sizeof(batchGears{})), "aclmdlHW": int64(unsafe.Sizeof(hwGears{})), "aclmdlIODimsRange": int64(unsafe.Sizeof(dimsRange{})),
		"aclrtUtilizationInfo": int64(unsafe.Sizeof(u)), "aclrtUtilizationInfo.utilizationExtend@": int64(unsafe.Offsetof(u.Extend)),
		"aclCANNPackageVersion": int64(unsafe.Sizeof(pkgVersion{})),
		"ACL_FLOAT":             int64(Float32), "ACL_FLOAT16": int64(Float16), "ACL_INT8": int64(Int8), "ACL_INT32": int64(Int32), "ACL_UINT8": int64(UInt8),
		"ACL_INT16": int64(Int16), "ACL_UINT16": int64(UInt16), "ACL_UINT32": int64(UInt32), "ACL_INT64": int64(Int64), "ACL_UINT64": int64(UInt64),
		"ACL_DOUBLE": int64(Float64), "ACL_BOOL": int64(Bool), "ACL_DT_UNDEFINED": int64(TypeUndefined),
		"ACL_FORMAT_NCHW": int64(NCHW), "ACL_FORMAT_NHWC": int64(NHWC), "ACL_FORMAT_ND": int64(ND),
		"ACL_MEM_MALLOC_HUGE_FIRST": int64(HugeFirst), "ACL_MEM_MALLOC_HUGE_ONLY": int64(HugeOnly), "ACL_MEM_MALLOC_NORMAL_ONLY": int64(NormalOnly),
		"ACL_MEMCPY_HOST_TO_HOST": int64(hostToHost), "ACL_MEMCPY_HOST_TO_DEVICE": int64(hostToDevice), "ACL_MEMCPY_DEVICE_TO_HOST": int64(deviceToHost),
		"ACL_MEMCPY_DEVICE_TO_DEVICE": int64(deviceToDevice), "ACL_DDR_MEM": int64(memDDR), "ACL_STREAM_STATUS_NOT_READY": int64(streamNotReady),
		"ACL_EVENT_RECORDED_STATUS_COMPLETE": int64(eventComplete), "ACL_PKG_NAME_CANN": int64(packageCANN),
		"ACL_MDL_STREAM_SYNC_TIMEOUT": int64(execStreamTimeout), "ACL_DATA_WITH_STATIC_AIPP": int64(aippStatic),
		"ACL_DATA_WITH_DYNAMIC_AIPP": int64(aippDynamic), "ACL_YUV420SP_U8": int64(ImageYUV420SP), "ACL_XRGB8888_U8": int64(ImageXRGB8888), "ACL_RGB888_U8": int64(ImageRGB888), "ACL_YUV400_U8": int64(ImageGray),
		"PIXEL_FORMAT_YUV_SEMIPLANAR_420": int64(NV12), "PIXEL_FORMAT_YVU_SEMIPLANAR_420": int64(NV21), "PIXEL_FORMAT_RGB_888": int64(RGB888), "PIXEL_FORMAT_BGR_888": int64(BGR888),
		"DVPP_CHNMODE_VPC": int64(channelScale), "DVPP_CHNMODE_JPEGD": int64(channelJPEG),
		"ACL_MDL_PRIORITY_INT32": int64(loadPriority), "ACL_MDL_LOAD_TYPE_SIZET": int64(loadType), "ACL_MDL_MEM_ADDR_PTR": int64(loadModel), "ACL_MDL_MEM_SIZET": int64(loadModelSize),
		"ACL_MDL_WEIGHT_ADDR_PTR": int64(loadWeights), "ACL_MDL_WEIGHT_SIZET": int64(loadWeightsSize), "ACL_MDL_WORKSPACE_ADDR_PTR": int64(loadWork), "ACL_MDL_WORKSPACE_SIZET": int64(loadWorkSize),
		"ACL_ERROR_REPEAT_INITIALIZE": int64(codeRepeatInit), "ACL_ERROR_REPEAT_FINALIZE": int64(codeRepeatFinalize),
		"ACL_ERROR_COMPILING_STUB_MODE": int64(codeStub), "ACL_ERROR_RT_STREAM_SYNC_TIMEOUT": int64(codeStreamTimeout),
	} {
		if want, ok := value[name]; !ok {
			t.Errorf("%s is not in the table", name)
		} else if got != want {
			t.Errorf("%s is %d here, %d in the table", name, got, want)
		}
	}
	for _, p := range pins { // every return code has its name
		if n := value[p.Name]; strings.HasPrefix(p.Kind, "errcode") && n != 0 && codeNames()[Code(n)] == "" {
			t.Errorf("code %d (%s) has no name", n, p.Name)
		}
	}
}

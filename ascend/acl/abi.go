package acl

import "unsafe"

// DevPtr is an address on the device: a number, never to be followed.
type DevPtr uintptr

// Tensor limits of the interface.
const (
	maxDims = 128
	maxName = 128
)

// DataType is the type of a tensor's elements.
type DataType int32

// The element types of models for this chip generation.
const (
	TypeUndefined DataType = -1
	Float32       DataType = 0
	Float16       DataType = 1
	Int8          DataType = 2
	Int32         DataType = 3
	UInt8         DataType = 4
	Int16         DataType = 6
	UInt16        DataType = 7
	UInt32        DataType = 8
	Int64         DataType = 9
	UInt64        DataType = 10
	Float64       DataType = 11
	Bool          DataType = 12
)

// Size is the bytes of one element, 0 if it is not known.
func (t DataType) Size() int {
	switch t {
	case Int8, UInt8, Bool:
		return 1
	case Float16, Int16, UInt16:
		return 2
	case Float32, Int32, UInt32:
		return 4
	case Int64, UInt64, Float64:
		return 8
	}
	return 0
}

func (t DataType) String() string {
	names := map[DataType]string{Float32: "float32", Float16: "float16", Int8: "int8", Int32: "int32", UInt8: "uint8", Int16: "int16",
		UInt16: "uint16", UInt32: "uint32", Int64: "int64", UInt64: "uint64", Float64: "float64", Bool: "bool"}
	if n, ok := names[t]; ok {
		return n
	}
	return "undefined"
}

// Format is the layout of a tensor.
type Format int32

// Layouts.
const (
	NCHW Format = 0
	NHWC Format = 1
	ND   Format = 2
)

// Policy says which pages device memory comes from.
type Policy int32

// Policies. Several cannot be joined on a 310P.
const (
	HugeFirst  Policy = 0
	HugeOnly   Policy = 1
	NormalOnly Policy = 2
)

// Directions of a copy.
const (
	hostToHost     int32 = 0
	hostToDevice   int32 = 1
	deviceToHost   int32 = 2
	deviceToDevice int32 = 3
)

const (
	memDDR            int32  = 0
	streamNotReady    int32  = 1
	eventComplete     int32  = 1
	packageCANN       int32  = 0
	execStreamTimeout int32  = 0
	aippStatic        int32  = 1
	aippDynamic       int32  = 2
	dynamicBatchInput        = "ascend_mbatch_shape_data"
	dynamicAIPPInput         = "ascend_dynamic_aipp_data"
	forever           int32  = -1
	allGears                 = ^uintptr(0)
	streamStopOnFault uint64 = 1
	versionMajor             = 1
	versionMinor             = 13
)

// Structures of the interface, with their padding.
type (
	ioDims struct {
		Name     [maxName]byte
		DimCount uintptr
		Dims     [maxDims]int64
	}
	batchGears struct {
		Count uintptr
		Batch [maxDims]uint64
	}
	hwGears struct {
		Count uintptr
		HW    [maxDims][2]uint64
	}
	dimsRange struct {
		Count uintptr
		Range [maxDims][2]int64
	}
	utilInfo struct {
		Cube, Vector, AICPU, Memory int32
		Extend                      uintptr
	}
	pkgVersion struct {
		Version                      [128]byte
		Major, Minor, Release, Patch [64]byte
		_                            [128]byte
	}
)

// api is one loaded library: a field for each function, named by its tag with "required" where nothing works without.
// A nil field is a function that this runtime does not have. Nobody but the bind function writes it.
type api struct {
	Init                 func(*byte) int32                                              `acl:"aclInit,required"`
	Finalize             func() int32                                                   `acl:"aclFinalize,required"`
	SetDevice            func(int32) int32                                              `acl:"aclrtSetDevice,required"`
	ResetDevice          func(int32) int32                                              `acl:"aclrtResetDevice,required"`
	ResetDeviceForce     func(int32) int32                                              `acl:"aclrtResetDeviceForce"`
	GetDevice            func(*int32) int32                                             `acl:"aclrtGetDevice"`
	GetDeviceCount       func(*uint32) int32                                            `acl:"aclrtGetDeviceCount,required"`
	GetRunMode           func(*int32) int32                                             `acl:"aclrtGetRunMode"`
	GetSocName           func() string                                                  `acl:"aclrtGetSocName,required"`
	CreateContext        func(*uintptr, int32) int32                                    `acl:"aclrtCreateContext,required"`
	DestroyContext       func(uintptr) int32                                            `acl:"aclrtDestroyContext,required"`
	SetCurrentContext    func(uintptr) int32                                            `acl:"aclrtSetCurrentContext,required"`
	GetCurrentContext    func(*uintptr) int32                                           `acl:"aclrtGetCurrentContext"`
	CreateStream         func(*uintptr) int32                                           `acl:"aclrtCreateStream,required"`
	DestroyStream        func(uintptr) int32                                            `acl:"aclrtDestroyStream,required"`
	DestroyStreamForce   func(uintptr) int32                                            `acl:"aclrtDestroyStreamForce"`
	SyncStream           func(uintptr) int32                                            `acl:"aclrtSynchronizeStream"`
	SyncStreamTimeout    func(uintptr, int32) int32                                     `acl:"aclrtSynchronizeStreamWithTimeout,required"`
	StreamQuery          func(uintptr, *int32) int32                                    `acl:"aclrtStreamQuery"`
	SyncDevice           func() int32                                                   `acl:"aclrtSynchronizeDevice"`
	Malloc               func(*uintptr, uintptr, int32) int32                           `acl:"aclrtMalloc,required"`
	Free                 func(uintptr) int32                                            `acl:"aclrtFree,required"`
	MallocHost           func(*unsafe.Pointer, uintptr) int32                           `acl:"aclrtMallocHost,required"`
	FreeHost             func(unsafe.Pointer) int32                                     `acl:"aclrtFreeHost,required"`
	MemcpyUp             func(uintptr, uintptr, unsafe.Pointer, uintptr, int32) int32   `acl:"aclrtMemcpy,required"`
	MemcpyDown           func(unsafe.Pointer, uintptr, uintptr, uintptr, int32) int32   `acl:"aclrtMemcpy,required"`
	MemcpyDevice         func(uintptr, uintptr, uintptr, uintptr, int32) int32          `acl:"aclrtMemcpy,required"`
	MemcpyAsync          func(uintptr, uintptr, uintptr, uintptr, int32, uintptr) int32 `acl:"aclrtMemcpyAsync"`
	Memset               func(uintptr, uintptr, int32, uintptr) int32                   `acl:"aclrtMemset"`
	MemsetAsync          func(uintptr, uintptr, int32, uintptr, uintptr) int32          `acl:"aclrtMemsetAsync"`
	GetMemInfo           func(int32, *uintptr, *uintptr) int32                          `acl:"aclrtGetMemInfo,required"`
	GetUtilization       func(int32, *utilInfo) int32                                   `acl:"aclrtGetDeviceUtilizationRate"`
	QueryDeviceStatus    func(int32, *int32) int32                                      `acl:"aclrtQueryDeviceStatus"`
	SetExceptionCallback func(uintptr) int32                                            `acl:"aclrtSetExceptionInfoCallback"`
	ExceptionTask        func(uintptr) uint32                                           `acl:"aclrtGetTaskIdFromExceptionInfo"`
	ExceptionStream      func(uintptr) uint32                                           `acl:"aclrtGetStreamIdFromExceptionInfo"`
	ExceptionThread      func(uintptr) uint32                                           `acl:"aclrtGetThreadIdFromExceptionInfo"`
	ExceptionDevice      func(uintptr) uint32                                           `acl:"aclrtGetDeviceIdFromExceptionInfo"`
	ExceptionCode        func(uintptr) uint32                                           `acl:"aclrtGetErrorCodeFromExceptionInfo"`
	RecentErrMsg         func() string                                                  `acl:"aclGetRecentErrMsg"`
	GetVersion           func(*int32, *int32, *int32) int32                             `acl:"aclrtGetVersion"`
	GetPackageVersion    func(int32, *pkgVersion) int32                                 `acl:"aclsysGetCANNVersion"`
	PeekAtLastError      func(int32) int32                                              `acl:"aclrtPeekAtLastError"`
	GetLastError         func(int32) int32                                              `acl:"aclrtGetLastError"`
	SetOpTimeout         func(uint32) int32                                             `acl:"aclrtSetOpExecuteTimeOut"`
	SetFailureMode       func(uintptr, uint64) int32                                    `acl:"aclrtSetStreamFailureMode"`
	CreateEvent          func(*uintptr) int32                                           `acl:"aclrtCreateEvent"`
	DestroyEvent         func(uintptr) int32                                            `acl:"aclrtDestroyEvent"`
	RecordEvent          func(uintptr, uintptr) int32                                   `acl:"aclrtRecordEvent"`
	StreamWaitEvent      func(uintptr, uintptr) int32                                   `acl:"aclrtStreamWaitEvent"`
	SyncEvent            func(uintptr) int32                                            `acl:"aclrtSynchronizeEvent"`
	SyncEventTimeout     func(uintptr, int32) int32                                     `acl:"aclrtSynchronizeEventWithTimeout"`
	QueryEvent           func(uintptr, *int32) int32                                    `acl:"aclrtQueryEventStatus"`
	EventElapsed         func(*float32, uintptr, uintptr) int32                         `acl:"aclrtEventElapsedTime"`
	DataTypeSize         func(int32) uintptr                                            `acl:"aclDataTypeSize"`
	CreateDataBuffer     func(uintptr, uintptr) uintptr                                 `acl:"aclCreateDataBuffer,required"`
	DestroyDataBuffer    func(uintptr) int32                                            `acl:"aclDestroyDataBuffer,required"`
	UpdateDataBuffer     func(uintptr, uintptr, uintptr) int32                          `acl:"aclUpdateDataBuffer"`
	DataBufferAddr       func(uintptr) uintptr                                          `acl:"aclGetDataBufferAddr"`
	DataBufferSize       func(uintptr) uintptr                                          `acl:"aclGetDataBufferSizeV2"`
	modelAPI
	mediaAPI
}

// modelAPI are the functions of models.
type modelAPI struct {
	CreateDesc        func() uintptr                                                                   `acl:"aclmdlCreateDesc,required"`
	DestroyDesc       func(uintptr) int32                                                              `acl:"aclmdlDestroyDesc,required"`
	GetDesc           func(uintptr, uint32) int32                                                      `acl:"aclmdlGetDesc,required"`
	GetDescFromFile   func(uintptr, string) int32                                                      `acl:"aclmdlGetDescFromFile"`
	GetDescFromMem    func(uintptr, unsafe.Pointer, uintptr) int32                                     `acl:"aclmdlGetDescFromMem"`
	NumInputs         func(uintptr) uintptr                                                            `acl:"aclmdlGetNumInputs,required"`
	NumOutputs        func(uintptr) uintptr                                                            `acl:"aclmdlGetNumOutputs,required"`
	InputSize         func(uintptr, uintptr) uintptr                                                   `acl:"aclmdlGetInputSizeByIndex,required"`
	OutputSize        func(uintptr, uintptr) uintptr                                                   `acl:"aclmdlGetOutputSizeByIndex,required"`
	CreateDataset     func() uintptr                                                                   `acl:"aclmdlCreateDataset,required"`
	DestroyDataset    func(uintptr) int32                                                              `acl:"aclmdlDestroyDataset,required"`
	AddDatasetBuffer  func(uintptr, uintptr) int32                                                     `acl:"aclmdlAddDatasetBuffer,required"`
	DatasetNumBuffers func(uintptr) uintptr                                                            `acl:"aclmdlGetDatasetNumBuffers"`
	DatasetBuffer     func(uintptr, uintptr) uintptr                                                   `acl:"aclmdlGetDatasetBuffer"`
	LoadFromFile      func(string, *uint32) int32                                                      `acl:"aclmdlLoadFromFile,required"`
	LoadFromMem       func(unsafe.Pointer, uintptr, *uint32) int32                                     `acl:"aclmdlLoadFromMem,required"`
	LoadFromFileWith  func(string, *uint32, uintptr, uintptr, uintptr, uintptr) int32                  `acl:"aclmdlLoadFromFileWithMem"`
	LoadFromMemWith   func(unsafe.Pointer, uintptr, *uint32, uintptr, uintptr, uintptr, uintptr) int32 `acl:"aclmdlLoadFromMemWithMem"`
	QuerySize         func(string, *uintptr, *uintptr) int32                                           `acl:"aclmdlQuerySize"`
	QuerySizeFromMem  func(unsafe.Pointer, uintptr, *uintptr, *uintptr) int32                          `acl:"aclmdlQuerySizeFromMem"`
	Unload            func(uint32) int32                                                               `acl:"aclmdlUnload,required"`
	Execute           func(uint32, uintptr, uintptr) int32                                             `acl:"aclmdlExecute"`
	ExecuteAsync      func(uint32, uintptr, uintptr, uintptr) int32                                    `acl:"aclmdlExecuteAsync,required"`
	ExecuteV2         func(uint32, uintptr, uintptr, uintptr, uintptr) int32                           `acl:"aclmdlExecuteV2"`
	ExecuteAsyncV2    func(uint32, uintptr, uintptr, uintptr, uintptr) int32                           `acl:"aclmdlExecuteAsyncV2"`
	CreateExecConfig  func() uintptr                                                                   `acl:"aclmdlCreateExecConfigHandle"`
	DestroyExecConfig func(uintptr) int32                                                              `acl:"aclmdlDestroyExecConfigHandle"`
	SetExecConfig     func(uintptr, int32, unsafe.Pointer, uintptr) int32                              `acl:"aclmdlSetExecConfigOpt"`
	InputDims         func(uintptr, uintptr, *ioDims) int32                                            `acl:"aclmdlGetInputDims"`
	InputDimsV2       func(uintptr, uintptr, *ioDims) int32                                            `acl:"aclmdlGetInputDimsV2,required"`
	InputDimsRange    func(uintptr, uintptr, *dimsRange) int32                                         `acl:"aclmdlGetInputDimsRange"`
	OutputDims        func(uintptr, uintptr, *ioDims) int32                                            `acl:"aclmdlGetOutputDims,required"`
	CurOutputDims     func(uintptr, uintptr, *ioDims) int32                                            `acl:"aclmdlGetCurOutputDims"`
	InputName         func(uintptr, uintptr) string                                                    `acl:"aclmdlGetInputNameByIndex,required"`
	OutputName        func(uintptr, uintptr) string                                                    `acl:"aclmdlGetOutputNameByIndex,required"`
	InputFormat       func(uintptr, uintptr) int32                                                     `acl:"aclmdlGetInputFormat,required"`
	OutputFormat      func(uintptr, uintptr) int32                                                     `acl:"aclmdlGetOutputFormat,required"`
	InputDataType     func(uintptr, uintptr) int32                                                     `acl:"aclmdlGetInputDataType,required"`
	OutputDataType    func(uintptr, uintptr) int32                                                     `acl:"aclmdlGetOutputDataType,required"`
	InputIndexByName  func(uintptr, string, *uintptr) int32                                            `acl:"aclmdlGetInputIndexByName"`
	OutputIndexByName func(uintptr, string, *uintptr) int32                                            `acl:"aclmdlGetOutputIndexByName"`
	SetDynamicBatch   func(uint32, uintptr, uintptr, uint64) int32                                     `acl:"aclmdlSetDynamicBatchSize"`
	SetDynamicHW      func(uint32, uintptr, uintptr, uint64, uint64) int32                             `acl:"aclmdlSetDynamicHWSize"`
	SetDynamicDims    func(uint32, uintptr, uintptr, *ioDims) int32                                    `acl:"aclmdlSetInputDynamicDims"`
	DynamicBatch      func(uintptr, *batchGears) int32                                                 `acl:"aclmdlGetDynamicBatch"`
	DynamicHW         func(uintptr, uintptr, *hwGears) int32                                           `acl:"aclmdlGetDynamicHW"`
	DynamicGearCount  func(uintptr, uintptr, *uintptr) int32                                           `acl:"aclmdlGetInputDynamicGearCount"`
	DynamicDims       func(uintptr, uintptr, *ioDims, uintptr) int32                                   `acl:"aclmdlGetInputDynamicDims"`
	TensorRealName    func(uintptr, string) string                                                     `acl:"aclmdlGetTensorRealName"`
	AippType          func(uint32, uintptr, *int32, *uintptr) int32                                    `acl:"aclmdlGetAippType"`

	CreateConfig   func() uintptr                                      `acl:"aclmdlCreateConfigHandle"`
	SetConfig      func(uintptr, int32, unsafe.Pointer, uintptr) int32 `acl:"aclmdlSetConfigOpt"`
	LoadConfigured func(uintptr, *uint32) int32                        `acl:"aclmdlLoadWithConfig"`
	DestroyConfig  func(uintptr) int32                                 `acl:"aclmdlDestroyConfigHandle"`

	CreateAIPP     func(uint64) uintptr                                                                                                               `acl:"aclmdlCreateAIPP"`
	DestroyAIPP    func(uintptr) int32                                                                                                                `acl:"aclmdlDestroyAIPP"`
	SetInputAIPP   func(uint32, uintptr, uintptr, uintptr) int32                                                                                      `acl:"aclmdlSetInputAIPP"`
	SetAIPPByInput func(uint32, uintptr, uintptr, uintptr) int32                                                                                      `acl:"aclmdlSetAIPPByInputIndex"`
	AIPPFormat     func(uintptr, int32) int32                                                                                                         `acl:"aclmdlSetAIPPInputFormat"`
	AIPPSource     func(uintptr, int32, int32) int32                                                                                                  `acl:"aclmdlSetAIPPSrcImageSize"`
	AIPPColour     func(uintptr, int8, int16, int16, int16, int16, int16, int16, int16, int16, int16, uint8, uint8, uint8, uint8, uint8, uint8) int32 `acl:"aclmdlSetAIPPCscParams"`
	AIPPSwap       func(uintptr, int8) int32                                                                                                          `acl:"aclmdlSetAIPPRbuvSwapSwitch"`
	AIPPAlphaFirst func(uintptr, int8) int32                                                                                                          `acl:"aclmdlSetAIPPAxSwapSwitch"`
	AIPPScale      func(uintptr, int8, int32, int32, int32, int32, uint64) int32                                                                      `acl:"aclmdlSetAIPPScfParams"`
	AIPPCrop       func(uintptr, int8, int32, int32, int32, int32, uint64) int32                                                                      `acl:"aclmdlSetAIPPCropParams"`
	AIPPPad        func(uintptr, int8, int32, int32, int32, int32, uint64) int32                                                                      `acl:"aclmdlSetAIPPPaddingParams"`
	AIPPMean       func(uintptr, int16, int16, int16, int16, uint64) int32                                                                            `acl:"aclmdlSetAIPPDtcPixelMean"`
	AIPPMin        func(uintptr, float32, float32, float32, float32, uint64) int32                                                                    `acl:"aclmdlSetAIPPDtcPixelMin"`
	AIPPReciprocal func(uintptr, float32, float32, float32, float32, uint64) int32                                                                    `acl:"aclmdlSetAIPPPixelVarReci"`
}

// mediaAPI is the library of the media units, libacl_dvpp.so; a host without it decodes pictures itself.
type mediaAPI struct {
	MallocMedia        func(*uintptr, uintptr) int32                                        `acl:"acldvppMalloc"`
	FreeMedia          func(uintptr) int32                                                  `acl:"acldvppFree"`
	CreateChannelDesc  func() uintptr                                                       `acl:"acldvppCreateChannelDesc"`
	DestroyChannelDesc func(uintptr) int32                                                  `acl:"acldvppDestroyChannelDesc"`
	SetChannelMode     func(uintptr, uint32) int32                                          `acl:"acldvppSetChannelDescMode"`
	ChannelID          func(uintptr) uint64                                                 `acl:"acldvppGetChannelDescChannelId"`
	CreateChannel      func(uintptr) int32                                                  `acl:"acldvppCreateChannel"`
	DestroyChannel     func(uintptr) int32                                                  `acl:"acldvppDestroyChannel"`
	CreatePic          func() uintptr                                                       `acl:"acldvppCreatePicDesc"`
	DestroyPic         func(uintptr) int32                                                  `acl:"acldvppDestroyPicDesc"`
	SetPicData         func(uintptr, uintptr) int32                                         `acl:"acldvppSetPicDescData"`
	SetPicSize         func(uintptr, uint32) int32                                          `acl:"acldvppSetPicDescSize"`
	SetPicFormat       func(uintptr, int32) int32                                           `acl:"acldvppSetPicDescFormat"`
	SetPicWidth        func(uintptr, uint32) int32                                          `acl:"acldvppSetPicDescWidth"`
	SetPicHeight       func(uintptr, uint32) int32                                          `acl:"acldvppSetPicDescHeight"`
	SetPicWidthStride  func(uintptr, uint32) int32                                          `acl:"acldvppSetPicDescWidthStride"`
	SetPicHeightStride func(uintptr, uint32) int32                                          `acl:"acldvppSetPicDescHeightStride"`
	PicSize            func(uintptr) uint32                                                 `acl:"acldvppGetPicDescSize"`
	PicFormat          func(uintptr) int32                                                  `acl:"acldvppGetPicDescFormat"`
	PicWidth           func(uintptr) uint32                                                 `acl:"acldvppGetPicDescWidth"`
	PicHeight          func(uintptr) uint32                                                 `acl:"acldvppGetPicDescHeight"`
	PicWidthStride     func(uintptr) uint32                                                 `acl:"acldvppGetPicDescWidthStride"`
	PicHeightStride    func(uintptr) uint32                                                 `acl:"acldvppGetPicDescHeightStride"`
	PicRetCode         func(uintptr) uint32                                                 `acl:"acldvppGetPicDescRetCode"`
	CreateRegion       func(uint32, uint32, uint32, uint32) uintptr                         `acl:"acldvppCreateRoiConfig"`
	SetRegion          func(uintptr, uint32, uint32, uint32, uint32) int32                  `acl:"acldvppSetRoiConfig"`
	DestroyRegion      func(uintptr) int32                                                  `acl:"acldvppDestroyRoiConfig"`
	CreateResize       func() uintptr                                                       `acl:"acldvppCreateResizeConfig"`
	DestroyResize      func(uintptr) int32                                                  `acl:"acldvppDestroyResizeConfig"`
	JPEGInfo           func(unsafe.Pointer, uint32, *uint32, *uint32, *int32, *int32) int32 `acl:"acldvppJpegGetImageInfoV2"`
	JPEGSize           func(unsafe.Pointer, uint32, int32, *uint32) int32                   `acl:"acldvppJpegPredictDecSize"`
	JPEGDecode         func(uintptr, uintptr, uint32, uintptr, uintptr) int32               `acl:"acldvppJpegDecodeAsync"`
	Resize             func(uintptr, uintptr, uintptr, uintptr, uintptr) int32              `acl:"acldvppVpcResizeAsync"`
	Crop               func(uintptr, uintptr, uintptr, uintptr, uintptr) int32              `acl:"acldvppVpcCropAsync"`
	CropResize         func(uintptr, uintptr, uintptr, uintptr, uintptr, uintptr) int32     `acl:"acldvppVpcCropResizeAsync"`
	ConvertColour      func(uintptr, uintptr, uintptr, uintptr) int32                       `acl:"acldvppVpcConvertColorAsync"`
}

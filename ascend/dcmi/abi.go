package dcmi

import "unsafe"

// Structures of the interface, with their padding; see ascend/standin/abi.csv for sizes and sources.
type (
	memoryV3 struct {
		TotalMB, AvailMB                uint64
		FreqMHz                         uint32
		_                               uint32
		HugePageKB, HugeTotal, HugeFree uint64
		UtilPct                         uint32
		_                               [60]byte
	}
	memoryV2 struct {
		TotalMB          uint64
		FreqMHz, UtilPct uint32
	}
	hbm struct {
		TotalMB uint64
		FreqMHz uint32
		_       uint32
		UsedMB  uint64
		TempC   int32
		BWPct   uint32
	}
	chipV1 struct {
		Type, Name, Version [32]byte
		AICores             uint32
	}
	chipV2 struct {
		Type, Name, Version [32]byte
		AICores             uint32
		NPUName             [32]byte
	}
	ecc struct { // some drivers write 36 bytes
		Enable                                                         int32
		Single, Double, TotalSingle, TotalDouble, IsoSingle, IsoDouble uint32
	}
	dvppRatio  struct{ VDEC, VPC, VENC, JPEGE, JPEGD int32 }
	aicoreInfo struct{ Rated, Current uint32 }
	aicpuInfo  struct {
		Max, Cur, Num uint32
		Util          [16]uint32
	}
	pcieInfo struct {
		Vendor, SubVendor, Device, SubDevice uint32
		Domain                               int32
		Bus, Dev, Fn                         uint32
		_                                    [32]byte
	}
	boardInfo  struct{ Board, PCB, BOM, Slot uint32 }
	elabelInfo struct{ Product, Model, Maker, Date, Serial [256]byte }
	procMemory struct {
		PID   int32
		_     int32
		Bytes uint64
	}
	eventFilter struct {
		Flags              uint64
		EventID            uint32
		Severity, NodeType uint8
		Reserved           [32]byte
		Pad                [2]byte
	}
	faultEvent struct {
		EventID                                               uint32
		Device                                                uint16
		NodeType, NodeID, SubType, SubID, Severity, Assertion uint8
		Serial, NotifySerial                                  int32
		_                                                     int32
		Raised                                                uint64
		Name                                                  [256]byte
		Info                                                  [32]byte
		OSID                                                  uint8
		_                                                     [31]byte
	}
	event struct {
		Type  int32
		_     int32
		Fault faultEvent
	}
)

// Kinds of a query.
const (
	freqDDR, freqCtrlCPU, freqHBM, freqAICore, freqAICoreMax, freqVector int32 = 1, 2, 6, 7, 9, 12

	utilDDR, utilAICore, utilAICPU, utilCtrlCPU, utilDDRBandwidth, utilVector, utilNPU int32 = 1, 2, 3, 4, 5, 12, 13

	eccDDR  int32 = 0
	unitNPU int32 = 0
)

// api is the loaded library: one field for each function, nil where the driver does not have it.
type api struct {
	Init          func() int32                                                 `dcmi:"dcmi_init"`
	Version       func(*byte, uint32) int32                                    `dcmi:"dcmi_get_dcmi_version"`
	DriverVersion func(*byte, uint32) int32                                    `dcmi:"dcmi_get_driver_version"`
	DriverHealth  func(*uint32) int32                                          `dcmi:"dcmi_get_driver_health"`
	DriverErrors  func(*int32, *uint32, uint32) int32                          `dcmi:"dcmi_get_driver_errorcode"`
	CardList      func(*int32, *int32, int32) int32                            `dcmi:"dcmi_get_card_list"`
	CardNumList   func(*int32, *int32, int32) int32                            `dcmi:"dcmi_get_card_num_list"`
	DeviceNum     func(int32, *int32) int32                                    `dcmi:"dcmi_get_device_num_in_card"`
	DeviceIDs     func(int32, *int32, *int32, *int32) int32                    `dcmi:"dcmi_get_device_id_in_card"`
	DeviceType    func(int32, int32, *int32) int32                             `dcmi:"dcmi_get_device_type"`
	LogicID       func(*int32, int32, int32) int32                             `dcmi:"dcmi_get_device_logic_id"`
	PhyID         func(uint32, *uint32) int32                                  `dcmi:"dcmi_get_device_phyid_from_logicid"`
	ChipInfo      func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_chip_info"`
	ChipInfoV2    func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_chip_info_v2"`
	ProductType   func(int32, int32, *byte, int32) int32                       `dcmi:"dcmi_get_product_type"`
	BoardInfo     func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_board_info"`
	ELabel        func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_elabel_info"`
	PCIeInfo      func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_pcie_info_v2"`
	PCIeSlot      func(int32, *int32) int32                                    `dcmi:"dcmi_get_card_pcie_slot"`
	BootStatus    func(int32, int32, *int32) int32                             `dcmi:"dcmi_get_device_boot_status"`
	Temperature   func(int32, int32, *int32) int32                             `dcmi:"dcmi_get_device_temperature"`
	Power         func(int32, int32, *int32) int32                             `dcmi:"dcmi_get_device_power_info"`
	BoardPower    func(int32, *int32) int32                                    `dcmi:"dcmi_mcu_get_power_info"`
	Voltage       func(int32, int32, *uint32) int32                            `dcmi:"dcmi_get_device_voltage"`
	Frequency     func(int32, int32, int32, *uint32) int32                     `dcmi:"dcmi_get_device_frequency"`
	Utilization   func(int32, int32, int32, *uint32) int32                     `dcmi:"dcmi_get_device_utilization_rate"`
	MemoryV2      func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_memory_info_v2"`
	MemoryV3      func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_memory_info_v3"`
	HBM           func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_hbm_info"`
	Health        func(int32, int32, *uint32) int32                            `dcmi:"dcmi_get_device_health"`
	ErrorCodes    func(int32, int32, *int32, *uint32, uint32) int32            `dcmi:"dcmi_get_device_errorcode_v2"`
	ErrorText     func(int32, int32, uint32, *byte, int32) int32               `dcmi:"dcmi_get_device_errorcode_string"`
	ECC           func(int32, int32, int32, unsafe.Pointer) int32              `dcmi:"dcmi_get_device_ecc_info"`
	AICore        func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_aicore_info"`
	AICPU         func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_aicpu_info"`
	DVPP          func(int32, int32, unsafe.Pointer) int32                     `dcmi:"dcmi_get_device_dvpp_ratio_info"`
	Processes     func(int32, int32, unsafe.Pointer, *int32) int32             `dcmi:"dcmi_get_device_resource_info"`
	FaultEvent    func(int32, int32, int32, eventFilter, unsafe.Pointer) int32 `dcmi:"dcmi_get_fault_event"`
	Subscribe     func(int32, int32, eventFilter, uintptr) int32               `dcmi:"dcmi_subscribe_fault_event"`
}

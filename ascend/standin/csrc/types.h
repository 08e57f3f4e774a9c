// Structures of the ABI, written anew from their documented fields; abi_check.h asserts sizes and offsets.
#ifndef STANDIN_TYPES_H
#define STANDIN_TYPES_H
#include <stddef.h>
#include <stdint.h>

typedef struct { char name[128]; size_t dimCount; int64_t dims[128]; } aclmdlIODims;
typedef struct { size_t batchCount; uint64_t batch[128]; } aclmdlBatch;
typedef struct { size_t hwCount; uint64_t hw[128][2]; } aclmdlHW;
typedef struct { size_t rangeCount; int64_t range[128][2]; } aclmdlIODimsRange;
typedef struct { int32_t cubeUtilization, vectorUtilization, aicpuUtilization, memoryUtilization; void *utilizationExtend; } aclrtUtilizationInfo;
typedef struct { char version[128], major[64], minor[64], release[64], patch[64], reserved[128]; } aclCANNPackageVersion;

typedef struct { unsigned long long memory_size, memory_available; unsigned int freq; unsigned long hugepagesize, hugepages_total, hugepages_free; unsigned int utiliza; unsigned char reserve[60]; } dcmi_get_memory_info_stru;
typedef struct { unsigned long long memory_size; unsigned int freq, utiliza; } dcmi_memory_info;
typedef struct { unsigned long long memory_size; unsigned int freq; unsigned long long memory_usage; int temp; unsigned int bandwith_util_rate; } dcmi_hbm_info;
typedef struct { unsigned char chip_type[32], chip_name[32], chip_ver[32]; unsigned int aicore_cnt; unsigned char npu_name[32]; } dcmi_chip_info_v2;
typedef struct { unsigned char chip_type[32], chip_name[32], chip_ver[32]; unsigned int aicore_cnt; } dcmi_chip_info;
typedef struct { int enable_flag; unsigned int single_bit, double_bit, total_single, total_double, iso_single, iso_double; } dcmi_ecc_info;
typedef struct { union { unsigned char v6[16], v4[4]; } u; int type; } dcmi_ip_addr;
typedef struct { int vdec, vpc, venc, jpege, jpegd; } dcmi_dvpp_ratio;
typedef struct { unsigned int freq, cur_freq; } dcmi_aicore_info;
typedef struct { unsigned int max_freq, cur_freq, aicpu_num, util_rate[16]; } dcmi_aicpu_info;
typedef struct { unsigned int vendor, subvendor, device, subdevice; int domain; unsigned int bus, dev, fn; unsigned char reserve[32]; } dcmi_pcie_info_all;
typedef struct { unsigned int board_id, pcb_id, bom_id, slot_id; } dcmi_board_info;
typedef struct { char product[256], model[256], manufacturer[256], date[256], serial[256]; } dcmi_elabel_info;
typedef struct { int pid; unsigned long bytes; } dcmi_proc_mem_info;
typedef struct { unsigned long long flag; unsigned int event_id; unsigned char severity, node_type, reserve[32]; } dcmi_event_filter;
typedef struct { unsigned int event_id; unsigned short deviceid; unsigned char node_type, node_id, sub_node_type, sub_node_id, severity, assertion; int event_serial_num, notify_serial_num; unsigned long long raised_time; char name[256], info[32]; unsigned char os_id, reserve[31]; } dcmi_dms_fault_event;
typedef struct { int type; union { dcmi_dms_fault_event dms; } u; } dcmi_event;
#endif

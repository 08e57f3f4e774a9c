// The management library: cards and chips whose load and memory follow the runtime's stand-in.
#include "core.h"
#include <pthread.h>
#include <string.h>
#include <stdio.h>

static int inited;
#define P(name) atomic_load(&shared->name)
#define BEGIN(name) \
	ENTER(name); \
	if (!inited) return -8005
#define CHIP(name) \
	BEGIN(name); \
	if (card < 0 || card >= P(cards)) return -8007; \
	if (dev < 0 || dev > P(chips)) return -8008; \
	if (P(drop)) return -8008; \
	if (P(not_ready)) return -8012; \
	if (P(unsupported)) return -8255; \
	if (dev == P(chips)) return -8255 // the MCU
// put copies a structure out; the growing variant writes beyond its documented end, as some shipped drivers do.
static void put(void *dst, const void *src, size_t n, size_t more) {
	memcpy(dst, src, n);
	if (P(growth)) memset((char *)dst + n, 0x77, more);
}
static int32_t text(uint8_t *dst, uint32_t n, const char *s) {
	if (strlen(s) + 1 > n) return -8001;
	strcpy((char *)dst, s);
	return 0;
}
static int32_t value32(void *dst, int64_t v) { *(int32_t *)dst = (int32_t)v; return 0; }

EXPORT int32_t dcmi_init(void) { ENTER(dcmi_init); inited = 1; return 0; }
EXPORT int32_t dcmi_get_dcmi_version(uint8_t *b, uint32_t n) { BEGIN(dcmi_get_dcmi_version); return text(b, n, "24.1.rc1"); }
EXPORT int32_t dcmi_get_driver_version(uint8_t *b, uint32_t n) { BEGIN(dcmi_get_driver_version); return text(b, n, "24.1.rc1"); }
EXPORT int32_t dcmi_get_driver_health(uint32_t *h) { BEGIN(dcmi_get_driver_health); *h = 0; return 0; }
EXPORT int32_t dcmi_get_driver_errorcode(int32_t *n, uint32_t *list, uint32_t room) { BEGIN(dcmi_get_driver_errorcode); (void)list, (void)room; *n = 0; return 0; }
static int32_t card_list(int32_t *n, int32_t *list, int32_t room) {
	int64_t cards = P(cards);
	if (room < cards) return -8001;
	for (int64_t i = 0; i < cards; i++) list[i] = (int32_t)(P(reverse_cards) ? cards - 1 - i : i);
	return value32(n, cards);
}
EXPORT int32_t dcmi_get_card_list(int32_t *n, int32_t *list, int32_t room) { BEGIN(dcmi_get_card_list); return card_list(n, list, room); }
EXPORT int32_t dcmi_get_card_num_list(int32_t *n, int32_t *list, int32_t room) { BEGIN(dcmi_get_card_num_list); return card_list(n, list, room); }
EXPORT int32_t dcmi_get_device_num_in_card(int32_t card, int32_t *n) { int32_t dev = 0; CHIP(dcmi_get_device_num_in_card); return value32(n, P(chips)); }
EXPORT int32_t dcmi_get_device_id_in_card(int32_t card, int32_t *max, int32_t *mcu, int32_t *cpu) { int32_t dev = 0; CHIP(dcmi_get_device_id_in_card); *max = (int32_t)P(chips), *mcu = (int32_t)P(chips), *cpu = -1; return 0; }
EXPORT int32_t dcmi_get_device_type(int32_t card, int32_t dev, int32_t *t) { BEGIN(dcmi_get_device_type); (void)card; *t = dev < P(chips) ? NPU_TYPE : dev == P(chips) ? MCU_TYPE : INVALID_TYPE; return 0; }
EXPORT int32_t dcmi_get_device_logic_id(int32_t *id, int32_t card, int32_t dev) { CHIP(dcmi_get_device_logic_id); return value32(id, card * P(chips) + dev); }
EXPORT int32_t dcmi_get_device_phyid_from_logicid(uint32_t logic, uint32_t *phy) { BEGIN(dcmi_get_device_phyid_from_logicid); *phy = logic; return 0; }
static void chip(dcmi_chip_info_v2 *c) {
	memset(c, 0, sizeof *c);
	strcpy((char *)c->chip_type, "Ascend");
	memset(c->chip_name, 'x', 32); // fills its field to the end without a NUL
	memcpy(c->chip_name, "310P3-stand-in", 14);
	strcpy((char *)c->chip_ver, "V1");
	c->aicore_cnt = 8;
	strcpy((char *)c->npu_name, "310P3");
}
EXPORT int32_t dcmi_get_device_chip_info(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_chip_info); dcmi_chip_info_v2 c; chip(&c); put(p, &c, sizeof(dcmi_chip_info), 16); return 0; }
EXPORT int32_t dcmi_get_device_chip_info_v2(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_chip_info_v2); dcmi_chip_info_v2 c; chip(&c); put(p, &c, sizeof c, 16); return 0; }
EXPORT int32_t dcmi_get_product_type(int32_t card, int32_t dev, uint8_t *b, int32_t n) { CHIP(dcmi_get_product_type); return text(b, (uint32_t)n, "Atlas 300I Pro (stand-in)"); }
EXPORT int32_t dcmi_get_device_board_info(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_board_info); dcmi_board_info b = {0x64, 1, 1, (unsigned)card}; put(p, &b, sizeof b, 16); return 0; }
EXPORT int32_t dcmi_get_device_elabel_info(int32_t card, int32_t dev, void *p) {
	CHIP(dcmi_get_device_elabel_info);
	dcmi_elabel_info e;
	memset(&e, 0, sizeof e);
	strcpy(e.product, "stand-in"), strcpy(e.model, "none"), strcpy(e.manufacturer, "Edgelog"), strcpy(e.date, "2026-01-01");
	snprintf(e.serial, sizeof e.serial, "STANDIN%04d", card);
	put(p, &e, sizeof e, 16);
	return 0;
}
EXPORT int32_t dcmi_get_device_pcie_info_v2(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_pcie_info_v2); dcmi_pcie_info_all i = {0x19e5, 0x0200, 0xd500, 0x0100, 0, (unsigned)(1 + card), (unsigned)dev, 0, {0}}; put(p, &i, sizeof i, 16); return 0; }
EXPORT int32_t dcmi_get_card_pcie_slot(int32_t card, int32_t *slot) { BEGIN(dcmi_get_card_pcie_slot); (void)card, (void)slot; return -8002; } // root only
EXPORT int32_t dcmi_get_device_boot_status(int32_t card, int32_t dev, int32_t *s) { CHIP(dcmi_get_device_boot_status); return value32(s, DCMI_SYSTEM_START_FINISH); }
EXPORT int32_t dcmi_get_device_temperature(int32_t card, int32_t dev, int32_t *t) { CHIP(dcmi_get_device_temperature); return value32(t, P(temperature) + dev); }
EXPORT int32_t dcmi_get_device_power_info(int32_t card, int32_t dev, int32_t *p) { CHIP(dcmi_get_device_power_info); (void)p; return -8255; } // one figure per board, from its MCU
EXPORT int32_t dcmi_mcu_get_power_info(int32_t card, int32_t *p) { int32_t dev = 0; CHIP(dcmi_mcu_get_power_info); return value32(p, P(power)); }
EXPORT int32_t dcmi_get_device_voltage(int32_t card, int32_t dev, uint32_t *v) { CHIP(dcmi_get_device_voltage); return value32(v, P(voltage)); }
EXPORT int32_t dcmi_get_device_frequency(int32_t card, int32_t dev, int32_t type, uint32_t *f) {
	CHIP(dcmi_get_device_frequency);
	switch (type) { case DCMI_FREQ_DDR: *f = 1600; return 0; case DCMI_FREQ_CTRLCPU: *f = 1900; return 0; case DCMI_FREQ_AICORE_CURRENT_: *f = 960; return 0; case DCMI_FREQ_AICORE_MAX: case DCMI_FREQ_VECTORCORE_CURRENT: *f = 1080; return 0; }
	*f = 0;
	return -8255;
}
static int64_t used_mb(int32_t d) { return atomic_load(&shared->mem_used[d]) >> 20; }
EXPORT int32_t dcmi_get_device_utilization_rate(int32_t card, int32_t dev, int32_t type, uint32_t *u) {
	static int64_t at[MAX_DEVICES], busy[MAX_DEVICES];
	CHIP(dcmi_get_device_utilization_rate);
	int32_t d = (int32_t)(card * P(chips) + dev) % MAX_DEVICES;
	if (P(utilization) >= 0) { *u = (uint32_t)P(utilization); return 0; }
	switch (type) {
	case DCMI_UTILIZATION_RATE_AICORE: {
		int64_t t = now_ns(), b = atomic_load(&shared->busy_ns[d]);
		int64_t v = at[d] ? (b - busy[d]) * 100 / (t - at[d] + 1) : 0;
		at[d] = t, busy[d] = b;
		*u = (uint32_t)(v > 100 ? 100 : v);
		return 0;
	}
	case DCMI_UTILIZATION_RATE_DDR: *u = (uint32_t)(atomic_load(&shared->mem_used[d]) * 100 / P(arena_bytes)); return 0;
	case DCMI_UTILIZATION_RATE_AICPU: case DCMI_UTILIZATION_RATE_CTRLCPU: *u = 3; return 0;
	case DCMI_UTILIZATION_RATE_DDR_BANDWIDTH: *u = 1; return 0;
	}
	*u = 0; // as the driver does: a value that must not be used
	return -8255;
}
EXPORT int32_t dcmi_get_device_memory_info_v2(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_memory_info_v2); dcmi_memory_info m = {(unsigned long long)P(arena_bytes) >> 20, 1600, 0}; put(p, &m, sizeof m, 16); return 0; }
EXPORT int32_t dcmi_get_device_memory_info_v3(int32_t card, int32_t dev, void *p) {
	CHIP(dcmi_get_device_memory_info_v3);
	int32_t d = (int32_t)(card * P(chips) + dev) % MAX_DEVICES;
	unsigned long long total = (unsigned long long)P(arena_bytes) >> 20, used = (unsigned long long)used_mb(d);
	dcmi_get_memory_info_stru m = {total, total - used, 1600, 2048, 16, 8, (unsigned)(used * 100 / total), {0}};
	put(p, &m, sizeof m, 16);
	return 0;
}
EXPORT int32_t dcmi_get_device_hbm_info(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_hbm_info); (void)p; return -8255; }
EXPORT int32_t dcmi_get_device_health(int32_t card, int32_t dev, uint32_t *h) { CHIP(dcmi_get_device_health); *h = P(lost) ? 3 : (uint32_t)P(health); return 0; }
EXPORT int32_t dcmi_get_device_errorcode_v2(int32_t card, int32_t dev, int32_t *n, uint32_t *list, uint32_t room) {
	CHIP(dcmi_get_device_errorcode_v2);
	int64_t k = P(error_codes);
	if (k > room) return -8001;
	for (int64_t i = 0; i < k; i++) list[i] = (uint32_t)(P(error_code) + i);
	return value32(n, k);
}
EXPORT int32_t dcmi_get_device_errorcode_string(int32_t card, int32_t dev, uint32_t code, uint8_t *b, int32_t n) {
	CHIP(dcmi_get_device_errorcode_string);
	if (n < 48) return -8001;
	snprintf((char *)b, (size_t)n, "stand-in error %08X", code);
	return 0;
}
EXPORT int32_t dcmi_get_device_ecc_info(int32_t card, int32_t dev, int32_t type, void *p) {
	CHIP(dcmi_get_device_ecc_info);
	if (type != DCMI_DEVICE_TYPE_DDR) return -8255;
	dcmi_ecc_info e = {1, 2, 0, 5, 0, 1, 0};
	put(p, &e, sizeof e, 8); // 36 bytes in the drivers that grew
	return 0;
}
EXPORT int32_t dcmi_get_device_aicore_info(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_aicore_info); dcmi_aicore_info a = {1080, 960}; put(p, &a, sizeof a, 16); return 0; }
EXPORT int32_t dcmi_get_device_aicpu_info(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_aicpu_info); dcmi_aicpu_info a = {1900, 1900, 2, {3, 4}}; put(p, &a, sizeof a, 16); return 0; }
EXPORT int32_t dcmi_get_device_dvpp_ratio_info(int32_t card, int32_t dev, void *p) { CHIP(dcmi_get_device_dvpp_ratio_info); dcmi_dvpp_ratio r = {1, 2, 3, 4, 5}; put(p, &r, sizeof r, 16); return 0; }
EXPORT int32_t dcmi_get_device_resource_info(int32_t card, int32_t dev, void *p, int32_t *n) {
	CHIP(dcmi_get_device_resource_info);
	for (int i = 0; i < 32; i++) ((dcmi_proc_mem_info *)p)[i] = (dcmi_proc_mem_info){1000 + i, (unsigned long)(i + 1) << 20}; // there is no argument for the room
	return value32(n, 32);
}
static dcmi_event make_event(int32_t dev, unsigned char severity, int raised) {
	dcmi_event e;
	memset(&e, 0, sizeof e);
	e.u.dms.event_id = 0x80e01801;
	e.u.dms.deviceid = (unsigned short)dev;
	e.u.dms.severity = severity;
	e.u.dms.assertion = (unsigned char)raised;
	e.u.dms.raised_time = 1700000000000ull;
	strcpy(e.u.dms.name, "stand-in event");
	return e;
}
EXPORT int32_t dcmi_get_fault_event(int32_t card, int32_t dev, int32_t ms, dcmi_event_filter f, void *p) {
	CHIP(dcmi_get_fault_event);
	if (f.flag > 7 || ms > 30000) return -8001;
	if (atomic_fetch_sub(&shared->events, 1) <= 0) {
		atomic_store(&shared->events, 0);
		pause_us((int64_t)ms * 1000);
		return -8006;
	}
	dcmi_event e = make_event(dev, f.severity ? f.severity : 2, 1);
	put(p, &e, sizeof e, 16);
	return 0;
}
// Subscribed events come from a thread of the library: pushed_events of them, the last of each pair says that it is over.
static struct { void (*f)(dcmi_event *); int32_t dev; unsigned char severity; } subscribed;
static void *deliver(void *unused) {
	(void)unused;
	for (int64_t n = 0;; pause_us(2000)) {
		if (P(pushed_events) <= 0) continue;
		atomic_fetch_sub(&shared->pushed_events, 1);
		dcmi_event e = make_event(subscribed.dev, subscribed.severity ? subscribed.severity : 2, n++ % 2 == 0);
		subscribed.f(&e);
		memset(&e, 0xEE, sizeof e); // it was valid during the call only
	}
	return 0;
}
EXPORT int32_t dcmi_subscribe_fault_event(int32_t card, int32_t dev, dcmi_event_filter f, uintptr_t callback) {
	pthread_t t;
	CHIP(dcmi_subscribe_fault_event);
	if (f.flag > 7 || !callback) return -8001;
	int first = !subscribed.f;
	subscribed.f = (void (*)(dcmi_event *))callback, subscribed.dev = dev, subscribed.severity = f.severity;
	if (first && pthread_create(&t, 0, deliver, 0) == 0) pthread_detach(t);
	return 0;
}

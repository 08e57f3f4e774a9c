// What both stand-in libraries share: parameters in a shared mapping, fault rules, call counters.
#ifndef STANDIN_CORE_H
#define STANDIN_CORE_H
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>
#include "abi.h" // generated from abi.csv and symbols.csv

#define EXPORT __attribute__((visibility("default")))
// INTERNAL is seen by the runtime's second library and by nobody else.
#ifdef STANDIN_RUNTIME
#define INTERNAL __attribute__((visibility("default")))
#else
#define INTERNAL
#endif
#define MAX_DEVICES 8

// One name=value per parameter that `set` knows.
#define PARAMS(X) \
	X(devices, 1) X(execute_us, 0) X(batch_limit, 0) X(item_us, 0) X(jitter_us, 0) X(setdevice_ms, 0) X(load_ms, 0) X(arena_bytes, 256ll << 20) \
	X(lost, 0) X(lost_forever, 0) X(corrupt, 0) X(stub, 0) X(version_minor, 13) X(callback_twins, 1) \
	X(cards, 1) X(chips, 1) X(temperature, 47) X(power, 421) X(voltage, 80) X(utilization, -1) X(health, 0) X(drop, 0) \
	X(error_code, 0) X(error_codes, 0) X(pushed_events, 0) X(media_us, 0) X(media_wrong, 0) X(growth, 0) X(reverse_cards, 0) X(events, 0) X(unsupported, 0) X(not_ready, 0)

// The names under which the second library finds them.
#define shared standin_shared
#define rules_active standin_rules_active

struct shared {
	uint32_t magic;
	_Atomic int64_t busy_ns[MAX_DEVICES]; // at byte 8: the benchmark reads it from the file
	_Atomic int64_t mem_used[MAX_DEVICES], executed[MAX_DEVICES];
#define X(name, value) _Atomic int64_t name;
	PARAMS(X)
#undef X
};
extern INTERNAL struct shared *shared;

struct site { const char *symbol; _Atomic uint64_t calls; struct site *next; _Atomic int known; };
// What a rule makes of this call; code is returned where hit is set.
struct verdict { int hit; int64_t code; };
extern INTERNAL _Atomic int rules_active;
INTERNAL struct verdict standin_rule(struct site *s);
INTERNAL void standin_know(struct site *s);
int64_t now_ns(void);
#define pause_us standin_pause_us
INTERNAL void pause_us(int64_t us);

#define COUNT(name) \
	static struct site site_ = {#name, 0, 0, 0}; \
	if (!atomic_load_explicit(&site_.known, memory_order_relaxed)) standin_know(&site_); \
	atomic_fetch_add_explicit(&site_.calls, 1, memory_order_relaxed)
// ENTER begins every function of the ABI: it counts the call and applies the rules.
#define ENTER(name) \
	COUNT(name); \
	if (atomic_load_explicit(&rules_active, memory_order_relaxed)) { struct verdict v_ = standin_rule(&site_); if (v_.hit) return v_.code; }
// ENTER_PTR is ENTER for functions that return a handle, a text or nothing that could carry a code.
#define ENTER_PTR(name) \
	COUNT(name); \
	if (atomic_load_explicit(&rules_active, memory_order_relaxed)) { struct verdict v_ = standin_rule(&site_); if (v_.hit) return 0; }
#endif

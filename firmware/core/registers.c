#include "node.h"

u32 reg_now;
u8 reg_command;
static u8 armed; /* seconds left */

#define ARM_WORD 0xb007
#define COMMAND_BOOT 0x424c
#define COMMAND_RESET 0x5253
#define SAVE_WORD 0x5341
#define ARM_S 10

static u16 high(u32 v) { return (u16)(v >> 16); }

static u16 identity(u8 i)
{
	switch (i) {
	case REG_MAGIC: return 0x454c;
	case REG_MAP_VERSION: return MAP_VERSION;
	case REG_CHIP: return CHIP;
	case REG_FIRMWARE: return FW_MAJOR << 8 | FW_MINOR;
	case REG_BUILD: return FW_BUILD;
	case REG_SERIAL: return high(node_serial);
	case REG_SERIAL + 1: return (u16)node_serial;
	case REG_QUEUE_SIZE: return QUEUE;
	case REG_BLOCK_EVENTS: return BLOCK;
	case REG_SENSORS: return SENSORS;
	case REG_TIMERS: return TIMERS;
	case REG_FEATURES: return FEATURES;
	case REG_BOOTS: return high(node_boots);
	case REG_BOOTS + 1: return (u16)node_boots;
	case REG_RESET_CAUSE: return node_cause;
	case REG_WRITE_WORDS: return WRITE_WORDS;
	case REG_NOW_MS: return high(reg_now);
	case REG_NOW_MS + 1: return (u16)reg_now;
	case REG_UPTIME_S: return high(node_seconds);
	case REG_UPTIME_S + 1: return (u16)node_seconds;
	}
	return 0xffff;
}

static u16 sensor(u8 a)
{
	u8 slot = a >> 3;
	u8 i = a & 7;
	const u8 XDATA *rom = sensor_rom[slot];
	if (!rom[0])
		return 0;
	if (i < 4)
		return (u16)rom[2 * i] << 8 | rom[2 * i + 1];
	switch (i) {
	case 4: return (u16)sensor_value[slot];
	case 5: return sensor_quality[slot];
	case 6: return sensor_age[slot];
	}
	return sensor_errors[slot];
}

static u16 clock_word(u8 i)
{
	switch (i) {
	case 0: return 2000 + clock[T_YEAR];
	case 1: return (u16)clock[T_MONTH] << 8 | clock[T_DAY];
	case 2: return (u16)clock[T_HOUR] << 8 | clock[T_MINUTE];
	case 3: return (u16)clock[T_SECOND] << 8 | clock[T_WEEKDAY];
	case 4: return clock_state;
	}
	return 0xffff;
}

static u16 queue_read(u8 i)
{
	if (i < 6)
		return queue_head[i];
	switch (i) {
	case REG_FILL - REG_INCARNATION: return queue_fill;
	case REG_LOST - REG_INCARNATION: return counter[C_OVERFLOWS_LOW];
	case REG_READ_MS - REG_INCARNATION: return high(reg_now);
	case REG_READ_MS + 1 - REG_INCARNATION: return (u16)reg_now;
	}
	return queue_word(i - (u8)(REG_EVENT_BLOCK - REG_INCARNATION));
}

u16 reg_read(u16 address)
{
	u8 a = (u8)address;
	if (address >= REG_INCARNATION)
		return queue_read(a);
	if (a < REG_FRAMES)
		return identity(a);
	if (a < REG_FRAMES + COUNTERS)
		return counter[a - REG_FRAMES];
	if (a >= REG_SENSOR_TABLE && a < REG_SENSOR_TABLE + WORDS_SENSOR_TABLE)
		return sensor(a - REG_SENSOR_TABLE);
	if (a >= REG_OUTPUTS && a < REG_OUTPUTS + O_WORDS)
		return out[a - REG_OUTPUTS];
	if (a >= REG_YEAR && a <= REG_CLOCK_STATE)
		return clock_word(a - REG_YEAR);
	if (a >= REG_UNIT && a < REG_UNIT + SETTINGS)
		return setting[a - REG_UNIT];
	switch (a) {
	case REG_SETTINGS_STATE: return settings_state;
	case REG_SETTINGS_GENERATION: return settings_generation;
	case REG_TEST_EVENTS: return queue_tests;
	case REG_SAVE:
	case REG_ARM:
	case REG_COMMAND:
	case REG_RESCAN: return 0;
	}
	return 0xffff;
}

static u8 clock_bad(u8 i, u16 v)
{
	u8 h = (u8)(v >> 8), l = (u8)v;
	switch (i) {
	case 0: return v < 2000 || v > 2099;
	case 1: return h < 1 || h > 12 || l < 1 || l > 31;
	case 2: return h > 23 || l > 59;
	}
	return h > 59 || l < 1 || l > 7;
}

u8 reg_check(u16 address, u16 v)
{
	u8 a = (u8)address, bad;
	if (address >= REG_INCARNATION)
		return 2;
	if (a >= REG_YEAR && a < REG_CLOCK_STATE)
		return clock_bad(a - REG_YEAR, v) ? 3 : 0;
	if (a >= REG_UNIT && a < REG_UNIT + SETTINGS)
		return settings_bad(a - REG_UNIT, v) ? 3 : 0;
	switch (a) {
	case REG_OVERRIDE_MASK:
	case REG_OVERRIDE_STATE: bad = v > 63; break;
	case REG_SAVE: bad = v != SAVE_WORD; break;
	case REG_ARM: bad = v != ARM_WORD; break;
	case REG_RESCAN: bad = v != 1; break;
	case REG_COMMAND:
		if (!armed)
			return 4;
		bad = v != COMMAND_BOOT && v != COMMAND_RESET;
		break;
	case REG_OVERRIDE_S:
	case REG_TEST_EVENTS: bad = 0; break;
	default: return 2;
	}
	return bad ? 3 : 0;
}

static void write_clock(u8 i, u16 v)
{
	u8 h = (u8)(v >> 8), l = (u8)v;
	switch (i) {
	case 0: clock[T_YEAR] = (u8)(v - 2000); return;
	case 1: clock[T_MONTH] = h; clock[T_DAY] = l; return;
	case 2: clock[T_HOUR] = h; clock[T_MINUTE] = l; return;
	}
	clock[T_SECOND] = h;
	clock[T_WEEKDAY] = l;
	clock_set();
}

u8 reg_write(u16 address, u16 v)
{
	u8 a = (u8)address;
	if (a >= REG_YEAR && a < REG_CLOCK_STATE) {
		write_clock(a - REG_YEAR, v);
		return 0;
	}
	if (a >= REG_UNIT && a < REG_UNIT + SETTINGS) {
		if (setting[a - REG_UNIT] != v) {
			setting[a - REG_UNIT] = v;
			settings_state = 1;
		}
		return 0;
	}
	switch (a) {
	case REG_OVERRIDE_MASK:
	case REG_OVERRIDE_STATE:
	case REG_OVERRIDE_S:
		out[a - REG_OUTPUTS] = v;
		control_apply();
		return 0;
	case REG_SAVE: return settings_save();
	case REG_ARM: armed = ARM_S + 1; return 0;
	case REG_COMMAND:
		reg_command = v == COMMAND_BOOT ? RESET_BOOTLOADER : RESET_COMMAND;
		armed = 0;
		return 0;
	case REG_RESCAN: sensors_rescan(); return 0;
	}
	queue_tests = v;
	return 0;
}

void reg_second(void)
{
	if (armed)
		armed--;
}

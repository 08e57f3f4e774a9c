#include "node.h"

u32 XDATA reg_now;
u8 reg_command;
static u8 armed; /* seconds left */

#define ARM_WORD 0xb007
#define COMMAND_BOOT 0x424c
#define COMMAND_RESET 0x5253
#define SAVE_WORD 0x5341
#define ARM_S 10

u8 reg_dry;

static CODE u16 constant[REG_WRITE_WORDS + 1] = {
	0x454c, MAP_VERSION, CHIP, FW_MAJOR << 8 | FW_MINOR, FW_BUILD, 0, 0, QUEUE, BLOCK, SENSORS, TIMERS, FEATURES, 0, 0, 0, WRITE_WORDS,
};

/* A word of a 32-bit number: the high one where i is even. */
static u16 half(u32 v, u8 i) { return i & 1 ? (u16)v : (u16)(v >> 16); }

static u16 identity(u8 i)
{
	switch (i) {
	case REG_SERIAL:
	case REG_SERIAL + 1: return setting[S(NEW_SERIAL) + i - REG_SERIAL];
	case REG_BOOTS + 1: return node_boots;
	case REG_RESET_CAUSE: return node_cause;
	case REG_NOW_MS:
	case REG_NOW_MS + 1: return half(reg_now, i);
	case REG_UPTIME_S:
	case REG_UPTIME_S + 1: return half(node_seconds, i);
	}
	return i <= REG_WRITE_WORDS ? constant[i] : 0xffff;
}

static u16 sensor(u8 a)
{
	u8 slot = a >> 3;
	if (!sensor_rom[slot][0])
		return 0;
	a &= 7;
	switch (a) {
	case 4: return (u16)sensor_value[slot];
	case 5: return sensor_quality[slot];
	case 6: return sensor_age[slot];
#if STATISTICS
	case 7: return sensor_errors[slot];
#else
	case 7: return 0xffff;
#endif
	}
	a <<= 1;
	return (u16)sensor_rom[slot][a] << 8 | sensor_rom[slot][a + 1];
}

static u16 queue_read(u8 i)
{
	switch (i) {
	case REG_FILL - REG_INCARNATION: return queue_fill;
	case REG_LOST - REG_INCARNATION: return counter[C_OVERFLOWS_LOW];
	case REG_READ_MS - REG_INCARNATION:
	case REG_READ_MS + 1 - REG_INCARNATION: return half(reg_now, i);
	}
	if (i >= REG_EVENT_BLOCK - REG_INCARNATION)
		return queue_word(i - (REG_EVENT_BLOCK - REG_INCARNATION));
	i <<= 1;
	return (u16)queue_head[i] << 8 | queue_head[i + 1];
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
	if (a >= REG_YEAR && a <= REG_CLOCK_STATE) {
		if (a == REG_CLOCK_STATE)
			return clock_state;
		a = (a - REG_YEAR) * 2;
		return (u16)clock[a] << 8 | clock[a + 1];
	}
	if (a >= REG_UNIT && a < REG_UNIT + SETTINGS)
		return setting[a - REG_UNIT];
	switch (a) {
#if STATISTICS
	case REG_EVENTS:
	case REG_EVENTS + 1: return queue_newest(a - REG_EVENTS);
#endif
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

static u8 write_clock(u8 i, u16 v)
{
	u8 h = (u8)(v >> 8), l = (u8)v;
	if (!i) {
		if (v < 2000 || v > 2099)
			return 3;
	} else if (h < clock_least[i] || h > clock_most[i] || l < clock_least[i + 1] || l > clock_most[i + 1]) {
		return 3;
	}
	if (reg_dry)
		return 0;
	clock[i] = h;
	clock[i + 1] = l;
	if (i == C_SECOND)
		clock_set();
	return 0;
}

u8 reg_write(u16 address, u16 v)
{
	u8 a = (u8)address;
	u16 only = v; /* the one value that may be written */
	if (address >= REG_INCARNATION)
		return 2;
	if (a >= REG_YEAR && a < REG_CLOCK_STATE)
		return write_clock((a - REG_YEAR) * 2, v);
	if (!modbus_rx[0])
		return 2; /* to all nodes: the clock only */
	if (a >= REG_UNIT && a < REG_UNIT + SETTINGS) {
		a -= REG_UNIT;
		if (settings_bad(a, v))
			return 3;
		if (!reg_dry && setting[a] != v) {
			setting[a] = v;
			settings_state = 1;
		}
		return 0;
	}
	switch (a) {
	case REG_OVERRIDE_MASK:
	case REG_OVERRIDE_STATE: only &= 63; break;
	case REG_OVERRIDE_S:
	case REG_TEST_EVENTS: break;
	case REG_SAVE: only = SAVE_WORD; break;
	case REG_ARM: only = ARM_WORD; break;
	case REG_RESCAN: only = 1; break;
	case REG_COMMAND:
		if (!armed)
			return 4;
		if (v != COMMAND_BOOT)
			only = COMMAND_RESET;
		break;
	default: return 2;
	}
	if (v != only)
		return 3;
	if (reg_dry)
		return 0;
	switch (a) {
	case REG_SAVE: return settings_save();
	case REG_ARM: armed = ARM_S + 1; break;
	case REG_RESCAN: sensors_rescan(); break;
	case REG_TEST_EVENTS: queue_tests = v; break;
	case REG_COMMAND:
		reg_command = v == COMMAND_BOOT ? RESET_BOOTLOADER : RESET_COMMAND;
		armed = 0;
		break;
	default:
		out[a - REG_OUTPUTS] = v;
		control_apply();
	}
	return 0;
}

void reg_second(void)
{
	if (armed)
		armed--;
}

#include "node.h"

u16 XDATA reg_time[4];
u8 reg_command;
static u8 armed; /* seconds left */

#define ARM_WORD 0xb007
#define COMMAND_BOOT 0x424c
#define COMMAND_RESET 0x5253
#define SAVE_WORD 0x5341
#define ARM_S 10

FLAG reg_dry;

u16 XDATA counter[COUNTERS];

void bump(u8 i) { counter[i]++; }

void bump32(u16 XDATA *high)
{
	if (!++high[1])
		++*high;
}

static CODE u16 constant[REG_WRITE_WORDS + 1] = {
	0x454c, MAP_VERSION, CHIP, FW_MAJOR << 8 | FW_MINOR, FW_BUILD, 0, 0, QUEUE, BLOCK, SENSORS, TIMERS, FEATURES, 0, 0, 0, WRITE_WORDS,
};

/* Registers that stand in RAM as they are read. The head of the queue, from INCARNATION on, counts from HEAD here. */
#define HEAD 0xe0
#define FROM_HEAD(name) (HEAD + REG_##name - REG_INCARNATION)
static CODE struct {
	u8 first, words;
	u16 XDATA *in;
} rows[] = {
	{REG_SERIAL, 2, &settings_image[2 + S(NEW_SERIAL)]},
	{REG_BOOTS, 3, node_life},
	{REG_NOW_MS, 4, reg_time},
	{REG_FRAMES, COUNTERS, counter},
	{REG_OUTPUTS, O_WORDS, out},
	{REG_YEAR, 5, clock_words},
	{REG_UNIT, SETTINGS, &settings_image[2]},
	{REG_SETTINGS_STATE, 2, settings_image},
	{REG_TEST_EVENTS, 1, &queue_tests},
	{HEAD, 6, queue_head},
	{FROM_HEAD(LOST), 1, &counter[C_OVERFLOWS_LOW]},
	{FROM_HEAD(READ_MS), 2, reg_time},
};

void reg_stamp(void)
{
	u32 now = port_ms();
	reg_time[0] = (u16)(now >> 16);
	reg_time[1] = (u16)now;
}

static u16 sensor(u8 a)
{
	u8 slot = a >> 3;
	u8 FAR *rom = sensor_rom[slot];
	if (!rom[0])
		return 0;
	a &= 7;
	if (a < 4) {
		rom += a << 1;
		return (u16)rom[0] << 8 | rom[1];
	}
	if (a == 4)
		return (u16)sensor_value[slot];
	if (a == 5)
		return sensor_quality[slot];
	if (a == 6)
		return sensor_age[slot];
#if STATISTICS
	return sensor_errors[slot];
#else
	return 0xffff;
#endif
}

u16 reg_read(u16 address)
{
	u8 i, d, a = (u8)address;
	if (address >= REG_INCARNATION) {
		if (address == REG_FILL)
			return queue_fill;
		if (address >= REG_EVENT_BLOCK)
			return queue_word(a - (REG_EVENT_BLOCK - REG_INCARNATION));
		a += HEAD;
	}
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		d = a - rows[i].first;
		if (d < rows[i].words)
			return rows[i].in[d];
	}
	if (a <= REG_WRITE_WORDS)
		return constant[a];
	a -= REG_SENSOR_TABLE;
	if (a < WORDS_SENSOR_TABLE)
		return sensor(a);
#if STATISTICS
	a -= REG_EVENTS - REG_SENSOR_TABLE;
	if (a < 2)
		return queue_newest(a);
#endif
	return 0xffff;
}

static u8 write_clock(u8 i, u16 v)
{
	if (!i) {
		if ((u16)(v - 2000) > 99)
			return 3;
	} else if (clock_odd(2 * i, (u8)v) || clock_odd(2 * i + 1, (u8)(v >> 8))) {
		return 3;
	}
	if (reg_dry)
		return 0;
	clock_words[i] = v;
	if (i == 3)
		clock_set();
	return 0;
}

u8 reg_write(u16 address, u16 v)
{
	u8 a = (u8)address;
	u16 only = v; /* the one value that may be written */
	if (address >= REG_INCARNATION)
		goto nowhere;
	if (a >= REG_YEAR && a < REG_CLOCK_STATE)
		return write_clock(a - REG_YEAR, v);
	if (!modbus_rx[0])
		goto nowhere; /* to all nodes: the clock only */
	if (a >= REG_UNIT && a < REG_UNIT + SETTINGS) {
		a -= REG_UNIT;
		if (settings_bad(a, v))
			goto never;
		if (!reg_dry && setting[a] != v) {
			setting[a] = v;
			settings_state = 1;
		}
		goto done;
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
	default: goto nowhere;
	}
	if (v != only)
		goto never;
	if (reg_dry)
		goto done;
	switch (a) {
	case REG_SAVE: return settings_save();
	case REG_ARM: armed = ARM_S + 1; break;
	case REG_RESCAN: sensors_rescan(); break;
	case REG_TEST_EVENTS: queue_tests = v; break;
	case REG_COMMAND:
		reg_command = (u8)v == (u8)COMMAND_BOOT ? RESET_BOOTLOADER : RESET_COMMAND;
		armed = 0;
		break;
	default:
		out[a - REG_OUTPUTS] = v;
		control_apply();
	}
done:
	return 0;
nowhere:
	return 2;
never:
	return 3;
}

void reg_second(void)
{
	bump32(&reg_time[2]);
	if (armed)
		armed--;
}

#include "node.h"

/*
 * A copy of the settings in slot 0 or 1 of settings memory:
 *
 *     generation u16 | settings u16 × SETTINGS | CRC-16        low bytes first
 *
 * Generation 0xffff is an erased copy. The boot counter stands in slots 2 and 3, the older of
 * which each boot writes in this order, so that a count that passes its check is whole:
 *
 *     count u16, low byte first | count ^ 0x5555
 */
u16 XDATA setting[SETTINGS];
u8 settings_state = 2;
u16 XDATA settings_generation;
u16 XDATA node_boots;
static u8 newest; /* copy that is valid and newest; 0xff none */

#define COPY_BYTES (2 + 2 * SETTINGS)

/* Default, least and most; most below least: anything. */
static CODE i16 rule[SETTINGS][3] = {
	{247, 1, 247}, {0, 0, BAUD_MOST}, {0, 1, 0}, {0, 1, 0}, {0, 1, 0}, {0, 1, 0}, {0, 1, 0}, {0, 1, 0},
	{384, -880, 2000}, {400, -880, 2000}, {448, -880, 2000}, {432, -880, 2000},
	{60, 0, 3600}, {60, 0, 3600}, {30, 0, 3600}, {30, 0, 3600},
	{0, 0, 3}, {30, 1, 3600}, {10, 1, 3600}, {12, 9, 12},
	{0, 0, 1439}, {0, 0, 1439}, {0, 0, 1439}, {0, 0, 1439}, {0, 0, 1439}, {0, 0, 1439}, {0, 0, 1439}, {0, 0, 1439},
	{5, 0, 60},
};

u8 settings_bad(u8 i, u16 v)
{
	i16 least = rule[i][1], most = rule[i][2];
	return least <= most && ((i16)v < least || (i16)v > most);
}

u8 settings_reached(u8 i, i16 v) { return v >= (i16)setting[i]; }

static u16 word(u8 at) { return (u16)port_store_read(at + 1) << 8 | port_store_read(at); }

static u16 copy_crc(void)
{
	u8 i;
	u16 sum = 0xffff;
	for (i = 0; i < COPY_BYTES; i++)
		sum = crc16(sum, port_store_read(i));
	return sum;
}

void settings_load(void)
{
	u8 i;
	u16 v;
	newest = 0xff;
	for (port_slot = 0; port_slot < 2; port_slot++) {
		v = word(0);
		if (v == 0xffff)
			continue;
		if (word(COPY_BYTES) != copy_crc())
			bump(C_STORE);
		else if (newest == 0xff || (i16)(v - settings_generation) > 0) {
			newest = port_slot;
			settings_generation = v;
			settings_state = 0;
		}
	}
	port_slot = newest;
	for (i = 0; i < SETTINGS; i++)
		setting[i] = newest == 0xff ? (u16)rule[i][0] : word(2 + 2 * i);
}

static u16 crc; /* of what put has written */

static void put(u8 at, u16 v)
{
	port_watchdog();
	port_store_write(at, (u8)v);
	port_store_write(at + 1, (u8)(v >> 8));
	crc = crc16(crc16(crc, (u8)v), (u8)(v >> 8));
}

u8 settings_save(void)
{
	u8 i;
	u16 sum;
	if (settings_reached(S(HEATER_OFF), (i16)setting[S(HEATER_ON)]) || settings_reached(S(FAN_ON), (i16)setting[S(FAN_OFF)]))
		return 4;
	if (++settings_generation == 0xffff)
		settings_generation = 1;
	port_slot = newest == 0;
	port_store_erase();
	crc = 0xffff;
	put(0, settings_generation);
	for (i = 0; i < SETTINGS; i++)
		put(2 + 2 * i, setting[i]);
	put(COPY_BYTES, sum = crc);
	/* It must read back: the CRC is of what was meant. */
	if (word(COPY_BYTES) != copy_crc() || word(COPY_BYTES) != sum) {
		settings_state = 3;
		bump(C_STORE);
		queue_push(EV_FAULT << 4 | 1, Q_DEVICE, 1);
		return 4;
	}
	newest = port_slot;
	settings_state = 0;
	queue_push(EV_SETTINGS << 4, Q_GOOD, settings_generation);
	return 0;
}

void boots_count(void)
{
	u8 older = 2;
	u16 n;
	for (port_slot = 2; port_slot < 4; port_slot++) {
		n = word(0);
		if ((n ^ word(2)) == 0x5555 && n > node_boots) {
			node_boots = n;
			older = port_slot ^ 1;
		}
	}
	port_slot = older;
	port_store_erase();
	put(0, ++node_boots);
	put(2, node_boots ^ 0x5555);
}

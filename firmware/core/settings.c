#include "node.h"

/*
 * A copy of the settings in slot 0 or 1 of settings memory:
 *
 *     generation u16 | settings u16 × SETTINGS | CRC-16        low bytes first
 *
 * Generation 0xffff is an erased copy. The boot counter is a log in slots 2 and 3, entries of four bytes:
 *
 *     CRC-8 ^ 0xff | count u24      written in this order
 */
u16 XDATA setting[SETTINGS];
u8 settings_state = 2;
u16 settings_generation;
u32 node_boots;
static u8 newest; /* copy that is valid and newest */

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

static u16 word(u8 slot, u8 at) { return (u16)port_store_read(slot, at + 1) << 8 | port_store_read(slot, at); }

/* 0 erased, 1 valid, 2 damaged. */
static u8 copy_state(u8 slot)
{
	u8 i;
	u16 crc = 0xffff;
	if (word(slot, 0) == 0xffff)
		return 0;
	for (i = 0; i < COPY_BYTES; i++)
		crc = crc16(crc, port_store_read(slot, i));
	return word(slot, COPY_BYTES) == crc ? 1 : 2;
}

void settings_load(void)
{
	u8 i, a = copy_state(0), b = copy_state(1);
	if (a == 2)
		counter[C_STORE]++;
	if (b == 2)
		counter[C_STORE]++;
	newest = 0xff;
	if (a == 1)
		newest = 0;
	if (b == 1 && (a != 1 || (i16)(word(1, 0) - word(0, 0)) > 0))
		newest = 1;
	for (i = 0; i < SETTINGS; i++)
		setting[i] = newest == 0xff ? (u16)rule[i][0] : word(newest, 2 + 2 * i);
	if (newest == 0xff)
		return;
	settings_state = 0;
	settings_generation = word(newest, 0);
}

static u8 put(u8 slot, u8 at, u16 v)
{
	port_store_write(slot, at, (u8)v);
	port_store_write(slot, at + 1, (u8)(v >> 8));
	return word(slot, at) == v;
}

u8 settings_save(void)
{
	u8 i, good, slot = newest == 0 ? 1 : 0;
	u16 crc = 0xffff;
	u16 generation = settings_generation + 1;
	if ((i16)setting[S(HEATER_ON)] >= (i16)setting[S(HEATER_OFF)] || (i16)setting[S(FAN_OFF)] >= (i16)setting[S(FAN_ON)])
		return 4;
	if (generation == 0xffff)
		generation = 1;
	port_store_erase(slot);
	good = put(slot, 0, generation);
	for (i = 0; i < SETTINGS; i++) {
		port_watchdog();
		good &= put(slot, 2 + 2 * i, setting[i]);
	}
	for (i = 0; i < COPY_BYTES; i++)
		crc = crc16(crc, port_store_read(slot, i));
	good &= put(slot, COPY_BYTES, crc);
	if (!good) {
		counter[C_STORE]++;
		settings_state = 3;
		queue_push(EV_FAULT, 1, Q_DEVICE, 1);
		return 4;
	}
	newest = slot;
	settings_state = 0;
	settings_generation = generation;
	queue_push(EV_SETTINGS, 0, Q_GOOD, (i16)generation);
	return 0;
}

/* The count of an entry, or 0 where none is whole. Its high byte is written last and is never 0xff. */
static u32 entry(u8 slot, u8 i, u8 *fresh)
{
	u8 k, b, crc = 0, all = 0xff;
	u32 n = 0;
	u16 at = (u16)i * 4;
	for (k = 0; k < 4; k++) {
		b = port_store_read(slot, at + k);
		all &= b;
		if (k) {
			crc = crc8(crc, b);
			n = n >> 8 | (u32)b << 16;
		}
	}
	*fresh = all == 0xff;
	if (*fresh)
		return 0;
	crc ^= 0xff;
	if (b == 0xff || crc != port_store_read(slot, at)) {
		counter[C_STORE]++;
		return 0;
	}
	return n;
}

void boots_count(void)
{
	u8 slot, i, k, b, fresh, crc = 0, at = 0, in = 2;
	u32 n;
	for (slot = 2; slot < 4; slot++)
		for (i = 0; i < BOOT_ENTRIES; i++) {
			n = entry(slot, i, &fresh);
			if (fresh)
				continue;
			if (n > node_boots) {
				node_boots = n;
				in = slot;
			}
			if (slot == in)
				at = i + 1;
		}
	node_boots++;
	if (at >= BOOT_ENTRIES) {
		in ^= 1; /* 2 and 3 in turns */
		at = 0;
		port_store_erase(in);
	}
	for (k = 0; k < 3; k++)
		crc = crc8(crc, (u8)(node_boots >> (8 * k)));
	port_store_write(in, (u16)at * 4, crc ^ 0xff);
	for (k = 0; k < 3; k++) {
		b = (u8)(node_boots >> (8 * k));
		port_store_write(in, (u16)at * 4 + 1 + k, b);
	}
}

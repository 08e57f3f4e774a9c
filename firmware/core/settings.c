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
u16 XDATA settings_image[2 + SETTINGS];
u16 XDATA node_life[3];
static u8 newest; /* copy that is valid and newest; 0xff none */

#define COPY_BYTES (2 + 2 * SETTINGS)

/* Default, least, and how far above it the value may be. Settings that are alike share a row. */
static CODE u16 rule[17][3] = {
	{247, 1, 246}, {0, 0, BAUD_MOST}, {0, 0, 0xffff},
	{384, (u16)-880, 2880}, {400, (u16)-880, 2880}, {448, (u16)-880, 2880}, {432, (u16)-880, 2880},
	{60, 0, 3600}, {60, 0, 3600}, {30, 0, 3600}, {30, 0, 3600},
	{0, 0, 3}, {30, 1, 3599}, {10, 1, 3599}, {12, 9, 3},
	{0, 0, 1439},
	{5, 0, 60},
};

static CODE u16 *rule_of(u8 i)
{
	if (i >= S(TIMER_MINUTES))
		i = i == S(PAGE_S) ? 16 : 15;
	else if (i >= S(HEATER_ON))
		i -= 5;
	else if (i > 2)
		i = 2;
	return rule[i];
}

u8 settings_bad(u8 i, u16 v)
{
	CODE u16 *r = rule_of(i);
	return (u16)(v - r[1]) > r[2];
}

static u16 store_word(u8 at) { return (u16)port_store_read(at + 1) << 8 | port_store_read(at); }

/* The CRC of a copy with its CRC is 0. */
static u8 copy_bad(void)
{
	u8 i;
	crc16 = 0xffff;
	for (i = 0; i < COPY_BYTES + 2; i++)
		crc16_add(port_store_read(i));
	return crc16 != 0;
}

void settings_load(void)
{
	u8 i;
	u16 v;
	newest = 0xff;
	settings_state = 2;
	for (port_slot = 0; port_slot < 2; port_slot++) {
		v = store_word(0);
		if (v == 0xffff)
			continue;
		if (copy_bad())
			bump(C_STORE);
		else if (newest == 0xff || (u16)(v - settings_generation) < 0x8000) {
			newest = port_slot;
			settings_generation = v;
			settings_state = 0;
		}
	}
	port_slot = newest;
	for (i = 0; i < SETTINGS; i++)
		setting[i] = newest == 0xff ? *rule_of(i) : store_word(2 + 2 * i);
}

static u8 put_at;
static void put(u8 b)
{
	crc16_add(b);
	port_store_write(put_at++, b);
}

static void put16(u16 v)
{
	put((u8)v);
	put((u8)(v >> 8));
}

static u8 below(u8 i, u8 j) { return (i16)setting[i] < (i16)setting[j]; }

u8 settings_save(void)
{
	u8 i;
	u16 sum;
	if (!below(S(HEATER_ON), S(HEATER_OFF)) || !below(S(FAN_OFF), S(FAN_ON)))
		return 4;
	if (++settings_generation == 0xffff)
		settings_generation = 1;
	port_slot = newest == 0;
	port_store_erase();
	crc16 = 0xffff;
	put_at = 0;
	for (i = 1; i < 2 + SETTINGS; i++)
		put16(settings_image[i]);
	sum = crc16;
	put16(sum);
	/* It must read back: the CRC is of what was meant. */
	if (copy_bad() || store_word(COPY_BYTES) != sum) {
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
		n = store_word(0);
		if ((n ^ store_word(2)) == 0x5555 && n > node_boots) {
			node_boots = n;
			older = port_slot ^ 1;
		}
	}
	port_slot = older;
	port_store_erase();
	put_at = 0;
	n = ++node_boots;
	put16(n);
	put16(n ^ 0x5555);
}

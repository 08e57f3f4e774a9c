#include "node.h"

u8 IDATA work[WORK];
u8 IDATA ow_found[8];
static u8 last_fork; /* bit number, from 1, of the last fork where the search took 0; 0xff: it is over */

u8 ow_start(void)
{
	u8 r = port_ow_reset();
	if (!r)
		return Q_GOOD;
	return r == 1 ? Q_ABSENT : Q_SHORTED;
}

void ow_write(u8 b)
{
	u8 i;
	for (i = 8; i; i--) {
		port_ow_slot(b & 1);
		b >>= 1;
	}
}

u8 ow_read(void)
{
	u8 i, b = 0;
	for (i = 8; i; i--) {
		b >>= 1;
		if (port_ow_slot(1))
			b |= 0x80;
	}
	return b;
}

void ow_select(u8 slot)
{
	u8 i;
	ow_write(0x55);
	for (i = 0; i < 8; i++)
		ow_write(sensor_rom[slot][i]);
}

void ow_search_begin(void) { last_fork = 0; }

/* Maxim application note 187. */
u8 ow_search(void)
{
	static u8 bit, at, rom, fork; /* not locals: the 8051 would save them around each call */
	u8 id, not_id;
	if (last_fork == 0xff || ow_start() != Q_GOOD)
		return 0;
	ow_write(0xf0);
	bit = fork = crc8 = 0;
	for (at = 0; at < 8; at++) {
		rom = ow_found[at];
		do {
			bit++;
			id = port_ow_slot(1);
			not_id = port_ow_slot(1);
			if (id) {
				if (not_id)
					goto over;
			} else if (!not_id) {
				id = bit < last_fork ? rom & 1 : bit == last_fork;
				if (!id)
					fork = bit;
			}
			rom >>= 1;
			if (id)
				rom |= 0x80;
			port_ow_slot(id);
		} while (bit & 7);
		ow_found[at] = rom;
		crc8_add(rom);
	}
	if (crc8 || !ow_found[0]) {
over:
		bump(C_ONEWIRE);
		last_fork = 0xff;
		return 0;
	}
	last_fork = fork ? fork : 0xff;
	return 1;
}

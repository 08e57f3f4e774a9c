#include "node.h"

u8 XDATA queue_head[12];
u8 queue_fill;
u16 XDATA queue_tests;
static u16 FAR event[QUEUE][4];
static u8 oldest;
static u16 XDATA test_value;

static void drop(void)
{
	u8 i;
	if (++oldest == QUEUE)
		oldest = 0;
	queue_fill--;
	for (i = 12; i != 8 && !++queue_head[--i];)
		;
}

void queue_push(u8 kind_source, u8 quality, u16 value)
{
	u16 FAR *e;
	u32 now = port_ms();
	u8 i;
	if (queue_fill == QUEUE) {
		drop();
		bump32(C_OVERFLOWS);
	}
	i = oldest + queue_fill;
	if (i >= QUEUE)
		i -= QUEUE;
	e = event[i];
	*e++ = (u16)kind_source << 8 | quality;
	*e++ = (u16)(now >> 16);
	*e++ = (u16)now;
	*e = value;
	queue_fill++;
}

/* An acknowledgement says for which life of the node it is meant: one for another life releases nothing. */
u8 queue_write(u8 at, u8 words)
{
	u8 i, b, set = 0, any = 0, differ = 0;
	if (words != 4 && words != 6)
		return 2;
	for (i = 0; i < 8; i++) {
		b = modbus_rx[at++];
		any |= b;
		set |= queue_head[i];
		differ |= b ^ queue_head[i];
	}
	if (!any || (set && differ) || (words == 6 && !set))
		return 3;
	if (words == 4) {
		for (i = 8; i;)
			queue_head[--i] = modbus_rx[--at];
		return 0;
	}
	/* The distance from RELEASED, in 32 bits: 0 to FILL releases so many; up to half the range behind is a repeat. */
	any = differ = 0;
	for (i = 3, at += 4; i != 0xff; i--) {
		u8 have = queue_head[8 + i];
		b = modbus_rx[--at];
		set = b - have - any;
		any = any ? b <= have : b < have;
		if (i == 3)
			words = set;
		else
			differ |= set;
	}
	if (set & 0x80)
		return 0;
	if (differ || words > queue_fill)
		return 3;
	while (words--)
		drop();
	return 0;
}

u16 queue_word(u8 w)
{
	u8 i = w >> 2;
	if (i >= queue_fill)
		return 0xffff;
	i += oldest;
	if (i >= QUEUE)
		i -= QUEUE;
	return event[i][w & 3];
}

void queue_test(void)
{
	while (queue_tests && queue_fill < QUEUE) {
		queue_tests--;
		queue_push(EV_TEST << 4, Q_GOOD, test_value++);
	}
}

#if STATISTICS
u16 queue_newest(u8 low)
{
	u16 n = ((u16)queue_head[10] << 8 | queue_head[11]) + queue_fill;
	if (low)
		return n;
	return ((u16)queue_head[8] << 8 | queue_head[9]) + (n < queue_fill);
}
#endif

#include "node.h"

u16 XDATA queue_head[6];
u8 queue_fill;
u16 queue_tests;
static u16 XDATA event[QUEUE][4];
static u8 oldest;
static i16 test_value;

static void count(u16 IDATA *high)
{
	if (!++high[1])
		high[0]++;
}

static void drop(void)
{
	if (++oldest == QUEUE)
		oldest = 0;
	queue_fill--;
	if (!++queue_head[Q_RELEASED + 1])
		queue_head[Q_RELEASED]++;
}

void queue_push(u8 kind, u8 source, u8 quality, i16 value)
{
	u16 XDATA *e;
	u32 now = port_ms();
	u8 i;
	if (queue_fill == QUEUE) {
		drop();
		count(&counter[C_OVERFLOWS]);
	}
	i = oldest + queue_fill;
	if (i >= QUEUE)
		i -= QUEUE;
	e = event[i];
	e[0] = (u16)((kind << 4 | source) << 8) | quality;
	e[1] = (u16)(now >> 16);
	e[2] = (u16)now;
	e[3] = (u16)value;
	queue_fill++;
	count(&counter[C_EVENTS]);
}

/* An acknowledgement says for which life of the node it is meant: one for an earlier life releases nothing. */
u8 queue_write(const u8 IDATA *p, u8 words)
{
	u8 i, set = 0, same = 1, zero = 1;
	u16 v[6];
	u32 to, released;
	if (words != 4 && words != 6)
		return 2;
	for (i = 0; i < words; i++) {
		v[i] = (u16)p[0] << 8 | p[1];
		p += 2;
		if (i < 4) {
			set |= queue_head[i] != 0;
			zero &= v[i] == 0;
			same &= v[i] == queue_head[i];
		}
	}
	if (zero || (set && !same) || (words == 6 && !set))
		return 3;
	if (words == 6) {
		to = (u32)v[4] << 16 | v[5];
		released = (u32)queue_head[Q_RELEASED] << 16 | queue_head[Q_RELEASED + 1];
		if (to > released + queue_fill)
			return 3;
		while (released < to) {
			released++;
			drop();
		}
		return 0;
	}
	for (i = 0; i < 4; i++)
		queue_head[i] = v[i];
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
		queue_push(EV_TEST, 0, Q_GOOD, test_value++);
	}
}

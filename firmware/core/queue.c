#include "node.h"

u16 XDATA queue_head[6];
u8 queue_fill;
FLAG queue_wanted;
u16 XDATA queue_tests;
static u16 FAR event[QUEUE][4];
static u8 oldest, taken;
static u16 IDATA test_value;

/* Byte i of the head, as it goes over the line: words have their low byte first here. */
#define HEAD(i) ((u8 XDATA *)queue_head)[(i) ^ 1]

static void drop(void)
{
	if (++oldest == QUEUE)
		oldest = 0;
	queue_fill--;
	bump32(&queue_head[4]);
}

void queue_push(u8 kind_source, u8 quality, u16 value)
{
	u16 FAR *e;
	u32 now = port_ms();
	u8 i;
	if (queue_fill == QUEUE) {
		drop();
		bump32(&counter[C_OVERFLOWS]);
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

/* An acknowledgement says for which life of the node it is meant: one for another life releases nothing. The request has
   the bytes of the head from byte `i` on, at modbus_rx[at]. */
u8 queue_release(u8 at, u8 i)
{
	u8 b, any = 0;
	u16 low, high;
	for (; i < 8; i++) {
		b = modbus_rx[at++];
		any |= b;
		if (b != HEAD(i))
			return 3;
	}
	if (!any)
		return 3;
	/* The distance from RELEASED, in 32 bits: 0 to FILL releases so many; up to half the range behind is a repeat. */
	low = modbus_be(at + 2);
	high = modbus_be(at) - queue_head[4] - (low < queue_head[5]);
	low -= queue_head[5];
	if (high & 0x8000)
		return 0;
	if (high || low > queue_fill)
		return 3;
	for (b = (u8)low; b; b--)
		drop();
	return 0;
}

/* Gives this life its number, which later writes can only repeat, or acknowledges. */
u8 queue_write(u8 words)
{
	u8 i, b, set = 0, any = 0, differ = 0;
	if (words == 6)
		return queue_release(7, 0);
	if (words != 4)
		return 2;
	for (i = 0; i < 8; i++) {
		b = modbus_rx[7 + i];
		any |= b;
		set |= HEAD(i);
		differ |= b ^ HEAD(i);
	}
	if (!any || (set && differ))
		return 3;
	for (i = 0; i < 8; i++)
		HEAD(i) = modbus_rx[7 + i];
	return 0;
}

/* How many bytes answer TAKE: registers RELEASED to READ_MS, and for each event word 0, age in ms u16, value. */
u8 queue_taken(void)
{
	taken = queue_fill;
#if QUEUE > TAKE_EVENTS
	if (taken > TAKE_EVENTS)
		taken = TAKE_EVENTS;
#endif
	return TAKE_HEAD + taken * 6;
}

void queue_answer(void)
{
	u16 age, low = reg_time[1];
	u16 FAR *e;
	u8 i = oldest;
	for (; taken; taken--) {
		e = event[i];
		modbus_put16(*e++);
		age = reg_time[0] - *e++;
		if (low < *e)
			age--;
		age = age ? 0xffff : low - *e;
		modbus_put16(age);
		modbus_put16(e[1]);
		if (++i == QUEUE)
			i = 0;
	}
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
	while (queue_tests && queue_fill < (queue_wanted ? QUEUE - 1 : QUEUE)) {
		queue_tests--;
		queue_push(EV_TEST << 4, Q_GOOD, test_value++);
	}
}

#if STATISTICS
u16 queue_newest(u8 low)
{
	u16 n = queue_head[5] + queue_fill;
	return low ? n : queue_head[4] + (n < queue_fill);
}
#endif

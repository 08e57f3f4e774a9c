#include "node.h"

u8 IDATA clock[T_BYTES];
u8 clock_state = CLOCK_ABSENT;
static u8 last_second = 0xff, same;

#define STILL 3 /* reads, one a second, with the same second */

static CODE u8 least[T_BYTES] = {0, 0, 0, 1, 1, 1, 0};
static CODE u8 most[T_BYTES] = {59, 59, 23, 31, 12, 7, 99};

static u8 state(void)
{
	u8 i, b, any = 0, all = 0xff, odd = 0, stopped;
	port_rtc_select(1);
	port_rtc_write(0xbf); /* clock burst read */
	for (i = 0; i < T_BYTES; i++) {
		b = port_rtc_read();
		any |= b;
		all &= b;
		if (i == T_SECOND) {
			stopped = b & 0x80;
			b &= 0x7f;
		}
		if ((b & 0x0f) > 9)
			odd = 1;
		b = (u8)((b >> 4) * 10 + (b & 0x0f));
		if (b < least[i] || b > most[i])
			odd = 1;
		clock[i] = b;
	}
	port_rtc_select(0);
	if (!any || all == 0xff)
		return CLOCK_ABSENT;
	if (stopped)
		return CLOCK_STOPPED;
	if (odd)
		return CLOCK_ODD;
	if (clock[T_SECOND] != last_second) {
		last_second = clock[T_SECOND];
		same = 0;
	} else if (same < STILL) {
		same++;
	}
	return same >= STILL ? CLOCK_STOPPED : CLOCK_RUNS;
}

void clock_read(void)
{
	u8 was = clock_state;
	clock_state = state();
	if (clock_state != CLOCK_RUNS)
		counter[C_CLOCK]++;
	if (was == CLOCK_RUNS && clock_state != CLOCK_RUNS)
		queue_push(EV_CLOCK, 0, Q_DEVICE, 0);
}

static void put(u8 b) { port_rtc_write((u8)((b / 10) << 4 | b % 10)); }

void clock_set(void)
{
	u8 i;
	port_rtc_select(1);
	port_rtc_write(0x8e); /* write protection off */
	port_rtc_write(0);
	port_rtc_select(0);
	port_rtc_select(1);
	port_rtc_write(0xbe); /* clock burst write: eight bytes, or nothing is taken */
	for (i = 0; i < T_BYTES; i++)
		put(clock[i]);
	port_rtc_write(0x80);
	port_rtc_select(0);
	last_second = 0xff;
	same = 0;
	clock_state = state();
	queue_push(EV_CLOCK, 0, clock_state == CLOCK_RUNS ? Q_GOOD : Q_DEVICE, 1);
}

#include "node.h"

u8 IDATA clock[8];
u8 clock_state = CLOCK_ABSENT;
static u8 last_second = 0xff, same;

#define STILL 3 /* reads, one a second, with the same second */

/* Where the chip's bytes stand in clock, and their limits. */
static CODE u8 place[7] = {C_SECOND, C_MINUTE, C_HOUR, C_DAY, C_MONTH, C_WEEKDAY, C_YEAR};
CODE u8 clock_least[8] = {7, 0xd0, 1, 1, 0, 0, 0, 1};
CODE u8 clock_most[8] = {8, 0xff, 12, 31, 23, 59, 59, 7};

u16 clock_minute(void) { return (u16)(clock[C_HOUR] * (u8)60) + clock[C_MINUTE]; }

static u8 state(void)
{
	u8 i, b, at, odd = 0, stopped = 0;
	port_rtc_select(1);
	port_rtc_write(0xbf); /* clock burst read */
	for (i = 0; i < 7; i++) {
		b = port_rtc_read();
		if (!i) {
			if (b == 0xff)
				odd = 2;
			stopped = b & 0x80;
			b &= 0x7f;
		}
		if ((b & 0x0f) > 9)
			odd |= 1;
		b = (u8)((b >> 4) * 10 + (b & 0x0f));
		at = place[i];
		if (i != 6 && (b < clock_least[at] || b > clock_most[at]))
			odd |= 1;
		clock[at] = b;
	}
	/* The year is 2000 and what the chip says. */
	clock[C_CENTURY] = b > 47 ? 8 : 7;
	clock[C_YEAR] += 0xd0;
	port_rtc_select(0);
	if (odd & 2)
		return CLOCK_ABSENT;
	if (stopped)
		return CLOCK_STOPPED;
	if (odd || b > 99)
		return CLOCK_ODD;
	if (clock[C_SECOND] != last_second) {
		last_second = clock[C_SECOND];
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
		bump(C_CLOCK);
	if (was == CLOCK_RUNS && clock_state != CLOCK_RUNS)
		queue_push(EV_CLOCK << 4, Q_DEVICE, 0);
}

static void put(u8 b) { port_rtc_write((u8)((b / 10) << 4 | b % 10)); }

void clock_set(void)
{
	u8 i, b;
	port_rtc_select(1);
	port_rtc_write(0x8e); /* write protection off */
	port_rtc_write(0);
	port_rtc_select(0);
	port_rtc_select(1);
	port_rtc_write(0xbe); /* clock burst write: eight bytes, or nothing is taken */
	for (i = 0; i < 7; i++) {
		b = clock[place[i]];
		if (i == 6)
			b -= 0xd0;
		put(b);
	}
	port_rtc_write(0x80);
	port_rtc_select(0);
	last_second = 0xff;
	same = 0;
	clock_state = state();
	queue_push(EV_CLOCK << 4, clock_state == CLOCK_RUNS ? Q_GOOD : Q_DEVICE, 1);
}

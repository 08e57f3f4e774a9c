#include "node.h"

u16 XDATA clock_words[5];
static u8 last_second = 0xff, same;

#define STILL 3 /* reads, one a second, with the same second */

/* Where the chip's bytes stand in clock, and the limits of those. */
static CODE u8 place[7] = {C_SECOND, C_MINUTE, C_HOUR, C_DAY, C_MONTH, C_WEEKDAY, C_YEAR};
static CODE u8 least[8] = {0, 0, 1, 1, 0, 0, 1, 0}, most[8] = {0, 0, 31, 12, 59, 23, 7, 59};

u8 clock_odd(u8 at, u8 b) { return b < least[at] || b > most[at]; }

u16 clock_minute(void) { return (u16)(clock[C_HOUR] * (u8)60) + clock[C_MINUTE]; }

static u8 state(void)
{
	static FLAG odd, stopped, absent;
	u8 i, b, at;
	odd = 0;
	port_rtc_select(1);
	port_rtc_write(0xbf); /* clock burst read */
	for (i = 0; i < 7; i++) {
		b = port_rtc_read();
		if (!i) {
			absent = b == 0xff;
			stopped = b >> 7;
			b &= 0x7f;
		}
		if ((b & 0x0f) > 9)
			odd = 1;
		b -= (u8)((b >> 4) * 6);
		at = place[i];
		if (i == 6)
			b += 0xd0; /* the year is 2000 and what the chip says */
		else if (clock_odd(at, b))
			odd = 1;
		clock[at] = b;
	}
	port_rtc_select(0);
	clock[C_CENTURY] = b < 0xd0 ? 8 : 7;
	if (absent)
		return CLOCK_ABSENT;
	if (stopped)
		return CLOCK_STOPPED;
	if (odd || (u8)(b - 0xd0) > 99)
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
	if (clock_state != CLOCK_RUNS) {
		bump(C_CLOCK);
		if (was == CLOCK_RUNS)
			queue_push(EV_CLOCK << 4, Q_DEVICE, 0);
	}
}

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
		port_rtc_write(b + (u8)(b / (u8)10 * (u8)6));
	}
	port_rtc_write(0x80);
	port_rtc_select(0);
	last_second = 0xff;
	same = 0;
	clock_state = state();
	queue_push(EV_CLOCK << 4, clock_state == CLOCK_RUNS ? Q_GOOD : Q_DEVICE, 1);
}

#include "node.h"

u16 XDATA out[O_WORDS];

static u16 IDATA held[2]; /* seconds that heater and fan are in their state */
static u16 IDATA bad_for;
static u8 driven; /* outputs, as they are */
static u8 why;

/* The slot of CONTROL_ROM; all zero: the first. */
static u8 control_slot(void)
{
	u8 i, j, any, differ, b;
	for (i = 0; i < SENSORS; i++) {
		any = differ = 0;
		for (j = 0; j < 8; j++) {
			b = ((u8 XDATA *)&setting[S(CONTROL_ROM)])[j ^ 1]; /* words have their low byte first */
			any |= b;
			differ |= sensor_rom[i][j] ^ b;
		}
		if (!differ || !any)
			break;
	}
	return i;
}

/* Switches the output of mask on or off. */
static void turn(u8 mask, u8 on)
{
	u8 i;
	if (on)
		on = mask;
	if ((driven & mask) == on)
		return;
	driven ^= mask;
	for (i = 0; !(mask & 1); i++)
		mask >>= 1;
	if (i < 2)
		held[i] = 0;
	queue_push(EV_OUTPUT << 4 | i, Q_GOOD, (u16)why << 8 | (on != 0));
}

/* The outputs that a person has taken over. */
static u8 overridden(void) { return out[O_SECONDS] ? (u8)out[O_MASK] : 0; }

/* How the control value stands to a setting: bit 0 at or below, bit 1 at or above. */
static u8 stands(u8 i)
{
	i16 v = (i16)out[O_VALUE], to = (i16)setting[i];
	if (v == NO_VALUE)
		return 0;
	if (v == to)
		return 3;
	return v < to ? 1 : 2;
}

/* The thresholds, or the fail-safe state, for the heater (mask 1: on below) or the fan (mask 2: on above). */
static void thermal(u8 mask)
{
	u8 i = mask - 1, on, off, at;
	why = WHY_THRESHOLD;
	if (overridden() & mask)
		return;
	at = S(HEATER_ON) + 2 * i;
	on = stands(at) & mask;
	off = stands(at + 1) & ~mask;
	if (on && off)
		on = i; /* thresholds that cross: off wins for the heater, on for the fan */
	else if (!on && !off)
		on = driven & mask;
	if (out[O_FAILSAFE]) {
		why = WHY_FAILSAFE;
		on = (u8)setting[S(FAILSAFE_MASK)] & mask;
	}
	/* Fail-safe switches off without waiting; it waits, as everything does, before it switches on. */
	at = S(HEATER_MIN_ON_S) + 2 * i;
	if (!(driven & mask))
		at++;
	else if (why == WHY_FAILSAFE)
		at = 0xff;
	if (at == 0xff || held[i] >= setting[at])
		turn(mask, on);
}

static void timers(void)
{
	u8 mask, on;
	u16 now = clock_minute();
	const u16 XDATA *at = &setting[S(TIMER_MINUTES)];
	why = WHY_TIMER;
	for (mask = 4; mask < 4 << TIMERS; mask <<= 1) {
		on = now >= at[0];
		if (at[0] <= at[1])
			on &= now < at[1];
		else
			on |= now < at[1];
		at += 2;
		if (!(overridden() & mask))
			turn(mask, clock_state == CLOCK_RUNS ? on : 0);
	}
}

void control_apply(void)
{
	u8 mask, taken = overridden();
	why = WHY_OVERRIDE;
	for (mask = 1; mask < 4 << TIMERS; mask <<= 1)
		if (taken & mask)
			turn(mask, (u8)out[O_STATE] & mask);
	out[O_OUTPUTS] = driven;
	port_outputs(driven);
}

void control_second(void)
{
	u8 i;
	if (out[O_SECONDS])
		out[O_SECONDS]--;
	for (i = 0; i < 2; i++)
		if (held[i] < 3600)
			held[i]++;
	out[O_QUALITY] = Q_ABSENT;
	out[O_VALUE] = (u16)NO_VALUE;
	i = control_slot();
	if (i < SENSORS && sensor_rom[i][0]) {
		out[O_QUALITY] = sensor_quality[i];
		if (sensor_age[i] < STALE_S)
			out[O_VALUE] = (u16)sensor_value[i];
	}
	if (out[O_VALUE] != (u16)NO_VALUE)
		bad_for = out[O_FAILSAFE] = 0;
	else if (bad_for < setting[S(FAILSAFE_DELAY_S)])
		bad_for++;
	else
		out[O_FAILSAFE] = 1;
	thermal(1);
	thermal(2);
	timers();
	control_apply();
}

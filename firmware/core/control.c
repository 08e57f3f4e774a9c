#include "node.h"

u16 IDATA out[O_WORDS];

static u16 XDATA held[2]; /* seconds that heater and fan are in their state */
static u16 XDATA bad_for;
static u8 driven; /* outputs, as they are */
static u8 why;

/* The slot of CONTROL_ROM; all zero: the first. */
static u8 control_slot(void)
{
	u8 i, j, any = 0, differ;
	u16 word;
	for (i = 0; i < SENSORS; i++) {
		differ = 0;
		for (j = 0; j < 8; j++) {
			word = setting[S(CONTROL_ROM) + (j >> 1)];
			if (!(j & 1))
				word >>= 8;
			any |= (u8)word;
			differ |= sensor_rom[i][j] ^ (u8)word;
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

/* The thresholds, or the fail-safe state; want is 0 off, 1 on, 2 as it is. */
static void thermal(u8 mask, u8 want)
{
	u8 i = mask - 1; /* 0 heater, 1 fan */
	u8 setting_at = i ? S(FAN_MIN_ON_S) : S(HEATER_MIN_ON_S);
	why = WHY_THRESHOLD;
	if (overridden() & mask)
		return;
	if (out[O_FAILSAFE]) {
		why = WHY_FAILSAFE;
		want = (u8)setting[S(FAILSAFE_MASK)] & mask ? 1 : 0;
	}
	if (want == 2)
		return;
	/* Fail-safe switches off without waiting; it waits, as everything does, before it switches on. */
	if (driven & mask) {
		if (why == WHY_THRESHOLD && held[i] < setting[setting_at])
			return;
	} else if (held[i] < setting[setting_at + 1]) {
		return;
	}
	turn(mask, want);
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
	u8 i, heat = 2, cool = 2;
	i16 v = NO_VALUE;
	if (out[O_SECONDS])
		out[O_SECONDS]--;
	for (i = 0; i < 2; i++)
		if (held[i] < 3600)
			held[i]++;
	i = control_slot();
	out[O_QUALITY] = Q_ABSENT;
	if (i < SENSORS && sensor_rom[i][0]) {
		out[O_QUALITY] = sensor_quality[i];
		if (sensor_age[i] < STALE_S)
			v = sensor_value[i];
	}
	out[O_VALUE] = (u16)v;
	if (v == NO_VALUE) {
		if (bad_for < setting[S(FAILSAFE_DELAY_S)])
			bad_for++;
		else
			out[O_FAILSAFE] = 1;
	} else {
		bad_for = 0;
		out[O_FAILSAFE] = 0;
		if (!settings_reached(S(HEATER_ON), v - 1))
			heat = 1;
		if (settings_reached(S(HEATER_OFF), v))
			heat = 0;
		if (!settings_reached(S(FAN_OFF), v - 1))
			cool = 0;
		if (settings_reached(S(FAN_ON), v))
			cool = 1;
	}
	thermal(1, heat);
	thermal(2, cool);
	timers();
	control_apply();
}

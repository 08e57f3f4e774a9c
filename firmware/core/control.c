#include "node.h"

u16 IDATA out[O_WORDS];

/* Per output of heater and fan: seconds in its state. */
static u16 held[2];
static u16 bad_for;

static u8 control_slot(void)
{
	u8 i, j;
	const u16 XDATA *rom = &setting[S(CONTROL_ROM)];
	if (!(rom[0] | rom[1] | rom[2] | rom[3]))
		return 0;
	for (i = 0; i < SENSORS; i++) {
		for (j = 0; j < 8; j++)
			if (sensor_rom[i][j] != (u8)(j & 1 ? rom[j >> 1] : rom[j >> 1] >> 8))
				break;
		if (j == 8)
			return i;
	}
	return 0xff;
}

/* Switches output i (0 to 5), and says why. */
static void turn(u8 i, u8 on, u8 why)
{
	u8 mask = (u8)(1 << i);
	if (((u8)out[O_OUTPUTS] & mask ? 1 : 0) == on)
		return;
	out[O_OUTPUTS] ^= mask;
	if (i < 2)
		held[i] = 0;
	queue_push(EV_OUTPUT, i, Q_GOOD, (i16)((u16)why << 8 | on));
}

static u8 overridden(u8 i) { return out[O_SECONDS] && (u8)out[O_MASK] & (1 << i); }

/* The thresholds, or the fail-safe state; want is 0 off, 1 on, 2 as it is. */
static void thermal(u8 i, u8 want)
{
	u8 on = (u8)out[O_OUTPUTS] >> i & 1;
	const u16 XDATA *least = &setting[i ? S(FAN_MIN_ON_S) : S(HEATER_MIN_ON_S)];
	u8 safe = (u8)out[O_FAILSAFE];
	if (overridden(i))
		return;
	if (safe)
		want = (u8)setting[S(FAILSAFE_MASK)] >> i & 1;
	if (want == 2 || want == on)
		return;
	/* Fail-safe switches off without waiting; it waits, as everything does, before it switches on. */
	if (on ? !safe && held[i] < least[0] : held[i] < least[1])
		return;
	turn(i, want, safe ? WHY_FAILSAFE : WHY_THRESHOLD);
}

static void timers(void)
{
	u8 i, on;
	u16 from, to, now = (u16)clock[T_HOUR] * 60 + clock[T_MINUTE];
	for (i = 0; i < TIMERS; i++) {
		if (overridden(i + 2))
			continue;
		from = setting[S(TIMER_MINUTES) + 2 * i];
		to = setting[S(TIMER_MINUTES) + 2 * i + 1];
		if (from <= to)
			on = now >= from && now < to;
		else
			on = now >= from || now < to;
		turn(i + 2, on && clock_state == CLOCK_RUNS, WHY_TIMER);
	}
}

void control_apply(void)
{
	u8 i;
	for (i = 0; i < 2 + TIMERS; i++)
		if (overridden(i))
			turn(i, (u8)out[O_STATE] >> i & 1, WHY_OVERRIDE);
	port_outputs((u8)out[O_OUTPUTS]);
}

void control_second(void)
{
	u8 slot = control_slot(), i, heat = 2, cool = 2;
	i16 v = NO_VALUE;
	if (out[O_SECONDS])
		out[O_SECONDS]--;
	for (i = 0; i < 2; i++)
		if (held[i] != 0xffff)
			held[i]++;
	out[O_QUALITY] = Q_ABSENT;
	if (slot < SENSORS && sensor_rom[slot][0]) {
		out[O_QUALITY] = sensor_quality[slot];
		v = sensor_value[slot];
		if (sensor_age[slot] > 30)
			v = NO_VALUE;
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
		if (v <= (i16)setting[S(HEATER_ON)])
			heat = 1;
		if (v >= (i16)setting[S(HEATER_OFF)])
			heat = 0;
		if (v <= (i16)setting[S(FAN_OFF)])
			cool = 0;
		if (v >= (i16)setting[S(FAN_ON)])
			cool = 1;
	}
	thermal(0, heat);
	thermal(1, cool);
	timers();
	control_apply();
}

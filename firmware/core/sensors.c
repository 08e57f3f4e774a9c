#include "node.h"

u8 XDATA sensor_rom[SENSORS][8];
i16 XDATA sensor_value[SENSORS];
u8 XDATA sensor_quality[SENSORS];
u8 XDATA sensor_age[SENSORS];
u8 XDATA sensor_errors[SENSORS];

#define FAMILY 0x28
#define TRIES 3
#define GONE_AFTER 3     /* sweeps without an answer */
#define SEARCH_EVERY 16  /* sweeps */
#define PATIENCE_MS 1000 /* for a conversion */

enum { IDLE, SEARCH, CONVERT, WAIT, READ };
static u8 state = IDLE, at, tries, sweeps;
static u8 XDATA gone[SENSORS];
static u16 since;
static u16 report_in;
static u8 due; /* a sweep is wanted */
static u8 report;

void sensors_rescan(void)
{
	u8 i;
	for (i = 0; i < SENSORS; i++)
		sensor_rom[i][0] = 0;
	state = IDLE;
	sweeps = 0;
	due = 1;
}

void sensors_second(void)
{
	u8 i;
	for (i = 0; i < SENSORS; i++)
		if (sensor_age[i] != 255)
			sensor_age[i]++;
	due = 1;
	if (report_in)
		report_in--;
}

static void found(void)
{
	u8 i, j, free = SENSORS;
	if (ow_found[0] != FAMILY)
		return;
	for (i = 0; i < SENSORS; i++) {
		for (j = 0; j < 8 && sensor_rom[i][j] == ow_found[j]; j++)
			;
		if (j == 8)
			return;
		if (!sensor_rom[i][0] && (free == SENSORS || sensor_rom[free][0]))
			free = i;
		else if (gone[i] >= GONE_AFTER && free == SENSORS)
			free = i;
	}
	if (free == SENSORS)
		return;
	for (j = 0; j < 8; j++)
		sensor_rom[free][j] = ow_found[j];
	sensor_value[free] = NO_VALUE;
	sensor_quality[free] = Q_BAD;
	sensor_age[free] = 255;
	sensor_errors[free] = gone[free] = 0;
	queue_push(EV_SENSOR, free, Q_GOOD, 1);
}

/* One attempt: the quality, and the value in work[0..1]. */
static u8 read(void)
{
	u8 i, crc = 0, zero = 0, ones = 0xff, q = ow_start();
	u8 config = (u8)((setting[S(RESOLUTION)] - 9) << 5) | 0x1f;
	i16 v;
	if (q != Q_GOOD)
		return q;
	ow_select(at);
	ow_write(0xbe);
	for (i = 0; i < 9; i++) {
		work[i] = ow_read();
		crc = crc8(crc, work[i]);
		zero |= work[i];
		ones &= work[i];
	}
	if (ones == 0xff)
		return Q_ABSENT;
	if (!zero)
		return Q_ALL_ZERO;
	if (crc)
		return Q_CRC;
	v = (i16)((u16)work[1] << 8 | work[0]);
	if (work[6] == 0x0c) {
		if (v == 0x0550)
			q = Q_POWER_ON;
		else if (v == 0x07ff)
			q = Q_NO_CONVERSION;
	}
	if (v < -880 || v > 2000)
		q = Q_DEVICE;
	if (work[4] != config && ow_start() == Q_GOOD) {
		ow_select(at);
		ow_write(0x4e);
		ow_write(work[2]);
		ow_write(work[3]);
		ow_write(config);
	}
	return q;
}

static void take(u8 q)
{
	u8 silent = q == Q_ABSENT || q == Q_SHORTED;
	if (q != Q_GOOD) {
		counter[C_ONEWIRE]++;
		sensor_errors[at]++;
		/* A slot with a bad value shows it at once: nobody acts on an old value that looks fresh. */
		if (++tries < TRIES && q != Q_POWER_ON && q != Q_NO_CONVERSION && q != Q_DEVICE)
			return;
		sensor_value[at] = NO_VALUE;
	} else {
		sensor_value[at] = (i16)((u16)work[1] << 8 | work[0]);
		sensor_age[at] = 0;
	}
	sensor_quality[at] = q;
	if (silent) {
		if (gone[at] < 255 && ++gone[at] == GONE_AFTER)
			queue_push(EV_SENSOR, at, q, 0);
	} else {
		if (gone[at] >= GONE_AFTER)
			queue_push(EV_SENSOR, at, Q_GOOD, 1);
		gone[at] = 0;
	}
	if (report)
		queue_push(EV_READING, at, q, sensor_value[at]);
	tries = 0;
	at++;
}

static void end_of_sweep(void)
{
	state = IDLE;
	if (report) {
		report = 0;
		report_in = setting[S(REPORT_S)];
	}
}

static void fail(u8 q)
{
	for (at = 0; at < SENSORS;)
		if (sensor_rom[at][0]) {
			tries = TRIES;
			take(q);
		} else {
			at++;
		}
	end_of_sweep();
}

/* One bounded piece of work: the longest reads one scratchpad, finds one ROM, or both halves of that. */
void sensors_step(void)
{
	u8 q;
	switch (state) {
	case IDLE:
		if (!due)
			return;
		due = 0;
		at = tries = 0;
		report = !report_in;
		state = CONVERT;
		if (!sweeps--) {
			sweeps = SEARCH_EVERY;
			ow_search_begin();
			state = SEARCH;
		}
		return;
	case SEARCH:
		if (ow_search())
			found();
		else
			state = CONVERT;
		return;
	case CONVERT:
		q = ow_start();
		if (q != Q_GOOD) {
			fail(q);
			return;
		}
		ow_write(0xcc);
		ow_write(0x44);
		since = node_ms;
		state = WAIT;
		return;
	case WAIT:
		if (port_ow_slot(1))
			state = READ;
		else if ((u16)(node_ms - since) > PATIENCE_MS)
			fail(Q_TIMEOUT);
		return;
	case READ:
		while (at < SENSORS && !sensor_rom[at][0])
			at++;
		if (at == SENSORS)
			end_of_sweep();
		else
			take(read());
		return;
	}
}

#include "node.h"

u8 FAR sensor_rom[SENSORS][8];
i16 IDATA sensor_value[SENSORS];
u8 IDATA sensor_quality[SENSORS];
u8 IDATA sensor_age[SENSORS];
#if STATISTICS
u8 XDATA sensor_errors[SENSORS];
#endif

#define FAMILY 0x28
#define TRIES 3
#define SEARCH_EVERY 16  /* sweeps */
#define PATIENCE_MS 1000 /* for a conversion */

enum { IDLE, SEARCH, CONVERT, WAIT, READ };
static u8 state = IDLE, at, tries, sweeps;
static u16 since;
static u16 XDATA report_in;
static u8 due; /* a sweep is wanted */
/* Slots, as bits, whose reading is wanted as an event. It waits for room in the queue, with the value of a later sweep,
   until the next report is due; then it is forced. So eight readings do not push each other out of a small queue. */
static u8 report, forced;

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

/* Nobody answers: the sensor is gone, or the line is. */
static u8 silent(u8 q) { return q == Q_ABSENT || q == Q_SHORTED; }

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
		else if (silent(sensor_quality[i]) && free == SENSORS)
			free = i;
	}
	if (free == SENSORS)
		return;
	for (j = 0; j < 8; j++)
		sensor_rom[free][j] = ow_found[j];
	sensor_value[free] = NO_VALUE;
	sensor_quality[free] = Q_BAD;
	sensor_age[free] = 255;
#if STATISTICS
	sensor_errors[free] = 0;
#endif
	queue_push(EV_SENSOR << 4 | free, Q_GOOD, 1);
}

/* One attempt: the quality, and the value in work[0..1]. */
static u8 read(void)
{
	static u8 i, zero, ones, q; /* not locals: the 8051 would save them around each call */
	u8 b;
	i16 v;
	q = ow_start();
	if (q != Q_GOOD)
		return q;
	ow_select(at);
	ow_write(0xbe);
	zero = crc8 = 0;
	ones = 0xff;
	for (i = 0; i < 9; i++) {
		b = ow_read();
		work[i] = b;
		zero |= b;
		ones &= b;
		crc8_add(b);
	}
	if (ones == 0xff)
		return Q_ABSENT;
	if (!zero)
		return Q_ALL_ZERO;
	if (crc8)
		return Q_CRC;
	v = (i16)((u16)work[1] << 8 | work[0]);
	if (v == 0x0550) {
		if (work[6] == 0x0c)
			q = Q_POWER_ON;
	} else if (v == 0x07ff) {
		q = Q_NO_CONVERSION;
	} else if ((u16)(v + 880) > 2880) {
		q = Q_DEVICE;
	}
	i = (u8)((setting[S(RESOLUTION)] - 9) << 5) | 0x1f;
	if (work[4] != i && ow_start() == Q_GOOD) {
		ow_select(at);
		ow_write(0x4e);
		ow_write(work[2]);
		ow_write(work[3]);
		ow_write(i);
	}
	return q;
}

static void take(u8 q)
{
	u8 was;
	if (q != Q_GOOD) {
		bump(C_ONEWIRE);
#if STATISTICS
		sensor_errors[at]++;
#endif
		if (++tries < TRIES && (silent(q) || q == Q_CRC || q == Q_ALL_ZERO))
			return;
		/* A bad value shows at once: nobody acts on an old one that looks fresh. */
		sensor_value[at] = NO_VALUE;
	} else {
		sensor_value[at] = (i16)((u16)work[1] << 8 | work[0]);
		sensor_age[at] = 0;
	}
	was = silent(sensor_quality[at]);
	sensor_quality[at] = q;
	if (silent(q) != was)
		queue_push(EV_SENSOR << 4 | at, q, was);
	was = 1 << at;
	if (report & was) {
		queue_wanted = queue_fill == QUEUE;
		if (!queue_wanted || forced & was) {
			report &= ~was;
			queue_push(EV_READING << 4 | at, q, (u16)sensor_value[at]);
		}
	}
	tries = 0;
	at++;
}

static void end_of_sweep(void)
{
	state = IDLE;
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
		if (!report_in) {
			report_in = setting[S(REPORT_S)];
			forced = report;
			report = 0xff;
		}
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

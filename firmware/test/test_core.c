/* Unit tests of the core: the host port plays the hardware. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "node.h"

static int failures;
#define CHECK(x) do { if (!(x)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #x); failures++; } } while (0)

/* Sends a request without its CRC and lets the node answer; the length of the answer without CRC, 0 if there is none. */
static u16 ask(const u8 *p, u8 n)
{
	u16 sum, k;
	u8 i;
	host_ms += 10;
	modbus_quiet = 10;
	host_sent_len = 0;
	crc16 = 0xffff;
	for (i = 0; i < n; i++) {
		crc16_add(p[i]);
		modbus_receive(p[i], 0);
	}
	sum = crc16;
	modbus_receive((u8)sum, 0);
	modbus_receive((u8)(sum >> 8), 0);
	host_ms += 10;
	modbus_quiet = 10;
	modbus_poll();
	if (!host_sent_len)
		return 0;
	crc16 = 0xffff;
	for (k = 0; k < host_sent_len; k++)
		crc16_add(host_sent[k]);
	CHECK(crc16 == 0);
	return host_sent_len - 2;
}

static u16 get(u16 address)
{
	u8 q[6] = {247, 3, (u8)(address >> 8), (u8)address, 0, 1};
	CHECK(ask(q, 6) == 5);
	return (u16)host_sent[3] << 8 | host_sent[4];
}

/* 0, or the exception. */
static u8 set(u16 address, u16 v)
{
	u8 q[6] = {247, 6, (u8)(address >> 8), (u8)address, (u8)(v >> 8), (u8)v};
	CHECK(ask(q, 6) != 0);
	return host_sent[1] & 0x80 ? host_sent[2] : 0;
}

static u8 acknowledge(u8 life, u32 seq)
{
	u8 q[19] = {247, 16, 1, 0, 0, 6, 12, 0, 0, 0, 0, 0, 0, 0, life, (u8)(seq >> 24), (u8)(seq >> 16), (u8)(seq >> 8), (u8)seq};
	CHECK(ask(q, 19) != 0);
	return host_sent[1] & 0x80 ? host_sent[2] : 0;
}

static void test_crc(void)
{
	static const u8 rom[8] = {0x02, 0x1c, 0xb8, 0x01, 0, 0, 0, 0xa2}; /* Maxim application note 27 */
	static const u8 frame[8] = {0x01, 0x03, 0x00, 0x00, 0x00, 0x0a, 0xc5, 0xcd};
	u8 i;
	crc8 = 0;
	crc16 = 0xffff;
	for (i = 0; i < 8; i++) {
		crc8_add(rom[i]);
		crc16_add(frame[i]);
	}
	CHECK(crc8 == 0 && crc16 == 0);
}

static void test_frames(void)
{
	u8 q[8] = {247, 3, 0, 0, 0, 1};
	u16 errors = counter[C_FRAME_ERRORS];
	CHECK(get(REG_MAGIC) == 0x454c);
	q[0] = 246;
	CHECK(ask(q, 6) == 0); /* somebody else's */
	q[0] = 247;
	q[1] = 7;
	CHECK(ask(q, 6) == 3 && host_sent[2] == 1);
	q[1] = 3;
	q[5] = 126;
	CHECK(ask(q, 6) == 3 && host_sent[2] == 3);
	q[2] = 1, q[3] = 0x79, q[5] = 2;
	CHECK(ask(q, 6) == 3 && host_sent[2] == 2);
	q[5] = 1;
	CHECK(ask(q, 6) == 5);
	CHECK(ask(q, 4) == 0); /* too short */
	CHECK(counter[C_FRAME_ERRORS] == errors + 1);
}

static void test_every_request(void)
{
	/* Nothing that may come hurts; the sanitizers watch. */
	u32 i;
	u8 q[60], n, k;
	srand(1);
	for (i = 0; i < 200000; i++) {
		n = 2 + rand() % 40;
		for (k = 0; k < n; k++)
			q[k] = (u8)rand();
		q[0] = rand() % 8 ? 247 : 0;
		if (rand() % 2)
			q[1] = (u8[]){3, 4, 6, 16, 65}[rand() % 5];
		if (rand() % 2)
			q[2] = rand() % 2, q[4] = 0;
		if (q[1] == 16 && rand() % 2)
			q[5] = (u8)((n - 7) / 2), q[6] = q[5] * 2;
		ask(q, n);
		if (reg_command || host_reset_called)
			host_reset_called = host_boot_called = 0;
	}
}

static void test_queue(void)
{
	u8 q[15] = {247, 16, 1, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 9};
	u32 i;
	CHECK(acknowledge(9, 1) == 3); /* no incarnation yet */
	CHECK(ask(q, 15) == 6 && !(host_sent[1] & 0x80));
	CHECK(acknowledge(8, 1) == 3 && acknowledge(9, 2) == 3);
	CHECK(acknowledge(9, 1) == 0 && queue_fill == 0);
	for (i = 0; i < QUEUE; i++)
		queue_push(EV_TEST << 4, 0, (u16)i);
	CHECK(queue_fill == QUEUE && counter[C_OVERFLOWS_LOW] == 0);
	queue_push(EV_TEST << 4, 0, i);
	CHECK(queue_fill == QUEUE && counter[C_OVERFLOWS_LOW] == 1 && get(REG_RELEASED + 1) == 2);
	CHECK(get(REG_EVENT_BLOCK + 3) == 1); /* the oldest that is left */
	CHECK(acknowledge(9, 1) == 0 && queue_fill == QUEUE);
	/* Sequences beyond 65,536 and over the whole queue. */
	for (i = 0; i < 66000u - 18; i++)
		queue_push(EV_TEST << 4, 0, i);
	CHECK(get(REG_RELEASED) == 0x0001 && get(REG_FILL) == QUEUE);
	CHECK(acknowledge(9, 66001) == 3);
	CHECK(acknowledge(9, 66000 - QUEUE + 5) == 0 && queue_fill == QUEUE - 5);
	CHECK(acknowledge(9, 66000) == 0 && queue_fill == 0);
	CHECK(acknowledge(9, 0) == 0 && acknowledge(9, 0x80010000u) == 3);
}

/* Function 65: the exception, or 0 with an answer of n events. */
static u8 take(u8 life, u32 seq, u8 *n)
{
	u8 q[10] = {247, 65, 0, 0, 0, life, (u8)(seq >> 24), (u8)(seq >> 16), (u8)(seq >> 8), (u8)seq};
	u16 len = ask(q, 10);
	CHECK(len != 0);
	if (host_sent[1] & 0x80)
		return host_sent[2];
	CHECK(len == 3u + host_sent[2] && (host_sent[2] - 12) % 6 == 0);
	*n = (u8)((host_sent[2] - 12) / 6);
	return 0;
}

static void test_take(void)
{
	u8 q[11] = {247, 65, 0, 0, 0, 9, 0, 0, 0, 0, 0}, n = 0, i;
	u32 seq = (u32)queue_head[4] << 16 | queue_head[5];
	CHECK(queue_fill == 0 && take(8, seq, &n) == 3 && take(0, seq, &n) == 3 && take(9, seq + 1, &n) == 3);
	CHECK(ask(q, 11) == 3 && host_sent[2] == 3 && ask(q, 9) == 3 && host_sent[2] == 3);
	q[0] = 0;
	CHECK(ask(q, 10) == 0); /* not for all */
	CHECK(take(9, seq, &n) == 0 && n == 0 && host_sent[8] == 0);
	for (i = 0; i < 3; i++) {
		queue_push(EV_TEST << 4 | 5, 132, 1000 + i);
		host_ms += 1000;
	}
	CHECK(take(9, seq, &n) == 0 && n == 3);
	CHECK(((u32)host_sent[3] << 24 | (u32)host_sent[4] << 16 | (u32)host_sent[5] << 8 | host_sent[6]) == seq);
	for (i = 0; i < 3; i++) {
		const u8 *e = host_sent + 15 + 6 * i;
		u16 age = (u16)(e[2] << 8 | e[3]);
		CHECK(e[0] == 0x75 && e[1] == 132 && (u16)(e[4] << 8 | e[5]) == 1000 + i);
		CHECK(age == 3000 - 1000 * i + 20); /* and what ask lets pass */
	}
	CHECK(take(9, seq + 2, &n) == 0 && n == 1 && queue_fill == 1);
	CHECK(take(9, seq + 1, &n) == 0 && n == 1); /* a repeat */
	host_ms += 65000;
	CHECK(take(9, seq, &n) == 0 && host_sent[17] == 0xff && host_sent[18] == 0xff); /* too old to tell */
	/* What TEST_EVENTS wants is there in the same answer. */
	CHECK(set(REG_TEST_EVENTS, 2 * QUEUE) == 0);
	CHECK(take(9, seq + 3, &n) == 0 && n == QUEUE && queue_fill == QUEUE);
	CHECK(take(9, seq + 3 + QUEUE, &n) == 0 && n == QUEUE);
	CHECK(take(9, seq + 3 + 2 * QUEUE, &n) == 0 && n == 0);
}

static void test_settings_at_every_cut(void)
{
	u16 old = 300, fresh, got;
	int cut;
	set(REG_HEATER_ON, old);
	CHECK(set(REG_SAVE, 0x5341) == 0);
	for (cut = 1; cut < 140; cut++) {
		fresh = (u16)(100 + cut);
		set(REG_HEATER_ON, fresh);
		host_store_cut = cut;
		settings_save();
		host_store_cut = -1;
		settings_load(); /* the next boot */
		got = setting[S(HEATER_ON)];
		CHECK(got == old || got == fresh);
		CHECK(settings_state == 0);
		old = got;
	}
	memset(host_store, 0x11, sizeof host_store);
	settings_state = 2;
	settings_load();
	CHECK(settings_state == 2 && setting[S(UNIT)] == 247 && setting[S(HEATER_ON)] == 384);
}

static void test_boots_at_every_cut(void)
{
	u16 last;
	int cut;
	memset(host_store, 0xff, sizeof host_store);
	node_boots = 0;
	boots_count();
	last = node_boots;
	CHECK(last == 1);
	for (cut = 1; cut < 300; cut++) {
		host_store_cut = 1 + cut % 7;
		node_boots = 0; /* as a boot finds it */
		boots_count();
		host_store_cut = -1;
		node_boots = 0;
		boots_count();
		CHECK(node_boots > last && node_boots <= last + 2);
		last = node_boots;
	}
}

static void seconds(u16 n)
{
	while (n--) {
		host_ms += 1000;
		control_second();
	}
}

static void feel(i16 v)
{
	sensor_rom[0][0] = 0x28;
	sensor_value[0] = v;
	sensor_quality[0] = v == NO_VALUE ? Q_CRC : Q_GOOD;
	sensor_age[0] = 0;
}

static void test_control(void)
{
	settings_state = 2;
	memset(host_store, 0xff, sizeof host_store);
	settings_load();
	feel(20 * 16);
	seconds(59);
	CHECK(host_outputs == 0 || host_outputs == 1); /* the minimum time off counts from boot */
	seconds(3600);
	CHECK(host_outputs == 1);
	feel(24 * 16 + 8);
	seconds(100);
	CHECK(host_outputs == 1);
	feel(25 * 16);
	seconds(2);
	CHECK(host_outputs == 0);
	feel(20 * 16);
	seconds(30);
	CHECK(host_outputs == 0); /* not yet 60 s off */
	seconds(40);
	CHECK(host_outputs == 1);
	feel(30 * 16);
	seconds(70);
	CHECK(host_outputs == 2);
	feel(NO_VALUE);
	seconds(29);
	CHECK(host_outputs == 2);
	seconds(5);
	CHECK(host_outputs == 0 && out[O_FAILSAFE] == 1);
	set(REG_OVERRIDE_MASK, 5);
	set(REG_OVERRIDE_STATE, 5);
	CHECK(set(REG_OVERRIDE_S, 10) == 0 && host_outputs == 5);
	seconds(12);
	CHECK(host_outputs == 0);
	feel(-20 * 16);
	sensor_age[0] = 200; /* good, but nobody has read it for long */
	seconds(100);
	CHECK(host_outputs == 0 && out[O_FAILSAFE] == 1);
}

static void test_clock(void)
{
	u8 q[15] = {247, 16, 0, 0x90, 0, 4, 8, 0x07, 0xea, 2, 28, 23, 59, 58, 6};
	CHECK(ask(q, 15) == 6 && !(host_sent[1] & 0x80));
	CHECK(!memcmp(host_rtc, (u8[]){0x58, 0x59, 0x23, 0x28, 0x02, 0x06, 0x26, 0x80}, 8));
	q[0] = 0; /* to all: obeyed, not answered */
	q[12] = 58;
	CHECK(ask(q, 15) == 0 && host_rtc[1] == 0x58);
	q[3] = 0xa8;
	CHECK(ask(q, 15) == 0 && get(REG_HEATER_ON) == 384); /* settings are not for all */
	q[0] = 247, q[3] = 0x90, q[9] = 13;
	CHECK(ask(q, 15) == 3 && host_sent[2] == 3 && host_rtc[4] == 0x02);
	host_rtc[2] = 0x3a;
	clock_read();
	CHECK(clock_state == CLOCK_ODD);
	memset(host_rtc, 0xff, 8);
	clock_read();
	CHECK(clock_state == CLOCK_ABSENT);
}

/* One chip on the line, slot by slot. */
static u8 chip_rom[8] = {0x28, 1, 2, 3, 4, 5, 0}, chip_pad[9], chip_command, chip_function;
static u16 chip_bit;

static u8 chip_reset(void)
{
	chip_bit = chip_command = chip_function = 0;
	return 0;
}

static u8 chip_slot(u8 b)
{
	u16 n = chip_bit++, k;
	u8 id;
	if (n < 8) {
		chip_command |= (u8)(b << n);
		return b;
	}
	n -= 8;
	if (chip_command == 0xf0) {
		k = n / 3;
		id = chip_rom[k >> 3] >> (k & 7) & 1;
		return n % 3 == 2 ? b : n % 3 ? !id : id;
	}
	if (chip_command == 0x55) {
		if (n < 64)
			return b;
		n -= 64;
	}
	if (n < 8) {
		chip_function |= (u8)(b << n);
		return b;
	}
	n -= 8;
	return chip_function == 0xbe && n < 72 ? chip_pad[n >> 3] >> (n & 7) & 1 : b;
}

static u8 sealed(u8 *p, u8 n)
{
	u8 i;
	crc8 = 0;
	for (i = 0; i < n; i++)
		crc8_add(p[i]);
	return crc8;
}

/* A sweep with this in the chip's scratchpad: what its sensor is said to be. */
static u8 measured(u16 raw, u8 six)
{
	u8 pad[8] = {(u8)raw, (u8)(raw >> 8), 75, 70, 0x7f, 0xff, six, 0x10};
	u16 i;
	memcpy(chip_pad, pad, 8);
	chip_pad[8] = sealed(chip_pad, 8);
	sensors_rescan();
	for (i = 0; i < 200; i++) {
		host_ms += 5;
		node_ms = (u16)host_ms;
		sensors_step();
	}
	CHECK(sensor_rom[0][0] == 0x28);
	return sensor_quality[0];
}

static void test_values(void)
{
	chip_rom[7] = sealed(chip_rom, 7);
	host_ow_reset = chip_reset;
	host_slot = chip_slot;
	setting[S(RESOLUTION)] = 12;
	CHECK(measured(0x0191, 0x0f) == Q_GOOD && sensor_value[0] == 0x0191);
	CHECK(measured(0x0550, 0x0c) == Q_POWER_ON && sensor_value[0] == NO_VALUE);
	CHECK(measured(0x0550, 0x10) == Q_GOOD);
	CHECK(measured(0x07ff, 0x0c) == Q_NO_CONVERSION && sensor_value[0] == NO_VALUE);
	CHECK(measured(0x07d0, 0x10) == Q_GOOD && sensor_value[0] == 125 * 16);
	CHECK(measured(0x07d1, 0x0f) == Q_DEVICE);
	CHECK(measured(0xfc90, 0x10) == Q_GOOD && sensor_value[0] == -55 * 16);
	CHECK(measured(0xfc8f, 0x01) == Q_DEVICE);
	host_ow_reset = 0;
	host_slot = 0;
	sensors_rescan();
}

int main(void)
{
	memset(host_store, 0xff, sizeof host_store);
	node_init();
	CHECK(queue_fill == 1 && node_boots == 1);
	test_crc();
	test_frames();
	test_queue();
	test_take();
	test_settings_at_every_cut();
	test_boots_at_every_cut();
	test_control();
	test_values();
	test_clock();
	test_every_request();
	if (failures) {
		printf("core: %d checks failed\n", failures);
		return 1;
	}
	printf("core: all checks hold\n");
	return 0;
}

/*
 * A node of one's own: it counts the pulses of a water meter (an open collector at PB5 of an ATmega328P) and leaves the
 * rest to the core: events with exactly once, settings, Modbus, clock, 1-Wire. This file takes the place of core/node.c.
 *
 * Source 8 is the first that the core does not use. The value of its readings is the number of pulses since the reading
 * before; so nothing is counted twice when an event is lost with the node, and a lost one is known by its sequence.
 */
#include <avr/io.h>
#include "node.h"

#define SOURCE 8
#define DEBOUNCE_MS 20

/* What the core expects of a node's main file, beside node_init and node_turn: the low word of the time of this turn. */
u16 node_ms;

static u16 second_at, changed_at, pulses, report_in;
static u8 level = 1;

void node_init(void)
{
	PORTB |= _BV(5); /* pull-up */
	node_life[2] = port_reset_cause();
	settings_load();
	boots_count();
	queue_push(EV_BOOT << 4, Q_GOOD, node_life[2]);
	second_at = (u16)port_ms();
	sensors_rescan();
	modbus_start((u8)setting[S(UNIT)], (u8)setting[S(BAUD)]);
}

/* A pulse is a falling edge that holds. */
static void look(void)
{
	u8 now = PINB & _BV(5) ? 1 : 0;
	if (now == level) {
		changed_at = node_ms;
		return;
	}
	if ((u16)(node_ms - changed_at) < DEBOUNCE_MS)
		return;
	level = now;
	if (!now && pulses < 0x7fff)
		pulses++;
}

static void second(void)
{
	second_at += 1000;
	reg_second();
	clock_read();
	sensors_second();
	if (report_in--)
		return;
	report_in = setting[S(REPORT_S)] - 1;
	queue_push(EV_READING << 4 | SOURCE, Q_GOOD, pulses);
	pulses = 0;
}

/* One turn of the main loop: short pieces of work, and a look at the line between them. */
void node_turn(void)
{
	node_ms = (u16)port_ms();
	port_watchdog();
	modbus_poll();
	queue_test();
	look();
	if ((u16)(node_ms - second_at) >= 1000)
		second();
	else
		sensors_step();
}

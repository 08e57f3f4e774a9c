#include "node.h"

u16 IDATA counter[COUNTERS];
u32 node_seconds;
u16 node_ms;
u32 node_serial;
u8 node_cause;
static u16 second_at;
static u8 turn;

void node_init(void)
{
	port_outputs(0);
	node_cause = port_reset_cause();
	settings_load();
	boots_count();
	node_serial = (u32)setting[S(NEW_SERIAL)] << 16 | setting[S(NEW_SERIAL) + 1];
	queue_push(EV_BOOT, 0, Q_GOOD, node_cause);
	node_ms = second_at = (u16)port_ms();
	sensors_rescan();
	modbus_start((u8)setting[S(UNIT)], (u8)setting[S(BAUD)]);
}

/* Once a second, what is due: never more than one of the slow parts between two looks at the line. */
static void second(void)
{
	second_at += 1000;
	node_seconds++;
	reg_second();
	clock_read();
	sensors_second();
	control_second();
}

void node_turn(void)
{
	u16 began = (u16)port_ms(), took;
	node_ms = began;
	port_watchdog();
	modbus_poll();
	queue_test();
	if ((u16)(node_ms - second_at) >= 1000)
		second();
	else if (++turn & 1)
		sensors_step();
	else
		lcd_step();
	took = (u16)port_ms() - began;
	if (took > counter[C_LOOP])
		counter[C_LOOP] = took;
}

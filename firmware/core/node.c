#include "node.h"

u16 node_ms;
static u16 second_at;
static u8 turn;

void node_init(void)
{
	port_outputs(0);
	node_life[2] = port_reset_cause();
	settings_load();
	boots_count();
	queue_push(EV_BOOT << 4, Q_GOOD, node_life[2]);
	out[O_VALUE] = (u16)NO_VALUE;
	out[O_QUALITY] = Q_BAD;
	node_ms = second_at = (u16)port_ms();
	sensors_rescan();
	modbus_start((u8)setting[S(UNIT)], (u8)setting[S(BAUD)]);
}

/* Once a second, what is due: never more than one of the slow parts between two looks at the line. */
static void second(void)
{
	second_at += 1000;
	reg_second();
	clock_read();
	sensors_second();
	control_second();
}

void node_turn(void)
{
#if STATISTICS
	u16 took;
#endif
	node_ms = (u16)port_ms();
	port_watchdog();
	modbus_poll();
	queue_test();
	if ((u16)(node_ms - second_at) >= 1000)
		second();
	else if (++turn & 1)
		sensors_step();
	else
		lcd_step();
#if STATISTICS
	took = (u16)port_ms() - node_ms;
	if (took > counter[C_LOOP])
		counter[C_LOOP] = took;
#endif
}

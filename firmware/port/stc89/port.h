/* STC89C52RC (8052, 12 clocks a cycle) at 11.0592 MHz: 8 KiB flash, 256 B RAM, 256 B XRAM. Pins in port.c. */
#define XDATA __xdata
#define IDATA __idata
#define CODE __code
#define INTERRUPT_CALL __using(1)
#define CHIP 1
#ifndef QUEUE
#define QUEUE 9
#endif
#define FEATURES 0x1f
#define BAUD_MOST 0
extern volatile u8 port_ticks;
#define port_tick() port_ticks
void uart_interrupt(void) __interrupt(4) __using(1);
void tick_interrupt(void) __interrupt(5) __using(1);
#include "port_api.h"

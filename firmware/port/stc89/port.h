/*
 * STC89C52RC (8052, 12 clocks a cycle) at 11.0592 MHz: 8 KiB flash, 256 B RAM, 256 B XRAM. With STC89C54 defined, the
 * STC89C54RD+, pin for pin the same: 16 KiB flash, 1 KiB XRAM, room for the display. Pins in port.c.
 */
#define CODE __code
#define PORT_CRC16
#define INTERRUPT_CALL __using(1)
#define XDATA __pdata
#define CHIP 1
#ifdef STC89C54
#define IDATA __pdata
#define FAR __xdata
#define QUEUE 64
#define LCD_PAGES 6
#else
#define IDATA __idata
#define QUEUE 7
#define LCD_PAGES 0
#define STATISTICS 0
#define WRITE_WORDS 8
#endif
#define FEATURES (0x1e | (LCD_PAGES > 0))
#define BAUD_MOST 0
void uart_interrupt(void) __interrupt(4) __using(1);
void tick_interrupt(void) __interrupt(5);
#include "port_api.h"

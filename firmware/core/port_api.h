/*
 * What a port gives to the core. port.h of the port includes this file after its macros.
 * A port also starts a tick of 1 ms that calls modbus_tick, and calls modbus_receive for every character of the UART; neither interrupts the other.
 */
#ifndef PORT_API_H
#define PORT_API_H

u32 port_ms(void);         /* since boot, wraps */
void port_watchdog(void);  /* the main loop turns */
u8 port_reset_cause(void); /* RESET_… of this life */
void port_reset(void);     /* does not return */
u8 port_boot(void);        /* enters the bootloader; returns if that is impossible */

void port_uart(u8 baud); /* code of the BAUD register; 8N1 */
void port_talk(u8 on);   /* the driver of the RS-485 pair; off waits for the last stop bit */
void port_send(u8 b);

u8 port_ow_reset(void);    /* reset pulse: 0 presence, 1 nobody, 2 the line stays low */
u8 port_ow_slot(u8 b);     /* one slot: writes b; the level sampled, when b is 1 */

void port_outputs(u8 mask); /* bit 0 heater, 1 fan, 2–5 timed */

void port_lcd(u8 v);          /* bits 7–4 to D7–D4, bit 0 to RS, then a pulse on E */
void port_delay_us(u8 us);    /* at least; below 250 */

void port_rtc_select(u8 on);  /* CE of the DS1302; on leaves SCLK low */
void port_rtc_write(u8 b);    /* eight bits, low first */
u8 port_rtc_read(void);

/* Settings memory: four slots of at least 128 bytes that can be erased alone; erased bytes read as 0xff; a written byte
   cannot be written again before an erase. All work on port_slot. */
extern u8 port_slot;
u8 port_store_read(u8 at);
void port_store_erase(void);
void port_store_write(u8 at, u8 b);

#endif

#include <string.h>
#include "node.h"

u32 host_ms;
u8 host_store[4][128];
int host_store_cut = -1;
u8 host_outputs, host_sent[300], host_reset_called, host_boot_called;
u16 host_sent_len;
u8 host_rtc[8];
u8 (*host_slot)(u8 b);
u8 (*host_ow_reset)(void);
u8 port_slot;
static u8 rtc_at, rtc_command, rtc_state;

u32 port_ms(void) { return host_ms; }
void port_watchdog(void) {}
u8 port_reset_cause(void) { return RESET_POWER; }
void port_reset(void) { host_reset_called = 1; }
u8 port_boot(void) { host_boot_called = 1; return 1; }
void port_uart(u8 baud) { (void)baud; }
void port_talk(u8 on) { if (on) host_sent_len = 0; }
void port_send(u8 b) { host_sent[host_sent_len++] = b; }
u8 port_ow_reset(void) { return host_ow_reset ? host_ow_reset() : 1; }
u8 port_ow_slot(u8 b) { return host_slot ? host_slot(b) : b; }
void port_outputs(u8 mask) { host_outputs = mask; }
void port_lcd(u8 v) { (void)v; }
void port_delay_us(u8 us) { (void)us; }

void port_rtc_select(u8 on) { rtc_state = 0; rtc_at = 0; (void)on; }

void port_rtc_write(u8 b)
{
	if (!rtc_state) {
		rtc_command = b;
		rtc_state = 1;
	} else if (rtc_command == 0xbe && rtc_at < 8) {
		host_rtc[rtc_at++] = b;
	}
}

u8 port_rtc_read(void) { return host_rtc[rtc_at++ & 7]; }

u8 port_store_read(u8 at) { return host_store[port_slot][at]; }

void port_store_erase(void)
{
	if (!host_store_cut)
		return;
	if (host_store_cut > 0 && !--host_store_cut) {
		memset(host_store[port_slot], 0xff, 40); /* half of it */
		return;
	}
	memset(host_store[port_slot], 0xff, 128);
}

void port_store_write(u8 at, u8 b)
{
	if (!host_store_cut)
		return;
	if (host_store_cut > 0 && !--host_store_cut)
		b |= 0x5a; /* some of its bits */
	host_store[port_slot][at] &= b;
}

/*
 * STC89C52RC at 11.0592 MHz:
 *
 *     P3.0 RXD, P3.1 TXD, P3.2 low: talk (an inverter leads to DE and /RE, because pins are high in reset)
 *     P3.7 1-Wire (4.7 kΩ to 5 V)        P3.4 CE, P3.6 I/O, P3.5 SCLK of the DS1302
 *     P1.0–P1.3 D4–D7, P1.4 RS, P1.5 E of the LCD (R/W to ground)
 *     P2.0 heater, P2.1 fan, P2.2–P2.5 timed outputs 1–4: low is on, so that a reset switches all off
 *
 * The settings memory is the data flash at 0x2000: a sector of 512 bytes for each slot. While it is erased or written
 * the processor stands still (about 20 ms and 60 µs): timer 0 measures how many ticks an erase swallows.
 */
#include <8052.h>
#include "node.h"

__sfr __at(0xe1) WDT_CONTR;
__sfr __at(0xe2) ISP_DATA;
__sfr __at(0xe3) ISP_ADDRH;
__sfr __at(0xe4) ISP_ADDRL;
__sfr __at(0xe5) ISP_CMD;
__sfr __at(0xe6) ISP_TRIG;
__sfr __at(0xe7) ISP_CONTR;

#define DQ P3_7
#define LISTEN P3_2
#define RTC_CE P3_4
#define RTC_IO P3_6
#define RTC_CLK P3_5
#define LCD_E P1_5

#define WATCHDOG 0x34  /* on, cleared, 32 × 32,768 × 12 clocks: 1.1 s */
#define POWER_FLAG 0x10
#define ISP_ON 0x81    /* wait states for less than 20 MHz */
#define MARK 0xb5

volatile u32 ms;
static volatile __bit sent;
u8 phase;
#ifdef STC89C54
static __xdata __at(0x3ff) u8 mark;
#else
static __pdata __at(0xff) u8 mark;
#endif
/* mark is what the life before left behind: not cleared at the start */

/* Before RAM is cleared: the cause goes to timer 0, which nobody has used yet. */
unsigned char _sdcc_external_startup(void)
{
	u8 cause = RESET_PIN;
	WDT_CONTR |= WATCHDOG;
	if (PCON & POWER_FLAG)
		cause = RESET_POWER;
	else if (mark == MARK)
		cause = RESET_COMMAND;
	else if (WDT_CONTR & 0x80)
		cause = RESET_WATCHDOG;
	PCON &= ~POWER_FLAG;
	WDT_CONTR = WATCHDOG;
	mark = 0;
	TMOD = 0x21; /* timer 0 counts 16 bits, timer 1 makes the baud rate */
	TH0 = cause;
	return 0;
}

/* A millisecond: modbus_tick, and 921.6 cycles, which is three times 922 and twice 921. */
void tick_interrupt(void) __interrupt(5) __naked
{
	__asm
	push	acc
	push	psw
	clr	_TF2
	mov	a,_modbus_quiet
	inc	a
	jz	00001$
	mov	_modbus_quiet,a
00001$:
	clr	a
	inc	_ms
	cjne	a,_ms,00002$
	inc	(_ms + 1)
	cjne	a,(_ms + 1),00002$
	inc	(_ms + 2)
	cjne	a,(_ms + 2),00002$
	inc	(_ms + 3)
00002$:
	inc	_phase
	mov	a,_phase
	cjne	a,#5,00003$
	clr	a
	mov	_phase,a
00003$:
	rrc	a
	clr	a
	addc	a,#0x66
	mov	_RCAP2L,a
	pop	psw
	pop	acc
	reti
	__endasm;
}

void uart_interrupt(void) __interrupt(4) __using(1)
{
	if (RI) {
		RI = 0;
		modbus_receive(SBUF, 0);
	}
	if (TI) {
		TI = 0;
		sent = 1;
	}
}

u32 port_ms(void)
{
	u32 v;
	ET2 = 0;
	v = ms;
	ET2 = 1;
	return v;
}

void port_watchdog(void) { WDT_CONTR = WATCHDOG; }
u8 port_reset_cause(void) { return TH0; }

void port_reset(void)
{
	EA = 0;
	mark = MARK;
	ISP_CONTR = 0x20; /* to the application */
	for (;;)
		;
}

u8 port_boot(void)
{
	EA = 0;
	P2 = 0xff;
	ISP_CONTR = 0x60; /* to the loader in ROM */
	for (;;)
		;
}

void port_uart(u8 baud)
{
	(void)baud;
	TH1 = TL1 = 0xfd; /* 9600 */
	SCON = 0x50;
	TR1 = 1;
	RCAP2H = 0xfc;
	RCAP2L = 0x66;
	TH2 = 0xfc;
	TR2 = 1;
	ET2 = ES = EA = 1;
	sent = 1;
}

void port_talk(u8 on)
{
	if (!on) {
		while (!sent)
			;
		port_delay_us(110); /* TI comes when the stop bit begins */
	}
	LISTEN = !on;
}

void port_send(u8 b)
{
	while (!sent)
		;
	WDT_CONTR = WATCHDOG;
	sent = 0;
	SBUF = b;
}

/* A cycle is 1.085 µs; DJNZ takes two. */
u8 port_ow_reset(void) __naked
{
	__asm
	clr	_P3_7
	mov	r7,#226
	djnz	r7,.	; 490 us
	clr	_EA
	setb	_P3_7
	mov	r7,#32
	djnz	r7,.	; 70 us
	mov	c,_P3_7
	setb	_EA
	mov	r7,#194
	djnz	r7,.	; 421 us
	mov	dpl,#2
	jnb	_P3_7,00001$
	clr	a
	rlc	a
	mov	dpl,a
00001$:
	ret
	__endasm;
}

u8 port_ow_slot(u8 b) __naked
{
	(void)b;
	__asm
	mov	a,dpl
	add	a,#0xff	; carry: not 0
	clr	_EA
	clr	_P3_7
	nop
	nop
	mov	_P3_7,c	; 5 us
	nop
	nop
	nop
	nop
	nop
	mov	c,_P3_7	; 11 us
	mov	r7,#23
	djnz	r7,.	; 62 us
	setb	_P3_7
	setb	_EA
	clr	a
	rlc	a
	mov	dpl,a
	ret
	__endasm;
}

void port_outputs(u8 mask) { P2 = ~mask; }

void port_lcd(u8 v)
{
	u8 d = v >> 4;
	if (v & 1)
		d |= 0x10;
	P1 = 0xc0 | d;
	LCD_E = 1;
	LCD_E = 0;
}

void port_delay_us(u8 us) __naked
{
	(void)us;
	__asm
	mov	a,dpl
	clr	c
	rrc	a
	inc	a
	mov	r7,a
	djnz	r7,.
	ret
	__endasm;
}

void port_rtc_select(u8 on)
{
	RTC_CE = 0;
	RTC_CLK = 0;
	if (on)
		RTC_CE = 1;
}

void port_rtc_write(u8 b)
{
	u8 i;
	for (i = 8; i; i--) {
		RTC_IO = b & 1;
		RTC_CLK = 1;
		b >>= 1;
		RTC_CLK = 0;
	}
	RTC_IO = 1;
}

u8 port_rtc_read(void)
{
	u8 i, b = 0;
	for (i = 8; i; i--) {
		b >>= 1;
		if (RTC_IO)
			b |= 0x80;
		RTC_CLK = 1;
		RTC_CLK = 0;
	}
	return b;
}

/* One byte more of the CRC of Modbus: 130 us. */
void crc16_add(u8 b) __naked
{
	(void)b;
	__asm
	mov	a,dpl
	xrl	_crc16,a
	mov	r7,#8
00001$:
	clr	c
	mov	a,_crc16+1
	rrc	a
	mov	_crc16+1,a
	mov	a,_crc16
	rrc	a
	mov	_crc16,a
	jnc	00002$
	xrl	_crc16,#0x01
	xrl	_crc16+1,#0xa0
00002$:
	djnz	r7,00001$
	ret
	__endasm;
}

/* --- settings memory --- */
u8 port_slot;

static void isp(u8 command)
{
	ISP_CONTR = ISP_ON;
	ISP_ADDRH = 0x20 | port_slot << 1;
	ISP_CMD = command;
	EA = 0;
	ISP_TRIG = 0x46;
	ISP_TRIG = 0xb9;
	ISP_CMD = 0;
	ISP_CONTR = 0;
	EA = 1;
}

u8 port_store_read(u8 at)
{
	ISP_ADDRL = at;
	isp(1);
	return ISP_DATA;
}

void port_store_erase(void)
{
	ISP_ADDRL = 0;
	TH0 = TL0 = 0;
	TR0 = 1;
	isp(3);
	TR0 = 0;
	__asm
	mov	a,_TH0	; 256 cycles are 0.2778 ms, about 71 / 256
	mov	b,#71
	mul	ab
	mov	a,b
	clr	_ET2
	add	a,_ms
	mov	_ms,a
	clr	a
	addc	a,(_ms + 1)
	mov	(_ms + 1),a
	clr	a
	addc	a,(_ms + 2)
	mov	(_ms + 2),a
	clr	a
	addc	a,(_ms + 3)
	mov	(_ms + 3),a
	setb	_ET2
	__endasm;
}

void port_store_write(u8 at, u8 b)
{
	ISP_ADDRL = at;
	ISP_DATA = b;
	isp(2);
}

void main(void)
{
	node_init();
	for (;;)
		node_turn();
}

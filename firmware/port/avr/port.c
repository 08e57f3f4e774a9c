/*
 * ATmega328P at 16 MHz:
 *
 *     PD0 RXD, PD1 TXD, PD2 DE and /RE of the RS-485 driver
 *     PB0 1-Wire (4.7 kΩ to 5 V)            PD3 CE, PD4 I/O, PD5 SCLK of the DS1302
 *     PC0–PC3 D4–D7, PC4 RS, PC5 E of the LCD (R/W to ground)
 *     PD6 heater, PD7 fan, PB1–PB4 timed outputs 1–4: high is on
 *
 * Fuses: brown-out detection at 4.3 V (BODLEVEL 100), so that no EEPROM write runs at a low supply.
 */
#include <avr/io.h>
#include <avr/eeprom.h>
#include <avr/interrupt.h>
#include <avr/pgmspace.h>
#include <avr/wdt.h>
#include "node.h"
#define F_CPU 16000000UL
#include <util/delay.h>

#define SLOT_BYTES 128
#define BOOT_START 0x7e00
#define MARK_COMMAND 0xb5a1

static volatile u32 ms;
static u8 cause __attribute__((section(".noinit")));
static u16 mark __attribute__((section(".noinit"))); /* what the life before left behind */
static u16 alive __attribute__((section(".noinit"))); /* RAM has kept its contents */
#define ALIVE 0x3c99

/* Runs before RAM is set up: the watchdog of the life before still runs. A bootloader that clears MCUSR leaves it 0. */
void first(void) __attribute__((naked, used, section(".init3")));
void first(void)
{
	u8 flags = MCUSR;
	MCUSR = 0;
	wdt_disable();
	if (flags & _BV(PORF))
		cause = RESET_POWER;
	else if (flags & _BV(BORF))
		cause = RESET_BROWNOUT;
	else if (mark == MARK_COMMAND && alive == ALIVE)
		cause = RESET_COMMAND;
	else if (flags & _BV(WDRF))
		cause = RESET_WATCHDOG;
	else if (flags & _BV(EXTRF))
		cause = RESET_PIN;
	else
		cause = alive == ALIVE ? RESET_BOOTLOADER : RESET_UNKNOWN;
	mark = 0;
	alive = ALIVE;
}

ISR(TIMER0_COMPA_vect)
{
	ms++;
	modbus_tick();
}

u32 port_ms(void)
{
	u32 v;
	u8 s = SREG;
	cli();
	v = ms;
	SREG = s;
	return v;
}

void port_watchdog(void) { wdt_reset(); }
u8 port_reset_cause(void) { return cause; }

void port_reset(void)
{
	cli();
	mark = MARK_COMMAND;
	wdt_enable(WDTO_15MS);
	for (;;)
		;
}

/*
 * Optiboot starts its loader only after a reset by the pin, and clears MCUSR: no software can make that up. Behind its
 * test (SBRS r,EXTRF and the jump to the application) the loader can be entered as after such a reset. A
 * bootloader without that test is not entered.
 */
u8 port_boot(void)
{
	u16 at;
	for (at = BOOT_START; at < BOOT_START + 64; at += 2) {
		if ((pgm_read_word(at) & 0xfe0f) != (0xfe00 | EXTRF))
			continue;
		cli();
		port_outputs(0);
		TIMSK0 = 0;
		UCSR0B = _BV(RXEN0) | _BV(TXEN0);
		SP = RAMEND;
		at = (at + 4) >> 1;
		__asm__ volatile("clr r1\n ijmp" : : "z"(at));
	}
	return 0;
}

/* --- UART --- */
static const u16 divisor[] PROGMEM = {207, 103, 34, 16}; /* with U2X */

void port_uart(u8 baud)
{
	UCSR0A = _BV(U2X0);
	UBRR0 = pgm_read_word(&divisor[baud]);
	UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
	UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

ISR(USART_RX_vect)
{
	u8 bad = UCSR0A & (_BV(FE0) | _BV(DOR0));
	modbus_receive(UDR0, bad);
}

void port_talk(u8 on)
{
	if (on) {
		PORTD |= _BV(2);
		return;
	}
	while (!(UCSR0A & _BV(TXC0)))
		;
	PORTD &= ~_BV(2);
}

void port_send(u8 b)
{
	wdt_reset();
	while (!(UCSR0A & _BV(UDRE0)))
		;
	UCSR0A |= _BV(TXC0);
	UDR0 = b;
}

/* --- 1-Wire: PORTB0 stays 0, the direction pulls --- */
#define LOW() (DDRB |= _BV(0))
#define RELEASE() (DDRB &= ~_BV(0))
#define LEVEL() (PINB & _BV(0))

u8 port_ow_reset(void)
{
	u8 nobody, s = SREG;
	LOW();
	_delay_us(490);
	cli();
	RELEASE();
	_delay_us(70);
	nobody = LEVEL();
	SREG = s;
	_delay_us(420);
	if (!LEVEL())
		return 2;
	return nobody ? 1 : 0;
}

u8 port_ow_slot(u8 b)
{
	u8 level, s = SREG;
	cli();
	LOW();
	_delay_us(5);
	if (b)
		RELEASE();
	_delay_us(8);
	level = LEVEL();
	_delay_us(47);
	RELEASE();
	SREG = s;
	_delay_us(6);
	return level;
}

/* --- outputs --- */
void port_outputs(u8 mask)
{
	PORTD = (PORTD & 0x3f) | (u8)(mask << 6);
	PORTB = (PORTB & ~0x1e) | ((mask >> 1) & 0x1e);
}

/* --- LCD --- */
void port_lcd(u8 v)
{
	PORTC = (v >> 4) | (v & 1 ? _BV(4) : 0);
	PORTC |= _BV(5);
	_delay_us(1);
	PORTC &= ~_BV(5);
	_delay_us(1);
}

void port_delay_us(u8 us)
{
	do
		_delay_us(1);
	while (--us);
}

/* --- DS1302 --- */
void port_rtc_select(u8 on)
{
	PORTD &= ~(_BV(3) | _BV(5));
	_delay_us(4);
	if (on)
		PORTD |= _BV(3);
	_delay_us(4);
}

void port_rtc_write(u8 b)
{
	u8 i;
	DDRD |= _BV(4);
	for (i = 8; i; i--) {
		if (b & 1)
			PORTD |= _BV(4);
		else
			PORTD &= ~_BV(4);
		b >>= 1;
		_delay_us(1);
		PORTD |= _BV(5);
		_delay_us(1);
		PORTD &= ~_BV(5);
	}
	DDRD &= ~_BV(4);
	PORTD &= ~_BV(4);
}

u8 port_rtc_read(void)
{
	u8 i, b = 0;
	for (i = 8; i; i--) {
		_delay_us(1);
		b >>= 1;
		if (PIND & _BV(4))
			b |= 0x80;
		PORTD |= _BV(5);
		_delay_us(1);
		PORTD &= ~_BV(5);
	}
	return b;
}

/* --- settings memory: EEPROM, erased and written byte by byte --- */
u8 port_slot;
static u8 *cell(u8 at) { return (u8 *)(uintptr_t)((u16)port_slot * SLOT_BYTES + at); }

u8 port_store_read(u8 at) { return eeprom_read_byte(cell(at)); }

void port_store_erase(void)
{
	u8 i;
	for (i = 0; i < SLOT_BYTES; i++) {
		wdt_reset();
		eeprom_update_byte(cell(i), 0xff);
	}
}

void port_store_write(u8 at, u8 b)
{
	wdt_reset();
	eeprom_update_byte(cell(at), b);
}

int main(void)
{
	wdt_enable(WDTO_1S);
	DDRC = 0x3f;
	DDRD = 0xec;
	DDRB = 0x1e;
	OCR0A = 249; /* 16 MHz / 64 / 250 = 1 kHz */
	TCCR0A = _BV(WGM01);
	TCCR0B = _BV(CS01) | _BV(CS00);
	TIMSK0 = _BV(OCIE0A);
	sei();
	node_init();
	for (;;)
		node_turn();
}

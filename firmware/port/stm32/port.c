/*
 * STM32F103 at 8 MHz (HSI) or STM32F405 at 16 MHz (HSI), without a vendor's library:
 *
 *     PA9 TX, PA10 RX (USART1), PA8 DE and /RE of the RS-485 driver
 *     PB0 1-Wire, open drain (4.7 kΩ to 3.3 V)     PB5 CE, PB6 I/O, PB7 SCLK of the DS1302
 *     PB8–PB11 D4–D7, PB12 RS, PB13 E of the LCD (R/W to ground)
 *     PA0 heater, PA1 fan, PA2–PA5 timed outputs 1–4: high is on
 *
 * Settings memory: F103 the last four pages of 1 KiB of 64 KiB, half-words; F405 sectors 8 to 11, bytes. Brown-out: the power
 * voltage detector of the F103 is on at 2.7 V; the F405's BOR level is an option byte.
 */
#include "node.h"

typedef volatile u32 reg;
#define R(a) (*(reg *)(uintptr_t)(a))

#ifdef STM32F1
#define HZ 8000000u
#define RCC 0x40021000u
#define RCC_CSR R(RCC + 0x24)
#define USART 0x40013800u
#define GPIOA 0x40010800u
#define GPIOB 0x40010c00u
#define ODR(p) R(p + 0x0c)
#define IDR(p) R(p + 0x08)
#define BSRR(p) R(p + 0x10)
#define SYSTEM_MEMORY 0x1ffff000u
#define STORE(slot) (0x0800f000u + (u32)(slot)*1024)
#define STEP 2 /* bytes of flash that one byte takes: half-words are written whole */
#else
#ifndef HZ
#define HZ 16000000u /* qemu counts 168 MHz */
#endif
#define RCC 0x40023800u
#define RCC_CSR R(RCC + 0x74)
#define USART 0x40011000u
#define GPIOA 0x40020000u
#define GPIOB 0x40020400u
#define ODR(p) R(p + 0x14)
#define IDR(p) R(p + 0x10)
#define BSRR(p) R(p + 0x18)
#define SYSTEM_MEMORY 0x1fff0000u
#define STORE(slot) (0x08080000u + (u32)(slot)*0x20000)
#define STEP 1
#endif

#define SR R(USART + 0)
#define DR R(USART + 4)
#define BRR R(USART + 8)
#define CR1 R(USART + 12)
#ifdef STM32F1
#define FLASH_SR R(0x4002200cu)
#define FLASH_CR R(0x40022010u)
#define FLASH_KEYR R(0x40022004u)
#define FLASH_ADDR R(0x40022014u)
#define BUSY 1u
#define LOCK 0x80u
#else
#define FLASH_SR R(0x40023c0cu)
#define FLASH_CR R(0x40023c10u)
#define FLASH_KEYR R(0x40023c04u)
#define BUSY 0x10000u
#define LOCK 0x80000000u
#endif
#define FLASH_TRIES 4000000u /* of a loop of some cycles: an erase takes up to 2 s */

#define SYST_CSR R(0xe000e010u)
#define SYST_RVR R(0xe000e014u)
#define SYST_CVR R(0xe000e018u)
#define NVIC_ISER1 R(0xe000e104u)
#define AIRCR R(0xe000ed0cu)
#define IWDG_KR R(0x40003000u)
#define IWDG_PR R(0x40003004u)
#define IWDG_RLR R(0x40003008u)

#define MARK_COMMAND 0x5253b007u
#define MARK_BOOT 0x424cb007u
static volatile u32 ms;
static u8 cause;
static u32 mark __attribute__((section(".noinit"))); /* what the life before left behind */

extern u32 data_from, data_start, data_end, bss_start, bss_end, stack_top;
int main(void);

static void cycles(u32 n) /* about three a turn */
{
	__asm__ volatile("1: subs %0, #1\n bne 1b" : "+r"(n) : : "cc");
}
#define US(n) cycles((n) * (HZ / 1000000u) / 3 + 1)

/* The loader in ROM is entered right behind a reset, when nothing has been set up yet. */
static void loader(void)
{
	u32 top = R(SYSTEM_MEMORY), entry = R(SYSTEM_MEMORY + 4);
	__asm__ volatile("msr msp, %0\n bx %1" : : "r"(top), "r"(entry));
}

void reset_handler(void)
{
	u32 *from = &data_from, *to = &data_start;
	if (mark == MARK_BOOT) {
		mark = 0;
		loader();
	}
	while (to < &data_end)
		*to++ = *from++;
	for (to = &bss_start; to < &bss_end; to++)
		*to = 0;
	main();
	for (;;)
		;
}

static void fault_handler(void)
{
	AIRCR = 0x05fa0004u;
	for (;;)
		;
}

static void tick_handler(void)
{
	ms++;
	modbus_tick();
}

static void uart_handler(void)
{
	u32 s = SR;
	if (s & 0x2f)
		modbus_receive((u8)DR, (s & 0x0a) != 0); /* FE, ORE; reading DR clears them */
}

__attribute__((section(".vectors"), used)) static void *const vectors[16 + 38] = {
	[0] = &stack_top, [1] = (void *)reset_handler, [2] = (void *)fault_handler, [3] = (void *)fault_handler,
	[4] = (void *)fault_handler, [5] = (void *)fault_handler, [6] = (void *)fault_handler, [15] = (void *)tick_handler,
	[16 + 37] = (void *)uart_handler,
};

u32 port_ms(void) { return ms; }
void port_watchdog(void) { IWDG_KR = 0xaaaa; }
u8 port_reset_cause(void) { return cause; }

static void restart(u32 m)
{
	mark = m;
	AIRCR = 0x05fa0004u;
	for (;;)
		;
}

void port_reset(void) { restart(MARK_COMMAND); }

u8 port_boot(void)
{
	restart(MARK_BOOT);
	return 0;
}

static void find_cause(void)
{
	u32 f = RCC_CSR;
	RCC_CSR = f | 1u << 24; /* clears the flags */
	if (f & 1u << 27)
		cause = RESET_POWER;
	else if (f & 3u << 29)
		cause = RESET_WATCHDOG;
	else if (mark == MARK_COMMAND)
		cause = RESET_COMMAND;
	else if (f & 1u << 28)
		cause = RESET_FAULT;
	else if (f & 1u << 25)
		cause = RESET_BROWNOUT;
	else if (f & 1u << 26)
		cause = RESET_PIN;
	else
		cause = RESET_UNKNOWN;
	mark = 0;
}

/* --- UART --- */
static const u32 bauds[] = {9600, 19200, 57600, 115200};

void port_uart(u8 baud)
{
	BRR = (HZ + bauds[baud] / 2) / bauds[baud];
	CR1 = 1u << 13 | 1u << 5 | 1u << 3 | 1u << 2;
	NVIC_ISER1 = 1u << (37 - 32);
}

void port_talk(u8 on)
{
	if (!on)
		while (!(SR & 0x40)) /* TC */
			;
	BSRR(GPIOA) = on ? 1u << 8 : 1u << 24;
}

void port_send(u8 b)
{
	IWDG_KR = 0xaaaa;
	while (!(SR & 0x80))
		;
	DR = b;
}

/* --- 1-Wire --- */
#define LOW() (BSRR(GPIOB) = 1u << 16)
#define RELEASE() (BSRR(GPIOB) = 1u)
#define LEVEL() (IDR(GPIOB) & 1u)
#define OFF() __asm__ volatile("cpsid i" ::: "memory")
#define ON() __asm__ volatile("cpsie i" ::: "memory")

u8 port_ow_reset(void)
{
	u8 nobody;
	LOW();
	US(490);
	OFF();
	RELEASE();
	US(70);
	nobody = LEVEL();
	ON();
	US(420);
	if (!LEVEL())
		return 2;
	return nobody ? 1 : 0;
}

u8 port_ow_slot(u8 b)
{
	u8 level;
	OFF();
	LOW();
	US(4);
	if (b)
		RELEASE();
	US(8);
	level = LEVEL();
	US(50);
	RELEASE();
	ON();
	US(6);
	return level;
}

/* --- outputs, LCD, DS1302 --- */
static void pins(u32 port, u32 mask, u32 v) { BSRR(port) = mask << 16 | (v & mask); }

void port_outputs(u8 mask) { pins(GPIOA, 0x3f, mask); }

void port_lcd(u8 v)
{
	pins(GPIOB, 0x1f00, (u32)(v >> 4) << 8 | (u32)(v & 1) << 12);
	BSRR(GPIOB) = 1u << 13;
	US(1);
	BSRR(GPIOB) = 1u << 29;
	US(1);
}

void port_delay_us(u8 us)
{
	while (us--)
		US(1);
}

void port_rtc_select(u8 on)
{
	pins(GPIOB, 0xa0, 0);
	US(4);
	if (on)
		BSRR(GPIOB) = 1u << 5;
	US(4);
}

/* I/O is open drain: 1 lets go. */
void port_rtc_write(u8 b)
{
	u8 i;
	for (i = 8; i; i--, b >>= 1) {
		pins(GPIOB, 1u << 6, b & 1 ? 1u << 6 : 0);
		US(1);
		BSRR(GPIOB) = 1u << 7;
		US(1);
		BSRR(GPIOB) = 1u << 23;
	}
	BSRR(GPIOB) = 1u << 6;
}

u8 port_rtc_read(void)
{
	u8 i, b = 0;
	for (i = 8; i; i--) {
		US(1);
		b >>= 1;
		if (IDR(GPIOB) & 1u << 6)
			b |= 0x80;
		BSRR(GPIOB) = 1u << 7;
		US(1);
		BSRR(GPIOB) = 1u << 23;
	}
	return b;
}

/* --- settings memory --- */
u8 port_slot;

static void flash_wait(void)
{
	u32 n = FLASH_TRIES;
	while (FLASH_SR & BUSY && n--)
		IWDG_KR = 0xaaaa;
}

static void flash_open(void)
{
	if (FLASH_CR & LOCK) {
		FLASH_KEYR = 0x45670123u;
		FLASH_KEYR = 0xcdef89abu;
	}
	flash_wait();
}

u8 port_store_read(u8 at) { return *(volatile u8 *)(uintptr_t)(STORE(port_slot) + (u32)at * STEP); }

void port_store_erase(void)
{
	flash_open();
#ifdef STM32F1
	FLASH_CR = 2;
	FLASH_ADDR = STORE(port_slot);
	FLASH_CR = 0x42;
#else
	FLASH_CR = 2u | (8u + port_slot) << 3;
	FLASH_CR |= 1u << 16;
#endif
	flash_wait();
	FLASH_CR = LOCK;
}

void port_store_write(u8 at, u8 b)
{
	flash_open();
	FLASH_CR = 1;
#ifdef STM32F1
	*(volatile u16 *)(uintptr_t)(STORE(port_slot) + (u32)at * STEP) = 0xff00u | b;
#else
	*(volatile u8 *)(uintptr_t)(STORE(port_slot) + (u32)at * STEP) = b;
#endif
	flash_wait();
	FLASH_CR = LOCK;
}

/* Modes of the pins: as in the table at the top. */
static void set_up_pins(void)
{
#ifdef STM32F1
	R(RCC + 0x18) = 1u << 14 | 3u << 2; /* USART1, ports A and B */
	R(GPIOA + 0) = 0x44222222u; /* 2 output, 4 input, 6 output with open drain, b USART */
	R(GPIOA + 4) = 0x444444b2u;
	R(GPIOB + 0) = 0x26244446u;
	R(GPIOB + 4) = 0x44222222u;
	BSRR(GPIOB) = 1u | 1u << 6;
	R(RCC + 0x1c) = 1u << 28; /* PWR */
	R(0x40007000u) = 5u << 5 | 1u << 4;
#else
	R(RCC + 0x30) = 3;
	R(RCC + 0x44) = 1u << 4;
	BSRR(GPIOB) = 1u | 1u << 6;
	R(GPIOB + 4) = 1u | 1u << 6; /* open drain */
	R(GPIOA + 0x24) = 0x770u;
	R(GPIOA + 0) = 0x28290555u; /* two bits a pin: 1 output, 2 USART and the debugger */
	R(GPIOB + 0) = 0x05555401u;
#endif
}

int main(void)
{
	IWDG_KR = 0x5555;
	IWDG_PR = 4;
	IWDG_RLR = 1000; /* about 1.6 s at 40 kHz */
	IWDG_KR = 0xcccc;
	find_cause();
	set_up_pins();
	SYST_RVR = HZ / 1000 - 1;
	SYST_CVR = 0;
	SYST_CSR = 7;
	node_init();
	for (;;)
		node_turn();
}

#include "node.h"

/*
 * HD44780 with two lines of 16, four data bits, R/W tied low: nothing can be read back, so every wait is by time and
 * the chip is set up anew with each change of page, which a display that was unplugged or disturbed survives.
 */
#if LCD_PAGES

#define HALF_SECOND 500
#define POWER_UP_MS 50

static u8 page, line, half_seconds, ready;
static u16 last;

static void send(u8 b, u8 rs)
{
	port_lcd((b & 0xf0) | rs);
	port_lcd((u8)(b << 4) | rs);
	port_delay_us(50);
}

static void settle(u8 ms)
{
	for (; ms; ms--) {
		port_delay_us(200);
		port_delay_us(200);
		port_delay_us(200);
		port_delay_us(200);
		port_delay_us(200);
	}
}

/* The sequence of figure 24 of the data sheet leads from every state to four bits, without clearing. */
void lcd_init(void)
{
	port_lcd(0x30);
	settle(5);
	port_lcd(0x30);
	port_delay_us(150);
	port_lcd(0x30);
	port_delay_us(50);
	port_lcd(0x20);
	port_delay_us(50);
	send(0x28, 0);
	send(0x0c, 0);
	send(0x06, 0);
}

static u8 put_at; /* in work */
static void put(u8 c)
{
	if (put_at < 16)
		work[put_at++] = c;
}

static void text(CODE char *s)
{
	while (*s)
		put((u8)*s++);
}

static void number(u8 v)
{
	put(v >= 100 ? (u8)('0' + v / 100) : ' ');
	v %= 100;
	put((u8)('0' + v / 10));
	put((u8)('0' + v % 10));
}

static void two(u8 v)
{
	put((u8)('0' + v / 10));
	put((u8)('0' + v % 10));
}

/* Seven characters: " 24.6°C", or "bad 132". */
static void temperature(i16 v, u8 quality)
{
	u8 whole, tenths, first = put_at, minus = 0;
	if (v == NO_VALUE) {
		text("bad ");
		number(quality);
		return;
	}
	if (v < 0) {
		minus = 1;
		v = -v;
	}
	whole = (u8)(v >> 4);
	tenths = (u8)(((u8)v & 15) * 10 + 8) >> 4;
	if (tenths == 10) {
		tenths = 0;
		whole++;
	}
	number(whole);
	if (whole < 10) {
		work[first + 1] = ' ';
		first++;
	}
	if (minus)
		work[first] = '-';
	put('.');
	put((u8)('0' + tenths));
	put(0xdf);
	put('C');
}

static void control_page(void)
{
	u8 i;
	if (!line) {
		temperature((i16)out[O_VALUE], (u8)out[O_QUALITY]);
		text((u8)out[O_OUTPUTS] & 1 ? " HEAT" : "     ");
		text((u8)out[O_OUTPUTS] & 2 ? " FAN" : (u8)out[O_FAILSAFE] ? " SAFE" : "");
		return;
	}
	if (clock_state != CLOCK_RUNS) {
		text("--:--:--");
	} else {
		two(clock[C_HOUR]);
		put(':');
		two(clock[C_MINUTE]);
		put(':');
		two(clock[C_SECOND]);
	}
	text("    ");
	for (i = 0; i < TIMERS; i++)
		put((u8)out[O_OUTPUTS] >> (i + 2) & 1 ? (u8)('1' + i) : '-');
}

#if LCD_PAGES > 1
static void hex(u8 v)
{
	v &= 15;
	put(v < 10 ? (u8)('0' + v) : (u8)('A' - 10 + v));
}

static void sensor_line(u8 slot)
{
	put((u8)('1' + slot));
	put(' ');
	if (!sensor_rom[slot][0]) {
		put('-');
		return;
	}
	temperature(sensor_value[slot], sensor_quality[slot]);
	put_at = 12;
	hex(sensor_rom[slot][2] >> 4);
	hex(sensor_rom[slot][2]);
	hex(sensor_rom[slot][1] >> 4);
	hex(sensor_rom[slot][1]);
}

static void node_page(void)
{
	if (!line) {
		text("unit ");
		number(modbus_unit);
		text(" que ");
		number(queue_fill);
	} else {
		text("1-wire errs ");
		number((u8)counter[C_ONEWIRE]);
	}
}
#endif

/* One line at a time, 17 bytes. */
static void show(void)
{
	u8 i;
	for (i = 0; i < 16; i++)
		work[i] = ' ';
	put_at = 0;
#if LCD_PAGES > 1
	if (page == 0)
		control_page();
	else if (page == LCD_PAGES - 1)
		node_page();
	else
		sensor_line((page - 1) * 2 + line);
#else
	control_page();
#endif
	send(line ? 0xc0 : 0x80, 0);
	for (i = 0; i < 16; i++)
		send(work[i], 1);
}

static void next_page(void)
{
	half_seconds = 0;
#if LCD_PAGES > 1
	do {
		if (++page == LCD_PAGES)
			page = 0;
	} while (page && page < LCD_PAGES - 1 && !sensor_rom[(page - 1) * 2][0] && !sensor_rom[(page - 1) * 2 + 1][0]);
#endif
	lcd_init();
}

void lcd_step(void)
{
	u16 past = node_ms - last;
	if (!ready) {
		if (past < POWER_UP_MS)
			return;
		lcd_init();
		send(0x01, 0);
		settle(2);
		ready = 1;
	}
	if (past < HALF_SECOND / 2)
		return;
	last = node_ms;
	show();
	line ^= 1;
	if (line)
		return;
	half_seconds++;
	if (setting[S(PAGE_S)] && half_seconds >= (u8)setting[S(PAGE_S)] * 2)
		next_page();
}
#else
void lcd_step(void) {}
#endif

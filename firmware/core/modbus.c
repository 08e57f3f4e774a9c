#include "node.h"

/*
 * RTU slave. The interrupt takes only frames that begin with this node's unit or 0; the silence in front of a frame is
 * told by the tick. A frame is handled in the main loop after its own silence; the answer is made register by
 * register while it is sent, so that no buffer holds it.
 */
u8 modbus_unit;
static volatile u8 rx_len, rx_bad, rx_skip, rx_last; /* rx_skip: this frame is for somebody else */
u8 IDATA modbus_rx[RX_SIZE];
#define rx modbus_rx
static u8 gap; /* ticks of silence that end a frame */
static u16 tx_crc;

#ifdef __SDCC
#pragma save
#pragma nooverlay
#endif
void modbus_receive(u8 b, u8 bad) INTERRUPT_CALL
{
	u8 now = port_tick();
	u8 quiet = (u8)(now - rx_last) >= gap;
	rx_last = now;
	if (rx_len) {
		if (quiet)
			rx_skip = 1; /* the frame before is not handled yet; this one is lost */
		if (rx_skip)
			return;
		if (rx_len == RX_SIZE) {
			rx_bad = 1;
			return;
		}
	} else {
		if (quiet)
			rx_skip = b != modbus_unit && b;
		if (rx_skip)
			return;
		rx_bad = 0;
	}
	rx[rx_len++] = b;
	rx_bad |= bad;
}
#ifdef __SDCC
#pragma restore
#endif

static void put(u8 b)
{
	tx_crc = crc16(tx_crc, b);
	port_send(b);
}

static void put16(u16 v)
{
	put((u8)(v >> 8));
	put((u8)v);
}

static void begin(u8 function)
{
	tx_crc = 0xffff;
	port_talk(1);
	put(modbus_unit);
	put(function);
}

static void end(void)
{
	u16 crc = tx_crc;
	port_send((u8)crc);
	port_send((u8)(crc >> 8));
	port_talk(0);
}

static u16 be(u8 i) { return (u16)rx[i] << 8 | rx[i + 1]; }

static u16 address;
static u8 words;

/* Takes an address and a count of registers from the request. */
static u8 range(u8 at, u8 most)
{
	address = be(at);
	words = rx[at + 3];
	if (rx[at + 2] || !words || words > most)
		return 3;
	return address > REG_END - words ? 2 : 0;
}

static u8 write_all(u8 at)
{
	u8 i, code;
	for (i = 0; i < words; i++, at += 2) {
		code = reg_write(address + i, be(at));
		if (code)
			return code;
	}
	return 0;
}

/* Nothing of a write is done unless all of it can be. */
static u8 write_words(u8 at)
{
	u8 code;
	if (address == REG_INCARNATION && rx[0])
		return queue_write(at, words);
	reg_dry = 1;
	code = write_all(at);
	reg_dry = 0;
	return code ? code : write_all(at);
}

static void answer_read(void)
{
	put(words * 2);
	for (; words; words--)
		put16(reg_read(address++));
}

/* n is the length of the request without its CRC. */
static u8 obey(u8 n)
{
	u8 code = 0, f = rx[1], data = 0;
	switch (f) {
	case 3:
	case 4:
		data = 6;
		break;
	case 6:
		data = 4;
		address = be(2);
		words = 1;
		if (address >= REG_END)
			return 2;
		break;
	case 16:
		data = 7;
		code = range(2, WRITE_WORDS);
		break;
	case 23:
		data = 11;
		code = range(2, READ_WORDS);
		if (!code)
			code = range(6, WRITE_WORDS);
		break;
	default:
		return 1;
	}
	if (f > 6 && rx[data - 1] != words * 2)
		code = 3;
	if (f >= 6)
		data += words * 2;
	if (!code && n != data)
		code = 3;
	if (f >= 6 && !code)
		code = write_words(data - words * 2);
	if (f < 6 || f == 23)
		code = code ? code : range(2, READ_WORDS);
	if (code || !rx[0])
		return code;
	begin(f);
	if (f < 6 || f == 23) {
		answer_read();
	} else {
		put16(be(2));
		put16(be(4));
	}
	end();
	return 0;
}

void modbus_poll(void)
{
	u8 i, n = rx_len;
	u16 crc = 0xffff;
	if (!n || (u8)(port_tick() - rx_last) < gap)
		return;
	for (i = 0; i < n; i++)
		crc = crc16(crc, rx[i]);
	if (n < 8 || crc || rx_bad) {
		bump(C_FRAME_ERRORS);
	} else {
		bump(C_FRAMES);
		reg_now = port_ms();
		i = obey(n - 2);
		if (i && rx[0]) {
			bump(C_EXCEPTIONS);
			begin(rx[1] | 0x80);
			put(i);
			end();
		}
	}
	rx_skip = 1; /* until the next silence */
	rx_len = 0;
	i = reg_command;
	reg_command = 0;
	if (i == RESET_BOOTLOADER)
		port_boot();
	if (i)
		port_reset();
}

void modbus_start(u8 unit, u8 baud)
{
	modbus_unit = unit;
	gap = baud ? 3 : 5; /* 3.5 characters are 4.01 ms at 9600 baud, 1.75 ms above 19,200 */
	rx_skip = 1;
	port_uart(baud);
}

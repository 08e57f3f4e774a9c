#include "node.h"

/*
 * RTU slave. The interrupt takes only frames that begin with this node's unit or 0; the silence in front of a frame is
 * told by the tick. A frame is handled in the main loop after its own silence; the answer is made register by
 * register while it is sent, so that no buffer holds it.
 */
u8 modbus_unit;
static volatile u8 rx_len, rx_bad, rx_skip, rx_last; /* rx_skip: this frame is for somebody else */
static u8 IDATA rx[RX_SIZE];
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

static u8 outside(u16 address, u16 words, u8 most)
{
	if (!words || words > most)
		return 3;
	return words > REG_END || address > REG_END - words ? 2 : 0;
}

/* Nothing of a write is done unless all of it can be. */
static u8 write_words(u16 address, u8 words, u8 at)
{
	u8 i, code;
	if (address == REG_INCARNATION)
		return queue_write(rx + at, words);
	for (i = 0; i < words; i++) {
		code = reg_check(address + i, be(at + 2 * i));
		if (code)
			return code;
	}
	for (i = 0; i < words; i++) {
		code = reg_write(address + i, be(at + 2 * i));
		if (code)
			return code;
	}
	return 0;
}

static void answer_read(u16 address, u8 words)
{
	begin(rx[1]);
	put(words * 2);
	for (; words; words--)
		put16(reg_read(address++));
	end();
}

static u8 obey(u8 n)
{
	u8 code, words;
	u16 address = be(2);
	switch (rx[1]) {
	case 3:
	case 4:
		if (n != 6)
			return 3;
		code = outside(address, be(4), READ_WORDS);
		if (!code && rx[0])
			answer_read(address, rx[5]);
		return code;
	case 6:
		if (n != 6)
			return 3;
		code = outside(address, 1, 1);
		if (!code)
			code = write_words(address, 1, 4);
		break;
	case 16:
		words = rx[5];
		if (n < 7 || rx[6] != words * 2 || n != 7 + words * 2)
			return 3;
		code = outside(address, be(4), WRITE_WORDS);
		if (!code)
			code = write_words(address, words, 7);
		break;
	case 23:
		words = rx[9];
		if (n < 11 || rx[10] != words * 2 || n != 11 + words * 2)
			return 3;
		code = outside(address, be(4), READ_WORDS);
		if (!code)
			code = outside(be(6), be(8), WRITE_WORDS);
		if (!code)
			code = write_words(be(6), words, 11);
		if (!code && rx[0])
			answer_read(address, rx[5]);
		return code;
	default:
		return 1;
	}
	if (code || !rx[0])
		return code;
	begin(rx[1]);
	put16(address);
	put16(be(4));
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
		counter[C_FRAME_ERRORS]++;
	} else {
		counter[C_FRAMES]++;
		reg_now = port_ms();
		i = obey(n - 2);
		if (i && rx[0]) {
			counter[C_EXCEPTIONS]++;
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

#include "node.h"

/*
 * RTU slave. The interrupt takes only frames that begin with this node's unit or 0; the silence in front of a frame is
 * told by the tick. A frame is handled in the main loop after its own silence; the answer is made register by
 * register while it is sent, so that no buffer holds it.
 */
u8 modbus_unit;
volatile u8 modbus_quiet; /* ms since the last character, at most 255 */
static volatile u8 rx_len, rx_bad, rx_skip; /* rx_skip: this frame is for somebody else */
u8 IDATA modbus_rx[RX_SIZE];
#define rx modbus_rx
#define WRITE_MANY 16
#define TAKE 65 /* of this node: acknowledge, and read what is left, in few bytes */
static u8 gap; /* ticks of silence that end a frame */

#ifdef __SDCC
#pragma save
#pragma nooverlay
#endif
void modbus_receive(u8 b, u8 bad) INTERRUPT_CALL
{
	u8 quiet = modbus_quiet >= gap;
	modbus_quiet = 0;
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

void modbus_put(u8 b)
{
	crc16_add(b);
	port_send(b);
}

void modbus_put16(u16 v)
{
	modbus_put((u8)(v >> 8));
	modbus_put((u8)v);
}

static void begin(u8 function)
{
	crc16 = 0xffff;
	port_talk(1);
	modbus_put(modbus_unit);
	modbus_put(function);
}

static void end(void)
{
	port_send((u8)crc16);
	port_send((u8)(crc16 >> 8));
	port_talk(0);
}

u16 modbus_be(u8 i) { return (u16)rx[i] << 8 | rx[i + 1]; }

static u16 address;
static u8 function, words;

static u8 write_all(void)
{
	static u8 at; /* not a local: the 8051 would save it around each call */
	u16 to = address;
	u8 i, code;
	at = function == WRITE_MANY ? 7 : 4;
	for (i = words; i; i--) {
		code = reg_write(to++, modbus_be(at));
		if (code)
			return code;
		at += 2;
	}
	return 0;
}

/* Nothing of a write is done unless all of it can be. */
static u8 write_words(void)
{
	u8 code;
	if (address == REG_INCARNATION && rx[0])
		return queue_write(words);
	reg_dry = 1;
	code = write_all();
	reg_dry = 0;
	return code ? code : write_all();
}

static void put_registers(void)
{
	for (; words; words--)
		modbus_put16(reg_read(address++));
}

/* n is the length of the request without its CRC. */
static u8 obey(u8 n)
{
	u8 code, most = READ_WORDS;
	function = rx[1];
	address = modbus_be(2);
	words = 1;
	switch (function) {
	case TAKE:
		code = n == 10 && rx[0] ? queue_release(2, 4) : 3;
		if (code)
			return code;
		queue_test();
		reg_stamp();
		begin(TAKE);
		address = REG_RELEASED;
		words = TAKE_HEAD / 2;
		modbus_put(queue_taken());
		put_registers();
		queue_answer();
		end();
		return 0;
	case WRITE_MANY:
		n -= rx[6] + 1;
		most = WRITE_WORDS;
		/* fall through */
	case 3:
	case 4:
		words = rx[5];
		if (rx[4] || !words || words > most || (function == WRITE_MANY && rx[6] != (u8)(words + words)))
			return 3;
		break;
	case 6:
		break;
	default:
		return 1;
	}
	if (n != 6)
		return 3;
	if (address > REG_END - words)
		return 2;
	if (function >= 6) {
		code = write_words();
		if (code)
			return code;
	}
	if (!rx[0])
		return 0;
	begin(function);
	if (function < 6) {
		modbus_put(words + words);
		put_registers();
	} else {
		for (n = 2; n < 6; n++)
			modbus_put(rx[n]);
	}
	end();
	return 0;
}

void modbus_poll(void)
{
	u8 i, n = rx_len; /* before the silence is looked at: a frame may begin in between */
	if (!n || modbus_quiet < gap)
		return;
	crc16 = 0xffff;
	for (i = 0; i < n; i++)
		crc16_add(rx[i]);
	if (n < 8 || crc16 || rx_bad) {
		bump(C_FRAME_ERRORS);
	} else {
		bump(C_FRAMES);
		reg_stamp();
		i = obey(n - 2);
		if (i && rx[0]) {
			bump(C_EXCEPTIONS);
			begin(rx[1] | 0x80);
			modbus_put(i);
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

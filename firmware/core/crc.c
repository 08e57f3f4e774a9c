#include "node.h"

u8 crc8;

void crc8_add(u8 b)
{
	u8 i;
	crc8 ^= b;
	for (i = 8; i; i--)
		crc8 = crc8 & 1 ? (crc8 >> 1) ^ 0x8c : crc8 >> 1;
}

u16 crc16;

#ifndef PORT_CRC16
void crc16_add(u8 b)
{
	u8 i;
	crc16 ^= b;
	for (i = 8; i; i--)
		crc16 = crc16 & 1 ? (crc16 >> 1) ^ 0xa001 : crc16 >> 1;
}
#endif

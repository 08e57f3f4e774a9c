#include "node.h"

u8 crc8(u8 crc, u8 b)
{
	u8 i;
	crc ^= b;
	for (i = 8; i; i--)
		crc = crc & 1 ? (crc >> 1) ^ 0x8c : crc >> 1;
	return crc;
}

u16 crc16(u16 crc, u8 b)
{
	u8 i;
	crc ^= b;
	for (i = 8; i; i--)
		crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
	return crc;
}

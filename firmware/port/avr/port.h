/* ATmega328P at 16 MHz. Pins in port.c. */
#define XDATA
#define IDATA
#define CODE const
#define CHIP 2
#define QUEUE 64
#define FEATURES 0x1f
#define BAUD_MOST 3
#include "port_api.h"

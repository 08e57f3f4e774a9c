/* STM32F103 (Cortex-M3) or STM32F405 (Cortex-M4), on their internal oscillators. Pins in port.c. */
#ifdef STM32F1
#define CHIP 3
#else
#define CHIP 4
#endif
#define XDATA
#define IDATA
#define CODE const
#define QUEUE 64
#define FEATURES 0x1f
#define BAUD_MOST 3
#include "port_api.h"

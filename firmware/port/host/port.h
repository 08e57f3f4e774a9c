/* The host: for unit tests of the core, which play the hardware. */
#define XDATA
#define IDATA
#define CODE const
#define CHIP 5
#define QUEUE 16
#define FEATURES 0x1f
#define BAUD_MOST 3
#include "port_api.h"

extern u32 host_ms;
extern u8 host_store[4][128];
extern int host_store_cut; /* writes and erases until the power is cut; negative: never */
extern u8 host_outputs;
extern u8 host_sent[300];
extern u16 host_sent_len;
extern u8 host_rtc[8];
extern u8 host_reset_called, host_boot_called;
extern u8 (*host_slot)(u8 b);
extern u8 (*host_ow_reset)(void);

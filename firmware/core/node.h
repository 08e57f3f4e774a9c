/*
 * The portable core of an Edgelog node: no allocation, no printf, integers only. A port gives it port.h and calls
 * node_init once and node_turn for ever. Everything but modbus_receive runs in the main loop.
 */
#ifndef NODE_H
#define NODE_H

#include <stdint.h>
#include "registers.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int16_t i16;

#include "port.h" /* after the types; may define XDATA, IDATA, CODE, QUEUE, TIMERS, HAVE_LCD */

#ifndef INTERRUPT_CALL
#define INTERRUPT_CALL
#endif
#ifndef XDATA
#define XDATA
#define IDATA
#define CODE const
#endif
#ifdef __SDCC
#define FLAG __bit
#else
#define FLAG u8
#endif
#ifndef FAR /* large and seldom used */
#define FAR XDATA
#endif
#ifndef LCD_PAGES
#define LCD_PAGES 6 /* control, four of two sensors, node */
#endif
#ifndef TIMERS
#define TIMERS 4
#endif

#define MAP_VERSION 2
#define FW_MAJOR 1
#ifndef FW_MINOR /* tests build a second version */
#define FW_MINOR 0
#endif
#define FW_BUILD 1

/* Limits. */
#define SENSORS 8
#define BLOCK (QUEUE < 28 ? QUEUE : 28)
#define TAKE_EVENTS 39 /* at most */
#define TAKE_HEAD 12
#ifndef STATISTICS /* errors of a slot, longest turn, newest sequence: for a person only */
#define STATISTICS 1
#endif
#ifndef WRITE_WORDS
#define WRITE_WORDS 16
#endif
#define RX_SIZE (9 + 2 * WRITE_WORDS)
#define READ_WORDS 125
#define REG_END 0x017au
#define STALE_S 30 /* a value this old controls nothing */

/* Qualities, as in the log. */
#define Q_GOOD 0
#define Q_BAD 128
#define Q_POWER_ON 129
#define Q_NO_CONVERSION 130
#define Q_ALL_ZERO 131
#define Q_CRC 132
#define Q_ABSENT 133
#define Q_TIMEOUT 134
#define Q_SHORTED 135
#define Q_DEVICE 138
#define NO_VALUE ((i16)0x8000)

/* Kinds of events. */
enum { EV_READING = 1, EV_OUTPUT, EV_SENSOR, EV_BOOT, EV_SETTINGS, EV_CLOCK, EV_TEST, EV_FAULT };
/* Why an output changed. */
enum { WHY_THRESHOLD = 1, WHY_FAILSAFE, WHY_TIMER, WHY_OVERRIDE };
/* Reset causes. */
enum { RESET_UNKNOWN, RESET_POWER, RESET_BROWNOUT, RESET_PIN, RESET_WATCHDOG, RESET_COMMAND, RESET_BOOTLOADER, RESET_FAULT };

/* Counters, in the order of their registers. */
enum { C_FRAMES, C_FRAME_ERRORS, C_EXCEPTIONS, C_OVERFLOWS, C_OVERFLOWS_LOW, C_ONEWIRE, C_STORE, C_CLOCK, C_LOOP, COUNTERS };
extern u16 XDATA counter[COUNTERS];
void bump(u8 i);
void bump32(u16 XDATA *high); /* two words, the high one first */

/* crc.c */
extern u8 crc8;             /* Dallas: set to 0, then fed */
void crc8_add(u8 b);
extern u16 crc16;          /* Modbus: set to 0xffff, then fed */
void crc16_add(u8 b);

/* queue.c: events (released, newest], held in RAM */
extern u16 XDATA queue_head[6]; /* incarnation 4, released 2: high word first */
extern u8 queue_fill;
extern FLAG queue_wanted; /* 1: a reading waits for room, test events leave some */
extern u16 XDATA queue_tests;
void queue_push(u8 kind_source, u8 quality, u16 value);
u8 queue_write(u8 words); /* a write of so many registers from INCARNATION on: exception or 0 */
u8 queue_release(u8 at, u8 from);
u8 queue_taken(void);
void queue_answer(void);
u16 queue_word(u8 i); /* word i of the block, oldest event first */
void queue_test(void);
u16 queue_newest(u8 low); /* a word of its sequence */

/* onewire.c: one transaction each */
#if LCD_PAGES
#define WORK 16
#else
#define WORK 9
#endif
extern u8 IDATA work[WORK]; /* of whoever runs: scratchpad, line of the display */
u8 ow_start(void);        /* reset: a quality */
void ow_write(u8 b);
u8 ow_read(void);
void ow_select(u8 slot);
void ow_search_begin(void);
u8 ow_search(void); /* the next ROM into ow_found; 0: there is none */
extern u8 IDATA ow_found[8];

/* sensors.c */
extern u8 FAR sensor_rom[SENSORS][8];
extern i16 IDATA sensor_value[SENSORS];
extern u8 IDATA sensor_quality[SENSORS];
extern u8 IDATA sensor_age[SENSORS];
#if STATISTICS
extern u8 XDATA sensor_errors[SENSORS];
#endif
void sensors_step(void);
void sensors_second(void);
void sensors_rescan(void);

/* control.c */
enum { O_OUTPUTS, O_FAILSAFE, O_VALUE, O_QUALITY, O_MASK, O_STATE, O_SECONDS, O_WORDS };
extern u16 XDATA out[O_WORDS];
void control_second(void);
void control_apply(void);

/* clock.c */
enum { C_YEAR, C_CENTURY, C_DAY, C_MONTH, C_MINUTE, C_HOUR, C_WEEKDAY, C_SECOND }; /* the bytes of the words */
enum { CLOCK_RUNS, CLOCK_ABSENT, CLOCK_STOPPED, CLOCK_ODD };
extern u16 XDATA clock_words[5]; /* as their registers */
#define clock ((u8 XDATA *)clock_words)
#define clock_state clock[8]
u8 clock_odd(u8 at, u8 b); /* b cannot stand in clock[at]; not for the year */
u16 clock_minute(void);
void clock_read(void);
void clock_set(void);

/* settings.c */
#define SETTINGS 29
#define S(name) (REG_##name - REG_UNIT)
extern u16 XDATA settings_image[2 + SETTINGS]; /* state, generation, settings */
#define settings_state ((u8 XDATA *)settings_image)[0]
#define settings_generation settings_image[1]
#define setting (settings_image + 2)
extern u16 XDATA node_life[3]; /* of boots two words, cause of the last reset */
#define node_boots node_life[1]
void settings_load(void);
u8 settings_save(void); /* exception or 0 */
u8 settings_bad(u8 i, u16 v);
void boots_count(void);

/* lcd.c */
void lcd_init(void);
void lcd_step(void);

/* modbus.c */
extern u8 modbus_unit;
extern u8 IDATA modbus_rx[RX_SIZE];
extern volatile u8 modbus_quiet;
#define modbus_tick() do if (modbus_quiet != 255) modbus_quiet++; while (0) /* from the interrupt of the tick */
void modbus_receive(u8 b, u8 bad) INTERRUPT_CALL; /* from the UART's interrupt */
void modbus_poll(void);
void modbus_put(u8 b); /* a byte of the answer */
void modbus_put16(u16 v);
u16 modbus_be(u8 i); /* a word of the request */
void modbus_start(u8 unit, u8 baud);

/* registers.c */
u16 reg_read(u16 address);
u8 reg_write(u16 address, u16 v); /* exception or 0 */
extern FLAG reg_dry;                /* writes are only checked */
extern u16 XDATA reg_time[4];     /* time of the request, ms, and uptime, s, high words first */
void reg_stamp(void);             /* at each request: what several registers show must belong together */
extern u8 reg_command;            /* to be done after the answer: a reset cause, 0 nothing */
void reg_second(void);

/* node.c */
extern u16 node_ms; /* low word of the time of this turn */
void node_init(void);
void node_turn(void);

#endif

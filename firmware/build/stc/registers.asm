;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module registers
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _settings_bad
	.globl _settings_save
	.globl _clock_set
	.globl _control_apply
	.globl _sensors_rescan
	.globl _queue_word
	.globl _reg_write_PARM_2
	.globl _reg_check_PARM_2
	.globl _reg_command
	.globl _reg_now
	.globl _reg_read
	.globl _reg_check
	.globl _reg_write
	.globl _reg_second
;--------------------------------------------------------
; special function registers
;--------------------------------------------------------
	.area RSEG    (ABS,DATA)
	.org 0x0000
;--------------------------------------------------------
; special function bits
;--------------------------------------------------------
	.area RSEG    (ABS,DATA)
	.org 0x0000
;--------------------------------------------------------
; overlayable register banks
;--------------------------------------------------------
	.area REG_BANK_0	(REL,OVR,DATA)
	.ds 8
;--------------------------------------------------------
; internal ram data
;--------------------------------------------------------
	.area DSEG    (DATA)
_reg_now::
	.ds 4
_reg_command::
	.ds 1
_armed:
	.ds 1
_reg_check_PARM_2:
	.ds 2
_write_clock_PARM_2:
	.ds 2
_reg_write_PARM_2:
	.ds 2
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
_clock_bad_PARM_2:
	.ds 2
;--------------------------------------------------------
; indirectly addressable internal ram data
;--------------------------------------------------------
	.area ISEG    (DATA)
;--------------------------------------------------------
; absolute internal ram data
;--------------------------------------------------------
	.area IABS    (ABS,DATA)
	.area IABS    (ABS,DATA)
;--------------------------------------------------------
; bit data
;--------------------------------------------------------
	.area BSEG    (BIT)
_clock_bad_sloc0_1_0:
	.ds 1
_reg_check_sloc0_1_0:
	.ds 1
;--------------------------------------------------------
; paged external ram data
;--------------------------------------------------------
	.area PSEG    (PAG,XDATA)
;--------------------------------------------------------
; external ram data
;--------------------------------------------------------
	.area XSEG    (XDATA)
;--------------------------------------------------------
; absolute external ram data
;--------------------------------------------------------
	.area XABS    (ABS,XDATA)
;--------------------------------------------------------
; external initialized ram data
;--------------------------------------------------------
	.area XISEG   (XDATA)
	.area HOME    (CODE)
	.area GSINIT0 (CODE)
	.area GSINIT1 (CODE)
	.area GSINIT2 (CODE)
	.area GSINIT3 (CODE)
	.area GSINIT4 (CODE)
	.area GSINIT5 (CODE)
	.area GSINIT  (CODE)
	.area GSFINAL (CODE)
	.area CSEG    (CODE)
;--------------------------------------------------------
; global & static initialisations
;--------------------------------------------------------
	.area HOME    (CODE)
	.area GSINIT  (CODE)
	.area GSFINAL (CODE)
	.area GSINIT  (CODE)
;--------------------------------------------------------
; Home
;--------------------------------------------------------
	.area HOME    (CODE)
	.area HOME    (CODE)
;--------------------------------------------------------
; code
;--------------------------------------------------------
	.area CSEG    (CODE)
;------------------------------------------------------------
;Allocation info for local variables in function 'high'
;------------------------------------------------------------
;v                         Allocated to registers r4 r5 r6 r7 
;------------------------------------------------------------
;	core/registers.c:13: static u16 high(u32 v) { return (u16)(v >> 16); }
;	-----------------------------------------
;	 function high
;	-----------------------------------------
_high:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
	mov	r6,b
	mov	r7,a
	mov	ar4,r6
	mov	ar5,r7
	mov	dpl,r4
	mov	dph,r5
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'identity'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/registers.c:15: static u16 identity(u8 i)
;	-----------------------------------------
;	 function identity
;	-----------------------------------------
_identity:
;	core/registers.c:17: switch (i) {
	mov	a,dpl
	mov	r7,a
	add	a,#0xff - 0x13
	jnc	00128$
	ljmp	00121$
00128$:
	mov	a,r7
	add	a,#(00129$-3-.)
	movc	a,@a+pc
	mov	dpl,a
	mov	a,r7
	add	a,#(00130$-3-.)
	movc	a,@a+pc
	mov	dph,a
	clr	a
	jmp	@a+dptr
00129$:
	.db	00101$
	.db	00102$
	.db	00103$
	.db	00104$
	.db	00105$
	.db	00106$
	.db	00107$
	.db	00108$
	.db	00109$
	.db	00110$
	.db	00111$
	.db	00112$
	.db	00113$
	.db	00114$
	.db	00115$
	.db	00116$
	.db	00117$
	.db	00118$
	.db	00119$
	.db	00120$
00130$:
	.db	00101$>>8
	.db	00102$>>8
	.db	00103$>>8
	.db	00104$>>8
	.db	00105$>>8
	.db	00106$>>8
	.db	00107$>>8
	.db	00108$>>8
	.db	00109$>>8
	.db	00110$>>8
	.db	00111$>>8
	.db	00112$>>8
	.db	00113$>>8
	.db	00114$>>8
	.db	00115$>>8
	.db	00116$>>8
	.db	00117$>>8
	.db	00118$>>8
	.db	00119$>>8
	.db	00120$>>8
;	core/registers.c:18: case REG_MAGIC: return 0x454c;
00101$:
	mov	dptr,#0x454c
	ret
;	core/registers.c:19: case REG_MAP_VERSION: return MAP_VERSION;
00102$:
	mov	dptr,#0x0001
	ret
;	core/registers.c:20: case REG_CHIP: return CHIP;
00103$:
	mov	dptr,#0x0001
	ret
;	core/registers.c:21: case REG_FIRMWARE: return FW_MAJOR << 8 | FW_MINOR;
00104$:
	mov	dptr,#0x0100
	ret
;	core/registers.c:22: case REG_BUILD: return FW_BUILD;
00105$:
	mov	dptr,#0x0001
	ret
;	core/registers.c:23: case REG_SERIAL: return high(node_serial);
00106$:
	mov	dpl,_node_serial
	mov	dph,(_node_serial + 1)
	mov	b,(_node_serial + 2)
	mov	a,(_node_serial + 3)
	ljmp	_high
;	core/registers.c:24: case REG_SERIAL + 1: return (u16)node_serial;
00107$:
	mov	dpl,_node_serial
	mov	dph,(_node_serial + 1)
	ret
;	core/registers.c:25: case REG_QUEUE_SIZE: return QUEUE;
00108$:
	mov	dptr,#0x0009
	ret
;	core/registers.c:26: case REG_BLOCK_EVENTS: return BLOCK;
00109$:
	mov	dptr,#0x0009
	ret
;	core/registers.c:27: case REG_SENSORS: return SENSORS;
00110$:
	mov	dptr,#0x0008
;	core/registers.c:28: case REG_TIMERS: return TIMERS;
	ret
00111$:
	mov	dptr,#0x0004
;	core/registers.c:29: case REG_FEATURES: return FEATURES;
	ret
00112$:
	mov	dptr,#0x001f
;	core/registers.c:30: case REG_BOOTS: return high(node_boots);
	ret
00113$:
	mov	dpl,_node_boots
	mov	dph,(_node_boots + 1)
	mov	b,(_node_boots + 2)
	mov	a,(_node_boots + 3)
;	core/registers.c:31: case REG_BOOTS + 1: return (u16)node_boots;
	ljmp	_high
00114$:
	mov	dpl,_node_boots
	mov	dph,(_node_boots + 1)
;	core/registers.c:32: case REG_RESET_CAUSE: return node_cause;
	ret
00115$:
	mov	r6,_node_cause
	mov	r7,#0x00
	mov	dpl,r6
	mov	dph,r7
;	core/registers.c:33: case REG_WRITE_WORDS: return WRITE_WORDS;
	ret
00116$:
	mov	dptr,#0x0010
;	core/registers.c:34: case REG_NOW_MS: return high(reg_now);
	ret
00117$:
	mov	dpl,_reg_now
	mov	dph,(_reg_now + 1)
	mov	b,(_reg_now + 2)
	mov	a,(_reg_now + 3)
;	core/registers.c:35: case REG_NOW_MS + 1: return (u16)reg_now;
	ljmp	_high
00118$:
	mov	dpl,_reg_now
	mov	dph,(_reg_now + 1)
;	core/registers.c:36: case REG_UPTIME_S: return high(node_seconds);
	ret
00119$:
	mov	dpl,_node_seconds
	mov	dph,(_node_seconds + 1)
	mov	b,(_node_seconds + 2)
	mov	a,(_node_seconds + 3)
;	core/registers.c:37: case REG_UPTIME_S + 1: return (u16)node_seconds;
	ljmp	_high
00120$:
	mov	dpl,_node_seconds
	mov	dph,(_node_seconds + 1)
;	core/registers.c:38: }
	ret
00121$:
;	core/registers.c:39: return 0xffff;
	mov	dptr,#0xffff
;	core/registers.c:40: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'sensor'
;------------------------------------------------------------
;a                         Allocated to registers r7 
;slot                      Allocated to registers r6 
;i                         Allocated to registers r7 
;rom                       Allocated to registers r4 r5 
;------------------------------------------------------------
;	core/registers.c:42: static u16 sensor(u8 a)
;	-----------------------------------------
;	 function sensor
;	-----------------------------------------
_sensor:
;	core/registers.c:44: u8 slot = a >> 3;
	mov	a,dpl
	mov	r7,a
	swap	a
	rl	a
	anl	a,#0x1f
	mov	r6,a
;	core/registers.c:45: u8 i = a & 7;
	anl	ar7,#0x07
;	core/registers.c:46: const u8 XDATA *rom = sensor_rom[slot];
	mov	a,r6
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r4,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r5,a
;	core/registers.c:47: if (!rom[0])
	mov	dpl,r4
	mov	dph,r5
	movx	a,@dptr
	jnz	00102$
;	core/registers.c:48: return 0;
	mov	dptr,#0x0000
	ret
00102$:
;	core/registers.c:49: if (i < 4)
	cjne	r7,#0x04,00132$
00132$:
	jnc	00104$
;	core/registers.c:50: return (u16)rom[2 * i] << 8 | rom[2 * i + 1];
	mov	ar2,r7
	mov	r3,#0x00
	mov	a,r2
	add	a,r2
	mov	r2,a
	mov	a,r3
	rlc	a
	mov	r3,a
	mov	a,r2
	add	a,r4
	mov	dpl,a
	mov	a,r3
	addc	a,r5
	mov	dph,a
	movx	a,@dptr
	mov	r1,a
	mov	r0,#0x00
	inc	r2
	cjne	r2,#0x00,00134$
	inc	r3
00134$:
	mov	a,r2
	add	a,r4
	mov	dpl,a
	mov	a,r3
	addc	a,r5
	mov	dph,a
	movx	a,@dptr
	mov	r4,#0x00
	orl	a,r0
	mov	dpl,a
	mov	a,r4
	orl	a,r1
	mov	dph,a
	ret
00104$:
;	core/registers.c:51: switch (i) {
	cjne	r7,#0x04,00135$
	sjmp	00105$
00135$:
	cjne	r7,#0x05,00136$
	sjmp	00106$
00136$:
;	core/registers.c:52: case 4: return (u16)sensor_value[slot];
	cjne	r7,#0x06,00108$
	sjmp	00107$
00105$:
	mov	a,r6
	mov	b,#0x02
	mul	ab
	add	a,#_sensor_value
	mov	dpl,a
	mov	a,#(_sensor_value >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	r5,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	mov	dpl,r5
	mov	dph,r7
;	core/registers.c:53: case 5: return sensor_quality[slot];
	ret
00106$:
	mov	a,r6
	add	a,#_sensor_quality
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_quality >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r7,a
	mov	r5,#0x00
	mov	dpl,r7
	mov	dph,r5
;	core/registers.c:54: case 6: return sensor_age[slot];
	ret
00107$:
	mov	a,r6
	add	a,#_sensor_age
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_age >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r7,a
	mov	r5,#0x00
	mov	dpl,r7
	mov	dph,r5
;	core/registers.c:55: }
	ret
00108$:
;	core/registers.c:56: return sensor_errors[slot];
	mov	a,r6
	add	a,#_sensor_errors
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_errors >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r7,a
	mov	r6,#0x00
	mov	dpl,r7
	mov	dph,r6
;	core/registers.c:57: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'clock_word'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/registers.c:59: static u16 clock_word(u8 i)
;	-----------------------------------------
;	 function clock_word
;	-----------------------------------------
_clock_word:
;	core/registers.c:61: switch (i) {
	mov	a,dpl
	mov	r7,a
	add	a,#0xff - 0x04
	jnc	00113$
	ljmp	00106$
00113$:
	mov	a,r7
	add	a,r7
;	core/registers.c:62: case 0: return 2000 + clock[T_YEAR];
	mov	dptr,#00114$
	jmp	@a+dptr
00114$:
	sjmp	00101$
	sjmp	00102$
	sjmp	00103$
	sjmp	00104$
	sjmp	00105$
00101$:
	mov	r0,#(_clock + 0x0006)
	mov	ar7,@r0
	mov	r6,#0x00
	mov	a,#0xd0
	add	a,r7
	mov	r7,a
	mov	a,#0x07
	addc	a,r6
	mov	r6,a
	mov	dpl,r7
	mov	dph,r6
;	core/registers.c:63: case 1: return (u16)clock[T_MONTH] << 8 | clock[T_DAY];
	ret
00102$:
	mov	r0,#(_clock + 0x0004)
	mov	ar7,@r0
	mov	ar6,r7
	mov	r7,#0x00
	mov	r0,#(_clock + 0x0003)
	mov	ar5,@r0
	mov	r4,#0x00
	mov	a,r5
	orl	a,r7
	mov	dpl,a
	mov	a,r4
	orl	a,r6
	mov	dph,a
;	core/registers.c:64: case 2: return (u16)clock[T_HOUR] << 8 | clock[T_MINUTE];
	ret
00103$:
	mov	r0,#(_clock + 0x0002)
	mov	ar7,@r0
	mov	ar6,r7
	mov	r7,#0x00
	mov	r0,#(_clock + 0x0001)
	mov	ar5,@r0
	mov	r4,#0x00
	mov	a,r5
	orl	a,r7
	mov	dpl,a
	mov	a,r4
	orl	a,r6
	mov	dph,a
;	core/registers.c:65: case 3: return (u16)clock[T_SECOND] << 8 | clock[T_WEEKDAY];
	ret
00104$:
	mov	r0,#_clock
	mov	ar7,@r0
	mov	ar6,r7
	mov	r7,#0x00
	mov	r0,#(_clock + 0x0005)
	mov	ar5,@r0
	mov	r4,#0x00
	mov	a,r5
	orl	a,r7
	mov	dpl,a
	mov	a,r4
	orl	a,r6
	mov	dph,a
;	core/registers.c:66: case 4: return clock_state;
	ret
00105$:
	mov	r6,_clock_state
	mov	r7,#0x00
	mov	dpl,r6
	mov	dph,r7
;	core/registers.c:67: }
	ret
00106$:
;	core/registers.c:68: return 0xffff;
	mov	dptr,#0xffff
;	core/registers.c:69: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'queue_read'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/registers.c:71: static u16 queue_read(u8 i)
;	-----------------------------------------
;	 function queue_read
;	-----------------------------------------
_queue_read:
	mov	r7,dpl
;	core/registers.c:73: if (i < 6)
	cjne	r7,#0x06,00130$
00130$:
	jnc	00102$
;	core/registers.c:74: return queue_head[i];
	mov	a,r7
	mov	b,#0x02
	mul	ab
	add	a,#_queue_head
	mov	dpl,a
	mov	a,#(_queue_head >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	r5,a
	inc	dptr
	movx	a,@dptr
	mov	r6,a
	mov	dpl,r5
	mov	dph,r6
	ret
00102$:
;	core/registers.c:75: switch (i) {
	cjne	r7,#0x06,00132$
	sjmp	00103$
00132$:
	cjne	r7,#0x07,00133$
	sjmp	00104$
00133$:
	cjne	r7,#0x08,00134$
	sjmp	00105$
00134$:
;	core/registers.c:76: case REG_FILL - REG_INCARNATION: return queue_fill;
	cjne	r7,#0x09,00107$
	sjmp	00106$
00103$:
	mov	r5,_queue_fill
	mov	r6,#0x00
	mov	dpl,r5
	mov	dph,r6
;	core/registers.c:77: case REG_LOST - REG_INCARNATION: return counter[C_OVERFLOWS_LOW];
	ret
00104$:
	mov	r0,#(_counter + 0x0008)
	mov	dpl,@r0
	inc	r0
	mov	dph,@r0
;	core/registers.c:78: case REG_READ_MS - REG_INCARNATION: return high(reg_now);
	ret
00105$:
	mov	dpl,_reg_now
	mov	dph,(_reg_now + 1)
	mov	b,(_reg_now + 2)
	mov	a,(_reg_now + 3)
;	core/registers.c:79: case REG_READ_MS + 1 - REG_INCARNATION: return (u16)reg_now;
	ljmp	_high
00106$:
	mov	dpl,_reg_now
	mov	dph,(_reg_now + 1)
;	core/registers.c:80: }
	ret
00107$:
;	core/registers.c:81: return queue_word(i - (u8)(REG_EVENT_BLOCK - REG_INCARNATION));
	mov	a,r7
	add	a,#0xf6
	mov	dpl,a
;	core/registers.c:82: }
	ljmp	_queue_word
;------------------------------------------------------------
;Allocation info for local variables in function 'reg_read'
;------------------------------------------------------------
;address                   Allocated to registers r6 r7 
;a                         Allocated to registers r5 
;------------------------------------------------------------
;	core/registers.c:84: u16 reg_read(u16 address)
;	-----------------------------------------
;	 function reg_read
;	-----------------------------------------
_reg_read:
	mov	r6,dpl
	mov	r7,dph
;	core/registers.c:86: u8 a = (u8)address;
	mov	ar5,r6
;	core/registers.c:87: if (address >= REG_INCARNATION)
	mov	a,#0x100 - 0x01
	add	a,r7
	jnc	00102$
;	core/registers.c:88: return queue_read(a);
	mov	dpl,r5
	ljmp	_queue_read
00102$:
;	core/registers.c:89: if (a < REG_FRAMES)
	cjne	r5,#0x20,00202$
00202$:
	jnc	00104$
;	core/registers.c:90: return identity(a);
	mov	dpl,r5
	ljmp	_identity
00104$:
;	core/registers.c:91: if (a < REG_FRAMES + COUNTERS)
	cjne	r5,#0x2b,00204$
00204$:
	jnc	00106$
;	core/registers.c:92: return counter[a - REG_FRAMES];
	mov	a,r5
	add	a,#0xe0
	add	a,acc
	add	a,#_counter
	mov	r1,a
	mov	dpl,@r1
	inc	r1
	mov	dph,@r1
	ret
00106$:
;	core/registers.c:93: if (a >= REG_SENSOR_TABLE && a < REG_SENSOR_TABLE + WORDS_SENSOR_TABLE)
	cjne	r5,#0x40,00206$
00206$:
	jc	00108$
	cjne	r5,#0x80,00208$
00208$:
	jnc	00108$
;	core/registers.c:94: return sensor(a - REG_SENSOR_TABLE);
	mov	a,r5
	add	a,#0xc0
	mov	dpl,a
	ljmp	_sensor
00108$:
;	core/registers.c:95: if (a >= REG_OUTPUTS && a < REG_OUTPUTS + O_WORDS)
	cjne	r5,#0x80,00210$
00210$:
	jc	00111$
	cjne	r5,#0x87,00212$
00212$:
	jnc	00111$
;	core/registers.c:96: return out[a - REG_OUTPUTS];
	mov	a,r5
	add	a,#0x80
	add	a,acc
	add	a,#_out
	mov	r1,a
	mov	dpl,@r1
	inc	r1
	mov	dph,@r1
	ret
00111$:
;	core/registers.c:97: if (a >= REG_YEAR && a <= REG_CLOCK_STATE)
	cjne	r5,#0x90,00214$
00214$:
	jc	00114$
	mov	a,r5
	add	a,#0xff - 0x94
	jc	00114$
;	core/registers.c:98: return clock_word(a - REG_YEAR);
	mov	a,r5
	add	a,#0x70
	mov	dpl,a
	ljmp	_clock_word
00114$:
;	core/registers.c:99: if (a >= REG_UNIT && a < REG_UNIT + SETTINGS)
	cjne	r5,#0xa0,00217$
00217$:
	jc	00117$
	cjne	r5,#0xbd,00219$
00219$:
	jnc	00117$
;	core/registers.c:100: return setting[a - REG_UNIT];
	mov	a,r5
	add	a,#0x60
	mov	b,#0x02
	mul	ab
	add	a,#_setting
	mov	dpl,a
	mov	a,#(_setting >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	mov	dpl,r6
	mov	dph,r7
	ret
00117$:
;	core/registers.c:101: switch (a) {
	cjne	r5,#0xc0,00221$
	sjmp	00119$
00221$:
	cjne	r5,#0xc1,00222$
	sjmp	00120$
00222$:
	cjne	r5,#0xc2,00223$
	sjmp	00125$
00223$:
	cjne	r5,#0xd0,00224$
	sjmp	00125$
00224$:
	cjne	r5,#0xd1,00225$
	sjmp	00125$
00225$:
	cjne	r5,#0xd2,00226$
	sjmp	00125$
00226$:
;	core/registers.c:102: case REG_SETTINGS_STATE: return settings_state;
	cjne	r5,#0xd3,00126$
	sjmp	00121$
00119$:
	mov	r6,_settings_state
	mov	r7,#0x00
	mov	dpl,r6
	mov	dph,r7
;	core/registers.c:103: case REG_SETTINGS_GENERATION: return settings_generation;
	ret
00120$:
	mov	dpl,_settings_generation
	mov	dph,(_settings_generation + 1)
;	core/registers.c:104: case REG_TEST_EVENTS: return queue_tests;
	ret
00121$:
	mov	dpl,_queue_tests
	mov	dph,(_queue_tests + 1)
;	core/registers.c:108: case REG_RESCAN: return 0;
	ret
00125$:
	mov	dptr,#0x0000
;	core/registers.c:109: }
	ret
00126$:
;	core/registers.c:110: return 0xffff;
	mov	dptr,#0xffff
;	core/registers.c:111: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'clock_bad'
;------------------------------------------------------------
;v                         Allocated with name '_clock_bad_PARM_2'
;i                         Allocated to registers r7 
;h                         Allocated to registers r6 
;l                         Allocated to registers r5 
;------------------------------------------------------------
;	core/registers.c:113: static u8 clock_bad(u8 i, u16 v)
;	-----------------------------------------
;	 function clock_bad
;	-----------------------------------------
_clock_bad:
	mov	r7,dpl
;	core/registers.c:115: u8 h = (u8)(v >> 8), l = (u8)v;
	mov	r6,(_clock_bad_PARM_2 + 1)
	mov	r5,_clock_bad_PARM_2
;	core/registers.c:116: switch (i) {
	cjne	r7,#0x00,00184$
	sjmp	00101$
00184$:
	cjne	r7,#0x01,00185$
	sjmp	00102$
00185$:
	cjne	r7,#0x02,00186$
	sjmp	00103$
00186$:
	ljmp	00104$
;	core/registers.c:117: case 0: return v < 2000 || v > 2099;
00101$:
	mov	r4,_clock_bad_PARM_2
	mov	r7,(_clock_bad_PARM_2 + 1)
	clr	c
	mov	a,r4
	subb	a,#0xd0
	mov	a,r7
	subb	a,#0x07
	jc	00108$
	mov	a,#0x33
	subb	a,r4
	mov	a,#0x08
	subb	a,r7
	jc	00108$
;	assignBit
	clr	_clock_bad_sloc0_1_0
	sjmp	00109$
00108$:
;	assignBit
	setb	_clock_bad_sloc0_1_0
00109$:
	mov	c,_clock_bad_sloc0_1_0
	clr	a
	rlc	a
	mov	dpl,a
;	core/registers.c:118: case 1: return h < 1 || h > 12 || l < 1 || l > 31;
	ret
00102$:
	cjne	r6,#0x01,00189$
00189$:
	jc	00111$
	mov	a,r6
	add	a,#0xff - 0x0c
	jc	00111$
	cjne	r5,#0x01,00192$
00192$:
	jc	00111$
	mov	a,r5
	add	a,#0xff - 0x1f
	jc	00111$
;	assignBit
	clr	_clock_bad_sloc0_1_0
	sjmp	00112$
00111$:
;	assignBit
	setb	_clock_bad_sloc0_1_0
00112$:
	mov	c,_clock_bad_sloc0_1_0
	clr	a
	rlc	a
	mov	dpl,a
;	core/registers.c:119: case 2: return h > 23 || l > 59;
	ret
00103$:
	mov	a,r6
	add	a,#0xff - 0x17
	jc	00120$
	mov	a,r5
	add	a,#0xff - 0x3b
	jc	00120$
;	assignBit
	clr	_clock_bad_sloc0_1_0
	sjmp	00121$
00120$:
;	assignBit
	setb	_clock_bad_sloc0_1_0
00121$:
	mov	c,_clock_bad_sloc0_1_0
	clr	a
	rlc	a
	mov	dpl,a
;	core/registers.c:120: }
	ret
00104$:
;	core/registers.c:121: return h > 59 || l < 1 || l > 7;
	mov	a,r6
	add	a,#0xff - 0x3b
	jc	00123$
	cjne	r5,#0x01,00198$
00198$:
	jc	00123$
	mov	a,r5
	add	a,#0xff - 0x07
	jc	00123$
;	assignBit
	clr	_clock_bad_sloc0_1_0
	sjmp	00124$
00123$:
;	assignBit
	setb	_clock_bad_sloc0_1_0
00124$:
	mov	c,_clock_bad_sloc0_1_0
	clr	a
	rlc	a
	mov	dpl,a
;	core/registers.c:122: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'reg_check'
;------------------------------------------------------------
;v                         Allocated with name '_reg_check_PARM_2'
;address                   Allocated to registers r6 r7 
;a                         Allocated to registers r5 
;bad                       Allocated to registers r7 
;------------------------------------------------------------
;	core/registers.c:124: u8 reg_check(u16 address, u16 v)
;	-----------------------------------------
;	 function reg_check
;	-----------------------------------------
_reg_check:
	mov	r6,dpl
	mov	r7,dph
;	core/registers.c:126: u8 a = (u8)address, bad;
	mov	ar5,r6
;	core/registers.c:127: if (address >= REG_INCARNATION)
	mov	a,#0x100 - 0x01
	add	a,r7
	jnc	00102$
;	core/registers.c:128: return 2;
	mov	dpl,#0x02
	ret
00102$:
;	core/registers.c:129: if (a >= REG_YEAR && a < REG_CLOCK_STATE)
	cjne	r5,#0x90,00205$
00205$:
	jc	00104$
	cjne	r5,#0x94,00207$
00207$:
	jnc	00104$
;	core/registers.c:130: return clock_bad(a - REG_YEAR, v) ? 3 : 0;
	mov	a,r5
	add	a,#0x70
	mov	dpl,a
	mov	_clock_bad_PARM_2,_reg_check_PARM_2
	mov	(_clock_bad_PARM_2 + 1),(_reg_check_PARM_2 + 1)
	lcall	_clock_bad
	mov	a,dpl
	jz	00123$
	mov	r6,#0x03
	mov	r7,#0x00
	sjmp	00124$
00123$:
	mov	r6,#0x00
	mov	r7,#0x00
00124$:
	mov	dpl,r6
	ret
00104$:
;	core/registers.c:131: if (a >= REG_UNIT && a < REG_UNIT + SETTINGS)
	cjne	r5,#0xa0,00210$
00210$:
	jc	00107$
	cjne	r5,#0xbd,00212$
00212$:
	jnc	00107$
;	core/registers.c:132: return settings_bad(a - REG_UNIT, v) ? 3 : 0;
	mov	a,r5
	add	a,#0x60
	mov	dpl,a
	mov	_settings_bad_PARM_2,_reg_check_PARM_2
	mov	(_settings_bad_PARM_2 + 1),(_reg_check_PARM_2 + 1)
	lcall	_settings_bad
	mov	a,dpl
	jz	00125$
	mov	r6,#0x03
	mov	r7,#0x00
	sjmp	00126$
00125$:
	mov	r6,#0x00
	mov	r7,#0x00
00126$:
	mov	dpl,r6
	ret
00107$:
;	core/registers.c:133: switch (a) {
	cjne	r5,#0x84,00215$
	sjmp	00110$
00215$:
	cjne	r5,#0x85,00216$
	sjmp	00110$
00216$:
	cjne	r5,#0x86,00217$
	ljmp	00118$
00217$:
	cjne	r5,#0xc2,00218$
	sjmp	00111$
00218$:
	cjne	r5,#0xd0,00219$
	sjmp	00112$
00219$:
	cjne	r5,#0xd1,00220$
	sjmp	00114$
00220$:
	cjne	r5,#0xd2,00221$
	sjmp	00113$
00221$:
	cjne	r5,#0xd3,00222$
	ljmp	00118$
00222$:
	ljmp	00119$
;	core/registers.c:135: case REG_OVERRIDE_STATE: bad = v > 63; break;
00110$:
	mov	r6,_reg_check_PARM_2
	mov	r7,(_reg_check_PARM_2 + 1)
	clr	c
	mov	a,#0x3f
	subb	a,r6
	clr	a
	subb	a,r7
	clr	a
	rlc	a
	mov	r7,a
	ljmp	00120$
;	core/registers.c:136: case REG_SAVE: bad = v != SAVE_WORD; break;
00111$:
	mov	r5,_reg_check_PARM_2
	mov	r6,(_reg_check_PARM_2 + 1)
	cjne	r5,#0x41,00223$
	cjne	r6,#0x53,00223$
	setb	c
	sjmp	00224$
00223$:
	clr	c
00224$:
	cpl	c
	mov	_reg_check_sloc0_1_0,c
	clr	a
	rlc	a
	mov	r7,a
;	core/registers.c:137: case REG_ARM: bad = v != ARM_WORD; break;
	sjmp	00120$
00112$:
	mov	r5,_reg_check_PARM_2
	mov	r6,(_reg_check_PARM_2 + 1)
	cjne	r5,#0x07,00225$
	cjne	r6,#0xb0,00225$
	setb	c
	sjmp	00226$
00225$:
	clr	c
00226$:
	cpl	c
	mov	_reg_check_sloc0_1_0,c
	clr	a
	rlc	a
	mov	r7,a
;	core/registers.c:138: case REG_RESCAN: bad = v != 1; break;
	sjmp	00120$
00113$:
	mov	r5,_reg_check_PARM_2
	mov	r6,(_reg_check_PARM_2 + 1)
	cjne	r5,#0x01,00227$
	cjne	r6,#0x00,00227$
	setb	c
	sjmp	00228$
00227$:
	clr	c
00228$:
	cpl	c
	mov	_reg_check_sloc0_1_0,c
	clr	a
	rlc	a
	mov	r7,a
;	core/registers.c:139: case REG_COMMAND:
	sjmp	00120$
00114$:
;	core/registers.c:140: if (!armed)
	mov	a,_armed
	jnz	00116$
;	core/registers.c:141: return 4;
	mov	dpl,#0x04
	ret
00116$:
;	core/registers.c:142: bad = v != COMMAND_BOOT && v != COMMAND_RESET;
	mov	r5,_reg_check_PARM_2
	mov	r6,(_reg_check_PARM_2 + 1)
	cjne	r5,#0x4c,00230$
	cjne	r6,#0x42,00230$
	setb	c
	sjmp	00231$
00230$:
	clr	c
00231$:
	mov	_reg_check_sloc0_1_0,c
	jc	00127$
	cjne	r5,#0x53,00233$
	cjne	r6,#0x52,00233$
	setb	c
	sjmp	00234$
00233$:
	clr	c
00234$:
	mov	_reg_check_sloc0_1_0,c
	jnc	00128$
00127$:
;	assignBit
	clr	_reg_check_sloc0_1_0
	sjmp	00129$
00128$:
;	assignBit
	setb	_reg_check_sloc0_1_0
00129$:
	mov	c,_reg_check_sloc0_1_0
	clr	a
	rlc	a
	mov	r7,a
;	core/registers.c:143: break;
;	core/registers.c:145: case REG_TEST_EVENTS: bad = 0; break;
	sjmp	00120$
00118$:
	mov	r7,#0x00
;	core/registers.c:146: default: return 2;
	sjmp	00120$
00119$:
	mov	dpl,#0x02
;	core/registers.c:147: }
	ret
00120$:
;	core/registers.c:148: return bad ? 3 : 0;
	mov	a,r7
	jz	00130$
	mov	r6,#0x03
	mov	r7,#0x00
	sjmp	00131$
00130$:
	mov	r6,#0x00
	mov	r7,#0x00
00131$:
	mov	dpl,r6
;	core/registers.c:149: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'write_clock'
;------------------------------------------------------------
;v                         Allocated with name '_write_clock_PARM_2'
;i                         Allocated to registers r7 
;h                         Allocated to registers r6 
;l                         Allocated to registers r4 
;------------------------------------------------------------
;	core/registers.c:151: static void write_clock(u8 i, u16 v)
;	-----------------------------------------
;	 function write_clock
;	-----------------------------------------
_write_clock:
	mov	r7,dpl
;	core/registers.c:153: u8 h = (u8)(v >> 8), l = (u8)v;
	mov	r6,(_write_clock_PARM_2 + 1)
	mov	r5,_write_clock_PARM_2
	mov	ar4,r5
;	core/registers.c:154: switch (i) {
	cjne	r7,#0x00,00119$
	sjmp	00101$
00119$:
	cjne	r7,#0x01,00120$
	sjmp	00102$
00120$:
;	core/registers.c:155: case 0: clock[T_YEAR] = (u8)(v - 2000); return;
	cjne	r7,#0x02,00104$
	sjmp	00103$
00101$:
	mov	a,r5
	add	a,#0x30
	mov	r5,a
	mov	r0,#(_clock + 0x0006)
	mov	@r0,ar5
;	core/registers.c:156: case 1: clock[T_MONTH] = h; clock[T_DAY] = l; return;
	ret
00102$:
	mov	r0,#(_clock + 0x0004)
	mov	@r0,ar6
	mov	r0,#(_clock + 0x0003)
	mov	@r0,ar4
;	core/registers.c:157: case 2: clock[T_HOUR] = h; clock[T_MINUTE] = l; return;
	ret
00103$:
	mov	r0,#(_clock + 0x0002)
	mov	@r0,ar6
	mov	r0,#(_clock + 0x0001)
	mov	@r0,ar4
;	core/registers.c:158: }
	ret
00104$:
;	core/registers.c:159: clock[T_SECOND] = h;
	mov	r0,#_clock
	mov	@r0,ar6
;	core/registers.c:160: clock[T_WEEKDAY] = l;
	mov	r0,#(_clock + 0x0005)
	mov	@r0,ar4
;	core/registers.c:161: clock_set();
;	core/registers.c:162: }
	ljmp	_clock_set
;------------------------------------------------------------
;Allocation info for local variables in function 'reg_write'
;------------------------------------------------------------
;v                         Allocated with name '_reg_write_PARM_2'
;address                   Allocated to registers r6 r7 
;a                         Allocated to registers r6 
;------------------------------------------------------------
;	core/registers.c:164: u8 reg_write(u16 address, u16 v)
;	-----------------------------------------
;	 function reg_write
;	-----------------------------------------
_reg_write:
	mov	r6,dpl
	mov	r7,dph
;	core/registers.c:166: u8 a = (u8)address;
;	core/registers.c:167: if (a >= REG_YEAR && a < REG_CLOCK_STATE) {
	cjne	r6,#0x90,00173$
00173$:
	jc	00102$
	cjne	r6,#0x94,00175$
00175$:
	jnc	00102$
;	core/registers.c:168: write_clock(a - REG_YEAR, v);
	mov	a,r6
	add	a,#0x70
	mov	dpl,a
	mov	_write_clock_PARM_2,_reg_write_PARM_2
	mov	(_write_clock_PARM_2 + 1),(_reg_write_PARM_2 + 1)
	lcall	_write_clock
;	core/registers.c:169: return 0;
	mov	dpl,#0x00
	ret
00102$:
;	core/registers.c:171: if (a >= REG_UNIT && a < REG_UNIT + SETTINGS) {
	cjne	r6,#0xa0,00177$
00177$:
	jc	00107$
	cjne	r6,#0xbd,00179$
00179$:
	jnc	00107$
;	core/registers.c:172: if (setting[a - REG_UNIT] != v) {
	mov	a,r6
	add	a,#0x60
	mov	b,#0x02
	mul	ab
	add	a,#_setting
	mov	dpl,a
	mov	a,#(_setting >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	r5,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	mov	a,r5
	cjne	a,_reg_write_PARM_2,00181$
	mov	a,r7
	cjne	a,(_reg_write_PARM_2 + 1),00181$
	sjmp	00105$
00181$:
;	core/registers.c:173: setting[a - REG_UNIT] = v;
	mov	a,r6
	add	a,#0x60
	mov	b,#0x02
	mul	ab
	add	a,#_setting
	mov	dpl,a
	mov	a,#(_setting >> 8)
	addc	a,b
	mov	dph,a
	mov	a,_reg_write_PARM_2
	movx	@dptr,a
	mov	a,(_reg_write_PARM_2 + 1)
	inc	dptr
	movx	@dptr,a
;	core/registers.c:174: settings_state = 1;
	mov	_settings_state,#0x01
00105$:
;	core/registers.c:176: return 0;
	mov	dpl,#0x00
	ret
00107$:
;	core/registers.c:178: switch (a) {
	cjne	r6,#0x84,00182$
	sjmp	00111$
00182$:
	cjne	r6,#0x85,00183$
	sjmp	00111$
00183$:
	cjne	r6,#0x86,00184$
	sjmp	00111$
00184$:
	cjne	r6,#0xc2,00185$
	sjmp	00112$
00185$:
	cjne	r6,#0xd0,00186$
	sjmp	00113$
00186$:
	cjne	r6,#0xd1,00187$
	sjmp	00114$
00187$:
;	core/registers.c:181: case REG_OVERRIDE_S:
	cjne	r6,#0xd2,00116$
	sjmp	00115$
00111$:
;	core/registers.c:182: out[a - REG_OUTPUTS] = v;
	mov	a,r6
	add	a,#0x80
	add	a,acc
	add	a,#_out
	mov	r0,a
	mov	@r0,_reg_write_PARM_2
	inc	r0
	mov	@r0,(_reg_write_PARM_2 + 1)
;	core/registers.c:183: control_apply();
	lcall	_control_apply
;	core/registers.c:184: return 0;
	mov	dpl,#0x00
;	core/registers.c:185: case REG_SAVE: return settings_save();
	ret
00112$:
;	core/registers.c:186: case REG_ARM: armed = ARM_S + 1; return 0;
	ljmp	_settings_save
00113$:
	mov	_armed,#0x0b
	mov	dpl,#0x00
;	core/registers.c:187: case REG_COMMAND:
	ret
00114$:
;	core/registers.c:188: reg_command = v == COMMAND_BOOT ? RESET_BOOTLOADER : RESET_COMMAND;
	mov	r6,_reg_write_PARM_2
	mov	r7,(_reg_write_PARM_2 + 1)
	cjne	r6,#0x4c,00119$
	cjne	r7,#0x42,00119$
	mov	r7,#0x06
	sjmp	00120$
00119$:
	mov	r7,#0x05
00120$:
	mov	_reg_command,r7
;	core/registers.c:189: armed = 0;
	mov	_armed,#0x00
;	core/registers.c:190: return 0;
	mov	dpl,#0x00
;	core/registers.c:191: case REG_RESCAN: sensors_rescan(); return 0;
	ret
00115$:
	lcall	_sensors_rescan
	mov	dpl,#0x00
;	core/registers.c:192: }
	ret
00116$:
;	core/registers.c:193: queue_tests = v;
	mov	_queue_tests,_reg_write_PARM_2
	mov	(_queue_tests + 1),(_reg_write_PARM_2 + 1)
;	core/registers.c:194: return 0;
	mov	dpl,#0x00
;	core/registers.c:195: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'reg_second'
;------------------------------------------------------------
;	core/registers.c:197: void reg_second(void)
;	-----------------------------------------
;	 function reg_second
;	-----------------------------------------
_reg_second:
;	core/registers.c:199: if (armed)
	mov	a,_armed
	jz	00103$
;	core/registers.c:200: armed--;
	dec	_armed
00103$:
;	core/registers.c:201: }
	ret
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

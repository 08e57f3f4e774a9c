;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module sensors
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _ow_search
	.globl _ow_search_begin
	.globl _ow_select
	.globl _ow_read
	.globl _ow_write
	.globl _ow_start
	.globl _queue_push
	.globl _crc8
	.globl _port_ow_slot
	.globl _sensor_errors
	.globl _sensor_age
	.globl _sensor_quality
	.globl _sensor_value
	.globl _sensor_rom
	.globl _sensors_rescan
	.globl _sensors_second
	.globl _sensors_step
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
_state:
	.ds 1
_at:
	.ds 1
_tries:
	.ds 1
_sweeps:
	.ds 1
_since:
	.ds 2
_report_in:
	.ds 2
_due:
	.ds 1
_report:
	.ds 1
_read_config_65536_69:
	.ds 1
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
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
_take_sloc0_1_0:
	.ds 1
_sensors_step_sloc0_1_0:
	.ds 1
;--------------------------------------------------------
; paged external ram data
;--------------------------------------------------------
	.area PSEG    (PAG,XDATA)
;--------------------------------------------------------
; external ram data
;--------------------------------------------------------
	.area XSEG    (XDATA)
_sensor_rom::
	.ds 64
_sensor_value::
	.ds 16
_sensor_quality::
	.ds 8
_sensor_age::
	.ds 8
_sensor_errors::
	.ds 8
_gone:
	.ds 8
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
;	core/sensors.c:16: static u8 state = IDLE, at, tries, sweeps;
	mov	_state,#0x00
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
;Allocation info for local variables in function 'sensors_rescan'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/sensors.c:23: void sensors_rescan(void)
;	-----------------------------------------
;	 function sensors_rescan
;	-----------------------------------------
_sensors_rescan:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
;	core/sensors.c:26: for (i = 0; i < SENSORS; i++)
	mov	r7,#0x00
00102$:
;	core/sensors.c:27: sensor_rom[i][0] = 0;
	mov	a,r7
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	dpl,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	dph,a
	clr	a
	movx	@dptr,a
;	core/sensors.c:26: for (i = 0; i < SENSORS; i++)
	inc	r7
	cjne	r7,#0x08,00115$
00115$:
	jc	00102$
;	core/sensors.c:28: state = IDLE;
	mov	_state,#0x00
;	core/sensors.c:29: sweeps = 0;
	mov	_sweeps,#0x00
;	core/sensors.c:30: due = 1;
	mov	_due,#0x01
;	core/sensors.c:31: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'sensors_second'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/sensors.c:33: void sensors_second(void)
;	-----------------------------------------
;	 function sensors_second
;	-----------------------------------------
_sensors_second:
;	core/sensors.c:36: for (i = 0; i < SENSORS; i++)
	mov	r7,#0x00
00106$:
;	core/sensors.c:37: if (sensor_age[i] != 255)
	mov	a,r7
	add	a,#_sensor_age
	mov	r5,a
	clr	a
	addc	a,#(_sensor_age >> 8)
	mov	r6,a
	mov	dpl,r5
	mov	dph,r6
	movx	a,@dptr
	mov	r4,a
	cjne	r4,#0xff,00127$
	sjmp	00107$
00127$:
;	core/sensors.c:38: sensor_age[i]++;
	inc	r4
	mov	dpl,r5
	mov	dph,r6
	mov	a,r4
	movx	@dptr,a
00107$:
;	core/sensors.c:36: for (i = 0; i < SENSORS; i++)
	inc	r7
	cjne	r7,#0x08,00128$
00128$:
	jc	00106$
;	core/sensors.c:39: due = 1;
	mov	_due,#0x01
;	core/sensors.c:40: if (report_in)
	mov	a,_report_in
	orl	a,(_report_in + 1)
	jz	00108$
;	core/sensors.c:41: report_in--;
	dec	_report_in
	mov	a,#0xff
	cjne	a,_report_in,00131$
	dec	(_report_in + 1)
00131$:
00108$:
;	core/sensors.c:42: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'found'
;------------------------------------------------------------
;i                         Allocated to registers 
;j                         Allocated to registers r3 
;free                      Allocated to registers r7 
;------------------------------------------------------------
;	core/sensors.c:44: static void found(void)
;	-----------------------------------------
;	 function found
;	-----------------------------------------
_found:
;	core/sensors.c:46: u8 i, j, free = SENSORS;
	mov	r7,#0x08
;	core/sensors.c:47: if (ow_found[0] != FAMILY)
	mov	dptr,#_ow_found
	movx	a,@dptr
	mov	r6,a
	cjne	r6,#0x28,00186$
	sjmp	00137$
00186$:
;	core/sensors.c:48: return;
	ret
;	core/sensors.c:49: for (i = 0; i < SENSORS; i++) {
00137$:
	mov	r6,#0x00
;	core/sensors.c:50: for (j = 0; j < 8 && sensor_rom[i][j] == ow_found[j]; j++)
00131$:
	mov	a,r6
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r4,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r5,a
	mov	r3,#0x00
00120$:
	cjne	r3,#0x08,00187$
00187$:
	jnc	00103$
	mov	a,r3
	add	a,r4
	mov	r1,a
	clr	a
	addc	a,r5
	mov	r2,a
	mov	a,r3
	add	a,#_ow_found
	mov	dpl,a
	clr	a
	addc	a,#(_ow_found >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r0,a
	mov	dpl,r1
	mov	dph,r2
	movx	a,@dptr
	mov	r1,a
	cjne	a,ar0,00103$
	inc	r3
	sjmp	00120$
00103$:
;	core/sensors.c:52: if (j == 8)
	cjne	r3,#0x08,00105$
;	core/sensors.c:53: return;
	ret
00105$:
;	core/sensors.c:54: if (!sensor_rom[i][0] && (free == SENSORS || sensor_rom[free][0]))
	mov	a,r6
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r4,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r5,a
	mov	dpl,r4
	mov	dph,r5
	movx	a,@dptr
	jnz	00110$
	cjne	r7,#0x08,00194$
	sjmp	00109$
00194$:
	mov	a,r7
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r4,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r5,a
	mov	dpl,r4
	mov	dph,r5
	movx	a,@dptr
	jz	00110$
00109$:
;	core/sensors.c:55: free = i;
	mov	ar7,r6
	sjmp	00123$
00110$:
;	core/sensors.c:56: else if (gone[i] >= GONE_AFTER && free == SENSORS)
	mov	a,r6
	add	a,#_gone
	mov	dpl,a
	clr	a
	addc	a,#(_gone >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r5,a
	cjne	r5,#0x03,00196$
00196$:
	jc	00123$
	cjne	r7,#0x08,00123$
;	core/sensors.c:57: free = i;
	mov	ar7,r6
00123$:
;	core/sensors.c:49: for (i = 0; i < SENSORS; i++) {
	inc	r6
	cjne	r6,#0x08,00200$
00200$:
	jnc	00201$
	ljmp	00131$
00201$:
;	core/sensors.c:59: if (free == SENSORS)
	cjne	r7,#0x08,00140$
;	core/sensors.c:60: return;
	ret
;	core/sensors.c:61: for (j = 0; j < 8; j++)
00140$:
	mov	a,r7
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r5,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r6,a
	mov	r4,#0x00
00124$:
;	core/sensors.c:62: sensor_rom[free][j] = ow_found[j];
	mov	a,r4
	add	a,r5
	mov	r2,a
	clr	a
	addc	a,r6
	mov	r3,a
	mov	a,r4
	add	a,#_ow_found
	mov	dpl,a
	clr	a
	addc	a,#(_ow_found >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	dpl,r2
	mov	dph,r3
	movx	@dptr,a
;	core/sensors.c:61: for (j = 0; j < 8; j++)
	inc	r4
	cjne	r4,#0x08,00204$
00204$:
	jc	00124$
;	core/sensors.c:63: sensor_value[free] = NO_VALUE;
	mov	a,r7
	mov	b,#0x02
	mul	ab
	add	a,#_sensor_value
	mov	dpl,a
	mov	a,#(_sensor_value >> 8)
	addc	a,b
	mov	dph,a
	clr	a
	movx	@dptr,a
	mov	a,#0x80
	inc	dptr
	movx	@dptr,a
;	core/sensors.c:64: sensor_quality[free] = Q_BAD;
	mov	a,r7
	add	a,#_sensor_quality
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_quality >> 8)
	mov	dph,a
	mov	a,#0x80
	movx	@dptr,a
;	core/sensors.c:65: sensor_age[free] = 255;
	mov	a,r7
	add	a,#_sensor_age
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_age >> 8)
	mov	dph,a
	mov	a,#0xff
	movx	@dptr,a
;	core/sensors.c:66: sensor_errors[free] = gone[free] = 0;
	mov	a,r7
	add	a,#_sensor_errors
	mov	r5,a
	clr	a
	addc	a,#(_sensor_errors >> 8)
	mov	r6,a
	mov	a,r7
	add	a,#_gone
	mov	dpl,a
	clr	a
	addc	a,#(_gone >> 8)
	mov	dph,a
	clr	a
	movx	@dptr,a
	mov	dpl,r5
	mov	dph,r6
	movx	@dptr,a
;	core/sensors.c:67: queue_push(EV_SENSOR, free, Q_GOOD, 1);
	mov	_queue_push_PARM_2,r7
;	1-genFromRTrack replaced	mov	_queue_push_PARM_3,#0x00
	mov	_queue_push_PARM_3,a
	mov	_queue_push_PARM_4,#0x01
;	1-genFromRTrack replaced	mov	(_queue_push_PARM_4 + 1),#0x00
	mov	(_queue_push_PARM_4 + 1),a
	mov	dpl,#0x03
;	core/sensors.c:68: }
	ljmp	_queue_push
;------------------------------------------------------------
;Allocation info for local variables in function 'read'
;------------------------------------------------------------
;i                         Allocated to registers r2 
;crc                       Allocated to registers r7 
;zero                      Allocated to registers r6 
;ones                      Allocated to registers r5 
;q                         Allocated to registers r4 
;config                    Allocated with name '_read_config_65536_69'
;v                         Allocated to registers r7 r6 
;------------------------------------------------------------
;	core/sensors.c:71: static u8 read(void)
;	-----------------------------------------
;	 function read
;	-----------------------------------------
_read:
;	core/sensors.c:73: u8 i, crc = 0, zero = 0, ones = 0xff, q = ow_start();
	mov	r7,#0x00
	mov	r6,#0x00
	mov	r5,#0xff
	push	ar7
	push	ar6
	push	ar5
	lcall	_ow_start
	mov	r4,dpl
	pop	ar5
	pop	ar6
	pop	ar7
;	core/sensors.c:74: u8 config = (u8)((setting[S(RESOLUTION)] - 9) << 5) | 0x1f;
	mov	dptr,#(_setting + 0x0026)
	movx	a,@dptr
	add	a,#0xf7
	swap	a
	rl	a
	anl	a,#0xe0
	mov	r3,a
	mov	a,#0x1f
	orl	a,r3
	mov	_read_config_65536_69,a
;	core/sensors.c:76: if (q != Q_GOOD)
	mov	a,r4
	jz	00102$
;	core/sensors.c:77: return q;
	mov	dpl,r4
	ret
00102$:
;	core/sensors.c:78: ow_select(at);
	mov	dpl,_at
	push	ar7
	push	ar6
	push	ar5
	push	ar4
	lcall	_ow_select
;	core/sensors.c:79: ow_write(0xbe);
	mov	dpl,#0xbe
	lcall	_ow_write
	pop	ar4
	pop	ar5
	pop	ar6
	pop	ar7
;	core/sensors.c:80: for (i = 0; i < 9; i++) {
	mov	r2,#0x00
00123$:
;	core/sensors.c:81: work[i] = ow_read();
	mov	a,r2
	add	a,#_work
	mov	r1,a
	push	ar7
	push	ar6
	push	ar5
	push	ar4
	push	ar2
	push	ar1
	lcall	_ow_read
	mov	r3,dpl
	pop	ar1
	pop	ar2
	pop	ar4
	pop	ar5
	pop	ar6
	pop	ar7
	mov	@r1,ar3
;	core/sensors.c:82: crc = crc8(crc, work[i]);
	mov	_crc8_PARM_2,r3
	mov	dpl,r7
	push	ar6
	push	ar5
	push	ar4
	push	ar2
	push	ar1
	lcall	_crc8
	mov	r7,dpl
	pop	ar1
	pop	ar2
	pop	ar4
	pop	ar5
	pop	ar6
;	core/sensors.c:83: zero |= work[i];
	mov	a,@r1
	orl	ar6,a
;	core/sensors.c:84: ones &= work[i];
	mov	a,@r1
	anl	ar5,a
;	core/sensors.c:80: for (i = 0; i < 9; i++) {
	inc	r2
	cjne	r2,#0x09,00177$
00177$:
	jc	00123$
;	core/sensors.c:86: if (ones == 0xff)
	cjne	r5,#0xff,00105$
;	core/sensors.c:87: return Q_ABSENT;
	mov	dpl,#0x85
	ret
00105$:
;	core/sensors.c:88: if (!zero)
	mov	a,r6
	jnz	00107$
;	core/sensors.c:89: return Q_ALL_ZERO;
	mov	dpl,#0x83
	ret
00107$:
;	core/sensors.c:90: if (crc)
	mov	a,r7
	jz	00109$
;	core/sensors.c:91: return Q_CRC;
	mov	dpl,#0x84
	ret
00109$:
;	core/sensors.c:92: v = (i16)((u16)work[1] << 8 | work[0]);
	mov	r0,#(_work + 0x0001)
	mov	ar7,@r0
	mov	ar6,r7
	mov	r7,#0x00
	mov	r0,#_work
	mov	ar5,@r0
	mov	r3,#0x00
	mov	a,r5
	orl	ar7,a
	mov	a,r3
	orl	ar6,a
;	core/sensors.c:93: if (work[6] == 0x0c) {
	mov	r0,#(_work + 0x0006)
	mov	ar5,@r0
	cjne	r5,#0x0c,00116$
;	core/sensors.c:94: if (v == 0x0550)
	mov	ar3,r7
	mov	ar5,r6
	cjne	r3,#0x50,00113$
	cjne	r5,#0x05,00113$
;	core/sensors.c:95: q = Q_POWER_ON;
	mov	r4,#0x81
	sjmp	00116$
00113$:
;	core/sensors.c:96: else if (v == 0x07ff)
	cjne	r3,#0xff,00116$
	cjne	r5,#0x07,00116$
;	core/sensors.c:97: q = Q_NO_CONVERSION;
	mov	r4,#0x82
00116$:
;	core/sensors.c:99: if (v < -880 || v > 2000)
	clr	c
	mov	a,r7
	subb	a,#0x90
	mov	a,r6
	xrl	a,#0x80
	subb	a,#0x7c
	jc	00117$
	mov	a,#0xd0
	subb	a,r7
	mov	a,#(0x07 ^ 0x80)
	mov	b,r6
	xrl	b,#0x80
	subb	a,b
	jnc	00118$
00117$:
;	core/sensors.c:100: q = Q_DEVICE;
	mov	r4,#0x8a
00118$:
;	core/sensors.c:101: if (work[4] != config && ow_start() == Q_GOOD) {
	mov	r0,#(_work + 0x0004)
	mov	a,@r0
	mov	r7,a
	cjne	a,_read_config_65536_69,00191$
	sjmp	00121$
00191$:
	push	ar4
	lcall	_ow_start
	mov	a,dpl
	pop	ar4
	jnz	00121$
;	core/sensors.c:102: ow_select(at);
	mov	dpl,_at
	push	ar4
	lcall	_ow_select
;	core/sensors.c:103: ow_write(0x4e);
	mov	dpl,#0x4e
	lcall	_ow_write
;	core/sensors.c:104: ow_write(work[2]);
	mov	r0,#(_work + 0x0002)
	mov	dpl,@r0
	lcall	_ow_write
;	core/sensors.c:105: ow_write(work[3]);
	mov	r0,#(_work + 0x0003)
	mov	dpl,@r0
	lcall	_ow_write
;	core/sensors.c:106: ow_write(config);
	mov	dpl,_read_config_65536_69
	lcall	_ow_write
	pop	ar4
00121$:
;	core/sensors.c:108: return q;
	mov	dpl,r4
;	core/sensors.c:109: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'take'
;------------------------------------------------------------
;q                         Allocated to registers r7 
;silent                    Allocated to registers r6 
;------------------------------------------------------------
;	core/sensors.c:111: static void take(u8 q)
;	-----------------------------------------
;	 function take
;	-----------------------------------------
_take:
	mov	r7,dpl
;	core/sensors.c:113: u8 silent = q == Q_ABSENT || q == Q_SHORTED;
	cjne	r7,#0x85,00172$
	sjmp	00122$
00172$:
	cjne	r7,#0x87,00173$
	sjmp	00122$
00173$:
;	assignBit
	clr	_take_sloc0_1_0
	sjmp	00123$
00122$:
;	assignBit
	setb	_take_sloc0_1_0
00123$:
	mov	c,_take_sloc0_1_0
	clr	a
	rlc	a
	mov	r6,a
;	core/sensors.c:114: if (q != Q_GOOD) {
	mov	a,r7
	jz	00107$
;	core/sensors.c:115: counter[C_ONEWIRE]++;
	mov	r0,#(_counter + 0x000a)
	mov	ar4,@r0
	inc	r0
	mov	ar5,@r0
	inc	r4
	cjne	r4,#0x00,00175$
	inc	r5
00175$:
	mov	r0,#(_counter + 0x000a)
	mov	@r0,ar4
	inc	r0
	mov	@r0,ar5
;	core/sensors.c:116: sensor_errors[at]++;
	mov	a,_at
	add	a,#_sensor_errors
	mov	r4,a
	clr	a
	addc	a,#(_sensor_errors >> 8)
	mov	r5,a
	mov	dpl,r4
	mov	dph,r5
	movx	a,@dptr
	mov	r3,a
	inc	r3
	mov	dpl,r4
	mov	dph,r5
	mov	a,r3
	movx	@dptr,a
;	core/sensors.c:118: if (++tries < TRIES && q != Q_POWER_ON && q != Q_NO_CONVERSION && q != Q_DEVICE)
	inc	_tries
	mov	a,#0x100 - 0x03
	add	a,_tries
	jc	00102$
	cjne	r7,#0x81,00177$
	sjmp	00102$
00177$:
	cjne	r7,#0x82,00178$
	sjmp	00102$
00178$:
	cjne	r7,#0x8a,00179$
	sjmp	00102$
00179$:
;	core/sensors.c:119: return;
	ret
00102$:
;	core/sensors.c:120: sensor_value[at] = NO_VALUE;
	mov	a,_at
	mov	b,#0x02
	mul	ab
	add	a,#_sensor_value
	mov	dpl,a
	mov	a,#(_sensor_value >> 8)
	addc	a,b
	mov	dph,a
	clr	a
	movx	@dptr,a
	mov	a,#0x80
	inc	dptr
	movx	@dptr,a
	sjmp	00108$
00107$:
;	core/sensors.c:122: sensor_value[at] = (i16)((u16)work[1] << 8 | work[0]);
	mov	a,_at
	mov	b,#0x02
	mul	ab
	add	a,#_sensor_value
	mov	dpl,a
	mov	a,#(_sensor_value >> 8)
	addc	a,b
	mov	dph,a
	mov	r0,#(_work + 0x0001)
	mov	ar5,@r0
	mov	ar4,r5
	mov	r5,#0x00
	mov	r0,#_work
	mov	ar3,@r0
	mov	r2,#0x00
	mov	a,r3
	orl	ar5,a
	mov	a,r2
	orl	ar4,a
	mov	a,r5
	movx	@dptr,a
	mov	a,r4
	inc	dptr
	movx	@dptr,a
;	core/sensors.c:123: sensor_age[at] = 0;
	mov	a,_at
	add	a,#_sensor_age
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_age >> 8)
	mov	dph,a
	clr	a
	movx	@dptr,a
00108$:
;	core/sensors.c:125: sensor_quality[at] = q;
	mov	a,_at
	add	a,#_sensor_quality
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_quality >> 8)
	mov	dph,a
	mov	a,r7
	movx	@dptr,a
;	core/sensors.c:126: if (silent) {
	mov	a,r6
	jz	00115$
;	core/sensors.c:127: if (gone[at] < 255 && ++gone[at] == GONE_AFTER)
	mov	a,_at
	add	a,#_gone
	mov	r5,a
	clr	a
	addc	a,#(_gone >> 8)
	mov	r6,a
	mov	dpl,r5
	mov	dph,r6
	movx	a,@dptr
	mov	r4,a
	cjne	r4,#0xff,00181$
00181$:
	jnc	00116$
	inc	r4
	mov	dpl,r5
	mov	dph,r6
	mov	a,r4
	movx	@dptr,a
	cjne	r4,#0x03,00116$
;	core/sensors.c:128: queue_push(EV_SENSOR, at, q, 0);
	mov	_queue_push_PARM_2,_at
	mov	_queue_push_PARM_3,r7
	clr	a
	mov	_queue_push_PARM_4,a
	mov	(_queue_push_PARM_4 + 1),a
	mov	dpl,#0x03
	push	ar7
	lcall	_queue_push
	pop	ar7
	sjmp	00116$
00115$:
;	core/sensors.c:130: if (gone[at] >= GONE_AFTER)
	mov	a,_at
	add	a,#_gone
	mov	dpl,a
	clr	a
	addc	a,#(_gone >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r6,a
	cjne	r6,#0x03,00185$
00185$:
	jc	00113$
;	core/sensors.c:131: queue_push(EV_SENSOR, at, Q_GOOD, 1);
	mov	_queue_push_PARM_2,_at
	mov	_queue_push_PARM_3,#0x00
	mov	_queue_push_PARM_4,#0x01
	mov	(_queue_push_PARM_4 + 1),#0x00
	mov	dpl,#0x03
	push	ar7
	lcall	_queue_push
	pop	ar7
00113$:
;	core/sensors.c:132: gone[at] = 0;
	mov	a,_at
	add	a,#_gone
	mov	dpl,a
	clr	a
	addc	a,#(_gone >> 8)
	mov	dph,a
	clr	a
	movx	@dptr,a
00116$:
;	core/sensors.c:134: if (report)
	mov	a,_report
	jz	00118$
;	core/sensors.c:135: queue_push(EV_READING, at, q, sensor_value[at]);
	mov	a,_at
	mov	b,#0x02
	mul	ab
	add	a,#_sensor_value
	mov	dpl,a
	mov	a,#(_sensor_value >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	_queue_push_PARM_4,a
	inc	dptr
	movx	a,@dptr
	mov	(_queue_push_PARM_4 + 1),a
	mov	_queue_push_PARM_2,_at
	mov	_queue_push_PARM_3,r7
	mov	dpl,#0x01
	lcall	_queue_push
00118$:
;	core/sensors.c:136: tries = 0;
	mov	_tries,#0x00
;	core/sensors.c:137: at++;
	inc	_at
;	core/sensors.c:138: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'end_of_sweep'
;------------------------------------------------------------
;	core/sensors.c:140: static void end_of_sweep(void)
;	-----------------------------------------
;	 function end_of_sweep
;	-----------------------------------------
_end_of_sweep:
;	core/sensors.c:142: state = IDLE;
	mov	_state,#0x00
;	core/sensors.c:143: if (report) {
	mov	a,_report
	jz	00103$
;	core/sensors.c:144: report = 0;
	mov	_report,#0x00
;	core/sensors.c:145: report_in = setting[S(REPORT_S)];
	mov	dptr,#(_setting + 0x0024)
	movx	a,@dptr
	mov	_report_in,a
	inc	dptr
	movx	a,@dptr
	mov	(_report_in + 1),a
00103$:
;	core/sensors.c:147: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'fail'
;------------------------------------------------------------
;q                         Allocated to registers r7 
;------------------------------------------------------------
;	core/sensors.c:149: static void fail(u8 q)
;	-----------------------------------------
;	 function fail
;	-----------------------------------------
_fail:
	mov	r7,dpl
;	core/sensors.c:151: for (at = 0; at < SENSORS;)
	mov	_at,#0x00
00105$:
;	core/sensors.c:152: if (sensor_rom[at][0]) {
	mov	a,_at
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r5,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r6,a
	mov	dpl,r5
	mov	dph,r6
	movx	a,@dptr
	jz	00102$
;	core/sensors.c:153: tries = TRIES;
	mov	_tries,#0x03
;	core/sensors.c:154: take(q);
	mov	dpl,r7
	push	ar7
	lcall	_take
	pop	ar7
	sjmp	00106$
00102$:
;	core/sensors.c:156: at++;
	inc	_at
00106$:
;	core/sensors.c:151: for (at = 0; at < SENSORS;)
	mov	a,#0x100 - 0x08
	add	a,_at
	jnc	00105$
;	core/sensors.c:158: end_of_sweep();
;	core/sensors.c:159: }
	ljmp	_end_of_sweep
;------------------------------------------------------------
;Allocation info for local variables in function 'sensors_step'
;------------------------------------------------------------
;q                         Allocated to registers r6 
;------------------------------------------------------------
;	core/sensors.c:162: void sensors_step(void)
;	-----------------------------------------
;	 function sensors_step
;	-----------------------------------------
_sensors_step:
;	core/sensors.c:165: switch (state) {
	mov	a,_state
	add	a,#0xff - 0x04
	jnc	00174$
	ret
00174$:
	mov	a,_state
	mov	b,#0x03
	mul	ab
	mov	dptr,#00175$
	jmp	@a+dptr
00175$:
	ljmp	00101$
	ljmp	00106$
	ljmp	00110$
	ljmp	00113$
	ljmp	00139$
;	core/sensors.c:166: case IDLE:
00101$:
;	core/sensors.c:167: if (!due)
	mov	a,_due
	jnz	00103$
;	core/sensors.c:168: return;
	ret
00103$:
;	core/sensors.c:169: due = 0;
;	core/sensors.c:170: at = tries = 0;
;	core/sensors.c:171: report = !report_in;
	clr	a
	mov	_due,a
	mov	_tries,a
	mov	_at,a
	mov	a,_report_in
	orl	a,(_report_in + 1)
	cjne	a,#0x01,00177$
00177$:
	mov  _sensors_step_sloc0_1_0,c
	clr	a
	rlc	a
	mov	_report,a
;	core/sensors.c:172: state = CONVERT;
	mov	_state,#0x02
;	core/sensors.c:173: if (!sweeps--) {
	mov	r7,_sweeps
	dec	_sweeps
	mov	a,r7
	jnz	00105$
;	core/sensors.c:174: sweeps = SEARCH_EVERY;
	mov	_sweeps,#0x10
;	core/sensors.c:175: ow_search_begin();
	lcall	_ow_search_begin
;	core/sensors.c:176: state = SEARCH;
	mov	_state,#0x01
00105$:
;	core/sensors.c:178: return;
	ret
;	core/sensors.c:179: case SEARCH:
00106$:
;	core/sensors.c:180: if (ow_search())
	lcall	_ow_search
	mov	a,dpl
	jz	00108$
;	core/sensors.c:181: found();
	ljmp	_found
00108$:
;	core/sensors.c:183: state = CONVERT;
	mov	_state,#0x02
;	core/sensors.c:184: return;
	ret
;	core/sensors.c:185: case CONVERT:
00110$:
;	core/sensors.c:186: q = ow_start();
	lcall	_ow_start
;	core/sensors.c:187: if (q != Q_GOOD) {
	mov	a,dpl
	mov	r6,a
	jz	00112$
;	core/sensors.c:188: fail(q);
	mov	dpl,r6
;	core/sensors.c:189: return;
	ljmp	_fail
00112$:
;	core/sensors.c:191: ow_write(0xcc);
	mov	dpl,#0xcc
	lcall	_ow_write
;	core/sensors.c:192: ow_write(0x44);
	mov	dpl,#0x44
	lcall	_ow_write
;	core/sensors.c:193: since = node_ms;
	mov	_since,_node_ms
	mov	(_since + 1),(_node_ms + 1)
;	core/sensors.c:194: state = WAIT;
	mov	_state,#0x03
;	core/sensors.c:195: return;
;	core/sensors.c:196: case WAIT:
	ret
00113$:
;	core/sensors.c:197: if (port_ow_slot(1))
	mov	dpl,#0x01
	lcall	_port_ow_slot
	mov	a,dpl
	jz	00117$
;	core/sensors.c:198: state = READ;
	mov	_state,#0x04
	ret
00117$:
;	core/sensors.c:199: else if ((u16)(node_ms - since) > PATIENCE_MS)
	mov	a,_node_ms
	clr	c
	subb	a,_since
	mov	r6,a
	mov	a,(_node_ms + 1)
	subb	a,(_since + 1)
	mov	r7,a
	clr	c
	mov	a,#0xe8
	subb	a,r6
	mov	a,#0x03
	subb	a,r7
	jnc	00118$
;	core/sensors.c:200: fail(Q_TIMEOUT);
	mov	dpl,#0x86
;	core/sensors.c:201: return;
;	core/sensors.c:203: while (at < SENSORS && !sensor_rom[at][0])
	ljmp	_fail
00118$:
	ret
00139$:
00121$:
	mov	a,#0x100 - 0x08
	add	a,_at
	jc	00123$
	mov	a,_at
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r6,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r7,a
	mov	dpl,r6
	mov	dph,r7
	movx	a,@dptr
	jnz	00123$
;	core/sensors.c:204: at++;
	inc	_at
	sjmp	00121$
00123$:
;	core/sensors.c:205: if (at == SENSORS)
	mov	a,#0x08
	cjne	a,_at,00125$
;	core/sensors.c:206: end_of_sweep();
	ljmp	_end_of_sweep
00125$:
;	core/sensors.c:208: take(read());
	lcall	_read
;	core/sensors.c:209: return;
;	core/sensors.c:210: }
;	core/sensors.c:211: }
	ljmp	_take
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

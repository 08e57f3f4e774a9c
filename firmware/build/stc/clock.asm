;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module clock
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _queue_push
	.globl _port_rtc_read
	.globl _port_rtc_write
	.globl _port_rtc_select
	.globl _clock
	.globl _clock_state
	.globl _clock_read
	.globl _clock_set
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
_clock_state::
	.ds 1
_last_second:
	.ds 1
_same:
	.ds 1
_state_all_65536_57:
	.ds 1
_state_odd_65536_57:
	.ds 1
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
;--------------------------------------------------------
; indirectly addressable internal ram data
;--------------------------------------------------------
	.area ISEG    (DATA)
_clock::
	.ds 7
;--------------------------------------------------------
; absolute internal ram data
;--------------------------------------------------------
	.area IABS    (ABS,DATA)
	.area IABS    (ABS,DATA)
;--------------------------------------------------------
; bit data
;--------------------------------------------------------
	.area BSEG    (BIT)
_state_sloc0_1_0:
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
;	core/clock.c:4: u8 clock_state = CLOCK_ABSENT;
	mov	_clock_state,#0x01
;	core/clock.c:5: static u8 last_second = 0xff, same;
	mov	_last_second,#0xff
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
;Allocation info for local variables in function 'state'
;------------------------------------------------------------
;i                         Allocated to registers r4 
;b                         Allocated to registers r6 
;any                       Allocated to registers r7 
;all                       Allocated with name '_state_all_65536_57'
;odd                       Allocated with name '_state_odd_65536_57'
;stopped                   Allocated to registers r3 
;------------------------------------------------------------
;	core/clock.c:12: static u8 state(void)
;	-----------------------------------------
;	 function state
;	-----------------------------------------
_state:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
;	core/clock.c:14: u8 i, b, any = 0, all = 0xff, odd = 0, stopped;
	mov	r7,#0x00
	mov	_state_all_65536_57,#0xff
;	1-genFromRTrack replaced	mov	_state_odd_65536_57,#0x00
	mov	_state_odd_65536_57,r7
;	core/clock.c:15: port_rtc_select(1);
	mov	dpl,#0x01
	push	ar7
	lcall	_port_rtc_select
;	core/clock.c:16: port_rtc_write(0xbf); /* clock burst read */
	mov	dpl,#0xbf
	lcall	_port_rtc_write
	pop	ar7
;	core/clock.c:17: for (i = 0; i < T_BYTES; i++) {
	mov	r4,#0x00
	mov	r3,#0x00
00121$:
;	core/clock.c:18: b = port_rtc_read();
	push	ar7
	push	ar4
	push	ar3
	lcall	_port_rtc_read
	mov	r2,dpl
	pop	ar3
	pop	ar4
	pop	ar7
;	core/clock.c:19: any |= b;
	mov	a,r2
	orl	ar7,a
;	core/clock.c:20: all &= b;
	mov	a,r2
	anl	_state_all_65536_57,a
;	core/clock.c:21: if (i == T_SECOND) {
	mov	a,r4
	jnz	00102$
;	core/clock.c:22: stopped = b & 0x80;
	mov	a,#0x80
	anl	a,r2
	mov	r3,a
;	core/clock.c:23: b &= 0x7f;
	anl	ar2,#0x7f
00102$:
;	core/clock.c:25: if ((b & 0x0f) > 9)
	mov	ar5,r2
	anl	ar5,#0x0f
	mov	r6,#0x00
	clr	c
	mov	a,#0x09
	subb	a,r5
	mov	a,#(0x00 ^ 0x80)
	mov	b,r6
	xrl	b,#0x80
	subb	a,b
	jnc	00104$
;	core/clock.c:26: odd = 1;
	mov	_state_odd_65536_57,#0x01
00104$:
;	core/clock.c:27: b = (u8)((b >> 4) * 10 + (b & 0x0f));
	mov	a,r2
	swap	a
	anl	a,#0x0f
	mov	b,#0x0a
	mul	ab
	mov	r6,a
	mov	a,#0x0f
	anl	a,r2
	add	a,r6
	mov	r6,a
;	core/clock.c:28: if (b < least[i] || b > most[i])
	mov	a,r4
	mov	dptr,#_least
	movc	a,@a+dptr
	mov	r5,a
	clr	c
	mov	a,r6
	subb	a,r5
	jc	00105$
	mov	a,r4
	mov	dptr,#_most
	movc	a,@a+dptr
	mov	r5,a
	clr	c
	subb	a,r6
	jnc	00106$
00105$:
;	core/clock.c:29: odd = 1;
	mov	_state_odd_65536_57,#0x01
00106$:
;	core/clock.c:30: clock[i] = b;
	mov	a,r4
	add	a,#_clock
	mov	r0,a
	mov	@r0,ar6
;	core/clock.c:17: for (i = 0; i < T_BYTES; i++) {
	inc	r4
	cjne	r4,#0x07,00187$
00187$:
	jc	00121$
;	core/clock.c:32: port_rtc_select(0);
	mov	dpl,#0x00
	push	ar7
	push	ar3
	lcall	_port_rtc_select
	pop	ar3
	pop	ar7
;	core/clock.c:33: if (!any || all == 0xff)
	mov	a,r7
	jz	00109$
	mov	a,#0xff
	cjne	a,_state_all_65536_57,00110$
00109$:
;	core/clock.c:34: return CLOCK_ABSENT;
	mov	dpl,#0x01
	ret
00110$:
;	core/clock.c:35: if (stopped)
	mov	a,r3
	jz	00113$
;	core/clock.c:36: return CLOCK_STOPPED;
	mov	dpl,#0x02
	ret
00113$:
;	core/clock.c:37: if (odd)
	mov	a,_state_odd_65536_57
	jz	00115$
;	core/clock.c:38: return CLOCK_ODD;
	mov	dpl,#0x03
	ret
00115$:
;	core/clock.c:39: if (clock[T_SECOND] != last_second) {
	mov	r0,#_clock
	mov	a,@r0
	mov	r7,a
	cjne	a,_last_second,00194$
	sjmp	00119$
00194$:
;	core/clock.c:40: last_second = clock[T_SECOND];
	mov	_last_second,r7
;	core/clock.c:41: same = 0;
	mov	_same,#0x00
	sjmp	00120$
00119$:
;	core/clock.c:42: } else if (same < STILL) {
	mov	a,#0x100 - 0x03
	add	a,_same
	jc	00120$
;	core/clock.c:43: same++;
	inc	_same
00120$:
;	core/clock.c:45: return same >= STILL ? CLOCK_STOPPED : CLOCK_RUNS;
	clr	c
	mov	a,_same
	subb	a,#0x03
	mov	_state_sloc0_1_0,c
	jc	00125$
	mov	r6,#0x02
	mov	r7,#0x00
	sjmp	00126$
00125$:
	mov	r6,#0x00
	mov	r7,#0x00
00126$:
	mov	dpl,r6
;	core/clock.c:46: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'clock_read'
;------------------------------------------------------------
;was                       Allocated to registers r7 
;------------------------------------------------------------
;	core/clock.c:48: void clock_read(void)
;	-----------------------------------------
;	 function clock_read
;	-----------------------------------------
_clock_read:
;	core/clock.c:50: u8 was = clock_state;
	mov	r7,_clock_state
;	core/clock.c:51: clock_state = state();
	push	ar7
	lcall	_state
	mov	_clock_state,dpl
	pop	ar7
;	core/clock.c:52: if (clock_state != CLOCK_RUNS)
	mov	a,_clock_state
	jz	00102$
;	core/clock.c:53: counter[C_CLOCK]++;
	mov	r0,#(_counter + 0x000e)
	mov	ar5,@r0
	inc	r0
	mov	ar6,@r0
	inc	r5
	cjne	r5,#0x00,00121$
	inc	r6
00121$:
	mov	r0,#(_counter + 0x000e)
	mov	@r0,ar5
	inc	r0
	mov	@r0,ar6
00102$:
;	core/clock.c:54: if (was == CLOCK_RUNS && clock_state != CLOCK_RUNS)
	mov	a,r7
	jnz	00106$
	mov	a,_clock_state
	jz	00106$
;	core/clock.c:55: queue_push(EV_CLOCK, 0, Q_DEVICE, 0);
	mov	_queue_push_PARM_2,#0x00
	mov	_queue_push_PARM_3,#0x8a
	clr	a
	mov	_queue_push_PARM_4,a
	mov	(_queue_push_PARM_4 + 1),a
	mov	dpl,#0x06
;	core/clock.c:56: }
	ljmp	_queue_push
00106$:
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'put'
;------------------------------------------------------------
;b                         Allocated to registers r7 
;------------------------------------------------------------
;	core/clock.c:58: static void put(u8 b) { port_rtc_write((u8)((b / 10) << 4 | b % 10)); }
;	-----------------------------------------
;	 function put
;	-----------------------------------------
_put:
	mov	r7,dpl
	mov	r6,#0x00
	mov	__divsint_PARM_2,#0x0a
;	1-genFromRTrack replaced	mov	(__divsint_PARM_2 + 1),#0x00
	mov	(__divsint_PARM_2 + 1),r6
	mov	dpl,r7
	mov	dph,r6
	push	ar7
	push	ar6
	lcall	__divsint
	mov	r4,dpl
	pop	ar6
	pop	ar7
	mov	a,r4
	swap	a
	anl	a,#0xf0
	mov	r4,a
	mov	__modsint_PARM_2,#0x0a
	mov	(__modsint_PARM_2 + 1),#0x00
	mov	dpl,r7
	mov	dph,r6
	push	ar4
	lcall	__modsint
	mov	r6,dpl
	pop	ar4
	mov	a,r6
	orl	a,r4
	mov	dpl,a
	ljmp	_port_rtc_write
;------------------------------------------------------------
;Allocation info for local variables in function 'clock_set'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/clock.c:60: void clock_set(void)
;	-----------------------------------------
;	 function clock_set
;	-----------------------------------------
_clock_set:
;	core/clock.c:63: port_rtc_select(1);
	mov	dpl,#0x01
	lcall	_port_rtc_select
;	core/clock.c:64: port_rtc_write(0x8e); /* write protection off */
	mov	dpl,#0x8e
	lcall	_port_rtc_write
;	core/clock.c:65: port_rtc_write(0);
	mov	dpl,#0x00
	lcall	_port_rtc_write
;	core/clock.c:66: port_rtc_select(0);
	mov	dpl,#0x00
	lcall	_port_rtc_select
;	core/clock.c:67: port_rtc_select(1);
	mov	dpl,#0x01
	lcall	_port_rtc_select
;	core/clock.c:68: port_rtc_write(0xbe); /* clock burst write: eight bytes, or nothing is taken */
	mov	dpl,#0xbe
	lcall	_port_rtc_write
;	core/clock.c:69: for (i = 0; i < T_BYTES; i++)
	mov	r7,#0x00
00102$:
;	core/clock.c:70: put(clock[i]);
	mov	a,r7
	add	a,#_clock
	mov	r1,a
	mov	dpl,@r1
	push	ar7
	lcall	_put
	pop	ar7
;	core/clock.c:69: for (i = 0; i < T_BYTES; i++)
	inc	r7
	cjne	r7,#0x07,00121$
00121$:
	jc	00102$
;	core/clock.c:71: port_rtc_write(0x80);
	mov	dpl,#0x80
	lcall	_port_rtc_write
;	core/clock.c:72: port_rtc_select(0);
	mov	dpl,#0x00
	lcall	_port_rtc_select
;	core/clock.c:73: last_second = 0xff;
	mov	_last_second,#0xff
;	core/clock.c:74: same = 0;
	mov	_same,#0x00
;	core/clock.c:75: clock_state = state();
	lcall	_state
;	core/clock.c:76: queue_push(EV_CLOCK, 0, clock_state == CLOCK_RUNS ? Q_GOOD : Q_DEVICE, 1);
	mov	a,dpl
	mov	_clock_state,a
	jnz	00106$
	mov	r6,a
	mov	r7,a
	sjmp	00107$
00106$:
	mov	r6,#0x8a
	mov	r7,#0x00
00107$:
	mov	_queue_push_PARM_3,r6
	mov	_queue_push_PARM_2,#0x00
	mov	_queue_push_PARM_4,#0x01
	mov	(_queue_push_PARM_4 + 1),#0x00
	mov	dpl,#0x06
;	core/clock.c:77: }
	ljmp	_queue_push
	.area CSEG    (CODE)
	.area CONST   (CODE)
_least:
	.db #0x00	; 0
	.db #0x00	; 0
	.db #0x00	; 0
	.db #0x01	; 1
	.db #0x01	; 1
	.db #0x01	; 1
	.db #0x00	; 0
_most:
	.db #0x3b	; 59
	.db #0x3b	; 59
	.db #0x17	; 23
	.db #0x1f	; 31
	.db #0x0c	; 12
	.db #0x07	; 7
	.db #0x63	; 99	'c'
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module control
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _queue_push
	.globl _port_outputs
	.globl _out
	.globl _control_apply
	.globl _control_second
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
_held:
	.ds 4
_bad_for:
	.ds 2
_turn_PARM_2:
	.ds 1
_turn_PARM_3:
	.ds 1
_turn_i_65536_61:
	.ds 1
_turn_mask_65536_62:
	.ds 1
_thermal_PARM_2:
	.ds 1
_thermal_least_65536_66:
	.ds 2
_thermal_safe_65536_66:
	.ds 1
_timers_from_65536_68:
	.ds 2
_control_second_heat_65536_75:
	.ds 1
_control_second_cool_65536_75:
	.ds 1
_control_second_sloc0_1_0:
	.ds 2
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
	.area	OSEG    (OVR,DATA)
_control_slot_i_65536_57:
	.ds 1
_control_slot_sloc0_1_0:
	.ds 2
	.area	OSEG    (OVR,DATA)
;--------------------------------------------------------
; indirectly addressable internal ram data
;--------------------------------------------------------
	.area ISEG    (DATA)
_out::
	.ds 14
;--------------------------------------------------------
; absolute internal ram data
;--------------------------------------------------------
	.area IABS    (ABS,DATA)
	.area IABS    (ABS,DATA)
;--------------------------------------------------------
; bit data
;--------------------------------------------------------
	.area BSEG    (BIT)
_overridden_sloc0_1_0:
	.ds 1
_thermal_sloc0_1_0:
	.ds 1
_timers_sloc0_1_0:
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
;Allocation info for local variables in function 'control_slot'
;------------------------------------------------------------
;i                         Allocated with name '_control_slot_i_65536_57'
;j                         Allocated to registers r3 
;rom                       Allocated to registers 
;sloc0                     Allocated with name '_control_slot_sloc0_1_0'
;------------------------------------------------------------
;	core/control.c:9: static u8 control_slot(void)
;	-----------------------------------------
;	 function control_slot
;	-----------------------------------------
_control_slot:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
;	core/control.c:12: const u16 XDATA *rom = &setting[S(CONTROL_ROM)];
;	core/control.c:13: if (!(rom[0] | rom[1] | rom[2] | rom[3]))
	mov	dptr,#(_setting + 0x0008)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	mov	dptr,#(_setting + 0x000a)
	movx	a,@dptr
	mov	r4,a
	inc	dptr
	movx	a,@dptr
	mov	r5,a
	mov	a,r4
	orl	ar6,a
	mov	a,r5
	orl	ar7,a
	mov	dptr,#(_setting + 0x000c)
	movx	a,@dptr
	mov	r4,a
	inc	dptr
	movx	a,@dptr
	mov	r5,a
	mov	a,r4
	orl	ar6,a
	mov	a,r5
	orl	ar7,a
	mov	dptr,#(_setting + 0x000e)
	movx	a,@dptr
	mov	r4,a
	inc	dptr
	movx	a,@dptr
	mov	r5,a
	mov	a,r4
	orl	ar6,a
	mov	a,r5
	orl	ar7,a
	mov	a,r6
	orl	a,r7
;	core/control.c:14: return 0;
	jnz	00102$
	mov	dpl,a
	ret
00102$:
;	core/control.c:15: for (i = 0; i < SENSORS; i++) {
	mov	r7,#0x00
;	1-genFromRTrack replaced	mov	_control_slot_i_65536_57,#0x00
	mov	_control_slot_i_65536_57,r7
;	core/control.c:16: for (j = 0; j < 8; j++)
00120$:
	mov	a,_control_slot_i_65536_57
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r4,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r5,a
	mov	r3,#0x00
00109$:
;	core/control.c:17: if (sensor_rom[i][j] != (u8)(j & 1 ? rom[j >> 1] : rom[j >> 1] >> 8))
	mov	a,r3
	add	a,r4
	mov	r1,a
	clr	a
	addc	a,r5
	mov	r2,a
	mov	a,r3
	jnb	acc.0,00115$
	mov	a,r3
	clr	c
	rrc	a
	mov	r0,a
	mov	b,#0x02
	mul	ab
	add	a,#(_setting + 0x0008)
	mov	dpl,a
	mov	a,#((_setting + 0x0008) >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	_control_slot_sloc0_1_0,a
	inc	dptr
	movx	a,@dptr
	mov	(_control_slot_sloc0_1_0 + 1),a
	sjmp	00116$
00115$:
	mov	a,r3
	clr	c
	rrc	a
	mov	b,#0x02
	mul	ab
	add	a,#(_setting + 0x0008)
	mov	dpl,a
	mov	a,#((_setting + 0x0008) >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	inc	dptr
	movx	a,@dptr
	mov	r6,a
	mov	r0,a
	mov	_control_slot_sloc0_1_0,r0
	mov	(_control_slot_sloc0_1_0 + 1),#0x00
00116$:
	mov	r6,_control_slot_sloc0_1_0
	mov	dpl,r1
	mov	dph,r2
	movx	a,@dptr
	mov	r1,a
	cjne	a,ar6,00105$
;	core/control.c:16: for (j = 0; j < 8; j++)
	inc	r3
	cjne	r3,#0x08,00150$
00150$:
	jc	00109$
00105$:
;	core/control.c:19: if (j == 8)
	cjne	r3,#0x08,00112$
;	core/control.c:20: return i;
	mov	dpl,r7
	ret
00112$:
;	core/control.c:15: for (i = 0; i < SENSORS; i++) {
	inc	_control_slot_i_65536_57
	mov	r7,_control_slot_i_65536_57
	mov	a,#0x100 - 0x08
	add	a,_control_slot_i_65536_57
	jc	00154$
	ljmp	00120$
00154$:
;	core/control.c:22: return 0xff;
	mov	dpl,#0xff
;	core/control.c:23: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'turn'
;------------------------------------------------------------
;on                        Allocated with name '_turn_PARM_2'
;why                       Allocated with name '_turn_PARM_3'
;i                         Allocated with name '_turn_i_65536_61'
;mask                      Allocated with name '_turn_mask_65536_62'
;------------------------------------------------------------
;	core/control.c:26: static void turn(u8 i, u8 on, u8 why)
;	-----------------------------------------
;	 function turn
;	-----------------------------------------
_turn:
	mov	_turn_i_65536_61,dpl
;	core/control.c:28: u8 mask = (u8)(1 << i);
	mov	r6,_turn_i_65536_61
	mov	b,r6
	inc	b
	mov	a,#0x01
	sjmp	00123$
00121$:
	add	a,acc
00123$:
	djnz	b,00121$
	mov	r6,a
	mov	_turn_mask_65536_62,r6
;	core/control.c:29: if (((u8)out[O_OUTPUTS] & mask ? 1 : 0) == on)
	mov	r0,#_out
	mov	ar4,@r0
	inc	r0
	mov	ar5,@r0
	mov	ar3,r4
	mov	a,_turn_mask_65536_62
	anl	a,r3
	jz	00107$
	mov	r2,#0x01
	mov	r3,#0x00
	sjmp	00108$
00107$:
	mov	r2,#0x00
	mov	r3,#0x00
00108$:
	mov	r6,_turn_PARM_2
	mov	r7,#0x00
	mov	a,r2
	cjne	a,ar6,00102$
	mov	a,r3
	cjne	a,ar7,00102$
;	core/control.c:30: return;
	ret
00102$:
;	core/control.c:31: out[O_OUTPUTS] ^= mask;
	mov	r6,_turn_mask_65536_62
	mov	r7,#0x00
	mov	a,r6
	xrl	ar4,a
	mov	a,r7
	xrl	ar5,a
	mov	r0,#_out
	mov	@r0,ar4
	inc	r0
	mov	@r0,ar5
;	core/control.c:32: if (i < 2)
	mov	a,#0x100 - 0x02
	add	a,_turn_i_65536_61
	jc	00104$
;	core/control.c:33: held[i] = 0;
	mov	a,_turn_i_65536_61
	add	a,_turn_i_65536_61
	mov	r7,a
	add	a,#_held
	mov	r0,a
	mov	@r0,#0x00
	inc	r0
	mov	@r0,#0x00
00104$:
;	core/control.c:34: queue_push(EV_OUTPUT, i, Q_GOOD, (i16)((u16)why << 8 | on));
	mov	r7,_turn_PARM_3
	mov	r6,#0x00
	mov	r4,_turn_PARM_2
	mov	r5,#0x00
	mov	a,r4
	orl	ar6,a
	mov	a,r5
	orl	ar7,a
	mov	_queue_push_PARM_4,r6
	mov	(_queue_push_PARM_4 + 1),r7
	mov	_queue_push_PARM_2,_turn_i_65536_61
	mov	_queue_push_PARM_3,#0x00
	mov	dpl,#0x02
;	core/control.c:35: }
	ljmp	_queue_push
;------------------------------------------------------------
;Allocation info for local variables in function 'overridden'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/control.c:37: static u8 overridden(u8 i) { return out[O_SECONDS] && (u8)out[O_MASK] & (1 << i); }
;	-----------------------------------------
;	 function overridden
;	-----------------------------------------
_overridden:
	mov	r7,dpl
	mov	r0,#(_out + 0x000c)
	mov	ar5,@r0
	inc	r0
	mov	ar6,@r0
	mov	a,r5
	orl	a,r6
	jz	00103$
	mov	r0,#(_out + 0x0008)
	mov	ar6,@r0
	mov	b,r7
	inc	b
	mov	r7,#0x01
	mov	r5,#0x00
	sjmp	00112$
00111$:
	mov	a,r7
	add	a,r7
	mov	r7,a
	mov	a,r5
	rlc	a
	mov	r5,a
00112$:
	djnz	b,00111$
	mov	r4,#0x00
	mov	a,r6
	anl	ar7,a
	mov	a,r4
	anl	ar5,a
	mov	a,r7
	orl	a,r5
	jnz	00104$
00103$:
;	assignBit
	clr	_overridden_sloc0_1_0
	sjmp	00105$
00104$:
;	assignBit
	setb	_overridden_sloc0_1_0
00105$:
	mov	c,_overridden_sloc0_1_0
	clr	a
	rlc	a
	mov	dpl,a
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'thermal'
;------------------------------------------------------------
;want                      Allocated with name '_thermal_PARM_2'
;i                         Allocated to registers r7 
;on                        Allocated to registers r6 
;least                     Allocated with name '_thermal_least_65536_66'
;safe                      Allocated with name '_thermal_safe_65536_66'
;------------------------------------------------------------
;	core/control.c:40: static void thermal(u8 i, u8 want)
;	-----------------------------------------
;	 function thermal
;	-----------------------------------------
_thermal:
	mov	r7,dpl
;	core/control.c:42: u8 on = (u8)out[O_OUTPUTS] >> i & 1;
	mov	r0,#_out
	mov	ar6,@r0
	mov	b,r7
	inc	b
	mov	a,r6
	sjmp	00154$
00153$:
	clr	c
	rrc	a
00154$:
	djnz	b,00153$
	anl	a,#0x01
	mov	r6,a
;	core/control.c:43: const u16 XDATA *least = &setting[i ? S(FAN_MIN_ON_S) : S(HEATER_MIN_ON_S)];
	mov	a,r7
	jz	00112$
	mov	r5,#0x0e
	sjmp	00113$
00112$:
	mov	r5,#0x0c
00113$:
	mov	a,r5
	mov	b,#0x02
	mul	ab
	add	a,#_setting
	mov	_thermal_least_65536_66,a
	mov	a,#(_setting >> 8)
	addc	a,b
	mov	(_thermal_least_65536_66 + 1),a
;	core/control.c:44: u8 safe = (u8)out[O_FAILSAFE];
	mov	r0,#(_out + 0x0002)
	mov	_thermal_safe_65536_66,@r0
;	core/control.c:45: if (overridden(i))
	mov	dpl,r7
	push	ar7
	push	ar6
	lcall	_overridden
	mov	a,dpl
	pop	ar6
	pop	ar7
	jz	00102$
;	core/control.c:46: return;
	ret
00102$:
;	core/control.c:47: if (safe)
	mov	a,_thermal_safe_65536_66
	jz	00104$
;	core/control.c:48: want = (u8)setting[S(FAILSAFE_MASK)] >> i & 1;
	mov	dptr,#(_setting + 0x0020)
	movx	a,@dptr
	mov	r2,a
	mov	b,r7
	inc	b
	mov	a,r2
	sjmp	00159$
00158$:
	clr	c
	rrc	a
00159$:
	djnz	b,00158$
	anl	a,#0x01
	mov	_thermal_PARM_2,a
00104$:
;	core/control.c:49: if (want == 2 || want == on)
	mov	a,#0x02
	cjne	a,_thermal_PARM_2,00160$
	sjmp	00105$
00160$:
	mov	a,r6
	cjne	a,_thermal_PARM_2,00106$
00105$:
;	core/control.c:50: return;
	ret
00106$:
;	core/control.c:52: if (on ? !safe && held[i] < least[0] : held[i] < least[1])
	mov	a,r6
	jz	00114$
	mov	a,_thermal_safe_65536_66
	jnz	00116$
	mov	a,r7
	add	a,r7
	add	a,#_held
	mov	r1,a
	mov	ar2,@r1
	inc	r1
	mov	ar6,@r1
	mov	dpl,_thermal_least_65536_66
	mov	dph,(_thermal_least_65536_66 + 1)
	movx	a,@dptr
	mov	r4,a
	inc	dptr
	movx	a,@dptr
	mov	r5,a
	clr	c
	mov	a,r2
	subb	a,r4
	mov	a,r6
	subb	a,r5
	jc	00117$
00116$:
;	assignBit
	clr	_thermal_sloc0_1_0
	sjmp	00118$
00117$:
;	assignBit
	setb	_thermal_sloc0_1_0
00118$:
	mov	c,_thermal_sloc0_1_0
	clr	a
	rlc	a
	mov	r6,a
	sjmp	00115$
00114$:
	mov	a,r7
	add	a,r7
	add	a,#_held
	mov	r1,a
	mov	ar4,@r1
	inc	r1
	mov	ar5,@r1
	mov	dpl,_thermal_least_65536_66
	mov	dph,(_thermal_least_65536_66 + 1)
	inc	dptr
	inc	dptr
	movx	a,@dptr
	mov	r2,a
	inc	dptr
	movx	a,@dptr
	mov	r3,a
	clr	c
	mov	a,r4
	subb	a,r2
	mov	a,r5
	subb	a,r3
	clr	a
	rlc	a
	mov	r6,a
00115$:
	mov	a,r6
	jz	00109$
;	core/control.c:53: return;
	ret
00109$:
;	core/control.c:54: turn(i, want, safe ? WHY_FAILSAFE : WHY_THRESHOLD);
	mov	a,_thermal_safe_65536_66
	jz	00119$
	mov	r5,#0x02
	mov	r6,#0x00
	sjmp	00120$
00119$:
	mov	r5,#0x01
	mov	r6,#0x00
00120$:
	mov	_turn_PARM_3,r5
	mov	_turn_PARM_2,_thermal_PARM_2
	mov	dpl,r7
;	core/control.c:55: }
	ljmp	_turn
;------------------------------------------------------------
;Allocation info for local variables in function 'timers'
;------------------------------------------------------------
;i                         Allocated to registers r5 
;on                        Allocated to registers r2 
;from                      Allocated with name '_timers_from_65536_68'
;to                        Allocated to registers r3 r4 
;now                       Allocated to registers r6 r7 
;------------------------------------------------------------
;	core/control.c:57: static void timers(void)
;	-----------------------------------------
;	 function timers
;	-----------------------------------------
_timers:
;	core/control.c:60: u16 from, to, now = (u16)clock[T_HOUR] * 60 + clock[T_MINUTE];
	mov	r0,#(_clock + 0x0002)
	mov	ar7,@r0
	mov	__mulint_PARM_2,r7
	mov	(__mulint_PARM_2 + 1),#0x00
	mov	dptr,#0x003c
	lcall	__mulint
	mov	r6,dpl
	mov	r7,dph
	mov	r0,#(_clock + 0x0001)
	mov	ar5,@r0
	mov	r4,#0x00
	mov	a,r5
	add	a,r6
	mov	r6,a
	mov	a,r4
	addc	a,r7
	mov	r7,a
;	core/control.c:61: for (i = 0; i < TIMERS; i++) {
	mov	r5,#0x00
00108$:
;	core/control.c:62: if (overridden(i + 2))
	mov	ar4,r5
	mov	a,#0x02
	add	a,r4
	mov	dpl,a
	push	ar7
	push	ar6
	push	ar5
	lcall	_overridden
	mov	a,dpl
	pop	ar5
	pop	ar6
	pop	ar7
	jz	00149$
	ljmp	00106$
00149$:
;	core/control.c:64: from = setting[S(TIMER_MINUTES) + 2 * i];
	mov	ar4,r5
	mov	a,r4
	add	a,r4
	mov	r4,a
	add	a,#0x14
	mov	r3,a
	clr	F0
	mov	b,#0x02
	mov	a,r3
	jnb	acc.7,00150$
	cpl	F0
	cpl	a
	inc	a
00150$:
	mul	ab
	jnb	F0,00151$
	cpl	a
	add	a,#0x01
	xch	a,b
	cpl	a
	addc	a,#0x00
	xch	a,b
00151$:
	add	a,#_setting
	mov	dpl,a
	mov	a,#(_setting >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	_timers_from_65536_68,a
	inc	dptr
	movx	a,@dptr
	mov	(_timers_from_65536_68 + 1),a
;	core/control.c:65: to = setting[S(TIMER_MINUTES) + 2 * i + 1];
	mov	a,#0x15
	add	a,r4
	mov	r4,a
	clr	F0
	mov	b,#0x02
	mov	a,r4
	jnb	acc.7,00152$
	cpl	F0
	cpl	a
	inc	a
00152$:
	mul	ab
	jnb	F0,00153$
	cpl	a
	add	a,#0x01
	xch	a,b
	cpl	a
	addc	a,#0x00
	xch	a,b
00153$:
	add	a,#_setting
	mov	dpl,a
	mov	a,#(_setting >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	r3,a
	inc	dptr
	movx	a,@dptr
	mov	r4,a
;	core/control.c:66: if (from <= to)
	clr	c
	mov	a,r3
	subb	a,_timers_from_65536_68
	mov	a,r4
	subb	a,(_timers_from_65536_68 + 1)
;	core/control.c:67: on = now >= from && now < to;
	jc	00104$
	mov	a,r6
	subb	a,_timers_from_65536_68
	mov	a,r7
	subb	a,(_timers_from_65536_68 + 1)
	mov	_timers_sloc0_1_0,c
	jc	00111$
	clr	c
	mov	a,r6
	subb	a,r3
	mov	a,r7
	subb	a,r4
	jc	00112$
00111$:
;	assignBit
	clr	_timers_sloc0_1_0
	sjmp	00113$
00112$:
;	assignBit
	setb	_timers_sloc0_1_0
00113$:
	mov	c,_timers_sloc0_1_0
	clr	a
	rlc	a
	mov	r2,a
	sjmp	00105$
00104$:
;	core/control.c:69: on = now >= from || now < to;
	clr	c
	mov	a,r6
	subb	a,_timers_from_65536_68
	mov	a,r7
	subb	a,(_timers_from_65536_68 + 1)
	mov	_timers_sloc0_1_0,c
	jnc	00115$
	clr	c
	mov	a,r6
	subb	a,r3
	mov	a,r7
	subb	a,r4
	jc	00115$
;	assignBit
	clr	_timers_sloc0_1_0
	sjmp	00116$
00115$:
;	assignBit
	setb	_timers_sloc0_1_0
00116$:
	mov	c,_timers_sloc0_1_0
	clr	a
	rlc	a
	mov	r2,a
00105$:
;	core/control.c:70: turn(i + 2, on && clock_state == CLOCK_RUNS, WHY_TIMER);
	mov	ar4,r5
	inc	r4
	inc	r4
	mov	a,r2
	jz	00117$
	mov	a,_clock_state
	jz	00118$
00117$:
;	assignBit
	clr	_timers_sloc0_1_0
	sjmp	00119$
00118$:
;	assignBit
	setb	_timers_sloc0_1_0
00119$:
	mov	c,_timers_sloc0_1_0
	clr	a
	rlc	a
	mov	_turn_PARM_2,a
	mov	_turn_PARM_3,#0x03
	mov	dpl,r4
	push	ar7
	push	ar6
	push	ar5
	lcall	_turn
	pop	ar5
	pop	ar6
	pop	ar7
00106$:
;	core/control.c:61: for (i = 0; i < TIMERS; i++) {
	inc	r5
	cjne	r5,#0x04,00161$
00161$:
	jnc	00162$
	ljmp	00108$
00162$:
;	core/control.c:72: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'control_apply'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/control.c:74: void control_apply(void)
;	-----------------------------------------
;	 function control_apply
;	-----------------------------------------
_control_apply:
;	core/control.c:77: for (i = 0; i < 2 + TIMERS; i++)
	mov	r7,#0x00
00104$:
;	core/control.c:78: if (overridden(i))
	mov	dpl,r7
	push	ar7
	lcall	_overridden
	mov	a,dpl
	pop	ar7
	jz	00105$
;	core/control.c:79: turn(i, (u8)out[O_STATE] >> i & 1, WHY_OVERRIDE);
	mov	r0,#(_out + 0x000a)
	mov	ar6,@r0
	mov	b,r7
	inc	b
	mov	a,r6
	sjmp	00123$
00122$:
	clr	c
	rrc	a
00123$:
	djnz	b,00122$
	anl	a,#0x01
	mov	_turn_PARM_2,a
	mov	_turn_PARM_3,#0x04
	mov	dpl,r7
	push	ar7
	lcall	_turn
	pop	ar7
00105$:
;	core/control.c:77: for (i = 0; i < 2 + TIMERS; i++)
	inc	r7
	cjne	r7,#0x06,00124$
00124$:
	jc	00104$
;	core/control.c:80: port_outputs((u8)out[O_OUTPUTS]);
	mov	r0,#_out
	mov	dpl,@r0
;	core/control.c:81: }
	ljmp	_port_outputs
;------------------------------------------------------------
;Allocation info for local variables in function 'control_second'
;------------------------------------------------------------
;slot                      Allocated to registers r7 
;i                         Allocated to registers r5 
;heat                      Allocated with name '_control_second_heat_65536_75'
;cool                      Allocated with name '_control_second_cool_65536_75'
;v                         Allocated to registers r3 r4 
;sloc0                     Allocated with name '_control_second_sloc0_1_0'
;------------------------------------------------------------
;	core/control.c:83: void control_second(void)
;	-----------------------------------------
;	 function control_second
;	-----------------------------------------
_control_second:
;	core/control.c:85: u8 slot = control_slot(), i, heat = 2, cool = 2;
	lcall	_control_slot
	mov	r7,dpl
	mov	_control_second_heat_65536_75,#0x02
	mov	_control_second_cool_65536_75,#0x02
;	core/control.c:86: i16 v = NO_VALUE;
	mov	r3,#0x00
	mov	r4,#0x80
;	core/control.c:87: if (out[O_SECONDS])
	mov	r0,#(_out + 0x000c)
	mov	ar2,@r0
	inc	r0
	mov	ar5,@r0
	mov	a,r2
	orl	a,r5
	jz	00131$
;	core/control.c:88: out[O_SECONDS]--;
	dec	r2
	cjne	r2,#0xff,00183$
	dec	r5
00183$:
	mov	r0,#(_out + 0x000c)
	mov	@r0,ar2
	inc	r0
	mov	@r0,ar5
;	core/control.c:89: for (i = 0; i < 2; i++)
00131$:
	mov	r5,#0x00
00125$:
;	core/control.c:90: if (held[i] != 0xffff)
	mov	a,r5
	add	a,r5
	add	a,#_held
	mov	r1,a
	mov	_control_second_sloc0_1_0,@r1
	inc	r1
	mov	(_control_second_sloc0_1_0 + 1),@r1
	dec	r1
	mov	r2,_control_second_sloc0_1_0
	mov	r6,(_control_second_sloc0_1_0 + 1)
	cjne	r2,#0xff,00184$
	cjne	r6,#0xff,00184$
	sjmp	00126$
00184$:
;	core/control.c:91: held[i]++;
	mov	a,#0x01
	add	a,_control_second_sloc0_1_0
	mov	r2,a
	clr	a
	addc	a,(_control_second_sloc0_1_0 + 1)
	mov	r6,a
	mov	@r1,ar2
	inc	r1
	mov	@r1,ar6
	dec	r1
00126$:
;	core/control.c:89: for (i = 0; i < 2; i++)
	inc	r5
	cjne	r5,#0x02,00185$
00185$:
	jc	00125$
;	core/control.c:92: out[O_QUALITY] = Q_ABSENT;
	mov	r0,#(_out + 0x0006)
	mov	@r0,#0x85
	inc	r0
	mov	@r0,#0x00
;	core/control.c:93: if (slot < SENSORS && sensor_rom[slot][0]) {
	cjne	r7,#0x08,00187$
00187$:
	jnc	00109$
	mov	a,r7
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
	jz	00109$
;	core/control.c:94: out[O_QUALITY] = sensor_quality[slot];
	mov	a,r7
	add	a,#_sensor_quality
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_quality >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r6,a
	mov	r5,#0x00
	mov	r0,#(_out + 0x0006)
	mov	@r0,ar6
	inc	r0
	mov	@r0,ar5
;	core/control.c:95: v = sensor_value[slot];
	mov	a,r7
	mov	b,#0x02
	mul	ab
	add	a,#_sensor_value
	mov	dpl,a
	mov	a,#(_sensor_value >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	r3,a
	inc	dptr
	movx	a,@dptr
	mov	r4,a
;	core/control.c:96: if (sensor_age[slot] > 30)
	mov	a,r7
	add	a,#_sensor_age
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_age >> 8)
	mov	dph,a
	movx	a,@dptr
	mov  r7,a
	add	a,#0xff - 0x1e
	jnc	00109$
;	core/control.c:97: v = NO_VALUE;
	mov	r3,#0x00
	mov	r4,#0x80
00109$:
;	core/control.c:99: out[O_VALUE] = (u16)v;
	mov	ar6,r3
	mov	ar7,r4
	mov	r0,#(_out + 0x0004)
	mov	@r0,ar6
	inc	r0
	mov	@r0,ar7
;	core/control.c:100: if (v == NO_VALUE) {
	cjne	r3,#0x00,00123$
	cjne	r4,#0x80,00123$
;	core/control.c:101: if (bad_for < setting[S(FAILSAFE_DELAY_S)])
	mov	dptr,#(_setting + 0x0022)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	clr	c
	mov	a,_bad_for
	subb	a,r6
	mov	a,(_bad_for + 1)
	subb	a,r7
	jnc	00112$
;	core/control.c:102: bad_for++;
	inc	_bad_for
	clr	a
	cjne	a,_bad_for,00194$
	inc	(_bad_for + 1)
00194$:
	ljmp	00124$
00112$:
;	core/control.c:104: out[O_FAILSAFE] = 1;
	mov	r0,#(_out + 0x0002)
	mov	@r0,#0x01
	inc	r0
	mov	@r0,#0x00
	ljmp	00124$
00123$:
;	core/control.c:106: bad_for = 0;
	clr	a
	mov	_bad_for,a
	mov	(_bad_for + 1),a
;	core/control.c:107: out[O_FAILSAFE] = 0;
	mov	r0,#(_out + 0x0002)
	mov	@r0,#0x00
	inc	r0
	mov	@r0,#0x00
;	core/control.c:108: if (v <= (i16)setting[S(HEATER_ON)])
	mov	dptr,#(_setting + 0x0010)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	clr	c
	mov	a,r6
	subb	a,r3
	mov	a,r7
	xrl	a,#0x80
	mov	b,r4
	xrl	b,#0x80
	subb	a,b
	jc	00115$
;	core/control.c:109: heat = 1;
	mov	_control_second_heat_65536_75,#0x01
00115$:
;	core/control.c:110: if (v >= (i16)setting[S(HEATER_OFF)])
	mov	dptr,#(_setting + 0x0012)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	clr	c
	mov	a,r3
	subb	a,r6
	mov	a,r4
	xrl	a,#0x80
	mov	b,r7
	xrl	b,#0x80
	subb	a,b
	jc	00117$
;	core/control.c:111: heat = 0;
	mov	_control_second_heat_65536_75,#0x00
00117$:
;	core/control.c:112: if (v <= (i16)setting[S(FAN_OFF)])
	mov	dptr,#(_setting + 0x0016)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	clr	c
	mov	a,r6
	subb	a,r3
	mov	a,r7
	xrl	a,#0x80
	mov	b,r4
	xrl	b,#0x80
	subb	a,b
	jc	00119$
;	core/control.c:113: cool = 0;
	mov	_control_second_cool_65536_75,#0x00
00119$:
;	core/control.c:114: if (v >= (i16)setting[S(FAN_ON)])
	mov	dptr,#(_setting + 0x0014)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	clr	c
	mov	a,r3
	subb	a,r6
	mov	a,r4
	xrl	a,#0x80
	mov	b,r7
	xrl	b,#0x80
	subb	a,b
	jc	00124$
;	core/control.c:115: cool = 1;
	mov	_control_second_cool_65536_75,#0x01
00124$:
;	core/control.c:117: thermal(0, heat);
	mov	_thermal_PARM_2,_control_second_heat_65536_75
	mov	dpl,#0x00
	lcall	_thermal
;	core/control.c:118: thermal(1, cool);
	mov	_thermal_PARM_2,_control_second_cool_65536_75
	mov	dpl,#0x01
	lcall	_thermal
;	core/control.c:119: timers();
	lcall	_timers
;	core/control.c:120: control_apply();
;	core/control.c:121: }
	ljmp	_control_apply
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

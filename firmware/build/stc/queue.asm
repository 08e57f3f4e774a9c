;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module queue
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _port_ms
	.globl _queue_head
	.globl _queue_write_PARM_2
	.globl _queue_push_PARM_4
	.globl _queue_push_PARM_3
	.globl _queue_push_PARM_2
	.globl _queue_tests
	.globl _queue_fill
	.globl _queue_push
	.globl _queue_write
	.globl _queue_word
	.globl _queue_test
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
_queue_fill::
	.ds 1
_queue_tests::
	.ds 2
_oldest:
	.ds 1
_test_value:
	.ds 2
_queue_push_PARM_2:
	.ds 1
_queue_push_PARM_3:
	.ds 1
_queue_push_PARM_4:
	.ds 2
_queue_push_kind_65536_60:
	.ds 1
_queue_push_now_65536_61:
	.ds 4
_queue_write_PARM_2:
	.ds 1
_queue_write_same_65536_64:
	.ds 1
_queue_write_zero_65536_64:
	.ds 1
_queue_write_v_65536_64:
	.ds 12
_queue_write_to_65536_64:
	.ds 4
_queue_write_released_65536_64:
	.ds 4
_queue_write_sloc1_1_0:
	.ds 4
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
_queue_write_sloc0_1_0:
	.ds 1
;--------------------------------------------------------
; paged external ram data
;--------------------------------------------------------
	.area PSEG    (PAG,XDATA)
;--------------------------------------------------------
; external ram data
;--------------------------------------------------------
	.area XSEG    (XDATA)
_queue_head::
	.ds 12
_event:
	.ds 72
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
;Allocation info for local variables in function 'count'
;------------------------------------------------------------
;high                      Allocated to registers r1 
;------------------------------------------------------------
;	core/queue.c:10: static void count(u16 IDATA *high)
;	-----------------------------------------
;	 function count
;	-----------------------------------------
_count:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
	mov	r1,dpl
;	core/queue.c:12: if (!++high[1])
	mov	a,#0x02
	add	a,r1
	mov	r0,a
	mov	ar6,@r0
	inc	r0
	mov	ar7,@r0
	dec	r0
	inc	r6
	cjne	r6,#0x00,00109$
	inc	r7
00109$:
	mov	@r0,ar6
	inc	r0
	mov	@r0,ar7
	mov	a,r6
	orl	a,r7
	jnz	00103$
;	core/queue.c:13: high[0]++;
	mov	ar6,@r1
	inc	r1
	mov	ar7,@r1
	dec	r1
	inc	r6
	cjne	r6,#0x00,00111$
	inc	r7
00111$:
	mov	@r1,ar6
	inc	r1
	mov	@r1,ar7
00103$:
;	core/queue.c:14: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'drop'
;------------------------------------------------------------
;	core/queue.c:16: static void drop(void)
;	-----------------------------------------
;	 function drop
;	-----------------------------------------
_drop:
;	core/queue.c:18: if (++oldest == QUEUE)
	inc	_oldest
	mov	a,#0x09
	cjne	a,_oldest,00102$
;	core/queue.c:19: oldest = 0;
	mov	_oldest,#0x00
00102$:
;	core/queue.c:20: queue_fill--;
	dec	_queue_fill
;	core/queue.c:21: if (!++queue_head[Q_RELEASED + 1])
	mov	dptr,#(_queue_head + 0x000a)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	inc	r6
	cjne	r6,#0x00,00117$
	inc	r7
00117$:
	mov	dptr,#(_queue_head + 0x000a)
	mov	a,r6
	movx	@dptr,a
	mov	a,r7
	inc	dptr
	movx	@dptr,a
	mov	a,r6
	orl	a,r7
	jnz	00105$
;	core/queue.c:22: queue_head[Q_RELEASED]++;
	mov	dptr,#(_queue_head + 0x0008)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	inc	r6
	cjne	r6,#0x00,00119$
	inc	r7
00119$:
	mov	dptr,#(_queue_head + 0x0008)
	mov	a,r6
	movx	@dptr,a
	mov	a,r7
	inc	dptr
	movx	@dptr,a
00105$:
;	core/queue.c:23: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'queue_push'
;------------------------------------------------------------
;source                    Allocated with name '_queue_push_PARM_2'
;quality                   Allocated with name '_queue_push_PARM_3'
;value                     Allocated with name '_queue_push_PARM_4'
;kind                      Allocated with name '_queue_push_kind_65536_60'
;e                         Allocated to registers r2 r7 
;now                       Allocated with name '_queue_push_now_65536_61'
;i                         Allocated to registers r2 
;------------------------------------------------------------
;	core/queue.c:25: void queue_push(u8 kind, u8 source, u8 quality, i16 value)
;	-----------------------------------------
;	 function queue_push
;	-----------------------------------------
_queue_push:
	mov	_queue_push_kind_65536_60,dpl
;	core/queue.c:28: u32 now = port_ms();
	lcall	_port_ms
	mov	_queue_push_now_65536_61,dpl
	mov	(_queue_push_now_65536_61 + 1),dph
	mov	(_queue_push_now_65536_61 + 2),b
	mov	(_queue_push_now_65536_61 + 3),a
;	core/queue.c:30: if (queue_fill == QUEUE) {
	mov	a,#0x09
	cjne	a,_queue_fill,00102$
;	core/queue.c:31: drop();
	lcall	_drop
;	core/queue.c:32: count(&counter[C_OVERFLOWS]);
	mov	dpl,#(_counter + 0x0006)
	lcall	_count
00102$:
;	core/queue.c:34: i = oldest + queue_fill;
	mov	a,_queue_fill
	add	a,_oldest
	mov	r2,a
;	core/queue.c:35: if (i >= QUEUE)
	cjne	r2,#0x09,00117$
00117$:
	jc	00104$
;	core/queue.c:36: i -= QUEUE;
	mov	ar7,r2
	mov	a,r7
	add	a,#0xf7
	mov	r2,a
00104$:
;	core/queue.c:37: e = event[i];
	mov	a,r2
	mov	b,#0x08
	mul	ab
	add	a,#_event
	mov	r2,a
	mov	a,#(_event >> 8)
	addc	a,b
	mov	r7,a
;	core/queue.c:38: e[0] = (u16)((kind << 4 | source) << 8) | quality;
	mov	r5,_queue_push_kind_65536_60
	clr	a
	swap	a
	anl	a,#0xf0
	xch	a,r5
	swap	a
	xch	a,r5
	xrl	a,r5
	xch	a,r5
	anl	a,#0xf0
	xch	a,r5
	xrl	a,r5
	mov	r6,a
	mov	r3,_queue_push_PARM_2
	mov	r4,#0x00
	mov	a,r3
	orl	ar5,a
	mov	a,r4
	orl	ar6,a
	mov	ar6,r5
	mov	r5,#0x00
	mov	r3,_queue_push_PARM_3
	mov	r4,#0x00
	mov	a,r3
	orl	ar5,a
	mov	a,r4
	orl	ar6,a
	mov	dpl,r2
	mov	dph,r7
	mov	a,r5
	movx	@dptr,a
	mov	a,r6
	inc	dptr
	movx	@dptr,a
;	core/queue.c:39: e[1] = (u16)(now >> 16);
	mov	dpl,r2
	mov	dph,r7
	inc	dptr
	inc	dptr
	mov	r5,(_queue_push_now_65536_61 + 2)
	mov	r6,(_queue_push_now_65536_61 + 3)
	mov	a,r5
	movx	@dptr,a
	mov	a,r6
	inc	dptr
	movx	@dptr,a
;	core/queue.c:40: e[2] = (u16)now;
	mov	dpl,r2
	mov	dph,r7
	inc	dptr
	inc	dptr
	inc	dptr
	inc	dptr
	mov	r3,_queue_push_now_65536_61
	mov	r4,(_queue_push_now_65536_61 + 1)
	mov	a,r3
	movx	@dptr,a
	mov	a,r4
	inc	dptr
	movx	@dptr,a
;	core/queue.c:41: e[3] = (u16)value;
	mov	a,#0x06
	add	a,r2
	mov	dpl,a
	clr	a
	addc	a,r7
	mov	dph,a
	mov	r6,_queue_push_PARM_4
	mov	r7,(_queue_push_PARM_4 + 1)
	mov	a,r6
	movx	@dptr,a
	mov	a,r7
	inc	dptr
	movx	@dptr,a
;	core/queue.c:42: queue_fill++;
	inc	_queue_fill
;	core/queue.c:43: count(&counter[C_EVENTS]);
	mov	dpl,#(_counter + 0x0012)
;	core/queue.c:44: }
	ljmp	_count
;------------------------------------------------------------
;Allocation info for local variables in function 'queue_write'
;------------------------------------------------------------
;words                     Allocated with name '_queue_write_PARM_2'
;p                         Allocated to registers r7 
;i                         Allocated to registers r7 
;set                       Allocated to registers r6 
;same                      Allocated with name '_queue_write_same_65536_64'
;zero                      Allocated with name '_queue_write_zero_65536_64'
;v                         Allocated with name '_queue_write_v_65536_64'
;to                        Allocated with name '_queue_write_to_65536_64'
;released                  Allocated with name '_queue_write_released_65536_64'
;sloc1                     Allocated with name '_queue_write_sloc1_1_0'
;------------------------------------------------------------
;	core/queue.c:47: u8 queue_write(const u8 IDATA *p, u8 words)
;	-----------------------------------------
;	 function queue_write
;	-----------------------------------------
_queue_write:
	mov	r7,dpl
;	core/queue.c:49: u8 i, set = 0, same = 1, zero = 1;
	mov	r6,#0x00
	mov	_queue_write_same_65536_64,#0x01
	mov	_queue_write_zero_65536_64,#0x01
;	core/queue.c:52: if (words != 4 && words != 6)
	mov	a,#0x04
	cjne	a,_queue_write_PARM_2,00187$
	sjmp	00132$
00187$:
	mov	a,#0x06
	cjne	a,_queue_write_PARM_2,00188$
	sjmp	00132$
00188$:
;	core/queue.c:53: return 2;
	mov	dpl,#0x02
	ret
;	core/queue.c:54: for (i = 0; i < words; i++) {
00132$:
	mov	ar1,r7
	mov	r7,#0x00
00122$:
	clr	c
	mov	a,r7
	subb	a,_queue_write_PARM_2
	jnc	00106$
;	core/queue.c:55: v[i] = (u16)p[0] << 8 | p[1];
	mov	a,r7
	add	a,r7
	add	a,#_queue_write_v_65536_64
	mov	r0,a
	mov	ar3,@r1
	mov	ar2,r3
	mov	r3,#0x00
	mov	a,r1
	inc	a
	mov	r4,a
	push	ar0
	mov	r0,ar4
	mov	ar4,@r0
	pop	ar0
	mov	r5,#0x00
	mov	a,r4
	orl	ar3,a
	mov	a,r5
	orl	ar2,a
	mov	@r0,ar3
	inc	r0
	mov	@r0,ar2
	dec	r0
;	core/queue.c:56: p += 2;
	inc	r1
	inc	r1
;	core/queue.c:57: if (i < 4) {
	cjne	r7,#0x04,00190$
00190$:
	jnc	00123$
;	core/queue.c:58: set |= queue_head[i] != 0;
	mov	a,r7
	mov	b,#0x02
	mul	ab
	add	a,#_queue_head
	mov	dpl,a
	mov	a,#(_queue_head >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	r4,a
	inc	dptr
	movx	a,@dptr
	mov	r5,a
	orl	a,r4
	cjne	a,#0x01,00192$
00192$:
	cpl	c
	mov	_queue_write_sloc0_1_0,c
	clr	a
	rlc	a
	orl	ar6,a
;	core/queue.c:59: zero &= v[i] == 0;
	mov	ar2,@r0
	inc	r0
	mov	ar3,@r0
	dec	r0
	clr	a
	cjne	r2,#0x00,00193$
	cjne	r3,#0x00,00193$
	inc	a
00193$:
	anl	_queue_write_zero_65536_64,a
;	core/queue.c:60: same &= v[i] == queue_head[i];
	mov	ar2,@r0
	inc	r0
	mov	ar3,@r0
	dec	r0
	mov	a,r2
	cjne	a,ar4,00195$
	mov	a,r3
	cjne	a,ar5,00195$
	mov	a,#0x01
	sjmp	00196$
00195$:
	clr	a
00196$:
	anl	_queue_write_same_65536_64,a
00123$:
;	core/queue.c:54: for (i = 0; i < words; i++) {
	inc	r7
	sjmp	00122$
00106$:
;	core/queue.c:63: if (zero || (set && !same) || (words == 6 && !set))
	mov	a,_queue_write_zero_65536_64
	jnz	00107$
	mov	a,r6
	jz	00112$
	mov	a,_queue_write_same_65536_64
	jz	00107$
00112$:
	mov	a,#0x06
	cjne	a,_queue_write_PARM_2,00200$
	mov	a,#0x01
	sjmp	00201$
00200$:
	clr	a
00201$:
	mov	r7,a
	jz	00108$
	mov	a,r6
	jnz	00108$
00107$:
;	core/queue.c:64: return 3;
	mov	dpl,#0x03
	ret
00108$:
;	core/queue.c:65: if (words == 6) {
	mov	a,r7
	jnz	00204$
	ljmp	00140$
00204$:
;	core/queue.c:66: to = (u32)v[4] << 16 | v[5];
	mov	r4,(_queue_write_v_65536_64 + 0x0008)
	mov	r5,((_queue_write_v_65536_64 + 0x0008) + 1)
	mov	r7,#0x00
	mov	(_queue_write_sloc1_1_0 + 3),r5
	mov	(_queue_write_sloc1_1_0 + 2),r4
;	1-genFromRTrack replaced	mov	_queue_write_sloc1_1_0,#0x00
	mov	_queue_write_sloc1_1_0,r7
;	1-genFromRTrack replaced	mov	(_queue_write_sloc1_1_0 + 1),#0x00
	mov	(_queue_write_sloc1_1_0 + 1),r7
	mov	r2,(_queue_write_v_65536_64 + 0x000a)
	mov	r3,((_queue_write_v_65536_64 + 0x000a) + 1)
	clr	a
	mov	r6,a
	mov	r7,a
	mov	a,r2
	orl	a,_queue_write_sloc1_1_0
	mov	_queue_write_to_65536_64,a
	mov	a,r3
	orl	a,(_queue_write_sloc1_1_0 + 1)
	mov	(_queue_write_to_65536_64 + 1),a
	mov	a,r6
	orl	a,(_queue_write_sloc1_1_0 + 2)
	mov	(_queue_write_to_65536_64 + 2),a
	mov	a,r7
	orl	a,(_queue_write_sloc1_1_0 + 3)
	mov	(_queue_write_to_65536_64 + 3),a
;	core/queue.c:67: released = (u32)queue_head[Q_RELEASED] << 16 | queue_head[Q_RELEASED + 1];
	mov	dptr,#(_queue_head + 0x0008)
	movx	a,@dptr
	mov	r2,a
	inc	dptr
	movx	a,@dptr
	mov	r3,a
	mov	r7,#0x00
	mov	(_queue_write_sloc1_1_0 + 3),r3
	mov	(_queue_write_sloc1_1_0 + 2),r2
;	1-genFromRTrack replaced	mov	_queue_write_sloc1_1_0,#0x00
	mov	_queue_write_sloc1_1_0,r7
;	1-genFromRTrack replaced	mov	(_queue_write_sloc1_1_0 + 1),#0x00
	mov	(_queue_write_sloc1_1_0 + 1),r7
	mov	dptr,#(_queue_head + 0x000a)
	movx	a,@dptr
	mov	r4,a
	inc	dptr
	movx	a,@dptr
	mov	r5,a
	clr	a
	mov	r6,a
	mov	r7,a
	mov	a,r4
	orl	a,_queue_write_sloc1_1_0
	mov	_queue_write_released_65536_64,a
	mov	a,r5
	orl	a,(_queue_write_sloc1_1_0 + 1)
	mov	(_queue_write_released_65536_64 + 1),a
	mov	a,r6
	orl	a,(_queue_write_sloc1_1_0 + 2)
	mov	(_queue_write_released_65536_64 + 2),a
	mov	a,r7
	orl	a,(_queue_write_sloc1_1_0 + 3)
	mov	(_queue_write_released_65536_64 + 3),a
;	core/queue.c:68: if (to > released + queue_fill)
	mov	r2,_queue_fill
	clr	a
	mov	r3,a
	mov	r6,a
	mov	r7,a
	mov	a,r2
	add	a,_queue_write_released_65536_64
	mov	r2,a
	mov	a,r3
	addc	a,(_queue_write_released_65536_64 + 1)
	mov	r3,a
	mov	a,r6
	addc	a,(_queue_write_released_65536_64 + 2)
	mov	r6,a
	mov	a,r7
	addc	a,(_queue_write_released_65536_64 + 3)
	mov	r7,a
	clr	c
	mov	a,r2
	subb	a,_queue_write_to_65536_64
	mov	a,r3
	subb	a,(_queue_write_to_65536_64 + 1)
	mov	a,r6
	subb	a,(_queue_write_to_65536_64 + 2)
	mov	a,r7
	subb	a,(_queue_write_to_65536_64 + 3)
	jnc	00139$
;	core/queue.c:69: return 3;
	mov	dpl,#0x03
;	core/queue.c:70: while (released < to) {
	ret
00139$:
	mov	r4,_queue_write_released_65536_64
	mov	r5,(_queue_write_released_65536_64 + 1)
	mov	r6,(_queue_write_released_65536_64 + 2)
	mov	r7,(_queue_write_released_65536_64 + 3)
00115$:
	clr	c
	mov	a,r4
	subb	a,_queue_write_to_65536_64
	mov	a,r5
	subb	a,(_queue_write_to_65536_64 + 1)
	mov	a,r6
	subb	a,(_queue_write_to_65536_64 + 2)
	mov	a,r7
	subb	a,(_queue_write_to_65536_64 + 3)
	jnc	00117$
;	core/queue.c:71: released++;
	inc	r4
	cjne	r4,#0x00,00207$
	inc	r5
	cjne	r5,#0x00,00207$
	inc	r6
	cjne	r6,#0x00,00207$
	inc	r7
00207$:
;	core/queue.c:72: drop();
	push	ar7
	push	ar6
	push	ar5
	push	ar4
	lcall	_drop
	pop	ar4
	pop	ar5
	pop	ar6
	pop	ar7
	sjmp	00115$
00117$:
;	core/queue.c:74: return 0;
	mov	dpl,#0x00
;	core/queue.c:76: for (i = 0; i < 4; i++)
	ret
00140$:
	mov	r7,#0x00
00124$:
;	core/queue.c:77: queue_head[i] = v[i];
	mov	a,r7
	mov	b,#0x02
	mul	ab
	add	a,#_queue_head
	mov	dpl,a
	mov	a,#(_queue_head >> 8)
	addc	a,b
	mov	dph,a
	mov	a,r7
	add	a,r7
	add	a,#_queue_write_v_65536_64
	mov	r1,a
	mov	ar5,@r1
	inc	r1
	mov	ar6,@r1
	dec	r1
	mov	a,r5
	movx	@dptr,a
	mov	a,r6
	inc	dptr
	movx	@dptr,a
;	core/queue.c:76: for (i = 0; i < 4; i++)
	inc	r7
	cjne	r7,#0x04,00208$
00208$:
	jc	00124$
;	core/queue.c:78: return 0;
	mov	dpl,#0x00
;	core/queue.c:79: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'queue_word'
;------------------------------------------------------------
;w                         Allocated to registers r7 
;i                         Allocated to registers r6 
;------------------------------------------------------------
;	core/queue.c:81: u16 queue_word(u8 w)
;	-----------------------------------------
;	 function queue_word
;	-----------------------------------------
_queue_word:
;	core/queue.c:83: u8 i = w >> 2;
	mov	a,dpl
	mov	r7,a
	rr	a
	rr	a
	anl	a,#0x3f
;	core/queue.c:84: if (i >= queue_fill)
	mov	r6,a
	clr	c
	subb	a,_queue_fill
	jc	00102$
;	core/queue.c:85: return 0xffff;
	mov	dptr,#0xffff
	ret
00102$:
;	core/queue.c:86: i += oldest;
	mov	a,_oldest
	add	a,r6
	mov	r6,a
;	core/queue.c:87: if (i >= QUEUE)
	cjne	r6,#0x09,00118$
00118$:
	jc	00104$
;	core/queue.c:88: i -= QUEUE;
	mov	ar5,r6
	mov	a,r5
	add	a,#0xf7
	mov	r6,a
00104$:
;	core/queue.c:89: return event[i][w & 3];
	mov	a,r6
	mov	b,#0x08
	mul	ab
	add	a,#_event
	mov	r5,a
	mov	a,#(_event >> 8)
	addc	a,b
	mov	r6,a
	anl	ar7,#0x03
	mov	r4,#0x00
	mov	a,r7
	add	a,r7
	mov	r7,a
	mov	a,r4
	rlc	a
	mov	r4,a
	mov	a,r7
	add	a,r5
	mov	dpl,a
	mov	a,r4
	addc	a,r6
	mov	dph,a
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
;	core/queue.c:90: }
	mov	dpl,r6
	mov	dph,a
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'queue_test'
;------------------------------------------------------------
;	core/queue.c:92: void queue_test(void)
;	-----------------------------------------
;	 function queue_test
;	-----------------------------------------
_queue_test:
;	core/queue.c:94: while (queue_tests && queue_fill < QUEUE) {
00102$:
	mov	a,_queue_tests
	orl	a,(_queue_tests + 1)
	jz	00105$
	mov	a,#0x100 - 0x09
	add	a,_queue_fill
	jc	00105$
;	core/queue.c:95: queue_tests--;
	dec	_queue_tests
	mov	a,#0xff
	cjne	a,_queue_tests,00121$
	dec	(_queue_tests + 1)
00121$:
;	core/queue.c:96: queue_push(EV_TEST, 0, Q_GOOD, test_value++);
	mov	_queue_push_PARM_4,_test_value
	mov	(_queue_push_PARM_4 + 1),(_test_value + 1)
	inc	_test_value
	clr	a
	cjne	a,_test_value,00122$
	inc	(_test_value + 1)
00122$:
	mov	_queue_push_PARM_2,#0x00
	mov	_queue_push_PARM_3,#0x00
	mov	dpl,#0x07
	lcall	_queue_push
	sjmp	00102$
00105$:
;	core/queue.c:98: }
	ret
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

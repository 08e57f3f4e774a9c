;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module onewire
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _crc8
	.globl _port_ow_slot
	.globl _port_ow_reset
	.globl _ow_found
	.globl _work
	.globl _ow_start
	.globl _ow_write
	.globl _ow_read
	.globl _ow_select
	.globl _ow_search_begin
	.globl _ow_search
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
_last_fork:
	.ds 1
_ow_search_at_65536_72:
	.ds 1
_ow_search_fork_65536_72:
	.ds 1
_ow_search_id_65536_72:
	.ds 1
_ow_search_crc_65536_72:
	.ds 1
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
;--------------------------------------------------------
; indirectly addressable internal ram data
;--------------------------------------------------------
	.area ISEG    (DATA)
_work::
	.ds 16
;--------------------------------------------------------
; absolute internal ram data
;--------------------------------------------------------
	.area IABS    (ABS,DATA)
	.area IABS    (ABS,DATA)
;--------------------------------------------------------
; bit data
;--------------------------------------------------------
	.area BSEG    (BIT)
_ow_search_sloc0_1_0:
	.ds 1
;--------------------------------------------------------
; paged external ram data
;--------------------------------------------------------
	.area PSEG    (PAG,XDATA)
;--------------------------------------------------------
; external ram data
;--------------------------------------------------------
	.area XSEG    (XDATA)
_ow_found::
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
;Allocation info for local variables in function 'ow_start'
;------------------------------------------------------------
;r                         Allocated to registers r6 
;------------------------------------------------------------
;	core/onewire.c:7: u8 ow_start(void)
;	-----------------------------------------
;	 function ow_start
;	-----------------------------------------
_ow_start:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
;	core/onewire.c:9: u8 r = port_ow_reset();
	lcall	_port_ow_reset
;	core/onewire.c:10: if (!r)
	mov	a,dpl
	mov	r6,a
;	core/onewire.c:11: return Q_GOOD;
	jnz	00102$
	mov	dpl,a
	ret
00102$:
;	core/onewire.c:12: return r == 1 ? Q_ABSENT : Q_SHORTED;
	cjne	r6,#0x01,00105$
	mov	r6,#0x85
	mov	r7,#0x00
	sjmp	00106$
00105$:
	mov	r6,#0x87
	mov	r7,#0x00
00106$:
	mov	dpl,r6
;	core/onewire.c:13: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'ow_write'
;------------------------------------------------------------
;b                         Allocated to registers r7 
;i                         Allocated to registers r6 
;------------------------------------------------------------
;	core/onewire.c:15: void ow_write(u8 b)
;	-----------------------------------------
;	 function ow_write
;	-----------------------------------------
_ow_write:
	mov	r7,dpl
;	core/onewire.c:18: for (i = 8; i; i--) {
	mov	r6,#0x08
00102$:
;	core/onewire.c:19: port_ow_slot(b & 1);
	mov	a,#0x01
	anl	a,r7
	mov	dpl,a
	push	ar7
	push	ar6
	lcall	_port_ow_slot
	pop	ar6
	pop	ar7
;	core/onewire.c:20: b >>= 1;
	mov	a,r7
	clr	c
	rrc	a
	mov	r7,a
;	core/onewire.c:18: for (i = 8; i; i--) {
	djnz	r6,00102$
;	core/onewire.c:22: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'ow_read'
;------------------------------------------------------------
;i                         Allocated to registers r6 
;b                         Allocated to registers r7 
;------------------------------------------------------------
;	core/onewire.c:24: u8 ow_read(void)
;	-----------------------------------------
;	 function ow_read
;	-----------------------------------------
_ow_read:
;	core/onewire.c:26: u8 i, b = 0;
	mov	r7,#0x00
;	core/onewire.c:27: for (i = 8; i; i--) {
	mov	r6,#0x08
00104$:
;	core/onewire.c:28: b >>= 1;
	mov	a,r7
	clr	c
	rrc	a
	mov	r7,a
;	core/onewire.c:29: if (port_ow_slot(1))
	mov	dpl,#0x01
	push	ar7
	push	ar6
	lcall	_port_ow_slot
	mov	a,dpl
	pop	ar6
	pop	ar7
	jz	00105$
;	core/onewire.c:30: b |= 0x80;
	orl	ar7,#0x80
00105$:
;	core/onewire.c:27: for (i = 8; i; i--) {
	djnz	r6,00104$
;	core/onewire.c:32: return b;
	mov	dpl,r7
;	core/onewire.c:33: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'ow_select'
;------------------------------------------------------------
;slot                      Allocated to registers r7 
;i                         Allocated to registers r5 
;------------------------------------------------------------
;	core/onewire.c:35: void ow_select(u8 slot)
;	-----------------------------------------
;	 function ow_select
;	-----------------------------------------
_ow_select:
	mov	r7,dpl
;	core/onewire.c:38: ow_write(0x55);
	mov	dpl,#0x55
	push	ar7
	lcall	_ow_write
	pop	ar7
;	core/onewire.c:39: for (i = 0; i < 8; i++)
	mov	a,r7
	mov	b,#0x08
	mul	ab
	add	a,#_sensor_rom
	mov	r6,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r7,a
	mov	r5,#0x00
00102$:
;	core/onewire.c:40: ow_write(sensor_rom[slot][i]);
	mov	a,r5
	add	a,r6
	mov	dpl,a
	clr	a
	addc	a,r7
	mov	dph,a
	movx	a,@dptr
	mov	dpl,a
	push	ar7
	push	ar6
	push	ar5
	lcall	_ow_write
	pop	ar5
	pop	ar6
	pop	ar7
;	core/onewire.c:39: for (i = 0; i < 8; i++)
	inc	r5
	cjne	r5,#0x08,00111$
00111$:
	jc	00102$
;	core/onewire.c:41: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'ow_search_begin'
;------------------------------------------------------------
;	core/onewire.c:43: void ow_search_begin(void) { last_fork = 0; }
;	-----------------------------------------
;	 function ow_search_begin
;	-----------------------------------------
_ow_search_begin:
	mov	_last_fork,#0x00
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'ow_search'
;------------------------------------------------------------
;bit                       Allocated to registers 
;at                        Allocated with name '_ow_search_at_65536_72'
;mask                      Allocated to registers r7 
;fork                      Allocated with name '_ow_search_fork_65536_72'
;id                        Allocated with name '_ow_search_id_65536_72'
;not_id                    Allocated to registers r5 
;crc                       Allocated with name '_ow_search_crc_65536_72'
;------------------------------------------------------------
;	core/onewire.c:46: u8 ow_search(void)
;	-----------------------------------------
;	 function ow_search
;	-----------------------------------------
_ow_search:
;	core/onewire.c:48: u8 bit = 1, at = 0, mask = 1, fork = 0, id, not_id, crc = 0;
	mov	r7,#0x01
	mov	r6,#0x00
;	1-genFromRTrack replaced	mov	_ow_search_crc_65536_72,#0x00
	mov	_ow_search_crc_65536_72,r6
;	core/onewire.c:49: if (last_fork == 0xff || ow_start() != Q_GOOD)
	mov	a,#0xff
	cjne	a,_last_fork,00180$
	sjmp	00101$
00180$:
	push	ar7
	push	ar6
	lcall	_ow_start
	mov	a,dpl
	pop	ar6
	pop	ar7
	jz	00102$
00101$:
;	core/onewire.c:50: return 0;
	mov	dpl,#0x00
	ret
00102$:
;	core/onewire.c:51: ow_write(0xf0);
	mov	dpl,#0xf0
	push	ar7
	push	ar6
	lcall	_ow_write
	pop	ar6
	pop	ar7
	mov	_ow_search_at_65536_72,#0x00
	mov	_ow_search_fork_65536_72,#0x01
00126$:
;	core/onewire.c:52: for (; bit <= 64; bit++) {
	mov	a,_ow_search_fork_65536_72
	add	a,#0xff - 0x40
	jnc	00182$
	ljmp	00120$
00182$:
;	core/onewire.c:53: id = port_ow_slot(1);
	mov	dpl,#0x01
	push	ar7
	push	ar6
	lcall	_port_ow_slot
	mov	_ow_search_id_65536_72,dpl
;	core/onewire.c:54: not_id = port_ow_slot(1);
	mov	dpl,#0x01
	lcall	_port_ow_slot
	mov	r5,dpl
	pop	ar6
	pop	ar7
;	core/onewire.c:55: if (id && not_id)
	mov	a,_ow_search_id_65536_72
	jz	00105$
	mov	a,r5
	jz	00184$
	ljmp	00121$
00184$:
;	core/onewire.c:56: goto over;
00105$:
;	core/onewire.c:57: if (!id && !not_id) {
	mov	a,_ow_search_id_65536_72
	jnz	00113$
	mov	a,r5
	jnz	00113$
;	core/onewire.c:58: if (bit < last_fork)
	clr	c
	mov	a,_ow_search_fork_65536_72
	subb	a,_last_fork
	jnc	00108$
;	core/onewire.c:59: id = ow_found[at] & mask;
	mov	a,_ow_search_at_65536_72
	add	a,#_ow_found
	mov	dpl,a
	clr	a
	addc	a,#(_ow_found >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r5,a
	mov	a,r7
	anl	a,r5
	mov	_ow_search_id_65536_72,a
	sjmp	00109$
00108$:
;	core/onewire.c:61: id = bit == last_fork;
	mov	a,_last_fork
	cjne	a,_ow_search_fork_65536_72,00188$
	mov	a,#0x01
	sjmp	00189$
00188$:
	clr	a
00189$:
	mov	_ow_search_id_65536_72,a
00109$:
;	core/onewire.c:62: if (!id)
	mov	a,_ow_search_id_65536_72
	jnz	00113$
;	core/onewire.c:63: fork = bit;
	mov	r6,_ow_search_fork_65536_72
00113$:
;	core/onewire.c:65: if (id)
	mov	a,_ow_search_id_65536_72
	jz	00116$
;	core/onewire.c:66: ow_found[at] |= mask;
	mov	a,_ow_search_at_65536_72
	add	a,#_ow_found
	mov	r3,a
	clr	a
	addc	a,#(_ow_found >> 8)
	mov	r5,a
	mov	dpl,r3
	mov	dph,r5
	movx	a,@dptr
	mov	r4,a
	mov	a,r7
	orl	ar4,a
	mov	dpl,r3
	mov	dph,r5
	mov	a,r4
	movx	@dptr,a
	sjmp	00117$
00116$:
;	core/onewire.c:68: ow_found[at] &= ~mask;
	mov	a,_ow_search_at_65536_72
	add	a,#_ow_found
	mov	r4,a
	clr	a
	addc	a,#(_ow_found >> 8)
	mov	r5,a
	mov	dpl,r4
	mov	dph,r5
	movx	a,@dptr
	mov	r3,a
	mov	a,r7
	cpl	a
	mov	r2,a
	anl	ar3,a
	mov	dpl,r4
	mov	dph,r5
	mov	a,r3
	movx	@dptr,a
00117$:
;	core/onewire.c:69: port_ow_slot(id != 0);
	mov	a,_ow_search_id_65536_72
	cjne	a,#0x01,00192$
00192$:
	cpl	c
	mov	_ow_search_sloc0_1_0,c
	clr	a
	rlc	a
	mov	dpl,a
	push	ar7
	push	ar6
	lcall	_port_ow_slot
	pop	ar6
	pop	ar7
;	core/onewire.c:70: mask <<= 1;
	mov	ar5,r7
	mov	a,r5
	add	a,r5
;	core/onewire.c:71: if (!mask) {
	mov	r7,a
	jnz	00127$
;	core/onewire.c:72: crc = crc8(crc, ow_found[at]);
	mov	a,_ow_search_at_65536_72
	add	a,#_ow_found
	mov	dpl,a
	clr	a
	addc	a,#(_ow_found >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	_crc8_PARM_2,a
	mov	dpl,_ow_search_crc_65536_72
	push	ar6
	lcall	_crc8
	mov	_ow_search_crc_65536_72,dpl
	pop	ar6
;	core/onewire.c:73: mask = 1;
	mov	r7,#0x01
;	core/onewire.c:74: at++;
	inc	_ow_search_at_65536_72
00127$:
;	core/onewire.c:52: for (; bit <= 64; bit++) {
	inc	_ow_search_fork_65536_72
	ljmp	00126$
00120$:
;	core/onewire.c:77: if (crc || !ow_found[0]) {
	mov	a,_ow_search_crc_65536_72
	jnz	00121$
	mov	dptr,#_ow_found
	movx	a,@dptr
	jnz	00123$
;	core/onewire.c:78: over:
00121$:
;	core/onewire.c:79: counter[C_ONEWIRE]++;
	mov	r0,#(_counter + 0x000a)
	mov	ar5,@r0
	inc	r0
	mov	ar7,@r0
	inc	r5
	cjne	r5,#0x00,00196$
	inc	r7
00196$:
	mov	r0,#(_counter + 0x000a)
	mov	@r0,ar5
	inc	r0
	mov	@r0,ar7
;	core/onewire.c:80: last_fork = 0xff;
	mov	_last_fork,#0xff
;	core/onewire.c:81: return 0;
	mov	dpl,#0x00
	ret
00123$:
;	core/onewire.c:83: last_fork = fork ? fork : 0xff;
	mov	a,r6
	jz	00130$
	mov	r7,#0x00
	sjmp	00131$
00130$:
	mov	r6,#0xff
	mov	r7,#0x00
00131$:
	mov	_last_fork,r6
;	core/onewire.c:84: return 1;
	mov	dpl,#0x01
;	core/onewire.c:85: }
	ret
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

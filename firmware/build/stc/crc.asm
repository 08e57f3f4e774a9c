;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module crc
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _crc16_PARM_2
	.globl _crc8_PARM_2
	.globl _crc8
	.globl _crc16
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
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
	.area	OSEG    (OVR,DATA)
_crc8_PARM_2:
	.ds 1
	.area	OSEG    (OVR,DATA)
_crc16_PARM_2:
	.ds 1
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
;Allocation info for local variables in function 'crc8'
;------------------------------------------------------------
;b                         Allocated with name '_crc8_PARM_2'
;crc                       Allocated to registers r7 
;i                         Allocated to registers r6 
;------------------------------------------------------------
;	core/crc.c:3: u8 crc8(u8 crc, u8 b)
;	-----------------------------------------
;	 function crc8
;	-----------------------------------------
_crc8:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
	mov	r7,dpl
;	core/crc.c:6: crc ^= b;
	mov	a,_crc8_PARM_2
	xrl	ar7,a
;	core/crc.c:7: for (i = 8; i; i--)
	mov	r6,#0x08
00102$:
;	core/crc.c:8: crc = crc & 1 ? (crc >> 1) ^ 0x8c : crc >> 1;
	mov	a,r7
	jnb	acc.0,00106$
	mov	a,r7
	clr	c
	rrc	a
	mov	r5,a
	xrl	ar5,#0x8c
	sjmp	00107$
00106$:
	mov	a,r7
	clr	c
	rrc	a
	mov	r5,a
00107$:
	mov	ar7,r5
;	core/crc.c:7: for (i = 8; i; i--)
	djnz	r6,00102$
;	core/crc.c:9: return crc;
	mov	dpl,r7
;	core/crc.c:10: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'crc16'
;------------------------------------------------------------
;b                         Allocated with name '_crc16_PARM_2'
;crc                       Allocated to registers r6 r7 
;i                         Allocated to registers r5 
;------------------------------------------------------------
;	core/crc.c:12: u16 crc16(u16 crc, u8 b)
;	-----------------------------------------
;	 function crc16
;	-----------------------------------------
_crc16:
	mov	r6,dpl
	mov	r7,dph
;	core/crc.c:15: crc ^= b;
	mov	r4,_crc16_PARM_2
	mov	r5,#0x00
	mov	a,r4
	xrl	ar6,a
	mov	a,r5
	xrl	ar7,a
;	core/crc.c:16: for (i = 8; i; i--)
	mov	r5,#0x08
00102$:
;	core/crc.c:17: crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
	mov	a,r6
	jnb	acc.0,00106$
	mov	ar3,r6
	mov	a,r7
	clr	c
	rrc	a
	xch	a,r3
	rrc	a
	xch	a,r3
	mov	r4,a
	xrl	ar3,#0x01
	xrl	ar4,#0xa0
	sjmp	00107$
00106$:
	mov	ar3,r6
	mov	a,r7
	clr	c
	rrc	a
	xch	a,r3
	rrc	a
	xch	a,r3
	mov	r4,a
00107$:
	mov	ar6,r3
	mov	ar7,r4
;	core/crc.c:16: for (i = 8; i; i--)
	djnz	r5,00102$
;	core/crc.c:18: return crc;
	mov	dpl,r6
	mov	dph,r7
;	core/crc.c:19: }
	ret
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

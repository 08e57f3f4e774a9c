;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module port
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _main
	.globl ___sdcc_external_startup
	.globl _node_turn
	.globl _node_init
	.globl _modbus_receive
	.globl _TF2
	.globl _EXF2
	.globl _RCLK
	.globl _TCLK
	.globl _EXEN2
	.globl _TR2
	.globl _C_T2
	.globl _CP_RL2
	.globl _T2CON_7
	.globl _T2CON_6
	.globl _T2CON_5
	.globl _T2CON_4
	.globl _T2CON_3
	.globl _T2CON_2
	.globl _T2CON_1
	.globl _T2CON_0
	.globl _PT2
	.globl _ET2
	.globl _CY
	.globl _AC
	.globl _F0
	.globl _RS1
	.globl _RS0
	.globl _OV
	.globl _F1
	.globl _P
	.globl _PS
	.globl _PT1
	.globl _PX1
	.globl _PT0
	.globl _PX0
	.globl _RD
	.globl _WR
	.globl _T1
	.globl _T0
	.globl _INT1
	.globl _INT0
	.globl _TXD
	.globl _RXD
	.globl _P3_7
	.globl _P3_6
	.globl _P3_5
	.globl _P3_4
	.globl _P3_3
	.globl _P3_2
	.globl _P3_1
	.globl _P3_0
	.globl _EA
	.globl _ES
	.globl _ET1
	.globl _EX1
	.globl _ET0
	.globl _EX0
	.globl _P2_7
	.globl _P2_6
	.globl _P2_5
	.globl _P2_4
	.globl _P2_3
	.globl _P2_2
	.globl _P2_1
	.globl _P2_0
	.globl _SM0
	.globl _SM1
	.globl _SM2
	.globl _REN
	.globl _TB8
	.globl _RB8
	.globl _TI
	.globl _RI
	.globl _P1_7
	.globl _P1_6
	.globl _P1_5
	.globl _P1_4
	.globl _P1_3
	.globl _P1_2
	.globl _P1_1
	.globl _P1_0
	.globl _TF1
	.globl _TR1
	.globl _TF0
	.globl _TR0
	.globl _IE1
	.globl _IT1
	.globl _IE0
	.globl _IT0
	.globl _P0_7
	.globl _P0_6
	.globl _P0_5
	.globl _P0_4
	.globl _P0_3
	.globl _P0_2
	.globl _P0_1
	.globl _P0_0
	.globl _ISP_CONTR
	.globl _ISP_TRIG
	.globl _ISP_CMD
	.globl _ISP_ADDRL
	.globl _ISP_ADDRH
	.globl _ISP_DATA
	.globl _WDT_CONTR
	.globl _TH2
	.globl _TL2
	.globl _RCAP2H
	.globl _RCAP2L
	.globl _T2CON
	.globl _B
	.globl _ACC
	.globl _PSW
	.globl _IP
	.globl _P3
	.globl _IE
	.globl _P2
	.globl _SBUF
	.globl _SCON
	.globl _P1
	.globl _TH1
	.globl _TH0
	.globl _TL1
	.globl _TL0
	.globl _TMOD
	.globl _TCON
	.globl _PCON
	.globl _DPH
	.globl _DPL
	.globl _SP
	.globl _P0
	.globl _port_store_write_PARM_3
	.globl _port_store_write_PARM_2
	.globl _port_store_read_PARM_2
	.globl _port_ticks
	.globl _tick_interrupt
	.globl _uart_interrupt
	.globl _port_ms
	.globl _port_watchdog
	.globl _port_reset_cause
	.globl _port_reset
	.globl _port_boot
	.globl _port_uart
	.globl _port_talk
	.globl _port_send
	.globl _port_ow_reset
	.globl _port_ow_slot
	.globl _port_outputs
	.globl _port_lcd
	.globl _port_delay_us
	.globl _port_rtc_select
	.globl _port_rtc_write
	.globl _port_rtc_read
	.globl _port_store_read
	.globl _port_store_erase
	.globl _port_store_write
;--------------------------------------------------------
; special function registers
;--------------------------------------------------------
	.area RSEG    (ABS,DATA)
	.org 0x0000
_P0	=	0x0080
_SP	=	0x0081
_DPL	=	0x0082
_DPH	=	0x0083
_PCON	=	0x0087
_TCON	=	0x0088
_TMOD	=	0x0089
_TL0	=	0x008a
_TL1	=	0x008b
_TH0	=	0x008c
_TH1	=	0x008d
_P1	=	0x0090
_SCON	=	0x0098
_SBUF	=	0x0099
_P2	=	0x00a0
_IE	=	0x00a8
_P3	=	0x00b0
_IP	=	0x00b8
_PSW	=	0x00d0
_ACC	=	0x00e0
_B	=	0x00f0
_T2CON	=	0x00c8
_RCAP2L	=	0x00ca
_RCAP2H	=	0x00cb
_TL2	=	0x00cc
_TH2	=	0x00cd
_WDT_CONTR	=	0x00e1
_ISP_DATA	=	0x00e2
_ISP_ADDRH	=	0x00e3
_ISP_ADDRL	=	0x00e4
_ISP_CMD	=	0x00e5
_ISP_TRIG	=	0x00e6
_ISP_CONTR	=	0x00e7
;--------------------------------------------------------
; special function bits
;--------------------------------------------------------
	.area RSEG    (ABS,DATA)
	.org 0x0000
_P0_0	=	0x0080
_P0_1	=	0x0081
_P0_2	=	0x0082
_P0_3	=	0x0083
_P0_4	=	0x0084
_P0_5	=	0x0085
_P0_6	=	0x0086
_P0_7	=	0x0087
_IT0	=	0x0088
_IE0	=	0x0089
_IT1	=	0x008a
_IE1	=	0x008b
_TR0	=	0x008c
_TF0	=	0x008d
_TR1	=	0x008e
_TF1	=	0x008f
_P1_0	=	0x0090
_P1_1	=	0x0091
_P1_2	=	0x0092
_P1_3	=	0x0093
_P1_4	=	0x0094
_P1_5	=	0x0095
_P1_6	=	0x0096
_P1_7	=	0x0097
_RI	=	0x0098
_TI	=	0x0099
_RB8	=	0x009a
_TB8	=	0x009b
_REN	=	0x009c
_SM2	=	0x009d
_SM1	=	0x009e
_SM0	=	0x009f
_P2_0	=	0x00a0
_P2_1	=	0x00a1
_P2_2	=	0x00a2
_P2_3	=	0x00a3
_P2_4	=	0x00a4
_P2_5	=	0x00a5
_P2_6	=	0x00a6
_P2_7	=	0x00a7
_EX0	=	0x00a8
_ET0	=	0x00a9
_EX1	=	0x00aa
_ET1	=	0x00ab
_ES	=	0x00ac
_EA	=	0x00af
_P3_0	=	0x00b0
_P3_1	=	0x00b1
_P3_2	=	0x00b2
_P3_3	=	0x00b3
_P3_4	=	0x00b4
_P3_5	=	0x00b5
_P3_6	=	0x00b6
_P3_7	=	0x00b7
_RXD	=	0x00b0
_TXD	=	0x00b1
_INT0	=	0x00b2
_INT1	=	0x00b3
_T0	=	0x00b4
_T1	=	0x00b5
_WR	=	0x00b6
_RD	=	0x00b7
_PX0	=	0x00b8
_PT0	=	0x00b9
_PX1	=	0x00ba
_PT1	=	0x00bb
_PS	=	0x00bc
_P	=	0x00d0
_F1	=	0x00d1
_OV	=	0x00d2
_RS0	=	0x00d3
_RS1	=	0x00d4
_F0	=	0x00d5
_AC	=	0x00d6
_CY	=	0x00d7
_ET2	=	0x00ad
_PT2	=	0x00bd
_T2CON_0	=	0x00c8
_T2CON_1	=	0x00c9
_T2CON_2	=	0x00ca
_T2CON_3	=	0x00cb
_T2CON_4	=	0x00cc
_T2CON_5	=	0x00cd
_T2CON_6	=	0x00ce
_T2CON_7	=	0x00cf
_CP_RL2	=	0x00c8
_C_T2	=	0x00c9
_TR2	=	0x00ca
_EXEN2	=	0x00cb
_TCLK	=	0x00cc
_RCLK	=	0x00cd
_EXF2	=	0x00ce
_TF2	=	0x00cf
;--------------------------------------------------------
; overlayable register banks
;--------------------------------------------------------
	.area REG_BANK_0	(REL,OVR,DATA)
	.ds 8
	.area REG_BANK_1	(REL,OVR,DATA)
	.ds 8
;--------------------------------------------------------
; overlayable bit register bank
;--------------------------------------------------------
	.area BIT_BANK	(REL,OVR,DATA)
bits:
	.ds 1
	b0 = bits[0]
	b1 = bits[1]
	b2 = bits[2]
	b3 = bits[3]
	b4 = bits[4]
	b5 = bits[5]
	b6 = bits[6]
	b7 = bits[7]
;--------------------------------------------------------
; internal ram data
;--------------------------------------------------------
	.area DSEG    (DATA)
_port_ticks::
	.ds 1
_ms:
	.ds 4
_phase:
	.ds 1
_port_store_read_PARM_2:
	.ds 2
_port_store_write_PARM_2:
	.ds 2
_port_store_write_PARM_3:
	.ds 1
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
_isp_PARM_2:
	.ds 1
_isp_PARM_3:
	.ds 2
_isp_PARM_4:
	.ds 1
;--------------------------------------------------------
; Stack segment in internal ram
;--------------------------------------------------------
	.area	SSEG
__start__stack:
	.ds	1

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
_sent:
	.ds 1
_port_talk_sloc0_1_0:
	.ds 1
;--------------------------------------------------------
; paged external ram data
;--------------------------------------------------------
	.area PSEG    (PAG,XDATA)
;--------------------------------------------------------
; external ram data
;--------------------------------------------------------
	.area XSEG    (XDATA)
_mark	=	0x00ff
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
; interrupt vector
;--------------------------------------------------------
	.area HOME    (CODE)
__interrupt_vect:
	ljmp	__sdcc_gsinit_startup
	reti
	.ds	7
	reti
	.ds	7
	reti
	.ds	7
	reti
	.ds	7
	ljmp	_uart_interrupt
	.ds	5
	ljmp	_tick_interrupt
;--------------------------------------------------------
; global & static initialisations
;--------------------------------------------------------
	.area HOME    (CODE)
	.area GSINIT  (CODE)
	.area GSFINAL (CODE)
	.area GSINIT  (CODE)
	.globl __sdcc_gsinit_startup
	.globl __sdcc_program_startup
	.globl __start__stack
	.globl __mcs51_genXINIT
	.globl __mcs51_genXRAMCLEAR
	.globl __mcs51_genRAMCLEAR
	.area GSFINAL (CODE)
	ljmp	__sdcc_program_startup
;--------------------------------------------------------
; Home
;--------------------------------------------------------
	.area HOME    (CODE)
	.area HOME    (CODE)
__sdcc_program_startup:
	ljmp	_main
;	return from main will return to caller
;--------------------------------------------------------
; code
;--------------------------------------------------------
	.area CSEG    (CODE)
;------------------------------------------------------------
;Allocation info for local variables in function '__sdcc_external_startup'
;------------------------------------------------------------
;cause                     Allocated to registers r7 
;------------------------------------------------------------
;	port/stc89/port.c:42: unsigned char __sdcc_external_startup(void)
;	-----------------------------------------
;	 function __sdcc_external_startup
;	-----------------------------------------
___sdcc_external_startup:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
;	port/stc89/port.c:44: u8 cause = RESET_PIN;
	mov	r7,#0x03
;	port/stc89/port.c:45: WDT_CONTR |= WATCHDOG;
	orl	_WDT_CONTR,#0x34
;	port/stc89/port.c:46: if (PCON & POWER_FLAG)
	mov	a,_PCON
	jnb	acc.4,00107$
;	port/stc89/port.c:47: cause = RESET_POWER;
	mov	r7,#0x01
	sjmp	00108$
00107$:
;	port/stc89/port.c:48: else if (mark == MARK)
	mov	dptr,#_mark
	movx	a,@dptr
	mov	r6,a
	cjne	r6,#0xb5,00104$
;	port/stc89/port.c:49: cause = RESET_COMMAND;
	mov	r7,#0x05
	sjmp	00108$
00104$:
;	port/stc89/port.c:50: else if (WDT_CONTR & 0x80)
	mov	a,_WDT_CONTR
	jnb	acc.7,00108$
;	port/stc89/port.c:51: cause = RESET_WATCHDOG;
	mov	r7,#0x04
00108$:
;	port/stc89/port.c:52: PCON &= ~POWER_FLAG;
	anl	_PCON,#0xef
;	port/stc89/port.c:53: WDT_CONTR = WATCHDOG;
	mov	_WDT_CONTR,#0x34
;	port/stc89/port.c:54: mark = 0;
	mov	dptr,#_mark
	clr	a
	movx	@dptr,a
;	port/stc89/port.c:55: TH0 = cause;
	mov	_TH0,r7
;	port/stc89/port.c:56: return 0;
	mov	dpl,#0x00
;	port/stc89/port.c:57: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'tick_interrupt'
;------------------------------------------------------------
;	port/stc89/port.c:59: void tick_interrupt(void) __interrupt(5) __using(1)
;	-----------------------------------------
;	 function tick_interrupt
;	-----------------------------------------
_tick_interrupt:
	ar7 = 0x0f
	ar6 = 0x0e
	ar5 = 0x0d
	ar4 = 0x0c
	ar3 = 0x0b
	ar2 = 0x0a
	ar1 = 0x09
	ar0 = 0x08
	push	acc
	push	psw
	mov	psw,#0x08
;	port/stc89/port.c:61: TF2 = 0;
;	assignBit
	clr	_TF2
;	port/stc89/port.c:62: ms++;
	mov	r4,_ms
	mov	r5,(_ms + 1)
	mov	r6,(_ms + 2)
	mov	r7,(_ms + 3)
	mov	a,#0x01
	add	a,r4
	mov	_ms,a
	clr	a
	addc	a,r5
	mov	(_ms + 1),a
	clr	a
	addc	a,r6
	mov	(_ms + 2),a
	clr	a
	addc	a,r7
	mov	(_ms + 3),a
;	port/stc89/port.c:63: port_ticks++;
	mov	a,_port_ticks
	inc	a
	mov	_port_ticks,a
;	port/stc89/port.c:65: if (++phase == 5)
	inc	_phase
	mov	a,#0x05
	cjne	a,_phase,00102$
;	port/stc89/port.c:66: phase = 0;
	mov	_phase,#0x00
00102$:
;	port/stc89/port.c:67: RCAP2L = phase & 1 ? 0x67 : 0x66;
	mov	a,_phase
	jnb	acc.0,00105$
	mov	r6,#0x67
	mov	r7,#0x00
	sjmp	00106$
00105$:
	mov	r6,#0x66
	mov	r7,#0x00
00106$:
	mov	_RCAP2L,r6
;	port/stc89/port.c:68: }
	pop	psw
	pop	acc
	reti
;	eliminated unneeded push/pop dpl
;	eliminated unneeded push/pop dph
;	eliminated unneeded push/pop b
;------------------------------------------------------------
;Allocation info for local variables in function 'uart_interrupt'
;------------------------------------------------------------
;	port/stc89/port.c:70: void uart_interrupt(void) __interrupt(4) __using(1)
;	-----------------------------------------
;	 function uart_interrupt
;	-----------------------------------------
_uart_interrupt:
	push	bits
	push	acc
	push	b
	push	dpl
	push	dph
	push	psw
	mov	psw,#0x08
;	port/stc89/port.c:72: if (RI) {
;	port/stc89/port.c:73: RI = 0;
;	assignBit
	jbc	_RI,00115$
	sjmp	00102$
00115$:
;	port/stc89/port.c:74: modbus_receive(SBUF, 0);
	mov	_modbus_receive_PARM_2,#0x00
	mov	dpl,_SBUF
	lcall	_modbus_receive
00102$:
;	port/stc89/port.c:76: if (TI) {
;	port/stc89/port.c:77: TI = 0;
;	assignBit
	jbc	_TI,00116$
	sjmp	00105$
00116$:
;	port/stc89/port.c:78: sent = 1;
;	assignBit
	setb	_sent
00105$:
;	port/stc89/port.c:80: }
	pop	psw
	pop	dph
	pop	dpl
	pop	b
	pop	acc
	pop	bits
	reti
;------------------------------------------------------------
;Allocation info for local variables in function 'port_ms'
;------------------------------------------------------------
;v                         Allocated to registers r4 r5 r6 r7 
;------------------------------------------------------------
;	port/stc89/port.c:82: u32 port_ms(void)
;	-----------------------------------------
;	 function port_ms
;	-----------------------------------------
_port_ms:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
;	port/stc89/port.c:85: ET2 = 0;
;	assignBit
	clr	_ET2
;	port/stc89/port.c:86: v = ms;
	mov	r4,_ms
	mov	r5,(_ms + 1)
	mov	r6,(_ms + 2)
	mov	r7,(_ms + 3)
;	port/stc89/port.c:87: ET2 = 1;
;	assignBit
	setb	_ET2
;	port/stc89/port.c:88: return v;
	mov	dpl,r4
	mov	dph,r5
	mov	b,r6
	mov	a,r7
;	port/stc89/port.c:89: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_watchdog'
;------------------------------------------------------------
;	port/stc89/port.c:91: void port_watchdog(void) { WDT_CONTR = WATCHDOG; }
;	-----------------------------------------
;	 function port_watchdog
;	-----------------------------------------
_port_watchdog:
	mov	_WDT_CONTR,#0x34
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_reset_cause'
;------------------------------------------------------------
;	port/stc89/port.c:92: u8 port_reset_cause(void) { return TH0; }
;	-----------------------------------------
;	 function port_reset_cause
;	-----------------------------------------
_port_reset_cause:
	mov	dpl,_TH0
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_reset'
;------------------------------------------------------------
;	port/stc89/port.c:94: void port_reset(void)
;	-----------------------------------------
;	 function port_reset
;	-----------------------------------------
_port_reset:
;	port/stc89/port.c:96: EA = 0;
;	assignBit
	clr	_EA
;	port/stc89/port.c:97: mark = MARK;
	mov	dptr,#_mark
	mov	a,#0xb5
	movx	@dptr,a
;	port/stc89/port.c:98: ISP_CONTR = 0x20; /* to the application */
	mov	_ISP_CONTR,#0x20
00103$:
;	port/stc89/port.c:101: }
	sjmp	00103$
;------------------------------------------------------------
;Allocation info for local variables in function 'port_boot'
;------------------------------------------------------------
;	port/stc89/port.c:103: u8 port_boot(void)
;	-----------------------------------------
;	 function port_boot
;	-----------------------------------------
_port_boot:
;	port/stc89/port.c:105: EA = 0;
;	assignBit
	clr	_EA
;	port/stc89/port.c:106: P2 = 0xff;
	mov	_P2,#0xff
;	port/stc89/port.c:107: ISP_CONTR = 0x60; /* to the loader in ROM */
	mov	_ISP_CONTR,#0x60
00103$:
;	port/stc89/port.c:110: }
	sjmp	00103$
;------------------------------------------------------------
;Allocation info for local variables in function 'port_uart'
;------------------------------------------------------------
;baud                      Allocated to registers 
;------------------------------------------------------------
;	port/stc89/port.c:112: void port_uart(u8 baud)
;	-----------------------------------------
;	 function port_uart
;	-----------------------------------------
_port_uart:
;	port/stc89/port.c:115: TMOD = 0x20;
	mov	_TMOD,#0x20
;	port/stc89/port.c:116: TH1 = TL1 = 0xfd; /* 9600 */
	mov	_TL1,#0xfd
	mov	_TH1,#0xfd
;	port/stc89/port.c:117: SCON = 0x50;
	mov	_SCON,#0x50
;	port/stc89/port.c:118: TR1 = 1;
;	assignBit
	setb	_TR1
;	port/stc89/port.c:119: RCAP2H = 0xfc;
	mov	_RCAP2H,#0xfc
;	port/stc89/port.c:120: RCAP2L = 0x66;
	mov	_RCAP2L,#0x66
;	port/stc89/port.c:121: TH2 = 0xfc;
	mov	_TH2,#0xfc
;	port/stc89/port.c:122: TR2 = 1;
;	assignBit
	setb	_TR2
;	port/stc89/port.c:123: ET2 = ES = EA = 1;
;	assignBit
	setb	_EA
;	assignBit
	mov	c,_EA
	mov	_ES,c
;	assignBit
	mov	c,_ES
	mov	_ET2,c
;	port/stc89/port.c:124: sent = 1;
;	assignBit
	setb	_sent
;	port/stc89/port.c:125: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_talk'
;------------------------------------------------------------
;on                        Allocated to registers r7 
;------------------------------------------------------------
;	port/stc89/port.c:127: void port_talk(u8 on)
;	-----------------------------------------
;	 function port_talk
;	-----------------------------------------
_port_talk:
;	port/stc89/port.c:129: if (!on)
	mov	a,dpl
	mov	r7,a
	jnz	00105$
;	port/stc89/port.c:130: while (!sent)
00101$:
	jnb	_sent,00101$
00105$:
;	port/stc89/port.c:132: LISTEN = !on;
	mov	a,r7
	cjne	a,#0x01,00114$
00114$:
	mov  _port_talk_sloc0_1_0,c
	clr	a
	rlc	a
	add	a,#0xff
	mov	_P3_2,c
;	port/stc89/port.c:133: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_send'
;------------------------------------------------------------
;b                         Allocated to registers r7 
;------------------------------------------------------------
;	port/stc89/port.c:135: void port_send(u8 b)
;	-----------------------------------------
;	 function port_send
;	-----------------------------------------
_port_send:
	mov	r7,dpl
;	port/stc89/port.c:137: while (!sent)
00101$:
	jnb	_sent,00101$
;	port/stc89/port.c:139: WDT_CONTR = WATCHDOG;
	mov	_WDT_CONTR,#0x34
;	port/stc89/port.c:140: sent = 0;
;	assignBit
	clr	_sent
;	port/stc89/port.c:141: SBUF = b;
	mov	_SBUF,r7
;	port/stc89/port.c:142: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_ow_reset'
;------------------------------------------------------------
;	port/stc89/port.c:145: u8 port_ow_reset(void) __naked
;	-----------------------------------------
;	 function port_ow_reset
;	-----------------------------------------
_port_ow_reset:
;	naked function: no prologue.
;	port/stc89/port.c:166: __endasm;
	clr	_P3_7
	mov	r7,#226
	djnz	r7,. ; 490 us
	clr	_EA
	setb	_P3_7
	mov	r7,#32
	djnz	r7,. ; 70 us
	mov	c,_P3_7
	setb	_EA
	mov	r7,#194
	djnz	r7,. ; 421 us
	mov	dpl,#2
	jnb	_P3_7,00001$
	clr	a
	rlc	a
	mov	dpl,a
	00001$:
	ret
;	port/stc89/port.c:167: }
;	naked function: no epilogue.
;------------------------------------------------------------
;Allocation info for local variables in function 'port_ow_slot'
;------------------------------------------------------------
;b                         Allocated to registers 
;------------------------------------------------------------
;	port/stc89/port.c:169: u8 port_ow_slot(u8 b) __naked
;	-----------------------------------------
;	 function port_ow_slot
;	-----------------------------------------
_port_ow_slot:
;	naked function: no prologue.
;	port/stc89/port.c:194: __endasm;
	mov	a,dpl
	add	a,#0xff ; carry: not 0
	clr	_EA
	clr	_P3_7
	nop
	nop
	mov	_P3_7,c ; 5 us
	nop
	nop
	nop
	nop
	nop
	mov	c,_P3_7 ; 11 us
	mov	r7,#23
	djnz	r7,. ; 62 us
	setb	_P3_7
	setb	_EA
	clr	a
	rlc	a
	mov	dpl,a
	ret
;	port/stc89/port.c:195: }
;	naked function: no epilogue.
;------------------------------------------------------------
;Allocation info for local variables in function 'port_outputs'
;------------------------------------------------------------
;mask                      Allocated to registers r7 
;------------------------------------------------------------
;	port/stc89/port.c:197: void port_outputs(u8 mask) { P2 = ~mask; }
;	-----------------------------------------
;	 function port_outputs
;	-----------------------------------------
_port_outputs:
	mov	a,dpl
	cpl	a
	mov	_P2,a
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_lcd'
;------------------------------------------------------------
;v                         Allocated to registers r7 
;d                         Allocated to registers r6 
;------------------------------------------------------------
;	port/stc89/port.c:199: void port_lcd(u8 v)
;	-----------------------------------------
;	 function port_lcd
;	-----------------------------------------
_port_lcd:
;	port/stc89/port.c:201: u8 d = v >> 4;
	mov	a,dpl
	mov	r7,a
	swap	a
	anl	a,#0x0f
	mov	r6,a
;	port/stc89/port.c:202: if (v & 1)
	mov	a,r7
	jnb	acc.0,00102$
;	port/stc89/port.c:203: d |= 0x10;
	orl	ar6,#0x10
00102$:
;	port/stc89/port.c:204: P1 = 0xc0 | d;
	mov	a,#0xc0
	orl	a,r6
	mov	_P1,a
;	port/stc89/port.c:205: LCD_E = 1;
;	assignBit
	setb	_P1_5
;	port/stc89/port.c:206: LCD_E = 0;
;	assignBit
	clr	_P1_5
;	port/stc89/port.c:207: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_delay_us'
;------------------------------------------------------------
;us                        Allocated to registers 
;------------------------------------------------------------
;	port/stc89/port.c:209: void port_delay_us(u8 us) __naked
;	-----------------------------------------
;	 function port_delay_us
;	-----------------------------------------
_port_delay_us:
;	naked function: no prologue.
;	port/stc89/port.c:220: __endasm;
	mov	a,dpl
	clr	c
	rrc	a
	inc	a
	mov	r7,a
	djnz	r7,.
	ret
;	port/stc89/port.c:221: }
;	naked function: no epilogue.
;------------------------------------------------------------
;Allocation info for local variables in function 'port_rtc_select'
;------------------------------------------------------------
;on                        Allocated to registers r7 
;------------------------------------------------------------
;	port/stc89/port.c:223: void port_rtc_select(u8 on)
;	-----------------------------------------
;	 function port_rtc_select
;	-----------------------------------------
_port_rtc_select:
	mov	r7,dpl
;	port/stc89/port.c:225: RTC_CE = 0;
;	assignBit
	clr	_P3_4
;	port/stc89/port.c:226: RTC_CLK = 0;
;	assignBit
	clr	_P3_5
;	port/stc89/port.c:227: if (on)
	mov	a,r7
	jz	00103$
;	port/stc89/port.c:228: RTC_CE = 1;
;	assignBit
	setb	_P3_4
00103$:
;	port/stc89/port.c:229: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_rtc_write'
;------------------------------------------------------------
;b                         Allocated to registers r7 
;i                         Allocated to registers r6 
;------------------------------------------------------------
;	port/stc89/port.c:231: void port_rtc_write(u8 b)
;	-----------------------------------------
;	 function port_rtc_write
;	-----------------------------------------
_port_rtc_write:
	mov	r7,dpl
;	port/stc89/port.c:234: for (i = 8; i; i--) {
	mov	r6,#0x08
00102$:
;	port/stc89/port.c:235: RTC_IO = b & 1;
	mov	a,r7
	anl	a,#0x01
;	assignBit
	add	a,#0xff
	mov	_P3_6,c
;	port/stc89/port.c:236: RTC_CLK = 1;
;	assignBit
	setb	_P3_5
;	port/stc89/port.c:237: b >>= 1;
	mov	a,r7
	clr	c
	rrc	a
	mov	r7,a
;	port/stc89/port.c:238: RTC_CLK = 0;
;	assignBit
	clr	_P3_5
;	port/stc89/port.c:234: for (i = 8; i; i--) {
	djnz	r6,00102$
;	port/stc89/port.c:240: RTC_IO = 1;
;	assignBit
	setb	_P3_6
;	port/stc89/port.c:241: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_rtc_read'
;------------------------------------------------------------
;i                         Allocated to registers r6 
;b                         Allocated to registers r7 
;------------------------------------------------------------
;	port/stc89/port.c:243: u8 port_rtc_read(void)
;	-----------------------------------------
;	 function port_rtc_read
;	-----------------------------------------
_port_rtc_read:
;	port/stc89/port.c:245: u8 i, b = 0;
	mov	r7,#0x00
;	port/stc89/port.c:246: for (i = 8; i; i--) {
	mov	r6,#0x08
00104$:
;	port/stc89/port.c:247: b >>= 1;
;	port/stc89/port.c:248: if (RTC_IO)
;	port/stc89/port.c:249: b |= 0x80;
	mov	a,r7
	mov	c,_P3_6
	rrc	a
	mov	r7,a
;	port/stc89/port.c:250: RTC_CLK = 1;
;	assignBit
	setb	_P3_5
;	port/stc89/port.c:251: RTC_CLK = 0;
;	assignBit
	clr	_P3_5
;	port/stc89/port.c:246: for (i = 8; i; i--) {
	djnz	r6,00104$
;	port/stc89/port.c:253: return b;
	mov	dpl,r7
;	port/stc89/port.c:254: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'isp'
;------------------------------------------------------------
;slot                      Allocated with name '_isp_PARM_2'
;at                        Allocated with name '_isp_PARM_3'
;b                         Allocated with name '_isp_PARM_4'
;command                   Allocated to registers r7 
;ea                        Allocated to registers r6 
;------------------------------------------------------------
;	port/stc89/port.c:257: static u8 isp(u8 command, u8 slot, u16 at, u8 b)
;	-----------------------------------------
;	 function isp
;	-----------------------------------------
_isp:
	mov	r7,dpl
;	port/stc89/port.c:259: u8 ea = EA;
	mov	c,_EA
	clr	a
	rlc	a
	mov	r6,a
;	port/stc89/port.c:260: ISP_CONTR = ISP_ON;
	mov	_ISP_CONTR,#0x81
;	port/stc89/port.c:261: ISP_ADDRH = 0x20 | (u8)(slot << 1) | (u8)(at >> 8);
	mov	a,_isp_PARM_2
	add	a,acc
	mov	r5,a
	orl	ar5,#0x20
	mov	a,(_isp_PARM_3 + 1)
	orl	a,r5
	mov	_ISP_ADDRH,a
;	port/stc89/port.c:262: ISP_ADDRL = (u8)at;
	mov	_ISP_ADDRL,_isp_PARM_3
;	port/stc89/port.c:263: ISP_DATA = b;
	mov	_ISP_DATA,_isp_PARM_4
;	port/stc89/port.c:264: ISP_CMD = command;
	mov	_ISP_CMD,r7
;	port/stc89/port.c:265: EA = 0;
;	assignBit
	clr	_EA
;	port/stc89/port.c:266: ISP_TRIG = 0x46;
	mov	_ISP_TRIG,#0x46
;	port/stc89/port.c:267: ISP_TRIG = 0xb9;
	mov	_ISP_TRIG,#0xb9
;	port/stc89/port.c:268: b = ISP_DATA;
	mov	_isp_PARM_4,_ISP_DATA
;	port/stc89/port.c:269: ISP_CMD = 0;
;	port/stc89/port.c:270: ISP_CONTR = 0;
;	port/stc89/port.c:271: EA = ea;
;	assignBit
	clr	a
	mov	_ISP_CMD,a
	mov	_ISP_CONTR,a
	mov	a,r6
	add	a,#0xff
	mov	_EA,c
;	port/stc89/port.c:272: return b;
	mov	dpl,_isp_PARM_4
;	port/stc89/port.c:273: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'port_store_read'
;------------------------------------------------------------
;at                        Allocated with name '_port_store_read_PARM_2'
;slot                      Allocated to registers 
;------------------------------------------------------------
;	port/stc89/port.c:275: u8 port_store_read(u8 slot, u16 at) { return isp(1, slot, at, 0); }
;	-----------------------------------------
;	 function port_store_read
;	-----------------------------------------
_port_store_read:
	mov	_isp_PARM_2,dpl
	mov	_isp_PARM_3,_port_store_read_PARM_2
	mov	(_isp_PARM_3 + 1),(_port_store_read_PARM_2 + 1)
	mov	_isp_PARM_4,#0x00
	mov	dpl,#0x01
	ljmp	_isp
;------------------------------------------------------------
;Allocation info for local variables in function 'port_store_erase'
;------------------------------------------------------------
;slot                      Allocated to registers 
;------------------------------------------------------------
;	port/stc89/port.c:276: void port_store_erase(u8 slot) { isp(3, slot, 0, 0); }
;	-----------------------------------------
;	 function port_store_erase
;	-----------------------------------------
_port_store_erase:
	mov	_isp_PARM_2,dpl
	clr	a
	mov	_isp_PARM_3,a
	mov	(_isp_PARM_3 + 1),a
;	1-genFromRTrack replaced	mov	_isp_PARM_4,#0x00
	mov	_isp_PARM_4,a
	mov	dpl,#0x03
	ljmp	_isp
;------------------------------------------------------------
;Allocation info for local variables in function 'port_store_write'
;------------------------------------------------------------
;at                        Allocated with name '_port_store_write_PARM_2'
;b                         Allocated with name '_port_store_write_PARM_3'
;slot                      Allocated to registers 
;------------------------------------------------------------
;	port/stc89/port.c:277: void port_store_write(u8 slot, u16 at, u8 b) { isp(2, slot, at, b); }
;	-----------------------------------------
;	 function port_store_write
;	-----------------------------------------
_port_store_write:
	mov	_isp_PARM_2,dpl
	mov	_isp_PARM_3,_port_store_write_PARM_2
	mov	(_isp_PARM_3 + 1),(_port_store_write_PARM_2 + 1)
	mov	_isp_PARM_4,_port_store_write_PARM_3
	mov	dpl,#0x02
	ljmp	_isp
;------------------------------------------------------------
;Allocation info for local variables in function 'main'
;------------------------------------------------------------
;	port/stc89/port.c:279: void main(void)
;	-----------------------------------------
;	 function main
;	-----------------------------------------
_main:
;	port/stc89/port.c:281: node_init();
	lcall	_node_init
00102$:
;	port/stc89/port.c:283: node_turn();
	lcall	_node_turn
;	port/stc89/port.c:284: }
	sjmp	00102$
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

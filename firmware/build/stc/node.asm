;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module node
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _reg_second
	.globl _modbus_start
	.globl _modbus_poll
	.globl _lcd_step
	.globl _boots_count
	.globl _settings_load
	.globl _clock_read
	.globl _control_second
	.globl _sensors_rescan
	.globl _sensors_second
	.globl _sensors_step
	.globl _queue_test
	.globl _queue_push
	.globl _port_outputs
	.globl _port_reset_cause
	.globl _port_watchdog
	.globl _port_ms
	.globl _counter
	.globl _node_cause
	.globl _node_serial
	.globl _node_ms
	.globl _node_seconds
	.globl _node_init
	.globl _node_turn
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
_node_seconds::
	.ds 4
_node_ms::
	.ds 2
_node_serial::
	.ds 4
_node_cause::
	.ds 1
_second_at:
	.ds 2
_turn:
	.ds 1
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
;--------------------------------------------------------
; indirectly addressable internal ram data
;--------------------------------------------------------
	.area ISEG    (DATA)
_counter::
	.ds 22
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
;Allocation info for local variables in function 'node_init'
;------------------------------------------------------------
;	core/node.c:11: void node_init(void)
;	-----------------------------------------
;	 function node_init
;	-----------------------------------------
_node_init:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
;	core/node.c:13: port_outputs(0);
	mov	dpl,#0x00
	lcall	_port_outputs
;	core/node.c:14: node_cause = port_reset_cause();
	lcall	_port_reset_cause
	mov	_node_cause,dpl
;	core/node.c:15: settings_load();
	lcall	_settings_load
;	core/node.c:16: boots_count();
	lcall	_boots_count
;	core/node.c:17: node_serial = (u32)setting[S(NEW_SERIAL)] << 16 | setting[S(NEW_SERIAL) + 1];
	mov	dptr,#(_setting + 0x0004)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r4,a
	mov	ar5,r6
	mov	r6,#0x00
	mov	r7,#0x00
	mov	dptr,#(_setting + 0x0006)
	movx	a,@dptr
	mov	r2,a
	inc	dptr
	movx	a,@dptr
	mov	r3,a
	mov	ar0,r2
	mov	ar1,r3
	clr	a
	mov	r2,a
	mov	r3,a
	mov	a,r0
	orl	a,r6
	mov	_node_serial,a
	mov	a,r1
	orl	a,r7
	mov	(_node_serial + 1),a
	mov	a,r2
	orl	a,r5
	mov	(_node_serial + 2),a
	mov	a,r3
	orl	a,r4
	mov	(_node_serial + 3),a
;	core/node.c:18: queue_push(EV_BOOT, 0, Q_GOOD, node_cause);
	mov	_queue_push_PARM_4,_node_cause
;	1-genFromRTrack replaced	mov	(_queue_push_PARM_4 + 1),#0x00
	mov	(_queue_push_PARM_4 + 1),r7
;	1-genFromRTrack replaced	mov	_queue_push_PARM_2,#0x00
	mov	_queue_push_PARM_2,r7
;	1-genFromRTrack replaced	mov	_queue_push_PARM_3,#0x00
	mov	_queue_push_PARM_3,r7
	mov	dpl,#0x04
	lcall	_queue_push
;	core/node.c:19: node_ms = second_at = (u16)port_ms();
	lcall	_port_ms
	mov	r4,dpl
	mov	r5,dph
	mov	_second_at,r4
	mov	(_second_at + 1),r5
	mov	_node_ms,r4
	mov	(_node_ms + 1),r5
;	core/node.c:20: sensors_rescan();
	lcall	_sensors_rescan
;	core/node.c:21: modbus_start((u8)setting[S(UNIT)], (u8)setting[S(BAUD)]);
	mov	dptr,#_setting
	movx	a,@dptr
	mov	r7,a
	mov	dptr,#(_setting + 0x0002)
	movx	a,@dptr
	mov	_modbus_start_PARM_2,a
	mov	dpl,r7
;	core/node.c:22: }
	ljmp	_modbus_start
;------------------------------------------------------------
;Allocation info for local variables in function 'second'
;------------------------------------------------------------
;	core/node.c:25: static void second(void)
;	-----------------------------------------
;	 function second
;	-----------------------------------------
_second:
;	core/node.c:27: second_at += 1000;
	mov	r6,_second_at
	mov	r7,(_second_at + 1)
	mov	a,#0xe8
	add	a,r6
	mov	r6,a
	mov	a,#0x03
	addc	a,r7
	mov	r7,a
	mov	_second_at,r6
	mov	(_second_at + 1),r7
;	core/node.c:28: node_seconds++;
	inc	_node_seconds
	clr	a
	cjne	a,_node_seconds,00103$
	inc	(_node_seconds + 1)
	cjne	a,(_node_seconds + 1),00103$
	inc	(_node_seconds + 2)
	cjne	a,(_node_seconds + 2),00103$
	inc	(_node_seconds + 3)
00103$:
;	core/node.c:29: reg_second();
	lcall	_reg_second
;	core/node.c:30: clock_read();
	lcall	_clock_read
;	core/node.c:31: sensors_second();
	lcall	_sensors_second
;	core/node.c:32: control_second();
;	core/node.c:33: }
	ljmp	_control_second
;------------------------------------------------------------
;Allocation info for local variables in function 'node_turn'
;------------------------------------------------------------
;began                     Allocated to registers r4 r5 
;took                      Allocated to registers r6 r7 
;------------------------------------------------------------
;	core/node.c:35: void node_turn(void)
;	-----------------------------------------
;	 function node_turn
;	-----------------------------------------
_node_turn:
;	core/node.c:37: u16 began = (u16)port_ms(), took;
	lcall	_port_ms
	mov	r4,dpl
	mov	r5,dph
;	core/node.c:38: node_ms = began;
	mov	_node_ms,r4
	mov	(_node_ms + 1),r5
;	core/node.c:39: port_watchdog();
	push	ar5
	push	ar4
	lcall	_port_watchdog
;	core/node.c:40: modbus_poll();
	lcall	_modbus_poll
;	core/node.c:41: queue_test();
	lcall	_queue_test
	pop	ar4
	pop	ar5
;	core/node.c:42: if ((u16)(node_ms - second_at) >= 1000)
	mov	a,_node_ms
	clr	c
	subb	a,_second_at
	mov	r6,a
	mov	a,(_node_ms + 1)
	subb	a,(_second_at + 1)
	mov	r7,a
	clr	c
	mov	a,r6
	subb	a,#0xe8
	mov	a,r7
	subb	a,#0x03
	jc	00105$
;	core/node.c:43: second();
	push	ar5
	push	ar4
	lcall	_second
	pop	ar4
	pop	ar5
	sjmp	00106$
00105$:
;	core/node.c:44: else if (++turn & 1)
	inc	_turn
	mov	a,_turn
	jnb	acc.0,00102$
;	core/node.c:45: sensors_step();
	push	ar5
	push	ar4
	lcall	_sensors_step
	pop	ar4
	pop	ar5
	sjmp	00106$
00102$:
;	core/node.c:47: lcd_step();
	push	ar5
	push	ar4
	lcall	_lcd_step
	pop	ar4
	pop	ar5
00106$:
;	core/node.c:48: took = (u16)port_ms() - began;
	push	ar5
	push	ar4
	lcall	_port_ms
	mov	r2,dpl
	mov	r3,dph
	pop	ar4
	pop	ar5
	mov	a,r2
	clr	c
	subb	a,r4
	mov	r6,a
	mov	a,r3
	subb	a,r5
	mov	r7,a
;	core/node.c:49: if (took > counter[C_LOOP])
	mov	r0,#(_counter + 0x0010)
	mov	ar4,@r0
	inc	r0
	mov	ar5,@r0
	clr	c
	mov	a,r4
	subb	a,r6
	mov	a,r5
	subb	a,r7
	jnc	00109$
;	core/node.c:50: counter[C_LOOP] = took;
	mov	r0,#(_counter + 0x0010)
	mov	@r0,ar6
	inc	r0
	mov	@r0,ar7
00109$:
;	core/node.c:51: }
	ret
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

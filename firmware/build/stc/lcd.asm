;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module lcd
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _port_delay_us
	.globl _port_lcd
	.globl _lcd_init
	.globl _lcd_step
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
_page:
	.ds 1
_line:
	.ds 1
_half_seconds:
	.ds 1
_ready:
	.ds 1
_last:
	.ds 2
_send_PARM_2:
	.ds 1
_put_at:
	.ds 1
_number_PARM_2:
	.ds 1
_number_from_65536_69:
	.ds 1
_number_sloc0_1_0:
	.ds 1
_number_sloc1_1_0:
	.ds 2
_temperature_PARM_2:
	.ds 2
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
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
_temperature_sloc0_1_0:
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
;Allocation info for local variables in function 'send'
;------------------------------------------------------------
;rs                        Allocated with name '_send_PARM_2'
;b                         Allocated to registers r7 
;------------------------------------------------------------
;	core/lcd.c:16: static void send(u8 b, u8 rs)
;	-----------------------------------------
;	 function send
;	-----------------------------------------
_send:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
	mov	r7,dpl
;	core/lcd.c:18: port_lcd((b & 0xf0) | rs);
	mov	a,#0xf0
	anl	a,r7
	mov	r6,a
	mov	a,_send_PARM_2
	mov	r5,a
	orl	a,r6
	mov	dpl,a
	push	ar7
	push	ar5
	lcall	_port_lcd
	pop	ar5
	pop	ar7
;	core/lcd.c:19: port_lcd((u8)(b << 4) | rs);
	mov	a,r7
	swap	a
	anl	a,#0xf0
	orl	a,r5
	mov	dpl,a
	lcall	_port_lcd
;	core/lcd.c:20: port_delay_us(50);
	mov	dpl,#0x32
;	core/lcd.c:21: }
	ljmp	_port_delay_us
;------------------------------------------------------------
;Allocation info for local variables in function 'settle'
;------------------------------------------------------------
;ms                        Allocated to registers 
;------------------------------------------------------------
;	core/lcd.c:23: static void settle(u8 ms)
;	-----------------------------------------
;	 function settle
;	-----------------------------------------
_settle:
	mov	r7,dpl
00103$:
;	core/lcd.c:25: for (; ms; ms--) {
	mov	a,r7
	jz	00105$
;	core/lcd.c:26: port_delay_us(200);
	mov	dpl,#0xc8
	push	ar7
	lcall	_port_delay_us
;	core/lcd.c:27: port_delay_us(200);
	mov	dpl,#0xc8
	lcall	_port_delay_us
;	core/lcd.c:28: port_delay_us(200);
	mov	dpl,#0xc8
	lcall	_port_delay_us
;	core/lcd.c:29: port_delay_us(200);
	mov	dpl,#0xc8
	lcall	_port_delay_us
;	core/lcd.c:30: port_delay_us(200);
	mov	dpl,#0xc8
	lcall	_port_delay_us
	pop	ar7
;	core/lcd.c:25: for (; ms; ms--) {
	dec	r7
	sjmp	00103$
00105$:
;	core/lcd.c:32: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'lcd_init'
;------------------------------------------------------------
;	core/lcd.c:35: void lcd_init(void)
;	-----------------------------------------
;	 function lcd_init
;	-----------------------------------------
_lcd_init:
;	core/lcd.c:37: port_lcd(0x30);
	mov	dpl,#0x30
	lcall	_port_lcd
;	core/lcd.c:38: settle(5);
	mov	dpl,#0x05
	lcall	_settle
;	core/lcd.c:39: port_lcd(0x30);
	mov	dpl,#0x30
	lcall	_port_lcd
;	core/lcd.c:40: port_delay_us(150);
	mov	dpl,#0x96
	lcall	_port_delay_us
;	core/lcd.c:41: port_lcd(0x30);
	mov	dpl,#0x30
	lcall	_port_lcd
;	core/lcd.c:42: port_delay_us(50);
	mov	dpl,#0x32
	lcall	_port_delay_us
;	core/lcd.c:43: port_lcd(0x20);
	mov	dpl,#0x20
	lcall	_port_lcd
;	core/lcd.c:44: port_delay_us(50);
	mov	dpl,#0x32
	lcall	_port_delay_us
;	core/lcd.c:45: send(0x28, 0);
	mov	_send_PARM_2,#0x00
	mov	dpl,#0x28
	lcall	_send
;	core/lcd.c:46: send(0x0c, 0);
	mov	_send_PARM_2,#0x00
	mov	dpl,#0x0c
	lcall	_send
;	core/lcd.c:47: send(0x06, 0);
	mov	_send_PARM_2,#0x00
	mov	dpl,#0x06
;	core/lcd.c:48: }
	ljmp	_send
;------------------------------------------------------------
;Allocation info for local variables in function 'put'
;------------------------------------------------------------
;c                         Allocated to registers r7 
;------------------------------------------------------------
;	core/lcd.c:51: static void put(u8 c)
;	-----------------------------------------
;	 function put
;	-----------------------------------------
_put:
	mov	r7,dpl
;	core/lcd.c:53: if (put_at < 16)
	mov	a,#0x100 - 0x10
	add	a,_put_at
	jc	00103$
;	core/lcd.c:54: work[put_at++] = c;
	mov	r6,_put_at
	inc	_put_at
	mov	a,r6
	add	a,#_work
	mov	r0,a
	mov	@r0,ar7
00103$:
;	core/lcd.c:55: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'text'
;------------------------------------------------------------
;s                         Allocated to registers 
;------------------------------------------------------------
;	core/lcd.c:57: static void text(CODE char *s)
;	-----------------------------------------
;	 function text
;	-----------------------------------------
_text:
	mov	r6,dpl
	mov	r7,dph
;	core/lcd.c:59: while (*s)
00101$:
	mov	dpl,r6
	mov	dph,r7
	clr	a
	movc	a,@a+dptr
	mov	r5,a
	jz	00104$
;	core/lcd.c:60: put((u8)*s++);
	mov	dpl,r5
	inc	r6
	cjne	r6,#0x00,00116$
	inc	r7
00116$:
	push	ar7
	push	ar6
	lcall	_put
	pop	ar6
	pop	ar7
	sjmp	00101$
00104$:
;	core/lcd.c:61: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'number'
;------------------------------------------------------------
;width                     Allocated with name '_number_PARM_2'
;v                         Allocated to registers r6 r7 
;i                         Allocated to registers r5 
;from                      Allocated with name '_number_from_65536_69'
;sloc0                     Allocated with name '_number_sloc0_1_0'
;sloc1                     Allocated with name '_number_sloc1_1_0'
;------------------------------------------------------------
;	core/lcd.c:63: static void number(u16 v, u8 width)
;	-----------------------------------------
;	 function number
;	-----------------------------------------
_number:
	mov	r6,dpl
	mov	r7,dph
;	core/lcd.c:65: u8 i = put_at + width, from = put_at;
	mov	a,_number_PARM_2
	add	a,_put_at
	mov	r5,a
	mov	_number_from_65536_69,_put_at
;	core/lcd.c:66: put_at = i;
	mov	_put_at,r5
;	core/lcd.c:67: do {
00102$:
;	core/lcd.c:68: work[--i] = (u8)('0' + (u8)(v % 10));
	dec	r5
	mov	a,r5
	add	a,#_work
	mov	_number_sloc0_1_0,a
	mov	_number_sloc1_1_0,r6
	mov	(_number_sloc1_1_0 + 1),r7
	mov	__moduint_PARM_2,#0x0a
	mov	(__moduint_PARM_2 + 1),#0x00
	mov	dpl,_number_sloc1_1_0
	mov	dph,(_number_sloc1_1_0 + 1)
	push	ar5
	lcall	__moduint
	mov	r3,dpl
	mov	a,#0x30
	add	a,r3
	mov	r3,a
	mov	r0,_number_sloc0_1_0
	mov	@r0,ar3
;	core/lcd.c:69: v /= 10;
	mov	__divuint_PARM_2,#0x0a
	mov	(__divuint_PARM_2 + 1),#0x00
	mov	dpl,_number_sloc1_1_0
	mov	dph,(_number_sloc1_1_0 + 1)
	lcall	__divuint
	mov	r3,dpl
	mov	r4,dph
	pop	ar5
	mov	ar6,r3
	mov	ar7,r4
;	core/lcd.c:70: } while (v && i != from);
	mov	a,r3
	orl	a,r4
	jz	00105$
	mov	a,r5
	cjne	a,_number_from_65536_69,00102$
00105$:
;	core/lcd.c:71: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'two'
;------------------------------------------------------------
;v                         Allocated to registers r7 
;------------------------------------------------------------
;	core/lcd.c:73: static void two(u8 v)
;	-----------------------------------------
;	 function two
;	-----------------------------------------
_two:
	mov	r7,dpl
;	core/lcd.c:75: put((u8)('0' + v / 10));
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
	mov	a,#0x30
	add	a,r4
	mov	dpl,a
	lcall	_put
	pop	ar6
	pop	ar7
;	core/lcd.c:76: put((u8)('0' + v % 10));
	mov	__modsint_PARM_2,#0x0a
	mov	(__modsint_PARM_2 + 1),#0x00
	mov	dpl,r7
	mov	dph,r6
	lcall	__modsint
	mov	r6,dpl
	mov	a,#0x30
	add	a,r6
	mov	dpl,a
;	core/lcd.c:77: }
	ljmp	_put
;------------------------------------------------------------
;Allocation info for local variables in function 'hex'
;------------------------------------------------------------
;v                         Allocated to registers r7 
;------------------------------------------------------------
;	core/lcd.c:79: static void hex(u8 v)
;	-----------------------------------------
;	 function hex
;	-----------------------------------------
_hex:
	mov	r7,dpl
;	core/lcd.c:81: v &= 15;
	anl	ar7,#0x0f
;	core/lcd.c:82: put(v < 10 ? (u8)('0' + v) : (u8)('A' - 10 + v));
	cjne	r7,#0x0a,00110$
00110$:
	jnc	00103$
	mov	ar6,r7
	mov	a,#0x30
	add	a,r6
	mov	r6,a
	sjmp	00104$
00103$:
	mov	a,#0x37
	add	a,r7
	mov	r7,a
	mov	r6,a
00104$:
	mov	dpl,r6
;	core/lcd.c:83: }
	ljmp	_put
;------------------------------------------------------------
;Allocation info for local variables in function 'temperature'
;------------------------------------------------------------
;quality                   Allocated with name '_temperature_PARM_2'
;v                         Allocated to registers r6 r7 
;tenths                    Allocated to registers r6 r7 
;minus                     Allocated to registers r5 
;------------------------------------------------------------
;	core/lcd.c:86: static void temperature(i16 v, u16 quality)
;	-----------------------------------------
;	 function temperature
;	-----------------------------------------
_temperature:
	mov	r6,dpl
	mov	r7,dph
;	core/lcd.c:89: u8 minus = v < 0;
	mov	ar5,r7
	mov	a,r5
	rlc	a
	clr	a
	rlc	a
	mov	r5,a
;	core/lcd.c:90: if (v == NO_VALUE) {
	cjne	r6,#0x00,00102$
	cjne	r7,#0x80,00102$
;	core/lcd.c:91: text("bad ");
	mov	dptr,#___str_0
	lcall	_text
;	core/lcd.c:92: number(quality, 3);
	mov	_number_PARM_2,#0x03
	mov	dpl,_temperature_PARM_2
	mov	dph,(_temperature_PARM_2 + 1)
;	core/lcd.c:93: return;
	ljmp	_number
00102$:
;	core/lcd.c:95: if (minus)
	mov	a,r5
	jz	00104$
;	core/lcd.c:96: v = -v;
	clr	c
	clr	a
	subb	a,r6
	mov	r6,a
	clr	a
	subb	a,r7
	mov	r7,a
00104$:
;	core/lcd.c:97: tenths = ((u16)v * 5 + 4) >> 3;
	mov	__mulint_PARM_2,r6
	mov	(__mulint_PARM_2 + 1),r7
	mov	dptr,#0x0005
	push	ar5
	lcall	__mulint
	mov	a,dpl
	mov	b,dph
	pop	ar5
	add	a,#0x04
	mov	r6,a
	clr	a
	addc	a,b
	swap	a
	rl	a
	xch	a,r6
	swap	a
	rl	a
	anl	a,#0x1f
	xrl	a,r6
	xch	a,r6
	anl	a,#0x1f
	xch	a,r6
	xrl	a,r6
	xch	a,r6
	mov	r7,a
;	core/lcd.c:98: number(tenths / 10, 3);
	mov	__divuint_PARM_2,#0x0a
	mov	(__divuint_PARM_2 + 1),#0x00
	mov	dpl,r6
	mov	dph,r7
	push	ar7
	push	ar6
	push	ar5
	lcall	__divuint
	mov	_number_PARM_2,#0x03
	lcall	_number
	pop	ar5
	pop	ar6
	pop	ar7
;	core/lcd.c:99: if (minus)
	mov	a,r5
	jz	00106$
;	core/lcd.c:100: work[tenths >= 100 ? put_at - 3 : put_at - 2] = '-';
	clr	c
	mov	a,r6
	subb	a,#0x64
	mov	a,r7
	subb	a,#0x00
	mov	_temperature_sloc0_1_0,c
	jc	00109$
	mov	r5,_put_at
	dec	r5
	dec	r5
	dec	r5
	sjmp	00110$
00109$:
	mov	a,_put_at
	mov	r4,a
	add	a,#0xfe
	mov	r5,a
00110$:
	mov	a,r5
	add	a,#_work
	mov	r0,a
	mov	@r0,#0x2d
00106$:
;	core/lcd.c:101: put('.');
	mov	dpl,#0x2e
	push	ar7
	push	ar6
	lcall	_put
	pop	ar6
	pop	ar7
;	core/lcd.c:102: put((u8)('0' + tenths % 10));
	mov	__moduint_PARM_2,#0x0a
	mov	(__moduint_PARM_2 + 1),#0x00
	mov	dpl,r6
	mov	dph,r7
	lcall	__moduint
	mov	r6,dpl
	mov	a,#0x30
	add	a,r6
	mov	dpl,a
	lcall	_put
;	core/lcd.c:103: put(0xdf);
	mov	dpl,#0xdf
	lcall	_put
;	core/lcd.c:104: put('C');
	mov	dpl,#0x43
;	core/lcd.c:105: }
	ljmp	_put
;------------------------------------------------------------
;Allocation info for local variables in function 'control_page'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/lcd.c:107: static void control_page(void)
;	-----------------------------------------
;	 function control_page
;	-----------------------------------------
_control_page:
;	core/lcd.c:110: if (!line) {
	mov	a,_line
	jnz	00102$
;	core/lcd.c:111: temperature((i16)out[O_VALUE], out[O_QUALITY]);
	mov	r0,#(_out + 0x0004)
	mov	ar6,@r0
	inc	r0
	mov	ar7,@r0
	mov	dpl,r6
	mov	dph,r7
	mov	r0,#(_out + 0x0006)
	mov	_temperature_PARM_2,@r0
	inc	r0
	mov	(_temperature_PARM_2 + 1),@r0
	lcall	_temperature
;	core/lcd.c:112: text((u8)out[O_OUTPUTS] & 1 ? " HEAT" : "     ");
	mov	r0,#_out
	mov	a,@r0
	jnb	acc.0,00111$
	mov	r6,#___str_1
	mov	r7,#(___str_1 >> 8)
	sjmp	00112$
00111$:
	mov	r6,#___str_2
	mov	r7,#(___str_2 >> 8)
00112$:
	mov	dpl,r6
	mov	dph,r7
	lcall	_text
;	core/lcd.c:113: text((u8)out[O_OUTPUTS] & 2 ? " FAN" : (u8)out[O_FAILSAFE] ? " SAFE" : "");
	mov	r0,#_out
	mov	a,@r0
	jnb	acc.1,00113$
	mov	r6,#___str_3
	mov	r7,#(___str_3 >> 8)
	sjmp	00114$
00113$:
	mov	r0,#(_out + 0x0002)
	mov	a,@r0
	jz	00115$
	mov	r4,#___str_4
	mov	r5,#(___str_4 >> 8)
	sjmp	00116$
00115$:
	mov	r4,#___str_5
	mov	r5,#(___str_5 >> 8)
00116$:
	mov	ar6,r4
	mov	ar7,r5
00114$:
	mov	dpl,r6
	mov	dph,r7
;	core/lcd.c:114: return;
	ljmp	_text
00102$:
;	core/lcd.c:116: if (clock_state != CLOCK_RUNS) {
	mov	a,_clock_state
	jz	00104$
;	core/lcd.c:117: text("--:--:--");
	mov	dptr,#___str_6
	lcall	_text
	sjmp	00105$
00104$:
;	core/lcd.c:119: two(clock[T_HOUR]);
	mov	r0,#(_clock + 0x0002)
	mov	dpl,@r0
	lcall	_two
;	core/lcd.c:120: put(':');
	mov	dpl,#0x3a
	lcall	_put
;	core/lcd.c:121: two(clock[T_MINUTE]);
	mov	r0,#(_clock + 0x0001)
	mov	dpl,@r0
	lcall	_two
;	core/lcd.c:122: put(':');
	mov	dpl,#0x3a
	lcall	_put
;	core/lcd.c:123: two(clock[T_SECOND]);
	mov	r0,#_clock
	mov	dpl,@r0
	lcall	_two
00105$:
;	core/lcd.c:125: text("    ");
	mov	dptr,#___str_7
	lcall	_text
;	core/lcd.c:126: for (i = 0; i < TIMERS; i++)
	mov	r7,#0x00
00107$:
;	core/lcd.c:127: put((u8)out[O_OUTPUTS] >> (i + 2) & 1 ? (u8)('1' + i) : '-');
	mov	r0,#_out
	mov	ar6,@r0
	mov	a,#0x02
	add	a,r7
	mov	b,a
	inc	b
	mov	a,r6
	sjmp	00154$
00153$:
	clr	c
	rrc	a
00154$:
	djnz	b,00153$
	jnb	acc.0,00117$
	mov	ar6,r7
	mov	a,#0x31
	add	a,r6
	mov	r5,a
	mov	r6,#0x00
	sjmp	00118$
00117$:
	mov	r5,#0x2d
	mov	r6,#0x00
00118$:
	mov	dpl,r5
	push	ar7
	lcall	_put
	pop	ar7
;	core/lcd.c:126: for (i = 0; i < TIMERS; i++)
	inc	r7
	cjne	r7,#0x04,00156$
00156$:
	jc	00107$
;	core/lcd.c:128: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'sensor_line'
;------------------------------------------------------------
;slot                      Allocated to registers r7 
;------------------------------------------------------------
;	core/lcd.c:130: static void sensor_line(u8 slot)
;	-----------------------------------------
;	 function sensor_line
;	-----------------------------------------
_sensor_line:
	mov	r7,dpl
;	core/lcd.c:132: put((u8)('1' + slot));
	mov	ar6,r7
	mov	a,#0x31
	add	a,r6
	mov	dpl,a
	push	ar7
	lcall	_put
;	core/lcd.c:133: put(' ');
	mov	dpl,#0x20
	lcall	_put
	pop	ar7
;	core/lcd.c:134: if (!sensor_rom[slot][0]) {
	mov	a,r7
	mov	b,#0x08
	mul	ab
	mov	r5,a
	mov	r6,b
	add	a,#_sensor_rom
	mov	r3,a
	mov	a,r6
	addc	a,#(_sensor_rom >> 8)
	mov	r4,a
	mov	dpl,r3
	mov	dph,r4
	movx	a,@dptr
	jnz	00102$
;	core/lcd.c:135: put('-');
	mov	dpl,#0x2d
;	core/lcd.c:136: return;
	ljmp	_put
00102$:
;	core/lcd.c:138: temperature(sensor_value[slot], sensor_quality[slot]);
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
	mov	a,r7
	add	a,#_sensor_quality
	mov	dpl,a
	clr	a
	addc	a,#(_sensor_quality >> 8)
	mov	dph,a
	movx	a,@dptr
	mov	r7,a
	mov	_temperature_PARM_2,r7
	mov	(_temperature_PARM_2 + 1),#0x00
	mov	dpl,r3
	mov	dph,r4
	push	ar6
	push	ar5
	lcall	_temperature
	pop	ar5
	pop	ar6
;	core/lcd.c:139: put_at = 12;
	mov	_put_at,#0x0c
;	core/lcd.c:140: hex(sensor_rom[slot][2] >> 4);
	mov	a,r5
	add	a,#_sensor_rom
	mov	r5,a
	mov	a,r6
	addc	a,#(_sensor_rom >> 8)
	mov	r6,a
	mov	a,#0x02
	add	a,r5
	mov	r4,a
	clr	a
	addc	a,r6
	mov	r7,a
	mov	dpl,r4
	mov	dph,r7
	movx	a,@dptr
	swap	a
	anl	a,#0x0f
	mov	dpl,a
	push	ar7
	push	ar6
	push	ar5
	push	ar4
	lcall	_hex
	pop	ar4
	pop	ar5
	pop	ar6
	pop	ar7
;	core/lcd.c:141: hex(sensor_rom[slot][2]);
	mov	dpl,r4
	mov	dph,r7
	movx	a,@dptr
	mov	dpl,a
	push	ar6
	push	ar5
	lcall	_hex
	pop	ar5
	pop	ar6
;	core/lcd.c:142: hex(sensor_rom[slot][1] >> 4);
	inc	r5
	cjne	r5,#0x00,00110$
	inc	r6
00110$:
	mov	dpl,r5
	mov	dph,r6
	movx	a,@dptr
	swap	a
	anl	a,#0x0f
	mov	dpl,a
	push	ar6
	push	ar5
	lcall	_hex
	pop	ar5
	pop	ar6
;	core/lcd.c:143: hex(sensor_rom[slot][1]);
	mov	dpl,r5
	mov	dph,r6
	movx	a,@dptr
	mov	dpl,a
;	core/lcd.c:144: }
	ljmp	_hex
;------------------------------------------------------------
;Allocation info for local variables in function 'node_page'
;------------------------------------------------------------
;	core/lcd.c:146: static void node_page(void)
;	-----------------------------------------
;	 function node_page
;	-----------------------------------------
_node_page:
;	core/lcd.c:148: if (!line) {
	mov	a,_line
	jnz	00102$
;	core/lcd.c:149: text("unit");
	mov	dptr,#___str_8
	lcall	_text
;	core/lcd.c:150: number(modbus_unit, 4);
	mov	r6,_modbus_unit
	mov	r7,#0x00
	mov	_number_PARM_2,#0x04
	mov	dpl,r6
	mov	dph,r7
	lcall	_number
;	core/lcd.c:151: text(" queue");
	mov	dptr,#___str_9
	lcall	_text
;	core/lcd.c:152: number(queue_fill, 2);
	mov	r6,_queue_fill
	mov	r7,#0x00
	mov	_number_PARM_2,#0x02
	mov	dpl,r6
	mov	dph,r7
	ljmp	_number
00102$:
;	core/lcd.c:154: text("boot");
	mov	dptr,#___str_10
	lcall	_text
;	core/lcd.c:155: number((u16)node_boots, 5);
	mov	dpl,_node_boots
	mov	dph,(_node_boots + 1)
	mov	_number_PARM_2,#0x05
	lcall	_number
;	core/lcd.c:156: text(" e");
	mov	dptr,#___str_11
	lcall	_text
;	core/lcd.c:157: number(counter[C_ONEWIRE], 5);
	mov	r0,#(_counter + 0x000a)
	mov	dpl,@r0
	inc	r0
	mov	dph,@r0
	mov	_number_PARM_2,#0x05
;	core/lcd.c:159: }
	ljmp	_number
;------------------------------------------------------------
;Allocation info for local variables in function 'show'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/lcd.c:162: static void show(void)
;	-----------------------------------------
;	 function show
;	-----------------------------------------
_show:
;	core/lcd.c:165: for (i = 0; i < 16; i++)
	mov	r7,#0x00
00109$:
;	core/lcd.c:166: work[i] = ' ';
	mov	a,r7
	add	a,#_work
	mov	r0,a
	mov	@r0,#0x20
;	core/lcd.c:165: for (i = 0; i < 16; i++)
	inc	r7
	cjne	r7,#0x10,00143$
00143$:
	jc	00109$
;	core/lcd.c:167: put_at = 0;
	mov	_put_at,#0x00
;	core/lcd.c:168: if (!page)
	mov	a,_page
	jnz	00106$
;	core/lcd.c:169: control_page();
	lcall	_control_page
	sjmp	00107$
00106$:
;	core/lcd.c:170: else if (page == PAGES - 1)
	mov	a,#0x05
	cjne	a,_page,00103$
;	core/lcd.c:171: node_page();
	lcall	_node_page
	sjmp	00107$
00103$:
;	core/lcd.c:173: sensor_line((page - 1) * 2 + line);
	mov	r7,_page
	dec	r7
	mov	a,r7
	add	a,r7
	mov	r7,a
	mov	a,_line
	add	a,r7
	mov	dpl,a
	lcall	_sensor_line
00107$:
;	core/lcd.c:174: send(line ? 0xc0 : 0x80, 0);
	mov	a,_line
	jz	00115$
	mov	r6,#0xc0
	mov	r7,#0x00
	sjmp	00116$
00115$:
	mov	r6,#0x80
	mov	r7,#0x00
00116$:
	mov	dpl,r6
	mov	_send_PARM_2,#0x00
	lcall	_send
;	core/lcd.c:175: for (i = 0; i < 16; i++)
	mov	r7,#0x00
00111$:
;	core/lcd.c:176: send(work[i], 1);
	mov	a,r7
	add	a,#_work
	mov	r1,a
	mov	dpl,@r1
	mov	_send_PARM_2,#0x01
	push	ar7
	lcall	_send
	pop	ar7
;	core/lcd.c:175: for (i = 0; i < 16; i++)
	inc	r7
	cjne	r7,#0x10,00149$
00149$:
	jc	00111$
;	core/lcd.c:177: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'next_page'
;------------------------------------------------------------
;	core/lcd.c:179: static void next_page(void)
;	-----------------------------------------
;	 function next_page
;	-----------------------------------------
_next_page:
;	core/lcd.c:181: half_seconds = 0;
	mov	_half_seconds,#0x00
;	core/lcd.c:182: do {
00106$:
;	core/lcd.c:183: if (++page == PAGES)
	inc	_page
	mov	a,#0x06
	cjne	a,_page,00107$
;	core/lcd.c:184: page = 0;
	mov	_page,#0x00
00107$:
;	core/lcd.c:185: } while (page && page < PAGES - 1 && !sensor_rom[(page - 1) * 2][0] && !sensor_rom[(page - 1) * 2 + 1][0]);
	mov	a,_page
	jz	00108$
	mov	a,#0x100 - 0x05
	add	a,_page
	jc	00108$
	mov	a,_page
	mov	r7,a
	dec	a
	mov	r6,a
	rlc	a
	subb	a,acc
	mov	r5,a
	mov	a,r6
	add	a,r6
	mov	r6,a
	mov	a,r5
	rlc	a
	swap	a
	rr	a
	anl	a,#0xf8
	xch	a,r6
	swap	a
	rr	a
	xch	a,r6
	xrl	a,r6
	xch	a,r6
	anl	a,#0xf8
	xch	a,r6
	xrl	a,r6
	mov	r5,a
	mov	a,r6
	add	a,#_sensor_rom
	mov	r6,a
	mov	a,r5
	addc	a,#(_sensor_rom >> 8)
	mov	r5,a
	mov	dpl,r6
	mov	dph,r5
	movx	a,@dptr
	jnz	00108$
	dec	r7
	mov	a,r7
	add	a,r7
	mov	r7,a
	inc	r7
	clr	F0
	mov	b,#0x08
	mov	a,r7
	jnb	acc.7,00136$
	cpl	F0
	cpl	a
	inc	a
00136$:
	mul	ab
	jnb	F0,00137$
	cpl	a
	add	a,#0x01
	xch	a,b
	cpl	a
	addc	a,#0x00
	xch	a,b
00137$:
	add	a,#_sensor_rom
	mov	r6,a
	mov	a,#(_sensor_rom >> 8)
	addc	a,b
	mov	r7,a
	mov	dpl,r6
	mov	dph,r7
	movx	a,@dptr
	jz	00106$
00108$:
;	core/lcd.c:186: lcd_init();
;	core/lcd.c:187: }
	ljmp	_lcd_init
;------------------------------------------------------------
;Allocation info for local variables in function 'lcd_step'
;------------------------------------------------------------
;past                      Allocated to registers r6 r7 
;------------------------------------------------------------
;	core/lcd.c:189: void lcd_step(void)
;	-----------------------------------------
;	 function lcd_step
;	-----------------------------------------
_lcd_step:
;	core/lcd.c:191: u16 past = node_ms - last;
	mov	a,_node_ms
	clr	c
	subb	a,_last
	mov	r6,a
	mov	a,(_node_ms + 1)
	subb	a,(_last + 1)
	mov	r7,a
;	core/lcd.c:192: if (!ready) {
	mov	a,_ready
	jnz	00104$
;	core/lcd.c:193: if (past < POWER_UP_MS)
	mov	ar4,r6
	mov	ar5,r7
	clr	c
	mov	a,r4
	subb	a,#0x32
	mov	a,r5
	subb	a,#0x00
	jnc	00102$
;	core/lcd.c:194: return;
	ret
00102$:
;	core/lcd.c:195: lcd_init();
	push	ar7
	push	ar6
	lcall	_lcd_init
;	core/lcd.c:196: send(0x01, 0);
	mov	_send_PARM_2,#0x00
	mov	dpl,#0x01
	lcall	_send
;	core/lcd.c:197: settle(2);
	mov	dpl,#0x02
	lcall	_settle
	pop	ar6
	pop	ar7
;	core/lcd.c:198: ready = 1;
	mov	_ready,#0x01
00104$:
;	core/lcd.c:200: if (past < HALF_SECOND / 2)
	clr	c
	mov	a,r6
	subb	a,#0xfa
	mov	a,r7
	subb	a,#0x00
	jnc	00106$
;	core/lcd.c:201: return;
	ret
00106$:
;	core/lcd.c:202: last = node_ms;
	mov	_last,_node_ms
	mov	(_last + 1),(_node_ms + 1)
;	core/lcd.c:203: show();
	lcall	_show
;	core/lcd.c:204: line ^= 1;
	xrl	_line,#0x01
;	core/lcd.c:205: if (line)
	mov	a,_line
	jz	00108$
;	core/lcd.c:206: return;
	ret
00108$:
;	core/lcd.c:207: half_seconds++;
	inc	_half_seconds
;	core/lcd.c:208: if (setting[S(PAGE_S)] && half_seconds >= (u8)setting[S(PAGE_S)] * 2)
	mov	dptr,#(_setting + 0x0038)
	movx	a,@dptr
	mov	r6,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	orl	a,r6
	jz	00112$
	mov	r7,#0x00
	mov	a,r6
	add	a,r6
	mov	r6,a
	mov	a,r7
	rlc	a
	mov	r7,a
	mov	r4,_half_seconds
	mov	r5,#0x00
	clr	c
	mov	a,r4
	subb	a,r6
	mov	a,r5
	xrl	a,#0x80
	mov	b,r7
	xrl	b,#0x80
	subb	a,b
	jc	00112$
;	core/lcd.c:209: next_page();
;	core/lcd.c:210: }
	ljmp	_next_page
00112$:
	ret
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area CONST   (CODE)
___str_0:
	.ascii "bad "
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_1:
	.ascii " HEAT"
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_2:
	.ascii "     "
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_3:
	.ascii " FAN"
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_4:
	.ascii " SAFE"
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_5:
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_6:
	.ascii "--:--:--"
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_7:
	.ascii "    "
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_8:
	.ascii "unit"
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_9:
	.ascii " queue"
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_10:
	.ascii "boot"
	.db 0x00
	.area CSEG    (CODE)
	.area CONST   (CODE)
___str_11:
	.ascii " e"
	.db 0x00
	.area CSEG    (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module modbus
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _reg_write
	.globl _reg_check
	.globl _reg_read
	.globl _queue_write
	.globl _crc16
	.globl _port_send
	.globl _port_talk
	.globl _port_uart
	.globl _port_boot
	.globl _port_reset
	.globl _port_ms
	.globl _modbus_start_PARM_2
	.globl _modbus_receive_PARM_2
	.globl _modbus_unit
	.globl _modbus_receive
	.globl _modbus_poll
	.globl _modbus_start
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
	.area REG_BANK_1	(REL,OVR,DATA)
	.ds 8
;--------------------------------------------------------
; internal ram data
;--------------------------------------------------------
	.area DSEG    (DATA)
_modbus_unit::
	.ds 1
_rx_len:
	.ds 1
_rx_bad:
	.ds 1
_rx_skip:
	.ds 1
_rx_last:
	.ds 1
_gap:
	.ds 1
_tx_crc:
	.ds 2
_modbus_receive_PARM_2:
	.ds 1
_write_words_PARM_2:
	.ds 1
_write_words_PARM_3:
	.ds 1
_write_words_i_65536_74:
	.ds 1
_answer_read_PARM_2:
	.ds 1
_obey_n_65536_82:
	.ds 1
_obey_address_65536_83:
	.ds 2
_modbus_start_PARM_2:
	.ds 1
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
	.area	OSEG    (OVR,DATA)
	.area	OSEG    (OVR,DATA)
_outside_PARM_2:
	.ds 2
_outside_PARM_3:
	.ds 1
;--------------------------------------------------------
; indirectly addressable internal ram data
;--------------------------------------------------------
	.area ISEG    (DATA)
_rx:
	.ds 48
;--------------------------------------------------------
; absolute internal ram data
;--------------------------------------------------------
	.area IABS    (ABS,DATA)
	.area IABS    (ABS,DATA)
;--------------------------------------------------------
; bit data
;--------------------------------------------------------
	.area BSEG    (BIT)
_modbus_receive_sloc0_1_0:
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
;Allocation info for local variables in function 'modbus_receive'
;------------------------------------------------------------
;bad                       Allocated with name '_modbus_receive_PARM_2'
;b                         Allocated to registers r7 
;now                       Allocated to registers r6 
;quiet                     Allocated to registers r5 
;------------------------------------------------------------
;	core/modbus.c:18: void modbus_receive(u8 b, u8 bad) INTERRUPT_CALL
;	-----------------------------------------
;	 function modbus_receive
;	-----------------------------------------
_modbus_receive:
	ar7 = 0x0f
	ar6 = 0x0e
	ar5 = 0x0d
	ar4 = 0x0c
	ar3 = 0x0b
	ar2 = 0x0a
	ar1 = 0x09
	ar0 = 0x08
	mov	r7,dpl
;	core/modbus.c:20: u8 now = port_tick();
;	core/modbus.c:21: u8 quiet = (u8)(now - rx_last) >= gap;
	mov	a,_port_ticks
	mov	r6,a
	clr	c
	subb	a,_rx_last
	clr	c
	subb	a,_gap
	cpl	c
	mov	_modbus_receive_sloc0_1_0,c
	clr	a
	rlc	a
	mov	r5,a
;	core/modbus.c:22: rx_last = now;
	mov	_rx_last,r6
;	core/modbus.c:23: if (rx_len) {
	mov	a,_rx_len
	jz	00112$
;	core/modbus.c:24: if (quiet)
	mov	a,r5
	jz	00102$
;	core/modbus.c:25: rx_skip = 1; /* the frame before is not handled yet; this one is lost */
	mov	_rx_skip,#0x01
00102$:
;	core/modbus.c:26: if (rx_skip)
	mov	a,_rx_skip
	jz	00104$
;	core/modbus.c:27: return;
	ret
00104$:
;	core/modbus.c:28: if (rx_len == RX_SIZE) {
	mov	a,#0x30
	cjne	a,_rx_len,00113$
;	core/modbus.c:29: rx_bad = 1;
	mov	_rx_bad,#0x01
;	core/modbus.c:30: return;
	ret
00112$:
;	core/modbus.c:33: if (quiet)
	mov	a,r5
	jz	00108$
;	core/modbus.c:34: rx_skip = b != modbus_unit && b;
	mov	a,r7
	cjne	a,_modbus_unit,00153$
	setb	c
	sjmp	00154$
00153$:
	clr	c
00154$:
	mov	_modbus_receive_sloc0_1_0,c
	jc	00116$
	mov	a,r7
	jnz	00117$
00116$:
;	assignBit
	clr	_modbus_receive_sloc0_1_0
	sjmp	00118$
00117$:
;	assignBit
	setb	_modbus_receive_sloc0_1_0
00118$:
	mov	c,_modbus_receive_sloc0_1_0
	clr	a
	rlc	a
	mov	_rx_skip,a
00108$:
;	core/modbus.c:35: if (rx_skip)
	mov	a,_rx_skip
	jz	00110$
;	core/modbus.c:36: return;
	ret
00110$:
;	core/modbus.c:37: rx_bad = 0;
	mov	_rx_bad,#0x00
00113$:
;	core/modbus.c:39: rx[rx_len++] = b;
	mov	a,_rx_len
	mov	r6,a
	inc	a
	mov	_rx_len,a
	mov	a,r6
	add	a,#_rx
	mov	r0,a
	mov	@r0,ar7
;	core/modbus.c:40: rx_bad |= bad;
	mov	a,_modbus_receive_PARM_2
	orl	_rx_bad,a
;	core/modbus.c:41: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'put'
;------------------------------------------------------------
;b                         Allocated to registers r7 
;------------------------------------------------------------
;	core/modbus.c:46: static void put(u8 b)
;	-----------------------------------------
;	 function put
;	-----------------------------------------
_put:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
	mov	r7,dpl
;	core/modbus.c:48: tx_crc = crc16(tx_crc, b);
	mov	_crc16_PARM_2,r7
	mov	dpl,_tx_crc
	mov	dph,(_tx_crc + 1)
	push	ar7
	lcall	_crc16
	mov	_tx_crc,dpl
	mov	(_tx_crc + 1),dph
	pop	ar7
;	core/modbus.c:49: port_send(b);
	mov	dpl,r7
;	core/modbus.c:50: }
	ljmp	_port_send
;------------------------------------------------------------
;Allocation info for local variables in function 'put16'
;------------------------------------------------------------
;v                         Allocated to registers r6 r7 
;------------------------------------------------------------
;	core/modbus.c:52: static void put16(u16 v)
;	-----------------------------------------
;	 function put16
;	-----------------------------------------
_put16:
	mov	r6,dpl
	mov	r7,dph
;	core/modbus.c:54: put((u8)(v >> 8));
	mov	dpl,r7
	push	ar7
	push	ar6
	lcall	_put
	pop	ar6
	pop	ar7
;	core/modbus.c:55: put((u8)v);
	mov	dpl,r6
;	core/modbus.c:56: }
	ljmp	_put
;------------------------------------------------------------
;Allocation info for local variables in function 'begin'
;------------------------------------------------------------
;function                  Allocated to registers r7 
;------------------------------------------------------------
;	core/modbus.c:58: static void begin(u8 function)
;	-----------------------------------------
;	 function begin
;	-----------------------------------------
_begin:
	mov	r7,dpl
;	core/modbus.c:60: tx_crc = 0xffff;
	mov	_tx_crc,#0xff
	mov	(_tx_crc + 1),#0xff
;	core/modbus.c:61: port_talk(1);
	mov	dpl,#0x01
	push	ar7
	lcall	_port_talk
;	core/modbus.c:62: put(modbus_unit);
	mov	dpl,_modbus_unit
	lcall	_put
	pop	ar7
;	core/modbus.c:63: put(function);
	mov	dpl,r7
;	core/modbus.c:64: }
	ljmp	_put
;------------------------------------------------------------
;Allocation info for local variables in function 'end'
;------------------------------------------------------------
;crc                       Allocated to registers r6 r7 
;------------------------------------------------------------
;	core/modbus.c:66: static void end(void)
;	-----------------------------------------
;	 function end
;	-----------------------------------------
_end:
;	core/modbus.c:68: u16 crc = tx_crc;
	mov	r6,_tx_crc
	mov	r7,(_tx_crc + 1)
;	core/modbus.c:69: port_send((u8)crc);
	mov	dpl,r6
	push	ar7
	push	ar6
	lcall	_port_send
	pop	ar6
	pop	ar7
;	core/modbus.c:70: port_send((u8)(crc >> 8));
	mov	dpl,r7
	lcall	_port_send
;	core/modbus.c:71: port_talk(0);
	mov	dpl,#0x00
;	core/modbus.c:72: }
	ljmp	_port_talk
;------------------------------------------------------------
;Allocation info for local variables in function 'be'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;------------------------------------------------------------
;	core/modbus.c:74: static u16 be(u8 i) { return (u16)rx[i] << 8 | rx[i + 1]; }
;	-----------------------------------------
;	 function be
;	-----------------------------------------
_be:
	mov	a,dpl
	mov	r7,a
	add	a,#_rx
	mov	r1,a
	mov	ar6,@r1
	mov	ar5,r6
	mov	r6,#0x00
	mov	a,r7
	inc	a
	add	a,#_rx
	mov	r1,a
	mov	ar7,@r1
	mov	r4,#0x00
	mov	a,r7
	orl	a,r6
	mov	dpl,a
	mov	a,r4
	orl	a,r5
	mov	dph,a
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'outside'
;------------------------------------------------------------
;words                     Allocated with name '_outside_PARM_2'
;most                      Allocated with name '_outside_PARM_3'
;address                   Allocated to registers r6 r7 
;------------------------------------------------------------
;	core/modbus.c:76: static u8 outside(u16 address, u16 words, u8 most)
;	-----------------------------------------
;	 function outside
;	-----------------------------------------
_outside:
	mov	r6,dpl
	mov	r7,dph
;	core/modbus.c:78: if (!words || words > most)
	mov	a,_outside_PARM_2
	orl	a,(_outside_PARM_2 + 1)
	jz	00101$
	mov	r4,_outside_PARM_3
	mov	r5,#0x00
	clr	c
	mov	a,r4
	subb	a,_outside_PARM_2
	mov	a,r5
	subb	a,(_outside_PARM_2 + 1)
	jnc	00102$
00101$:
;	core/modbus.c:79: return 3;
	mov	dpl,#0x03
	ret
00102$:
;	core/modbus.c:80: return words > REG_END || address > REG_END - words ? 2 : 0;
	mov	r4,_outside_PARM_2
	mov	r5,(_outside_PARM_2 + 1)
	clr	c
	mov	a,#0x7a
	subb	a,r4
	mov	a,#0x01
	subb	a,r5
	jc	00109$
	mov	a,#0x7a
	clr	c
	subb	a,_outside_PARM_2
	mov	r4,a
	mov	a,#0x01
	subb	a,(_outside_PARM_2 + 1)
	mov	r5,a
	clr	c
	mov	a,r4
	subb	a,r6
	mov	a,r5
	subb	a,r7
	jnc	00106$
00109$:
	mov	r6,#0x02
	mov	r7,#0x00
	sjmp	00107$
00106$:
	mov	r6,#0x00
	mov	r7,#0x00
00107$:
	mov	dpl,r6
;	core/modbus.c:81: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'write_words'
;------------------------------------------------------------
;words                     Allocated with name '_write_words_PARM_2'
;at                        Allocated with name '_write_words_PARM_3'
;address                   Allocated to registers r6 r7 
;i                         Allocated with name '_write_words_i_65536_74'
;code                      Allocated to registers r5 
;------------------------------------------------------------
;	core/modbus.c:84: static u8 write_words(u16 address, u8 words, u8 at)
;	-----------------------------------------
;	 function write_words
;	-----------------------------------------
_write_words:
	mov	r6,dpl
	mov	r7,dph
;	core/modbus.c:87: if (address == REG_INCARNATION)
	cjne	r6,#0x00,00120$
	cjne	r7,#0x01,00120$
;	core/modbus.c:88: return queue_write(rx + at, words);
	mov	a,_write_words_PARM_3
	add	a,#_rx
	mov	dpl,a
	mov	_queue_write_PARM_2,_write_words_PARM_2
	ljmp	_queue_write
;	core/modbus.c:89: for (i = 0; i < words; i++) {
00120$:
	mov	_write_words_i_65536_74,#0x00
00110$:
	clr	c
	mov	a,_write_words_i_65536_74
	subb	a,_write_words_PARM_2
	jnc	00123$
;	core/modbus.c:90: code = reg_check(address + i, be(at + 2 * i));
	mov	r3,_write_words_i_65536_74
	mov	r4,#0x00
	mov	a,r3
	add	a,r6
	mov	r3,a
	mov	a,r4
	addc	a,r7
	mov	r4,a
	mov	a,_write_words_i_65536_74
	add	a,_write_words_i_65536_74
	mov	r5,_write_words_PARM_3
	add	a,r5
	mov	dpl,a
	push	ar7
	push	ar6
	push	ar4
	push	ar3
	lcall	_be
	mov	_reg_check_PARM_2,dpl
	mov	(_reg_check_PARM_2 + 1),dph
	pop	ar3
	pop	ar4
	mov	dpl,r3
	mov	dph,r4
	lcall	_reg_check
	mov	r5,dpl
	pop	ar6
	pop	ar7
;	core/modbus.c:91: if (code)
	mov	a,r5
	jz	00111$
;	core/modbus.c:92: return code;
	mov	dpl,r5
	ret
00111$:
;	core/modbus.c:89: for (i = 0; i < words; i++) {
	inc	_write_words_i_65536_74
;	core/modbus.c:94: for (i = 0; i < words; i++) {
	sjmp	00110$
00123$:
	mov	_write_words_i_65536_74,#0x00
00113$:
	clr	c
	mov	a,_write_words_i_65536_74
	subb	a,_write_words_PARM_2
	jnc	00108$
;	core/modbus.c:95: code = reg_write(address + i, be(at + 2 * i));
	mov	r3,_write_words_i_65536_74
	mov	r4,#0x00
	mov	a,r3
	add	a,r6
	mov	r3,a
	mov	a,r4
	addc	a,r7
	mov	r4,a
	mov	a,_write_words_i_65536_74
	add	a,_write_words_i_65536_74
	mov	r5,_write_words_PARM_3
	add	a,r5
	mov	dpl,a
	push	ar7
	push	ar6
	push	ar4
	push	ar3
	lcall	_be
	mov	_reg_write_PARM_2,dpl
	mov	(_reg_write_PARM_2 + 1),dph
	pop	ar3
	pop	ar4
	mov	dpl,r3
	mov	dph,r4
	lcall	_reg_write
	mov	r5,dpl
	pop	ar6
	pop	ar7
;	core/modbus.c:96: if (code)
	mov	a,r5
	jz	00114$
;	core/modbus.c:97: return code;
	mov	dpl,r5
	ret
00114$:
;	core/modbus.c:94: for (i = 0; i < words; i++) {
	inc	_write_words_i_65536_74
	sjmp	00113$
00108$:
;	core/modbus.c:99: return 0;
	mov	dpl,#0x00
;	core/modbus.c:100: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'answer_read'
;------------------------------------------------------------
;words                     Allocated with name '_answer_read_PARM_2'
;address                   Allocated to registers r6 r7 
;------------------------------------------------------------
;	core/modbus.c:102: static void answer_read(u16 address, u8 words)
;	-----------------------------------------
;	 function answer_read
;	-----------------------------------------
_answer_read:
	mov	r6,dpl
	mov	r7,dph
;	core/modbus.c:104: begin(rx[1]);
	mov	r0,#(_rx + 0x0001)
	mov	dpl,@r0
	push	ar7
	push	ar6
	lcall	_begin
;	core/modbus.c:105: put(words * 2);
	mov	a,_answer_read_PARM_2
	mov	r5,a
	add	a,acc
	mov	dpl,a
	push	ar5
	lcall	_put
	pop	ar5
	pop	ar6
	pop	ar7
00103$:
;	core/modbus.c:106: for (; words; words--)
	mov	a,r5
	jz	00101$
;	core/modbus.c:107: put16(reg_read(address++));
	mov	dpl,r6
	mov	dph,r7
	inc	r6
	cjne	r6,#0x00,00117$
	inc	r7
00117$:
	push	ar7
	push	ar6
	push	ar5
	lcall	_reg_read
	lcall	_put16
	pop	ar5
	pop	ar6
	pop	ar7
;	core/modbus.c:106: for (; words; words--)
	dec	r5
	sjmp	00103$
00101$:
;	core/modbus.c:108: end();
;	core/modbus.c:109: }
	ljmp	_end
;------------------------------------------------------------
;Allocation info for local variables in function 'obey'
;------------------------------------------------------------
;n                         Allocated with name '_obey_n_65536_82'
;code                      Allocated to registers r4 
;words                     Allocated to registers r7 
;address                   Allocated with name '_obey_address_65536_83'
;------------------------------------------------------------
;	core/modbus.c:111: static u8 obey(u8 n)
;	-----------------------------------------
;	 function obey
;	-----------------------------------------
_obey:
	mov	_obey_n_65536_82,dpl
;	core/modbus.c:114: u16 address = be(2);
	mov	dpl,#0x02
	lcall	_be
	mov	_obey_address_65536_83,dpl
	mov	(_obey_address_65536_83 + 1),dph
;	core/modbus.c:115: switch (rx[1]) {
	mov	r0,#(_rx + 0x0001)
	mov	ar4,@r0
	cjne	r4,#0x03,00239$
	sjmp	00102$
00239$:
	cjne	r4,#0x04,00240$
	sjmp	00102$
00240$:
	cjne	r4,#0x06,00241$
	sjmp	00108$
00241$:
	cjne	r4,#0x10,00242$
	ljmp	00113$
00242$:
	cjne	r4,#0x17,00243$
	ljmp	00120$
00243$:
	ljmp	00132$
;	core/modbus.c:117: case 4:
00102$:
;	core/modbus.c:118: if (n != 6)
	mov	a,#0x06
	cjne	a,_obey_n_65536_82,00244$
	sjmp	00104$
00244$:
;	core/modbus.c:119: return 3;
	mov	dpl,#0x03
	ret
00104$:
;	core/modbus.c:120: code = outside(address, be(4), READ_WORDS);
	mov	dpl,#0x04
	lcall	_be
	mov	_outside_PARM_2,dpl
	mov	(_outside_PARM_2 + 1),dph
	mov	_outside_PARM_3,#0x7d
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	lcall	_outside
;	core/modbus.c:121: if (!code && rx[0])
	mov	a,dpl
	mov	r4,a
	jnz	00106$
	mov	r0,#_rx
	mov	a,@r0
	jz	00106$
;	core/modbus.c:122: answer_read(address, rx[5]);
	mov	r0,#(_rx + 0x0005)
	mov	_answer_read_PARM_2,@r0
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	push	ar4
	lcall	_answer_read
	pop	ar4
00106$:
;	core/modbus.c:123: return code;
	mov	dpl,r4
	ret
;	core/modbus.c:124: case 6:
00108$:
;	core/modbus.c:125: if (n != 6)
	mov	a,#0x06
	cjne	a,_obey_n_65536_82,00247$
	sjmp	00110$
00247$:
;	core/modbus.c:126: return 3;
	mov	dpl,#0x03
	ret
00110$:
;	core/modbus.c:127: code = outside(address, 1, 1);
	mov	_outside_PARM_2,#0x01
	mov	(_outside_PARM_2 + 1),#0x00
	mov	_outside_PARM_3,#0x01
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	lcall	_outside
;	core/modbus.c:128: if (!code)
	mov	a,dpl
	mov	r4,a
	jz	00248$
	ljmp	00133$
00248$:
;	core/modbus.c:129: code = write_words(address, 1, 4);
	mov	_write_words_PARM_2,#0x01
	mov	_write_words_PARM_3,#0x04
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	lcall	_write_words
	mov	r4,dpl
;	core/modbus.c:130: break;
	ljmp	00133$
;	core/modbus.c:131: case 16:
00113$:
;	core/modbus.c:132: words = rx[5];
	mov	r0,#(_rx + 0x0005)
	mov	ar3,@r0
;	core/modbus.c:133: if (n < 7 || rx[6] != words * 2 || n != 7 + words * 2)
	mov	a,#0x100 - 0x07
	add	a,_obey_n_65536_82
	jnc	00114$
	mov	r0,#(_rx + 0x0006)
	mov	ar2,@r0
	mov	ar6,r3
	mov	r7,#0x00
	mov	a,r6
	add	a,r6
	mov	r6,a
	mov	a,r7
	rlc	a
	mov	r7,a
	mov	r5,#0x00
	mov	a,r2
	cjne	a,ar6,00114$
	mov	a,r5
	cjne	a,ar7,00114$
	mov	a,#0x07
	add	a,r6
	mov	r6,a
	clr	a
	addc	a,r7
	mov	r7,a
	mov	r2,_obey_n_65536_82
	mov	r5,#0x00
	mov	a,r2
	cjne	a,ar6,00252$
	mov	a,r5
	cjne	a,ar7,00252$
	sjmp	00115$
00252$:
00114$:
;	core/modbus.c:134: return 3;
	mov	dpl,#0x03
	ret
00115$:
;	core/modbus.c:135: code = outside(address, be(4), WRITE_WORDS);
	mov	dpl,#0x04
	push	ar3
	lcall	_be
	mov	_outside_PARM_2,dpl
	mov	(_outside_PARM_2 + 1),dph
	mov	_outside_PARM_3,#0x10
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	lcall	_outside
	mov	r4,dpl
	pop	ar3
;	core/modbus.c:136: if (!code)
	mov	a,r4
	jz	00253$
	ljmp	00133$
00253$:
;	core/modbus.c:137: code = write_words(address, words, 7);
	mov	_write_words_PARM_2,r3
	mov	_write_words_PARM_3,#0x07
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	lcall	_write_words
	mov	r4,dpl
;	core/modbus.c:138: break;
	ljmp	00133$
;	core/modbus.c:139: case 23:
00120$:
;	core/modbus.c:140: words = rx[9];
	mov	r0,#(_rx + 0x0009)
	mov	ar7,@r0
;	core/modbus.c:141: if (n < 11 || rx[10] != words * 2 || n != 11 + words * 2)
	mov	a,#0x100 - 0x0b
	add	a,_obey_n_65536_82
	jnc	00121$
	mov	r0,#(_rx + 0x000a)
	mov	ar6,@r0
	mov	ar3,r7
	mov	r5,#0x00
	mov	a,r3
	add	a,r3
	mov	r3,a
	mov	a,r5
	rlc	a
	mov	r5,a
	mov	r2,#0x00
	mov	a,r6
	cjne	a,ar3,00121$
	mov	a,r2
	cjne	a,ar5,00121$
	mov	a,#0x0b
	add	a,r3
	mov	r3,a
	clr	a
	addc	a,r5
	mov	r5,a
	mov	r2,_obey_n_65536_82
	mov	r6,#0x00
	mov	a,r2
	cjne	a,ar3,00257$
	mov	a,r6
	cjne	a,ar5,00257$
	sjmp	00122$
00257$:
00121$:
;	core/modbus.c:142: return 3;
	mov	dpl,#0x03
	ret
00122$:
;	core/modbus.c:143: code = outside(address, be(4), READ_WORDS);
	mov	dpl,#0x04
	push	ar7
	lcall	_be
	mov	_outside_PARM_2,dpl
	mov	(_outside_PARM_2 + 1),dph
	mov	_outside_PARM_3,#0x7d
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	lcall	_outside
	mov	r6,dpl
	pop	ar7
;	core/modbus.c:144: if (!code)
	mov	a,r6
	jnz	00126$
;	core/modbus.c:145: code = outside(be(6), be(8), WRITE_WORDS);
	mov	dpl,#0x06
	push	ar7
	lcall	_be
	mov	r3,dpl
	mov	r5,dph
	mov	dpl,#0x08
	push	ar5
	push	ar3
	lcall	_be
	mov	_outside_PARM_2,dpl
	mov	(_outside_PARM_2 + 1),dph
	pop	ar3
	pop	ar5
	mov	_outside_PARM_3,#0x10
	mov	dpl,r3
	mov	dph,r5
	lcall	_outside
	mov	r6,dpl
	pop	ar7
00126$:
;	core/modbus.c:146: if (!code)
	mov	a,r6
	jnz	00128$
;	core/modbus.c:147: code = write_words(be(6), words, 11);
	mov	dpl,#0x06
	push	ar7
	lcall	_be
	pop	ar7
	mov	_write_words_PARM_2,r7
	mov	_write_words_PARM_3,#0x0b
	lcall	_write_words
	mov	r6,dpl
00128$:
;	core/modbus.c:148: if (!code && rx[0])
	mov	a,r6
	jnz	00130$
	mov	r0,#_rx
	mov	a,@r0
	jz	00130$
;	core/modbus.c:149: answer_read(address, rx[5]);
	mov	r0,#(_rx + 0x0005)
	mov	_answer_read_PARM_2,@r0
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	push	ar6
	lcall	_answer_read
	pop	ar6
00130$:
;	core/modbus.c:150: return code;
	mov	dpl,r6
;	core/modbus.c:151: default:
	ret
00132$:
;	core/modbus.c:152: return 1;
	mov	dpl,#0x01
;	core/modbus.c:153: }
	ret
00133$:
;	core/modbus.c:154: if (code || !rx[0])
	mov	a,r4
	jnz	00134$
	mov	r0,#_rx
	mov	a,@r0
	jnz	00135$
00134$:
;	core/modbus.c:155: return code;
	mov	dpl,r4
	ret
00135$:
;	core/modbus.c:156: begin(rx[1]);
	mov	r0,#(_rx + 0x0001)
	mov	dpl,@r0
	lcall	_begin
;	core/modbus.c:157: put16(address);
	mov	dpl,_obey_address_65536_83
	mov	dph,(_obey_address_65536_83 + 1)
	lcall	_put16
;	core/modbus.c:158: put16(be(4));
	mov	dpl,#0x04
	lcall	_be
	lcall	_put16
;	core/modbus.c:159: end();
	lcall	_end
;	core/modbus.c:160: return 0;
	mov	dpl,#0x00
;	core/modbus.c:161: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'modbus_poll'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;n                         Allocated to registers r7 
;crc                       Allocated to registers r5 r6 
;------------------------------------------------------------
;	core/modbus.c:163: void modbus_poll(void)
;	-----------------------------------------
;	 function modbus_poll
;	-----------------------------------------
_modbus_poll:
;	core/modbus.c:165: u8 i, n = rx_len;
	mov	r7,_rx_len
;	core/modbus.c:166: u16 crc = 0xffff;
	mov	r5,#0xff
	mov	r6,#0xff
;	core/modbus.c:167: if (!n || (u8)(port_tick() - rx_last) < gap)
	mov	a,r7
	jz	00101$
	mov	a,_port_ticks
	clr	c
	subb	a,_rx_last
	mov	r4,a
	clr	c
	subb	a,_gap
	jnc	00124$
00101$:
;	core/modbus.c:168: return;
	ret
;	core/modbus.c:169: for (i = 0; i < n; i++)
00124$:
	mov	r4,#0x00
00118$:
	clr	c
	mov	a,r4
	subb	a,r7
	jnc	00104$
;	core/modbus.c:170: crc = crc16(crc, rx[i]);
	mov	a,r4
	add	a,#_rx
	mov	r1,a
	mov	_crc16_PARM_2,@r1
	mov	dpl,r5
	mov	dph,r6
	push	ar7
	push	ar4
	lcall	_crc16
	mov	r5,dpl
	mov	r6,dph
	pop	ar4
	pop	ar7
;	core/modbus.c:169: for (i = 0; i < n; i++)
	inc	r4
	sjmp	00118$
00104$:
;	core/modbus.c:171: if (n < 8 || crc || rx_bad) {
	cjne	r7,#0x08,00171$
00171$:
	jc	00108$
	mov	a,r5
	orl	a,r6
	jnz	00108$
	mov	a,_rx_bad
	jz	00109$
00108$:
;	core/modbus.c:172: counter[C_FRAME_ERRORS]++;
	mov	r0,#(_counter + 0x0002)
	mov	ar5,@r0
	inc	r0
	mov	ar6,@r0
	inc	r5
	cjne	r5,#0x00,00175$
	inc	r6
00175$:
	mov	r0,#(_counter + 0x0002)
	mov	@r0,ar5
	inc	r0
	mov	@r0,ar6
	sjmp	00110$
00109$:
;	core/modbus.c:174: counter[C_FRAMES]++;
	mov	r0,#_counter
	mov	ar5,@r0
	inc	r0
	mov	ar6,@r0
	inc	r5
	cjne	r5,#0x00,00176$
	inc	r6
00176$:
	mov	r0,#_counter
	mov	@r0,ar5
	inc	r0
	mov	@r0,ar6
;	core/modbus.c:175: reg_now = port_ms();
	push	ar7
	lcall	_port_ms
	mov	_reg_now,dpl
	mov	(_reg_now + 1),dph
	mov	(_reg_now + 2),b
	mov	(_reg_now + 3),a
	pop	ar7
;	core/modbus.c:176: i = obey(n - 2);
	mov	a,r7
	add	a,#0xfe
	mov	dpl,a
	lcall	_obey
;	core/modbus.c:177: if (i && rx[0]) {
	mov	a,dpl
	mov	r7,a
	jz	00110$
	mov	r0,#_rx
	mov	a,@r0
	jz	00110$
;	core/modbus.c:178: counter[C_EXCEPTIONS]++;
	mov	r0,#(_counter + 0x0004)
	mov	ar5,@r0
	inc	r0
	mov	ar6,@r0
	inc	r5
	cjne	r5,#0x00,00179$
	inc	r6
00179$:
	mov	r0,#(_counter + 0x0004)
	mov	@r0,ar5
	inc	r0
	mov	@r0,ar6
;	core/modbus.c:179: begin(rx[1] | 0x80);
	mov	r0,#(_rx + 0x0001)
	mov	ar6,@r0
	mov	a,#0x80
	orl	a,r6
	mov	dpl,a
	push	ar7
	lcall	_begin
	pop	ar7
;	core/modbus.c:180: put(i);
	mov	dpl,r7
	lcall	_put
;	core/modbus.c:181: end();
	lcall	_end
00110$:
;	core/modbus.c:184: rx_skip = 1; /* until the next silence */
	mov	_rx_skip,#0x01
;	core/modbus.c:185: rx_len = 0;
	mov	_rx_len,#0x00
;	core/modbus.c:186: i = reg_command;
	mov	r7,_reg_command
;	core/modbus.c:187: reg_command = 0;
	mov	_reg_command,#0x00
;	core/modbus.c:188: if (i == RESET_BOOTLOADER)
	cjne	r7,#0x06,00114$
;	core/modbus.c:189: port_boot();
	push	ar7
	lcall	_port_boot
	pop	ar7
00114$:
;	core/modbus.c:190: if (i)
	mov	a,r7
	jz	00120$
;	core/modbus.c:191: port_reset();
;	core/modbus.c:192: }
	ljmp	_port_reset
00120$:
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'modbus_start'
;------------------------------------------------------------
;baud                      Allocated with name '_modbus_start_PARM_2'
;unit                      Allocated to registers 
;------------------------------------------------------------
;	core/modbus.c:194: void modbus_start(u8 unit, u8 baud)
;	-----------------------------------------
;	 function modbus_start
;	-----------------------------------------
_modbus_start:
	mov	_modbus_unit,dpl
;	core/modbus.c:197: gap = baud ? 3 : 5; /* 3.5 characters are 4.01 ms at 9600 baud, 1.75 ms above 19,200 */
	mov	a,_modbus_start_PARM_2
	jz	00103$
	mov	r6,#0x03
	mov	r7,#0x00
	sjmp	00104$
00103$:
	mov	r6,#0x05
	mov	r7,#0x00
00104$:
	mov	_gap,r6
;	core/modbus.c:198: rx_skip = 1;
	mov	_rx_skip,#0x01
;	core/modbus.c:199: port_uart(baud);
	mov	dpl,_modbus_start_PARM_2
;	core/modbus.c:200: }
	ljmp	_port_uart
	.area CSEG    (CODE)
	.area CONST   (CODE)
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

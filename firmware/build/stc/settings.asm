;--------------------------------------------------------
; File Created by SDCC : free open source ANSI-C Compiler
; Version 4.2.0 #13081 (Linux)
;--------------------------------------------------------
	.module settings
	.optsdcc -mmcs51 --model-small
	
;--------------------------------------------------------
; Public variables in this module
;--------------------------------------------------------
	.globl _settings_bad_PARM_2
	.globl _queue_push
	.globl _crc16
	.globl _crc8
	.globl _port_store_write
	.globl _port_store_erase
	.globl _port_store_read
	.globl _port_watchdog
	.globl _setting
	.globl _node_boots
	.globl _settings_generation
	.globl _settings_state
	.globl _settings_bad
	.globl _settings_load
	.globl _settings_save
	.globl _boots_count
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
_settings_state::
	.ds 1
_settings_generation::
	.ds 2
_node_boots::
	.ds 4
_newest:
	.ds 1
_word_PARM_2:
	.ds 1
_put_PARM_2:
	.ds 1
_put_PARM_3:
	.ds 2
_settings_save_crc_65536_69:
	.ds 2
_settings_save_generation_65536_69:
	.ds 2
_entry_PARM_2:
	.ds 1
_entry_PARM_3:
	.ds 3
_entry_slot_65536_74:
	.ds 1
_entry_k_65536_75:
	.ds 1
_entry_b_65536_75:
	.ds 1
_entry_all_65536_75:
	.ds 1
_entry_n_65536_75:
	.ds 4
_entry_at_65536_75:
	.ds 2
_entry_sloc0_1_0:
	.ds 4
_boots_count_fresh_65536_81:
	.ds 1
_boots_count_crc_65536_81:
	.ds 1
;--------------------------------------------------------
; overlayable items in internal ram
;--------------------------------------------------------
	.area	OSEG    (OVR,DATA)
_settings_bad_PARM_2:
	.ds 2
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
_settings_bad_sloc0_1_0:
	.ds 1
;--------------------------------------------------------
; paged external ram data
;--------------------------------------------------------
	.area PSEG    (PAG,XDATA)
;--------------------------------------------------------
; external ram data
;--------------------------------------------------------
	.area XSEG    (XDATA)
_setting::
	.ds 58
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
;	core/settings.c:13: u8 settings_state = 2;
	mov	_settings_state,#0x02
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
;Allocation info for local variables in function 'settings_bad'
;------------------------------------------------------------
;v                         Allocated with name '_settings_bad_PARM_2'
;i                         Allocated to registers r7 
;least                     Allocated to registers r4 r5 
;most                      Allocated to registers r6 r7 
;------------------------------------------------------------
;	core/settings.c:30: u8 settings_bad(u8 i, u16 v)
;	-----------------------------------------
;	 function settings_bad
;	-----------------------------------------
_settings_bad:
	ar7 = 0x07
	ar6 = 0x06
	ar5 = 0x05
	ar4 = 0x04
	ar3 = 0x03
	ar2 = 0x02
	ar1 = 0x01
	ar0 = 0x00
;	core/settings.c:32: i16 least = rule[i][1], most = rule[i][2];
	mov	a,dpl
	mov	b,#0x06
	mul	ab
	add	a,#_rule
	mov	r6,a
	mov	a,#(_rule >> 8)
	addc	a,b
	mov	r7,a
	mov	dpl,r6
	mov	dph,r7
	inc	dptr
	inc	dptr
	clr	a
	movc	a,@a+dptr
	mov	r4,a
	inc	dptr
	clr	a
	movc	a,@a+dptr
	mov	r5,a
	mov	dpl,r6
	mov	dph,r7
	inc	dptr
	inc	dptr
	inc	dptr
	inc	dptr
	clr	a
	movc	a,@a+dptr
	mov	r6,a
	inc	dptr
	clr	a
	movc	a,@a+dptr
	mov	r7,a
;	core/settings.c:33: return least <= most && ((i16)v < least || (i16)v > most);
	clr	c
	mov	a,r6
	subb	a,r4
	mov	a,r7
	xrl	a,#0x80
	mov	b,r5
	xrl	b,#0x80
	subb	a,b
	mov	_settings_bad_sloc0_1_0,c
	jc	00103$
	mov	r2,_settings_bad_PARM_2
	mov	r3,(_settings_bad_PARM_2 + 1)
	clr	c
	mov	a,r2
	subb	a,r4
	mov	a,r3
	xrl	a,#0x80
	mov	b,r5
	xrl	b,#0x80
	subb	a,b
	jc	00104$
	mov	a,r6
	subb	a,r2
	mov	a,r7
	xrl	a,#0x80
	mov	b,r3
	xrl	b,#0x80
	subb	a,b
	jc	00104$
00103$:
;	assignBit
	clr	_settings_bad_sloc0_1_0
	sjmp	00105$
00104$:
;	assignBit
	setb	_settings_bad_sloc0_1_0
00105$:
	mov	c,_settings_bad_sloc0_1_0
	clr	a
	rlc	a
	mov	dpl,a
;	core/settings.c:34: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'word'
;------------------------------------------------------------
;at                        Allocated with name '_word_PARM_2'
;slot                      Allocated to registers r7 
;------------------------------------------------------------
;	core/settings.c:36: static u16 word(u8 slot, u8 at) { return (u16)port_store_read(slot, at + 1) << 8 | port_store_read(slot, at); }
;	-----------------------------------------
;	 function word
;	-----------------------------------------
_word:
	mov	r7,dpl
	mov	r5,_word_PARM_2
	mov	r6,#0x00
	inc	r5
	cjne	r5,#0x00,00103$
	inc	r6
00103$:
	mov	_port_store_read_PARM_2,r5
	mov	(_port_store_read_PARM_2 + 1),r6
	mov	dpl,r7
	push	ar7
	lcall	_port_store_read
	mov	r6,dpl
	pop	ar7
	mov	ar5,r6
	mov	r6,#0x00
	mov	_port_store_read_PARM_2,_word_PARM_2
;	1-genFromRTrack replaced	mov	(_port_store_read_PARM_2 + 1),#0x00
	mov	(_port_store_read_PARM_2 + 1),r6
	mov	dpl,r7
	push	ar6
	push	ar5
	lcall	_port_store_read
	mov	r7,dpl
	pop	ar5
	pop	ar6
	mov	r4,#0x00
	mov	a,r7
	orl	a,r6
	mov	dpl,a
	mov	a,r4
	orl	a,r5
	mov	dph,a
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'copy_state'
;------------------------------------------------------------
;slot                      Allocated to registers r7 
;i                         Allocated to registers r4 
;crc                       Allocated to registers r5 r6 
;------------------------------------------------------------
;	core/settings.c:39: static u8 copy_state(u8 slot)
;	-----------------------------------------
;	 function copy_state
;	-----------------------------------------
_copy_state:
	mov	r7,dpl
;	core/settings.c:42: u16 crc = 0xffff;
	mov	r5,#0xff
	mov	r6,#0xff
;	core/settings.c:43: if (word(slot, 0) == 0xffff)
	mov	_word_PARM_2,#0x00
	mov	dpl,r7
	push	ar7
	push	ar6
	push	ar5
	lcall	_word
	mov	r3,dpl
	mov	r4,dph
	pop	ar5
	pop	ar6
	pop	ar7
	cjne	r3,#0xff,00111$
	cjne	r4,#0xff,00111$
;	core/settings.c:44: return 0;
	mov	dpl,#0x00
;	core/settings.c:45: for (i = 0; i < COPY_BYTES; i++)
	ret
00111$:
	mov	r4,#0x00
00104$:
;	core/settings.c:46: crc = crc16(crc, port_store_read(slot, i));
	mov	_port_store_read_PARM_2,r4
	mov	(_port_store_read_PARM_2 + 1),#0x00
	mov	dpl,r7
	push	ar7
	push	ar6
	push	ar5
	push	ar4
	lcall	_port_store_read
	mov	_crc16_PARM_2,dpl
	pop	ar4
	pop	ar5
	pop	ar6
	mov	dpl,r5
	mov	dph,r6
	push	ar4
	lcall	_crc16
	mov	r5,dpl
	mov	r6,dph
	pop	ar4
	pop	ar7
;	core/settings.c:45: for (i = 0; i < COPY_BYTES; i++)
	inc	r4
	cjne	r4,#0x3c,00129$
00129$:
	jc	00104$
;	core/settings.c:47: return word(slot, COPY_BYTES) == crc ? 1 : 2;
	mov	_word_PARM_2,#0x3c
	mov	dpl,r7
	push	ar6
	push	ar5
	lcall	_word
	mov	r4,dpl
	mov	r7,dph
	pop	ar5
	pop	ar6
	mov	a,r4
	cjne	a,ar5,00108$
	mov	a,r7
	cjne	a,ar6,00108$
	mov	r6,#0x01
	mov	r7,#0x00
	sjmp	00109$
00108$:
	mov	r6,#0x02
	mov	r7,#0x00
00109$:
	mov	dpl,r6
;	core/settings.c:48: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'settings_load'
;------------------------------------------------------------
;i                         Allocated to registers r7 
;a                         Allocated to registers r7 
;b                         Allocated to registers r6 
;------------------------------------------------------------
;	core/settings.c:50: void settings_load(void)
;	-----------------------------------------
;	 function settings_load
;	-----------------------------------------
_settings_load:
;	core/settings.c:52: u8 i, a = copy_state(0), b = copy_state(1);
	mov	dpl,#0x00
	lcall	_copy_state
	mov	r7,dpl
	mov	dpl,#0x01
	push	ar7
	lcall	_copy_state
	mov	r6,dpl
	pop	ar7
;	core/settings.c:53: if (a == 2)
	cjne	r7,#0x02,00102$
;	core/settings.c:54: counter[C_STORE]++;
	mov	r0,#(_counter + 0x000c)
	mov	ar4,@r0
	inc	r0
	mov	ar5,@r0
	inc	r4
	cjne	r4,#0x00,00159$
	inc	r5
00159$:
	mov	r0,#(_counter + 0x000c)
	mov	@r0,ar4
	inc	r0
	mov	@r0,ar5
00102$:
;	core/settings.c:55: if (b == 2)
	cjne	r6,#0x02,00104$
;	core/settings.c:56: counter[C_STORE]++;
	mov	r0,#(_counter + 0x000c)
	mov	ar4,@r0
	inc	r0
	mov	ar5,@r0
	inc	r4
	cjne	r4,#0x00,00162$
	inc	r5
00162$:
	mov	r0,#(_counter + 0x000c)
	mov	@r0,ar4
	inc	r0
	mov	@r0,ar5
00104$:
;	core/settings.c:57: newest = 0xff;
	mov	_newest,#0xff
;	core/settings.c:58: if (a == 1)
	cjne	r7,#0x01,00106$
;	core/settings.c:59: newest = 0;
	mov	_newest,#0x00
00106$:
;	core/settings.c:60: if (b == 1 && (a != 1 || (i16)(word(1, 0) - word(0, 0)) > 0))
	cjne	r6,#0x01,00126$
	cjne	r7,#0x01,00107$
	mov	_word_PARM_2,#0x00
	mov	dpl,#0x01
	lcall	_word
	mov	r6,dpl
	mov	r7,dph
	mov	_word_PARM_2,#0x00
	mov	dpl,#0x00
	push	ar7
	push	ar6
	lcall	_word
	mov	r4,dpl
	mov	r5,dph
	pop	ar6
	pop	ar7
	mov	a,r6
	clr	c
	subb	a,r4
	mov	r6,a
	mov	a,r7
	subb	a,r5
	mov	r7,a
	clr	c
	clr	a
	subb	a,r6
	mov	a,#(0x00 ^ 0x80)
	mov	b,r7
	xrl	b,#0x80
	subb	a,b
	jnc	00126$
00107$:
;	core/settings.c:61: newest = 1;
	mov	_newest,#0x01
;	core/settings.c:62: for (i = 0; i < SETTINGS; i++)
00126$:
	mov	r7,#0x00
00114$:
;	core/settings.c:63: setting[i] = newest == 0xff ? (u16)rule[i][0] : word(newest, 2 + 2 * i);
	mov	a,r7
	mov	b,#0x02
	mul	ab
	add	a,#_setting
	mov	r5,a
	mov	a,#(_setting >> 8)
	addc	a,b
	mov	r6,a
	mov	a,#0xff
	cjne	a,_newest,00118$
	mov	a,r7
	mov	b,#0x06
	mul	ab
	add	a,#_rule
	mov	dpl,a
	mov	a,#(_rule >> 8)
	addc	a,b
	mov	dph,a
	clr	a
	movc	a,@a+dptr
	mov	r3,a
	inc	dptr
	clr	a
	movc	a,@a+dptr
	mov	r4,a
	sjmp	00119$
00118$:
	mov	ar2,r7
	mov	a,r2
	add	a,r2
	add	a,#0x02
	mov	_word_PARM_2,a
	mov	dpl,_newest
	push	ar7
	push	ar6
	push	ar5
	lcall	_word
	mov	r3,dpl
	mov	r4,dph
	pop	ar5
	pop	ar6
	pop	ar7
00119$:
	mov	dpl,r5
	mov	dph,r6
	mov	a,r3
	movx	@dptr,a
	mov	a,r4
	inc	dptr
	movx	@dptr,a
;	core/settings.c:62: for (i = 0; i < SETTINGS; i++)
	inc	r7
	cjne	r7,#0x1d,00172$
00172$:
	jc	00114$
;	core/settings.c:64: if (newest == 0xff)
	mov	a,#0xff
	cjne	a,_newest,00113$
;	core/settings.c:65: return;
	ret
00113$:
;	core/settings.c:66: settings_state = 0;
	mov	_settings_state,#0x00
;	core/settings.c:67: settings_generation = word(newest, 0);
	mov	_word_PARM_2,#0x00
	mov	dpl,_newest
	lcall	_word
	mov	_settings_generation,dpl
	mov	(_settings_generation + 1),dph
;	core/settings.c:68: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'put'
;------------------------------------------------------------
;at                        Allocated with name '_put_PARM_2'
;v                         Allocated with name '_put_PARM_3'
;slot                      Allocated to registers r7 
;------------------------------------------------------------
;	core/settings.c:70: static u8 put(u8 slot, u8 at, u16 v)
;	-----------------------------------------
;	 function put
;	-----------------------------------------
_put:
	mov	r7,dpl
;	core/settings.c:72: port_store_write(slot, at, (u8)v);
	mov	_port_store_write_PARM_2,_put_PARM_2
	mov	(_port_store_write_PARM_2 + 1),#0x00
	mov	_port_store_write_PARM_3,_put_PARM_3
	mov	dpl,r7
	push	ar7
	lcall	_port_store_write
	pop	ar7
;	core/settings.c:73: port_store_write(slot, at + 1, (u8)(v >> 8));
	mov	r5,_put_PARM_2
	mov	r6,#0x00
	inc	r5
	cjne	r5,#0x00,00103$
	inc	r6
00103$:
	mov	_port_store_write_PARM_2,r5
	mov	(_port_store_write_PARM_2 + 1),r6
	mov	_port_store_write_PARM_3,(_put_PARM_3 + 1)
	mov	dpl,r7
	push	ar7
	lcall	_port_store_write
	pop	ar7
;	core/settings.c:74: return word(slot, at) == v;
	mov	_word_PARM_2,_put_PARM_2
	mov	dpl,r7
	lcall	_word
	mov	r6,dpl
	mov	r7,dph
	mov	a,r6
	cjne	a,_put_PARM_3,00104$
	mov	a,r7
	cjne	a,(_put_PARM_3 + 1),00104$
	mov	a,#0x01
	sjmp	00105$
00104$:
	clr	a
00105$:
	mov	dpl,a
;	core/settings.c:75: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'settings_save'
;------------------------------------------------------------
;i                         Allocated to registers r5 
;good                      Allocated to registers 
;slot                      Allocated to registers r6 
;crc                       Allocated with name '_settings_save_crc_65536_69'
;generation                Allocated with name '_settings_save_generation_65536_69'
;------------------------------------------------------------
;	core/settings.c:77: u8 settings_save(void)
;	-----------------------------------------
;	 function settings_save
;	-----------------------------------------
_settings_save:
;	core/settings.c:79: u8 i, good, slot = newest == 0 ? 1 : 0;
	mov	a,_newest
	jnz	00116$
	mov	r6,#0x01
	mov	r7,a
	sjmp	00117$
00116$:
	mov	r6,#0x00
	mov	r7,#0x00
00117$:
;	core/settings.c:80: u16 crc = 0xffff;
	mov	_settings_save_crc_65536_69,#0xff
	mov	(_settings_save_crc_65536_69 + 1),#0xff
;	core/settings.c:81: u16 generation = settings_generation + 1;
	mov	r3,_settings_generation
	mov	r4,(_settings_generation + 1)
	inc	r3
	cjne	r3,#0x00,00161$
	inc	r4
00161$:
	mov	_settings_save_generation_65536_69,r3
	mov	(_settings_save_generation_65536_69 + 1),r4
;	core/settings.c:82: if ((i16)setting[S(HEATER_ON)] >= (i16)setting[S(HEATER_OFF)] || (i16)setting[S(FAN_OFF)] >= (i16)setting[S(FAN_ON)])
	mov	dptr,#(_setting + 0x0010)
	movx	a,@dptr
	mov	r2,a
	inc	dptr
	movx	a,@dptr
	mov	r4,a
	mov	dptr,#(_setting + 0x0012)
	movx	a,@dptr
	mov	r3,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	clr	c
	mov	a,r2
	subb	a,r3
	mov	a,r4
	xrl	a,#0x80
	mov	b,r7
	xrl	b,#0x80
	subb	a,b
	jnc	00101$
	mov	dptr,#(_setting + 0x0016)
	movx	a,@dptr
	mov	r5,a
	inc	dptr
	movx	a,@dptr
	mov	r7,a
	mov	dptr,#(_setting + 0x0014)
	movx	a,@dptr
	mov	r3,a
	inc	dptr
	movx	a,@dptr
	mov	r4,a
	clr	c
	mov	a,r5
	subb	a,r3
	mov	a,r7
	xrl	a,#0x80
	mov	b,r4
	xrl	b,#0x80
	subb	a,b
	jc	00102$
00101$:
;	core/settings.c:83: return 4;
	mov	dpl,#0x04
	ret
00102$:
;	core/settings.c:84: if (generation == 0xffff)
	mov	r3,_settings_save_generation_65536_69
	mov	r4,(_settings_save_generation_65536_69 + 1)
	cjne	r3,#0xff,00105$
	cjne	r4,#0xff,00105$
;	core/settings.c:85: generation = 1;
	mov	_settings_save_generation_65536_69,#0x01
	mov	(_settings_save_generation_65536_69 + 1),#0x00
00105$:
;	core/settings.c:86: port_store_erase(slot);
	mov	dpl,r6
	push	ar6
	lcall	_port_store_erase
	pop	ar6
;	core/settings.c:87: good = put(slot, 0, generation);
	mov	_put_PARM_2,#0x00
	mov	_put_PARM_3,_settings_save_generation_65536_69
	mov	(_put_PARM_3 + 1),(_settings_save_generation_65536_69 + 1)
	mov	dpl,r6
	push	ar6
	lcall	_put
	mov	r7,dpl
	pop	ar6
;	core/settings.c:88: for (i = 0; i < SETTINGS; i++) {
	mov	r5,#0x00
00110$:
;	core/settings.c:89: port_watchdog();
	push	ar7
	push	ar6
	push	ar5
	lcall	_port_watchdog
	pop	ar5
	pop	ar6
;	core/settings.c:90: good &= put(slot, 2 + 2 * i, setting[i]);
	mov	ar4,r5
	mov	a,r4
	add	a,r4
	add	a,#0x02
	mov	_put_PARM_2,a
	mov	a,r5
	mov	b,#0x02
	mul	ab
	add	a,#_setting
	mov	dpl,a
	mov	a,#(_setting >> 8)
	addc	a,b
	mov	dph,a
	movx	a,@dptr
	mov	_put_PARM_3,a
	inc	dptr
	movx	a,@dptr
	mov	(_put_PARM_3 + 1),a
	mov	dpl,r6
	push	ar6
	push	ar5
	lcall	_put
	mov	r4,dpl
	pop	ar5
	pop	ar6
	pop	ar7
	mov	a,r4
	anl	ar7,a
;	core/settings.c:88: for (i = 0; i < SETTINGS; i++) {
	inc	r5
	cjne	r5,#0x1d,00166$
00166$:
	jc	00110$
;	core/settings.c:92: for (i = 0; i < COPY_BYTES; i++)
	mov	r5,#0x00
00112$:
;	core/settings.c:93: crc = crc16(crc, port_store_read(slot, i));
	mov	_port_store_read_PARM_2,r5
	mov	(_port_store_read_PARM_2 + 1),#0x00
	mov	dpl,r6
	push	ar7
	push	ar6
	push	ar5
	lcall	_port_store_read
	mov	_crc16_PARM_2,dpl
	mov	dpl,_settings_save_crc_65536_69
	mov	dph,(_settings_save_crc_65536_69 + 1)
	lcall	_crc16
	mov	_settings_save_crc_65536_69,dpl
	mov	(_settings_save_crc_65536_69 + 1),dph
	pop	ar5
	pop	ar6
	pop	ar7
;	core/settings.c:92: for (i = 0; i < COPY_BYTES; i++)
	inc	r5
	cjne	r5,#0x3c,00168$
00168$:
	jc	00112$
;	core/settings.c:94: good &= put(slot, COPY_BYTES, crc);
	mov	_put_PARM_2,#0x3c
	mov	_put_PARM_3,_settings_save_crc_65536_69
	mov	(_put_PARM_3 + 1),(_settings_save_crc_65536_69 + 1)
	mov	dpl,r6
	push	ar7
	push	ar6
	lcall	_put
	mov	r5,dpl
	pop	ar6
	pop	ar7
	mov	a,r5
	anl	a,r7
;	core/settings.c:95: if (!good) {
	jnz	00109$
;	core/settings.c:96: counter[C_STORE]++;
	mov	r0,#(_counter + 0x000c)
	mov	ar5,@r0
	inc	r0
	mov	ar7,@r0
	inc	r5
	cjne	r5,#0x00,00171$
	inc	r7
00171$:
	mov	r0,#(_counter + 0x000c)
	mov	@r0,ar5
	inc	r0
	mov	@r0,ar7
;	core/settings.c:97: settings_state = 3;
	mov	_settings_state,#0x03
;	core/settings.c:98: queue_push(EV_FAULT, 1, Q_DEVICE, 1);
	mov	_queue_push_PARM_2,#0x01
	mov	_queue_push_PARM_3,#0x8a
	mov	_queue_push_PARM_4,#0x01
	mov	(_queue_push_PARM_4 + 1),#0x00
	mov	dpl,#0x08
	lcall	_queue_push
;	core/settings.c:99: return 4;
	mov	dpl,#0x04
	ret
00109$:
;	core/settings.c:101: newest = slot;
	mov	_newest,r6
;	core/settings.c:102: settings_state = 0;
	mov	_settings_state,#0x00
;	core/settings.c:103: settings_generation = generation;
	mov	_settings_generation,_settings_save_generation_65536_69
	mov	(_settings_generation + 1),(_settings_save_generation_65536_69 + 1)
;	core/settings.c:104: queue_push(EV_SETTINGS, 0, Q_GOOD, (i16)generation);
	mov	_queue_push_PARM_4,_settings_save_generation_65536_69
	mov	(_queue_push_PARM_4 + 1),(_settings_save_generation_65536_69 + 1)
	mov	_queue_push_PARM_2,#0x00
	mov	_queue_push_PARM_3,#0x00
	mov	dpl,#0x05
	lcall	_queue_push
;	core/settings.c:105: return 0;
	mov	dpl,#0x00
;	core/settings.c:106: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'entry'
;------------------------------------------------------------
;i                         Allocated with name '_entry_PARM_2'
;fresh                     Allocated with name '_entry_PARM_3'
;slot                      Allocated with name '_entry_slot_65536_74'
;k                         Allocated with name '_entry_k_65536_75'
;b                         Allocated with name '_entry_b_65536_75'
;crc                       Allocated to registers r7 
;all                       Allocated with name '_entry_all_65536_75'
;n                         Allocated with name '_entry_n_65536_75'
;at                        Allocated with name '_entry_at_65536_75'
;sloc0                     Allocated with name '_entry_sloc0_1_0'
;------------------------------------------------------------
;	core/settings.c:109: static u32 entry(u8 slot, u8 i, u8 *fresh)
;	-----------------------------------------
;	 function entry
;	-----------------------------------------
_entry:
	mov	_entry_slot_65536_74,dpl
;	core/settings.c:111: u8 k, b, crc = 0, all = 0xff;
	mov	r6,#0x00
	mov	_entry_all_65536_75,#0xff
;	core/settings.c:112: u32 n = 0;
	clr	a
	mov	_entry_n_65536_75,a
	mov	(_entry_n_65536_75 + 1),a
	mov	(_entry_n_65536_75 + 2),a
	mov	(_entry_n_65536_75 + 3),a
;	core/settings.c:113: u16 at = (u16)i * 4;
	mov	r5,_entry_PARM_2
	mov	r7,#0x00
	mov	a,r5
	add	a,r5
	mov	r5,a
	mov	a,r7
	rlc	a
	mov	r7,a
	mov	a,r5
	add	a,r5
	mov	r5,a
	mov	a,r7
	rlc	a
	mov	r7,a
	mov	_entry_at_65536_75,r5
	mov	(_entry_at_65536_75 + 1),r7
;	core/settings.c:114: for (k = 0; k < 4; k++) {
;	1-genFromRTrack replaced	mov	_entry_k_65536_75,#0x00
	mov	_entry_k_65536_75,r6
00109$:
;	core/settings.c:115: b = port_store_read(slot, at + k);
	mov	r2,_entry_k_65536_75
	mov	r3,#0x00
	mov	r5,_entry_at_65536_75
	mov	r7,(_entry_at_65536_75 + 1)
	mov	a,r2
	add	a,r5
	mov	r5,a
	mov	a,r3
	addc	a,r7
	mov	r7,a
	mov	_port_store_read_PARM_2,r5
	mov	(_port_store_read_PARM_2 + 1),r7
	mov	dpl,_entry_slot_65536_74
	push	ar6
	lcall	_port_store_read
	mov	_entry_b_65536_75,dpl
	pop	ar6
;	core/settings.c:116: all &= b;
	mov	a,_entry_b_65536_75
	anl	_entry_all_65536_75,a
;	core/settings.c:117: if (k) {
	mov	a,_entry_k_65536_75
	jz	00110$
;	core/settings.c:118: crc = crc8(crc, b);
	mov	_crc8_PARM_2,_entry_b_65536_75
	mov	dpl,r6
	lcall	_crc8
	mov	r6,dpl
;	core/settings.c:119: n = n >> 8 | (u32)b << 16;
	mov	_entry_sloc0_1_0,(_entry_n_65536_75 + 1)
	mov	(_entry_sloc0_1_0 + 1),(_entry_n_65536_75 + 2)
	mov	(_entry_sloc0_1_0 + 2),(_entry_n_65536_75 + 3)
	mov	(_entry_sloc0_1_0 + 3),#0x00
	mov	r7,_entry_b_65536_75
	mov	r3,#0x00
	mov	ar5,r3
	mov	ar4,r7
	clr	a
	mov	r7,a
	mov	r3,a
	orl	a,_entry_sloc0_1_0
	mov	_entry_n_65536_75,a
	mov	a,r3
	orl	a,(_entry_sloc0_1_0 + 1)
	mov	(_entry_n_65536_75 + 1),a
	mov	a,r4
	orl	a,(_entry_sloc0_1_0 + 2)
	mov	(_entry_n_65536_75 + 2),a
	mov	a,r5
	orl	a,(_entry_sloc0_1_0 + 3)
	mov	(_entry_n_65536_75 + 3),a
00110$:
;	core/settings.c:114: for (k = 0; k < 4; k++) {
	inc	_entry_k_65536_75
	mov	a,#0x100 - 0x04
	add	a,_entry_k_65536_75
	jnc	00109$
;	core/settings.c:122: *fresh = all == 0xff;
	mov	r4,_entry_PARM_3
	mov	r5,(_entry_PARM_3 + 1)
	mov	r7,(_entry_PARM_3 + 2)
	mov	a,#0xff
	cjne	a,_entry_all_65536_75,00141$
	mov	a,#0x01
	sjmp	00142$
00141$:
	clr	a
00142$:
;	core/settings.c:123: if (*fresh)
	mov	r3,a
	mov	dpl,r4
	mov	dph,r5
	mov	b,r7
	lcall	__gptrput
	jz	00105$
;	core/settings.c:124: return 0;
	mov	dptr,#(0x00&0x00ff)
	clr	a
	mov	b,a
	ret
00105$:
;	core/settings.c:125: crc ^= 0xff;
	mov	a,#0xff
	xrl	a,r6
	mov	r7,a
;	core/settings.c:126: if (b == 0xff || crc != port_store_read(slot, at)) {
	mov	a,#0xff
	cjne	a,_entry_b_65536_75,00144$
	sjmp	00106$
00144$:
	mov	_port_store_read_PARM_2,_entry_at_65536_75
	mov	(_port_store_read_PARM_2 + 1),(_entry_at_65536_75 + 1)
	mov	dpl,_entry_slot_65536_74
	push	ar7
	lcall	_port_store_read
	mov	r6,dpl
	pop	ar7
	mov	a,r7
	cjne	a,ar6,00145$
	sjmp	00107$
00145$:
00106$:
;	core/settings.c:127: counter[C_STORE]++;
	mov	r0,#(_counter + 0x000c)
	mov	ar6,@r0
	inc	r0
	mov	ar7,@r0
	inc	r6
	cjne	r6,#0x00,00146$
	inc	r7
00146$:
	mov	r0,#(_counter + 0x000c)
	mov	@r0,ar6
	inc	r0
	mov	@r0,ar7
;	core/settings.c:128: return 0;
	mov	dptr,#(0x00&0x00ff)
	clr	a
	mov	b,a
	ret
00107$:
;	core/settings.c:130: return n;
	mov	dpl,_entry_n_65536_75
	mov	dph,(_entry_n_65536_75 + 1)
	mov	b,(_entry_n_65536_75 + 2)
	mov	a,(_entry_n_65536_75 + 3)
;	core/settings.c:131: }
	ret
;------------------------------------------------------------
;Allocation info for local variables in function 'boots_count'
;------------------------------------------------------------
;slot                      Allocated to registers 
;i                         Allocated to registers r3 
;k                         Allocated to registers r7 
;b                         Allocated to registers 
;fresh                     Allocated with name '_boots_count_fresh_65536_81'
;crc                       Allocated with name '_boots_count_crc_65536_81'
;at                        Allocated to registers r6 
;in                        Allocated to registers r5 
;n                         Allocated to registers r0 r1 r2 r7 
;------------------------------------------------------------
;	core/settings.c:133: void boots_count(void)
;	-----------------------------------------
;	 function boots_count
;	-----------------------------------------
_boots_count:
;	core/settings.c:135: u8 slot, i, k, b, fresh, crc = 0, at = 0, in = 2;
	mov	_boots_count_crc_65536_81,#0x00
	mov	r6,#0x00
	mov	r5,#0x02
;	core/settings.c:137: for (slot = 2; slot < 4; slot++)
	mov	r4,#0x02
;	core/settings.c:138: for (i = 0; i < BOOT_ENTRIES; i++) {
00126$:
	mov	r3,#0x00
00114$:
;	core/settings.c:139: n = entry(slot, i, &fresh);
	mov	_entry_PARM_3,#_boots_count_fresh_65536_81
	mov	(_entry_PARM_3 + 1),#0x00
	mov	(_entry_PARM_3 + 2),#0x40
	mov	_entry_PARM_2,r3
	mov	dpl,r4
	push	ar6
	push	ar5
	push	ar4
	push	ar3
	lcall	_entry
	mov	r0,dpl
	mov	r1,dph
	mov	r2,b
	mov	r7,a
	pop	ar3
	pop	ar4
	pop	ar5
	pop	ar6
;	core/settings.c:140: if (fresh)
	mov	a,_boots_count_fresh_65536_81
	jnz	00107$
;	core/settings.c:142: if (n > node_boots) {
	clr	c
	mov	a,_node_boots
	subb	a,r0
	mov	a,(_node_boots + 1)
	subb	a,r1
	mov	a,(_node_boots + 2)
	subb	a,r2
	mov	a,(_node_boots + 3)
	subb	a,r7
	jnc	00104$
;	core/settings.c:143: node_boots = n;
	mov	_node_boots,r0
	mov	(_node_boots + 1),r1
	mov	(_node_boots + 2),r2
	mov	(_node_boots + 3),r7
;	core/settings.c:144: in = slot;
	mov	ar5,r4
00104$:
;	core/settings.c:146: if (slot == in)
	mov	a,r4
	cjne	a,ar5,00107$
;	core/settings.c:147: at = i + 1;
	mov	ar7,r3
	mov	a,r7
	inc	a
	mov	r6,a
00107$:
;	core/settings.c:138: for (i = 0; i < BOOT_ENTRIES; i++) {
	inc	r3
	cjne	r3,#0x20,00175$
00175$:
	jc	00114$
;	core/settings.c:137: for (slot = 2; slot < 4; slot++)
	inc	r4
	cjne	r4,#0x04,00177$
00177$:
	jc	00126$
;	core/settings.c:149: node_boots++;
	inc	_node_boots
	clr	a
	cjne	a,_node_boots,00179$
	inc	(_node_boots + 1)
	cjne	a,(_node_boots + 1),00179$
	inc	(_node_boots + 2)
	cjne	a,(_node_boots + 2),00179$
	inc	(_node_boots + 3)
00179$:
;	core/settings.c:150: if (at >= BOOT_ENTRIES) {
	cjne	r6,#0x20,00180$
00180$:
	jc	00131$
;	core/settings.c:151: in ^= 1; /* 2 and 3 in turns */
	xrl	ar5,#0x01
;	core/settings.c:152: at = 0;
	mov	r6,#0x00
;	core/settings.c:153: port_store_erase(in);
	mov	dpl,r5
	push	ar6
	push	ar5
	lcall	_port_store_erase
	pop	ar5
	pop	ar6
;	core/settings.c:155: for (k = 0; k < 3; k++)
00131$:
	mov	r7,#0x00
00117$:
;	core/settings.c:156: crc = crc8(crc, (u8)(node_boots >> (8 * k)));
	mov	a,r7
	swap	a
	rr	a
	anl	a,#0xf8
	mov	r4,a
	mov	b,r4
	inc	b
	mov	r1,_node_boots
	mov	r2,(_node_boots + 1)
	mov	r3,(_node_boots + 2)
	mov	r4,(_node_boots + 3)
	sjmp	00183$
00182$:
	clr	c
	mov	a,r4
	rrc	a
	mov	r4,a
	mov	a,r3
	rrc	a
	mov	r3,a
	mov	a,r2
	rrc	a
	mov	r2,a
	mov	a,r1
	rrc	a
	mov	r1,a
00183$:
	djnz	b,00182$
	mov	_crc8_PARM_2,r1
	mov	dpl,_boots_count_crc_65536_81
	push	ar7
	push	ar6
	push	ar5
	lcall	_crc8
	mov	_boots_count_crc_65536_81,dpl
	pop	ar5
	pop	ar6
	pop	ar7
;	core/settings.c:155: for (k = 0; k < 3; k++)
	inc	r7
	cjne	r7,#0x03,00184$
00184$:
	jc	00117$
;	core/settings.c:157: port_store_write(in, (u16)at * 4, crc ^ 0xff);
	mov	r7,#0x00
	mov	a,r6
	add	a,r6
	mov	r6,a
	mov	a,r7
	rlc	a
	mov	r7,a
	mov	a,r6
	add	a,r6
	mov	r6,a
	mov	a,r7
	rlc	a
	mov	r7,a
	mov	_port_store_write_PARM_2,r6
	mov	(_port_store_write_PARM_2 + 1),r7
	mov	a,#0xff
	xrl	a,_boots_count_crc_65536_81
	mov	_port_store_write_PARM_3,a
	mov	dpl,r5
	push	ar7
	push	ar6
	push	ar5
	lcall	_port_store_write
	pop	ar5
	pop	ar6
	pop	ar7
;	core/settings.c:158: for (k = 0; k < 3; k++) {
	inc	r6
	cjne	r6,#0x00,00186$
	inc	r7
00186$:
	mov	r4,#0x00
00119$:
;	core/settings.c:159: b = (u8)(node_boots >> (8 * k));
	mov	a,r4
	swap	a
	rr	a
	anl	a,#0xf8
	mov	r3,a
	mov	b,r3
	inc	b
	mov	r0,_node_boots
	mov	r1,(_node_boots + 1)
	mov	r2,(_node_boots + 2)
	mov	r3,(_node_boots + 3)
	sjmp	00188$
00187$:
	clr	c
	mov	a,r3
	rrc	a
	mov	r3,a
	mov	a,r2
	rrc	a
	mov	r2,a
	mov	a,r1
	rrc	a
	mov	r1,a
	mov	a,r0
	rrc	a
	mov	r0,a
00188$:
	djnz	b,00187$
	mov	_port_store_write_PARM_3,r0
;	core/settings.c:160: port_store_write(in, (u16)at * 4 + 1 + k, b);
	mov	ar2,r4
	mov	r3,#0x00
	mov	a,r2
	add	a,r6
	mov	r2,a
	mov	a,r3
	addc	a,r7
	mov	r3,a
	mov	_port_store_write_PARM_2,r2
	mov	(_port_store_write_PARM_2 + 1),r3
	mov	dpl,r5
	push	ar7
	push	ar6
	push	ar5
	push	ar4
	lcall	_port_store_write
	pop	ar4
	pop	ar5
	pop	ar6
	pop	ar7
;	core/settings.c:158: for (k = 0; k < 3; k++) {
	inc	r4
	cjne	r4,#0x03,00189$
00189$:
	jc	00119$
;	core/settings.c:162: }
	ret
	.area CSEG    (CODE)
	.area CONST   (CODE)
_rule:
	.byte #0xf7, #0x00	;  247
	.byte #0x01, #0x00	;  1
	.byte #0xf7, #0x00	;  247
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x01, #0x00	;  1
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x01, #0x00	;  1
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x01, #0x00	;  1
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x01, #0x00	;  1
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x01, #0x00	;  1
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x01, #0x00	;  1
	.byte #0x00, #0x00	;  0
	.byte #0x80, #0x01	;  384
	.byte #0x90, #0xfc	; -880
	.byte #0xd0, #0x07	;  2000
	.byte #0x90, #0x01	;  400
	.byte #0x90, #0xfc	; -880
	.byte #0xd0, #0x07	;  2000
	.byte #0xc0, #0x01	;  448
	.byte #0x90, #0xfc	; -880
	.byte #0xd0, #0x07	;  2000
	.byte #0xb0, #0x01	;  432
	.byte #0x90, #0xfc	; -880
	.byte #0xd0, #0x07	;  2000
	.byte #0x3c, #0x00	;  60
	.byte #0x00, #0x00	;  0
	.byte #0x10, #0x0e	;  3600
	.byte #0x3c, #0x00	;  60
	.byte #0x00, #0x00	;  0
	.byte #0x10, #0x0e	;  3600
	.byte #0x1e, #0x00	;  30
	.byte #0x00, #0x00	;  0
	.byte #0x10, #0x0e	;  3600
	.byte #0x1e, #0x00	;  30
	.byte #0x00, #0x00	;  0
	.byte #0x10, #0x0e	;  3600
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x03, #0x00	;  3
	.byte #0x1e, #0x00	;  30
	.byte #0x01, #0x00	;  1
	.byte #0x10, #0x0e	;  3600
	.byte #0x0a, #0x00	;  10
	.byte #0x01, #0x00	;  1
	.byte #0x10, #0x0e	;  3600
	.byte #0x0c, #0x00	;  12
	.byte #0x09, #0x00	;  9
	.byte #0x0c, #0x00	;  12
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x9f, #0x05	;  1439
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x9f, #0x05	;  1439
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x9f, #0x05	;  1439
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x9f, #0x05	;  1439
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x9f, #0x05	;  1439
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x9f, #0x05	;  1439
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x9f, #0x05	;  1439
	.byte #0x00, #0x00	;  0
	.byte #0x00, #0x00	;  0
	.byte #0x9f, #0x05	;  1439
	.byte #0x05, #0x00	;  5
	.byte #0x00, #0x00	;  0
	.byte #0x3c, #0x00	;  60
	.area XINIT   (CODE)
	.area CABS    (ABS,CODE)

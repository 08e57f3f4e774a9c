; The XRAM of the chip has 256 bytes: MOVX @Ri needs no page. Where SDCC's start-up writes the page it must not meet P2,
; which switches the relays: RCAP2L is set later.
	.module page
	.globl	__XPAGE
__XPAGE	=	0x00ca
